package media

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"time"
)

// Prompt is sound ready to be sent: coded once in both laws, whole frames.
// It never changes and may be played by any number of calls at a time.
type Prompt struct {
	alaw, ulaw []byte
	length     time.Duration
}

// LoadPrompt reads a prompt from a WAV file.
func LoadPrompt(path string) (*Prompt, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p, err := ParsePrompt(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// ParsePrompt reads a prompt from the bytes of a WAV. Other rates than 8 kHz
// are resampled, two channels are mixed into one.
func ParsePrompt(wav []byte) (*Prompt, error) {
	s, err := ReadWAV(bytes.NewReader(wav))
	if err != nil {
		return nil, err
	}
	return NewPrompt(s), nil
}

// NewPrompt makes a prompt of linear sound.
func NewPrompt(s Sound) *Prompt {
	pcm := resample(mono(s), s.Rate)
	p := &Prompt{length: time.Duration(len(pcm)) * time.Second / Rate}
	for len(pcm)%FrameSamples != 0 {
		pcm = append(pcm, 0)
	}
	p.alaw, p.ulaw = PCMA.encodeAll(pcm), PCMU.encodeAll(pcm)
	return p
}

// Duration is how long the prompt lasts, without the padding of its last frame.
func (p *Prompt) Duration() time.Duration { return p.length }

// frames gives the whole sound in codec c.
func (p *Prompt) frames(c Codec) []byte {
	if c == PCMA {
		return p.alaw
	}
	return p.ulaw
}

func mono(s Sound) []int16 {
	if s.Channels != 2 {
		return s.Samples
	}
	out := make([]int16, len(s.Samples)/2)
	for i := range out {
		out[i] = int16((int(s.Samples[2*i]) + int(s.Samples[2*i+1])) / 2)
	}
	return out
}

// resample brings sound of any rate to 8 kHz with a windowed sinc, which also
// takes away what 8 kHz cannot carry. Prompts are loaded once, so it is plain.
func resample(in []int16, rate int) []int16 {
	if rate == Rate || rate <= 0 || len(in) == 0 {
		return in
	}
	const lobes = 16
	step := float64(rate) / Rate
	cut := min(1, 1/step) * 0.95 // of the input's Nyquist frequency
	half := lobes / cut
	out := make([]int16, int(float64(len(in))/step))
	for i := range out {
		centre := float64(i) * step
		var sum, weight float64
		for k := max(0, int(centre-half)); k <= min(len(in)-1, int(centre+half)); k++ {
			d := float64(k) - centre
			w := sinc(d*cut) * (0.5 + 0.5*math.Cos(math.Pi*d/(half+1)))
			sum += w * float64(in[k])
			weight += w
		}
		out[i] = int16(math.Round(max(-32768, min(32767, sum/weight))))
	}
	return out
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}
