package complaint

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"parley/internal/approval"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/ledger"
)

var errNoCase = errs.New(errs.NotFound, "case_not_found", "没有这个投诉。请核对编号或链接。", "There is no such complaint. Check the number or the link.")

// load reads a case and takes its row lock until the transaction ends.
func (k *Desk) load(ctx context.Context, tx *db.Tx, id contact.ID) (*Case, error) {
	c, err := k.scanCase(tx.QueryRow(ctx, `SELECT `+caseColumns+` FROM complaint_case WHERE id = $1`+tx.Dialect().ForUpdate(), id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errNoCase
	}
	return c, err
}

// act moves a case on: it checks that the act fits the state, lets fill change
// the case and write what belongs to it, then stores row, event and ledger entry.
func (k *Desk) act(ctx context.Context, id contact.ID, a Act, by string, public bool,
	fill func(tx *db.Tx, c *Case, data map[string]any) error,
) (*Case, error) {
	var out *Case
	err := k.db.Write(ctx, func(tx *db.Tx) error {
		c, e, err := k.move(ctx, tx, id, a, by, public, fill)
		if err != nil {
			return err
		}
		out = c
		return ledger.Append(ctx, tx, ledger.Entry{Type: e.Type, ID: e.ID, Record: e.Record})
	})
	return out, err
}

// move is act as part of tx; the caller sees to the ledger entry that it gives.
func (k *Desk) move(ctx context.Context, tx *db.Tx, id contact.ID, a Act, by string, public bool,
	fill func(tx *db.Tx, c *Case, data map[string]any) error,
) (*Case, approval.Effect, error) {
	c, err := k.load(ctx, tx, id)
	if err != nil {
		return nil, approval.Effect{}, err
	}
	to, err := next(c.State, c.Round, a)
	if err != nil {
		return nil, approval.Effect{}, err
	}
	data := map[string]any{}
	c.State = to
	if fill != nil {
		if err := fill(tx, c, data); err != nil {
			return nil, approval.Effect{}, err
		}
	}
	if to == Closed {
		if err := k.close(ctx, tx, c, by); err != nil {
			return nil, approval.Effect{}, err
		}
		if err := k.tell(ctx, tx, c, letterClosed, "", sayClosed(a), data); err != nil {
			return nil, approval.Effect{}, err
		}
	}
	if err := k.save(ctx, tx, c); err != nil {
		return nil, approval.Effect{}, err
	}
	e, err := k.event(ctx, tx, c, string(a), by, public, data)
	return c, e, err
}

func (k *Desk) save(ctx context.Context, tx *db.Tx, c *Case) error {
	_, err := tx.Exec(ctx, `UPDATE complaint_case SET state = $2, round = $3, handler = $4, due_at = $5, closed_at = $6, hold_id = $7,
		contact_due = $8 WHERE id = $1`, c.ID, string(c.State), c.Round, c.Handler, db.Micros(c.Due), db.Micros(c.ClosedAt), c.Hold, db.Micros(c.ContactDue))
	c.recount(tx)
	return err
}

// close lifts the hold: what bars contact from now on is what was decided.
func (k *Desk) close(ctx context.Context, tx *db.Tx, c *Case, by string) error {
	c.ClosedAt = tx.Now
	if c.Hold == "" {
		return nil
	}
	hold := c.Hold
	c.Hold = ""
	return k.consent.Lift(ctx, tx, c.Party, hold, by, "complaint "+c.Number+" closed")
}

// Take gives the case to a handler. In a review it must be somebody who had no
// part in the first decision (art. 17 recusal, art. 20 review).
func (k *Desk) Take(ctx context.Context, id contact.ID, by string) (*Case, error) {
	return k.act(ctx, id, Take, by, true, func(tx *db.Tx, c *Case, data map[string]any) error {
		if c.Round > 1 {
			ds, err := k.decisions(ctx, tx, c.ID)
			if err != nil {
				return err
			}
			for _, d := range ds {
				if d.Round < c.Round && (d.ProposedBy == by || d.DecidedBy == by) {
					return errs.New(errs.Forbidden, "recusal",
						"核查须由未参与原决定的人办理，请转给其他同事。",
						"A review is done by somebody who had no part in the first decision; hand it to a colleague.")
				}
			}
		}
		c.Handler = by
		return nil
	})
}

// Note adds a working note that the customer does not see.
func (k *Desk) Note(ctx context.Context, id contact.ID, by, text string) error {
	text = strings.TrimSpace(text)
	if text == "" {
		return errs.New(errs.Invalid, "note_empty", "请写下调查记录再保存。", "Write the note before saving it.")
	}
	return k.db.Write(ctx, func(tx *db.Tx) error {
		c, err := k.load(ctx, tx, id)
		if err != nil {
			return err
		}
		return k.record(ctx, tx, c, "note", by, false, map[string]any{"text": text})
	})
}

// Propose puts a decision to a second person.
func (k *Desk) Propose(ctx context.Context, id contact.ID, by string, d Decision) (*Case, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	return k.act(ctx, id, Propose, by, false, func(tx *db.Tx, c *Case, data map[string]any) error {
		if (c.Party == "" || !c.Proven) && d.Block != nil {
			return errs.New(errs.Invalid, "block_nobody", "还不知道投诉人是哪位客户，无法设置免打扰；请先核实身份。",
				"It is not known which customer complains, so nothing can be blocked; identify the customer first.")
		}
		raw, err := json.Marshal(d)
		if err != nil {
			return fmt.Errorf("decision: %w", err)
		}
		d.ID = contact.NewID()
		data["decision"], data["result"], data["compensation_fen"] = d.ID, d.Result, d.Compensation
		if err := k.insertDecision(ctx, tx, c, d.ID, by, string(raw)); err != nil {
			return err
		}
		return k.askDecision(ctx, tx, c, &d, by)
	})
}

func (k *Desk) insertDecision(ctx context.Context, tx *db.Tx, c *Case, id contact.ID, by, body string) error {
	body, err := k.seal(body, ofDecision, id, "body")
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO complaint_decision (id, case_id, round, state, body, proposed_by, proposed_at,
		decided_by, decided_at, note, letter_zh, letter_en) VALUES ($1,$2,$3,'proposed',$4,$5,$6,'',0,'','','')`,
		id, c.ID, c.Round, body, by, tx.At())
	return err
}

func (d *Decision) check() error {
	missing := func(fieldZh, field string) error {
		return errs.New(errs.Invalid, "decision_incomplete", "请填写“"+fieldZh+"”。", "Fill in "+field+".")
	}
	d.Facts, d.Basis, d.RootCause = strings.TrimSpace(d.Facts), strings.TrimSpace(d.Basis), strings.TrimSpace(d.RootCause)
	switch {
	case d.Result != Upheld && d.Result != Partly && d.Result != NotUpheld:
		return missing("处理结果", "the result")
	case d.Facts == "":
		return missing("查明的事实", "the verified facts (findings)")
	case d.Basis == "":
		return missing("依据和理由", "the basis and reasons")
	case d.RootCause == "":
		return missing("根源与整改", "the root cause")
	case d.Compensation < 0:
		return missing("补偿金额", "a compensation that is not negative")
	}
	return nil
}

// Accept is the customer's word that the answer is right; it closes the case.
func (k *Desk) Accept(ctx context.Context, id contact.ID) (*Case, error) {
	return k.act(ctx, id, Accept, "customer", true, nil)
}

// AskReview sends the case to other people (核查, art. 20) with a clock of its own.
func (k *Desk) AskReview(ctx context.Context, id contact.ID, why string) (*Case, error) {
	return k.act(ctx, id, AskAgain, "customer", true, func(tx *db.Tx, c *Case, data map[string]any) error {
		ds, err := k.decisions(ctx, tx, c.ID)
		if err != nil {
			return err
		}
		terms, err := k.terms(ctx, tx, c)
		if err != nil {
			return err
		}
		if len(ds) > 0 {
			if by := k.reviewBy(c, ds[len(ds)-1].DecidedAt); tx.Now.After(by) {
				return errs.New(errs.Refused, "review_late", "申请核查的期限已过："+terms.Ask.Zh,
					"The time to ask for a review has passed. "+terms.Ask.En)
			}
		}
		c.Round, c.Handler = c.Round+1, ""
		d, err := k.restartDeadline(ctx, tx, c, terms.Review)
		maps.Copy(data, d.facts())
		data["why"] = strings.TrimSpace(why)
		if err != nil {
			return err
		}
		return k.tell(ctx, tx, c, letterReview, "", k.sayDue(c.Due), data)
	})
}

// WithdrawCase is the complainant's own withdrawal; the procedure ends the same day (art. 15).
func (k *Desk) WithdrawCase(ctx context.Context, id contact.ID) (*Case, error) {
	var out *Case
	err := k.db.Write(ctx, func(tx *db.Tx) error {
		if err := k.dropRequests(ctx, tx, id, "customer"); err != nil {
			return err
		}
		c, e, err := k.move(ctx, tx, id, Withdraw, "customer", true, func(tx *db.Tx, c *Case, _ map[string]any) error {
			if err := k.dropProposal(ctx, tx, c); err != nil {
				return err
			}
			return k.endDeadline(ctx, tx, c, "superseded")
		})
		if err != nil {
			return err
		}
		out = c
		return ledger.Append(ctx, tx, ledger.Entry{Type: e.Type, ID: e.ID, Record: e.Record})
	})
	return out, err
}
