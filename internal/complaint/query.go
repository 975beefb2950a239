package complaint

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
)

// Event is one step of a case.
type Event struct {
	At     time.Time
	By     string
	Kind   string
	Public bool
	Data   map[string]any
}

// File is a case with everything on it.
type File struct {
	Case      *Case
	Events    []Event
	Deadlines []Deadline
	Decisions []Decision
	Letters   []Letter // in the order they were written
	Files     []Attachment
	ReviewBy  time.Time // until when a review of the answer may be asked for; zero = it cannot be
}

// Get reads a case with everything on it.
func (k *Desk) Get(ctx context.Context, id contact.ID) (*File, error) {
	return k.file(ctx, `id`, id)
}

// ByToken reads the case a customer's link opens.
func (k *Desk) ByToken(ctx context.Context, token string) (*File, error) {
	return k.file(ctx, `token`, token)
}

// ByNumber reads a case by its number.
func (k *Desk) ByNumber(ctx context.Context, number string) (*File, error) {
	return k.file(ctx, `number`, number)
}

func (k *Desk) file(ctx context.Context, column, value string) (*File, error) {
	var f File
	err := k.db.Read(ctx, func(tx *db.Tx) error {
		c, err := k.scanCase(tx.QueryRow(ctx, `SELECT `+caseColumns+` FROM complaint_case WHERE `+column+` = $1`, value))
		if errors.Is(err, sql.ErrNoRows) {
			return errNoCase
		}
		if err != nil {
			return err
		}
		f.Case = c
		if f.Decisions, err = k.decisions(ctx, tx, c.ID); err != nil {
			return err
		}
		if n := len(f.Decisions); n > 0 && c.State == Answered {
			f.ReviewBy = k.reviewBy(c, f.Decisions[n-1].DecidedAt)
		}
		if f.Letters, err = k.letters(ctx, tx, c.ID); err != nil {
			return err
		}
		if f.Files, err = k.attachments(ctx, tx, c.ID); err != nil {
			return err
		}
		if err := tx.Each(ctx, func(r *sql.Rows) error {
			d, err := k.scanDeadline(r)
			f.Deadlines = append(f.Deadlines, d)
			return err
		}, `SELECT `+deadlineColumns+` FROM complaint_deadline WHERE case_id = $1 ORDER BY due_at, id`, c.ID); err != nil {
			return err
		}
		return tx.Each(ctx, func(r *sql.Rows) error {
			var e Event
			var at, pub int64
			var id, data string
			if err := r.Scan(&id, &at, &e.By, &e.Kind, &pub, &data); err != nil {
				return err
			}
			data, err := k.open(data, ofEvent, id, "data")
			if err != nil {
				return err
			}
			e.At, e.Public = db.Time(at), pub == 1
			f.Events = append(f.Events, e)
			return json.Unmarshal([]byte(data), &f.Events[len(f.Events)-1].Data)
		}, `SELECT id, at, by_whom, kind, public, data FROM complaint_event WHERE case_id = $1 ORDER BY at, id`, c.ID)
	})
	return &f, err
}

func (k *Desk) decisions(ctx context.Context, tx *db.Tx, id contact.ID) ([]Decision, error) {
	var out []Decision
	err := tx.Each(ctx, func(r *sql.Rows) error {
		var d Decision
		var body string
		var proposed, decided int64
		if err := r.Scan(&d.ID, &d.Round, &d.State, &body, &d.ProposedBy, &proposed, &d.DecidedBy, &decided, &d.Note); err != nil {
			return err
		}
		for column, text := range map[string]*string{"body": &body, "note": &d.Note} {
			var err error
			if *text, err = k.open(*text, ofDecision, d.ID, column); err != nil {
				return err
			}
		}
		if err := json.Unmarshal([]byte(body), &d); err != nil {
			return fmt.Errorf("decision %s: %w", d.ID, err)
		}
		d.ProposedAt, d.DecidedAt = db.Time(proposed), db.Time(decided)
		out = append(out, d)
		return nil
	}, `SELECT id, round, state, body, proposed_by, proposed_at, decided_by, decided_at, note
		FROM complaint_decision WHERE case_id = $1 ORDER BY proposed_at, id`, id)
	return out, err
}

// Filter narrows List.
type Filter struct {
	State  State      // empty = all
	Party  contact.ID // empty = all
	Before time.Time  // received before: keyset paging; zero = from the newest
	Limit  int        // 0 = 50
}

