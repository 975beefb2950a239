package prompt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/zaf/g711"
)

// Rate is the sampling rate of every prompt, in Hz: that of G.711.
const Rate = 8000

// The WAVE format tags a prompt may have (RFC 2361).
const (
	tagPCM  = 1
	tagALaw = 6
	tagULaw = 7
)

// Audio is sound as samples, whatever its file was coded in.
type Audio struct {
	Rate     int // Hz
	Channels int
	Samples  []int16 // interleaved when Channels > 1
}

// Duration is how long the sound lasts.
func (a Audio) Duration() time.Duration {
	if a.Rate == 0 || a.Channels == 0 {
		return 0
	}
	return time.Duration(len(a.Samples)/a.Channels) * time.Second / time.Duration(a.Rate)
}

func (a Audio) playable() error {
	if a.Rate != Rate || a.Channels != 1 {
		return fmt.Errorf("%d Hz with %d channels", a.Rate, a.Channels)
	}
	if len(a.Samples) == 0 {
		return errors.New("no sound in it")
	}
	return nil
}

// Level is how loud a sound is, in decibels relative to full scale: 0 is the
// loudest there is, silence is -Inf.
type Level struct{ Peak, RMS float64 }

// Level measures the whole sound.
func (a Audio) Level() Level {
	var peak, sum float64
	for _, s := range a.Samples {
		v := math.Abs(float64(s)) / 32768
		peak = max(peak, v)
		sum += v * v
	}
	rms := 0.0
	if n := len(a.Samples); n > 0 {
		rms = math.Sqrt(sum / float64(n))
	}
	return Level{Peak: 20 * math.Log10(peak), RMS: 20 * math.Log10(rms)}
}

// Decode reads a RIFF/WAVE file of A-law, µ-law or 16-bit PCM at any rate.
// A data chunk longer than the file is read as far as it goes: programs that
// write to a pipe cannot know the length beforehand.
func Decode(raw []byte) (Audio, error) {
	if len(raw) < 12 || string(raw[:4]) != "RIFF" || string(raw[8:12]) != "WAVE" {
		return Audio{}, errors.New("not a RIFF/WAVE file")
	}
	var a Audio
	var tag, bits uint16
	for p := raw[12:]; len(p) >= 8; {
		id, size := string(p[:4]), int64(binary.LittleEndian.Uint32(p[4:]))
		p = p[8:]
		body := p[:min(size, int64(len(p)))]
		switch id {
		case "fmt ":
			if len(body) < 16 {
				return Audio{}, errors.New("the fmt chunk is cut short")
			}
			tag, bits = binary.LittleEndian.Uint16(body), binary.LittleEndian.Uint16(body[14:])
			a.Channels = int(binary.LittleEndian.Uint16(body[2:]))
			a.Rate = int(binary.LittleEndian.Uint32(body[4:]))
		case "data":
			if a.Channels == 0 || a.Rate == 0 {
				return Audio{}, errors.New("no usable fmt chunk before the data")
			}
			var err error
			a.Samples, err = samples(body, tag, bits)
			return a, err
		}
		p = p[min(size+size&1, int64(len(p))):]
	}
	return Audio{}, errors.New("no data chunk")
}

func samples(body []byte, tag, bits uint16) ([]int16, error) {
	switch {
	case tag == tagPCM && bits == 16:
		out := make([]int16, len(body)/2)
		for i := range out {
			out[i] = int16(binary.LittleEndian.Uint16(body[2*i:]))
		}
		return out, nil
	case tag == tagALaw && bits == 8:
		return each(body, g711.DecodeAlawFrame), nil
	case tag == tagULaw && bits == 8:
		return each(body, g711.DecodeUlawFrame), nil
	}
	return nil, fmt.Errorf("WAVE format %d with %d bits is not supported", tag, bits)
}

func each[A, B any](in []A, f func(A) B) []B {
	out := make([]B, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return out
}

// ALaw encodes samples as G.711 A-law, one byte each.
func ALaw(samples []int16) []byte { return each(samples, g711.EncodeAlawFrame) }

// ULaw encodes samples as G.711 µ-law, one byte each.
func ULaw(samples []int16) []byte { return each(samples, g711.EncodeUlawFrame) }

// EncodeALaw makes an 8 kHz mono A-law WAV file of samples.
func EncodeALaw(samples []int16) []byte {
	data := ALaw(samples)
	n := len(data) + len(data)&1
	le := binary.LittleEndian
	b := make([]byte, 0, 58+n)
	b = append(b, "RIFF"...)
	b = le.AppendUint32(b, uint32(50+n))
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 18)
	b = le.AppendUint16(b, tagALaw)
	b = le.AppendUint16(b, 1)
	b = le.AppendUint32(b, Rate)
	b = le.AppendUint32(b, Rate)
	b = le.AppendUint16(b, 1)
	b = le.AppendUint16(b, 8)
	b = le.AppendUint16(b, 0)
	// Every format but PCM has a fact chunk with the number of samples.
	b = append(b, "fact"...)
	b = le.AppendUint32(b, 4)
	b = le.AppendUint32(b, uint32(len(data)))
	b = append(b, "data"...)
	b = le.AppendUint32(b, uint32(len(data)))
	b = append(b, data...)
	if len(data)&1 == 1 {
		b = append(b, 0)
	}
	return b
}
