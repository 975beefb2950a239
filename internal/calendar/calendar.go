// Package calendar reckons with local days: where a day starts in a zone, and
// when a term counted in calendar days is due. It is pure: no clock, no storage.
package calendar

import (
	"fmt"
	"time"
)

// Bank is the zone whose days count for a mainland bank's own deadlines.
const Bank = "Asia/Shanghai"

// Day is one local day of a zone: the half-open span [Start, End).
type Day struct {
	Start, End time.Time
}

// DayOf gives the local day of loc that holds t.
func DayOf(t time.Time, loc *time.Location) Day {
	y, m, d := t.In(loc).Date()
	return Day{Start: Start(y, m, d, loc), End: Start(y, m, d+1, loc)}
}

// Start gives the first instant of a local date. In zones that change their
// clock at midnight that instant may read 01:00, or the second 00:00.
func Start(y int, m time.Month, d int, loc *time.Location) time.Time {
	noon := time.Date(y, m, d, 12, 0, 0, 0, loc) // always exists, and normalises d
	y, m, d = noon.Date()
	t := time.Date(y, m, d, 0, 0, 0, 0, loc)
	from, to := t.ZoneBounds()
	if t.Day() != d { // midnight was skipped and Date fell before the gap
		return to
	}
	if !from.IsZero() && from.Before(t) && sameDate(from, y, m, d) {
		return from // midnight was skipped and Date fell after the gap
	}
	return t
}

func sameDate(t time.Time, y int, m time.Month, d int) bool {
	ty, tm, td := t.Date()
	return ty == y && tm == m && td == d
}

// AddDays gives the first instant of the local day n days after the day of t.
func AddDays(t time.Time, n int, loc *time.Location) time.Time {
	y, m, d := t.In(loc).Date()
	return Start(y, m, d+n, loc)
}

// DaysBetween counts local midnights from a to b: 0 on the same local day,
// negative when b is on an earlier one.
func DaysBetween(a, b time.Time, loc *time.Location) int {
	return int(civil(b.In(loc)).Sub(civil(a.In(loc))) / (24 * time.Hour))
}

func civil(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// Due gives the last instant at which a term of n calendar days is kept: the
// day of receipt is day 0, and the whole of day n still counts. It is the
// microsecond before local midnight, so "at or before Due" is on time.
func Due(received time.Time, n int, loc *time.Location) time.Time {
	return AddDays(received, n+1, loc).Add(-time.Microsecond)
}

// Zone loads an IANA zone; the empty name is the bank's own.
func Zone(name string) (*time.Location, error) {
	if name == "" {
		name = Bank
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("time zone %q is not known: %w", name, err)
	}
	return loc, nil
}
