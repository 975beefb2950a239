package policy

import (
	"slices"
	"time"

	"parley/internal/calendar"
	"parley/internal/contact"
)

// covers reports whether the grant is for such a contact, whatever the time.
func (e *eval) covers(g *contact.Grant) bool {
	return g.Purposes.Has(e.Purpose) && g.Channels.Has(e.Channel) &&
		(len(g.Points) == 0 || slices.Contains(g.Points, e.Point)) &&
		(len(g.Products) == 0 || slices.Contains(g.Products, e.Product) || slices.Contains(g.Products, family(e.Product)))
}

func family(product string) string {
	for i := range len(product) {
		if product[i] == ':' {
			return product[:i]
		}
	}
	return product
}

// bars reports whether the stop names the intent's own purpose, channel and point.
func (e *eval) bars(s *contact.Stop) bool {
	return s.Purposes.Has(e.Purpose) && s.Channels.Has(e.Channel) && (len(s.Points) == 0 || slices.Contains(s.Points, e.Point))
}

// takenBack finds the withdrawal or refusal, not older than the grant, that
// takes it back for this contact at t.
func (e *eval) takenBack(g *contact.Grant, t int64) *contact.Stop {
	for i := range e.Standing.Stops {
		s := &e.Standing.Stops[i]
		if (s.Kind == contact.Withdrawal || s.Kind == contact.Refusal) && s.At >= g.From && holds(s.At, s.Until, t) &&
			(s.GrantID == "" || s.GrantID == g.ID) && e.bars(s) {
			return s
		}
	}
	return nil
}

// since gives the first instant from e.t on at which the grant is valid; 0 and
// the stop that took it back, if any, when there is none.
func (e *eval) since(g *contact.Grant) (int64, *contact.Stop) {
	t := max(e.t, g.From)
	s := e.takenBack(g, t)
	for ; s != nil; s = e.takenBack(g, t) {
		if s.Until == 0 {
			return 0, s
		}
		t = s.Until
	}
	if g.Until != 0 && t >= g.Until {
		return 0, nil
	}
	return t, nil
}

// end gives the first instant from e.t on at which the stop no longer bars: its
// end under the rule, or when a newer grant of consent that covers this contact lifts it;
// 0 when there is none. Only a withdrawal or a refusal is lifted.
func (e *eval) end(s *contact.Stop, end int64) int64 {
	if s.Kind != contact.Withdrawal && s.Kind != contact.Refusal {
		return end
	}
	for i := range e.Standing.Grants {
		g := &e.Standing.Grants[i]
		if g.Ground != contact.Consent || g.From <= s.At || !e.covers(g) {
			continue
		}
		if t, _ := e.since(g); t != 0 && (end == 0 || t < end) {
			end = t
		}
	}
	return end
}

// stops judges a do_not_contact body. A stop with an end puts off, one without denies.
func (e *eval) stops(r *Rule) outcome {
	b := r.Stop
	o := outcome{effect: Allow, reason: Reason{Code: "no_stop"}}
	for i := range e.Standing.Stops {
		s := &e.Standing.Stops[i]
		if !slices.Contains(b.Kinds, s.Kind) || !b.counts(s, e.Purpose) {
			continue
		}
		if b.Named && s.Purposes == 0 || !b.Across && !e.bars(s) {
			continue
		}
		until := s.Until
		if b.Lasts.Unit != 0 {
			if over := b.Lasts.After(time.UnixMicro(s.At), e.place(r), nil).UnixMicro(); until == 0 || over < until {
				until = over
			}
		}
		if !holds(s.At, until, e.t) {
			continue
		}
		why := Reason{Code: stopCode(s.Kind), What: s.ID, Since: s.At, Until: until}
		end := e.end(s, until)
		if end == 0 {
			return outcome{effect: Deny, reason: why}
		}
		if end > e.t && end > o.at {
			o = outcome{effect: Later, at: end, reason: why}
		}
	}
	if b.Registry != nil && o.effect == Allow {
		return e.registry(b.Registry, e.place(r))
	}
	return o
}

