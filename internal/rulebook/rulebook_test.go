package rulebook_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/approval"
	"parley/internal/approval/approvaltest"
	"parley/internal/consent"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/errs"
	"parley/internal/gate"
	"parley/internal/policy"
	"parley/internal/rulebook"
)

var ctx = context.Background()

// rules is a pack with one cap; tests say what it allows.
const rules = `
pack: t
version: "1"
jurisdiction: CN
zone: Asia/Shanghai
title: {zh: 测试, en: test}
valid: {from: 2020-01-01}
rules:
  - id: T-CAP
    title: {zh: 每日两次, en: two a day}
    citation: {instrument: 测试}
    force: bank_default
    confidence: none
    customer: {zh: 测试, en: test}
    frequency: {max: 2, unit: attempts, per: person, window: local_day}
`

const tests = `
packs: [t.yaml]
tests:
  - name: the second call of the day
    rule: T-CAP
    facts:
      now: 2026-03-03 10:00:00
      intent: {channel: voice, purpose: service, relation: self}
      charges: [{at: 2026-03-03 09:00:00, outcome: no_answer}]
    expect: {effect: allow}
`

// bank is a rulebook on a database whose clock the test moves.
type bank struct {
	*rulebook.Store
	t         *testing.T
	db        *db.DB
	approvals *approval.Store
	gate      *gate.Gate
	now       *atomic.Int64
}

func (b *bank) pass(d time.Duration) { b.now.Add(int64(d)) }

func each(t *testing.T, fn func(t *testing.T, b *bank)) {
	t.Helper()
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			b := &bank{t: t, now: &atomic.Int64{}}
			b.now.Store(time.Date(2026, 3, 3, 2, 0, 0, 0, time.UTC).UnixNano())
			b.db = dbtest.Open(t, dbtest.URL(t, engine), func() time.Time { return time.Unix(0, b.now.Load()) })
			first, err := policy.Parse("t.yaml", []byte(rules))
			b.must(err)
			set, err := policy.Compose(first)
			b.must(err)
			c := consent.NewStore(b.db, nil)
			b.gate = gate.New(b.db, set, c, gate.Options{})
			c.SetVoider(b.gate)
			b.approvals = approvaltest.Open(t, b.db)
			b.Store = rulebook.New(b.db, b.gate, b.approvals)
			b.approvals.Register(b.Approval("approve_rules"))
			fn(t, b)
		})
	}
}

