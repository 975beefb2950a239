// Package holidays keeps the versions of the bank's calendars: public holidays
// and made-up workdays of the places whose days it counts. What ships with
// Parley is taken over at the start; the days of a year are drafted, put to a
// second person, and become a version of their own. A version never changes, so
// what was reckoned with one can be reckoned again.
package holidays

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"parley/internal/approval"
	"parley/internal/calendar"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/ledger"
)

// State is where a version is on its way.
type State string

// The states. Approved and Dropped are final.
const (
	Draft     State = "draft"
	Submitted State = "submitted"
	Approved  State = "approved"
	Dropped   State = "dropped"
)

// Version is one version of a calendar, or the draft of one.
type Version struct {
	ID       contact.ID
	Calendar string // CN, US …
	Name     string // 2026.1; with Calendar what deadlines are pinned to
	Year     int    // whose days a draft sets; 0 = as shipped
	State    State
	Notice   calendar.Notice // of a draft: the year's days and their source
	MadeBy   string
	Made     time.Time
	Since    time.Time // approved; zero = not yet
	Sum      string    // sha256 (hex) of the document, once approved
}

// Store keeps versions. It is safe for concurrent use.
type Store struct {
	db        *db.DB
	approvals *approval.Store
	book      atomic.Pointer[loaded]
}

// loaded is what was read last, and the mark by which a change is seen.
type loaded struct {
	mark string
	docs map[string]*calendar.Calendar
	days calendar.Book
}

// New makes the store. The composition root registers Approval with the
// four-eyes room and calls Adopt before anything is asked.
func New(d *db.DB, a *approval.Store) *Store {
	s := &Store{db: d, approvals: a}
	s.book.Store(&loaded{docs: map[string]*calendar.Calendar{}, days: calendar.Book{}})
	return s
}

// What the room refuses.
var (
	ErrNone = errs.New(errs.NotFound, "calendar_unknown", "没有这个日历或版本。", "There is no such calendar or version.")

	errNotDraft = errs.New(errs.Conflict, "calendar_not_draft", "这份草稿已送审或已生效，不能再改。",
		"This draft is waiting for approval or in force; it can no longer be changed.")
	errPast = errs.New(errs.Invalid, "calendar_year", "只能编辑日历已有的年份，或紧接其后的下一年。",
		"Only a year that the calendar has, or the one right after it, can be edited.")
	errEmpty = errs.New(errs.Invalid, "calendar_empty", "至少填写一个节日的日期。", "Give the dates of at least one holiday.")
)

const columns = `id, calendar, name, year, state, notice, made_by, made, since, sum`

type scanner interface{ Scan(...any) error }

func scan(r scanner) (*Version, error) {
	var v Version
	var notice string
	var made, since int64
	if err := r.Scan(&v.ID, &v.Calendar, &v.Name, &v.Year, &v.State, &notice, &v.MadeBy, &made, &since, &v.Sum); err != nil {
		return nil, err
	}
	v.Made = db.Time(made)
	if since != 0 {
		v.Since = db.Time(since)
	}
	if notice != "" {
		if err := json.Unmarshal([]byte(notice), &v.Notice); err != nil {
			return nil, fmt.Errorf("calendar draft %s: %w", v.ID, err)
		}
	}
	return &v, nil
}

