// Package apikey keeps the keys by which other systems of the bank use Parley:
// what each may do, who made and approved it, when it was used last. A key is
// shown once; only a hash of it is kept.
package apikey

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/ledger"
)

// Key is a key as kept: everything but the secret.
type Key struct {
	ID       contact.ID
	Prefix   string // the public beginning, by which people recognise it
	Name     string
	Client   string // the system that holds it; contacts it makes are told by this name
	Scopes   []Scope
	Rate     int // requests per second; 0 = the configured default
	MadeBy   string
	MadeAt   time.Time
	Approved string    // who approved it; empty while it waits, or when none was needed
	From     time.Time // when it began to work; zero while it waits for approval
	Expires  time.Time
	Revoked  time.Time // zero = not revoked
	UsedAt   time.Time // to the minute; zero = never
}

// May reports whether the key carries the scope.
func (k *Key) May(s Scope) bool { return k != nil && slices.Contains(k.Scopes, s) }

// Wide reports whether the key needs a second person's approval.
func (k *Key) Wide() bool { return slices.ContainsFunc(k.Scopes, Scope.Wide) }

// Account is how stores name the key as somebody who acts.
func Account(k *Key) string { return account + k.Client + "/" + k.Prefix }

const account = "api:"

// MakerIn gives who made the key that an account names: the human being behind
// it. ok is false when the account is no key's.
func (s *Store) MakerIn(ctx context.Context, tx *db.Tx, name string) (maker string, ok bool, err error) {
	rest, ok := strings.CutPrefix(name, account)
	if !ok {
		return "", false, nil
	}
	_, prefix, _ := strings.Cut(rest, "/")
	err = tx.QueryRow(ctx, "SELECT made_by FROM api_key WHERE prefix = $1", prefix).Scan(&maker)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNone
	}
	return maker, true, err
}

// State names where the key stands at an instant: waiting, active, expired or revoked.
func (k *Key) State(now time.Time) string {
	switch {
	case !k.Revoked.IsZero():
		return "revoked"
	case !now.Before(k.Expires):
		return "expired"
	case k.From.IsZero():
		return "waiting"
	default:
		return "active"
	}
}

// MaxLife is how long a key may live: a key nobody renews must not outlive
// those who remember it (ASVS 5.0, 13.3.4).
const MaxLife = 366 * 24 * time.Hour

const (
	fresh     = 2 * time.Second // how long another process's revocation may take to be seen
	usedEvery = time.Minute     // how exactly the last use is kept
)

// What this room refuses. One answer for every key that cannot be used, so that
// prefixes cannot be tried.
var (
	ErrKey = errs.New(errs.Forbidden, "key_invalid", "接口密钥无效、已过期、已撤销或尚未批准。",
		"The API key is not valid: it is unknown, has expired, was revoked or waits for approval.")
	ErrNone  = errs.New(errs.NotFound, "no_such_key", "找不到这个接口密钥。", "There is no such API key.")
	ErrScope = errs.New(errs.Invalid, "key_scope", "请为密钥至少选择一项权限；不存在的权限不能选。",
		"Choose at least one scope for the key, of those that exist.")
	ErrName = errs.New(errs.Invalid, "key_name", "请填写密钥用途（1–60 字）和系统代号（小写字母、数字、连字符，2–32 位）。",
		"Give the key a name (1 to 60 characters) and its system's short name (lower-case letters, digits, hyphens; 2 to 32).")
	ErrLife = errs.New(errs.Invalid, "key_expiry", "有效期必须在将来，且不超过一年。", "The expiry must lie in the future and within a year.")
	ErrRate = errs.New(errs.Invalid, "key_rate", "每秒请求数应在 0 到 100000 之间。", "Requests per second must be from 0 to 100000.")
	ErrSelf = errs.New(errs.Forbidden, "key_self_approval", "密钥的申请人不能自己批准。", "Whoever asked for the key cannot approve it.")
)

// Store keeps keys. It is safe for concurrent use.
type Store struct {
	db    *db.DB
	known sync.Map // prefix → cached
}

// cached is a key as it was read a moment ago.
type cached struct {
	key  Key
	hash []byte
	at   time.Time
}

// NewStore makes the store.
func NewStore(d *db.DB) *Store { return &Store{db: d} }

