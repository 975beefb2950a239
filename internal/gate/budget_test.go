package gate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/ledger"
	"parley/internal/policy"
)

var errBoom = errors.New("boom")

// TestNoCapExceeded runs any interleaving of the gate's operations, with time
// passing and stepping back, transactions that fail or that fail after they
// were made durable, and processes that die and start again. After every step
// it counts contacts and reservations itself, from the stored rows alone: no
// cap is exceeded in any window, budgets agree with the rows, and in the end
// every decision's stored facts give the same verdict again.
func TestNoCapExceeded(t *testing.T) {
	t.Parallel()
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			c := &clock{t: day}
			d := dbtest.Open(t, dbtest.URL(t, engine), c.now)
			key, err := ledger.NewKey("test.example/ledger")
			if err != nil {
				t.Fatal(err)
			}
			l, err := ledger.Open(context.Background(), d, ledger.Options{Key: key})
			if err != nil {
				t.Fatal(err)
			}
			rapid.Check(t, func(rt *rapid.T) {
				c.add(60 * 24 * time.Hour) // the same hour for every run, and none meets another's past
				c.add(day.Sub(c.now()) % (24 * time.Hour))
				m := &machine{T: rt, clock: c, d: d, ledger: l, who: []contact.ID{contact.NewID(), contact.NewID()}}
				m.restart()
				m.grantAll()
				rt.Repeat(map[string]func(*rapid.T){
					"contact": m.contact, "reserve": m.reserve, "spend": m.spend, "settle": m.settle, "void": m.void, "expire": m.expire,
					"time": m.time, "fault": m.fault, "crash": m.crash, "stop": m.stop, "": m.check,
				})
				m.replay()
			})
		})
	}
}

// machine is the property's state: what a dialer would know.
type machine struct {
	*rapid.T
	clock   *clock
	d       *db.DB
	ledger  *ledger.Log
	bank    *bank
	who     []contact.ID
	permits []contact.ID
	boom    string // the point that fails next; empty = none
}

func (m *machine) restart() {
	m.bank = newBank(m.T, m.d, Options{PermitTTL: time.Hour})
	m.bank.gate.fault = func(at string) error {
		if at == m.boom {
			m.boom = ""
			return errBoom
		}
		return nil
	}
}

func (m *machine) grantAll() {
	for _, id := range m.who {
		err := m.d.Write(context.Background(), func(tx *db.Tx) error {
			_, err := m.bank.consent.Grant(context.Background(), tx, id,
				contact.Grant{Ground: contact.Consent, Purposes: contact.PurposeSet(contact.Marketing), Max: 2, Days: 7}, "test")
			return err
		})
		m.must(err)
	}
}

// must fails on any error but the injected one and the gate's refusals.
func (m *machine) must(err error) {
	if err == nil || errors.Is(err, errBoom) || errors.Is(err, ErrNotLive) || errors.Is(err, ErrExpired) ||
		errors.Is(err, ErrNotSpent) || errors.Is(err, ErrSettled) || strings.HasPrefix(code(err), "refused:") {
		return
	}
	m.Fatal(err)
}

func (m *machine) reserve(t *rapid.T) {
	n := rapid.IntRange(1, 4).Draw(t, "n")
	var in []policy.Intent
	for range n {
		who := rapid.SampledFrom(m.who).Draw(t, "who")
		if rapid.Bool().Draw(t, "market") {
			in = append(in, market(who))
		} else {
			i := collect(who)
			i.Product = rapid.SampledFrom([]string{"card:1", "loan:2"}).Draw(t, "product")
			in = append(in, i)
		}
	}
	ds, err := m.bank.gate.Reserve(context.Background(), in)
	m.must(err)
	for _, d := range ds {
		if d.Permit.ID() != "" {
			m.permits = append(m.permits, d.ID)
		}
	}
}

// contact is the whole way at once, so that a past builds up.
func (m *machine) contact(t *rapid.T) {
	m.reserve(t)
	for _, id := range m.permits {
		if _, err := m.bank.gate.Spend(context.Background(), id); err != nil {
			m.must(err)
			continue
		}
		m.must(m.bank.gate.Settle(context.Background(), nil, id, rapid.SampledFrom(outcomes[:]).Draw(t, "outcome")))
	}
	m.permits = nil
}

func (m *machine) permit(t *rapid.T) contact.ID {
	if len(m.permits) == 0 {
		t.Skip("no permits yet")
	}
	return rapid.SampledFrom(m.permits).Draw(t, "permit")
}

func (m *machine) spend(t *rapid.T) {
	_, err := m.bank.gate.Spend(context.Background(), m.permit(t))
	m.must(err)
}

func (m *machine) settle(t *rapid.T) {
	o := rapid.SampledFrom(outcomes[:]).Draw(t, "outcome")
	m.must(m.bank.gate.Settle(context.Background(), nil, m.permit(t), o))
}

func (m *machine) void(t *rapid.T) {
	m.must(m.bank.gate.Void(context.Background(), m.permit(t), "test"))
}

