package template

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"parley/internal/approval"
	"parley/internal/contact"
	"parley/internal/db"
)

// ApprovalKind is the kind under which wordings are put to a second person.
const ApprovalKind = "template"

// Approval says what deciding about a wording does.
func (s *Store) Approval(permission string) approval.Kind {
	return approval.Kind{Name: ApprovalKind, Permission: permission, Apply: s.approved, Return: s.returned}
}

// Open gives the draft of a template that is being written or waits for
// approval; nil when there is none.
func (s *Store) Open(ctx context.Context, id string) (v *Version, err error) {
	err = s.db.Read(ctx, func(tx *db.Tx) error {
		v, err = open(ctx, tx, id)
		return err
	})
	return v, err
}

func open(ctx context.Context, tx *db.Tx, id string) (*Version, error) {
	v, err := one(ctx, tx, "template = $1 AND state IN ('draft', 'submitted')", id)
	if errors.Is(err, ErrNone) {
		return nil, nil
	}
	return v, err
}

// Save writes a wording into the template's draft, and starts one where there is
// none. seen is the hash of the draft that the writer had before them, empty when
// there was none: what somebody else wrote meanwhile is not overwritten. A wording
// that is not right is refused with where and how to mend it.
func (s *Store) Save(ctx context.Context, id string, t Texts, seen, by string) (v *Version, err error) {
	f, err := FormOf(id)
	if err != nil {
		return nil, err
	}
	t = t.Tidy()
	if ps := f.Check(&t); len(ps) > 0 {
		return nil, invalid(ps)
	}
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		if v, err = open(ctx, tx, id); err != nil {
			return err
		}
		if v == nil {
			v, err = s.begin(ctx, tx, &Version{Template: id, State: Draft, Texts: t}, by)
			if err != nil {
				return err
			}
			return enter(ctx, tx, v, by, "drafted")
		}
		switch {
		case v.State != Draft:
			return errNotDraft
		case v.Sum != seen:
			return errMoved
		}
		v.Texts, v.Sum, v.Changed, v.Hands = t, t.sum(), tx.Now, append(v.Hands, by)
		body, hands, err := v.encode()
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE template_version SET body = $2, sum = $3, hands = $4, changed = $5 WHERE id = $1`,
			v.ID, body, v.Sum, hands, tx.At()); err != nil {
			return err
		}
		return enter(ctx, tx, v, by, "changed")
	})
	return v, err
}

// begin writes a version that is on its way, drafted from what is in force unless
// it says from what.
func (s *Store) begin(ctx context.Context, tx *db.Tx, v *Version, by string) (*Version, error) {
	v.ID, v.Sum, v.MadeBy, v.Hands, v.Made, v.Changed = contact.NewID(), v.Texts.sum(), by, []string{by}, tx.Now, tx.Now
	if v.Based == 0 {
		now, err := s.InForce(ctx, tx, v.Template)
		if err != nil {
			return nil, err
		}
		v.Based = now.Number
	}
	first, err := insert(ctx, tx, v)
	if err == nil && !first {
		err = errOpen
	}
	return v, err
}

// alter locks a draft, checks that it is one, and changes it.
func (s *Store) alter(ctx context.Context, id contact.ID, change func(*db.Tx, *Version) error) (v *Version, err error) {
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		if v, err = one(ctx, tx, "id = $1"+tx.Dialect().ForUpdate(), id); err != nil {
			return err
		}
		if v.State != Draft {
			return errNotDraft
		}
		return change(tx, v)
	})
	return v, err
}

// Submit asks a second person to put a draft in force from an instant on; zero =
// at once.
func (s *Store) Submit(ctx context.Context, id contact.ID, by string, from time.Time, why string) (*Version, error) {
	return s.alter(ctx, id, func(tx *db.Tx, v *Version) error {
		if !from.IsZero() && !from.After(tx.Now) {
			return errPast
		}
		v.From = from
		if err := s.move(ctx, tx, v, Submitted); err != nil {
			return err
		}
		return s.ask(ctx, tx, v, by, why)
	})
}

// Restore asks a second person to put an earlier wording in force again, at once.
// That is a version of its own.
func (s *Store) Restore(ctx context.Context, id contact.ID, by, why string) (v *Version, err error) {
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		old, err := one(ctx, tx, "id = $1", id)
		if err != nil {
			return err
		}
		if old.State != Approved {
			return errNotDraft
		}
		v, err = s.begin(ctx, tx, &Version{Template: old.Template, State: Submitted, Texts: old.Texts, Based: old.Number, Back: true}, by)
		if err != nil {
			return err
		}
		return s.ask(ctx, tx, v, by, why)
	})
	return v, err
}

// ask puts a version to a second person.
func (s *Store) ask(ctx context.Context, tx *db.Tx, v *Version, by, why string) error {
	f, err := FormOf(v.Template)
	if err != nil {
		return err
	}
	if ps := f.Check(&v.Texts); len(ps) > 0 {
		return invalid(ps)
	}
	if strings.TrimSpace(why) == "" {
		return errNoWhy
	}
	last, err := latest(ctx, tx, v.Template)
	if err != nil {
		return err
	}
	if last.Sum == v.Sum {
		return errSame
	}
	now, err := s.InForce(ctx, tx, v.Template)
	if err != nil {
		return err
	}
	payload, err := json.Marshal(micros(v.From))
	if err != nil {
		return fmt.Errorf("template version: %w", err)
	}
	_, err = s.approvals.Ask(ctx, tx, approval.Ask{Kind: ApprovalKind, Subject: v.ID, Title: f.Title.Zh + " · " + f.Title.En,
		Before: s.begins(now.From) + now.Texts.Doc(), After: s.begins(v.From) + v.Texts.Doc(), Payload: payload, Content: v.Sum,
		Reason: strings.TrimSpace(why), By: by, Hands: v.Hands})
	if err != nil {
		return err
	}
	return enter(ctx, tx, v, by, "submitted")
}

// begins says in the approver's text from when a wording applies.
func (s *Store) begins(from time.Time) string {
	at := "批准后立即 at once on approval"
	if !from.IsZero() {
		at = from.In(s.zone).Format("2006-01-02 15:04 MST")
	}
	return "生效 in force from: " + at + "\n\n"
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return db.Micros(t)
}

// Drop gives a draft up.
func (s *Store) Drop(ctx context.Context, id contact.ID, by string) (*Version, error) {
	return s.alter(ctx, id, func(tx *db.Tx, v *Version) error {
		if err := s.move(ctx, tx, v, Dropped); err != nil {
			return err
		}
		return enter(ctx, tx, v, by, "dropped")
	})
}

func (s *Store) move(ctx context.Context, tx *db.Tx, v *Version, to State) error {
	v.State = to
	_, err := tx.Exec(ctx, `UPDATE template_version SET state = $2, since = $3 WHERE id = $1`, v.ID, string(to), micros(v.From))
	return err
}

// waiting locks the version that a request is about, which must wait.
func waiting(ctx context.Context, tx *db.Tx, r *approval.Request) (*Version, error) {
	v, err := one(ctx, tx, "id = $1"+tx.Dialect().ForUpdate(), r.Subject)
	if err == nil && (v.State != Submitted || v.Sum != r.Content) {
		err = errNotDraft
	}
	return v, err
}

// approved gives the version its number and puts it in force, at once or from the
// instant that was asked for.
func (s *Store) approved(ctx context.Context, tx *db.Tx, r *approval.Request) (approval.Effect, error) {
	v, err := waiting(ctx, tx, r)
	if err != nil {
		return approval.Effect{}, err
	}
	f, err := FormOf(v.Template)
	if err != nil {
		return approval.Effect{}, err
	}
	if ps := f.Check(&v.Texts); len(ps) > 0 { // another version of Parley runs now than when it was asked
		return approval.Effect{}, invalid(ps)
	}
	if v.Number, err = next(ctx, tx, v.Template); err != nil {
		return approval.Effect{}, err
	}
	if v.From.Before(tx.Now) {
		v.From = tx.Now
	}
	if _, err := tx.Exec(ctx, `UPDATE template_version SET number = $2 WHERE id = $1`, v.ID, v.Number); err != nil {
		return approval.Effect{}, err
	}
	if err := s.move(ctx, tx, v, Approved); err != nil {
		return approval.Effect{}, err
	}
	return approval.Effect{Type: "template.approved", ID: v.ID, Record: v.record(r.DecidedBy)}, nil
}

// returned makes a draft of it again. An earlier wording that was not brought
// back leaves nothing to work on.
func (s *Store) returned(ctx context.Context, tx *db.Tx, r *approval.Request) (approval.Effect, error) {
	v, err := waiting(ctx, tx, r)
	if err != nil {
		return approval.Effect{}, err
	}
	v.From = time.Time{}
	to := Draft
	if v.Back {
		to = Dropped
	}
	if err := s.move(ctx, tx, v, to); err != nil {
		return approval.Effect{}, err
	}
	return approval.Effect{Type: "template.returned", ID: v.ID, Record: v.record(r.DecidedBy)}, nil
}
