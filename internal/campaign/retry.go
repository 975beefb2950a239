package campaign

import (
	"time"

	"parley/internal/contact"
)

// MemberState is where one person of a list stands.
type MemberState string

// The states of a member.
const (
	New      MemberState = "new"      // not looked at yet
	Due      MemberState = "due"      // to be called at or after DueAt
	Waiting  MemberState = "later"    // a rule said not before DueAt
	Reserved MemberState = "reserved" // taken by the dialer; has a permit or is about to ask for one
	Dialing  MemberState = "dialing"  // a call may be on the wire
	Finished MemberState = "done"
	Denied   MemberState = "denied" // a rule said no; not asked again in this run
	Parked   MemberState = "parked" // nobody knows whether the customer was reached: for a person to settle
)

// Member is one person of a campaign's list, at one contact point.
type Member struct {
	Campaign    contact.ID
	Party       contact.ID
	Point       contact.ID
	State       MemberState
	DueAt       contact.Micros
	Tries       int    // calls that left the bank
	Day         string // local day of the last one
	DayTries    int    // of them, on that day
	Faults      int    // calls in a row that did not leave the bank
	LastOutcome contact.Outcome
	Permit      contact.ID // the last decision about this person
	Rule        string     // the rule that decided, when it was not allowed
}

// maxFaults is how often a call that never left the bank is tried again before
// a person must look.
const maxFaults = 10

// After plans what follows an attempt that ended with o at now. It is pure.
func (t *Terms) After(m Member, o contact.Outcome, now time.Time) Member {
	m.LastOutcome = o
	if o == contact.Unknown {
		m.State = Parked
		m.count(t, now)
		return m
	}
	if o == contact.NotSent { // nothing reached the customer: not a try
		m.Faults++
		m.State, m.DueAt = Due, now.Add(backoff(m.Faults)).UnixMicro()
		if m.Faults >= maxFaults {
			m.State = Parked
		}
		return m
	}
	m.Faults = 0
	m.count(t, now)
	wait, again := t.RetryAfter[o]
	if !again || o == contact.Effective || m.Tries >= t.MaxAttempts {
		m.State = Finished
		return m
	}
	at := now.Add(wait)
	if perDay := t.MaxPerDay; perDay > 0 && m.DayTries >= perDay && t.local(at).Format(time.DateOnly) == m.Day {
		l := t.local(at)
		at = time.Date(l.Year(), l.Month(), l.Day()+1, 0, 0, 0, 0, l.Location())
	}
	open, more := t.Next(at)
	if !more {
		m.State = Finished
		return m
	}
	m.State, m.DueAt = Due, open.UnixMicro()
	return m
}

func (m *Member) count(t *Terms, now time.Time) {
	m.Tries++
	if day := t.local(now).Format(time.DateOnly); day == m.Day {
		m.DayTries++
	} else {
		m.Day, m.DayTries = day, 1
	}
}

// backoff doubles from a minute to an hour.
func backoff(faults int) time.Duration {
	return min(time.Hour, time.Minute<<min(max(faults-1, 0), 6))
}
