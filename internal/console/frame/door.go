package frame

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"parley/internal/access"
	"parley/internal/errs"
	"parley/internal/httpx"
)

// Door stands before the staff's pages: it knows the cookie.
type Door struct {
	Store  *access.Store
	Secure bool // served over TLS
}

// The cookies: the session, a half-done sign-in, a question put to a passkey or
// to the identity provider.
const (
	sessionCookie = "parley"
	stepCookie    = "parley-step"
	askCookie     = "parley-ask"
)

type staffKey struct{}

// Who gives the person signed in; nil when nobody is.
func Who(ctx context.Context) *access.Staff {
	st, _ := ctx.Value(staffKey{}).(*access.Staff)
	return st
}

type sessionKey struct{}

// Session names the reader's session without opening it: what is asked once per
// session is kept under this.
func Session(ctx context.Context) string {
	s, _ := ctx.Value(sessionKey{}).(string)
	return s
}

func fingerprint(token string) string {
	sum := sha256.Sum256([]byte("session/" + token))
	return hex.EncodeToString(sum[:12])
}

// with gives a context in which st is signed in.
func with(ctx context.Context, st *access.Staff) context.Context {
	return context.WithValue(ctx, staffKey{}, st)
}

// Open lets in a person with a fresh token.
func (d *Door) Open(w http.ResponseWriter, token string) {
	http.SetCookie(w, httpx.Cookie(d.Secure, sessionCookie, token, 0))
}

// Shut ends the session of the request and takes its cookie away.
func (d *Door) Shut(w http.ResponseWriter, r *http.Request) error {
	http.SetCookie(w, httpx.Cookie(d.Secure, sessionCookie, "", -1))
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return nil //nolint:nilerr // without a cookie there is nothing to end
	}
	return d.Store.SignOut(r.Context(), c.Value)
}

// ErrRole is a page that the reader's roles do not open.
var ErrRole = errs.New(errs.Forbidden, "not_permitted", "您的岗位不能做这件事。", "Your role may not do this.")

// Token gives the session's token of the request, "" without one.
func (d *Door) Token(r *http.Request) string { return value(r, sessionCookie) }

// stepSeconds is how long a browser keeps the tokens of half-done steps; the
// store lets them end sooner.
const stepSeconds = 900

// Wait remembers a half-done sign-in, Waiting gives it.
func (d *Door) Wait(w http.ResponseWriter, token string) {
	http.SetCookie(w, httpx.Cookie(d.Secure, stepCookie, token, stepSeconds))
}

// Waiting gives the token of the half-done sign-in, "" without one.
func (d *Door) Waiting(r *http.Request) string { return value(r, stepCookie) }

// Ask remembers a question put to a passkey or to the identity provider, Asked
// gives it.
func (d *Door) Ask(w http.ResponseWriter, token string) {
	http.SetCookie(w, httpx.Cookie(d.Secure, askCookie, token, stepSeconds))
}

// Asked gives the token of the question, "" without one.
func (d *Door) Asked(r *http.Request) string { return value(r, askCookie) }

// Done forgets half-done steps.
func (d *Door) Done(w http.ResponseWriter) {
	for _, name := range []string{stepCookie, askCookie} {
		http.SetCookie(w, httpx.Cookie(d.Secure, name, "", -1))
	}
}

func value(r *http.Request, cookie string) string {
	c, err := r.Cookie(cookie)
	if err != nil {
		return ""
	}
	return c.Value
}

// Page is a page that may fail.
type Page = func(w http.ResponseWriter, r *http.Request) error

// Need lets only those pass who may do p and, unless it is empty, also. Who is not signed in is sent to the
// sign-in page, and comes back afterwards.
func (d *Door) Need(p, also access.Permission, then Page) Page {
	return func(w http.ResponseWriter, r *http.Request) error {
		st, err := d.holder(r)
		if errors.Is(err, access.ErrSession) {
			to := "/signin"
			if r.Method == http.MethodGet && r.Header.Get("HX-Request") == "" {
				to += "?next=" + url.QueryEscape(r.URL.RequestURI())
			}
			httpx.Go(w, r, to)
			return nil
		}
		if err != nil {
			return err
		}
		httpx.From(r.Context()).Staff = st.ID
		if !st.May(p) || also != "" && !st.May(also) {
			return ErrRole
		}
		w.Header().Set("Cache-Control", "no-store") // it may show a customer
		ctx := context.WithValue(with(r.Context(), st), sessionKey{}, fingerprint(d.Token(r)))
		return then(w, r.WithContext(ctx))
	}
}

func (d *Door) holder(r *http.Request) (*access.Staff, error) {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return nil, access.ErrSession
	}
	st, err := d.Store.Session(r.Context(), c.Value)
	if err != nil {
		return nil, err
	}
	return &st, nil
}

// Next gives where to go after sign-in: a path of ours, whatever was asked.
func Next(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") || strings.Contains(s, `\`) {
		return "/"
	}
	return u.RequestURI()
}
