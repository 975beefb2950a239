package campaign

import (
	"time"

	"parley/internal/contact"
)

func (t *Terms) location() (*time.Location, error) {
	zone := t.Zone
	if zone == "" {
		zone = "Asia/Shanghai"
	}
	return time.LoadLocation(zone)
}

// local puts now into the campaign's zone; a zone that cannot be loaded was
// refused by Check, so UTC is only what is left when the machine lost its zones.
func (t *Terms) local(now time.Time) time.Time {
	loc, err := t.location()
	if err != nil {
		loc = time.UTC
	}
	return now.In(loc)
}

// Open reports whether the schedule permits a call at now. Law and consent are
// the gate's matter: this is only what the campaign's maker chose.
func (t *Terms) Open(now time.Time) bool {
	l := t.local(now)
	day := l.Format(time.DateOnly)
	if t.Start != "" && day < t.Start || t.End != "" && day > t.End {
		return false
	}
	if len(t.Hours) == 0 {
		return true
	}
	minute := l.Hour()*60 + l.Minute()
	for _, h := range t.Hours {
		if onDay(h, l.Weekday()) && minute >= h.From && minute < h.To {
			return true
		}
	}
	return false
}

func onDay(h contact.Hours, d time.Weekday) bool { return h.Days == 0 || h.Days&(1<<d) != 0 }

// DayAfter gives when the local day after the named one begins; now when that
// day is not today's.
func (t *Terms) DayAfter(now time.Time, day string) time.Time {
	l := t.local(now)
	if l.Format(time.DateOnly) != day {
		return now
	}
	return time.Date(l.Year(), l.Month(), l.Day()+1, 0, 0, 0, 0, l.Location())
}

// Over reports whether the schedule has no open moment left after now.
func (t *Terms) Over(now time.Time) bool {
	_, more := t.Next(now)
	return !more
}

// Next gives the first open moment at or after now, and whether there is one.
func (t *Terms) Next(now time.Time) (time.Time, bool) {
	if t.Open(now) {
		return now, true
	}
	l := t.local(now)
	day := time.Date(l.Year(), l.Month(), l.Day(), 0, 0, 0, 0, l.Location())
	if first, err := time.ParseInLocation(time.DateOnly, t.Start, l.Location()); err == nil && first.After(day) {
		day = first
	}
	for range 8 { // a week and a day meets every weekday
		if t.End != "" && day.Format(time.DateOnly) > t.End {
			return time.Time{}, false
		}
		if at := t.firstOn(day, now); !at.IsZero() {
			return at, true
		}
		day = day.AddDate(0, 0, 1)
	}
	return time.Time{}, false
}

// firstOn gives the earliest opening on the local day that starts at day and
// is not before now; zero when there is none.
func (t *Terms) firstOn(day, now time.Time) time.Time {
	var first time.Time
	hours := t.Hours
	if len(hours) == 0 {
		hours = []contact.Hours{{To: 24 * 60}}
	}
	for _, h := range hours {
		at := time.Date(day.Year(), day.Month(), day.Day(), 0, h.From, 0, 0, day.Location())
		if onDay(h, day.Weekday()) && !at.Before(now) && t.Open(at) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// OpenLeft gives how much open time is left: to the last day of the schedule,
// or to the end of now's local day when the schedule has no last day.
func (t *Terms) OpenLeft(now time.Time) time.Duration {
	l := t.local(now)
	day := time.Date(l.Year(), l.Month(), l.Day(), 0, 0, 0, 0, l.Location())
	last := t.End
	if last == "" {
		last = day.Format(time.DateOnly)
	}
	hours := t.Hours
	if len(hours) == 0 {
		hours = []contact.Hours{{To: 24 * 60}}
	}
	var left time.Duration
	for range 366 {
		name := day.Format(time.DateOnly)
		if name > last {
			break
		}
		for _, h := range hours {
			from := time.Date(day.Year(), day.Month(), day.Day(), 0, h.From, 0, 0, day.Location())
			to := time.Date(day.Year(), day.Month(), day.Day(), 0, h.To, 0, 0, day.Location())
			if from.Before(now) {
				from = now
			}
			if onDay(h, day.Weekday()) && name >= t.Start && to.After(from) {
				left += to.Sub(from)
			}
		}
		day = day.AddDate(0, 0, 1)
	}
	return left
}
