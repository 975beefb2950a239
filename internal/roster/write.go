package roster

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"parley/internal/db"
)

// patience is how long a batch holds its transaction open for the one before
// it; longer than that, the other may be waiting for a row of its own.
const patience = 3 * time.Second

var errYield = errors.New("the batch before is not written yet")

// place is one batch among those being written.
type place struct {
	*batch
	before *place        // nil = the first, or written and forgotten
	done   chan struct{} // closed once it is written
}

// writeAll writes batches. Where the engine takes several writers, one batch's
// rows go in while the one before is still being written, if they are about
// different people; they are committed in their order all the same, so that an
// import that is broken off has everything up to some row and nothing behind it.
func writeAll(ctx context.Context, d *db.DB, rej *rejectFile, in <-chan *batch, res *Result) error {
	side := min(2, d.Load().Writers)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(side)
	var last *place
	for b := range in {
		if ctx.Err() != nil {
			break // g has the reason
		}
		p := &place{batch: b, before: last, done: make(chan struct{})}
		last = p
		if p.before != nil && (side == 1 || p.shares(p.before.batch)) {
			if err := p.wait(ctx); err != nil {
				break
			}
		}
		g.Go(func() error { return p.write(ctx, d, rej, res) }) // waits for the one before the one before
	}
	return g.Wait()
}

// shares reports whether two batches may be about the same person.
func (b *batch) shares(o *batch) bool {
	if b.about == nil || o.about == nil {
		return true
	}
	for who := range b.about {
		if o.about[who] {
			return true
		}
	}
	return false
}

// wait waits for the batch before.
func (p *place) wait(ctx context.Context) error {
	if p.before == nil {
		return nil
	}
	select { // where it is written and the patience over at once, it is written
	case <-p.before.done:
		return nil
	default:
	}
	select {
	case <-p.before.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *place) write(ctx context.Context, d *db.DB, rej *rejectFile, res *Result) error {
	late, err := p.commit(ctx, d, res)
	if errors.Is(err, errYield) {
		if err = p.wait(ctx); err == nil {
			late, err = p.commit(ctx, d, res)
		}
	}
	if err != nil {
		return err
	}
	if err := rej.add(append(p.rejects, late...)); err != nil {
		return err
	}
	res.Rows, res.Rejected = p.last, res.Rejected+int64(len(p.rejects)+len(late))
	p.before = nil
	close(p.done)
	return nil
}

// commit writes the batch's rows, and ends once the batch before has been committed.
func (p *place) commit(ctx context.Context, d *db.DB, res *Result) (late []Reject, err error) {
	err = d.Write(ctx, func(tx *db.Tx) (err error) {
		if late, err = p.batch.write(ctx, tx); err != nil {
			return err
		}
		turn, cancel := context.WithTimeoutCause(ctx, patience, errYield)
		defer cancel()
		if err := p.wait(turn); err != nil {
			return context.Cause(turn)
		}
		n, err := tx.Exec(ctx, `UPDATE roster_file SET rows_done = $2, rejected = rejected + $3 WHERE hash = $1 AND rows_done = $4 AND done_at = 0`,
			res.Hash, p.last, len(p.rejects)+len(late), res.Rows)
		if err == nil && n == 0 {
			return errTwice
		}
		return err
	})
	return late, err
}
