package gate

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/policy"
)

// Stored is a decision as it was kept, with what became of its permit.
type Stored struct {
	Decision
	Facts     policy.Facts // everything the verdict depended on
	Raw       []byte       // the facts as stored; their sha256 is in the ledger
	State     State
	Until     time.Time // the permit's end
	Attempted time.Time // when it was spent
	Ended     time.Time // when it was settled, voided or expired
	Outcome   contact.Outcome
	Reason    string // why it was voided, or who reconciled it
	Replayed  bool   // the pack was at hand and gave the same verdict; its reasons are in Verdict
}

// row is a decision as it is in its table, the class filled in.
type row struct {
	id, party, prev  string
	class, verdict   int64
	facts            []byte
	state            State
	until            int64
	attempted, ended int64
	outcome          contact.Outcome
	reason           string
	intent           policy.Intent
}

const rowColumns = "d.id, d.party_id, d.prev, d.class, d.verdict, d.facts, d.state, d.until, d.attempted, d.ended, d.outcome, d.reason"

func scanRow(rs *sql.Rows) (*row, error) {
	r := &row{}
	var attempted, ended sql.NullInt64
	var outcome, reason sql.NullString
	err := rs.Scan(&r.id, &r.party, &r.prev, &r.class, &r.verdict, &r.facts, &r.state, &r.until, &attempted, &ended, &outcome, &reason)
	r.attempted, r.ended = attempted.Int64, ended.Int64
	r.outcome, r.reason = contact.Outcome(outcome.String), reason.String
	return r, err
}

// rowsByID reads decisions by id.
func rowsByID(ctx context.Context, tx *db.Tx, ids []contact.ID) (rows []*row, err error) {
	seen := make(map[string]bool, len(ids))
	err = tx.EachIn(ctx, func(rs *sql.Rows) error {
		r, err := scanRow(rs)
		if err == nil && !seen[r.id] {
			seen[r.id] = true
			rows = append(rows, r)
		}
		return err
	}, "SELECT "+rowColumns+" FROM gate_decision d WHERE d.id", ids, "")
	return rows, err
}

// eachRow reads decisions by id and calls fn for each, after all are read.
func eachRow(ctx context.Context, tx *db.Tx, ids []contact.ID, fn func(*row) error) error {
	rows, err := rowsByID(ctx, tx, ids)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if err := fn(r); err != nil {
			return err
		}
	}
	return nil
}

// fill gives the row its intent.
func (g *Gate) fill(ctx context.Context, tx *db.Tx, r *row) (facts, error) {
	f, err := readFacts(r.facts)
	if err != nil {
		return f, fmt.Errorf("facts of decision %s: %w", r.id, err)
	}
	in, err := g.shared.classByID(ctx, tx, r.class)
	if err != nil {
		return f, err
	}
	f.withClass(in, r.party)
	r.intent = f.Intent
	return f, nil
}

