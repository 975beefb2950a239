package bench

import (
	"context"
	"fmt"
	"time"

	"parley/internal/contact"
	"parley/internal/policy"
)

// Screen measures how many contacts a second are judged without reservation,
// from a list in the order the customers were imported.
func Screen(ctx context.Context, o Options, r *Report) error {
	people, passes := 100_000, 5
	if o.Quick {
		people, passes = 50_000, 2
	}
	for _, engine := range Measured(o, r) {
		if err := benchScreen(ctx, o, r, engine, people, passes); err != nil {
			return fmt.Errorf("bench screening on %s: %w", engine, err)
		}
	}
	return nil
}

func benchScreen(ctx context.Context, o Options, r *Report, engine string, people, passes int) error {
	d, closeDB, err := openEngine(ctx, o, engine)
	if err != nil {
		return err
	}
	defer closeDB()
	c, err := newCrowd(ctx, d, people)
	if err != nil {
		return err
	}
	if _, err := c.gate.Reserve(ctx, c.pitch(people/4)); err != nil { // some were contacted already
		return err
	}
	list := make([]policy.Intent, people)
	for i, id := range c.parties {
		list[i] = intent(id, contact.Marketing)
	}
	var took time.Duration
	allowed := 0
	for pass := range passes + 1 {
		t := time.Now()
		vs, err := c.gate.Screen(ctx, list)
		if err != nil {
			return err
		}
		if pass > 0 { // the first fills the engine's cache
			took += time.Since(t)
		}
		allowed = 0
		for i := range vs {
			if vs[i].Effect == policy.Allow {
				allowed++
			}
		}
	}
	if allowed == 0 || allowed == people {
		return fmt.Errorf("%d of %d allowed: the measurement is of nothing", allowed, people)
	}
	r.Add("screen", engine, fmt.Sprintf("people=%d", people), "contacts_per_s", float64(people*passes)/took.Seconds(), "1/s", 100_000)
	return nil
}
