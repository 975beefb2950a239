package campaign

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

// Contact is one person to call, at one contact point.
type Contact struct{ Party, Point contact.ID }

// AddMembers adds people to the list, which is a change that needs approval
// again. A person who is on it already stays as they are. It gives how many
// are on the list now.
func (s *Store) AddMembers(ctx context.Context, id contact.ID, list []Contact, by string) (int, error) {
	c, err := s.change(ctx, id, by, "listed", "", func(tx *db.Tx, c *Campaign) error {
		rows := make([][]any, 0, len(list))
		sum := sha256.New()
		sum.Write([]byte(c.List))
		for _, m := range list {
			if m.Party == "" || m.Point == "" {
				return errs.New(errs.Invalid, "member_incomplete", "名单中有客户缺少号码；请核对后再导入。",
					"A customer on the list has no number; mend the list and add it again.")
			}
			sum.Write([]byte(m.Party + m.Point))
			rows = append(rows, []any{id, m.Party, m.Point, string(New), 0, 0, "", 0, 0, "", "", ""})
		}
		n, err := tx.Inserted(ctx, "campaign_member", []string{"campaign_id", "party_id", "point_id", "state", "due_at", "tries",
			"day", "day_tries", "faults", "last_outcome", "permit_id", "rule"}, "ON CONFLICT (campaign_id, party_id) DO NOTHING", rows)
		if err != nil {
			return err
		}
		count(tx, &Member{Campaign: id, State: New}, n)
		c.List = hex.EncodeToString(sum.Sum(nil))
		c.Members += int(n)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return c.Members, nil
}

const memberColumns = `campaign_id, party_id, point_id, state, due_at, tries, day, day_tries, faults, last_outcome, permit_id, rule`

func scanMember(row interface{ Scan(...any) error }) (Member, error) {
	var m Member
	err := row.Scan(&m.Campaign, &m.Party, &m.Point, &m.State, &m.DueAt, &m.Tries, &m.Day, &m.DayTries, &m.Faults,
		&m.LastOutcome, &m.Permit, &m.Rule)
	return m, err
}

func members(ctx context.Context, tx *db.Tx, q string, args ...any) ([]Member, error) {
	var out []Member
	err := tx.Each(ctx, func(r *sql.Rows) error {
		m, err := scanMember(r)
		out = append(out, m)
		return err
	}, "SELECT "+memberColumns+" FROM campaign_member WHERE campaign_id = $1 "+q, args...)
	return out, err
}

// Claim takes up to n members that are due now, for the dialer to ask the gate
// about: call-backs and postponed ones first, then new ones. Only a running
// campaign gives any.
func (s *Store) Claim(ctx context.Context, id contact.ID, n int) ([]Member, error) {
	var out []Member
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		out = nil
		// The lock keeps two claims apart on PostgreSQL and orders them with Pause.
		c, err := get(ctx, tx, id, tx.Dialect().ForUpdate())
		if err != nil || c.State != Running {
			return err
		}
		// One query per state, each the head of an index range; a single query
		// over all states would sort the whole list for every batch.
		for _, st := range []MemberState{Due, Waiting, New} {
			ms, err := members(ctx, tx, "AND state = $2 AND due_at <= $3 ORDER BY due_at LIMIT $4", id, string(st), tx.At(), n-len(out))
			if err != nil {
				return err
			}
			if out = append(out, ms...); len(out) >= n {
				break
			}
		}
		return take(ctx, tx, id, out)
	})
	return out, err
}

// take marks members as reserved, many in a statement.
func take(ctx context.Context, tx *db.Tx, id contact.ID, ms []Member) error {
	for len(ms) > 0 {
		size := 1
		for size < len(ms) && size < 512 { // few sizes, so that few statements are prepared
			size *= 8
		}
		n := min(size, len(ms))
		args := []any{id, string(Reserved)}
		for i := range size {
			args = append(args, ms[min(i, n-1)].Party)
		}
		if _, err := tx.Exec(ctx, "UPDATE campaign_member SET state = $2, permit_id = '' WHERE campaign_id = $1 AND party_id IN "+
			db.In(3, size), args...); err != nil {
			return err
		}
		for i := range ms[:n] {
			count(tx, &ms[i], -1)
			ms[i].State, ms[i].Permit = Reserved, ""
			count(tx, &ms[i], 1)
		}
		ms = ms[n:]
	}
	return nil
}

