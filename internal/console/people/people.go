// Package people is the pages about those who work here: the door they come in
// by, their own account, the list of staff, and the table of who may do what.
package people

import (
	"context"
	_ "embed"
	"net/http"
	"strings"
	"time"

	"parley/internal/access"
	"parley/internal/console/frame"
	"parley/internal/errs"
	"parley/internal/httpx"
	"parley/internal/httpx/words"
	"parley/internal/limit"
)

// Deps are what the pages stand on.
type Deps struct {
	Frame  *frame.Frame
	Access *access.Store
	Origin string // where staff reach the console, for the links they are given; "" = as they came
	Demo   bool   // a fictitious bank: one tap enters as any member of staff
}

// pages serves them.
type pages struct {
	Deps
	tries *limit.Limit // failed tries by address, over all accounts
}

// How many failed tries an address has: an office of many shares one.
const (
	mostTries = 100
	triesSpan = 15 * time.Minute
	tryAddrs  = 8192
)

// Routes gives the pages.
func Routes(d Deps) []frame.Route {
	p := &pages{Deps: d, tries: limit.New(mostTries, triesSpan, tryAddrs)}
	to := frame.To
	out := []frame.Route{
		to("GET /signin", "", p.signInPage),
		to("POST /signin", "", p.tried(p.signIn)),
		to("POST /signout", "", p.signOut),
		to("GET /signin/second", "", p.secondPage),
		to("POST /signin/second", "", p.tried(p.second)),
		to("GET /signin/enrol", "", p.enrolPage),
		to("POST /signin/enrol", "", p.tried(p.enrol)),
		to("POST /signin/enrol/passkey/offer", "", p.tried(p.enrolOffer)),
		to("POST /signin/enrol/passkey", "", p.tried(p.enrolPasskey)),
		to("POST /signin/passkey/ask", "", p.tried(p.passkeyAsk)),
		to("POST /signin/passkey", "", p.tried(p.passkey)),
		to("GET /signin/oidc", "", p.tried(p.oidcGo)),
		to("GET /signin/oidc/back", "", p.tried(p.oidcBack)),
		to("GET /welcome", "", p.welcomePage),
		to("POST /welcome", "", p.tried(p.welcome)),

		to("GET /account", access.OwnAccount, p.accountPage),
		to("POST /account/password", access.OwnAccount, p.tried(p.password)),
		to("GET /account/totp", access.OwnAccount, p.totpPage),
		to("POST /account/totp", access.OwnAccount, p.tried(p.totpAdd)),
		to("POST /account/totp/remove", access.OwnAccount, p.totpRemove),
		to("POST /account/recovery", access.OwnAccount, p.recovery),
		to("POST /account/passkeys/offer", access.OwnAccount, p.passkeyOffer),
		to("POST /account/passkeys", access.OwnAccount, p.passkeyAdd),
		to("POST /account/passkeys/remove", access.OwnAccount, p.passkeyRemove),
		to("GET /account/oidc", access.OwnAccount, p.oidcLink),
		to("POST /account/sessions/end", access.OwnAccount, p.sessionEnd),
		to("POST /account/sessions/others", access.OwnAccount, p.sessionsEnd),

		to("GET /staff/new", access.EditStaff, p.staffForm),
		to("POST /staff", access.EditStaff, p.staffAdd),
		to("GET /staff/{id}", access.SeeStaff, p.staffOne),
		to("POST /staff/{id}/roles", access.EditStaff, p.staffRoles),
		to("POST /staff/{id}/number", access.EditStaff, p.staffNumber),
		to("POST /staff/{id}/link", access.EditStaff, p.staffLink),
		to("POST /staff/{id}/disable", access.EditStaff, p.staffDisable),
		to("POST /staff/{id}/enable", access.EditStaff, p.staffEnable),
		to("POST /staff/{id}/sessions", access.EditStaff, p.staffSessions),
		to("POST /staff/{id}/reset", access.EditStaff, p.staffReset),

		to("GET /access", access.SeeAccess, p.accessPage),
	}
	out = append(out, d.Frame.ToList("/staff", access.SeeStaff, p.staffList)...)
	if d.Demo {
		out = append(out, to("POST /enter", "", p.enter))
	}
	return out
}

//go:embed words.yaml
var wordsFile []byte

var book = words.NewBook("people", wordsFile)

// say gives this room's sentence for key in the reader's language.
func say(ctx context.Context, key string, args ...any) string { return book.Say(ctx, key, args...) }

var errOften = errs.New(errs.TooMany, "too_many_tries", "从您的网络来的失败尝试太多，请 15 分钟后再试。",
	"Too many tries from your network have failed. Please try again in 15 minutes.")

// tried keeps an address from trying for ever: what is refused counts, what
// succeeds does not, so that an office that comes in the morning is not shut out.
func (p *pages) tried(then frame.Page) frame.Page {
	return func(w http.ResponseWriter, r *http.Request) error {
		v := httpx.From(r.Context())
		if p.tries.Over(v.Client, v.Now) > 0 {
			return errOften
		}
		rec := &seen{ResponseWriter: w}
		err := then(rec, r)
		if e := errs.Public(err); err != nil && e.Kind != errs.Internal || rec.status >= 400 && rec.status < 500 {
			p.tries.Take(v.Client, v.Now)
		}
		return err
	}
}

// seen remembers the status of a page that shows its refusal itself.
type seen struct {
	http.ResponseWriter
	status int
}

func (s *seen) WriteHeader(code int) { s.status = code; s.ResponseWriter.WriteHeader(code) }

func (s *seen) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// show shows one of these pages; their script does what needs one.
func (p *pages) show(w http.ResponseWriter, r *http.Request, s frame.Sheet) error {
	s.Scripts = append(s.Scripts, "door.js")
	w.Header().Set("Cache-Control", "no-store")
	return p.Frame.Show(w, r, s)
}

// device says what the reader came with, for the list of sessions.
func device(r *http.Request) access.Device {
	ua := r.UserAgent()
	pick := func(kinds ...string) string { // needle, name, needle, name …
		for i := 0; i < len(kinds); i += 2 {
			if strings.Contains(ua, kinds[i]) {
				return kinds[i+1]
			}
		}
		return ""
	}
	browser := pick("Edg/", "Edge", "MicroMessenger", "WeChat", "OPR/", "Opera", "Firefox/", "Firefox", "Chrome/", "Chrome", "Safari/", "Safari")
	system := pick("Android", "Android", "iPhone", "iPhone", "iPad", "iPad", "Windows", "Windows", "Mac OS X", "macOS", "Linux", "Linux")
	var parts []string
	for _, s := range []string{browser, system, httpx.From(r.Context()).Client} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, " · ")
}

// origin is where links for staff lead.
func (p *pages) origin(r *http.Request) string {
	if p.Origin != "" {
		return strings.TrimSuffix(p.Origin, "/")
	}
	return "http://" + r.Host
}
