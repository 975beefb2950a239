package access

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"image/png"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

// The authenticator app: RFC 6238 with what every app understands.
const (
	totpPeriod    = 30 // seconds
	totpLate      = 1  // periods that a code may come late, for typing and transport (RFC 6238 section 5.2)
	recoveryCodes = 10
	recoveryBytes = 15 // 120 bits, 24 characters: enough for a plain hash (ASVS 5.0 6.5.2)
)

// ErrCode is a second factor that is not right, whichever it is and why.
var ErrCode = errs.New(errs.Forbidden, "wrong_code", "验证码不对或已经用过，请用验证器里最新的一个。",
	"The code is not right or has been used. Please use the newest one from the app.")

// Setup is a new authenticator app that waits for its first code.
type Setup struct {
	Secret string // base32, for typing in
	URL    string // otpauth:
	PNG    []byte // the QR code of URL
}

// SetUpTOTP begins with an authenticator app, or goes on with the one begun
// under the same token (of the session, or of a half-done sign-in).
func (s *Store) SetUpTOTP(ctx context.Context, token string, st Staff) (Setup, error) {
	var secret string
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		id, err := s.waiting(ctx, tx, token, awaitTOTP, &secret)
		if err == nil && id == st.ID {
			return nil
		}
		if err != nil && !errors.Is(err, ErrPending) {
			return err
		}
		raw := make([]byte, 20) // RFC 4226 section 4 R6: 160 bits
		_, _ = rand.Read(raw)   // never fails (crypto/rand)
		secret = base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw)
		return s.await(ctx, tx, token, awaitTOTP, st.ID, secret)
	})
	if err != nil {
		return Setup{}, err
	}
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		return Setup{}, err
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: s.bank(), AccountName: st.Login, Secret: raw, Period: totpPeriod})
	if err != nil {
		return Setup{}, err
	}
	img, err := key.Image(240, 240)
	if err != nil {
		return Setup{}, err
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return Setup{}, err
	}
	return Setup{Secret: secret, URL: key.URL(), PNG: b.Bytes()}, nil
}

// AddTOTP takes the first code of a new app and gives recovery codes; the
// person sees them this once.
func (s *Store) AddTOTP(ctx context.Context, token string, st Staff, code string) (codes []string, err error) {
	err = s.guarded(ctx, func(tx *db.Tx) error {
		codes, err = s.addTOTP(ctx, tx, token, st.ID, code)
		return err
	}, func(tx *db.Tx) error { return tried(ctx, tx, token, awaitTOTP) })
	return codes, err
}

// guarded runs fn, and when it refuses, wrong in a transaction of its own: a
// wrong try must be counted although what it tried is undone.
func (s *Store) guarded(ctx context.Context, fn, wrong func(tx *db.Tx) error) error {
	err := s.db.Write(ctx, fn)
	if errors.Is(err, ErrCode) {
		err = errors.Join(err, s.db.Write(ctx, wrong))
	}
	return err
}

