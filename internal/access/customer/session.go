package customer

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
)

// codeRow is a code as stored; the zero value is one that never was.
type codeRow struct {
	party, point, way string
	code              []byte
	tries, at, used   int64
}

func (s *Store) code(ctx context.Context, tx *db.Tx, asked []byte) (codeRow, error) {
	var c codeRow
	err := tx.QueryRow(ctx, "SELECT party_id, point_id, way, code, tries, at, used_at FROM customer_code WHERE asked = $1"+
		tx.Dialect().ForUpdate(), asked).Scan(&c.party, &c.point, &c.way, &c.code, &c.tries, &c.at, &c.used)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return c, err
}

// Session is a visitor who has shown to be reached where the bank reaches a customer.
type Session struct {
	ID      contact.ID
	Party   contact.ID
	Point   contact.ID // the number or address that was shown
	Way     Way
	Started time.Time
}

// Who gives the session of a token, or nil when there is none, or when it has
// been idle or has lasted too long.
func (s *Store) Who(ctx context.Context, token string) (*Session, error) {
	if token == "" {
		return nil, nil
	}
	var out *Session
	var seen, now int64
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		var ss Session
		var started int64
		out, now = nil, tx.At()
		err := tx.QueryRow(ctx, "SELECT id, party_id, point_id, way, started_at, seen_at FROM customer_session WHERE token = $1",
			hashOf(token)).Scan(&ss.ID, &ss.Party, &ss.Point, &ss.Way, &started, &seen)
		if errors.Is(err, sql.ErrNoRows) || err == nil && (now-seen >= IdleLimit.Microseconds() || now-started >= TotalLimit.Microseconds()) {
			return nil
		}
		ss.Started = db.Time(started)
		out = &ss
		return err
	})
	if err != nil || out == nil || now-seen < seenEvery.Microseconds() {
		return out, err
	}
	return out, s.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE customer_session SET seen_at = $2 WHERE token = $1 AND seen_at < $2", hashOf(token), tx.At())
		return err
	})
}

// Leave ends a session.
func (s *Store) Leave(ctx context.Context, token string) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, "DELETE FROM customer_session WHERE token = $1", hashOf(token))
		return err
	})
}

// Sweep deletes what is over. It is due once a minute.
func (s *Store) Sweep(ctx context.Context) error {
	s.shown.sweep()
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, "DELETE FROM customer_code WHERE at < $1", tx.At()-addressSpan.Microseconds()); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM customer_session WHERE seen_at < $1", tx.At()-IdleLimit.Microseconds()); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "DELETE FROM customer_draft WHERE at < $1", tx.At()-draftLife.Microseconds())
		return err
	})
}

// shown keeps the codes of a simulated bank for its pages.
type shown struct {
	mu    sync.Mutex
	codes map[string]string
	olds  []string
}

// mostShown bounds the memory of a simulated bank.
const mostShown = 256

func (h *shown) put(asked, code string, on bool) {
	if !on {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.codes == nil {
		h.codes = map[string]string{}
	}
	h.codes[asked] = code
	h.olds = append(h.olds, asked)
	h.trim(mostShown)
}

func (h *shown) trim(most int) {
	for len(h.olds) > most {
		delete(h.codes, h.olds[0])
		h.olds = h.olds[1:]
	}
}

func (h *shown) drop(asked string, done bool) {
	if !done {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.codes, asked)
}

func (h *shown) sweep() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.trim(mostShown)
}

// Simulated gives the code that a simulated bank has just sent, so that its
// page can show it; "" in a real one, and when nothing was sent.
func (s *Store) Simulated(asked string) string {
	s.shown.mu.Lock()
	defer s.shown.mu.Unlock()
	return s.shown.codes[asked]
}
