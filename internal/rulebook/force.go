package rulebook

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"parley/internal/approval"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/gate"
	"parley/internal/ledger"
)

// ApprovalKind is the kind under which editions are put to a second person.
const ApprovalKind = "pack"

// Approval says what deciding about an edition does.
func (s *Store) Approval(permission string) approval.Kind {
	return approval.Kind{Name: ApprovalKind, Permission: permission, Apply: s.approved, Return: s.returned}
}

// terms is what an approval puts in force.
type terms struct {
	From int64 `json:"from"` // micros; 0 = at once
	Back bool  `json:"back"` // an edition that was in force before
}

// Submit asks a second person to put a draft in force from an instant on (zero
// = at once). Its tests must be green and it must have been replayed, both
// exactly as it stands.
func (s *Store) Submit(ctx context.Context, id contact.ID, by string, from time.Time, why string) (*Edition, error) {
	return s.alter(ctx, id, func(tx *db.Tx, e *Edition) error {
		switch {
		case e.State != Draft:
			return errNotDraft
		case !e.Tested.Green():
			return errNotGreen
		case e.Replay == nil:
			return errNotReplayed
		case !from.IsZero() && from.Before(tx.Now):
			return errPast
		}
		e.State = Submitted
		if err := s.mark(ctx, tx, e, by, "submitted", nil); err != nil {
			return err
		}
		return s.ask(ctx, tx, e, by, terms{From: micros(from)}, why)
	})
}

// Rollback asks a second person to put an edition that was in force before in
// force again, at once.
func (s *Store) Rollback(ctx context.Context, id contact.ID, by, why string) (*Edition, error) {
	return s.alter(ctx, id, func(tx *db.Tx, e *Edition) error {
		var n int
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM rulebook_activation WHERE edition = $1 AND start_at <= $2", id, tx.At()).Scan(&n); err != nil {
			return err
		}
		if n == 0 || e.State != Approved {
			return errNeverApproved
		}
		return s.ask(ctx, tx, e, by, terms{Back: true}, why)
	})
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func (s *Store) ask(ctx context.Context, tx *db.Tx, e *Edition, by string, t terms, why string) error {
	now, err := current(ctx, tx)
	if err != nil {
		return err
	}
	if now.Hash == e.Hash {
		return errNoChange
	}
	before, err := files(ctx, tx, now.Edition)
	if err != nil {
		return err
	}
	after, err := files(ctx, tx, e.ID)
	if err != nil {
		return err
	}
	payload, err := json.Marshal(t)
	if err != nil {
		return err
	}
	var hands []string
	if !t.Back {
		if err := tx.Each(ctx, func(r *sql.Rows) error {
			var a string
			err := r.Scan(&a)
			hands = append(hands, a)
			return err
		}, "SELECT account FROM rulebook_hand WHERE edition = $1 ORDER BY account", e.ID); err != nil {
			return err
		}
	}
	_, err = s.approvals.Ask(ctx, tx, approval.Ask{Kind: ApprovalKind, Subject: e.ID, Title: e.Title, Before: before.Text(), After: after.Text(),
		Payload: payload, Content: e.Hash, Reason: strings.TrimSpace(why), By: by, Hands: hands})
	return err
}

// Approve approves what waits about an edition, as it stands, and gives when it
// will judge. The approvals' own page does the same.
func (s *Store) Approve(ctx context.Context, id contact.ID, by, note string) (a Activation, err error) {
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		r, err := s.approvals.Waiting(ctx, tx, ApprovalKind, id)
		if err != nil {
			return err
		}
		if r == nil {
			return errNotWaiting
		}
		if _, err := s.approvals.Approve(ctx, tx, approval.Decision{ID: r.ID, By: by, Hash: r.Hash, Note: note}); err != nil {
			return err
		}
		a, err = scanActivation(tx.QueryRow(ctx, "SELECT "+activationColumns+" WHERE a.edition = $1 ORDER BY a.id DESC LIMIT 1", id))
		return err
	})
	return a, err
}

