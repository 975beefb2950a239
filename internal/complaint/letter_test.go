package complaint_test

import (
	"archive/zip"
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/internal/approval"
	"parley/internal/approval/approvaltest"
	"parley/internal/complaint"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/ledger"
	"parley/internal/template"
)

// kinds lists a case's letters.
func kinds(f *complaint.File) string {
	var out []string
	for _, l := range f.Letters {
		out = append(out, l.Kind)
	}
	return strings.Join(out, " ")
}

func (b *bank) file(t *testing.T, c *complaint.Case) *complaint.File {
	t.Helper()
	f, err := b.Get(t.Context(), c.ID)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (b *bank) answered(t *testing.T, c *complaint.Case, d complaint.Decision, handler, approver string) {
	t.Helper()
	ctx := t.Context()
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

// Every step that the customer must learn of writes its letter, in both
// languages, in the transaction of the step (投诉管理办法 art. 18 to 20).
func TestEveryStepIsTold(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		ctx := t.Context()
		c := b.open(t, complaint.Intake{Source: "web", Party: b.party, Words: "一直打电话"})
		if err := b.AskExtension(ctx, c.ID, "handler", "需要调取第三方录音"); err != nil {
			t.Fatal(err)
		}
		if err := b.DecideExtension(ctx, c.ID, "approver", true, ""); err != nil {
			t.Fatal(err)
		}
		b.set(b.file(t, c).Case.Due.Add(time.Second))
		if _, err := b.Tick(ctx); err != nil {
			t.Fatal(err)
		}
		d := decision()
		d.Result, d.Block, d.Compensation, d.Apology = complaint.Partly, nil, 0, false
		b.answered(t, c, d, "handler", "approver")
		if _, err := b.AskReview(ctx, c.ID, "事实不对"); err != nil {
			t.Fatal(err)
		}
		b.answered(t, c, d, "second", "third")
		if _, err := b.Accept(ctx, c.ID); err != nil {
			t.Fatal(err)
		}
		f := b.file(t, c)
		if got := kinds(f); got != "received extended late answer review answer closed" {
			t.Fatalf("told %q", got)
		}
		for i, want := range [][2]string{
			{"在2026年12月8日之前答复您", "by 8 December 2026"},
			{"不能在2026年12月8日之前给您完整的答复，对不起。\n\n我们最迟在2026年12月23日答复您。\n原因：需要调取第三方录音", "The reason: 需要调取第三方录音"},
			{"答应在2026年12月23日之前", "by 23 December 2026"},
			{"您的投诉部分成立。\n改进措施", "Up to and including 23 January 2027 you can ask for a review"},
			{"在2027年1月23日之前把核查结果", "by 23 January 2027"},
			{"如果您不同意\n您也可以向调解组织", "4. If you disagree\nYou can also turn"},
			{"您接受了我们的答复", "You accepted our answer"},
		} {
			l := f.Letters[i]
			if !strings.Contains(l.Zh, want[0]) || !strings.Contains(l.En, want[1]) || !strings.Contains(l.Zh, c.Number) || l.Version != 1 || l.Sum == "" {
				t.Errorf("letter %d lacks %q:\n%s\n%s", i, want, l.Zh, l.En)
			}
			if subject, text := l.Parts("zh"); subject == "" || strings.HasPrefix(text, subject) {
				t.Errorf("letter %d has the subject %q", i, subject)
			}
		}
		gone := b.open(t, complaint.Intake{Source: "web", Party: b.party, Words: "算了"})
		if _, err := b.WithdrawCase(ctx, gone.ID); err != nil {
			t.Fatal(err)
		}
		if f := b.file(t, gone); kinds(f) != "received closed" || !strings.Contains(f.Letters[1].Zh, "您撤回了") {
			t.Errorf("after a withdrawal: %q", kinds(f))
		}
	})
}

