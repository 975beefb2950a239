package policy

import (
	"slices"
	"time"

	"parley/internal/contact"
)

// The ids of results that no pack's rule gives.
const (
	RuleTerms  = "TERMS"  // the terms of the grant relied upon
	RuleIntent = "INTENT" // the intent lacks something
	RulePack   = "PACK"   // no version of a pack is valid at the instant
)

var reserved = []string{RuleTerms, RuleIntent, RulePack}

// Horizon is how far ahead a contact may be put off; beyond it, it is denied.
const Horizon = 31 * 24 * time.Hour

// eval judges one contact at one instant at a time.
type eval struct {
	*Facts
	set   *Set
	now   int64          // the instant of the facts: a charge in flight may start only now
	t     int64          // the instant being judged
	zone  *time.Location // the person's; nil = the pack's
	point *time.Location // of the number or address; nil = not known
	today day
	grant contact.ID
}

// outcome is what a body says at the instant judged. at is the first instant
// at which it would allow by itself, if Later.
type outcome struct {
	effect Effect
	at     int64
	reason Reason
}

// Decide judges one contact. The strictest rule wins: deny, then later, then
// allow. A later verdict's At is the first instant at which all rules allow
// together; when there is none within Horizon, it is a deny. Decide is pure.
func (s *Set) Decide(f *Facts) Verdict { return s.DecideInto(f, nil) }

// DecideInto is Decide with the caller's room for the rules' results, for
// callers that judge many contacts and keep none.
func (s *Set) DecideInto(f *Facts, room []RuleResult) Verdict {
	v := Verdict{Pack: s.hash, Rules: room[:0]}
	e := &eval{Facts: f, set: s, now: f.Now.UnixMicro()}
	if missing := f.missing(); missing != "" {
		return v.refuse(Reason{Code: "intent", What: missing})
	}
	if f.Zone != "" {
		loc, err := s.zone(f.Zone)
		if err != nil {
			return v.refuse(Reason{Code: "zone", What: f.Zone})
		}
		e.zone = loc
	}
	if f.PointZone != "" {
		loc, err := s.zone(f.PointZone)
		if err != nil {
			return v.refuse(Reason{Code: "zone", What: f.PointZone})
		}
		e.point = loc
	}
	p := s.plan(f)
	if room == nil {
		v.Rules = make([]RuleResult, 0, len(p.rules)+1)
	}
	limit := e.now + Horizon.Microseconds()
	for e.t = e.now; ; {
		effect, next, by := e.pass(p, &v)
		if effect == Later && next > limit {
			r := v.Result(by)
			r.Effect, r.At = Deny, time.Time{}
			effect = Deny
			r.Reason.Code = "beyond:" + r.Reason.Code
		}
		switch effect {
		case Deny:
			v.Effect, v.By, v.Grant, v.At = Deny, by, e.grant, time.Time{}
			return v
		case Later: // judge again at that instant: another rule may still object
			if v.Effect == 0 {
				v.Effect, v.By = Later, by // why not now; the instant may be another rule's doing
			}
			v.At = time.UnixMicro(next).UTC()
			e.t = next
			continue
		}
		if v.Effect == 0 {
			v.Effect = Allow
		}
		v.Grant = e.grant
		v.Obligations = e.obligations(p)
		return v
	}
}

func (f *Facts) missing() string {
	switch {
	case f.Channel == 0 || f.Channel > contact.Push:
		return "channel"
	case f.Purpose == 0 || f.Purpose > contact.Statutory:
		return "purpose"
	case f.Relation == 0 || f.Relation > contact.Reference:
		return "relation"
	case f.Now.IsZero():
		return "now"
	case f.Initiator != "" && f.Initiator != "bank" && f.Initiator != "customer":
		return "initiator"
	}
	return ""
}

// refuse denies what is not told well enough to be judged.
func (v Verdict) refuse(r Reason) Verdict {
	v.Effect, v.By = Deny, RuleIntent
	v.Rules = append(v.Rules, RuleResult{Rule: RuleIntent, Effect: Deny, Reason: r})
	return v
}

