package campaign_test

import (
	"context"
	"strings"
	"testing"

	"parley/internal/approval"
	"parley/internal/approval/approvaltest"
	"parley/internal/campaign"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
)

func every(string) bool { return true }

// A script goes draft → submitted → approved by a second person → in use, and a
// change of it goes the same way; what is in use stays until then.
func TestScriptVersions(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		a := approvaltest.Open(t, d)
		s := campaign.NewStore(d, a)
		a.Register(s.Approval("approve_campaign"))
		a.Register(s.ScriptApproval("approve_script"))
		shipped, err := campaign.DemoScripts(every)
		if err != nil {
			t.Fatal(err)
		}
		first := shipped["card_renewal"]
		for _, want := range []int{1, 0} { // a second start changes nothing
			if n, err := s.Ship(ctx, []*campaign.Script{first}); n != want || err != nil {
				t.Fatalf("shipped %d, %v", n, err)
			}
		}
		v1, err := s.ScriptVersion(ctx, first.ID, 0)
		if err != nil || v1.State != campaign.ScriptApproved || v1.Version != 1 {
			t.Fatalf("%+v %v", v1, err)
		}
		text := strings.Replace(v1.YAML, "en: ", "en: New ", 1)
		if _, err := s.SaveScript(ctx, "", nil, text, "ann"); code(err) != "script_exists" {
			t.Errorf("a second script of the same id: %v", err)
		}
		broken := strings.Replace(text, "start: ", "start: no", 1)
		v2, err := s.SaveScript(ctx, first.ID, v1, broken, "ann")
		if err != nil || v2.Version != 2 || v2.State != campaign.ScriptDraft {
			t.Fatalf("a draft with mistakes is kept: %+v %v", v2, err)
		}
		if _, err := s.SubmitScript(ctx, first.ID, every, "ann", "新写法"); code(err) != "script_invalid" {
			t.Errorf("submitted with mistakes: %v", err)
		}
		if _, err := s.SaveScript(ctx, first.ID, v1, text, "eve"); code(err) != "script_moved" {
			t.Errorf("saved over somebody's work: %v", err)
		}
		if v2, err = s.SaveScript(ctx, first.ID, v2, text, "eve"); err != nil || v2.Version != 2 || len(v2.Hands) != 2 {
			t.Fatalf("%+v %v", v2, err)
		}
		if _, err := s.SubmitScript(ctx, first.ID, every, "ann", "新写法"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.SaveScript(ctx, first.ID, v2, text+"\n", "ann"); code(err) != "script_waits" {
			t.Errorf("changed while it waits: %v", err)
		}
		waits := func() *approval.Request {
			t.Helper()
			rs, err := a.ForMe(ctx, "bob", "", db.Span{N: 10})
			if err != nil || len(rs) != 1 {
				t.Fatalf("%d wait, %v", len(rs), err)
			}
			return rs[0]
		}
		r := waits()
		if r.Before != v1.YAML || r.After != text || r.Reason != "新写法" || r.Kind != campaign.ScriptApprovalKind {
			t.Errorf("the approver reads %+v", r.Ask)
		}
		// A campaign cannot go ahead with a script that nobody else has approved.
		sc, _ := campaign.Check([]byte(text), nil)
		if err := s.PutScript(ctx, sc, "ann"); err != nil {
			t.Fatal(err)
		}
		terms := terms(sc)
		c, err := s.Create(ctx, terms, "ann")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.AddMembers(ctx, c.ID, []campaign.Contact{{Party: contact.NewID(), Point: contact.NewID()}}, "ann"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Submit(ctx, c.ID, "ann", ""); code(err) != "script_not_approved" {
			t.Errorf("a campaign with a script that waits: %v", err)
		}
		if _, err := a.ApproveNow(ctx, approval.Decision{ID: r.ID, By: "eve", Hash: r.Hash}); code(err) != "four_eyes" {
			t.Errorf("whoever wrote a line of it approved it: %v", err)
		}
		if _, err := a.SendBackNow(ctx, approval.Decision{ID: r.ID, By: "bob", Hash: r.Hash, Note: "语气太硬"}); err != nil {
			t.Fatal(err)
		}
		if v2, err = s.ScriptVersion(ctx, first.ID, 2); err != nil || v2.State != campaign.ScriptDraft || v2.Note != "语气太硬" {
			t.Fatalf("%+v %v", v2, err)
		}
		if _, err := s.SubmitScript(ctx, first.ID, every, "ann", "再看一次"); err != nil {
			t.Fatal(err)
		}
		r = waits()
		if _, err := a.ApproveNow(ctx, approval.Decision{ID: r.ID, By: "bob", Hash: r.Hash}); err != nil {
			t.Fatal(err)
		}
		shelves, err := s.Shelves(ctx)
		if err != nil || len(shelves) != 1 || shelves[0].InUse.Version != 2 || shelves[0].Newest.Version != 2 {
			t.Fatalf("%+v %v", shelves, err)
		}
		list, err := s.ScriptVersions(ctx, first.ID, 0, 10)
		if err != nil || len(list) != 2 || list[1].State != campaign.ScriptReplaced || list[0].DecidedBy != "bob" {
			t.Fatalf("%+v %v", list, err)
		}
		if older, err := s.ScriptVersions(ctx, first.ID, 2, 10); err != nil || len(older) != 1 || older[0].Version != 1 {
			t.Errorf("%+v %v", older, err)
		}
		if _, err := s.Submit(ctx, c.ID, "ann", ""); err != nil {
			t.Errorf("a campaign with the approved script: %v", err)
		}
	})
}

// The id is what a script is kept under, so it is checked before all else.
func TestScriptIDs(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		s := campaign.NewStore(d, approvaltest.Open(t, d))
		for text, want := range map[string]string{
			"title: {}":            "script_id",
			"id: Über":             "script_id_form",
			"id: ../x":             "script_id_form",
			"id: fine\nnodes: [oh": "",
			"id: other # why not":  "",
		} {
			v, err := s.SaveScript(ctx, "", nil, text, "ann")
			if want == "" && (err != nil || v.Version != 1) || want != "" && code(err) != want {
				t.Errorf("%q: %v", text, err)
			}
		}
		if _, err := s.SaveScript(ctx, "fine", nil, "id: renamed", "ann"); code(err) != "script_id" {
			t.Errorf("renamed: %v", err)
		}
		if _, err := s.SaveScript(ctx, "", nil, "id: long\n#"+strings.Repeat("x", 300<<10), "ann"); code(err) != "script_long" {
			t.Errorf("too long: %v", err)
		}
		if _, err := s.ScriptVersion(ctx, "nothing", 0); code(err) != "script_unknown" {
			t.Errorf("unknown: %v", err)
		}
	})
}