// A number typed into a form is no proof: what the bank writes names no contact
// of that customer.
func TestLettersNameNoContactToAStranger(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		c := b.open(t, complaint.Intake{Source: "web", Party: b.party, Attempt: b.cause.Attempt, Words: "x", Claimed: true})
		d := decision()
		d.Block = nil
		b.answered(t, c, d, "handler", "approver")
		for _, l := range b.file(t, c).Letters {
			if strings.Contains(l.Zh+l.En, "09:00") {
				t.Errorf("%s names the contact:\n%s", l.Kind, l.Zh)
			}
		}
	})
}

// A letter keeps the wording it was made from: the next one follows the new
// version, the bundle holds both with who approved them, and verifies.
func TestLetterKeepsItsWording(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		ctx := t.Context()
		words := template.New(b.db, b.eyes, shanghai)
		b.eyes.Register(words.Approval("approve_template"))
		if _, err := words.Adopt(ctx); err != nil {
			t.Fatal(err)
		}
		b.Desk = complaint.New(b.db, b.eyes, approvaltest.Keys(t), b.consent, b, b.remedy, complaint.Options{BankZh: "守约银行",
			BankEn: "Parley Bank", Hotline: "95500", Zone: shanghai, Wordings: words})
		first := b.open(t, complaint.Intake{Source: "web", Party: b.party, Words: "一"})
		texts := b.wording(t, words, letterOf).Texts
		texts.Zh.Subject = "投诉收到了"
		v, err := words.Save(ctx, letterOf, texts, "", "li")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := words.Submit(ctx, v.ID, "li", time.Time{}, "短"); err != nil {
			t.Fatal(err)
		}
		if err := b.db.Write(ctx, func(tx *db.Tx) error {
			r, err := b.eyes.Waiting(ctx, tx, template.ApprovalKind, v.ID)
			if err != nil {
				return err
			}
			_, err = b.eyes.Approve(ctx, tx, approval.Decision{ID: r.ID, By: "zhao", Hash: r.Hash})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		second := b.open(t, complaint.Intake{Source: "web", Party: b.party, Words: "二"})
		old, now := b.file(t, first).Letters[0], b.file(t, second).Letters[0]
		if old.Version != 1 || now.Version != 2 || now.Wording != v.ID || !strings.HasPrefix(now.Zh, "投诉收到了\n\n") || strings.HasPrefix(old.Zh, "投诉收到了") {
			t.Errorf("%+v\n%+v", old, now)
		}
		key, err := ledger.LoadKey(t.TempDir(), "parley.test/log", true)
		if err != nil {
			t.Fatal(err)
		}
		log, err := ledger.Open(ctx, b.db, ledger.Options{Key: key})
		if err != nil {
			t.Fatal(err)
		}
		var raw bytes.Buffer
		if err := b.Bundle(ctx, &raw, second.ID, log, nil); err != nil {
			t.Fatal(err)
		}
		rep, err := ledger.VerifyBundle(bytes.NewReader(raw.Bytes()), int64(raw.Len()), log.Public())
		if err != nil || !rep.OK() {
			t.Fatalf("%v %+v", err, rep)
		}
		held := unpacked(t, raw.Bytes())
		if held["files/wording-received-2.txt"] != texts.Doc() || held["files/letter-"+second.Number+"-1-received.zh.txt"] != now.Zh {
			t.Errorf("the bundle holds %v", held)
		}
		for _, want := range []string{`"template.approved"`, `"case.opened"`, now.Sum, `"received 2"`} {
			if !slices.ContainsFunc(records(held), func(r string) bool { return strings.Contains(r, want) }) {
				t.Errorf("no record holds %s", want)
			}
		}
	})
}

const letterOf = "received"

func (b *bank) wording(t *testing.T, s *template.Store, id string) (v *template.Version) {
	t.Helper()
	if err := b.db.Read(t.Context(), func(tx *db.Tx) (err error) { v, err = s.InForce(t.Context(), tx, id); return err }); err != nil {
		t.Fatal(err)
	}
	return v
}

func unpacked(t *testing.T, raw []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out[f.Name] = string(b)
	}
	return out
}