var clientName = regexp.MustCompile(`^[a-z][a-z0-9-]{1,31}$`)

func (k *Key) check(now time.Time) error {
	switch n := utf8.RuneCountInString(k.Name); {
	case n == 0 || n > 60 || !clientName.MatchString(k.Client):
		return ErrName
	case len(k.Scopes) == 0 || slices.ContainsFunc(k.Scopes, func(s Scope) bool { return !known(s) }):
		return ErrScope
	case !k.Expires.After(now) || k.Expires.Sub(now) > MaxLife:
		return ErrLife
	case k.Rate < 0 || k.Rate > 100_000:
		return ErrRate
	}
	return nil
}

// Create makes a key and gives the token, which nobody can be shown again. A
// key with a wide scope does not work until a second person approves it.
func (s *Store) Create(ctx context.Context, k Key, by string) (Key, string, error) {
	var token string
	err := s.db.Write(ctx, func(tx *db.Tx) (err error) {
		k, token, err = s.CreateIn(ctx, tx, k, by)
		return err
	})
	return k, token, err
}

// CreateIn is Create in a transaction of the caller's, which may ask for the
// approval too.
func (s *Store) CreateIn(ctx context.Context, tx *db.Tx, k Key, by string) (Key, string, error) {
	k.Name, k.Client = strings.TrimSpace(k.Name), strings.TrimSpace(k.Client)
	if err := k.check(tx.Now); err != nil {
		return k, "", err
	}
	slices.Sort(k.Scopes)
	k.Scopes = slices.Compact(k.Scopes)
	var random [38]byte
	rand.Read(random[:]) // never fails: crypto/rand ends the program instead
	secret := base64.RawURLEncoding.EncodeToString(random[6:])
	k.ID, k.MadeBy, k.MadeAt = contact.NewID(), by, tx.Now
	k.Prefix = strings.ToLower(base32.StdEncoding.EncodeToString(random[:6]))[:8]
	if !k.Wide() {
		k.From = tx.Now
	}
	hash := sha256.Sum256([]byte(secret))
	_, err := tx.Exec(ctx, `INSERT INTO api_key (id, prefix, hash, name, client, scopes, rate, made_by, made_at, approved_by,
		approved_at, expires_at, revoked_by, revoked_at, used_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', $10, $11, '', 0, 0)`,
		k.ID, k.Prefix, hash[:], k.Name, k.Client, joinScopes(k.Scopes), k.Rate, by, tx.At(), db.Micros(k.From), db.Micros(k.Expires))
	if err != nil {
		return k, "", err
	}
	return k, "parley_" + k.Prefix + "_" + secret, s.note(ctx, tx, &k, "created", by)
}

func (s *Store) note(ctx context.Context, tx *db.Tx, k *Key, what, by string) error {
	return ledger.Append(ctx, tx, ledger.Entry{Type: "apikey." + what, ID: k.ID, Record: map[string]any{
		"by": by, "client": k.Client, "scopes": k.Scopes, "expires": k.Expires.UTC().Format(time.RFC3339)}})
}

// ApproveIn makes a waiting key work, in tx. The approver is not its maker.
func (s *Store) ApproveIn(ctx context.Context, tx *db.Tx, id contact.ID, by string) error {
	k, err := s.get(ctx, tx, id)
	if err != nil {
		return err
	}
	if k.MadeBy == by {
		return ErrSelf
	}
	n, err := tx.Exec(ctx, `UPDATE api_key SET approved_by = $2, approved_at = $3 WHERE id = $1 AND approved_at = 0 AND revoked_at = 0`,
		id, by, tx.At())
	if err != nil || n == 0 {
		return err
	}
	tx.AfterCommit(func() { s.known.Delete(k.Prefix) })
	return s.note(ctx, tx, &k, "approved", by)
}

// Revoke ends a key at once; revoking it again changes nothing.
func (s *Store) Revoke(ctx context.Context, id contact.ID, by string) error {
	return s.db.Write(ctx, func(tx *db.Tx) error { return s.RevokeIn(ctx, tx, id, by) })
}

