package blob

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// The format on disk is Tink's streaming AEAD "AES256_GCM_HKDF": a header of
// its length, a salt and a nonce prefix, then segments, each sealed on its own
// with its number and whether it is the last. Tink writes it; its own reader
// only goes forward, so this one seeks, which a player's slider needs.
const (
	keySize     = 32
	segmentSize = 64 << 10 // as on disk
	tagSize     = 16
	prefixSize  = 7
	headerSize  = 1 + keySize + prefixSize
	firstPlain  = segmentSize - headerSize - tagSize // the header takes its place in the first segment
	otherPlain  = segmentSize - tagSize
)

type reader struct {
	f      *os.File
	aead   cipher.AEAD
	prefix [prefixSize]byte
	size   int64 // of the plaintext
	last   int64 // number of the last segment
	pos    int64
	have   int64 // number of the segment in plain; -1 = none
	plain  []byte
	sealed []byte
}

func newReader(f *os.File, key []byte) (*reader, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var head [headerSize]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if head[0] != headerSize {
		return nil, errors.New("header of an unknown form")
	}
	derived, err := hkdf.Key(sha256.New, key, head[1:1+keySize], "", keySize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	r := &reader{f: f, have: -1, sealed: make([]byte, segmentSize)}
	if r.aead, err = cipher.NewGCM(block); err != nil {
		return nil, err
	}
	copy(r.prefix[:], head[1+keySize:])
	r.last = max(0, (st.Size()-1)/segmentSize)
	r.size = st.Size() - headerSize - (r.last+1)*tagSize
	if r.size < 0 {
		return nil, errors.New("shorter than an empty file")
	}
	return r, nil
}

func (r *reader) Close() error { return r.f.Close() }

func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the start")
	}
	r.pos = offset
	return offset, nil
}

func (r *reader) Read(p []byte) (int, error) {
	if r.pos >= r.size {
		if r.last > 0 || r.have == 0 {
			return 0, io.EOF
		}
		// An empty blob is authenticated as well.
		if err := r.load(0); err != nil {
			return 0, err
		}
		return 0, io.EOF
	}
	n, at := int64(0), r.pos
	if r.pos >= firstPlain {
		n = 1 + (r.pos-firstPlain)/otherPlain
		at = (r.pos - firstPlain) % otherPlain
	}
	if err := r.load(n); err != nil {
		return 0, err
	}
	c := copy(p, r.plain[at:])
	r.pos += int64(c)
	return c, nil
}

// load decrypts segment n.
func (r *reader) load(n int64) error {
	if n == r.have {
		return nil
	}
	from := n * segmentSize
	if n == 0 {
		from = headerSize
	}
	to := min((n+1)*segmentSize, headerSize+r.size+(r.last+1)*tagSize)
	sealed := r.sealed[:to-from]
	if _, err := r.f.ReadAt(sealed, from); err != nil {
		return fmt.Errorf("read blob: %w", err)
	}
	var nonce [12]byte
	copy(nonce[:], r.prefix[:])
	binary.BigEndian.PutUint32(nonce[prefixSize:], uint32(n))
	if n == r.last {
		nonce[11] = 1
	}
	plain, err := r.aead.Open(r.plain[:0], nonce[:], sealed, nil)
	if err != nil {
		r.have = -1
		return ErrDamaged.With(fmt.Errorf("segment %d: %w", n, err))
	}
	r.plain, r.have = plain, n
	return nil
}
