// Package wave makes a call's recording fit for a browser: it reads WAV in the
// forms telephony writes (PCM 16 bit, A-law, µ-law; one or two channels), and
// gives the peaks to draw and plain PCM to play.
package wave

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/zaf/g711"
)

// Sound is a decoded recording; Samples holds the channels interleaved.
type Sound struct {
	Rate     int // samples per second and channel
	Channels int
	Samples  []int16
}

// maxBytes bounds what is read: an hour of stereo PCM at 8 kHz is 115 MB.
const maxBytes = 128 << 20

// The WAV format codes we know (RFC 2361).
const (
	formatPCM  = 1
	formatALaw = 6
	formatULaw = 7
)

var errNotWAV = errors.New("not a WAV file we can read")

// Decode reads a WAV. A file whose data chunk says it is longer than it is (the
// writer died) gives what is there.
func Decode(r io.Reader) (*Sound, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read recording: %w", err)
	}
	if len(b) > maxBytes {
		return nil, fmt.Errorf("recording is over %d MB", maxBytes>>20)
	}
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return nil, errNotWAV
	}
	s := &Sound{}
	format, bits := 0, 0
	for rest := b[12:]; len(rest) >= 8; {
		id, size := string(rest[:4]), int(binary.LittleEndian.Uint32(rest[4:8]))
		body := rest[8:]
		switch id {
		case "fmt ":
			if size < 16 || len(body) < 16 {
				return nil, errNotWAV
			}
			format = int(binary.LittleEndian.Uint16(body))
			s.Channels = int(binary.LittleEndian.Uint16(body[2:]))
			s.Rate = int(binary.LittleEndian.Uint32(body[4:]))
			bits = int(binary.LittleEndian.Uint16(body[14:]))
		case "data":
			if size == 0 || size > len(body) { // never finished
				size = len(body)
			}
			return s, s.fill(format, bits, body[:size])
		}
		size += size & 1 // chunks are padded to even length
		if size > len(body) {
			break
		}
		rest = body[size:]
	}
	return nil, errNotWAV
}

func (s *Sound) fill(format, bits int, data []byte) error {
	if s.Channels < 1 || s.Channels > 2 || s.Rate < 1000 || s.Rate > 192000 {
		return errNotWAV
	}
	switch {
	case format == formatPCM && bits == 16:
	case format == formatALaw && bits == 8:
		data = g711.DecodeAlaw(data)
	case format == formatULaw && bits == 8:
		data = g711.DecodeUlaw(data)
	default:
		return fmt.Errorf("%w: format %d with %d bits", errNotWAV, format, bits)
	}
	s.Samples = make([]int16, len(data)/2/s.Channels*s.Channels)
	for i := range s.Samples {
		s.Samples[i] = int16(binary.LittleEndian.Uint16(data[2*i:]))
	}
	return nil
}

// Length is how long it plays.
func (s *Sound) Length() time.Duration {
	return time.Duration(len(s.Samples)/s.Channels) * time.Second / time.Duration(s.Rate)
}

// Peaks is what the player draws.
type Peaks struct {
	Seconds float64     `json:"seconds"`
	Lanes   [][]float64 `json:"lanes"` // per channel, 0 … 1
}

// Peaks gives the loudest moment of each of n equal parts, per channel.
func (s *Sound) Peaks(n int) Peaks {
	p := Peaks{Seconds: s.Length().Seconds(), Lanes: make([][]float64, s.Channels)}
	frames := len(s.Samples) / s.Channels
	n = max(1, min(n, frames))
	for c := range p.Lanes {
		lane := make([]float64, n)
		for i := range n {
			top := 0
			for f := i * frames / n; f < (i+1)*frames/n; f++ {
				v := int(s.Samples[f*s.Channels+c])
				top = max(top, v, -v)
			}
			// Three places are plenty for a drawing and keep the answer small.
			lane[i] = float64(top*1000/32768) / 1000
		}
		p.Lanes[c] = lane
	}
	return p
}

// PCM gives the sound as a 16-bit PCM WAV, which every browser plays.
func (s *Sound) PCM() []byte {
	var b bytes.Buffer
	size := 2 * len(s.Samples)
	b.Grow(44 + size)
	b.WriteString("RIFF")
	le := func(v any) { _ = binary.Write(&b, binary.LittleEndian, v) } // a Buffer takes everything
	le(uint32(36 + size))
	b.WriteString("WAVEfmt ")
	le(uint32(16))
	le(uint16(formatPCM))
	le(uint16(s.Channels))
	le(uint32(s.Rate))
	le(uint32(s.Rate * s.Channels * 2))
	le(uint16(s.Channels * 2))
	le(uint16(16))
	b.WriteString("data")
	le(uint32(size))
	le(s.Samples)
	return b.Bytes()
}
