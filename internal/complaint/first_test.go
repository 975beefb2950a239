package complaint_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"parley/internal/complaint"
	"parley/internal/contact"
	"parley/internal/db"
)

// friday is the evening of vector 17: the whole of Monday is left.
var friday = time.Date(2026, 11, 20, 17, 0, 0, 0, shanghai)

// step gives the deadlines of a case's first contact.
func (b *bank) step(t *testing.T, id contact.ID) (out []complaint.Deadline) {
	t.Helper()
	f, err := b.Get(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range f.Deadlines {
		if d.FirstContact() {
			out = append(out, d)
		}
	}
	return out
}

// CN-BJ-1WD (vector 17): who complains in Beijing on Friday at 17:00 is contacted
// by the end of Monday; on Tuesday it is a breach. The clock of the answer
// (CN-CMP-15) runs beside it.
func TestFirstContactInBeijing(t *testing.T) {
	t.Parallel()
	monday := time.Date(2026, 11, 23, 23, 59, 59, 999999000, shanghai)
	each(t, func(t *testing.T, b *bank) {
		ctx := context.Background()
		b.lives[b.party] = "CN-BJ"
		b.set(friday)
		c := b.open(t, complaint.Intake{Source: "key2", Party: b.party, Words: "一直打电话"})
		ds := b.step(t, c.ID)
		if len(ds) != 1 || ds[0].Rule != "CN-BJ-1WD" || !ds[0].Due.Equal(monday) || !c.ContactDue.Equal(monday) || ds[0].Calendar != "CN 2026.1" || ds[0].State != "running" {
			t.Fatalf("%+v, case %s", ds, c.ContactDue)
		}
		if c.Due.In(shanghai).Format("01-02") != "12-05" {
			t.Errorf("the answer is due %s", c.Due)
		}
		call := func(by string, way complaint.Way, at time.Time) error {
			return b.Contacted(ctx, c.ID, by, way, at, "已说明受理情况")
		}
		if err := call("handler", complaint.ByCall, friday); code(err) != "not_handler" {
			t.Errorf("recorded by somebody who does not handle it: %v", err)
		}
		if _, err := b.Take(ctx, c.ID, "handler"); err != nil {
			t.Fatal(err)
		}
		b.set(monday)
		if n, err := b.Tick(ctx); n != 0 || err != nil {
			t.Errorf("missed at its last instant: %d, %v", n, err)
		}
		for want, err := range map[string]error{"way_missing": call("handler", "dove", monday), "contact_future": call("handler", complaint.ByCall, monday.Add(time.Second)),
			"contact_early": call("handler", complaint.ByCall, friday.Add(-time.Minute))} {
			if code(err) != want {
				t.Errorf("%v, want %s", err, want)
			}
		}
		b.set(monday.Add(time.Second)) // written down a second late, done in time
		if err := call("handler", complaint.ByCall, monday); err != nil {
			t.Fatal(err)
		}
		if ds := b.step(t, c.ID); ds[0].State != "met" {
			t.Errorf("%+v", ds)
		}
		if over, waiting, err := b.Uncontacted(ctx, ""); over+waiting != 0 || err != nil {
			t.Errorf("%d over, %d waiting, %v", over, waiting, err)
		}
		if f, err := b.Get(ctx, c.ID); err != nil || !f.Case.Due.Equal(c.Due) || f.Case.State != complaint.Taken {
			t.Errorf("the answer's own clock stopped: %+v, %v", f.Case, err)
		}
		if err := call("handler", complaint.ByMessage, monday); err != nil { // again, with no clock left to end
			t.Error(err)
		}
	})
}

// A missed first contact is in the ledger once, and stays on the lists until the
// complainant has been contacted.
func TestFirstContactMissed(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		ctx := context.Background()
		b.lives[b.party] = "CN-BJ"
		b.set(friday)
		c := b.open(t, complaint.Intake{Source: "key2", Party: b.party, Words: "一直打电话"})
		other := b.open(t, complaint.Intake{Source: "web", Words: "不知道是谁"})
		if _, err := b.Take(ctx, c.ID, "handler"); err != nil {
			t.Fatal(err)
		}
		tuesday := c.ContactDue.Add(9 * time.Hour)
		b.set(tuesday)
		for i, want := range []int{1, 0} {
			if n, err := b.Tick(ctx); n != want || err != nil {
				t.Errorf("tick %d: %d, %v", i, n, err)
			}
		}
		if over, waiting, err := b.Uncontacted(ctx, "handler"); over != 1 || waiting != 0 || err != nil {
			t.Errorf("%d over, %d waiting, %v", over, waiting, err)
		}
		list, err := b.Slice(ctx, complaint.Query{Contact: true}, db.Span{N: 5})
		if err != nil || len(list) != 1 || list[0].ID != c.ID {
			t.Errorf("%d cases, %v", len(list), err)
		}
		if err := b.Contacted(ctx, c.ID, "handler", complaint.ByCall, tuesday, ""); err != nil {
			t.Fatal(err)
		}
		if ds := b.step(t, c.ID); ds[0].State != "missed" {
			t.Errorf("%+v", ds)
		}
		kinds := map[string]map[string]any{}
		for _, e := range b.entries(t, c.ID) {
			kinds[e.kind] = e.data
		}
		if e := kinds["case.contact_missed"]; e["rule"] != "CN-BJ-1WD" || e["calendar"] != "CN 2026.1" {
			t.Errorf("the ledger on the missed contact: %v", e)
		}
		if e := kinds["case.contacted"]; e["late"] != true || e["way"] != "call" {
			t.Errorf("the ledger on the contact: %v", e)
		}
		if ds := b.step(t, other.ID); len(ds) != 0 {
			t.Errorf("nobody knows where this one lives: %+v", ds)
		}
	})
}

// The clock of CN-BJ-1WD runs from receipt also where it is found out later who
// complains; an answer is a contact too, and a withdrawal needs none any more.
func TestFirstContactBeginsAndEndsOtherwise(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		ctx := context.Background()
		b.lives[b.party] = "CN-BJ"
		b.set(friday)
		found := b.open(t, complaint.Intake{Source: "web", Words: "不知道是谁", Claimed: true})
		b.set(friday.Add(time.Hour))
		if _, err := b.Prove(ctx, found.ID, b.party, "handler", "staff"); err != nil {
			t.Fatal(err)
		}
		if ds := b.step(t, found.ID); len(ds) != 1 || !ds[0].Started.Equal(friday) {
			t.Fatalf("%+v", ds)
		}
		_, taken := b.Take(ctx, found.ID, "handler")
		_, proposed := b.Propose(ctx, found.ID, "handler", decision())
		_, answered := b.Answer(ctx, found.ID, "approver")
		if err := errors.Join(taken, proposed, answered); err != nil {
			t.Fatal(err)
		}
		if ds := b.step(t, found.ID); ds[0].State != "met" {
			t.Errorf("answered: %+v", ds)
		}
		gone := b.open(t, complaint.Intake{Source: "key2", Party: b.party, Words: "算了"})
		if _, err := b.WithdrawCase(ctx, gone.ID); err != nil {
			t.Fatal(err)
		}
		if ds := b.step(t, gone.ID); ds[0].State != "superseded" {
			t.Errorf("withdrawn: %+v", ds)
		}
		if over, waiting, err := b.Uncontacted(ctx, ""); over+waiting != 0 || err != nil {
			t.Errorf("%d over, %d waiting, %v", over, waiting, err)
		}
	})
}
