package holidays_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/approval"
	"parley/internal/approval/approvaltest"
	"parley/internal/calendar"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/errs"
	"parley/internal/holidays"
)

var ctx = context.Background()

type bank struct {
	*holidays.Store
	t         *testing.T
	db        *db.DB
	approvals *approval.Store
}

func each(t *testing.T, fn func(t *testing.T, b *bank)) {
	t.Helper()
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			var now atomic.Int64
			now.Store(time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC).UnixNano())
			b := &bank{t: t}
			b.db = dbtest.Open(t, dbtest.URL(t, engine), func() time.Time { return time.Unix(0, now.Add(1_000_000)) })
			b.approvals = approvaltest.Open(t, b.db)
			b.Store = holidays.New(b.db, b.approvals)
			b.approvals.Register(b.Approval("approve_rules"))
			if n, err := b.Adopt(ctx, calendar.ShippedDocs()); err != nil || n != len(calendar.ShippedDocs()) {
				t.Fatalf("adopted %d: %v", n, err)
			}
			fn(t, b)
		})
	}
}

func (b *bank) ok(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bank) code(err error, want string) {
	b.t.Helper()
	var e *errs.Error
	if !errors.As(err, &e) || e.Code != want {
		b.t.Errorf("got %v, want %s", err, want)
	}
}

func (b *bank) decide(v *holidays.Version, by string) error {
	b.t.Helper()
	var r *approval.Request
	b.ok(b.db.Read(ctx, func(tx *db.Tx) (err error) {
		r, err = b.approvals.Waiting(ctx, tx, holidays.ApprovalKind, v.ID)
		return err
	}))
	if r == nil {
		b.t.Fatal("nothing waits for approval")
	}
	_, err := b.approvals.ApproveNow(ctx, approval.Decision{ID: r.ID, By: by, Hash: r.Hash})
	return err
}

func date(t *testing.T, s string) calendar.Date {
	t.Helper()
	d, err := calendar.ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func notice(year int, off, work string) calendar.Notice {
	n := calendar.Notice{Year: year, Confidence: "P", Source: calendar.Source{Instrument: "国务院办公厅通知"},
		Days: []calendar.Closing{{Name: calendar.Words{Zh: "元旦", En: "New Year's Day"}, Off: []string{off}}}}
	if work != "" {
		n.Days[0].Work = []string{work}
	}
	return n
}

// TestNextYear: drafted, changed, put to a second person, approved: a version of
// its own, while the old one keeps its days for what was pinned to it.
func TestNextYear(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		old := b.Doc("CN")
		v, err := b.Save(ctx, "CN", notice(2027, "2027-01-01..2027-01-02", ""), "li")
		b.ok(err)
		if v.Name != "2027.1" || v.State != holidays.Draft {
			t.Fatalf("draft %+v", v)
		}
		again, err := b.Save(ctx, "CN", notice(2027, "2027-01-01..2027-01-03", "2026-12-27"), "wang")
		b.ok(err)
		if again.ID != v.ID || again.Notice.Days[0].Work[0] != "2026-12-27" {
			t.Errorf("a second draft of one year: %+v", again)
		}
		if b.Doc("CN").Covers(date(t, "2027-01-01")) {
			t.Error("a draft is in force")
		}
		_, err = b.Submit(ctx, v.ID, "li", "国务院已公布")
		b.ok(err)
		_, err = b.Save(ctx, "CN", notice(2027, "2027-01-01", ""), "li")
		b.code(err, "calendar_not_draft")
		for _, hand := range []string{"li", "wang"} { // whoever wrote or changed it does not approve it
			if err := b.decide(v, hand); err == nil {
				t.Errorf("%s approved what %s had a hand in", hand, hand)
			}
		}
		b.ok(b.decide(v, "zhao"))
		b.ok(b.Refresh(ctx))
		days := b.Book()["CN"]
		if days.Pin() != "CN 2027.1" || !days.IsHoliday(date(t, "2027-01-01")) || !days.IsWorkday(date(t, "2026-12-27")) || !days.IsHoliday(date(t, "2020-02-02")) {
			t.Errorf("in force is %s", days.Pin())
		}
		pinned, err := b.Pinned(ctx, old.Pin())
		b.ok(err)
		if pinned.Sum != old.Sum || pinned.IsWorkday(date(t, "2026-12-27")) || pinned.Covers(date(t, "2027-01-01")) {
			t.Error("the version that older deadlines are pinned to has changed")
		}
		_, err = b.Pinned(ctx, "CN 1999.1")
		b.code(err, "calendar_unknown")
		hist, err := b.History(ctx, "CN")
		b.ok(err)
		if len(hist) != 2 || hist[0].Name != "2027.1" || hist[0].Since.IsZero() || hist[0].Sum == "" {
			t.Errorf("history %+v", hist)
		}
		var entries int
		b.ok(b.db.Read(ctx, func(tx *db.Tx) error {
			return tx.QueryRow(ctx, `SELECT count(*) FROM ledger_outbox`).Scan(&entries)
		}))
		if entries < len(calendar.ShippedDocs())+4 { // shipped, drafted, changed, asked, approved
			t.Errorf("%d ledger entries", entries)
		}
	})
}

