package access

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

// How sign-in slows down a guesser who stays with one account. The limits by
// address are the pages'.
const (
	maxFailures = 5
	lockFor     = 15 * time.Minute
)

// What sign-in refuses. It gives one answer for a wrong name, a wrong password
// and a closed account, so that names cannot be tried.
var (
	ErrSignIn = errs.New(errs.Forbidden, "sign_in_failed", "登录名或密码不对，请重新输入。",
		"The sign-in name or password is not right. Please try again.")
	ErrLocked = errs.New(errs.TooMany, "sign_in_locked", "输错次数太多，请 15 分钟后再试。",
		"Too many wrong tries. Please try again in 15 minutes.")
	errWrongPassword = errs.New(errs.Forbidden, "wrong_password", "现在的密码不对。", "The present password is not right.")
)

// Step says what a sign-in still needs.
type Step string

// The steps.
const (
	StepIn     Step = ""       // signed in: the token is a session's
	StepSecond Step = "second" // a code of the app or a recovery code, or a passkey
	StepEnrol  Step = "enrol"  // set up a second factor first: the role needs one
)

// Entry is how far a sign-in has come.
type Entry struct {
	Token string // of the session, or of the half-done sign-in while Step is not StepIn
	Step  Step
	Staff Staff
}

// SignIn checks the password and opens a session, or says what is still needed.
func (s *Store) SignIn(ctx context.Context, login, password string, d Device) (Entry, error) {
	var st Staff
	var hash string
	var failures, failedAt int64
	err := s.db.Read(ctx, func(tx *db.Tx) (err error) {
		st, err = scanStaff(tx.QueryRow(ctx, "SELECT "+staffColumns+", s.password, s.failures, s.failed_at FROM staff s WHERE s.login = $1",
			cleanLogin(login)), &hash, &failures, &failedAt)
		return err
	})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Entry{}, err
	}
	if locked(failures, failedAt, s.db.Now()) {
		return Entry{}, ErrLocked
	}
	if st.ID == "" && !s.strangers.Allow(cleanLogin(login), s.db.Now()) {
		return Entry{}, ErrLocked // as a name that somebody has would be
	}
	if !s.matches(hash, password) || !st.Disabled.IsZero() {
		return Entry{}, errors.Join(ErrSignIn, s.noteFailure(ctx, st.ID, "password"))
	}
	var e Entry
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		e, err = s.next(ctx, tx, st, "password", d)
		return err
	})
	return e, err
}

// next opens a session for whoever gave a right first factor, or begins what is
// still needed.
func (s *Store) next(ctx context.Context, tx *db.Tx, st Staff, how string, d Device) (Entry, error) {
	e := Entry{Staff: st}
	f, err := s.factors(ctx, tx, st.ID)
	switch {
	case err != nil:
		return e, err
	case f.TOTP || f.Passkeys > 0:
		e.Step = StepSecond
	case s.needsSecond(st):
		e.Step = StepEnrol
	default:
		e.Token, err = s.open(ctx, tx, st.ID, how, d)
		return e, err
	}
	e.Token = newToken()
	return e, s.await(ctx, tx, e.Token, string(e.Step), st.ID, nil)
}

func (s *Store) needsSecond(st Staff) bool {
	return slices.ContainsFunc(st.Roles, func(r Role) bool { return slices.Contains(s.Options.Must, r) })
}

// SecondCode takes the second factor of a half-done sign-in: a code of the app
// or a recovery code.
func (s *Store) SecondCode(ctx context.Context, token, code string, d Device) (Entry, error) {
	var e Entry
	var id contact.ID
	err := s.guarded(ctx, func(tx *db.Tx) (err error) {
		if e, err = s.halfIn(ctx, tx, token, awaitSecond); err != nil {
			return err
		}
		id = e.Staff.ID
		how, err := s.checkCode(ctx, tx, id, code)
		if err != nil {
			return err
		}
		if err := over(ctx, tx, token, awaitSecond); err != nil {
			return err
		}
		e.Token, err = s.open(ctx, tx, id, how, d)
		return err
	}, func(tx *db.Tx) error {
		if err := tried(ctx, tx, token, awaitSecond); err != nil {
			return err
		}
		return countFailure(ctx, tx, id, "second")
	})
	return e, err
}

// EnrolTOTP takes the first code of the app that a half-done sign-in had to set
// up, opens the session and gives the recovery codes.
func (s *Store) EnrolTOTP(ctx context.Context, token, code string, d Device) (Entry, []string, error) {
	var e Entry
	var codes []string
	err := s.guarded(ctx, func(tx *db.Tx) (err error) {
		if e, err = s.halfIn(ctx, tx, token, awaitEnrol); err != nil {
			return err
		}
		if codes, err = s.addTOTP(ctx, tx, token, e.Staff.ID, code); err != nil {
			return err
		}
		if err := over(ctx, tx, token, awaitEnrol); err != nil {
			return err
		}
		e.Token, err = s.open(ctx, tx, e.Staff.ID, "totp", d)
		return err
	}, func(tx *db.Tx) error { return tried(ctx, tx, token, awaitTOTP) })
	return e, codes, err
}

// HalfIn gives who is half signed in with the token, at the given step.
func (s *Store) HalfIn(ctx context.Context, token string, step Step) (Staff, error) {
	var e Entry
	err := s.db.Read(ctx, func(tx *db.Tx) (err error) {
		e, err = s.halfIn(ctx, tx, token, string(step))
		return err
	})
	return e.Staff, err
}

