package ledger

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"parley/internal/db"
)

// Since gives up to n sealed entries from a leaf on, in their order: whoever
// follows the log keeps the leaf it has come to.
func (l *Log) Since(ctx context.Context, tx *db.Tx, leaf int64, n int) ([]Record, error) {
	return records(ctx, tx, `SELECT leaf, 0, type, at, id, salt, record, commitment FROM ledger_entry
		WHERE leaf >= $1 ORDER BY leaf LIMIT $2`, leaf, n)
}

// LeafAt gives the first leaf of the entries at or after an instant, or the
// size of the log when there is none. Entries of the same moment may stand in
// another order than they happened.
func (l *Log) LeafAt(ctx context.Context, tx *db.Tx, at time.Time) (int64, error) {
	c, err := l.checkpoint(ctx, tx, "")
	if err != nil {
		return 0, err
	}
	low, high := int64(0), c.Size
	for low < high {
		mid := low + (high-low)/2
		var t int64
		err := tx.QueryRow(ctx, "SELECT at FROM ledger_entry WHERE leaf = $1", mid).Scan(&t)
		if errors.Is(err, sql.ErrNoRows) {
			return 0, ErrDamaged
		}
		if err != nil {
			return 0, err
		}
		if t < db.Micros(at) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, nil
}
