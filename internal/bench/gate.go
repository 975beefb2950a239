package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/policy"
)

// The goals of the gate (issue 2, point 7).
const (
	gateGoalBatch   = 0.15
	gateGoalSingles = 5_000
	gateGoalP99     = 20
	gateGoalGrowth  = 1.3
	gateCallers     = 64
)

// size is how much a run measures.
type size struct {
	people, big, small, ones, singles int // customers; rounds of 1000, 100 and 1; calls of all callers together
	grown, aged, past, rounds         int // customers where growth is measured; those with a past, contacts of each, rounds
}

// Gate measures durable decisions (verdict, facts, permit, budget and ledger
// entry) against a bare insert of one 200-byte row for each in the same
// transactions, and whether a decision costs more as histories grow. Batches go
// through the customers in the order they were imported, as lists do.
func Gate(ctx context.Context, o Options, r *Report) error {
	s := size{people: 110_000, big: 40, small: 150, ones: 1000, singles: 25_000, grown: 100_000, aged: 5000, past: 1000, rounds: 6}
	if o.Quick {
		s = size{people: 45_000, big: 16, small: 50, ones: 150, singles: 8_000, grown: 10_000, aged: 2000, past: 100, rounds: 6}
	}
	for _, engine := range Measured(o, r) {
		if err := benchGate(ctx, o, r, engine, s); err != nil {
			return fmt.Errorf("bench gate on %s: %w", engine, err)
		}
		if err := gateGrowth(ctx, o, r, engine, s); err != nil {
			return fmt.Errorf("bench gate growth on %s: %w", engine, err)
		}
	}
	return nil
}

func benchGate(ctx context.Context, o Options, r *Report, engine string, s size) error {
	d, closeDB, err := openEngine(ctx, o, engine)
	if err != nil {
		return err
	}
	defer closeDB()
	c, err := newCrowd(ctx, d, s.people)
	if err != nil {
		return err
	}
	other, closeOther, err := openEngine(ctx, o, engine) // each pays for its own checkpoints
	if err != nil {
		return err
	}
	defer closeOther()
	bare, err := newBare(ctx, other)
	if err != nil {
		return err
	}
	for _, x := range []struct {
		name          string
		batch, rounds int
		goal          float64
	}{
		{"batch=1", 1, s.ones, 0}, {"batch=100", 100, s.small, 0}, {"batch=1000", 1000, s.big, gateGoalBatch},
		{"batch=1000 scattered", 1000, s.big / 4, 0}, // a list in no order: every budget on a page of its own
	} {
		if strings.HasSuffix(x.name, "scattered") {
			c.scatter()
		}
		ours, theirs, err := duel(ctx, c, bare, x.batch, x.rounds)
		if err != nil {
			return err
		}
		name := x.name
		n := float64(x.batch * x.rounds)
		r.Add("gate", engine, name, "decisions_per_s", n/ours.Seconds(), "1/s", 0)
		r.Add("gate", engine, name, "bare_rows_per_s", n/theirs.Seconds(), "1/s", 0)
		r.Add("gate", engine, name, "ratio_to_bare_insert", theirs.Seconds()/ours.Seconds(), "ratio", x.goal)
	}
	return gateSingles(ctx, c, bare, r, engine, s.singles)
}

// duel runs rounds of decisions and of bare inserts by turns.
func duel(ctx context.Context, c *crowd, bare *bare, batch, rounds int) (ours, theirs time.Duration, err error) {
	for i := range rounds + 2 {
		intents := c.pitch(batch)
		t0 := time.Now()
		ds, err := c.gate.Reserve(ctx, intents)
		t1 := time.Now()
		if err != nil {
			return 0, 0, err
		}
		if len(ds) != batch {
			return 0, 0, errors.New("decisions are missing")
		}
		if err := bare.insert(ctx, batch); err != nil {
			return 0, 0, err
		}
		if i >= 2 { // the first rounds prepare statements
			ours, theirs = ours+t1.Sub(t0), theirs+time.Since(t1)
		}
	}
	return ours, theirs, nil
}

// gateSingles has many callers ask for one decision at a time. The yardstick is
// a bare insert of as many rows as there are callers in each transaction.
func gateSingles(ctx context.Context, c *crowd, bare *bare, r *Report, engine string, calls int) error {
	name := fmt.Sprintf("singles=%d", gateCallers)
	var ours, theirs time.Duration
	var lat []time.Duration
	const parts = 5
	for i := range parts + 1 {
		n := calls / parts
		t0 := time.Now()
		part, err := callers(ctx, c, c.pitch(n))
		t1 := time.Now()
		if err != nil {
			return err
		}
		for range n / gateCallers {
			if err := bare.insert(ctx, gateCallers); err != nil {
				return err
			}
		}
		if i > 0 {
			ours, theirs = ours+t1.Sub(t0), theirs+time.Since(t1)
			lat = append(lat, part...)
		}
	}
	slices.Sort(lat)
	goal, p99 := 0.0, 0.0
	if engine == "sqlite" {
		goal, p99 = gateGoalSingles, gateGoalP99
	}
	r.Add("gate", engine, name, "decisions_per_s", float64(len(lat))/ours.Seconds(), "1/s", goal)
	r.Add("gate", engine, name, "ratio_to_bare_insert", theirs.Seconds()/ours.Seconds(), "ratio", 0)
	r.Add("gate", engine, name, "p50_ms", lat[len(lat)/2].Seconds()*1e3, "ms", 0)
	r.Add("gate", engine, name, "p99_ms", lat[len(lat)*99/100].Seconds()*1e3, "ms", p99)
	return nil
}