func records(held map[string]string) (out []string) {
	for name, text := range held {
		if strings.HasPrefix(name, "records/") {
			out = append(out, text)
		}
	}
	return out
}

// A wording that is being written is looked at with a real case, as it stood at
// the step the letter is for; a case that has not come there says so.
func TestSample(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		ctx := context.Background()
		c := b.open(t, complaint.Intake{Source: "web", Party: b.party, Words: "一直打电话"})
		fills := func(kind, want string) {
			t.Helper()
			form, err := template.FormOf(kind)
			if err != nil {
				t.Fatal(err)
			}
			_, zh, en, err := b.Sample(ctx, c.Number, kind)
			if err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			_, text, err := form.Shipped.Fill("zh", zh)
			if err != nil || !strings.Contains(text, want) {
				t.Errorf("%s: %v\n%s", kind, err, text)
			}
			if _, _, err := form.Shipped.Fill("en", en); err != nil {
				t.Error(err)
			}
		}
		fills("received", "2026年12月8日")
		for _, kind := range []string{"extended", "late", "answer", "review", "closed", "code_mail"} {
			if _, _, _, err := b.Sample(ctx, c.Number, kind); errs.Public(err).Code != "case_not_there_yet" {
				t.Errorf("%s: %v", kind, err)
			}
		}
		if err := b.AskExtension(ctx, c.ID, "handler", "需要调取第三方录音"); err != nil {
			t.Fatal(err)
		}
		fills("extended", "我们最迟在2026年12月23日答复您。\n原因：需要调取第三方录音")
		b.set(c.Due.Add(time.Second))
		if _, err := b.Tick(ctx); err != nil {
			t.Fatal(err)
		}
		fills("late", "2026年12月8日")
		b.answered(t, c, decision(), "handler", "approver")
		fills("answer", "¥50.00")
		if _, err := b.AskReview(ctx, c.ID, "事实不对"); err != nil {
			t.Fatal(err)
		}
		fills("review", "之前把核查结果")
		if _, err := b.WithdrawCase(ctx, c.ID); err != nil {
			t.Fatal(err)
		}
		fills("closed", "您撤回了")
	})
}

// Answers of a version of Parley that kept them in their decisions are letters
// like the others after the next start, and sealed.
func TestAdoptAnswers(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		ctx := t.Context()
		c := b.open(t, complaint.Intake{Source: "web", Party: b.party, Words: "x"})
		b.answered(t, c, decision(), "handler", "approver")
		f := b.file(t, c)
		d := f.Decisions[0]
		if err := b.db.Write(ctx, func(tx *db.Tx) error {
			if _, err := tx.Exec(ctx, `DELETE FROM complaint_letter WHERE case_id = $1 AND kind = 'answer'`, c.ID); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `UPDATE complaint_decision SET letter_zh = $2, letter_en = $3 WHERE id = $1`, d.ID, "守约银行\n\n旧答复", "Parley Bank\n\nold")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{1, 0} {
			if got, err := b.Desk.Adopt(ctx); got != n || err != nil {
				t.Fatalf("adopted %d, %v; want %d", got, err, n)
			}
		}
		l := b.file(t, c).Answer(d.ID)
		if l == nil || l.Zh != "守约银行\n\n旧答复" || l.Version != 0 || !l.At.Equal(d.DecidedAt) {
			t.Fatalf("%+v", l)
		}
		if subject, text := l.Parts("en"); subject != "" || text != l.En {
			t.Errorf("an old letter is all text: %q %q", subject, text)
		}
		var clear int
		if err := b.db.Read(ctx, func(tx *db.Tx) error {
			return tx.QueryRow(ctx, `SELECT (SELECT count(*) FROM complaint_letter WHERE zh NOT LIKE 'sealed1:%') + (SELECT count(*) FROM complaint_decision WHERE letter_zh <> '')`).Scan(&clear)
		}); err != nil || clear != 0 {
			t.Errorf("%d letters are in the clear, %v", clear, err)
		}
	})
}
