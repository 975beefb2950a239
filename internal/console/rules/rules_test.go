package rules

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"parley/internal/access"
	"parley/internal/approval/approvaltest"
	"parley/internal/consent"
	"parley/internal/console/frame/frametest"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/gate"
	"parley/internal/policy"
	"parley/internal/rulebook"
	"parley/packs"
)

func TestWords(t *testing.T) {
	t.Parallel()
	flaws, asked := book.Flaws(os.DirFS("."))
	for _, f := range flaws {
		t.Error(f)
	}
	if asked < 60 {
		t.Fatalf("only %d keys found: the pattern has gone stale", asked)
	}
}

// bank is the pages on a database, with the rules that ship in force.
type bank struct {
	*frametest.House
	t    *testing.T
	book *rulebook.Store
	gate *gate.Gate
}

func newBank(t *testing.T, d *db.DB) *bank {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	b := &bank{t: t, House: frametest.New(t, d, map[string][]access.Role{"wang": {access.Compliance}, "audit": {access.Auditor}})}
	b.Lang = "en"
	set, err := policy.LoadFS(packs.FS)
	must(err)
	c := consent.NewStore(d, nil)
	b.gate = gate.New(d, set, c, gate.Options{})
	c.SetVoider(b.gate)
	approvals := approvaltest.Open(t, d)
	b.book = rulebook.New(d, b.gate, approvals)
	approvals.Register(b.book.Approval(string(access.ApproveRules)))
	shipped := func() (rulebook.Files, error) { return rulebook.ReadFiles(packs.FS, nil) }
	files, err := shipped()
	must(err)
	_, err = b.book.Adopt(ctx, files, nil, "installed", "parley")
	must(err)
	as, err := b.book.Schedule(ctx)
	must(err)
	b.gate.Schedule(as...)
	b.Serve(Routes(Deps{Frame: b.Frame, Gate: b.gate, Rulebook: b.book, Approvals: approvals, Shipped: shipped,
		Campaign: func(_ context.Context, id string) string { return id }}))
	return b
}

func (b *bank) post(who, to string, want int, kv ...string) string {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i < len(kv); i += 2 {
		form.Set(kv[i], kv[i+1])
	}
	code, at, page := b.Do(who, to, form)
	if code != want {
		b.t.Fatalf("POST %s: %d, want %d\n%s", to, code, want, page)
	}
	if at != "" {
		return at
	}
	return page
}

// Every rule is listed with its source, and has a page with its text and tests.
func TestRulesAreReadable(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := newBank(t, d)
		b.See("audit", "/rules", "CN-FREQ-COL", "GB/T 45251-2025", "In force")
		if page := b.See("audit", "/rules?q=45251"); strings.Contains(page, "CN-CONSENT-01") {
			t.Error("the filter leaves what it should not")
		}
		for _, r := range b.gate.Policy().Rules() {
			b.See("audit", "/rules/"+r.ID, r.ID, "- id: "+r.ID)
		}
		b.See("audit", "/rules/CN-HOURS-COL", "put off · CN-HOURS-COL", "contact only 08:00–22:00", "recommended standard")
		if code, _, _ := b.Do("audit", "/rules/NO-SUCH", nil); code != http.StatusNotFound {
			t.Errorf("a rule that is not there: %d", code)
		}
	})
}

// Facts that somebody writes are judged, and the customer's version leaks nothing.
func TestTryFacts(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := newBank(t, d)
		page := b.post("audit", "/rules/try", http.StatusOK, "facts", example)
		for _, want := range []string{"CN-CONSENT-01", "CN-HOUSE-FREQ-MKT-30", "What the customer is told"} {
			if !strings.Contains(page, want) {
				t.Errorf("the verdict does not show %s", want)
			}
		}
		bad := b.post("audit", "/rules/try", http.StatusUnprocessableEntity, "facts", strings.Replace(example, "channel: voice", "chanel: voice", 1))
		if !strings.Contains(bad, "chanel") || !strings.Contains(bad, "facts:") {
			t.Error("the fault is not named by line and key")
		}
	})
}

// A compliance officer's whole way from a draft to its request for approval.
func TestADraftGoesItsWay(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := newBank(t, d)
		if code, _, _ := b.Do("audit", "/rules/editions", url.Values{"title": {"x"}}); code != http.StatusForbidden {
			t.Fatalf("an auditor drafts: %d", code)
		}
		at, _, _ := strings.Cut(b.post("wang", "/rules/editions", http.StatusSeeOther, "title", "quieter evenings", "rule", "CN-HOURS-COL"), "?")
		b.See("wang", at, "quieter evenings", "Not tested as it stands")
		files, err := rulebook.ReadFiles(packs.FS, nil)
		if err != nil {
			t.Fatal(err)
		}
		cn := strings.ReplaceAll(files["cn.yaml"], "\n", "\r\n") // as a browser sends it
		b.post("wang", at+"/put", http.StatusSeeOther, "file", "cn.yaml", "body", strings.Replace(cn, "force: standard", "force: law", 1))
		b.See("wang", at, "cn.yaml:", "force")
		b.post("wang", at+"/test", http.StatusUnprocessableEntity)
		b.post("wang", at+"/put", http.StatusSeeOther, "file", "cn.yaml", "body", strings.Replace(cn, "version: ", "version: 9", 1))
		b.post("wang", at+"/test", http.StatusSeeOther)
		b.See("wang", at, "passed", "Not replayed as it stands")
		if page := b.post("wang", at+"/submit", http.StatusUnprocessableEntity, "why", "because"); !strings.Contains(page, "Replay this draft") || !strings.Contains(page, "because") {
			t.Error("a draft nobody replayed is not refused in words, or what was typed is lost")
		}
		b.post("wang", at+"/replay", http.StatusSeeOther, "since", "2026-01-01")
		for end := time.Now().Add(2 * time.Minute); strings.Contains(b.See("wang", at), "hx-trigger"); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the replay does not end")
			}
		}
		b.See("wang", at, "0 decisions, 0 would change")
		b.post("wang", at+"/submit", http.StatusUnprocessableEntity, "why", "because", "from", "tomorrow")
		b.post("wang", at+"/submit", http.StatusSeeOther, "why", "because")
		b.See("wang", at, "Waits for a second person", "/approvals/")
		b.See("audit", "/rules/editions", "quieter evenings", "Waiting", "adopted at installation")
	})
}
