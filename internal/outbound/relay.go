package outbound

import (
	"context"
	"errors"
	"slices"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/gate"
	"parley/internal/ledger"
	"parley/internal/policy"
	"parley/internal/trace"
)

// Relay is a contact that another system of the bank's makes with a permit of
// ours: an existing dialer, a message gateway.
type Relay struct {
	Via   string   // the system; the permit was reserved by it
	Meets []string // the obligations it undertakes to meet in this contact
	Lang  string
}

// Report is how such a contact ended, as its maker says.
type Report struct {
	Outcome  contact.Outcome
	Code     int       // SIP status, SMPP command status …; 0 = none
	Reason   string    // in the maker's words; no personal data
	Answered time.Time // zero = not answered
	Rang     time.Duration
	Talk     time.Duration
	Digits   string // keys the person pressed
	EndedBy  string // local, remote, lost or error; empty = not said
}

// What a relay is refused for.
var (
	ErrNotYours = errs.New(errs.Forbidden, "permit_of_another", "这份许可是另一个系统申请的，您不能使用。",
		"This permit was asked for by another system, so yours cannot use it.")
	errUndertake = errs.New(errs.Refused, Unmet, "本次联系的义务未全部承诺履行，不得联系。请在 meets 中列出系统确实履行的每一项义务。",
		"Not every obligation of this contact is undertaken, so it must not be made. List in meets every obligation the system really meets.")
)

// Begin spends a permit for a contact that another system makes now. The
// attempt is durable before the answer is given. Whoever does not undertake
// every obligation must not send: the permit is gone then, and nothing counts.
func (s *Sender) Begin(ctx context.Context, permit contact.ID, r Relay) (a gate.Attempt, err error) {
	ctx, span := trace.Start(trace.Contact(ctx, permit), "relay.begin", trace.String("via", r.Via))
	defer func() { trace.End(span, err) }()
	if err := s.theirs(ctx, permit, r.Via); err != nil {
		return gate.Attempt{}, err
	}
	if a, err = s.gate.Spend(ctx, permit); err != nil {
		return gate.Attempt{}, err
	}
	if missing := unmetBy(r.Meets, a.Obligations); missing != "" {
		return gate.Attempt{}, s.unspend(ctx, permit, errUndertake.With(errors.New(missing)))
	}
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO outbound_attempt (id, party_id, point_id, campaign_id, channel, purpose, script,
			lang, caller_id, state, outcome, code, reason, started_at, answered_at, ended_at, rang_us, talk_us, ended_by,
			digits, steps, withdrawn_at, complaint, span_from, span_to, via)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'dialing', '', 0, '', $10, 0, 0, 0, 0, '', '', '', 0, '', 0, 0, $11)`,
			a.ID, a.Intent.Party, a.Intent.Point, a.Intent.Campaign, a.Intent.Channel.String(), a.Intent.Purpose.String(), a.Intent.Script,
			r.Lang, a.Intent.CallerID, tx.At(), r.Via)
		begun(a.Intent.Campaign).add(tx, a.ID, 1)
		return err
	})
	if err != nil {
		return gate.Attempt{}, s.unspend(ctx, permit, err)
	}
	return a, nil
}

// theirs reports whether the permit was asked for by the system.
func (s *Sender) theirs(ctx context.Context, permit contact.ID, via string) error {
	d, err := s.gate.Decision(ctx, permit)
	if err == nil && (via == "" || d.Intent.Via != via) {
		err = ErrNotYours
	}
	return err
}

// Release takes back a permit that the system did not use.
func (s *Sender) Release(ctx context.Context, permit contact.ID, via, reason string) error {
	if err := s.theirs(ctx, permit, via); err != nil {
		return err
	}
	return s.gate.Void(ctx, permit, reason)
}

// unmetBy names the first obligation that is not undertaken; empty when all are.
func unmetBy(meets []string, obligations []policy.Obligation) string {
	for _, o := range obligations {
		if !slices.Contains(meets, o.Kind) && !slices.Contains(meets, o.Kind+":"+o.Value) {
			return o.Kind
		}
	}
	return ""
}

// Finish stores how a relayed contact ended. Saying the same outcome again
// changes nothing; one that was unknown may still become known.
func (s *Sender) Finish(ctx context.Context, id contact.ID, via string, r Report) (done *Attempt, err error) {
	ctx, span := trace.Start(trace.Contact(ctx, id), "relay.finish", trace.String("via", via), trace.String("outcome", string(r.Outcome)))
	defer func() { trace.End(span, err) }()
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		a, err := s.Attempt(ctx, tx, id)
		if err != nil {
			return err
		}
		if via == "" || a.Via != via {
			return ErrNotYours
		}
		if a.State == Ended && a.Outcome == r.Outcome {
			done = a
			return nil
		}
		if done, err = s.end(ctx, tx, a, r); err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Entry{Type: "call.ended", ID: id, Record: map[string]any{"attempt": id, "party": a.Party,
			"campaign": a.Campaign, "channel": a.Channel.String(), "outcome": string(r.Outcome), "code": r.Code, "reason": r.Reason,
			"talk_ms": r.Talk.Milliseconds(), "rang_ms": r.Rang.Milliseconds(), "digits": r.Digits, "by": r.EndedBy, "via": via}})
	})
	return done, err
}

// end settles the permit and writes the end of an attempt, in tx.
func (s *Sender) end(ctx context.Context, tx *db.Tx, a *Attempt, r Report) (*Attempt, error) {
	if err := s.gate.Settle(ctx, tx, a.ID, r.Outcome); err != nil {
		return nil, err
	}
	state := Ended
	if r.Outcome == contact.Unknown {
		state = Unknown
	}
	if err := counting(ctx, tx, a.ID, func() error {
		_, err := tx.Exec(ctx, `UPDATE outbound_attempt SET state = $2, outcome = $3, code = $4, reason = $5, answered_at = $6,
			ended_at = $7, rang_us = $8, talk_us = $9, ended_by = $10, digits = $11 WHERE id = $1`, a.ID, string(state), string(r.Outcome),
			r.Code, r.Reason, db.Micros(r.Answered), tx.At(), r.Rang.Microseconds(), r.Talk.Microseconds(), r.EndedBy, r.Digits)
		return err
	}); err != nil {
		return nil, err
	}
	return s.Attempt(ctx, tx, a.ID)
}

// silentReason is stored with relayed contacts whose maker never said how they ended.
const silentReason = "the system that made the contact did not say how it ended"

// GiveUp marks as unknown the relayed contacts begun longer ago than after
// whose maker has not said how they ended: they count in full until somebody
// finds out. It gives their number.
func (s *Sender) GiveUp(ctx context.Context, after time.Duration) (int, error) {
	n := 0
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		n = 0
		ids, err := idsOf(ctx, tx, "SELECT id FROM outbound_attempt WHERE state <> 'ended' AND state = 'dialing' AND via <> '' AND started_at < $1 ORDER BY id LIMIT 100",
			tx.At()-after.Microseconds())
		if err != nil {
			return err
		}
		for _, id := range ids {
			a, err := s.Attempt(ctx, tx, id)
			if err == nil {
				_, err = s.end(ctx, tx, a, Report{Outcome: contact.Unknown, Reason: silentReason})
			}
			if err == nil {
				err = ledger.Append(ctx, tx, ledger.Entry{Type: "call.unknown", ID: id, Record: map[string]any{"attempt": id, "reason": silentReason}})
			}
			if err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, err
}
