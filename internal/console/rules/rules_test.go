package rules

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"parley/internal/access"
	"parley/internal/approval"
	"parley/internal/approval/approvaltest"
	"parley/internal/consent"
	"parley/internal/console/frame"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/gate"
	"parley/internal/httpx"
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
	t       *testing.T
	book    *rulebook.Store
	gate    *gate.Gate
	store   *approval.Store
	handler http.Handler
	token   map[string]string
	id      map[string]contact.ID
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
	b := &bank{t: t, token: map[string]string{}, id: map[string]contact.ID{}}
	st := access.NewStore(d)
	set, err := policy.LoadFS(packs.FS)
	must(err)
	c := consent.NewStore(d, nil)
	b.gate = gate.New(d, set, c, gate.Options{})
	c.SetVoider(b.gate)
	b.store = approvaltest.Open(t, d)
	b.book = rulebook.New(d, b.gate, b.store)
	b.store.Register(b.book.Approval(string(access.ApproveRules)))
	shipped := func() (rulebook.Files, error) { return rulebook.ReadFiles(packs.FS, nil) }
	files, err := shipped()
	must(err)
	_, err = b.book.Adopt(ctx, files, nil, "installed", "parley")
	must(err)
	as, err := b.book.Schedule(ctx)
	must(err)
	b.gate.Schedule(as...)

	house := &httpx.House{BankZh: "守约银行", BankEn: "Parley Bank", Zone: httpx.Shanghai(), Clock: d.Now}
	f := frame.New(house, st)
	f.DB = d
	mux := http.NewServeMux()
	f.Serve(mux, Routes(Deps{Frame: f, Gate: b.gate, Rulebook: b.book, Approvals: b.store, Shipped: shipped,
		Campaign: func(_ context.Context, id string) string { return id }}))
	b.handler = house.Wrap(mux)
	for login, role := range map[string]access.Role{"wang": access.Compliance, "audit": access.Auditor} {
		p, err := st.AddStaff(ctx, access.Staff{Login: login, Name: "员工" + login, Roles: []access.Role{role}}, "")
		must(err)
		token, _, err := st.Enter(ctx, p.ID)
		must(err)
		b.token[login], b.id[login] = token, p.ID
	}
	return b
}

// ask makes a request as somebody and gives status, where it leads and what it shows.
func (b *bank) ask(who, method, to string, form url.Values) (int, string, string) {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, to, body)
	r.Header.Set("Accept-Language", "en")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.AddCookie(&http.Cookie{Name: "parley", Value: b.token[who]})
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	return w.Code, w.Header().Get("Location"), w.Body.String()
}

func (b *bank) see(who, to string, want ...string) string {
	b.t.Helper()
	code, _, page := b.ask(who, http.MethodGet, to, nil)
	if code != http.StatusOK {
		b.t.Fatalf("GET %s: %d\n%s", to, code, page)
	}
	for _, s := range want {
		if !strings.Contains(page, s) {
			b.t.Errorf("%s does not show %q", to, s)
		}
	}
	return page
}

func (b *bank) post(who, to string, want int, kv ...string) string {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i < len(kv); i += 2 {
		form.Set(kv[i], kv[i+1])
	}
	code, at, page := b.ask(who, http.MethodPost, to, form)
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
		b.see("audit", "/rules", "CN-FREQ-COL", "GB/T 45251-2025", "In force")
		if page := b.see("audit", "/rules?q=45251"); strings.Contains(page, "CN-CONSENT-01") {
			t.Error("the filter leaves what it should not")
		}
		for _, r := range b.gate.Policy().Rules() {
			b.see("audit", "/rules/"+r.ID, r.ID, "- id: "+r.ID)
		}
		b.see("audit", "/rules/CN-HOURS-COL", "put off · CN-HOURS-COL", "contact only 08:00–22:00", "recommended standard")
		if code, _, _ := b.ask("audit", http.MethodGet, "/rules/NO-SUCH", nil); code != http.StatusNotFound {
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
		if code, _, _ := b.ask("audit", http.MethodPost, "/rules/editions", url.Values{"title": {"x"}}); code != http.StatusForbidden {
			t.Fatalf("an auditor drafts: %d", code)
		}
		at, _, _ := strings.Cut(b.post("wang", "/rules/editions", http.StatusSeeOther, "title", "quieter evenings", "rule", "CN-HOURS-COL"), "?")
		b.see("wang", at, "quieter evenings", "Not tested as it stands")
		files, err := rulebook.ReadFiles(packs.FS, nil)
		if err != nil {
			t.Fatal(err)
		}
		cn := strings.ReplaceAll(files["cn.yaml"], "\n", "\r\n") // as a browser sends it
		b.post("wang", at+"/put", http.StatusSeeOther, "file", "cn.yaml", "body", strings.Replace(cn, "force: standard", "force: law", 1))
		b.see("wang", at, "cn.yaml:", "force")
		b.post("wang", at+"/test", http.StatusUnprocessableEntity)
		b.post("wang", at+"/put", http.StatusSeeOther, "file", "cn.yaml", "body", strings.Replace(cn, "version: ", "version: 9", 1))
		b.post("wang", at+"/test", http.StatusSeeOther)
		b.see("wang", at, "passed", "Not replayed as it stands")
		if page := b.post("wang", at+"/submit", http.StatusUnprocessableEntity, "why", "because"); !strings.Contains(page, "Replay this draft") || !strings.Contains(page, "because") {
			t.Error("a draft nobody replayed is not refused in words, or what was typed is lost")
		}
		b.post("wang", at+"/replay", http.StatusSeeOther, "since", "2026-01-01")
		for end := time.Now().Add(2 * time.Minute); strings.Contains(b.see("wang", at), "hx-trigger"); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the replay does not end")
			}
		}
		b.see("wang", at, "0 decisions, 0 would change")
		b.post("wang", at+"/submit", http.StatusUnprocessableEntity, "why", "because", "from", "tomorrow")
		b.post("wang", at+"/submit", http.StatusSeeOther, "why", "because")
		b.see("wang", at, "Waits for a second person", "/approvals/")
		b.see("audit", "/rules/editions", "quieter evenings", "Waiting", "adopted at installation")
	})
}
