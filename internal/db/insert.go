package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"
)

// maxParams keeps a multi-row insert under both engines' parameter limits and
// its statement small enough to be worth caching.
const maxParams = 1800

// maxList is the most values PostgreSQL is given in one parameter.
const maxList = 4096

// Insert inserts rows in as few statements as the engines allow. suffix is
// appended, such as "ON CONFLICT (id) DO NOTHING".
func (t *Tx) Insert(ctx context.Context, table string, cols []string, suffix string, rows [][]any) error {
	return t.insert(table, cols, suffix, rows, func(q string, args []any) error {
		if t.queue != nil {
			t.queue.Queue(q, args...)
			t.db.watched(q, args)
			return nil
		}
		_, err := t.Exec(ctx, q, args...)
		return err
	})
}

// Inserted is Insert that gives how many rows it inserted or changed.
func (t *Tx) Inserted(ctx context.Context, table string, cols []string, suffix string, rows [][]any) (all int64, err error) {
	err = t.insert(table, cols, suffix, rows, func(q string, args []any) error {
		n, err := t.Exec(ctx, q, args...)
		all += n
		return err
	})
	return all, err
}

// Together runs fn and sends what it inserts to PostgreSQL at once, which costs
// one round trip instead of one for each statement. Any other statement sends
// what has gathered before it. An error of an insert is that of the statement
// that sends it, or of Together.
func (t *Tx) Together(ctx context.Context, fn func() error) error {
	if t.db.dialect.Name() != "postgres" || t.queue != nil {
		return fn()
	}
	t.queue = &pgx.Batch{}
	err := fn()
	if err == nil {
		err = t.send(ctx)
	}
	t.queue = nil
	return err
}

// send sends the inserts that have gathered.
func (t *Tx) send(ctx context.Context) error {
	if t.queue == nil || t.queue.Len() == 0 {
		return nil
	}
	b := t.queue
	t.queue = &pgx.Batch{}
	return t.conn.raw.Raw(func(raw any) error {
		c, ok := raw.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("a %T is no connection to PostgreSQL", raw)
		}
		rs := c.Conn().SendBatch(ctx, b)
		for _, q := range b.QueuedQueries {
			if _, err := rs.Exec(); err != nil {
				return errors.Join(fmt.Errorf("%s: %w", head(q.SQL), err), rs.Close())
			}
		}
		return rs.Close()
	})
}

// insert calls do with each statement that inserts some of the rows.
func (t *Tx) insert(table string, cols []string, suffix string, rows [][]any, do func(q string, args []any) error) error {
	if t.db.dialect.Name() == "postgres" && len(rows) > 1 {
		return t.insertLists(table, cols, suffix, rows, do)
	}
	per := max(1, maxParams/len(cols))
	for len(rows) > 0 {
		n := min(per, len(rows))
		if n < per { // powers of two keep the number of statement texts small
			for p := 1; ; p *= 2 {
				if p*2 > n {
					n = p
					break
				}
			}
		}
		args := make([]any, 0, n*len(cols))
		for _, r := range rows[:n] {
			args = append(args, r...)
		}
		if err := do(t.db.insertText(table, cols, suffix, n), args); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// insertText gives the statement, remembering it: writing out a thousand
// parameters takes longer than inserting some of the rows. There are few
// statements, since n is a power of two or the most that fits.
func (d *DB) insertText(table string, cols []string, suffix string, n int) string {
	type key struct {
		head, suffix string
		n            int
	}
	head := "INSERT INTO " + table + " (" + strings.Join(cols, ", ") + ") VALUES "
	k := key{head, suffix, n}
	if q, ok := d.inserts.Load(k); ok {
		return q.(string)
	}
	var b strings.Builder
	b.WriteString(head)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(In(1+i*len(cols), len(cols)))
	}
	if suffix != "" {
		b.WriteString(" " + suffix)
	}
	d.inserts.Store(k, b.String())
	return b.String()
}

// insertLists inserts rows as one list per column: however many rows there are,
// PostgreSQL has one statement to know and as many parameters as columns.
func (t *Tx) insertLists(table string, cols []string, suffix string, rows [][]any, do func(q string, args []any) error) error {
	for chunk := range slices.Chunk(rows, maxList) {
		lists, types := make([]any, 0, len(cols)), make([]string, len(cols))
		for c := range cols {
			list, kind, err := column(chunk, c)
			if err != nil {
				return fmt.Errorf("insert into %s: column %s: %w", table, cols[c], err)
			}
			if types[c] = kind; kind != "" {
				lists = append(lists, list)
			}
		}
		if err := do(t.db.listText(table, cols, types, suffix), lists); err != nil {
			return err
		}
	}
	return nil
}

// listText gives the statement, remembering it. A column without a type is NULL
// in every row.
func (d *DB) listText(table string, cols, types []string, suffix string) string {
	type key struct{ head, types, suffix string }
	head := "INSERT INTO " + table + " (" + strings.Join(cols, ", ") + ") SELECT "
	k := key{head, strings.Join(types, " "), suffix}
	if q, ok := d.inserts.Load(k); ok {
		return q.(string)
	}
	var out, lists, names []string
	for i, kind := range types {
		if kind == "" {
			out = append(out, "NULL")
			continue
		}
		name := "c" + fmt.Sprint(i)
		lists = append(lists, Param(len(lists)+1)+"::"+kind+"[]")
		out, names = append(out, name), append(names, name)
	}
	q := head + strings.Join(out, ", ") + " FROM unnest(" + strings.Join(lists, ", ") + ") AS rows (" + strings.Join(names, ", ") + ") " + suffix
	d.inserts.Store(k, q)
	return q
}

// column gives one column of rows as a list that pgx knows how to send, and the
// type of its elements; no type when all are NULL.
func column(rows [][]any, c int) (list any, kind string, err error) {
	for _, r := range rows {
		if r[c] == nil {
			continue
		}
		v, err := driver.DefaultParameterConverter.ConvertValue(r[c])
		if err != nil {
			return nil, "", err
		}
		switch v.(type) {
		case string:
			list, err = listOf[string](rows, c)
			return list, "text", err
		case int64:
			list, err = listOf[int64](rows, c)
			return list, "bigint", err
		case []byte:
			list, err = listOf[[]byte](rows, c)
			return list, "bytea", err
		case bool:
			list, err = listOf[bool](rows, c)
			return list, "boolean", err
		case float64:
			list, err = listOf[float64](rows, c)
			return list, "double precision", err
		default:
			return nil, "", fmt.Errorf("a %T cannot be listed", v)
		}
	}
	return nil, "", nil
}

func listOf[T any](rows [][]any, c int) (any, error) {
	list, null := make(pgtype.FlatArray[T], len(rows)), false
	for i, r := range rows {
		switch v := r[c].(type) {
		case T:
			list[i] = v
		case nil:
			null = true
		default:
			x, err := driver.DefaultParameterConverter.ConvertValue(v)
			if err != nil {
				return nil, err
			}
			y, ok := x.(T)
			if !ok {
				return nil, fmt.Errorf("a %T among values of type %T", v, list[i])
			}
			list[i] = y
		}
	}
	if !null {
		return list, nil
	}
	some := make(pgtype.FlatArray[*T], len(rows))
	for i, r := range rows {
		if r[c] != nil {
			some[i] = &list[i]
		}
	}
	return some, nil
}
