package campaign_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"parley/internal/approval/approvaltest"
	"parley/internal/campaign"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/errs"
)

func code(err error) string {
	var e *errs.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return fmt.Sprint(err)
}

// open opens the store on d with its approvals.
func open(t *testing.T, d *db.DB) *campaign.Store {
	t.Helper()
	a := approvaltest.Open(t, d)
	s := campaign.NewStore(d, a)
	a.Register(s.Approval("approve_campaign"))
	return s
}

func demoScript(t *testing.T, s *campaign.Store, id string) *campaign.Script {
	t.Helper()
	all, err := campaign.DemoScripts(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.PutScript(context.Background(), all[id], "ann"); err != nil {
		t.Fatal(err)
	}
	return all[id]
}

func terms(script *campaign.Script) campaign.Terms {
	return campaign.Terms{Name: "Cards", Purpose: contact.Service, Relation: contact.Self, CallerID: "95588",
		ScriptHash: script.Hash(), Zone: "Asia/Shanghai", MaxAttempts: 3, Concurrency: 5, CPS: 2,
		RetryAfter: map[contact.Outcome]time.Duration{contact.NoAnswer: time.Hour}}
}

func people(n int) []campaign.Contact {
	out := make([]campaign.Contact, n)
	for i := range out {
		out[i] = campaign.Contact{Party: contact.NewID(), Point: contact.NewID()}
	}
	return out
}

// draft makes a campaign with n people by ann.
func draft(t *testing.T, s *campaign.Store, n int) *campaign.Campaign {
	t.Helper()
	ctx := context.Background()
	c, err := s.Create(ctx, terms(demoScript(t, s, "card_renewal")), "ann")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddMembers(ctx, c.ID, people(n), "ann"); err != nil {
		t.Fatal(err)
	}
	if c, err = s.Get(ctx, c.ID); err != nil {
		t.Fatal(err)
	}
	return c
}

// run takes a draft through submission, approval by bob and start.
func run(t *testing.T, s *campaign.Store, c *campaign.Campaign) *campaign.Campaign {
	t.Helper()
	ctx := context.Background()
	c, err := s.Submit(ctx, c.ID, "ann", "")
	if err == nil {
		c, err = s.Approve(ctx, c.ID, "bob", c.Version, c.Hash)
	}
	if err == nil {
		c, err = s.Start(ctx, c.ID, "ann")
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Nothing runs until a second person has approved exactly that version.
func TestApprovalIsByAnotherPersonAndOfThisVersion(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		s := open(t, d)
		c := draft(t, s, 3)
		must := func(want string, err error) {
			t.Helper()
			if want == "" && err != nil || want != "" && code(err) != want {
				t.Fatalf("got %v, want %q", err, want)
			}
		}
		_, err := s.Start(ctx, c.ID, "ann")
		must("campaign_state", err)
		_, err = s.Approve(ctx, c.ID, "bob", c.Version, c.Hash)
		must("campaign_state", err)
		t2 := c.Terms
		t2.CPS = 3
		c, err = s.Update(ctx, c.ID, t2, "eve") // eve edits, so eve cannot approve
		must("", err)
		seen := *c
		c, err = s.Submit(ctx, c.ID, "sue", "")
		must("", err)
		for _, maker := range []string{"ann", "eve", "sue"} {
			_, err = s.Approve(ctx, c.ID, maker, c.Version, c.Hash)
			must("four_eyes", err)
			if !errors.Is(err, errs.New(errs.Forbidden, "four_eyes", "", "")) {
				t.Fatal("not a refusal of four eyes")
			}
		}
		_, err = s.Approve(ctx, c.ID, "bob", c.Version-1, c.Hash)
		must("version_moved", err)
		_, err = s.Approve(ctx, c.ID, "bob", c.Version, "0000")
		must("version_moved", err)
		c, err = s.Approve(ctx, c.ID, "bob", seen.Version, seen.Hash)
		must("", err)
		c, err = s.Start(ctx, c.ID, "ann")
		must("", err)

		// Every kind of change sends it back to draft, also while it runs.
		for what, change := range map[string]func() error{
			"terms":  func() error { t2.CPS++; _, err := s.Update(ctx, c.ID, t2, "ann"); return err },
			"list":   func() error { _, err := s.AddMembers(ctx, c.ID, people(1), "ann"); return err },
			"script": func() error { t2.ScriptHash = otherScript(t, s); _, err := s.Update(ctx, c.ID, t2, "ann"); return err },
		} {
			before := c.Hash
			must("", change())
			c, err = s.Get(ctx, c.ID)
			must("", err)
			if c.State != campaign.Draft || c.Hash == before {
				t.Fatalf("after a change of %s: %s, hash changed %v", what, c.State, c.Hash != before)
			}
			if ms, err := s.Claim(ctx, c.ID, 10); err != nil || len(ms) > 0 {
				t.Fatalf("a draft gave %d members to call, %v", len(ms), err)
			}
			_, err = s.Start(ctx, c.ID, "ann")
			must("campaign_state", err)
			c = run(t, s, c)
		}
		c, err = s.Pause(ctx, c.ID, "ann", "lunch")
		must("", err)
		c, err = s.Start(ctx, c.ID, "ann") // paused and unchanged: the approval still binds
		must("", err)
		c, err = s.Finish(ctx, c.ID, "ann")
		must("", err)
		_, err = s.Update(ctx, c.ID, t2, "ann")
		must("campaign_done", err)
		h, err := s.History(ctx, c.ID)
		must("", err)
		if h[0].What != "created" || h[len(h)-1].What != "done" {
			t.Fatalf("history %+v", h)
		}
	})
}

func otherScript(t *testing.T, s *campaign.Store) string {
	t.Helper()
	raw := append(demoScript(t, s, "card_renewal").Raw(), "\n# another wording\n"...)
	sc, err := campaign.Parse("other", raw, nil)
	if err == nil {
		err = s.PutScript(context.Background(), sc, "ann")
	}
	if err != nil {
		t.Fatal(err)
	}
	return sc.Hash()
}

// A row altered behind the application's back does not run.
func TestStartChecksWhatWasApproved(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		s := open(t, d)
		c := draft(t, s, 1)
		c, err := s.Submit(ctx, c.ID, "ann", "")
		if err == nil {
			c, err = s.Approve(ctx, c.ID, "bob", c.Version, c.Hash)
		}
		if err == nil {
			err = d.Write(ctx, func(tx *db.Tx) error {
				_, err := tx.Exec(ctx, "UPDATE campaign SET members = 1000 WHERE id = $1", c.ID)
				return err
			})
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Start(ctx, c.ID, "ann"); code(err) != "not_approved" {
			t.Fatalf("started what nobody approved: %v", err)
		}
	})
}

