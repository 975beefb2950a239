package db

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Counter is a table that says how many rows of another table of the same room
// there are, by key, so that nobody has to count them. Its columns are lane, those of the
// key, and one or more sums; its primary key is the key's columns and lane. The truth is
// the sum over the lanes: on PostgreSQL each count is spread over several
// rows, so that transactions side by side do not wait for one.
type Counter struct {
	table  string
	cols   []string
	sums   int
	suffix string
}

// lanes is how many rows a count is spread over where there is more than one writer.
const lanes = 8

// NewCounter names a counter's table, the columns of its key and its sums.
func NewCounter(table string, key []string, sums ...string) *Counter {
	c := &Counter{table: table, cols: slices.Concat([]string{"lane"}, key, sums), sums: len(sums)}
	set := make([]string, len(sums))
	for i, s := range sums {
		set[i] = s + " = " + table + "." + s + " + excluded." + s
	}
	c.suffix = "ON CONFLICT (" + strings.Join(key, ", ") + ", lane) DO UPDATE SET " + strings.Join(set, ", ")
	return c
}

// counted is what a transaction has counted at one key.
type counted struct {
	key []any
	by  []int64
}

// Add counts: it adds by to the sums at key. It is written right before the
// transaction commits, when no other lock is taken any more, and in one order
// for everybody; so counting makes nobody wait for long, and nobody for ever.
func (c *Counter) Add(tx *Tx, key []any, by ...int64) {
	if tx.counts == nil {
		tx.counts = map[*Counter]map[string]*counted{}
	}
	of := tx.counts[c]
	if of == nil {
		of = map[string]*counted{}
		tx.counts[c] = of
	}
	name := fmt.Sprintf("%q", key)
	n := of[name]
	if n == nil {
		n = &counted{key: key, by: make([]int64, c.sums)}
		of[name] = n
	}
	for i, b := range by {
		n.by[i] += b
	}
}

// count writes what the transaction has counted.
func (t *Tx) count(ctx context.Context) error {
	if len(t.counts) == 0 {
		return nil
	}
	lane := int64(0)
	if t.db.dialect.Name() != "sqlite" {
		lane = t.db.lane.Add(1) % lanes
	}
	for _, c := range slices.SortedFunc(maps.Keys(t.counts), func(a, b *Counter) int { return cmp.Compare(a.table, b.table) }) {
		of := t.counts[c]
		var rows [][]any
		for _, name := range slices.Sorted(maps.Keys(of)) {
			n := of[name]
			if !slices.ContainsFunc(n.by, func(b int64) bool { return b != 0 }) {
				continue
			}
			row := append([]any{lane}, n.key...)
			for _, b := range n.by {
				row = append(row, b)
			}
			rows = append(rows, row)
		}
		if err := t.Insert(ctx, c.table, c.cols, c.suffix, rows); err != nil {
			return err
		}
	}
	return nil
}
