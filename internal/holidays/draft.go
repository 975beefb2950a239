package holidays

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"parley/internal/approval"
	"parley/internal/calendar"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

// ApprovalKind is the kind under which a year's days are put to a second person.
const ApprovalKind = "calendar"

// Approval says what deciding about a year's days does.
func (s *Store) Approval(permission string) approval.Kind {
	return approval.Kind{Name: ApprovalKind, Permission: permission, Apply: s.approved, Return: s.returned}
}

func order(docs map[string]*calendar.Calendar, own string) []string {
	return slices.SortedFunc(maps.Keys(docs), func(a, b string) int {
		if (a == own) != (b == own) {
			if a == own {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
}

// Open gives the draft of a calendar's year that is being written or waits for
// approval; nil when there is none.
func (s *Store) Open(ctx context.Context, id string, year int) (v *Version, err error) {
	err = s.db.Read(ctx, func(tx *db.Tx) error {
		v, err = open(ctx, tx, id, year)
		return err
	})
	return v, err
}

func open(ctx context.Context, tx *db.Tx, id string, year int) (*Version, error) {
	v, err := one(ctx, tx, "calendar = $1 AND year = $2 AND state IN ('draft', 'submitted')", id, year)
	if errors.Is(err, ErrNone) {
		return nil, nil
	}
	return v, err
}

// Get gives a version by its id.
func (s *Store) Get(ctx context.Context, id contact.ID) (v *Version, err error) {
	err = s.db.Read(ctx, func(tx *db.Tx) error {
		v, err = one(ctx, tx, "id = $1", id)
		return err
	})
	return v, err
}

// Try makes the calendar that a notice would give, without storing anything; a
// fault is said with what to mend.
func (s *Store) Try(id string, n calendar.Notice) (*calendar.Calendar, error) {
	cur := s.Doc(id)
	if cur == nil {
		return nil, ErrNone
	}
	first, last := cur.Years()
	if n.Year < first || n.Year > last+1 {
		return nil, errPast
	}
	if len(n.Days) == 0 && cur.Yearly() {
		return nil, errEmpty
	}
	c, err := cur.Revise(cur.Version(), n)
	if err != nil {
		return nil, errs.New(errs.Invalid, "calendar_days", "日期有误："+faults(err), "The days are not right: "+faults(err)).With(err)
	}
	return c, nil
}

// faults gives what is wrong without the name of a file that nobody sees.
func faults(err error) string {
	var out []string
	for _, l := range strings.Split(err.Error(), "\n") {
		if _, what, ok := strings.Cut(l, ": "); ok {
			l = what
		}
		out = append(out, l)
	}
	return strings.Join(out, "; ")
}

// Save writes the days of a year into its draft, and starts one where there is
// none. A draft that waits for approval cannot be changed.
func (s *Store) Save(ctx context.Context, id string, n calendar.Notice, by string) (v *Version, err error) {
	if _, err := s.Try(id, n); err != nil {
		return nil, err
	}
	notice, err := json.Marshal(n)
	if err != nil {
		return nil, fmt.Errorf("calendar draft: %w", err)
	}
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		if v, err = open(ctx, tx, id, n.Year); err != nil {
			return err
		}
		what := "changed"
		switch {
		case v == nil:
			what = "drafted"
			name, err := nextName(ctx, tx, id, n.Year)
			if err != nil {
				return err
			}
			v = &Version{ID: contact.NewID(), Calendar: id, Name: name, Year: n.Year, State: Draft, Notice: n, MadeBy: by, Made: tx.Now}
			if err := s.insert(ctx, tx, v, nil); err != nil {
				return err
			}
		case v.State != Draft:
			return errNotDraft
		default:
			v.Notice = n
			if _, err := tx.Exec(ctx, `UPDATE holidays_version SET notice = $2 WHERE id = $1`, v.ID, string(notice)); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `INSERT INTO holidays_hand (version, account) VALUES ($1, $2) ON CONFLICT DO NOTHING`, v.ID, by); err != nil {
			return err
		}
		return s.enter(ctx, tx, v, by, what)
	})
	return v, err
}

// nextName gives the first free name of a version that sets a year: 2027.1, 2027.2 …
func nextName(ctx context.Context, tx *db.Tx, id string, year int) (string, error) {
	taken := map[string]bool{}
	err := tx.Each(ctx, func(r *sql.Rows) error {
		var name string
		err := r.Scan(&name)
		taken[name] = true
		return err
	}, `SELECT name FROM holidays_version WHERE calendar = $1`, id)
	for n := 1; ; n++ {
		if name := strconv.Itoa(year) + "." + strconv.Itoa(n); !taken[name] {
			return name, err
		}
	}
}

// alter locks a draft, checks that it is one, and changes it.
func (s *Store) alter(ctx context.Context, id contact.ID, change func(*db.Tx, *Version) error) (v *Version, err error) {
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		if v, err = one(ctx, tx, "id = $1"+tx.Dialect().ForUpdate(), id); err != nil {
			return err
		}
		if v.State != Draft {
			return errNotDraft
		}
		return change(tx, v)
	})
	return v, err
}

