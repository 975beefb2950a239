package campaign

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/internal/contact"
)

func at(t *testing.T, s string) time.Time {
	t.Helper()
	loc, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	tm, err := time.ParseInLocation("2006-01-02 15:04", s, loc)
	if err != nil {
		t.Fatal(err)
	}
	return tm
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	work := Terms{Zone: "Asia/Shanghai", Start: "2026-11-23", End: "2026-11-27",
		Hours: []contact.Hours{{From: 9 * 60, To: 12 * 60, Days: 0b0111110}, {From: 14 * 60, To: 20 * 60, Days: 0b0111110}}}
	weekend := Terms{Zone: "Asia/Shanghai", Hours: []contact.Hours{{From: 600, To: 660, Days: 0b1000001}}}
	always := Terms{Zone: "Asia/Shanghai"}
	for name, c := range map[string]struct {
		t    Terms
		now  string
		next string // "" = never again
	}{
		"open":                   {work, "2026-11-23 10:00", "2026-11-23 10:00"},
		"first minute":           {work, "2026-11-23 09:00", "2026-11-23 09:00"},
		"end of window excluded": {work, "2026-11-23 12:00", "2026-11-23 14:00"},
		"lunch":                  {work, "2026-11-23 13:15", "2026-11-23 14:00"},
		"evening":                {work, "2026-11-23 20:00", "2026-11-24 09:00"},
		"before it starts":       {work, "2026-11-01 10:00", "2026-11-23 09:00"},
		"after the last window":  {work, "2026-11-27 20:00", ""},
		"after it ended":         {work, "2026-11-29 10:00", ""},
		"weekend only":           {weekend, "2026-11-23 10:30", "2026-11-28 10:00"},
		"weekend over":           {weekend, "2026-11-29 11:00", "2026-12-05 10:00"},
		"no hours":               {always, "2026-11-23 03:00", "2026-11-23 03:00"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, more := c.t.Next(at(t, c.now))
			if more != (c.next != "") || more && !got.Equal(at(t, c.next)) {
				t.Fatalf("next of %s is %v (%v), want %s", c.now, got, more, c.next)
			}
			if more && !c.t.Open(got) {
				t.Fatal("the next opening is not open")
			}
		})
	}
	if left := work.OpenLeft(at(t, "2026-11-26 11:00")); left != 16*time.Hour {
		t.Errorf("left to the end %v", left)
	}
	if left := weekend.OpenLeft(at(t, "2026-11-28 10:30")); left != 30*time.Minute {
		t.Errorf("left of the day %v", left)
	}
}

// However a call ends, a member is never due more often than the caps allow,
// never before its wait is over, and never outside the schedule.
func TestAfterKeepsTheCaps(t *testing.T) {
	t.Parallel()
	outcomes := []contact.Outcome{contact.NoAnswer, contact.Busy, contact.Rejected, contact.Unreachable, contact.Voicemail,
		contact.Connected, contact.Effective, contact.Unknown, contact.NotSent}
	rapid.Check(t, func(rt *rapid.T) {
		terms := Terms{Zone: "Asia/Shanghai", MaxAttempts: rapid.IntRange(1, 5).Draw(rt, "max"),
			MaxPerDay: rapid.IntRange(0, 3).Draw(rt, "perDay"), RetryAfter: map[contact.Outcome]time.Duration{},
			Hours: []contact.Hours{{From: rapid.IntRange(0, 1000).Draw(rt, "from"), To: 1200}}}
		for _, o := range outcomes[:6] {
			if rapid.Bool().Draw(rt, string(o)) {
				terms.RetryAfter[o] = time.Duration(rapid.IntRange(1, 3000).Draw(rt, "wait")) * time.Minute
			}
		}
		now := time.Date(2026, 11, 23, rapid.IntRange(0, 23).Draw(rt, "hour"), 0, 0, 0, time.UTC)
		m, perDay, tries := Member{State: Dialing}, map[string]int{}, 0
		for range 30 {
			o := rapid.SampledFrom(outcomes).Draw(rt, "outcome")
			if o != contact.NotSent {
				tries++
				perDay[terms.local(now).Format(time.DateOnly)]++
			}
			m = terms.After(m, o, now)
			if m.State != Due {
				if o == contact.Unknown && m.State != Parked || o == contact.Effective && m.State != Finished {
					rt.Fatalf("%s gave %s", o, m.State)
				}
				break
			}
			due := time.UnixMicro(m.DueAt)
			if due.Before(now.Add(time.Minute)) || o != contact.NotSent && !terms.Open(due) {
				rt.Fatalf("%s at %v: due %v", o, now, due)
			}
			now = due
		}
		if tries > terms.MaxAttempts {
			rt.Fatalf("%d calls, cap %d", tries, terms.MaxAttempts)
		}
		for day, n := range perDay {
			if terms.MaxPerDay > 0 && n > terms.MaxPerDay {
				rt.Fatalf("%d calls on %s, cap %d", n, day, terms.MaxPerDay)
			}
		}
	})
}

func TestReadTerms(t *testing.T) {
	t.Parallel()
	got, script, err := ReadTerms("c.yaml", []byte(`
name: Cards
purpose: service
caller_id: "95588"
script: card_renewal
hours: ["09:00-12:00"]
weekdays: [mon, fri]
retry_after: {no_answer: 2h}
calls_per_second: 2.5
`))
	if err != nil || script != "card_renewal" || got.CPS != 2.5 || got.RetryAfter[contact.NoAnswer] != 2*time.Hour ||
		got.Hours[0] != (contact.Hours{From: 540, To: 720, Days: 0b0100010}) {
		t.Fatalf("%+v %q %v", got, script, err)
	}
	for _, bad := range []string{"nme: x", `hours: ["9-12"]`, "weekdays: [un]", "purpose: fun"} {
		if _, _, err := ReadTerms("c.yaml", []byte(bad)); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}

func TestTermsCheckNamesTheField(t *testing.T) {
	t.Parallel()
	whole := Terms{Name: "n", Purpose: contact.Service, Relation: contact.Self, CallerID: "1", ScriptHash: "h", Zone: "Asia/Shanghai",
		MaxAttempts: 2, Concurrency: 1, CPS: 1}
	if err := whole.Check(); err != nil {
		t.Fatal(err)
	}
	for field, spoil := range map[string]func(*Terms){
		"name":         func(t *Terms) { t.Name = " " },
		"purpose":      func(t *Terms) { t.Purpose = 0 },
		"relation":     func(t *Terms) { t.Relation = 0 },
		"caller_id":    func(t *Terms) { t.CallerID = "" },
		"script":       func(t *Terms) { t.ScriptHash = "" },
		"zone":         func(t *Terms) { t.Zone = "Mars/Base" },
		"start":        func(t *Terms) { t.Start = "23.11.2026" },
		"end":          func(t *Terms) { t.Start, t.End = "2026-11-23", "2026-11-22" },
		"hours":        func(t *Terms) { t.Hours = []contact.Hours{{From: 700, To: 600}} },
		"max_attempts": func(t *Terms) { t.MaxAttempts = 0 },
		"max_per_day":  func(t *Terms) { t.MaxPerDay = 3 },
		"concurrency":  func(t *Terms) { t.Concurrency = 0 },
		"cps":          func(t *Terms) { t.CPS = 0 },
		"retry_after":  func(t *Terms) { t.RetryAfter = map[contact.Outcome]time.Duration{contact.Unknown: time.Hour} },
	} {
		c := whole
		spoil(&c)
		if err := c.Check(); err == nil || !containsField(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func containsField(s, field string) bool { return len(s) > len(field) && s[:len(field)] == field }
