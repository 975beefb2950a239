package party_test

import (
	"fmt"
	"testing"

	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/party"
)

// Find gives what asking for each number and address by itself gives, however
// many there are, and those who were erased by the number they had.
func TestFindIsManyLookUps(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := party.NewStore(d, keys(t))
		var ps []*party.Party
		for i := range 150 { // two share a number
			ps = append(ps, &party.Party{Ref: fmt.Sprint("C", i), Name: "客户", Points: []party.Point{
				{Kind: party.Phone, Value: fmt.Sprintf("+99910000%03d", i/2)}, {Kind: party.Email, Value: fmt.Sprintf("c%d@example.com", i)}}})
		}
		put(t, d, s, ps...)
		if err := d.Write(ctx, func(tx *db.Tx) error { return s.Erase(ctx, tx, ps[7].ID) }); err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{0, 1, 2, 9, 65, 150} {
			var refs []string
			var at []party.Address
			for _, p := range ps[:n] {
				refs = append(refs, p.Ref, p.Ref, "no-"+p.Ref)
				at = append(at, party.Address{Kind: party.Phone, Value: p.Points[0].Value}, party.Address{Kind: party.Email, Value: p.Points[1].Value},
					party.Address{Kind: party.Email, Value: " C" + p.Points[1].Value[1:]}, party.Address{Kind: party.Phone, Value: "+999"})
			}
			read(t, d, func(tx *db.Tx) error {
				ids, found, err := s.Find(ctx, tx, refs, at)
				if err != nil {
					return err
				}
				if len(ids) != n {
					t.Errorf("%d of %d customers", len(ids), n)
				}
				for _, p := range ps[:n] {
					if ids[p.Ref] != p.ID {
						t.Errorf("%s is %q, not %q", p.Ref, ids[p.Ref], p.ID)
					}
				}
				for _, a := range at {
					one, err := s.ByPoint(ctx, tx, a.Kind, a.Value)
					if err != nil {
						return err
					}
					if fmt.Sprint(found[a]) != fmt.Sprint(one) {
						t.Errorf("%v: %v, alone %v", a, found[a], one)
					}
				}
				return nil
			})
		}
	})
}
