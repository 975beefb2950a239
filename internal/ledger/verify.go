package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"parley/internal/db"
)

// Problem is one thing found wrong, named so that it can be looked up.
type Problem struct {
	Index int64  // entry; -1 when it is not about a sealed entry
	ID    string // the entry's id as stored
	Type  string // the entry's type as stored
	Field string // what is wrong: record or salt, commitment, leaf, index, tile, checkpoint …
	What  string // a sentence
}

// Error makes a problem usable as the reason a check stopped.
func (p Problem) Error() string { return p.String() }

// String is one line for people.
func (p Problem) String() string {
	if p.ID == "" {
		return fmt.Sprintf("%s: %s", p.Field, p.What)
	}
	return fmt.Sprintf("entry %d (%s %s) %s: %s", p.Index, p.Type, p.ID, p.Field, p.What)
}

// Report is the result of verifying the whole log.
type Report struct {
	Entries    int64 // sealed entries looked at
	Pending    int64 // entries in the outbox looked at
	Erased     int64 // entries whose record was erased, as the log itself says
	Checkpoint Checkpoint
	Problems   []Problem // in the order found, at most maxProblems
}

// OK reports whether nothing was wrong.
func (r *Report) OK() bool { return len(r.Problems) == 0 }

// maxProblems ends a verification early: the log is beyond saving by then.
const maxProblems = 100

// verifyBatch is how many entries are read in one transaction, so that a long
// verification never holds SQLite's log file back.
const verifyBatch = 8192

var errEnough = errors.New("enough problems")

// Verify recomputes the whole log from its records: every commitment, leaf,
// tile and the signed root. An error means that it could not look; what it
// found wrong is in the report. progress may be nil.
//
// It walks twice, over the tiles and over the entries. The walk that arrives at
// the signed root tells the truth, so that where the two differ the other side
// is the one that was altered, and is named.
func (l *Log) Verify(ctx context.Context, progress func(done, total int64)) (Report, error) {
	v := verifier{log: l, progress: progress, unexplained: map[string]Problem{}}
	err := v.run(ctx)
	if errors.Is(err, errEnough) {
		err = nil
	}
	return v.report, err
}

type verifier struct {
	log         *Log
	progress    func(done, total int64)
	report      Report
	tiles       walk
	entries     walk
	unexplained map[string]Problem // by id: erased entries whose erasure has not been met yet
	differ      []Problem          // entries that differ from the tiles
	buf         []byte
}

func (v *verifier) add(p Problem) error {
	v.report.Problems = append(v.report.Problems, p)
	if len(v.report.Problems) >= maxProblems {
		return errEnough
	}
	return nil
}

func (v *verifier) run(ctx context.Context) error {
	c, err := v.log.verifyHead(ctx)
	var p Problem
	if errors.As(err, &p) {
		return v.add(p)
	}
	if err != nil {
		return err
	}
	v.report.Checkpoint = c
	for first := int64(0); first < c.Size; first += verifyBatch {
		last := min(first+verifyBatch, c.Size)
		if err := v.log.db.Read(ctx, func(tx *db.Tx) error { return v.batch(ctx, tx, first, last) }); err != nil {
			return err
		}
		if v.progress != nil {
			v.progress(last, c.Size)
		}
	}
	return v.log.db.Read(ctx, func(tx *db.Tx) error {
		for _, w := range []*walk{&v.tiles, &v.entries} {
			if err := w.compare(ctx, tx, w.tree.take()); err != nil {
				return err
			}
		}
		if err := v.judge(); err != nil {
			return err
		}
		return v.rest(ctx, tx)
	})
}

// verifyHead reads the newest checkpoint; a Problem says what is wrong with it.
func (l *Log) verifyHead(ctx context.Context) (c Checkpoint, err error) {
	err = l.db.Read(ctx, func(tx *db.Tx) error {
		note, err := l.head(ctx, tx, "")
		switch {
		case errors.Is(err, ErrKey):
			return Problem{Index: -1, Field: "key", What: "origin or verifier is not that of the signing key"}
		case errors.Is(err, sql.ErrNoRows):
			return Problem{Index: -1, Field: "checkpoint", What: "is missing"}
		case err != nil:
			return err
		}
		if c, err = OpenCheckpoint(note, l.key.verifier); err != nil {
			return Problem{Index: -1, Field: "checkpoint", What: err.Error()}
		}
		return nil
	})
	return c, err
}

