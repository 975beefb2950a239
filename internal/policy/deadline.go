package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"parley/internal/calendar"
	"parley/internal/contact"
)

// Deadline is a term within which something must have happened.
type Deadline struct {
	Starts   string        // the event that starts it
	Done     []string      // the events that must all have happened by then
	Within   calendar.Span // the day of the start is day 0, and the whole last day counts
	Restarts []string      // events that start it anew
	Pauses   []string      // kinds of time that are not counted
	Calendar string        // whose workdays count
	Extends  string        // the deadline this one may take the place of
	Approver string        // the grade of whoever must approve that
	Notice   bool          // and the person must be told before the earlier one ends
	Approved string        // the event of the approval
	Told     string        // the event of the notice
}

type rawDeadline struct {
	Starts   string   `yaml:"starts"`
	Done     []string `yaml:"done"`
	Within   string   `yaml:"within"`
	Restarts []string `yaml:"restarts"`
	Pauses   []string `yaml:"pauses"`
	Calendar string   `yaml:"calendar"`
	Extends  string   `yaml:"extends"`
	Approver string   `yaml:"approver"`
	Approved string   `yaml:"approved"`
	Notice   bool     `yaml:"notice"`
	Told     string   `yaml:"told"`
}

func (c *compiler) deadline(at string, rd *rawDeadline) *Deadline {
	b := &Deadline{Starts: rd.Starts, Done: rd.Done, Restarts: rd.Restarts, Pauses: rd.Pauses, Calendar: rd.Calendar, Extends: rd.Extends,
		Approver: rd.Approver, Notice: rd.Notice, Approved: rd.Approved, Told: rd.Told}
	if rd.Starts == "" {
		c.fail(at, "say which event starts the deadline, as in starts: received")
	}
	if len(rd.Done) == 0 {
		c.fail(at, "say what must have happened by then, as in done: [told]")
	}
	b.Within = c.length(at+".within", rd.Within)
	if rd.Extends == "" && (rd.Approver != "" || rd.Notice || rd.Approved != "" || rd.Told != "") {
		c.fail(at, "approver, approved, notice and told belong to an extension: name the rule that this one extends")
	}
	if rd.Extends != "" && rd.Approver != "" && rd.Approved == "" {
		b.Approved = "approved"
	}
	if rd.Extends != "" && rd.Notice && rd.Told == "" {
		b.Told = "notice"
	}
	if b.Calendar == "" && b.Within.Unit == calendar.WorkingDays {
		b.Calendar = c.home
	}
	c.events(at, rd.Starts, rd.Done, rd.Restarts, rd.Pauses)
	return b
}

// events checks that names of events are words.
func (c *compiler) events(at, starts string, lists ...[]string) {
	for _, n := range slices.Concat([]string{starts}, slices.Concat(lists...)) {
		if n != "" && !word.MatchString(n) {
			c.fail(at, "%q is not a name for an event: use small letters and underscores", n)
		}
	}
}

// Due gives the last instant at which the deadline is kept. days may be nil.
func (d *Deadline) Due(start time.Time, loc *time.Location, days *calendar.Days, pauses []Pause) time.Time {
	end := d.Within.After(start, loc, days)
	for _, p := range pauses {
		if !slices.Contains(d.Pauses, p.Kind) || p.Until == 0 {
			continue
		}
		from, until := time.UnixMicro(max(p.From, start.UnixMicro())), time.UnixMicro(p.Until)
		if !until.After(from) || !from.Before(end) {
			continue
		}
		if d.Within.Exact() {
			end = end.Add(until.Sub(from))
			continue
		}
		end = calendar.AddDays(end, calendar.DaysBetween(from, until, loc), loc)
	}
	return end.Add(-time.Microsecond)
}

// started gives when the deadline began to run: 0 when it did not.
func (d *Deadline) started(events map[string]contact.Micros) contact.Micros {
	at := events[d.Starts]
	for _, n := range d.Restarts {
		at = max(at, events[n])
	}
	if events[d.Starts] == 0 {
		return 0
	}
	return at
}

// deadline judges whether the term is kept. An extension stands only when it
// was approved and told before the term it extends ended.
func (e *review) deadline(r *Rule) outcome {
	d := r.Deadline
	loc, err := e.place(r)
	if err != nil {
		return outcome{effect: Deny, reason: Reason{Code: "zone", What: e.Zone}}
	}
	start := d.started(e.Events)
	if start == 0 {
		return outcome{effect: Allow, reason: Reason{Code: "term_not_begun", What: d.Starts}}
	}
	due := d.Due(time.UnixMicro(start), loc, e.set.days[d.Calendar], e.Pauses).UnixMicro()
	why := Reason{Code: "term", What: d.Within.String(), Since: start, Until: due, Zone: loc.String()}
	if d.Extends != "" {
		if code := e.extension(r, loc); code != "" { // it does not stand, so the one it would extend binds
			why.Code, why.What = code, d.Extends
			return outcome{effect: Allow, reason: why}
		}
	}
	if x := e.extended(r, loc); x != nil {
		why.Code, why.What = "term_extended", x.ID
		return outcome{effect: Allow, reason: why}
	}
	if slices.ContainsFunc(e.Pauses, func(p Pause) bool {
		return p.Until == 0 && p.From <= min(e.now, due) && slices.Contains(d.Pauses, p.Kind)
	}) {
		why.Code = "term_paused"
		return outcome{effect: Allow, reason: why}
	}
	done := int64(0)
	for _, n := range d.Done {
		at := e.Events[n]
		if at == 0 || at > e.now {
			done = 0
			break
		}
		done = max(done, at)
	}
	switch {
	case done != 0 && done <= due:
		why.Code, why.At = "term_kept", done
	case done != 0:
		why.Code, why.At = "term_missed", done
		return outcome{effect: Deny, reason: why}
	case e.now > due:
		why.Code, why.At = "term_over", e.now
		return outcome{effect: Deny, reason: why}
	default:
		return outcome{effect: Allow, at: due, reason: why}
	}
	return outcome{effect: Allow, at: due, reason: why}
}

