package access

import (
	"context"
	"database/sql"
	"strconv"

	"parley/internal/approval"
	"parley/internal/contact"
	"parley/internal/db"
)

// Listed is a person as the list of staff shows one.
type Listed struct {
	Staff
	Ready  bool // has something to sign in with
	Second bool // has a second factor
}

// Choose narrows the list of staff.
type Choose struct {
	Role  Role   // "" = any
	State string // open, closed, waiting (for the holder's first sign-in), "" = any
}

// Slice gives a page of the staff in the order of their sign-in names.
func (s *Store) Slice(ctx context.Context, c Choose, p db.Span) ([]Listed, error) {
	where, args := " WHERE 1 = 1", []any{}
	if c.Role != "" {
		args = append(args, "% "+string(c.Role)+" %")
		where += " AND ' ' || s.roles || ' ' LIKE $" + strconv.Itoa(len(args))
	}
	const ready = `(s.password <> '' OR EXISTS (SELECT 1 FROM staff_passkey k WHERE k.staff = s.id) OR EXISTS (SELECT 1 FROM staff_identity i WHERE i.staff = s.id))`
	switch c.State {
	case "open":
		where += " AND s.disabled = 0 AND " + ready
	case "waiting":
		where += " AND s.disabled = 0 AND NOT " + ready
	case "closed":
		where += " AND s.disabled <> 0"
	}
	cond, tail := p.Seek(false, len(args)+1, "s.login")
	if p.At != "" {
		args = append(args, p.At)
	}
	var out []Listed
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		out = nil
		return tx.Each(ctx, func(r *sql.Rows) error {
			var l Listed
			var isReady, second int
			var err error
			l.Staff, err = scanStaff(r, &isReady, &second)
			l.Ready, l.Second = isReady == 1, second == 1
			out = append(out, l)
			return err
		}, "SELECT "+staffColumns+", CASE WHEN "+ready+` THEN 1 ELSE 0 END,
			CASE WHEN EXISTS (SELECT 1 FROM staff_totp t WHERE t.staff = s.id) OR EXISTS (SELECT 1 FROM staff_passkey k WHERE k.staff = s.id) THEN 1 ELSE 0 END
			FROM staff s`+where+cond+tail, args...)
	})
	return out, err
}

// Waiting gives what has been asked about a person and not yet decided, by kind.
func (s *Store) Waiting(ctx context.Context, id contact.ID) (map[string]*approval.Request, error) {
	out := map[string]*approval.Request{}
	if s.Options.Approvals == nil {
		return out, nil
	}
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		for _, kind := range []string{KindRoles, KindReset} {
			r, err := s.Options.Approvals.Waiting(ctx, tx, kind, id)
			if err != nil {
				return err
			}
			if r != nil {
				out[kind] = r
			}
		}
		return nil
	})
	return out, err
}

// Invited tells until when a person's one-time link works; ok is false without one.
func (s *Store) Invited(ctx context.Context, id contact.ID) (until contact.Micros, ok bool, err error) {
	err = s.db.Read(ctx, func(tx *db.Tx) error {
		return tx.QueryRow(ctx, "SELECT COALESCE(max(until), 0) FROM staff_link WHERE staff = $1 AND until >= $2", id, tx.At()).Scan(&until)
	})
	return until, until != 0, err
}
