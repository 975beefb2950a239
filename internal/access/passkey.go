package access

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

// What passkeys refuse.
var (
	ErrPasskey = errs.New(errs.Forbidden, "passkey_refused", "通行密钥没有通过验证，请再试一次，或改用密码。",
		"The passkey was not accepted. Please try again, or use your password.")
	errNoPasskeys = errs.New(errs.Conflict, "no_passkeys", "这里不能使用通行密钥：请通过 https 域名（或 localhost）访问，并由管理员设置 http.public_url。",
		"Passkeys cannot be used here: come by an https name (or localhost), and the administrator sets http.public_url.")
)

// Passkey is one of a person's passkeys.
type Passkey struct {
	ID            string
	Name          string
	Created, Used time.Time
}

// relying makes the relying party of WebAuthn from the address staff come by.
func (s *Store) relying() (*webauthn.WebAuthn, error) {
	u, err := url.Parse(s.Options.Origin)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Hostname() != "localhost" {
		return nil, errNoPasskeys
	}
	w, err := webauthn.New(&webauthn.Config{RPID: u.Hostname(), RPDisplayName: s.bank(), RPOrigins: []string{u.Scheme + "://" + u.Host},
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey:      protocol.ResidentKeyRequirementRequired, // no name needs to be typed
			UserVerification: protocol.VerificationRequired,           // so that a passkey is both factors (NIST SP 800-63B)
		}})
	if err != nil {
		return nil, errNoPasskeys.With(err)
	}
	return w, nil
}

// PasskeysHere reports whether passkeys work for who came to this host. On the
// bank's own machine they work by name and not by number.
func (s *Store) PasskeysHere(host string) bool {
	w, err := s.relying()
	if err != nil {
		return false
	}
	name, _, _ := strings.Cut(host, ":")
	return w.Config.RPID != "localhost" || name == "localhost"
}

// bearer is a person as the library wants to see one.
type bearer struct {
	st   Staff
	keys []webauthn.Credential
}

func (b bearer) WebAuthnID() []byte                         { return []byte(b.st.ID) }
func (b bearer) WebAuthnName() string                       { return b.st.Login }
func (b bearer) WebAuthnDisplayName() string                { return b.st.Name }
func (b bearer) WebAuthnCredentials() []webauthn.Credential { return b.keys }

func (s *Store) bearer(ctx context.Context, tx *db.Tx, id contact.ID) (bearer, error) {
	st, err := s.Inside(ctx, tx, id)
	if err != nil {
		return bearer{}, err
	}
	b := bearer{st: st}
	return b, tx.Each(ctx, func(r *sql.Rows) error {
		var raw string
		var c webauthn.Credential
		if err := r.Scan(&raw); err != nil {
			return err
		}
		err := json.Unmarshal([]byte(raw), &c)
		b.keys = append(b.keys, c)
		return err
	}, "SELECT credential FROM staff_passkey WHERE staff = $1 ORDER BY created", id)
}

// Passkeys lists a person's passkeys.
func (s *Store) Passkeys(ctx context.Context, id contact.ID) ([]Passkey, error) {
	var out []Passkey
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		out = nil
		return tx.Each(ctx, func(r *sql.Rows) error {
			var p Passkey
			var created, used int64
			if err := r.Scan(&p.ID, &p.Name, &created, &used); err != nil {
				return err
			}
			p.Created = db.Time(created)
			if used != 0 {
				p.Used = db.Time(used)
			}
			out = append(out, p)
			return nil
		}, "SELECT id, name, created, used FROM staff_passkey WHERE staff = $1 ORDER BY created", id)
	})
	return out, err
}

// OfferPasskey begins to make a passkey for the holder of token (of a session,
// or of a sign-in that must set one up); the options go to the browser.
func (s *Store) OfferPasskey(ctx context.Context, token string, st Staff) (options any, err error) {
	w, err := s.relying()
	if err != nil {
		return nil, err
	}
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		b, err := s.bearer(ctx, tx, st.ID)
		if err != nil {
			return err
		}
		creation, session, err := w.BeginRegistration(b, webauthn.WithExclusions(webauthn.Credentials(b.keys).CredentialDescriptors()))
		if err != nil {
			return err
		}
		options = creation
		return s.await(ctx, tx, token, awaitNewKey, st.ID, session)
	})
	return options, err
}

// AddPasskey keeps the passkey that the browser has made.
func (s *Store) AddPasskey(ctx context.Context, token string, st Staff, name string, response []byte) error {
	return s.db.Write(ctx, func(tx *db.Tx) error { return s.addPasskey(ctx, tx, token, st.ID, name, response) })
}

