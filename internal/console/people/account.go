package people

import (
	"net/http"
	"strings"

	"parley/internal/access"
	"parley/internal/console/frame"
	"parley/internal/errs"
	"parley/internal/httpx"
	"parley/internal/httpx/words"
)

// accountView is one's own account.
type accountView struct {
	form     *httpx.Form
	me       access.Staff
	factors  access.Factors
	keys     []access.Passkey
	passkeys bool
	oidc     string
	sessions []access.Session
	current  string
	fresh    bool // may change what protects the account
}

func (p *pages) accountPage(w http.ResponseWriter, r *http.Request) error {
	return p.showAccount(w, r, new(httpx.Form), 0)
}

func (p *pages) showAccount(w http.ResponseWriter, r *http.Request, f *httpx.Form, status int) error {
	ctx, token := r.Context(), p.Frame.Door.Token(r)
	v := accountView{form: f, me: *frame.Who(ctx), passkeys: p.Access.PasskeysHere(r.Host), fresh: p.Access.Fresh(ctx, token) == nil}
	if o := p.Access.Options.OIDC; o != nil {
		v.oidc = o.Label
	}
	var err error
	if v.factors, err = p.Access.Factors(ctx, v.me.ID); err != nil {
		return err
	}
	if v.keys, err = p.Access.Passkeys(ctx, v.me.ID); err != nil {
		return err
	}
	if v.sessions, v.current, err = p.Access.Sessions(ctx, v.me.ID, token); err != nil {
		return err
	}
	return p.show(w, r, frame.Sheet{Title: say(ctx, "account"), Menu: "/account", Status: status, Body: accountPage(v)})
}

func (p *pages) password(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	present, fresh := f.Text("present", 1000), f.Text("password", 1000)
	if fresh != "" && fresh != f.Get("again") {
		f.Wrong("again", "form.differs")
	}
	if !f.OK() {
		return p.showAccount(w, r, f, http.StatusUnprocessableEntity)
	}
	if err := p.Access.ChangePassword(ctx, *frame.Who(ctx), p.Frame.Door.Token(r), present, fresh); err != nil {
		return p.refuse(w, r, f, err, p.showAccount)
	}
	return p.Frame.Done(w, r, "/account", "flash.password_changed")
}

// fresh does something that changes what protects the account, for a session
// that was opened a moment ago (ASVS 5.0 7.5.1).
func (p *pages) fresh(w http.ResponseWriter, r *http.Request, then func(f *httpx.Form, me access.Staff, token string) error) error {
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	token := p.Frame.Door.Token(r)
	if err = p.Access.Fresh(r.Context(), token); err == nil {
		err = then(f, *frame.Who(r.Context()), token)
	}
	if err != nil {
		return p.refuse(w, r, f, err, p.showAccount)
	}
	return nil
}

func (p *pages) totpPage(w http.ResponseWriter, r *http.Request) error {
	return p.showTOTP(w, r, new(httpx.Form), 0)
}

func (p *pages) showTOTP(w http.ResponseWriter, r *http.Request, f *httpx.Form, status int) error {
	ctx, token := r.Context(), p.Frame.Door.Token(r)
	if err := p.Access.Fresh(ctx, token); err != nil {
		return p.refuse(w, r, f, err, p.showAccount)
	}
	set, err := p.Access.SetUpTOTP(ctx, token, *frame.Who(ctx))
	if err != nil {
		return err
	}
	return p.show(w, r, frame.Sheet{Title: say(ctx, "totp_add"), Menu: "/account", Status: status, Body: totpPage(newSetup(f, "/account/totp", set))})
}

func (p *pages) totpAdd(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	code := f.Text("code", 40)
	if !f.OK() {
		return p.showTOTP(w, r, f, http.StatusUnprocessableEntity)
	}
	token := p.Frame.Door.Token(r)
	if err := p.Access.Fresh(ctx, token); err != nil {
		return p.refuse(w, r, f, err, p.showAccount)
	}
	codes, err := p.Access.AddTOTP(ctx, token, *frame.Who(ctx), code)
	if err != nil {
		return p.refuse(w, r, f.Set("code", ""), err, p.showTOTP)
	}
	return p.showCodes(w, r, codes)
}

