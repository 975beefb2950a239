package roster

import (
	"context"
	"sync"
	"testing"

	"parley/internal/db"
	"parley/internal/db/dbtest"
)

// begun starts the books of an import and gives what writeAll needs.
func begun(t *testing.T, d *db.DB, hash string, bs ...*batch) (*Result, <-chan *batch) {
	t.Helper()
	res := &Result{Hash: hash}
	if _, err := begin(t.Context(), d, "customers", res); err != nil {
		t.Fatal(err)
	}
	in := make(chan *batch, len(bs))
	for i, b := range bs {
		b.last = int64(i + 1)
		in <- b
	}
	close(in)
	return res, in
}

// TestBatchesSideBySide: where there are several writers a batch is written
// while the one before is, and committed behind it.
func TestBatchesSideBySide(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.URL(t, "postgres"), nil)
	second, done := make(chan struct{}), int64(-1)
	started := sync.OnceFunc(func() { close(second) }) // on a machine that stands still it may have to give way, and begin again
	res, in := begun(t, d, "side",
		&batch{work: work{about: map[string]bool{"A": true}, write: func(context.Context, *db.Tx) ([]Reject, error) {
			<-second // would never come if they were written one after the other
			return nil, nil
		}}},
		&batch{work: work{about: map[string]bool{"B": true}, write: func(context.Context, *db.Tx) ([]Reject, error) {
			started()
			return nil, nil
		}}},
		&batch{work: work{about: map[string]bool{"B": true}, write: func(ctx context.Context, tx *db.Tx) ([]Reject, error) {
			return nil, tx.QueryRow(ctx, "SELECT rows_done FROM roster_file WHERE hash = 'side'").Scan(&done)
		}}})
	if err := writeAll(t.Context(), d, &rejectFile{}, in, res); err != nil || res.Rows != 3 {
		t.Fatalf("%+v, %v", res, err)
	}
	if done != 2 {
		t.Errorf("a batch about the same person began when %d were in, not 2", done)
	}
}

// TestBatchGivesWay: a batch that holds what the one before needs is undone and
// written after it, so that they do not wait for each other for ever.
func TestBatchGivesWay(t *testing.T) {
	t.Parallel()
	d := dbtest.Open(t, dbtest.URL(t, "postgres"), nil)
	begun(t, d, "row")
	held, times := make(chan struct{}), 0
	take := func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE roster_file SET rejected = rejected + 1 WHERE hash = 'row'")
		return err
	}
	res, in := begun(t, d, "way",
		&batch{work: work{about: map[string]bool{"A": true}, write: func(ctx context.Context, tx *db.Tx) ([]Reject, error) {
			<-held
			return nil, take(ctx, tx)
		}}},
		&batch{work: work{about: map[string]bool{"B": true}, write: func(ctx context.Context, tx *db.Tx) ([]Reject, error) {
			err := take(ctx, tx)
			if times++; times == 1 {
				close(held)
			}
			return nil, err
		}}})
	if err := writeAll(t.Context(), d, &rejectFile{}, in, res); err != nil || res.Rows != 2 || times != 2 {
		t.Fatalf("%+v after %d times, %v", res, times, err)
	}
	n := 0
	if err := d.Read(t.Context(), func(tx *db.Tx) error {
		return tx.QueryRow(t.Context(), "SELECT rejected FROM roster_file WHERE hash = 'row'").Scan(&n)
	}); err != nil || n != 2 {
		t.Errorf("each batch counts once: %d, %v", n, err)
	}
}
