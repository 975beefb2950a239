package bench

import (
	"context"
	"fmt"
	"time"

	"parley/internal/gate"
)

// replayGoal is stored decisions judged again per second, on two cores (issue 4).
const replayGoal = 150_000

// Replay measures how many stored decisions a second are read, judged again
// from their facts and compared.
func Replay(ctx context.Context, o Options, r *Report) error {
	people, decisions := 50_000, 400_000
	if o.Quick {
		people, decisions = 10_000, 60_000
	}
	for _, engine := range Measured(o, r) {
		if err := replayOn(ctx, o, r, engine, people, decisions); err != nil {
			return fmt.Errorf("bench replay on %s: %w", engine, err)
		}
	}
	return nil
}

func replayOn(ctx context.Context, o Options, r *Report, engine string, people, decisions int) error {
	d, closeDB, err := openEngine(ctx, o, engine)
	if err != nil {
		return err
	}
	defer closeDB()
	c, err := newCrowd(ctx, d, people)
	if err != nil {
		return err
	}
	for n := 0; n < decisions; n += 1000 {
		if _, err := c.gate.Reserve(ctx, c.pitch(1000)); err != nil {
			return err
		}
	}
	var best time.Duration
	var got *gate.Replayed
	for range 3 {
		t := time.Now()
		if got, err = c.gate.Replay(ctx, gate.Replay{Set: c.set}); err != nil {
			return err
		}
		if took := time.Since(t); best == 0 || took < best {
			best = took
		}
	}
	if got.Decisions != int64(decisions) || got.Changed != 0 {
		return fmt.Errorf("%d decisions replayed, %d of them changed, of %d", got.Decisions, got.Changed, decisions)
	}
	r.Add("policy", engine, fmt.Sprintf("replay of %d decisions", decisions), "replay_per_s", float64(decisions)/best.Seconds(), "1/s", replayGoal)
	return nil
}
