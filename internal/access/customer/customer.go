// Package customer knows who a visitor of the customer pages is: somebody who
// can be reached at a number or address that the bank has on record, shown by a
// one-time code that was read out or mailed there. There are no accounts and no
// passwords, and nothing tells a stranger whose number is a customer's.
package customer

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"math/big"
	"sync"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/ledger"
	"parley/internal/party"
)

// Way is how a code reaches its customer.
type Way string

// The ways.
const (
	ByCall Way = "call" // read out by an automated call
	ByMail Way = "mail"
)

// The bounds of codes (OWASP ASVS 5.0, 6.5 and 6.6) and of sessions.
const (
	digits       = 6
	CodeLife     = 5 * time.Minute
	maxTries     = 5
	IdleLimit    = 20 * time.Minute
	TotalLimit   = 2 * time.Hour
	perAddress   = 5               // codes to one number or address …
	addressSpan  = 24 * time.Hour  // … in this time
	addressPause = 1 * time.Minute // and this long between two
	perVisitor   = 10
	visitorSpan  = time.Hour
	perBank      = 120
	bankSpan     = time.Minute
	draftLife    = 2 * time.Hour
	seenEvery    = time.Minute // a request in between writes nothing
)

// Place is where a code is to be brought.
type Place struct {
	Party, Point contact.ID
	Way          Way
}

// Courier brings codes to customers, through the gate. It may take its time:
// nobody waits for it. An error says why it could not, for the log.
type Courier interface {
	Bring(ctx context.Context, to Place, code string) error
}

// Options are what a Store needs besides the database.
type Options struct {
	Key     []byte // of the keyed hashes, at least 32 bytes
	Courier Courier
	// Show keeps codes in memory so that a simulated bank can show them on the
	// page: its customers are nobody, and its visitors have no phone that rings.
	Show bool
	Log  *slog.Logger
}

// Store keeps codes, sessions and drafts. It is safe for concurrent use.
type Store struct {
	db    *db.DB
	party *party.Store
	o     Options
	shown shown
	busy  chan struct{} // bounds the errands under way
	work  sync.WaitGroup
}

// errands is how many codes may be on their way at once; more wait.
const errands = 16

// New makes the store.
func New(d *db.DB, p *party.Store, o Options) (*Store, error) {
	if len(o.Key) < sha256.Size {
		return nil, fmt.Errorf("customer: the key has %d bytes, fewer than %d", len(o.Key), sha256.Size)
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Store{db: d, party: p, o: o, busy: make(chan struct{}, errands)}, nil
}

// What asking for a code and giving it refuse. None depends on whether the bank
// knows the number.
var (
	ErrTooOften = errs.New(errs.Busy, "code_too_often", "验证码要得太频繁了。请过几分钟再试，或拨打客服电话。",
		"Too many codes were asked for. Please try again in a few minutes, or call us.")
	ErrWrong = errs.New(errs.Invalid, "code_wrong", "验证码不对。请再输入一次；它只在五分钟内有效。",
		"That code is not right. Please type it again; a code is good for five minutes.")
	ErrOver = errs.New(errs.Invalid, "code_over", "这个验证码已经失效。请重新获取一个。",
		"This code is no longer good. Please ask for a new one.")
)

func (s *Store) mac(what string, value []byte) []byte {
	h := hmac.New(sha256.New, s.o.Key)
	h.Write([]byte(what))
	h.Write([]byte{0})
	h.Write(value)
	return h.Sum(nil)
}

// secret makes a random token and the hash it is stored under.
func secret() (token string, hash []byte) {
	b := make([]byte, 24)
	rand.Read(b) // never fails (crypto/rand)
	token = base64.RawURLEncoding.EncodeToString(b)
	return token, hashOf(token)
}

func hashOf(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return h[:]
}

func newCode() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return "", fmt.Errorf("one-time code: %w", err)
	}
	return fmt.Sprintf("%0*d", digits, n), nil
}

// Ask makes a code for whoever is reached at a number (E.164) or address, and
// sends it off. visitor is the network address that asks. What it gives goes
// into the visitor's browser and comes back with the code. Whether the bank
// knows the address shows neither in the answer nor in the time it takes; an
// address that several customers share proves nobody and is like an unknown one.
func (s *Store) Ask(ctx context.Context, kind party.PointKind, value, visitor string) (asked string, err error) {
	token, hash := secret()
	code, err := newCode()
	if err != nil {
		return "", err
	}
	to := Place{Way: ByCall}
	if kind == party.Email {
		to.Way = ByMail
	}
	address, from := s.mac("address", []byte(string(kind)+":"+value)), s.mac("visitor", []byte(visitor))
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		if err := s.bounds(ctx, tx, address, from); err != nil {
			return err
		}
		if to.Party, to.Point, err = s.holder(ctx, tx, kind, value); err != nil {
			return err
		}
		return tx.Insert(ctx, "customer_code", []string{"asked", "address", "visitor", "party_id", "point_id", "way", "code", "tries", "at", "used_at"},
			"", [][]any{{hash, address, from, to.Party, to.Point, string(to.Way), s.mac("code", append(hash, code...)), int64(0), tx.At(), int64(0)}})
	})
	if err != nil {
		return "", err
	}
	if to.Party != "" {
		s.shown.put(token, code, s.o.Show)
		s.work.Go(func() { s.bring(context.WithoutCancel(ctx), to, code) })
	}
	return token, nil
}

