package people

import (
	"errors"
	"net/http"

	"parley/internal/access"
	"parley/internal/console/frame"
	"parley/internal/httpx"
)

// welcomePage is where a one-time link leads. The code stands in the address
// behind #, which no browser sends and no log sees (ASVS 5.0 14.2.1); a script
// puts it into the form, and without one it is typed in.
func (p *pages) welcomePage(w http.ResponseWriter, r *http.Request) error {
	return p.showWelcome(w, r, new(httpx.Form), 0)
}

func (p *pages) showWelcome(w http.ResponseWriter, r *http.Request, f *httpx.Form, status int) error {
	v := welcomeView{form: f}
	if code := f.Get("code"); code != "" {
		st, first, err := p.Access.Linked(r.Context(), code)
		switch {
		case errors.Is(err, access.ErrLink):
			f.Set("code", "")
			if f.Notice == "" {
				return p.refuse(w, r, f, err, p.showWelcome)
			}
		case err != nil:
			return err
		default:
			v.known, v.first, v.staff = true, first, st
		}
	}
	return p.show(w, r, frame.Sheet{Title: say(r.Context(), "welcome"), Status: status, Body: welcomePage(v)})
}

// welcomeView is the page of a one-time link: first it only has a code, then it
// knows whose.
type welcomeView struct {
	form  *httpx.Form
	known bool
	first bool // of the first administrator
	staff access.Staff
}

func (p *pages) welcome(w http.ResponseWriter, r *http.Request) error {
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	code := f.Text("code", 100)
	if !f.OK() {
		return p.showWelcome(w, r, f, http.StatusUnprocessableEntity)
	}
	if f.Get("step") == "" { // only the code has come; ask for the rest
		return p.showWelcome(w, r, f, 0)
	}
	_, first, err := p.Access.Linked(r.Context(), code)
	if err != nil {
		return p.refuse(w, r, f, err, p.showWelcome)
	}
	login, name := "", ""
	if first {
		login, name = f.Text("login", 100), f.Text("name", 100)
	}
	password := f.Text("password", 1000)
	if password != "" && password != f.Get("again") {
		f.Wrong("again", "form.differs")
	}
	if !f.OK() {
		return p.showWelcome(w, r, f, http.StatusUnprocessableEntity)
	}
	e, err := p.Access.Redeem(r.Context(), code, login, name, password, device(r))
	if err != nil {
		return p.refuse(w, r, f, err, p.showWelcome)
	}
	return p.admit(w, r, e, "/")
}