// extension says what an extension lacks; "" when it stands: approved and told
// before the deadline that it extends ended, which must itself stand.
func (e *review) extension(r *Rule, loc *time.Location) string {
	d := r.Deadline
	base := e.set.Rule(d.Extends)
	if base == nil || base.Deadline == nil {
		return "extension_of_nothing"
	}
	if base.Deadline.Extends != "" {
		if code := e.extension(base, loc); code != "" {
			return code
		}
	}
	before := base.Deadline.Due(time.UnixMicro(base.Deadline.started(e.Events)), loc, e.set.days[base.Deadline.Calendar], e.Pauses).UnixMicro()
	intime := func(event string) bool {
		at := e.Events[event]
		return event == "" || at != 0 && at <= e.now && at <= before
	}
	switch {
	case !intime(d.Approved):
		return "extension_not_approved"
	case !intime(d.Told):
		return "extension_not_told"
	}
	return ""
}

// extended finds a deadline that took this one's place.
func (e *review) extended(r *Rule, loc *time.Location) *Rule {
	for _, x := range e.set.matters {
		if x.Deadline == nil || x.Deadline.Extends != r.ID || x.About != e.About || !holds(x.From, x.Until, e.now) || !holds(x.Pack.From, x.Pack.Until, e.now) {
			continue
		}
		if ok, err := x.applies(e); err == nil && ok && e.extension(x, loc) == "" {
			return x
		}
	}
	return nil
}

// Retention is how long a kind of record must, and may, be kept.
type Retention struct {
	Records []string
	AtLeast calendar.Span
	AtMost  calendar.Span // zero = no law limits it
	From    []string      // the events from which it counts: the latest; the first named must have happened
}

type rawRetention struct {
	Records []string `yaml:"records"`
	AtLeast string   `yaml:"at_least"`
	AtMost  string   `yaml:"at_most"`
	From    []string `yaml:"from"`
}

func (c *compiler) retention(at string, rr *rawRetention) *Retention {
	b := &Retention{Records: rr.Records, From: rr.From}
	if len(rr.Records) == 0 {
		c.fail(at, "list the kinds of record, as in records: [recording]")
	}
	if len(rr.From) == 0 {
		c.fail(at, "say from which event it counts, as in from: [made]")
	}
	if rr.AtLeast == "" && rr.AtMost == "" {
		c.fail(at, "say how long: at_least: 2 years, or at_most")
	}
	if rr.AtLeast != "" {
		b.AtLeast = c.length(at+".at_least", rr.AtLeast)
	}
	if rr.AtMost != "" {
		b.AtMost = c.length(at+".at_most", rr.AtMost)
	}
	if b.AtMost.Unit != 0 && b.AtMost.Duration() < b.AtLeast.Duration() {
		c.fail(at+".at_most", "at_most %s is shorter than at_least %s: nothing could be kept rightly", rr.AtMost, rr.AtLeast)
	}
	c.events(at, "", rr.Records, rr.From)
	return b
}

// retention judges a record by what somebody wants to do with it: attr action
// is delete, or keep.
func (e *review) retention(r *Rule) outcome {
	b := r.Retention
	if !slices.Contains(b.Records, e.Attrs["record"]) {
		return outcome{effect: Allow, reason: Reason{Code: "keep_other", What: strings.Join(b.Records, ", ")}}
	}
	loc, err := e.place(r)
	if err != nil {
		return outcome{effect: Deny, reason: Reason{Code: "zone", What: e.Zone}}
	}
	from := int64(0)
	if e.Events[b.From[0]] != 0 {
		for _, n := range b.From {
			from = max(from, e.Events[n])
		}
	}
	why := Reason{Code: "keep", What: b.AtLeast.String(), Since: from, Zone: loc.String()}
	end := func(s calendar.Span) int64 {
		if s.Exact() {
			return s.After(time.UnixMicro(from), loc, nil).UnixMicro()
		}
		return calendar.AddDays(s.After(time.UnixMicro(from), loc, nil), -1, loc).UnixMicro() // the same date, so much later
	}
	switch action := e.Attrs["action"]; action {
	case "delete":
		if b.AtLeast.Unit == 0 {
			break
		}
		if from == 0 {
			why.Code, why.What = "keep_open", b.From[0]
			return outcome{effect: Deny, reason: why}
		}
		if until := end(b.AtLeast); e.now < until {
			why.Code, why.Until = "keep_until", until
			return outcome{effect: Later, at: until, reason: why}
		}
	case "keep":
		if b.AtMost.Unit == 0 || from == 0 {
			break
		}
		if until := end(b.AtMost); e.now >= until {
			why.Code, why.What, why.Until = "keep_over", b.AtMost.String(), until
			return outcome{effect: Deny, reason: why}
		}
	default:
		return outcome{effect: Deny, reason: Reason{Code: "intent", What: fmt.Sprintf("attr.action %q", action)}}
	}
	return outcome{effect: Allow, reason: why}
}