// TestOtherProcess: a process that has not looked since still reckons with what
// is in force, inside its own transaction.
func TestOtherProcess(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		other := holidays.New(b.db, b.approvals)
		n, err := other.Adopt(ctx, calendar.ShippedDocs())
		b.ok(err)
		if n != 0 {
			t.Errorf("taken over %d versions twice", n)
		}
		v, err := b.Save(ctx, "CN", notice(2027, "2027-01-01", ""), "li")
		b.ok(err)
		_, err = b.Submit(ctx, v.ID, "li", "")
		b.ok(err)
		b.ok(b.decide(v, "zhao"))
		b.ok(b.db.Read(ctx, func(tx *db.Tx) error {
			days, err := other.Days(ctx, tx, "CN")
			if err == nil && days.Pin() != "CN 2027.1" {
				t.Errorf("the other process reckons with %s", days.Pin())
			}
			none, err2 := other.Days(ctx, tx, "ZZ")
			if none != nil || err2 != nil {
				t.Errorf("ZZ: %v %v", none, err2)
			}
			return err
		}))
		// what ships later and knows less does not push the approved year out
		b.ok(other.Refresh(ctx))
		amended, err := calendar.ShippedDocs()[0].Revise("2026.9", notice(2026, "2026-01-01", ""))
		b.ok(err)
		_, err = other.Adopt(ctx, []*calendar.Calendar{amended})
		b.ok(err)
		if got := other.Doc("CN").Version(); got != "2027.1" {
			t.Errorf("in force is %s", got)
		}
	})
}

// TestRefusals: what is not a year, not a date, or not the same version any more.
func TestRefusals(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		_, err := b.Save(ctx, "CN", notice(2028, "2028-01-01", ""), "li")
		b.code(err, "calendar_year")
		_, err = b.Save(ctx, "ZZ", notice(2027, "2027-01-01", ""), "li")
		b.code(err, "calendar_unknown")
		_, err = b.Save(ctx, "CN", calendar.Notice{Year: 2027, Confidence: "P", Source: calendar.Source{Instrument: "x"}}, "li")
		b.code(err, "calendar_empty")
		_, err = b.Save(ctx, "CN", notice(2027, "2027-02-30", ""), "li")
		b.code(err, "calendar_days")
		if err == nil || !strings.Contains(err.Error(), "2027-02-30") {
			t.Errorf("the fault does not name the date: %v", err)
		}
		_, err = b.Save(ctx, "CN", notice(2027, "2027-01-01", "2027-01-04"), "li") // a Monday cannot be made up
		b.code(err, "calendar_days")
		changed, err := b.Doc("CN").Revise("2026.1", notice(2026, "2026-01-01", ""))
		b.ok(err)
		_, err = b.Adopt(ctx, []*calendar.Calendar{changed})
		b.code(err, "calendar_changed")
	})
}

// TestSentBack: what is sent back is a draft again; what was dropped frees its year.
func TestSentBack(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		v, err := b.Save(ctx, "US", notice(2026, "2026-01-09", ""), "li")
		b.ok(err)
		_, err = b.Submit(ctx, v.ID, "li", "")
		b.ok(err)
		var r *approval.Request
		b.ok(b.db.Read(ctx, func(tx *db.Tx) (err error) {
			r, err = b.approvals.Waiting(ctx, tx, holidays.ApprovalKind, v.ID)
			return err
		}))
		if !strings.Contains(r.After, "2026-01-09 休 元旦") || strings.Contains(r.Before, "2026-01-09") || !strings.Contains(r.Before, "2026-07-03") {
			t.Errorf("the approver reads\n%s\nafter\n%s", r.After, r.Before)
		}
		_, err = b.approvals.SendBackNow(ctx, approval.Decision{ID: r.ID, By: "zhao", Hash: r.Hash, Note: "缺来源"})
		b.ok(err)
		got, err := b.Get(ctx, v.ID)
		b.ok(err)
		if got.State != holidays.Draft {
			t.Errorf("after being sent back it is %s", got.State)
		}
		_, err = b.Drop(ctx, v.ID, "li")
		b.ok(err)
		if open, err := b.Open(ctx, "US", 2026); open != nil || err != nil {
			t.Errorf("a dropped draft is open: %+v %v", open, err)
		}
		next, err := b.Save(ctx, "US", notice(2026, "2026-01-09", ""), "li")
		b.ok(err)
		if next.Name == v.Name || next.ID == v.ID {
			t.Error("a dropped draft's name is used again")
		}
	})
}
