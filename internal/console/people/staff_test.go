package people_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"parley/internal/access"
)

// visitor is somebody's browser without scripts.
type visitor struct {
	t    *testing.T
	base string
	http *http.Client
	head http.Header // of the last answer
}

func visit(t *testing.T, base string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t: t, base: base, http: &http.Client{Jar: jar, Timeout: 5 * time.Minute}}
}

func (v *visitor) ask(method, path string, form url.Values, want int) string {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Accept-Language", "en")
	r.Header.Set("Accept", "text/html")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := v.http.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	v.head = res.Header
	if res.Request.Response != nil && v.head.Get("Clear-Site-Data") == "" {
		v.head = res.Request.Response.Header.Clone() // of the redirect that led here
	}
	if res.StatusCode != want {
		v.t.Fatalf("%s %s: %d, want %d\n%s", method, path, res.StatusCode, want, raw)
	}
	return string(raw)
}

func (v *visitor) get(path string) string { v.t.Helper(); return v.ask(http.MethodGet, path, nil, 200) }
func (v *visitor) post(path string, form url.Values) string {
	v.t.Helper()
	return v.ask(http.MethodPost, path, form, 200)
}

var shownSecret = regexp.MustCompile(`<code class="secret">([A-Z2-7 ]+)</code>`)

const phrase = "four unrelated quiet words"

// enter sets an account up by its link, with an authenticator app, and is in.
func enter(t *testing.T, base, link string, first url.Values) *visitor {
	t.Helper()
	v := visit(t, base)
	_, code, _ := strings.Cut(link, "#")
	form := url.Values{"code": {code}, "step": {"password"}, "password": {phrase}, "again": {phrase}}
	for k, x := range first {
		form[k] = x
	}
	page := v.post("/welcome", form)
	m := shownSecret.FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("no authenticator is offered:\n%s", page)
	}
	now, err := totp.GenerateCode(strings.ReplaceAll(m[1], " ", ""), watch())
	if err != nil {
		t.Fatal(err)
	}
	if page = v.post("/signin/enrol", url.Values{"code": {now}}); !strings.Contains(page, "Recovery codes") {
		t.Fatalf("no recovery codes:\n%s", page)
	}
	return v
}

// invited makes a link for somebody and enters by it.
func invited(t *testing.T, boss *visitor, id string) *visitor {
	t.Helper()
	m := regexp.MustCompile(`http://[^ <]+/welcome#[\w-]+`).FindString(boss.post("/staff/"+id+"/link", nil))
	if m == "" {
		t.Fatal("no link is shown")
	}
	if strings.Contains(boss.get("/staff/"+id), m) {
		t.Error("the link is shown again")
	}
	return enter(t, boss.base, m, nil)
}