func one(ctx context.Context, tx *db.Tx, where string, args ...any) (*Version, error) {
	v, err := scan(tx.QueryRow(ctx, "SELECT "+columns+" FROM holidays_version WHERE "+where, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNone
	}
	return v, err
}

// Adopt takes over the calendars that ship with the program, as far as the bank
// does not have these versions yet, and reads what is in force. A version that
// differs from the one on record under its name is refused: versions never change.
func (s *Store) Adopt(ctx context.Context, shipped []*calendar.Calendar) (n int, err error) {
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		n = 0
		for _, c := range shipped {
			v, err := one(ctx, tx, "calendar = $1 AND name = $2 AND state = 'approved'", c.ID(), c.Version())
			switch {
			case err == nil && v.Sum != c.Sum:
				return errs.New(errs.Refused, "calendar_changed", "日历 "+c.Pin()+" 与已登记的同名版本不一致；请给修改后的日历一个新版本号。",
					"The calendar "+c.Pin()+" differs from the version on record under that name; give the changed one a new version.")
			case err == nil:
				continue
			case !errors.Is(err, ErrNone):
				return err
			}
			v = &Version{ID: contact.NewID(), Calendar: c.ID(), Name: c.Version(), State: Approved, MadeBy: "parley", Made: tx.Now, Since: tx.Now, Sum: c.Sum}
			if err := s.insert(ctx, tx, v, c.Doc); err != nil {
				return err
			}
			if err := s.enter(ctx, tx, v, "parley", "shipped"); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		return n, err
	}
	return n, s.Refresh(ctx)
}

func (s *Store) insert(ctx context.Context, tx *db.Tx, v *Version, doc []byte) error {
	notice := ""
	if v.Year != 0 {
		raw, err := json.Marshal(v.Notice)
		if err != nil {
			return fmt.Errorf("calendar draft: %w", err)
		}
		notice = string(raw)
	}
	since, last := int64(0), 0
	if !v.Since.IsZero() {
		since = db.Micros(v.Since)
		c, err := calendar.Read(v.Calendar+" "+v.Name, doc)
		if err != nil {
			return err
		}
		_, last = c.Years()
	}
	_, err := tx.Exec(ctx, `INSERT INTO holidays_version (`+columns+`, doc, last_year) VALUES `+db.In(1, 12),
		v.ID, v.Calendar, v.Name, v.Year, string(v.State), notice, v.MadeBy, db.Micros(v.Made), since, v.Sum, string(doc), last)
	return err
}

func (s *Store) enter(ctx context.Context, tx *db.Tx, v *Version, by, what string) error {
	return ledger.Append(ctx, tx, ledger.Entry{Type: "calendar." + what, ID: v.ID, Record: v.record(by)})
}

func (v *Version) record(by string) map[string]any {
	rec := map[string]any{"calendar": v.Calendar, "version": v.Name, "by": by}
	if v.Year != 0 {
		rec["year"] = v.Year
	}
	if v.Sum != "" {
		rec["sha256"] = v.Sum
	}
	return rec
}

// newest orders versions so that the one in force comes first: the one that
// knows the furthest year; of those the last approved.
const newest = `last_year DESC, since DESC, id DESC`

// Refresh reads the calendars in force.
func (s *Store) Refresh(ctx context.Context) error {
	next := &loaded{docs: map[string]*calendar.Calendar{}, days: calendar.Book{}}
	err := s.db.Read(ctx, func(tx *db.Tx) (err error) {
		if next.mark, err = mark(ctx, tx); err != nil {
			return err
		}
		return tx.Each(ctx, func(r *sql.Rows) error {
			var id, name, doc string
			if err := r.Scan(&id, &name, &doc); err != nil {
				return err
			}
			if next.docs[id] != nil {
				return nil
			}
			c, err := calendar.Read(id+" "+name, []byte(doc))
			if err == nil {
				next.docs[id], next.days[id] = c, c.Days
			}
			return err
		}, `SELECT calendar, name, doc FROM holidays_version WHERE state = 'approved' ORDER BY calendar, `+newest)
	})
	if err != nil {
		return fmt.Errorf("calendars in force: %w", err)
	}
	s.book.Store(next)
	return nil
}

func mark(ctx context.Context, tx *db.Tx) (string, error) {
	var at int64
	err := tx.QueryRow(ctx, `SELECT coalesce(max(since), 0) FROM holidays_version`).Scan(&at)
	return strconv.FormatInt(at, 10), err
}

// Follow keeps the calendars in force up to date until ctx ends: another process
// may have approved a version. bad is told what went wrong.
func (s *Store) Follow(ctx context.Context, bad func(error)) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var m string
		err := s.db.Read(ctx, func(tx *db.Tx) (err error) { m, err = mark(ctx, tx); return err })
		if err == nil && m != s.book.Load().mark {
			err = s.Refresh(ctx)
		}
		if err != nil && ctx.Err() == nil {
			bad(err)
		}
	}
}

// Book gives the days of the calendars in force.
func (s *Store) Book() calendar.Book { return s.book.Load().days }

// Doc gives the calendar in force as a document; nil when there is none.
func (s *Store) Doc(id string) *calendar.Calendar { return s.book.Load().docs[id] }

// Docs gives the calendars in force in order of their ids, the bank's own first.
func (s *Store) Docs(own string) []*calendar.Calendar {
	docs := s.book.Load().docs
	var out []*calendar.Calendar
	for _, id := range order(docs, own) {
		out = append(out, docs[id])
	}
	return out
}

// Days gives the days in force of a calendar, as of tx; nil when there is none.
func (s *Store) Days(ctx context.Context, tx *db.Tx, id string) (*calendar.Days, error) {
	m, err := mark(ctx, tx)
	if err != nil {
		return nil, err
	}
	if now := s.book.Load(); now.mark == m {
		return now.days[id], nil
	}
	c, err := s.inForce(ctx, tx, id)
	if errors.Is(err, ErrNone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return c.Days, nil
}

// Pinned gives the version that a deadline was reckoned with, by what Pin wrote
// ("CN 2026.1").
func (s *Store) Pinned(ctx context.Context, pin string) (*calendar.Calendar, error) {
	id, name, _ := strings.Cut(pin, " ")
	if c := s.Doc(id); c != nil && c.Version() == name {
		return c, nil
	}
	var doc string
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		return tx.QueryRow(ctx, `SELECT doc FROM holidays_version WHERE calendar = $1 AND name = $2 AND state = 'approved'`, id, name).Scan(&doc)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, err
	}
	return calendar.Read(pin, []byte(doc))
}

// History gives the versions and drafts of a calendar, the newest first.
func (s *Store) History(ctx context.Context, id string) (out []*Version, err error) {
	err = s.db.Read(ctx, func(tx *db.Tx) error {
		out = nil
		return tx.Each(ctx, func(r *sql.Rows) error {
			v, err := scan(r)
			out = append(out, v)
			return err
		}, "SELECT "+columns+" FROM holidays_version WHERE calendar = $1 AND state <> 'dropped' ORDER BY id DESC LIMIT 100", id)
	})
	return out, err
}
