package access

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

// OIDC is a bank's identity provider (OpenID Connect Core 1.0, code flow).
type OIDC struct {
	Issuer   string
	ClientID string
	Secret   string
	Redirect string   // our address it sends people back to
	Scopes   []string // besides openid
	Label    string   // what the sign-in page calls it
	// RoleClaim names the claim that says what a person does, "a.b" for one inside
	// another; Roles maps its values. Without it the provider says who somebody
	// is, and the roles are given here.
	RoleClaim string
	Roles     map[string]Role
	// NumberClaim names the claim with the staff number, by which two accounts of
	// one person are known.
	NumberClaim string
	// Second says that the provider asks for the second factor itself.
	Second bool

	mu       sync.Mutex
	provider *oidc.Provider
}

// What signing in by the identity provider refuses.
var (
	ErrOIDC = errs.New(errs.Forbidden, "oidc_failed", "统一身份认证没有成功，请重试；若一直如此请联系管理员。",
		"Signing in with the identity provider did not succeed. Please try again; if it keeps happening, tell the administrator.")
	errOIDCDown = errs.New(errs.Busy, "oidc_down", "统一身份认证系统暂时连不上，请稍后再试或用密码登录。",
		"The identity provider cannot be reached just now. Try again later, or sign in with your password.")
	errOIDCUnknown = errs.New(errs.Forbidden, "oidc_unknown", "身份已确认，但这里还没有您的账号。请管理员添加，然后用密码登录，在“我的账号”里关联统一身份认证。",
		"We know who you are, but there is no account for you here. Ask the administrator to add one, sign in with its password, and connect the identity provider on your account page.")
	errOIDCTaken = errs.New(errs.Conflict, "oidc_login_taken", "身份已确认，但您的登录名在这里属于另一个账号。若那是您的，请用密码登录后在“我的账号”里关联。",
		"We know who you are, but your sign-in name belongs to another account here. If it is yours, sign in with its password and connect the identity provider on your account page.")
	errOIDCNoRole = errs.New(errs.Forbidden, "oidc_no_role", "身份已确认，但身份系统没有给您任何岗位。请联系管理员。",
		"We know who you are, but the identity provider gives you no role here. Tell the administrator.")
	errOIDCLinked = errs.New(errs.Conflict, "oidc_linked", "这个身份已关联另一个账号。", "That identity is connected with another account.")
)

// oidcPatience bounds one question to the provider.
const oidcPatience = 10 * time.Second

// toProvider asks the provider at its own addresses and follows it nowhere else.
var toProvider = &http.Client{Timeout: oidcPatience,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// away is what is remembered while the browser is at the provider.
type away struct {
	State, Nonce, Verifier string
	Next                   string     // where the reader wanted to go
	Link                   contact.ID // the account to connect, "" to sign in
}

// discover asks the provider for its addresses, once it answers; a provider
// that is down when Parley starts does not keep Parley from starting.
func (o *OIDC) discover(ctx context.Context) (*oidc.Provider, *oauth2.Config, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.provider == nil {
		// The keys are fetched anew later, so the context must outlast this request.
		p, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), toProvider), o.Issuer)
		if err != nil {
			return nil, nil, errOIDCDown.With(err)
		}
		o.provider = p
	}
	return o.provider, &oauth2.Config{ClientID: o.ClientID, ClientSecret: o.Secret, Endpoint: o.provider.Endpoint(), RedirectURL: o.Redirect,
		Scopes: append([]string{oidc.ScopeOpenID}, o.Scopes...)}, nil
}

// AskOIDC sends a browser to the identity provider: token goes into a cookie,
// the browser to address. link connects the identity with an account, "" signs in.
func (s *Store) AskOIDC(ctx context.Context, next string, link contact.ID) (token, address string, err error) {
	if s.Options.OIDC == nil {
		return "", "", ErrOIDC
	}
	_, conf, err := s.Options.OIDC.discover(ctx)
	if err != nil {
		return "", "", err
	}
	a := away{State: newToken(), Nonce: newToken(), Verifier: oauth2.GenerateVerifier(), Next: next, Link: link}
	token = newToken()
	if err := s.db.Write(ctx, func(tx *db.Tx) error { return s.await(ctx, tx, token, awaitOIDC, link, a) }); err != nil {
		return "", "", err
	}
	// PKCE (RFC 7636), state and nonce: the answer belongs to this browser, this
	// question and this token, and to no other.
	return token, conf.AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)), nil
}

