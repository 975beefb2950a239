package policy

import (
	"slices"
	"time"

	"parley/internal/contact"
)

// Matter is the facts of something that is not a contact to be made: a
// complaint with its deadlines, a letter, a campaign's figures, a record that
// somebody wants to delete, a field that somebody wants to see.
type Matter struct {
	About  string                    `json:"about"`
	Now    time.Time                 `json:"now"`
	Zone   string                    `json:"zone,omitempty"`  // empty = the pack's
	Attrs  map[string]string         `json:"attr,omitempty"`  // what kind it is: type, channel, region, field, action …
	Counts map[string]int            `json:"count,omitempty"` // representatives, live, abandoned …
	Has    []string                  `json:"has,omitempty"`   // what is there: the parts of a letter …
	Events map[string]contact.Micros `json:"events,omitempty"`
	Pauses []Pause                   `json:"pauses,omitempty"`
}

// Pause is time that a deadline does not count. Until 0 = it still lasts.
type Pause struct {
	Kind  string         `json:"kind"`
	From  contact.Micros `json:"from"`
	Until contact.Micros `json:"until,omitempty"`
}

// review judges one matter.
type review struct {
	*Matter
	set *Set
	now int64
}

// Review judges a matter by every rule that is about such: allow means that the
// rule is kept (for a deadline that still runs, At is its last instant), later
// that it is kept only from At on, deny that it is broken. Like Decide it is
// pure, and whatever goes wrong denies.
func (s *Set) Review(m *Matter) Verdict {
	v := Verdict{Pack: s.hash, Effect: Allow}
	if !slices.Contains(abouts[1:], m.About) {
		return v.refuse(Reason{Code: "intent", What: "about"})
	}
	if m.Now.IsZero() {
		return v.refuse(Reason{Code: "intent", What: "now"})
	}
	e := &review{Matter: m, set: s, now: m.Now.UnixMicro()}
	for _, r := range s.matters {
		if r.About != m.About || !holds(r.From, r.Until, e.now) || !holds(r.Pack.From, r.Pack.Until, e.now) {
			continue
		}
		o := outcome{effect: Allow, reason: Reason{Code: "obliges"}}
		ok, err := r.applies(e)
		switch {
		case err != nil:
			o = outcome{effect: Deny, reason: Reason{Code: "error", What: oneLine(err.Error())}}
		case !ok:
			continue
		default:
			o = e.body(r)
		}
		if loc, err := e.place(r); err == nil {
			o.reason.Zone = loc.String()
		}
		res := RuleResult{Rule: r.ID, Effect: o.effect, Reason: o.reason}
		if o.at != 0 {
			res.At = time.UnixMicro(o.at).UTC()
		}
		v.Rules = append(v.Rules, res)
		if o.effect > v.Effect || o.effect == Later && v.Effect == Later && res.At.After(v.At) {
			v.Effect, v.By, v.At = o.effect, r.ID, res.At
		}
		v.Obligations = append(v.Obligations, r.Obligations...)
	}
	if v.Effect == Deny {
		v.At = time.Time{}
	}
	return v
}

func (e *review) body(r *Rule) outcome {
	switch r.kind {
	case kindDeadline:
		return e.deadline(r)
	case kindRetention:
		return e.retention(r)
	case kindMasking:
		return e.masking(r.Masking)
	case kindLimit:
		return e.limit(r.Limit)
	case kindAbandonment:
		return r.Abandonment.judge(e.Counts)
	case kindDisclosure:
		return e.disclosure(r.Disclosure)
	case kindCondition:
		return r.Condition.judge(e)
	}
	return outcome{effect: Allow, reason: Reason{Code: "obliges"}}
}

// disclosure judges what a letter or another matter must contain.
func (e *review) disclosure(b *Disclosure) outcome {
	return b.said(e.Has)
}

// place is where the matter's days are reckoned.
func (e *review) place(r *Rule) (*time.Location, error) {
	if e.Zone == "" {
		return r.loc, nil
	}
	return e.set.zone(e.Zone)
}
