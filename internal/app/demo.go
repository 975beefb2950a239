package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/ledger"
	"parley/internal/outbound"
	"parley/internal/sim"
)

// DemoOptions say what demo to run.
type DemoOptions struct {
	Dir       string // where its data lives; empty = a directory that goes away with it
	Database  string // empty = SQLite in Dir
	Addr      string // of the pages
	Telemetry string // address of the metrics; empty = none
	Seed      uint64
	People    int
	Log       *slog.Logger
}

// Demo is the fictitious bank at work: its phones are simulated, all else is real.
type Demo struct {
	*Running
	Carrier *sim.Carrier
	Seeded  *seeded
	dir     string // to remove; empty = keep
	before  int64  // calls placed in earlier runs on this data
}

// demoSpeed is how much faster than life simulated phones ring; speech is not.
const demoSpeed = 4

// trunkUser is what the demo's trunk asks of its caller; the carrier runs in
// this process on loopback, so this is no secret.
const trunkUser = "parley-demo"

// bankClock is a clock that starts at 10:00 in Shanghai today, whatever the
// hour, and runs on from there.
type bankClock struct{ shift atomic.Int64 }

func newBankClock(now time.Time) *bankClock {
	zone := time.FixedZone("CST", 8*3600)
	y, m, d := now.In(zone).Date()
	c := &bankClock{}
	c.shift.Store(int64(time.Date(y, m, d, 10, 0, 0, 0, zone).Sub(now)))
	return c
}

func (c *bankClock) now() time.Time { return time.Now().Add(time.Duration(c.shift.Load())) }

// forward moves the clock on: a demo that goes on with its data goes on where
// its bank's time stopped.
func (c *bankClock) forward(d time.Duration) { c.shift.Add(int64(d)) }

