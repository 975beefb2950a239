package campaign_test

import (
	"context"
	"strings"
	"testing"

	"parley/internal/approval/approvaltest"
	"parley/internal/campaign"
	"parley/internal/db"
	"parley/internal/db/dbtest"
)

// The approver reads the campaign as its file would say it, with the script
// word by word, and what differs from what was approved before.
func TestWhatTheApproverReads(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		a := approvaltest.Open(t, d)
		s := campaign.NewStore(d, a)
		a.Register(s.Approval("approve_campaign"))
		c := run(t, s, draft(t, s, 3))
		changed := c.Terms
		changed.CPS = 7
		if _, err := s.Update(ctx, c.ID, changed, "ann"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Submit(ctx, c.ID, "ann", "节前提速"); err != nil {
			t.Fatal(err)
		}
		waits, err := a.ForMe(ctx, "bob", "", db.Span{N: 5})
		if err != nil || len(waits) != 1 {
			t.Fatalf("%d wait, %v", len(waits), err)
		}
		r := waits[0]
		if r.Title != "Cards" || r.Reason != "节前提速" || r.Subject != c.ID {
			t.Errorf("%+v", r.Ask)
		}
		for text, want := range map[string]string{r.Before: "calls_per_second: 2", r.After: "calls_per_second: 7"} {
			if !strings.Contains(text, want) || !strings.Contains(text, "members: 3") || !strings.Contains(text, "purpose: service") || !strings.Contains(text, "nodes:") {
				t.Errorf("want %q in:\n%s", want, text)
			}
		}
		// Withdrawn from the approvals page, it is a draft again and can be submitted anew.
		if _, err := a.WithdrawNow(ctx, r.ID, "ann"); err != nil {
			t.Fatal(err)
		}
		if c, err = s.Submit(ctx, c.ID, "ann", ""); err != nil {
			t.Fatal(err)
		}
		if c, err = s.Approve(ctx, c.ID, "bob", c.Version, c.Hash); err != nil {
			t.Fatal(err)
		}
		// An approval is taken back as long as nothing runs on it.
		if c, err = s.SendBack(ctx, c.ID, "bob", "名单不对"); err != nil || c.State != campaign.Draft || c.Note != "名单不对" {
			t.Fatalf("%+v %v", c, err)
		}
		if _, err := s.Start(ctx, c.ID, "ann"); code(err) != "campaign_state" {
			t.Errorf("started after its approval was taken back: %v", err)
		}
	})
}

// A campaign that an older version of Parley left waiting is put to a second
// person again, by whoever had submitted it.
func TestAdopt(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		a := approvaltest.Open(t, d)
		s := campaign.NewStore(d, a)
		a.Register(s.Approval("approve_campaign"))
		c := draft(t, s, 3)
		if _, err := s.Submit(ctx, c.ID, "sue", ""); err != nil {
			t.Fatal(err)
		}
		if err := d.Write(ctx, func(tx *db.Tx) error {
			_, err := tx.Exec(ctx, "DELETE FROM approval_request")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []int{1, 0} {
			if n, err := s.Adopt(ctx); n != want || err != nil {
				t.Fatalf("adopted %d, %v; want %d", n, err, want)
			}
		}
		if _, err := s.Approve(ctx, c.ID, "sue", c.Version, c.Hash); code(err) != "four_eyes" {
			t.Errorf("the submitter approved: %v", err)
		}
		if got, err := s.Approve(ctx, c.ID, "bob", c.Version, c.Hash); err != nil || got.State != campaign.Approved {
			t.Errorf("%+v %v", got, err)
		}
	})
}
