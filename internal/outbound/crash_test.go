package outbound_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/campaign"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/dialer"
	"parley/internal/gate"
	"parley/internal/outbound"
	"parley/internal/sim"
)

// mortal wraps what a dialer works with; when it has done the named step often
// enough the process dies: its database handle is closed, so nothing it does
// from then on is ever stored.
type mortal struct {
	dialer.Source
	gate dialer.Gate
	dialer.Placer
	step string
	mu   sync.Mutex
	left int
	die  func()
}

func (m *mortal) done(step string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.step == step {
		if m.left--; m.left == 0 {
			m.die()
		}
	}
}

func (m *mortal) Claim(ctx context.Context, id contact.ID, n int) ([]campaign.Member, error) {
	defer m.done("claimed")
	return m.Source.Claim(ctx, id, n)
}

func (m *mortal) Reserve(ctx context.Context, c *campaign.Campaign, ms []campaign.Member) ([]campaign.Verdict, error) {
	defer m.done("reserved")
	return m.gate.Reserve(ctx, c, ms)
}

func (m *mortal) Void(ctx context.Context, permit contact.ID, why string) error {
	return m.gate.Void(ctx, permit, why)
}

func (m *mortal) Fate(ctx context.Context, permit contact.ID) (campaign.Fate, contact.Outcome, error) {
	return m.gate.Fate(ctx, permit)
}

func (m *mortal) Decided(ctx context.Context, id contact.ID, vs []campaign.Verdict) error {
	defer m.done("decided")
	return m.Source.Decided(ctx, id, vs)
}

func (m *mortal) Dialing(ctx context.Context, c *campaign.Campaign, party, permit contact.ID) (bool, error) {
	defer m.done("marked")
	return m.Source.Dialing(ctx, c, party, permit)
}

func (m *mortal) Call(ctx context.Context, c *campaign.Campaign, mb campaign.Member) (contact.Outcome, error) {
	defer m.done("called")
	return m.Placer.Call(ctx, c, mb)
}

func (m *mortal) Ended(ctx context.Context, id, party, permit contact.ID, o contact.Outcome) (campaign.Member, error) {
	defer m.done("ended")
	return m.Source.Ended(ctx, id, party, permit, o)
}

// Whenever the process dies, after it has started again nobody is called
// twice, everybody is called or parked, and no permit is left open.
func TestNobodyIsCalledTwiceAfterACrash(t *testing.T) {
	t.Parallel()
	for _, engine := range dbtest.Engines {
		for _, step := range []string{"claimed", "reserved", "decided", "marked", "on the wire", "called", "ended"} {
			t.Run(engine+" "+step, func(t *testing.T) {
				t.Parallel()
				crash(t, dbtest.URL(t, engine), step)
			})
		}
	}
}

func crash(t *testing.T, url, step string) {
	ctx, clock := context.Background(), bankClock()
	d := dbtest.Open(t, url, clock)
	b := mortalBank(t, d)
	persona := sim.Busy
	if step == "on the wire" {
		persona = sim.HangsUp
	}
	numbers := map[string]contact.ID{}
	var list []campaign.Contact
	for range 5 {
		who := b.customer(persona)
		list = append(list, who)
		numbers[b.number(who.Point)] = who.Party
	}
	id := b.run(list)
	dead := make(chan struct{})
	m := &mortal{Source: b.campaigns, gate: b.desk, Placer: b.desk, step: step, left: 2, die: func() { d.Close(); close(dead) }}
	if step == "claimed" || step == "reserved" || step == "decided" {
		m.left = 1
	}
	life, kill := context.WithCancel(ctx)
	t.Cleanup(kill)
	go func() {
		_ = dialer.New(m, m, m, dialer.Options{Now: clock, Log: slog.New(slog.DiscardHandler)}).Run(life)
	}()
	if step == "on the wire" {
		await(t, func() bool { return b.carrier.Stats().Answered > 0 })
		m.die()
	}
	<-dead // nothing that begins from here on is stored
	bury(t, d, url)

	// A new process on the same database. Where nothing happens its time leaps,
	// for a call that the crash kept from being sent is due again a minute later.
	var leapt atomic.Int64
	later := func() time.Time { return clock().Add(time.Duration(leapt.Load())) }
	again := dbtest.Open(t, url, later)
	t.Cleanup(func() { countsAreExact(t, again) })
	b.d, b.campaigns = again, campaigns(again, b.keys)
	b.reopen()
	rec, err := b.sender.Recover(ctx)
	check(t, err)
	life, kill = context.WithCancel(ctx)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = dialer.New(b.campaigns, b.desk, b.desk, dialer.Options{Now: later}).Run(life)
	}()
	before, since := "", time.Now()
	await(t, func() bool {
		c, err := b.campaigns.Get(ctx, id)
		check(t, err)
		ms, err := b.campaigns.Page(ctx, id, "", "", 100)
		check(t, err)
		if stands := fmt.Sprint(ms, b.carrier.Stats()); stands != before {
			before, since = stands, time.Now()
		} else if time.Since(since) > 2*time.Second {
			leapt.Add(int64(time.Minute))
			since = time.Now()
		}
		return c.State == campaign.Done
	})
	kill()
	<-gone
	b.settled(id, numbers, rec)
}

