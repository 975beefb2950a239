package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"parley/internal/campaign"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/gate"
	"parley/internal/policy"
)

// find gives the elements of a page that have a class (or an id, after #).
func find(t *testing.T, page, what string) []*html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	name, key := what, "class"
	if id, ok := strings.CutPrefix(what, "#"); ok {
		name, key = id, "id"
	}
	var out []*html.Node
	for n := range root.Descendants() {
		for _, a := range n.Attr {
			if a.Key == key && strings.Contains(" "+a.Val+" ", " "+name+" ") {
				out = append(out, n)
			}
		}
	}
	return out
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// The signature pages hold what their pictures stand for, and every mark opens
// its evidence.
func (b *bank) pictures(t *testing.T, call contact.ID, party contact.ID, camp contact.ID) {
	r := b.as(t, "zhang", "zh")
	page := r.get("/customers/"+party, http.StatusOK)
	marks := find(t, page, "life-mark")
	if len(find(t, page, "#life")) != 1 || len(marks) == 0 || len(find(t, page, "life-bar-body")) == 0 {
		t.Fatalf("the lifeline has %d marks", len(marks))
	}
	for _, m := range marks {
		to := attr(m, "href")
		if attr(m, "aria-label") == "" || !strings.HasPrefix(to, "/") {
			t.Errorf("a mark without words or evidence: %q", to)
			continue
		}
		r.get(to, http.StatusOK)
	}
	part := r.get("/customers/"+party+"/lifeline?from=1000000000&to=1000003600", http.StatusOK)
	if len(find(t, part, "life-mark")) != 0 || !strings.Contains(text(part), "什么也没有发生") {
		t.Error("a window in which nothing happened shows something")
	}

	for name, effect := range map[string]policy.Effect{"denied": policy.Deny, "later": policy.Later} {
		id := b.decided(t, effect)
		if id == "" {
			t.Logf("nothing was %s", name)
			continue
		}
		page := r.get("/decisions/"+id, http.StatusOK)
		lines := find(t, page, "rule-line")
		if len(lines) < 2 || !strings.Contains(attr(lines[0], "class"), "decided") {
			t.Errorf("%s: the rule that decided does not stand first among %d", name, len(lines))
		}
		if len(find(t, page, "told")) == 0 {
			t.Errorf("%s: no sentence for the customer", name)
		}
	}
	if page := r.get("/decisions/"+call, http.StatusOK); !strings.Contains(text(page), "许可用于这次联系") {
		t.Error("the permit's life lacks its use")
	}
	r.get("/decisions/"+contact.NewID(), http.StatusNotFound)

	board := r.get("/board?wall=1", http.StatusOK)
	if len(find(t, board, "board-main")) != 1 || len(find(t, board, "wall")) != 1 || !strings.Contains(text(board), "自动外呼没有坐席") {
		t.Error("the board does not say why there is no abandonment rate")
	}

	w := b.as(t, "wang", "en")
	screen := w.get("/campaigns/"+camp+"/screen", http.StatusOK)
	if len(find(t, screen, "heat"))+len(find(t, screen, "figs")) == 0 {
		t.Errorf("no preview: %s", text(screen))
	}
}

// decided finds a decision of an effect.
func (b *bank) decided(t *testing.T, effect policy.Effect) contact.ID {
	t.Helper()
	for _, c := range b.campaigns(t) {
		list, err := b.Gate.ByCampaign(t.Context(), c, "", 200)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			if s.Verdict.Effect == effect && s.State == gate.NoPermit {
				return s.ID
			}
		}
	}
	return ""
}

// A script's way through the pages: written with a mistake, mended, walked,
// submitted; only its writer's hands are kept off the approval.
func (b *bank) script(t *testing.T) {
	w := b.as(t, "wang", "zh")
	page := w.get("/scripts/overdue_reminder", http.StatusOK)
	v, err := b.Campaigns.ScriptVersion(t.Context(), "overdue_reminder", 0)
	if err != nil {
		t.Fatal(err)
	}
	sc, _ := campaign.Check([]byte(v.YAML), nil)
	if got := len(find(t, page, "node")); got != len(sc.Nodes)+1 { // and the keys that always work
		t.Errorf("%d boxes for %d nodes", got, len(sc.Nodes))
	}
	form := func(yaml string) url.Values {
		return url.Values{"script": {v.Script}, "version": {"1"}, "hash": {v.Hash}, "yaml": {strings.ReplaceAll(yaml, "\n", "\r\n")}}
	}
	broken := strings.Replace(v.YAML, "next: who", "next: hwo", 1)
	if page := w.post("/scripts/check", form(broken), http.StatusOK); !strings.Contains(text(page), "第 18 行") || !strings.Contains(page, "next: hwo") {
		t.Errorf("the mistake is not named by its line: %s", text(page))
	}
	tried := form(v.YAML)
	tried.Set("keys", "1")
	tried.Set("key", "9")
	if page := w.post("/scripts/try", tried, http.StatusOK); !strings.Contains(text(page), "已退订") {
		t.Errorf("key 9 does not withdraw: %s", text(page))
	}
	w.post("/scripts", form(strings.Replace(v.YAML, "tries: 2", "tries: 3", 1)), http.StatusOK)
	w.post("/scripts/overdue_reminder/submit", url.Values{"reason": {"多问一次"}}, http.StatusOK)
	if v, err = b.Campaigns.ScriptVersion(t.Context(), "overdue_reminder", 0); err != nil || v.State != campaign.ScriptSubmitted || v.Version != 2 || strings.Contains(v.YAML, "\r") {
		t.Errorf("%+v %v", v, err)
	}
	w.post("/scripts", form(broken), http.StatusConflict) // somebody looks at it already
	if wav := w.get("/prompts/zh/hello_overdue.wav", http.StatusOK); !strings.HasPrefix(wav, "RIFF") {
		t.Error("a prompt cannot be heard")
	}
	w.get("/prompts/zh/..%2f..%2fkeys.wav", http.StatusNotFound)
	b.as(t, "zhou", "zh").post("/scripts", form(v.YAML), http.StatusForbidden)
}

// A copy of a recording needs a reason, which the customer can read.
func (b *bank) copy(t *testing.T, call, party contact.ID) {
	r := b.as(t, "zhang", "zh")
	r.post("/contacts/"+call+"/recording", url.Values{"reason": {" "}}, http.StatusUnprocessableEntity)
	if wav := r.post("/contacts/"+call+"/recording", url.Values{"reason": {"监管调取"}}, http.StatusOK); !strings.HasPrefix(wav, "RIFF") {
		t.Error("no recording came")
	}
	b.as(t, "wang", "zh").post("/contacts/"+call+"/recording", url.Values{"reason": {"x"}}, http.StatusForbidden)
	n := 0
	if err := b.DB.Read(t.Context(), func(tx *db.Tx) error {
		return tx.QueryRow(t.Context(), "SELECT count(*) FROM disclosure WHERE party_id = $1 AND subject = $2", party, call).Scan(&n)
	}); err != nil || n == 0 {
		t.Errorf("%d disclosures kept, %v", n, err)
	}
}
