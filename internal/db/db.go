// Package db opens the two engines Parley runs on, SQLite (embedded) and
// PostgreSQL, behind one database/sql face. SQL is written once, in the dialect
// both share, by the package that owns the table; the few differences that
// remain are named methods of Dialect.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib" // also the driver "pgx"
	_ "modernc.org/sqlite"           // driver "sqlite"
)

// Options tune Open; the zero value is what production uses.
type Options struct {
	Clock    func() time.Time // the bank's clock; nil = the machine's
	Log      *slog.Logger
	MaxConns int // PostgreSQL connections and SQLite readers; 0 = 8
	// Busy is how long a writer waits for another process that writes to the
	// same SQLite file; 0 = 10 s.
	Busy time.Duration
}

// DB is one open database. It is safe for concurrent use.
type DB struct {
	pool    *sql.DB
	readers *sql.DB // whose connections cannot write
	write   lane
	read    lane
	dialect Dialect
	clock   func() time.Time
	log     *slog.Logger
	last    atomic.Int64 // latest instant handed out, microseconds
	path    string
	inserts sync.Map // texts of multi-row inserts; see Tx.Insert
	slow    slowLog
	lane    atomic.Int64 // of the last transaction that counted; see Counter
	watch   atomic.Pointer[func(q string, args []any)]
	copier  *copier // nil on PostgreSQL
}

// Open opens the database at url: "postgres://…", "sqlite:PATH" or a bare PATH.
// SQLite runs in WAL mode with synchronous=FULL: an acknowledged transaction
// survives power loss.
func Open(ctx context.Context, rawURL string, o Options) (*DB, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.MaxConns <= 0 {
		o.MaxConns = 8
	}
	if o.Busy <= 0 {
		o.Busy = 10 * time.Second
	}
	d := &DB{clock: o.Clock, log: o.Log}
	var err error
	if strings.HasPrefix(rawURL, "postgres://") || strings.HasPrefix(rawURL, "postgresql://") {
		err = d.openPostgres(rawURL, o)
	} else {
		err = d.openSQLite(strings.TrimPrefix(rawURL, "sqlite:"), o)
	}
	if err != nil {
		return nil, err
	}
	if err := d.pool.PingContext(ctx); err != nil {
		d.Close()
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := d.loadHighWater(ctx); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *DB) openPostgres(rawURL string, o Options) error {
	d.dialect = postgres{}
	config, err := pgx.ParseConfig(rawURL)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	open := func(o ...stdlib.OptionOpenDB) *sql.DB { return stdlib.OpenDB(*config, o...) }
	// A prepared statement keeps the plan of its first runs. On a new bank they
	// see empty tables, where reading all of one is cheapest; minutes later a
	// thousand people are looked up in a table of a hundred thousand, by that plan.
	// What writes finds its rows by an index, so it may as well always do so.
	d.pool = open(stdlib.OptionAfterConnect(func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "SET enable_seqscan = off; SET jit = off")
		return err
	}))
	// Each statement of a reader sees what is committed at its start, in a
	// transaction or not; so readers go without one, which saves two of three
	// round trips. That they cannot write is said once.
	d.readers = open(stdlib.OptionAfterConnect(func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "SET default_transaction_read_only = on")
		return err
	}))
	for _, pool := range []*sql.DB{d.pool, d.readers} {
		pool.SetMaxOpenConns(2 * o.MaxConns)
		pool.SetMaxIdleConns(2 * o.MaxConns)
	}
	d.write = newLane(d.pool, o.MaxConns, "BEGIN")
	d.read = newLane(d.readers, o.MaxConns, "")
	return nil
}

func (d *DB) openSQLite(path string, o Options) error {
	d.dialect = sqlite{}
	d.path = path
	open := func(extra string, conns int) (*sql.DB, error) {
		q := "_pragma=busy_timeout(" + strconv.FormatInt(o.Busy.Milliseconds(), 10) + ")&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(" + strconv.Itoa(autoCheckpoint) + ")" +
			"&_pragma=foreign_keys(ON)&_pragma=cache_size(-65536)&_pragma=temp_store(MEMORY)" + extra
		pool, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q)
		if err != nil {
			return nil, fmt.Errorf("open database: %w", err)
		}
		pool.SetMaxOpenConns(conns)
		pool.SetMaxIdleConns(conns)
		return pool, nil
	}
	var err error
	// Migrations take a second connection of this pool while no lane is in use,
	// and the copier a third.
	if d.pool, err = open("", 3); err != nil {
		return err
	}
	d.write = newLane(d.pool, 1, "BEGIN IMMEDIATE")
	d.write.text = positional
	// Readers never wait for the writer in WAL mode; query_only makes a write
	// on the wrong pool an error instead of a lock.
	if d.readers, err = open("&_pragma=query_only(ON)", o.MaxConns); err != nil {
		return err
	}
	d.read = newLane(d.readers, o.MaxConns, "BEGIN")
	d.read.text = positional
	d.startCopier()
	return nil
}

