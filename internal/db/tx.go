package db

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Tx is one transaction. All that happens in it happens at Now.
type Tx struct {
	Now   time.Time
	db    *DB
	conn  *conn
	ctx   context.Context // the context statements run under; see DB.run
	after []func()
	queue *pgx.Batch // inserts not sent yet; see Together

	counts map[*Counter]map[string]*counted // what is written last; see Counter.Add
}

// At is Now in the form tables hold.
func (t *Tx) At() int64 { return t.Now.UnixMicro() }

// Dialect names what differs between the engines.
func (t *Tx) Dialect() Dialect { return t.db.dialect }

// AfterCommit runs fn once the transaction is durable; not at all if it fails.
func (t *Tx) AfterCommit(fn func()) { t.after = append(t.after, fn) }

func (t *Tx) context(ctx context.Context) context.Context {
	if t.db.dialect.Name() == "sqlite" {
		return t.ctx
	}
	return ctx
}

// Exec runs a statement and gives the number of rows it changed.
func (t *Tx) Exec(ctx context.Context, q string, args ...any) (int64, error) {
	ctx = t.context(ctx)
	if err := t.send(ctx); err != nil {
		return 0, err
	}
	defer t.db.watched(q, args)()
	st, err := t.conn.stmt(ctx, q)
	if err != nil {
		return 0, fmt.Errorf("prepare %s: %w", head(q), err)
	}
	res, err := st.ExecContext(ctx, args...)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", head(q), err)
	}
	return res.RowsAffected()
}

// Query runs a query; the caller closes the rows and checks their Err.
func (t *Tx) Query(ctx context.Context, q string, args ...any) (*sql.Rows, error) {
	ctx = t.context(ctx)
	if err := t.send(ctx); err != nil {
		return nil, err
	}
	st, err := t.conn.stmt(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("prepare %s: %w", head(q), err)
	}
	rows, err := st.QueryContext(ctx, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", head(q), err)
	}
	return rows, nil
}

// Row is the answer to QueryRow.
type Row struct {
	row  *sql.Row
	err  error
	done func()
}

// Scan reads the row; sql.ErrNoRows when there is none.
func (r Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.done()
	return r.row.Scan(dest...)
}

// QueryRow runs a query that answers with at most one row.
func (t *Tx) QueryRow(ctx context.Context, q string, args ...any) Row {
	ctx = t.context(ctx)
	if err := t.send(ctx); err != nil {
		return Row{err: err}
	}
	st, err := t.conn.stmt(ctx, q)
	if err != nil {
		return Row{err: fmt.Errorf("prepare %s: %w", head(q), err)}
	}
	done := t.db.watched(q, args)
	return Row{row: st.QueryRowContext(ctx, args...), done: done}
}

// Each runs a query and calls scan for every row.
func (t *Tx) Each(ctx context.Context, scan func(*sql.Rows) error, q string, args ...any) error {
	defer t.db.watched(q, args)()
	rows, err := t.Query(ctx, q, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// EachIn runs "q IN (…ids) tail" in chunks and calls scan for every row. q ends
// before IN and takes no other parameters. On SQLite lists are padded to a few
// sizes so that few statements are prepared; PostgreSQL takes a list as one parameter.
func (t *Tx) EachIn(ctx context.Context, scan func(*sql.Rows) error, q string, ids []string, tail string) error {
	if t.db.dialect.Name() == "postgres" {
		for chunk := range slices.Chunk(ids, maxList) {
			if err := t.Each(ctx, scan, q+" = ANY($1) "+tail, chunk); err != nil {
				return err
			}
		}
		return nil
	}
	for len(ids) > 0 {
		size := 1
		for size < len(ids) && size < 512 {
			size *= 8
		}
		n := min(size, len(ids))
		args := make([]any, size)
		for i := range args {
			args[i] = ids[min(i, n-1)]
		}
		if err := t.Each(ctx, scan, q+" IN "+In(1, size)+" "+tail, args...); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

// Param names a parameter: Param(3) is "$3".
func Param(n int) string { return "$" + strconv.Itoa(n) }

// In gives a parameter list: In(3, 2) is "($3,$4)".
func In(first, n int) string {
	b := make([]byte, 0, 6*n+2)
	b = append(b, '(')
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '$')
		b = strconv.AppendInt(b, int64(first+i), 10)
	}
	return string(append(b, ')'))
}

// head names a statement in an error without its whole text.
func head(q string) string {
	q = strings.Join(strings.Fields(q), " ")
	return q[:min(len(q), 60)]
}