func TestSubmitNeedsPeopleAndSendBackAReason(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		s := open(t, d)
		c := draft(t, s, 0)
		if _, err := s.Submit(ctx, c.ID, "ann", ""); code(err) != "list_empty" {
			t.Fatal(err)
		}
		if _, err := s.AddMembers(ctx, c.ID, people(1), "ann"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Submit(ctx, c.ID, "ann", ""); err != nil {
			t.Fatal(err)
		}
		if _, err := s.SendBack(ctx, c.ID, "bob", ""); code(err) != "reason_missing" {
			t.Fatal(err)
		}
		c, err := s.SendBack(ctx, c.ID, "bob", "caps too high")
		if err != nil || c.State != campaign.Draft || c.Note != "caps too high" {
			t.Fatalf("%+v %v", c, err)
		}
		wrong := c.Terms
		wrong.Purpose = contact.Marketing
		if _, err := s.Update(ctx, c.ID, wrong, "ann"); code(err) != "script_purpose" {
			t.Fatalf("a service script in a marketing campaign: %v", err)
		}
		wrong.ScriptHash = "none"
		if _, err := s.Update(ctx, c.ID, wrong, "ann"); code(err) != "script_unknown" {
			t.Fatal(err)
		}
	})
}

// A member goes through its states, and nothing moves it twice.
func TestMemberStates(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		s := open(t, d)
		c := run(t, s, draft(t, s, 12))
		got, err := s.Claim(ctx, c.ID, 5)
		if err != nil || len(got) != 5 {
			t.Fatalf("claimed %d, %v", len(got), err)
		}
		again, err := s.Claim(ctx, c.ID, 100)
		if err != nil || len(again) != 7 {
			t.Fatalf("claimed %d more, %v: those taken are not given twice", len(again), err)
		}
		vs := []campaign.Verdict{
			{Party: got[0].Party, ID: "p0", Effect: campaign.Allow},
			{Party: got[1].Party, ID: "p1", Effect: campaign.Later, At: time.Now().Add(time.Hour), Rule: "CN-HOURS-COL"},
			{Party: got[2].Party, ID: "p2", Effect: campaign.Deny, Rule: "CN-DNC-01"},
			{Party: got[3].Party, ID: "p3", Effect: campaign.Allow},
			{Party: got[4].Party, ID: "p4", Effect: campaign.Allow},
		}
		if err := s.Decided(ctx, c.ID, vs); err != nil {
			t.Fatal(err)
		}
		for i, want := range []bool{true, false, false} {
			if ok, err := s.Dialing(ctx, c, got[i].Party, vs[i].ID); err != nil || ok != want {
				t.Fatalf("%d: dialing %v, %v", i, ok, err)
			}
		}
		if ok, _ := s.Dialing(ctx, c, got[0].Party, "p0"); ok {
			t.Fatal("the same member went to the wire twice")
		}
		before := d.Now()
		m, err := s.Ended(ctx, c.ID, got[0].Party, "p0", contact.NoAnswer)
		if err != nil || m.State != campaign.Due || m.Tries != 1 || db.Time(m.DueAt).Before(before.Add(time.Hour)) || db.Time(m.DueAt).After(d.Now().Add(time.Hour)) {
			t.Fatalf("after no answer: %+v %v", m, err)
		}
		if m, err = s.Ended(ctx, c.ID, got[0].Party, "p0", contact.Effective); err != nil || m.Tries != 1 {
			t.Fatalf("ended twice: %+v %v", m, err)
		}
		if m, err = s.Barred(ctx, c.ID, got[3].Party, "p3", "script"); err != nil || m.State != campaign.Denied {
			t.Fatalf("%+v %v", m, err)
		}
		if m, err = s.Park(ctx, c.ID, got[4].Party, "p4"); err != nil || m.State != campaign.Parked || m.Tries != 1 {
			t.Fatalf("%+v %v", m, err)
		}
		if m, err = s.Reconciled(ctx, c.ID, got[4].Party, "p4", contact.NoAnswer); err != nil || m.State != campaign.Due || m.Tries != 1 {
			t.Fatalf("%+v %v", m, err)
		}
		taken, err := s.Taken(ctx, c.ID)
		if err != nil || len(taken) != 7 {
			t.Fatalf("taken %d %v", len(taken), err)
		}
		p, err := s.Progress(ctx, c.ID)
		if err != nil || p.Total != 12 || p.ByRule["CN-DNC-01"] != 1 || p.ByRule["CN-HOURS-COL"] != 1 || p.ByState[campaign.Reserved] != 7 {
			t.Fatalf("%+v %v", p, err)
		}
		page, err := s.Page(ctx, c.ID, campaign.Denied, "", 10)
		if err != nil || len(page) != 2 {
			t.Fatalf("page %+v %v", page, err)
		}
		if all, err := s.Page(ctx, c.ID, "", page[0].Party, 100); err != nil || len(all) == 0 || all[0].Party <= page[0].Party {
			t.Fatalf("page %+v %v", all, err)
		}
		if idle, err := s.Idle(ctx, c.ID); err != nil || idle {
			t.Fatal("not idle", err)
		}
	})
}

