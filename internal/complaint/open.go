package complaint

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

// Intake is a complaint as it comes in.
type Intake struct {
	Source    string     // key2, web, staff
	Party     contact.ID // empty when unknown
	Attempt   contact.ID // the contact complained of, when it is known
	Lang      string     // zh or en: the customer's
	Subject   string
	Words     string
	Recording string // sha256 of the recording with the spoken words
	From, To  time.Duration
	By        string // staff who typed it in; empty for the customer
	// Claimed says that Party is only who the complainant says to be: a number
	// typed into a form. Nothing is held and nothing is shown on a claim; see Prove.
	Claimed bool
	Files   []Attachment
}

// maxWords bounds a typed complaint, in bytes; longer ones belong in an attachment.
const maxWords = 20_000

// lookBack is how far back the contact complained of is looked for when the
// customer does not name it.
const lookBack = 90 * 24 * time.Hour

// Open takes a complaint in, in tx: it finds and attaches the contact
// complained of, starts the 15-day clock (art. 18, day of receipt is day 0),
// and holds marketing to this person until the case is closed.
func (k *Desk) Open(ctx context.Context, tx *db.Tx, in Intake) (*Case, error) {
	in.Words = strings.TrimSpace(in.Words)
	if in.Words == "" && in.Recording == "" {
		return nil, errs.New(errs.Invalid, "words_missing", "请写下您要投诉的事情。", "Please write what the complaint is about.")
	}
	if len(in.Words) > maxWords {
		return nil, errs.New(errs.Invalid, "words_too_long", "内容太长，请控制在 6000 字以内。", "That is too long; please keep it under 20,000 characters.")
	}
	if in.Lang != "en" {
		in.Lang = "zh"
	}
	number, err := k.nextNumber(ctx, tx)
	if err != nil {
		return nil, err
	}
	c := &Case{ID: contact.NewID(), Number: number, Token: newToken(), Source: in.Source, State: Open, Round: 1,
		Party: in.Party, Attempt: in.Attempt, Lang: in.Lang, Subject: in.Subject, Words: in.Words,
		Recording: in.Recording, From: in.From, To: in.To, Received: tx.Now, Proven: !in.Claimed}
	if err := k.attachCause(ctx, tx, c); err != nil {
		return nil, err
	}
	if err := k.hold(ctx, tx, c); err != nil {
		return nil, err
	}
	terms, err := k.terms(ctx, tx, c)
	if err != nil {
		return nil, err
	}
	due, err := k.startDeadline(ctx, tx, c, terms.Answer[0])
	if err != nil {
		return nil, err
	}
	first, err := k.awaitContact(ctx, tx, c, terms.Contact)
	if err != nil {
		return nil, err
	}
	if err := k.insertCase(ctx, tx, c); err != nil {
		return nil, err
	}
	if err := k.insertDeadline(ctx, tx, c, &due, "running", ""); err != nil {
		return nil, err
	}
	by := in.By
	if by == "" {
		by = "customer"
	}
	data := due.facts()
	data["source"] = c.Source
	if len(first) > 0 {
		data["first_contact"] = first
	}
	if c.Cause != nil {
		data["cause"] = c.Cause
	}
	if c.Recording != "" {
		data["sha256"] = c.Recording
	}
	if !c.Proven {
		data["claimed"] = true
	}
	if err := k.tell(ctx, tx, c, letterReceived, "", k.sayDue(c.Due), data); err != nil {
		return nil, err
	}
	if err := k.record(ctx, tx, c, "opened", by, true, data); err != nil {
		return nil, err
	}
	return c, k.attach(ctx, tx, c, in.Files)
}

