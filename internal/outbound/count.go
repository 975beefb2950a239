package outbound

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
)

// Counts is how many attempts there are, and what came of them.
type Counts struct {
	Placed     int64 // left the bank, or may have
	NotSent    int64
	Answered   int64
	Recorded   int64
	Unrecorded int64 // answered, and a recording that was due is missing
	NotDue     int64 // answered, and nothing asked for a recording
	Withdrawn  int64
	Complained int64
	ByOutcome  map[contact.Outcome]int64
}

// Attempts are counted as they change, so that nobody counts years of them:
// of a campaign and of all since ever, and by the hour in which their permits
// were asked for, from which every longer stretch of time is made.
var counter = db.NewCounter("outbound_count", []string{"slot", "campaign_id", "outcome"}, "n", "answered", "recorded", "not_due", "withdrawn", "complained")

const (
	slotLong = time.Hour
	slotAll  = -1 // since ever; under campaign "" those of all
)

// sums are the columns of outbound_count: how many attempts there are, how many of
// them were answered, recorded, had no recording due, were withdrawn in, were complained about.
type sums [6]int64

// share is as what one attempt is counted.
type share struct {
	campaign contact.ID
	outcome  contact.Outcome
	sums
}

// begun is the share of an attempt that has just begun.
func begun(campaign contact.ID) share { return share{campaign: campaign, sums: sums{1}} }

// add counts the attempt id as s, times n.
func (s share) add(tx *db.Tx, id contact.ID, n int64) {
	by := make([]int64, len(s.sums))
	for i, b := range s.sums {
		by[i] = n * b
	}
	out := string(s.outcome)
	counter.Add(tx, []any{slotOf(contact.IDTime(id)), s.campaign, out}, by...)
	counter.Add(tx, []any{int64(slotAll), contact.ID(""), out}, by...)
	if s.campaign != "" {
		counter.Add(tx, []any{int64(slotAll), s.campaign, out}, by...)
	}
}

func slotOf(t time.Time) int64 { return t.UnixMilli() / slotLong.Milliseconds() }

// slotID is the first id of a slot.
func slotID(slot int64) contact.ID {
	return contact.IDFrom(time.UnixMilli(slot * slotLong.Milliseconds()))
}

// counting makes a change to an attempt or its recording, and counts what that
// changes. The attempt is locked before, so that two changes do not count each other's.
func counting(ctx context.Context, tx *db.Tx, id contact.ID, change func() error) error {
	if lock := tx.Dialect().ForUpdate(); lock != "" {
		var same string
		if err := tx.QueryRow(ctx, "SELECT id FROM outbound_attempt WHERE id = $1"+lock, id).Scan(&same); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
	}
	before, err := shareOf(ctx, tx, id)
	if err != nil {
		return err
	}
	if err := change(); err != nil {
		return err
	}
	after, err := shareOf(ctx, tx, id)
	if err != nil {
		return err
	}
	before.add(tx, id, -1)
	after.add(tx, id, 1)
	return nil
}

const sumColumns = `SUM(CASE WHEN a.answered_at > 0 THEN 1 ELSE 0 END),
	SUM(CASE WHEN r.sha256 <> '' THEN 1 ELSE 0 END), SUM(CASE WHEN r.error = $1 THEN 1 ELSE 0 END),
	SUM(CASE WHEN a.withdrawn_at > 0 THEN 1 ELSE 0 END), SUM(CASE WHEN a.complaint <> '' THEN 1 ELSE 0 END)`

// shareOf reads as what an attempt is counted; the zero share when there is none.
func shareOf(ctx context.Context, tx *db.Tx, id contact.ID) (s share, err error) {
	err = tx.QueryRow(ctx, "SELECT a.campaign_id, a.outcome, count(*), "+sumColumns+from+"WHERE a.id = $2 GROUP BY a.campaign_id, a.outcome", notDue, id).
		Scan(&s.campaign, &s.outcome, &s.sums[0], &s.sums[1], &s.sums[2], &s.sums[3], &s.sums[4], &s.sums[5])
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return s, err
}

// Counts gives the counts of the attempts of a campaign, or of all of them for
// "". It costs the same however many there are.
func (s *Sender) Counts(ctx context.Context, tx *db.Tx, campaign contact.ID) (Counts, error) {
	var c Counts
	err := c.addRows(ctx, tx, slotQuery+"slot = $1 AND campaign_id = $2 GROUP BY outcome", int64(slotAll), campaign)
	return c, err
}

// CountsBetween is Counts for the attempts whose ids are in [since, to). Ids are
// made from the bank's clock, so this is a stretch of time (contact.IDFrom). It
// costs what lies in the hours that the stretch begins and ends in, and a little
// for each hour between them.
func (s *Sender) CountsBetween(ctx context.Context, tx *db.Tx, campaign, since, to contact.ID) (Counts, error) {
	var c Counts
	first, end := int64(0), int64(math.MaxInt64)
	if since >= to {
		return c, nil
	}
	if since != "" {
		if first = slotOf(contact.IDTime(since)); slotID(first) < since {
			first++
		}
	}
	if to != latest {
		end = slotOf(contact.IDTime(to))
	}
	if first >= end {
		return c, c.countRows(ctx, tx, campaign, since, to)
	}
	where, args := "slot >= $1 AND slot < $2", []any{first, end}
	if campaign != "" {
		where, args = where+" AND campaign_id = $3", append(args, campaign)
	}
	err := errors.Join(c.addRows(ctx, tx, slotQuery+where+" GROUP BY outcome", args...),
		c.countRows(ctx, tx, campaign, since, slotID(first)))
	if to != latest && err == nil {
		err = c.countRows(ctx, tx, campaign, slotID(end), to)
	}
	return c, err
}

const slotQuery = `SELECT outcome, CAST(SUM(n) AS BIGINT), CAST(SUM(answered) AS BIGINT), CAST(SUM(recorded) AS BIGINT), CAST(SUM(not_due) AS BIGINT),
	CAST(SUM(withdrawn) AS BIGINT), CAST(SUM(complained) AS BIGINT) FROM outbound_count WHERE `

// countRows counts attempts themselves.
func (c *Counts) countRows(ctx context.Context, tx *db.Tx, campaign, since, to contact.ID) error {
	if since >= to {
		return nil
	}
	where, args := "WHERE a.id >= $2 AND a.id < $3 ", []any{notDue, since, to}
	if campaign != "" {
		where, args = where+"AND a.campaign_id = $4 ", append(args, campaign)
	}
	return c.addRows(ctx, tx, "SELECT a.outcome, count(*), "+sumColumns+from+where+"GROUP BY a.outcome", args...)
}

// addRows adds what a query says: sums by outcome.
func (c *Counts) addRows(ctx context.Context, tx *db.Tx, q string, args ...any) error {
	if c.ByOutcome == nil {
		c.ByOutcome = map[contact.Outcome]int64{}
	}
	return tx.Each(ctx, func(r *sql.Rows) error {
		var o contact.Outcome
		var n sums
		if err := r.Scan(&o, &n[0], &n[1], &n[2], &n[3], &n[4], &n[5]); err != nil {
			return err
		}
		if n[0] == 0 {
			return nil
		}
		c.ByOutcome[o] += n[0]
		if o == contact.NotSent {
			c.NotSent += n[0]
		} else {
			c.Placed += n[0]
		}
		c.Answered += n[1]
		c.Recorded += n[2]
		c.NotDue += n[3]
		c.Unrecorded += n[1] - n[2] - n[3]
		c.Withdrawn += n[4]
		c.Complained += n[5]
		return nil
	}, q, args...)
}
