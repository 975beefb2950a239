package access

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"parley/internal/approval"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/ledger"
	"parley/internal/limit"
)

// Staff is a person who works here.
type Staff struct {
	ID    contact.ID
	Login string
	Name  string
	Roles []Role
	// Number is the bank's staff number (工号), or what the identity provider
	// says instead of one; empty when nobody has said.
	Number   string
	Disabled time.Time // since when the account is closed; zero = it is open
}

// Person names the human behind the account: two accounts with one Person are
// one pair of eyes. Without a staff number that is the account itself.
func (s *Staff) Person() string {
	if s.Number != "" {
		return "number:" + s.Number
	}
	return "staff:" + s.ID
}

// May reports whether the person may do p. Nobody (nil) may do nothing.
func (s *Staff) May(p Permission) bool { return s != nil && May(s.Roles, p) }

// What the staff's list refuses.
var (
	ErrRole  = errs.New(errs.Invalid, "unknown_role", "没有这个岗位。", "There is no such role.")
	ErrTaken = errs.New(errs.Conflict, "login_taken", "这个登录名已有人使用。", "This sign-in name is taken.")
	ErrLogin = errs.New(errs.Invalid, "bad_login", "登录名只能用小写字母、数字、点、横线、下划线和 @，最多 100 个字符。",
		"A sign-in name has only lower-case letters, digits, dot, hyphen, underscore and @, at most 100.")
	ErrNoStaff  = errs.New(errs.NotFound, "no_staff", "没有这位员工。", "There is no such member of staff.")
	errYourself = errs.New(errs.Forbidden, "yourself", "不能对自己的账号做这件事，请另一位管理员来做。",
		"You cannot do this to your own account; ask another administrator.")
)

// Options are what the store is told besides its database.
type Options struct {
	Seal      Sealer           // keeps authenticators' secrets; nil = no authenticator can be set up
	Must      []Role           // whose holders need a second factor
	Origin    string           // where staff reach the console, https://…; passkeys are bound to it
	Bank      string           // the bank's name, as authenticators list it
	OIDC      *OIDC            // the identity provider; nil = none
	Approvals *approval.Store  // where a second person decides about staff
	Clock     func() time.Time // the world's clock, which authenticators follow; nil = the bank's
}

// Store keeps staff, what they sign in with, and their sessions.
type Store struct {
	Options Options // set before first use

	db    *db.DB
	check chan struct{} // bounds password checks: each takes 19 MiB
	// strangers counts tries of names that nobody has, so that they lock like
	// those that somebody has and cannot be told apart.
	strangers *limit.Limit
}

// NewStore makes the store.
func NewStore(d *db.DB) *Store {
	return &Store{db: d, check: make(chan struct{}, 4), strangers: limit.New(maxFailures, lockFor, 4096)}
}

func (s *Store) bank() string {
	if s.Options.Bank == "" {
		return "Parley"
	}
	return s.Options.Bank
}

// world gives the time that people's telephones show. A demo's bank lives at
// another time of day.
func (s *Store) world(tx *db.Tx) time.Time {
	if s.Options.Clock == nil {
		return tx.Now
	}
	return s.Options.Clock()
}

// AddStaff adds a person. An empty password makes one who cannot sign in with
// a password: one who is invited, or a demo's one-tap staff.
func (s *Store) AddStaff(ctx context.Context, st Staff, password string) (Staff, error) {
	st, hash, err := s.prepare(st, password)
	if err != nil {
		return Staff{}, err
	}
	return st, s.db.Write(ctx, func(tx *db.Tx) error { return insertStaff(ctx, tx, st, hash, "cli") })
}

// Hire adds a person who has neither roles nor a password yet: by is who does it.
func (s *Store) Hire(ctx context.Context, st Staff, by string) (Staff, error) {
	st.Roles = nil
	st, _, err := s.prepare(st, "")
	if err != nil {
		return Staff{}, err
	}
	return st, s.db.Write(ctx, func(tx *db.Tx) error { return insertStaff(ctx, tx, st, "", by) })
}

// prepare checks a new person and hashes the password, outside any transaction.
func (s *Store) prepare(st Staff, password string) (Staff, string, error) {
	st.Login, st.Name, st.Number = cleanLogin(st.Login), strings.TrimSpace(st.Name), strings.TrimSpace(st.Number)
	if !goodLogin(st.Login) {
		return st, "", ErrLogin
	}
	if err := checkRoles(st.Roles); err != nil {
		return st, "", err
	}
	if st.ID == "" {
		st.ID = contact.NewID()
	}
	if password == "" {
		return st, "", nil
	}
	if err := s.strong(password, st); err != nil {
		return st, "", err
	}
	return st, hashPassword(password), nil
}

func insertStaff(ctx context.Context, tx *db.Tx, st Staff, hash, by string) error {
	n, err := tx.Exec(ctx, `INSERT INTO staff (id, login, name, roles, password, failures, failed_at, created, number)
		VALUES ($1, $2, $3, $4, $5, 0, 0, $6, $7) ON CONFLICT (login) DO NOTHING`,
		st.ID, st.Login, st.Name, joinRoles(st.Roles), hash, tx.At(), st.Number)
	if err == nil && n == 0 {
		err = ErrTaken
	}
	if err != nil {
		return err
	}
	return note(ctx, tx, "access.staff_added", st.ID, map[string]any{"by": by, "roles": names(st.Roles)})
}

func cleanLogin(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

func goodLogin(s string) bool {
	return s != "" && len(s) <= 100 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789.-_@") == ""
}

func checkRoles(rs []Role) error {
	for _, r := range rs {
		if !slices.Contains(Roles(), r) {
			return ErrRole
		}
	}
	return nil
}

// List gives everybody, by sign-in name. A bank's staff are few.
func (s *Store) List(ctx context.Context) ([]Staff, error) {
	var out []Staff
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		out = nil
		return tx.Each(ctx, func(r *sql.Rows) error {
			st, err := scanStaff(r)
			out = append(out, st)
			return err
		}, "SELECT "+staffColumns+" FROM staff s ORDER BY s.login")
	})
	return out, err
}

