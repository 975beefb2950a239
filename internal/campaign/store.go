package campaign

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"parley/internal/approval"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/ledger"
)

// Store keeps campaigns. Every step is one transaction with its ledger entry.
type Store struct {
	db        *db.DB
	approvals *approval.Store
}

// NewStore makes the store on d. Campaigns are approved through a, where the
// composition root registers Approval.
func NewStore(d *db.DB, a *approval.Store) *Store { return &Store{db: d, approvals: a} }

const columns = `id, terms, synthetic, list_sum, members, state, version, hash, made_by, made_at, changed_at, note`

func scan(row interface{ Scan(...any) error }) (*Campaign, error) {
	var c Campaign
	var terms string
	var synthetic int64
	err := row.Scan(&c.ID, &terms, &synthetic, &c.List, &c.Members, &c.State, &c.Version, &c.Hash,
		&c.MadeBy, &c.MadeAt, &c.ChangedAt, &c.Note)
	if err != nil {
		return nil, err
	}
	c.Synthetic = synthetic != 0
	if err := json.Unmarshal([]byte(terms), &c.Terms); err != nil {
		return nil, fmt.Errorf("campaign %s: %w", c.ID, err)
	}
	return &c, nil
}

func get(ctx context.Context, tx *db.Tx, id contact.ID, suffix string) (*Campaign, error) {
	c, err := scan(tx.QueryRow(ctx, "SELECT "+columns+" FROM campaign WHERE id = $1"+suffix, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errs.New(errs.NotFound, "campaign_unknown", "没有这个活动。", "There is no such campaign.")
	}
	return c, err
}

// Get gives one campaign.
func (s *Store) Get(ctx context.Context, id contact.ID) (*Campaign, error) {
	var c *Campaign
	err := s.db.Read(ctx, func(tx *db.Tx) (err error) {
		c, err = get(ctx, tx, id, "")
		return err
	})
	return c, err
}

// List gives all campaigns, the newest first.
func (s *Store) List(ctx context.Context) ([]*Campaign, error) {
	return s.list(ctx, "SELECT "+columns+" FROM campaign ORDER BY id DESC")
}

// Slice reads a page (db.Cut) of the campaigns in a state ("" = all), the newest
// first or, oldest, the oldest. Its keyset is the campaign's id.
func (s *Store) Slice(ctx context.Context, state State, oldest bool, p db.Span) ([]*Campaign, error) {
	where, args := " WHERE 1 = 1", []any{}
	if state != "" {
		where, args = " WHERE state = $1", append(args, string(state))
	}
	cond, tail := p.Seek(!oldest, len(args)+1, "id")
	if p.At != "" {
		args = append(args, p.At)
	}
	return s.list(ctx, "SELECT "+columns+" FROM campaign"+where+cond+tail, args...)
}

// searched is how many of the newest campaigns Search looks through.
const searched = 5000

// Search gives the newest campaigns whose name holds the text, at most limit.
func (s *Store) Search(ctx context.Context, text string, limit int) ([]*Campaign, error) {
	like := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(text)) + "%"
	return s.list(ctx, "SELECT "+columns+` FROM campaign WHERE id IN (SELECT id FROM campaign ORDER BY id DESC LIMIT $1)
		AND lower(name) LIKE $2 ESCAPE '\' ORDER BY id DESC LIMIT $3`, searched, like, limit)
}

// Running gives the campaigns that are running.
func (s *Store) Running(ctx context.Context) ([]*Campaign, error) {
	return s.list(ctx, "SELECT "+columns+" FROM campaign WHERE state = $1 ORDER BY id", string(Running))
}

func (s *Store) list(ctx context.Context, q string, args ...any) ([]*Campaign, error) {
	var out []*Campaign
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		out = nil
		return tx.Each(ctx, func(r *sql.Rows) error {
			c, err := scan(r)
			out = append(out, c)
			return err
		}, q, args...)
	})
	return out, err
}

// PutScript stores a checked script under its hash; storing it again is nothing.
func (s *Store) PutScript(ctx context.Context, sc *Script, by string) error {
	return s.db.Write(ctx, func(tx *db.Tx) error { return keepScript(ctx, tx, sc, by) })
}

