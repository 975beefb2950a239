package gate

import (
	"slices"
	"sync"

	"parley/internal/contact"
)

// log is a person's budget: what counts, or may count, against any cap. It is
// the authority on which of the person's permits are live; every change to it
// happens under the lock of the person.
type log struct {
	since   int64  // the log is complete from here on; 0 = from the beginning
	high    int64  // the latest instant at which anything was decided for the person
	last    string // the person's latest decision; '' = none
	charges []contact.Charge
	states  []State // of the charges; Settled when the permit has ended
	base    base
	short   bool // the charges that stand in base are left out
	packed  packed
}

// base says where the first of a log's charges stand already, just as they are:
// in the facts of an earlier decision.
type base struct {
	id   contact.ID // of the decision; '' = none
	from int        // place there of the first
	kept int        // how many
}

// live reports whether a permit in the state still has a charge under its own id.
func (s State) live() bool { return s == Reserved || s == Attempting || s == Unknown }

// find gives the place of a live permit's charge, or -1.
func (l *log) find(permit contact.ID) int {
	for i := range l.charges {
		if l.charges[i].Permit == permit && l.states[i].live() {
			return i
		}
	}
	return -1
}

func (l *log) add(c contact.Charge, s State) {
	l.charges, l.states = append(l.charges, c), append(l.states, s)
}

// change gives a live charge to be changed.
func (l *log) change(i int) *contact.Charge {
	l.upTo(i)
	return &l.charges[i]
}

// remove drops a live charge.
func (l *log) remove(i int) {
	l.upTo(i)
	l.charges, l.states = slices.Delete(l.charges, i, i+1), slices.Delete(l.states, i, i+1)
}

// upTo notes that charges from the i-th on are not what they were.
func (l *log) upTo(i int) {
	l.base.kept = min(l.base.kept, i)
	if i < l.packed.n {
		l.packed = packed{}
	}
}

// others gives the charges but the i-th.
func (l *log) others(i int) []contact.Charge {
	out := make([]contact.Charge, 0, len(l.charges)-1)
	return append(append(out, l.charges[:i]...), l.charges[i+1:]...)
}

// prune drops ended charges older than start. What is live stays, however old.
func (l *log) prune(start int64) {
	keep, old := 0, l.base
	for i := range l.charges {
		if c := &l.charges[i]; c.At < start && !l.states[i].live() {
			l.since = max(l.since, c.At+1)
			l.base.gone(i < old.kept, keep)
			continue
		}
		if keep != i {
			l.charges[keep], l.states[keep] = l.charges[i], l.states[i]
		}
		keep++
	}
	if keep < len(l.charges) {
		l.packed = packed{}
	}
	l.charges, l.states = l.charges[:keep], l.states[:keep]
}

// gone notes that a charge was dropped after kept others that stay: what stands
// in the base must stand there in one piece.
func (b *base) gone(ours bool, kept int) {
	switch {
	case !ours:
	case kept == 0:
		b.from, b.kept = b.from+1, b.kept-1
	default:
		b.kept = min(b.kept, kept)
	}
}

// minBase is the least number of charges worth naming instead of keeping again.
const minBase = 12

// shares reports whether facts should leave out what stands in the base: most
// of the charges do.
func (l *log) shares() bool {
	return l.base.kept >= minBase && l.base.kept >= 2*(len(l.charges)-l.base.kept)
}

// stands makes a decision whose facts have the whole log the one that later
// facts share charges with.
func (l *log) stands(id contact.ID) {
	if len(l.charges) >= minBase {
		l.base = base{id: id, kept: len(l.charges)}
	}
}

// join completes a log that was left short with the charges of its base.
func (l *log) join(from *log) error {
	end := l.base.from + l.base.kept
	if !l.short || from.short || end > len(from.charges) {
		return errPacked
	}
	l.charges = slices.Concat(from.charges[l.base.from:end], l.charges)
	l.states = slices.Concat(from.states[l.base.from:end], l.states)
	l.short, l.packed = false, packed{}
	return nil
}

// slab is where the charges of many logs are unpacked to, to spare the
// collector. What is taken from it is good until it is given back.
type slab struct {
	pool  *sync.Pool // nil = what is taken is taken for good
	used  []*[]contact.Charge
	spare []contact.Charge
}

// slabSize is a little less than a megabyte of charges.
const slabSize = 8192

// take gives room for n charges and one more, and for as many states.
func (s *slab) take(n int) ([]contact.Charge, []State) {
	states := make([]State, n, n+1)
	if s.pool == nil || n >= slabSize {
		return make([]contact.Charge, n, n+1), states
	}
	if len(s.spare) <= n {
		p, ok := s.pool.Get().(*[]contact.Charge)
		if !ok {
			fresh := make([]contact.Charge, slabSize)
			p = &fresh
		}
		s.used, s.spare = append(s.used, p), *p
	}
	out := s.spare[: n : n+1]
	s.spare = s.spare[n+1:]
	return out, states
}

// release gives everything back.
func (s *slab) release() {
	for _, p := range s.used {
		s.pool.Put(p)
	}
	s.used, s.spare = nil, nil
}

// desk is where one log at a time is unpacked to.
type desk struct {
	charges []contact.Charge
	states  []State
}

func (d *desk) take(n int) ([]contact.Charge, []State) {
	if cap(d.charges) <= n {
		d.charges, d.states = make([]contact.Charge, 0, n+32), make([]State, 0, n+32)
	}
	return d.charges[:n], d.states[:n]
}

// room is where a log is unpacked to: space for n charges and one more, of any content.
type room interface {
	take(n int) ([]contact.Charge, []State)
}
