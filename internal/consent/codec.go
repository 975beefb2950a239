package consent

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"

	"github.com/google/uuid"

	"parley/internal/contact"
)

// The projection of a person is read for every contact that is screened, so it
// is stored in a compact binary form: a version byte, then grants and stops,
// integers as varints, ids and hashes as raw bytes where they have their usual
// form. It can always be rebuilt from the events.

const (
	codecVersion = 1
	codecProven  = 2 // as 1, and the evidence of each grant, a byte each, before the stops
)

var errCodec = errors.New("malformed standing")

var (
	grounds = [...]contact.Ground{"", contact.Consent, contact.Request, contact.Contract, contact.Statute, contact.SoftOptIn}
	kinds   = [...]contact.StopKind{"", contact.Withdrawal, contact.Refusal, contact.DoNotContact, contact.Hold}
)

func encode(s contact.Standing) []byte {
	b := make([]byte, 1, 16+96*len(s.Grants)+64*len(s.Stops))
	b[0] = codecVersion
	proven := slices.ContainsFunc(s.Grants, func(g contact.Grant) bool { return g.Evidence != 0 })
	if proven {
		b[0] = codecProven
	}
	b = binary.AppendUvarint(b, uint64(len(s.Grants)))
	for i := range s.Grants {
		b = appendGrant(b, &s.Grants[i])
	}
	for i := range s.Grants {
		if proven {
			b = append(b, byte(s.Grants[i].Evidence))
		}
	}
	b = binary.AppendUvarint(b, uint64(len(s.Stops)))
	for i := range s.Stops {
		b = appendStop(b, &s.Stops[i])
	}
	return b
}

func appendGrant(b []byte, g *contact.Grant) []byte {
	b = appendID(b, g.ID)
	b = appendName(b, grounds[:], g.Ground)
	b = binary.AppendUvarint(b, uint64(g.Purposes))
	b = binary.AppendUvarint(b, uint64(g.Channels))
	b = appendList(b, g.Points, appendID)
	b = appendList(b, g.Products, appendText)
	b = binary.AppendVarint(b, int64(g.Max))
	b = binary.AppendVarint(b, int64(g.Days))
	b = binary.AppendUvarint(b, uint64(len(g.Hours)))
	for _, h := range g.Hours {
		b = binary.AppendVarint(b, int64(h.From))
		b = binary.AppendVarint(b, int64(h.To))
		b = append(b, h.Days)
	}
	b = binary.AppendVarint(b, g.From)
	b = binary.AppendVarint(b, g.Until)
	b = appendHash(b, g.Notice)
	return appendText(b, g.How)
}

func appendStop(b []byte, s *contact.Stop) []byte {
	b = appendID(b, s.ID)
	b = appendName(b, kinds[:], s.Kind)
	b = binary.AppendUvarint(b, uint64(s.Purposes))
	b = binary.AppendUvarint(b, uint64(s.Channels))
	b = appendList(b, s.Points, appendID)
	b = appendID(b, s.GrantID)
	b = binary.AppendVarint(b, s.At)
	b = binary.AppendVarint(b, s.Until)
	return appendText(b, s.Source)
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendList(b []byte, list []string, one func([]byte, string) []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = one(b, s)
	}
	return b
}

// appendID writes a UUID as a 0 byte and 16 bytes, anything else as its length
// plus one and its text.
func appendID(b []byte, id contact.ID) []byte {
	if len(id) == 36 {
		if u, err := uuid.Parse(id); err == nil && u.String() == id {
			return append(append(b, 0), u[:]...)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(id))+1)
	return append(b, id...)
}

// appendHash writes a sha256 in hex as a 0 byte and 32 bytes, anything else as
// its length plus one and its text.
func appendHash(b []byte, h string) []byte {
	if len(h) == 64 {
		if raw, err := hex.DecodeString(h); err == nil && hex.EncodeToString(raw) == h {
			return append(append(b, 0), raw...)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(h))+1)
	return append(b, h...)
}

// appendName writes the place of a known word, or 0 and the word itself.
func appendName[T ~string](b []byte, known []T, v T) []byte {
	for i, k := range known {
		if i > 0 && k == v {
			return append(b, byte(i))
		}
	}
	return appendText(append(b, 0), string(v))
}

