package complaint

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"parley/internal/approval"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

// DecisionKind is the kind under which what the bank decides and gives back is
// put to a second person.
const DecisionKind = "decision"

// Approvals says what deciding about a case does; the composition root
// registers the kinds. permission is what a decision needs, and an extension of
// which no rule demands more.
func (k *Desk) Approvals(permission string) []approval.Kind {
	out := []approval.Kind{{Name: DecisionKind, Permission: permission, Apply: k.answered, Return: k.decisionReturned}}
	for _, kind := range k.extensionKinds() {
		p := permission
		if grade := Grade(kind); grade != "" {
			p = k.opt.Grades[grade]
		}
		out = append(out, approval.Kind{Name: kind, Permission: p, Apply: k.extended, Return: k.extensionReturned})
	}
	return out
}

// Requests lock before cases, decisions before extensions: whatever touches
// both takes them in this order.

// dropRequests ends what still waits for a second person on a case.
func (k *Desk) dropRequests(ctx context.Context, tx *db.Tx, id contact.ID, by string) error {
	if err := k.approvals.Supersede(ctx, tx, DecisionKind, id, by); err != nil {
		return err
	}
	return k.dropExtension(ctx, tx, id, by)
}

// dropProposal marks a proposal and an extension that nobody will decide.
func (k *Desk) dropProposal(ctx context.Context, tx *db.Tx, c *Case) error {
	if _, err := tx.Exec(ctx, `UPDATE complaint_decision SET state = 'superseded' WHERE case_id = $1 AND state = 'proposed'`, c.ID); err != nil {
		return err
	}
	return k.dropAsked(ctx, tx, c)
}

func (k *Desk) dropAsked(ctx context.Context, tx *db.Tx, c *Case) error {
	_, err := tx.Exec(ctx, `UPDATE complaint_deadline SET state = 'superseded' WHERE case_id = $1 AND state = 'asked'`, c.ID)
	return err
}

// askDecision puts a proposal to a second person: never to whoever proposed it
// or handles the case, and in a review (art. 20) to nobody who had a part in
// the first decision.
func (k *Desk) askDecision(ctx context.Context, tx *db.Tx, c *Case, d *Decision, by string) error {
	hands := []string{by}
	if c.Handler != "" {
		hands = append(hands, c.Handler)
	}
	ds, err := k.decisions(ctx, tx, c.ID)
	if err != nil {
		return err
	}
	for _, old := range ds {
		if old.Round < c.Round {
			hands = append(hands, old.ProposedBy)
			if old.State == "answered" {
				hands = append(hands, old.DecidedBy)
			}
		}
	}
	_, err = k.approvals.Ask(ctx, tx, approval.Ask{Kind: DecisionKind, Subject: c.ID, Title: c.Number, After: d.text(), Payload: []byte(d.ID),
		Reason: d.Basis, By: by, Hands: hands})
	return err
}

// text is what an approver reads of a decision.
func (d *Decision) text() string {
	var b strings.Builder
	line := func(label, value string) { fmt.Fprintf(&b, "%s: %s\n", label, value) }
	section := func(label, value string) {
		fmt.Fprintf(&b, "%s:\n  %s\n", label, strings.ReplaceAll(strings.TrimSpace(value), "\n", "\n  "))
	}
	line("处理结果 result", string(d.Result))
	section("查明的事实 facts", d.Facts)
	section("依据和理由 basis", d.Basis)
	section("根源与整改 root cause", d.RootCause)
	line("道歉 apology", map[bool]string{true: "是 yes", false: "否 no"}[d.Apology])
	line("补偿 compensation", d.Compensation.String())
	if d.Block != nil {
		line("免打扰 do not contact", blocked(d.Block, "zh")+" / "+blocked(d.Block, "en"))
	}
	return b.String()
}

// proposed gives the decision that a request is about.
func (k *Desk) proposed(ctx context.Context, tx *db.Tx, r *approval.Request) (*Decision, error) {
	ds, err := k.decisions(ctx, tx, r.Subject)
	if err != nil {
		return nil, err
	}
	for i := range ds {
		if ds[i].State == "proposed" && ds[i].ID == string(r.Payload) {
			return &ds[i], nil
		}
	}
	return nil, errNoCase
}

// answered is what approving a decision does: the remedies are carried out, the
// letter is written, and the customer is told, at one instant.
func (k *Desk) answered(ctx context.Context, tx *db.Tx, r *approval.Request) (approval.Effect, error) {
	if err := k.dropExtension(ctx, tx, r.Subject, r.DecidedBy); err != nil {
		return approval.Effect{}, err
	}
	_, e, err := k.move(ctx, tx, r.Subject, Answer, r.DecidedBy, true, func(tx *db.Tx, c *Case, data map[string]any) error {
		d, err := k.proposed(ctx, tx, r)
		if err != nil {
			return err
		}
		d.DecidedBy, d.DecidedAt = r.DecidedBy, tx.Now
		if d.Block != nil {
			d.Block.Source = "complaint:" + c.Number
		}
		if err := k.remedies.Order(ctx, tx, c, d); err != nil {
			return fmt.Errorf("carry out the remedy: %w", err)
		}
		if err := k.settleDecision(ctx, tx, d, "answered"); err != nil {
			return err
		}
		if err := k.dropAsked(ctx, tx, c); err != nil {
			return err
		}
		if err := k.endDeadline(ctx, tx, c, "met"); err != nil {
			return err
		}
		data["decision"], data["result"], data["compensation_fen"] = d.ID, d.Result, d.Compensation
		return k.tell(ctx, tx, c, letterAnswer, d.ID, k.sayAnswer(c, d, k.reviewBy(c, d.DecidedAt)), data)
	})
	return e, err
}

