// Package consent keeps what each person has said about being contacted:
// grants with their terms, withdrawals, refusals, do-not-contact and holds. It
// is an append-only list of events and a compact projection of them, written
// together with the ledger entry and the voiding of permits in one
// transaction, so a withdrawal that was acknowledged is in force.
package consent

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

// Voider makes the permits of a person void that a stop covers and that are not
// on the wire yet; it gives their number. The gate implements it.
type Voider interface {
	VoidParty(ctx context.Context, tx *db.Tx, party contact.ID, s contact.Stop) (int, error)
}

// Store keeps consents. It is safe for concurrent use once its fields are set.
type Store struct {
	db     *db.DB
	voider Voider

	// Controller is who processes the data; Export27560 needs it.
	Controller Controller
}

// NewStore makes a store on d. v is told of every stop in the stop's own
// transaction; it may be nil where nothing mints permits.
func NewStore(d *db.DB, v Voider) *Store { return &Store{db: d, voider: v} }

// SetVoider names the voider after the fact: the gate is made from the store
// and is its voider too. It must be called before the store is used.
func (s *Store) SetVoider(v Voider) { s.voider = v }

// Errors of this room.
var (
	ErrNoGrant = errs.New(errs.NotFound, "no_such_grant", "找不到这份授权。", "There is no such grant for this person.")
	ErrNoStop  = errs.New(errs.NotFound, "no_such_stop", "找不到这条停止联系记录，或它已被解除。",
		"There is no such stop for this person, or it was lifted already.")
)

// Grant records what a person agreed to. An empty ID is filled in, and a zero
// From is now. by names who recorded it: a staff id, or a way such as "key9".
func (s *Store) Grant(ctx context.Context, tx *db.Tx, party contact.ID, g contact.Grant, by string) (contact.Grant, error) {
	gs := []PartyGrant{{Party: party, Grant: g}}
	err := s.GrantMany(ctx, tx, gs, by)
	return gs[0].Grant, err
}

// PartyGrant is a grant and whose it is.
type PartyGrant struct {
	Party contact.ID
	Grant contact.Grant
}

// GrantMany is Grant for many people at once, in few statements. It fills IDs
// and From in gs.
func (s *Store) GrantMany(ctx context.Context, tx *db.Tx, gs []PartyGrant, by string) error {
	changes := make([]change, len(gs))
	for i := range gs {
		g := &gs[i].Grant
		if g.ID == "" {
			g.ID = contact.NewID()
		}
		if err := CheckGrant(*g, tx.At()); err != nil {
			return err
		}
		changes[i] = change{gs[i].Party, Event{Kind: Granted, Grant: g, By: by}}
	}
	return s.record(ctx, tx, changes)
}

// Stop records that contact must not happen, and makes void every permit of the
// person it covers that is not on the wire. An empty ID is filled in, and a
// zero At is now. A stop that names a grant and nothing else takes that
// grant's purposes, channels and points.
func (s *Store) Stop(ctx context.Context, tx *db.Tx, party contact.ID, st contact.Stop, by string) (contact.Stop, error) {
	if st.ID == "" {
		st.ID = contact.NewID()
	}
	if st.GrantID != "" && st.Purposes == 0 && st.Channels == 0 && len(st.Points) == 0 {
		g, err := s.grant(ctx, tx, party, st.GrantID)
		if err != nil {
			return st, err
		}
		st.Purposes, st.Channels, st.Points = g.Purposes, g.Channels, g.Points
	}
	if err := checkStop(st, tx.At()); err != nil {
		return st, err
	}
	if err := s.record(ctx, tx, []change{{party, Event{Kind: Stopped, Stop: &st, By: by}}}); err != nil {
		return st, err
	}
	if s.voider == nil {
		return st, nil
	}
	if _, err := s.voider.VoidParty(ctx, tx, party, st); err != nil {
		return st, fmt.Errorf("void permits: %w", err)
	}
	return st, nil
}

// Lift ends a stop. A consent that the stop took back does not return: the
// person must grant it again.
func (s *Store) Lift(ctx context.Context, tx *db.Tx, party, stopID contact.ID, by, reason string) error {
	held, err := s.Load(ctx, tx, []contact.ID{party}, true)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(held[party].Stops, func(st contact.Stop) bool { return st.ID == stopID }) {
		return ErrNoStop
	}
	return s.record(ctx, tx, []change{{party, Event{Kind: Lifted, Ref: stopID, By: by, Reason: reason}}})
}

// Load gives the current standing of each person; one without any record has
// an empty standing. lock takes the per-person lock until the transaction
// ends, in a fixed order, and makes the lock's row where it is missing. A stop
// in the answer is in force even if its At is a moment after tx.Now: another
// transaction, with a later Now, may have committed first.
func (s *Store) Load(ctx context.Context, tx *db.Tx, parties []contact.ID, lock bool) (map[contact.ID]contact.Standing, error) {
	out := make(map[contact.ID]contact.Standing, len(parties))
	err := s.project(ctx, tx, parties, lock, func(id contact.ID, r row) { out[id] = current(r.standing, tx.At()) })
	if err != nil {
		return nil, err
	}
	for _, id := range parties {
		if _, ok := out[id]; !ok {
			out[id] = contact.Standing{}
		}
	}
	return out, nil
}