// batch looks at the entries from first to before last and the tiles over them.
func (v *verifier) batch(ctx context.Context, tx *db.Tx, first, last int64) error {
	level0, err := v.tileHashes(ctx, tx, first, last)
	if err != nil {
		return err
	}
	next := first
	err = tx.Each(ctx, func(rows *sql.Rows) error {
		var r rawEntry
		if err := r.scan(rows); err != nil {
			return err
		}
		if r.index != next {
			return v.gap(next, r.index)
		}
		sealed := level0[next-first]
		next++
		return v.entry(&r, sealed)
	}, "SELECT leaf, type, at, id, salt, record, commitment FROM ledger_entry WHERE leaf >= $1 AND leaf < $2 ORDER BY leaf", first, last)
	if err != nil {
		return err
	}
	if next < last {
		return v.gap(next, last)
	}
	return v.entries.compare(ctx, tx, v.entries.tree.full())
}

// tileHashes gives the leaf hashes the tiles hold and walks over them; where a
// tile is missing or short they are zero, which no leaf's hash is.
func (v *verifier) tileHashes(ctx context.Context, tx *db.Tx, first, last int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, last-first)
	err := tx.Each(ctx, func(rows *sql.Rows) error {
		var n int64
		var data sql.RawBytes
		if err := rows.Scan(&n, &data); err != nil {
			return err
		}
		for i := int64(0); int(i+1)*tlog.HashSize <= len(data); i++ {
			if at := n<<tileHeight + i - first; at >= 0 && at < int64(len(out)) {
				copy(out[at][:], data[i*tlog.HashSize:])
			}
		}
		return nil
	}, "SELECT n, data FROM ledger_tile WHERE level = 0 AND n >= $1 AND n <= $2 ORDER BY n", first>>tileHeight, (last-1)>>tileHeight)
	if err != nil {
		return nil, err
	}
	for _, h := range out {
		v.tiles.tree.add(h)
	}
	return out, v.tiles.compare(ctx, tx, v.tiles.tree.full())
}

func (v *verifier) gap(want, got int64) error {
	what := "the entry is missing"
	if got-1 > want {
		what = fmt.Sprintf("entries %d to %d are missing", want, got-1)
	}
	if err := v.add(Problem{Index: want, Field: "index", What: what}); err != nil {
		return err
	}
	return errEnough // no tree can be computed over a hole
}

// entry checks one sealed entry against its record and against the tiles.
func (v *verifier) entry(r *rawEntry, sealed tlog.Hash) error {
	v.report.Entries++
	p := Problem{Index: r.index, ID: r.id, Type: r.typ}
	computed, err := v.record(r, p)
	if err != nil {
		return err
	}
	stored, _ := v.leafHash(r, r.commitment) // zero when there can be no such leaf
	v.entries.tree.add(stored)
	honest := computed == nil || bytes.Equal(computed, r.commitment)
	if stored == sealed {
		if honest {
			return nil
		}
		p.Field, p.What = "record or salt", "does not give the sealed commitment"
		return v.add(p)
	}
	p.Field, p.What = "leaf", "type, time or id is not what was sealed"
	if !honest {
		p.Field, p.What = "leaf", "nothing of it is what was sealed"
		if h, err := v.leafHash(r, computed); err == nil && h == sealed {
			p.Field, p.What = "commitment", "is not what was sealed, nor that of the record"
		}
	}
	if len(v.differ) < maxProblems {
		v.differ = append(v.differ, p)
	}
	return nil
}

// record computes the commitment of what is stored; nil when there is nothing
// to compute it from, which is a problem unless the log says it was erased.
func (v *verifier) record(r *rawEntry, p Problem) ([]byte, error) {
	p.Field = "record or salt"
	switch {
	case r.salt == nil && r.record == nil && r.typ != ErasedType:
		v.report.Erased++
		if _, ok := v.unexplained[r.id]; !ok {
			p.What = "is gone, and no erasure in the log says why"
			v.unexplained[r.id] = p
		}
		return nil, nil
	case len(r.salt) != saltSize || !json.Valid(r.record):
		p.What = "is not whole"
		return nil, v.add(p)
	}
	if r.typ == ErasedType {
		delete(v.unexplained, r.id)
	}
	c := commit(r.salt, r.record)
	return c[:], nil
}

