package screen

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"parley/internal/approval/approvaltest"
	"parley/internal/campaign"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/policy"
)

// ten is 10:00 on a Tuesday in Shanghai.
var ten = time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)

// The preview joins the gate's verdict with the campaign's own days, hours and caps.
func TestJudge(t *testing.T) {
	t.Parallel()
	afternoon := []contact.Hours{{From: 14 * 60, To: 18 * 60}}
	at := func(d time.Duration) time.Time { return ten.Add(d) }
	for name, c := range map[string]struct {
		terms  campaign.Terms
		member campaign.Member
		gate   policy.Verdict
		want   answer
	}{
		"now":                 {campaign.Terms{}, campaign.Member{}, policy.Verdict{Effect: policy.Allow}, answer{policy.Allow, "", ten}},
		"refused":             {campaign.Terms{}, campaign.Member{}, policy.Verdict{Effect: policy.Deny, By: "R"}, answer{effect: policy.Deny, by: "R"}},
		"later":               {campaign.Terms{}, campaign.Member{}, policy.Verdict{Effect: policy.Later, By: "R", At: at(time.Hour)}, answer{policy.Later, "R", at(time.Hour)}},
		"the campaign sleeps": {campaign.Terms{Hours: afternoon}, campaign.Member{}, policy.Verdict{Effect: policy.Allow}, answer{policy.Later, byHours, at(4 * time.Hour)}},
		"later, and then the campaign sleeps": {campaign.Terms{Hours: afternoon}, campaign.Member{}, policy.Verdict{Effect: policy.Later, By: "R", At: at(9 * time.Hour)},
			answer{policy.Later, "R", at(28 * time.Hour)}},
		"the campaign is over by then": {campaign.Terms{End: "2026-11-24"}, campaign.Member{}, policy.Verdict{Effect: policy.Later, By: "R", At: at(30 * time.Hour)},
			answer{effect: policy.Deny, by: byOver}},
		"tried often enough": {campaign.Terms{}, campaign.Member{Tries: 3}, policy.Verdict{Effect: policy.Allow}, answer{effect: policy.Deny, by: byAttempts}},
		"enough for today":   {campaign.Terms{MaxPerDay: 1}, campaign.Member{Day: "2026-11-24", DayTries: 1}, policy.Verdict{Effect: policy.Allow}, answer{policy.Later, byDay, at(14 * time.Hour)}},
		"that was yesterday": {campaign.Terms{MaxPerDay: 1}, campaign.Member{Day: "2026-11-23", DayTries: 1}, policy.Verdict{Effect: policy.Allow}, answer{policy.Allow, "", ten}},
	} {
		c.terms.MaxAttempts = 3
		got := judge(&c.terms, &c.member, c.gate, ten)
		if got.effect != c.want.effect || got.by != c.want.by || !got.at.Equal(c.want.at) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// A long screening shows how far it is, is found again by whoever asks about
// the same terms, gives way to changed terms, and can be stopped.
func TestScreenings(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		store := campaign.NewStore(d, approvaltest.Open(t, d))
		all, err := campaign.DemoScripts(nil)
		if err != nil {
			t.Fatal(err)
		}
		sc := all["card_renewal"]
		if err := store.PutScript(ctx, sc, "ann"); err != nil {
			t.Fatal(err)
		}
		c, err := store.Create(ctx, campaign.Terms{Name: "x", Purpose: contact.Service, Relation: contact.Self, CallerID: "95588", ScriptHash: sc.Hash(),
			Zone: "Asia/Shanghai", MaxAttempts: 3, Concurrency: 5, CPS: 2}, "ann")
		if err != nil {
			t.Fatal(err)
		}
		var list []campaign.Contact
		for range 2*chunk + 10 {
			list = append(list, campaign.Contact{Party: contact.NewID(), Point: contact.NewID()})
		}
		if _, err := store.AddMembers(ctx, c.ID, list, "ann"); err != nil {
			t.Fatal(err)
		}
		if c, err = store.Get(ctx, c.ID); err != nil {
			t.Fatal(err)
		}
		more := make(chan struct{})
		m := New(Deps{Campaigns: store, Now: func() time.Time { return ten },
			Ask: func(ctx context.Context, _ *campaign.Campaign, people []campaign.Contact) ([]policy.Verdict, error) {
				select {
				case <-more:
				case <-ctx.Done():
					return nil, ctx.Err()
				}
				out := make([]policy.Verdict, len(people))
				for i := range out {
					out[i] = []policy.Verdict{{Effect: policy.Allow}, {Effect: policy.Later, By: "L", At: ten.Add(time.Hour)}, {Effect: policy.Deny, By: "D"}}[i%3]
				}
				return out, nil
			},
			Names: func(context.Context, []contact.ID) (map[contact.ID]string, error) { return nil, nil }})
		look := func(j *job) *view {
			t.Helper()
			v, err := m.look(ctx, j)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		j := m.start(c, "ann", false)
		more <- struct{}{}
		more <- struct{}{} // the second part is asked for once the first is counted
		if v := look(j); !v.running || v.Done < chunk || v.Done > 2*chunk || v.total != len(list) {
			t.Errorf("%d of %d, running %v", v.Done, v.total, v.running)
		}
		if m.start(c, "bob", false) != j {
			t.Error("the same question began new work")
		}
		more <- struct{}{}
		<-j.over
		v := look(j)
		if v.running || v.Done != len(list) || v.Counts[policy.Allow]+v.Counts[policy.Later]+v.Counts[policy.Deny] != len(list) || v.By[policy.Deny]["D"] != v.Counts[policy.Deny] ||
			len(v.Some[place(policy.Deny, "D")]) != shown || v.Hours[ten.Add(time.Hour).Unix()/3600] != v.Counts[policy.Later] {
			t.Errorf("%+v", v.result)
		}
		g := v.grid(time.FixedZone("", 8*3600))
		if g.cells[0][11] != v.Counts[policy.Later] || g.beyond != 0 {
			t.Errorf("%+v", g)
		}
		changed := *c
		changed.CPS = 9
		k := m.start(&changed, "ann", false)
		if k == j {
			t.Fatal("changed terms are the same work")
		}
		last := changed
		last.CPS = 3
		n := m.start(&last, "ann", false)
		<-k.over // ann's own older question gave way
		if v := look(k); !v.stopped || v.running {
			t.Errorf("the older question goes on: %+v", v.result)
		}
		r := httptest.NewRequest("POST", "/", nil)
		r.SetPathValue("id", c.ID)
		r.SetPathValue("job", n.id)
		found, err := m.find(r)
		if err != nil || found != n {
			t.Fatalf("not found again: %v", err)
		}
		found.cancel()
		<-n.over
		if v := look(n); !v.stopped || v.Done != 0 {
			t.Errorf("stopped after %d", v.Done)
		}
		if m.start(&last, "ann", false) == n {
			t.Error("what was stopped counts as an answer")
		}
		r.SetPathValue("id", contact.NewID())
		if _, err := m.find(r); err == nil {
			t.Error("another campaign's screening was shown")
		}
	})
}