func (s *Store) halfIn(ctx context.Context, tx *db.Tx, token, kind string) (Entry, error) {
	id, err := s.waiting(ctx, tx, token, kind, nil)
	if err != nil {
		return Entry{}, err
	}
	st, err := s.Inside(ctx, tx, id)
	if err == nil && !st.Disabled.IsZero() {
		err = ErrPending
	}
	if err != nil {
		return Entry{}, err
	}
	var failures, failedAt int64
	err = tx.QueryRow(ctx, "SELECT failures, failed_at FROM staff WHERE id = $1", id).Scan(&failures, &failedAt)
	if err == nil && locked(failures, failedAt, tx.Now) {
		err = ErrLocked
	}
	return Entry{Staff: st}, err
}

// Enter opens a session without a password, for a demo's one-tap staff. Faces
// offer it only where the bank is fictitious.
func (s *Store) Enter(ctx context.Context, id contact.ID) (token string, st Staff, err error) {
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		if st, err = s.Inside(ctx, tx, id); err != nil {
			return err
		}
		if !st.Disabled.IsZero() {
			return ErrSignIn
		}
		token, err = s.open(ctx, tx, id, "demo", "")
		return err
	})
	return token, st, err
}

// ChangePassword sets a new password for whoever knows the present one, and
// ends the person's other sessions (ASVS 5.0 7.4.3).
func (s *Store) ChangePassword(ctx context.Context, st Staff, token, present, fresh string) error {
	var hash string
	var failures, failedAt int64
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		return tx.QueryRow(ctx, "SELECT password, failures, failed_at FROM staff WHERE id = $1", st.ID).Scan(&hash, &failures, &failedAt)
	})
	if err != nil {
		return err
	}
	if locked(failures, failedAt, s.db.Now()) {
		return ErrLocked
	}
	if !s.matches(hash, present) {
		return errors.Join(errWrongPassword, s.noteFailure(ctx, st.ID, "password"))
	}
	if err := s.strong(fresh, st); err != nil {
		return err
	}
	hash = hashPassword(fresh)
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, "UPDATE staff SET password = $1, failures = 0 WHERE id = $2", hash, st.ID); err != nil {
			return err
		}
		if err := endOthers(ctx, tx, st.ID, token, st.ID); err != nil {
			return err
		}
		return note(ctx, tx, "access.password_changed", st.ID, nil)
	})
}

// Factors are what a person can sign in with.
type Factors struct {
	Password bool
	TOTP     bool
	Recovery int // unused recovery codes
	Passkeys int
	OIDC     bool
}

// None reports whether the account has nothing yet to sign in with.
func (f Factors) None() bool { return !f.Password && !f.TOTP && f.Passkeys == 0 && !f.OIDC }

// Factors tells what a person can sign in with.
func (s *Store) Factors(ctx context.Context, id contact.ID) (f Factors, err error) {
	err = s.db.Read(ctx, func(tx *db.Tx) error {
		f, err = s.factors(ctx, tx, id)
		return err
	})
	return f, err
}

func (s *Store) factors(ctx context.Context, tx *db.Tx, id contact.ID) (Factors, error) {
	var f Factors
	var password, apps, ids int
	err := tx.QueryRow(ctx, `SELECT (SELECT count(*) FROM staff WHERE id = $1 AND password <> ''),
		(SELECT count(*) FROM staff_totp WHERE staff = $2), (SELECT count(*) FROM staff_recovery WHERE staff = $3 AND used = 0),
		(SELECT count(*) FROM staff_passkey WHERE staff = $4), (SELECT count(*) FROM staff_identity WHERE staff = $5)`,
		id, id, id, id, id).Scan(&password, &apps, &f.Recovery, &f.Passkeys, &ids)
	f.Password, f.TOTP, f.OIDC = password > 0, apps > 0, ids > 0
	return f, err
}

var errLastFactor = errs.New(errs.Conflict, "last_factor", "您的岗位需要第二道验证；请先添加另一种（验证器或通行密钥），再移除这一种。",
	"Your role needs a second factor; add another one (an app or a passkey) before you remove this.")

// keepsFactor refuses to take away the last second factor of a role that needs one.
func (s *Store) keepsFactor(ctx context.Context, tx *db.Tx, st Staff) error {
	f, err := s.factors(ctx, tx, st.ID)
	if err == nil && s.needsSecond(st) && !f.TOTP && f.Passkeys == 0 {
		err = errLastFactor
	}
	return err
}

func locked(failures, failedAt int64, now time.Time) bool {
	return failures >= maxFailures && now.Sub(db.Time(failedAt)) < lockFor
}

// matches always does the work of one check, so that the time taken does not
// tell whether the name exists.
func (s *Store) matches(hash, password string) bool {
	s.check <- struct{}{}
	defer func() { <-s.check }()
	if hash == "" {
		hashPassword(password)
		return false
	}
	ok, err := checkPassword(hash, password)
	return err == nil && ok
}

func (s *Store) noteFailure(ctx context.Context, id contact.ID, step string) error {
	if id == "" { // a name that nobody has: nothing to lock, nobody to tell
		return nil
	}
	return s.db.Write(ctx, func(tx *db.Tx) error { return countFailure(ctx, tx, id, step) })
}

func countFailure(ctx context.Context, tx *db.Tx, id contact.ID, step string) error {
	// After a lock has passed, counting starts again.
	if _, err := tx.Exec(ctx, `UPDATE staff SET failures = CASE WHEN failures >= $1 THEN 1 ELSE failures + 1 END, failed_at = $2
		WHERE id = $3`, maxFailures, tx.At(), id); err != nil {
		return err
	}
	return note(ctx, tx, "access.sign_in_failed", id, map[string]any{"step": step})
}
