package outbound

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
)

// Glance is an attempt with no more than a picture of many needs.
type Glance struct {
	ID        contact.ID
	Channel   contact.Channel
	Purpose   contact.Purpose
	State     State
	Outcome   contact.Outcome
	Started   time.Time
	Talk      time.Duration
	Withdrawn bool // the person withdrew in it
	Complaint string
	Recorded  time.Duration // length of the recording; 0 = none
}

// Past gives a person's attempts begun in [from, to), latest first, at most n.
func (s *Sender) Past(ctx context.Context, tx *db.Tx, party contact.ID, from, to time.Time, n int) ([]Glance, error) {
	var out []Glance
	err := tx.Each(ctx, func(r *sql.Rows) error {
		var g Glance
		var channel, purpose string
		var started, talk, withdrawn int64
		var sum sql.NullString
		var length sql.NullInt64
		err := r.Scan(&g.ID, &channel, &purpose, &g.State, &g.Outcome, &started, &talk, &withdrawn, &g.Complaint, &sum, &length)
		if err != nil {
			return err
		}
		if g.Channel, err = contact.ParseChannel(channel); err == nil {
			g.Purpose, err = contact.ParsePurpose(purpose)
		}
		if err != nil {
			return fmt.Errorf("attempt %s: %w", g.ID, err)
		}
		g.Started, g.Talk, g.Withdrawn = db.Time(started), time.Duration(talk)*time.Microsecond, withdrawn > 0
		if sum.String != "" {
			g.Recorded = max(time.Duration(length.Int64)*time.Microsecond, 1)
		}
		out = append(out, g)
		return nil
	}, `SELECT a.id, a.channel, a.purpose, a.state, a.outcome, a.started_at, a.talk_us, a.withdrawn_at, a.complaint, r.sha256, r.duration_us
		FROM outbound_attempt a LEFT JOIN outbound_recording r ON r.attempt_id = a.id
		WHERE a.party_id = $1 AND a.id >= $2 AND a.id < $3 ORDER BY a.id DESC LIMIT $4`,
		party, contact.IDFrom(from), contact.IDFrom(to), n)
	return out, err
}

// First gives the first attempt to reach a person that was permitted at or
// after from; "" when there is none.
func (s *Sender) First(ctx context.Context, tx *db.Tx, party contact.ID, from time.Time) (id contact.ID, started time.Time, err error) {
	var us int64
	err = tx.QueryRow(ctx, "SELECT id, started_at FROM outbound_attempt WHERE party_id = $1 AND id >= $2 ORDER BY id LIMIT 1",
		party, contact.IDFrom(from)).Scan(&id, &us)
	if errors.Is(err, sql.ErrNoRows) {
		return "", time.Time{}, nil
	}
	return id, db.Time(us), err
}
