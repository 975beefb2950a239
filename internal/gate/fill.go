package gate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
)

// Fill gives people a long past, for measurements: it copies each decision
// named per times, one every step before the instant from, as contacts that were made and
// settled, and completes budgets and the links between decisions. The copies
// are counted nowhere and are not in the ledger. The decisions must be the
// first of their people and made in one batch.
func (g *Gate) Fill(ctx context.Context, made []contact.ID, per int, step time.Duration, from time.Time) error {
	slices.Sort(made)
	first, last := made[0], made[len(made)-1]
	for k := per; k > 0; k -= 10 {
		err := g.db.Write(ctx, func(tx *db.Tx) error {
			for i := k; i > max(0, k-10); i-- {
				prev := "''"
				if i < per {
					prev = "'" + contact.IDFrom(from.Add(-time.Duration(i+1)*step)) + "' || substr(d.id, 16)"
				}
				shift := (time.Duration(i) * step).Microseconds()
				_, err := tx.Exec(ctx, fmt.Sprintf(`INSERT INTO gate_decision
						(id, party_id, prev, class, verdict, facts, state, until, attempted, ended, outcome, reason)
					SELECT '%s' || substr(d.id, 16), d.party_id, %s, d.class, d.verdict, d.facts, 3, d.until - %d, d.until - %d, d.until - %d, 'no_answer', ''
					FROM gate_decision d WHERE d.id >= '%s' AND d.id <= '%s' ORDER BY d.id`,
					contact.IDFrom(from.Add(-time.Duration(i)*step)), prev, shift, shift, shift, first, last))
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for chunk := range slices.Chunk(made, maxGroup) {
		err := g.do(ctx, &op{size: len(chunk), permits: chunk, do: func(b *book) error { return b.age(chunk, per, step, from) }})
		if err != nil {
			return err
		}
	}
	return g.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE gate_decision SET prev = $1 || substr(id, 16) WHERE id >= $2 AND id <= $3",
			contact.IDFrom(from.Add(-step)), first, last)
		return err
	})
}

// age puts the copies into their people's budgets; the window prunes them.
func (b *book) age(made []contact.ID, per int, step time.Duration, from time.Time) error {
	for _, id := range made {
		r := b.permits[id]
		p, err := b.who(r.party)
		if err != nil {
			return err
		}
		for k := per; k > 0; k-- {
			at := db.Micros(from.Add(-time.Duration(k) * step))
			p.log.add(contact.Charge{At: at, Channel: r.intent.Channel, Purpose: r.intent.Purpose, Reach: contact.ReachAttempt,
				Product: r.intent.Product, Campaign: r.intent.Campaign}, Settled)
		}
		if i := p.log.find(id); i >= 0 { // a million permits that run out at once happen to no bank
			b.free(p, i, id, Voided, "filled")
		}
		p.log.prune(p.now - b.set.WindowFor(&p.standing).Microseconds())
		p.touch()
	}
	return nil
}
