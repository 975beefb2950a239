package policy

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"parley/internal/calendar"
	"parley/internal/contact"
)

const minute = int64(60_000_000) // in micros

var dayNames = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// weekdays reads "mon" or "mon-fri" (which may wrap) as a bit set, Sunday bit 0.
func weekdays(s string) (uint8, error) {
	find := func(n string) int {
		for i, d := range dayNames {
			if d == n {
				return i
			}
		}
		return -1
	}
	a, b, ranged := strings.Cut(s, "-")
	if !ranged {
		b = a
	}
	i, j := find(a), find(b)
	if i < 0 || j < 0 {
		return 0, fmt.Errorf("day %q is not one of mon … sun, or a range such as mon-fri", s)
	}
	bits := uint8(1) << i
	for ; i != j; i = (i + 1) % 7 {
		bits |= 1 << ((i + 1) % 7)
	}
	return bits, nil
}

// clock reads "HH:MM" up to 24:00 as minutes.
func (c *compiler) clock(at, s string) int {
	h, m, ok := strings.Cut(s, ":")
	hh, err1 := strconv.Atoi(h)
	mm, err2 := strconv.Atoi(m)
	if !ok || len(h) != 2 || len(m) != 2 || err1 != nil || err2 != nil || hh < 0 || mm < 0 || mm > 59 || hh*60+mm > 24*60 {
		c.fail(at, "%q is not a time such as 09:00", s)
		return 0
	}
	return hh*60 + mm
}

// day is one local day in micros. plain means 24 hours without a change of
// clock, where minutes are simply added.
type day struct {
	start, end int64
	weekday    uint8
	y, d       int
	m          time.Month
	plain      bool
	loc        *time.Location
}

func dayOf(t int64, loc *time.Location) day {
	lt := time.UnixMicro(t).In(loc)
	y, m, d := lt.Date()
	if from, to := lt.ZoneBounds(); clear(from, to, t) { // no change of clock near: plain arithmetic
		h, mi, s := lt.Clock()
		start := t - int64(h*3600+mi*60+s)*1_000_000 - int64(lt.Nanosecond()/1000)
		return day{start, start + 24*60*minute, uint8(lt.Weekday()), y, d, m, true, loc}
	}
	s, e := calendar.Start(y, m, d, loc), calendar.Start(y, m, d+1, loc)
	return day{s.UnixMicro(), e.UnixMicro(), uint8(lt.Weekday()), y, d, m, false, loc}
}

// clear reports whether t is more than two days away from both bounds.
func clear(from, to time.Time, t int64) bool {
	const margin = 48 * 60 * minute
	return (from.IsZero() || t-from.UnixMicro() > margin) && (to.IsZero() || to.UnixMicro()-t > margin)
}

func (d *day) add(n int) day {
	if d.plain && n == 0 {
		return *d
	}
	return dayOf(calendar.Start(d.y, d.m, d.d+n, d.loc).UnixMicro(), d.loc)
}

// at gives the instant of a minute of the day; 24:00 is the day's end. On days
// when the clock changes the wall clock decides.
func (d *day) at(min int) int64 {
	switch {
	case min == 24*60:
		return d.end
	case d.plain:
		return d.start + int64(min)*minute
	case min == 0:
		return d.start
	}
	return time.Date(d.y, d.m, d.d, 0, min, 0, 0, d.loc).UnixMicro()
}

func onDay(h contact.Hours, weekday uint8) bool { return h.Days == 0 || h.Days&(1<<weekday) != 0 }

// schedule is windows, and how the days of a calendar count in them.
type schedule struct {
	allow            []contact.Hours
	through          bool
	days             *calendar.Days // nil = the calendar is not asked
	holidays, makeup DayRule
}

// weekday gives the day of the week whose windows the day has; ok is false when
// it has none.
func (s *schedule) weekday(d *day) (w uint8, ok bool) {
	if s.days == nil {
		return d.weekday, true
	}
	rule := AsWeekday
	switch s.days.Mark(d.date()) {
	case calendar.Holiday:
		rule = s.holidays
	case calendar.Workday:
		rule = s.makeup
	}
	switch rule {
	case Closed:
		return 0, false
	case AsSunday:
		return uint8(time.Sunday), true
	case AsMonday:
		return uint8(time.Monday), true
	}
	return d.weekday, true
}

func (d *day) date() calendar.Date { return calendar.Date(d.y*10_000 + int(d.m)*100 + d.d) }

// known reports whether the calendar, if any is asked, speaks about the day.
func (s *schedule) known(d *day) bool { return s.days == nil || s.days.Covers(d.date()) }

// within reports the window that holds t, if any.
func (s *schedule) within(t int64, today *day) (contact.Hours, bool) {
	weekday, open := s.weekday(today)
	if !open {
		return contact.Hours{}, false
	}
	before := func(end int64) bool { return t < end || s.through && t == end }
	var yesterday day
	for _, h := range s.allow {
		if h.From < h.To {
			if onDay(h, weekday) && t >= today.at(h.From) && before(today.at(h.To)) {
				return h, true
			}
			continue
		}
		if h.From == h.To {
			continue
		}
		if onDay(h, weekday) && t >= today.at(h.From) { // wraps midnight: began today
			return h, true
		}
		if s.days == nil && !onDay(h, (today.weekday+6)%7) {
			continue
		}
		if yesterday.loc == nil {
			yesterday = today.add(-1)
		}
		if w, open := s.weekday(&yesterday); open && onDay(h, w) && t >= yesterday.at(h.From) && before(today.at(h.To)) { // or began yesterday
			return h, true
		}
	}
	return contact.Hours{}, false
}

// opening gives the first instant at or after t that lies in a window, and the
// window; 0 when there is none (hours that cover nothing).
func (s *schedule) opening(t int64, today *day) (int64, contact.Hours) {
	if h, ok := s.within(t, today); ok {
		return t, h
	}
	look := 8 // every weekday comes round, even where a change of clock swallowed one window
	if s.days != nil {
		look = 40 // whole weeks may be closed; the horizon is nearer
	}
	for n := 0; n <= look; n++ {
		d := today.add(n)
		weekday, open := s.weekday(&d)
		if !open {
			continue
		}
		if !s.known(&d) {
			break
		}
		var best int64
		var with contact.Hours
		for _, h := range s.allow {
			if h.From == h.To || !onDay(h, weekday) {
				continue
			}
			at := d.at(h.From)
			end := d.at(h.To)
			if h.From > h.To {
				end = d.end
			}
			if at >= t && at < end && (best == 0 || at < best) {
				best, with = at, h
			}
		}
		if best != 0 {
			return best, with
		}
	}
	return 0, contact.Hours{}
}
