package calendar_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/internal/calendar"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := calendar.Zone(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// TestComplaintTerms is vector 14: received Monday 2026-11-23.
func TestComplaintTerms(t *testing.T) {
	t.Parallel()
	loc := zone(t, "")
	for _, hour := range []int{0, 9, 23} {
		received := time.Date(2026, 11, 23, hour, 59, 59, 0, loc)
		for days, want := range map[int]string{15: "2026-12-08", 30: "2026-12-23", 60: "2027-01-22"} {
			term := calendar.Term{Within: calendar.Span{N: days, Unit: calendar.CalendarDays}}
			due := term.DueFrom(received, loc)
			if got := due.In(loc).Format("2006-01-02 15:04:05.000000"); got != want+" 23:59:59.999999" {
				t.Errorf("%d days from %v are over on %s", days, received, got)
			}
			if !term.Kept(received, due, loc) || term.Kept(received, due.Add(time.Microsecond), loc) {
				t.Errorf("%d days: the edge is not exact", days)
			}
			if !due.Equal(calendar.Due(received, days, loc)) {
				t.Errorf("%d days: term and Due differ", days)
			}
		}
	}
}

func TestStart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		zone    string
		y, m, d int
		want    string
	}{
		{"Asia/Shanghai", 2026, 11, 23, "2026-11-23T00:00:00+08:00"},
		{"Asia/Shanghai", 2026, 11, 31, "2026-12-01T00:00:00+08:00"},
		{"America/Havana", 2026, 3, 8, "2026-03-08T01:00:00-04:00"},   // midnight is skipped
		{"America/Santiago", 2026, 9, 6, "2026-09-06T01:00:00-03:00"}, // midnight is skipped
		{"Europe/London", 2026, 3, 29, "2026-03-29T00:00:00Z"},
		{"America/Havana", 2026, 11, 1, "2026-11-01T00:00:00-04:00"}, // 00:00-01:00 comes twice: the first
	} {
		got := calendar.Start(c.y, time.Month(c.m), c.d, zone(t, c.zone))
		if got.Format(time.RFC3339) != c.want {
			t.Errorf("%s: %s, want %s", c.zone, got.Format(time.RFC3339), c.want)
		}
	}
}

// TestDays: every instant is in exactly its own day; days follow without a gap.
func TestDays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		loc, err := calendar.Zone(rapid.SampledFrom([]string{"", "Europe/London", "America/Havana", "Australia/Lord_Howe", "Asia/Beirut", "America/Santiago"}).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		at := time.Unix(rapid.Int64Range(1_700_000_000, 1_900_000_000).Draw(t, "at"), 0)
		d := calendar.DayOf(at, loc)
		if at.Before(d.Start) || !at.Before(d.End) {
			t.Fatalf("%v is not in %v", at, d)
		}
		if next := calendar.DayOf(d.End, loc); !next.Start.Equal(d.End) || calendar.DaysBetween(at, d.End, loc) != 1 {
			t.Fatalf("after %v comes %v", d, next)
		}
		n := rapid.IntRange(-400, 400).Draw(t, "n")
		if got := calendar.DaysBetween(at, calendar.AddDays(at, n, loc), loc); got != n {
			t.Fatalf("%d days after is %d days after", n, got)
		}
	})
}

func TestZone(t *testing.T) {
	t.Parallel()
	if zone(t, "").String() != calendar.Bank {
		t.Error("the empty zone is not the bank's")
	}
	if _, err := calendar.Zone("Mars/Base"); err == nil {
		t.Error("a zone that does not exist was found")
	}
}
