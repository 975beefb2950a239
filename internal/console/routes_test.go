package console_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/internal/access"
	"parley/internal/app"
	"parley/internal/console/frame"
	"parley/internal/contact"
	"parley/internal/db/dbtest"
)

var wildcard = regexp.MustCompile(`\{[^}]*\}`)

// walker asks for pages as one member of staff, or as a stranger.
type walker struct {
	t     *testing.T
	bank  *app.Demo
	token string
}

// ask gives the status of a route, where it sends the reader, and the page's
// beginning. A live stream is left once it has begun.
func (w *walker) ask(pattern string) (status int, to, said string) {
	w.t.Helper()
	method, path, ok := strings.Cut(pattern, " ")
	if !ok {
		w.t.Fatalf("the route %q has no method", pattern)
	}
	path = strings.ReplaceAll(path, "{$}", "")
	path = wildcard.ReplaceAllStringFunc(path, func(string) string { return contact.NewID() })
	ctx, stop := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, method, w.bank.Addr+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Accept-Language", "en")
	if w.token != "" {
		r.AddCookie(&http.Cookie{Name: "parley", Value: w.token})
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(r)
	if err != nil {
		w.t.Fatalf("%s: %v", pattern, err)
	}
	defer res.Body.Close()
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		return res.StatusCode, "", ""
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		w.t.Fatalf("%s: %v", pattern, err)
	}
	return res.StatusCode, res.Header.Get("Location"), string(raw)
}

// beforeSignIn is all that a stranger may reach.
var beforeSignIn = []string{"/", "GET /signin", "POST /signin", "POST /signout", "GET /signin/second", "POST /signin/second", "GET /signin/enrol",
	"POST /signin/enrol", "POST /signin/enrol/passkey/offer", "POST /signin/enrol/passkey", "POST /signin/passkey/ask", "POST /signin/passkey",
	"GET /signin/oidc", "GET /signin/oidc/back", "GET /welcome", "POST /welcome", "POST /enter"}

// Every route of the running console by every role, against the table of
// permissions: who may not is refused by the door, who may is not (whatever
// else the page says of a thing that does not exist), a stranger is sent to
// sign in, and an account without a role may nothing. No route can be forgotten:
// the console lists what it serves. ASVS 5.0 8.1.1, 8.2.1, 8.2.2, 8.3.1.
func TestEveryRouteByEveryRole(t *testing.T) {
	t.Parallel()
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) { t.Parallel(); everyRoute(t, engine) })
	}
}

func everyRoute(t *testing.T, engine string) {
	o := app.DemoOptions{Dir: t.TempDir(), Addr: "127.0.0.1:0", Seed: 3, People: 20, Log: slog.New(slog.DiscardHandler)}
	if engine == "postgres" {
		o.Database = dbtest.URL(t, engine)
	}
	d, err := app.StartDemo(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	routes := d.Staff.Routes()
	if len(routes) < 60 {
		t.Fatalf("only %d routes: the console no longer lists what it serves", len(routes))
	}
	refusal := func(status int, page string) bool {
		return status == http.StatusForbidden && strings.Contains(page, frame.ErrRole.En)
	}
	who := map[string][]access.Role{"nobody": {}}
	for _, r := range access.Roles() {
		who[string(r)] = []access.Role{r}
	}
	for name, roles := range who {
		st, err := d.Access.AddStaff(t.Context(), access.Staff{Login: "walk." + name, Name: name, Roles: roles}, "")
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token, _, err := d.Access.Enter(t.Context(), st.ID)
			if err != nil {
				t.Fatal(err)
			}
			w := &walker{t: t, bank: d, token: token}
			for _, r := range routes {
				if r.Need == "" {
					continue
				}
				status, to, page := w.ask(r.Pattern)
				switch may := access.May(roles, r.Need) && (r.Also == "" || access.May(roles, r.Also)); {
				case strings.HasPrefix(to, "/signin"):
					t.Errorf("%s: %s was taken for a stranger", r.Pattern, name)
				case !may && !refusal(status, page):
					t.Errorf("%s: %s may not %s but got %d", r.Pattern, name, r.Need, status)
				case may && (refusal(status, page) || status >= 500):
					t.Errorf("%s: %s may %s but got %d: %s", r.Pattern, name, r.Need, status, text(page))
				}
			}
		})
	}
	t.Run("stranger", func(t *testing.T) {
		t.Parallel()
		w := &walker{t: t, bank: d}
		for _, r := range routes {
			if r.Need == "" {
				if !slices.Contains(beforeSignIn, r.Pattern) {
					t.Errorf("%s is open to strangers and not on the list of what may be", r.Pattern)
				}
				continue
			}
			if status, to, _ := w.ask(r.Pattern); status != http.StatusSeeOther || !strings.HasPrefix(to, "/signin") {
				t.Errorf("%s: a stranger got %d %s", r.Pattern, status, to)
			}
		}
	})
}
