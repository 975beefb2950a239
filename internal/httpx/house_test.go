package httpx

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"parley/internal/errs"
	"parley/internal/httpx/words"
)

func house(log io.Writer) *House {
	return &House{BankZh: "守约银行", BankEn: "Parley Bank", Clock: func() time.Time { return time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC) },
		Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
}

// get asks a house with one page for it.
func get(h *House, page func(w http.ResponseWriter, r *http.Request) error, r *http.Request) *httptest.ResponseRecorder {
	mux := http.NewServeMux()
	mux.Handle("/p/{token}", h.Handle(page))
	w := httptest.NewRecorder()
	h.Wrap(mux).ServeHTTP(w, r)
	return w
}

func fine(w http.ResponseWriter, r *http.Request) error {
	_, err := io.WriteString(w, string(words.From(r.Context()))+" "+Minute(r.Context(), From(r.Context()).Now))
	return err
}

func TestLanguageIsTheReadersChoiceThenTheBrowsers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ cookie, accept, want string }{
		{"", "", "zh 2026年11月23日 10:00"},
		{"", "en-GB,en;q=0.8", "en 23 Nov 2026, 10:00"},
		{"", "fr,en;q=0.5,zh;q=0.1", "en 23 Nov 2026, 10:00"},
		{"zh", "en", "zh 2026年11月23日 10:00"},
		{"tlh", "fr", "zh 2026年11月23日 10:00"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/p/x", nil)
		r.Header.Set("Accept-Language", c.accept)
		if c.cookie != "" {
			r.AddCookie(&http.Cookie{Name: "lang", Value: c.cookie})
		}
		if got := get(house(io.Discard), fine, r).Body.String(); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func TestLanguageSwitchComesBackHere(t *testing.T) {
	t.Parallel()
	w := get(house(io.Discard), fine, httptest.NewRequest(http.MethodGet, "/p/x?a=1&lang=en", nil))
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/p/x?a=1" || !strings.Contains(w.Header().Get("Set-Cookie"), "lang=en") {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	r := httptest.NewRequest(http.MethodGet, "/p/x?lang=en", nil)
	r.URL.Path = "//evil.example/x"
	w = httptest.NewRecorder()
	h := house(io.Discard)
	h.Wrap(http.NotFoundHandler()).ServeHTTP(w, r)
	if to := w.Header().Get("Location"); strings.HasPrefix(to, "//") {
		t.Fatalf("leads away: %q", to)
	}
}

func TestErrorsAreSentencesAndCausesStayInTheLog(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		status int
		says   string
	}{
		{errs.New(errs.Refused, "x", "现在不行。", "Not now.").With(errors.New("secret-cause")), 409, "现在不行。"},
		{errs.New(errs.NotFound, "x", "没有。", "None."), 404, "没有。"},
		{errors.New("secret-cause"), 500, "系统出了点问题"},
	} {
		var log bytes.Buffer
		w := get(house(&log), func(http.ResponseWriter, *http.Request) error { return c.err }, httptest.NewRequest(http.MethodGet, "/p/tok3n", nil))
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) || strings.Contains(w.Body.String(), "secret-cause") {
			t.Errorf("%v: %d %s", c.err, w.Code, w.Body)
		}
		if strings.Contains(c.err.Error(), "secret") && !strings.Contains(log.String(), "secret-cause") {
			t.Errorf("the cause is not in the log: %s", &log)
		}
		if strings.Contains(log.String(), "tok3n") {
			t.Errorf("the log holds the path's secret: %s", &log)
		}
		if id := w.Header().Get("X-Request-Id"); id == "" || !strings.Contains(w.Body.String(), id) || !strings.Contains(log.String(), id) {
			t.Errorf("request id %q is not on the page and in the log", id)
		}
	}
}