func callers(ctx context.Context, c *crowd, intents []policy.Intent) ([]time.Duration, error) {
	lat := make([]time.Duration, len(intents))
	failed := make([]error, gateCallers)
	var all sync.WaitGroup
	for w := range gateCallers {
		all.Go(func() {
			for i := w; i < len(intents); i += gateCallers {
				t := time.Now()
				if _, err := c.gate.Reserve(ctx, intents[i:i+1]); err != nil {
					failed[w] = err
					return
				}
				lat[i] = time.Since(t)
			}
		})
	}
	all.Wait()
	return lat, errors.Join(failed...)
}

// bare is the yardstick: a table of 200-byte rows with a UUIDv7 key.
type bare struct {
	db   *db.DB
	body []byte
}

func newBare(ctx context.Context, d *db.DB) (*bare, error) {
	b := &bare{db: d, body: make([]byte, 200-36)}
	rand.Read(b.body)
	q := "CREATE TABLE bench_bare (id TEXT NOT NULL PRIMARY KEY, body BYTEA NOT NULL)"
	if d.Dialect().Name() == "sqlite" {
		q = "CREATE TABLE bench_bare (id TEXT NOT NULL PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID"
	}
	return b, d.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, q)
		return err
	})
}

func (b *bare) insert(ctx context.Context, n int) error {
	rows := make([][]any, n)
	for i := range rows {
		rows[i] = []any{contact.NewID(), b.body}
	}
	return b.db.Write(ctx, func(tx *db.Tx) error {
		return tx.Insert(ctx, "bench_bare", []string{"id", "body"}, "", rows)
	})
}

// gateGrowth measures the same decisions on two databases by turns: one with a
// small table and people without a past, one with a large table and people with
// a long one. They differ in nothing else. The figure is the median of the
// batches' ratios: a pause of the disk in one batch says nothing about growth.
func gateGrowth(ctx context.Context, o Options, r *Report, engine string, s size) error {
	young, closeYoung, err := grown(ctx, o, engine, s, 10_000/s.aged)
	if err != nil {
		return err
	}
	defer closeYoung()
	old, closeOld, err := grown(ctx, o, engine, s, s.past)
	if err != nil {
		return err
	}
	defer closeOld()
	purposes := []contact.Purpose{contact.Marketing, contact.Service, contact.Statutory, contact.Service, contact.Marketing, contact.Service}
	var ratios []float64
	for _, p := range purposes[:s.rounds] {
		for lo := 0; lo < s.aged; lo += 1000 {
			var took [2]time.Duration
			for k, c := range []*crowd{young, old} {
				people := c.parties[:s.aged]
				if k == 0 {
					people = c.parties[s.aged : 2*s.aged] // no past at all
				}
				batch := make([]policy.Intent, 1000)
				for i := range batch {
					batch[i] = intent(people[lo+i], p)
				}
				t := time.Now()
				if _, err := c.gate.Reserve(ctx, batch); err != nil {
					return err
				}
				took[k] = time.Since(t)
			}
			ratios = append(ratios, took[1].Seconds()/took[0].Seconds())
		}
	}
	slices.Sort(ratios)
	r.Add("gate", engine, fmt.Sprintf("history=0-%d table=10000-%d", s.past, s.aged*s.past), "growth_ratio",
		ratios[len(ratios)/2], "ratio", gateGoalGrowth)
	return nil
}

// grown makes a crowd of which some had contacts every day of the past.
func grown(ctx context.Context, o Options, engine string, s size, past int) (*crowd, func(), error) {
	d, closeDB, err := openEngine(ctx, o, engine)
	if err != nil {
		return nil, nil, err
	}
	c, err := newCrowd(ctx, d, s.grown)
	if err == nil {
		err = c.age(ctx, s.aged, past)
	}
	if err != nil {
		closeDB()
		return nil, nil, err
	}
	return c, closeDB, nil
}

func (c *crowd) age(ctx context.Context, people, past int) error {
	for lo := 0; lo < people; lo += 1000 {
		intents := make([]policy.Intent, 1000)
		for i := range intents {
			intents[i] = intent(c.parties[lo+i], contact.Statutory)
		}
		ds, err := c.gate.Reserve(ctx, intents)
		if err != nil {
			return err
		}
		ids := make([]contact.ID, len(ds))
		for i, d := range ds {
			if d.Permit.ID() == "" {
				return fmt.Errorf("bench: a notice was not allowed (%s)", d.Verdict.By)
			}
			ids[i] = d.ID
		}
		if err := c.gate.Fill(ctx, ids, past, 24*time.Hour, c.db.Now()); err != nil {
			return err
		}
	}
	return nil
}
