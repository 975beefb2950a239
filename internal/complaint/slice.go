package complaint

import (
	"context"
	"database/sql"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
)

// Nobody is the handler of a case that nobody has taken, in a Query.
const Nobody contact.ID = "-"

// Query says which cases a list shows.
type Query struct {
	State   State      // empty = all
	Handler contact.ID // empty = all
	Due     bool       // those the bank must still answer, the soonest first; else the newest first
	Contact bool       // those whose complainant waits for the first contact, the soonest due first
	Back    bool       // the other way round: the latest due, the oldest
}

// ongoing are the states in which a deadline runs, as the partial indexes name
// them: by what they are not, so that no engine takes an index by state instead.
const ongoing = "state NOT IN ('answered', 'closed')"

// Slice reads a page (db.Cut) of the cases. Its keyset is what Query.Key gives.
func (k *Desk) Slice(ctx context.Context, q Query, p db.Span) ([]*Case, error) {
	if q.Due && (q.State == Answered || q.State == Closed) {
		return nil, nil // the bank has answered
	}
	where, args := " WHERE 1 = 1", []any{}
	if q.Due && q.State == "" {
		where = " WHERE " + ongoing
	}
	if q.Handler != "" {
		args = append(args, handler(q.Handler))
		where += " AND handler = " + db.Param(len(args))
	}
	if q.State != "" {
		args = append(args, string(q.State))
		where += " AND state = " + db.Param(len(args))
	}
	column, desc := "received_at", !q.Back
	switch {
	case q.Contact:
		where += " AND contact_due > 0"
		column, desc = "contact_due", q.Back
	case q.Due:
		column, desc = "due_at", q.Back
	}
	cond, tail := p.Seek(desc, len(args)+1, column, "id")
	if p.At != "" {
		us, id := p.TimeKey()
		args = append(args, us, id)
	}
	var out []*Case
	err := k.db.Read(ctx, func(tx *db.Tx) error {
		out = nil
		return tx.Each(ctx, func(r *sql.Rows) error {
			c, err := k.scanCase(r)
			out = append(out, c)
			return err
		}, `SELECT `+caseColumns+` FROM complaint_case`+where+cond+tail, args...)
	})
	return out, err
}

func handler(id contact.ID) string {
	if id == Nobody {
		return ""
	}
	return id
}

// Key gives a case's place in the list.
func (q Query) Key(c *Case) string {
	if q.Contact {
		return db.TimeKey(db.Micros(c.ContactDue), c.ID)
	}
	if q.Due {
		return db.TimeKey(db.Micros(c.Due), c.ID)
	}
	return db.TimeKey(db.Micros(c.Received), c.ID)
}

// Pressing is how many cases the bank must still answer that are past their
// deadline, and how many will be within a while, of one handler or of all ("").
func (k *Desk) Pressing(ctx context.Context, who contact.ID, within time.Duration) (over, soon int, err error) {
	err = k.db.Read(ctx, func(tx *db.Tx) error {
		where, args := ongoing, []any{tx.At(), tx.At() + within.Microseconds()}
		if who != "" {
			where, args = where+" AND handler = $3", append(args, handler(who))
		}
		var near int
		err := tx.QueryRow(ctx, `SELECT count(*), COALESCE(SUM(CASE WHEN due_at < $1 THEN 1 ELSE 0 END), 0)
			FROM complaint_case WHERE `+where+` AND due_at < $2`, args...).Scan(&near, &over)
		soon = near - over
		return err
	})
	return over, soon, err
}
