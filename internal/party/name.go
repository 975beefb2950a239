package party

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"parley/internal/contact"
	"parley/internal/db"
)

var nameColumns = []string{"blind", "party_id"}

// blindName hashes the form in which equal names are equal: without spaces,
// full-width letters as plain ones, capitals as small ones.
func (k *Keyring) blindName(name string) []byte {
	name = strings.ToLower(norm.NFKC.String(name))
	name = strings.Join(strings.FieldsFunc(name, func(r rune) bool { return r == ' ' || r == '·' || r == '・' || r == '\u3000' }), "")
	return k.blind("name", name)
}

// ByName finds who bears exactly this name: at most n, the first recorded first.
func (s *Store) ByName(ctx context.Context, tx *db.Tx, name string, n int) ([]contact.ID, error) {
	var out []contact.ID
	err := tx.Each(ctx, func(rs *sql.Rows) error {
		var id contact.ID
		err := rs.Scan(&id)
		out = append(out, id)
		return err
	}, "SELECT party_id FROM party_name WHERE blind = $1 ORDER BY party_id LIMIT $2", s.keys.blindName(name), n)
	return out, err
}

// addNames records names that may be recorded already.
func addNames(ctx context.Context, tx *db.Tx, rows [][]any) error {
	return insertNames(ctx, tx, "ON CONFLICT DO NOTHING", rows)
}

// insertNames writes names in the order of their index, so that neighbours
// share its pages.
func insertNames(ctx context.Context, tx *db.Tx, suffix string, rows [][]any) error {
	slices.SortFunc(rows, func(a, b []any) int { return bytes.Compare(a[0].([]byte), b[0].([]byte)) })
	return tx.Insert(ctx, "party_name", nameColumns, suffix, rows)
}

// rename moves a customer from one name to another in the index; either may be empty.
func (s *Store) rename(ctx context.Context, tx *db.Tx, id contact.ID, from, to string) error {
	if from != "" {
		if _, err := tx.Exec(ctx, "DELETE FROM party_name WHERE blind = $1 AND party_id = $2", s.keys.blindName(from), id); err != nil {
			return err
		}
	}
	if to == "" {
		return nil
	}
	return addNames(ctx, tx, [][]any{{s.keys.blindName(to), id}})
}

// nameSpan is how many customers IndexNames takes into one transaction.
const nameSpan = 500

// IndexNames puts the names of customers recorded before names were indexed
// into the index. It goes on where it stopped, and is quick once all are in.
func (s *Store) IndexNames(ctx context.Context) error {
	for done := false; !done; {
		err := s.db.Write(ctx, func(tx *db.Tx) (err error) {
			done, err = s.indexSome(ctx, tx)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) indexSome(ctx context.Context, tx *db.Tx) (done bool, err error) {
	var upto contact.ID
	err = tx.QueryRow(ctx, "SELECT upto FROM party_naming WHERE id = 1"+tx.Dialect().ForUpdate()).Scan(&upto)
	if errors.Is(err, sql.ErrNoRows) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	var rows [][]any
	n := 0
	err = tx.Each(ctx, func(rs *sql.Rows) error {
		n++
		p, erased, err := s.scanAll(rs)
		if err == nil {
			upto = p.ID
		}
		if err == nil && !erased && p.Name != "" {
			rows = append(rows, []any{s.keys.blindName(p.Name), p.ID})
		}
		return err
	}, "SELECT "+columns+" FROM party WHERE id > $1 ORDER BY id LIMIT $2", upto, nameSpan)
	if err != nil {
		return false, err
	}
	if err := addNames(ctx, tx, rows); err != nil {
		return false, err
	}
	if n < nameSpan {
		_, err = tx.Exec(ctx, "DELETE FROM party_naming WHERE id = 1")
		return true, err
	}
	_, err = tx.Exec(ctx, "UPDATE party_naming SET upto = $1 WHERE id = 1", upto)
	return false, err
}
