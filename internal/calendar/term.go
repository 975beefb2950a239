package calendar

import "time"

// Term is a legal deadline as data: which rule sets it, how long it is, and what
// an extension to it needs. The rules stand in the packs; this is what a room
// that keeps deadlines needs of them.
type Term struct {
	Rule       string // stable id: CN-CMP-15 …
	Within     Span   // the day of the start is day 0, and the whole last day counts
	Days       *Days  // whose workdays count; nil where the span counts none
	Extends    string // the rule this one extends; empty = runs from the start
	Approver   string // who must approve the extension; empty = nobody in particular
	TellBefore bool   // the complainant must be told before the earlier term ends
	Citation   string // instrument and article
	Zh, En     string // the term in words for the customer
}

// DueFrom gives the last instant at which the term is kept: at or before it is
// on time.
func (t Term) DueFrom(start time.Time, loc *time.Location) time.Time {
	return t.Within.After(start, loc, t.Days).Add(-time.Microsecond)
}

// Kept reports whether something done at done met the term.
func (t Term) Kept(start, done time.Time, loc *time.Location) bool {
	return !done.After(t.DueFrom(start, loc))
}

// Terms are those of a complaint: for answering it, the shortest first, each
// later one extending the one before; for contacting the complainant first; for a
// review of the answer; and for asking for one.
type Terms struct {
	Answer      []Term
	Contact     []Term // all bind; none where no rule sets one
	Review, Ask Term
}
