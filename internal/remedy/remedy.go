// Package remedy is what a bank gives back when it was wrong: an apology,
// money, and settings that change what happens next.
package remedy

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"parley/internal/complaint"
	"parley/internal/consent"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/ledger"
	"parley/internal/money"
)

// Kind is what is given back.
type Kind string

// The kinds.
const (
	Apology      Kind = "apology"
	Compensation Kind = "compensation" // ordered here; paid by the bank's ledger of accounts
	Block        Kind = "block"        // a do-not-contact
)

// Order is one remedy ordered by an approved decision.
type Order struct {
	ID         contact.ID
	Case       contact.ID
	Kind       Kind
	Amount     money.Fen
	Stop       contact.ID
	ApprovedBy string
	At         time.Time
}

// Store orders remedies. It is the complaint desk's Remedies.
type Store struct {
	db      *db.DB
	consent *consent.Store
}

var _ complaint.Remedies = (*Store)(nil)

// New makes the store.
func New(d *db.DB, c *consent.Store) *Store { return &Store{db: d, consent: c} }

// Order carries out what a decision gives back, in tx, which also approves the
// decision. A block is a do-not-contact that voids every permit it covers.
func (s *Store) Order(ctx context.Context, tx *db.Tx, c *complaint.Case, d *complaint.Decision) error {
	if d.Apology {
		if err := s.order(ctx, tx, c, d, Order{Kind: Apology}); err != nil {
			return err
		}
	}
	if d.Compensation > 0 {
		if err := s.order(ctx, tx, c, d, Order{Kind: Compensation, Amount: d.Compensation}); err != nil {
			return err
		}
	}
	if d.Block == nil {
		return nil
	}
	d.Block.Kind = contact.DoNotContact
	st, err := s.consent.Stop(ctx, tx, c.Party, *d.Block, d.DecidedBy)
	if err != nil {
		return fmt.Errorf("block: %w", err)
	}
	return s.order(ctx, tx, c, d, Order{Kind: Block, Stop: st.ID})
}

func (s *Store) order(ctx context.Context, tx *db.Tx, c *complaint.Case, d *complaint.Decision, o Order) error {
	o.ID = contact.NewID()
	if err := tx.Insert(ctx, "remedy_order", []string{"id", "case_id", "party_id", "kind", "amount_fen", "stop_id", "approved_by", "at"}, "",
		[][]any{{o.ID, c.ID, c.Party, string(o.Kind), int64(o.Amount), o.Stop, d.DecidedBy, tx.At()}}); err != nil {
		return err
	}
	// The entry bears the case's id, so that it is part of the case's evidence.
	return ledger.Append(ctx, tx, ledger.Entry{Type: "remedy.ordered", ID: c.ID, Record: map[string]any{
		"order": o.ID, "kind": o.Kind, "amount_fen": o.Amount, "stop": o.Stop, "approved_by": d.DecidedBy, "decision": d.ID}})
}

// ByCase gives what a case led to.
func (s *Store) ByCase(ctx context.Context, id contact.ID) ([]Order, error) {
	return s.list(ctx, "SELECT "+columns+" FROM remedy_order WHERE case_id = $1 ORDER BY at, id", id)
}

// ByParty gives what a person was given back in [from, to), the oldest first.
func (s *Store) ByParty(ctx context.Context, party contact.ID, from, to time.Time) ([]Order, error) {
	return s.list(ctx, "SELECT "+columns+" FROM remedy_order WHERE party_id = $1 AND at >= $2 AND at < $3 ORDER BY at, id",
		party, db.Micros(from), db.Micros(to))
}

const columns = "id, case_id, kind, amount_fen, stop_id, approved_by, at"

func (s *Store) list(ctx context.Context, q string, args ...any) ([]Order, error) {
	var out []Order
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		out = nil
		return tx.Each(ctx, func(r *sql.Rows) error {
			var o Order
			var kind string
			var fen, at int64
			if err := r.Scan(&o.ID, &o.Case, &kind, &fen, &o.Stop, &o.ApprovedBy, &at); err != nil {
				return err
			}
			o.Kind, o.Amount, o.At = Kind(kind), money.Fen(fen), db.Time(at)
			out = append(out, o)
			return nil
		}, q, args...)
	})
	return out, err
}
