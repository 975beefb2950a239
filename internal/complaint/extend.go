package complaint

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"parley/internal/approval"
	"parley/internal/calendar"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

// extensionKind is the kind under which a longer term is put to a second person;
// of one whose rule demands an approver of a grade, the grade is named with it,
// so that only those who have the grade find and decide the request.
const extensionKind = "extension"

// ExtensionKind gives the kind of an extension that somebody of a grade must
// approve; empty = nobody in particular.
func ExtensionKind(grade string) string {
	if grade == "" {
		return extensionKind
	}
	return extensionKind + "_" + grade
}

// Grade is the way back from ExtensionKind.
func Grade(kind string) string {
	return strings.TrimPrefix(strings.TrimPrefix(kind, extensionKind), "_")
}

// extensionKinds lists the kinds of this bank, always in one order: requests
// are locked in it.
func (k *Desk) extensionKinds() []string {
	out := []string{extensionKind}
	for _, grade := range slices.Sorted(maps.Keys(k.opt.Grades)) {
		out = append(out, ExtensionKind(grade))
	}
	return out
}

// WaitingExtension gives the request for a longer term that waits on a case; nil
// when none does.
func (k *Desk) WaitingExtension(ctx context.Context, tx *db.Tx, id contact.ID) (*approval.Request, error) {
	for _, kind := range k.extensionKinds() {
		if r, err := k.approvals.Waiting(ctx, tx, kind, id); err != nil || r != nil {
			return r, err
		}
	}
	return nil, nil
}

func (k *Desk) dropExtension(ctx context.Context, tx *db.Tx, id contact.ID, by string) error {
	for _, kind := range k.extensionKinds() {
		if err := k.approvals.Supersede(ctx, tx, kind, id, by); err != nil {
			return err
		}
	}
	return nil
}

// knowsGrade refuses an extension for which a rule demands a grade that nobody
// in this bank can have.
func (k *Desk) knowsGrade(t calendar.Term) error {
	if t.Approver == "" || k.opt.Grades[t.Approver] != "" {
		return nil
	}
	return errs.New(errs.Refused, "grade_unknown",
		"规则 "+t.Rule+" 要求由“"+t.Approver+"”级别的人批准，本行没有岗位具备这个级别，不能申请。请合规部门修改规则，或由系统设置这个级别。",
		"Rule "+t.Rule+" demands an approver of grade \""+t.Approver+"\", which no role of this bank has, so it cannot be asked for. Have compliance change the rule, or the grade set up.")
}

// gradeStands refuses an extension that was put to people of another grade than
// its rule demands by now.
func (k *Desk) gradeStands(ctx context.Context, tx *db.Tx, c *Case, r *approval.Request, d *Deadline) error {
	terms, err := k.terms(ctx, tx, c)
	if err != nil {
		return err
	}
	for _, t := range terms.Answer {
		if t.Rule == d.Rule && ExtensionKind(t.Approver) != r.Kind {
			return errs.New(errs.Refused, "grade_moved", "规则 "+d.Rule+" 对批准人级别的要求已经改变。请退回这项申请，由经办人重新提出。",
				"What rule "+d.Rule+" demands of the approver has changed. Send this request back and have it asked for anew.")
		}
	}
	return nil
}

// facts are what an event and the ledger say of a deadline: the rule, the last
// instant, the version of the calendar it was reckoned with, and the reason.
func (d *Deadline) facts() map[string]any {
	out := map[string]any{"rule": d.Rule, "due": d.Due, "calendar": d.Calendar}
	if d.Unsure {
		out["unsure"] = true
	}
	if d.Reason != "" {
		out["reason"] = d.Reason
	}
	return out
}

var errNotAsked = errs.New(errs.NotFound, "no_extension_asked", "没有待批准的延期申请。", "No extension is waiting for approval.")

// AskExtension asks a second person for the next longer term, with the reason
// the customer will read.
func (k *Desk) AskExtension(ctx context.Context, id contact.ID, by, reason string) error {
	reason = strings.TrimSpace(reason)
	if reason == "" {
		return errs.New(errs.Invalid, "reason_missing", "请写明延期理由，客户会看到。", "Give the reason for the extension; the customer will read it.")
	}
	return k.db.Write(ctx, func(tx *db.Tx) error {
		c, err := k.load(ctx, tx, id)
		if err != nil {
			return err
		}
		t, ok, err := k.nextTerm(ctx, tx, c)
		if err != nil {
			return err
		}
		if !ok || c.State == Answered || c.State == Closed {
			return errs.New(errs.Conflict, "no_extension", "这个时限不能再延长。", "This deadline cannot be extended any further.")
		}
		if err := k.knowsGrade(t); err != nil {
			return err
		}
		open, err := k.WaitingExtension(ctx, tx, id)
		if err != nil {
			return err
		}
		if open != nil {
			return errs.New(errs.Conflict, "extension_asked", "已有一项延期申请等待批准。", "An extension is already waiting for approval.")
		}
		d, err := k.reckon(ctx, tx, t, c.Received)
		if err != nil {
			return err
		}
		d.Reason, d.AskedBy = reason, by
		sealed, err := k.seal(reason, ofDeadline, d.ID, "reason")
		if err != nil {
			return err
		}
		if err := k.insertDeadline(ctx, tx, c, &d, "asked", sealed); err != nil {
			return err
		}
		if err := k.askExtension(ctx, tx, c, &d, t.Approver, by); err != nil {
			return err
		}
		data := d.facts()
		if t.Approver != "" {
			data["grade"] = t.Approver
		}
		return k.record(ctx, tx, c, "extension_asked", by, false, data)
	})
}

