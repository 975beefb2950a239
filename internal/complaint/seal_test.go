package complaint_test

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"parley/internal/approval"
	"parley/internal/approval/approvaltest"
	"parley/internal/complaint"
	"parley/internal/consent"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/remedy"
)

// written is a case with every text that people can write.
func (b *bank) written(t *testing.T) *complaint.Case {
	t.Helper()
	ctx := context.Background()
	c := b.open(t, complaint.Intake{Source: "web", Party: b.party, Subject: "S-金丝雀", Words: "W-金丝雀 13800138000"})
	for _, err := range []error{
		func() error { _, err := b.Take(ctx, c.ID, "handler"); return err }(),
		b.Note(ctx, c.ID, "handler", "N-金丝雀"),
		b.AskExtension(ctx, c.ID, "handler", "E-金丝雀"),
		func() error {
			d := decision()
			d.Facts, d.Basis, d.RootCause, d.Block = "F-金丝雀", "B-金丝雀", "R-金丝雀", nil
			_, err := b.Propose(ctx, c.ID, "handler", d)
			return err
		}(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// What people wrote in a case is not readable in the database file: the
// customer's words, the notes, the reasons, the decision and the letters.
func TestTextsAreSealed(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	url := dbtest.URL(t, "sqlite")
	b := &bank{party: contact.NewID(), db: dbtest.Open(t, url, nil), cause: complaint.Cause{Attempt: contact.NewID(), Channel: contact.Voice, Purpose: contact.Marketing}}
	cs := consent.NewStore(b.db, nil)
	a := approvaltest.Open(t, b.db)
	b.Desk = complaint.New(b.db, a, approvaltest.Keys(t), cs, b, remedy.New(b.db, cs), complaint.Options{BankZh: "守约银行", Hotline: "95500", Zone: shanghai})
	a.Register(b.Approvals("p")...)
	c := b.written(t)
	if _, err := b.SendBack(ctx, c.ID, "approver", "K-金丝雀"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Propose(ctx, c.ID, "handler", complaint.Decision{Result: complaint.Upheld, Facts: "F-金丝雀", Basis: "B-金丝雀", RootCause: "R-金丝雀"}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Answer(ctx, c.ID, "approver"); err != nil {
		t.Fatal(err)
	}
	f, err := b.Get(ctx, c.ID)
	if err != nil || f.Case.Words != "W-金丝雀 13800138000" || f.Case.Subject != "S-金丝雀" || f.Decisions[0].Note != "K-金丝雀" || !strings.Contains(f.Answer(f.Decisions[1].ID).Zh, "F-金丝雀") {
		t.Fatalf("%+v %v", f, err)
	}
	found, err := b.Search(ctx, "w-金丝雀", 5)
	if err != nil || len(found) != 1 || found[0].ID != c.ID {
		t.Errorf("search: %v %v", found, err)
	}
	path := b.db.Path()
	b.db.Close()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(raw, []byte(c.ID)) {
		t.Fatal("the row is not in the file: the test looks at the wrong thing")
	}
	for _, secret := range []string{"金丝雀", "13800138000"} {
		if bytes.Contains(raw, []byte(secret)) {
			t.Errorf("%s is readable in the file", secret)
		}
	}
}

// A text that was moved to another row does not open there.
func TestTextsCannotBeSwapped(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		ctx := context.Background()
		one := b.open(t, complaint.Intake{Source: "web", Party: b.party, Words: "一"})
		two := b.open(t, complaint.Intake{Source: "web", Party: b.party, Words: "二"})
		if err := b.db.Write(ctx, func(tx *db.Tx) error {
			_, err := tx.Exec(ctx, "UPDATE complaint_case SET words = (SELECT words FROM complaint_case WHERE id = $1) WHERE id = $2", one.ID, two.ID)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Get(ctx, two.ID); err == nil {
			t.Error("one case's words were read as another's")
		}
	})
}

// A database of an older version, with texts in the clear and approvals that
// wait in its own tables, reads as before, is sealed at the next start, and
// what waited waits for a second person again.
func TestAdopt(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		ctx := context.Background()
		c := b.written(t)
		want, err := b.Get(ctx, c.ID)
		if err != nil {
			t.Fatal(err)
		}
		// Back to how the older version kept it.
		if err := b.db.Write(ctx, func(tx *db.Tx) error {
			set := func(q string, args ...any) {
				if err == nil {
					_, err = tx.Exec(ctx, q, args...)
				}
			}
			set("UPDATE complaint_case SET sealed = 0, words = $2, subject = $3 WHERE id = $1", c.ID, want.Case.Words, want.Case.Subject)
			set("UPDATE complaint_event SET data = $2 WHERE case_id = $1 AND kind = 'note'", c.ID, `{"text":"N-金丝雀"}`)
			set("UPDATE complaint_deadline SET reason = $2 WHERE case_id = $1 AND state = 'asked'", c.ID, "E-金丝雀")
			set("UPDATE complaint_decision SET body = $2 WHERE case_id = $1", c.ID,
				`{"result":"upheld","facts":"F-金丝雀","basis":"B-金丝雀","apology":true,"compensation_fen":5000,"root_cause":"R-金丝雀"}`)
			set("DELETE FROM approval_request WHERE subject = $1", c.ID)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		same := func(when string) {
			t.Helper()
			got, err := b.Get(ctx, c.ID)
			if err != nil || got.Case.Words != want.Case.Words || got.Decisions[0].Facts != "F-金丝雀" || got.Decisions[0].Compensation != 5000 {
				t.Fatalf("%s: %+v %v", when, got, err)
			}
		}
		same("before")
		for _, n := range []int{1, 0} {
			if got, err := b.Desk.Adopt(ctx); got != n || err != nil {
				t.Fatalf("adopted %d, %v; want %d", got, err, n)
			}
		}
		same("after")
		var clear int
		if err := b.db.Read(ctx, func(tx *db.Tx) error {
			return tx.QueryRow(ctx, `SELECT (SELECT count(*) FROM complaint_case WHERE words LIKE '%金丝雀%' OR subject LIKE '%金丝雀%')
				+ (SELECT count(*) FROM complaint_event WHERE data LIKE '%金丝雀%') + (SELECT count(*) FROM complaint_deadline WHERE reason LIKE '%金丝雀%')
				+ (SELECT count(*) FROM complaint_decision WHERE body LIKE '%金丝雀%')`).Scan(&clear)
		}); err != nil || clear != 0 {
			t.Errorf("%d texts are still in the clear, %v", clear, err)
		}
		if err := b.DecideExtension(ctx, c.ID, "handler", true, ""); code(err) != "four_eyes" {
			t.Errorf("the asker decided: %v", err)
		}
		if err := b.DecideExtension(ctx, c.ID, "approver", false, "不够复杂"); err != nil {
			t.Error(err)
		}
		if _, err := b.Answer(ctx, c.ID, "approver"); err != nil {
			t.Error(err)
		}
	})
}

// 投诉管理办法 art. 20: whoever had a part in the first decision has none in the
// review's; and what waits ends when the customer withdraws (art. 15).
func TestReviewIsDecidedByOthers(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		ctx := context.Background()
		c := b.written(t)
		if _, err := b.Answer(ctx, c.ID, "approver"); err != nil {
			t.Fatal(err)
		}
		b.set(received.Add(48 * time.Hour))
		if _, err := b.AskReview(ctx, c.ID, "没有说清楚"); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Take(ctx, c.ID, "second"); err != nil {
			t.Fatal(err)
		}
		d := decision()
		d.Block = nil
		if _, err := b.Propose(ctx, c.ID, "second", d); err != nil {
			t.Fatal(err)
		}
		for _, who := range []string{"second", "handler", "approver"} {
			if _, err := b.Answer(ctx, c.ID, who); code(err) != "four_eyes" {
				t.Errorf("%s decided the review: %v", who, err)
			}
		}
		if _, err := b.WithdrawCase(ctx, c.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Answer(ctx, c.ID, "other"); code(err) != "case_moved_on" {
			t.Errorf("answered after the withdrawal: %v", err)
		}
		f, err := b.Get(ctx, c.ID)
		if err != nil || f.Decisions[len(f.Decisions)-1].State != "superseded" {
			t.Errorf("%+v %v", f.Decisions, err)
		}
		rs, err := b.eyes.Open(ctx, "", db.Span{N: 10})
		if err != nil || len(rs) != 0 {
			t.Errorf("%d requests still wait, %v", len(rs), err)
		}
		if r, err := b.eyes.About(ctx, complaint.DecisionKind, c.ID); err != nil || len(r) != 2 || r[1].State != approval.Superseded || r[1].Before == "" {
			t.Errorf("%+v %v", r, err)
		}
	})
}
