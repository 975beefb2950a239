package db

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Span asks for a page of a list by its keyset: the N entries that stand after
// the entry At in the list's order or, Back, the N that stand before it. At is
// in the form the list itself gives; "" is the list's start.
type Span struct {
	At   string
	Back bool
	N    int
}

// Fetch is how many rows a query reads for the span: one more than are shown
// tells whether there is a next page.
func (s Span) Fetch() int { return s.N + 1 }

// Cut makes the page out of the rows read, which stand in reading order: for a
// span that goes back, from the entry At upwards. before and after tell whether
// the list goes on to either side of the page.
func Cut[T any](rows []T, s Span) (page []T, before, after bool) {
	more := len(rows) > s.N
	if more {
		rows = rows[:s.N]
	}
	if s.Back {
		slices.Reverse(rows)
		return rows, more, s.At != ""
	}
	return rows, s.At != "", more
}

// Seek gives the two ends of a query that reads the span of a list in the order
// of its columns, which together are unique: a condition to be added with AND,
// whose parameters are numbered from first on, and the order with its limit. The
// condition is empty for the list's start.
func (s Span) Seek(desc bool, first int, columns ...string) (cond, tail string) {
	op, way := ">", ""
	if desc != s.Back {
		op, way = "<", " DESC"
	}
	if s.At != "" {
		cond = fmt.Sprintf(" AND (%s) %s %s", strings.Join(columns, ", "), op, In(first, len(columns)))
	}
	return cond, fmt.Sprintf(" ORDER BY %s LIMIT %d", strings.Join(columns, way+", ")+way, s.Fetch())
}

// TimeKey writes the keyset of a list in the order of instants, told apart by id.
func TimeKey(us int64, id string) string { return strconv.FormatInt(us, 10) + "." + id }

// TimeKey reads At of a list in the order of instants; one that is none reads
// as the beginning of time.
func (s Span) TimeKey() (us int64, id string) {
	t, id, _ := strings.Cut(s.At, ".")
	us, err := strconv.ParseInt(t, 10, 64)
	if err != nil {
		return 0, ""
	}
	return us, id
}
