package consent

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/ledger"
)

// Number is an entry of the bank's do-not-contact list: a number or address at
// which nobody may be contacted, whoever has it, now or later. It takes effect
// as a stop of every person who has the number, in the transaction that makes
// the entry or, of one who comes later, in the one that records them.
type Number struct {
	ID       contact.ID
	Blind    string // keyed hash of the value, hex: party.Store.Blind
	Mask     string // the value as it may be shown
	Purposes contact.Purposes
	Source   string // staff, upload, the name of a regulator's list …
	Reason   string
	By       string
	At       contact.Micros
	Until    contact.Micros // 0 = until it is lifted
	LiftedAt contact.Micros // 0 = in force
	LiftedBy string
	LiftWhy  string
}

// Holder is a person who has a number.
type Holder struct {
	Party, Point contact.ID
	Blind        string
}

// Errors of the list.
var (
	ErrListed = errs.New(errs.Conflict, "number_listed", "这个号码已在免打扰名单中。", "This number is on the do-not-contact list already.")
	ErrNumber = errs.New(errs.NotFound, "no_such_number", "免打扰名单中没有这一条，或它已被解除。",
		"There is no such entry on the do-not-contact list, or it was lifted already.")
)

const numberColumns = "id, blind, mask, purposes, source, reason, by_whom, at, until, lifted_at, lifted_by, lift_why"

func scanNumber(r interface{ Scan(...any) error }) (n Number, err error) {
	var purposes int64
	err = r.Scan(&n.ID, &n.Blind, &n.Mask, &purposes, &n.Source, &n.Reason, &n.By, &n.At, &n.Until, &n.LiftedAt, &n.LiftedBy, &n.LiftWhy)
	n.Purposes = contact.Purposes(purposes) //nolint:gosec // written from a Purposes
	return n, err
}

// inForce reports whether the entry stops anybody at an instant.
func (n *Number) inForce(at contact.Micros) bool {
	return n.LiftedAt == 0 && (n.Until == 0 || n.Until > at)
}

// covers reports whether the entry says all that another would.
func (n *Number) covers(o Number) bool {
	return (n.Purposes == 0 || n.Purposes == o.Purposes) && (n.Until == 0 || o.Until != 0 && n.Until >= o.Until)
}

// AddNumber puts a number on the list and stops those who have it, at once.
func (s *Store) AddNumber(ctx context.Context, tx *db.Tx, n Number, who []Holder) (Number, error) {
	listed, err := s.NumbersOf(ctx, tx, []string{n.Blind})
	if err != nil {
		return n, err
	}
	for _, old := range listed[n.Blind] {
		if old.inForce(tx.At()) && old.covers(n) {
			return old, ErrListed
		}
	}
	n.ID, n.At = contact.NewID(), tx.At()
	if err := checkStop(n.stop(contact.ID("")), tx.At()); err != nil {
		return n, err
	}
	err = tx.Insert(ctx, "consent_number", []string{"id", "blind", "mask", "purposes", "source", "reason", "by_whom", "at", "until", "lifted_at", "lifted_by", "lift_why"}, "",
		[][]any{{n.ID, n.Blind, n.Mask, int64(n.Purposes), n.Source, n.Reason, n.By, n.At, n.Until, 0, "", ""}})
	if err != nil {
		return n, err
	}
	if err := ledger.Append(ctx, tx, ledger.Entry{Type: "number.listed", ID: n.ID, Record: map[string]any{"blind": n.Blind, "purposes": n.Purposes,
		"source": n.Source, "reason": n.Reason, "until": n.Until, "by": n.By, "people": len(who)}}); err != nil {
		return n, err
	}
	return n, s.stopAll(ctx, tx, n, who)
}

func (n *Number) stop(point contact.ID) contact.Stop {
	st := contact.Stop{Kind: contact.DoNotContact, Purposes: n.Purposes, Until: n.Until, Source: "number:" + n.ID}
	if point != "" {
		st.Points = []contact.ID{point}
	}
	return st
}

// stopAll stops the holders of a number.
func (s *Store) stopAll(ctx context.Context, tx *db.Tx, n Number, who []Holder) error {
	for _, h := range who {
		st, err := s.Stop(ctx, tx, h.Party, n.stop(h.Point), n.By)
		if err != nil {
			return err
		}
		if err := tx.Insert(ctx, "consent_number_stop", []string{"number_id", "party_id", "stop_id"}, "", [][]any{{n.ID, h.Party, st.ID}}); err != nil {
			return err
		}
	}
	return nil
}

// Arrived stops those who have come to have a number that is on the list. The
// room that records contact points calls it in the transaction that does.
func (s *Store) Arrived(ctx context.Context, tx *db.Tx, who []Holder) error {
	blinds := make([]string, len(who))
	for i, h := range who {
		blinds[i] = h.Blind
	}
	listed, err := s.NumbersOf(ctx, tx, blinds)
	if err != nil || len(listed) == 0 {
		return err
	}
	for _, h := range who {
		for _, n := range listed[h.Blind] {
			if !n.inForce(tx.At()) {
				continue
			}
			if err := s.stopAll(ctx, tx, n, []Holder{h}); err != nil {
				return err
			}
		}
	}
	return nil
}

