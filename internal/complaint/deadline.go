package complaint

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"parley/internal/calendar"
	"parley/internal/contact"
	"parley/internal/db"
)

// Deadline is one legal term of a case: what started it, which rule sets it,
// who extended it and when the customer was told.
type Deadline struct {
	ID         contact.ID
	Rule       string
	Started    time.Time
	Due        time.Time
	State      string // asked, running, met, missed, replaced, refused
	Reason     string
	AskedBy    string
	ApprovedBy string
	Told       time.Time
	Calendar   string // the calendar it was reckoned with, "CN 2026.1"; a later version changes nothing
	Step       string // what must happen by then: "contacted"; empty = the answer
	Unsure     bool   // it runs into a year that this calendar did not know
}

// reckon gives the deadline that a term which began at start has, pinned to the
// calendar in force. Where a term counts calendar days, that calendar moves no
// due date: it says what is known of the year in which the last day lies.
func (k *Desk) reckon(ctx context.Context, tx *db.Tx, t calendar.Term, start time.Time) (Deadline, error) {
	days := t.Days
	if days == nil {
		var err error
		if days, err = k.opt.Days(ctx, tx); err != nil {
			return Deadline{}, fmt.Errorf("calendar of a deadline: %w", err)
		}
	}
	d := Deadline{ID: contact.NewID(), Rule: t.Rule, Started: start, Due: t.DueFrom(start, k.opt.Zone), Calendar: days.Pin()}
	d.Unsure = days != nil && !days.Covers(calendar.DateOf(d.Due, k.opt.Zone))
	return d, nil
}

func (k *Desk) insertDeadline(ctx context.Context, tx *db.Tx, c *Case, d *Deadline, state, reason string) error {
	unsure, told := 0, int64(0)
	if d.Unsure {
		unsure = 1
	}
	if state == "running" && d.Step == "" {
		told = tx.At() // the customer reads it on the progress page
	}
	_, err := tx.Exec(ctx, `INSERT INTO complaint_deadline (id, case_id, `+deadlineFacts+`) VALUES `+db.In(1, 13),
		d.ID, c.ID, d.Rule, db.Micros(d.Started), db.Micros(d.Due), state, reason, d.AskedBy, d.ApprovedBy, told, d.Calendar, unsure, d.Step)
	return err
}

// startDeadline starts the clock of a case at this instant.
func (k *Desk) startDeadline(ctx context.Context, tx *db.Tx, c *Case, t calendar.Term) (Deadline, error) {
	d, err := k.reckon(ctx, tx, t, tx.Now)
	c.Due = d.Due
	return d, err
}

func (k *Desk) restartDeadline(ctx context.Context, tx *db.Tx, c *Case, t calendar.Term) (Deadline, error) {
	d, err := k.startDeadline(ctx, tx, c, t)
	if err != nil {
		return d, err
	}
	return d, k.insertDeadline(ctx, tx, c, &d, "running", "")
}

// endDeadline marks the running term as met, or as missed when it is over; the
// clock of a first contact that is still running ends as contact. c is stored by
// the caller.
func (k *Desk) endDeadline(ctx context.Context, tx *db.Tx, c *Case, contact string) error {
	if err := k.endContact(ctx, tx, c, tx.Now, contact); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE complaint_deadline SET state = CASE WHEN due_at < $2 THEN 'missed' ELSE 'met' END
		WHERE case_id = $1 AND step = '' AND state = 'running'`, c.ID, tx.At())
	return err
}

// NextTerm gives the term that an extension of this case would run to; ok is
// false when the last one runs already.
func (k *Desk) NextTerm(ctx context.Context, id contact.ID) (t calendar.Term, ok bool, err error) {
	err = k.db.Read(ctx, func(tx *db.Tx) error {
		c, err := k.scanCase(tx.QueryRow(ctx, `SELECT `+caseColumns+` FROM complaint_case WHERE id = $1`, id))
		if err != nil {
			return err
		}
		t, ok, err = k.nextTerm(ctx, tx, c)
		return err
	})
	return t, ok, err
}

func (k *Desk) nextTerm(ctx context.Context, tx *db.Tx, c *Case) (calendar.Term, bool, error) {
	var rule string
	err := tx.QueryRow(ctx, `SELECT rule FROM complaint_deadline WHERE case_id = $1 AND step = '' AND state = 'running'`, c.ID).Scan(&rule)
	if errors.Is(err, sql.ErrNoRows) {
		return calendar.Term{}, false, nil
	}
	if err != nil {
		return calendar.Term{}, false, err
	}
	terms, err := k.terms(ctx, tx, c)
	if err != nil {
		return calendar.Term{}, false, err
	}
	for _, t := range terms.Answer {
		if t.Extends == rule {
			return t, true, nil
		}
	}
	return calendar.Term{}, false, nil
}

// Tick marks terms that have run out, once each, and gives how many did. Call
// it now and then; a deadline is a row, so a missed call loses nothing.
func (k *Desk) Tick(ctx context.Context) (int, error) {
	n := 0
	err := k.db.Write(ctx, func(tx *db.Tx) error {
		n = 0
		var over []Deadline
		var cases []string
		if err := tx.Each(ctx, func(r *sql.Rows) error {
			var d Deadline
			var cid string
			var due int64
			err := r.Scan(&d.ID, &cid, &d.Rule, &due, &d.Calendar, &d.Step)
			d.Due = db.Time(due)
			over, cases = append(over, d), append(cases, cid)
			return err
		}, `SELECT id, case_id, rule, due_at, calendar, step FROM complaint_deadline WHERE state = 'running' AND due_at < $1`, tx.At()); err != nil {
			return err
		}
		for i, d := range over {
			if err := k.miss(ctx, tx, cases[i], &d); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, err
}

func (k *Desk) miss(ctx context.Context, tx *db.Tx, id contact.ID, d *Deadline) error {
	c, err := k.load(ctx, tx, id)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE complaint_deadline SET state = 'missed' WHERE id = $1`, d.ID); err != nil {
		return err
	}
	if d.Step != "" {
		return k.record(ctx, tx, c, "contact_missed", "parley", false, d.facts())
	}
	data := d.facts()
	if err := k.tell(ctx, tx, c, letterLate, "", k.sayDue(d.Due), data); err != nil {
		return err
	}
	return k.record(ctx, tx, c, "deadline_missed", "parley", true, data)
}

const (
	deadlineFacts   = `rule, started_at, due_at, state, reason, asked_by, approved_by, told_at, calendar, unsure, step`
	deadlineColumns = `id, ` + deadlineFacts
)

func (k *Desk) scanDeadline(r scanner) (Deadline, error) {
	var d Deadline
	var started, due, told, unsure int64
	if err := r.Scan(&d.ID, &d.Rule, &started, &due, &d.State, &d.Reason, &d.AskedBy, &d.ApprovedBy, &told, &d.Calendar, &unsure, &d.Step); err != nil {
		return d, fmt.Errorf("deadline: %w", err)
	}
	d.Unsure = unsure != 0
	d.Started, d.Due, d.Told = db.Time(started), db.Time(due), db.Time(told)
	var err error
	d.Reason, err = k.open(d.Reason, ofDeadline, d.ID, "reason")
	return d, err
}
