package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"parley/internal/db"
	"parley/internal/errs"
)

// Proof shows that one entry is in the log a checkpoint speaks of.
type Proof struct {
	Index      int64
	Leaf       []byte           // the entry's leaf, see ParseLeaf
	Hashes     tlog.RecordProof // RFC 6962 audit path
	Checkpoint Checkpoint
}

// Check checks the proof against its checkpoint, whose signature the caller
// has checked.
func (p *Proof) Check() error {
	return tlog.CheckRecord(p.Hashes, p.Checkpoint.Size, p.Checkpoint.Root, p.Index, tlog.RecordHash(p.Leaf))
}

// TreeProof shows that a log only grew between two sizes.
type TreeProof struct {
	Old        int64
	OldRoot    tlog.Hash
	Hashes     tlog.TreeProof // RFC 6962 consistency proof; empty when Old is 0 or the whole log
	Checkpoint Checkpoint
}

// Check checks that the log of Old entries with OldRoot is a beginning of the
// log of the checkpoint.
func (p *TreeProof) Check() error {
	if p.Old == 0 {
		return nil // everything begins with nothing
	}
	return tlog.CheckTree(p.Hashes, p.Checkpoint.Size, p.Checkpoint.Root, p.Old, p.OldRoot)
}

// ErrNotSealed says that an index is past the end of the sealed log.
var ErrNotSealed = errs.New(errs.NotFound, "ledger_not_sealed",
	"这条记录尚未封存，请一秒后再试。", "This entry is not sealed yet. Please try again in a second.")

// Prove gives the proof that the sealed log holds the entry at index. The
// proof has been checked: altered data gives ErrDamaged and never a false proof.
func (l *Log) Prove(ctx context.Context, index int64) (p Proof, err error) {
	err = l.db.Read(ctx, func(tx *db.Tx) error {
		c, err := l.checkpoint(ctx, tx, "")
		if err != nil {
			return err
		}
		p, err = prove(ctx, tx, c, index)
		return err
	})
	return p, err
}

func prove(ctx context.Context, tx *db.Tx, c Checkpoint, index int64) (Proof, error) {
	if index < 0 || index >= c.Size {
		return Proof{}, ErrNotSealed
	}
	p := Proof{Index: index, Checkpoint: c}
	leaf, err := readLeaves(ctx, tx, index, 1)
	if err != nil {
		return Proof{}, err
	}
	p.Leaf = leaf[0]
	if p.Hashes, err = tlog.ProveRecord(c.Size, index, newTileReader(ctx, tx)); err != nil {
		return Proof{}, damaged(err)
	}
	if err := p.Check(); err != nil {
		return Proof{}, ErrDamaged.With(fmt.Errorf("entry %d: %w", index, err))
	}
	return p, nil
}

// Consistency gives the proof that the log of old entries is a beginning of
// the log as it is sealed now.
func (l *Log) Consistency(ctx context.Context, old int64) (p TreeProof, err error) {
	err = l.db.Read(ctx, func(tx *db.Tx) error {
		c, err := l.checkpoint(ctx, tx, "")
		if err != nil {
			return err
		}
		if old < 0 || old > c.Size {
			return ErrNotSealed
		}
		p = TreeProof{Old: old, Checkpoint: c}
		r := newTileReader(ctx, tx)
		if p.OldRoot, err = tlog.TreeHash(old, r); err != nil {
			return damaged(err)
		}
		if old > 0 {
			if p.Hashes, err = tlog.ProveTree(c.Size, old, r); err != nil {
				return damaged(err)
			}
		}
		if err := p.Check(); err != nil {
			return ErrDamaged.With(err)
		}
		return nil
	})
	return p, err
}

// damaged classifies an error of reading hashes: what the database could not
// deliver stays what it is, anything else is bad data.
func damaged(err error) error {
	if errors.Is(err, ErrDamaged) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return ErrDamaged.With(err)
}