func keepScript(ctx context.Context, tx *db.Tx, sc *Script, by string) error {
	n, err := tx.Exec(ctx, `INSERT INTO campaign_script (hash, name, yaml, stored_at, stored_by)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT (hash) DO NOTHING`, sc.Hash(), sc.ID, string(sc.raw), tx.At(), by)
	if err != nil || n == 0 {
		return err
	}
	return ledger.Append(ctx, tx, ledger.Entry{Type: "campaign.script", ID: sc.Hash(),
		Record: map[string]any{"script": sc.ID, "sha256": sc.Hash(), "by": by}})
}

// Script gives a stored script by its hash.
func (s *Store) Script(ctx context.Context, hash string) (*Script, error) {
	var sc *Script
	err := s.db.Read(ctx, func(tx *db.Tx) (err error) {
		sc, err = script(ctx, tx, hash)
		return err
	})
	return sc, err
}

func script(ctx context.Context, tx *db.Tx, hash string) (*Script, error) {
	var name, text string
	err := tx.QueryRow(ctx, "SELECT name, yaml FROM campaign_script WHERE hash = $1", hash).Scan(&name, &text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errs.New(errs.NotFound, "script_unknown", "没有这个脚本版本；请先导入脚本。",
			"There is no such script version; store the script first.")
	}
	if err != nil {
		return nil, err
	}
	return Parse(name, []byte(text), nil)
}

// Create makes a draft.
func (s *Store) Create(ctx context.Context, t Terms, by string) (*Campaign, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	c := &Campaign{ID: contact.NewID(), Terms: t, State: Draft, Version: 1, MadeBy: by}
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		if err := c.bindScript(ctx, tx); err != nil {
			return err
		}
		c.MadeAt, c.ChangedAt, c.Hash = tx.At(), tx.At(), c.contentHash()
		terms, err := json.Marshal(c.Terms)
		if err != nil {
			return fmt.Errorf("campaign terms: %w", err)
		}
		if _, err := tx.Exec(ctx, `INSERT INTO campaign (id, name, terms, script, synthetic, list_sum, members, state,
			version, hash, made_by, made_at, changed_at, note) VALUES ($1, $2, $3, $4, $5, '', 0, $6, $7, $8, $9, $10, $10, '')`,
			c.ID, c.Name, string(terms), c.ScriptHash, flag(c.Synthetic), string(c.State), c.Version, c.Hash, by, tx.At()); err != nil {
			return err
		}
		e, err := note(ctx, tx, c, by, "created", "")
		if err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Entry{Type: e.Type, ID: e.ID, Record: e.Record})
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// bindScript takes over what the script says about itself. A script written
// for another purpose does not fit: its obligations were chosen for that one.
func (c *Campaign) bindScript(ctx context.Context, tx *db.Tx) error {
	sc, err := script(ctx, tx, c.ScriptHash)
	if err != nil {
		return err
	}
	if sc.Purpose != c.Purpose {
		return errs.New(errs.Invalid, "script_purpose", "脚本的目的与活动不同；请选用为该目的编写的脚本。",
			"The script was written for another purpose; choose one for this campaign's.")
	}
	if len(sc.Values()) > 0 { // a campaign has nothing of its own to say to each person
		return errs.New(errs.Invalid, "script_values", "脚本要逐通播报验证码一类的内容，不能用于活动；请另选脚本。",
			"The script reads out something given to each call, such as a code, so no campaign can use it; choose another.")
	}
	c.Synthetic = sc.Synthetic
	return nil
}

// Update replaces the terms: the campaign is a draft again, stopped if it ran,
// and needs approval anew.
func (s *Store) Update(ctx context.Context, id contact.ID, t Terms, by string) (*Campaign, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	return s.change(ctx, id, by, "updated", "", func(tx *db.Tx, c *Campaign) error {
		c.Terms = t
		return c.bindScript(ctx, tx)
	})
}

// change is any step that alters what an approval binds.
func (s *Store) change(ctx context.Context, id contact.ID, by, what, why string, fn func(*db.Tx, *Campaign) error) (*Campaign, error) {
	return s.end(ctx, id, by, what, why, func(tx *db.Tx, c *Campaign) error {
		if c.State == Done {
			return errs.New(errs.Conflict, "campaign_done", "活动已结束，不能再修改；请新建活动。",
				"The campaign is over and cannot be changed; make a new one.")
		}
		if err := fn(tx, c); err != nil {
			return err
		}
		c.State, c.Version, c.Note = Draft, c.Version+1, ""
		return nil
	})
}

