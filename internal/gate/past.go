package gate

import (
	"context"
	"database/sql"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/policy"
)

// Glance is a decision with no more than a picture of many needs.
type Glance struct {
	ID       contact.ID
	At       time.Time
	Effect   policy.Effect
	Later    time.Time // when Later: the first permitted instant
	By       string    // the rule that decided; empty when allowed
	Channel  contact.Channel
	Purpose  contact.Purpose
	Campaign contact.ID
	State    State // of the permit
	Outcome  contact.Outcome
}

// Past gives a person's decisions made in [from, to), latest first, at most
// limit. behind names a decision of the person not before to, to begin at, so
// that a look far back costs what lies within it; "" begins at the latest.
func (g *Gate) Past(ctx context.Context, tx *db.Tx, party, behind contact.ID, from, to time.Time, limit int) ([]Glance, error) {
	if behind == "" {
		l, err := logOf(ctx, tx, party)
		if err != nil || l.last == "" {
			return nil, err
		}
		behind = l.last
	}
	var rows []*row
	// What is shown is said by n and not by the ids: told a range of ids, SQLite
	// walks everybody's decisions in it to find this person's few.
	err := tx.Each(ctx, func(rs *sql.Rows) error {
		r, err := scanRow(rs)
		rows = append(rows, r)
		return err
	}, `WITH RECURSIVE walk (id, prev, n) AS (
			SELECT id, prev, CASE WHEN id < $5 THEN 1 ELSE 0 END FROM gate_decision WHERE id = $1 AND party_id = $2 AND id >= $4
			UNION ALL
			SELECT e.id, e.prev, w.n + CASE WHEN e.id < $5 THEN 1 ELSE 0 END
				FROM walk w JOIN gate_decision e ON e.id = w.prev WHERE w.n < $3 AND e.id >= $4)
		SELECT `+rowColumns+` FROM walk w JOIN gate_decision d ON d.id = w.id WHERE w.n > 0 ORDER BY w.n`,
		behind, party, limit, contact.IDFrom(from), contact.IDFrom(to))
	if err != nil {
		return nil, err
	}
	out := make([]Glance, 0, len(rows))
	for _, r := range rows {
		f, err := g.fill(ctx, tx, r)
		if err != nil {
			return nil, err
		}
		v, err := g.shared.verdictByID(ctx, tx, r.verdict)
		if err != nil {
			return nil, err
		}
		out = append(out, Glance{ID: r.id, At: f.Now, Effect: v.effect, Later: db.Time(f.at), By: v.by, Channel: r.intent.Channel,
			Purpose: r.intent.Purpose, Campaign: r.intent.Campaign, State: r.state, Outcome: r.outcome})
	}
	return out, nil
}
