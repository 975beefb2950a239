package dbtest_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"parley/internal/db"
	"parley/internal/db/dbtest"
)

// The helper tells a query by index from one that reads everything, on both engines.
func TestIndexedTellsThemApart(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ask := func(q string, args ...any) func() {
			return func() {
				if err := d.Read(context.Background(), func(tx *db.Tx) error {
					return tx.Each(context.Background(), func(*sql.Rows) error { return nil }, q, args...)
				}); err != nil {
					t.Error(err)
				}
			}
		}
		for q, bad := range map[string]bool{
			"SELECT id FROM party WHERE ref = $1":                         false,
			"SELECT id FROM party WHERE region = $1":                      true,
			"SELECT id FROM party WHERE ref > $1 ORDER BY ref LIMIT 5":    false,
			"SELECT id FROM party WHERE ref > $1 ORDER BY at, id LIMIT 5": true,
			"SELECT type FROM ledger_entry WHERE type = $1 ORDER BY at":   true,
			"SELECT type FROM ledger_entry WHERE id = $1":                 false,
			"SELECT p.id FROM party p WHERE p.region = $1 ORDER BY p.id":  true,
		} {
			spy := &recorder{TB: t}
			dbtest.Indexed(spy, d, ask(q, "x"))
			if (len(spy.said) > 0) != bad {
				t.Errorf("%s: %s\n%s", q, spy.said, dbtest.Plan(t, d, dbtest.Query{Text: q, Args: []any{"x"}}))
			}
		}
	})
}

// recorder is a test that is told of failures and goes on.
type recorder struct {
	testing.TB
	said string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(f string, args ...any) { r.said += f; _ = strings.TrimSpace(f) }
