package policy

import (
	"slices"
	"strings"
	"time"

	"parley/internal/calendar"
	"parley/internal/contact"
)

// frequency judges a frequency body: fewer than Max charges in the window that
// ends at e.t.
func (e *eval) frequency(r *Rule) outcome {
	b := r.Frequency
	if b.After != nil {
		if o := e.after(b.After, r); o.effect != Allow {
			return o
		}
	}
	counts := func(c *contact.Charge) bool {
		if c.Reach < b.Unit && !c.InFlight || !b.Purposes.Has(c.Purpose) || !b.Channels.Has(c.Channel) {
			return false
		}
		if b.Started != ByEither && c.Asked != (b.Started == ByCustomer) {
			return false
		}
		switch b.Per {
		case PerProduct:
			return c.Product == e.Product
		case PerCampaign:
			return c.Campaign == e.Campaign
		case PerEvent:
			return c.Event == e.Event
		case PerSubject:
			return family(c.Product) == family(e.Product)
		}
		return true
	}
	var have int
	var at int64
	switch {
	case b.Block > 0:
		have, at = e.block(b, e.place(r), counts)
	case b.Days > 0:
		have, at = e.days(e.t, b.Days, b.Max, e.place(r), counts)
	default:
		have, at = e.span(e.t, b.Span.Microseconds(), b.Max, counts)
	}
	o := outcome{effect: Allow, reason: Reason{
		Code: "cap", Have: have, Max: b.Max, Days: max(b.Days, b.Block), Hours: int(b.Span / time.Hour), At: e.t, What: unitName(b.Unit),
	}}
	full := "cap_full"
	switch {
	case b.Pause:
		o.reason.Code, full = "pause_over", "pause"
	case b.Block > 0:
		o.reason.Code, full = "cap_block", "cap_block_full"
	}
	switch {
	case have < b.Max:
	case b.Max == 0:
		o.effect, o.reason.Code = Deny, full
	default:
		o.effect, o.at, o.reason.Code = Later, at, full
	}
	return o
}

// after judges "only within so long after a stop".
func (e *eval) after(b *After, r *Rule) outcome {
	o := outcome{effect: Deny, reason: Reason{Code: "after_none", What: b.Within.String()}}
	for i := range e.Standing.Stops {
		s := &e.Standing.Stops[i]
		if s.At > e.t || !slices.Contains(b.Kinds, s.Kind) || s.At < o.reason.Since {
			continue
		}
		o.reason.Code, o.reason.Since = "after_over", s.At
		if e.t <= b.Within.After(time.UnixMicro(s.At), e.place(r), nil).UnixMicro() {
			o.effect, o.reason.Code = Allow, "after"
		} else {
			o.effect = Deny
		}
	}
	return o
}

// block counts the charges of the successive block of days that holds e.t, and
// gives the start of the next block.
func (e *eval) block(b *Frequency, loc *time.Location, counts func(*contact.Charge) bool) (have int, next int64) {
	today := e.day(e.t, loc)
	y, m, d := b.Anchor.Split()
	gone := calendar.DaysBetween(calendar.Start(y, m, d, loc), time.UnixMicro(today.start), loc) % b.Block
	if gone < 0 {
		gone += b.Block
	}
	start := backDays(today, gone)
	for i := range e.Charges {
		if c := &e.Charges[i]; e.when(c) >= start && counts(c) {
			have++
		}
	}
	if have < b.Max || b.Max == 0 {
		return have, e.t
	}
	return have, calendar.Start(today.y, today.m, today.d-gone+b.Block, loc).UnixMicro()
}

func unitName(r contact.Reach) string {
	switch r {
	case contact.ReachEffective:
		return "effective"
	case contact.ReachConnected:
		return "connected"
	}
	return "attempts"
}

// when gives the instant a charge counts from: one that is in flight may start
// only now.
func (e *eval) when(c *contact.Charge) int64 {
	if c.InFlight {
		return max(c.At, e.now)
	}
	return c.At
}

// span counts the charges in the sliding window (t-width, t], and gives the
// first instant at which fewer than limit remain in it. Charges dated after t
// (a clock that was set back) count as well.
func (e *eval) span(t, width int64, limit int, counts func(*contact.Charge) bool) (have int, free int64) {
	start := t - width
	for i := range e.Charges {
		if c := &e.Charges[i]; e.when(c) > start && counts(c) {
			have++
		}
	}
	if have < limit || limit == 0 {
		return have, t
	}
	return have, e.oldest(start+1, have-limit, counts) + width
}

// days counts the charges of the last n local days, the day of t included, and
// gives the first midnight at which fewer than limit remain.
func (e *eval) days(t int64, n, limit int, loc *time.Location, counts func(*contact.Charge) bool) (have int, free int64) {
	today := e.day(t, loc)
	start := today.start
	if n > 1 {
		start = backDays(today, n-1)
	}
	for i := range e.Charges {
		if c := &e.Charges[i]; e.when(c) >= start && counts(c) {
			have++
		}
	}
	if have < limit || limit == 0 {
		return have, t
	}
	last := e.oldest(start, have-limit, counts)
	return have, calendar.AddDays(time.UnixMicro(last), n, loc).UnixMicro()
}

