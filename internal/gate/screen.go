package gate

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/policy"
)

// screenChunk is how many intents one worker reads and judges at a time.
const screenChunk = 2000

// Screen judges intents as of now without reserving or storing anything: a
// forecast for a list. It takes no locks; verdicts are as of the standing and
// budgets that are committed. A verdict's Rules are those that object.
func (g *Gate) Screen(ctx context.Context, intents []policy.Intent) ([]policy.Verdict, error) {
	out := make([]policy.Verdict, len(intents))
	chunks := (len(intents) + screenChunk - 1) / screenChunk
	var next atomic.Int64
	var once sync.Once
	var failed error
	var workers sync.WaitGroup
	for range min(chunks, runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			var room []policy.RuleResult
			for {
				i := int(next.Add(1)-1) * screenChunk
				if i >= len(intents) {
					return
				}
				end := min(i+screenChunk, len(intents))
				err := g.db.Read(ctx, func(tx *db.Tx) (err error) {
					room, err = g.screen(ctx, tx, intents[i:end], out[i:end], room)
					return err
				})
				if err != nil {
					once.Do(func() { failed = err })
					next.Store(int64(chunks)) // nobody starts another
					return
				}
			}
		})
	}
	workers.Wait()
	if failed != nil {
		return nil, failed
	}
	return out, nil
}

func (g *Gate) screen(ctx context.Context, tx *db.Tx, intents []policy.Intent, out []policy.Verdict, room []policy.RuleResult) ([]policy.RuleResult, error) {
	b := &book{g: g, tx: tx, set: g.policyAt(tx.Now)}
	parties := make([]contact.ID, len(intents))
	for i := range intents {
		parties[i] = intents[i].Party
	}
	if err := b.load(ctx, distinct(parties), false); err != nil {
		return room, err
	}
	for i := range intents {
		p, err := b.who(intents[i].Party)
		if err != nil {
			return room, err
		}
		if p == nil {
			out[i] = denial(b.set, "intent", "party")
			continue
		}
		f := p.facts(&intents[i], p.log.charges)
		v := judge(b.set, &f, room)
		room = v.Rules[:0]
		v.Rules = objections(v.Rules)
		out[i] = v
	}
	return room, nil
}
