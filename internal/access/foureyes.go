package access

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"parley/internal/approval"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

// The kinds of request that a second person decides.
const (
	KindRoles = "staff_roles" // somebody is to have other roles
	KindReset = "staff_reset" // somebody is to begin anew with password and second factor
)

// Eyes are the staff as the four-eyes room sees them: who stands behind an
// account, and what the account may decide.
type Eyes struct{ *Store }

// Person gives the human being behind an account.
func (e Eyes) Person(ctx context.Context, tx *db.Tx, account string) (string, error) {
	st, err := e.Inside(ctx, tx, account)
	return st.Person(), err
}

// May reports whether the account may do what a kind of request needs.
func (e Eyes) May(ctx context.Context, tx *db.Tx, account, permission string) (bool, error) {
	st, err := e.Inside(ctx, tx, account)
	return st.May(Permission(permission)), err
}

var errSameRoles = errs.New(errs.Invalid, "same_roles", "岗位没有变化。", "These are the roles the person has.")

// Kinds gives what the four-eyes room must know of both kinds.
func (s *Store) Kinds() []approval.Kind {
	return []approval.Kind{
		{Name: KindRoles, Permission: string(ApproveStaff), Apply: func(ctx context.Context, tx *db.Tx, r *approval.Request) (approval.Effect, error) {
			var rs []Role
			if err := json.Unmarshal(r.Payload, &rs); err != nil {
				return approval.Effect{}, err
			}
			record, err := s.setRoles(ctx, tx, r.Subject, rs, r.DecidedBy)
			return approval.Effect{Type: "access.roles_changed", ID: r.Subject, Record: record}, err
		}},
		{Name: KindReset, Permission: string(ApproveStaff), Apply: func(ctx context.Context, tx *db.Tx, r *approval.Request) (approval.Effect, error) {
			return approval.Effect{Type: "access.reset", ID: r.Subject, Record: map[string]any{"staff": r.Subject, "by": r.DecidedBy}},
				s.reset(ctx, tx, r.Subject)
		}},
	}
}

// AskRoles puts it to a second person that somebody shall have exactly these
// roles. While the bank has never had a second person who could decide it, as on
// its first day, it is done at once; done reports that. call says what the
// second person reads for a role.
func (s *Store) AskRoles(ctx context.Context, id contact.ID, rs []Role, reason, by string, call func(Role) string) (done bool, err error) {
	if err := checkRoles(rs); err != nil {
		return false, err
	}
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		st, err := s.Inside(ctx, tx, id)
		if err != nil {
			return err
		}
		if same(st.Roles, rs) {
			return errSameRoles
		}
		if done, err = s.alone(ctx, tx, by); err != nil || done {
			return errors.Join(err, s.SetRoles(ctx, tx, id, rs, by))
		}
		payload, err := json.Marshal(rs)
		if err != nil {
			return err
		}
		_, err = s.Options.Approvals.Ask(ctx, tx, approval.Ask{Kind: KindRoles, Subject: id, Title: st.Login,
			Before: lines(st.Roles, call), After: lines(rs, call), Payload: payload, Reason: reason, By: by, Hands: []string{id}})
		return err
	})
	return done, err
}

// AskReset puts it to a second person that somebody shall begin anew.
func (s *Store) AskReset(ctx context.Context, id contact.ID, reason, by string) (done bool, err error) {
	if id == by {
		return false, errYourself
	}
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		st, err := s.Inside(ctx, tx, id)
		if err != nil {
			return err
		}
		if done, err = s.alone(ctx, tx, by); err != nil || done {
			return errors.Join(err, s.Reset(ctx, tx, id, by))
		}
		_, err = s.Options.Approvals.Ask(ctx, tx, approval.Ask{Kind: KindReset, Subject: id, Title: st.Login,
			Before: "密码、验证器、通行密钥 · password, app, passkeys", After: "由本人重新设置 · set up anew by the person", Reason: reason, By: by})
		return err
	})
	return done, err
}

// alone reports whether nobody but the person behind by has ever been able to
// decide about staff. Closed accounts count, so that nobody becomes alone by
// closing the others'.
func (s *Store) alone(ctx context.Context, tx *db.Tx, by string) (bool, error) {
	me, err := s.Inside(ctx, tx, by)
	if err != nil {
		return false, err
	}
	if s.Options.Approvals == nil {
		return false, errors.New("access: no four-eyes room")
	}
	others := 0
	err = tx.Each(ctx, func(r *sql.Rows) error {
		st, err := scanStaff(r)
		if err == nil && st.May(ApproveStaff) && st.Person() != me.Person() {
			others++
		}
		return err
	}, "SELECT "+staffColumns+" FROM staff s")
	return others == 0, err
}

// same reports whether two lists hold the same roles, in whatever order.
func same(a, b []Role) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

func lines(rs []Role, call func(Role) string) string {
	if len(rs) == 0 {
		return "—"
	}
	var out []string
	for _, r := range Roles() { // in one order, so that a difference is one
		if slices.Contains(rs, r) {
			out = append(out, call(r))
		}
	}
	return strings.Join(out, "\n")
}