func (k *Desk) attachCause(ctx context.Context, tx *db.Tx, c *Case) error {
	if c.Attempt == "" && c.Party != "" {
		last, err := k.contacts.Latest(ctx, tx, c.Party, tx.Now.Add(-lookBack), 1)
		if err != nil {
			return fmt.Errorf("find the contact complained of: %w", err)
		}
		if len(last) > 0 {
			c.Attempt, c.Cause = last[0].Attempt, &last[0]
		}
		return nil
	}
	if c.Attempt == "" {
		return nil
	}
	cause, err := k.contacts.Cause(ctx, tx, c.Attempt)
	if err != nil {
		return fmt.Errorf("attach the contact complained of: %w", err)
	}
	c.Cause = &cause
	return nil
}

// hold keeps marketing away from somebody who is complaining; not from somebody
// whose number a stranger has typed.
func (k *Desk) hold(ctx context.Context, tx *db.Tx, c *Case) error {
	if c.Party == "" || !c.Proven {
		return nil
	}
	st, err := k.consent.Stop(ctx, tx, c.Party, contact.Stop{Kind: contact.Hold,
		Purposes: contact.PurposeSet(contact.Marketing), Source: "complaint:" + c.Number}, "parley")
	if err != nil {
		return fmt.Errorf("hold marketing: %w", err)
	}
	c.Hold = st.ID
	return nil
}

const caseColumns = `id, number, token, source, state, round, party_id, attempt_id, lang, subject, words,
	recording, span_from, span_to, cause, received_at, handler, due_at, hold_id, closed_at, proven, contact_due`

func (k *Desk) insertCase(ctx context.Context, tx *db.Tx, c *Case) error {
	cause, err := causeJSON(c)
	if err != nil {
		return err
	}
	subject, err := k.seal(c.Subject, ofCase, c.ID, "subject")
	if err != nil {
		return err
	}
	words, err := k.seal(c.Words, ofCase, c.ID, "words")
	if err != nil {
		return err
	}
	proven := 0
	if c.Proven {
		proven = 1
	}
	_, err = tx.Exec(ctx, `INSERT INTO complaint_case (`+caseColumns+`, sealed) VALUES `+db.In(1, 23),
		c.ID, c.Number, c.Token, c.Source, string(c.State), c.Round, c.Party, c.Attempt, c.Lang, subject, words,
		c.Recording, c.From.Microseconds(), c.To.Microseconds(), cause, db.Micros(c.Received), c.Handler, db.Micros(c.Due),
		c.Hold, int64(0), proven, db.Micros(c.ContactDue), int64(1))
	c.recount(tx)
	return err
}

func causeJSON(c *Case) (string, error) {
	if c.Cause == nil {
		return "", nil
	}
	raw, err := json.Marshal(c.Cause)
	if err != nil {
		return "", fmt.Errorf("complaint cause: %w", err)
	}
	return string(raw), nil
}

type scanner interface{ Scan(...any) error }

func (k *Desk) scanCase(r scanner) (*Case, error) {
	var c Case
	var from, to, received, due, closed, contactDue int64
	var state, cause string
	if err := r.Scan(&c.ID, &c.Number, &c.Token, &c.Source, &state, &c.Round, &c.Party, &c.Attempt, &c.Lang, &c.Subject,
		&c.Words, &c.Recording, &from, &to, &cause, &received, &c.Handler, &due, &c.Hold, &closed, &c.Proven, &contactDue); err != nil {
		return nil, err
	}
	var err error
	if c.Subject, err = k.open(c.Subject, ofCase, c.ID, "subject"); err != nil {
		return nil, err
	}
	if c.Words, err = k.open(c.Words, ofCase, c.ID, "words"); err != nil {
		return nil, err
	}
	c.State = State(state)
	c.From, c.To = time.Duration(from)*time.Microsecond, time.Duration(to)*time.Microsecond
	c.Received, c.Due, c.ClosedAt, c.ContactDue = db.Time(received), db.Time(due), db.Time(closed), db.Time(contactDue)
	if cause != "" {
		c.Cause = &Cause{}
		if err := json.Unmarshal([]byte(cause), c.Cause); err != nil {
			return nil, fmt.Errorf("complaint cause of %s: %w", c.Number, err)
		}
	}
	c.stored = c.counted()
	return &c, nil
}
