package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

// How long a session lasts (NIST SP 800-63B AAL2: 12 hours, 30 minutes idle),
// and how recent it must be for changing what protects the account.
const (
	IdleLimit     = 30 * time.Minute // since the last request
	AbsoluteLimit = 12 * time.Hour   // since sign-in
	FreshLimit    = 15 * time.Minute // since sign-in
	seenEvery     = time.Minute      // a request in between writes nothing
	mostSessions  = 10               // of one person; a new one beyond ends the oldest
)

// What sessions refuse.
var (
	ErrSession = errs.New(errs.Forbidden, "signed_out", "您已退出登录，请重新登录。", "You are signed out. Please sign in again.")
	ErrStale   = errs.New(errs.Forbidden, "sign_in_again", "为保护您的账号，请退出并重新登录后再做这项更改（登录后 15 分钟内有效）。",
		"To protect your account, sign out and in again before this change (within 15 minutes of signing in).")
)

// Device is what a session was opened with, in words for its owner's list.
type Device = string

// Session is one of a person's open sessions.
type Session struct {
	ID            string // names it in forms; the hash of its token, which opens nothing
	How           string // what opened it: password, totp, recovery, passkey, oidc, demo
	Device        Device
	Created, Seen time.Time
}

// Session gives who holds the token; ErrSession when nobody does any more.
func (s *Store) Session(ctx context.Context, token string) (Staff, error) {
	var st Staff
	var seen int64
	var now int64
	err := s.db.Read(ctx, func(tx *db.Tx) (err error) {
		now = tx.At()
		st, err = scanStaff(tx.QueryRow(ctx, "SELECT "+staffColumns+`, t.seen FROM staff_session t JOIN staff s ON s.id = t.staff
			WHERE t.token = $1 AND t.seen >= $2 AND t.created >= $3 AND s.disabled = 0`,
			tokenHash(token), now-IdleLimit.Microseconds(), now-AbsoluteLimit.Microseconds()), &seen)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return Staff{}, ErrSession
	}
	if err != nil || now-seen < seenEvery.Microseconds() {
		return st, err
	}
	return st, s.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE staff_session SET seen = $1 WHERE token = $2 AND seen < $3", tx.At(), tokenHash(token), tx.At())
		return err
	})
}

// Fresh refuses a session that was opened too long ago for changing what
// protects the account (ASVS 5.0 7.5.1).
func (s *Store) Fresh(ctx context.Context, token string) error {
	return s.db.Read(ctx, func(tx *db.Tx) error {
		var created int64
		err := tx.QueryRow(ctx, "SELECT created FROM staff_session WHERE token = $1", tokenHash(token)).Scan(&created)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrSession
		}
		if err == nil && tx.At()-created > FreshLimit.Microseconds() {
			return ErrStale
		}
		return err
	})
}

// Sessions lists the open sessions of a person, the newest first; current is
// the one of token, "" when token is none of them.
func (s *Store) Sessions(ctx context.Context, id contact.ID, token string) (list []Session, current string, err error) {
	err = s.db.Read(ctx, func(tx *db.Tx) error {
		list, current = nil, ""
		return tx.Each(ctx, func(r *sql.Rows) error {
			var x Session
			var created, seen int64
			if err := r.Scan(&x.ID, &x.How, &x.Device, &created, &seen); err != nil {
				return err
			}
			x.Created, x.Seen = db.Time(created), db.Time(seen)
			list = append(list, x)
			if token != "" && x.ID == tokenHash(token) {
				current = x.ID
			}
			return nil
		}, `SELECT token, how, device, created, seen FROM staff_session
			WHERE staff = $1 AND seen >= $2 AND created >= $3 ORDER BY created DESC`,
			id, tx.At()-IdleLimit.Microseconds(), tx.At()-AbsoluteLimit.Microseconds())
	})
	return list, current, err
}

// EndSession ends one of a person's own sessions.
func (s *Store) EndSession(ctx context.Context, id contact.ID, session string) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, "DELETE FROM staff_session WHERE token = $1 AND staff = $2", session, id)
		if err != nil || n == 0 {
			return err // ended already: that is what was wanted
		}
		return note(ctx, tx, "access.session_ended", id, nil)
	})
}

// EndOthers ends all sessions of a person but the one of token ("" = all); by
// is who does it.
func (s *Store) EndOthers(ctx context.Context, id contact.ID, token, by string) error {
	return s.db.Write(ctx, func(tx *db.Tx) error { return endOthers(ctx, tx, id, token, by) })
}

func endOthers(ctx context.Context, tx *db.Tx, id contact.ID, token, by string) error {
	n, err := tx.Exec(ctx, "DELETE FROM staff_session WHERE staff = $1 AND token <> $2", id, tokenHash(token))
	if err != nil || n == 0 {
		return err
	}
	return note(ctx, tx, "access.session_ended", id, map[string]any{"sessions": n, "by": by})
}

// SignOut ends the session at once.
func (s *Store) SignOut(ctx context.Context, token string) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, "DELETE FROM staff_session WHERE token = $1", tokenHash(token))
		return err
	})
}

// open opens a session with a new token (ASVS 5.0 7.2.4) and says in the ledger
// what opened it. What was half done before (pending) is over.
func (s *Store) open(ctx context.Context, tx *db.Tx, id contact.ID, how string, d Device) (token string, err error) {
	token = newToken()
	if _, err = tx.Exec(ctx, "DELETE FROM staff_session WHERE seen < $1 OR created < $2",
		tx.At()-IdleLimit.Microseconds(), tx.At()-AbsoluteLimit.Microseconds()); err != nil {
		return "", err
	}
	if _, err = tx.Exec(ctx, `DELETE FROM staff_session WHERE staff = $1 AND token NOT IN
		(SELECT token FROM staff_session WHERE staff = $2 ORDER BY created DESC LIMIT $3)`, id, id, mostSessions-1); err != nil {
		return "", err
	}
	if _, err = tx.Exec(ctx, "UPDATE staff SET failures = 0 WHERE id = $1", id); err != nil {
		return "", err
	}
	if _, err = tx.Exec(ctx, "INSERT INTO staff_session (token, staff, created, seen, how, device) VALUES ($1, $2, $3, $4, $5, $6)",
		tokenHash(token), id, tx.At(), tx.At(), how, d); err != nil {
		return "", err
	}
	return token, note(ctx, tx, "access.signed_in", id, map[string]any{"how": how})
}

// newToken gives 256 random bits in base64url.
func newToken() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// tokenHash is what is stored of a token: with 256 random bits in it a plain
// hash cannot be turned back.
func tokenHash(token string) string {
	h := sha256.Sum256([]byte(token))
	return hex.EncodeToString(h[:])
}