// Wait returns when no code is on its way any more. It is due when the program
// stops, after the last request.
func (s *Store) Wait() { s.work.Wait() }

// bring runs one errand. Its failure is told to nobody who could learn from it.
func (s *Store) bring(ctx context.Context, to Place, code string) {
	s.busy <- struct{}{}
	defer func() { <-s.busy }()
	if s.o.Courier == nil {
		return
	}
	if err := s.o.Courier.Bring(ctx, to, code); err != nil {
		s.o.Log.Info("a one-time code was not brought", "way", to.Way, "point", to.Point, "error", err)
	}
}

// bounds refuses when too many codes were asked for to this address, by this
// visitor, or in all. The place of the lock is the write transaction.
func (s *Store) bounds(ctx context.Context, tx *db.Tx, address, visitor []byte) error {
	now := tx.At()
	for _, b := range []struct {
		q    string
		args []any
		most int64
	}{
		{"SELECT count(*) FROM customer_code WHERE address = $1 AND at > $2", []any{address, now - addressPause.Microseconds()}, 1},
		{"SELECT count(*) FROM customer_code WHERE address = $1 AND at > $2", []any{address, now - addressSpan.Microseconds()}, perAddress},
		{"SELECT count(*) FROM customer_code WHERE visitor = $1 AND at > $2", []any{visitor, now - visitorSpan.Microseconds()}, perVisitor},
		{"SELECT count(*) FROM customer_code WHERE at > $1", []any{now - bankSpan.Microseconds()}, perBank},
	} {
		var n int64
		if err := tx.QueryRow(ctx, b.q, b.args...).Scan(&n); err != nil {
			return err
		}
		if n >= b.most {
			return ErrTooOften
		}
	}
	return nil
}

// holder gives the one customer who is reached at an address.
func (s *Store) holder(ctx context.Context, tx *db.Tx, kind party.PointKind, value string) (who, point contact.ID, err error) {
	found, err := s.party.ByPoint(ctx, tx, kind, value)
	if err != nil {
		return "", "", err
	}
	for _, f := range found {
		if who != "" && f.PartyID != who {
			return "", "", nil
		}
		who, point = f.PartyID, f.PointID
	}
	return who, point, nil
}

// Confirm takes the code that a visitor typed. When it is right the visitor is
// signed in, and the token goes into the browser.
func (s *Store) Confirm(ctx context.Context, asked, code string) (token string, err error) {
	token, hash := secret()
	var verdict error // a wrong try is counted: it must not roll back
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		c, err := s.code(ctx, tx, hashOf(asked))
		if err != nil {
			return err
		}
		right := hmac.Equal(c.code, s.mac("code", append(hashOf(asked), code...)))
		switch {
		case c.party == "" && c.at == 0, c.used != 0, c.tries >= maxTries, tx.At()-c.at >= CodeLife.Microseconds():
			verdict = ErrOver
			return nil
		case !right || c.party == "":
			verdict = ErrWrong
			if c.tries+1 >= maxTries {
				verdict = ErrOver
			}
			_, err := tx.Exec(ctx, "UPDATE customer_code SET tries = tries + 1 WHERE asked = $1", hashOf(asked))
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE customer_code SET used_at = $2 WHERE asked = $1", hashOf(asked), tx.At()); err != nil {
			return err
		}
		verdict = nil
		return s.open(ctx, tx, hash, c)
	})
	s.shown.drop(asked, err == nil && verdict == nil)
	if err != nil || verdict != nil {
		return "", firstOf(err, verdict)
	}
	return token, nil
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// open starts a session in tx.
func (s *Store) open(ctx context.Context, tx *db.Tx, hash []byte, c codeRow) error {
	id := contact.NewID()
	if err := tx.Insert(ctx, "customer_session", []string{"token", "id", "party_id", "point_id", "way", "started_at", "seen_at"}, "",
		[][]any{{hash, id, c.party, c.point, c.way, tx.At(), tx.At()}}); err != nil {
		return err
	}
	return ledger.Append(ctx, tx, ledger.Entry{Type: "customer.proven", ID: id,
		Record: map[string]any{"party": c.party, "point": c.point, "way": c.way}})
}
