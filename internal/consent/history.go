package consent

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
)

// EventKind is what an event did.
type EventKind string

// The kinds of event.
const (
	Granted EventKind = "grant"
	Stopped EventKind = "stop"
	Lifted  EventKind = "lift"
)

// Event is one thing a person said, or that was recorded for them.
type Event struct {
	Seq    int64          `json:"seq"` // 1, 2, 3 … per person
	At     contact.Micros `json:"at"`  // when it was recorded
	Kind   EventKind      `json:"kind"`
	Grant  *contact.Grant `json:"grant,omitempty"`  // for Granted
	Stop   *contact.Stop  `json:"stop,omitempty"`   // for Stopped
	Ref    contact.ID     `json:"ref,omitempty"`    // for Lifted: the stop
	Reason string         `json:"reason,omitempty"` // for Lifted
	By     string         `json:"by"`
}

func (e Event) ref() contact.ID {
	switch e.Kind {
	case Granted:
		return e.Grant.ID
	case Stopped:
		return e.Stop.ID
	default:
		return e.Ref
	}
}

type lift struct {
	Reason string `json:"reason"`
}

// AsOf gives the standing of a person as it was recorded at an instant, by
// replaying the events up to it.
func (s *Store) AsOf(ctx context.Context, tx *db.Tx, party contact.ID, at time.Time) (contact.Standing, error) {
	var st contact.Standing
	err := s.each(ctx, tx, party, db.Micros(at), func(e Event) { st = apply(st, e) })
	return current(st, db.Micros(at)), err
}

// History gives all events of a person, oldest first.
func (s *Store) History(ctx context.Context, tx *db.Tx, party contact.ID) ([]Event, error) {
	var out []Event
	err := s.each(ctx, tx, party, 1<<62, func(e Event) { out = append(out, e) })
	return out, err
}

func (s *Store) each(ctx context.Context, tx *db.Tx, party contact.ID, until int64, fn func(Event)) error {
	return tx.Each(ctx, func(rs *sql.Rows) error {
		var e Event
		var body []byte
		if err := rs.Scan(&e.Seq, &e.At, &e.Kind, &e.Ref, &e.By, &body); err != nil {
			return err
		}
		if err := e.read(body); err != nil {
			return fmt.Errorf("consent event %s/%d: %w", party, e.Seq, err)
		}
		fn(e)
		return nil
	}, `SELECT seq, at, kind, ref, by_whom, body FROM consent_event
		WHERE party_id = $1 AND at <= $2 ORDER BY seq`, party, until)
}

// read fills the event from its stored body.
func (e *Event) read(body []byte) error {
	switch e.Kind {
	case Granted:
		e.Ref, e.Grant = "", new(contact.Grant)
		return json.Unmarshal(body, e.Grant)
	case Stopped:
		e.Ref, e.Stop = "", new(contact.Stop)
		return json.Unmarshal(body, e.Stop)
	case Lifted:
		var l lift
		err := json.Unmarshal(body, &l)
		e.Reason = l.Reason
		return err
	default:
		return fmt.Errorf("unknown kind %q", e.Kind)
	}
}

// grant finds a grant of a person among all ever recorded.
func (s *Store) grant(ctx context.Context, tx *db.Tx, party, id contact.ID) (contact.Grant, error) {
	var g *contact.Grant
	err := s.each(ctx, tx, party, 1<<62, func(e Event) {
		if e.Kind == Granted && e.Grant.ID == id {
			g = e.Grant
		}
	})
	if err != nil {
		return contact.Grant{}, err
	}
	if g == nil {
		return contact.Grant{}, ErrNoGrant
	}
	return *g, nil
}
