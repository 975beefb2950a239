package portal

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/mail"
	"strings"

	"parley/internal/access/customer"
	"parley/internal/errs"
	"parley/internal/httpx"
	"parley/internal/mask"
	"parley/internal/party"
	"parley/internal/phone"
)

// The cookies of these pages. All end with the browser, which may be shared.
const (
	meCookie    = "me"    // the session
	askedCookie = "asked" // the code that was asked for
	sentCookie  = "sent"  // where it was sent, masked
	nextCookie  = "next"  // where the visitor was going
	draftCookie = "draft" // the complaint being written
	keptCookie  = "kept"  // a form that was interrupted by sign-in
)

func (p *portal) set(w http.ResponseWriter, name, value string) {
	age := 0
	if value == "" {
		age = -1
	}
	http.SetCookie(w, httpx.Cookie(p.House.Secure, name, value, age))
}

func cookie(r *http.Request, name string) string {
	if c, err := r.Cookie(name); err == nil {
		return c.Value
	}
	return ""
}

type sessionKey struct{}

// in gives the session of a page's visitor, nil for a stranger.
func in(ctx context.Context) *customer.Session {
	s, _ := ctx.Value(sessionKey{}).(*customer.Session)
	return s
}

// mine is page for those who are known. A stranger is asked who they are first
// and then comes back, with whatever they had typed.
func (p *portal) mine(fn func(w http.ResponseWriter, r *http.Request, s *customer.Session) error) http.Handler {
	return p.page(func(w http.ResponseWriter, r *http.Request) error {
		s := in(r.Context())
		if s == nil {
			return p.askIn(w, r)
		}
		return fn(w, r, s)
	})
}

// kept is a form that was sent when the session had just ended.
type kept struct {
	Path   string
	Values map[string]string
}

func (p *portal) askIn(w http.ResponseWriter, r *http.Request) error {
	to := r.URL.Path
	if r.Method == http.MethodGet {
		to = r.URL.RequestURI()
	} else if f, err := httpx.ReadForm(w, r); err == nil {
		k := kept{Path: to, Values: map[string]string{}}
		for name := range r.PostForm {
			k.Values[name] = f.Get(name)
		}
		token, err := p.Customers.Keep(r.Context(), "", k)
		if err != nil {
			return err
		}
		p.set(w, keptCookie, token)
	}
	p.goIn(w, to)
	httpx.Go(w, r, "/my/enter")
	return nil
}

// again gives what was typed into the form of this page before sign-in
// interrupted it; nil when nothing was.
func (p *portal) interrupted(w http.ResponseWriter, r *http.Request) (*httpx.Form, error) {
	token := cookie(r, keptCookie)
	if token == "" {
		return nil, nil
	}
	var k kept
	ok, err := p.Customers.Draft(r.Context(), token, &k)
	if err != nil || !ok || k.Path != r.URL.Path {
		return nil, err
	}
	p.set(w, keptCookie, "")
	f := &httpx.Form{}
	for name, v := range k.Values {
		f.Set(name, v)
	}
	return f, p.Customers.Forget(r.Context(), token)
}

// goIn remembers where the visitor was going.
func (p *portal) goIn(w http.ResponseWriter, to string) {
	p.set(w, nextCookie, base64.RawURLEncoding.EncodeToString([]byte(to)))
}

// next gives where the visitor was going. The cookie comes from the browser, so
// only pages of ours are believed.
func next(r *http.Request) string {
	raw, err := base64.RawURLEncoding.DecodeString(cookie(r, nextCookie))
	to := string(raw)
	ours := strings.HasPrefix(to, "/my") || strings.HasPrefix(to, "/complain") || strings.HasPrefix(to, "/c/")
	if err != nil || !ours || strings.ContainsAny(to, "\\\r\n") || strings.HasPrefix(to, "/my/enter") {
		return "/my"
	}
	return to
}

func (p *portal) enter(w http.ResponseWriter, r *http.Request) error {
	f := &httpx.Form{}
	d, err := p.draft(r)
	if err != nil {
		return err
	}
	if to := r.URL.Query().Get("to"); to == "check" { // from the complaint that is being written
		p.goIn(w, "/complain/check")
		f.Set("address", d.Phone)
	} else if t := r.URL.Query().Get("case"); t != "" {
		p.goIn(w, "/c/"+t)
	}
	return p.enterPage(w, r, http.StatusOK, f)
}

func (p *portal) enterPage(w http.ResponseWriter, r *http.Request, status int, f *httpx.Form) error {
	var samples []Sample
	if p.House.Simulated && p.Samples != nil {
		var err error
		if samples, err = p.Samples(r.Context()); err != nil {
			return err
		}
	}
	return show(w, r, status, p.enterForm(f, samples))
}

