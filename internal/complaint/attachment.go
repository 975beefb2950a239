package complaint

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

// Attachment is a file that came with a complaint. Its content lies in the blob
// store under its hash, which the ledger cites.
type Attachment struct {
	ID     contact.ID
	Name   string // as the complainant called it
	Media  string // media type, found in the content
	Size   int64
	SHA256 string
	At     time.Time
}

// MaxAttachments is how many files one complaint may have.
const MaxAttachments = 10

// attach stores the files of a new case in tx, each with its ledger entry.
func (k *Desk) attach(ctx context.Context, tx *db.Tx, c *Case, files []Attachment) error {
	if len(files) > MaxAttachments {
		return errs.New(errs.Invalid, "too_many_files", "附件最多 10 个。", "A complaint has at most ten attachments.")
	}
	for _, f := range files {
		id := contact.NewID()
		name, err := k.seal(f.Name, ofAttachment, id, "name")
		if err != nil {
			return err
		}
		if err := tx.Insert(ctx, "complaint_attachment", []string{"id", "case_id", "name", "media", "size", "sha256", "at"}, "",
			[][]any{{id, c.ID, name, f.Media, f.Size, f.SHA256, tx.At()}}); err != nil {
			return err
		}
		if err := k.record(ctx, tx, c, "attached", "customer", true,
			map[string]any{"attachment": id, "media": f.Media, "size": f.Size, "sha256": f.SHA256}); err != nil {
			return err
		}
	}
	return nil
}

func (k *Desk) attachments(ctx context.Context, tx *db.Tx, id contact.ID) ([]Attachment, error) {
	var out []Attachment
	err := tx.Each(ctx, func(r *sql.Rows) error {
		var a Attachment
		var at int64
		if err := r.Scan(&a.ID, &a.Name, &a.Media, &a.Size, &a.SHA256, &at); err != nil {
			return err
		}
		var err error
		a.Name, err = k.open(a.Name, ofAttachment, a.ID, "name")
		a.At = db.Time(at)
		out = append(out, a)
		return err
	}, `SELECT id, name, media, size, sha256, at FROM complaint_attachment WHERE case_id = $1 ORDER BY id`, id)
	return out, err
}

// Attachment gives one file of a case.
func (k *Desk) Attachment(ctx context.Context, caseID, id contact.ID) (Attachment, error) {
	a := Attachment{ID: id}
	var at int64
	err := k.db.Read(ctx, func(tx *db.Tx) error {
		return tx.QueryRow(ctx, `SELECT name, media, size, sha256, at FROM complaint_attachment WHERE case_id = $1 AND id = $2`, caseID, id).
			Scan(&a.Name, &a.Media, &a.Size, &a.SHA256, &at)
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = errs.New(errs.NotFound, "no_such_attachment", "没有这个附件。", "There is no such attachment.")
	}
	if err == nil {
		a.Name, err = k.open(a.Name, ofAttachment, a.ID, "name")
	}
	a.At = db.Time(at)
	return a, err
}

// Cites reports whether a complaint has a file with this content.
func (k *Desk) Cites(ctx context.Context, sha256 string) (bool, error) {
	n := 0
	err := k.db.Read(ctx, func(tx *db.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM complaint_attachment WHERE sha256 = $1`, sha256).Scan(&n)
	})
	return n > 0, err
}
