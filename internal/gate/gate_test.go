package gate

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"parley/internal/consent"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/errs"
	"parley/internal/policy"
)

// testPack has every kind of rule the gate treats differently: stops, consent
// with terms, hours, and caps by day, by rolling days and by hours.
const testPack = `
pack: t
version: "1"
jurisdiction: CN
zone: Asia/Shanghai
title: {zh: 测试, en: test}
valid: {from: 2020-01-01}
rules:
  - id: T-STOP
    title: {zh: 停, en: stop}
    citation: {instrument: 测试}
    force: bank_default
    confidence: none
    customer: {zh: 测试, en: test}
    do_not_contact: {kinds: [withdrawal, refusal, do_not_contact, hold], across: channel}
  - id: T-CONSENT
    title: {zh: 同意, en: consent}
    citation: {instrument: 测试}
    force: bank_default
    confidence: none
    customer: {zh: 测试, en: test}
    scope: purpose == "marketing"
    consent: {grounds: [consent, request]}
  - id: T-HOURS
    title: {zh: 时段, en: hours}
    citation: {instrument: 测试}
    force: bank_default
    confidence: none
    customer: {zh: 测试, en: test}
    scope: purpose == "collection"
    hours: {allow: [{from: "08:00", to: "22:00"}]}
  - id: T-MKT-30
    title: {zh: 三十日三次, en: three in 30 days}
    citation: {instrument: 测试}
    force: bank_default
    confidence: none
    customer: {zh: 测试, en: test}
    scope: purpose == "marketing"
    frequency: {max: 3, unit: attempts, per: person, window: rolling_days 30, purposes: [marketing]}
  - id: T-DAY
    title: {zh: 每日五次, en: five a day}
    citation: {instrument: 测试}
    force: bank_default
    confidence: none
    customer: {zh: 测试, en: test}
    scope: purpose in ["marketing", "collection"]
    frequency: {max: 5, unit: attempts, per: person, window: local_day}
  - id: T-EFFECTIVE
    title: {zh: 有效三次, en: two effective in 24 hours}
    citation: {instrument: 测试}
    force: bank_default
    confidence: none
    customer: {zh: 测试, en: test}
    scope: purpose == "collection"
    frequency: {max: 2, unit: effective, per: product, window: hours 24, purposes: [collection]}
`

// day is the Tuesday the tests start on, 10:00 in Shanghai.
var day = time.Date(2026, 3, 3, 2, 0, 0, 0, time.UTC)

// clock is a test's own.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// eachClock runs fn on each engine with a clock of its own. The engines run side
// by side: with one clock for both, one would move it between two steps of the
// other, whose permit has then run out when it is spent.
func eachClock(t *testing.T, fn func(t *testing.T, d *db.DB, c *clock)) {
	t.Helper()
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			c := &clock{t: day}
			fn(t, dbtest.Open(t, dbtest.URL(t, engine), c.now), c)
		})
	}
}

