package app

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"parley/internal/access"
	"parley/internal/contact"
	"parley/internal/errs"
	"parley/internal/party"
)

// AccessConfig says how staff sign in.
type AccessConfig struct {
	Second []string `toml:"second_factor" default:"campaign_manager,approver,agent,supervisor,handler,complaint_approver,senior,compliance,auditor,admin" doc:"Roles whose holders must sign in with a second factor (authenticator app or passkey); [] = nobody must."`

	Issuer      string   `toml:"oidc_issuer" default:"" doc:"OpenID Connect: the identity provider's issuer, https://…; empty = local accounts only. It must know PUBLIC_URL/signin/oidc/back as redirect address."`
	ClientID    string   `toml:"oidc_client_id" default:"" doc:"Client id that the provider gave Parley."`
	Secret      string   `toml:"oidc_client_secret_file" default:"" doc:"File that holds the client secret."`
	Scopes      []string `toml:"oidc_scopes" default:"profile,email" doc:"Scopes asked for besides openid."`
	Label       string   `toml:"oidc_label" default:"统一身份认证" doc:"What the sign-in page calls the provider."`
	RoleClaim   string   `toml:"oidc_role_claim" default:"" doc:"Claim that says what somebody does; a.b is b inside a. Empty = the provider says who somebody is, roles are given in Parley."`
	RoleMap     []string `toml:"oidc_roles" default:"" doc:"Values of that claim and the roles they give, as value=role."`
	NumberClaim string   `toml:"oidc_staff_number_claim" default:"" doc:"Claim with the staff number: two accounts with one number are one person and cannot approve for each other."`
	BySecond    bool     `toml:"oidc_second_factor" default:"false" doc:"True = the provider asks for the second factor itself, Parley does not ask again."`
}

// identity tells the staff's room what it needs besides its database.
func (a *App) identity(keys *party.Keyring) error {
	c := a.Config.Access
	o := access.Options{Seal: keys, Bank: a.Config.Bank.NameZh, Approvals: a.Approvals, Origin: a.Config.HTTP.PublicURL, Clock: time.Now}
	var err error
	if o.Must, err = roles("access.second_factor", c.Second); err != nil {
		return err
	}
	if c.Issuer != "" {
		if o.OIDC, err = a.provider(); err != nil {
			return err
		}
	}
	a.Access.Options = o
	return nil
}

func (a *App) provider() (*access.OIDC, error) {
	c := a.Config.Access
	if a.Config.HTTP.PublicURL == "" || c.ClientID == "" {
		return nil, badKey("access.oidc_issuer", "还需要 http.public_url 和 access.oidc_client_id。", "http.public_url and access.oidc_client_id are needed too.", nil)
	}
	o := &access.OIDC{Issuer: c.Issuer, ClientID: c.ClientID, Scopes: c.Scopes, Label: c.Label, RoleClaim: c.RoleClaim, NumberClaim: c.NumberClaim,
		Second: c.BySecond, Redirect: strings.TrimSuffix(a.Config.HTTP.PublicURL, "/") + "/signin/oidc/back", Roles: map[string]access.Role{}}
	if c.Secret != "" {
		raw, err := os.ReadFile(c.Secret)
		if err != nil {
			return nil, badKey("access.oidc_client_secret_file", "读不到该文件。", "the file cannot be read.", err)
		}
		o.Secret = strings.TrimSpace(string(raw))
	}
	for _, m := range c.RoleMap {
		value, role, ok := strings.Cut(m, "=")
		rs, err := roles("access.oidc_roles", []string{strings.TrimSpace(role)})
		if err != nil || !ok {
			return nil, badKey("access.oidc_roles", "请写成 值=岗位，如 credit-ops=handler。", "write value=role, such as credit-ops=handler.", err)
		}
		o.Roles[strings.TrimSpace(value)] = rs[0]
	}
	return o, nil
}

func roles(key string, names []string) ([]access.Role, error) {
	var out []access.Role
	for _, n := range names {
		if !slices.Contains(access.Roles(), access.Role(n)) {
			return nil, badKey(key, "没有“"+n+"”这个岗位。", "there is no role "+n+".", nil)
		}
		out = append(out, access.Role(n))
	}
	return out, nil
}

// secure serves TLS on l: 1.2 and 1.3 with the cipher suites that Go's authors
// recommend (ASVS 5.0 12.1.1, 12.1.2).
func (c *HTTPConfig) secure(l net.Listener) (net.Listener, error) {
	cert, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, errors.Join(badKey("http.tls_cert", "证书或私钥读不了（还需要 http.tls_key）。", "certificate or key cannot be read (http.tls_key is needed too).", err), l.Close())
	}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}), nil
}

// byName gives an address of this machine by the name on which browsers allow
// passkeys without TLS.
func byName(here string) string {
	for _, ip := range []string{"://127.0.0.1:", "://0.0.0.0:", "://[::]:", "://[::1]:", "://:"} {
		here = strings.Replace(here, ip, "://localhost:", 1)
	}
	return here
}

// proxies reads the addresses of the bank's own reverse proxies.
func (c *HTTPConfig) proxies() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range c.Proxies {
		p, err := netip.ParsePrefix(s)
		if a, aerr := netip.ParseAddr(s); err != nil && aerr == nil {
			p, err = a.Prefix(a.BitLen())
		}
		if err != nil {
			return nil, badKey("http.proxies", "请写成 IP 或网段，如 10.0.0.5 或 10.0.0.0/24。", "write an address or a network, such as 10.0.0.5 or 10.0.0.0/24.", err)
		}
		out = append(out, p)
	}
	return out, nil
}

func badKey(key, zh, en string, cause error) error {
	return errs.New(errs.Invalid, "config_invalid", "配置项 "+key+"："+zh, "The configuration key "+key+": "+en).With(cause)
}

// FirstLink gives the one-time link by which the first administrator of a bank
// without staff enters; "" when the bank has staff. It is for the terminal that
// started Parley and is written nowhere else.
func (r *Running) FirstLink(ctx context.Context) (string, error) {
	code, err := r.Access.FirstLink(ctx)
	if err != nil || code == "" {
		return "", err
	}
	return welcome(r.Config.HTTP.PublicURL, r.Addr, code), nil
}

// InviteLink gives a one-time link for somebody who has nothing to sign in with yet.
func (a *App) InviteLink(ctx context.Context, id contact.ID, by string) (string, error) {
	code, err := a.Access.Invite(ctx, id, by)
	if err != nil {
		return "", err
	}
	return welcome(a.Config.HTTP.PublicURL, "http://"+a.Config.HTTP.Addr, code), nil
}

// welcome is the address of a one-time link. The code stands behind #, which
// no browser sends and no log sees.
func welcome(public, here, code string) string {
	if public == "" {
		public = byName(here)
	}
	return strings.TrimSuffix(public, "/") + "/welcome#" + code
}