// LiftNumber takes a number off the list, and lifts the stops the entry has
// made. Consent that was taken back does not return.
func (s *Store) LiftNumber(ctx context.Context, tx *db.Tx, id contact.ID, by, why string) (Number, error) {
	n, err := scanNumber(tx.QueryRow(ctx, "SELECT "+numberColumns+" FROM consent_number WHERE id = $1"+tx.Dialect().ForUpdate(), id))
	if errors.Is(err, sql.ErrNoRows) || err == nil && n.LiftedAt != 0 {
		return n, ErrNumber
	}
	if err != nil {
		return n, err
	}
	var made []Holder
	if err := tx.Each(ctx, func(rs *sql.Rows) error {
		var h Holder
		err := rs.Scan(&h.Party, &h.Point)
		made = append(made, h)
		return err
	}, "SELECT party_id, stop_id FROM consent_number_stop WHERE number_id = $1 ORDER BY party_id, stop_id", id); err != nil {
		return n, err
	}
	for _, m := range made {
		// One that is over, or was lifted by itself, is lifted already.
		if err := s.Lift(ctx, tx, m.Party, m.Point, by, why); err != nil && !errors.Is(err, ErrNoStop) {
			return n, err
		}
	}
	n.LiftedAt, n.LiftedBy, n.LiftWhy = tx.At(), by, why
	if _, err := tx.Exec(ctx, "UPDATE consent_number SET lifted_at = $1, lifted_by = $2, lift_why = $3 WHERE id = $4", n.LiftedAt, by, why, id); err != nil {
		return n, err
	}
	return n, ledger.Append(ctx, tx, ledger.Entry{Type: "number.lifted", ID: id, Record: map[string]any{"by": by, "why": why, "people": len(made)}})
}

// NumbersOf gives the entries about each of the hashed numbers, in force or not.
func (s *Store) NumbersOf(ctx context.Context, tx *db.Tx, blinds []string) (map[string][]Number, error) {
	out := map[string][]Number{}
	err := tx.EachIn(ctx, func(rs *sql.Rows) error {
		n, err := scanNumber(rs)
		for _, have := range out[n.Blind] {
			if have.ID == n.ID { // the list of parameters is padded
				return err
			}
		}
		out[n.Blind] = append(out[n.Blind], n)
		return err
	}, "SELECT "+numberColumns+" FROM consent_number WHERE blind", blinds, "")
	return out, err
}

// Numbers reads a page (db.Cut) of the list, the newest first: of entries not
// lifted, of those lifted, or of all. Its keyset is what Key gives.
func (s *Store) Numbers(ctx context.Context, tx *db.Tx, which string, p db.Span) (out []Number, err error) {
	where := map[string]string{"on": " WHERE lifted_at = 0", "off": " WHERE lifted_at > 0"}[which]
	if where == "" {
		where = " WHERE 1 = 1"
	}
	cond, tail := p.Seek(true, 1, "at", "id")
	var args []any
	if p.At != "" {
		us, id := p.TimeKey()
		args = append(args, us, id)
	}
	err = tx.Each(ctx, func(rs *sql.Rows) error {
		n, err := scanNumber(rs)
		out = append(out, n)
		return err
	}, "SELECT "+numberColumns+" FROM consent_number"+where+cond+tail, args...)
	return out, err
}

// Key gives an entry's place in the list.
func (n *Number) Key() string { return db.TimeKey(n.At, n.ID) }

// Said is one thing a person has said no to, or that was lifted again.
type Said struct {
	Party contact.ID
	Event
}

// Key gives its place in the list.
func (s *Said) Key() string { return db.TimeKey(s.At, fmt.Sprintf("%s.%d", s.Party, s.Seq)) }

// Stopped reads a page (db.Cut) of what people have said no to and of what was
// lifted again, bank-wide, the newest first. Its keyset is what Key gives.
func (s *Store) Stopped(ctx context.Context, tx *db.Tx, p db.Span) (out []Said, err error) {
	cond, tail := p.Seek(true, 1, "at", "party_id", "seq")
	var args []any
	if p.At != "" {
		us, rest := p.TimeKey()
		party, seq, _ := strings.Cut(rest, ".")
		n, _ := strconv.ParseInt(seq, 10, 64) // what is no number reads as the person's first
		args = append(args, us, party, n)
	}
	err = tx.Each(ctx, func(rs *sql.Rows) error {
		var e Said
		var body []byte
		if err := rs.Scan(&e.Party, &e.Seq, &e.At, &e.Kind, &e.Ref, &e.By, &body); err != nil {
			return err
		}
		out = append(out, e)
		return out[len(out)-1].read(body)
	}, "SELECT party_id, seq, at, kind, ref, by_whom, body FROM consent_event WHERE kind <> 'grant'"+cond+tail, args...)
	return out, err
}

// noticeLanes is how many rows share the count of one wording.
const noticeLanes = 8

// countNotices adds the grants among changes to the counts of the wordings they rest on.
func countNotices(ctx context.Context, tx *db.Tx, changes []change) error {
	n := map[string]int64{}
	for _, c := range changes {
		if c.Kind == Granted && c.Grant.Notice != "" {
			n[c.Grant.Notice]++
		}
	}
	lane := tx.At() % noticeLanes
	for _, hash := range slices.Sorted(maps.Keys(n)) {
		if _, err := tx.Exec(ctx, `INSERT INTO consent_notice_count (hash, lane, n) VALUES ($1, $2, $3)
			ON CONFLICT (hash, lane) DO UPDATE SET n = consent_notice_count.n + excluded.n`, hash, lane, n[hash]); err != nil {
			return err
		}
	}
	return nil
}

// NoticeCounts gives how many grants have been recorded under each wording
// since they are counted.
func (s *Store) NoticeCounts(ctx context.Context, tx *db.Tx) (map[string]int64, error) {
	out := map[string]int64{}
	err := tx.Each(ctx, func(rs *sql.Rows) error {
		var hash string
		var n int64
		err := rs.Scan(&hash, &n)
		out[hash] += n
		return err
	}, "SELECT hash, n FROM consent_notice_count")
	return out, err
}
