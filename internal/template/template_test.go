package template_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/approval"
	"parley/internal/approval/approvaltest"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/errs"
	"parley/internal/ledger"
	"parley/internal/template"
)

var ctx = context.Background()

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

type bank struct {
	*template.Store
	t         *testing.T
	db        *db.DB
	approvals *approval.Store
	now       atomic.Int64
}

func each(t *testing.T, fn func(t *testing.T, b *bank)) {
	t.Helper()
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			b := &bank{t: t}
			b.now.Store(noon.UnixNano())
			b.db = dbtest.Open(t, dbtest.URL(t, engine), func() time.Time { return time.Unix(0, b.now.Add(1_000_000)) })
			b.approvals = approvaltest.Open(t, b.db)
			b.Store = template.New(b.db, b.approvals, time.UTC)
			b.approvals.Register(b.Approval("approve_template"))
			if pins, err := b.Adopt(ctx); err != nil || len(pins) != len(template.Forms()) {
				t.Fatalf("adopted %v: %v", pins, err)
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

func (b *bank) code(err error, want string) *errs.Error {
	b.t.Helper()
	var e *errs.Error
	if !errors.As(err, &e) || e.Code != want {
		b.t.Fatalf("got %v, want %s", err, want)
	}
	return e
}

func (b *bank) force(id string) *template.Version {
	b.t.Helper()
	var v *template.Version
	b.ok(b.db.Read(ctx, func(tx *db.Tx) (err error) { v, err = b.InForce(ctx, tx, id); return err }))
	return v
}

func (b *bank) request(v *template.Version) *approval.Request {
	b.t.Helper()
	var r *approval.Request
	b.ok(b.db.Read(ctx, func(tx *db.Tx) (err error) {
		r, err = b.approvals.Waiting(ctx, tx, template.ApprovalKind, v.ID)
		return err
	}))
	if r == nil {
		b.t.Fatal("nothing waits for approval")
	}
	return r
}

func (b *bank) approve(v *template.Version, by string) error {
	b.t.Helper()
	r := b.request(v)
	_, err := b.approvals.ApproveNow(ctx, approval.Decision{ID: r.ID, By: by, Hash: r.Hash})
	return err
}

func (b *bank) sendBack(v *template.Version, by string) {
	b.t.Helper()
	r := b.request(v)
	b.ok(b.db.Write(ctx, func(tx *db.Tx) error {
		_, err := b.approvals.SendBack(ctx, tx, approval.Decision{ID: r.ID, By: by, Hash: r.Hash, Note: "请改短"})
		return err
	}))
}

// reworded is what is in force with another subject.
func (b *bank) reworded(id, subject string) template.Texts {
	t := b.force(id).Texts
	t.Zh.Subject, t.En.Subject = subject, subject
	return t
}

// A wording is drafted by two, approved by a third, and only then in force; the
// old version stays what it was, and every step is in the ledger.
func TestFourEyes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		old := b.force("received")
		if old.Number != 1 || old.Pin() != "received 1" || old.MadeBy != "parley" {
			t.Fatalf("in force at first: %+v", old)
		}
		v, err := b.Save(ctx, "received", b.reworded("received", "甲"), "", "li")
		b.ok(err)
		_, err = b.Save(ctx, "received", b.reworded("received", "乙"), "", "wang") // who had not seen li's
		b.code(err, "template_moved")
		v, err = b.Save(ctx, "received", b.reworded("received", "乙"), v.Sum, "wang")
		b.ok(err)
		if b.force("received").Number != 1 {
			t.Error("a draft is in force")
		}
		_, err = b.Submit(ctx, v.ID, "wang", time.Time{}, " ")
		b.code(err, "reason_missing")
		_, err = b.Submit(ctx, v.ID, "wang", noon, "更清楚")
		b.code(err, "template_past")
		v, err = b.Submit(ctx, v.ID, "wang", time.Time{}, "更清楚")
		b.ok(err)
		_, err = b.Save(ctx, "received", b.reworded("received", "丙"), v.Sum, "li")
		b.code(err, "template_not_draft")
		if r := b.request(v); !strings.Contains(r.Before, old.Texts.Zh.Subject) || !strings.Contains(r.After, "乙") || !strings.Contains(r.After, "立即") {
			t.Errorf("the approver reads %q → %q", r.Before, r.After)
		}
		for _, hand := range []string{"li", "wang"} {
			if b.approve(v, hand) == nil {
				t.Errorf("%s wrote it and approved it", hand)
			}
		}
		b.ok(b.approve(v, "zhao"))
		now := b.force("received")
		if now.Number != 2 || now.Texts.Zh.Subject != "乙" || now.Based != 1 || now.From.Before(noon) {
			t.Errorf("in force: %+v", now)
		}
		b.ok(b.db.Read(ctx, func(tx *db.Tx) error {
			first, err := b.Numbered(ctx, tx, "received", 1)
			if err != nil || first.Texts != old.Texts || first.Sum != old.Sum {
				t.Errorf("version 1 is now %+v, %v", first, err)
			}
			same, err := b.BySum(ctx, tx, now.Sum)
			if err != nil || same.ID != now.ID {
				t.Errorf("by its hash: %+v, %v", same, err)
			}
			return nil
		}))
		got := b.entries(v.ID)
		if want := "template.drafted template.changed template.submitted template.approved"; got != want {
			t.Errorf("the ledger holds %q, want %q", got, want)
		}
	})
}

// entries gives the types of the ledger entries about a version, in order.
func (b *bank) entries(id contact.ID) string {
	b.t.Helper()
	key, err := ledger.LoadKey(b.t.TempDir(), "parley.test/log", true)
	b.ok(err)
	log, err := ledger.Open(ctx, b.db, ledger.Options{Key: key})
	b.ok(err)
	_, err = log.Seal(ctx)
	b.ok(err)
	var out []string
	rs, err := log.ByID(ctx, id)
	b.ok(err)
	for _, r := range rs {
		out = append(out, r.Type)
	}
	return strings.Join(out, " ")
}

