package db

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"
)

// lane is a fixed number of connections that carry transactions of one kind,
// each with its own prepared statements. database/sql's own transactions
// prepare every statement anew, which costs more than most of ours take to run.
type lane struct {
	pool  *sql.DB
	begin string              // empty = statements stand alone
	text  func(string) string // statement text as the engine likes it best; nil = as written
	free  chan *conn          // a nil conn is a place that opens on first use
	done  chan struct{}       // closed with the database
	shut  func()
}

var errClosed = errors.New("the database is closed")

// conn is one connection of a lane.
type conn struct {
	raw   *sql.Conn
	text  func(string) string
	stmts map[string]*sql.Stmt
	used  time.Time // last given back
}

func newLane(pool *sql.DB, n int, begin string) lane {
	l := lane{pool: pool, begin: begin, free: make(chan *conn, n), done: make(chan struct{})}
	l.shut = sync.OnceFunc(func() { close(l.done) })
	for range n {
		l.free <- nil
	}
	return l
}

// hold waits for a place of the lane and gives the connection it has; nil is
// one that was not opened yet.
func (l *lane) hold(ctx context.Context) (c *conn, err error) {
	select {
	case c = <-l.free:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.done:
		return nil, errClosed
	}
	if l.over() {
		l.giveBack(c, true)
		return nil, errClosed
	}
	return c, nil
}

// idle is how long a connection without transactions may rest before it is
// asked whether it still lives.
const idle = time.Second

// start begins a transaction, or sees to it that the connection is alive.
func (l *lane) start(ctx context.Context, c *conn) error {
	switch {
	case l.begin != "":
		return c.exec(ctx, l.begin)
	case time.Since(c.used) < idle:
		return nil
	default:
		return c.raw.PingContext(ctx)
	}
}

func (l *lane) commit(ctx context.Context, c *conn) error {
	if l.begin == "" {
		return nil
	}
	return c.exec(ctx, "COMMIT")
}

// abandon undoes what was begun; its error means that the connection is of no use.
func (l *lane) abandon(ctx context.Context, c *conn) error {
	if l.begin == "" {
		return c.raw.PingContext(ctx)
	}
	return c.exec(ctx, "ROLLBACK")
}

// take waits for a connection and begins a transaction on it. A connection
// that has died in the meantime (server restart) is replaced once.
func (l *lane) take(ctx context.Context) (*conn, error) {
	c, err := l.hold(ctx)
	if err != nil {
		return nil, err
	}
	if c != nil {
		if err = l.start(ctx, c); err == nil {
			return c, nil
		}
		c.close()
	}
	raw, err := l.pool.Conn(ctx)
	if err != nil {
		l.free <- nil
		return nil, err
	}
	c = &conn{raw: raw, text: l.text, stmts: map[string]*sql.Stmt{}}
	if err = l.start(ctx, c); err != nil {
		c.close()
		l.free <- nil
		return nil, err
	}
	return c, nil
}

func (l *lane) over() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// giveBack returns a connection; one whose transaction could not be ended is
// dropped, as is every one once the database is closed.
func (l *lane) giveBack(c *conn, healthy bool) {
	if c != nil && (!healthy || l.over()) {
		c.close()
		c = nil
	}
	if c != nil {
		c.used = time.Now()
	}
	l.free <- c
}

// close drops the idle connections; those in use go when they are given back.
func (l *lane) close() {
	if l.shut == nil {
		return // never opened
	}
	l.shut()
	for range cap(l.free) {
		select {
		case c := <-l.free:
			defer l.giveBack(nil, true)
			if c != nil {
				c.close()
			}
		default:
		}
	}
}

func (c *conn) close() {
	for _, st := range c.stmts {
		_ = st.Close() // the connection goes away with them
	}
	_ = c.raw.Close()
}

func (c *conn) exec(ctx context.Context, q string) error {
	st, err := c.stmt(ctx, q)
	if err != nil {
		return err
	}
	_, err = st.ExecContext(ctx)
	return err
}

// maxStmts bounds what one connection keeps prepared.
const maxStmts = 400

// stmt prepares q once per connection.
func (c *conn) stmt(ctx context.Context, q string) (*sql.Stmt, error) {
	if st := c.stmts[q]; st != nil {
		return st, nil
	}
	text := q
	if c.text != nil {
		text = c.text(q)
	}
	st, err := c.raw.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	if len(c.stmts) >= maxStmts {
		for k, old := range c.stmts { // any one: the set is far larger than the working set
			_ = old.Close()
			delete(c.stmts, k)
			break
		}
	}
	c.stmts[q] = st
	return st, nil
}

// positional turns $1, $2, $3 … into ?, ?, ? where they stand in just that
// order. To SQLite $1 is a name: it looks up the name of every parameter by
// walking a list, so binding n of them costs n² steps.
func positional(q string) string {
	out := make([]byte, 0, len(q))
	next, quoted := 1, false
	for i := 0; i < len(q); i++ {
		c := q[i]
		if c == '\'' {
			quoted = !quoted
		}
		if c != '$' || quoted {
			out = append(out, c)
			continue
		}
		n := 0
		for i+1 < len(q) && q[i+1] >= '0' && q[i+1] <= '9' {
			n, i = n*10+int(q[i+1]-'0'), i+1
		}
		if n != next {
			return q // used twice or out of order: the names are needed
		}
		next++
		out = append(out, '?')
	}
	return string(out)
}