// askExtension puts a longer term to a second person of a grade.
func (k *Desk) askExtension(ctx context.Context, tx *db.Tx, c *Case, d *Deadline, grade, by string) error {
	var running string
	err := tx.QueryRow(ctx, `SELECT rule FROM complaint_deadline WHERE case_id = $1 AND step = '' AND state = 'running'`, c.ID).Scan(&running)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	day := func(l string, rule string, due int64) string {
		return fmt.Sprintf("%s: %s\n最后一天 last day: %s\n", l, rule, Date(db.Time(due).In(k.opt.Zone), "zh", false))
	}
	const label = "时限 term"
	_, err = k.approvals.Ask(ctx, tx, approval.Ask{Kind: ExtensionKind(grade), Subject: c.ID, Title: c.Number,
		Before: day(label, running, db.Micros(c.Due)), After: day(label, d.Rule, db.Micros(d.Due)), Payload: []byte(d.ID), Reason: d.Reason, By: by})
	return err
}

// asked gives the extension that a request is about.
func (k *Desk) asked(ctx context.Context, tx *db.Tx, r *approval.Request) (Deadline, error) {
	d, err := k.scanDeadline(tx.QueryRow(ctx, `SELECT `+deadlineColumns+` FROM complaint_deadline
		WHERE case_id = $1 AND id = $2 AND state = 'asked'`, r.Subject, string(r.Payload)))
	if errors.Is(err, sql.ErrNoRows) {
		err = errNotAsked
	}
	return d, err
}

// extended is what approving an extension does. It must come before the running
// term ends, because the customer is told at that instant, on the progress page
// (CN-CMP-60).
func (k *Desk) extended(ctx context.Context, tx *db.Tx, r *approval.Request) (approval.Effect, error) {
	c, err := k.load(ctx, tx, r.Subject)
	if err != nil {
		return approval.Effect{}, err
	}
	d, err := k.asked(ctx, tx, r)
	if err != nil {
		return approval.Effect{}, err
	}
	if err := k.gradeStands(ctx, tx, c, r, &d); err != nil {
		return approval.Effect{}, err
	}
	if tx.Now.After(c.Due) {
		return approval.Effect{}, errs.New(errs.Refused, "extension_late", "原时限已过，不能再延期；请尽快答复客户。",
			"The running deadline has passed; it is too late to extend it. Answer the customer as soon as possible.")
	}
	if _, err := tx.Exec(ctx, `UPDATE complaint_deadline SET state = 'replaced' WHERE case_id = $1 AND step = '' AND state = 'running'`, c.ID); err != nil {
		return approval.Effect{}, err
	}
	if _, err := tx.Exec(ctx, `UPDATE complaint_deadline SET state = 'running', approved_by = $2, told_at = $3 WHERE id = $1`,
		d.ID, r.DecidedBy, tx.At()); err != nil {
		return approval.Effect{}, err
	}
	before := c.Due
	c.Due = d.Due
	if err := k.save(ctx, tx, c); err != nil {
		return approval.Effect{}, err
	}
	data := d.facts()
	if grade := Grade(r.Kind); grade != "" {
		data["grade"] = grade
	}
	if err := k.tell(ctx, tx, c, letterExtended, "", k.sayExtended(before, &d), data); err != nil {
		return approval.Effect{}, err
	}
	return k.event(ctx, tx, c, "extended", r.DecidedBy, true, data)
}

// extensionReturned is what refusing an extension, or taking it back, does.
func (k *Desk) extensionReturned(ctx context.Context, tx *db.Tx, r *approval.Request) (approval.Effect, error) {
	c, err := k.load(ctx, tx, r.Subject)
	if err != nil {
		return approval.Effect{}, err
	}
	d, err := k.asked(ctx, tx, r)
	if err != nil {
		return approval.Effect{}, err
	}
	state, kind := "refused", "extension_refused"
	if r.State == approval.Withdrawn {
		state, kind = "withdrawn", "extension_withdrawn"
	}
	if _, err := tx.Exec(ctx, `UPDATE complaint_deadline SET state = $2, approved_by = $3 WHERE id = $1`, d.ID, state, r.DecidedBy); err != nil {
		return approval.Effect{}, err
	}
	data := map[string]any{"rule": d.Rule}
	if r.Note != "" {
		data["reason"] = r.Note
	}
	return k.event(ctx, tx, c, kind, r.DecidedBy, false, data)
}

// DecideExtension approves the extension asked for, or refuses it with a reason.
func (k *Desk) DecideExtension(ctx context.Context, id contact.ID, by string, approve bool, reason string) error {
	_, err := k.decide(ctx, id, k.WaitingExtension, errNotAsked, func(tx *db.Tx, r *approval.Request) error {
		decide := k.approvals.SendBack
		if approve {
			decide = k.approvals.Approve
		}
		_, err := decide(ctx, tx, approval.Decision{ID: r.ID, By: by, Hash: r.Hash, Note: reason})
		return err
	})
	return err
}
