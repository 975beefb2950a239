// Package ledger is the bank's evidence: an append-only Merkle log of facts.
//
// Append writes an entry in the transaction that makes the fact true. A single
// sequencer then gives entries their dense places in the log and signs the
// whole with a checkpoint. A leaf holds type, time, id and a salted commitment
// to the record, so erasing a record leaves the log intact and silent.
// docs/ledger.md describes the format.
package ledger

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
)

// Entry is one fact to be appended.
type Entry struct {
	// Type says what happened, as "room.event": lower case letters, digits, dots
	// and underscores, at most 64 bytes. It is public.
	Type string
	// ID names the thing it happened to (a decision, a grant, a case) and is
	// public too, so it must not be a person's number or name.
	ID contact.ID
	// Record is the fact itself, a struct or map that marshals to a JSON object.
	// A json.RawMessage is taken as it is: its maker vouches that it is compact.
	// A field named "sha256" cites a file.
	Record any
}

// Record is an entry as it stands in the log.
type Record struct {
	Index      int64 // place in the log; -1 until sequenced
	Type       string
	At         time.Time
	ID         contact.ID
	Salt       []byte // 32 bytes; nil once erased
	Record     []byte // compact JSON; nil once erased
	Commitment []byte // SHA-256 of salt and record
}

// Erased reports whether the record was removed and only its leaf remains.
func (r *Record) Erased() bool { return r.Salt == nil && r.Record == nil }

// Leaf gives what the log commits to.
func (r *Record) Leaf() Leaf {
	return Leaf{Type: r.Type, At: db.Micros(r.At), ID: r.ID, Commitment: [32]byte(r.Commitment)}
}

const (
	saltSize = 32
	// maxRecord bounds one record, so that any entry can be shown and carried in a bundle.
	maxRecord = 1 << 20
)

var entryColumns = []string{"type", "at", "id", "salt", "record", "commitment"}

// Append adds entries to the log as part of tx: they become evidence when tx
// commits and never otherwise. They are sealed within a second by Run.
func Append(ctx context.Context, tx *db.Tx, es ...Entry) error {
	if len(es) == 0 {
		return nil
	}
	salts := make([]byte, saltSize*len(es))
	rand.Read(salts) // crypto/rand never fails: it ends the program instead
	rows := make([][]any, len(es))
	cells := make([]any, len(entryColumns)*len(es))
	enc := newEncoder()
	for i := range es {
		e := &es[i]
		if err := checkName(e.Type, e.ID); err != nil {
			return err
		}
		rec, err := enc.encode(e.Record)
		if err != nil {
			return fmt.Errorf("ledger entry %s %s: %w", e.Type, e.ID, err)
		}
		salt := salts[i*saltSize : (i+1)*saltSize : (i+1)*saltSize]
		c := commit(salt, rec)
		row := cells[i*len(entryColumns) : (i+1)*len(entryColumns)]
		row[0], row[1], row[2], row[3], row[4], row[5] = e.Type, tx.At(), e.ID, salt, string(rec), c[:]
		rows[i] = row
	}
	if err := tx.Insert(ctx, "ledger_outbox", entryColumns, "", rows); err != nil {
		return fmt.Errorf("append to ledger: %w", err)
	}
	return nil
}

// commit binds a record without revealing it: the salt keeps anybody from
// finding a short record by guessing.
func commit(salt, record []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write(salt)
	h.Write(record)
	var c [sha256.Size]byte
	h.Sum(c[:0])
	return c
}

// encoder makes the canonical form of records, reusing its buffer.
type encoder struct {
	buf bytes.Buffer
	enc *json.Encoder
}

func newEncoder() *encoder {
	e := &encoder{}
	e.enc = json.NewEncoder(&e.buf)
	e.enc.SetEscapeHTML(false) // records are read by people too
	return e
}

// encode gives the record's bytes, valid until the next call.
func (e *encoder) encode(v any) ([]byte, error) {
	b, raw := v.(json.RawMessage)
	if !raw {
		e.buf.Reset()
		if err := e.enc.Encode(v); err != nil {
			return nil, err
		}
		b = bytes.TrimSuffix(e.buf.Bytes(), []byte("\n"))
	}
	switch {
	case len(b) < 2 || b[0] != '{' || b[len(b)-1] != '}':
		return nil, fmt.Errorf("a record is a JSON object, not %.20q", b)
	case len(b) > maxRecord:
		return nil, fmt.Errorf("a record is at most %d bytes, not %d", maxRecord, len(b))
	}
	return b, nil
}