// approved puts an edition in force, in the transaction that approves it.
func (s *Store) approved(ctx context.Context, tx *db.Tx, r *approval.Request) (approval.Effect, error) {
	var t terms
	if err := json.Unmarshal(r.Payload, &t); err != nil {
		return approval.Effect{}, fmt.Errorf("edition %s: terms of its approval: %w", r.Subject, err)
	}
	e, err := get(ctx, tx, r.Subject, tx.Dialect().ForUpdate())
	if err != nil {
		return approval.Effect{}, err
	}
	f, err := files(ctx, tx, e.ID)
	if err != nil {
		return approval.Effect{}, err
	}
	if e.Hash != r.Content || f.Hash() != r.Content || e.State != map[bool]State{false: Submitted, true: Approved}[t.Back] {
		return approval.Effect{}, errNotDraft
	}
	e.State = Approved
	if err := s.save(ctx, tx, e); err != nil {
		return approval.Effect{}, err
	}
	from := max(t.From, tx.At()+Lead.Microseconds())
	a := &Activation{Edition: e.ID, Hash: e.Hash, From: db.Time(from), AskedBy: r.By, ApprovedBy: r.DecidedBy, Why: r.Reason}
	if err := a.insert(ctx, tx); err != nil {
		return approval.Effect{}, err
	}
	what := "rulebook.scheduled"
	if t.Back {
		what = "rulebook.rolled_back"
	}
	return approval.Effect{Type: what, ID: e.ID, Record: map[string]any{"activation": a.ID, "edition": e.ID, "hash": e.Hash,
		"from": a.From.UTC().Format(time.RFC3339Nano)}}, nil
}

// returned makes an edition that was not approved a draft again.
func (s *Store) returned(ctx context.Context, tx *db.Tx, r *approval.Request) (approval.Effect, error) {
	e, err := get(ctx, tx, r.Subject, tx.Dialect().ForUpdate())
	if err != nil || e.State != Submitted {
		return approval.Effect{}, err
	}
	e.State = Draft
	return approval.Effect{}, s.save(ctx, tx, e)
}

func (a *Activation) insert(ctx context.Context, tx *db.Tx) error {
	a.ID, a.Made = contact.NewID(), tx.Now
	_, err := tx.Exec(ctx, `INSERT INTO rulebook_activation (id, edition, hash, start_at, made, asked_by, approved_by, why, begun)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)`, a.ID, a.Edition, a.Hash, a.From.UnixMicro(), tx.At(), a.AskedBy, a.ApprovedBy, a.Why)
	return err
}

// Adopt puts the first rules of a bank in force: those it was installed with.
// It does nothing on a bank that has rules.
func (s *Store) Adopt(ctx context.Context, f Files, uses []string, title, by string) (bool, error) {
	if _, err := s.Compose(f, uses); err != nil {
		return false, err
	}
	adopted := false
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		_, err := current(ctx, tx)
		if !errors.Is(err, ErrNone) {
			return err
		}
		e := &Edition{Title: title, Uses: uses, State: Approved, MadeBy: by}
		if err := insert(ctx, tx, e, f); err != nil {
			return err
		}
		a := &Activation{Edition: e.ID, Hash: e.Hash, From: time.UnixMicro(0), AskedBy: by, Why: "installation"}
		if err := a.insert(ctx, tx); err != nil {
			return err
		}
		adopted = true
		return s.mark(ctx, tx, e, by, "adopted", map[string]any{"activation": a.ID})
	})
	return adopted, err
}

const activationColumns = `a.id, a.edition, e.title, a.hash, a.start_at, a.made, a.asked_by, a.approved_by, a.why, a.begun
	FROM rulebook_activation a JOIN rulebook_edition e ON e.id = a.edition`

func scanActivation(r interface{ Scan(...any) error }) (Activation, error) {
	var a Activation
	var from, made, begun int64
	err := r.Scan(&a.ID, &a.Edition, &a.Title, &a.Hash, &from, &made, &a.AskedBy, &a.ApprovedBy, &a.Why, &begun)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNone
	}
	a.From, a.Made, a.Begun = time.UnixMicro(from), db.Time(made), begun != 0
	return a, err
}

// current gives the activation in force.
func current(ctx context.Context, tx *db.Tx) (Activation, error) {
	return scanActivation(tx.QueryRow(ctx, "SELECT "+activationColumns+" WHERE a.start_at <= $1 ORDER BY a.start_at DESC, a.id DESC LIMIT 1", tx.At()))
}

