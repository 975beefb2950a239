package calendar_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/internal/calendar"
)

func shipped(t testing.TB) []*calendar.Calendar {
	t.Helper()
	cs, err := calendar.ReadFS(os.DirFS("../../packs"), "calendars")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(calendar.ShippedDocs()); n != len(cs) || len(calendar.Shipped()) != n {
		t.Fatalf("%d calendars are built in, %d lie in packs/calendars", n, len(cs))
	}
	return cs
}

func doc(t testing.TB, id string) *calendar.Calendar {
	t.Helper()
	cs := shipped(t)
	i := slices.IndexFunc(cs, func(c *calendar.Calendar) bool { return c.ID() == id })
	if i < 0 {
		t.Fatalf("no calendar %s", id)
	}
	return cs[i]
}

func date(t testing.TB, s string) calendar.Date {
	t.Helper()
	d, err := calendar.ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// weekdaysOff lists the days of a year that are off though their weekday is one
// of work, as month-day.
func weekdaysOff(c *calendar.Calendar, year int) string {
	var ds []string
	for _, d := range c.Marks() {
		if y, _, _ := d.Split(); y == year && c.IsHoliday(d) && d.Weekday() != time.Saturday && d.Weekday() != time.Sunday {
			ds = append(ds, d.String()[5:])
		}
	}
	return strings.Join(ds, " ")
}

// TestChina compares every year with a second collection of the State
// Council's notices, where this machine has one.
func TestChina(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("PARLEY_HOLIDAY_CN")
	if dir == "" {
		dir = "../../../shared/data/holiday-cn"
	}
	files, _ := filepath.Glob(filepath.Join(dir, "20*.json"))
	if len(files) == 0 {
		t.Skip("no second collection: set PARLEY_HOLIDAY_CN to a directory with YYYY.json")
	}
	cn := doc(t, "CN")
	want := map[string]calendar.Mark{}
	for _, f := range files {
		var year struct {
			Days []struct {
				Date string `json:"date"`
				Off  bool   `json:"isOffDay"`
			} `json:"days"`
		}
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &year); err != nil {
			t.Fatal(err)
		}
		for _, d := range year.Days {
			if d.Off {
				want[d.Date] = calendar.Holiday
			} else if cn.IsWeekend(date(t, d.Date)) { // a notice may also say when work begins again on a weekday
				want[d.Date] = calendar.Workday
			}
		}
	}
	for d := calendar.MakeDate(2007, 1, 1); d <= calendar.MakeDate(2026, 12, 31); d = d.Add(1) {
		if got := cn.Mark(d); got != want[d.String()] {
			t.Errorf("%s is marked %v, want %v", d, got, want[d.String()])
		}
	}
}

// TestChinaByHand keeps the cases everybody knows, wherever it runs.
func TestChinaByHand(t *testing.T) {
	t.Parallel()
	cn := doc(t, "CN")
	const holiday, worked, ordinary = "holiday", "worked in exchange", "as the weekday says"
	words := map[calendar.Mark]string{calendar.Holiday: holiday, calendar.Workday: worked, 0: ordinary}
	for day, want := range map[string]string{
		"2020-02-03": ordinary, // the prolonged Spring Festival of 2020 ended on the 2nd
		"2020-02-02": holiday,
		"2020-02-01": holiday, // was a made-up workday in the first notice
		"2015-09-03": holiday,
		"2019-05-04": holiday,
		"2022-12-31": holiday, // by the notice for 2023
		"2026-02-14": worked,
		"2026-02-23": holiday,
		"2026-09-20": worked,
		"2026-11-21": ordinary,
	} {
		if got := words[cn.Mark(date(t, day))]; got != want {
			t.Errorf("%s is %s, want %s", day, got, want)
		}
	}
	if got := cn.Name(date(t, "2026-02-14")).In("zh"); got != "春节" {
		t.Errorf("2026-02-14 is worked for %q", got)
	}
	if cn.IsWorkday(date(t, "2026-11-21")) || !cn.IsWorkday(date(t, "2026-02-14")) || cn.IsWorkday(date(t, "2026-02-17")) {
		t.Error("workdays are wrong")
	}
	for day, want := range map[string]bool{"2006-12-31": false, "2007-01-01": true, "2026-12-31": true, "2027-01-01": false} {
		if cn.Covers(date(t, day)) != want {
			t.Errorf("%s covered: %v; a year nobody announced is unknown, not even New Year's Day is guessed", day, !want)
		}
	}
}

