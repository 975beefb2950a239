package party_test

import (
	"testing"

	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/party"
)

// Lists and look-ups of customers cost the same at a million as at ten (issue 3, section 5).
func TestPlans(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := party.NewStore(d, keys(t))
		put(t, d, s, zhang())
		dbtest.Indexed(t, d, func() {
			read(t, d, func(tx *db.Tx) error {
				for _, span := range []db.Span{{N: 10}, {At: "C-1", N: 10}, {At: "C-9", Back: true, N: 10}} {
					for _, desc := range []bool{true, false} {
						if _, err := s.Slice(ctx, tx, desc, span); err != nil {
							return err
						}
					}
				}
				if _, err := s.List(ctx, tx, "a", 10); err != nil {
					return err
				}
				if _, err := s.ByName(ctx, tx, "张小明", 10); err != nil {
					return err
				}
				if _, err := s.ByRef(ctx, tx, "C-1001"); err != nil {
					return err
				}
				for _, refs := range [][]string{{"C-1001"}, {"C-1001", "C-2"}} {
					if _, _, err := s.Find(ctx, tx, refs, []party.Address{{Kind: party.Phone, Value: "+8613800138000"}}); err != nil {
						return err
					}
				}
				_, err := s.ByPoint(ctx, tx, party.Phone, "+8613800138000")
				return err
			})
		})
	})
}
