// Package webhook tells other systems of the bank what happened, as Standard
// Webhooks (standardwebhooks.com). It follows the ledger: an event is a sealed
// entry, so nothing is told that did not happen and nothing that happened is
// left out. Each subscriber is told in order; one that fails holds up only
// itself.
package webhook

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/ledger"
)

// State is whether a subscriber is told.
type State string

// The states of an endpoint.
const (
	Active   State = "active"
	Paused   State = "paused"   // by a person; events wait
	Disabled State = "disabled" // it failed for days, or said that it is gone; events wait
)

// Endpoint is one subscriber.
type Endpoint struct {
	ID      contact.ID
	Name    string
	Client  string // the system it belongs to; empty = made by an administrator
	URL     string
	Types   []string // room.event, room.*, or * (everything but gate.*)
	Records bool     // the ledger's record is sent along, not only ids
	Cursor  int64    // the ledger's leaf it has been told up to
	State   State
	Failing time.Time // since when deliveries fail; zero = they do not
	Rotated time.Time // until when the old secret signs too
	Note    string
	MadeBy  string
	MadeAt  time.Time
}

// Matches reports whether the endpoint is told of a type.
func (e *Endpoint) Matches(kind string) bool {
	return slices.ContainsFunc(e.Types, func(p string) bool {
		if room, ok := strings.CutSuffix(p, ".*"); ok {
			return strings.HasPrefix(kind, room+".")
		}
		return p == kind || p == "*" && !strings.HasPrefix(kind, "gate.")
	})
}

// What this room refuses.
var (
	ErrNone = errs.New(errs.NotFound, "no_such_webhook", "找不到这个事件订阅。", "There is no such webhook.")
	ErrURL  = errs.New(errs.Invalid, "webhook_url", "地址须为 https:// 开头的完整网址，不含用户名和 #。",
		"The address must be a full https:// URL without user name and fragment.")
	ErrName  = errs.New(errs.Invalid, "webhook_name", "请填写名称（1–60 字）。", "Give it a name of 1 to 60 characters.")
	ErrTypes = errs.New(errs.Invalid, "webhook_types", "请至少写一个事件类型，如 consent.*、case.opened 或 *。",
		"Name at least one type of event, such as consent.*, case.opened or *.")
	ErrDelivery = errs.New(errs.NotFound, "no_such_delivery", "找不到这次投递。", "There is no such delivery.")
)

// Sealer encrypts the signing secrets; about binds each to its endpoint.
type Sealer interface {
	Seal(plain []byte, about string) ([]byte, error)
	Open(sealed []byte, about string) ([]byte, error)
}

// Store keeps subscribers and what each was told.
type Store struct {
	db     *db.DB
	ledger *ledger.Log
	seal   Sealer
	// AllowHTTP permits addresses without TLS, for systems on the bank's own network.
	AllowHTTP bool
}

// NewStore makes the store.
func NewStore(d *db.DB, l *ledger.Log, s Sealer) *Store { return &Store{db: d, ledger: l, seal: s} }

var typePattern = regexp.MustCompile(`^(\*|[a-z]+\.(\*|[a-z0-9_.]+))$`)

func (s *Store) check(e *Endpoint) error {
	if n := utf8.RuneCountInString(strings.TrimSpace(e.Name)); n == 0 || n > 60 {
		return ErrName
	}
	u, err := url.Parse(e.URL)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || len(e.URL) > 500 ||
		u.Scheme != "https" && !(s.AllowHTTP && u.Scheme == "http") {
		return ErrURL
	}
	if len(e.Types) == 0 || len(e.Types) > 40 || slices.ContainsFunc(e.Types, func(t string) bool { return !typePattern.MatchString(t) }) {
		return ErrTypes
	}
	return nil
}

const secretPrefix = "whsec_"

// newSecret makes a signing secret, in the form both sides keep it, and sealed.
func (s *Store) newSecret(id contact.ID) (plain string, sealed []byte, err error) {
	var raw [32]byte
	rand.Read(raw[:]) // never fails: crypto/rand ends the program instead
	sealed, err = s.seal.Seal(raw[:], "webhook/"+id)
	return secretPrefix + base64.StdEncoding.EncodeToString(raw[:]), sealed, err
}

// CreateIn adds a subscriber, told of everything from now on, and gives its
// signing secret, which nobody can be shown again.
func (s *Store) CreateIn(ctx context.Context, tx *db.Tx, e Endpoint, by string) (Endpoint, string, error) {
	if err := s.check(&e); err != nil {
		return e, "", err
	}
	e.ID, e.State, e.MadeBy, e.MadeAt = contact.NewID(), Active, by, tx.Now
	secret, sealed, err := s.newSecret(e.ID)
	if err != nil {
		return e, "", err
	}
	if e.Cursor, err = s.ledger.LeafAt(ctx, tx, tx.Now); err != nil {
		return e, "", err
	}
	records := 0
	if e.Records {
		records = 1
	}
	if _, err := tx.Exec(ctx, `INSERT INTO webhook_endpoint (id, name, client, url, types, records, secret, old_until, cursor, state,
		failing_since, lease, note, made_by, made_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9, 0, 0, '', $10, $11)`,
		e.ID, e.Name, e.Client, e.URL, strings.Join(e.Types, " "), records, sealed, e.Cursor, string(e.State), by, tx.At()); err != nil {
		return e, "", err
	}
	return e, secret, s.note(ctx, tx, &e, "created", by)
}

