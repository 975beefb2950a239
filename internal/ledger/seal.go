package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"parley/internal/db"
)

const (
	// sealBatch bounds one sealing transaction, so that on SQLite, where it
	// holds the only writer, nobody waits long for it.
	sealBatch = 4096
	// pollEvery is how soon an entry is noticed when nobody wakes the sequencer.
	pollEvery = 150 * time.Millisecond
	// lastSeal is how long the last drain at shutdown may take.
	lastSeal = 5 * time.Second
)

// Wake makes Run look at once. It never blocks.
func (l *Log) Wake() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Run seals what is appended until ctx ends, then once more. It returns nil
// then, and an error only when the log is damaged or not this key's: sealing
// more would bury the damage. Any other failure is logged and tried again.
//
// Several processes may Run on one database. The head row's lock makes one of
// them at a time the sequencer.
func (l *Log) Run(ctx context.Context) error {
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		if _, err := l.Seal(ctx); err != nil && ctx.Err() == nil {
			if errors.Is(err, ErrDamaged) || errors.Is(err, ErrKey) {
				return err
			}
			l.log.Error("ledger: sealing failed; trying again", "err", err)
		}
		select {
		case <-poll.C:
		case <-l.wake:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.last)
			defer cancel()
			if _, err := l.Seal(last); err != nil {
				l.log.Warn("ledger: what was appended last is sealed at the next start", "err", err)
			}
			return nil
		}
	}
}

// Seal puts every entry committed so far into the log under a new checkpoint
// and gives their number.
func (l *Log) Seal(ctx context.Context) (sealed int, err error) {
	for {
		if idle, err := l.idle(ctx); idle || err != nil {
			return sealed, err
		}
		n := 0
		err := l.db.Write(ctx, func(tx *db.Tx) error {
			n, err = l.sealBatch(ctx, tx)
			return err
		})
		if err == nil {
			err = l.at("committed")
		}
		if err != nil {
			return sealed, fmt.Errorf("seal ledger: %w", err)
		}
		sealed += n
		if n < sealBatch {
			return sealed, nil
		}
	}
}

// idle looks without taking the writer.
func (l *Log) idle(ctx context.Context) (bool, error) {
	err := l.db.Read(ctx, func(tx *db.Tx) error {
		// By the index: the table itself may hold many rows that are gone but not vacuumed.
		return tx.QueryRow(ctx, "SELECT seq FROM ledger_outbox ORDER BY seq LIMIT 1").Scan(new(int64))
	})
	if errors.Is(err, sql.ErrNoRows) {
		return true, nil
	}
	return false, err
}

// sealBatch is the whole of sequencing, and of recovery: it starts from what
// the database holds and keeps nothing. All its writes are one transaction, so
// a crash at any of them leaves the entries in the outbox for the next run.
func (l *Log) sealBatch(ctx context.Context, tx *db.Tx) (int, error) {
	if err := freeze(ctx, tx); err != nil {
		return 0, err
	}
	head, err := l.checkpoint(ctx, tx, tx.Dialect().ForUpdate())
	if err != nil {
		return 0, err
	}
	tree, err := loadEdge(ctx, tx, head)
	if err != nil {
		return 0, err
	}
	got, err := readOutbox(ctx, tx, tree)
	n := got.n
	if n == 0 || err != nil {
		return 0, err
	}
	if err := l.move(ctx, tx, head.Size, got); err != nil {
		return 0, err
	}
	tiles := tree.take()
	rows := make([][]any, len(tiles))
	for i, t := range tiles {
		rows[i] = []any{t.level, t.n, t.data}
	}
	if err := l.write("tiles", func() error {
		return tx.Insert(ctx, "ledger_tile", []string{"level", "n", "data"},
			"ON CONFLICT (level, n) DO UPDATE SET data = excluded.data", rows)
	}); err != nil {
		return 0, err
	}
	return n, l.publish(ctx, tx, tree)
}

