package gate

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
)

// Query says which decisions a list shows.
type Query struct {
	Campaign contact.ID // empty = of all and of none
	From, To time.Time  // made at or after, and before; zero = any
	Oldest   bool       // the oldest first; else the newest
}

// Slice reads a page (db.Cut) of the decisions. Its keyset is the decision's id,
// which is made from the instant of the decision.
func (g *Gate) Slice(ctx context.Context, q Query, p db.Span) ([]Stored, error) {
	return g.list(ctx, func(tx *db.Tx) ([]*row, error) {
		classes := []int64{0}
		if q.Campaign != "" {
			var err error
			if classes, err = classesOf(ctx, tx, q.Campaign); err != nil {
				return nil, err
			}
		}
		var rows []*row
		for _, c := range classes {
			text, args := q.text(c, p)
			if err := tx.Each(ctx, func(rs *sql.Rows) error {
				r, err := scanRow(rs)
				rows = append(rows, r)
				return err
			}, text, args...); err != nil {
				return nil, err
			}
		}
		// In reading order: the classes' rows one among another.
		slices.SortFunc(rows, func(a, b *row) int {
			if q.Oldest == p.Back {
				return cmp.Compare(b.id, a.id)
			}
			return cmp.Compare(a.id, b.id)
		})
		return rows[:min(p.Fetch(), len(rows))], nil
	})
}

// text gives the query for one class.
func (q Query) text(class int64, p db.Span) (string, []any) {
	where, args := " WHERE 1 = 1", []any{}
	add := func(cond string, v any) {
		args = append(args, v)
		where += " AND " + cond + db.Param(len(args))
	}
	if q.Campaign != "" {
		where, args = " WHERE d.class = $1", []any{class}
	}
	if !q.From.IsZero() {
		add("d.id >= ", contact.IDFrom(q.From))
	}
	if !q.To.IsZero() {
		add("d.id < ", contact.IDFrom(q.To))
	}
	cond, tail := p.Seek(!q.Oldest, len(args)+1, "d.id")
	if p.At != "" {
		args = append(args, p.At)
	}
	return "SELECT " + rowColumns + " FROM gate_decision d" + where + cond + tail, args
}