// Submit asks a second person to put a draft in force.
func (s *Store) Submit(ctx context.Context, id contact.ID, by, why string) (*Version, error) {
	return s.alter(ctx, id, func(tx *db.Tx, v *Version) error {
		cur := s.Doc(v.Calendar)
		next, err := s.Try(v.Calendar, v.Notice)
		if err != nil {
			return err
		}
		if err := s.move(ctx, tx, v, Submitted); err != nil {
			return err
		}
		var hands []string
		if err := tx.Each(ctx, func(r *sql.Rows) error {
			var a string
			err := r.Scan(&a)
			hands = append(hands, a)
			return err
		}, `SELECT account FROM holidays_hand WHERE version = $1 ORDER BY account`, v.ID); err != nil {
			return err
		}
		after := Text(next, v.Year)
		_, err = s.approvals.Ask(ctx, tx, approval.Ask{Kind: ApprovalKind, Subject: v.ID, Title: fmt.Sprintf("%s %d（%s）", v.Calendar, v.Year, v.Name),
			Before: Text(cur, v.Year), After: after, Content: after, Reason: strings.TrimSpace(why), By: by, Hands: hands})
		return err
	})
}

// Drop gives a draft up.
func (s *Store) Drop(ctx context.Context, id contact.ID, by string) (*Version, error) {
	return s.alter(ctx, id, func(tx *db.Tx, v *Version) error {
		if err := s.move(ctx, tx, v, Dropped); err != nil {
			return err
		}
		return s.enter(ctx, tx, v, by, "dropped")
	})
}

func (s *Store) move(ctx context.Context, tx *db.Tx, v *Version, to State) error {
	v.State = to
	_, err := tx.Exec(ctx, `UPDATE holidays_version SET state = $2 WHERE id = $1`, v.ID, string(to))
	return err
}

// approved makes the version, over the calendar in force now: another year may
// have been approved since the draft was written.
func (s *Store) approved(ctx context.Context, tx *db.Tx, r *approval.Request) (approval.Effect, error) {
	v, err := one(ctx, tx, "id = $1"+tx.Dialect().ForUpdate(), r.Subject)
	if err != nil {
		return approval.Effect{}, err
	}
	if v.State != Submitted {
		return approval.Effect{}, errNotDraft
	}
	cur, err := s.inForce(ctx, tx, v.Calendar)
	if err != nil {
		return approval.Effect{}, err
	}
	next, err := cur.Revise(v.Name, v.Notice)
	if err != nil {
		return approval.Effect{}, err
	}
	if Text(next, v.Year) != r.After {
		return approval.Effect{}, errs.New(errs.Conflict, "calendar_moved", "日历在送审后已有变化；请退回，由起草人核对后重新送审。",
			"The calendar has changed since this was asked; send it back to be looked at and asked again.")
	}
	v.State, v.Sum, v.Since = Approved, next.Sum, tx.Now
	_, last := next.Years()
	if _, err := tx.Exec(ctx, `UPDATE holidays_version SET state = 'approved', since = $2, sum = $3, doc = $4, last_year = $5 WHERE id = $1`,
		v.ID, tx.At(), v.Sum, string(next.Doc), last); err != nil {
		return approval.Effect{}, err
	}
	return approval.Effect{Type: "calendar.approved", ID: v.ID, Record: v.record(r.DecidedBy)}, nil
}

func (s *Store) inForce(ctx context.Context, tx *db.Tx, id string) (*calendar.Calendar, error) {
	var name, doc string
	err := tx.QueryRow(ctx, `SELECT name, doc FROM holidays_version WHERE calendar = $1 AND state = 'approved' ORDER BY `+newest+` LIMIT 1`, id).Scan(&name, &doc)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, err
	}
	return calendar.Read(id+" "+name, []byte(doc))
}

// returned makes a draft of it again.
func (s *Store) returned(ctx context.Context, tx *db.Tx, r *approval.Request) (approval.Effect, error) {
	v, err := one(ctx, tx, "id = $1"+tx.Dialect().ForUpdate(), r.Subject)
	if err != nil {
		return approval.Effect{}, err
	}
	if v.State != Submitted {
		return approval.Effect{}, errNotDraft
	}
	if err := s.move(ctx, tx, v, Draft); err != nil {
		return approval.Effect{}, err
	}
	return approval.Effect{Type: "calendar.returned", ID: v.ID, Record: v.record(r.DecidedBy)}, nil
}

// Text says a year of a calendar as the approver reads it: every day that is
// not as its weekday says, one a line.
func Text(c *calendar.Calendar, year int) string {
	var b strings.Builder
	if n, ok := c.Notice(year); ok {
		fmt.Fprintf(&b, "%s %s %s\n", n.Source.Instrument, n.Source.Number, n.Source.Link)
	}
	for _, d := range c.Marks() {
		if y, _, _ := d.Split(); y != year && !(y == year-1 && d%10_000 >= 1201) {
			continue
		}
		mark := "休"
		if c.Mark(d) == calendar.Workday {
			mark = "班"
		}
		fmt.Fprintf(&b, "%s %s %s %s\n", d, mark, c.Name(d).Zh, c.Name(d).En)
	}
	return b.String()
}