// StartDemo seeds the bank and starts it with its simulated carrier.
func StartDemo(ctx context.Context, o DemoOptions) (d *Demo, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	sip.SetDefaultLogger(slog.New(slog.DiscardHandler))
	d = &Demo{}
	if o.Dir == "" {
		if o.Dir, err = os.MkdirTemp("", "parley-demo"); err != nil {
			return nil, err
		}
		d.dir = o.Dir
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if d.Carrier, err = sim.StartCarrier(ctx, sim.Config{Seed: o.Seed, Speed: demoSpeed, User: trunkUser, Password: trunkUser, Log: o.Log}); err != nil {
		return d, err
	}
	c := DefaultConfig()
	c.Database.URL = o.Database
	if o.Database == "" {
		c.Database.URL = filepath.Join(o.Dir, "parley.db")
	}
	c.Keys.Dir, c.Recordings.Dir = filepath.Join(o.Dir, "keys"), filepath.Join(o.Dir, "recordings")
	c.Keys.Origin = "demo.parley.example/ledger"
	c.HTTP.Addr = o.Addr
	c.Telemetry.Addr = o.Telemetry
	c.Bank.Identifier, c.Bank.Address = "91000000DEMO000000（虚构 / fictitious）", "上海市虚构路 1 号"
	c.Trunk.Address, c.Trunk.User, c.Trunk.Password, c.Trunk.Local = d.Carrier.Addr(), trunkUser, trunkUser, "127.0.0.1:0"
	clock := newBankClock(time.Now())
	a, err := Open(ctx, Options{Config: c, Clock: clock.now, Log: o.Log, Simulated: true})
	if err != nil {
		return d, err
	}
	a.expect = d.Carrier.Expect
	a.DB.Now()
	clock.forward(a.DB.ClockBehind())
	if d.Seeded, err = a.seedOnce(ctx, o.Seed, o.People); err == nil {
		if d.before, err = a.placed(ctx); err == nil {
			d.Running, err = a.Start(ctx)
		}
	}
	if err != nil {
		return d, errors.Join(err, a.Close())
	}
	return d, nil
}

// Close stops the demo and removes its data, unless a directory was given.
func (d *Demo) Close() error {
	var err error
	if d.Running != nil {
		err = errors.Join(d.Stop(), d.App.Close())
	}
	if d.Carrier != nil {
		d.Carrier.Close()
	}
	if d.dir != "" {
		err = errors.Join(err, os.RemoveAll(d.dir))
	}
	return err
}

// Report is what a demo did, counted from what is stored.
type Report struct {
	Engine                 string                    `json:"engine"`
	BankClock              time.Time                 `json:"bank_clock"`
	ContactsScreened       int64                     `json:"contacts_screened"`
	Decisions              map[string]int64          `json:"decisions"`
	DeniedByRule           map[string]int64          `json:"denied_by_rule"`
	Calls                  map[string]int64          `json:"calls"`
	Outcomes               map[contact.Outcome]int64 `json:"outcomes"`
	CarrierCalls           int64                     `json:"carrier_calls"`
	Withdrawals            int64                     `json:"withdrawals"`
	AttemptsAfterWithdrawl int64                     `json:"attempts_after_withdrawal"`
	OverCap                int64                     `json:"over_cap"`
	Complaints             map[string]int64          `json:"complaints"`
	Ledger                 map[string]any            `json:"ledger"`
	Broken                 []string                  `json:"broken"` // invariants that did not hold; empty = all held
}

// Report stops dialling, waits for the calls under way, seals the ledger, and
// counts and checks everything.
func (d *Demo) Report(ctx context.Context) (*Report, error) {
	d.StopDialing()
	if _, err := d.Sender.OpenPending(ctx); err != nil {
		return nil, err
	}
	st, err := d.sealed(ctx)
	if err != nil {
		return nil, err
	}
	r := &Report{Engine: d.DB.Dialect().Name(), BankClock: d.DB.Now(), Broken: []string{}}
	if err := d.countGate(ctx, r); err != nil {
		return nil, err
	}
	if err := d.countCalls(ctx, r); err != nil {
		return nil, err
	}
	n, err := d.Complaints.Count(ctx)
	if err != nil {
		return nil, err
	}
	r.Complaints = map[string]int64{"opened": int64(n.Total), "with_cause": int64(n.WithCause)}
	rep, err := d.Ledger.Verify(ctx, func(int64, int64) {})
	if err != nil {
		return nil, err
	}
	r.Ledger = map[string]any{"entries": st.Entries, "sealed": st.Sealed, "verified": rep.OK()}
	r.judge(st.Entries == st.Sealed, rep.OK())
	return r, nil
}

// sealed seals the ledger to its end: what runs every second and minute beside the
// calls may add an entry between the seal and the look at it.
func (d *Demo) sealed(ctx context.Context) (st ledger.Stats, err error) {
	for range 10 {
		if _, err = d.Ledger.Seal(ctx); err != nil {
			return st, err
		}
		if st, err = d.Ledger.Stats(ctx); err != nil || st.Entries == st.Sealed {
			return st, err
		}
	}
	return st, nil
}

func (d *Demo) countGate(ctx context.Context, r *Report) error {
	c, err := d.Gate.Counts(ctx)
	if err != nil {
		return err
	}
	r.ContactsScreened = c.Allow + c.Later + c.Deny
	r.Decisions = map[string]int64{"allow": c.Allow, "later": c.Later, "deny": c.Deny}
	r.DeniedByRule = c.DeniedBy
	over, err := d.Gate.OverCap(ctx)
	if err != nil {
		return err
	}
	after, err := d.Gate.AttemptsAfterStop(ctx)
	r.OverCap, r.AttemptsAfterWithdrawl = int64(over), int64(after)
	return err
}

func (d *Demo) countCalls(ctx context.Context, r *Report) error {
	return d.DB.Read(ctx, func(tx *db.Tx) error {
		c, err := d.Sender.Counts(ctx, tx, "")
		if err != nil {
			return err
		}
		r.Calls = map[string]int64{"placed": c.Placed, "answered": c.Answered, "recorded": c.Recorded, "not_to_record": c.NotDue}
		r.Outcomes, r.Withdrawals = c.ByOutcome, c.Withdrawn
		r.CarrierCalls = d.before + int64(d.Carrier.Stats().Calls)
		open, err := d.Sender.Open(ctx, tx)
		for _, at := range open {
			if at.State == outbound.Dialing {
				r.Broken = append(r.Broken, "attempt "+at.ID+" has no end")
			}
		}
		if c.Unrecorded > 0 {
			r.Broken = append(r.Broken, fmt.Sprintf("%d answered calls have no recording", c.Unrecorded))
		}
		return err
	})
}

// placed gives how many calls have left the bank, or may have.
func (a *App) placed(ctx context.Context) (n int64, err error) {
	err = a.DB.Read(ctx, func(tx *db.Tx) error {
		c, err := a.Sender.Counts(ctx, tx, "")
		n = c.Placed
		return err
	})
	return n, err
}

// judge lists the invariants that did not hold.
func (r *Report) judge(sealed, verified bool) {
	must := func(ok bool, format string, args ...any) {
		if !ok {
			r.Broken = append(r.Broken, fmt.Sprintf(format, args...))
		}
	}
	must(r.AttemptsAfterWithdrawl == 0, "%d attempts after a withdrawal", r.AttemptsAfterWithdrawl)
	must(r.OverCap == 0, "%d people over a cap", r.OverCap)
	// After a crash there are recordings of calls whose end nobody knows, too.
	due := r.Calls["answered"] - r.Calls["not_to_record"]
	must(due <= r.Calls["recorded"], "%d answered calls to be recorded but %d recorded", due, r.Calls["recorded"])
	must(r.Calls["placed"] == r.CarrierCalls, "%d calls placed but the carrier saw %d", r.Calls["placed"], r.CarrierCalls)
	must(r.Calls["answered"] > 0, "no call was answered")
	must(r.Complaints["opened"] == r.Complaints["with_cause"], "%d complaints but %d with their cause", r.Complaints["opened"], r.Complaints["with_cause"])
	must(sealed, "the ledger is not sealed to its end")
	must(verified, "the ledger does not verify")
}

// Write writes the report as JSON.
func (r *Report) Write(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}
