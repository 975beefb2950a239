package calendar

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Unit is what a Span counts.
type Unit uint8

// The units. Days and longer are local calendar days; hours and shorter are
// exact time.
const (
	Seconds Unit = iota + 1
	Minutes
	Hours
	CalendarDays
	WorkingDays
	Weeks
	Months
	Years
)

var unitNames = [...]string{"", "seconds", "minutes", "hours", "days", "working_days", "weeks", "months", "years"}

// Span is a length of time as a law writes it: "15 days", "10 working_days",
// "8 weeks", "2 years". The zero value is no span.
type Span struct {
	N    int
	Unit Unit
}

// ParseSpan reads "15 days"; the singular is read too.
func ParseSpan(s string) (Span, error) {
	num, word, _ := strings.Cut(strings.TrimSpace(s), " ")
	n, err := strconv.Atoi(num)
	for u := Seconds; err == nil && u <= Years; u++ {
		if name := unitNames[u]; (word == name || word+"s" == name) && n >= 1 && n <= 100_000 {
			return Span{n, u}, nil
		}
	}
	return Span{}, fmt.Errorf("%q is not a length of time such as 15 days; the units are %s", s, strings.Join(unitNames[1:], ", "))
}

// String gives "15 days".
func (s Span) String() string {
	if s.Unit == 0 || int(s.Unit) >= len(unitNames) {
		return ""
	}
	return strconv.Itoa(s.N) + " " + unitNames[s.Unit]
}

// Exact reports whether the span is exact time rather than calendar days.
func (s Span) Exact() bool { return s.Unit >= Seconds && s.Unit <= Hours }

// Duration gives the length of an exact span, and an upper bound of another.
func (s Span) Duration() time.Duration {
	const day = 24 * time.Hour
	n := time.Duration(s.N)
	switch s.Unit {
	case Seconds:
		return n * time.Second
	case Minutes:
		return n * time.Minute
	case Hours:
		return n * time.Hour
	case CalendarDays:
		return (n + 1) * day
	case WorkingDays:
		return (n*3 + 14) * day // holidays lengthen it
	case Weeks:
		return (7*n + 1) * day
	case Months:
		return (31*n + 1) * day
	case Years:
		return (366*n + 1) * day
	}
	return 0
}

// After gives the instant at which the span that began at t is over: for exact
// units t plus the length; for the others the end of the last local day, the day
// of t being day 0. Months and years end on the day of the same number, or on
// the month's last day where there is none. days may be nil: then working days
// are Monday to Friday.
func (s Span) After(t time.Time, loc *time.Location, days *Days) time.Time {
	if s.Exact() {
		return t.Add(s.Duration())
	}
	y, m, d := s.date(DateOf(t, loc), days).Split()
	return Start(y, m, d+1, loc)
}

// date gives the span's last date, counted from d as day 0.
func (s Span) date(d Date, days *Days) Date {
	switch s.Unit {
	case CalendarDays:
		return d.Add(s.N)
	case WorkingDays:
		return days.AddWorkdays(d, s.N)
	case Weeks:
		return d.Add(7 * s.N)
	case Months:
		return d.addMonths(s.N)
	case Years:
		return d.addMonths(12 * s.N)
	}
	return d
}

func (d Date) addMonths(n int) Date {
	y, m, day := d.Split()
	first := MakeDate(y, m+time.Month(n), 1)
	fy, fm, _ := first.Split()
	return MakeDate(fy, fm, min(day, time.Date(fy, fm+1, 0, 0, 0, 0, 0, time.UTC).Day()))
}
