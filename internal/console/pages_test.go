package console_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"parley/internal/access"
	"parley/internal/app"
	"parley/internal/campaign"
	"parley/internal/console"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/httpx"
	"parley/internal/httpx/wave"
	"parley/internal/httpx/words"
)

// bank is a fictitious bank at work, with its console served.
type bank struct {
	*app.Demo
	url    string
	broker *httpx.Broker
}

// open starts a bank and waits until it has placed calls and recorded one.
func open(t *testing.T) *bank {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	d, err := app.StartDemo(t.Context(), app.DemoOptions{Dir: t.TempDir(), Addr: "127.0.0.1:0", Seed: 7, People: 200, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	b := &bank{Demo: d, broker: httpx.NewBroker(8)}
	house := &httpx.House{BankZh: "守约银行", BankEn: "Parley Bank", Clock: d.DB.Now, Simulated: true, Log: quiet}
	c := console.New(console.Deps{House: house, Broker: b.broker, DB: d.DB, Access: d.Access, Approvals: d.Approvals, Holidays: d.Holidays, Templates: d.Templates, Country: "CN", Disclosures: d.Disclosures, Keys: d.APIKeys, Hooks: d.Webhooks, Parties: d.Party, Consents: d.Consent,
		Gate: d.Gate, Campaigns: d.Campaigns, Sender: d.Sender, Complaints: d.Complaints, Remedies: d.Remedies, Ledger: d.Ledger,
		Recordings: d.Blobs, Prompts: d.Prompts, Rulebook: d.Rulebook, Shipped: d.Config.ShippedFiles, Demo: true})
	s := httptest.NewServer(house.Wrap(c))
	t.Cleanup(func() { b.broker.Close(); s.Close() })
	b.url = s.URL
	return b
}

// recorded waits for a contact with a recording: of a talk long enough to be heard,
// and with somebody who is not called as a member of staff is, for the pages name those.
func (b *bank) recorded(t *testing.T) contact.ID {
	t.Helper()
	staff, err := b.Access.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		for _, id := range b.campaigns(t) {
			var found contact.ID
			err := b.DB.Read(t.Context(), func(tx *db.Tx) error {
				list, err := b.Sender.AttemptsByCampaign(t.Context(), tx, id, "", 50)
				for _, a := range list {
					if a.Recording.SHA256 == "" || a.Recording.Duration < 3*time.Second {
						continue
					}
					p, err := b.Party.Get(t.Context(), tx, a.Party)
					if err != nil {
						return err
					}
					if !slices.ContainsFunc(staff, func(s access.Staff) bool { return strings.Contains(s.Name, p.Name) }) {
						found = a.ID
					}
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if found != "" {
				return found
			}
		}
	}
	t.Fatal("no call was recorded within ten minutes")
	return ""
}

// reader is a browser of one member of staff.
type reader struct {
	t    *testing.T
	bank *bank
	http *http.Client
	lang string
}

func (b *bank) as(t *testing.T, login, lang string) *reader {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{t: t, bank: b, http: &http.Client{Jar: jar, Timeout: 2 * time.Minute}, lang: lang}
	if login != "" {
		staff, err := b.Access.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range staff {
			if s.Login == login {
				r.post("/enter", url.Values{"staff": {s.ID}, "next": {"/ledger"}}, http.StatusOK)
			}
		}
	}
	return r
}

func (r *reader) do(req *http.Request, status int) string {
	r.t.Helper()
	req.Header.Set("Accept-Language", r.lang)
	req.Header.Set("Accept", "text/html")
	res, err := r.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	if res.StatusCode != status {
		r.t.Errorf("%s %s: %d, want %d: %s", req.Method, req.URL.Path, res.StatusCode, status, text(string(raw)))
	}
	return string(raw)
}

func (r *reader) get(path string, status int) string {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.bank.url+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.do(req, status)
}

func (r *reader) post(path string, form url.Values, status int) string {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.bank.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r.do(req, status)
}

// text is what a page says, without its markup.
func text(page string) string {
	n, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return page
	}
	var b strings.Builder
	for x := range n.Descendants() {
		if x.Type == html.TextNode && x.Parent.Data != "script" && x.Parent.Data != "style" {
			if s := strings.TrimSpace(x.Data); s != "" {
				b.WriteString(s + "\n")
			}
		}
	}
	return b.String()
}

// key looks like the key of a sentence.
var key = regexp.MustCompile(`^([a-z]+)\.[a-z0-9_]+(\.[a-z0-9_]+)*$`)

// bare finds a word's key that reached a page instead of its sentence. Types of
// ledger entries look alike; pages show them as code.
func bare(page string) string {
	families := map[string]bool{}
	for _, k := range words.Keys(words.Zh) {
		family, _, _ := strings.Cut(k, ".")
		families[family] = true
	}
	n, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return ""
	}
	for x := range n.Descendants() {
		if x.Type != html.TextNode || x.Parent.Data == "code" {
			continue
		}
		if m := key.FindStringSubmatch(strings.TrimSpace(x.Data)); m != nil && families[m[1]] {
			return m[0]
		}
	}
	return ""
}

func TestPages(t *testing.T) {
	t.Parallel()
	b := open(t)
	call := b.recorded(t)
	d, err := b.Gate.Decision(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	camp := b.campaigns(t)[0]
	t.Run("roles", func(t *testing.T) { b.roles(t, call, d.Intent.Party, camp) })
	t.Run("recording", func(t *testing.T) { b.recording(t, call) })
	t.Run("pictures", func(t *testing.T) { b.pictures(t, call, d.Intent.Party, camp) })
	t.Run("script", func(t *testing.T) { b.script(t) })
	t.Run("copy", func(t *testing.T) { b.copy(t, call, d.Intent.Party) })
	t.Run("live", func(t *testing.T) { b.live(t) })
	t.Run("four eyes", func(t *testing.T) { b.fourEyes(t, d.Intent.Party) })
	t.Run("stop", func(t *testing.T) { b.stop(t, d.Intent.Party) })
	t.Run("search", func(t *testing.T) { b.search(t, call, d.Intent.Party) })
	t.Run("reveal", func(t *testing.T) { b.reveal(t, d.Intent.Party) })
	t.Run("clear export", func(t *testing.T) { b.clearExport(t, d.Intent.Party) })
	t.Run("nobody unmasked", func(t *testing.T) { b.masked(t) })
	t.Run("sign in", func(t *testing.T) { b.signIn(t) })
}

// roles walks every page as every role, in both languages: who may not see it
// is told so, and what is seen names no key and shows no customer unmasked.
func (b *bank) roles(t *testing.T, call, party, camp contact.ID) {
	pages := map[string]string{ // page → who may see it, by sign-in name
		"/": "wang li zhang zhao chen zhou qian", "/board": "wang li zhang zhao chen zhou", "/campaigns": "wang li zhang zhao chen zhou", "/campaigns/" + camp: "wang li zhang zhao chen zhou",
		"/campaigns/new": "wang", "/campaigns/" + camp + "/edit": "wang", "/contacts": "wang li zhang zhao chen zhou", "/contacts?view=open": "wang li zhang zhao chen zhou",
		"/contacts/" + call: "wang li zhang zhao chen zhou", "/customers": "wang zhang zhao chen zhou", "/customers/" + party: "wang zhang zhao chen zhou",
		"/complaints": "zhang zhao chen zhou", "/complaints/new": "zhang chen", "/ledger": "wang li zhang zhao chen zhou", "/system": "chen zhou",
		"/contacts/" + call + "/peaks.json": "", "/contacts/" + call + "/recording.wav": "", // not before the reason is given
	}
	p, err := func() (name string, err error) {
		err = b.DB.Read(t.Context(), func(tx *db.Tx) error {
			got, err := b.Party.Get(t.Context(), tx, party)
			if err == nil {
				name = got.Name
			}
			return err
		})
		return name, err
	}()
	if err != nil {
		t.Fatal(err)
	}
	for i, login := range []string{"wang", "li", "zhang", "zhao", "chen", "zhou"} {
		r := b.as(t, login, []string{"zh-CN", "en"}[i%2])
		for path, may := range pages {
			status := http.StatusForbidden
			if strings.Contains(may, login) {
				status = http.StatusOK
			}
			page := r.get(path, status)
			if k := bare(page); k != "" {
				t.Errorf("%s in %s shows the key %q", path, r.lang, k)
			}
			if strings.Contains(page, p) {
				t.Errorf("%s shows %s the name of a customer", path, login)
			}
		}
	}
	b.as(t, "wang", "zh").get("/nowhere", http.StatusNotFound)
	b.as(t, "wang", "zh").get("/contacts/nobody", http.StatusNotFound)
}

func (b *bank) recording(t *testing.T, call contact.ID) {
	r := b.as(t, "zhang", "zh")
	page := b.heard(t, r, call)
	for _, want := range []string{"data-player", "/contacts/" + call + "/recording.wav", "合规", "gate.decided"} {
		if !strings.Contains(page, want) {
			t.Errorf("the contact's page lacks %q", want)
		}
	}
	s, err := wave.Decode(strings.NewReader(r.get("/contacts/"+call+"/recording.wav", http.StatusOK)))
	if err != nil || s.Channels != 2 || s.Length() < time.Second {
		t.Fatalf("recording: %+v %v", s, err)
	}
	// Its end is known and stored, so nobody may write another.
	b.as(t, "chen", "zh").post("/contacts/"+call+"/reconcile", url.Values{"outcome": {"busy"}}, http.StatusConflict)
	b.as(t, "chen", "zh").post("/contacts/"+call+"/reconcile", url.Values{"outcome": {"unknown"}}, http.StatusUnprocessableEntity)
	r.post("/contacts/"+call+"/reconcile", url.Values{"outcome": {"busy"}}, http.StatusForbidden)
	var p wave.Peaks
	if err := json.Unmarshal([]byte(r.get("/contacts/"+call+"/peaks.json", http.StatusOK)), &p); err != nil || len(p.Lanes) != 2 {
		t.Fatalf("peaks: %v %v", len(p.Lanes), err)
	}
}

// live reads the board's stream until its figures have come twice.
func (b *bank) live(t *testing.T) {
	r := b.as(t, "li", "en")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url+"/board/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Language", "en")
	res, err := r.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	go func() {
		for ctx.Err() == nil {
			b.broker.Publish(httpx.Event{Topic: "board"})
			time.Sleep(100 * time.Millisecond)
		}
	}()
	figures := 0
	sc := bufio.NewScanner(res.Body)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		if sc.Text() == "event: figures" {
			figures++
		}
		if strings.Contains(sc.Text(), "Calls placed") && figures >= 2 {
			return
		}
	}
	t.Fatalf("the figures came %d times", figures)
}

var campaignAt = regexp.MustCompile(`/campaigns/([0-9a-f-]{36})/edit`)

// fourEyes makes a campaign on the pages: its maker cannot approve it, and
// what is approved is the version that was looked at.
func (b *bank) fourEyes(t *testing.T, party contact.ID) {
	wang, li := b.as(t, "wang", "zh"), b.as(t, "li", "zh")
	form := url.Values{"name": {"换卡提醒"}, "purpose": {"service"}, "relation": {"self"}, "caller_id": {"95500"}, "max_attempts": {"2"},
		"max_per_day": {"1"}, "concurrency": {"1"}, "cps": {"1"}, "from": {"18:00"}, "to": {"20:00"}, "retry_busy": {"10"}}
	// The bank's day begins at 10:00: it runs and calls nobody yet, so it is not over before it is paused.
	if page := wang.post("/campaigns", form, http.StatusUnprocessableEntity); !strings.Contains(page, "换卡提醒") || !strings.Contains(page, `aria-invalid="true"`) {
		t.Error("the form lost what was typed, or does not say what is wrong")
	}
	scripts, err := campaign.DemoScripts(b.Prompts.Has)
	if err != nil {
		t.Fatal(err)
	}
	form.Set("script", scripts["card_renewal"].Hash())
	m := campaignAt.FindStringSubmatch(wang.post("/campaigns", form, http.StatusOK))
	if m == nil {
		t.Fatal("the campaign was not made")
	}
	at := "/campaigns/" + m[1]
	var ref string
	if err := b.DB.Read(t.Context(), func(tx *db.Tx) error {
		p, err := b.Party.Get(t.Context(), tx, party)
		if err == nil {
			ref = p.Ref
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	wang.post(at+"/members", url.Values{"refs": {ref + "\nNOBODY"}}, http.StatusOK)
	wang.post(at+"/start", nil, http.StatusConflict)
	if page := wang.post(at+"/submit", nil, http.StatusOK); !strings.Contains(page, "等待第二人审批") {
		t.Error("it does not wait for a second person")
	}
	ask := regexp.MustCompile(`/approvals/[0-9a-f-]{36}`).FindString(li.get(at, http.StatusOK))
	if ask == "" {
		t.Fatal("the campaign does not lead to what waits for the approver")
	}
	page := li.get(ask, http.StatusOK)
	hash := regexp.MustCompile(`name="hash" value="([0-9a-f]+)"`).FindStringSubmatch(page)
	if hash == nil || !strings.Contains(page, "calls_per_second: 1") {
		t.Fatal("the approver is not shown what is approved")
	}
	wang.post(ask+"/approve", url.Values{"hash": {hash[1]}}, http.StatusForbidden)
	li.post(ask+"/approve", url.Values{"hash": {strings.Repeat("0", len(hash[1]))}}, http.StatusConflict)
	li.post(ask+"/approve", url.Values{"hash": {hash[1]}}, http.StatusOK)
	wang.post(at+"/start", nil, http.StatusOK)
	if page := wang.post(at+"/pause", url.Values{"reason": {"试呼结束"}}, http.StatusOK); !strings.Contains(page, "试呼结束") {
		t.Error("the page does not say why it is paused")
	}
	form.Set("cps", "2")
	if page := wang.post(at, form, http.StatusOK); !strings.Contains(page, "草稿") {
		t.Error("a changed campaign is no draft")
	}
}

func (b *bank) stop(t *testing.T, party contact.ID) {
	at := "/customers/" + party
	b.as(t, "wang", "zh").post(at+"/stop", url.Values{"purpose": {"all"}, "reason": {"x"}}, http.StatusForbidden)
	zhang := b.as(t, "zhang", "zh")
	zhang.post(at+"/stop", url.Values{"purpose": {"all"}}, http.StatusUnprocessableEntity)
	page := zhang.post(at+"/stop", url.Values{"purpose": {"all"}, "reason": {"客户来电要求"}}, http.StatusOK)
	if !strings.Contains(page, "免打扰") || !strings.Contains(page, "张华") {
		t.Error("the page does not show the stop and who recorded it")
	}
	var st contact.Standing
	if err := b.DB.Read(t.Context(), func(tx *db.Tx) error {
		m, err := b.Consent.Load(t.Context(), tx, []contact.ID{party}, false)
		st = m[party]
		return err
	}); err != nil {
		t.Fatal(err)
	}
	// Not the last, if the customer presses 9 in a call that is under way.
	if !slices.ContainsFunc(st.Stops, func(s contact.Stop) bool { return s.Kind == contact.DoNotContact }) {
		t.Errorf("standing %+v", st.Stops)
	}
}

func (b *bank) signIn(t *testing.T) {
	stranger := b.as(t, "", "zh")
	if page := stranger.get("/contacts", http.StatusOK); !strings.Contains(page, `name="password"`) || !strings.Contains(page, `value="/contacts"`) {
		t.Error("a stranger is not sent to the sign-in page with the way back")
	}
	if page := stranger.post("/signin", url.Values{"login": {"wang"}, "password": {"wrong"}}, http.StatusForbidden); strings.Contains(page, `value="wrong"`) {
		t.Error("the password came back")
	}
	wang := b.as(t, "wang", "zh")
	wang.post("/signout", nil, http.StatusOK)
	if page := wang.get("/campaigns", http.StatusOK); !strings.Contains(page, `name="password"`) {
		t.Error("still signed in after signing out")
	}
}

// campaigns lists the demo's campaigns.
func (b *bank) campaigns(t *testing.T) []contact.ID {
	t.Helper()
	list, err := b.Campaigns.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []contact.ID
	for _, c := range list {
		out = append(out, c.ID)
	}
	return out
}
