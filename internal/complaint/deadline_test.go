package complaint_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"parley/internal/approval/approvaltest"
	"parley/internal/calendar"
	"parley/internal/complaint"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/ledger"
	"parley/internal/policy"
	"parley/packs"
)

// A deadline is pinned to the version of the calendar that was in force when it
// was reckoned, and says so when it runs into a year that nobody has announced.
func TestDeadlinePinsItsCalendar(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		ctx := context.Background()
		inForce := calendar.Shipped()["CN"]
		b.Desk = complaint.New(b.db, b.eyes, approvaltest.Keys(t), b.consent, b, b.remedy, complaint.Options{BankZh: "守约银行", Hotline: "95500", Zone: shanghai,
			Days: func(context.Context, *db.Tx) (*calendar.Days, error) { return inForce, nil }})
		c := b.open(t, complaint.Intake{Source: "web", Party: b.party, Words: "一直打电话"})
		deadlines := func() []complaint.Deadline {
			t.Helper()
			f, err := b.Get(ctx, c.ID)
			if err != nil {
				t.Fatal(err)
			}
			return f.Deadlines
		}
		if ds := deadlines(); ds[0].Calendar != "CN 2026.1" || ds[0].Unsure {
			t.Errorf("the first deadline: %+v", ds[0])
		}
		extend := func() {
			t.Helper()
			if err := b.AskExtension(ctx, c.ID, "handler", "需要调取第三方录音"); err != nil {
				t.Fatal(err)
			}
		}
		extend()
		if ds := deadlines(); ds[1].Calendar != "CN 2026.1" || ds[1].Unsure { // 2026-12-23
			t.Errorf("the second deadline: %+v", ds[1])
		}

		late := b.open(t, complaint.Intake{Source: "web", Words: "再投诉"})
		b.set(time.Date(2026, 12, 20, 10, 0, 0, 0, shanghai))
		c = b.open(t, complaint.Intake{Source: "web", Words: "年底投诉"}) // due 2027-01-04
		if ds := deadlines(); !ds[0].Unsure {
			t.Errorf("due %s, and nobody knows 2027: %+v", ds[0].Due, ds[0])
		}
		announced, err := calendar.ShippedDocs()[0].Revise("2027.1", calendar.Notice{Year: 2027, Confidence: "P",
			Source: calendar.Source{Instrument: "国务院办公厅通知"}, Days: []calendar.Closing{{Name: calendar.Words{Zh: "元旦", En: "New Year's Day"}, Off: []string{"2027-01-01"}}}})
		if err != nil {
			t.Fatal(err)
		}
		inForce = announced.Days
		if ds := deadlines(); ds[0].Calendar != "CN 2026.1" || !ds[0].Unsure {
			t.Errorf("a new version changed an old deadline: %+v", ds[0])
		}
		c = b.open(t, complaint.Intake{Source: "web", Words: "又一件"})
		if ds := deadlines(); ds[0].Calendar != "CN 2027.1" || ds[0].Unsure {
			t.Errorf("a deadline after the announcement: %+v", ds[0])
		}
		c = late
		if ds := deadlines(); ds[0].Calendar != "CN 2026.1" || ds[0].Unsure {
			t.Errorf("an older one: %+v", ds[0])
		}
	})
}

// demanding is pack cn with another grade for those who approve CN-CMP-60.
func demanding(t *testing.T, approver string) *policy.Set {
	t.Helper()
	cn, err := fs.ReadFile(packs.FS, "cn.yaml")
	if err != nil {
		t.Fatal(err)
	}
	set, err := policy.LoadFS(fstest.MapFS{"cn.yaml": {Data: []byte(strings.Replace(string(cn), "approver: upper_institution", "approver: "+approver, 1))}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// What the rule demands of the approver is the rule's (CN-CMP-60), not the
// program's: a grade that nobody has is refused in words, and one that the rule
// no longer demands decides nothing.
func TestGradeOfTheApproverIsTheRules(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		ctx := context.Background()
		c := b.open(t, complaint.Intake{Source: "web", Party: b.party, Words: "一直打电话"})
		ask := func() error { return b.AskExtension(ctx, c.ID, "handler", "复杂") }
		decide := func(who string) error { return b.DecideExtension(ctx, c.ID, who, true, "") }
		if err := errors.Join(ask(), decide("approver")); err != nil {
			t.Fatal(err)
		}
		b.packs = demanding(t, "board")
		if err := ask(); code(err) != "grade_unknown" || !strings.Contains(err.Error(), "CN-CMP-60") || !strings.Contains(err.Error(), "board") {
			t.Errorf("a grade that nobody has: %v", err)
		}
		b.packs = nil
		if err := ask(); err != nil {
			t.Fatal(err)
		}
		b.packs = demanding(t, "board")
		if err := decide("senior"); code(err) != "grade_moved" {
			t.Errorf("approved by a grade that no longer suffices: %v", err)
		}
		b.packs = nil
		if err := decide("senior"); err != nil {
			t.Error(err)
		}
	})
}

// The ledger's entries of a deadline pin the calendar it was reckoned with:
// received, extended (CN-CMP-30), reviewed (CN-CMP-REV).
func TestLedgerPinsTheCalendarOfADeadline(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		ctx := context.Background()
		c := b.open(t, complaint.Intake{Source: "web", Party: b.party, Words: "一直打电话"})
		_, taken := b.Take(ctx, c.ID, "handler")
		err := errors.Join(taken, b.AskExtension(ctx, c.ID, "handler", "复杂"), b.DecideExtension(ctx, c.ID, "approver", true, ""))
		_, proposed := b.Propose(ctx, c.ID, "handler", decision())
		_, answered := b.Answer(ctx, c.ID, "approver")
		_, again := b.AskReview(ctx, c.ID, "不同意")
		if err := errors.Join(err, proposed, answered, again); err != nil {
			t.Fatal(err)
		}
		rules := map[string]string{}
		for _, e := range b.entries(t, c.ID) {
			if e.data["due"] != nil && e.kind != "case.extension_asked" {
				if e.data["calendar"] != "CN 2026.1" {
					t.Errorf("%v pins no calendar", e)
				}
				rules[e.data["rule"].(string)] = e.kind
			}
		}
		if want := map[string]string{"CN-CMP-15": "case.opened", "CN-CMP-30": "case.extended", "CN-CMP-REV": "case.ask_review"}; !maps.Equal(rules, want) {
			t.Errorf("deadlines in the ledger: %v, want %v", rules, want)
		}
	})
}

// entry is one entry of the ledger.
type entry struct {
	kind string
	data map[string]any
}

// entries gives what the ledger says about a thing, in order.
func (b *bank) entries(t *testing.T, id contact.ID) []entry {
	t.Helper()
	key, err := ledger.NewKey("parley.example/test")
	if err != nil {
		t.Fatal(err)
	}
	log, err := ledger.Open(context.Background(), b.db, ledger.Options{Origin: "parley.example/test", Key: key})
	if err != nil {
		t.Fatal(err)
	}
	rs, err := log.ByID(context.Background(), id)
	if err != nil || len(rs) == 0 {
		t.Fatalf("%d entries, %v", len(rs), err)
	}
	var out []entry
	for _, r := range rs {
		e := entry{kind: r.Type}
		if err := json.Unmarshal(r.Record, &e.data); err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}