// TestPublished compares what is computed with the lists the authorities
// published: opm.gov, gov.uk/bank-holidays, service-public.fr, BOE, DoPT.
func TestPublished(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		id   string
		year int
		want string // weekdays off
	}{
		{"US", 2010, "01-01 01-18 02-15 05-31 07-05 09-06 10-11 11-11 11-25 12-24 12-31"}, // New Year 2011 observed on 31 December 2010
		{"US", 2021, "01-01 01-18 02-15 05-31 06-18 07-05 09-06 10-11 11-11 11-25 12-24 12-31"},
		{"US", 2025, "01-01 01-09 01-20 02-17 05-26 06-19 07-04 09-01 10-13 11-11 11-27 12-25"},
		{"US", 2026, "01-01 01-19 02-16 05-25 06-19 07-03 09-07 10-12 11-11 11-26 12-25"},
		{"US", 2027, "01-01 01-18 02-15 05-31 06-18 07-05 09-06 10-11 11-11 11-25 12-24 12-31"},
		{"UK", 2012, "01-02 04-06 04-09 05-07 06-04 06-05 08-27 12-25 12-26"},
		{"UK", 2020, "01-01 04-10 04-13 05-08 05-25 08-31 12-25 12-28"},
		{"UK", 2021, "01-01 04-02 04-05 05-03 05-31 08-30 12-27 12-28"},
		{"UK", 2022, "01-03 04-15 04-18 05-02 06-02 06-03 08-29 09-19 12-26 12-27"},
		{"UK", 2023, "01-02 04-07 04-10 05-01 05-08 05-29 08-28 12-25 12-26"},
		{"UK", 2026, "01-01 04-03 04-06 05-04 05-25 08-31 12-25 12-28"},
		{"UK", 2027, "01-01 03-26 03-29 05-03 05-31 08-30 12-27 12-28"},
		{"UK-SCT", 2021, "01-01 01-04 04-02 05-03 05-31 08-02 11-30 12-27 12-28"},
		{"UK-SCT", 2022, "01-03 01-04 04-15 05-02 06-02 06-03 08-01 09-19 11-30 12-26 12-27"},
		{"UK-SCT", 2023, "01-02 01-03 04-07 05-01 05-08 05-29 08-07 11-30 12-25 12-26"},
		{"UK-SCT", 2026, "01-01 01-02 04-03 05-04 05-25 06-15 08-03 11-30 12-25 12-28"},
		{"UK-NI", 2024, "01-01 03-18 03-29 04-01 05-06 05-27 07-12 08-26 12-25 12-26"}, // St Patrick's on a Sunday
		{"UK-NI", 2026, "01-01 03-17 04-03 04-06 05-04 05-25 07-13 08-31 12-25 12-28"},
		{"EU", 2026, "01-01 04-03 04-06 05-01 12-25"},
		{"FR", 2024, "01-01 04-01 05-01 05-08 05-09 05-20 08-15 11-01 11-11 12-25"},
		{"FR", 2026, "01-01 04-06 05-01 05-08 05-14 05-25 07-14 11-11 12-25"},
		{"ES", 2025, "01-01 01-06 04-18 05-01 08-15 12-08 12-25"},
		{"ES", 2026, "01-01 01-06 04-03 05-01 10-12 12-08 12-25"},
		{"IN", 2026, "01-26 03-04 03-26 03-31 04-01 04-03 05-01 05-27 06-26 08-26 09-04 10-02 10-20 11-24 12-25"},
	} {
		if got := weekdaysOff(doc(t, c.id), c.year); got != c.want {
			t.Errorf("%s %d:\n got %s\nwant %s", c.id, c.year, got, c.want)
		}
	}
	in := doc(t, "IN")
	for day, works := range map[int]bool{7: true, 14: false, 21: true, 28: false, 22: false} { // Saturdays, and a Sunday
		if in.IsWorkday(calendar.MakeDate(2026, 11, day)) != works {
			t.Errorf("%d November 2026 in India works: %v", day, !works)
		}
	}
}