// tileReader is a tlog.HashReader over the tile rows, each read once.
type tileReader struct {
	ctx  context.Context // tlog's interface has no room for one; it lives as long as one call
	tx   *db.Tx
	seen map[tileAt][]byte
}

// tileAt is where a tile row is.
type tileAt struct {
	level int
	n     int64
}

func newTileReader(ctx context.Context, tx *db.Tx) *tileReader {
	return &tileReader{ctx: ctx, tx: tx, seen: map[tileAt][]byte{}}
}

// ReadHashes implements tlog.HashReader.
func (r *tileReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	tiles := make([]tlog.Tile, len(indexes))
	var need []tileAt
	for i, x := range indexes {
		tiles[i] = tlog.TileForIndex(tileHeight, x)
		at := tileAt{tiles[i].L, tiles[i].N}
		if _, ok := r.seen[at]; !ok {
			r.seen[at] = nil
			need = append(need, at)
		}
	}
	for len(need) > 0 {
		n := min(len(need), tilesAtOnce)
		if err := r.fetch(need[:n]); err != nil {
			return nil, err
		}
		need = need[n:]
	}
	out := make([]tlog.Hash, len(indexes))
	for i, t := range tiles {
		h, err := tlog.HashFromTile(t, r.seen[tileAt{t.L, t.N}], indexes[i])
		if err != nil {
			return nil, ErrDamaged.With(err)
		}
		out[i] = h
	}
	return out, nil
}

// tilesAtOnce is more than the proof of one entry reads in a log of millions.
const tilesAtOnce = 8

const tilesQuery = "SELECT level, n, data FROM ledger_tile WHERE (level = $1 AND n = $2)" +
	" OR (level = $3 AND n = $4) OR (level = $5 AND n = $6) OR (level = $7 AND n = $8) OR (level = $9 AND n = $10)" +
	" OR (level = $11 AND n = $12) OR (level = $13 AND n = $14) OR (level = $15 AND n = $16)"

// fetch reads a few tiles in one query; the list is padded so that its text is
// always the same.
func (r *tileReader) fetch(need []tileAt) error {
	args := make([]any, 0, 2*tilesAtOnce)
	for i := range tilesAtOnce {
		at := need[min(i, len(need)-1)]
		args = append(args, at.level, at.n)
	}
	return r.tx.Each(r.ctx, func(rows *sql.Rows) error {
		var at tileAt
		var data []byte
		if err := rows.Scan(&at.level, &at.n, &data); err != nil {
			return err
		}
		r.seen[at] = data
		return nil
	}, tilesQuery, args...)
}

// readLeaves gives the bytes of n sealed leaves from first on.
func readLeaves(ctx context.Context, tx *db.Tx, first int64, n int) ([][]byte, error) {
	out := make([][]byte, 0, n)
	err := tx.Each(ctx, func(rows *sql.Rows) error {
		var leaf Leaf
		var index int64
		var commitment sql.RawBytes
		if err := rows.Scan(&index, &leaf.Type, &leaf.At, &leaf.ID, &commitment); err != nil {
			return err
		}
		if index != first+int64(len(out)) || len(commitment) != len(leaf.Commitment) {
			return ErrDamaged.With(fmt.Errorf("entry %d is missing or not whole", first+int64(len(out))))
		}
		copy(leaf.Commitment[:], commitment)
		b, err := leaf.AppendBinary(nil)
		if err != nil {
			return ErrDamaged.With(fmt.Errorf("entry %d: %w", index, err))
		}
		out = append(out, b)
		return nil
	}, "SELECT leaf, type, at, id, commitment FROM ledger_entry WHERE leaf >= $1 AND leaf < $2 ORDER BY leaf", first, first+int64(n))
	if err != nil {
		return nil, err
	}
	if len(out) != n {
		return nil, ErrDamaged.With(fmt.Errorf("entry %d is missing", first+int64(len(out))))
	}
	return out, nil
}