// counts reports whether the stop is for the contact's purpose, or for one of
// those that the body names instead.
func (b *StopRule) counts(s *contact.Stop, p contact.Purpose) bool {
	if b.Purposes == 0 {
		return s.Purposes.Has(p)
	}
	return s.Purposes == 0 || s.Purposes&b.Purposes != 0
}

// registry judges a list that others keep.
func (e *eval) registry(b *Registry, loc *time.Location) outcome {
	why := Reason{Code: "registry_clear", What: b.Name, Zone: loc.String()}
	date := func(attr string) (calendar.Date, bool) {
		d, err := calendar.ParseDate(e.Person[attr])
		return d, err == nil
	}
	today := e.day(e.t, loc).date()
	start := func(d calendar.Date) int64 {
		y, m, day := d.Split()
		return calendar.Start(y, m, day, loc).UnixMicro()
	}
	for _, g := range b.Unless {
		for i := range e.Standing.Grants {
			if x := &e.Standing.Grants[i]; x.Ground == g && e.covers(x) && holds(x.From, x.Until, e.t) && e.takenBack(x, e.t) == nil {
				why.Code, why.What = "registry_consent", x.ID
				return outcome{effect: Allow, reason: why}
			}
		}
	}
	for _, a := range b.UnlessIf {
		if e.Person[a] == "yes" {
			why.Code, why.What = "registry_exempt", a
			return outcome{effect: Allow, reason: why}
		}
	}
	if b.CopyAge.Unit != 0 {
		copied, ok := date("registry_" + b.Name + "_copy")
		if !ok || copied > today || e.t >= b.CopyAge.After(time.UnixMicro(start(copied)), loc, nil).UnixMicro() {
			why.Code, why.Have = "registry_stale", int(copied)
			return outcome{effect: Deny, reason: why}
		}
	}
	if e.Person["registry_"+b.Name] == "" {
		return outcome{effect: Allow, reason: why}
	}
	listed, ok := date("registry_" + b.Name)
	if why.Since = start(listed); !ok { // listed, and nobody knows since when
		why.Code, why.Since = "registry_listed", 0
		return outcome{effect: Deny, reason: why}
	}
	if b.Listed.Unit == 0 || e.t >= calendar.AddDays(b.Listed.After(time.UnixMicro(why.Since), loc, nil), -1, loc).UnixMicro() {
		why.Code = "registry_listed"
		return outcome{effect: Deny, reason: why}
	}
	why.Code = "registry_young"
	return outcome{effect: Allow, reason: why}
}

// proven reports whether the grant is of the form and has the evidence that the
// body demands.
func (b *Consent) proven(g *contact.Grant) bool {
	if b.Forms|b.Evidence != 0 {
		have := g.Known()
		if b.Forms != 0 && have&b.Forms == 0 || have&b.Evidence != b.Evidence {
			return false
		}
	}
	return !b.Named || g.Purposes != 0 && g.Channels != 0
}

// aged gives the grant with its end where the body bounds its age.
func (b *Consent) aged(g *contact.Grant, loc *time.Location) *contact.Grant {
	if b.MaxAge.Unit == 0 {
		return g
	}
	over := b.MaxAge.After(time.UnixMicro(g.From), loc, nil).UnixMicro()
	if g.Until != 0 && g.Until <= over {
		return g
	}
	c := *g
	c.Until = over
	return &c
}