// bury waits until what a dead process was about to store at its last moment is
// stored or is not: a new process must not look before. PostgreSQL rolls back
// what a dead client left open.
func bury(t *testing.T, d *db.DB, url string) {
	t.Helper()
	await(t, func() bool { return d.Load().Writing == 0 })
	if d.Dialect().Name() != "postgres" {
		return
	}
	server, err := sql.Open("pgx", url)
	check(t, err)
	defer server.Close()
	server.SetMaxOpenConns(1)
	const others = "FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
	_, err = server.ExecContext(t.Context(), "SELECT pg_terminate_backend(pid) "+others)
	check(t, err)
	await(t, func() bool {
		n := 0
		check(t, server.QueryRowContext(t.Context(), "SELECT count(*) "+others).Scan(&n))
		return n == 0
	})
}

// settled checks how a campaign stands after a crash and its recovery.
func (b *bank) settled(id contact.ID, numbers map[string]contact.ID, rec outbound.Recovered) {
	t, ctx := b.t, context.Background()
	calls := map[contact.ID]int{}
	for _, c := range b.carrier.Calls() {
		calls[numbers[strings.TrimPrefix(c.Number, "+")]]++
	}
	ms, err := b.campaigns.Page(ctx, id, "", "", 100)
	check(t, err)
	parked := 0
	for _, m := range ms {
		switch {
		case calls[m.Party] > 1:
			t.Errorf("%s was called %d times", m.Party, calls[m.Party])
			check(t, b.d.Read(ctx, func(tx *db.Tx) error {
				as, err := b.sender.AttemptsByParty(ctx, tx, m.Party, "", 10)
				for _, a := range as {
					t.Logf("%+v", a)
				}
				return err
			}))
			for _, c := range b.carrier.Calls() {
				t.Logf("%+v", c)
			}
		case m.State == campaign.Parked:
			parked++
		case m.State != campaign.Finished || calls[m.Party] != 1:
			t.Errorf("%s is %s after %d calls", m.Party, m.State, calls[m.Party])
		}
	}
	if parked != rec.Unknown {
		t.Errorf("%d parked, %d unknown", parked, rec.Unknown)
	}
	check(t, b.d.Read(ctx, func(tx *db.Tx) error {
		open, err := b.sender.Open(ctx, tx)
		if len(open) != parked {
			t.Errorf("%d attempts are open, %d parked", len(open), parked)
		}
		return err
	}))
	flying, err := b.gate.InFlight(ctx, 100)
	check(t, err)
	for _, f := range flying {
		if f.State != gate.Unknown {
			t.Errorf("permit %s is %s", f.ID, f.State)
		}
	}
	if len(flying) != parked {
		t.Errorf("%d permits in flight, %d parked", len(flying), parked)
	}
}

// run makes a campaign of the list, approved and started.
func (b *bank) run(list []campaign.Contact) contact.ID {
	b.t.Helper()
	ctx := context.Background()
	sc := b.scripts["card_renewal"]
	check(b.t, b.campaigns.PutScript(ctx, sc, "ann"))
	c, err := b.campaigns.Create(ctx, campaign.Terms{Name: "Cards", Purpose: sc.Purpose, Relation: contact.Self, CallerID: "95588",
		ScriptHash: sc.Hash(), Zone: "Asia/Shanghai", MaxAttempts: 3, Concurrency: 2, CPS: 50}, "ann")
	check(b.t, err)
	_, err = b.campaigns.AddMembers(ctx, c.ID, list, "ann")
	check(b.t, err)
	c, err = b.campaigns.Submit(ctx, c.ID, "ann", "")
	check(b.t, err)
	_, err = b.campaigns.Approve(ctx, c.ID, "bob", c.Version, c.Hash)
	check(b.t, err)
	_, err = b.campaigns.Start(ctx, c.ID, "ann")
	check(b.t, err)
	return c.ID
}

func await(t testing.TB, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not happen within three minutes")
		}
	}
}

// The dialer must not import this room, yet both name the same refusal.
func TestUnmetIsOneWord(t *testing.T) {
	t.Parallel()
	if dialer.Unmet != outbound.Unmet {
		t.Fatal(dialer.Unmet, outbound.Unmet)
	}
}
