package gate

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/policy"
)

// auditPage is how many attempts an audit judges in one reading transaction.
const auditPage = 500

// auditDepth is how many of a person's decisions an audit looks back over.
const auditDepth = 100_000

// OverCap gives how many attempts went over a cap: every attempt is judged
// again, at the instant it was spent, against the person's other attempts and
// how those really ended. It trusts nothing the gate computed then: neither its
// budget rows nor the facts it stored.
func (g *Gate) OverCap(ctx context.Context) (int, error) {
	return g.audit(ctx, true, func(kind string) bool { return kind == "frequency" || kind == "" })
}

// AttemptsAfterStop gives how many attempts were spent although the person's
// consents, as the events of that instant say, barred them.
func (g *Gate) AttemptsAfterStop(ctx context.Context) (int, error) {
	return g.audit(ctx, false, func(kind string) bool { return kind == "do_not_contact" || kind == "consent" })
}

// audit counts the attempts that a rule of some kind (empty: the grant's own
// terms) objects to, with or without the person's history.
func (g *Gate) audit(ctx context.Context, history bool, objects func(kind string) bool) (bad int, err error) {
	after, last := "", ""
	for {
		n := 0
		err = g.db.Read(ctx, func(tx *db.Tx) error {
			parties, err := g.attemptedAfter(ctx, tx, after)
			if err != nil {
				return err
			}
			for _, p := range parties {
				k, err := g.auditPerson(ctx, tx, p, history, objects)
				if err != nil {
					return fmt.Errorf("audit: %w", err)
				}
				bad += k
				last = p
			}
			n = len(parties)
			return nil
		})
		if err != nil || n == 0 {
			return bad, err
		}
		after = last
	}
}

func (g *Gate) attemptedAfter(ctx context.Context, tx *db.Tx, after contact.ID) (parties []contact.ID, err error) {
	err = tx.Each(ctx, func(rs *sql.Rows) error {
		var p string
		err := rs.Scan(&p)
		parties = append(parties, p)
		return err
	}, "SELECT party_id FROM gate_person WHERE party_id > $1 ORDER BY party_id LIMIT $2", after, auditPage)
	return parties, err
}

func (g *Gate) auditPerson(ctx context.Context, tx *db.Tx, party contact.ID, history bool, objects func(kind string) bool) (bad int, err error) {
	rows, err := g.rowsOf(ctx, tx, party, auditDepth)
	if err != nil {
		return 0, err
	}
	rows = slices.DeleteFunc(rows, func(r *row) bool { return r.attempted == 0 })
	slices.SortFunc(rows, func(a, b *row) int { return int(a.attempted - b.attempted) })
	var past []contact.Charge
	for _, r := range rows {
		f, err := g.fill(ctx, tx, r)
		if err != nil {
			return bad, err
		}
		f.Now = db.Time(r.attempted)
		if f.Standing, err = g.consent.AsOf(ctx, tx, party, f.Now); err != nil {
			return bad, err
		}
		f.Charges = nil
		if history {
			f.Charges = past
		}
		v := judge(g.Policy(), &f.Facts, nil)
		if slices.ContainsFunc(v.Rules, func(x policy.RuleResult) bool {
			return x.Effect != policy.Allow && objects(g.kind(x.Rule))
		}) {
			bad++
		}
		past = append(past, contact.Charge{Permit: r.id, At: r.attempted, Channel: f.Channel, Purpose: f.Purpose, Reach: reached(r),
			Product: f.Product, Campaign: f.Campaign, Event: f.Event, Grant: f.grant, Asked: f.Initiator == "customer"})
	}
	return bad, nil
}

// kind is the kind of a rule's body; empty for the terms of a grant.
func (g *Gate) kind(rule string) string {
	if r := g.Policy().Rule(rule); r != nil {
		return r.Kind()
	}
	if rule == policy.RuleTerms {
		return ""
	}
	return "other"
}

// reached is what an attempt counts as: the worst case while nobody knows.
func reached(r *row) contact.Reach {
	if r.state == Settled {
		return r.outcome.Reach()
	}
	return contact.ReachEffective
}
