package gate

import (
	"encoding/binary"
	"errors"
)

// Texts are packed by what they look like: ids and hashes take half their
// length. A reader gives back exactly what was written.
const (
	textEmpty = 0
	textUUID  = 1 // 16 bytes follow
	textHash  = 2 // 32 bytes follow: sha256
	textRaw   = 2 // length + textRaw, then the bytes
)

func appendText(b []byte, s string) []byte {
	switch {
	case s == "":
		return append(b, textEmpty)
	case len(s) == 36 && isUUID(s):
		return appendUUID(append(b, textUUID), s)
	case len(s) == 64 && isHex(s):
		b = append(b, textHash)
		for i := 0; i < 64; i += 2 {
			b = append(b, nibble[s[i]]<<4|nibble[s[i+1]])
		}
		return b
	}
	b = binary.AppendUvarint(b, uint64(len(s)+textRaw))
	return append(b, s...)
}

func appendTexts(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = appendText(b, s)
	}
	return b
}

// uuidAt are the places of the hex pairs in a UUID's text.
var uuidAt = [16]int{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34}

const bad = 0xff

// nibble gives the value of a lower-case hex digit, or bad.
var nibble = func() (t [256]byte) {
	for i := range t {
		t[i] = bad
	}
	for i, c := range []byte("0123456789abcdef") {
		t[c] = byte(i)
	}
	return t
}()

const digits = "0123456789abcdef"

func isUUID(s string) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	for _, i := range uuidAt {
		if nibble[s[i]] == bad || nibble[s[i+1]] == bad {
			return false
		}
	}
	return true
}

func isHex(s string) bool {
	for i := range len(s) {
		if nibble[s[i]] == bad {
			return false
		}
	}
	return true
}

func appendUUID(b []byte, s string) []byte {
	for _, i := range uuidAt {
		b = append(b, nibble[s[i]]<<4|nibble[s[i+1]])
	}
	return b
}

func uuidText(raw []byte) string {
	var t [36]byte
	t[8], t[13], t[18], t[23] = '-', '-', '-', '-'
	for k, i := range uuidAt {
		t[i], t[i+1] = digits[raw[k]>>4], digits[raw[k]&15]
	}
	return string(t[:])
}

var errPacked = errors.New("packed record is damaged")

// reader takes apart what the append functions wrote. After the first error it
// gives zero values; ask err at the end.
type reader struct {
	b     []byte
	err   error
	names map[string]string // texts seen before, so that equal ones share memory; may be nil
}

func (r *reader) fail() { r.b, r.err = nil, errPacked }

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.fail()
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads the length of a list, each of whose items takes a byte or more.
func (r *reader) count() int {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(n)
}

// place reads a small number.
func (r *reader) place() int {
	n := r.uint()
	if n > 1<<31 {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) uuid() string {
	raw := r.take(16)
	if raw == nil {
		return ""
	}
	return uuidText(raw)
}

func (r *reader) text() string {
	at := r.b
	switch tag := r.uint(); tag {
	case textEmpty:
		return ""
	case textUUID:
		r.take(16)
	case textHash:
		r.take(32)
	default:
		if tag > uint64(len(r.b)+textRaw) {
			r.fail()
			return ""
		}
		r.take(int(tag - textRaw))
	}
	if r.err != nil {
		return ""
	}
	key := at[:len(at)-len(r.b)]
	if s, ok := r.names[string(key)]; ok {
		return s
	}
	s := unpackText(key)
	if r.names != nil {
		r.names[string(key)] = s
	}
	return s
}

// own is text that occurs once only: it is not worth remembering.
func (r *reader) own() string {
	names := r.names
	r.names = nil
	s := r.text()
	r.names = names
	return s
}

func unpackText(b []byte) string {
	switch b[0] {
	case textUUID:
		return uuidText(b[1:])
	case textHash:
		var t [64]byte
		for i, c := range b[1:] {
			t[2*i], t[2*i+1] = digits[c>>4], digits[c&15]
		}
		return string(t[:])
	}
	_, n := binary.Uvarint(b)
	return string(b[n:])
}

func (r *reader) texts() []string {
	n := r.count()
	if n == 0 {
		return nil
	}
	out := make([]string, n)
	for i := range out {
		out[i] = r.text()
	}
	return out
}
