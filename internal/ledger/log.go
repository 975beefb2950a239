package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

// Options are what Open needs to know.
type Options struct {
	// Origin is the log's name. It is the key's name, and may be left empty.
	Origin string
	Key    Key
	Log    *slog.Logger
}

// Log is the bank's ledger. What it knows is in the database only, so any number of them, in any number of processes, may be open at once.
type Log struct {
	db   *db.DB
	key  Key
	log  *slog.Logger
	wake chan struct{}
	last time.Duration // how long the last drain of Run may take
	// opened is the checkpoint whose signature was checked last.
	opened atomic.Pointer[Checkpoint]
	// fault, set by tests, runs before and after every write of the sequencer
	// and may fail it or end the process.
	fault func(point string) error
}

// ErrKey says that the database's log was begun with another key or origin.
// Going on would fork its history.
var ErrKey = errs.New(errs.Conflict, "ledger_key_changed",
	"账本签名密钥与此数据库建立时使用的不是同一把。请换回原来的密钥目录；换了密钥，旧的证据就无法再核验。",
	"This database's ledger was begun with another signing key. Put the original key directory back: with another key, the evidence given out so far could no longer be checked.")

// ErrDamaged says that what the ledger holds contradicts itself, so that
// nothing may be built on it. Verify names the place.
var ErrDamaged = errs.New(errs.Internal, "ledger_damaged",
	"账本数据与其签名不符，已停止封存。请运行 parley ledger verify 查看具体位置，并从备份恢复。",
	"The ledger's data contradicts its signature; sealing has stopped. Run parley ledger verify to see where, and restore from the backup.")

