package access

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

// pendingLimit is how long a half-done step may wait: to find the telephone, to
// scan a code, to come back from the identity provider.
const pendingLimit = 10 * time.Minute

// The kinds of half-done steps.
const (
	awaitSecond  = "second"   // the password was right; a second factor is awaited
	awaitEnrol   = "enrol"    // … and the person must first set one up
	awaitTOTP    = "totp"     // a new authenticator app has not given its first code
	awaitPasskey = "passkey"  // a challenge to sign in with a passkey
	awaitNewKey  = "register" // a challenge to make a passkey
	awaitOIDC    = "oidc"     // the browser is away at the identity provider
)

// ErrPending is a step that took too long or was tried too often.
var ErrPending = errs.New(errs.Forbidden, "start_again", "这一步已超时或尝试过多，请重新登录。",
	"This step took too long or was tried too often. Please sign in again.")

// await stores a half-done step under a token and kind; a newer one takes the
// place of an older.
func (s *Store) await(ctx context.Context, tx *db.Tx, token, kind string, id contact.ID, data any) error {
	raw, err := json.Marshal(data)
	if err == nil {
		raw, err = s.seal(raw, "pending/"+tokenHash(kind+":"+token))
	}
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "DELETE FROM staff_pending WHERE created < $1 OR token = $2",
		tx.At()-pendingLimit.Microseconds(), tokenHash(kind+":"+token)); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "INSERT INTO staff_pending (token, staff, kind, data, tries, created) VALUES ($1, $2, $3, $4, 0, $5)",
		tokenHash(kind+":"+token), id, kind, raw, tx.At())
	return err
}

// waiting reads a half-done step into data and counts the try; whoever tries
// too often starts again.
func (s *Store) waiting(ctx context.Context, tx *db.Tx, token, kind string, data any) (id contact.ID, err error) {
	var raw []byte
	var tries int64
	key := tokenHash(kind + ":" + token)
	err = tx.QueryRow(ctx, "SELECT staff, data, tries FROM staff_pending WHERE token = $1 AND created >= $2",
		key, tx.At()-pendingLimit.Microseconds()).Scan(&id, &raw, &tries)
	if errors.Is(err, sql.ErrNoRows) || err == nil && tries >= maxFailures {
		return "", ErrPending
	}
	if err == nil && data != nil {
		if raw, err = s.unseal(raw, "pending/"+key); err == nil {
			err = json.Unmarshal(raw, data)
		}
	}
	return id, err
}

// tried counts a try at a half-done step.
func tried(ctx context.Context, tx *db.Tx, token, kind string) error {
	_, err := tx.Exec(ctx, "UPDATE staff_pending SET tries = tries + 1 WHERE token = $1", tokenHash(kind+":"+token))
	return err
}

// over removes half-done steps of a token; each is used once. It fails when the
// first of them is gone already: somebody else was faster.
func over(ctx context.Context, tx *db.Tx, token string, kinds ...string) error {
	for i, k := range kinds {
		n, err := tx.Exec(ctx, "DELETE FROM staff_pending WHERE token = $1", tokenHash(k+":"+token))
		if err != nil {
			return err
		}
		if i == 0 && n == 0 {
			return ErrPending
		}
	}
	return nil
}

// Sealer encrypts secrets of the bank at rest; about names what and whose.
type Sealer interface {
	Seal(plain []byte, about string) ([]byte, error)
	Open(sealed []byte, about string) ([]byte, error)
}

var errNoKey = errs.New(errs.Internal, "no_key", "没有加密密钥，无法保存验证器。请检查 keys.dir。",
	"There is no encryption key, so that no authenticator can be kept. Check keys.dir.")

func (s *Store) seal(plain []byte, about string) ([]byte, error) {
	if s.Options.Seal == nil {
		return nil, errNoKey
	}
	return s.Options.Seal.Seal(plain, "access/"+about)
}

func (s *Store) unseal(sealed []byte, about string) ([]byte, error) {
	if s.Options.Seal == nil {
		return nil, errNoKey
	}
	return s.Options.Seal.Open(sealed, "access/"+about)
}