// Activations gives when which edition began or will begin to judge, the latest
// first.
func (s *Store) Activations(ctx context.Context) (out []Activation, err error) {
	err = s.db.Read(ctx, func(tx *db.Tx) error {
		out = nil
		return tx.Each(ctx, func(r *sql.Rows) error {
			a, err := scanActivation(r)
			out = append(out, a)
			return err
		}, "SELECT "+activationColumns+" ORDER BY a.start_at DESC, a.id DESC")
	})
	return out, err
}

// Current gives the activation in force; ErrNone on a bank without rules.
func (s *Store) Current(ctx context.Context) (a Activation, err error) {
	err = s.db.Read(ctx, func(tx *db.Tx) error {
		a, err = current(ctx, tx)
		return err
	})
	return a, err
}

// Schedule gives every set that judged or will judge with its instant, for the
// gate. Texts whose hash is not the approved one are refused.
func (s *Store) Schedule(ctx context.Context) ([]gate.Activation, error) {
	as, err := s.Activations(ctx)
	if err != nil {
		return nil, err
	}
	if len(as) == 0 {
		return nil, ErrNone
	}
	made := map[contact.ID]gate.Activation{}
	out := make([]gate.Activation, len(as))
	for i, a := range as {
		g, ok := made[a.Edition]
		if !ok {
			e, err := s.Get(ctx, a.Edition)
			if err != nil {
				return nil, err
			}
			f, err := s.Files(ctx, a.Edition)
			if err != nil {
				return nil, err
			}
			if f.Hash() != a.Hash || e.State != Approved {
				return nil, fmt.Errorf("edition %s is not what was approved: its texts have hash %s, approved was %s", a.Edition, f.Hash(), a.Hash)
			}
			if g.Set, err = s.Compose(f, e.Uses); err != nil {
				return nil, err
			}
			made[a.Edition] = g
		}
		g.From = a.From
		out[len(as)-1-i] = g
	}
	return out, nil
}

// Follow keeps the gate at the rules in force until ctx ends: it looks for new
// activations every second, and writes into the ledger when one has begun. bad
// is told what went wrong; the rules known so far go on judging.
func (s *Store) Follow(ctx context.Context, bad func(error)) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	known := ""
	for {
		if err := s.follow(ctx, &known); err != nil && ctx.Err() == nil {
			bad(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Store) follow(ctx context.Context, known *string) error {
	var newest sql.NullString
	var due int
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		if err := tx.QueryRow(ctx, "SELECT max(id) FROM rulebook_activation").Scan(&newest); err != nil {
			return err
		}
		return tx.QueryRow(ctx, "SELECT count(*) FROM rulebook_activation WHERE begun = 0 AND start_at <= $1", tx.At()).Scan(&due)
	})
	if err != nil {
		return err
	}
	seen := newest.String + s.pins()
	if seen != *known {
		as, err := s.Schedule(ctx)
		if err != nil {
			return err
		}
		s.gate.Schedule(as...)
		*known = seen
	}
	if due == 0 {
		return nil
	}
	return s.begin(ctx)
}

// pins names the versions of the calendars that rules ask now: approving one
// changes what the rules in force say.
func (s *Store) pins() string {
	if s.Calendars == nil {
		return ""
	}
	book := s.Calendars()
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(book)) {
		b.WriteString(" " + book[id].Pin())
	}
	return b.String()
}

// begin notes activations whose instant has passed; of several processes one does.
func (s *Store) begin(ctx context.Context) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		var due []Activation
		err := tx.Each(ctx, func(r *sql.Rows) error {
			a, err := scanActivation(r)
			due = append(due, a)
			return err
		}, "SELECT "+activationColumns+" WHERE a.begun = 0 AND a.start_at <= $1 ORDER BY a.start_at, a.id", tx.At())
		if err != nil {
			return err
		}
		for _, a := range due {
			n, err := tx.Exec(ctx, "UPDATE rulebook_activation SET begun = $1 WHERE id = $2 AND begun = 0", tx.At(), a.ID)
			if err != nil {
				return err
			}
			if n == 0 {
				continue // another process was first
			}
			if err := ledger.Append(ctx, tx, ledger.Entry{Type: "rulebook.activated", ID: a.Edition, Record: map[string]any{
				"activation": a.ID, "edition": a.Edition, "hash": a.Hash, "from": a.From.UTC().Format(time.RFC3339Nano)}}); err != nil {
				return err
			}
		}
		return nil
	})
}
