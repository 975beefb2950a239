package campaign

import (
	"context"

	"parley/internal/contact"
	"parley/internal/db"
)

// GetIn is Get inside a transaction of the caller's.
func (s *Store) GetIn(ctx context.Context, tx *db.Tx, id contact.ID) (*Campaign, error) {
	return get(ctx, tx, id, "")
}