// TestEaster checks the dates printed in the Book of Common Prayer's tables and
// the extremes of the Gregorian cycle.
func TestEaster(t *testing.T) {
	t.Parallel()
	for _, want := range []string{"1818-03-22", "1943-04-25", "2008-03-23", "2011-04-24", "2024-03-31", "2025-04-20", "2026-04-05", "2027-03-28", "2038-04-25", "2285-03-22"} {
		var y int
		if _, err := fmt.Sscanf(want, "%d", &y); err != nil {
			t.Fatal(err)
		}
		if got := calendar.Easter(y).String(); got != want {
			t.Errorf("Easter %d is %s, want %s", y, got, want)
		}
	}
}

// TestWorkdays: CN-BJ-1WD's edges (vector 17), a long holiday, a made-up
// workday, and a year without data.
func TestWorkdays(t *testing.T) {
	t.Parallel()
	cn, loc := doc(t, "CN"), zone(t, "")
	for _, c := range []struct {
		name, from string
		n          int
		want       string
		known      bool
	}{
		{"Friday evening: Monday is day 1", "2026-11-20 17:00:00", 1, "2026-11-23", true},
		{"the last second of Sunday still counts from Monday", "2026-11-22 23:59:59", 1, "2026-11-23", true},
		{"the day of receipt is never counted", "2026-11-23 00:00:00", 1, "2026-11-24", true},
		{"a Saturday that is worked counts", "2026-02-13 09:00:00", 1, "2026-02-14", true},
		{"nine days of Spring Festival do not", "2026-02-14 09:00:00", 1, "2026-02-24", true},
		{"over National Day, with its made-up Saturday", "2026-09-30 09:00:00", 3, "2026-10-10", true},
		{"into a year nobody has announced", "2026-12-31 09:00:00", 1, "2027-01-01", false},
	} {
		at, err := time.ParseInLocation(time.DateTime, c.from, loc)
		if err != nil {
			t.Fatal(err)
		}
		due := calendar.Span{N: c.n, Unit: calendar.WorkingDays}.After(at, loc, cn.Days).Add(-time.Microsecond)
		if s := due.In(loc).Format("2006-01-02 15:04:05.000000"); s != c.want+" 23:59:59.999999" {
			t.Errorf("%s: due %s, want %s", c.name, s, c.want)
		}
		if cn.Covers(calendar.DateOf(due, loc)) != c.known {
			t.Errorf("%s: known %v", c.name, !c.known)
		}
	}
}

// TestWorkdaysCount: between a date and its n-th working day lie exactly n
// working days, whatever the calendar.
func TestWorkdaysCount(t *testing.T) {
	t.Parallel()
	all := shipped(t)
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(all).Draw(t, "calendar")
		first, last := c.Years()
		d := calendar.MakeDate(first, 1, 1+rapid.IntRange(0, 365*(last-first)).Draw(t, "day"))
		n := rapid.IntRange(1, 60).Draw(t, "n")
		end, works := c.AddWorkdays(d, n), 0
		for x := d.Add(1); x <= end; x = x.Add(1) {
			if c.Mark(x) == calendar.Workday || c.Mark(x) == 0 && !c.IsWeekend(x) {
				works++
			}
		}
		if works != n || !c.IsWorkday(end) {
			t.Fatalf("%s: %d working days from %s to %s, want %d", c.Pin(), works, d, end, n)
		}
	})
}

