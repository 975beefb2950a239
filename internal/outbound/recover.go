package outbound

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/ledger"
)

// Recovered is what Recover found.
type Recovered struct {
	Unknown  int // attempts that may have reached the customer
	NotSent  int // permits that were spent and certainly not used
	Salvaged int // recordings
	Opened   int // complaints by key
}

// diedReason is stored with attempts whose process died.
const diedReason = "the process stopped during the contact"

// Recover puts right what a crash left behind. It must run at the start of the
// process, before any call: attempts that were on the wire become unknown and
// count against every cap until a person reconciles them, and what was recorded
// of them is kept. What has no attempt row was never sent. Recovering twice
// changes nothing. Contacts that another system makes go on: see GiveUp.
func (s *Sender) Recover(ctx context.Context) (Recovered, error) {
	var rec Recovered
	if _, err := s.gate.Recover(ctx, 0); err != nil {
		return rec, err
	}
	var ids []contact.ID
	if err := s.db.Read(ctx, func(tx *db.Tx) (err error) {
		ids, err = idsOf(ctx, tx, "SELECT id FROM outbound_attempt WHERE state <> 'ended' AND state = 'dialing' AND via = '' ORDER BY id")
		return err
	}); err != nil {
		return rec, err
	}
	for _, id := range ids {
		salvaged, err := s.lost(ctx, id)
		if err != nil {
			return rec, err
		}
		rec.Unknown++
		if salvaged {
			rec.Salvaged++
		}
	}
	n, err := s.neverSent(ctx)
	rec.NotSent = n
	if err != nil {
		return rec, err
	}
	n, err = s.sweep(ctx)
	rec.Salvaged += n
	if err != nil {
		return rec, err
	}
	rec.Opened, err = s.OpenPending(ctx)
	return rec, err
}

// lost marks an attempt whose process died as unknown and keeps what was
// recorded of it.
func (s *Sender) lost(ctx context.Context, id contact.ID) (salvaged bool, err error) {
	rec := s.salvage(id)
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		if err := counting(ctx, tx, id, func() error {
			if _, err := tx.Exec(ctx, "UPDATE outbound_attempt SET state = 'unknown', outcome = $2, reason = $3, ended_at = $4 WHERE id = $1",
				id, string(contact.Unknown), diedReason, tx.At()); err != nil || rec == nil {
				return err
			}
			return rec.insert(ctx, tx, id)
		}); err != nil {
			return err
		}
		entries := []ledger.Entry{{Type: "contact.unknown", ID: id, Record: map[string]any{"attempt": id, "reason": diedReason}}}
		if rec != nil {
			entries = append(entries, rec.entry(id))
		}
		return ledger.Append(ctx, tx, entries...)
	})
	if err != nil || rec == nil || rec.sha256 == "" {
		return false, err
	}
	return true, os.Remove(s.spool(id))
}

// salvage stores what is left in the spool of a call's recording; nil when
// there is nothing.
func (s *Sender) salvage(id contact.ID) *recording {
	info, err := os.Stat(s.spool(id))
	if errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil
	}
	if err != nil {
		return &recording{reason: err.Error()}
	}
	sum, size, err := s.put(s.spool(id))
	if err != nil {
		return &recording{reason: err.Error()}
	}
	// Two bytes, one of each side, are 125 µs; the header is a few dozen.
	return &recording{sha256: sum, size: size, duration: time.Duration(size/2) * time.Second / 8000, salvaged: true}
}

// neverSent settles permits that were spent and whose attempt was not even
// begun: the row is written before anything leaves, so nothing did.
func (s *Sender) neverSent(ctx context.Context) (n int, err error) {
	flying, err := s.gate.InFlight(ctx, 100_000)
	if err != nil {
		return 0, err
	}
	for _, d := range flying {
		if d.Intent.Channel != contact.Voice && d.Intent.Channel != contact.Email && d.Intent.Via == "" {
			continue
		}
		err := s.db.Read(ctx, func(tx *db.Tx) error {
			_, err := s.Attempt(ctx, tx, d.ID)
			return err
		})
		if err == nil {
			continue
		}
		if !errors.Is(err, ErrNoAttempt) {
			return n, err
		}
		if err := s.gate.Settle(ctx, nil, d.ID, contact.NotSent); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// sweep looks at recordings left in the spool by calls that ended: the crash
// came between the storing and the removing, or the recording could not be
// stored then.
func (s *Sender) sweep(ctx context.Context) (salvaged int, err error) {
	files, err := filepath.Glob(filepath.Join(s.o.Spool, "*.wav"))
	if err != nil {
		return 0, fmt.Errorf("spool of recordings: %w", err)
	}
	for _, path := range files {
		id := strings.TrimSuffix(filepath.Base(path), ".wav")
		var a *Attempt
		if err := s.db.Read(ctx, func(tx *db.Tx) (err error) {
			a, err = s.Attempt(ctx, tx, id)
			return err
		}); err != nil {
			if errors.Is(err, ErrNoAttempt) {
				s.o.Log.Warn("a recording of no known attempt is in the spool", "file", filepath.Base(path))
				continue
			}
			return salvaged, err
		}
		if a.Recording.SHA256 == "" {
			rec := s.salvage(id)
			if rec == nil || rec.sha256 == "" {
				continue // not now either; the file stays
			}
			if err := s.db.Write(ctx, func(tx *db.Tx) error {
				if err := counting(ctx, tx, id, func() error { return rec.insert(ctx, tx, id) }); err != nil {
					return err
				}
				return ledger.Append(ctx, tx, rec.entry(id))
			}); err != nil {
				return salvaged, err
			}
			salvaged++
		}
		if err := os.Remove(path); err != nil {
			return salvaged, fmt.Errorf("spool of recordings: %w", err)
		}
	}
	return salvaged, nil
}

// Reconcile stores what a person, or the carrier's call records, say about an
// unknown attempt.
func (s *Sender) Reconcile(ctx context.Context, id contact.ID, o contact.Outcome, by string) error {
	var a *Attempt
	if err := s.db.Read(ctx, func(tx *db.Tx) (err error) {
		a, err = s.Attempt(ctx, tx, id)
		return err
	}); err != nil {
		return err
	}
	if a.State != Unknown && a.Outcome != contact.Unknown {
		return errs.New(errs.Conflict, "attempt_known", "这次联系的结果已经登记。", "The outcome of this contact is known already.")
	}
	if err := s.gate.Reconcile(ctx, id, o, by); err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if err := counting(ctx, tx, id, func() error {
			_, err := tx.Exec(ctx, "UPDATE outbound_attempt SET state = 'ended', outcome = $2, reason = $3 WHERE id = $1",
				id, string(o), a.Reason+"; reconciled by "+by)
			return err
		}); err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Entry{Type: "contact.reconciled", ID: id,
			Record: map[string]any{"attempt": id, "outcome": string(o), "by": by}})
	})
}