func (b *bank) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func code(err error) string {
	var e *errs.Error
	if errors.As(err, &e) {
		return e.Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// sync does what Follow does every second.
func (b *bank) sync() {
	b.t.Helper()
	as, err := b.Schedule(ctx)
	b.must(err)
	b.gate.Schedule(as...)
}

// contact asks for one contact with a person and gives the verdict.
func (b *bank) contact(who contact.ID) policy.Verdict {
	b.t.Helper()
	ds, err := b.gate.Reserve(ctx, []policy.Intent{{Party: who, Point: who, Channel: contact.Voice, Purpose: contact.Service, Relation: contact.Self}})
	b.must(err)
	return ds[0].Verdict
}

func (b *bank) adopt() {
	b.t.Helper()
	ok, err := b.Adopt(ctx, rulebook.Files{"t.yaml": rules, "t_test.yaml": tests}, nil, "installed", "parley")
	b.must(err)
	if !ok {
		b.t.Fatal("nothing was adopted on an empty bank")
	}
	if again, err := b.Adopt(ctx, rulebook.Files{"t.yaml": rules}, nil, "again", "parley"); again || err != nil {
		b.t.Fatalf("a bank with rules adopted others: %v %v", again, err)
	}
	b.sync()
}

func (b *bank) approve(id contact.ID, by string) error {
	b.t.Helper()
	var r *approval.Request
	b.must(b.db.Read(ctx, func(tx *db.Tx) (err error) {
		r, err = b.approvals.Waiting(ctx, tx, rulebook.ApprovalKind, id)
		return err
	}))
	if r == nil {
		b.t.Fatal("nothing waits for approval")
	}
	_, err := b.approvals.ApproveNow(ctx, approval.Decision{ID: r.ID, By: by, Hash: r.Hash})
	return err
}

// A draft goes its whole way: refused until it is tested, replayed and approved
// by a second person; from its instant on, and not before, every verdict names
// it; going back is a new activation.
func TestLifeOfAnEdition(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		b.adopt()
		who := contact.NewID()
		for range 3 {
			b.contact(who)
			b.pass(time.Minute)
		}
		d, err := b.Draft(ctx, "", "one a day", "ann")
		b.must(err)

		// What does not parse is kept, and goes no further.
		broken := strings.Replace(rules, "max: 2", "most: 1", 1)
		_, err = b.Put(ctx, d.ID, "t.yaml", broken, "ann")
		b.must(err)
		if _, err := b.Test(ctx, d.ID, "ann", "en"); code(err) != "packs_invalid" || !strings.Contains(err.Error(), "t.yaml:15") {
			t.Fatalf("a broken pack: %v", err)
		}
		if f, err := b.Files(ctx, d.ID); err != nil || f["t.yaml"] != broken {
			t.Fatal("the work was lost")
		}

		// Red tests go no further either.
		_, err = b.Put(ctx, d.ID, "t.yaml", strings.Replace(rules, "max: 2", "max: 1", 1), "ann")
		b.must(err)
		red, err := b.Test(ctx, d.ID, "ann", "en")
		if err != nil || red.Failed != 1 || !strings.Contains(red.Output, "the second call of the day") {
			t.Fatalf("%+v %v", red, err)
		}
		if _, err := b.Submit(ctx, d.ID, "ann", time.Time{}, "fewer calls"); code(err) != "edition_not_tested" {
			t.Fatalf("red tests: %v", err)
		}
		_, err = b.Put(ctx, d.ID, "t_test.yaml", strings.Replace(tests, "{effect: allow}", "{effect: later, by: T-CAP}", 1), "bob")
		b.must(err)
		if green, err := b.Test(ctx, d.ID, "ann", "en"); err != nil || !green.Green() {
			t.Fatalf("%+v %v", green, err)
		}
		if _, err := b.Submit(ctx, d.ID, "ann", time.Time{}, "fewer calls"); code(err) != "edition_not_replayed" {
			t.Fatalf("not replayed: %v", err)
		}
		r, err := b.Replay(ctx, d.ID, "ann", time.Time{}, time.Time{}, nil)
		if err != nil || r.Result.Decisions != 3 || r.Result.Changed != 1 || r.Result.Changes[0].ToBy != "T-CAP" {
			t.Fatalf("%+v %v", r.Result, err)
		}
		from := b.db.Now().Add(time.Hour)
		if _, err := b.Submit(ctx, d.ID, "ann", from.Add(-2*time.Hour), ""); code(err) != "start_in_past" {
			t.Fatalf("a start that has passed: %v", err)
		}
		_, err = b.Submit(ctx, d.ID, "ann", from, "fewer calls")
		b.must(err)
		if _, err := b.Put(ctx, d.ID, "t.yaml", rules, "ann"); code(err) != "edition_not_draft" {
			t.Fatalf("changed under the approver's eyes: %v", err)
		}

		// Four eyes: neither who asked nor who had a hand in it.
		for _, by := range []string{"ann", "bob"} {
			if err := b.approve(d.ID, by); code(err) != "four_eyes" {
				t.Fatalf("%s: %v", by, err)
			}
		}
		b.must(b.approve(d.ID, "cee"))
		b.sync()

		old := b.contact(contact.NewID()).Pack
		b.pass(time.Hour - time.Minute)
		if got := b.contact(contact.NewID()).Pack; got != old {
			t.Error("it judged before its instant")
		}
		b.pass(2 * time.Minute)
		next := contact.NewID()
		v := b.contact(next)
		if v.Pack == old || v.Effect != policy.Allow {
			t.Fatalf("after its instant: %s %s", v.Pack, v.Effect)
		}
		if v := b.contact(next); v.Effect == policy.Allow || v.By != "T-CAP" {
			t.Fatalf("the second contact of the day: %+v", v)
		}

		// Going back is a new activation, approved likewise.
		as, err := b.Activations(ctx)
		if err != nil || len(as) != 2 || as[0].Edition != d.ID || as[0].ApprovedBy != "cee" {
			t.Fatalf("%+v %v", as, err)
		}
		if _, err := b.Rollback(ctx, d.ID, "ann", "again"); code(err) != "edition_unchanged" {
			t.Fatalf("back to itself: %v", err)
		}
		_, err = b.Rollback(ctx, as[1].Edition, "ann", "customers could not be reached")
		b.must(err)
		if err := b.approve(as[1].Edition, "ann"); code(err) != "four_eyes" {
			t.Fatal(err)
		}
		b.must(b.approve(as[1].Edition, "cee"))
		b.pass(2 * rulebook.Lead)
		b.sync()
		if got := b.contact(contact.NewID()).Pack; got != old {
			t.Error("it was not gone back")
		}
		b.steps(t, "adopted drafted changed tested submitted replayed scheduled rolled_back")
	})
}

// steps checks that the ledger knows every step.
func (b *bank) steps(t *testing.T, want string) {
	t.Helper()
	for _, w := range strings.Fields(want) {
		var n int
		b.must(b.db.Read(ctx, func(tx *db.Tx) error {
			return tx.QueryRow(ctx, "SELECT count(*) FROM ledger_outbox WHERE type = $1", "rulebook."+w).Scan(&n)
		}))
		if n == 0 {
			t.Errorf("the ledger does not know that it was %s", w)
		}
	}
}

// Follow changes the gate over and writes into the ledger, once, that an
// edition began; several processes do it once between them.
func TestFollow(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		b.adopt()
		life, stop := context.WithCancel(ctx)
		var follow sync.WaitGroup
		defer follow.Wait() // the database closes after the test
		defer stop()
		for range 3 {
			follow.Go(func() { b.Follow(life, func(err error) { t.Error(err) }) })
		}
		begun := func() int {
			as, err := b.Activations(ctx)
			b.must(err)
			n := 0
			for _, a := range as {
				if a.Begun {
					n++
				}
			}
			return n
		}
		for end := time.Now().Add(2 * time.Minute); begun() != 1; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the adopted edition never began")
			}
		}
		stop()
		var n int
		b.must(b.db.Read(ctx, func(tx *db.Tx) error {
			return tx.QueryRow(ctx, "SELECT count(*) FROM ledger_outbox WHERE type = 'rulebook.activated'").Scan(&n)
		}))
		if n != 1 {
			t.Errorf("%d entries of one beginning", n)
		}
	})
}

// Texts that are not those approved never judge.
func TestAChangedTextIsRefused(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		b.adopt()
		b.must(b.db.Write(ctx, func(tx *db.Tx) error {
			_, err := tx.Exec(ctx, "UPDATE rulebook_file SET body = $1 WHERE name = 't.yaml'", strings.Replace(rules, "max: 2", "max: 200", 1))
			return err
		}))
		if _, err := b.Schedule(ctx); err == nil || !strings.Contains(err.Error(), "not what was approved") {
			t.Fatalf("a text changed behind the bank's back: %v", err)
		}
	})
}
