package media

import (
	"encoding/binary"
	"errors"
	"io"
)

// PCM shows a recording as a PCM16 WAV, which every browser plays, without
// decoding it whole: it seeks, so http.ServeContent can answer range requests.
type PCM struct {
	src  io.ReadSeeker
	h    wavHeader
	head []byte
	size int64
	pos  int64
	buf  []byte
}

// NewPCM opens a WAV of PCM16, A-law or µ-law for playing.
func NewPCM(src io.ReadSeeker) (*PCM, error) {
	if _, err := src.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	h, err := readHeader(src)
	if err != nil {
		return nil, err
	}
	end, err := src.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	frames := min(h.limit(), end-h.offset) / int64(h.frame())
	data := frames * int64(2*h.channels)
	p := &PCM{src: src, h: h, head: pcmHeader(h.channels, h.rate, uint32(data))}
	p.size = int64(len(p.head)) + data
	return p, nil
}

// Size is the length in bytes of the PCM16 file.
func (p *PCM) Size() int64 { return p.size }

// Seek sets where the next Read starts.
func (p *PCM) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += p.pos
	case io.SeekEnd:
		offset += p.size
	}
	if offset < 0 {
		return 0, errors.New("media: seek before the start")
	}
	p.pos = offset
	return offset, nil
}

// Read reads the PCM16 file.
func (p *PCM) Read(b []byte) (int, error) {
	if p.pos >= p.size {
		return 0, io.EOF
	}
	if p.pos < int64(len(p.head)) {
		n := copy(b, p.head[p.pos:])
		p.pos += int64(n)
		return n, nil
	}
	out := int64(2 * p.h.channels) // bytes of PCM per frame
	at := p.pos - int64(len(p.head))
	skip := int(at % out)
	frames := min((int64(len(b)+skip)+out-1)/out, (p.size-int64(len(p.head)))/out-at/out, 4096)
	raw := make([]byte, frames*int64(p.h.frame()))
	if _, err := p.src.Seek(p.h.offset+at/out*int64(p.h.frame()), io.SeekStart); err != nil {
		return 0, err
	}
	if _, err := io.ReadFull(p.src, raw); err != nil {
		return 0, err
	}
	p.buf = p.buf[:0]
	for ; len(raw) > 0; raw = raw[p.h.frame():] {
		for ch := range p.h.channels {
			p.buf = binary.LittleEndian.AppendUint16(p.buf, uint16(p.h.sample(raw, ch)))
		}
	}
	n := copy(b, p.buf[skip:])
	p.pos += int64(n)
	return n, nil
}

// Waveform is the loudest value in each of a number of equal stretches of a
// recording, 0 to 1, for drawing. A mono file has no Right.
type Waveform struct {
	Left  []float32 `json:"left"`
	Right []float32 `json:"right,omitempty"`
}

// Peaks reads a WAV and gives its waveform in n stretches.
func Peaks(r io.Reader, n int) (Waveform, error) {
	s, err := ReadWAV(r)
	if err != nil || n <= 0 {
		return Waveform{}, err
	}
	w := Waveform{Left: make([]float32, n)}
	sides := [][]float32{w.Left}
	if s.Channels == 2 {
		w.Right = make([]float32, n)
		sides = append(sides, w.Right)
	}
	frames := len(s.Samples) / s.Channels
	for i := range frames {
		slot := i * n / frames
		for ch, side := range sides {
			v := float32(s.Samples[i*s.Channels+ch]) / 32768
			side[slot] = max(side[slot], v, -v)
		}
	}
	return w, nil
}
