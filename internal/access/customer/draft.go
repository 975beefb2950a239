package customer

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"parley/internal/db"
)

// maxDraft bounds one draft, in bytes.
const maxDraft = 256 << 10

// seal makes the cipher of a draft from the token that only the browser has.
func seal(token string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(token), nil, "parley draft", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Keep stores what a visitor has typed. token "" begins a new draft; what is
// given goes into the browser. The database alone cannot read it.
func (s *Store) Keep(ctx context.Context, token string, v any) (string, error) {
	if token == "" {
		token = rand.Text()
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("draft: %w", err)
	}
	if len(raw) > maxDraft {
		return "", fmt.Errorf("a draft of %d bytes", len(raw))
	}
	a, err := seal(token)
	if err != nil {
		return "", fmt.Errorf("draft: %w", err)
	}
	hash := hashOf(token)
	return token, s.db.Write(ctx, func(tx *db.Tx) error {
		return tx.Insert(ctx, "customer_draft", []string{"token", "body", "at"},
			"ON CONFLICT (token) DO UPDATE SET body = excluded.body, at = excluded.at", [][]any{{hash, a.Seal(nil, nil, raw, hash), tx.At()}})
	})
}

// Draft reads a draft into v and reports whether there is one.
func (s *Store) Draft(ctx context.Context, token string, v any) (bool, error) {
	if token == "" {
		return false, nil
	}
	hash := hashOf(token)
	var body []byte
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		return tx.QueryRow(ctx, "SELECT body FROM customer_draft WHERE token = $1 AND at > $2", hash, tx.At()-draftLife.Microseconds()).Scan(&body)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	a, err := seal(token)
	if err != nil {
		return false, err
	}
	raw, err := a.Open(nil, nil, body, hash)
	if err != nil {
		return false, fmt.Errorf("draft: %w", err)
	}
	return true, json.Unmarshal(raw, v)
}

// Forget deletes a draft.
func (s *Store) Forget(ctx context.Context, token string) error {
	if token == "" {
		return nil
	}
	return s.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, "DELETE FROM customer_draft WHERE token = $1", hashOf(token))
		return err
	})
}

// Uploaded remembers a file that a visitor has sent and that was not in the blob
// store before.
func (s *Store) Uploaded(ctx context.Context, sha256 string) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		return tx.Insert(ctx, "customer_upload", []string{"sha256", "at"}, "ON CONFLICT (sha256) DO UPDATE SET at = excluded.at",
			[][]any{{sha256, tx.At()}})
	})
}

// Unclaimed gives the files of drafts that are over, and forgets them. Whoever
// asks deletes those that no complaint cites.
func (s *Store) Unclaimed(ctx context.Context) ([]string, error) {
	var out []string
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		out = nil
		before := tx.At() - 2*draftLife.Microseconds()
		if err := tx.Each(ctx, func(r *sql.Rows) error {
			var sum string
			err := r.Scan(&sum)
			out = append(out, sum)
			return err
		}, "SELECT sha256 FROM customer_upload WHERE at < $1", before); err != nil || len(out) == 0 {
			return err
		}
		_, err := tx.Exec(ctx, "DELETE FROM customer_upload WHERE at < $1", before)
		return err
	})
	return out, err
}
