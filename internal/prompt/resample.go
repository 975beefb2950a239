package prompt

import "math"

// Loudness of a rendered prompt: speech at about -20 dBFS with peaks well
// under full scale is what telephone networks are lined up for.
const (
	targetRMS = -20.0 // dBFS
	peakLimit = -3.0  // dBFS; wins over targetRMS
)

// telephone turns any sound into a prompt: one channel at 8 kHz, without the
// silence around it, at an even loudness that cannot clip.
func telephone(a Audio) Audio {
	x := mono(a)
	x = resample(x, a.Rate, Rate)
	x = trim(x)
	return Audio{Rate: Rate, Channels: 1, Samples: level(x)}
}

func mono(a Audio) []float64 {
	out := make([]float64, len(a.Samples)/a.Channels)
	for i := range out {
		for c := range a.Channels {
			out[i] += float64(a.Samples[i*a.Channels+c]) / float64(a.Channels)
		}
	}
	return out
}

// resample changes the rate with a windowed-sinc polyphase filter that cuts
// off below half of the lower rate, so nothing folds back into the band.
func resample(x []float64, from, to int) []float64 {
	if from == to {
		return x
	}
	g := gcd(from, to)
	up, down := to/g, from/g
	const lobes = 24 // zero crossings each side; enough for > 60 dB
	cut := 0.92 * min(1, float64(to)/float64(from))
	half := int(math.Ceil(lobes / cut))
	phases := make([][]float64, up) // filled when first used
	out := make([]float64, len(x)*up/down)
	for i := range out {
		at, ph := i*down/up, i*down%up
		if phases[ph] == nil {
			phases[ph] = taps(float64(ph)/float64(up), cut, half)
		}
		for k, w := range phases[ph] {
			if j := at + k - half + 1; j >= 0 && j < len(x) {
				out[i] += w * x[j]
			}
		}
	}
	return out
}

// taps are the filter's weights for an output that lies frac after an input
// sample, for the inputs from half-1 before it to half after it.
func taps(frac, cut float64, half int) []float64 {
	w := make([]float64, 2*half)
	sum := 0.0
	for k := range w {
		t := float64(k-half+1) - frac
		u := t / float64(half)
		if math.Abs(u) >= 1 {
			continue
		}
		window := 0.42 + 0.5*math.Cos(math.Pi*u) + 0.08*math.Cos(2*math.Pi*u) // Blackman
		w[k] = cut * sinc(cut*t) * window
		sum += w[k]
	}
	for k := range w {
		w[k] /= sum // unity gain at 0 Hz in every phase
	}
	return w
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// trim leaves 60 ms before the first and 150 ms after the last audible sample,
// so that prompts can follow each other without a hole.
func trim(x []float64) []float64 {
	const floor = 32768 * 0.006 // about -44 dBFS
	first, last := -1, -1
	for i, v := range x {
		if math.Abs(v) > floor {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	if first < 0 {
		return nil
	}
	return x[max(0, first-Rate*60/1000):min(len(x), last+Rate*150/1000)]
}

// level scales the sound to targetRMS, or less when its peak would pass peakLimit.
func level(x []float64) []int16 {
	var peak, sum float64
	for _, v := range x {
		peak = max(peak, math.Abs(v))
		sum += v * v
	}
	if peak == 0 {
		return nil
	}
	rms := math.Sqrt(sum / float64(len(x)))
	gain := min(decibel(targetRMS)/rms, decibel(peakLimit)/peak)
	out := make([]int16, len(x))
	for i, v := range x {
		out[i] = int16(math.Round(v * gain))
	}
	return out
}

func decibel(db float64) float64 { return 32768 * math.Pow(10, db/20) }

// sine is a pure tone with 5 ms ramps, so that it does not click.
func sine(hz, ms int) []int16 {
	out := make([]int16, Rate*ms/1000)
	ramp := float64(Rate) * 0.005
	for i := range out {
		edge := min(1, float64(i)/ramp, float64(len(out)-1-i)/ramp)
		out[i] = int16(decibel(-9) * edge * math.Sin(2*math.Pi*float64(hz)*float64(i)/Rate))
	}
	return out
}