// backDays gives the start of the local day n days before d. Where the zone
// keeps one offset between the two, that is n times 24 hours.
func backDays(d *day, n int) int64 {
	at := d.start - int64(n)*24*60*minute
	if d.plain {
		from, _ := time.UnixMicro(d.start).In(d.loc).ZoneBounds()
		if from.IsZero() || from.UnixMicro() <= at {
			return at
		}
	}
	return calendar.Start(d.y, d.m, d.d-n, d.loc).UnixMicro()
}

// oldest gives the instant of the k-th oldest counting charge (from 0) at or after start.
func (e *eval) oldest(start int64, k int, counts func(*contact.Charge) bool) int64 {
	var room [32]int64
	ats := room[:0]
	for i := range e.Charges {
		if c := &e.Charges[i]; e.when(c) >= start && counts(c) {
			ats = append(ats, e.when(c))
		}
	}
	slices.Sort(ats)
	return ats[k]
}

// disclosure judges a disclosure body: what the script must declare, and what
// the person must have been told before.
func (e *eval) disclosure(b *Disclosure) outcome {
	o := b.said(e.Discloses)
	if o.effect != Allow {
		return o
	}
	for i := range b.Latest {
		if o := b.Latest[i].intime(e.Discloses); o.effect != Allow {
			return o
		}
	}
	if b.Told != "" {
		at, ok := e.told(b.Told)
		switch {
		case !ok:
			return outcome{effect: Deny, reason: Reason{Code: "not_told", What: b.Told}}
		case at > e.t:
			return outcome{effect: Later, at: at, reason: Reason{Code: "told_later", What: b.Told, Since: at}}
		}
	}
	return o
}

// said compares what is declared with what must and must not be.
func (b *Disclosure) said(has []string) outcome {
	for _, k := range b.Requires {
		if !declares(has, k) {
			return outcome{effect: Deny, reason: Reason{Code: "not_disclosed", What: k}}
		}
	}
	for _, k := range b.Forbids {
		if declares(has, k) {
			return outcome{effect: Deny, reason: Reason{Code: "forbidden", What: k}}
		}
	}
	met := len(b.AnyOf) == 0
	for _, k := range b.AnyOf {
		met = met || declares(has, k)
	}
	if !met {
		return outcome{effect: Deny, reason: Reason{Code: "not_disclosed", What: b.AnyOf[0]}}
	}
	return outcome{effect: Allow, reason: Reason{Code: "disclosed"}}
}

// declares reports whether the kind is among what is declared, with or without
// the second at which it is said ("identity@1.5s").
func declares(has []string, kind string) bool {
	for _, d := range has {
		if len(d) >= len(kind) && d[:len(kind)] == kind && (len(d) == len(kind) || d[len(kind)] == '@') {
			return true
		}
	}
	return false
}

// second gives when a kind is said, counted from the answer.
func second(has []string, kind string) (time.Duration, bool) {
	for _, d := range has {
		if k, at, ok := strings.Cut(d, "@"); ok && k == kind {
			s, err := time.ParseDuration(at)
			return s, err == nil
		}
	}
	return 0, false
}

// intime judges whether something is said early enough. What is not timed is
// not known to be.
func (l *Latest) intime(has []string) outcome {
	at, ok := second(has, l.Kind)
	from := time.Duration(0)
	if ok && l.After != "" {
		from, ok = second(has, l.After)
	}
	why := Reason{Code: "said_in_time", What: l.Kind, Have: int((at - from) / time.Millisecond), Max: int(l.Within / time.Millisecond)}
	switch {
	case !ok:
		why.Code = "not_timed"
	case at-from > l.Within:
		why.Code = "said_late"
	default:
		return outcome{effect: Allow, reason: why}
	}
	return outcome{effect: Deny, reason: why}
}

// told reads an attribute that holds when the person was told: a date (the
// start of the day after counts, so that the telling came first) or an instant.
func (e *eval) told(attr string) (int64, bool) {
	s := e.Person[attr]
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UnixMicro(), true
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, false
	}
	loc := e.zone
	if loc == nil {
		loc = e.set.packs[0].loc
	}
	return calendar.Start(t.Year(), t.Month(), t.Day()+1, loc).UnixMicro(), true
}

// third judges a third_party body.
func (e *eval) third(b *ThirdParty) outcome {
	who := Reason{What: e.Relation.String()}
	deny := func(code string) outcome {
		who.Code = code
		return outcome{effect: Deny, reason: who}
	}
	if slices.Contains(b.Allow, e.Relation) {
		who.Code = "party_allowed"
		return outcome{effect: Allow, reason: who}
	}
	if e.Relation != contact.Reference || len(b.ReferenceIf) == 0 {
		return deny("party_barred")
	}
	if b.FinalRefusal {
		for i := range e.Standing.Stops {
			s := &e.Standing.Stops[i]
			if s.Kind != contact.Hold && s.At <= e.t && s.Purposes.Has(e.Purpose) {
				who.Since = s.At
				return deny("party_refused")
			}
		}
	}
	met := slices.IndexFunc(b.ReferenceIf, func(a string) bool { return e.Person[a] == "yes" })
	if met < 0 {
		return deny("party_reachable")
	}
	for _, k := range b.Requires {
		if !e.declares(k) {
			who.What = k
			return deny("not_disclosed")
		}
	}
	who.Code = "party_conditional"
	return outcome{effect: Allow, reason: who}
}
