package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// The format tags of WAVE files that are understood (RFC 2361).
const (
	tagPCM  = 1
	tagALaw = 6
	tagULaw = 7
	tagExt  = 0xFFFE // WAVE_FORMAT_EXTENSIBLE: the real tag opens the sub-format GUID
)

// headerSize is the length of the header written before recorded sound: RIFF,
// an 18-byte fmt chunk, the fact chunk that non-PCM files must have, data.
const headerSize = 58

// ErrNotWAV tells that the bytes are not a WAV file that is understood.
var ErrNotWAV = errors.New("not a WAV file of PCM16, A-law or µ-law")

// wavHeader is what stands before the sound.
type wavHeader struct {
	tag      uint16
	channels int
	rate     int
	bits     int
	data     int64 // bytes of sound as the header tells; 0 in a file that was not closed
	offset   int64 // where the sound starts
}

// frame is the size in bytes of one sample of all channels.
func (h wavHeader) frame() int { return h.channels * h.bits / 8 }

// codecHeader makes the header of a G.711 file with the given bytes of sound.
func codecHeader(c Codec, channels int, data uint32) []byte {
	tag := uint16(tagULaw)
	if c == PCMA {
		tag = tagALaw
	}
	le := binary.LittleEndian
	b := append(make([]byte, 0, headerSize), "RIFF"...)
	b = le.AppendUint32(b, headerSize-8+data)
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 18)
	b = le.AppendUint16(b, tag)
	b = le.AppendUint16(b, uint16(channels))
	b = le.AppendUint32(b, Rate)
	b = le.AppendUint32(b, uint32(Rate*channels)) // bytes per second
	b = le.AppendUint16(b, uint16(channels))      // bytes per sample of all channels
	b = le.AppendUint16(b, 8)
	b = le.AppendUint16(b, 0) // no extension
	b = append(b, "fact"...)
	b = le.AppendUint32(b, 4)
	b = le.AppendUint32(b, data/uint32(channels))
	b = append(b, "data"...)
	return le.AppendUint32(b, data)
}

// pcmHeader makes the 44-byte header of a PCM16 file.
func pcmHeader(channels, rate int, data uint32) []byte {
	le := binary.LittleEndian
	b := append(make([]byte, 0, 44), "RIFF"...)
	b = le.AppendUint32(b, 36+data)
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 16)
	b = le.AppendUint16(b, tagPCM)
	b = le.AppendUint16(b, uint16(channels))
	b = le.AppendUint32(b, uint32(rate))
	b = le.AppendUint32(b, uint32(rate*channels*2))
	b = le.AppendUint16(b, uint16(channels*2))
	b = le.AppendUint16(b, 16)
	b = append(b, "data"...)
	return le.AppendUint32(b, data)
}

// readHeader reads up to the first byte of sound.
func readHeader(r io.Reader) (wavHeader, error) {
	var h wavHeader
	var b [12]byte
	if _, err := io.ReadFull(r, b[:]); err != nil || string(b[:4]) != "RIFF" || string(b[8:]) != "WAVE" {
		return h, ErrNotWAV
	}
	h.offset = 12
	for {
		if _, err := io.ReadFull(r, b[:8]); err != nil {
			return h, fmt.Errorf("%w: no sound in it", ErrNotWAV)
		}
		size := int64(binary.LittleEndian.Uint32(b[4:8]))
		h.offset += 8
		switch string(b[:4]) {
		case "data":
			if h.frame() == 0 {
				return h, fmt.Errorf("%w: sound before its format", ErrNotWAV)
			}
			h.data = size
			return h, nil
		case "fmt ":
			if err := h.readFormat(r, size); err != nil {
				return h, err
			}
		default:
			if _, err := io.CopyN(io.Discard, r, size+size&1); err != nil {
				return h, fmt.Errorf("%w: no sound in it", ErrNotWAV)
			}
		}
		h.offset += size + size&1 // chunks are padded to even sizes
	}
}

func (h *wavHeader) readFormat(r io.Reader, size int64) error {
	if size < 16 || size > 1024 {
		return fmt.Errorf("%w: format of %d bytes", ErrNotWAV, size)
	}
	f := make([]byte, size+size&1)
	if _, err := io.ReadFull(r, f); err != nil {
		return fmt.Errorf("%w: format cut short", ErrNotWAV)
	}
	le := binary.LittleEndian
	h.tag, h.channels, h.rate, h.bits = le.Uint16(f), int(le.Uint16(f[2:])), int(le.Uint32(f[4:])), int(le.Uint16(f[14:]))
	if h.tag == tagExt && size >= 26 {
		h.tag = le.Uint16(f[24:])
	}
	known := h.tag == tagPCM && h.bits == 16 || (h.tag == tagALaw || h.tag == tagULaw) && h.bits == 8
	if !known || h.channels < 1 || h.channels > 2 || h.rate < 4000 || h.rate > 192000 {
		return fmt.Errorf("%w: format %d, %d bits, %d channels, %d Hz", ErrNotWAV, h.tag, h.bits, h.channels, h.rate)
	}
	return nil
}

// sample gives the linear value of channel ch in the frame f.
func (h wavHeader) sample(f []byte, ch int) int16 {
	switch h.tag {
	case tagALaw:
		return PCMA.Decode(f[ch])
	case tagULaw:
		return PCMU.Decode(f[ch])
	}
	return int16(binary.LittleEndian.Uint16(f[2*ch:]))
}

// Sound is decoded linear sound; channels are interleaved.
type Sound struct {
	Samples  []int16
	Channels int
	Rate     int // samples per second and channel
}

// Duration is how long it lasts.
func (s Sound) Duration() time.Duration {
	if s.Rate == 0 || s.Channels == 0 {
		return 0
	}
	return time.Duration(len(s.Samples)/s.Channels) * time.Second / time.Duration(s.Rate)
}

// ReadWAV decodes a WAV of PCM16, A-law or µ-law. A file that was cut off
// (a call that died with the machine) gives what is there.
func ReadWAV(r io.Reader) (Sound, error) {
	h, err := readHeader(r)
	if err != nil {
		return Sound{}, err
	}
	raw, err := io.ReadAll(io.LimitReader(r, h.limit()))
	if err != nil {
		return Sound{}, err
	}
	n := len(raw) / h.frame()
	s := Sound{Samples: make([]int16, 0, n*h.channels), Channels: h.channels, Rate: h.rate}
	for i := range n {
		f := raw[i*h.frame():]
		for ch := range h.channels {
			s.Samples = append(s.Samples, h.sample(f, ch))
		}
	}
	return s, nil
}

// limit is how many bytes of sound may be read: what the header tells, or in a
// file that was never closed whatever follows.
func (h wavHeader) limit() int64 {
	const most = 1 << 30 // 18 hours of stereo G.711
	if h.data == 0 || h.data > most {
		return most
	}
	return h.data
}

// WriteWAV writes linear sound as a PCM16 WAV.
func WriteWAV(w io.Writer, s Sound) error {
	b := pcmHeader(s.Channels, s.Rate, uint32(2*len(s.Samples)))
	for _, v := range s.Samples {
		b = binary.LittleEndian.AppendUint16(b, uint16(v))
	}
	_, err := w.Write(b)
	return err
}

// WriteG711 writes linear 8 kHz sound as an A-law or µ-law WAV.
func WriteG711(w io.Writer, c Codec, s Sound) error {
	b := codecHeader(c, s.Channels, uint32(len(s.Samples)))
	for _, v := range s.Samples {
		b = append(b, c.Encode(v))
	}
	_, err := w.Write(b)
	return err
}