// Once Pause has returned, no member passes to the wire.
func TestPauseIsABarrier(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		s := open(t, d)
		c := run(t, s, draft(t, s, 40))
		ms, err := s.Claim(ctx, c.ID, 40)
		if err != nil {
			t.Fatal(err)
		}
		var vs []campaign.Verdict
		for _, m := range ms {
			vs = append(vs, campaign.Verdict{Party: m.Party, ID: "p" + m.Party, Effect: campaign.Allow})
		}
		if err := s.Decided(ctx, c.ID, vs); err != nil {
			t.Fatal(err)
		}
		var paused sync.WaitGroup
		paused.Add(1)
		var mu sync.Mutex
		isPaused := false
		var wg sync.WaitGroup
		for i, v := range vs {
			wg.Go(func() {
				if i == 10 {
					if _, err := s.Pause(ctx, c.ID, "ann", "stop"); err != nil {
						t.Error(err)
					}
					mu.Lock()
					isPaused = true
					mu.Unlock()
					paused.Done()
				}
				if i > 25 {
					paused.Wait()
				}
				mu.Lock()
				was := isPaused
				mu.Unlock()
				ok, err := s.Dialing(ctx, c, v.Party, v.ID)
				if err != nil || was && ok {
					t.Errorf("dialled after the pause: %v %v", ok, err)
				}
			})
		}
		wg.Wait()
	})
}
