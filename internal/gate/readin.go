package gate

import (
	"context"

	"parley/internal/contact"
	"parley/internal/db"
)

// DecisionIn is Decision inside a transaction of the caller's, which sees what
// that transaction has changed.
func (g *Gate) DecisionIn(ctx context.Context, tx *db.Tx, id contact.ID) (Stored, error) {
	rows, err := rowsByID(ctx, tx, []contact.ID{id})
	if err == nil && len(rows) == 0 {
		err = ErrNoDecision
	}
	if err != nil {
		return Stored{}, err
	}
	list, err := g.stored(ctx, tx, rows)
	if err != nil {
		return Stored{}, err
	}
	return list[0], nil
}
