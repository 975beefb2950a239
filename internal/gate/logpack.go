package gate

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"parley/internal/contact"
)

// Logs are packed in one of these forms, by their first byte. All are read.
const (
	logOld   = 1 // before 2026-11-24; see logold.go
	logWhole = 2
	logBased = 3 // whole, and says where its first charges stand already
	logRest  = 4 // says so and leaves them out
)

// The bits of a packed charge's second byte, above reach (2) and state (2).
const (
	hasProduct = 1 << (4 + iota)
	hasCampaign
	hasEvent
	hasGrant
)

// asked is the bit of a packed charge's first byte, beside channel and purpose:
// the person began the contact or asked for it.
const asked = 1 << 7

var packedState = [...]State{Settled, Reserved, Attempting, Unknown}

// packed is the first n charges of a log as they are packed, so that a charge
// that follows them is all that has to be packed anew.
type packed struct {
	n     int
	bytes []byte
	names []string
}

// append packs the log in the form of facts that are complete.
func (l *log) append(b []byte) []byte { return l.whole(l.head(b, logWhole)) }

// appendRow packs the log in the form of a person's row.
func (l *log) appendRow(b []byte) []byte {
	if l.base.kept == 0 {
		return l.append(b)
	}
	return l.whole(l.head(b, logBased))
}

// appendRest packs the log without the charges that stand in its base.
func (l *log) appendRest(b []byte) []byte {
	b = binary.AppendUvarint(l.head(b, logRest), uint64(len(l.charges)-l.base.kept))
	return l.pack(b, l.base.kept, packed{})
}

func (l *log) head(b []byte, form byte) []byte {
	b = append(b, form)
	b = binary.AppendUvarint(b, uint64(l.since))
	b = binary.AppendUvarint(b, uint64(l.high))
	b = appendText(b, l.last)
	if form != logWhole {
		b = appendText(b, l.base.id)
		b = binary.AppendUvarint(b, uint64(l.base.from))
		b = binary.AppendUvarint(b, uint64(l.base.kept))
	}
	return b
}

func (l *log) whole(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(l.charges)))
	if p := l.packed; p.n > 0 && (p.n == len(l.charges) || l.states[p.n].live()) {
		return l.pack(append(b, p.bytes...), p.n, p)
	}
	return l.pack(b, 0, packed{})
}

// pack packs charges from the i-th on, behind those of so that are packed. The
// first instant is written out, further ones as the time since the one before.
// Charges that differ in their instant only are a run, five bytes for each where
// contacts are days apart. Texts that recur (products, campaigns, grants) are
// written where they occur first and are numbers afterwards.
func (l *log) pack(b []byte, i int, so packed) []byte {
	if i == len(l.charges) {
		return b
	}
	prev, names := l.charges[i].At, so.names
	if so.n > 0 {
		prev = l.charges[i-1].At
	} else {
		b = binary.AppendVarint(b, prev)
	}
	for i < len(l.charges) {
		c, s := &l.charges[i], l.states[i]
		kind, flags := byte(c.Channel)<<4|byte(c.Purpose), byte(c.Reach)&3|byte(slices.Index(packedState[:], s))<<2
		if c.Asked {
			kind |= asked
		}
		for k, s := range refs(c) {
			if s != "" {
				flags |= hasProduct << k
			}
		}
		b = append(b, kind, flags)
		for _, s := range refs(c) {
			if s == "" {
				continue
			}
			k := slices.Index(names, s) + 1
			b = binary.AppendUvarint(b, uint64(k))
			if k == 0 {
				b, names = appendText(b, s), append(names, s)
			}
		}
		if s.live() {
			b = binary.AppendVarint(appendUUID(b, c.Permit), c.At-prev)
			prev, i = c.At, i+1
			continue
		}
		end := i + 1
		for end < len(l.charges) && l.like(end) {
			end++
		}
		b = appendInstants(b, l.charges[i:end], prev)
		prev, i = l.charges[end-1].At, end
	}
	return b
}