// decoder reads standings; texts that recur between people, such as a notice's
// hash, are kept once.
type decoder struct {
	seen map[string]string
	b    []byte
	bad  bool
}

func (d *decoder) decode(b []byte) (contact.Standing, error) {
	var s contact.Standing
	if len(b) == 0 || b[0] != codecVersion && b[0] != codecProven {
		return s, errCodec
	}
	d.b, d.bad = b[1:], false
	if n := d.count(); n > 0 {
		s.Grants = make([]contact.Grant, n)
		for i := range s.Grants {
			d.grant(&s.Grants[i])
		}
		if b[0] == codecProven {
			for i, e := range d.take(n) {
				s.Grants[i].Evidence = contact.Evidence(e)
			}
		}
	}
	if n := d.count(); n > 0 {
		s.Stops = make([]contact.Stop, n)
		for i := range s.Stops {
			d.stop(&s.Stops[i])
		}
	}
	if d.bad || len(d.b) > 0 {
		return contact.Standing{}, errCodec
	}
	return s, nil
}

func (d *decoder) grant(g *contact.Grant) {
	g.ID = d.id()
	g.Ground = name(d, grounds[:])
	g.Purposes = contact.Purposes(d.uvarint())
	g.Channels = contact.Channels(d.uvarint())
	g.Points = d.list(d.id)
	g.Products = d.list(d.text)
	g.Max = int(d.varint())
	g.Days = int(d.varint())
	if n := d.count(); n > 0 {
		g.Hours = make([]contact.Hours, n)
		for i := range g.Hours {
			g.Hours[i] = contact.Hours{From: int(d.varint()), To: int(d.varint())}
			if c := d.take(1); c != nil {
				g.Hours[i].Days = c[0]
			}
		}
	}
	g.From = d.varint()
	g.Until = d.varint()
	g.Notice = d.hash()
	g.How = d.text()
}

func (d *decoder) stop(s *contact.Stop) {
	s.ID = d.id()
	s.Kind = name(d, kinds[:])
	s.Purposes = contact.Purposes(d.uvarint())
	s.Channels = contact.Channels(d.uvarint())
	s.Points = d.list(d.id)
	s.GrantID = d.id()
	s.At = d.varint()
	s.Until = d.varint()
	s.Source = d.text()
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count reads the length of a list; each member takes a byte at least, so a
// length beyond what is left is malformed and never allocated.
func (d *decoder) count() int {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return 0
	}
	return int(n)
}

func (d *decoder) take(n int) []byte {
	if n > len(d.b) {
		d.bad, d.b = true, nil
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) text() string { return d.intern(d.take(d.count())) }

func (d *decoder) intern(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if s, ok := d.seen[string(b)]; ok {
		return s
	}
	s := string(b)
	if d.seen != nil && len(d.seen) < 1000 {
		d.seen[s] = s
	}
	return s
}

func (d *decoder) id() contact.ID {
	n := d.uvarint()
	if n > 0 {
		if n-1 > uint64(len(d.b)) {
			d.bad, d.b = true, nil
			return ""
		}
		return string(d.take(int(n - 1)))
	}
	raw := d.take(16)
	if raw == nil {
		return ""
	}
	return uuid.UUID(raw).String()
}

func (d *decoder) hash() string {
	n := d.uvarint()
	if n > 0 {
		if n-1 > uint64(len(d.b)) {
			d.bad, d.b = true, nil
			return ""
		}
		return d.intern(d.take(int(n - 1)))
	}
	raw := d.take(32)
	if s, ok := d.seen[string(raw)]; ok {
		return s
	}
	s := hex.EncodeToString(raw)
	if d.seen != nil && len(d.seen) < 1000 {
		d.seen[string(raw)] = s
	}
	return s
}

func (d *decoder) list(one func() string) []string {
	n := d.count()
	if n == 0 {
		return nil
	}
	out := make([]string, n)
	for i := range out {
		out[i] = one()
	}
	return out
}

func name[T ~string](d *decoder, known []T) T {
	c := d.take(1)
	switch {
	case c == nil:
		return ""
	case c[0] == 0:
		return T(d.text())
	case int(c[0]) < len(known):
		return known[c[0]]
	default:
		d.bad, d.b = true, nil
		return ""
	}
}
