package people

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"parley/internal/access"
	"parley/internal/console/frame"
	"parley/internal/errs"
	"parley/internal/httpx"
	"parley/internal/httpx/words"
)

func (p *pages) signInPage(w http.ResponseWriter, r *http.Request) error {
	return p.showSignIn(w, r, new(httpx.Form).Set("next", frame.Next(r.URL.Query().Get("next"))), 0)
}

// signInView is what the sign-in page offers.
type signInView struct {
	form     *httpx.Form
	demo     []access.Staff
	passkeys bool
	oidc     string // what the identity provider is called, "" = none
}

func (p *pages) showSignIn(w http.ResponseWriter, r *http.Request, f *httpx.Form, status int) error {
	v := signInView{form: f, passkeys: p.Access.PasskeysHere(r.Host)}
	if o := p.Access.Options.OIDC; o != nil {
		v.oidc = o.Label
	}
	if p.Demo {
		var err error
		if v.demo, err = p.Access.List(r.Context()); err != nil {
			return err
		}
	}
	return p.show(w, r, frame.Sheet{Title: words.T(r.Context(), "signin.title"), Status: status, Body: signInPage(v)})
}

func (p *pages) signIn(w http.ResponseWriter, r *http.Request) error {
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	login, password := f.Text("login", 100), f.Text("password", 1000)
	if !f.OK() {
		return p.showSignIn(w, r, f, http.StatusUnprocessableEntity)
	}
	e, err := p.Access.SignIn(r.Context(), login, password, device(r))
	if err != nil {
		return p.refuse(w, r, f, err, p.showSignIn)
	}
	return p.admit(w, r, e, f.Get("next"))
}

// refuse shows the form again with the sentence; what is our fault is an error page.
func (p *pages) refuse(w http.ResponseWriter, r *http.Request, f *httpx.Form, err error,
	show func(http.ResponseWriter, *http.Request, *httpx.Form, int) error) error {
	e := errs.Public(err)
	if e.Kind == errs.Internal {
		return err
	}
	f.Notice = words.Pick(r.Context(), e.Zh, e.En)
	return show(w, r, f, httpx.Status(e.Kind))
}

// admit lets a person in, or on to the step that is still needed.
func (p *pages) admit(w http.ResponseWriter, r *http.Request, e access.Entry, next string) error {
	next = frame.Next(next)
	if e.Step != access.StepIn {
		p.Frame.Door.Wait(w, e.Token)
		httpx.Go(w, r, "/signin/"+string(e.Step)+"?next="+url.QueryEscape(next))
		return nil
	}
	if err := p.Frame.Door.Shut(w, r); err != nil { // a new person never continues an old session
		return err
	}
	p.Frame.Door.Done(w)
	p.Frame.Door.Open(w, e.Token)
	httpx.Go(w, r, next)
	return nil
}

func (p *pages) signOut(w http.ResponseWriter, r *http.Request) error {
	if err := p.Frame.Door.Shut(w, r); err != nil {
		return err
	}
	w.Header().Set("Clear-Site-Data", `"cache", "storage"`) // the next person at this machine finds nothing
	httpx.Go(w, r, "/signin")
	return nil
}

// enter is the one-tap door of a fictitious bank; see Deps.Demo.
func (p *pages) enter(w http.ResponseWriter, r *http.Request) error {
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	token, st, err := p.Access.Enter(r.Context(), f.Get("staff"))
	if err != nil {
		return err
	}
	return p.admit(w, r, access.Entry{Token: token, Staff: st}, f.Get("next"))
}

func (p *pages) secondPage(w http.ResponseWriter, r *http.Request) error {
	return p.showSecond(w, r, new(httpx.Form).Set("next", frame.Next(r.URL.Query().Get("next"))), 0)
}

func (p *pages) showSecond(w http.ResponseWriter, r *http.Request, f *httpx.Form, status int) error {
	if _, err := p.Access.HalfIn(r.Context(), p.Frame.Door.Waiting(r), access.StepSecond); err != nil {
		return p.again(w, r, f, err)
	}
	return p.show(w, r, frame.Sheet{Title: say(r.Context(), "second"), Status: status,
		Body: secondPage(f, p.Access.PasskeysHere(r.Host))})
}

// again sends whoever took too long back to the start, with the reason.
func (p *pages) again(w http.ResponseWriter, r *http.Request, f *httpx.Form, err error) error {
	if !errors.Is(err, access.ErrPending) && !errors.Is(err, access.ErrLocked) {
		return err
	}
	p.Frame.Door.Done(w)
	return p.refuse(w, r, new(httpx.Form).Set("next", f.Get("next")), err, p.showSignIn)
}

func (p *pages) second(w http.ResponseWriter, r *http.Request) error {
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	code := f.Text("code", 40)
	if !f.OK() {
		return p.showSecond(w, r, f, http.StatusUnprocessableEntity)
	}
	e, err := p.Access.SecondCode(r.Context(), p.Frame.Door.Waiting(r), code, device(r))
	switch {
	case errors.Is(err, access.ErrCode):
		return p.refuse(w, r, f.Set("code", ""), err, p.showSecond)
	case err != nil:
		return p.again(w, r, f, err)
	}
	return p.admit(w, r, e, f.Get("next"))
}