// An instant is kept to; whatever is approved later takes the place also of what
// was to begin later still; and an earlier wording comes back as a version of its own.
func TestInForceFromAnInstant(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		put := func(subject string, from time.Time) {
			t.Helper()
			v, err := b.Save(ctx, "closed", b.reworded("closed", subject), "", "li")
			b.ok(err)
			v, err = b.Submit(ctx, v.ID, "li", from, "改")
			b.ok(err)
			b.ok(b.approve(v, "zhao"))
		}
		first := b.force("closed")
		put("年后", noon.Add(24*time.Hour))
		if b.force("closed").Number != 1 {
			t.Error("in force before its time")
		}
		sh, err := b.Shelf(ctx, "closed")
		b.ok(err)
		if sh.InForce.Number != 1 || sh.Next == nil || sh.Next.Number != 2 || sh.Open != nil {
			t.Errorf("shelf %+v", sh)
		}
		_, err = b.Restore(ctx, sh.Next.ID, "li", "已是最新")
		b.code(err, "template_same")
		back, err := b.Restore(ctx, first.ID, "li", "不改了") // calls off what was to begin
		b.ok(err)
		_, err = b.Restore(ctx, first.ID, "li", "再来")
		b.code(err, "template_open")
		b.ok(b.approve(back, "zhao"))
		b.now.Store(noon.Add(48 * time.Hour).UnixNano())
		now := b.force("closed")
		if now.Number != 3 || now.Sum != first.Sum || !now.Back || now.Based != 1 {
			t.Errorf("brought back: %+v", now)
		}
		put("第四", noon.Add(72*time.Hour))
		b.now.Store(noon.Add(72 * time.Hour).UnixNano())
		if v := b.force("closed"); v.Number != 4 {
			t.Errorf("its time has come, and in force is %d", v.Number)
		}
		list, err := b.History(ctx, "closed", 0, 3)
		b.ok(err)
		older, err := b.History(ctx, "closed", list[2].Number, 3)
		b.ok(err)
		if len(list) != 3 || list[0].Number != 4 || len(older) != 1 || older[0].Number != 1 {
			t.Errorf("history %v then %v", list, older)
		}
	})
}

// What goes back is a draft again; what is given up is gone; a wording that is not
// right is refused with its place, and one that changes nothing is not asked about.
func TestBackAndForth(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		bad := b.reworded("extended", "延期")
		bad.En.Text = strings.Replace(bad.En.Text, "{due}", "{duo}", 1)
		_, err := b.Save(ctx, "extended", bad, "", "li")
		if e := b.code(err, "template_invalid"); !strings.HasPrefix(e.Zh, "英文正文第 6 行：没有叫 {duo} 的内容") || !strings.Contains(e.Zh, "另有 1 处") {
			t.Errorf("said %q", e.Zh)
		}
		_, err = b.Save(ctx, "nothing", bad, "", "li")
		b.code(err, "template_unknown")
		v, err := b.Save(ctx, "extended", b.force("extended").Texts, "", "li")
		b.ok(err)
		_, err = b.Submit(ctx, v.ID, "li", time.Time{}, "没改")
		b.code(err, "template_same")
		v, err = b.Save(ctx, "extended", b.reworded("extended", "延期"), v.Sum, "li")
		b.ok(err)
		v, err = b.Submit(ctx, v.ID, "li", noon.Add(time.Hour), "短一点")
		b.ok(err)
		b.sendBack(v, "zhao")
		if v, err = b.Get(ctx, v.ID); err != nil || v.State != template.Draft || !v.From.IsZero() {
			t.Errorf("sent back: %+v, %v", v, err)
		}
		_, err = b.Drop(ctx, v.ID, "li")
		b.ok(err)
		if v, err := b.Open(ctx, "extended"); v != nil || err != nil {
			t.Errorf("given up: %+v, %v", v, err)
		}
	})
}

// At a start nothing is taken over twice, and what the bank approved stays.
func TestAdoptAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		v, err := b.Save(ctx, "code_mail", b.reworded("code_mail", "码"), "", "li")
		b.ok(err)
		v, err = b.Submit(ctx, v.ID, "li", time.Time{}, "短")
		b.ok(err)
		b.ok(b.approve(v, "zhao"))
		if pins, err := b.Adopt(ctx); err != nil || len(pins) != 0 {
			t.Errorf("adopted again: %v, %v", pins, err)
		}
		if b.force("code_mail").Number != 2 {
			t.Error("the wording that ships took the place of an approved one")
		}
		shelves, err := b.Shelves(ctx)
		b.ok(err)
		for _, s := range shelves {
			if s.Newer {
				t.Errorf("%s: what ships is taken for unknown", s.ID)
			}
		}
	})
}

// Whatever a page or a letter asks goes by index, however many versions there are.
func TestPlans(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		sum := b.force("answer").Sum
		dbtest.Indexed(t, b.db, func() {
			_, err := b.Shelves(ctx)
			b.ok(err)
			_, err = b.History(ctx, "answer", 0, 5)
			b.ok(err)
			b.ok(b.db.Read(ctx, func(tx *db.Tx) error {
				if _, err := b.InForce(ctx, tx, "answer"); err != nil {
					return err
				}
				if _, err := b.Numbered(ctx, tx, "answer", 1); err != nil {
					return err
				}
				_, err := b.BySum(ctx, tx, sum)
				return err
			}))
		}, "template_version_open") // a partial index, of one draft a template
	})
}