func (v *verifier) leafHash(r *rawEntry, commitment []byte) (tlog.Hash, error) {
	leaf := Leaf{Type: r.typ, At: r.at, ID: r.id}
	if len(commitment) != len(leaf.Commitment) {
		return tlog.Hash{}, errors.New("commitment is not whole")
	}
	copy(leaf.Commitment[:], commitment)
	h, b, err := leaf.hash(v.buf)
	v.buf = b
	return h, err
}

// judge finds which of the two walks is the signed one and blames the other.
func (v *verifier) judge() error {
	tilesRoot, err1 := v.tiles.tree.root()
	entriesRoot, err2 := v.entries.tree.root()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	c := v.report.Checkpoint
	var found []Problem
	switch {
	case tilesRoot == c.Root:
		found = append(v.differ, v.tiles.problems...)
	case entriesRoot == c.Root:
		found = v.entries.problems
	default:
		found = append(v.differ, v.entries.problems...)
		found = append(found, Problem{Index: -1, Field: "checkpoint",
			What: "neither the entries nor the tiles give the signed root"})
	}
	for _, p := range found {
		if err := v.add(p); err != nil {
			return err
		}
	}
	return nil
}

// rest looks at what is not in the sealed log: the outbox, entries past the
// end, and erasures that are not sealed yet.
func (v *verifier) rest(ctx context.Context, tx *db.Tx) error {
	if err := tx.Each(ctx, func(rows *sql.Rows) error {
		var r rawEntry
		if err := r.scan(rows); err != nil {
			return err
		}
		v.report.Pending++
		r.index = -1
		p := Problem{Index: -1, ID: r.id, Type: r.typ}
		computed, err := v.record(&r, p)
		if err != nil || computed == nil {
			return err
		}
		if !bytes.Equal(computed, r.commitment) {
			p.Field, p.What = "record, salt or commitment", "of an entry not sealed yet do not agree"
			return v.add(p)
		}
		return nil
	}, "SELECT seq, type, at, id, salt, record, commitment FROM ledger_outbox ORDER BY seq"); err != nil {
		return err
	}
	for id, p := range v.unexplained {
		var n int64
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM ledger_entry WHERE id = $1 AND type = $2 AND leaf > $3 AND record IS NOT NULL`,
			id, ErasedType, p.Index).Scan(&n); err != nil {
			return err
		}
		if n == 0 {
			if err := v.add(p); err != nil {
				return err
			}
		}
	}
	return v.end(ctx, tx)
}

// end checks that the log stops where its checkpoint says, in one snapshot.
func (v *verifier) end(ctx context.Context, tx *db.Tx) error {
	var note string
	var last int64
	if err := tx.QueryRow(ctx, `SELECT checkpoint, (SELECT coalesce(max(leaf), -1) FROM ledger_entry)
		FROM ledger_head WHERE id = 1`).Scan(&note, &last); err != nil {
		return err
	}
	c, err := OpenCheckpoint([]byte(note), v.log.key.verifier)
	if err != nil {
		return v.add(Problem{Index: -1, Field: "checkpoint", What: err.Error()})
	}
	if last >= c.Size {
		return v.add(Problem{Index: last, Field: "index", What: "the entry is past the end of the sealed log"})
	}
	return nil
}

// walk grows a tree and compares the tiles it gives with those stored.
type walk struct {
	tree     edge
	problems []Problem
}

func (w *walk) compare(ctx context.Context, tx *db.Tx, tiles []tile) error {
	for _, t := range tiles {
		stored, err := readTile(ctx, tx, t.level, t.n)
		if err != nil && !errors.Is(err, ErrDamaged) {
			return err
		}
		// A tile that has grown since begins with what it was.
		if !bytes.HasPrefix(stored, t.data) && len(w.problems) < maxProblems {
			w.problems = append(w.problems, Problem{Index: -1, Field: fmt.Sprintf("tile %d/%d", t.level, t.n),
				What: "does not hold the hashes of its entries"})
		}
	}
	return nil
}

// rawEntry is a row as stored, whatever is in it. Its bytes are valid until the
// next row.
type rawEntry struct {
	index                    int64
	typ, id                  string
	at                       int64
	salt, record, commitment sql.RawBytes
}

func (r *rawEntry) scan(rows *sql.Rows) error {
	return rows.Scan(&r.index, &r.typ, &r.at, &r.id, &r.salt, &r.record, &r.commitment)
}