// Back is how a return from the identity provider ends.
type Back struct {
	Entry
	Next   string // where the reader wanted to go
	Linked bool   // an account was connected; nobody signed in
}

// AnswerOIDC takes what the provider sent back with the browser.
func (s *Store) AnswerOIDC(ctx context.Context, token, state, code string, d Device) (Back, error) {
	var a away
	if s.Options.OIDC == nil {
		return Back{}, ErrOIDC
	}
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		if _, err := s.waiting(ctx, tx, token, awaitOIDC, &a); err != nil {
			return err
		}
		return over(ctx, tx, token, awaitOIDC)
	})
	if err != nil {
		return Back{}, err
	}
	if subtle.ConstantTimeCompare([]byte(state), []byte(a.State)) != 1 || code == "" {
		return Back{}, ErrOIDC
	}
	who, err := s.Options.OIDC.redeem(ctx, code, a)
	if err != nil {
		return Back{}, err
	}
	b := Back{Next: a.Next, Linked: a.Link != ""}
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		if b.Linked {
			b.Staff, err = s.connect(ctx, tx, a.Link, who)
			return err
		}
		st, err := s.meant(ctx, tx, who)
		if err != nil {
			return err
		}
		if s.Options.OIDC.Second {
			b.Staff = st
			b.Token, err = s.open(ctx, tx, st.ID, "oidc", d)
			return err
		}
		b.Entry, err = s.next(ctx, tx, st, "oidc", d)
		return err
	})
	return b, err
}

// identity is what the provider says of a person.
type identity struct {
	Issuer, Subject     string
	Login, Name, Number string
	Roles               []Role
}

// redeem turns the code into an ID token, checks its signature, issuer,
// audience, time and nonce, and reads it.
func (o *OIDC) redeem(ctx context.Context, code string, a away) (identity, error) {
	provider, conf, err := o.discover(ctx)
	if err != nil {
		return identity{}, err
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, toProvider), oidcPatience)
	defer cancel()
	got, err := conf.Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return identity{}, ErrOIDC.With(err)
	}
	raw, ok := got.Extra("id_token").(string)
	if !ok {
		return identity{}, ErrOIDC.With(errors.New("the answer holds no ID token"))
	}
	id, err := provider.Verifier(&oidc.Config{ClientID: o.ClientID}).Verify(ctx, raw)
	if err != nil {
		return identity{}, ErrOIDC.With(err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(a.Nonce)) != 1 {
		return identity{}, ErrOIDC.With(errors.New("the ID token answers another question (nonce)"))
	}
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return identity{}, ErrOIDC.With(err)
	}
	// Many providers put only the subject into the token and the rest into userinfo.
	if provider.UserInfoEndpoint() != "" {
		info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(got))
		if err != nil {
			return identity{}, ErrOIDC.With(err)
		}
		if info.Subject != id.Subject { // Core 1.0 section 5.3.2
			return identity{}, ErrOIDC.With(errors.New("userinfo speaks of somebody else"))
		}
		more := map[string]any{}
		if err := info.Claims(&more); err != nil {
			return identity{}, ErrOIDC.With(err)
		}
		for k, v := range more {
			if _, have := claims[k]; !have {
				claims[k] = v
			}
		}
	}
	return o.read(id.Issuer, id.Subject, claims), nil
}

func (o *OIDC) read(issuer, subject string, claims map[string]any) identity {
	text := func(keys ...string) string {
		for _, k := range keys {
			if v, ok := claims[k].(string); ok && v != "" {
				return v
			}
		}
		return ""
	}
	who := identity{Issuer: issuer, Subject: subject, Login: cleanLogin(text("preferred_username", "email")), Name: text("name", "preferred_username", "email")}
	if o.NumberClaim != "" {
		if v := claimAt(claims, o.NumberClaim); v != nil {
			who.Number = fmt.Sprint(v)
		}
	}
	var values []any
	switch v := claimAt(claims, o.RoleClaim).(type) {
	case []any:
		values = v
	case string:
		values = []any{v}
	}
	for _, v := range values {
		if r, ok := o.Roles[fmt.Sprint(v)]; ok && !slices.Contains(who.Roles, r) {
			who.Roles = append(who.Roles, r)
		}
	}
	return who
}

