package db

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// What is committed to SQLite stands in the write-ahead log until a checkpoint
// copies it into the database file. SQLite would do that inside the commit that
// finds the log long, and whoever made it, and all who wait for the one writer,
// would wait for some thousand pages to be copied and synced. So the copying is
// done beside the writer, on a connection of its own; only to begin the log
// anew is the writer held, when nearly all is copied.
const (
	// copyEvery is how long commits gather before they are copied: what is
	// written again and again meanwhile is copied once.
	copyEvery = 200 * time.Millisecond
	// longLog is how many pages the log may have before it is begun anew.
	longLog = 8_000
	// autoCheckpoint is the length in pages at which SQLite itself steps in,
	// were the copying to stop.
	autoCheckpoint = 64_000
)

// copier copies SQLite's log into its database.
type copier struct {
	d     *DB
	dirty chan struct{} // something was committed
	stop  context.CancelFunc
	ended chan struct{}
}

func (d *DB) startCopier() {
	ctx, stop := context.WithCancel(context.Background())
	d.copier = &copier{d: d, dirty: make(chan struct{}, 1), stop: stop, ended: make(chan struct{})}
	go d.copier.run(ctx)
}

// wrote tells that something was committed.
func (c *copier) wrote() {
	if c == nil {
		return
	}
	select {
	case c.dirty <- struct{}{}:
	default:
	}
}

func (c *copier) close() {
	if c != nil {
		c.stop()
		<-c.ended
	}
}

func (c *copier) run(ctx context.Context) {
	defer close(c.ended)
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.dirty:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(copyEvery):
		}
		if err := c.copy(ctx); err != nil && ctx.Err() == nil {
			c.d.log.Warn("copying the write-ahead log", "error", err)
		}
	}
}

// copy copies what is committed, and has the log begun anew when it is long:
// the next writer does so if it finds all of it copied and nobody reading it.
func (c *copier) copy(ctx context.Context) error {
	raw, err := c.d.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer raw.Close()
	pages, err := checkpoint(ctx, raw)
	if err != nil || pages < longLog {
		return err
	}
	if _, err := checkpoint(ctx, raw); err != nil { // what came during the first, so that the writer is held for less
		return err
	}
	w, err := c.d.write.hold(ctx)
	if err != nil {
		return err
	}
	_, err = checkpoint(ctx, raw)
	c.d.write.giveBack(w, true)
	return err
}

// checkpoint copies as far as readers let it, waiting for nobody, and gives the
// length of the log in pages.
func checkpoint(ctx context.Context, raw *sql.Conn) (pages int, err error) {
	var busy, copied int
	if err := raw.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &pages, &copied); err != nil {
		return 0, fmt.Errorf("checkpoint: %w", err)
	}
	return pages, nil
}
