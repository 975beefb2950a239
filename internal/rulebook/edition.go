package rulebook

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/ledger"
)

const editionColumns = "id, title, base, uses, hash, state, made_by, made, changed, tested, replayed"

func scanEdition(r interface{ Scan(...any) error }) (*Edition, error) {
	var e Edition
	var uses, tested, replayed string
	var made, changed int64
	err := r.Scan(&e.ID, &e.Title, &e.Base, &uses, &e.Hash, &e.State, &e.MadeBy, &made, &changed, &tested, &replayed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, err
	}
	e.Made, e.Changed, e.Uses = db.Time(made), db.Time(changed), strings.Fields(uses)
	e.Tested, err = kept[Tested](tested)
	if err == nil {
		e.Replay, err = kept[Reviewed](replayed)
	}
	if err != nil {
		return nil, fmt.Errorf("edition %s: %w", e.ID, err)
	}
	if e.Tested != nil && e.Tested.Hash != e.Hash {
		e.Tested = nil
	}
	if e.Replay != nil && e.Replay.Hash != e.Hash {
		e.Replay = nil
	}
	return &e, nil
}

func kept[T any](raw string) (*T, error) {
	if raw == "" {
		return nil, nil
	}
	out := new(T)
	return out, json.Unmarshal([]byte(raw), out)
}

func get(ctx context.Context, tx *db.Tx, id contact.ID, lock string) (*Edition, error) {
	return scanEdition(tx.QueryRow(ctx, "SELECT "+editionColumns+" FROM rulebook_edition WHERE id = $1"+lock, id))
}

// Get gives an edition; ErrNone when there is none.
func (s *Store) Get(ctx context.Context, id contact.ID) (e *Edition, err error) {
	err = s.db.Read(ctx, func(tx *db.Tx) error {
		e, err = get(ctx, tx, id, "")
		return err
	})
	return e, err
}

// List gives editions, the newest first: at most limit of those before one
// ("" = from the newest).
func (s *Store) List(ctx context.Context, before contact.ID, limit int) (out []*Edition, err error) {
	if before == "" {
		before = "g" // after every id
	}
	err = s.db.Read(ctx, func(tx *db.Tx) error {
		out = nil
		return tx.Each(ctx, func(r *sql.Rows) error {
			e, err := scanEdition(r)
			out = append(out, e)
			return err
		}, "SELECT "+editionColumns+" FROM rulebook_edition WHERE id < $1 ORDER BY id DESC LIMIT $2", before, limit)
	})
	return out, err
}

// Files gives the texts of an edition.
func (s *Store) Files(ctx context.Context, id contact.ID) (f Files, err error) {
	err = s.db.Read(ctx, func(tx *db.Tx) error {
		f, err = files(ctx, tx, id)
		return err
	})
	return f, err
}

func files(ctx context.Context, tx *db.Tx, id contact.ID) (Files, error) {
	f := Files{}
	err := tx.Each(ctx, func(r *sql.Rows) error {
		var name, body string
		err := r.Scan(&name, &body)
		f[name] = body
		return err
	}, "SELECT name, body FROM rulebook_file WHERE edition = $1", id)
	if err == nil && len(f) == 0 {
		err = ErrNone
	}
	return f, err
}