func (s *Store) addPasskey(ctx context.Context, tx *db.Tx, token string, id contact.ID, name string, response []byte) error {
	w, err := s.relying()
	if err != nil {
		return err
	}
	var session webauthn.SessionData
	if who, err := s.waiting(ctx, tx, token, awaitNewKey, &session); err != nil || who != id {
		return errors.Join(ErrPending, err)
	}
	if err := over(ctx, tx, token, awaitNewKey); err != nil {
		return err
	}
	b, err := s.bearer(ctx, tx, id)
	if err != nil {
		return err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		return ErrPasskey.With(err)
	}
	c, err := w.CreateCredential(b, session, parsed)
	if err != nil {
		return ErrPasskey.With(err)
	}
	raw, err := json.Marshal(c)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `INSERT INTO staff_passkey (id, staff, name, credential, created, used) VALUES ($1, $2, $3, $4, $5, 0)
		ON CONFLICT (id) DO NOTHING`, keyID(c.ID), id, name, string(raw), tx.At())
	if err == nil && n == 0 {
		err = ErrPasskey
	}
	if err != nil {
		return err
	}
	return note(ctx, tx, "access.factor_added", id, map[string]any{"factor": "passkey"})
}

// EnrolPasskey keeps the passkey that a half-done sign-in had to make, and
// opens the session.
func (s *Store) EnrolPasskey(ctx context.Context, token, name string, response []byte, d Device) (Entry, error) {
	var e Entry
	err := s.db.Write(ctx, func(tx *db.Tx) (err error) {
		if e, err = s.halfIn(ctx, tx, token, awaitEnrol); err != nil {
			return err
		}
		if err := s.addPasskey(ctx, tx, token, e.Staff.ID, name, response); err != nil {
			return err
		}
		if err := over(ctx, tx, token, awaitEnrol); err != nil {
			return err
		}
		e.Token, err = s.open(ctx, tx, e.Staff.ID, "passkey", d)
		return err
	})
	return e, err
}

// AskPasskey begins a sign-in by passkey; the options go to the browser and the
// token into a cookie. Nobody is named: the passkey knows whose it is.
func (s *Store) AskPasskey(ctx context.Context) (token string, options any, err error) {
	w, err := s.relying()
	if err != nil {
		return "", nil, err
	}
	assertion, session, err := w.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return "", nil, err
	}
	token = newToken()
	return token, assertion, s.db.Write(ctx, func(tx *db.Tx) error { return s.await(ctx, tx, token, awaitPasskey, "", session) })
}

// AnswerPasskey opens a session for whoever's passkey answered the challenge.
func (s *Store) AnswerPasskey(ctx context.Context, token string, response []byte, d Device) (Entry, error) {
	w, err := s.relying()
	if err != nil {
		return Entry{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(response)
	if err != nil {
		return Entry{}, ErrPasskey.With(err)
	}
	var session webauthn.SessionData
	if err := s.db.Write(ctx, func(tx *db.Tx) error { // a challenge is answered once, whatever the answer is worth
		if _, err := s.waiting(ctx, tx, token, awaitPasskey, &session); err != nil {
			return err
		}
		return over(ctx, tx, token, awaitPasskey)
	}); err != nil {
		return Entry{}, err
	}
	var e Entry
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		user, c, err := w.ValidatePasskeyLogin(func(_, handle []byte) (webauthn.User, error) {
			return s.bearer(ctx, tx, string(handle))
		}, session, parsed)
		if err != nil {
			return ErrPasskey.With(err)
		}
		b, ok := user.(bearer)
		if !ok || !b.st.Disabled.IsZero() || c.Authenticator.CloneWarning { // a counter that goes back is a copy (WebAuthn 7.2 step 22)
			return ErrPasskey
		}
		raw, err := json.Marshal(c)
		if err != nil {
			return err
		}
		if n, err := tx.Exec(ctx, "UPDATE staff_passkey SET credential = $1, used = $2 WHERE id = $3 AND staff = $4",
			string(raw), tx.At(), keyID(c.ID), b.st.ID); err != nil || n == 0 {
			return errors.Join(ErrPasskey, err)
		}
		e.Staff = b.st
		e.Token, err = s.open(ctx, tx, b.st.ID, "passkey", d)
		return err
	})
	return e, err
}

// DropPasskey takes one of a person's passkeys away.
func (s *Store) DropPasskey(ctx context.Context, st Staff, id string) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, "DELETE FROM staff_passkey WHERE id = $1 AND staff = $2", id, st.ID)
		if err != nil || n == 0 {
			return err
		}
		if err := s.keepsFactor(ctx, tx, st); err != nil {
			return err
		}
		return note(ctx, tx, "access.factor_removed", st.ID, map[string]any{"factor": "passkey"})
	})
}

func keyID(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }
