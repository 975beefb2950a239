package complaint

import (
	"context"
	"strings"
	"time"

	"parley/internal/calendar"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

// stepContact is the step of a deadline within which the complainant is to be
// contacted for the first time; the other deadlines are those of the answer.
const stepContact = "contacted"

// FirstContact reports whether the deadline is for contacting the complainant.
func (d *Deadline) FirstContact() bool { return d.Step == stepContact }

// Way is how a handler reached a complainant.
type Way string

// The ways.
const (
	ByCall    Way = "call"
	ByMessage Way = "message"
	ByLetter  Way = "letter"
	InPerson  Way = "in_person"
)

// Ways lists the ways.
func Ways() []Way { return []Way{ByCall, ByMessage, ByLetter, InPerson} }

// terms gives the terms in force for a case: some rules ask where the customer
// lives (attr.region).
func (k *Desk) terms(ctx context.Context, tx *db.Tx, c *Case) (calendar.Terms, error) {
	attrs := map[string]string{"source": c.Source}
	if k.opt.Region != nil && c.Party != "" {
		region, err := k.opt.Region(ctx, tx, c.Party)
		if err != nil {
			return calendar.Terms{}, err
		}
		attrs["region"] = region
	}
	return k.opt.Terms(tx.Now, attrs), nil
}

// awaitContact starts the clocks of the first contact, where rules set any, from
// when the complaint came in. c is stored by the caller, the deadlines here; it
// gives what the ledger says of them.
func (k *Desk) awaitContact(ctx context.Context, tx *db.Tx, c *Case, terms []calendar.Term) ([]map[string]any, error) {
	var out []map[string]any
	for _, t := range terms {
		d, err := k.reckon(ctx, tx, t, c.Received)
		if err != nil {
			return nil, err
		}
		d.Step = stepContact
		if c.ContactDue.IsZero() || d.Due.Before(c.ContactDue) {
			c.ContactDue = d.Due
		}
		if err := k.insertDeadline(ctx, tx, c, &d, "running", ""); err != nil {
			return nil, err
		}
		out = append(out, d.facts())
	}
	return out, nil
}

// contactTerms starts the clocks of the first contact once it is known who
// complains, if they do not run yet.
func (k *Desk) contactTerms(ctx context.Context, tx *db.Tx, c *Case) ([]map[string]any, error) {
	if c.State == Answered || c.State == Closed {
		return nil, nil
	}
	n := 0
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM complaint_deadline WHERE case_id = $1 AND step = $2`, c.ID, stepContact).Scan(&n); err != nil || n > 0 {
		return nil, err
	}
	t, err := k.terms(ctx, tx, c)
	if err != nil {
		return nil, err
	}
	return k.awaitContact(ctx, tx, c, t.Contact)
}

// Contacted records that the handler has reached the complainant: how, when, and
// what was said. The first time ends the clock of the first contact, in time or
// late by when it was (CN-BJ-1WD).
func (k *Desk) Contacted(ctx context.Context, id contact.ID, by string, way Way, at time.Time, text string) error {
	return k.db.Write(ctx, func(tx *db.Tx) error {
		c, err := k.load(ctx, tx, id)
		if err != nil {
			return err
		}
		if at.IsZero() {
			at = tx.Now
		}
		if err := c.mayContact(by, way, at, tx.Now); err != nil {
			return err
		}
		data := map[string]any{"way": way, "at": at}
		if text = strings.TrimSpace(text); text != "" {
			data["text"] = text
		}
		if !c.ContactDue.IsZero() {
			data["due"], data["late"] = c.ContactDue, at.After(c.ContactDue)
			if err := k.endContact(ctx, tx, c, at, "met"); err != nil {
				return err
			}
			if err := k.save(ctx, tx, c); err != nil {
				return err
			}
		}
		return k.record(ctx, tx, c, stepContact, by, true, data)
	})
}

func (c *Case) mayContact(by string, way Way, at, now time.Time) error {
	switch {
	case c.State == Answered || c.State == Closed:
		return errs.New(errs.Conflict, "case_moved_on", "这件投诉已经答复或办结，不用再登记联系。", "The complaint has been answered or closed; no contact is recorded any more.")
	case c.Handler != by:
		return errs.New(errs.Forbidden, "not_handler", "联系投诉人由经办人登记；请先接手这件投诉。", "The handler of the case records the contact; take the case first.")
	case way != ByCall && way != ByMessage && way != ByLetter && way != InPerson:
		return errs.New(errs.Invalid, "way_missing", "请选择联系方式。", "Choose how the complainant was contacted.")
	case at.After(now):
		return errs.New(errs.Invalid, "contact_future", "联系时间不能晚于现在。", "The time of the contact cannot be in the future.")
	case at.Before(c.Received.Truncate(time.Minute)): // people note the minute
		return errs.New(errs.Invalid, "contact_early", "联系时间不能早于收到投诉的时间。", "The time of the contact cannot be before the complaint was received.")
	}
	return nil
}

// endContact ends the clocks of the first contact: with kept for those that at
// is in time for. c is stored by the caller.
func (k *Desk) endContact(ctx context.Context, tx *db.Tx, c *Case, at time.Time, kept string) error {
	c.ContactDue = time.Time{}
	_, err := tx.Exec(ctx, `UPDATE complaint_deadline SET state = CASE WHEN due_at < $3 THEN 'missed' ELSE $4 END
		WHERE case_id = $1 AND step = $2 AND state IN ('running', 'missed')`, c.ID, stepContact, db.Micros(at), kept)
	return err
}

// Uncontacted is how many complainants still wait for their first contact past
// its deadline, and how many in time, of one handler or of all ("").
func (k *Desk) Uncontacted(ctx context.Context, who contact.ID) (over, waiting int, err error) {
	err = k.db.Read(ctx, func(tx *db.Tx) error {
		where, args := "contact_due > 0", []any{tx.At()}
		if who != "" {
			where, args = where+" AND handler = $2", append(args, handler(who))
		}
		var all int
		err := tx.QueryRow(ctx, `SELECT count(*), COALESCE(SUM(CASE WHEN contact_due < $1 THEN 1 ELSE 0 END), 0)
			FROM complaint_case WHERE `+where, args...).Scan(&all, &over)
		waiting = all - over
		return err
	})
	return over, waiting, err
}