// insert stores a new edition with its files.
func insert(ctx context.Context, tx *db.Tx, e *Edition, f Files) error {
	e.ID, e.Hash, e.Made, e.Changed = contact.NewID(), f.Hash(), tx.Now, tx.Now
	if _, err := tx.Exec(ctx, "INSERT INTO rulebook_edition ("+editionColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, '', '')`,
		e.ID, e.Title, e.Base, strings.Join(e.Uses, "\n"), e.Hash, string(e.State), e.MadeBy, tx.At()); err != nil {
		return err
	}
	var rows [][]any
	for _, name := range slices.Sorted(maps.Keys(f)) {
		rows = append(rows, []any{e.ID, name, f[name]})
	}
	return tx.Insert(ctx, "rulebook_file", []string{"edition", "name", "body"}, "", rows)
}

// Draft copies an edition (the one in force, when base is "") so that it can be
// changed.
func (s *Store) Draft(ctx context.Context, base contact.ID, title, by string) (*Edition, error) {
	e := &Edition{Title: strings.TrimSpace(title), State: Draft, MadeBy: by}
	if e.Title == "" {
		return nil, errs.New(errs.Invalid, "title_missing", "请给草稿起个名字。", "Give the draft a name.")
	}
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		if base == "" {
			now, err := current(ctx, tx)
			if err != nil {
				return err
			}
			base = now.Edition
		}
		from, err := get(ctx, tx, base, "")
		if err != nil {
			return err
		}
		f, err := files(ctx, tx, base)
		if err != nil {
			return err
		}
		e.Base, e.Uses = base, from.Uses
		if err := insert(ctx, tx, e, f); err != nil {
			return err
		}
		return s.mark(ctx, tx, e, by, "drafted", map[string]any{"base": base})
	})
	return e, err
}

// Put changes one file of a draft; an empty body takes it out. What does not
// parse is kept too, so that nobody loses work: it cannot be tested or put up
// for approval until it is mended.
func (s *Store) Put(ctx context.Context, id contact.ID, name, body, by string) (*Edition, error) {
	if !strings.HasSuffix(name, ".yaml") || strings.ContainsAny(name, "/\\ ") {
		return nil, errs.New(errs.Invalid, "file_name", "文件名须形如 cn.yaml 或 cn_test.yaml。", "A file is named like cn.yaml or cn_test.yaml.")
	}
	return s.alter(ctx, id, func(tx *db.Tx, e *Edition) error {
		if e.State != Draft {
			return errNotDraft
		}
		if body == "" {
			if _, err := tx.Exec(ctx, "DELETE FROM rulebook_file WHERE edition = $1 AND name = $2", id, name); err != nil {
				return err
			}
		} else if err := tx.Insert(ctx, "rulebook_file", []string{"edition", "name", "body"},
			"ON CONFLICT (edition, name) DO UPDATE SET body = excluded.body", [][]any{{id, name, body}}); err != nil {
			return err
		}
		f, err := files(ctx, tx, id)
		if err != nil {
			return errs.New(errs.Invalid, "edition_empty", "至少要留下一个规则文件。", "At least one file of rules must stay.").With(err)
		}
		before := e.Hash
		if e.Hash = f.Hash(); e.Hash == before {
			return nil
		}
		return s.mark(ctx, tx, e, by, "changed", map[string]any{"file": name})
	})
}

// Drop gives a draft up.
func (s *Store) Drop(ctx context.Context, id contact.ID, by string) (*Edition, error) {
	return s.alter(ctx, id, func(tx *db.Tx, e *Edition) error {
		if e.State != Draft {
			return errNotDraft
		}
		e.State = Dropped
		return s.mark(ctx, tx, e, by, "dropped", nil)
	})
}

// alter locks an edition, has it changed and stores it.
func (s *Store) alter(ctx context.Context, id contact.ID, fn func(*db.Tx, *Edition) error) (e *Edition, err error) {
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		if e, err = get(ctx, tx, id, tx.Dialect().ForUpdate()); err != nil {
			return err
		}
		if err := fn(tx, e); err != nil {
			return err
		}
		return s.save(ctx, tx, e)
	})
	return e, err
}

func (s *Store) save(ctx context.Context, tx *db.Tx, e *Edition) error {
	tested, err := keep(e.Tested)
	if err != nil {
		return err
	}
	replayed, err := keep(e.Replay)
	if err != nil {
		return err
	}
	e.Changed = tx.Now
	_, err = tx.Exec(ctx, "UPDATE rulebook_edition SET hash = $1, state = $2, changed = $3, tested = $4, replayed = $5 WHERE id = $6",
		e.Hash, string(e.State), tx.At(), tested, replayed, e.ID)
	return err
}

func keep[T any](v *T) (string, error) {
	if v == nil {
		return "", nil
	}
	b, err := json.Marshal(v)
	return string(b), err
}

// mark writes the ledger's entry of a step and remembers who had a hand in it.
func (s *Store) mark(ctx context.Context, tx *db.Tx, e *Edition, by, what string, more map[string]any) error {
	if by == "" {
		return errs.New(errs.Invalid, "actor_missing", "须写明操作人。", "Say who does this.")
	}
	if err := tx.Insert(ctx, "rulebook_hand", []string{"edition", "account"}, "ON CONFLICT (edition, account) DO NOTHING", [][]any{{e.ID, by}}); err != nil {
		return err
	}
	rec := map[string]any{"by": by, "edition": e.ID, "hash": e.Hash}
	maps.Copy(rec, more)
	return ledger.Append(ctx, tx, ledger.Entry{Type: "rulebook." + what, ID: e.ID, Record: rec})
}
