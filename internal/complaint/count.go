package complaint

import (
	"context"
	"database/sql"

	"parley/internal/db"
)

// Counts gives the number of cases by state, how many have their cause
// attached, and how many are past their deadline.
type Counts struct {
	ByState   map[State]int
	Total     int
	WithCause int
	Overdue   int
}

// Cases are counted as they change, so that nobody counts years of closed ones.
var counter = db.NewCounter("complaint_count", []string{"state"}, "n", "caused")

// counted is as what a case is counted; the zero value is not at all.
type counted struct {
	state  State
	caused bool
}

func (c *Case) counted() counted {
	return counted{c.State, c.Attempt != "" && c.Cause != nil}
}

// recount counts a case as it now stands, in the transaction that stores it.
func (c *Case) recount(tx *db.Tx) {
	c.stored.add(tx, -1)
	c.stored = c.counted()
	c.stored.add(tx, 1)
}

func (c counted) add(tx *db.Tx, n int64) {
	if c.state == "" {
		return
	}
	caused := int64(0)
	if c.caused {
		caused = n
	}
	counter.Add(tx, []any{string(c.state)}, n, caused)
}

// Count gives the counts. It costs the same however many cases there have
// been: those past their deadline are found by an index of the open ones.
func (k *Desk) Count(ctx context.Context) (Counts, error) {
	var out Counts
	err := k.db.Read(ctx, func(tx *db.Tx) error {
		out = Counts{ByState: map[State]int{}}
		if err := tx.Each(ctx, func(r *sql.Rows) error {
			var s string
			var n, caused int
			if err := r.Scan(&s, &n, &caused); err != nil || n == 0 {
				return err
			}
			out.ByState[State(s)] = n
			out.Total += n
			out.WithCause += caused
			return nil
		}, `SELECT state, CAST(SUM(n) AS BIGINT), CAST(SUM(caused) AS BIGINT) FROM complaint_count GROUP BY state`); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT count(*) FROM complaint_case WHERE `+ongoing+` AND due_at < $1`, tx.At()).Scan(&out.Overdue)
	})
	return out, err
}
