package outbound

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/ledger"
)

// recording is a call's recording as it is stored, or why there is none.
type recording struct {
	sha256   string
	size     int64
	duration time.Duration
	salvaged bool
	reason   string
}

// finish stores how the call ended: permit, attempt, recording, complaint and
// ledger entries in one transaction, with the recording safe before.
func (a *attempt) finish(ctx context.Context) (contact.Outcome, error) {
	s := a.s
	rec := a.keep(ctx)
	a.again(ctx)
	intake := a.flow.complaint && s.o.Intake != nil
	err := patiently(ctx, func() error {
		err := s.db.Write(ctx, func(tx *db.Tx) error { return a.store(ctx, tx, rec, intake) })
		if err != nil && intake {
			// The call's end must not hang on the case: it stays pending, and
			// OpenPending tries again.
			s.o.Log.Error("opening a complaint by key", "attempt", a.id, "error", err)
			intake = false
		}
		return err
	})
	if err != nil {
		s.o.Log.Error("storing how a call ended", "attempt", a.id, "error", err)
		return contact.Unknown, fmt.Errorf("storing how the call ended: %w", err)
	}
	if rec != nil && rec.sha256 != "" {
		if err := os.Remove(a.record); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.o.Log.Warn("removing a spooled recording", "attempt", a.id, "error", err)
		}
	}
	return a.end.outcome, a.notSent()
}

// again stores a withdrawal that could not be stored during the call.
func (a *attempt) again(ctx context.Context) {
	if a.flow.failedScope == "" {
		return
	}
	if err := a.withdraw(ctx, a.flow.failedScope); err != nil {
		a.s.o.Log.Error("a withdrawal could not be stored; record it by hand", "attempt", a.id, "error", err)
		a.end.reason = "withdrawal by key not stored: " + err.Error()
	}
}

// notDue stands in the place of a recording that nothing asked for: the reading
// of a one-time code.
const notDue = "no rule and no script asked for a recording"

// keep moves the recording to where it stays. nil says that none is due: the
// call was not answered, or nothing asked for one.
func (a *attempt) keep(ctx context.Context) *recording {
	if !a.end.talked {
		return nil
	}
	if a.record == "" {
		return &recording{reason: notDue}
	}
	r := a.end.call.Recording
	if r.Err != nil {
		return &recording{reason: r.Err.Error()}
	}
	var sum string
	var size int64
	err := patiently(ctx, func() (err error) {
		sum, size, err = a.s.put(a.record)
		return err
	})
	if err == nil && r.SHA256 != "" && sum != r.SHA256 {
		err = fmt.Errorf("the stored recording has hash %s, the recorded one %s", sum, r.SHA256)
	}
	if err != nil {
		return &recording{reason: err.Error()}
	}
	return &recording{sha256: sum, size: size, duration: r.Duration}
}

func (s *Sender) put(path string) (string, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, fmt.Errorf("recording: %w", err)
	}
	defer f.Close()
	return s.o.Blobs.Put(f)
}