// stored takes rows apart.
func (g *Gate) stored(ctx context.Context, tx *db.Tx, rows []*row) ([]Stored, error) {
	list, each := make([]facts, len(rows)), make([]*facts, len(rows))
	for i, r := range rows {
		var err error
		if list[i], err = g.fill(ctx, tx, r); err != nil {
			return nil, err
		}
		each[i] = &list[i]
	}
	if err := complete(ctx, tx, each, nil, &slab{}); err != nil {
		return nil, err
	}
	out := make([]Stored, len(rows))
	for i, r := range rows {
		var err error
		if out[i], err = g.decision(ctx, tx, r, &list[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// decision is a row with its facts in full.
func (g *Gate) decision(ctx context.Context, tx *db.Tx, r *row, f *facts) (Stored, error) {
	p, err := g.shared.verdictByID(ctx, tx, r.verdict)
	if err != nil {
		return Stored{}, err
	}
	raw := r.facts
	if f.log.base.id != "" {
		raw = f.pack()
	}
	s := Stored{
		Facts: f.Facts, Raw: raw, State: r.state, Until: db.Time(r.until), Attempted: db.Time(r.attempted),
		Ended: db.Time(r.ended), Outcome: r.outcome, Reason: r.reason,
		Decision: Decision{ID: r.id, Intent: r.intent, At: f.Now, Verdict: policy.Verdict{
			Effect: p.effect, At: db.Time(f.at), By: p.by, Rules: p.rules, Pack: p.pack, Grant: f.grant,
		}},
	}
	if set, ok := g.sets.Load(p.pack); ok {
		if v := judge(set.(*policy.Set), &s.Facts, nil); Same(v, s.Verdict) {
			s.Verdict, s.Replayed = v, true
		}
	}
	if r.state != NoPermit {
		s.Permit = Permit{id: r.id, party: r.party, point: f.Point, until: s.Until, obligations: s.Verdict.Obligations}
	}
	return s, nil
}

// Same reports whether two verdicts say the same: effect, instant, deciding
// rule, grant, pack and every rule's outcome. Reasons and obligations follow
// from those, the facts and the pack.
func Same(a, b policy.Verdict) bool {
	return a.Effect == b.Effect && a.By == b.By && a.Pack == b.Pack && a.Grant == b.Grant && a.At.Equal(b.At) &&
		slices.EqualFunc(a.Rules, b.Rules, func(x, y policy.RuleResult) bool { return x.Rule == y.Rule && x.Effect == y.Effect })
}

// Decision gives a decision with the facts it was made on and the state of its
// permit, for whoever must explain it.
func (g *Gate) Decision(ctx context.Context, id contact.ID) (Stored, error) {
	list, err := g.list(ctx, func(tx *db.Tx) ([]*row, error) { return rowsByID(ctx, tx, []contact.ID{id}) })
	if err == nil && len(list) == 0 {
		err = ErrNoDecision
	}
	if err != nil {
		return Stored{}, err
	}
	return list[0], nil
}

func (g *Gate) list(ctx context.Context, read func(tx *db.Tx) ([]*row, error)) (out []Stored, err error) {
	err = g.db.Read(ctx, func(tx *db.Tx) error {
		rows, err := read(tx)
		if err == nil {
			out, err = g.stored(ctx, tx, rows)
		}
		return err
	})
	return out, err
}

// ByParty gives a person's latest decisions, latest first.
func (g *Gate) ByParty(ctx context.Context, party contact.ID, limit int) ([]Stored, error) {
	return g.list(ctx, func(tx *db.Tx) ([]*row, error) { return g.rowsOf(ctx, tx, party, limit) })
}

// rowsOf gives a person's latest decisions as rows, latest first.
func (g *Gate) rowsOf(ctx context.Context, tx *db.Tx, party contact.ID, limit int) ([]*row, error) {
	l, err := logOf(ctx, tx, party)
	if err != nil || l.last == "" {
		return nil, err
	}
	return chain(ctx, tx, l.last, limit)
}

// logOf reads a person's budget; one who has none has an empty one.
func logOf(ctx context.Context, tx *db.Tx, party contact.ID) (l log, err error) {
	var raw []byte
	err = tx.QueryRow(ctx, "SELECT log FROM gate_person WHERE party_id = $1", party).Scan(&raw)
	if errors.Is(err, sql.ErrNoRows) {
		return l, nil
	}
	if err == nil {
		err = l.read(&reader{b: raw}, &slab{})
	}
	if err != nil {
		return l, fmt.Errorf("budget of %s: %w", party, err)
	}
	return l, nil
}

// chain follows a person's decisions back from one, that one included. A link
// from each decision to the one before takes the place of an index by person,
// which would cost every decision a write at a random place in a large tree.
func chain(ctx context.Context, tx *db.Tx, from contact.ID, limit int) (rows []*row, err error) {
	err = tx.Each(ctx, func(rs *sql.Rows) error {
		r, err := scanRow(rs)
		rows = append(rows, r)
		return err
	}, `WITH RECURSIVE walk (id, prev, n) AS (
			SELECT id, prev, 1 FROM gate_decision WHERE id = $1
			UNION ALL
			SELECT e.id, e.prev, w.n + 1 FROM walk w JOIN gate_decision e ON e.id = w.prev WHERE w.n < $2)
		SELECT `+rowColumns+` FROM walk w JOIN gate_decision d ON d.id = w.id ORDER BY w.n`, from, limit)
	return rows, err
}

// ByCampaign gives a campaign's decisions, latest first: at most limit of those
// made before the decision named before ("" = from the latest).
func (g *Gate) ByCampaign(ctx context.Context, campaign, before contact.ID, limit int) ([]Stored, error) {
	if before == "" {
		before = "g" // after every id
	}
	return g.list(ctx, func(tx *db.Tx) ([]*row, error) {
		classes, err := classesOf(ctx, tx, campaign)
		if err != nil {
			return nil, err
		}
		var rows []*row
		for _, c := range classes {
			err := tx.Each(ctx, func(rs *sql.Rows) error {
				r, err := scanRow(rs)
				rows = append(rows, r)
				return err
			}, "SELECT "+rowColumns+" FROM gate_decision d WHERE d.class = $1 AND d.id < $2 ORDER BY d.id DESC LIMIT $3", c, before, limit)
			if err != nil {
				return nil, err
			}
		}
		slices.SortFunc(rows, func(a, b *row) int { return cmp.Compare(b.id, a.id) })
		return rows[:min(limit, len(rows))], nil
	})
}

// InFlight lists attempts that have no outcome yet and those whose outcome is
// unknown, oldest first.
func (g *Gate) InFlight(ctx context.Context, limit int) ([]Stored, error) {
	return g.list(ctx, func(tx *db.Tx) (rows []*row, err error) {
		err = tx.Each(ctx, func(rs *sql.Rows) error {
			r, err := scanRow(rs)
			rows = append(rows, r)
			return err
		}, "SELECT "+rowColumns+" FROM gate_decision d WHERE d.state IN (2, 4) ORDER BY d.attempted LIMIT $1", limit)
		return rows, err
	})
}

// Counts is how many decisions there are.
type Counts struct {
	Allow, Later, Deny int64
	DeniedBy           map[string]int64 // by deciding rule
	LaterBy            map[string]int64
	ByPurpose          map[contact.Purpose]int64 // allowed, so that exempt purposes are counted apart
}

// Counts gives the number of all decisions.
func (g *Gate) Counts(ctx context.Context) (Counts, error) { return g.countsOf(ctx, "") }

// CampaignCounts gives the number of a campaign's decisions.
func (g *Gate) CampaignCounts(ctx context.Context, campaign contact.ID) (Counts, error) {
	return g.countsOf(ctx, campaign)
}

func (g *Gate) countsOf(ctx context.Context, campaign contact.ID) (c Counts, err error) {
	err = g.db.Read(ctx, func(tx *db.Tx) error {
		c = Counts{DeniedBy: map[string]int64{}, LaterBy: map[string]int64{}, ByPurpose: map[contact.Purpose]int64{}}
		cells, err := cellsOf(ctx, tx, campaign)
		if err != nil {
			return err
		}
		for _, x := range cells {
			in, err := g.shared.classByID(ctx, tx, x.class)
			if err != nil {
				return err
			}
			p, err := g.shared.verdictByID(ctx, tx, x.verdict)
			if err != nil {
				return err
			}
			switch p.effect {
			case policy.Allow:
				c.Allow += x.n
				c.ByPurpose[in.Purpose] += x.n
			case policy.Later:
				c.Later += x.n
				c.LaterBy[p.by] += x.n
			case policy.Deny:
				c.Deny += x.n
				c.DeniedBy[p.by] += x.n
			}
		}
		return nil
	})
	return c, err
}

// cell is one count of gate_count.
type cell struct{ class, verdict, n int64 }

// cellsOf reads the counts of a campaign's classes, each by index, or of all for "".
func cellsOf(ctx context.Context, tx *db.Tx, campaign contact.ID) (cells []cell, err error) {
	scan := func(rs *sql.Rows) error {
		var x cell
		err := rs.Scan(&x.class, &x.verdict, &x.n)
		cells = append(cells, x)
		return err
	}
	if campaign == "" {
		err = tx.Each(ctx, scan, "SELECT class, verdict, SUM(n) FROM gate_count GROUP BY class, verdict")
		return cells, err
	}
	classes, err := classesOf(ctx, tx, campaign)
	for _, class := range classes {
		args := make([]any, 0, lanes+1)
		for lane := range lanes {
			args = append(args, lane)
		}
		if err := tx.Each(ctx, scan, "SELECT class, verdict, n FROM gate_count WHERE lane IN "+db.In(1, lanes)+" AND class = "+db.Param(lanes+1),
			append(args, class)...); err != nil {
			return nil, err
		}
	}
	return cells, err
}

// rebuild completes a person's budget back to start from the decisions
// themselves: the window has grown, by a new pack or the terms of a new grant.
func (b *book) rebuild(ctx context.Context, p *person, start int64) error {
	from := p.log.last
	var older []contact.Charge
	for from != "" {
		rows, err := chain(ctx, b.tx, from, 256)
		if err != nil {
			return err
		}
		from = ""
		for _, r := range rows {
			f, err := b.g.fill(ctx, b.tx, r)
			if err != nil {
				return err
			}
			from = r.prev
			if f.Now.UnixMicro() < start-maxTTL.Microseconds() {
				from = ""
				break
			}
			if r.state == Settled && r.attempted >= start && r.attempted < p.log.since && r.outcome.Reach() != contact.ReachNone {
				older = append(older, contact.Charge{
					At: r.attempted, Channel: r.intent.Channel, Purpose: r.intent.Purpose, Reach: r.outcome.Reach(),
					Product: r.intent.Product, Campaign: r.intent.Campaign, Event: r.intent.Event, Grant: f.grant,
					Asked: r.intent.Initiator == "customer",
				})
			}
		}
	}
	for _, c := range older {
		p.log.add(c, Settled)
	}
	p.log.since = start
	p.touch()
	return nil
}