// Open opens the log in d, beginning it with a signed empty checkpoint when
// there is none. It refuses another key than the log was begun with.
func Open(ctx context.Context, d *db.DB, o Options) (*Log, error) {
	if o.Key.signer == nil {
		return nil, errors.New("open ledger: no key")
	}
	if o.Origin != "" && o.Origin != o.Key.Name() {
		return nil, fmt.Errorf("open ledger: origin %q is not the name of the key, %q", o.Origin, o.Key.Name())
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	l := &Log{db: d, key: o.Key, log: o.Log, wake: make(chan struct{}, 1), last: lastSeal}
	err := d.Read(ctx, func(tx *db.Tx) error { return l.checkPin(ctx, tx) })
	if errors.Is(err, sql.ErrNoRows) {
		err = d.Write(ctx, func(tx *db.Tx) error { return l.begin(ctx, tx) })
	}
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	return l, nil
}

// Public is the verifier string of the log's key, for people to keep.
func (l *Log) Public() string { return l.key.public }

// Origin is the log's name.
func (l *Log) Origin() string { return l.key.Name() }

// begin writes the head of an empty log, unless another process just did.
func (l *Log) begin(ctx context.Context, tx *db.Tx) error {
	root, err := new(edge).root()
	if err != nil {
		return err
	}
	c := Checkpoint{Origin: l.key.Name(), Root: root, At: tx.Now}
	if err := c.sign(l.key); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO ledger_head (id, origin, verifier, checkpoint)
		VALUES (1, $1, $2, $3) ON CONFLICT (id) DO NOTHING`, l.key.Name(), l.key.public, string(c.Note)); err != nil {
		return err
	}
	return l.checkPin(ctx, tx)
}

func (l *Log) checkPin(ctx context.Context, tx *db.Tx) error {
	_, err := l.head(ctx, tx, "")
	return err
}

// head reads the newest checkpoint as it is stored and checks whose log it is.
func (l *Log) head(ctx context.Context, tx *db.Tx, lock string) ([]byte, error) {
	var origin, verifier, checkpoint string
	err := tx.QueryRow(ctx, "SELECT origin, verifier, checkpoint FROM ledger_head WHERE id = 1"+lock).
		Scan(&origin, &verifier, &checkpoint)
	if err != nil {
		return nil, fmt.Errorf("ledger head: %w", err)
	}
	if origin != l.key.Name() || verifier != l.key.public {
		return nil, ErrKey.With(fmt.Errorf("the database says %s, the key is %s", verifier, l.key.public))
	}
	return []byte(checkpoint), nil
}

// checkpoint reads the newest checkpoint and checks its signature.
func (l *Log) checkpoint(ctx context.Context, tx *db.Tx, lock string) (Checkpoint, error) {
	b, err := l.head(ctx, tx, lock)
	if err != nil {
		return Checkpoint{}, err
	}
	return l.open(b)
}

// open checks and reads a stored checkpoint. The same bytes are not checked
// twice in a row: a signature costs as much as all the hashes of a proof.
func (l *Log) open(b []byte) (Checkpoint, error) {
	if c := l.opened.Load(); c != nil && bytes.Equal(c.Note, b) {
		return *c, nil
	}
	c, err := OpenCheckpoint(b, l.key.verifier)
	if err != nil {
		return Checkpoint{}, ErrDamaged.With(err)
	}
	l.opened.Store(&c)
	return c, nil
}

// Checkpoint gives the newest signed checkpoint.
func (l *Log) Checkpoint(ctx context.Context) (c Checkpoint, err error) {
	err = l.db.Read(ctx, func(tx *db.Tx) error {
		c, err = l.checkpoint(ctx, tx, "")
		return err
	})
	return c, err
}

// Stats is the state of the log at a glance.
type Stats struct {
	Entries    int64 // appended, sealed or not
	Sealed     int64
	Checkpoint Checkpoint
	Lag        time.Duration // age of the oldest entry not sealed yet; 0 when all are
}

// Stats gives the state of the log.
func (l *Log) Stats(ctx context.Context) (s Stats, err error) {
	err = l.db.Read(ctx, func(tx *db.Tx) error {
		var pending, oldest int64
		var note string
		// One statement, one snapshot: an entry being sealed is counted exactly once.
		if err := tx.QueryRow(ctx, `SELECT checkpoint, (SELECT count(*) FROM ledger_outbox),
			(SELECT coalesce(min(at), 0) FROM ledger_outbox) FROM ledger_head WHERE id = 1`).
			Scan(&note, &pending, &oldest); err != nil {
			return err
		}
		if s.Checkpoint, err = l.open([]byte(note)); err != nil {
			return err
		}
		s.Sealed = s.Checkpoint.Size
		s.Entries = s.Sealed + pending
		s.Lag = 0
		if pending > 0 {
			s.Lag = max(0, tx.Now.Sub(db.Time(oldest)))
		}
		return nil
	})
	return s, err
}

// unsealed sorts entries that have no place yet after all others.
const unsealed = int64(1)<<62 - 1

// byIDQuery selects entries wherever they are, in one statement and so from
// one snapshot: an entry on its way into the log is seen exactly once.
const byIDQuery = `SELECT leaf, 0 AS seq, type, at, id, salt, record, commitment FROM ledger_entry WHERE id = $1
	UNION ALL SELECT 4611686018427387903, seq, type, at, id, salt, record, commitment FROM ledger_outbox WHERE id = $1
	ORDER BY leaf, seq`

// ByID gives every entry about an id, oldest first.
func (l *Log) ByID(ctx context.Context, id contact.ID) (rs []Record, err error) {
	err = l.db.Read(ctx, func(tx *db.Tx) error {
		rs, err = byID(ctx, tx, id)
		return err
	})
	return rs, err
}

func byID(ctx context.Context, tx *db.Tx, id contact.ID) ([]Record, error) {
	return records(ctx, tx, byIDQuery, id)
}

// Recent gives the newest n entries, newest first.
func (l *Log) Recent(ctx context.Context, n int) (rs []Record, err error) {
	const q = `SELECT leaf, seq, type, at, id, salt, record, commitment FROM (
		SELECT * FROM (SELECT leaf, 0 AS seq, type, at, id, salt, record, commitment
			FROM ledger_entry ORDER BY leaf DESC LIMIT $1) AS sealed
		UNION ALL
		SELECT * FROM (SELECT 4611686018427387903 AS leaf, seq, type, at, id, salt, record, commitment
			FROM ledger_outbox ORDER BY seq DESC LIMIT $1) AS pending) AS newest
		ORDER BY leaf DESC, seq DESC LIMIT $1`
	err = l.db.Read(ctx, func(tx *db.Tx) error {
		rs, err = records(ctx, tx, q, n)
		return err
	})
	return rs, err
}

// Slice reads a page (db.Cut) of the sealed entries, the newest first or, oldest,
// the oldest. Its keyset is the entry's index.
func (l *Log) Slice(ctx context.Context, oldest bool, p db.Span) (rs []Record, err error) {
	cond, tail := p.Seek(!oldest, 1, "leaf")
	var args []any
	if p.At != "" {
		at, err := strconv.ParseInt(p.At, 10, 64)
		if err != nil {
			return nil, nil // no entry stands behind what is no index
		}
		args = append(args, at)
	}
	err = l.db.Read(ctx, func(tx *db.Tx) error {
		rs, err = records(ctx, tx, "SELECT leaf, 0 AS seq, type, at, id, salt, record, commitment FROM ledger_entry WHERE 1 = 1"+cond+tail, args...)
		return err
	})
	return rs, err
}

func records(ctx context.Context, tx *db.Tx, q string, args ...any) ([]Record, error) {
	var out []Record
	err := tx.Each(ctx, func(rows *sql.Rows) error {
		r, err := scanRecord(rows)
		if err == nil {
			out = append(out, r)
		}
		return err
	}, q, args...)
	return out, err
}

// scanRecord reads the columns of byIDQuery.
func scanRecord(rows *sql.Rows) (Record, error) {
	var r Record
	var at, seq int64
	if err := rows.Scan(&r.Index, &seq, &r.Type, &at, &r.ID, &r.Salt, &r.Record, &r.Commitment); err != nil {
		return r, err
	}
	if r.Index == unsealed {
		r.Index = -1
	}
	r.At = db.Time(at)
	if len(r.Commitment) != 32 {
		return r, ErrDamaged.With(fmt.Errorf("entry %d %s has a commitment of %d bytes", r.Index, r.ID, len(r.Commitment)))
	}
	return r, nil
}