func (p *pages) showCodes(w http.ResponseWriter, r *http.Request, codes []string) error {
	return p.show(w, r, frame.Sheet{Title: say(r.Context(), "codes"), Menu: "/account", Body: codesPage(codes, "/account")})
}

func (p *pages) totpRemove(w http.ResponseWriter, r *http.Request) error {
	return p.fresh(w, r, func(_ *httpx.Form, me access.Staff, _ string) error {
		if err := p.Access.DropTOTP(r.Context(), me); err != nil {
			return err
		}
		return p.Frame.Done(w, r, "/account", "flash.factor_removed")
	})
}

func (p *pages) recovery(w http.ResponseWriter, r *http.Request) error {
	return p.fresh(w, r, func(_ *httpx.Form, me access.Staff, _ string) error {
		codes, err := p.Access.NewRecovery(r.Context(), me.ID)
		if err != nil {
			return err
		}
		return p.showCodes(w, r, codes)
	})
}

func (p *pages) passkeyOffer(w http.ResponseWriter, r *http.Request) error {
	ctx, token := r.Context(), p.Frame.Door.Token(r)
	if err := p.Access.Fresh(ctx, token); err != nil {
		return err
	}
	options, err := p.Access.OfferPasskey(ctx, token, *frame.Who(ctx))
	if err != nil {
		return err
	}
	return give(w, options)
}

func (p *pages) passkeyAdd(w http.ResponseWriter, r *http.Request) error {
	return p.fresh(w, r, func(f *httpx.Form, me access.Staff, token string) error {
		name := f.Maybe("name", 60)
		if name == "" {
			name = passkeyName(r)
		}
		if !f.OK() {
			return errs.New(errs.Invalid, "name_too_long", "名称最多 60 个字。", "A name has at most 60 characters.")
		}
		if err := p.Access.AddPasskey(r.Context(), token, me, name, []byte(f.Get("answer"))); err != nil {
			return err
		}
		return p.Frame.Done(w, r, "/account", "flash.passkey_added")
	})
}

// passkeyName calls a passkey after what it was made with, until its owner does better.
func passkeyName(r *http.Request) string {
	name, _, _ := strings.Cut(device(r), " · "+httpx.From(r.Context()).Client)
	if name == "" {
		name = words.Pick(r.Context(), "通行密钥", "Passkey")
	}
	return name
}

func (p *pages) passkeyRemove(w http.ResponseWriter, r *http.Request) error {
	return p.fresh(w, r, func(f *httpx.Form, me access.Staff, _ string) error {
		if err := p.Access.DropPasskey(r.Context(), me, f.Get("id")); err != nil {
			return err
		}
		return p.Frame.Done(w, r, "/account", "flash.factor_removed")
	})
}

// oidcLink connects one's account with the identity provider. It is reached by
// a link of ours only: another site must not connect somebody's account.
func (p *pages) oidcLink(w http.ResponseWriter, r *http.Request) error {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		return errs.New(errs.Forbidden, "cross_origin", "请从“我的账号”页面操作。", "Please do this from your account page.")
	}
	if err := p.Access.Fresh(r.Context(), p.Frame.Door.Token(r)); err != nil {
		return p.refuse(w, r, new(httpx.Form), err, p.showAccount)
	}
	return p.leave(w, r, "/account", frame.Who(r.Context()).ID)
}

func (p *pages) sessionEnd(w http.ResponseWriter, r *http.Request) error {
	return p.fresh(w, r, func(f *httpx.Form, me access.Staff, _ string) error {
		if err := p.Access.EndSession(r.Context(), me.ID, f.Get("session")); err != nil {
			return err
		}
		return p.Frame.Done(w, r, "/account", "flash.session_ended")
	})
}

func (p *pages) sessionsEnd(w http.ResponseWriter, r *http.Request) error {
	return p.fresh(w, r, func(_ *httpx.Form, me access.Staff, token string) error {
		if err := p.Access.EndOthers(r.Context(), me.ID, token, me.ID); err != nil {
			return err
		}
		return p.Frame.Done(w, r, "/account", "flash.sessions_ended")
	})
}