// ask sends a code. Whatever is typed, known or not, the same page follows.
func (p *portal) ask(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	kind, value, masked := address(f.Text("address", 200))
	if f.OK() && value == "" {
		f.Wrong("address", say(ctx, "enter_bad"))
	}
	if !f.OK() {
		return p.enterPage(w, r, http.StatusUnprocessableEntity, f)
	}
	asked, err := p.Customers.Ask(ctx, kind, value, httpx.From(ctx).Client)
	if errors.Is(err, customer.ErrTooOften) {
		f.Wrong("address", say(ctx, "enter_often"))
		return p.enterPage(w, r, http.StatusTooManyRequests, f)
	}
	if err != nil {
		return err
	}
	p.set(w, askedCookie, asked)
	p.set(w, sentCookie, base64.RawURLEncoding.EncodeToString([]byte(string(kind)+" "+masked)))
	httpx.Go(w, r, "/my/code")
	return nil
}

// address reads a telephone number or an e-mail address; value is "" for neither.
func address(s string) (kind party.PointKind, value, masked string) {
	if strings.Contains(s, "@") {
		a, err := mail.ParseAddress(s)
		if err != nil || a.Name != "" {
			return "", "", ""
		}
		return party.Email, a.Address, mask.Email(a.Address)
	}
	n, err := phone.Parse(s, phone.Default)
	if err != nil || n.Short {
		return "", "", ""
	}
	return party.Phone, n.E164, mask.Phone(n.E164)
}

// sent gives where the last code went, as the browser was told.
func sent(r *http.Request) (kind party.PointKind, masked string) {
	raw, err := base64.RawURLEncoding.DecodeString(cookie(r, sentCookie))
	k, m, ok := strings.Cut(string(raw), " ")
	if err != nil || !ok || len(m) > 200 {
		return "", ""
	}
	return party.PointKind(k), m
}

func (p *portal) codePage(w http.ResponseWriter, r *http.Request) error {
	if cookie(r, askedCookie) == "" {
		httpx.Go(w, r, "/my/enter")
		return nil
	}
	return p.codeForm(w, r, http.StatusOK, &httpx.Form{})
}

func (p *portal) codeForm(w http.ResponseWriter, r *http.Request, status int, f *httpx.Form) error {
	kind, masked := sent(r)
	simulated := ""
	if p.House.Simulated {
		simulated = p.Customers.Simulated(cookie(r, askedCookie))
	}
	return show(w, r, status, p.codeFormPage(f, kind, masked, simulated))
}

func (p *portal) confirm(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	code := strings.NewReplacer(" ", "", "-", "").Replace(f.Text("code", 20))
	if !f.OK() {
		return p.codeForm(w, r, http.StatusUnprocessableEntity, f)
	}
	token, err := p.Customers.Confirm(ctx, cookie(r, askedCookie), code)
	if err != nil {
		e := errs.Public(err)
		if e.Kind != errs.Invalid {
			return err
		}
		f.Wrong("code", say(ctx, e.Code))
		f.Set("code", "")
		return p.codeForm(w, r, http.StatusUnprocessableEntity, f)
	}
	if old := cookie(r, meCookie); old != "" { // who was in before is out now
		if err := p.Customers.Leave(ctx, old); err != nil {
			return err
		}
	}
	to := next(r)
	p.set(w, meCookie, token)
	for _, name := range []string{askedCookie, sentCookie, nextCookie} {
		p.set(w, name, "")
	}
	httpx.Go(w, r, to)
	return nil
}

// leave forgets the visitor and all they have typed: the next one may be
// somebody else at the same phone.
func (p *portal) leave(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	if token := cookie(r, meCookie); token != "" {
		if err := p.Customers.Leave(ctx, token); err != nil {
			return err
		}
	}
	for _, name := range []string{draftCookie, keptCookie} {
		if err := p.Customers.Forget(ctx, cookie(r, name)); err != nil {
			return err
		}
	}
	for _, name := range []string{meCookie, askedCookie, sentCookie, nextCookie, draftCookie, keptCookie} {
		p.set(w, name, "")
	}
	w.Header().Set("Clear-Site-Data", `"cache"`)
	httpx.Go(w, r, "/my/left")
	return nil
}

func (p *portal) left(w http.ResponseWriter, r *http.Request) error {
	return show(w, r, http.StatusOK, p.leftPage())
}

func (p *portal) lookUp(w http.ResponseWriter, r *http.Request) error {
	return show(w, r, http.StatusOK, p.caseDoor(&httpx.Form{}))
}

// openCase opens the case that a number and its query code name.
func (p *portal) openCase(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	number, code := f.Text("number", 40), f.Text("query", 40)
	v := httpx.From(ctx)
	if f.OK() && (!p.looking.Allow(v.Client, v.Now) || !p.looking.Allow("case "+number, v.Now)) {
		f.Wrong("query", say(ctx, "case_often"))
	}
	if f.OK() {
		c, err := p.Desk.ByNumberAndCode(ctx, number, code)
		if err == nil {
			httpx.Go(w, r, "/c/"+c.Token)
			return nil
		}
		if errs.Public(err).Kind != errs.Invalid {
			return err
		}
		f.Wrong("query", say(ctx, "case_code_wrong"))
	}
	return show(w, r, http.StatusUnprocessableEntity, p.caseDoor(f))
}
