// Package template keeps what customers are told in writing: the letters on a
// complaint's progress page and the messages that are mailed. Which letters
// exist, what each can name and must say, is the program's (Form); the wording is
// the bank's, in versions: drafted, approved by a second person, in force from an
// instant on. A version never changes, so that years later a letter leads to the
// wording it was made from.
package template

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"parley/internal/approval"
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

// maker stands for whoever made the wordings that ship.
const maker = "parley"

// Version is one version of a template, or the draft of one.
type Version struct {
	ID       contact.ID
	Template string // answer, received …
	Number   int    // 1, 2 … once approved; 0 = not yet
	State    State
	Texts    Texts
	Sum      string // sha256 (hex) of Texts.Doc
	Based    int    // the version it was drafted from; 0 = none
	Back     bool   // it brings Based back into force
	MadeBy   string
	Hands    []string // the accounts that wrote it
	Made     time.Time
	Changed  time.Time
	From     time.Time // in force from then on, once approved; while it waits: what was asked for; zero = at once
}

// Pin names a version, as letters keep it: "answer 3".
func (v *Version) Pin() string { return fmt.Sprintf("%s %d", v.Template, v.Number) }

// Shipped reports whether it came with Parley and nobody here wrote it.
func (v *Version) Shipped() bool { return v.MadeBy == maker }

// Store keeps versions. It is safe for concurrent use.
type Store struct {
	db        *db.DB
	approvals *approval.Store
	zone      *time.Location
}

// New makes the store; zone is the bank's, in which an approver reads an instant.
// The composition root registers Approval with the four-eyes room and calls
// Adopt before a letter is written.
func New(d *db.DB, a *approval.Store, zone *time.Location) *Store {
	return &Store{db: d, approvals: a, zone: zone}
}

// What the room refuses.
var (
	ErrNone = errs.New(errs.NotFound, "template_unknown", "没有这个模板或版本。", "There is no such template or version.")

	errNotDraft = errs.New(errs.Conflict, "template_not_draft", "这份草稿已送审或已生效，不能再改。",
		"This draft is waiting for approval or in force; it can no longer be changed.")
	errOpen = errs.New(errs.Conflict, "template_open", "这个模板已有一份草稿；请先送审或放弃它。",
		"There is a draft of this template already; ask for its approval or give it up first.")
	errMoved = errs.New(errs.Conflict, "template_moved", "别人刚刚改过这份草稿；您的文字还在下面，请核对草稿后再保存。",
		"Somebody changed this draft in the meantime; your text is still here. Look at the draft before you save.")
	errSame = errs.New(errs.Invalid, "template_same", "与最近批准的版本一字不差，无需送审。",
		"It is word for word the version approved last; there is nothing to approve.")
	errPast = errs.New(errs.Invalid, "template_past", "生效时间须晚于现在；留空则批准后立即生效。",
		"It cannot come into force in the past; leave the time empty for at once.")
	errNoWhy = errs.New(errs.Invalid, "reason_missing", "请写明为什么要改；审批人会看到。", "Say why it should change; the approver reads it.")
)

// invalid is the refusal of a wording: its first problem, and how many there are.
func invalid(ps []Problem) error {
	p := ps[0]
	zh, en := p.Where()
	zh, en = zh+p.Zh, en+p.En
	if n := len(ps) - 1; n > 0 {
		zh, en = fmt.Sprintf("%s（另有 %d 处）", zh, n), fmt.Sprintf("%s (and %d more)", en, n)
	}
	return errs.New(errs.Invalid, "template_invalid", zh, en)
}

// Where says where a problem is, in both languages: "中文正文第 3 行：".
func (p *Problem) Where() (zh, en string) {
	lang := map[string][2]string{"zh": {"中文", "Chinese "}, "en": {"英文", "English "}}[p.Lang]
	switch {
	case p.Subject:
		return lang[0] + "标题：", lang[1] + "subject: "
	case p.Line > 0:
		return fmt.Sprintf("%s正文第 %d 行：", lang[0], p.Line), fmt.Sprintf("%stext, line %d: ", lang[1], p.Line)
	}
	return lang[0] + "正文：", lang[1] + "text: "
}

const columns = `id, template, number, state, body, sum, based, back, made_by, hands, made, changed, since`

type scanner interface{ Scan(...any) error }

