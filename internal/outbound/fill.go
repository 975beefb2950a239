package outbound

import (
	"context"

	"parley/internal/contact"
	"parley/internal/db"
)

// Made is a contact of the past, for measurements: see Fill.
type Made struct {
	ID, Party, Point, Campaign contact.ID
	Purpose                    contact.Purpose
	At                         contact.Micros
}

var fillColumns = []string{"id", "party_id", "point_id", "campaign_id", "channel", "purpose", "script", "lang", "caller_id", "state", "outcome",
	"code", "reason", "started_at", "answered_at", "ended_at", "rang_us", "talk_us", "ended_by", "digits", "steps", "withdrawn_at", "complaint",
	"span_from", "span_to"}

// Fill gives people a long past, for measurements: calls that nobody answered,
// under the ids of decisions that gate.Fill made. They are in no ledger.
func (s *Sender) Fill(ctx context.Context, tx *db.Tx, made []Made) error {
	rows := make([][]any, len(made))
	for i, m := range made {
		rows[i] = []any{m.ID, m.Party, m.Point, m.Campaign, contact.Voice.String(), m.Purpose.String(), "", "zh-CN", "95500", string(Ended),
			string(contact.NoAnswer), 487, "not answered", m.At, 0, m.At + 25_000_000, 25_000_000, 0, "local", "", "[]", 0, "", 0, 0}
		share{campaign: m.Campaign, outcome: contact.NoAnswer, sums: sums{1}}.add(tx, m.ID, 1)
	}
	return tx.Insert(ctx, "outbound_attempt", fillColumns, "", rows)
}