// appendInstants packs the instants of a run: their number, how many bytes each
// takes, and each one's distance to the one before.
func appendInstants(b []byte, run []contact.Charge, prev int64) []byte {
	all, at := uint64(0), prev
	for i := range run {
		all, at = all|zigzag(run[i].At-at), run[i].At
	}
	width := max(1, (bits.Len64(all)+7)/8)
	b = append(binary.AppendUvarint(b, uint64(len(run))), byte(width))
	for i := range run {
		d := zigzag(run[i].At - prev)
		for range width {
			b, d = append(b, byte(d)), d>>8
		}
		prev = run[i].At
	}
	return b
}

// zigzag makes a small number of a small one, whatever its sign.
func zigzag(d int64) uint64 { return uint64(d)<<1 ^ uint64(d>>63) }

func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// refs gives what of a charge refers to the table of names.
func refs(c *contact.Charge) [4]string { return [4]string{c.Product, c.Campaign, c.Event, c.Grant} }

// like reports whether a charge differs from the one before in its instant only.
func (l *log) like(i int) bool {
	if i == 0 || l.states[i] != Settled || l.states[i-1] != Settled {
		return false
	}
	a, b := &l.charges[i-1], &l.charges[i]
	return a.Channel == b.Channel && a.Purpose == b.Purpose && a.Reach == b.Reach && a.Asked == b.Asked &&
		a.Product == b.Product && a.Campaign == b.Campaign && a.Event == b.Event && a.Grant == b.Grant
}

// readHead unpacks since and high, and gives the form.
func (l *log) readHead(r *reader) byte {
	form := r.byte()
	if form < logOld || form > logRest {
		r.fail()
	}
	l.since, l.high = int64(r.uint()), int64(r.uint())
	return form
}

// read unpacks a log; its charges live in s, and what r reads from is kept.
func (l *log) read(r *reader, s room) error {
	form := l.readHead(r)
	l.last = r.own()
	if form == logOld {
		return l.readOld(r, s)
	}
	if form != logWhole {
		l.base = base{id: r.own(), from: r.place(), kept: r.place()}
		l.short = form == logRest
	}
	n := r.count()
	body := r.b
	if r.err == nil {
		l.charges, l.states = s.take(n)
		l.packed.names = l.unpack(r)
	}
	if r.err != nil || !l.short && l.base.kept > n {
		return errPacked
	}
	l.packed.n, l.packed.bytes = n, body[:len(body)-len(r.b)]
	return nil
}

func (l *log) unpack(r *reader) (names []string) {
	at := int64(0)
	if len(l.charges) > 0 {
		at = r.int()
	}
	name := func(flags, bit byte) string {
		if flags&bit == 0 {
			return ""
		}
		k := r.uint()
		switch {
		case k == 0:
			names = append(names, r.text())
			k = uint64(len(names))
		case k > uint64(len(names)):
			r.fail()
			return ""
		}
		return names[k-1]
	}
	for i := 0; i < len(l.charges) && r.err == nil; {
		kind, flags := r.byte(), r.byte()
		c := contact.Charge{Channel: contact.Channel(kind >> 4 & 7), Purpose: contact.Purpose(kind & 15), Asked: kind&asked != 0, Reach: contact.Reach(flags & 3)}
		c.Product, c.Campaign = name(flags, hasProduct), name(flags, hasCampaign)
		c.Event, c.Grant = name(flags, hasEvent), name(flags, hasGrant)
		s := packedState[flags>>2&3]
		if s.live() {
			c.Permit = r.uuid()
			c.InFlight = s != Unknown // an unknown one happened when it was spent
			at += r.int()
			c.At = at
			l.charges[i], l.states[i] = c, s
			i++
			continue
		}
		n, width := r.place(), int(r.byte())
		if n < 1 || n > len(l.charges)-i || width < 1 || width > 8 {
			r.fail()
			break
		}
		for raw := r.take(n * width); len(raw) > 0; raw, i = raw[width:], i+1 {
			d := uint64(0)
			for k := width - 1; k >= 0; k-- {
				d = d<<8 | uint64(raw[k])
			}
			at += unzigzag(d)
			c.At = at
			l.charges[i], l.states[i] = c, Settled
		}
	}
	return names
}