func (m *machine) expire(*rapid.T) {
	_, err := m.bank.gate.Expire(context.Background())
	m.must(err)
}

func (m *machine) stop(t *rapid.T) {
	if rapid.IntRange(0, 9).Draw(t, "seldom") > 0 {
		t.Skip("seldom")
	}
	err := m.d.Write(context.Background(), func(tx *db.Tx) error {
		_, err := m.bank.consent.Stop(context.Background(), tx, m.who[0], contact.Stop{Kind: contact.Refusal}, "test")
		return err
	})
	m.must(err)
}

func (m *machine) time(t *rapid.T) {
	m.clock.add(rapid.SampledFrom([]time.Duration{time.Minute, 50 * time.Minute, 5 * time.Hour, 26 * time.Hour, 9 * 24 * time.Hour, -3 * time.Hour}).Draw(t, "step"))
}

func (m *machine) fault(t *rapid.T) { m.boom = rapid.SampledFrom(points).Draw(t, "point") }

func (m *machine) crash(*rapid.T) {
	m.restart()
	_, err := m.bank.gate.Recover(context.Background(), 0)
	m.must(err)
}

// touch is one contact as the rows tell it.
type touch struct {
	at      int64 // of the attempt; of the decision while it is reserved
	purpose contact.Purpose
	product string
	reach   contact.Reach
	spent   bool
}

// check counts for itself.
func (m *machine) check(t *rapid.T) {
	for _, id := range m.who {
		list, err := m.bank.gate.ByParty(context.Background(), id, 1000)
		m.must(err)
		live := map[contact.ID]State{}
		var all []touch
		for _, s := range list {
			x := touch{at: s.At.UnixMicro(), purpose: s.Intent.Purpose, product: s.Intent.Product, reach: contact.ReachEffective}
			switch s.State {
			case Attempting, Unknown:
				x.at, x.spent = s.Attempted.UnixMicro(), true
			case Settled:
				x.at, x.reach, x.spent = s.Attempted.UnixMicro(), s.Outcome.Reach(), true
			case Reserved: // may start at any instant from then on
			default:
				continue
			}
			if s.State.live() {
				live[s.ID] = s.State
			}
			if x.reach > contact.ReachNone {
				all = append(all, x)
			}
		}
		now := m.d.Now().UnixMicro()
		for _, x := range all {
			if x.spent {
				m.count(t, all, x, x.at)
			} else {
				m.count(t, all, x, now)
			}
		}
		m.agree(t, id, live)
	}
}

// count checks the caps that bind x in the windows that end at t.
func (m *machine) count(t *rapid.T, all []touch, x touch, at int64) {
	const hour = int64(time.Hour / time.Microsecond)
	day := func(us int64) int64 { return (us + 8*hour) / (24 * hour) } // Shanghai
	var today, effective, month, week int
	for _, y := range all {
		when := y.at
		if !y.spent && y.at <= at {
			when = at
		}
		if when > at { // later than x: x is counted when it is y's turn
			continue
		}
		if day(when) == day(at) {
			today++
		}
		if y.purpose == contact.Collection && y.product == x.product && y.reach == contact.ReachEffective && when > at-24*hour {
			effective++
		}
		if y.purpose == contact.Marketing && day(when) > day(at)-30 { // rolling_days 30: local days, today the last
			month++
		}
		if y.purpose == contact.Marketing && when > at-7*24*hour {
			week++
		}
	}
	switch {
	case today > 5:
		t.Fatalf("%d contacts in a day, the cap is 5", today)
	case x.purpose == contact.Collection && effective > 2:
		t.Fatalf("%d effective contacts about %s in 24 hours, the cap is 2", effective, x.product)
	case x.purpose == contact.Marketing && month > 3:
		t.Fatalf("%d marketing contacts in 30 days, the cap is 3", month)
	case x.purpose == contact.Marketing && week > 2:
		t.Fatalf("%d marketing contacts in 7 days, the grant says 2", week)
	}
}

// agree checks that the budget's live permits are those of the rows.
func (m *machine) agree(t *rapid.T, id contact.ID, live map[contact.ID]State) {
	l := m.bank.budget(id)
	n := 0
	for i, s := range l.states {
		if s.live() {
			n++
			if live[l.charges[i].Permit] != s {
				t.Fatalf("budget says %s is %s, its row says %s", l.charges[i].Permit, s, live[l.charges[i].Permit])
			}
		}
	}
	if n != len(live) {
		t.Fatalf("budget holds %d live permits, the rows %d", n, len(live))
	}
}

