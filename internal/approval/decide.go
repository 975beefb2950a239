package approval

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/ledger"
)

// Ask puts a request to a second person, as part of tx. A request of the same
// kind about the same subject that still waits is superseded.
func (s *Store) Ask(ctx context.Context, tx *db.Tx, a Ask) (*Request, error) {
	if _, err := s.kind(a.Kind); err != nil {
		return nil, err
	}
	if err := a.check(); err != nil {
		return nil, err
	}
	if a.Before == "" {
		last, err := s.lastApproved(ctx, tx, a.Kind, a.Subject)
		if err != nil {
			return nil, err
		}
		if last != nil {
			a.Before = last.After
		}
	}
	if err := s.Supersede(ctx, tx, a.Kind, a.Subject, a.By); err != nil {
		return nil, err
	}
	r := &Request{ID: contact.NewID(), Ask: a, Hash: a.hash(), State: Pending, AskedAt: tx.At()}
	if err := s.insert(ctx, tx, r); err != nil {
		return nil, err
	}
	return r, s.enter(ctx, tx, r, "asked", a.By, Effect{})
}

// AskNow is Ask in a transaction of its own.
func (s *Store) AskNow(ctx context.Context, a Ask) (*Request, error) {
	var r *Request
	err := s.db.Write(ctx, func(tx *db.Tx) (err error) {
		r, err = s.Ask(ctx, tx, a)
		return err
	})
	return r, err
}

// Supersede ends a request that still waits because its subject has changed;
// it does nothing when none waits. Call it before locking the subject: a
// decision locks the request first.
func (s *Store) Supersede(ctx context.Context, tx *db.Tx, kind string, subject contact.ID, by string) error {
	r, err := s.find(ctx, tx, `kind = $1 AND subject = $2 AND state = 'pending'`+tx.Dialect().ForUpdate(), kind, subject)
	if err != nil || r == nil {
		return err
	}
	r.State, r.DecidedBy = Superseded, by
	return s.settle(ctx, tx, r, Effect{})
}

// Decision is what the second person says.
type Decision struct {
	ID   contact.ID
	By   string // the account that decides
	Hash string // of the request as he saw it
	Note string // needed to send back
}

// Approve approves a request, as part of tx, and does what was asked.
func (s *Store) Approve(ctx context.Context, tx *db.Tx, d Decision) (*Request, error) {
	r, k, err := s.open(ctx, tx, d)
	if err != nil {
		return nil, err
	}
	if r.State != Pending {
		return nil, decided(r.State)
	}
	r.State, r.DecidedBy, r.DecidedAt, r.Note = Approved, d.By, tx.At(), strings.TrimSpace(d.Note)
	e, err := k.Apply(ctx, tx, r)
	if err != nil {
		return nil, err
	}
	return r, s.settle(ctx, tx, r, e)
}

// ApproveNow is Approve in a transaction of its own.
func (s *Store) ApproveNow(ctx context.Context, d Decision) (*Request, error) {
	return s.now(ctx, d, s.Approve)
}

// SendBack refuses a request with a note, as part of tx; of a revocable kind
// also one that was approved.
func (s *Store) SendBack(ctx context.Context, tx *db.Tx, d Decision) (*Request, error) {
	if d.Note = strings.TrimSpace(d.Note); d.Note == "" {
		return nil, errNoNote
	}
	r, k, err := s.open(ctx, tx, d)
	if err != nil {
		return nil, err
	}
	if r.State != Pending && !(r.State == Approved && k.Revocable) {
		return nil, decided(r.State)
	}
	r.Note = d.Note
	return s.giveBack(ctx, tx, r, k, SentBack, d.By)
}

// SendBackNow is SendBack in a transaction of its own.
func (s *Store) SendBackNow(ctx context.Context, d Decision) (*Request, error) {
	return s.now(ctx, d, s.SendBack)
}