func save(ctx context.Context, tx *db.Tx, m *Member) error {
	_, err := tx.Exec(ctx, `UPDATE campaign_member SET state = $3, due_at = $4, tries = $5, day = $6, day_tries = $7,
		faults = $8, last_outcome = $9, permit_id = $10, rule = $11 WHERE campaign_id = $1 AND party_id = $2`,
		m.Campaign, m.Party, string(m.State), m.DueAt, m.Tries, m.Day, m.DayTries, m.Faults, string(m.LastOutcome), m.Permit, m.Rule)
	return err
}

// Decided stores the gate's answers for claimed members: allowed ones keep
// their permit, postponed ones wait for their instant, denied ones are not
// asked again in this run.
func (s *Store) Decided(ctx context.Context, id contact.ID, vs []Verdict) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		for _, v := range vs {
			state, due := Reserved, int64(0)
			switch v.Effect {
			case Allow:
			case Later:
				state, due = Waiting, db.Micros(v.At)
			default:
				state = Denied
			}
			n, err := tx.Exec(ctx, `UPDATE campaign_member SET state = $3, due_at = $4, permit_id = $5, rule = $6
				WHERE campaign_id = $1 AND party_id = $2 AND state = $7`,
				id, v.Party, string(state), due, v.ID, v.Rule, string(Reserved))
			if err != nil {
				return err
			}
			turned(tx, &Member{Campaign: id, State: Reserved}, &Member{Campaign: id, State: state, Rule: v.Rule}, n)
		}
		return nil
	})
}

// Dialing moves a member with its permit to the wire, and reports false when
// that must not happen any more: this version no longer runs, or the member has
// moved on. After it reports true a crash leaves the member to Dialer.Recover.
func (s *Store) Dialing(ctx context.Context, run *Campaign, party, permit contact.ID) (bool, error) {
	var n int64
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		// Locking the campaign orders this with Pause: once Pause has
		// returned, nothing passes here.
		c, err := get(ctx, tx, run.ID, tx.Dialect().ForUpdate())
		if err != nil || c.State != Running || c.Version != run.Version {
			n = 0
			return err
		}
		n, err = tx.Exec(ctx, `UPDATE campaign_member SET state = $4 WHERE campaign_id = $1 AND party_id = $2
			AND permit_id = $3 AND state = $5`, run.ID, party, permit, string(Dialing), string(Reserved))
		turned(tx, &Member{Campaign: run.ID, State: Reserved}, &Member{Campaign: run.ID, State: Dialing}, n)
		return err
	})
	return n == 1, err
}

// Ended stores how a member's attempt ended and plans what follows.
func (s *Store) Ended(ctx context.Context, id, party, permit contact.ID, o contact.Outcome) (Member, error) {
	return s.turn(ctx, id, party, permit, func(tx *db.Tx, c *Campaign, m Member) Member { return c.After(m, o, tx.Now) })
}

// Barred stores that a member cannot be called in this run, and by what rule.
func (s *Store) Barred(ctx context.Context, id, party, permit contact.ID, rule string) (Member, error) {
	return s.turn(ctx, id, party, permit, func(_ *db.Tx, _ *Campaign, m Member) Member {
		m.State, m.Rule = Denied, rule
		return m
	})
}

// Release gives a member back that was taken and not called: it is due now.
func (s *Store) Release(ctx context.Context, id, party, permit contact.ID) (Member, error) {
	return s.turn(ctx, id, party, permit, func(tx *db.Tx, _ *Campaign, m Member) Member {
		m.State, m.DueAt, m.Permit = Due, tx.At(), ""
		return m
	})
}

// Park leaves a member to a person.
func (s *Store) Park(ctx context.Context, id, party, permit contact.ID) (Member, error) {
	return s.turn(ctx, id, party, permit, func(tx *db.Tx, c *Campaign, m Member) Member { return c.After(m, contact.Unknown, tx.Now) })
}

