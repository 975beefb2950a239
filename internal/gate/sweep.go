package gate

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
)

// Expire ends the permits that ran out and frees their budget. It never touches
// one that was spent. It gives their number.
func (g *Gate) Expire(ctx context.Context) (int, error) {
	n := 0
	for {
		ids, err := g.ids(ctx, "SELECT id FROM gate_decision WHERE state = 1 AND until <= $1 ORDER BY until LIMIT 1000", 0)
		if err != nil || len(ids) == 0 {
			return n, err
		}
		done, err := g.sweep(ctx, ids, func(b *book, id contact.ID) bool {
			_, p, i, err := b.reserved(id)
			if err != nil || p.now < b.permits[id].until {
				return false
			}
			b.free(p, i, id, Expired, "")
			return true
		})
		n += len(done)
		if err != nil || len(done) == 0 {
			return n, err
		}
	}
}

// Recover marks as unknown every attempt that was spent longer ago than
// olderThan and that this gate's callers are not making: its process has died.
// It may have reached the customer, so it counts as the worst case until
// reconciled. It gives the ids of those it marked.
func (g *Gate) Recover(ctx context.Context, olderThan time.Duration) ([]contact.ID, error) {
	ids, err := g.ids(ctx, "SELECT id FROM gate_decision WHERE state IN (2, 4) AND state = 2 AND attempted <= $1 ORDER BY attempted", olderThan)
	if err != nil {
		return nil, err
	}
	ids = slices.DeleteFunc(ids, func(id contact.ID) bool { _, ok := g.mine.Load(id); return ok })
	var all []contact.ID
	for chunk := range slices.Chunk(ids, maxGroup) {
		done, err := g.sweep(ctx, chunk, func(b *book, id contact.ID) bool {
			return b.finish(id, contact.Unknown, "") == nil && len(b.ended) > 0
		})
		all = append(all, done...)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// ids reads permits by an instant: now, less some time.
func (g *Gate) ids(ctx context.Context, q string, before time.Duration) (ids []contact.ID, err error) {
	err = g.db.Read(ctx, func(tx *db.Tx) error {
		return tx.Each(ctx, func(rs *sql.Rows) error {
			var id string
			err := rs.Scan(&id)
			ids = append(ids, id)
			return err
		}, q, tx.At()-before.Microseconds())
	})
	return ids, err
}

// sweep does fn to permits under their people's locks, and gives those it was done to.
func (g *Gate) sweep(ctx context.Context, ids []contact.ID, fn func(*book, contact.ID) bool) ([]contact.ID, error) {
	var done []contact.ID
	err := g.do(ctx, &op{size: len(ids), permits: ids, do: func(b *book) error {
		done = nil // a transaction may run twice
		for _, id := range ids {
			if fn(b, id) {
				done = append(done, id)
			}
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	return done, nil
}

// Reconcile settles an unknown attempt by what a person or the carrier's call
// records say; by names them.
func (g *Gate) Reconcile(ctx context.Context, id contact.ID, o contact.Outcome, by string) error {
	if !slices.Contains(outcomes[:], o) || o == contact.Unknown || by == "" {
		return ErrOutcome
	}
	return g.do(ctx, &op{size: 1, permits: []contact.ID{id}, do: func(b *book) error {
		if r := b.permits[id]; r != nil {
			p, err := b.who(r.party)
			if err != nil {
				return err
			}
			if i := p.log.find(id); i >= 0 && p.log.states[i] == Attempting {
				return ErrInFlight
			}
		}
		return b.finish(id, o, by)
	}})
}