// Get gives one person.
func (s *Store) Get(ctx context.Context, id contact.ID) (Staff, error) {
	var st Staff
	err := s.db.Read(ctx, func(tx *db.Tx) (err error) {
		st, err = s.Inside(ctx, tx, id)
		return err
	})
	return st, err
}

// Inside gives one person as part of tx, for rooms that ask while they write.
func (s *Store) Inside(ctx context.Context, tx *db.Tx, id contact.ID) (Staff, error) {
	st, err := scanStaff(tx.QueryRow(ctx, "SELECT "+staffColumns+" FROM staff s WHERE s.id = $1", id))
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNoStaff
	}
	return st, err
}

// ByLogin gives the person with a sign-in name.
func (s *Store) ByLogin(ctx context.Context, login string) (Staff, error) {
	var st Staff
	err := s.db.Read(ctx, func(tx *db.Tx) (err error) {
		st, err = scanStaff(tx.QueryRow(ctx, "SELECT "+staffColumns+" FROM staff s WHERE s.login = $1", cleanLogin(login)))
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNoStaff
	}
	return st, err
}

// SetRoles gives a person exactly these roles, as part of tx; by is who decided
// it. It takes effect with the person's next request.
func (s *Store) SetRoles(ctx context.Context, tx *db.Tx, id contact.ID, rs []Role, by string) error {
	record, err := s.setRoles(ctx, tx, id, rs, by)
	if err != nil || record == nil {
		return err
	}
	return note(ctx, tx, "access.roles_changed", id, record)
}

// setRoles gives what the ledger is to say of it, nil when nothing changed.
func (s *Store) setRoles(ctx context.Context, tx *db.Tx, id contact.ID, rs []Role, by string) (map[string]any, error) {
	if err := checkRoles(rs); err != nil {
		return nil, err
	}
	st, err := s.Inside(ctx, tx, id)
	if err != nil || same(st.Roles, rs) {
		return nil, err
	}
	_, err = tx.Exec(ctx, "UPDATE staff SET roles = $1 WHERE id = $2", joinRoles(rs), id)
	return map[string]any{"staff": id, "from": names(st.Roles), "to": names(rs), "by": by}, err
}

// SetNumber writes a person's staff number. The account's owner does not:
// the number says whose eyes these are.
func (s *Store) SetNumber(ctx context.Context, id contact.ID, number, by string) error {
	if id == by {
		return errYourself
	}
	return s.db.Write(ctx, func(tx *db.Tx) error {
		number = strings.TrimSpace(number)
		n, err := tx.Exec(ctx, "UPDATE staff SET number = $1 WHERE id = $2 AND number <> $3", number, id, number)
		if err != nil || n == 0 {
			return err
		}
		return note(ctx, tx, "access.number_changed", id, map[string]any{"by": by})
	})
}

// Disable closes an account at once and ends its sessions; Enable opens it
// again, as it was.
func (s *Store) Disable(ctx context.Context, id contact.ID, by string) error {
	if id == by {
		return errYourself
	}
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if _, err := s.Inside(ctx, tx, id); err != nil {
			return err
		}
		n, err := tx.Exec(ctx, "UPDATE staff SET disabled = $1 WHERE id = $2 AND disabled = 0", tx.At(), id)
		if err != nil || n == 0 {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM staff_session WHERE staff = $1", id); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM staff_link WHERE staff = $1", id); err != nil {
			return err
		}
		return note(ctx, tx, "access.disabled", id, map[string]any{"by": by})
	})
}

// Enable opens a closed account.
func (s *Store) Enable(ctx context.Context, id contact.ID, by string) error {
	if id == by {
		return errYourself
	}
	return s.db.Write(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(ctx, "UPDATE staff SET disabled = 0 WHERE id = $1 AND disabled <> 0", id)
		if err != nil || n == 0 {
			return err
		}
		return note(ctx, tx, "access.enabled", id, map[string]any{"by": by})
	})
}

// note writes what happened to an account to the ledger. Neither leaf nor
// record holds a name: the account's id is enough for those who may look it up.
func note(ctx context.Context, tx *db.Tx, what string, id contact.ID, record map[string]any) error {
	if record == nil {
		record = map[string]any{}
	}
	record["staff"] = id
	return ledger.Append(ctx, tx, ledger.Entry{Type: what, ID: id, Record: record})
}

// staffColumns are what scanStaff reads, in its order.
const staffColumns = "s.id, s.login, s.name, s.roles, s.number, s.disabled"

type scanner interface{ Scan(dest ...any) error }

// scanStaff reads a person, and after it whatever more the row holds.
func scanStaff(r scanner, more ...any) (Staff, error) {
	var st Staff
	var roles string
	var disabled int64
	err := r.Scan(append([]any{&st.ID, &st.Login, &st.Name, &roles, &st.Number, &disabled}, more...)...)
	st.Roles = splitRoles(roles)
	if disabled != 0 {
		st.Disabled = db.Time(disabled)
	}
	return st, err
}

func joinRoles(rs []Role) string { return strings.Join(names(rs), " ") }

// names gives the roles as the ledger and the database write them.
func names(rs []Role) []string {
	out := make([]string, len(rs))
	for i, r := range rs {
		out[i] = string(r)
	}
	return out
}

func splitRoles(s string) []Role {
	var out []Role
	for r := range strings.FieldsSeq(s) {
		out = append(out, Role(r))
	}
	return out
}
