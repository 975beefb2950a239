package frame

import (
	"context"
	"strings"
	"testing"
	"time"

	"parley/internal/access"
	"parley/internal/campaign"
	"parley/internal/complaint"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/gate"
	"parley/internal/httpx"
	"parley/internal/httpx/ui"
	"parley/internal/httpx/words"
	"parley/internal/policy"
)

// Whatever a store can say has words in both languages.
func TestEveryValueHasWords(t *testing.T) {
	t.Parallel()
	want := []string{"purpose.any", "channel.any", "permit.none", "actor.customer", "actor.parley"}
	for p := contact.Service; p <= contact.Statutory; p++ {
		want = append(want, "purpose."+p.String())
	}
	for c := contact.Voice; c <= contact.Push; c++ {
		want = append(want, "channel."+c.String())
	}
	for r := contact.Self; r <= contact.Reference; r++ {
		want = append(want, "relation."+r.String())
	}
	for _, o := range []contact.Outcome{contact.NotSent, contact.NoAnswer, contact.Busy, contact.Rejected, contact.Unreachable,
		contact.Voicemail, contact.Connected, contact.Effective, contact.Delivered, contact.Unknown} {
		want = append(want, "outcome."+string(o))
	}
	for e := policy.Allow; e <= policy.Deny; e++ {
		want = append(want, "effect."+e.String())
	}
	for s := gate.NoPermit; s <= gate.Expired; s++ {
		want = append(want, "permit."+s.String())
	}
	for _, g := range []contact.Ground{contact.Consent, contact.Request, contact.Contract, contact.Statute} {
		want = append(want, "ground."+string(g))
	}
	for _, k := range []contact.StopKind{contact.Withdrawal, contact.Refusal, contact.DoNotContact, contact.Hold} {
		want = append(want, "stop."+string(k))
	}
	for _, s := range []campaign.State{campaign.Draft, campaign.Submitted, campaign.Approved, campaign.Running, campaign.Paused, campaign.Done} {
		want = append(want, "campaign.state."+string(s))
	}
	for _, s := range []campaign.MemberState{campaign.New, campaign.Due, campaign.Waiting, campaign.Reserved, campaign.Dialing, campaign.Finished, campaign.Denied, campaign.Parked} {
		want = append(want, "member."+string(s))
	}
	for _, s := range []complaint.State{complaint.Open, complaint.Taken, complaint.Proposed, complaint.Answered, complaint.Review, complaint.Closed} {
		want = append(want, "case.state."+string(s))
	}
	for _, f := range []policy.Force{policy.Prohibition, policy.Presumption, policy.SafeHarbour, policy.Standard, policy.Duty, policy.BankDefault} {
		want = append(want, "force."+string(f))
	}
	for _, d := range []string{policy.Identity, policy.RefusalPath, policy.AILabel, policy.Notice, policy.NoDebt, policy.NonProfiled, policy.RingMin, policy.Record} {
		want = append(want, "duty."+d)
	}
	for _, r := range access.Roles() {
		want = append(want, "role."+string(r))
	}
	for _, k := range want {
		if !words.Has(k) {
			t.Errorf("no words for %s", k)
		}
	}
}

func TestDeadlineTurnsAmberThenRed(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	now := httpx.From(ctx).Now
	for left, want := range map[time.Duration]ui.Tone{15 * 24 * time.Hour: ui.Info, 71 * time.Hour: ui.Wait, time.Second: ui.Wait, -time.Second: ui.Bad} {
		if text, tone := Left(ctx, now.Add(left)); tone != want || text == "" {
			t.Errorf("%v left is %q in %s, want %s", left, text, tone, want)
		}
	}
}

func TestHoursInWords(t *testing.T) {
	t.Parallel()
	ctx := words.With(context.Background(), words.En)
	for want, hs := range map[string][]contact.Hours{
		"at any hour":              nil,
		"09:00–20:30":              {{From: 540, To: 1230}},
		"18:00–20:00 Mon Fri":      {{From: 1080, To: 1200, Days: 1<<1 | 1<<5}},
		"08:00–12:00, 22:00–02:00": {{From: 480, To: 720}, {From: 1320, To: 120}},
	} {
		if got := Windows(ctx, hs); got != want {
			t.Errorf("%+v: %q, want %q", hs, got, want)
		}
	}
}

func TestActorsHaveNames(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := access.NewStore(d)
		f := New(&httpx.House{}, s)
		st, err := s.AddStaff(t.Context(), access.Staff{Login: "li", Name: "李强", Roles: []access.Role{access.Approver}}, "")
		if err != nil {
			t.Fatal(err)
		}
		for id, want := range map[string]string{st.ID: "李强", "customer": "客户本人", "": "—", "complaint:2026-000001": "投诉 2026-000001", "cli": "cli"} {
			if got := f.Name(t.Context(), id); got != want {
				t.Errorf("%q is %q, want %q", id, got, want)
			}
		}
	})
}

// The menu offers what a role may see, and nothing else.
func TestMenuFollowsTheTable(t *testing.T) {
	t.Parallel()
	for _, r := range access.Roles() {
		var got []string
		for _, it := range menu(&access.Staff{Roles: []access.Role{r}}) {
			got = append(got, it.Href)
		}
		for _, e := range entries() {
			if seen := strings.Contains(strings.Join(got, " ")+" ", e.href+" "); seen != access.May([]access.Role{r}, e.need) && e.href != "/" {
				t.Errorf("%s sees %s: %v", r, e.href, seen)
			}
		}
	}
	if menu(nil) != nil {
		t.Error("a stranger sees a menu")
	}
}