// Withdraw takes a request back before it is decided; only the person who
// asked may.
func (s *Store) Withdraw(ctx context.Context, tx *db.Tx, id contact.ID, by string) (*Request, error) {
	r, k, err := s.lock(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	me, err := s.people.Person(ctx, tx, by)
	if err != nil {
		return nil, err
	}
	asker, err := s.people.Person(ctx, tx, r.By)
	if err != nil {
		return nil, err
	}
	if me != asker {
		return nil, errNotYours
	}
	if r.State != Pending {
		return nil, decided(r.State)
	}
	return s.giveBack(ctx, tx, r, k, Withdrawn, by)
}

// WithdrawNow is Withdraw in a transaction of its own.
func (s *Store) WithdrawNow(ctx context.Context, id contact.ID, by string) (*Request, error) {
	return s.now(ctx, Decision{ID: id, By: by}, func(ctx context.Context, tx *db.Tx, d Decision) (*Request, error) {
		return s.Withdraw(ctx, tx, d.ID, d.By)
	})
}

func (s *Store) now(ctx context.Context, d Decision, step func(context.Context, *db.Tx, Decision) (*Request, error)) (*Request, error) {
	var r *Request
	err := s.db.Write(ctx, func(tx *db.Tx) (err error) {
		r, err = step(ctx, tx, d)
		return err
	})
	return r, err
}

func (s *Store) giveBack(ctx context.Context, tx *db.Tx, r *Request, k Kind, to State, by string) (*Request, error) {
	r.State, r.DecidedBy, r.DecidedAt = to, by, tx.At()
	var e Effect
	if k.Return != nil {
		var err error
		if e, err = k.Return(ctx, tx, r); err != nil {
			return nil, err
		}
	}
	return r, s.settle(ctx, tx, r, e)
}

// lock reads a request and takes its row until the transaction ends: of two
// who decide at once the second finds it decided.
func (s *Store) lock(ctx context.Context, tx *db.Tx, id contact.ID) (*Request, Kind, error) {
	r, err := s.find(ctx, tx, `id = $1`+tx.Dialect().ForUpdate(), id)
	if err != nil {
		return nil, Kind{}, err
	}
	if r == nil {
		return nil, Kind{}, ErrNone
	}
	k, err := s.kind(r.Kind)
	return r, k, err
}

// open locks a request for somebody who wants to decide it: he must have the
// permission, no hand in it through any account, and have seen exactly this.
func (s *Store) open(ctx context.Context, tx *db.Tx, d Decision) (*Request, Kind, error) {
	r, k, err := s.lock(ctx, tx, d.ID)
	if err != nil {
		return nil, k, err
	}
	may, err := s.people.May(ctx, tx, d.By, k.Permission)
	if err != nil {
		return nil, k, err
	}
	if !may {
		return nil, k, errNotPermitted
	}
	mine, err := s.hadHand(ctx, tx, r, d.By)
	if err != nil {
		return nil, k, err
	}
	if mine {
		return nil, k, errFourEyes
	}
	if d.Hash != r.Hash || r.hash() != r.Hash {
		return nil, k, errMoved
	}
	return r, k, nil
}

// hadHand reports whether the person behind an account had a hand in r. The
// persons are looked up anew: two accounts may turn out to be one person's
// after the request was made.
func (s *Store) hadHand(ctx context.Context, tx *db.Tx, r *Request, account string) (bool, error) {
	me, err := s.people.Person(ctx, tx, account)
	if err != nil {
		return false, err
	}
	for _, hand := range append([]string{r.By}, r.Hands...) {
		if hand == account {
			return true, nil
		}
		p, err := s.people.Person(ctx, tx, hand)
		if err != nil {
			return false, err
		}
		if p == me {
			return true, nil
		}
	}
	return false, nil
}

// settle stores a decision with the one ledger entry of the step.
func (s *Store) settle(ctx context.Context, tx *db.Tx, r *Request, e Effect) error {
	r.DecidedAt = tx.At()
	note, err := s.seal.Seal([]byte(r.Note), "approval/"+r.ID+"/note")
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE approval_request SET state = $2, decided_by = $3, decided_at = $4, note = $5 WHERE id = $1`,
		r.ID, string(r.State), r.DecidedBy, r.DecidedAt, note); err != nil {
		return err
	}
	return s.enter(ctx, tx, r, string(r.State), r.DecidedBy, e)
}

// enter appends the ledger entry of a step. What people wrote stays in the
// request, where it can be erased; the ledger holds its hash.
func (s *Store) enter(ctx context.Context, tx *db.Tx, r *Request, what, by string, e Effect) error {
	step := map[string]any{"request": r.ID, "kind": r.Kind, "subject": r.Subject, "hash": r.Hash, "asked_by": r.By, "step": what, "by": by}
	if r.Reason != "" {
		step["reason_hash"] = sum(r.Reason)
	}
	if r.Note != "" {
		step["note_hash"] = sum(r.Note)
	}
	if e.Type == "" {
		return ledger.Append(ctx, tx, ledger.Entry{Type: "approval." + what, ID: r.ID, Record: step})
	}
	rec := map[string]any{"approval": step}
	for k, v := range e.Record {
		rec[k] = v
	}
	return ledger.Append(ctx, tx, ledger.Entry{Type: e.Type, ID: e.ID, Record: rec})
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}
