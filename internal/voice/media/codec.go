// Package media carries the sound of calls: RTP over one socket per call, a
// few clocks that serve all calls, prompts, digits and stereo recordings.
//
// It knows 20 ms frames of G.711 at 8,000 samples a second and nothing else:
// no SIP, no customers, no bank.
package media

import (
	"fmt"
	"strings"
	"time"

	"github.com/zaf/g711"
)

// The shape of all sound here: G.711 at 8 kHz in frames of 20 ms (RFC 3551).
const (
	Rate         = 8000                  // samples per second
	Frame        = 20 * time.Millisecond // what one packet carries
	FrameSamples = 160                   // samples, and in G.711 bytes, per frame
)

// Codec is a G.711 law. Its value is the static RTP payload type of RFC 3551.
type Codec uint8

// The codecs.
const (
	PCMU Codec = 0 // µ-law
	PCMA Codec = 8 // A-law
)

// String gives the encoding name used in SDP.
func (c Codec) String() string {
	if c == PCMA {
		return "PCMA"
	}
	return "PCMU"
}

// ParseCodec reads an encoding name in any case.
func ParseCodec(s string) (Codec, error) {
	switch strings.ToUpper(s) {
	case "PCMA":
		return PCMA, nil
	case "PCMU":
		return PCMU, nil
	}
	return 0, fmt.Errorf("codec %q is not one of pcma, pcmu", s)
}

// Silence is the byte that codes the quietest sample.
func (c Codec) Silence() byte {
	if c == PCMA {
		return 0xD5
	}
	return 0xFF
}

// Decode gives the linear sample of a coded byte.
func (c Codec) Decode(b byte) int16 {
	if c == PCMA {
		return g711.DecodeAlawFrame(b)
	}
	return g711.DecodeUlawFrame(b)
}

// Encode codes a linear sample.
func (c Codec) Encode(v int16) byte {
	if c == PCMA {
		return g711.EncodeAlawFrame(v)
	}
	return g711.EncodeUlawFrame(v)
}

// encodeAll codes a stretch of linear samples.
func (c Codec) encodeAll(pcm []int16) []byte {
	out := make([]byte, len(pcm))
	for i, v := range pcm {
		out[i] = c.Encode(v)
	}
	return out
}

// translate turns a byte of codec c into one of codec to.
func (c Codec) translate(to Codec, b byte) byte {
	if c == to {
		return b
	}
	return to.Encode(c.Decode(b))
}
