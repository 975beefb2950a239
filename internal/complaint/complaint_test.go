package complaint_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/approval"
	"parley/internal/approval/approvaltest"
	"parley/internal/calendar"
	"parley/internal/complaint"
	"parley/internal/consent"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/errs"
	"parley/internal/ledger"
	"parley/internal/policy"
	"parley/internal/remedy"
)

var shanghai = time.FixedZone("CST", 8*3600)

// bank is a desk on a fresh database, with a clock the test turns.
type bank struct {
	*complaint.Desk
	db      *db.DB
	consent *consent.Store
	remedy  *remedy.Store
	eyes    *approval.Store
	now     *atomic.Int64
	party   contact.ID
	cause   complaint.Cause
	lives   map[contact.ID]string // where customers live
	packs   *policy.Set           // whose terms the desk keeps; nil = those that ship
}

func (b *bank) terms(now time.Time, attrs map[string]string) calendar.Terms {
	return policy.TermsOf(b.packs, now, attrs)
}

// grades are those that somebody in the tests' bank has.
var grades = map[string]string{"upper_institution": "approve_upper"}

// ranks is a bank in which "senior" alone is of the upper institution, and
// everybody else may decide what needs no grade.
type ranks struct{ approvaltest.Plain }

func (ranks) May(_ context.Context, _ *db.Tx, account, permission string) (bool, error) {
	return (account == "senior") == (permission == grades["upper_institution"]), nil
}

func (b *bank) Cause(context.Context, *db.Tx, contact.ID) (complaint.Cause, error) {
	return b.cause, nil
}

func (b *bank) Latest(_ context.Context, _ *db.Tx, party contact.ID, _ time.Time, _ int) ([]complaint.Cause, error) {
	if party == b.party {
		return []complaint.Cause{b.cause}, nil
	}
	return nil, nil
}

func (b *bank) set(t time.Time) { b.now.Store(t.UnixMicro()) }

var received = time.Date(2026, 11, 23, 10, 0, 0, 0, shanghai)

func each(t *testing.T, fn func(t *testing.T, b *bank)) {
	t.Helper()
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			b := &bank{now: &atomic.Int64{}, party: contact.NewID(), lives: map[contact.ID]string{}}
			b.set(received)
			b.db = dbtest.Open(t, dbtest.URL(t, engine), func() time.Time { return time.UnixMicro(b.now.Load()) })
			b.consent = consent.NewStore(b.db, nil)
			b.remedy = remedy.New(b.db, b.consent)
			b.cause = complaint.Cause{Attempt: contact.NewID(), At: received.Add(-time.Hour), Channel: contact.Voice,
				Purpose: contact.Marketing, Outcome: contact.Effective, Effect: "allow", By: "CN-CONSENT-01", Pack: "p"}
			b.eyes = approval.New(b.db, ranks{}, approvaltest.Keys(t))
			b.Desk = complaint.New(b.db, b.eyes, approvaltest.Keys(t), b.consent, b, b.remedy, complaint.Options{BankZh: "守约银行", BankEn: "Parley Bank", Hotline: "95500", Zone: shanghai,
				Grades: grades, Terms: b.terms,
				Region: func(_ context.Context, _ *db.Tx, id contact.ID) (string, error) { return b.lives[id], nil }})
			b.eyes.Register(b.Desk.Approvals("approve_complaint")...)
			fn(t, b)
		})
	}
}