// claimAt reads a claim; "a.b" is b inside a, unless a claim has that very name.
func claimAt(claims map[string]any, path string) any {
	if v, ok := claims[path]; ok {
		return v
	}
	head, rest, ok := strings.Cut(path, ".")
	inner, is := claims[head].(map[string]any)
	if !ok || !is {
		return nil
	}
	return claimAt(inner, rest)
}

// meant finds the account of an identity, and makes one for whoever the
// provider gives a role here. An account is never found by its name: who may
// choose a name at the provider must not get another's account.
func (s *Store) meant(ctx context.Context, tx *db.Tx, who identity) (Staff, error) {
	o := s.Options.OIDC
	if o.RoleClaim != "" && len(who.Roles) == 0 {
		return Staff{}, errOIDCNoRole
	}
	st, err := scanStaff(tx.QueryRow(ctx, "SELECT "+staffColumns+` FROM staff_identity i JOIN staff s ON s.id = i.staff
		WHERE i.issuer = $1 AND i.subject = $2`, who.Issuer, who.Subject))
	switch {
	case errors.Is(err, sql.ErrNoRows) && o.RoleClaim == "":
		return Staff{}, errOIDCUnknown
	case errors.Is(err, sql.ErrNoRows):
		return s.provision(ctx, tx, who)
	case err != nil:
		return Staff{}, err
	case !st.Disabled.IsZero():
		return Staff{}, ErrOIDC
	}
	if o.RoleClaim != "" {
		if err := s.SetRoles(ctx, tx, st.ID, who.Roles, "oidc"); err != nil {
			return Staff{}, err
		}
		st.Roles = who.Roles
	}
	return s.keepNumber(ctx, tx, st, who)
}

func (s *Store) provision(ctx context.Context, tx *db.Tx, who identity) (Staff, error) {
	if who.Login == "" {
		who.Login = cleanLogin(who.Subject)
	}
	st, _, err := s.prepare(Staff{Login: who.Login, Name: who.Name, Roles: who.Roles, Number: who.Number}, "")
	if err != nil {
		return Staff{}, err
	}
	if err := insertStaff(ctx, tx, st, "", "oidc"); err != nil {
		if errors.Is(err, ErrTaken) {
			err = errOIDCTaken
		}
		return Staff{}, err
	}
	return st, s.bind(ctx, tx, st.ID, who)
}

// connect ties an identity to an account whose holder is signed in.
func (s *Store) connect(ctx context.Context, tx *db.Tx, id contact.ID, who identity) (Staff, error) {
	st, err := s.Inside(ctx, tx, id)
	if err != nil {
		return Staff{}, err
	}
	if err := s.bind(ctx, tx, id, who); err != nil {
		return Staff{}, err
	}
	return s.keepNumber(ctx, tx, st, who)
}

func (s *Store) bind(ctx context.Context, tx *db.Tx, id contact.ID, who identity) error {
	n, err := tx.Exec(ctx, "INSERT INTO staff_identity (issuer, subject, staff, created) VALUES ($1, $2, $3, $4) ON CONFLICT (issuer, subject) DO NOTHING",
		who.Issuer, who.Subject, id, tx.At())
	if err == nil && n == 0 {
		err = errOIDCLinked
	}
	if err != nil {
		return err
	}
	return note(ctx, tx, "access.factor_added", id, map[string]any{"factor": "oidc"})
}

// keepNumber writes down the staff number the provider gives: by it two
// accounts of one person are known.
func (s *Store) keepNumber(ctx context.Context, tx *db.Tx, st Staff, who identity) (Staff, error) {
	if who.Number == "" || who.Number == st.Number {
		return st, nil
	}
	st.Number = who.Number
	if _, err := tx.Exec(ctx, "UPDATE staff SET number = $1 WHERE id = $2", who.Number, st.ID); err != nil {
		return st, err
	}
	return st, note(ctx, tx, "access.number_changed", st.ID, map[string]any{"by": "oidc"})
}