// end is a step after which nobody needs to decide what was submitted. The
// request is locked before the campaign, as a decision does.
func (s *Store) end(ctx context.Context, id contact.ID, by, what, why string, fn func(*db.Tx, *Campaign) error) (*Campaign, error) {
	var out *Campaign
	err := s.db.Write(ctx, func(tx *db.Tx) (err error) {
		if err := s.approvals.Supersede(ctx, tx, ApprovalKind, id, by); err != nil {
			return err
		}
		out, err = s.entered(ctx, tx, id, by, what, why, fn)
		return err
	})
	return out, err
}

// step locks a campaign, lets fn alter it, and stores it with its history.
func (s *Store) step(ctx context.Context, id contact.ID, by, what, why string, fn func(*db.Tx, *Campaign) error) (*Campaign, error) {
	var out *Campaign
	err := s.db.Write(ctx, func(tx *db.Tx) (err error) {
		out, err = s.entered(ctx, tx, id, by, what, why, fn)
		return err
	})
	return out, err
}

func (s *Store) entered(ctx context.Context, tx *db.Tx, id contact.ID, by, what, why string, fn func(*db.Tx, *Campaign) error) (*Campaign, error) {
	c, e, err := s.alter(ctx, tx, id, by, what, why, fn)
	if err != nil {
		return nil, err
	}
	return c, ledger.Append(ctx, tx, ledger.Entry{Type: e.Type, ID: e.ID, Record: e.Record})
}

// alter is a step as part of tx; the caller sees to the ledger entry that it gives.
func (s *Store) alter(ctx context.Context, tx *db.Tx, id contact.ID, by, what, why string, fn func(*db.Tx, *Campaign) error) (*Campaign, approval.Effect, error) {
	c, err := get(ctx, tx, id, tx.Dialect().ForUpdate())
	if err != nil {
		return nil, approval.Effect{}, err
	}
	if err := fn(tx, c); err != nil {
		return nil, approval.Effect{}, err
	}
	c.Hash, c.ChangedAt = c.contentHash(), tx.At()
	terms, err := json.Marshal(c.Terms)
	if err != nil {
		return nil, approval.Effect{}, fmt.Errorf("campaign terms: %w", err)
	}
	if _, err := tx.Exec(ctx, `UPDATE campaign SET name = $2, terms = $3, script = $4, synthetic = $5, list_sum = $6,
		members = $7, state = $8, version = $9, hash = $10, changed_at = $11, note = $12 WHERE id = $1`,
		c.ID, c.Name, string(terms), c.ScriptHash, flag(c.Synthetic), c.List, c.Members, string(c.State), c.Version,
		c.Hash, c.ChangedAt, c.Note); err != nil {
		return nil, approval.Effect{}, err
	}
	e, err := note(ctx, tx, c, by, what, why)
	return c, e, err
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// note writes the history of a step and gives its ledger entry.
func note(ctx context.Context, tx *db.Tx, c *Campaign, by, what, why string) (approval.Effect, error) {
	if by == "" {
		return approval.Effect{}, errs.New(errs.Invalid, "actor_missing", "须写明操作人。", "Say who does this.")
	}
	var seq int64
	if err := tx.QueryRow(ctx, "SELECT COALESCE(MAX(seq), 0) + 1 FROM campaign_change WHERE campaign_id = $1", c.ID).Scan(&seq); err != nil {
		return approval.Effect{}, err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO campaign_change (campaign_id, seq, at, actor, what, version, hash, note)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, c.ID, seq, tx.At(), by, what, c.Version, c.Hash, why); err != nil {
		return approval.Effect{}, err
	}
	return approval.Effect{Type: "campaign." + what, ID: c.ID, Record: map[string]any{
		"campaign": c.ID, "state": string(c.State), "version": c.Version, "hash": c.Hash, "script": c.ScriptHash,
		"list": c.List, "members": c.Members, "by": by, "note": why,
	}}, nil
}