func (b *bank) open(t *testing.T, in complaint.Intake) *complaint.Case {
	t.Helper()
	var c *complaint.Case
	if err := b.db.Write(context.Background(), func(tx *db.Tx) (err error) {
		c, err = b.Open(context.Background(), tx, in)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return c
}

func decision() complaint.Decision {
	return complaint.Decision{Result: complaint.Upheld, Facts: "11月23日9:00拨打营销电话一次。", Basis: "客户曾表示不接收营销电话。",
		Apology: true, Compensation: 5000, Block: &contact.Stop{Purposes: contact.PurposeSet(contact.Marketing)}, RootCause: "名单更新不及时，已改为实时。"}
}

func code(err error) string {
	var e *errs.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// CN-CMP-15, CN-CMP-30, CN-CMP-60 (投诉管理办法 art. 18): received Mon 2026-11-23, simple due 2026-12-08, complex 2026-12-23, special 2027-01-22.
func TestDeadlineExtendsOnlyWithApprovalAndNotice(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		ctx := context.Background()
		c := b.open(t, complaint.Intake{Source: "web", Party: b.party, Words: "一直打电话"})
		day := func(at time.Time) string { return at.In(shanghai).Format("2006-01-02 15:04:05") }
		if got := day(c.Due); got != "2026-12-08 23:59:59" {
			t.Fatalf("CN-CMP-15 due %s", got)
		}
		if err := b.AskExtension(ctx, c.ID, "handler", " "); code(err) != "reason_missing" {
			t.Errorf("an extension without a reason: %v", err)
		}
		for _, x := range []struct{ rule, grade, approver, not, due string }{
			{"CN-CMP-30", "", "approver", "senior", "2026-12-23 23:59:59"},
			{"CN-CMP-60", "upper_institution", "senior", "approver", "2027-01-22 23:59:59"},
		} {
			if err := b.AskExtension(ctx, c.ID, "handler", "需要调取第三方录音"); err != nil {
				t.Fatal(err)
			}
			if err := b.AskExtension(ctx, c.ID, "handler", "再问一次"); code(err) != "extension_asked" {
				t.Errorf("%s asked for twice: %v", x.rule, err)
			}
			if err := b.DecideExtension(ctx, c.ID, x.not, true, ""); code(err) != "not_permitted" {
				t.Errorf("%s approved by somebody without the grade: %v", x.rule, err)
			}
			if err := b.DecideExtension(ctx, c.ID, x.not, false, "不同意"); code(err) != "not_permitted" {
				t.Errorf("%s refused by somebody without the grade: %v", x.rule, err)
			}
			if x.grade == "" {
				if err := b.DecideExtension(ctx, c.ID, "handler", true, ""); code(err) != "four_eyes" {
					t.Errorf("own extension approved: %v", err)
				}
			}
			if err := b.DecideExtension(ctx, c.ID, x.approver, true, ""); err != nil {
				t.Fatal(err)
			}
			f, err := b.Get(ctx, c.ID)
			if err != nil {
				t.Fatal(err)
			}
			if got := day(f.Case.Due); got != x.due {
				t.Errorf("extended to %s, want %s", got, x.due)
			}
			last := f.Deadlines[len(f.Deadlines)-1]
			if last.Rule != x.rule || last.State != "running" || last.Told.IsZero() || last.ApprovedBy != x.approver {
				t.Errorf("the extension is not a told and approved term: %+v", last)
			}
			ev := f.Events[len(f.Events)-1]
			grade, _ := ev.Data["grade"].(string)
			if ev.Kind != "extended" || !ev.Public || ev.Data["calendar"] != "CN 2026.1" || ev.Data["rule"] != x.rule || grade != x.grade {
				t.Errorf("the customer does not see the extension, or it pins no calendar or grade: %+v", ev)
			}
		}
		if err := b.AskExtension(ctx, c.ID, "handler", "再要一次"); code(err) != "no_extension" {
			t.Errorf("a fourth term: %v", err)
		}
	})
}

func TestExtensionAfterTheDeadlineIsRefusedAndMissedOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		ctx := context.Background()
		c := b.open(t, complaint.Intake{Source: "web", Party: b.party, Words: "x"})
		if err := b.AskExtension(ctx, c.ID, "handler", "复杂"); err != nil {
			t.Fatal(err)
		}
		b.set(c.Due)
		if n, err := b.Tick(ctx); err != nil || n != 0 {
			t.Errorf("missed at its very last instant: %d, %v", n, err)
		}
		b.set(c.Due.Add(time.Second))
		if err := b.DecideExtension(ctx, c.ID, "approver", true, ""); code(err) != "extension_late" {
			t.Errorf("extended after the deadline: %v", err)
		}
		for i, want := range []int{1, 0} {
			if n, err := b.Tick(ctx); err != nil || n != want {
				t.Errorf("tick %d marked %d, %v; want %d", i, n, err, want)
			}
		}
	})
}