func (s *Store) addTOTP(ctx context.Context, tx *db.Tx, token string, id contact.ID, code string) ([]string, error) {
	var secret string
	who, err := s.waiting(ctx, tx, token, awaitTOTP, &secret)
	if err != nil {
		return nil, err
	}
	if who != id {
		return nil, ErrPending
	}
	step, ok := matchStep(secret, code, s.world(tx), 0)
	if !ok {
		return nil, ErrCode
	}
	if err := over(ctx, tx, token, awaitTOTP); err != nil {
		return nil, err
	}
	sealed, err := s.seal([]byte(secret), "totp/"+id)
	if err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO staff_totp (staff, secret, step, created) VALUES ($1, $2, $3, $4)
		ON CONFLICT (staff) DO UPDATE SET secret = excluded.secret, step = excluded.step, created = excluded.created`,
		id, sealed, step, tx.At()); err != nil {
		return nil, err
	}
	if err := note(ctx, tx, "access.factor_added", id, map[string]any{"factor": "totp"}); err != nil {
		return nil, err
	}
	return newRecovery(ctx, tx, id)
}

// matchStep finds the period whose code this is, later than after: a code that
// was used, or an older one, is not taken again (RFC 6238 section 5.2).
func matchStep(secret, code string, now time.Time, after int64) (int64, bool) {
	code = strings.ReplaceAll(strings.TrimSpace(code), " ", "")
	found, ok := int64(0), false
	for d := int64(-totpLate); d <= 0; d++ {
		step := now.Unix()/totpPeriod + d
		want, err := totp.GenerateCodeCustom(secret, time.Unix(step*totpPeriod, 0),
			totp.ValidateOpts{Period: totpPeriod, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err == nil && step > after && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			found, ok = step, true
		}
	}
	return found, ok
}

// checkCode takes a code of the person's app or a recovery code, each once.
func (s *Store) checkCode(ctx context.Context, tx *db.Tx, id contact.ID, code string) (how string, err error) {
	if recovery := cleanRecovery(code); len(recovery) > 6 {
		n, err := tx.Exec(ctx, "UPDATE staff_recovery SET used = $1 WHERE staff = $2 AND code = $3 AND used = 0", tx.At(), id, recoveryHash(id, recovery))
		if err == nil && n == 0 {
			err = ErrCode
		}
		return "recovery", err
	}
	var sealed []byte
	var last int64
	err = tx.QueryRow(ctx, "SELECT secret, step FROM staff_totp WHERE staff = $1", id).Scan(&sealed, &last)
	if errors.Is(err, sql.ErrNoRows) {
		return "", ErrCode
	}
	if err != nil {
		return "", err
	}
	secret, err := s.unseal(sealed, "totp/"+id)
	if err != nil {
		return "", err
	}
	step, ok := matchStep(string(secret), code, s.world(tx), last)
	if !ok {
		return "", ErrCode
	}
	n, err := tx.Exec(ctx, "UPDATE staff_totp SET step = $1 WHERE staff = $2 AND step < $3", step, id, step)
	if err == nil && n == 0 { // the same code at the same moment from elsewhere
		err = ErrCode
	}
	return "totp", err
}

// NewRecovery gives fresh recovery codes; the old ones end.
func (s *Store) NewRecovery(ctx context.Context, id contact.ID) (codes []string, err error) {
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		if codes, err = newRecovery(ctx, tx, id); err != nil {
			return err
		}
		return note(ctx, tx, "access.recovery_renewed", id, nil)
	})
	return codes, err
}

func newRecovery(ctx context.Context, tx *db.Tx, id contact.ID) ([]string, error) {
	if _, err := tx.Exec(ctx, "DELETE FROM staff_recovery WHERE staff = $1", id); err != nil {
		return nil, err
	}
	codes := make([]string, recoveryCodes)
	for i := range codes {
		raw := make([]byte, recoveryBytes)
		_, _ = rand.Read(raw) // never fails (crypto/rand)
		plain := strings.ToLower(base32.StdEncoding.EncodeToString(raw))
		if _, err := tx.Exec(ctx, "INSERT INTO staff_recovery (staff, code, used) VALUES ($1, $2, 0)", id, recoveryHash(id, plain)); err != nil {
			return nil, err
		}
		codes[i] = plain[:6] + "-" + plain[6:12] + "-" + plain[12:18] + "-" + plain[18:]
	}
	return codes, nil
}

func cleanRecovery(code string) string {
	return strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(code))
}

// recoveryHash is what is kept of a code: 120 random bits need no slow hash.
func recoveryHash(id contact.ID, code string) string {
	h := sha256.Sum256([]byte(id + "/" + code))
	return hex.EncodeToString(h[:])
}

// DropTOTP takes the app and its recovery codes away.
func (s *Store) DropTOTP(ctx context.Context, st Staff) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, "DELETE FROM staff_totp WHERE staff = $1", st.ID)
		if err != nil || n == 0 {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM staff_recovery WHERE staff = $1", st.ID); err != nil {
			return err
		}
		if err := s.keepsFactor(ctx, tx, st); err != nil {
			return err
		}
		return note(ctx, tx, "access.factor_removed", st.ID, map[string]any{"factor": "totp"})
	})
}
