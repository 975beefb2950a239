package consent

import (
	"slices"

	"parley/internal/contact"
)

// apply gives the standing after an event. It is the only place that says what
// an event means; the projection and a replay of the events both use it.
func apply(s contact.Standing, e Event) contact.Standing {
	s = current(s, e.At)
	switch e.Kind {
	case Granted:
		s.Stops = slices.DeleteFunc(slices.Clone(s.Stops), func(st contact.Stop) bool { return ends(*e.Grant, st, s.Grants, e.At) })
		s.Grants = append(slices.Clip(s.Grants), *e.Grant)
	case Stopped:
		if e.Stop.GrantID != "" && e.Stop.Kind == contact.Withdrawal {
			s.Grants = without(s.Grants, e.Stop.GrantID)
		}
		if takesBack(*e.Stop) {
			s.Grants = narrow(s.Grants, *e.Stop, e.At)
		}
		s.Stops = append(slices.Clip(s.Stops), *e.Stop)
	case Lifted:
		s.Stops = slices.DeleteFunc(slices.Clone(s.Stops), func(st contact.Stop) bool { return st.ID == e.Ref })
	}
	return normal(s)
}

// current drops what is over at the instant.
func current(s contact.Standing, at contact.Micros) contact.Standing {
	over := func(until contact.Micros) bool { return until != 0 && until <= at }
	if slices.ContainsFunc(s.Grants, func(g contact.Grant) bool { return over(g.Until) }) {
		s.Grants = slices.DeleteFunc(slices.Clone(s.Grants), func(g contact.Grant) bool { return over(g.Until) })
	}
	if slices.ContainsFunc(s.Stops, func(st contact.Stop) bool { return over(st.Until) }) {
		s.Stops = slices.DeleteFunc(slices.Clone(s.Stops), func(st contact.Stop) bool { return over(st.Until) })
	}
	return normal(s)
}

// normal makes empty lists nil, so that equal standings compare equal.
func normal(s contact.Standing) contact.Standing {
	if len(s.Grants) == 0 {
		s.Grants = nil
	}
	if len(s.Stops) == 0 {
		s.Stops = nil
	}
	return s
}

func without(gs []contact.Grant, id contact.ID) []contact.Grant {
	return slices.DeleteFunc(slices.Clone(gs), func(g contact.Grant) bool { return g.ID == id })
}

// yields reports whether a grant rests on the person's own will, so that the
// person can take it back (PIPL art. 15); a contract or a statute stays.
func yields(g contact.Grant) bool { return g.Ground == contact.Consent || g.Ground == contact.Request }

// takesBack reports whether a stop ends consents for good, rather than for a time.
func takesBack(s contact.Stop) bool {
	return (s.Kind == contact.Withdrawal || s.Kind == contact.Refusal) && s.Until == 0
}

// ends reports whether a newer consent ends a stop for good: it covers all the
// stop covers, for any product, and no older consent would come back to life
// with it. A stop that is only partly covered stays in the standing; the
// policy weighs it against each grant by date.
func ends(g contact.Grant, s contact.Stop, older []contact.Grant, now contact.Micros) bool {
	if g.Ground != contact.Consent || !takesBack(s) || g.From < s.At || g.From > now || len(g.Products) > 0 {
		return false
	}
	if !includes(g.Purposes, s.Purposes) || !includes(g.Channels, s.Channels) || !includesPoints(g.Points, s.Points) {
		return false
	}
	return !slices.ContainsFunc(older, func(o contact.Grant) bool { return yields(o) && o.From < s.At && meets(o, s) })
}

// includes reports whether set a holds all of set b, where 0 is "any".
func includes[T ~uint16](a, b T) bool { return a == 0 || b != 0 && a&b == b }

func includesPoints(a, b []contact.ID) bool {
	if len(a) == 0 {
		return true
	}
	return len(b) > 0 && !slices.ContainsFunc(b, func(p contact.ID) bool { return !slices.Contains(a, p) })
}

// meets reports whether a grant and a stop have a contact in common.
func meets(g contact.Grant, s contact.Stop) bool {
	points := len(g.Points) == 0 || len(s.Points) == 0 ||
		slices.ContainsFunc(s.Points, func(p contact.ID) bool { return slices.Contains(g.Points, p) })
	return points && overlap(g.Purposes, s.Purposes) && overlap(g.Channels, s.Channels)
}

func overlap[T ~uint16](a, b T) bool { return a == 0 || b == 0 || a&b != 0 }

const (
	allPurposes = contact.Purposes(1<<contact.Service | 1<<contact.Marketing | 1<<contact.FraudAlert | 1<<contact.Collection | 1<<contact.Statutory)
	allChannels = contact.Channels(1<<contact.Voice | 1<<contact.SMS | 1<<contact.Email | 1<<contact.Letter | 1<<contact.Push)
)

// narrow takes what the stop covers out of the consents. A consent for
// marketing by voice and SMS, after a withdrawal for marketing by voice, goes
// on as a consent for marketing by SMS under the same id; one that has purposes
// the stop does not name splits in two. A consent newer than a stop that was
// recorded late is left alone.
func narrow(gs []contact.Grant, s contact.Stop, now contact.Micros) []contact.Grant {
	var out []contact.Grant
	for _, g := range gs {
		if !yields(g) || !meets(g, s) || s.At < now && g.From > s.At {
			out = append(out, g)
			continue
		}
		if rest := minus(g.Purposes, s.Purposes, allPurposes); rest != 0 {
			r := g
			r.Purposes = rest
			out = append(out, r)
		}
		in := g
		in.Purposes = common(g.Purposes, s.Purposes)
		if rest := minus(g.Channels, s.Channels, allChannels); rest != 0 {
			r := in
			r.Channels = rest
			out = append(out, r)
		}
		in.Channels = common(g.Channels, s.Channels)
		switch {
		case len(s.Points) == 0: // gone
		case len(g.Points) == 0: // "any but these" cannot be said: the stop itself bars them
			out = append(out, in)
		default:
			in.Points = slices.DeleteFunc(slices.Clone(g.Points), func(p contact.ID) bool { return slices.Contains(s.Points, p) })
			if len(in.Points) > 0 {
				out = append(out, in)
			}
		}
	}
	return out
}

func minus[T ~uint16](a, b, all T) T {
	if b == 0 {
		return 0
	}
	if a == 0 {
		a = all
	}
	return a &^ b
}

func common[T ~uint16](a, b T) T {
	switch {
	case a == 0:
		return b
	case b == 0:
		return a
	default:
		return a & b
	}
}
