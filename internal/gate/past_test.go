package gate

import (
	"testing"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/policy"
)

// A look at a stretch of a person's past gives exactly the decisions made in
// it, latest first, bounded, whatever came after it, and no one else's.
func TestPast(t *testing.T) {
	t.Parallel()
	eachClock(t, func(t *testing.T, d *db.DB, c *clock) {
		b := newBank(t, d, Options{})
		who, other := contact.NewID(), contact.NewID()
		var made []contact.ID
		for range 9 {
			made = append(made, b.contact(collect(who), contact.NoAnswer))
			b.reserve(market(who), collect(other)) // no consent: denied, and a decision too
			c.add(24 * time.Hour)
		}
		look := func(behind contact.ID, from, to time.Time, limit int) []Glance {
			t.Helper()
			var out []Glance
			if err := d.Read(t.Context(), func(tx *db.Tx) (err error) {
				out, err = b.gate.Past(t.Context(), tx, who, behind, from, to, limit)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return out
		}
		all := look("", time.Unix(0, 0), d.Now(), 1000)
		list, err := b.gate.ByParty(t.Context(), who, 1000)
		if err != nil || len(all) != len(list) || len(all) != 18 {
			t.Fatalf("%d at a glance, %d in full: %v", len(all), len(list), err)
		}
		for i, g := range all {
			s := list[i]
			if g.ID != s.ID || !g.At.Equal(s.At) || g.Effect != s.Verdict.Effect || g.By != s.Verdict.By || g.State != s.State || g.Outcome != s.Outcome {
				t.Errorf("%d: %+v is not %+v", i, g, s.Decision)
			}
		}
		from, to := all[11].At, all[5].At // the boundary: [from, to)
		part := look(made[8], from, to, 1000)
		if len(part) != 6 || part[0].ID != all[6].ID || part[5].ID != all[11].ID {
			t.Errorf("a part: %d decisions", len(part))
		}
		if few := look("", from, to, 2); len(few) != 2 || few[1].ID != all[7].ID {
			t.Errorf("bounded: %d", len(few))
		}
		if none := look(made[0], d.Now().Add(-time.Minute), d.Now(), 10); len(none) != 0 {
			t.Errorf("nothing was decided then: %v", none)
		}
		if all[0].Effect != policy.Deny || all[1].Effect != policy.Allow {
			t.Errorf("effects: %v %v", all[0].Effect, all[1].Effect)
		}
		if stolen := look(b.reserve(collect(other))[0].ID, time.Unix(0, 0), d.Now(), 10); len(stolen) != 0 {
			t.Errorf("another person's decision led to %d", len(stolen))
		}
	})
}
