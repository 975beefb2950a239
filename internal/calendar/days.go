package calendar

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Date is a local calendar date written as the number yyyymmdd, so that dates
// compare as numbers. It has no zone; whoever makes one says which.
type Date int32

// MakeDate makes a date; days beyond the month's end run on, as in time.Date.
func MakeDate(y int, m time.Month, d int) Date {
	t := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	return Date(t.Year()*10_000 + int(t.Month())*100 + t.Day())
}

// DateOf gives the local date of t in loc.
func DateOf(t time.Time, loc *time.Location) Date {
	y, m, d := t.In(loc).Date()
	return Date(y*10_000 + int(m)*100 + d)
}

// ParseDate reads 2026-10-01.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a date such as 2026-10-01", s)
	}
	return DateOf(t, time.UTC), nil
}

// Split gives year, month and day.
func (d Date) Split() (y int, m time.Month, day int) {
	return int(d) / 10_000, time.Month(int(d) / 100 % 100), int(d) % 100
}

// String gives 2026-10-01.
func (d Date) String() string {
	y, m, day := d.Split()
	return fmt.Sprintf("%04d-%02d-%02d", y, m, day)
}

// MarshalText writes 2026-10-01.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads 2026-10-01.
func (d *Date) UnmarshalText(b []byte) (err error) { *d, err = ParseDate(string(b)); return err }

// Add gives the date n days later (earlier, when n is negative).
func (d Date) Add(n int) Date {
	y, m, day := d.Split()
	return MakeDate(y, m, day+n)
}

// Weekday gives the day of the week.
func (d Date) Weekday() time.Weekday {
	y, m, day := d.Split()
	return time.Date(y, m, day, 0, 0, 0, 0, time.UTC).Weekday()
}

// Mark is what a calendar says about a date that the weekday does not say.
type Mark uint8

// The marks. A date without one is a workday from Monday to Friday.
const (
	Holiday Mark = iota + 1 // a public holiday, or a day off given in exchange
	Workday                 // a Saturday or Sunday worked in exchange (调休上班)
)

// Words is a text in Chinese and English.
type Words struct {
	Zh string `yaml:"zh"`
	En string `yaml:"en"`
}

// In gives the words in a language; anything but "zh" is English.
func (w Words) In(lang string) string {
	if lang == "zh" {
		return w.Zh
	}
	return w.En
}

// Days is one version of a jurisdiction's public holidays and made-up workdays.
// It is a value that never changes: a correction is a new version, so a deadline
// can name the version it was reckoned with.
type Days struct {
	id, version string
	first, last int     // the years it speaks about
	weekend     [7]bool // by time.Weekday
	marks       map[Date]Mark
	names       map[Date]Words
}

var satSun = [7]bool{time.Saturday: true, time.Sunday: true}

// ID names the jurisdiction.
func (c *Days) ID() string { return c.id }

// Version names this version of the calendar.
func (c *Days) Version() string { return c.version }

// Pin names calendar and version in one phrase, for what was reckoned with
// them: "CN 2026.1". A nil calendar has none.
func (c *Days) Pin() string {
	if c == nil {
		return ""
	}
	return c.id + " " + c.version
}

// Years gives the first and last year it covers.
func (c *Days) Years() (first, last int) { return c.first, c.last }

// Covers reports whether the calendar speaks about the date's year.
// A year it does not cover is unknown: what is reckoned there by weekdays alone
// is a reading for the time being, and must be shown as one.
func (c *Days) Covers(d Date) bool {
	y, _, _ := d.Split()
	return c != nil && y >= c.first && y <= c.last
}

// Mark gives what the calendar says about the date; 0 = what the weekday says.
func (c *Days) Mark(d Date) Mark {
	if c == nil {
		return 0
	}
	return c.marks[d]
}

// Name gives what the marked date is called, if the calendar says so.
func (c *Days) Name(d Date) Words { return c.names[d] }

// Marks lists the marked dates in order.
func (c *Days) Marks() []Date { return slices.Sorted(maps.Keys(c.marks)) }

// IsHoliday reports whether the date is a public holiday. Weekends are not.
func (c *Days) IsHoliday(d Date) bool { return c.Mark(d) == Holiday }

// IsWeekend reports whether the weekday is one of rest.
func (c *Days) IsWeekend(d Date) bool {
	if c == nil {
		return satSun[d.Weekday()]
	}
	return c.weekend[d.Weekday()]
}

// IsWorkday reports whether offices work: all days but weekends and holidays,
// and the days worked in exchange. A nil calendar knows weekends only.
func (c *Days) IsWorkday(d Date) bool {
	switch c.Mark(d) {
	case Holiday:
		return false
	case Workday:
		return true
	}
	return !c.IsWeekend(d)
}

// AddWorkdays gives the n-th workday after the date; n must not be negative.
// With n 0 it is the date itself.
func (c *Days) AddWorkdays(d Date, n int) Date {
	for n > 0 {
		if d = d.Add(1); c.IsWorkday(d) {
			n--
		}
	}
	return d
}

// Book is the calendars in use, by id.
type Book map[string]*Days

// With gives a book in which the calendars given stand in place of the versions
// that b has.
func (b Book) With(cs ...*Days) Book {
	n := make(Book, len(b)+len(cs))
	maps.Copy(n, b)
	for _, c := range cs {
		n[c.id] = c
	}
	return n
}

// Find gives the calendar of a jurisdiction, or of the country it lies in
// ("US-FL", else "US"); nil when there is none.
func (b Book) Find(id string) *Days {
	if c, ok := b[id]; ok {
		return c
	}
	for i := range id {
		if id[i] == '-' {
			return b[id[:i]]
		}
	}
	return nil
}
