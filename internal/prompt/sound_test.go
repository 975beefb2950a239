package prompt

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func tone(rate, channels int, hz, amplitude float64) Audio {
	a := Audio{Rate: rate, Channels: channels}
	for i := range rate {
		for range channels {
			a.Samples = append(a.Samples, int16(amplitude*math.Sin(2*math.Pi*hz*float64(i)/float64(rate))))
		}
	}
	return a
}

// A tone inside the telephone band keeps its level, one above half the new
// rate must vanish instead of folding back as an audible whistle.
func TestResampleKeepsTheBandAndFoldsNothing(t *testing.T) {
	t.Parallel()
	for _, rate := range []int{8000, 11025, 16000, 22050, 24000, 44100, 48000} {
		for _, tc := range []struct {
			hz       float64
			min, max float64 // dB relative to the input
		}{{300, -0.3, 0.3}, {1000, -0.3, 0.3}, {3000, -0.5, 0.3}, {4700, math.Inf(-1), -50}, {7000, math.Inf(-1), -50}} {
			if tc.hz >= float64(rate)/2 || (rate == Rate && tc.hz > 4000) {
				continue
			}
			in := tone(rate, 2, tc.hz, 10000)
			x := resample(mono(in), rate, Rate)
			mid := Audio{Samples: make([]int16, 0, Rate)}
			for _, v := range x[len(x)/4 : len(x)*3/4] {
				mid.Samples = append(mid.Samples, int16(v))
			}
			got := mid.Level().RMS - in.Level().RMS
			if got < tc.min || got > tc.max {
				t.Errorf("%d Hz tone at rate %d: %.1f dB", int(tc.hz), rate, got)
			}
		}
	}
}

func TestTelephoneNeverClips(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := Audio{
			Rate:     rapid.SampledFrom([]int{8000, 16000, 22050}).Draw(t, "rate"),
			Channels: rapid.IntRange(1, 2).Draw(t, "channels"),
			Samples:  rapid.SliceOfN(rapid.Int16(), 0, 2000).Draw(t, "samples"),
		}
		if got := telephone(a); got.Level().Peak > peakLimit+0.01 {
			t.Fatalf("peak %.2f dBFS", got.Level().Peak)
		}
	})
}

func TestALawRoundTripThroughAFile(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(rapid.Int16(), 1, 400).Draw(t, "samples")
		a, err := Decode(EncodeALaw(in))
		if err != nil || len(a.Samples) != len(in) || a.playable() != nil {
			t.Fatalf("%d samples became %d: %v", len(in), len(a.Samples), err)
		}
		for i := range in {
			// G.711 keeps about 5 bits of a sample: an error of a 16th at most.
			if d := math.Abs(float64(in[i]) - float64(a.Samples[i])); d > math.Abs(float64(in[i]))/16+32 {
				t.Fatalf("%d became %d", in[i], a.Samples[i])
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(EncodeALaw([]int16{1, 2, 3}))
	f.Add([]byte("RIFF____WAVEfmt \xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := Decode(raw)
		if err == nil && len(a.Samples) > len(raw) {
			t.Errorf("%d samples out of %d bytes", len(a.Samples), len(raw))
		}
	})
}