func TestPanicIsAnErrorPage(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	w := get(house(&log), func(http.ResponseWriter, *http.Request) error { panic("boom") }, httptest.NewRequest(http.MethodGet, "/p/x", nil))
	if w.Code != 500 || strings.Contains(w.Body.String(), "boom") || !strings.Contains(log.String(), "boom") {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
}

func TestOtherSitesCannotPost(t *testing.T) {
	t.Parallel()
	for site, want := range map[string]int{"cross-site": 403, "same-origin": 200} {
		r := httptest.NewRequest(http.MethodPost, "/p/x", strings.NewReader("a=b"))
		r.Header.Set("Sec-Fetch-Site", site)
		if w := get(house(io.Discard), fine, r); w.Code != want {
			t.Errorf("%s: %d, want %d", site, w.Code, want)
		}
	}
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	w := get(house(io.Discard), fine, httptest.NewRequest(http.MethodGet, "/p/x", nil))
	csp := w.Header().Get("Content-Security-Policy")
	if !strings.HasPrefix(csp, "default-src 'self'") || strings.Contains(csp, "unsafe") {
		t.Errorf("CSP %q", csp)
	}
	for _, h := range []string{"X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Permissions-Policy"} {
		if w.Header().Get(h) == "" {
			t.Errorf("no %s", h)
		}
	}
	if w.Header().Get("Strict-Transport-Security") != "" {
		t.Error("HSTS without TLS")
	}
	h := house(io.Discard)
	h.Secure = true
	w = get(h, fine, httptest.NewRequest(http.MethodGet, "/p/x", nil))
	if got := w.Header().Get("Strict-Transport-Security"); got != "max-age=31536000; includeSubDomains" {
		t.Errorf("HSTS %q", got)
	}
}

// Over TLS every cookie is for this host only, and no page sees another
// (ASVS 5.0 3.3.1 to 3.3.4).
func TestCookiesAreForThisHostOnly(t *testing.T) {
	t.Parallel()
	h := house(io.Discard)
	h.Secure = true
	c := Cookie(true, "x", "v", 0)
	if c.Name != "__Host-x" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
		t.Errorf("%+v", c)
	}
	r := httptest.NewRequest(http.MethodGet, "/p/x", nil)
	r.AddCookie(c)
	r.AddCookie(&http.Cookie{Name: "lang", Value: "en"}) // planted by another host of the domain
	var seen []*http.Cookie
	get(h, func(_ http.ResponseWriter, r *http.Request) error { seen = r.Cookies(); return nil }, r)
	if len(seen) != 1 || seen[0].Name != "x" || seen[0].Value != "v" {
		t.Errorf("the page sees %v", seen)
	}
	if c := Cookie(false, "x", "v", 0); c.Name != "x" || c.Secure {
		t.Errorf("without TLS %+v", c)
	}
}

// The address that limits count by cannot be made up: only the bank's own
// proxies are believed, and of what they say only the last (ASVS 5.0 4.1.3, 15.3.4).
func TestClientBehindProxies(t *testing.T) {
	t.Parallel()
	h := house(io.Discard)
	h.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct{ from, forwarded, want string }{
		{"203.0.113.7:1234", "", "203.0.113.7"},
		{"203.0.113.7:1234", "198.51.100.1", "203.0.113.7"}, // not from a proxy of ours
		{"10.0.0.5:1234", "198.51.100.1", "198.51.100.1"},
		{"10.0.0.5:1234", "1.1.1.1, 198.51.100.1, 10.0.0.6", "198.51.100.1"}, // the sender wrote 1.1.1.1
		{"10.0.0.5:1234", "rubbish", "10.0.0.5"},
		{"[2001:db8:1:2:3::4]:99", "", "2001:db8:1:2::/64"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/p/x", nil)
		r.RemoteAddr = c.from
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		got := ""
		get(h, func(_ http.ResponseWriter, r *http.Request) error { got = From(r.Context()).Client; return nil }, r)
		if got != c.want {
			t.Errorf("%s with %q is %s, want %s", c.from, c.forwarded, got, c.want)
		}
	}
}

func TestFlashIsShownOnceAndOnlyOurs(t *testing.T) {
	t.Parallel()
	h := house(io.Discard)
	w := httptest.NewRecorder()
	ctx := context.WithValue(t.Context(), visitKey{}, &Visit{House: h})
	SetFlash(w, httptest.NewRequest(http.MethodPost, "/", nil).WithContext(ctx), Flash{Key: "flash.done"})
	show := func(c *http.Cookie) (n int, cleared bool) {
		r := httptest.NewRequest(http.MethodGet, "/p/x", nil)
		r.Header.Set("Accept", "text/html")
		r.AddCookie(c)
		w := get(h, func(_ http.ResponseWriter, r *http.Request) error { n = len(From(r.Context()).Flash); return nil }, r)
		return n, strings.Contains(w.Header().Get("Set-Cookie"), "Max-Age=0")
	}
	if n, cleared := show(w.Result().Cookies()[0]); n != 1 || !cleared {
		t.Errorf("shown %d, cleared %v", n, cleared)
	}
	if n, _ := show(&http.Cookie{Name: "flash", Value: "eyJrIjoiYXBwLm5hbWUifQ"}); n != 0 { // {"k":"app.name"}
		t.Error("a sentence that is no flash was shown")
	}
}

func TestStaticIsHashedCompressedAndKept(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"app.css", "app.js", "chart.js", "player.js", "portal.css", "mark.svg",
		"vendor/htmx.min.js", "vendor/htmx-ext-sse.min.js", "vendor/tabler.min.css", "vendor/echarts.lite.min.js"} {
		url := Asset(name)
		r := httptest.NewRequest(http.MethodGet, "/"+strings.TrimPrefix(url, "/"), nil)
		r.Header.Set("Accept-Encoding", "gzip, br;q=0")
		w := httptest.NewRecorder()
		Static().ServeHTTP(w, r)
		if w.Code != 200 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
			continue
		}
		z, err := gzip.NewReader(w.Body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if raw, err := io.ReadAll(z); err != nil || len(raw) == 0 {
			t.Errorf("%s: %d bytes, %v", name, len(raw), err)
		}
	}
	for accept, want := range map[string]string{"gzip, deflate, br": "br", "br;q=0.1": "br", "*": "br", "gzip;q=1.0, *;q=0": "gzip", "br; q=0, gzip; q=0.5": "gzip",
		"identity": "", "": "", "deflate": "", "gzip;q=0": ""} {
		r := httptest.NewRequest(http.MethodGet, "/"+strings.TrimPrefix(Asset("vendor/htmx.min.js"), "/"), nil)
		r.Header.Set("Accept-Encoding", accept)
		w := httptest.NewRecorder()
		Static().ServeHTTP(w, r)
		if got := w.Header().Get("Content-Encoding"); got != want || w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: coded as %q, want %q", accept, got, want)
		}
	}
	w := httptest.NewRecorder()
	Static().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/static/x/../house.go", nil))
	if w.Code != 404 {
		t.Errorf("what is no asset: %d", w.Code)
	}
}

func TestFormKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("name=+%E5%BC%A0+&n=12&who=x&long=aaaa&day=1&day=2"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	f, err := ReadForm(httptest.NewRecorder(), r)
	if err != nil {
		t.Fatal(err)
	}
	if f.Text("name", 5) != "张" || f.Int("n", 1, 20) != 12 || !f.Has("day", "2") || f.Has("day", "3") || !f.OK() {
		t.Errorf("%+v", f)
	}
	f.Int("n", 1, 10)
	f.One("who", "a", "b")
	f.Text("long", 3)
	f.Text("none", 3)
	for field, want := range map[string]string{"n": "form.not_in_range", "who": "form.choose", "long": "form.too_long", "none": "form.required", "name": ""} {
		if got := f.Error(field); got != want {
			t.Errorf("%s: %q, want %q", field, got, want)
		}
	}
}

func TestSpansAndNumbers(t *testing.T) {
	t.Parallel()
	ctx := words.With(context.WithValue(t.Context(), visitKey{}, &Visit{House: house(io.Discard), Zone: Shanghai(), Now: time.Unix(1e9, 0)}), words.En)
	for d, want := range map[time.Duration]string{0: "just now", 90 * time.Second: "1 min ago", -3 * time.Hour: "in 3 h", 72 * time.Hour: "3 days ago"} {
		if got := Ago(ctx, time.Unix(1e9, 0).Add(-d)); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 41188: "41,188", -1234567: "-1,234,567"} {
		if got := Num(n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}

// The reader's choice of language and theme is kept and never leads to another site.
func TestSwitchView(t *testing.T) {
	t.Parallel()
	h := house(io.Discard)
	seen := ""
	srv := h.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = From(r.Context()).Theme }))
	w := httptest.NewRecorder()
	srv.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "//evil.example/x?theme=dark&lang=en&state=a", nil))
	if to := w.Header().Get("Location"); w.Code != http.StatusSeeOther || strings.HasPrefix(to, "//") || !strings.HasSuffix(to, "?state=a") {
		t.Errorf("%d %q", w.Code, to)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, c := range w.Result().Cookies() {
		r.AddCookie(c)
	}
	if srv.ServeHTTP(httptest.NewRecorder(), r); seen != "dark" {
		t.Errorf("theme %q", seen)
	}
	w = httptest.NewRecorder()
	srv.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/?theme=%3Cscript%3E", nil))
	if len(w.Result().Cookies()) != 0 {
		t.Error("a theme that is none was kept")
	}
}

// Pages go compressed to whoever takes that; live streams never do, for they
// would come late.
func TestPagesAreCompressed(t *testing.T) {
	t.Parallel()
	h := &House{}
	long := strings.Repeat("<p>守约</p>", 500)
	pages := h.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.URL.Query().Get("type"))
		_, _ = io.WriteString(w, long)
	}))
	for kind, want := range map[string]string{"text/html; charset=utf-8": "gzip", "audio/wav": "", "text/event-stream": ""} {
		r := httptest.NewRequest(http.MethodGet, "/?type="+url.QueryEscape(kind), nil)
		r.Header.Set("Accept-Encoding", "gzip")
		if kind == "text/event-stream" {
			r.Header.Set("Accept", kind)
		}
		w := httptest.NewRecorder()
		pages.ServeHTTP(w, r)
		if got := w.Header().Get("Content-Encoding"); got != want {
			t.Errorf("%s is sent as %q, want %q", kind, got, want)
		}
		body := io.Reader(w.Body)
		if want == "gzip" {
			z, err := gzip.NewReader(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			body = z
		}
		if raw, err := io.ReadAll(body); err != nil || string(raw) != long {
			t.Errorf("%s: %d bytes, %v", kind, len(raw), err)
		}
	}
}
