package webhook

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/ledger"
)

// Delivery is one event for one subscriber.
type Delivery struct {
	Endpoint contact.ID
	Leaf     int64 // the event's place in the ledger
	Type     string
	State    string // pending, done, skipped
	Tries    int
	Due      time.Time // of the next try, while pending
	Tried    time.Time // zero = not yet
	Code     int       // HTTP status of the last try; 0 = no answer
	Error    string
}

const deliveryColumns = "endpoint_id, leaf, type, state, tries, due_at, tried_at, code, error"

func scanDelivery(row interface{ Scan(...any) error }) (d Delivery, err error) {
	var due, tried int64
	err = row.Scan(&d.Endpoint, &d.Leaf, &d.Type, &d.State, &d.Tries, &due, &tried, &d.Code, &d.Error)
	d.Due, d.Tried = db.Time(due), db.Time(tried)
	return d, err
}

// Deliveries gives a page of what a subscriber was told, the newest first;
// state "" means all. A page begins after a leaf, written in digits.
func (s *Store) Deliveries(ctx context.Context, tx *db.Tx, id contact.ID, state string, p db.Span) (out []Delivery, err error) {
	cond, tail := p.Seek(true, 3, "leaf")
	args := []any{id, state}
	if p.At != "" {
		leaf, err := strconv.ParseInt(p.At, 10, 64)
		if err != nil {
			return nil, ErrDelivery
		}
		args = append(args, leaf)
	}
	err = tx.Each(ctx, func(rows *sql.Rows) error {
		d, err := scanDelivery(rows)
		out = append(out, d)
		return err
	}, "SELECT "+deliveryColumns+" FROM webhook_delivery WHERE endpoint_id = $1 AND ($2 = '' OR state = $2)"+cond+tail, args...)
	return out, err
}

// Waiting gives how many of a subscriber's events wait.
func (s *Store) Waiting(ctx context.Context, tx *db.Tx, id contact.ID) (n int, err error) {
	err = tx.QueryRow(ctx, "SELECT count(*) FROM webhook_delivery WHERE endpoint_id = $1 AND state = 'pending'", id).Scan(&n)
	return n, err
}

// Resend tells a subscriber of one event again, before what else waits.
func (s *Store) Resend(ctx context.Context, tx *db.Tx, id contact.ID, client string, leaf int64, by string) error {
	return s.mark(ctx, tx, id, client, leaf, "pending", "resent", by)
}

// Skip passes over an event that cannot be delivered, so that the next ones are.
func (s *Store) Skip(ctx context.Context, tx *db.Tx, id contact.ID, client string, leaf int64, by string) error {
	return s.mark(ctx, tx, id, client, leaf, "skipped", "skipped", by)
}

func (s *Store) mark(ctx context.Context, tx *db.Tx, id contact.ID, client string, leaf int64, state, what, by string) error {
	e, err := s.Get(ctx, tx, id, client)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, "UPDATE webhook_delivery SET state = $3, tries = 0, due_at = $4 WHERE endpoint_id = $1 AND leaf = $2", id, leaf, state, tx.At())
	if err == nil && n == 0 {
		err = ErrDelivery
	}
	if err != nil {
		return err
	}
	return s.note(ctx, tx, &e, what, by)
}

// Replay tells a subscriber everything again that happened from an instant on.
func (s *Store) Replay(ctx context.Context, tx *db.Tx, id contact.ID, client string, from time.Time, by string) (int64, error) {
	e, err := s.Get(ctx, tx, id, client)
	if err != nil {
		return 0, err
	}
	leaf, err := s.ledger.LeafAt(ctx, tx, from)
	if err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, "UPDATE webhook_endpoint SET cursor = $2 WHERE id = $1 AND cursor > $2", id, leaf); err != nil {
		return 0, err
	}
	return leaf, s.note(ctx, tx, &e, "replayed", by)
}

// gathered is how many entries of the ledger are looked at in one transaction.
const gathered = 500

// gather turns what is new in the ledger into deliveries of a subscriber. It
// gives whether there may be more.
func (s *Store) gather(ctx context.Context, id contact.ID) (more bool, err error) {
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		more = false
		e, err := scan(tx.QueryRow(ctx, "SELECT "+columns+" FROM webhook_endpoint WHERE id = $1"+tx.Dialect().ForUpdate(), id))
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		rs, err := s.ledger.Since(ctx, tx, e.Cursor, gathered)
		if err != nil || len(rs) == 0 {
			return err
		}
		var rows [][]any
		for _, r := range rs {
			if e.Matches(r.Type) {
				rows = append(rows, []any{id, r.Index, r.Type, "pending", 0, tx.At(), 0, 0, ""})
			}
		}
		if err := tx.Insert(ctx, "webhook_delivery", []string{"endpoint_id", "leaf", "type", "state", "tries", "due_at", "tried_at", "code", "error"},
			"ON CONFLICT (endpoint_id, leaf) DO UPDATE SET state = 'pending', tries = 0, due_at = excluded.due_at", rows); err != nil {
			return err
		}
		more = len(rs) == gathered
		_, err = tx.Exec(ctx, "UPDATE webhook_endpoint SET cursor = $2 WHERE id = $1", id, rs[len(rs)-1].Index+1)
		return err
	})
	return more, err
}

// behind gives the active subscribers for whom the ledger holds something new,
// and those with an event that is due.
func (s *Store) behind(ctx context.Context) (out []contact.ID, err error) {
	head, err := s.ledger.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	err = s.db.Read(ctx, func(tx *db.Tx) error {
		out = nil
		return tx.Each(ctx, func(rows *sql.Rows) error {
			var id string
			err := rows.Scan(&id)
			out = append(out, id)
			return err
		}, `SELECT id FROM webhook_endpoint WHERE state = 'active' AND (cursor < $1 OR EXISTS (SELECT 1 FROM webhook_delivery d
			WHERE d.endpoint_id = webhook_endpoint.id AND d.state = 'pending'
			AND d.leaf = (SELECT min(leaf) FROM webhook_delivery m WHERE m.endpoint_id = webhook_endpoint.id AND m.state = 'pending')
			AND d.due_at <= $2)) ORDER BY id`, head.Size, tx.At())
	})
	return out, err
}

// kept is how long deliveries that went well are shown.
const kept = 30 * 24 * time.Hour

// Purge forgets old deliveries, some at a time.
func (s *Store) Purge(ctx context.Context) (n int64, err error) {
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		n, err = tx.Exec(ctx, `DELETE FROM webhook_delivery WHERE (endpoint_id, leaf) IN (SELECT endpoint_id, leaf FROM webhook_delivery
			WHERE tried_at > 0 AND tried_at < $1 AND state <> 'pending' ORDER BY tried_at LIMIT 1000)`, tx.At()-kept.Microseconds())
		return err
	})
	return n, err
}

// event reads the ledger's entry of a delivery.
func (s *Store) event(ctx context.Context, tx *db.Tx, leaf int64) (ledger.Record, error) {
	rs, err := s.ledger.Since(ctx, tx, leaf, 1)
	if err != nil {
		return ledger.Record{}, err
	}
	if len(rs) != 1 || rs[0].Index != leaf {
		return ledger.Record{}, ErrDelivery
	}
	return rs[0], nil
}
