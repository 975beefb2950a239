// Package e2e runs the whole of Parley in one process against peers that its
// authors did not write: phones on another SIP stack, sipp, PostgreSQL.
package e2e

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/internal/app"
	"parley/internal/campaign"
	"parley/internal/complaint"
	"parley/internal/console/books"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/ledger"
	"parley/internal/policy"
)

// startDemo starts the fictitious bank on one engine.
func startDemo(t *testing.T, engine string, people int) *app.Demo {
	t.Helper()
	o := app.DemoOptions{Dir: t.TempDir(), Addr: "127.0.0.1:0", Seed: 7, People: people}
	if engine == "postgres" {
		o.Database = dbtest.URL(t, engine)
	}
	d, err := app.StartDemo(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// patience is for what real calls bring about: seconds on a machine at rest, and
// on a busy one as long as it takes.
const patience = 10 * time.Minute

// until waits for something that real calls bring about.
func until(t *testing.T, what string, limit time.Duration, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited %s for %s", limit, what)
}

// The main job: real calls to those who may be called, key 9 ends contact,
// key 2 opens a case with its cause, a decided block stops the next attempt,
// and the evidence verifies offline.
func TestMainJob(t *testing.T) {
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			d := startDemo(t, engine, 300)
			until(t, "a complaint by key and a withdrawal by key", patience, func() bool {
				n, err := d.Complaints.Count(ctx)
				if err != nil {
					t.Fatal(err)
				}
				return n.Total >= 1 && withdrawals(t, d) >= 1 && marketingComplaint(t, d) != nil
			})
			r, err := d.Report(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range r.Broken {
				t.Errorf("invariant broken: %s", b)
			}
			if r.Calls["recorded"] == 0 || r.ContactsScreened == 0 || r.Complaints["with_cause"] == 0 {
				t.Errorf("nothing happened: %+v", r)
			}
			c := marketingComplaint(t, d)
			settle(t, d, c)
			blockStopsTheNextAttempt(t, d, c)
			bundleVerifies(t, d, c)
			entriesHaveWords(t, d)
		})
	}
}

// entriesHaveWords: an auditor reads what happened, not the names machines give it.
func entriesHaveWords(t *testing.T, d *app.Demo) {
	t.Helper()
	list, err := d.Ledger.Recent(context.Background(), 10_000)
	if err != nil || len(list) == 0 {
		t.Fatalf("%d entries, %v", len(list), err)
	}
	for _, e := range list {
		if _, ok := books.Type(context.Background(), e.Type); !ok {
			t.Errorf("an entry of type %s has no words in console/books/types.yaml", e.Type)
		}
	}
}