// List gives cases, newest first.
func (k *Desk) List(ctx context.Context, f Filter) ([]*Case, error) {
	if f.Limit <= 0 {
		f.Limit = 50
	}
	before := db.Micros(f.Before)
	if before == 0 {
		before = 1<<63 - 1
	}
	var out []*Case
	err := k.db.Read(ctx, func(tx *db.Tx) error {
		return tx.Each(ctx, func(r *sql.Rows) error {
			c, err := k.scanCase(r)
			out = append(out, c)
			return err
		}, `SELECT `+caseColumns+` FROM complaint_case
			WHERE ($1 = '' OR state = $1) AND ($2 = '' OR party_id = $2) AND received_at < $3
			ORDER BY received_at DESC LIMIT $4`, string(f.State), f.Party, before, f.Limit)
	})
	return out, err
}

// DeadlinesByParty gives the legal terms of a person's cases by case, each
// case's in the order they ran.
func (k *Desk) DeadlinesByParty(ctx context.Context, party contact.ID) (map[contact.ID][]Deadline, error) {
	var out map[contact.ID][]Deadline
	err := k.db.Read(ctx, func(tx *db.Tx) error {
		out = map[contact.ID][]Deadline{}
		return tx.Each(ctx, func(r *sql.Rows) error {
			var d Deadline
			var id string
			var started, due int64
			if err := r.Scan(&id, &d.Rule, &started, &due, &d.State); err != nil {
				return err
			}
			d.Started, d.Due = db.Time(started), db.Time(due)
			out[id] = append(out[id], d)
			return nil
		}, `SELECT c.id, d.rule, d.started_at, d.due_at, d.state FROM complaint_case c JOIN complaint_deadline d ON d.case_id = c.id
			WHERE c.party_id = $1 ORDER BY d.due_at, d.id`, party)
	})
	return out, err
}

// ByParty gives a person's cases, newest first, at most limit.
func (k *Desk) ByParty(ctx context.Context, party contact.ID, limit int) ([]*Case, error) {
	var out []*Case
	err := k.db.Read(ctx, func(tx *db.Tx) error {
		out = nil
		return tx.Each(ctx, func(r *sql.Rows) error {
			c, err := k.scanCase(r)
			out = append(out, c)
			return err
		}, `SELECT `+caseColumns+` FROM complaint_case WHERE party_id = $1 ORDER BY received_at DESC LIMIT $2`, party, limit)
	})
	return out, err
}

// WorkedOn gives the case about a contact that a handler works on now; nil when
// there is none. The case is the handler's standing reason to hear its recording.
func (k *Desk) WorkedOn(ctx context.Context, attempt contact.ID, handler string) (*Case, error) {
	var out *Case
	err := k.db.Read(ctx, func(tx *db.Tx) error {
		c, err := k.scanCase(tx.QueryRow(ctx, `SELECT `+caseColumns+` FROM complaint_case WHERE attempt_id = $1 AND handler = $2
			AND state IN ('taken', 'proposed') ORDER BY id LIMIT 1`, attempt, handler))
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		out = c
		return err
	})
	return out, err
}

// searched is how many of the newest cases Search looks through, so that a
// search costs the same however many there are. Texts are sealed, so looking
// through them is opening them.
const searched = 3000

// errEnough ends a look through cases that has found what it may show.
var errEnough = errors.New("enough found")

// Search gives the case whose number the text is and the newest cases whose
// subject or whose customer's own words hold it, at most limit.
func (k *Desk) Search(ctx context.Context, text string, limit int) ([]*Case, error) {
	want := strings.ToLower(text)
	var out []*Case
	err := k.db.Read(ctx, func(tx *db.Tx) error {
		out = nil
		keep := func(r *sql.Rows) error {
			c, err := k.scanCase(r)
			out = append(out, c)
			return err
		}
		if err := tx.Each(ctx, keep, `SELECT `+caseColumns+` FROM complaint_case WHERE number = $1`, text); err != nil {
			return err
		}
		var ids []string
		err := tx.Each(ctx, func(r *sql.Rows) error {
			if len(ids) == limit {
				return errEnough
			}
			var id, number string
			texts := map[string]*string{"subject": new(string), "words": new(string)}
			if err := r.Scan(&id, &number, texts["subject"], texts["words"]); err != nil {
				return err
			}
			for column, sealed := range texts {
				plain, err := k.open(*sealed, ofCase, id, column)
				if err != nil {
					return err
				}
				if number != text && strings.Contains(strings.ToLower(plain), want) {
					ids = append(ids, id)
					break
				}
			}
			return nil
		}, `SELECT id, number, subject, words FROM complaint_case ORDER BY id DESC LIMIT $1`, searched)
		if err != nil && !errors.Is(err, errEnough) {
			return err
		}
		return tx.EachIn(ctx, keep, `SELECT `+caseColumns+` FROM complaint_case WHERE id`, ids, "ORDER BY id DESC")
	})
	return out, err
}
