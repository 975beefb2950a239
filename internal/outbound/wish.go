package outbound

import (
	"context"
	"time"

	"parley/internal/campaign"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/ledger"
	"parley/internal/voice"
	"parley/internal/voice/media"
)

func (a *attempt) prompt(key string) *media.Prompt { return a.s.prompts[a.lang+"/"+key] }

// withdraw stores what the person no longer wants, in one transaction with the
// voiding of permits: once it returns, no contact it covers starts.
func (a *attempt) withdraw(ctx context.Context, scope string) error {
	return patiently(ctx, func() error {
		return a.s.db.Write(ctx, func(tx *db.Tx) error {
			for _, st := range a.stops(scope, tx.At()) {
				if _, err := a.s.consent.Stop(ctx, tx, a.party, st, "call:"+a.id); err != nil {
					return err
				}
			}
			if err := counting(ctx, tx, a.id, func() error {
				_, err := tx.Exec(ctx, "UPDATE outbound_attempt SET withdrawn_at = $2 WHERE id = $1", a.id, tx.At())
				return err
			}); err != nil {
				return err
			}
			return ledger.Append(ctx, tx, ledger.Entry{Type: "call.withdrawn", ID: a.id,
				Record: map[string]any{"attempt": a.id, "party": a.party, "scope": scope}})
		})
	})
}

// stops gives what a withdrawal by key bars. The key is both: consent taken
// back (PIPL 15) and a refusal of this way of contact (2022 No. 9 measures).
// A wrong number is neither: the person on the line is not the customer.
func (a *attempt) stops(scope string, at contact.Micros) []contact.Stop {
	st := contact.Stop{At: at, Channels: contact.ChannelSet(contact.Voice), Purposes: contact.PurposeSet(a.purpose), Source: "key9"}
	switch scope {
	case campaign.ScopeNumber:
		st.Kind, st.Points, st.Source = contact.DoNotContact, []contact.ID{a.point}, "wrong_person"
		return []contact.Stop{st}
	case campaign.ScopeAll:
		st.Purposes = 0
	}
	refusal, withdrawal := st, st
	refusal.Kind, withdrawal.Kind = contact.Refusal, contact.Withdrawal
	return []contact.Stop{refusal, withdrawal}
}

// The state of a complaint by key while it has no number.
const pending = "pending"

// complain keeps the person's complaint. The case opens when the recording is
// whole, at the end of the call or, after a crash, at the next start; that it
// will open is durable before the person is told so.
func (a *attempt) complain(ctx context.Context, sp voice.Span) (bool, error) {
	err := patiently(ctx, func() error {
		return a.s.db.Write(ctx, func(tx *db.Tx) error {
			if err := counting(ctx, tx, a.id, func() error {
				_, err := tx.Exec(ctx, "UPDATE outbound_attempt SET complaint = $2, span_from = $3, span_to = $4 WHERE id = $1",
					a.id, pending, sp.From.Microseconds(), sp.To.Microseconds())
				return err
			}); err != nil {
				return err
			}
			return ledger.Append(ctx, tx, ledger.Entry{Type: "call.complained", ID: a.id, Record: map[string]any{
				"attempt": a.id, "party": a.party, "from_ms": sp.From.Milliseconds(), "to_ms": sp.To.Milliseconds()}})
		})
	})
	return a.s.o.Intake != nil, err
}

// patiently tries a few times: a person is on the line, and a busy database is
// usually free a moment later.
func patiently(ctx context.Context, fn func() error) error {
	var err error
	for try := range 4 {
		if err = fn(); err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond << try)
	}
	return err
}