// Close closes the database. The caller has stopped using it.
func (d *DB) Close() error {
	d.copier.close()
	d.write.close()
	d.read.close()
	err := d.pool.Close()
	if d.readers != nil {
		err = errors.Join(err, d.readers.Close())
	}
	return err
}

// Dialect names what differs between the engines.
func (d *DB) Dialect() Dialect { return d.dialect }

// Path is the SQLite file, empty for PostgreSQL.
func (d *DB) Path() string { return d.path }

// Now gives the bank's time: strictly increasing in this process and never
// before an instant already recorded, so a clock stepped backwards cannot
// reopen a budget window.
func (d *DB) Now() time.Time {
	for {
		now, last := d.clock().UnixMicro(), d.last.Load()
		if now <= last {
			now = last + 1
		}
		if d.last.CompareAndSwap(last, now) {
			return Time(now)
		}
	}
}

// ClockBehind says how far the machine's clock is behind the last instant
// handed out; more than a moment means that somebody set the clock back.
func (d *DB) ClockBehind() time.Duration {
	return max(0, time.Duration(d.last.Load()-d.clock().UnixMicro())*time.Microsecond)
}

func (d *DB) loadHighWater(ctx context.Context) error {
	if ok, err := d.dialect.hasTable(ctx, d.pool, "clock"); err != nil || !ok {
		return err
	}
	var high int64
	err := d.pool.QueryRowContext(ctx, "SELECT high FROM clock WHERE id = 1").Scan(&high)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read clock high-water mark: %w", err)
	}
	d.last.Store(high)
	return nil
}

// KeepHighWater records the latest instant handed out, in tx. The ledger's
// sequencer calls it with every checkpoint.
func (d *DB) KeepHighWater(ctx context.Context, tx *Tx) error {
	_, err := tx.Exec(ctx, `INSERT INTO clock (id, high) VALUES (1, $1)
		ON CONFLICT (id) DO UPDATE SET high = excluded.high WHERE excluded.high > clock.high`, tx.At())
	return err
}

// tries bounds how often a transaction is run again after a deadlock.
const tries = 8

// Write runs fn in one transaction that may change rows, with one instant as
// its Now. On PostgreSQL fn may run again after a serialization failure or
// deadlock, so it must have no effect outside tx (see Tx.AfterCommit).
func (d *DB) Write(ctx context.Context, fn func(tx *Tx) error) error {
	var err error
	for try := range tries {
		if err = d.run(ctx, &d.write, fn); !retryable(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(try+1) * 5 * time.Millisecond):
		}
	}
	return err
}

// Read runs fn in a read-only transaction that sees one snapshot on SQLite and
// committed rows on PostgreSQL.
func (d *DB) Read(ctx context.Context, fn func(tx *Tx) error) error {
	return d.run(ctx, &d.read, fn)
}

func (d *DB) run(ctx context.Context, l *lane, fn func(*Tx) error) error {
	c, err := l.take(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	tx := &Tx{Now: d.Now(), db: d, conn: c}
	done := false
	defer func() {
		if !done { // fn failed or panicked; the first error is the one that matters
			l.giveBack(c, l.abandon(context.WithoutCancel(ctx), c) == nil)
		}
	}()
	inner := ctx
	if d.dialect.Name() == "sqlite" {
		// A cancellable context costs the driver a goroutine per statement, and
		// an embedded transaction is over before anyone would cancel it.
		inner = context.WithoutCancel(ctx)
	}
	tx.ctx = inner
	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.count(ctx); err != nil {
		return err
	}
	if err := l.commit(inner, c); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	done = true
	l.giveBack(c, true)
	if l == &d.write {
		d.copier.wrote()
	}
	for _, f := range tx.after {
		f()
	}
	return nil
}

func retryable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}

// Micros converts to the form instants have in every table.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Time converts back; 0 is the zero time.
func Time(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
