package policy

import (
	"time"

	"parley/internal/contact"
)

// hours judges an hours body.
func (e *eval) hours(r *Rule) outcome {
	b := r.Hours
	s := schedule{allow: b.Allow, through: b.Through, holidays: b.Holidays, makeup: b.Makeup}
	if b.Calendar != "" {
		s.days = e.set.days[b.Calendar]
	}
	loc := e.where(r)
	why := Reason{Code: "in_hours", At: e.t, Zone: loc.String()}
	if s.days != nil && !s.known(e.day(e.t, loc)) {
		why.Code, why.What = "calendar_ends", b.Calendar
		return outcome{effect: Deny, reason: why}
	}
	at, h := s.opening(e.t, e.day(e.t, loc))
	why.From, why.To = h.From, h.To
	if b.Where == AtBoth && at != 0 {
		at, loc = e.strictest(&s, at, loc)
		why.Zone = loc.String()
	}
	if at == e.t && at != 0 {
		return outcome{effect: Allow, reason: why}
	}
	why.Code = "out_of_hours"
	if s.days != nil {
		if _, open := s.weekday(e.day(e.t, loc)); !open {
			why.Code = "closed_day"
			if n := s.days.Name(e.day(e.t, loc).date()); n.Zh != "" {
				why.Words = &Words{Zh: n.Zh, En: n.En}
			}
		}
	}
	if b.UnlessConsent != 0 {
		since, g := e.consented(b.UnlessConsent)
		if since == e.t {
			why.Code, why.What = "consented_hours", g
			return outcome{effect: Allow, reason: why}
		}
		if since != 0 && (at == 0 || since < at) {
			at = since
		}
	}
	if b.UnlessAgreed {
		if g := e.agreed(r, e.t); g != nil {
			why.Code, why.What = "agreed_hours", g.ID
			return outcome{effect: Allow, reason: why}
		}
		at = e.agreedFrom(r, at)
	}
	if at == 0 {
		return outcome{effect: Deny, reason: why}
	}
	return outcome{effect: Later, at: at, reason: why}
}

// where gives the zone in which the rule's hours are reckoned; for the
// strictest of both, the person's own, which is asked first.
func (e *eval) where(r *Rule) *time.Location {
	switch r.Hours.Where {
	case AtPack:
		return r.loc
	case AtPoint:
		if e.point != nil {
			return e.point
		}
	}
	return e.place(r)
}

// strictest gives the first instant from at on that is open in the person's zone
// loc and in the point's zone too, and the zone that closed it last.
func (e *eval) strictest(s *schedule, at int64, loc *time.Location) (int64, *time.Location) {
	if e.point == nil || e.point == loc {
		return at, loc
	}
	by := loc
	limit := e.now + Horizon.Microseconds() + 8*24*60*minute
	for at != 0 && at <= limit {
		there, _ := s.opening(at, e.day(at, e.point))
		if there == 0 {
			return 0, e.point
		}
		if there > at {
			by = e.point
		}
		here, _ := s.opening(there, e.day(there, loc))
		if here == there {
			return here, by
		}
		at, by = here, loc
	}
	return 0, by
}

// agreedFrom gives the first instant that a grant's own hours open, if it comes
// before at (0 = never).
func (e *eval) agreedFrom(r *Rule, at int64) int64 {
	for i := range e.Standing.Grants {
		g := &e.Standing.Grants[i]
		if len(g.Hours) == 0 {
			continue
		}
		start, _ := e.since(g)
		if start == 0 {
			continue
		}
		s := schedule{allow: g.Hours}
		if a, _ := s.opening(start, e.day(start, e.place(r))); a != 0 && (at == 0 || a < at) && e.agreed(r, a) != nil {
			at = a
		}
	}
	return at
}

// consented gives the first instant from e.t on at which a grant of consent with
// this evidence covers the contact, and the grant; 0 when there is none.
func (e *eval) consented(with contact.Evidence) (at int64, id contact.ID) {
	for i := range e.Standing.Grants {
		g := &e.Standing.Grants[i]
		if g.Ground != contact.Consent || g.Known()&with != with || !e.covers(g) {
			continue
		}
		if t, _ := e.since(g); t != 0 && (at == 0 || t < at) {
			at, id = t, g.ID
		}
	}
	return at, id
}