// freeze gives every statement of tx the same view of the outbox. SQLite's
// single writer has that anyway; on PostgreSQL an entry whose transaction
// commits meanwhile must wait for the next batch as a whole.
func freeze(ctx context.Context, tx *db.Tx) error {
	if tx.Dialect().Name() != "postgres" {
		return nil
	}
	_, err := tx.Exec(ctx, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
	return err
}

// batch is n rows of the outbox: all that are numbered from first to last.
type batch struct {
	n           int
	first, last int64
}

// readOutbox grows the tree by the oldest entries in the outbox, whatever
// their numbers: a number that commits late is simply read later.
func readOutbox(ctx context.Context, tx *db.Tx, tree *edge) (b batch, err error) {
	var buf []byte
	var leaf Leaf
	var commitment sql.RawBytes
	err = tx.Each(ctx, func(rows *sql.Rows) error {
		if err := rows.Scan(&b.last, &leaf.Type, &leaf.At, &leaf.ID, &commitment); err != nil {
			return err
		}
		if len(commitment) != len(leaf.Commitment) {
			return ErrDamaged.With(fmt.Errorf("outbox entry %s has a commitment of %d bytes", leaf.ID, len(commitment)))
		}
		copy(leaf.Commitment[:], commitment)
		h, bytes, err := leaf.hash(buf)
		if err != nil {
			return ErrDamaged.With(err)
		}
		buf = bytes
		tree.add(h)
		if b.n++; b.n == 1 {
			b.first = b.last
		}
		return nil
	}, "SELECT seq, type, at, id, commitment FROM ledger_outbox ORDER BY seq LIMIT $1", sealBatch)
	return b, err
}

// move takes a batch from the outbox into the log at the places from leaf on.
func (l *Log) move(ctx context.Context, tx *db.Tx, leaf int64, b batch) error {
	exactly := func(q string, args ...any) error {
		changed, err := tx.Exec(ctx, q, args...)
		if err == nil && changed != int64(b.n) {
			err = fmt.Errorf("%d entries moved instead of %d", changed, b.n)
		}
		return err
	}
	if err := l.write("entries", func() error {
		return exactly(`INSERT INTO ledger_entry (leaf, type, at, id, salt, record, commitment)
			SELECT $1 + row_number() OVER (ORDER BY seq) - 1, type, at, id, salt, record, commitment
			FROM ledger_outbox WHERE seq >= $2 AND seq <= $3`, leaf, b.first, b.last)
	}); err != nil {
		return err
	}
	return l.write("outbox", func() error {
		return exactly("DELETE FROM ledger_outbox WHERE seq >= $1 AND seq <= $2", b.first, b.last)
	})
}

// publish signs the tree and stores the checkpoint.
func (l *Log) publish(ctx context.Context, tx *db.Tx, tree *edge) error {
	root, err := tree.root()
	if err != nil {
		return err
	}
	c := Checkpoint{Origin: l.key.Name(), Size: tree.size, Root: root, At: tx.Now}
	if err := c.sign(l.key); err != nil {
		return err
	}
	if err := l.write("checkpoint", func() error {
		_, err := tx.Exec(ctx, "UPDATE ledger_head SET checkpoint = $1 WHERE id = 1", string(c.Note))
		return err
	}); err != nil {
		return err
	}
	return l.write("clock", func() error { return l.db.KeepHighWater(ctx, tx) })
}

// loadEdge reads the right edge of the tree and checks it against the signed
// root, so that no checkpoint is ever built on altered tiles.
func loadEdge(ctx context.Context, tx *db.Tx, c Checkpoint) (*edge, error) {
	e := &edge{size: c.Size}
	for level := range e.partial {
		w := width(c.Size, level)
		if w == 0 {
			continue
		}
		data, err := readTile(ctx, tx, level, number(c.Size, level))
		if err != nil {
			return nil, err
		}
		if len(data) < w*tlog.HashSize {
			return nil, ErrDamaged.With(fmt.Errorf("tile %d/%d is short", level, number(c.Size, level)))
		}
		e.partial[level] = append(make([]byte, 0, tileBytes), data[:w*tlog.HashSize]...)
	}
	root, err := e.root()
	if err != nil {
		return nil, err
	}
	if root != c.Root {
		return nil, ErrDamaged.With(fmt.Errorf("tiles give root %s, the checkpoint of %d says %s", root, c.Size, c.Root))
	}
	return e, nil
}

// readTile reads one tile row, full or partial.
func readTile(ctx context.Context, tx *db.Tx, level int, n int64) (data []byte, err error) {
	err = tx.QueryRow(ctx, "SELECT data FROM ledger_tile WHERE level = $1 AND n = $2", level, n).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrDamaged.With(fmt.Errorf("tile %d/%d is missing", level, n))
	}
	return data, err
}

// write runs one write of the sequencer between the points a test may fail it at.
func (l *Log) write(what string, fn func() error) error {
	if err := l.at("before " + what); err != nil {
		return err
	}
	if err := fn(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return l.at("after " + what)
}

func (l *Log) at(point string) error {
	if l.fault == nil {
		return nil
	}
	return l.fault(point)
}