func scan(r scanner) (*Version, error) {
	var v Version
	var body, hands string
	var back, made, changed, since int64
	if err := r.Scan(&v.ID, &v.Template, &v.Number, &v.State, &body, &v.Sum, &v.Based, &back, &v.MadeBy, &hands, &made, &changed, &since); err != nil {
		return nil, err
	}
	v.Back, v.Made, v.Changed = back != 0, db.Time(made), db.Time(changed)
	if since != 0 {
		v.From = db.Time(since)
	}
	if err := errors.Join(json.Unmarshal([]byte(body), &v.Texts), json.Unmarshal([]byte(hands), &v.Hands)); err != nil {
		return nil, fmt.Errorf("template version %s: %w", v.ID, err)
	}
	return &v, nil
}

func one(ctx context.Context, tx *db.Tx, where string, args ...any) (*Version, error) {
	v, err := scan(tx.QueryRow(ctx, "SELECT "+columns+" FROM template_version WHERE "+where, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNone
	}
	return v, err
}

// inForce is what applies at an instant ($2): of the versions whose time has come
// the one approved last. So a version approved meanwhile also takes the place of
// one that was to begin later.
const inForce = `template = $1 AND number > 0 AND since <= $2 ORDER BY number DESC LIMIT 1`

// InForce gives the version of a template that applies at the transaction's
// instant.
func (s *Store) InForce(ctx context.Context, tx *db.Tx, id string) (*Version, error) {
	return one(ctx, tx, inForce, id, tx.At())
}

// latest gives the version approved last, in force or not yet; ErrNone when there
// is none.
func latest(ctx context.Context, tx *db.Tx, id string) (*Version, error) {
	return one(ctx, tx, `template = $1 AND number > 0 ORDER BY number DESC LIMIT 1`, id)
}

// Numbered gives an approved version by its number, as letters keep it.
func (s *Store) Numbered(ctx context.Context, tx *db.Tx, id string, number int) (*Version, error) {
	return one(ctx, tx, `template = $1 AND number = $2 AND number > 0`, id, number)
}

// BySum gives the oldest approved version with this hash, as messages keep it.
func (s *Store) BySum(ctx context.Context, tx *db.Tx, sum string) (*Version, error) {
	return bySum(ctx, tx, sum)
}

func bySum(ctx context.Context, tx *db.Tx, sum string) (*Version, error) {
	return one(ctx, tx, `sum = $1 AND number > 0 ORDER BY number LIMIT 1`, sum)
}

// Get gives a version by its id.
func (s *Store) Get(ctx context.Context, id contact.ID) (v *Version, err error) {
	err = s.db.Read(ctx, func(tx *db.Tx) error {
		v, err = one(ctx, tx, "id = $1", id)
		return err
	})
	return v, err
}

// Shelf is a template as the list shows it.
type Shelf struct {
	*Form
	InForce *Version
	Next    *Version // approved, but its time has not come; nil = none
	Open    *Version // the draft, or what waits for approval; nil = none
	Newer   bool     // this version of Parley ships a wording that the bank has never had
}

// Shelves gives every template.
func (s *Store) Shelves(ctx context.Context) ([]*Shelf, error) {
	var out []*Shelf
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		out = nil
		for _, f := range Forms() {
			sh, err := shelf(ctx, tx, f)
			if err != nil {
				return err
			}
			out = append(out, sh)
		}
		return nil
	})
	return out, err
}

// Shelf gives one template.
func (s *Store) Shelf(ctx context.Context, id string) (sh *Shelf, err error) {
	f, err := FormOf(id)
	if err != nil {
		return nil, err
	}
	err = s.db.Read(ctx, func(tx *db.Tx) error {
		sh, err = shelf(ctx, tx, f)
		return err
	})
	return sh, err
}

func shelf(ctx context.Context, tx *db.Tx, f *Form) (*Shelf, error) {
	sh := &Shelf{Form: f}
	var err error
	if sh.InForce, err = one(ctx, tx, inForce, f.ID, tx.At()); err != nil {
		return nil, err
	}
	if sh.Open, err = open(ctx, tx, f.ID); err != nil {
		return nil, err
	}
	last, err := latest(ctx, tx, f.ID)
	if err != nil {
		return nil, err
	}
	if last.Number != sh.InForce.Number {
		sh.Next = last
	}
	_, err = bySum(ctx, tx, f.Shipped.sum())
	if errors.Is(err, ErrNone) {
		sh.Newer, err = true, nil
	}
	return sh, err
}