// store writes the end of the call in tx.
func (a *attempt) store(ctx context.Context, tx *db.Tx, rec *recording, intake bool) error {
	if err := a.s.gate.Settle(ctx, tx, a.id, a.end.outcome); err != nil {
		return err
	}
	steps, err := json.Marshal(a.flow.steps)
	if err != nil {
		return fmt.Errorf("steps of a call: %w", err)
	}
	state, talked := Ended, a.end.call.Duration
	if a.end.outcome == contact.Unknown {
		state = Unknown
	}
	if err := counting(ctx, tx, a.id, func() error {
		if _, err := tx.Exec(ctx, `UPDATE outbound_attempt SET state = $12, outcome = $2, code = $3, reason = $4, answered_at = $5,
			ended_at = $6, rang_us = $7, talk_us = $8, ended_by = $9, digits = $10, steps = $11 WHERE id = $1`,
			a.id, string(a.end.outcome), a.end.code, a.end.reason, db.Micros(a.end.answered), tx.At(), a.end.rang.Microseconds(),
			talked.Microseconds(), string(a.end.call.By), a.flow.digits, string(steps), string(state)); err != nil || rec == nil {
			return err
		}
		return rec.insert(ctx, tx, a.id)
	}); err != nil {
		return err
	}
	ended := map[string]any{"attempt": a.id, "party": a.party, "campaign": a.job.Campaign, "script": a.job.Script.Hash(),
		"outcome": string(a.end.outcome), "code": a.end.code, "reason": a.end.reason, "talk_ms": talked.Milliseconds(),
		"rang_ms": a.end.rang.Milliseconds(), "digits": a.flow.digits, "by": string(a.end.call.By)}
	entries := []ledger.Entry{{Type: "call.ended", ID: a.id, Record: ended}}
	if rec != nil {
		if rec.sha256 != "" {
			ended["recording"] = rec.sha256
		}
		entries = append(entries, rec.entry(a.id))
	}
	if err := ledger.Append(ctx, tx, entries...); err != nil {
		return err
	}
	if !intake {
		return nil
	}
	return a.s.open(ctx, tx, a.id)
}

// entry is the recording's place in the evidence, or the reason of its absence.
func (r *recording) entry(attempt contact.ID) ledger.Entry {
	if r.sha256 == "" {
		return ledger.Entry{Type: "recording.missing", ID: attempt, Record: map[string]any{"attempt": attempt, "reason": r.reason}}
	}
	return ledger.Entry{Type: "recording.stored", ID: attempt, Record: map[string]any{"attempt": attempt, "sha256": r.sha256,
		"size": r.size, "duration_ms": r.duration.Milliseconds(), "salvaged": r.salvaged}}
}

func (r *recording) insert(ctx context.Context, tx *db.Tx, attempt contact.ID) error {
	salvaged := int64(0)
	if r.salvaged {
		salvaged = 1
	}
	_, err := tx.Exec(ctx, `INSERT INTO outbound_recording (attempt_id, sha256, size, duration_us, stored_at, salvaged, error)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (attempt_id) DO UPDATE SET sha256 = excluded.sha256, size = excluded.size,
		duration_us = excluded.duration_us, stored_at = excluded.stored_at, salvaged = excluded.salvaged, error = excluded.error`,
		attempt, r.sha256, r.size, r.duration.Microseconds(), tx.At(), salvaged, r.reason)
	return err
}

// open opens the case of a pending complaint and keeps its number.
func (s *Sender) open(ctx context.Context, tx *db.Tx, id contact.ID) error {
	a, err := s.Attempt(ctx, tx, id)
	if err != nil || a.Complaint != pending {
		return err
	}
	number, err := s.o.Intake.OpenFromCall(ctx, tx, Complaint{Attempt: id, Party: a.Party, Point: a.Point, Lang: a.Lang,
		Recording: a.Recording.SHA256, From: a.SpokeFrom, To: a.SpokeTo})
	if err != nil {
		return fmt.Errorf("open complaint: %w", err)
	}
	_, err = tx.Exec(ctx, "UPDATE outbound_attempt SET complaint = $2 WHERE id = $1", id, number)
	return err
}

// OpenPending opens the cases of complaints by key that could not be opened at
// the end of their calls. It gives how many it opened.
func (s *Sender) OpenPending(ctx context.Context) (int, error) {
	if s.o.Intake == nil {
		return 0, nil
	}
	var ids []contact.ID
	if err := s.db.Read(ctx, func(tx *db.Tx) (err error) {
		ids, err = idsOf(ctx, tx, "SELECT id FROM outbound_attempt WHERE complaint <> '' AND complaint = 'pending' AND state <> 'dialing' ORDER BY id")
		return err
	}); err != nil {
		return 0, err
	}
	n := 0
	var all error
	for _, id := range ids {
		if err := s.db.Write(ctx, func(tx *db.Tx) error { return s.open(ctx, tx, id) }); err != nil {
			all = errors.Join(all, err)
			continue
		}
		n++
	}
	return n, all
}
