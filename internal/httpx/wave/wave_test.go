package wave

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/zaf/g711"
)

// wav writes a WAV in any format, for the reader to read.
func wav(format, bits, channels int, data []byte, claim int) []byte {
	var b bytes.Buffer
	le := func(v any) { _ = binary.Write(&b, binary.LittleEndian, v) }
	b.WriteString("RIFF")
	le(uint32(0))
	b.WriteString("WAVELIST") // a chunk before fmt, of odd length, to be skipped
	le(uint32(3))
	b.WriteString("abc\x00fmt ")
	le(uint32(18))
	le(uint16(format))
	le(uint16(channels))
	le(uint32(8000))
	le(uint32(8000 * channels * bits / 8))
	le(uint16(channels * bits / 8))
	le(uint16(bits))
	le(uint16(0))
	b.WriteString("data")
	le(uint32(claim))
	b.Write(data)
	return b.Bytes()
}

func stereo() []byte {
	var pcm []byte
	for i := range 8000 {
		left, right := int16(16384), int16(0)
		if i >= 4000 {
			left, right = 0, -16384
		}
		pcm = binary.LittleEndian.AppendUint16(pcm, uint16(left))
		pcm = binary.LittleEndian.AppendUint16(pcm, uint16(right))
	}
	return pcm
}

func TestEveryTelephonyFormatIsHeardAlike(t *testing.T) {
	t.Parallel()
	pcm := stereo()
	for name, raw := range map[string][]byte{
		"pcm":        wav(1, 16, 2, pcm, len(pcm)),
		"alaw":       wav(6, 8, 2, g711.EncodeAlaw(pcm), len(pcm)/2),
		"ulaw":       wav(7, 8, 2, g711.EncodeUlaw(pcm), len(pcm)/2),
		"unfinished": wav(1, 16, 2, pcm, 0),
		"overstated": wav(1, 16, 2, pcm, 1<<31-1),
	} {
		s, err := Decode(bytes.NewReader(raw))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if s.Length() != time.Second {
			t.Errorf("%s: length %v, want 1s", name, s.Length())
		}
		p := s.Peaks(4)
		for lane, want := range [][]bool{{true, true, false, false}, {false, false, true, true}} {
			for i, loud := range want {
				if got := p.Lanes[lane][i] > 0.4; got != loud {
					t.Errorf("%s: lane %d part %d is %v, loud wanted: %v", name, lane, i, p.Lanes[lane][i], loud)
				}
			}
		}
		again, err := Decode(bytes.NewReader(s.PCM()))
		if err != nil || len(again.Samples) != len(s.Samples) || again.Channels != 2 {
			t.Errorf("%s: what we play cannot be read again: %v", name, err)
		}
	}
}

func TestWhatIsNoRecordingIsRefused(t *testing.T) {
	t.Parallel()
	for _, raw := range [][]byte{nil, []byte("RIFF"), []byte("<html>not a recording</html>"),
		wav(1, 24, 2, stereo(), 100), wav(1, 16, 6, stereo(), 100), wav(85, 8, 1, stereo(), 100), wav(1, 16, 2, nil, 0)[:30]} {
		if _, err := Decode(bytes.NewReader(raw)); err == nil {
			t.Errorf("%.20q was accepted", raw)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(wav(1, 16, 2, stereo()[:64], 64))
	f.Add(wav(6, 8, 1, stereo()[:63], 1<<30))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if s, err := Decode(bytes.NewReader(raw)); err == nil {
			s.Peaks(100)
			if len(s.PCM()) != 44+2*len(s.Samples) {
				t.Fatal("PCM is not of its length")
			}
		}
	})
}
