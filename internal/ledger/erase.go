package ledger

import (
	"context"
	"fmt"

	"parley/internal/contact"
	"parley/internal/db"
)

// ErasedType is the type of the entry that says that records were erased.
const ErasedType = "record.erased"

// erasure is the record of an erasure.
type erasure struct {
	Entries int64  `json:"entries"` // how many records were erased
	Basis   string `json:"basis"`   // the law or decision it was done under
	By      string `json:"by"`      // who did it
}

// Erase removes the records and salts of every entry about id and says so in
// the log. The leaves stay: what was erased can no longer be read or guessed,
// and whoever holds a copy can still prove that it was so. It gives how many
// records were erased; the caller has checked that no duty to keep stands
// against it.
func Erase(ctx context.Context, tx *db.Tx, id contact.ID, basis, by string) (int64, error) {
	// The outbox first: an entry that is being sealed meanwhile is then found
	// in the log by the second statement.
	var n int64
	for _, table := range []string{"ledger_outbox", "ledger_entry"} {
		changed, err := tx.Exec(ctx, "UPDATE "+table+
			" SET salt = NULL, record = NULL WHERE id = $1 AND type <> $2 AND record IS NOT NULL", id, ErasedType)
		if err != nil {
			return 0, fmt.Errorf("erase ledger records: %w", err)
		}
		n += changed
	}
	if n == 0 {
		return 0, nil
	}
	return n, Append(ctx, tx, Entry{Type: ErasedType, ID: id, Record: erasure{n, basis, by}})
}