func withdrawals(t *testing.T, d *app.Demo) (n int64) {
	t.Helper()
	if err := d.DB.Read(context.Background(), func(tx *db.Tx) error {
		c, err := d.Sender.Counts(context.Background(), tx, "")
		n = c.Withdrawn
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// marketingComplaint gives a case about a marketing call; nil when there is none yet.
func marketingComplaint(t *testing.T, d *app.Demo) *complaint.Case {
	t.Helper()
	cs, err := d.Complaints.List(context.Background(), complaint.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cs {
		if c.Cause != nil && c.Cause.Purpose == contact.Marketing {
			return c
		}
	}
	return nil
}

// settle takes the case through two people to the customer's acceptance.
func settle(t *testing.T, d *app.Demo, c *complaint.Case) {
	t.Helper()
	ctx := context.Background()
	if c.Cause.Recording == "" || c.Recording != c.Cause.Recording || c.To <= c.From {
		t.Errorf("the spoken words are not in the call's recording: %+v", c)
	}
	rec, err := d.Blobs.Open(c.Recording)
	if err != nil {
		t.Fatalf("the recording cannot be heard: %v", err)
	}
	rec.Close()
	if text, err := d.ExplainAttempt(ctx, c.Attempt, "zh"); err != nil || !strings.Contains(text, "·") {
		t.Errorf("the verdict is not explained: %q, %v", text, err)
	}
	handler, approver := d.Seeded.Staff("zhang"), d.Seeded.Staff("zhao")
	steps := []func() (*complaint.Case, error){
		func() (*complaint.Case, error) { return d.Complaints.Take(ctx, c.ID, handler) },
		func() (*complaint.Case, error) {
			return d.Complaints.Propose(ctx, c.ID, handler, complaint.Decision{Result: complaint.Upheld, Facts: "已听录音。",
				Basis: "客户不愿再接营销电话。", Apology: true, Compensation: 5000, RootCause: "已加入免打扰名单。",
				Block: &contact.Stop{Purposes: contact.PurposeSet(contact.Marketing)}})
		},
		func() (*complaint.Case, error) { return d.Complaints.Answer(ctx, c.ID, approver) },
		func() (*complaint.Case, error) { return d.Complaints.Accept(ctx, c.ID) },
	}
	for i, step := range steps {
		if _, err := step(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
}

// blockStopsTheNextAttempt makes a second campaign that wants to call the same person.
func blockStopsTheNextAttempt(t *testing.T, d *app.Demo, c *complaint.Case) {
	t.Helper()
	ctx := context.Background()
	first, err := d.Campaigns.Get(ctx, c.Cause.Campaign)
	if err != nil {
		t.Fatal(err)
	}
	ms, err := d.Campaigns.ByParty(ctx, c.Party)
	if err != nil || len(ms) == 0 {
		t.Fatal("the person is on no list", err)
	}
	terms := first.Terms
	terms.Name = "第二轮"
	second, err := d.Campaigns.Create(ctx, terms, d.Seeded.Staff("wang"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Campaigns.AddMembers(ctx, second.ID, []campaign.Contact{{Party: c.Party, Point: ms[0].Point}}, d.Seeded.Staff("wang")); err != nil {
		t.Fatal(err)
	}
	script, err := d.Campaigns.Script(ctx, terms.ScriptHash)
	if err != nil {
		t.Fatal(err)
	}
	ds, err := d.Gate.Reserve(ctx, []policy.Intent{{Party: c.Party, Point: ms[0].Point, Channel: contact.Voice, Purpose: terms.Purpose,
		Product: terms.Product, Campaign: second.ID, Relation: terms.Relation, Initiator: "bank", Synthetic: script.Synthetic,
		CallerID: terms.CallerID, Script: script.Hash(), Discloses: script.Discloses()}})
	if err != nil {
		t.Fatal(err)
	}
	if ds[0].Verdict.Effect != policy.Deny {
		t.Fatalf("the block did not stop the next attempt: %+v", ds[0].Verdict)
	}
	if kind := d.Gate.Policy().Rule(ds[0].Verdict.By).Kind(); kind != "do_not_contact" {
		t.Errorf("denied by %s (%s), not by the block", ds[0].Verdict.By, kind)
	}
	stopped, err := d.StoppedBy(ctx, c)
	if err != nil || len(stopped) == 0 {
		t.Errorf("the case does not show the attempt it stopped: %v, %v", stopped, err)
	}
}

func bundleVerifies(t *testing.T, d *app.Demo, c *complaint.Case) {
	t.Helper()
	ctx := context.Background()
	if _, err := d.Ledger.Seal(ctx); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := d.Complaints.Bundle(ctx, &out, c.ID, d.Ledger, d.Blobs); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(t.TempDir(), "bundle.zip"), out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	rep, err := ledger.VerifyBundle(bytes.NewReader(out.Bytes()), int64(out.Len()), d.Ledger.Public())
	if err != nil || !rep.OK() {
		t.Fatalf("the evidence does not verify: %v %+v", err, rep.Problems)
	}
	if len(rep.Files) < 3 {
		t.Errorf("recording and letters are not in the bundle: %+v", rep.Files)
	}
	b := out.Bytes()
	b[inside(t, b)] ^= 1
	if rep, err := ledger.VerifyBundle(bytes.NewReader(b), int64(len(b)), d.Ledger.Public()); err == nil && rep.OK() {
		t.Error("a flipped byte was not found")
	}
}

// inside gives a place in the middle of the largest file of a bundle: a byte
// between the files may be one that no reader of a ZIP looks at, as the times in
// the headers that the directory at its end repeats.
func inside(t *testing.T, raw []byte) int64 {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	most := slices.MaxFunc(z.File, func(a, b *zip.File) int { return cmp.Compare(a.CompressedSize64, b.CompressedSize64) })
	at, err := most.DataOffset()
	if err != nil {
		t.Fatal(err)
	}
	return at + int64(most.CompressedSize64/2)
}
