package bench

import (
	"context"
	"math/rand/v2"
	"time"

	"parley/internal/consent"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/gate"
	"parley/internal/policy"
	"parley/packs"
)

// crowd is a bank's customers with their consents, and a gate with the rules
// that ship with Parley.
type crowd struct {
	db      *db.DB
	gate    *gate.Gate
	set     *policy.Set
	parties []contact.ID // in the order they were imported
	next    int
}

// newCrowd makes n customers, each with a consent record: four fifths agreed to
// marketing, a twentieth of all with terms of their own; the rest have an
// account only; and one in fifty has refused since.
func newCrowd(ctx context.Context, d *db.DB, n int) (*crowd, error) {
	set, err := policy.LoadFS(packs.FS)
	if err != nil {
		return nil, err
	}
	store := consent.NewStore(d, nil)
	c := &crowd{db: d, set: set, parties: make([]contact.ID, n)}
	place := midday(time.Now())
	c.gate = gate.New(d, set, store, gate.Options{
		PermitTTL: time.Hour,
		Person: func(_ context.Context, _ *db.Tx, parties []contact.ID) (map[contact.ID]gate.Person, error) {
			out := make(map[contact.ID]gate.Person, len(parties))
			for _, id := range parties {
				out[id] = place
			}
			return out, nil
		},
	})
	for i := range c.parties {
		c.parties[i] = contact.NewID()
	}
	for lo := 0; lo < n; lo += 1000 {
		err := d.Write(ctx, func(tx *db.Tx) error {
			var grants []consent.PartyGrant
			for i, id := range c.parties[lo:min(lo+1000, n)] {
				g := contact.Grant{Ground: contact.Consent, Purposes: contact.PurposeSet(contact.Marketing), How: "branch"}
				switch {
				case i%5 == 0:
					g = contact.Grant{Ground: contact.Contract, Purposes: contact.PurposeSet(contact.Service), How: "account"}
				case i%20 == 1:
					g.Max, g.Days = 2, 30
				}
				grants = append(grants, consent.PartyGrant{Party: id, Grant: g})
			}
			if err := store.GrantMany(ctx, tx, grants, "bench"); err != nil {
				return err
			}
			for i, id := range c.parties[lo:min(lo+1000, n)] {
				if i%50 != 2 {
					continue
				}
				stop := contact.Stop{Kind: contact.Refusal, Purposes: contact.PurposeSet(contact.Marketing)}
				if _, err := store.Stop(ctx, tx, id, stop, "bench"); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return c, d.Write(ctx, func(tx *db.Tx) error { // what the engine does by itself within minutes
		_, err := tx.Exec(ctx, "ANALYZE")
		return err
	})
}

// midday is a place where it is early afternoon now, so that the hour of the
// measurement does not decide what is measured.
func midday(now time.Time) gate.Person {
	zones := []string{"Pacific/Auckland", "Asia/Shanghai", "Asia/Karachi", "Europe/Moscow", "Europe/London", "America/Sao_Paulo",
		"America/New_York", "America/Los_Angeles", "Pacific/Honolulu", "Asia/Tokyo", "Pacific/Tongatapu"}
	for _, z := range zones {
		if loc, err := time.LoadLocation(z); err == nil {
			if h := now.In(loc).Hour(); h >= 11 && h < 16 {
				return gate.Person{Zone: z}
			}
		}
	}
	return gate.Person{Zone: "Asia/Shanghai"}
}

// pitch is a campaign's intents for the next n customers.
func (c *crowd) pitch(n int) []policy.Intent {
	out := make([]policy.Intent, n)
	for i := range out {
		out[i] = intent(c.parties[c.next%len(c.parties)], contact.Marketing)
		c.next++
	}
	return out
}

var discloses = []string{policy.Identity, policy.RefusalPath, policy.AILabel}

func intent(party contact.ID, p contact.Purpose) policy.Intent {
	return policy.Intent{
		Party: party, Point: party, Channel: contact.Voice, Purpose: p, Product: "deposit", Relation: contact.Self,
		Campaign: "0199f3a0-0000-7000-8000-000000000001", Synthetic: true, CallerID: "95599", Discloses: discloses,
		Script: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
	}
}

// scatter puts the customers not asked about yet in no order.
func (c *crowd) scatter() {
	rest := c.parties[min(c.next, len(c.parties)):]
	rand.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
}