// pass judges every applicable rule at e.t, and notes in v what each said. It
// gives the strictest effect, the instant to try next, and the rule that
// decides: the first that denies, or the one that puts off longest.
func (e *eval) pass(p *plan, v *Verdict) (worst Effect, next int64, by string) {
	worst, e.grant = Allow, ""
	first := e.t == e.now && v.Effect == 0
	note := func(rule string, o outcome) {
		if o.effect == Later && o.at <= e.t { // a body that makes no progress is a fault, and faults deny
			o = outcome{effect: Deny, reason: Reason{Code: "error", What: "no later instant"}}
		}
		switch {
		case o.effect == Deny && worst != Deny:
			worst, by = Deny, rule
		case o.effect == Later && worst != Deny && o.at > next:
			worst, next, by = Later, o.at, rule
		}
		var at time.Time
		if o.effect == Later {
			at = time.UnixMicro(o.at).UTC()
		}
		if !first {
			if r := v.Result(rule); r != nil {
				if o.effect != Allow { // it objects at the later instant
					r.Effect, r.At, r.Reason = o.effect, at, o.reason
				}
				return
			}
		}
		v.Rules = append(v.Rules, RuleResult{Rule: rule, Effect: o.effect, At: at, Reason: o.reason})
	}
	for _, g := range e.set.groups {
		if !slices.ContainsFunc(g, func(p *Pack) bool { return holds(p.From, p.Until, e.t) }) {
			note(RulePack, outcome{effect: Deny, reason: Reason{Code: "pack", What: g[0].ID, At: e.t}})
		}
	}
	var terms outcome
	for i := range p.rules {
		r := &p.rules[i]
		if !e.speaks(r.Rule) {
			continue
		}
		bad := r.bad
		if r.ask {
			ok, err := r.applies(&activation{k: e.set.classOf(e.Facts), person: e.Person})
			if err != nil {
				bad = oneLine(err.Error())
			} else if !ok {
				continue
			}
		}
		if bad != "" {
			note(r.ID, outcome{effect: Deny, reason: Reason{Code: "error", What: bad}})
			continue
		}
		if r.Consent != nil {
			o, t := e.consent(r.Rule)
			o.reason.Zone, t.reason.Zone = e.place(r.Rule).String(), e.place(r.Rule).String()
			note(r.ID, o)
			if t.effect > terms.effect || t.effect == terms.effect && t.at > terms.at {
				terms = t
			}
			continue
		}
		o := e.body(r.Rule)
		if o.reason.Zone == "" { // instants are told in the zone they were reckoned in
			o.reason.Zone = e.place(r.Rule).String()
		}
		note(r.ID, o)
	}
	if terms.effect != 0 {
		note(RuleTerms, terms)
	}
	return worst, next, by
}

// speaks reports whether the rule and its pack are in force at e.t.
func (e *eval) speaks(r *Rule) bool {
	return holds(r.From, r.Until, e.t) && holds(r.Pack.From, r.Pack.Until, e.t)
}

func holds(from, until, t int64) bool { return t >= from && (until == 0 || t < until) }

func (e *eval) body(r *Rule) outcome {
	switch r.kind {
	case kindStop:
		return e.stops(r)
	case kindHours:
		return e.hours(r)
	case kindFrequency:
		return e.frequency(r)
	case kindDisclosure:
		return e.disclosure(r.Disclosure)
	case kindThirdParty:
		return e.third(r.ThirdParty)
	case kindCallerID:
		return e.callerID(r.CallerID)
	case kindAbandonment:
		if e.Figures == nil {
			return outcome{effect: Allow, reason: Reason{Code: "not_paced"}}
		}
		return r.Abandonment.judge(e.Figures)
	case kindCondition:
		return r.Condition.judge(&activation{k: e.set.classOf(e.Facts), person: e.Person})
	}
	return outcome{effect: Allow, reason: Reason{Code: "obliges"}}
}

// obligations of the rules that speak at the permitted instant.
func (e *eval) obligations(p *plan) []Obligation {
	if p.steady && e.t >= p.from && e.t < p.until {
		return p.obligations
	}
	out := make([]Obligation, 0, len(p.obligations))
	for i := range p.rules {
		r := &p.rules[i]
		if len(r.Obligations) == 0 || !e.speaks(r.Rule) {
			continue
		}
		if r.ask {
			if ok, err := r.applies(&activation{k: e.set.classOf(e.Facts), person: e.Person}); err != nil || !ok {
				continue
			}
		}
		out = append(out, r.Obligations...)
	}
	return out
}

// place is where the person's day is reckoned for the rule.
func (e *eval) place(r *Rule) *time.Location {
	if e.zone != nil {
		return e.zone
	}
	return r.loc
}

// day gives the local day of t, remembering the last one asked for.
func (e *eval) day(t int64, loc *time.Location) *day {
	if e.today.loc != loc || t < e.today.start || t >= e.today.end {
		e.today = dayOf(t, loc)
	}
	return &e.today
}

// declares reports whether the script meets the kind.
func (e *eval) declares(kind string) bool { return declares(e.Discloses, kind) }
