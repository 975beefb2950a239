package consent

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"time"

	"parley/internal/db"
	"parley/internal/errs"
)

// Notice is one version of the wording people are shown when they are asked.
type Notice struct {
	Hash      string // sha256 of Text, hex; PutNotice fills it in
	Version   string // the bank's own name of the version, such as "2026-03"
	Lang      string // BCP 47, such as "zh-CN"
	Text      string
	ValidFrom time.Time
}

// ErrNoNotice is a notice nobody has registered.
var ErrNoNotice = errs.New(errs.NotFound, "no_such_notice", "找不到这个版本的告知文本，请先登记。",
	"There is no notice with this hash; register its text first.")

// NoticeHash gives the name of a notice's text.
func NoticeHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// PutNotice registers a wording and gives its hash. Registering it again
// changes nothing: what was shown cannot be reworded afterwards.
func (s *Store) PutNotice(ctx context.Context, tx *db.Tx, n Notice) (string, error) {
	if n.Text == "" || n.Version == "" || n.Lang == "" {
		return "", errs.New(errs.Invalid, "bad_notice", "告知文本需要版本、语言和正文。", "A notice needs a version, a language and a text.")
	}
	n.Hash = NoticeHash(n.Text)
	return n.Hash, tx.Insert(ctx, "consent_notice", []string{"hash", "version", "lang", "text", "valid_from"},
		"ON CONFLICT (hash) DO NOTHING", [][]any{{n.Hash, n.Version, n.Lang, n.Text, db.Micros(n.ValidFrom)}})
}

// GetNotice gives the wording with a hash.
func (s *Store) GetNotice(ctx context.Context, tx *db.Tx, hash string) (Notice, error) {
	n := Notice{Hash: hash}
	var from int64
	err := tx.QueryRow(ctx, "SELECT version, lang, text, valid_from FROM consent_notice WHERE hash = $1", hash).
		Scan(&n.Version, &n.Lang, &n.Text, &from)
	if errors.Is(err, sql.ErrNoRows) {
		return n, ErrNoNotice
	}
	n.ValidFrom = db.Time(from)
	return n, err
}

// Notices gives all wordings, newest first.
func (s *Store) Notices(ctx context.Context, tx *db.Tx) ([]Notice, error) {
	var out []Notice
	err := tx.Each(ctx, func(rs *sql.Rows) error {
		var n Notice
		var from int64
		if err := rs.Scan(&n.Hash, &n.Version, &n.Lang, &n.Text, &from); err != nil {
			return err
		}
		n.ValidFrom = db.Time(from)
		out = append(out, n)
		return nil
	}, "SELECT hash, version, lang, text, valid_from FROM consent_notice ORDER BY valid_from DESC, hash")
	return out, err
}