func TestTwoPeopleStandBehindAnAnswer(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		ctx := context.Background()
		c := b.open(t, complaint.Intake{Source: "key2", Party: b.party, Attempt: b.cause.Attempt, Recording: strings.Repeat("a", 64), From: time.Second, To: 3 * time.Second})
		if c.Cause == nil || c.Cause.Attempt != b.cause.Attempt {
			t.Fatalf("the case opened without its cause: %+v", c)
		}
		if st := b.standing(t); len(st.Stops) != 1 || st.Stops[0].Kind != contact.Hold {
			t.Errorf("marketing is not held while the case is open: %+v", st)
		}
		if _, err := b.Answer(ctx, c.ID, "approver"); code(err) != "case_moved_on" {
			t.Errorf("answered before anybody looked: %v", err)
		}
		if _, err := b.Take(ctx, c.ID, "handler"); err != nil {
			t.Fatal(err)
		}
		bad := decision()
		bad.Basis = ""
		if _, err := b.Propose(ctx, c.ID, "handler", bad); code(err) != "decision_incomplete" {
			t.Errorf("art. 19: a decision without its basis: %v", err)
		}
		if _, err := b.Propose(ctx, c.ID, "handler", decision()); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Answer(ctx, c.ID, "handler"); code(err) != "four_eyes" {
			t.Errorf("own decision approved: %v", err)
		}
		if _, err := b.SendBack(ctx, c.ID, "approver", "请补充录音时间点"); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Propose(ctx, c.ID, "handler", decision()); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Answer(ctx, c.ID, "approver"); err != nil {
			t.Fatal(err)
		}
		f, err := b.ByToken(ctx, c.Token)
		if err != nil {
			t.Fatal(err)
		}
		l := f.Answer(f.Decisions[len(f.Decisions)-1].ID)
		if l == nil {
			t.Fatal("no letter was written")
		}
		for _, section := range []string{"查明的事实", "依据和理由", "处理决定", "如果您不同意", "核查", "调解", "仲裁", "诉讼", "¥50.00", "95500", c.Number} {
			if !strings.Contains(l.Zh, section) {
				t.Errorf("CN-CMP-LETTER: the letter lacks %q:\n%s", section, l.Zh)
			}
		}
		if !strings.Contains(l.En, "ask for a review") || !strings.Contains(l.En, "¥50.00") {
			t.Errorf("the English letter:\n%s", l.En)
		}
		if f.Deadlines[0].State != "met" {
			t.Errorf("deadline %+v", f.Deadlines[0])
		}
		orders, err := b.remedy.ByCase(ctx, c.ID)
		if err != nil || len(orders) != 3 {
			t.Fatalf("remedies %+v, %v", orders, err)
		}
		if _, err := b.Accept(ctx, c.ID); err != nil {
			t.Fatal(err)
		}
		st := b.standing(t)
		if len(st.Stops) != 1 || st.Stops[0].Kind != contact.DoNotContact || st.Stops[0].ID != orders[2].Stop {
			t.Errorf("after closing, what bars contact is the block alone: %+v", st)
		}
	})
}

func (b *bank) standing(t *testing.T) contact.Standing {
	t.Helper()
	var st contact.Standing
	if err := b.db.Read(context.Background(), func(tx *db.Tx) error {
		m, err := b.consent.Load(context.Background(), tx, []contact.ID{b.party}, false)
		st = m[b.party]
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return st
}

// art. 20 and recusal: a review is done by people who had no part in the first decision.
func TestReviewGoesToOtherPeople(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		ctx := context.Background()
		c := b.open(t, complaint.Intake{Source: "staff", Party: b.party, Words: "不满意", By: "clerk"})
		d := decision()
		d.Result, d.Block, d.Compensation, d.Apology = complaint.NotUpheld, nil, 0, false
		answer := func(handler, approver string) {
			t.Helper()
			if _, err := b.Take(ctx, c.ID, handler); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Propose(ctx, c.ID, handler, d); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Answer(ctx, c.ID, approver); err != nil {
				t.Fatal(err)
			}
		}
		answer("handler", "approver")
		b.set(received.AddDate(0, 0, 20))
		if _, err := b.AskReview(ctx, c.ID, "事实不对"); err != nil {
			t.Fatal(err)
		}
		for _, who := range []string{"handler", "approver"} {
			if _, err := b.Take(ctx, c.ID, who); code(err) != "recusal" {
				t.Errorf("%s reviews their own decision: %v", who, err)
			}
		}
		answer("second", "third")
		if _, err := b.AskReview(ctx, c.ID, "还是不对"); code(err) != "review_used" {
			t.Errorf("a second review: %v", err)
		}
		if _, err := b.WithdrawCase(ctx, c.ID); err != nil {
			t.Errorf("art. 15: %v", err)
		}
	})
}