// TestRevise: next year's notice makes a new version; the old one keeps its days.
func TestRevise(t *testing.T) {
	t.Parallel()
	cn := doc(t, "CN")
	next := calendar.Notice{Year: 2027, Confidence: "P", Source: calendar.Source{Instrument: "国务院办公厅关于2027年部分节假日安排的通知"},
		Days: []calendar.Closing{{Name: calendar.Words{Zh: "元旦", En: "New Year's Day"}, Off: []string{"2027-01-01..2027-01-03"}, Work: []string{"2026-12-27"}}}}
	v2, err := cn.Revise("2027.1", next)
	if err != nil {
		t.Fatal(err)
	}
	if !v2.IsHoliday(date(t, "2027-01-01")) || !v2.IsWorkday(date(t, "2027-01-04")) || v2.Mark(date(t, "2026-12-27")) != calendar.Workday || !v2.Covers(date(t, "2027-12-31")) {
		t.Error("the new version does not know its year")
	}
	if cn.Covers(date(t, "2027-01-01")) || cn.IsWorkday(date(t, "2026-12-27")) || cn.Pin() != "CN 2026.1" || v2.Pin() != "CN 2027.1" {
		t.Error("the old version changed")
	}
	if v2.Sum == cn.Sum || !v2.IsHoliday(date(t, "2020-02-02")) {
		t.Error("the new version lost the old years, or its sum did not change")
	}
	v3, err := v2.Revise("2027.2", calendar.Notice{Year: 2027, Confidence: "P", Source: next.Source, Days: []calendar.Closing{{Name: next.Days[0].Name, Off: []string{"2027-01-01"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if v3.IsWorkday(date(t, "2026-12-27")) || v3.IsHoliday(date(t, "2027-01-02")) {
		t.Error("an amended notice leaves days of the one it replaces")
	}
	if n, ok := v3.Notice(2027); !ok || len(n.Days) != 1 {
		t.Error("the notice of 2027 cannot be read back")
	}
	next.Days[0].Work = []string{"2026-12-28"}
	if _, err := cn.Revise("2027.1", next); err == nil || !strings.Contains(err.Error(), "Monday") {
		t.Errorf("a Monday as a made-up workday: %v", err)
	}
}

// TestReadRefuses: a fault is refused with file, line and what to mend.
func TestReadRefuses(t *testing.T) {
	t.Parallel()
	const good = `calendar: XX
version: "1"
title: {zh: 测, en: Test}
zone: UTC
weekend: [sat, sun]
covers: {from: 2026, to: 2026}
confidence: P
rules:
  - {name: {zh: 元旦, en: New Year}, on: "01-01"}
notices:
  - year: 2026
    source: {instrument: x}
    confidence: P
    days:
      - {name: {zh: 乙, en: B}, off: [2026-05-01..2026-05-03], work: [2026-05-09]}
`
	if _, err := calendar.Read("good.yaml", []byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ from, to, want string }{
		{"calendar: XX", "calendar: x x", "bad.yaml:1: calendar id"},
		{"weekend:", "weeekend:", "bad.yaml:5: unknown field"},
		{"from: 2026, to: 2026", "from: 2026, to: 2025", "bad.yaml:6: covers"},
		{`"01-01"`, `"13-01"`, "bad.yaml:9: rule"},
		{`"01-01"`, `"5th mon 01"`, "bad.yaml:9: rule"},
		{"2026-05-09", "2026-05-08", "bad.yaml:15: 2026-05-08 is given as a made-up workday, but it is a Friday"},
		{"2026-05-01..2026-05-03", "2026-05-03..2026-05-01", "runs backwards"},
		{"2026-05-01..2026-05-03", "2026-02-30", "bad.yaml:15: \"2026-02-30\" is not a date"},
		{"2026-05-01..2026-05-03", "2025-05-01", "does not lie in 2026"},
		{"year: 2026", "year: 2027", "outside the years covered"},
		{"confidence: P\nrules", "yearly: true\nconfidence: sure\nrules", "confidence \"sure\""},
		{"zone: UTC", "zone: Local", "zone"},
	} {
		_, err := calendar.Read("bad.yaml", []byte(strings.Replace(good, c.from, c.to, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s → %s: got %v, want %q", c.from, c.to, err, c.want)
		}
	}
}

// FuzzRead: rubbish is refused, never a panic, and what is read is sane.
func FuzzRead(f *testing.F) {
	files, _ := filepath.Glob("../../packs/calendars/*.yaml")
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := calendar.Read("fuzz.yaml", raw)
		if err != nil {
			return
		}
		first, last := c.Years()
		for _, d := range c.Marks() {
			if y, _, _ := d.Split(); y < first || y > last {
				t.Errorf("%s is marked outside %d-%d", d, first, last)
			}
		}
	})
}

// TestBook: a book holds one version of each calendar, and a region without a
// calendar of its own has its country's.
func TestBook(t *testing.T) {
	t.Parallel()
	cs := shipped(t)
	b := calendar.BookOf(cs)
	if ids := slices.Sorted(maps.Keys(b)); !slices.Equal(ids, []string{"CN", "ES", "EU", "FR", "IN", "UK", "UK-NI", "UK-SCT", "US"}) {
		t.Errorf("calendars %v", ids)
	}
	v2, err := doc(t, "US").Revise("2026.2", calendar.Notice{Year: 2026, Confidence: "P", Source: calendar.Source{Instrument: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	if n := b.With(v2.Days); n.Find("US-FL") != v2.Days || b.Find("US") == v2.Days || len(n) != len(b) || b.Find("ZZ") != nil || b.Find("UK-SCT").ID() != "UK-SCT" {
		t.Error("a new version does not stand in the old one's place")
	}
}