// Staff come and go through the pages: the first administrator alone decides at
// once; as soon as there is a second person who may, nobody decides what he
// asked for himself (ASVS 5.0 6.4.3, 6.4.4, 7.4.2, 7.4.5, 14.3.1, 14.3.2).
func TestStaffThroughFourEyes(t *testing.T) {
	t.Parallel()
	r, link := serve(t, "sqlite")
	base, _, _ := strings.Cut(link, "/welcome#")
	boss := enter(t, base, link, url.Values{"login": {"boss"}, "name": {"王总"}})

	hire := func(login, role string) access.Staff {
		t.Helper()
		boss.post("/staff", url.Values{"login": {login}, "name": {"员工" + login}, "role": {role}})
		st, err := r.Access.ByLogin(t.Context(), login)
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	he := hire("he", "compliance")
	if !he.May(access.ApproveStaff) {
		t.Fatalf("a bank's first administrator cannot begin: %+v", he)
	}
	compliance := invited(t, boss, he.ID)

	li := hire("li", "handler")
	if len(li.Roles) != 0 {
		t.Fatalf("an administrator gives a role alone: %+v", li)
	}
	decide := func(by *visitor, kind string, want int) {
		t.Helper()
		asked, err := r.Access.Waiting(t.Context(), li.ID)
		if err != nil || asked[kind] == nil {
			t.Fatalf("nothing waits: %v", err)
		}
		by.ask(http.MethodPost, "/approvals/"+asked[kind].ID+"/approve", url.Values{"hash": {asked[kind].Hash}}, want)
	}
	decide(boss, access.KindRoles, http.StatusForbidden)
	decide(compliance, access.KindRoles, http.StatusOK)
	handler := invited(t, boss, li.ID)
	handler.get("/complaints")
	if got := handler.head.Get("Cache-Control"); got != "no-store" {
		t.Errorf("a page with customers may be cached: %q", got)
	}

	boss.post("/staff/"+li.ID+"/sessions", nil)
	if page := handler.get("/complaints"); !strings.Contains(page, `action="/signin"`) {
		t.Error("a session that an administrator ended goes on")
	}
	boss.post("/staff/"+li.ID+"/reset", url.Values{"reason": {"lost the telephone"}})
	boss.ask(http.MethodPost, "/staff/"+li.ID+"/link", nil, http.StatusConflict) // not before the second person
	decide(boss, access.KindReset, http.StatusForbidden)
	decide(compliance, access.KindReset, http.StatusOK)
	handler.ask(http.MethodPost, "/signin", url.Values{"login": {"li"}, "password": {phrase}}, http.StatusForbidden)
	handler = invited(t, boss, li.ID)

	boss.post("/staff/"+li.ID+"/disable", nil)
	if page := handler.get("/complaints"); !strings.Contains(page, `action="/signin"`) {
		t.Error("a closed account goes on")
	}
	me, err := r.Access.ByLogin(t.Context(), "boss")
	if err != nil {
		t.Fatal(err)
	}
	boss.ask(http.MethodPost, "/staff/"+me.ID+"/disable", nil, http.StatusForbidden)
	boss.ask(http.MethodPost, "/staff/"+me.ID+"/number", url.Values{"number": {"1"}}, http.StatusForbidden)

	boss.ask(http.MethodPost, "/signout", nil, 200)
	if boss.head.Get("Clear-Site-Data") == "" {
		t.Error("signing out leaves the browser's store")
	}
}

// ASVS 5.0 15.2.3: the demo's door does not exist in a real bank.
func TestOneTapIsForTheDemoOnly(t *testing.T) {
	t.Parallel()
	r, link := serve(t, "sqlite")
	base, _, _ := strings.Cut(link, "/welcome#")
	st, err := r.Access.AddStaff(t.Context(), access.Staff{Login: "li", Roles: []access.Role{access.Handler}}, phrase)
	if err != nil {
		t.Fatal(err)
	}
	v := visit(t, base)
	v.ask(http.MethodPost, "/enter", url.Values{"staff": {st.ID}}, http.StatusNotFound)
	if page := v.get("/signin"); strings.Contains(page, "/enter") || strings.Contains(page, st.ID) {
		t.Error("the sign-in page lists the staff of a real bank")
	}
}

// ASVS 5.0 6.3.1: an address that keeps failing is shut out, whatever accounts it tries.
func TestOneAddressCannotTryForEver(t *testing.T) {
	t.Parallel()
	_, link := serve(t, "sqlite")
	base, _, _ := strings.Cut(link, "/welcome#")
	v := visit(t, base)
	for range 100 {
		v.ask(http.MethodPost, "/signin/second", url.Values{"code": {"000000"}}, http.StatusForbidden)
	}
	v.ask(http.MethodPost, "/signin/second", url.Values{"code": {"000000"}}, http.StatusTooManyRequests)
	v.ask(http.MethodPost, "/signin", url.Values{"login": {"a"}, "password": {"b"}}, http.StatusTooManyRequests)
	v.get("/signin")
}