func (p *pages) enrolPage(w http.ResponseWriter, r *http.Request) error {
	return p.showEnrol(w, r, new(httpx.Form).Set("next", frame.Next(r.URL.Query().Get("next"))), 0)
}

// setupView is an authenticator app to be set up.
type setupView struct {
	form     *httpx.Form
	to       string // where the code goes
	image    string // the QR code
	secret   string // in groups of four
	passkeys bool
}

func newSetup(f *httpx.Form, to string, s access.Setup) setupView {
	v := setupView{form: f, to: to, image: "data:image/png;base64," + base64.StdEncoding.EncodeToString(s.PNG)}
	for i := 0; i < len(s.Secret); i += 4 {
		v.secret += s.Secret[i:min(i+4, len(s.Secret))] + " "
	}
	return v
}

func (p *pages) showEnrol(w http.ResponseWriter, r *http.Request, f *httpx.Form, status int) error {
	token := p.Frame.Door.Waiting(r)
	st, err := p.Access.HalfIn(r.Context(), token, access.StepEnrol)
	if err != nil {
		return p.again(w, r, f, err)
	}
	set, err := p.Access.SetUpTOTP(r.Context(), token, st)
	if err != nil {
		return err
	}
	v := newSetup(f, "/signin/enrol", set)
	v.passkeys = p.Access.PasskeysHere(r.Host)
	return p.show(w, r, frame.Sheet{Title: say(r.Context(), "enrol"), Status: status, Body: enrolPage(v)})
}

func (p *pages) enrol(w http.ResponseWriter, r *http.Request) error {
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	code := f.Text("code", 40)
	if !f.OK() {
		return p.showEnrol(w, r, f, http.StatusUnprocessableEntity)
	}
	e, codes, err := p.Access.EnrolTOTP(r.Context(), p.Frame.Door.Waiting(r), code, device(r))
	switch {
	case errors.Is(err, access.ErrCode):
		return p.refuse(w, r, f.Set("code", ""), err, p.showEnrol)
	case err != nil:
		return p.again(w, r, f, err)
	}
	if err := p.Frame.Door.Shut(w, r); err != nil {
		return err
	}
	p.Frame.Door.Done(w)
	p.Frame.Door.Open(w, e.Token)
	return p.show(w, r, frame.Sheet{Title: say(r.Context(), "codes"), Body: codesPage(codes, frame.Next(f.Get("next")))})
}

// give sends the browser what WebAuthn asks it.
func give(w http.ResponseWriter, options any) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(options)
}

func (p *pages) enrolOffer(w http.ResponseWriter, r *http.Request) error {
	token := p.Frame.Door.Waiting(r)
	st, err := p.Access.HalfIn(r.Context(), token, access.StepEnrol)
	if err != nil {
		return err
	}
	options, err := p.Access.OfferPasskey(r.Context(), token, st)
	if err != nil {
		return err
	}
	return give(w, options)
}

func (p *pages) enrolPasskey(w http.ResponseWriter, r *http.Request) error {
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	e, err := p.Access.EnrolPasskey(r.Context(), p.Frame.Door.Waiting(r), passkeyName(r), []byte(f.Get("answer")), device(r))
	switch {
	case errors.Is(err, access.ErrPasskey):
		return p.refuse(w, r, f, err, p.showEnrol)
	case err != nil:
		return p.again(w, r, f, err)
	}
	return p.admit(w, r, e, f.Get("next"))
}

func (p *pages) passkeyAsk(w http.ResponseWriter, r *http.Request) error {
	token, options, err := p.Access.AskPasskey(r.Context())
	if err != nil {
		return err
	}
	p.Frame.Door.Ask(w, token)
	return give(w, options)
}

func (p *pages) passkey(w http.ResponseWriter, r *http.Request) error {
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	e, err := p.Access.AnswerPasskey(r.Context(), p.Frame.Door.Asked(r), []byte(f.Get("answer")), device(r))
	if err != nil {
		return p.refuse(w, r, new(httpx.Form).Set("next", f.Get("next")), err, p.showSignIn)
	}
	return p.admit(w, r, e, f.Get("next"))
}

func (p *pages) oidcGo(w http.ResponseWriter, r *http.Request) error {
	return p.leave(w, r, frame.Next(r.URL.Query().Get("next")), "")
}

// leave sends the browser to the identity provider. It is a link and not a
// form, because a page of ours may post to ourselves only (form-action).
func (p *pages) leave(w http.ResponseWriter, r *http.Request, next, link string) error {
	token, address, err := p.Access.AskOIDC(r.Context(), next, link)
	if err != nil {
		return err
	}
	p.Frame.Door.Ask(w, token)
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, address, http.StatusSeeOther)
	return nil
}

func (p *pages) oidcBack(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	b, err := p.Access.AnswerOIDC(r.Context(), p.Frame.Door.Asked(r), q.Get("state"), q.Get("code"), device(r))
	if err != nil {
		return p.refuse(w, r, new(httpx.Form).Set("next", "/"), err, p.showSignIn)
	}
	if b.Linked {
		p.Frame.Door.Done(w)
		return p.Frame.Done(w, r, "/account", "flash.oidc_linked")
	}
	return p.admit(w, r, b.Entry, b.Next)
}