// History gives the approved versions of a template, the newest first, those
// below a number; 0 = from the newest.
func (s *Store) History(ctx context.Context, id string, below, limit int) (out []*Version, err error) {
	if below <= 0 {
		below = 1<<31 - 1
	}
	err = s.db.Read(ctx, func(tx *db.Tx) error {
		out = nil
		return tx.Each(ctx, func(r *sql.Rows) error {
			v, err := scan(r)
			out = append(out, v)
			return err
		}, "SELECT "+columns+" FROM template_version WHERE template = $1 AND number > 0 AND number < $2 ORDER BY number DESC LIMIT $3", id, below, limit)
	})
	return out, err
}

// Adopt puts the wordings that ship in force where the bank has none, or has one
// that this version of Parley cannot fill. It gives the pins of what it put in
// force, and is safe to run at every start.
func (s *Store) Adopt(ctx context.Context) (pins []string, err error) {
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		pins = nil
		for _, f := range Forms() {
			now, err := one(ctx, tx, inForce, f.ID, tx.At())
			if err != nil && !errors.Is(err, ErrNone) {
				return err
			}
			if now != nil && len(f.Check(&now.Texts)) == 0 {
				continue
			}
			v := &Version{ID: contact.NewID(), Template: f.ID, State: Approved, Texts: f.Shipped, Sum: f.Shipped.sum(),
				MadeBy: maker, Hands: []string{maker}, Made: tx.Now, Changed: tx.Now, From: tx.Now}
			if v.Number, err = next(ctx, tx, f.ID); err != nil {
				return err
			}
			first, err := insert(ctx, tx, v)
			if err != nil {
				return err
			}
			if !first {
				continue // another process was faster
			}
			if err := enter(ctx, tx, v, maker, "shipped"); err != nil {
				return err
			}
			pins = append(pins, v.Pin())
		}
		return nil
	})
	return pins, err
}

func next(ctx context.Context, tx *db.Tx, id string) (int, error) {
	n := 0
	err := tx.QueryRow(ctx, `SELECT coalesce(max(number), 0) FROM template_version WHERE template = $1 AND number > 0`, id).Scan(&n)
	return n + 1, err
}

// insert writes a version; false says that one is there already: a draft of this
// template, or this number.
func insert(ctx context.Context, tx *db.Tx, v *Version) (bool, error) {
	body, hands, err := v.encode()
	if err != nil {
		return false, err
	}
	back, since := 0, int64(0)
	if v.Back {
		back = 1
	}
	if !v.From.IsZero() {
		since = db.Micros(v.From)
	}
	n, err := tx.Exec(ctx, `INSERT INTO template_version (`+columns+`) VALUES `+db.In(1, 13)+` ON CONFLICT DO NOTHING`,
		v.ID, v.Template, v.Number, string(v.State), body, v.Sum, v.Based, back, v.MadeBy, hands, db.Micros(v.Made), db.Micros(v.Changed), since)
	return n > 0, err
}

func (v *Version) encode() (body, hands string, err error) {
	b, err := json.Marshal(v.Texts)
	if err != nil {
		return "", "", fmt.Errorf("template version: %w", err)
	}
	slices.Sort(v.Hands)
	v.Hands = slices.Compact(v.Hands)
	h, err := json.Marshal(v.Hands)
	if err != nil {
		return "", "", fmt.Errorf("template version: %w", err)
	}
	return string(b), string(h), nil
}

func enter(ctx context.Context, tx *db.Tx, v *Version, by, what string) error {
	return ledger.Append(ctx, tx, ledger.Entry{Type: "template." + what, ID: v.ID, Record: v.record(by)})
}

func (v *Version) record(by string) map[string]any {
	rec := map[string]any{"template": v.Template, "sha256": v.Sum, "by": by}
	if v.Number > 0 {
		rec["version"] = v.Number
	}
	if v.Based > 0 {
		rec["based_on"] = v.Based
	}
	if v.Back {
		rec["back"] = true
	}
	if !v.From.IsZero() {
		rec["from"] = v.From.UTC().Format(time.RFC3339Nano)
	}
	return rec
}