// Reconciled stores what a person found out about a parked attempt.
func (s *Store) Reconciled(ctx context.Context, id, party, permit contact.ID, o contact.Outcome) (Member, error) {
	return s.turnFrom(ctx, id, party, permit, []MemberState{Parked}, func(tx *db.Tx, c *Campaign, m Member) Member {
		if o != contact.NotSent {
			m.Tries, m.DayTries = max(m.Tries-1, 0), max(m.DayTries-1, 0) // parking counted it already
		}
		return c.After(m, o, tx.Now)
	})
}

func (s *Store) turn(ctx context.Context, id, party, permit contact.ID, fn func(*db.Tx, *Campaign, Member) Member) (Member, error) {
	return s.turnFrom(ctx, id, party, permit, []MemberState{Reserved, Dialing}, fn)
}

// turnFrom moves one member on if it is in one of the states with that permit;
// a member that has moved on already is left as it is.
func (s *Store) turnFrom(ctx context.Context, id, party, permit contact.ID, from []MemberState,
	fn func(*db.Tx, *Campaign, Member) Member) (Member, error) {
	var m Member
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		c, err := get(ctx, tx, id, "")
		if err != nil {
			return err
		}
		m, err = scanMember(tx.QueryRow(ctx, "SELECT "+memberColumns+" FROM campaign_member WHERE campaign_id = $1 AND party_id = $2"+
			tx.Dialect().ForUpdate(), id, party))
		if errors.Is(err, sql.ErrNoRows) {
			return errs.New(errs.NotFound, "member_unknown", "名单中没有此人。", "This person is not on the list.")
		}
		if err != nil || m.Permit != permit || !in(m.State, from) {
			return err
		}
		old := m
		m = fn(tx, c, m)
		turned(tx, &old, &m, 1)
		return save(ctx, tx, &m)
	})
	return m, err
}

func in(s MemberState, list []MemberState) bool {
	for _, l := range list {
		if s == l {
			return true
		}
	}
	return false
}

// Taken gives the members that a dialer had taken, for it to look at after a
// restart, before it takes new ones.
func (s *Store) Taken(ctx context.Context, id contact.ID) ([]Member, error) {
	var out []Member
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		out = nil
		for _, st := range []MemberState{Reserved, Dialing} {
			ms, err := members(ctx, tx, "AND state = $2 ORDER BY due_at", id, string(st))
			if err != nil {
				return err
			}
			out = append(out, ms...)
		}
		return nil
	})
	return out, err
}

// Page gives members after the given party, in the order of their ids; state
// "" means all.
func (s *Store) Page(ctx context.Context, id contact.ID, state MemberState, after contact.ID, n int) ([]Member, error) {
	var out []Member
	err := s.db.Read(ctx, func(tx *db.Tx) (err error) {
		if state == "" {
			out, err = members(ctx, tx, "AND party_id > $2 ORDER BY party_id LIMIT $3", id, after, n)
		} else {
			out, err = members(ctx, tx, "AND party_id > $2 AND state = $4 ORDER BY party_id LIMIT $3", id, after, n, string(state))
		}
		return err
	})
	return out, err
}

// ByParty gives the memberships of a person, in all campaigns.
func (s *Store) ByParty(ctx context.Context, party contact.ID) ([]Member, error) {
	var out []Member
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		out = nil
		return tx.Each(ctx, func(r *sql.Rows) error {
			m, err := scanMember(r)
			out = append(out, m)
			return err
		}, "SELECT "+memberColumns+" FROM campaign_member WHERE party_id = $1 ORDER BY campaign_id", party)
	})
	return out, err
}

// Idle reports whether a campaign has nobody left to call and no call under way.
func (s *Store) Idle(ctx context.Context, id contact.ID) (bool, error) {
	idle := true
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		idle = true
		return tx.Each(ctx, func(*sql.Rows) error { idle = false; return nil },
			`SELECT 1 FROM campaign_member WHERE campaign_id = $1
			AND state IN ('new', 'due', 'later', 'reserved', 'dialing') LIMIT 1`, id)
	})
	return idle, err
}