// 投诉管理办法 20: thirty days from the answer; the page and the letter name the
// day that the desk keeps to.
func TestReviewMustComeWithin30Days(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		ctx := context.Background()
		var ids []contact.ID
		var by time.Time
		for range 2 {
			c := b.open(t, complaint.Intake{Source: "web", Words: "不知道是谁打的"})
			if c.Cause != nil {
				t.Error("a cause out of thin air")
			}
			d := decision()
			if _, err := b.Take(ctx, c.ID, "h"); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Propose(ctx, c.ID, "h", d); code(err) != "block_nobody" {
				t.Errorf("blocked an unknown person: %v", err)
			}
			d.Block = nil
			if _, err := b.Propose(ctx, c.ID, "h", d); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Answer(ctx, c.ID, "a"); err != nil {
				t.Fatal(err)
			}
			f, err := b.Get(ctx, c.ID)
			if err != nil {
				t.Fatal(err)
			}
			ids, by = append(ids, c.ID), f.ReviewBy
		}
		if late := time.Date(2026, 12, 24, 0, 0, 0, 0, shanghai); !by.Equal(late.Add(-time.Microsecond)) {
			t.Errorf("the customer is told %s", by)
		}
		b.set(by.Add(-time.Second))
		if _, err := b.AskReview(ctx, ids[0], "不同意"); err != nil {
			t.Errorf("the last second of day 30: %v", err)
		}
		if f, err := b.Get(ctx, ids[0]); err != nil || !f.ReviewBy.IsZero() {
			t.Errorf("a review under way: %v, %v", f.ReviewBy, err)
		}
		b.set(by.Add(time.Microsecond))
		if _, err := b.AskReview(ctx, ids[1], "不同意"); code(err) != "review_late" {
			t.Errorf("day 31: %v", err)
		}
	})
}

func TestIntakeRefusals(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		for want, in := range map[string]complaint.Intake{
			"words_missing":  {Source: "web", Words: "  "},
			"words_too_long": {Source: "web", Words: strings.Repeat("字", 10_000)},
		} {
			err := b.db.Write(context.Background(), func(tx *db.Tx) error {
				_, err := b.Open(context.Background(), tx, in)
				return err
			})
			if code(err) != want {
				t.Errorf("%v, want %s", err, want)
			}
		}
		first := b.open(t, complaint.Intake{Source: "web", Words: "a"})
		second := b.open(t, complaint.Intake{Source: "web", Words: "b"})
		if first.Number != "2026-000001" || second.Number != "2026-000002" || first.Token == second.Token {
			t.Errorf("numbers %s, %s", first.Number, second.Number)
		}
		if _, err := b.ByToken(context.Background(), "guess"); code(err) != "case_not_found" {
			t.Errorf("a guessed link: %v", err)
		}
		cs, err := b.List(context.Background(), complaint.Filter{State: complaint.Open, Limit: 1})
		if err != nil || len(cs) != 1 || cs[0].Number != second.Number {
			t.Errorf("list %v, %v", cs, err)
		}
		n, err := b.Count(context.Background())
		if err != nil || n.Total != 2 || n.ByState[complaint.Open] != 2 || n.WithCause != 0 {
			t.Errorf("counts %+v, %v", n, err)
		}
	})
}

// The evidence bundle of a case verifies with no database and no network.
func TestBundleVerifiesOffline(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		ctx := context.Background()
		key, err := ledger.NewKey("parley.example/test")
		if err != nil {
			t.Fatal(err)
		}
		log, err := ledger.Open(ctx, b.db, ledger.Options{Origin: "parley.example/test", Key: key})
		if err != nil {
			t.Fatal(err)
		}
		c := b.open(t, complaint.Intake{Source: "web", Party: b.party, Words: "不要再打了"})
		if _, err := b.Take(ctx, c.ID, "h"); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Propose(ctx, c.ID, "h", decision()); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Answer(ctx, c.ID, "a"); err != nil {
			t.Fatal(err)
		}
		if _, err := log.Seal(ctx); err != nil {
			t.Fatal(err)
		}
		var zip bytes.Buffer
		if err := b.Bundle(ctx, &zip, c.ID, log, noRecordings{}); err != nil {
			t.Fatal(err)
		}
		rep, err := ledger.VerifyBundle(bytes.NewReader(zip.Bytes()), int64(zip.Len()), key.Public())
		if err != nil || !rep.OK() {
			t.Fatalf("%v %+v", err, rep)
		}
		if len(rep.Files) != 6 || // two letters in two languages and their wordings
			len(rep.Records) < 6 {
			t.Errorf("the bundle has %d files and %d records", len(rep.Files), len(rep.Records))
		}
	})
}

type noRecordings struct{}

func (noRecordings) Open(string) (io.ReadSeekCloser, error) { return nil, os.ErrNotExist }
