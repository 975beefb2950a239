package gate

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/policy"
)

// stuck holds the first group in its transaction until release.
func stuck(g *Gate) (held <-chan struct{}, release func()) {
	in, out := make(chan struct{}), make(chan struct{})
	var first sync.Once
	g.fault = func(at string) error {
		if at == "decisions" {
			first.Do(func() { close(in); <-out })
		}
		return nil
	}
	return in, sync.OnceFunc(func() { close(out) })
}

// queued waits until n callers wait for the next group.
func queued(g *Gate, n int) {
	for ; ; time.Sleep(time.Millisecond) {
		g.queue.mu.Lock()
		have := len(g.queue.waiting)
		g.queue.mu.Unlock()
		if have == n {
			return
		}
	}
}

// Callers share a transaction. One that leaves before its work has begun takes
// nothing with it, and one whose work cannot be stored fails alone.
func TestGroup(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	eachClock(t, func(t *testing.T, d *db.DB, _ *clock) {
		poison, leaver := contact.NewID(), contact.NewID()
		boom := errors.New("no such person")
		groups := 0
		b := newBank(t, d, Options{Person: func(_ context.Context, _ *db.Tx, parties []contact.ID) (map[contact.ID]Person, error) {
			groups++
			for _, p := range parties {
				if p == poison {
					return nil, boom
				}
			}
			return nil, nil
		}})
		b.gate.queue.width = 1
		held, release := stuck(b.gate)
		defer release()
		var all sync.WaitGroup
		errs := map[string]error{}
		var mu sync.Mutex
		start := func(name string, ctx context.Context, in ...policy.Intent) {
			all.Go(func() {
				ds, err := b.gate.Reserve(ctx, in)
				if err == nil && (len(ds) != len(in) || ds[0].Intent.Party != in[0].Party) {
					err = errors.New("somebody else's decisions")
				}
				mu.Lock()
				defer mu.Unlock()
				errs[name] = err
			})
		}
		start("first", ctx, collect(contact.NewID()))
		<-held
		start("poison", ctx, collect(poison))
		queued(b.gate, 1)
		gone, leave := context.WithCancel(ctx)
		start("leaver", gone, collect(leaver))
		queued(b.gate, 2)
		start("good", ctx, collect(contact.NewID()), collect(contact.NewID()))
		start("nobody", ctx, policy.Intent{Channel: contact.Voice, Purpose: contact.Collection, Relation: contact.Self})
		queued(b.gate, 4)
		leave()
		for done := false; !done; time.Sleep(time.Millisecond) {
			mu.Lock()
			_, done = errs["leaver"]
			mu.Unlock()
		}
		release()
		all.Wait()
		want(t, errs["leaver"], context.Canceled)
		want(t, errs["poison"], boom)
		for _, name := range []string{"first", "good", "nobody"} {
			if errs[name] != nil {
				t.Errorf("%s: %v", name, errs[name])
			}
		}
		if groups != 5 { // the first, the shared one that failed, and its three members alone
			t.Errorf("%d transactions, want 5", groups)
		}
		if list, err := b.gate.ByParty(ctx, leaver, 1); err != nil || len(list) != 0 {
			t.Errorf("the caller who left has %d decisions, %v", len(list), err)
		}
		if n, err := b.gate.Counts(ctx); err != nil || n.Allow != 3 {
			t.Errorf("counts %+v, %v", n, err)
		}
	})
}

// An intent that lacks what a verdict needs is denied, kept where it names a
// person, and does not fail its batch. More than fit one transaction come back
// in order.
func TestBatch(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	eachClock(t, func(t *testing.T, d *db.DB, _ *clock) {
		b := newBank(t, d, Options{})
		in := make([]policy.Intent, 2300)
		for i := range in {
			in[i] = collect(contact.NewID())
		}
		in[7] = policy.Intent{Party: in[7].Party}
		in[8].Party = "'; DROP TABLE gate_decision; --"
		in[9].Party = strings.ToUpper(contact.NewID())
		in[1500] = in[1499]
		in[1501] = in[1499]
		ds := b.reserve(in...)
		if len(ds) != len(in) {
			t.Fatalf("%d decisions", len(ds))
		}
		for i, x := range ds {
			wantEffect, kept := policy.Allow, true
			switch i {
			case 7:
				wantEffect = policy.Deny
			case 8, 9:
				wantEffect, kept = policy.Deny, false
			case 1501:
				wantEffect = policy.Later
			}
			if x.Intent.Party != in[i].Party || x.Verdict.Effect != wantEffect || (x.ID != "") != kept {
				t.Fatalf("decision %d of %s is %v (%s)", i, x.Intent.Party, x.Verdict.Effect, x.ID)
			}
			if i > 0 && kept && ds[i-1].ID != "" && x.ID <= ds[i-1].ID {
				t.Fatalf("ids are not in order at %d: %s, %s", i, ds[i-1].ID, x.ID)
			}
		}
		for _, i := range []int{0, 7, 1499, 1501, 2299} {
			s, err := b.gate.Decision(ctx, ds[i].ID)
			if err != nil || !s.Replayed || s.Verdict.Effect != ds[i].Verdict.Effect || s.Verdict.By != ds[i].Verdict.By || !s.Verdict.At.Equal(ds[i].Verdict.At) || s.Intent.Product != in[i].Product {
				t.Fatalf("decision %d stored as %+v, %v", i, s, err)
			}
		}
	})
}
