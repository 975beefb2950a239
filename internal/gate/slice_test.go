package gate

import (
	"context"
	"slices"
	"testing"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
)

// The list of contacts pages both ways, of all campaigns or one that has had
// several classes, of a day or of all days, and always by index.
func TestSlice(t *testing.T) {
	t.Parallel()
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			ck := &clock{t: day}
			slicing(t, dbtest.Open(t, dbtest.URL(t, engine), ck.now), ck)
		})
	}
}

func slicing(t *testing.T, d *db.DB, ck *clock) {
	ctx := context.Background()
	b := newBank(t, d, Options{})
	var all, camp []contact.ID
	for i := range 14 {
		if i > 0 {
			ck.add(12 * time.Hour)
		}
		in := collect(contact.NewID())
		if i%2 == 0 {
			in.Campaign = "c1"
			in.Script = []string{"s1", "s2"}[i/2%2]
		}
		ds := b.reserve(in)
		all = append(all, ds[0].ID)
		if i%2 == 0 {
			camp = append(camp, ds[0].ID)
		}
	}
	dbtest.Indexed(t, d, func() { // a campaign's counts are read without those of all others
		n, err := b.gate.CampaignCounts(ctx, "c1")
		if err != nil || n.Allow+n.Later+n.Deny != int64(len(camp)) {
			t.Errorf("%+v %v, want %d", n, err, len(camp))
		}
	}, "gate_verdict")
	for name, c := range map[string]struct {
		q    Query
		want []contact.ID
	}{
		"all":      {Query{Oldest: true}, all},
		"campaign": {Query{Campaign: "c1", Oldest: true}, camp},
		"day":      {Query{From: day.Add(-time.Hour), To: day.Add(23 * time.Hour), Oldest: true}, all[:2]},
		"none":     {Query{Campaign: "c2"}, nil},
	} {
		for _, oldest := range []bool{true, false} {
			c.q.Oldest = oldest
			want := slices.Clone(c.want)
			if !oldest {
				slices.Reverse(want)
			}
			var got []contact.ID
			span := db.Span{N: 3}
			for more := true; more; {
				rows, err := b.gate.Slice(ctx, c.q, span)
				if err != nil {
					t.Fatal(err)
				}
				var page []Stored
				page, _, more = db.Cut(rows, span)
				for _, s := range page {
					got = append(got, s.ID)
					span.At = s.ID
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s oldest %v: %v, want %v", name, oldest, got, want)
			}
			if len(want) > 4 {
				span = db.Span{At: want[4], Back: true, N: 3}
				rows, err := b.gate.Slice(ctx, c.q, span)
				page, before, after := db.Cut(rows, span)
				if err != nil || len(page) != 3 || page[0].ID != want[1] || !before || !after {
					t.Errorf("%s oldest %v back: %v %v %v %v", name, oldest, len(page), before, after, err)
				}
			}
			dbtest.Indexed(t, d, func() {
				for _, span := range []db.Span{{N: 3}, {At: all[5], N: 3}, {At: all[5], Back: true, N: 3}} {
					if _, err := b.gate.Slice(ctx, c.q, span); err != nil {
						t.Error(err)
					}
				}
			}, "gate_class", "gate_verdict")
		}
	}
}
