package access

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

// How long one-time links last.
const (
	FirstLimit  = time.Hour      // the first administrator's, printed at start
	InviteLimit = 24 * time.Hour // an invitation's (ASVS 5.0 6.4.1)
)

// What links refuse.
var (
	ErrLink = errs.New(errs.NotFound, "link_over", "这个链接已用过、过期或不对。请向管理员要一个新的；若是第一位管理员，请重新启动 parley serve。",
		"This link was used, is over or is not right. Ask an administrator for a new one; as the first administrator, start `parley serve` again.")
	errActive = errs.New(errs.Conflict, "already_active", "这个账号已经启用。要换登录方式，请先申请重置。",
		"This account is in use already. To start over with it, ask for a reset first.")
)

// FirstLink gives the code of a link by which the first administrator enters,
// "" when the bank has staff. Links given before end.
func (s *Store) FirstLink(ctx context.Context) (code string, err error) {
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		code = ""
		var n int
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM staff").Scan(&n); err != nil || n > 0 {
			return err
		}
		code, err = link(ctx, tx, "", FirstLimit)
		return err
	})
	return code, err
}

// Invite gives the code of a link by which a person who has nothing to sign in
// with yet sets a password.
func (s *Store) Invite(ctx context.Context, id contact.ID, by string) (code string, err error) {
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		st, err := s.Inside(ctx, tx, id)
		if err != nil {
			return err
		}
		f, err := s.factors(ctx, tx, id)
		if err != nil {
			return err
		}
		if !f.None() || !st.Disabled.IsZero() {
			return errActive
		}
		if code, err = link(ctx, tx, id, InviteLimit); err != nil {
			return err
		}
		return note(ctx, tx, "access.invited", id, map[string]any{"by": by})
	})
	return code, err
}

// link makes a code for a person, "" for the first administrator, and ends
// those there were.
func link(ctx context.Context, tx *db.Tx, id contact.ID, lasts time.Duration) (string, error) {
	if _, err := tx.Exec(ctx, "DELETE FROM staff_link WHERE staff = $1 OR until < $2", id, tx.At()); err != nil {
		return "", err
	}
	code := newToken()
	_, err := tx.Exec(ctx, "INSERT INTO staff_link (code, staff, until) VALUES ($1, $2, $3)", tokenHash(code), id, tx.At()+lasts.Microseconds())
	return code, err
}

// Linked gives whose link this is, without using it up; first reports that it
// is the first administrator's, who has no account yet.
func (s *Store) Linked(ctx context.Context, code string) (st Staff, first bool, err error) {
	err = s.db.Read(ctx, func(tx *db.Tx) error {
		st, first, err = s.linked(ctx, tx, code)
		return err
	})
	return st, first, err
}

func (s *Store) linked(ctx context.Context, tx *db.Tx, code string) (Staff, bool, error) {
	var id contact.ID
	err := tx.QueryRow(ctx, "SELECT staff FROM staff_link WHERE code = $1 AND until >= $2", tokenHash(code), tx.At()).Scan(&id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Staff{}, false, ErrLink
	case err != nil:
		return Staff{}, false, err
	case id == "":
		return Staff{Roles: []Role{Admin}}, true, nil
	}
	st, err := s.Inside(ctx, tx, id)
	if err == nil && !st.Disabled.IsZero() {
		err = ErrLink
	}
	return st, false, err
}

// Redeem uses a link up: its holder has now this password, and for the first
// administrator's also an account. It goes on like a sign-in whose password was right.
func (s *Store) Redeem(ctx context.Context, code, login, name, password string, d Device) (Entry, error) {
	st, first, err := s.Linked(ctx, code)
	if err != nil {
		return Entry{}, err
	}
	if first {
		st.Login, st.Name = login, name
	}
	if st, password, err = s.prepare(st, password); err != nil {
		return Entry{}, err
	}
	if password == "" {
		return Entry{}, ErrWeak
	}
	var e Entry
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, "DELETE FROM staff_link WHERE code = $1 AND until >= $2", tokenHash(code), tx.At())
		if err == nil && n == 0 {
			err = ErrLink // somebody else was faster
		}
		if err == nil && first {
			err = insertStaff(ctx, tx, st, password, "first_link")
		} else if err == nil {
			if _, err = tx.Exec(ctx, "UPDATE staff SET password = $1, failures = 0 WHERE id = $2", password, st.ID); err == nil {
				err = note(ctx, tx, "access.password_changed", st.ID, map[string]any{"by": "link"})
			}
		}
		if err != nil {
			return err
		}
		e, err = s.next(ctx, tx, st, "password", d)
		return err
	})
	return e, err
}

// Reset takes away everything a person signs in with and ends the sessions, as
// part of tx: an invitation lets the person begin anew.
func (s *Store) Reset(ctx context.Context, tx *db.Tx, id contact.ID, by string) error {
	if err := s.reset(ctx, tx, id); err != nil {
		return err
	}
	return note(ctx, tx, "access.reset", id, map[string]any{"by": by})
}

// ResetNow is Reset in a transaction of its own, for whoever runs the machine.
func (s *Store) ResetNow(ctx context.Context, id contact.ID, by string) error {
	return s.db.Write(ctx, func(tx *db.Tx) error { return s.Reset(ctx, tx, id, by) })
}

func (s *Store) reset(ctx context.Context, tx *db.Tx, id contact.ID) error {
	if _, err := s.Inside(ctx, tx, id); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "UPDATE staff SET password = '', failures = 0 WHERE id = $1", id); err != nil {
		return err
	}
	for _, q := range []string{
		"DELETE FROM staff_totp WHERE staff = $1", "DELETE FROM staff_recovery WHERE staff = $1", "DELETE FROM staff_passkey WHERE staff = $1",
		"DELETE FROM staff_identity WHERE staff = $1", "DELETE FROM staff_session WHERE staff = $1", "DELETE FROM staff_link WHERE staff = $1",
		"DELETE FROM staff_pending WHERE staff = $1",
	} {
		if _, err := tx.Exec(ctx, q, id); err != nil {
			return err
		}
	}
	return nil
}