// RevokeIn is Revoke in a transaction of the caller's.
func (s *Store) RevokeIn(ctx context.Context, tx *db.Tx, id contact.ID, by string) error {
	k, err := s.get(ctx, tx, id)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `UPDATE api_key SET revoked_by = $2, revoked_at = $3 WHERE id = $1 AND revoked_at = 0`, id, by, tx.At())
	if err != nil || n == 0 {
		return err
	}
	tx.AfterCommit(func() { s.known.Delete(k.Prefix) })
	return s.note(ctx, tx, &k, "revoked", by)
}

const columns = "id, prefix, hash, name, client, scopes, rate, made_by, made_at, approved_by, approved_at, expires_at, revoked_at, used_at"

func scan(row interface{ Scan(...any) error }) (k Key, hash []byte, err error) {
	var scopes string
	var made, from, expires, revoked, used int64
	err = row.Scan(&k.ID, &k.Prefix, &hash, &k.Name, &k.Client, &scopes, &k.Rate, &k.MadeBy, &made, &k.Approved, &from, &expires, &revoked, &used)
	k.Scopes = splitScopes(scopes)
	k.MadeAt, k.From, k.Expires, k.Revoked, k.UsedAt = db.Time(made), db.Time(from), db.Time(expires), db.Time(revoked), db.Time(used)
	return k, hash, err
}

func (s *Store) get(ctx context.Context, tx *db.Tx, id contact.ID) (Key, error) {
	k, _, err := scan(tx.QueryRow(ctx, "SELECT "+columns+" FROM api_key WHERE id = $1", id))
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNone
	}
	return k, err
}

// Get gives one key.
func (s *Store) Get(ctx context.Context, id contact.ID) (k Key, err error) {
	err = s.db.Read(ctx, func(tx *db.Tx) error {
		k, err = s.get(ctx, tx, id)
		return err
	})
	return k, err
}

// List gives a page of keys, the newest first.
func (s *Store) List(ctx context.Context, p db.Span) (out []Key, err error) {
	cond, tail := p.Seek(true, 1, "id")
	var args []any
	if p.At != "" {
		args = append(args, p.At)
	}
	err = s.db.Read(ctx, func(tx *db.Tx) error {
		out = nil
		return tx.Each(ctx, func(rows *sql.Rows) error {
			k, _, err := scan(rows)
			out = append(out, k)
			return err
		}, "SELECT "+columns+" FROM api_key WHERE 1 = 1"+cond+tail, args...)
	})
	return out, err
}

// Check finds the key a token is of; ErrKey when it cannot be used now.
func (s *Store) Check(ctx context.Context, token string) (*Key, error) {
	rest, ok := strings.CutPrefix(token, "parley_")
	prefix, secret, ok2 := strings.Cut(rest, "_")
	if !ok || !ok2 || len(prefix) != 8 || len(secret) != 43 {
		return nil, ErrKey
	}
	c, now, err := s.find(ctx, prefix)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256([]byte(secret))
	if subtle.ConstantTimeCompare(hash[:], c.hash) != 1 || c.key.State(now) != "active" {
		return nil, ErrKey
	}
	if now.Sub(c.key.UsedAt) >= usedEvery {
		if err := s.used(ctx, c, now); err != nil {
			return nil, err
		}
	}
	return &c.key, nil
}

func (s *Store) find(ctx context.Context, prefix string) (*cached, time.Time, error) {
	now := s.db.Now()
	if v, ok := s.known.Load(prefix); ok {
		if c, ok := v.(*cached); ok && now.Sub(c.at) < fresh {
			return c, now, nil
		}
	}
	c := &cached{at: now}
	err := s.db.Read(ctx, func(tx *db.Tx) (err error) {
		c.key, c.hash, err = scan(tx.QueryRow(ctx, "SELECT "+columns+" FROM api_key WHERE prefix = $1", prefix))
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, now, ErrKey
	}
	if err != nil {
		return nil, now, err
	}
	s.known.Store(prefix, c)
	return c, now, nil
}

// used keeps when the key was used last, to the minute.
func (s *Store) used(ctx context.Context, c *cached, now time.Time) error {
	next := *c
	next.key.UsedAt = now
	if !s.known.CompareAndSwap(c.key.Prefix, c, &next) {
		return nil // another request of the same moment keeps it
	}
	return s.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE api_key SET used_at = $2 WHERE id = $1 AND used_at < $2", c.key.ID, tx.At())
		return err
	})
}
