package complaint

import (
	"context"
	"database/sql"
	"encoding/base64"
	"fmt"
	"strings"

	"parley/internal/contact"
	"parley/internal/db"
)

// Sealer encrypts what people wrote; about binds the text to its place, so that
// texts cannot be swapped. The bank's keyring is one.
type Sealer interface {
	Seal(plain []byte, about string) ([]byte, error)
	Open(sealed []byte, about string) ([]byte, error)
}

// sealedMark begins every sealed text. A text without it was written by a
// version of Parley that kept texts in the clear, and is read as it is until
// Adopt has sealed it.
const sealedMark = "sealed1:"

// seal encrypts a text for the place it is stored at: the kind of row, its id
// and the column. Nothing stays nothing.
func (k *Desk) seal(text, row string, id contact.ID, column string) (string, error) {
	if text == "" {
		return "", nil
	}
	b, err := k.sealer.Seal([]byte(text), place(row, id, column))
	if err != nil {
		return "", fmt.Errorf("seal %s of %s %s: %w", column, row, id, err)
	}
	return sealedMark + base64.RawStdEncoding.EncodeToString(b), nil
}

// open is the way back from seal.
func (k *Desk) open(stored, row string, id contact.ID, column string) (string, error) {
	text, sealed := strings.CutPrefix(stored, sealedMark)
	if !sealed {
		return stored, nil
	}
	b, err := base64.RawStdEncoding.DecodeString(text)
	if err == nil {
		b, err = k.sealer.Open(b, place(row, id, column))
	}
	if err != nil {
		return "", fmt.Errorf("open %s of %s %s: %w", column, row, id, err)
	}
	return string(b), nil
}

func place(row string, id contact.ID, column string) string {
	return "complaint/" + row + "/" + id + "/" + column
}

// The rows that hold what people wrote, as names of places.
const (
	ofCase       = "case"
	ofEvent      = "event"
	ofDeadline   = "deadline"
	ofDecision   = "decision"
	ofAttachment = "attachment"
	ofLetter     = "letter"
)

// oldBatch is how many cases Adopt takes over in one transaction.
const oldBatch = 100

// Adopt takes over the cases of older versions of Parley, which kept texts in
// the clear, approvals in a table of their own and answers in their decisions: it
// seals what people wrote, puts what waits to a second person and moves letters to
// the others. It gives how many cases and answers there were, is safe to run at
// every start and costs nothing once done.
func (k *Desk) Adopt(ctx context.Context) (int, error) {
	cases, err := k.adoptCases(ctx)
	if err != nil {
		return cases, err
	}
	answers, err := k.adoptAnswers(ctx)
	return cases + answers, err
}

// adoptAnswers moves the letters of decisions to the case's letters.
func (k *Desk) adoptAnswers(ctx context.Context) (int, error) {
	total := 0
	for {
		n := 0
		err := k.db.Write(ctx, func(tx *db.Tx) error {
			type answer struct {
				Letter
				of contact.ID
			}
			var old []answer
			if err := tx.Each(ctx, func(r *sql.Rows) error {
				a := answer{Letter: Letter{ID: contact.NewID(), Kind: letterAnswer}}
				var at int64
				err := r.Scan(&a.Decision, &a.of, &at, &a.Zh, &a.En)
				a.At = db.Time(at)
				old = append(old, a)
				return err
			}, `SELECT id, case_id, decided_at, letter_zh, letter_en FROM complaint_decision WHERE letter_zh <> '' ORDER BY id LIMIT $1`, oldBatch); err != nil {
				return err
			}
			n = len(old)
			for _, a := range old {
				for column, text := range map[string]*string{"letter_zh": &a.Zh, "letter_en": &a.En} {
					var err error
					if *text, err = k.open(*text, ofDecision, a.Decision, column); err != nil {
						return err
					}
				}
				if err := k.insertLetter(ctx, tx, a.of, &a.Letter); err != nil {
					return err
				}
				if _, err := tx.Exec(ctx, `UPDATE complaint_decision SET letter_zh = '', letter_en = '' WHERE id = $1`, a.Decision); err != nil {
					return err
				}
			}
			return nil
		})
		total += n
		if err != nil || n < oldBatch {
			return total, err
		}
	}
}

func (k *Desk) adoptCases(ctx context.Context) (int, error) {
	total := 0
	for {
		n := 0
		err := k.db.Write(ctx, func(tx *db.Tx) error {
			var ids []contact.ID
			if err := tx.Each(ctx, func(r *sql.Rows) error {
				var id contact.ID
				err := r.Scan(&id)
				ids = append(ids, id)
				return err
			}, `SELECT id FROM complaint_case WHERE sealed = 0 ORDER BY id LIMIT $1`, oldBatch); err != nil {
				return err
			}
			n = len(ids)
			for _, id := range ids {
				c, err := k.load(ctx, tx, id)
				if err != nil {
					return err
				}
				if err := k.adopt(ctx, tx, c); err != nil {
					return err
				}
				if err := k.sealCase(ctx, tx, id); err != nil {
					return err
				}
			}
			return nil
		})
		total += n
		if err != nil || n < oldBatch {
			return total, err
		}
	}
}

// sealCase seals all texts of one case.
func (k *Desk) sealCase(ctx context.Context, tx *db.Tx, id contact.ID) error {
	for _, t := range []struct{ row, read, write string }{
		{ofCase + "/subject", `SELECT id, subject FROM complaint_case WHERE id = $1`, `UPDATE complaint_case SET subject = $2 WHERE id = $1`},
		{ofCase + "/words", `SELECT id, words FROM complaint_case WHERE id = $1`, `UPDATE complaint_case SET words = $2 WHERE id = $1`},
		{ofEvent + "/data", `SELECT id, data FROM complaint_event WHERE case_id = $1`, `UPDATE complaint_event SET data = $2 WHERE id = $1`},
		{ofDeadline + "/reason", `SELECT id, reason FROM complaint_deadline WHERE case_id = $1`, `UPDATE complaint_deadline SET reason = $2 WHERE id = $1`},
		{ofDecision + "/body", `SELECT id, body FROM complaint_decision WHERE case_id = $1`, `UPDATE complaint_decision SET body = $2 WHERE id = $1`},
		{ofDecision + "/note", `SELECT id, note FROM complaint_decision WHERE case_id = $1`, `UPDATE complaint_decision SET note = $2 WHERE id = $1`},
		{ofAttachment + "/name", `SELECT id, name FROM complaint_attachment WHERE case_id = $1`, `UPDATE complaint_attachment SET name = $2 WHERE id = $1`},
	} {
		texts := map[contact.ID]string{}
		if err := tx.Each(ctx, func(r *sql.Rows) error {
			var row contact.ID
			var text string
			err := r.Scan(&row, &text)
			texts[row] = text
			return err
		}, t.read, id); err != nil {
			return err
		}
		row, column, _ := strings.Cut(t.row, "/")
		for at, text := range texts {
			if text == "" || strings.HasPrefix(text, sealedMark) {
				continue
			}
			sealed, err := k.seal(text, row, at, column)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, t.write, at, sealed); err != nil {
				return err
			}
		}
	}
	_, err := tx.Exec(ctx, `UPDATE complaint_case SET sealed = 1 WHERE id = $1`, id)
	return err
}
