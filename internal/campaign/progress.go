package campaign

import (
	"context"
	"database/sql"
	"errors"

	"parley/internal/contact"
	"parley/internal/db"
)

// Progress counts a campaign's members.
type Progress struct {
	Total     int
	ByState   map[MemberState]int
	ByOutcome map[contact.Outcome]int // the last outcome of those who were called
	ByRule    map[string]int          // who is denied or waiting, by the rule that decided
	NextDue   contact.Micros          // when the next waiting or due member comes up; 0 = none
}

// Left is how many may still be called.
func (p *Progress) Left() int {
	return p.ByState[New] + p.ByState[Due] + p.ByState[Waiting] + p.ByState[Reserved] + p.ByState[Dialing]
}

// members are counted as they change: by state, by last outcome, and those that
// a rule holds back by that rule. A list of a million is never counted.
var counter = db.NewCounter("campaign_count", []string{"campaign_id", "kind", "what"}, "n")

// The kinds of campaign_count.
const (
	byState   = "state"
	byOutcome = "outcome"
	byRule    = "rule"
)

// count counts n members that stand as m does.
func count(tx *db.Tx, m *Member, n int64) {
	if n == 0 {
		return
	}
	counter.Add(tx, []any{m.Campaign, byState, string(m.State)}, n)
	if m.LastOutcome != "" {
		counter.Add(tx, []any{m.Campaign, byOutcome, string(m.LastOutcome)}, n)
	}
	if m.Rule != "" && (m.State == Denied || m.State == Waiting) {
		counter.Add(tx, []any{m.Campaign, byRule, m.Rule}, n)
	}
}

// turned counts n members that stood as old and stand as m now.
func turned(tx *db.Tx, old, m *Member, n int64) {
	count(tx, old, -n)
	count(tx, m, n)
}

// Progress gives how many of a campaign's members stand where. It costs the
// same however long the list is.
func (s *Store) Progress(ctx context.Context, id contact.ID) (*Progress, error) {
	p := &Progress{}
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		*p = Progress{ByState: map[MemberState]int{}, ByOutcome: map[contact.Outcome]int{}, ByRule: map[string]int{}}
		if err := tx.Each(ctx, func(r *sql.Rows) error {
			var kind, what string
			var n int
			if err := r.Scan(&kind, &what, &n); err != nil || n == 0 {
				return err
			}
			switch kind {
			case byState:
				p.ByState[MemberState(what)] = n
				p.Total += n
			case byOutcome:
				p.ByOutcome[contact.Outcome(what)] = n
			case byRule:
				p.ByRule[what] = n
			}
			return nil
		}, `SELECT kind, what, CAST(SUM(n) AS BIGINT) FROM campaign_count WHERE campaign_id = $1 GROUP BY kind, what`, id); err != nil {
			return err
		}
		for _, st := range []MemberState{New, Due, Waiting} {
			var due int64
			err := tx.QueryRow(ctx, `SELECT due_at FROM campaign_member WHERE campaign_id = $1 AND state = $2 ORDER BY due_at LIMIT 1`, id, string(st)).Scan(&due)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			if p.NextDue == 0 || due < p.NextDue {
				p.NextDue = due
			}
		}
		return nil
	})
	return p, err
}
