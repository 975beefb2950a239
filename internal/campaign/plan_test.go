package campaign_test

import (
	"context"
	"testing"

	"parley/internal/campaign"
	"parley/internal/db"
	"parley/internal/db/dbtest"
)

// The list of campaigns costs the same however many there have been.
func TestPlans(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := campaign.NewStore(d, nil)
		dbtest.Indexed(t, d, func() {
			for _, state := range []campaign.State{"", campaign.Running} {
				for _, span := range []db.Span{{N: 10}, {At: "a", N: 10}, {At: "a", Back: true, N: 10}} {
					for _, oldest := range []bool{true, false} {
						if _, err := s.Slice(context.Background(), state, oldest, span); err != nil {
							t.Error(err)
						}
					}
				}
			}
		})
	})
}
