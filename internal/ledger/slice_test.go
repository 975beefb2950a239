package ledger_test

import (
	"context"
	"strconv"
	"testing"

	"parley/internal/db"
	"parley/internal/db/dbtest"
)

// The list of entries pages both ways by index, however long the log.
func TestSlice(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		l := open(t, d, newKey(t))
		appendN(t, d, 5)
		seal(t, l, 5)
		dbtest.Indexed(t, d, func() {
			for _, c := range []struct {
				oldest bool
				span   db.Span
				first  int64
				n      int
			}{
				{false, db.Span{N: 3}, 4, 4}, {true, db.Span{N: 3}, 0, 4}, {false, db.Span{At: "2", N: 3}, 1, 2}, {false, db.Span{At: "2", Back: true, N: 3}, 3, 2},
			} {
				rs, err := l.Slice(ctx, c.oldest, c.span)
				if err != nil || len(rs) != c.n || rs[0].Index != c.first {
					t.Errorf("%+v: %d rows, %v", c, len(rs), err)
				}
			}
		})
		if rs, err := l.Slice(ctx, false, db.Span{At: strconv.Quote("x"), N: 3}); err != nil || len(rs) != 0 {
			t.Errorf("after nonsense: %v %v", rs, err)
		}
	})
}