// settleDecision stores how a decision ended.
func (k *Desk) settleDecision(ctx context.Context, tx *db.Tx, d *Decision, state string) error {
	note, err := k.seal(d.Note, ofDecision, d.ID, "note")
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE complaint_decision SET state = $2, decided_by = $3, decided_at = $4, note = $5 WHERE id = $1`,
		d.ID, state, d.DecidedBy, tx.At(), note)
	return err
}

// decisionReturned is what sending a decision back does: its handler goes on
// with the reason. Whoever proposed it may also take it back.
func (k *Desk) decisionReturned(ctx context.Context, tx *db.Tx, r *approval.Request) (approval.Effect, error) {
	a := SendBack
	if r.State == approval.Withdrawn {
		a = Retract
	}
	_, e, err := k.move(ctx, tx, r.Subject, a, r.DecidedBy, false, func(tx *db.Tx, _ *Case, data map[string]any) error {
		d, err := k.proposed(ctx, tx, r)
		if err != nil {
			return err
		}
		d.DecidedBy, d.Note = r.DecidedBy, r.Note
		data["decision"] = d.ID
		if r.Note != "" {
			data["reason"] = r.Note
		}
		return k.settleDecision(ctx, tx, d, string(r.State))
	})
	return e, err
}

// Answer approves the decision that waits, by a second person.
func (k *Desk) Answer(ctx context.Context, id contact.ID, by string) (*Case, error) {
	return k.decide(ctx, id, k.waitingDecision, errNoProposal, func(tx *db.Tx, r *approval.Request) error {
		_, err := k.approvals.Approve(ctx, tx, approval.Decision{ID: r.ID, By: by, Hash: r.Hash})
		return err
	})
}

// SendBack returns the decision that waits to its handler with a reason.
func (k *Desk) SendBack(ctx context.Context, id contact.ID, by, reason string) (*Case, error) {
	return k.decide(ctx, id, k.waitingDecision, errNoProposal, func(tx *db.Tx, r *approval.Request) error {
		_, err := k.approvals.SendBack(ctx, tx, approval.Decision{ID: r.ID, By: by, Hash: r.Hash, Note: reason})
		return err
	})
}

var errNoProposal = errs.New(errs.Conflict, "case_moved_on", "投诉的状态已经变了，现在没有待批准的处理意见；请刷新页面看最新进展。",
	"The case has moved on: no decision waits for approval. Reload the page to see where it stands.")

// waiting finds the request about a case that a decision is about; nil when none waits.
type waiting func(ctx context.Context, tx *db.Tx, id contact.ID) (*approval.Request, error)

func (k *Desk) waitingDecision(ctx context.Context, tx *db.Tx, id contact.ID) (*approval.Request, error) {
	return k.approvals.Waiting(ctx, tx, DecisionKind, id)
}

// decide runs a decision about a request that waits on a case, and gives what
// became of the case; none is the refusal when no request waits.
func (k *Desk) decide(ctx context.Context, id contact.ID, find waiting, none error, fn func(*db.Tx, *approval.Request) error) (*Case, error) {
	var out *Case
	err := k.db.Write(ctx, func(tx *db.Tx) error {
		r, err := find(ctx, tx, id)
		if err != nil {
			return err
		}
		if r == nil {
			return none
		}
		if err := fn(tx, r); err != nil {
			return err
		}
		out, err = k.load(ctx, tx, id)
		return err
	})
	return out, err
}

// adopt puts a proposal and an extension that wait without a request (those of
// a version of Parley that kept approvals elsewhere) to a second person.
func (k *Desk) adopt(ctx context.Context, tx *db.Tx, c *Case) error {
	if c.State == Proposed {
		ds, err := k.decisions(ctx, tx, c.ID)
		if err != nil {
			return err
		}
		for _, d := range ds {
			if d.State == "proposed" {
				if err := k.askDecision(ctx, tx, c, &d, d.ProposedBy); err != nil {
					return err
				}
			}
		}
	}
	d, err := k.scanDeadline(tx.QueryRow(ctx, `SELECT `+deadlineColumns+` FROM complaint_deadline WHERE case_id = $1 AND state = 'asked'`, c.ID))
	if errors.Is(err, sql.ErrNoRows) || err == nil && (c.State == Answered || c.State == Closed) {
		return nil
	}
	if err != nil {
		return err
	}
	return k.askExtension(ctx, tx, c, &d, "", d.AskedBy) // that version knew no grades
}