// budget reads a person's log as stored.
func (b *bank) budget(id contact.ID) (l log) {
	b.t.Helper()
	err := b.db.Read(context.Background(), func(tx *db.Tx) (err error) {
		l, err = logOf(context.Background(), tx, id)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return l
}

// replay judges every stored decision again, and compares its facts with the ledger.
func (m *machine) replay() {
	ctx := context.Background()
	for _, id := range m.who {
		list, err := m.bank.gate.ByParty(ctx, id, 1000)
		m.must(err)
		for _, s := range list {
			if !s.Replayed {
				m.Fatalf("the facts of %s do not give its verdict %s by %s again", s.ID, s.Verdict.Effect, s.Verdict.By)
			}
		}
		if len(list) > 3 {
			list = list[:3]
		}
		for _, s := range list {
			rs, err := m.ledger.ByID(ctx, s.ID)
			m.must(err)
			sum := sha256.Sum256(s.Raw)
			if len(rs) == 0 || rs[0].Type != "gate.decided" || !strings.Contains(string(rs[0].Record), hex.EncodeToString(sum[:])) {
				m.Fatalf("the ledger does not hold decision %s with its facts: %v", s.ID, rs)
			}
			want := 1
			if !s.Attempted.IsZero() {
				want++
			}
			if !s.Ended.IsZero() {
				want++
			}
			if len(rs) < want {
				m.Fatalf("%s has %d ledger entries, want %d at least", s.ID, len(rs), want)
			}
		}
	}
}

// Every write of every operation fails once, and once the commit's answer is
// lost. What failed left nothing behind; what was made durable is whole.
func TestFaultAtEveryWrite(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	type op struct {
		name string
		do   func(b *bank, who, permit contact.ID) error
		from State // of the permit before
		to   State
	}
	ops := []op{
		{"reserve", func(b *bank, who, _ contact.ID) error {
			_, err := b.gate.Reserve(ctx, []policy.Intent{collect(who)})
			return err
		}, 0, 0},
		{"batch", func(b *bank, who, _ contact.ID) error {
			in := make([]policy.Intent, 600)
			for i := range in {
				in[i] = collect(contact.NewID())
			}
			in[0] = collect(who)
			_, err := b.gate.Reserve(ctx, in)
			return err
		}, 0, 0},
		{"spend", func(b *bank, _, id contact.ID) error { _, err := b.gate.Spend(ctx, id); return err }, Reserved, Attempting},
		{"settle", func(b *bank, _, id contact.ID) error { return b.gate.Settle(ctx, nil, id, contact.Busy) }, Attempting, Settled},
		{"unknown", func(b *bank, _, id contact.ID) error { return b.gate.Settle(ctx, nil, id, contact.Unknown) }, Attempting, Unknown},
		{"void", func(b *bank, _, id contact.ID) error { return b.gate.Void(ctx, id, "x") }, Reserved, Voided},
		{"expire", func(b *bank, _, _ contact.ID) error { _, err := b.gate.Expire(ctx); return err }, Reserved, Expired},
		{"stop", func(b *bank, who, _ contact.ID) error {
			return b.db.Write(ctx, func(tx *db.Tx) error {
				_, err := b.consent.Stop(ctx, tx, who, contact.Stop{Kind: contact.Refusal}, "x")
				return err
			})
		}, Reserved, Voided},
	}
	for _, o := range ops {
		for _, point := range points {
			t.Run(o.name+"/"+point, func(t *testing.T) {
				t.Parallel()
				eachClock(t, func(t *testing.T, d *db.DB, c *clock) {
					b := newBank(t, d, Options{PermitTTL: time.Hour})
					who := contact.NewID()
					id := b.reserve(collect(who))[0].ID
					if o.from == Attempting {
						if _, err := b.gate.Spend(ctx, id); err != nil {
							t.Fatal(err)
						}
					}
					if o.to == Expired {
						c.add(2 * time.Hour)
					}
					before := snapshot(t, b, who)
					hits := 0
					b.gate.fault = func(at string) error {
						if at != point {
							return nil
						}
						hits++
						return errBoom
					}
					err := o.do(b, who, id)
					b.gate.fault = nil
					if o.name == "stop" && point == "committed" { // the caller's transaction, not the gate's
						if err != nil || hits != 0 {
							t.Fatal(err, hits)
						}
					} else if !errors.Is(err, errBoom) || hits != 1 {
						t.Fatalf("%v after %d hits", err, hits)
					}
					after := snapshot(t, b, who)
					if point != "committed" && after != before {
						t.Fatalf("a failed transaction left something behind:\n%s\n%s", before, after)
					}
					if point == "committed" && after == before {
						t.Fatal("a durable transaction is not there")
					}
					if point != "committed" {
						if err := o.do(b, who, id); err != nil {
							t.Fatalf("again: %v", err)
						}
					}
					if o.to != NoPermit {
						if s := b.state(id); s != o.to {
							t.Fatalf("permit is %s, want %s", s, o.to)
						}
					}
				})
			})
		}
	}
}

// snapshot is all the gate holds about a person, as text.
func snapshot(t *testing.T, b *bank, who contact.ID) string {
	t.Helper()
	list, err := b.gate.ByParty(context.Background(), who, 100)
	if err != nil {
		t.Fatal(err)
	}
	n, err := b.gate.Counts(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	l := b.budget(who)
	s := fmt.Sprintf("%v %v %v", n, l.charges, l.states)
	for _, d := range list {
		s += fmt.Sprintf(" %s %s %v %v %s", d.ID, d.State, d.Attempted, d.Ended, d.Outcome)
	}
	return s
}