// consent judges a consent body and the terms of the grant that permits soonest.
// A zero terms outcome means that no grant is relied upon.
func (e *eval) consent(r *Rule) (own, terms outcome) {
	why := Reason{Code: "no_consent"}
	var best *contact.Grant
	var from, change int64 // first instant of a grant; next instant at which the set of valid ones changes
	for i := range e.Standing.Grants {
		g := &e.Standing.Grants[i]
		if !slices.Contains(r.Consent.Grounds, g.Ground) || !e.covers(g) {
			continue
		}
		if !r.Consent.proven(g) {
			why = Reason{Code: "unproven", What: g.ID}
			continue
		}
		g = r.Consent.aged(g, e.place(r))
		start, back := e.since(g)
		if start == 0 {
			why = Reason{Code: "expired", What: g.ID, Until: g.Until}
			if back != nil {
				why = Reason{Code: "taken_back", What: g.ID, Since: back.At}
			}
			continue
		}
		if r.Consent.Implied != "" {
			next := g.Until
			if start > e.t { // until it begins, the implied ground stands alone
				next = start
			}
			if next != 0 && (change == 0 || next < change) {
				change = next
			}
			if start > e.t {
				continue
			}
		}
		o := e.terms(r, g, start)
		if best == nil || o.effect < terms.effect || o.effect == terms.effect && o.at < terms.at {
			best, terms = g, o
		}
		if from == 0 || start < from {
			from = start
		}
	}
	switch {
	case best == nil && r.Consent.Implied != "":
		return outcome{effect: Allow, reason: Reason{Code: impliedCode(r.Consent.Implied)}}, outcome{}
	case best == nil:
		return outcome{effect: Deny, reason: why}, outcome{}
	case from > e.t:
		return outcome{effect: Later, at: from, reason: Reason{Code: "consent_from", What: best.ID, Since: from}}, terms
	}
	if change != 0 && (terms.effect == Deny || terms.effect == Later && change < terms.at) {
		terms.effect, terms.at = Later, change // judged anew then: other terms, or none
	}
	if e.grant == "" {
		e.grant = best.ID
	}
	return outcome{effect: Allow, reason: Reason{Code: groundCode(best.Ground), What: best.ID, Since: best.From, Until: best.Until}}, terms
}

// termDays is the window of the grant's cap; a cap without one is taken for a year's.
func termDays(g *contact.Grant) int {
	if g.Days <= 0 {
		return 366
	}
	return g.Days
}

// terms finds the first instant from start on that the grant's own terms permit.
func (e *eval) terms(r *Rule, g *contact.Grant, start int64) outcome {
	o := outcome{effect: Allow, reason: Reason{Code: "terms", What: g.ID, Max: g.Max, Days: g.Days}}
	loc := e.place(r)
	limit := e.now + Horizon.Microseconds()
	for t := start; ; {
		if t > e.t {
			o.effect, o.at = Later, t
		}
		if g.Until != 0 && t >= g.Until {
			return outcome{effect: Deny, reason: Reason{Code: "terms_end", What: g.ID, Until: g.Until}}
		}
		if t > limit {
			o.effect, o.at, o.reason.Code = Deny, 0, "beyond:"+o.reason.Code
			return o
		}
		next := t
		if len(g.Hours) > 0 {
			s := schedule{allow: g.Hours}
			at, h := s.opening(t, e.day(t, loc))
			if at == 0 {
				return outcome{effect: Deny, reason: Reason{Code: "terms_no_hours", What: g.ID}}
			}
			if at > t {
				next, o.reason = at, Reason{Code: "terms_hours", What: g.ID, At: t, From: h.From, To: h.To, Zone: loc.String()}
			}
		}
		if next == t && g.Max > 0 {
			have, at := e.span(t, int64(termDays(g))*24*60*minute, g.Max, func(c *contact.Charge) bool {
				return (c.Reach >= contact.ReachAttempt || c.InFlight) && g.Purposes.Has(c.Purpose) && g.Channels.Has(c.Channel) &&
					(len(g.Products) == 0 || slices.Contains(g.Products, c.Product) || slices.Contains(g.Products, family(c.Product)))
			})
			if at > t {
				next, o.reason = at, Reason{Code: "terms_cap", What: g.ID, Have: have, Max: g.Max, Days: termDays(g), At: t}
			}
		}
		if next == t {
			return o
		}
		t = next
	}
}

// agreed finds a valid grant of consent whose own hours cover the instant: the
// "unless agreed otherwise" of an hours rule.
func (e *eval) agreed(r *Rule, t int64) *contact.Grant {
	for i := range e.Standing.Grants {
		g := &e.Standing.Grants[i]
		if len(g.Hours) == 0 || g.Ground != contact.Consent && g.Ground != contact.Request {
			continue
		}
		if g.Purposes == 0 || !holds(g.From, g.Until, t) || !e.covers(g) || e.takenBack(g, t) != nil {
			continue // an agreement about hours names the purpose it is for
		}
		s := schedule{allow: g.Hours}
		if _, ok := s.within(t, e.day(t, e.place(r))); ok {
			return g
		}
	}
	return nil
}
