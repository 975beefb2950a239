package campaign_test

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"time"

	"parley/internal/campaign"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
)

// recounted counts the members themselves, as no page does.
func recounted(t *testing.T, d *db.DB, id contact.ID) *campaign.Progress {
	t.Helper()
	p := &campaign.Progress{ByState: map[campaign.MemberState]int{}, ByOutcome: map[contact.Outcome]int{}, ByRule: map[string]int{}}
	err := d.Read(context.Background(), func(tx *db.Tx) error {
		return tx.Each(context.Background(), func(r *sql.Rows) error {
			var state, outcome, rule string
			var due int64
			if err := r.Scan(&state, &outcome, &rule, &due); err != nil {
				return err
			}
			st := campaign.MemberState(state)
			p.Total++
			p.ByState[st]++
			if outcome != "" {
				p.ByOutcome[contact.Outcome(outcome)]++
			}
			if rule != "" && (st == campaign.Denied || st == campaign.Waiting) {
				p.ByRule[rule]++
			}
			if (st == campaign.New || st == campaign.Due || st == campaign.Waiting) && (p.NextDue == 0 || due < p.NextDue) {
				p.NextDue = due
			}
			return nil
		}, "SELECT state, last_outcome, rule, due_at FROM campaign_member WHERE campaign_id = $1", id)
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Whatever happens to members, by several hands at once, the counts are those
// of the members.
func TestProgressIsWhatCountingGives(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		s := open(t, d)
		dr := draft(t, s, 40)
		if n, err := s.AddMembers(ctx, dr.ID, people(30), "ann"); err != nil || n != 70 {
			t.Fatal(n, err)
		}
		again := people(1)
		for range 2 { // whoever is on the list stays on it once
			if n, err := s.AddMembers(ctx, dr.ID, again, "ann"); err != nil || n != 71 {
				t.Fatal(n, err)
			}
		}
		dr, err := s.Get(ctx, dr.ID)
		if err != nil {
			t.Fatal(err)
		}
		c := run(t, s, dr)
		seed := rand.Uint64()
		t.Log("seed", seed)
		var wg sync.WaitGroup
		for hand := range 3 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(seed, uint64(hand)))
				for range 25 {
					if err := turnSome(ctx, s, c, r); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		got, err := s.Progress(ctx, c.ID)
		if err != nil {
			t.Fatal(err)
		}
		if want := recounted(t, d, c.ID); !reflect.DeepEqual(got, want) {
			t.Errorf("counted as they changed %+v, counted now %+v", got, want)
		}
		dbtest.Indexed(t, d, func() {
			if _, err := s.Progress(ctx, c.ID); err != nil {
				t.Error(err)
			}
		})
	})
}

// turnSome claims a few members and lets chance decide what becomes of them.
func turnSome(ctx context.Context, s *campaign.Store, c *campaign.Campaign, r *rand.Rand) error {
	ms, err := s.Claim(ctx, c.ID, 1+r.IntN(9))
	if err != nil {
		return err
	}
	var vs []campaign.Verdict
	for _, m := range ms {
		v := campaign.Verdict{Party: m.Party, ID: contact.NewID(), Effect: campaign.Allow}
		switch r.IntN(5) {
		case 0:
			v.Effect, v.Rule = campaign.Later, "CN-HOURS"
			v.At = time.Now().Add(time.Duration(r.IntN(3)-1) * time.Hour)
		case 1:
			v.Effect, v.Rule = campaign.Deny, "CN-DNC"
		}
		vs = append(vs, v)
	}
	if err := s.Decided(ctx, c.ID, vs); err != nil {
		return err
	}
	outcomes := []contact.Outcome{contact.Effective, contact.NoAnswer, contact.Busy, contact.NotSent, contact.Unknown}
	for _, v := range vs {
		if v.Effect != campaign.Allow {
			continue
		}
		switch r.IntN(6) {
		case 0:
			_, err = s.Release(ctx, c.ID, v.Party, v.ID)
		case 1:
			_, err = s.Barred(ctx, c.ID, v.Party, v.ID, "script")
		case 2:
			if _, err = s.Park(ctx, c.ID, v.Party, v.ID); err == nil {
				_, err = s.Reconciled(ctx, c.ID, v.Party, v.ID, outcomes[r.IntN(4)])
			}
		case 3: // stays taken
		default:
			if _, err = s.Dialing(ctx, c, v.Party, v.ID); err == nil {
				_, err = s.Ended(ctx, c.ID, v.Party, v.ID, outcomes[r.IntN(5)])
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