// Create is CreateIn in a transaction of its own.
func (s *Store) Create(ctx context.Context, e Endpoint, by string) (out Endpoint, secret string, err error) {
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		out, secret, err = s.CreateIn(ctx, tx, e, by)
		return err
	})
	return out, secret, err
}

func (s *Store) note(ctx context.Context, tx *db.Tx, e *Endpoint, what, by string) error {
	return ledger.Append(ctx, tx, ledger.Entry{Type: "webhook." + what, ID: e.ID, Record: map[string]any{
		"by": by, "types": e.Types, "records": e.Records, "state": e.State}})
}

const columns = "id, name, client, url, types, records, old_until, cursor, state, failing_since, note, made_by, made_at"

func scan(row interface{ Scan(...any) error }) (e Endpoint, err error) {
	var types, state string
	var records, rotated, failing, made int64
	err = row.Scan(&e.ID, &e.Name, &e.Client, &e.URL, &types, &records, &rotated, &e.Cursor, &state, &failing, &e.Note, &e.MadeBy, &made)
	e.Types, e.Records, e.State = strings.Fields(types), records != 0, State(state)
	e.Rotated, e.Failing, e.MadeAt = db.Time(rotated), db.Time(failing), db.Time(made)
	return e, err
}

// Get gives a subscriber, to its own system; client "" sees every one.
func (s *Store) Get(ctx context.Context, tx *db.Tx, id contact.ID, client string) (Endpoint, error) {
	e, err := scan(tx.QueryRow(ctx, "SELECT "+columns+" FROM webhook_endpoint WHERE id = $1 AND ($2 = '' OR client = $2)", id, client))
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNone
	}
	return e, err
}

// List gives a page of the subscribers of a system (client "" = of all), the
// newest first.
func (s *Store) List(ctx context.Context, tx *db.Tx, client string, p db.Span) (out []Endpoint, err error) {
	cond, tail := p.Seek(true, 2, "id")
	args := []any{client}
	if p.At != "" {
		args = append(args, p.At)
	}
	err = tx.Each(ctx, func(rows *sql.Rows) error {
		e, err := scan(rows)
		out = append(out, e)
		return err
	}, "SELECT "+columns+" FROM webhook_endpoint WHERE ($1 = '' OR client = $1)"+cond+tail, args...)
	return out, err
}

// Overlap is how long an old secret signs beside a new one.
const Overlap = 24 * time.Hour

// Rotate gives a subscriber a new signing secret. For a day both sign, so that
// nothing is refused while the other side changes over.
func (s *Store) Rotate(ctx context.Context, tx *db.Tx, id contact.ID, client, by string) (string, error) {
	e, err := s.Get(ctx, tx, id, client)
	if err != nil {
		return "", err
	}
	secret, sealed, err := s.newSecret(id)
	if err != nil {
		return "", err
	}
	if _, err := tx.Exec(ctx, "UPDATE webhook_endpoint SET old_secret = secret, old_until = $2, secret = $3 WHERE id = $1",
		id, db.Micros(tx.Now.Add(Overlap)), sealed); err != nil {
		return "", err
	}
	return secret, s.note(ctx, tx, &e, "rotated", by)
}

// SetState pauses a subscriber, or tells it on from where it stopped.
func (s *Store) SetState(ctx context.Context, tx *db.Tx, id contact.ID, client string, to State, by string) error {
	e, err := s.Get(ctx, tx, id, client)
	if err != nil || e.State == to {
		return err
	}
	e.State = to
	if _, err := tx.Exec(ctx, "UPDATE webhook_endpoint SET state = $2, failing_since = 0, note = '' WHERE id = $1", id, string(to)); err != nil {
		return err
	}
	if to == Active { // what waits is tried now
		if _, err := tx.Exec(ctx, "UPDATE webhook_delivery SET due_at = $2, tries = 0 WHERE endpoint_id = $1 AND state = 'pending'", id, tx.At()); err != nil {
			return err
		}
	}
	return s.note(ctx, tx, &e, map[State]string{Active: "resumed", Paused: "paused", Disabled: "disabled"}[to], by)
}

// Delete ends a subscription and forgets what it was told.
func (s *Store) Delete(ctx context.Context, tx *db.Tx, id contact.ID, client, by string) error {
	e, err := s.Get(ctx, tx, id, client)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "DELETE FROM webhook_delivery WHERE endpoint_id = $1", id); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "DELETE FROM webhook_endpoint WHERE id = $1", id); err != nil {
		return err
	}
	return s.note(ctx, tx, &e, "deleted", by)
}
