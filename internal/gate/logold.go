package gate

import "parley/internal/contact"

// readOld unpacks the rest of a log of before 2026-11-24: its names stand in
// front, and a charge like the one before has no channel.
func (l *log) readOld(r *reader, s room) error {
	names := r.texts()
	n := r.count()
	if r.err != nil {
		return r.err
	}
	l.charges, l.states = s.take(n)
	clear(l.charges)
	at := int64(0)
	name := func(flags, bit byte) string {
		if flags&bit == 0 {
			return ""
		}
		i := r.uint()
		if i >= uint64(len(names)) {
			r.fail()
			return ""
		}
		return names[i]
	}
	for i := range l.charges {
		c := &l.charges[i]
		at += r.int()
		kind := r.byte()
		if kind == 0 && i > 0 {
			*c, l.states[i] = l.charges[i-1], l.states[i-1]
			c.At = at
			continue
		}
		flags := r.byte()
		c.At, c.Channel, c.Purpose, c.Asked = at, contact.Channel(kind>>4&7), contact.Purpose(kind&15), kind&asked != 0
		c.Reach, l.states[i] = contact.Reach(flags&3), packedState[flags>>2&3]
		if l.states[i].live() {
			c.Permit = r.uuid()
			c.InFlight = l.states[i] != Unknown // an unknown one happened when it was spent
		}
		c.Product, c.Campaign = name(flags, hasProduct), name(flags, hasCampaign)
		c.Event, c.Grant = name(flags, hasEvent), name(flags, hasGrant)
	}
	return r.err
}