func testSet(t failer, packs ...string) *policy.Set {
	t.Helper()
	if len(packs) == 0 {
		packs = []string{testPack}
	}
	var ps []*policy.Pack
	for _, raw := range packs {
		p, err := policy.Parse("t.yaml", []byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
	set, err := policy.Compose(ps...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// bank is a gate with its consents on one database.
type bank struct {
	t       failer
	db      *db.DB
	consent *consent.Store
	gate    *Gate
}

func newBank(t failer, d *db.DB, o Options, packs ...string) *bank {
	t.Helper()
	c := consent.NewStore(d, nil)
	g := New(d, testSet(t, packs...), c, o)
	c.SetVoider(g)
	return &bank{t, d, c, g}
}

func (b *bank) write(fn func(tx *db.Tx) error) {
	b.t.Helper()
	if err := b.db.Write(context.Background(), fn); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bank) grant(party contact.ID, g contact.Grant) contact.Grant {
	b.t.Helper()
	g.Ground = contact.Consent
	b.write(func(tx *db.Tx) (err error) {
		g, err = b.consent.Grant(context.Background(), tx, party, g, "test")
		return err
	})
	return g
}

func (b *bank) stop(party contact.ID, s contact.Stop) {
	b.t.Helper()
	b.write(func(tx *db.Tx) error {
		_, err := b.consent.Stop(context.Background(), tx, party, s, "test")
		return err
	})
}

func (b *bank) reserve(in ...policy.Intent) []Decision {
	b.t.Helper()
	ds, err := b.gate.Reserve(context.Background(), in)
	if err != nil {
		b.t.Fatal(err)
	}
	return ds
}

func (b *bank) state(id contact.ID) State {
	b.t.Helper()
	s, err := b.gate.Decision(context.Background(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return s.State
}

func collect(party contact.ID) policy.Intent {
	return policy.Intent{Party: party, Channel: contact.Voice, Purpose: contact.Collection, Relation: contact.Self, Product: "card:1"}
}

func market(party contact.ID) policy.Intent {
	return policy.Intent{Party: party, Channel: contact.Voice, Purpose: contact.Marketing, Relation: contact.Self,
		Discloses: []string{policy.Identity}}
}

func effects(ds []Decision) (out []policy.Effect) {
	for _, d := range ds {
		out = append(out, d.Verdict.Effect)
	}
	return out
}

// failer is what the helpers need of a testing.T, which rapid's has as well.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func code(err error) string { return errs.Public(err).Code }

func want(t testing.TB, err error, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("error %v, want %v", err, target)
	}
}

// A permit goes reserved, attempting, settled, once, and its budget follows.
func TestLife(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	eachClock(t, func(t *testing.T, d *db.DB, _ *clock) {
		b := newBank(t, d, Options{})
		who := contact.NewID()
		ds := b.reserve(collect(who), collect(who), collect(who))
		if got := effects(ds); got[0] != policy.Allow || got[1] != policy.Allow || got[2] != policy.Later || ds[2].Verdict.By != "T-EFFECTIVE" {
			t.Fatalf("effects %v by %s: two effective conversations are reserved, so the third must wait", got, ds[2].Verdict.By)
		}
		id := ds[0].ID
		if ds[0].Permit.ID() != id || ds[0].Permit.Party() != who || ds[2].Permit.ID() != "" {
			t.Fatal("a permit carries its decision's id, and only an allowed decision has one")
		}
		a, err := b.gate.Spend(ctx, id)
		if err != nil || a.Intent.Product != "card:1" || a.Intent.Party != who {
			t.Fatalf("attempt %+v, %v", a, err)
		}
		_, err = b.gate.Spend(ctx, id)
		want(t, err, ErrNotLive)
		want(t, b.gate.Void(ctx, id, "x"), ErrNotLive)
		want(t, b.gate.Reconcile(ctx, id, contact.Busy, "clerk"), ErrInFlight)
		if got := b.reserve(collect(who))[0]; got.Verdict.Effect == policy.Allow {
			t.Fatal("an attempt whose outcome is open counts as effective")
		}
		if err := b.gate.Settle(ctx, nil, id, contact.NoAnswer); err != nil {
			t.Fatal(err)
		}
		if err := b.gate.Settle(ctx, nil, id, contact.NoAnswer); err != nil {
			t.Fatalf("the same outcome again: %v", err)
		}
		want(t, b.gate.Settle(ctx, nil, id, contact.Busy), ErrSettled)
		if got := b.reserve(collect(who))[0]; got.Verdict.Effect != policy.Allow {
			t.Fatalf("an attempt without answer is not an effective conversation: %s", got.Verdict.By)
		}
		want(t, b.gate.Settle(ctx, nil, ds[1].ID, contact.Busy), ErrNotSpent)
		if err := b.gate.Void(ctx, ds[1].ID, "test"); err != nil {
			t.Fatal(err)
		}
		s, err := b.gate.Decision(ctx, id)
		if err != nil || s.State != Settled || s.Outcome != contact.NoAnswer || s.Attempted.IsZero() || s.Ended.IsZero() || !s.Replayed {
			t.Fatalf("stored %+v, %v", s, err)
		}
		want(t, b.gate.Void(ctx, contact.NewID(), "x"), ErrNoDecision)
		list, err := b.gate.ByParty(ctx, who, 10)
		if err != nil || len(list) != 5 || list[4].ID != id {
			t.Fatalf("%d decisions of the person, %v; want 5, the first one last", len(list), err)
		}
		n, err := b.gate.Counts(ctx)
		if err != nil || n.Allow != 3 || n.Later != 2 || n.LaterBy["T-EFFECTIVE"] != 2 {
			t.Fatalf("counts %+v, %v", n, err)
		}
	})
}

// PIPL art. 15: a withdrawal voids what is not on the wire, in its own transaction.
func TestStopVoids(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	eachClock(t, func(t *testing.T, d *db.DB, _ *clock) {
		b := newBank(t, d, Options{})
		who, point, other := contact.NewID(), contact.NewID(), contact.NewID()
		at := func(p contact.ID) policy.Intent { in := collect(who); in.Point = p; return in }
		ds := b.reserve(at(point), at(other))
		if _, err := b.gate.Spend(ctx, ds[1].ID); err != nil {
			t.Fatal(err)
		}
		if err := b.gate.Settle(ctx, nil, ds[1].ID, contact.Busy); err != nil {
			t.Fatal(err)
		}
		on := b.reserve(at(other))[0]
		b.stop(who, contact.Stop{Kind: contact.Refusal, Points: []contact.ID{point}})
		if s := b.state(ds[0].ID); s != Voided {
			t.Fatalf("permit for the refused number is %v", s)
		}
		if s := b.state(on.ID); s != Reserved {
			t.Fatalf("permit for another number is %v", s)
		}
		_, err := b.gate.Spend(ctx, ds[0].ID)
		want(t, err, ErrNotLive)
		if _, err := b.gate.Spend(ctx, on.ID); err != nil {
			t.Fatal(err)
		}
		if got := b.reserve(at(point))[0]; got.Verdict.Effect != policy.Deny || got.Verdict.By != "T-STOP" {
			t.Fatalf("verdict %v by %s", got.Verdict.Effect, got.Verdict.By)
		}
	})
}

// The fence at the wire: what was allowed when reserved is judged again when spent.
func TestSpendJudgesAgain(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			c := &clock{t: day.Add(11*time.Hour + 58*time.Minute)} // 21:58
			b := newBank(t, dbtest.Open(t, dbtest.URL(t, engine), c.now), Options{PermitTTL: time.Hour})
			id := b.reserve(collect(contact.NewID()))[0].ID
			c.add(5 * time.Minute)
			_, err := b.gate.Spend(ctx, id)
			if e := errs.Public(err); e.Kind != errs.Refused || e.Code != "refused:T-HOURS" {
				t.Fatalf("after 22:00: %v", err)
			}
			if s := b.state(id); s != Voided {
				t.Fatalf("permit is %v", s)
			}
			who := contact.NewID()
			b.grant(who, contact.Grant{Purposes: contact.PurposeSet(contact.Marketing)})
			id = b.reserve(market(who))[0].ID
			c.add(61 * time.Minute)
			_, err = b.gate.Spend(ctx, id)
			want(t, err, ErrExpired)
			if s := b.state(id); s != Expired {
				t.Fatalf("permit is %v", s)
			}
		})
	}
}