// row is one person's projection as stored.
type row struct {
	version, at int64
	standing    contact.Standing
}

func (s *Store) load(ctx context.Context, tx *db.Tx, parties []contact.ID) (map[contact.ID]row, error) {
	out := make(map[contact.ID]row, len(parties))
	return out, s.project(ctx, tx, parties, true, func(id contact.ID, r row) { out[id] = r })
}

// project calls found for everybody who has a projection. With lock everybody has
// one: it is made where it is missing, for it is the lock.
func (s *Store) project(ctx context.Context, tx *db.Tx, parties []contact.ID, lock bool, found func(contact.ID, row)) error {
	ids := slices.Clone(parties)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	seen := make([]contact.ID, 0, len(ids))
	dec := decoder{seen: map[string]string{}}
	var raw sql.RawBytes
	scan := func(rs *sql.Rows) error {
		var id string
		var r row
		err := rs.Scan(&id, &r.version, &r.at, &raw)
		if err != nil {
			return err
		}
		if r.standing, err = dec.decode(raw); err != nil {
			return fmt.Errorf("consent state of %s: %w", id, err)
		}
		seen = append(seen, id)
		found(id, r)
		return nil
	}
	const q = "SELECT party_id, version, at, state FROM consent_state WHERE party_id"
	if !lock {
		return tx.EachIn(ctx, scan, q, ids, "")
	}
	tail := "ORDER BY party_id" + tx.Dialect().ForUpdate()
	if err := tx.EachIn(ctx, scan, q, ids, tail); err != nil || len(seen) == len(ids) {
		return err
	}
	had := make(map[contact.ID]bool, len(seen))
	for _, id := range seen {
		had[id] = true
	}
	missing := slices.DeleteFunc(ids, func(id contact.ID) bool { return had[id] })
	fresh, empty := make([][]any, len(missing)), encode(contact.Standing{})
	for i, id := range missing {
		fresh[i] = []any{id, 0, 0, empty}
	}
	err := tx.Insert(ctx, "consent_state", []string{"party_id", "version", "at", "state"}, "ON CONFLICT (party_id) DO NOTHING", fresh)
	if err != nil {
		return err
	}
	return tx.EachIn(ctx, scan, q, missing, tail) // somebody else may have made the row, with events
}

// change is one event of one person, on its way in.
type change struct {
	party contact.ID
	Event
}

// record appends events, rewrites the projections and adds the ledger entries.
// The events of one person happen in the order given.
func (s *Store) record(ctx context.Context, tx *db.Tx, changes []change) error {
	if len(changes) == 0 {
		return nil
	}
	parties := make([]contact.ID, len(changes))
	for i, c := range changes {
		parties[i] = c.party
	}
	rows, err := s.load(ctx, tx, parties)
	if err != nil {
		return err
	}
	events := make([][]any, len(changes))
	for i := range changes {
		c := &changes[i]
		r := rows[c.party]
		// Transactions of one person commit in the order of the lock, which need
		// not be the order of their Now.
		r.version, r.at = r.version+1, max(r.at, tx.At())
		c.happen(r.version, r.at)
		r.standing = apply(r.standing, c.Event)
		rows[c.party] = r
		body, err := c.body()
		if err != nil {
			return err
		}
		events[i] = []any{c.party, c.Seq, c.At, string(c.Kind), c.ref(), c.By, body}
	}
	err = tx.Insert(ctx, "consent_event", []string{"party_id", "seq", "at", "kind", "ref", "by_whom", "body"}, "", events)
	if err != nil {
		return err
	}
	if err := errors.Join(rewrite(ctx, tx, rows), countNotices(ctx, tx, changes)); err != nil {
		return err
	}
	return seal(ctx, tx, changes)
}

// happen fixes the place of an event in its person's history.
func (e *Event) happen(seq, at int64) {
	e.Seq, e.At = seq, at
	if e.Grant != nil && e.Grant.From == 0 {
		e.Grant.From = at
	}
	if e.Stop != nil && e.Stop.At == 0 {
		e.Stop.At = at
	}
}

func rewrite(ctx context.Context, tx *db.Tx, rows map[contact.ID]row) error {
	states := make([][]any, 0, len(rows))
	for id, r := range rows {
		states = append(states, []any{id, r.version, r.at, encode(r.standing)})
	}
	slices.SortFunc(states, func(a, b []any) int { return strings.Compare(a[0].(string), b[0].(string)) })
	return tx.Insert(ctx, "consent_state", []string{"party_id", "version", "at", "state"},
		"ON CONFLICT (party_id) DO UPDATE SET version = excluded.version, at = excluded.at, state = excluded.state", states)
}

// body is the JSON kept with the event.
func (e Event) body() (string, error) {
	var v any
	switch e.Kind {
	case Granted:
		v = e.Grant
	case Stopped:
		v = e.Stop
	default:
		v = lift{e.Reason}
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("consent event: %w", err)
	}
	return string(b), nil
}
