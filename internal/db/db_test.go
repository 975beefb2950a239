package db_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/db"
	"parley/internal/db/dbtest"
)

func TestWriteIsWholeOrNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		boom := errors.New("boom")
		ran := false
		err := d.Write(ctx, func(tx *db.Tx) error {
			tx.AfterCommit(func() { ran = true })
			if err := d.KeepHighWater(ctx, tx); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) || ran {
			t.Fatalf("err %v, after-commit ran %v", err, ran)
		}
		if err := d.Read(ctx, func(tx *db.Tx) error {
			return tx.QueryRow(ctx, "SELECT high FROM clock WHERE id = 1").Scan(new(int64))
		}); !errors.Is(err, sql.ErrNoRows) {
			t.Fatalf("rolled back row is there: %v", err)
		}
	})
}

func TestReadCannotWrite(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		if err := d.Read(ctx, func(tx *db.Tx) error { return d.KeepHighWater(ctx, tx) }); err == nil {
			t.Fatal("a read transaction wrote")
		}
	})
}

// Another process holds SQLite's write lock: a write waits its turn and loses nothing.
func TestLockedDatabaseIsWaitedFor(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	url := dbtest.URL(t, "sqlite")
	first, second := dbtest.Open(t, url, nil), dbtest.Open(t, url, nil)
	locked, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := first.Write(ctx, func(*db.Tx) error { close(locked); <-release; return nil }); err != nil {
			t.Error(err)
		}
	})
	<-locked
	done := make(chan error, 1)
	wg.Go(func() { done <- second.Write(ctx, func(tx *db.Tx) error { return second.KeepHighWater(ctx, tx) }) })
	select {
	case err := <-done:
		t.Errorf("wrote while another held the lock: %v", err)
	case <-time.After(200 * time.Millisecond):
		close(release)
		if err := <-done; err != nil {
			t.Errorf("the lock was free again: %v", err)
		}
	}
	wg.Wait()
}

func TestClosedDatabaseSaysSo(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if err := d.Write(context.Background(), func(*db.Tx) error { return nil }); err == nil {
			t.Error("a closed database took a write")
		}
	})
}

func TestClockNeverGoesBack(t *testing.T) {
	t.Parallel()
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			url := dbtest.URL(t, engine)
			now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
			d := dbtest.Open(t, url, func() time.Time { return now })
			first := d.Now()
			now = now.Add(-time.Hour)
			if second := d.Now(); !second.After(first) {
				t.Fatalf("stepped back: %v then %v", first, second)
			}
			if b := d.ClockBehind(); b < time.Hour {
				t.Fatalf("ClockBehind = %v, want an hour", b)
			}
			if err := d.Write(ctx, func(tx *db.Tx) error { return d.KeepHighWater(ctx, tx) }); err != nil {
				t.Fatal(err)
			}
			d.Close()
			again := dbtest.Open(t, url, func() time.Time { return now })
			if third := again.Now(); !third.After(first) {
				t.Fatalf("after a restart the clock went back: %v then %v", first, third)
			}
		})
	}
}

// A statement prepared on a small table keeps its plan: on PostgreSQL a writer
// must plan to look rows up by their index even there.
func TestWritersLookUpByIndex(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d := dbtest.Open(t, dbtest.URL(t, "postgres"), nil)
	err := d.Write(ctx, func(tx *db.Tx) error {
		for _, q := range []string{"CREATE TABLE looked (id TEXT PRIMARY KEY, v BIGINT NOT NULL)", "INSERT INTO looked VALUES ('a', 1)", "ANALYZE looked"} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		var plan string
		if err := tx.QueryRow(ctx, "EXPLAIN SELECT v FROM looked WHERE id = ANY($1)", []string{"a", "b"}).Scan(&plan); err != nil {
			return err
		}
		if !strings.Contains(plan, "Index Scan") {
			t.Errorf("a small table is looked up by %s", plan)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestInsertAndEachInMeetEveryRow(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		for _, n := range []int{0, 1, 7, 8, 9, 513, 2500} {
			if err := d.Write(ctx, func(tx *db.Tx) error {
				if _, err := tx.Exec(ctx, "CREATE TABLE IF NOT EXISTS thing (id TEXT PRIMARY KEY, n BIGINT)"); err != nil {
					return err
				}
				if _, err := tx.Exec(ctx, "DELETE FROM thing"); err != nil {
					return err
				}
				var rows [][]any
				var ids []string
				for i := range n {
					id := fmt.Sprintf("id-%d-%d", n, i)
					ids = append(ids, id)
					rows = append(rows, []any{id, i})
				}
				if err := tx.Insert(ctx, "thing", []string{"id", "n"}, "ON CONFLICT DO NOTHING", rows); err != nil {
					return err
				}
				seen := map[string]int{}
				err := tx.EachIn(ctx, func(r *sql.Rows) error {
					var id string
					if err := r.Scan(&id); err != nil {
						return err
					}
					seen[id]++
					return nil
				}, "SELECT id FROM thing WHERE id", ids, "")
				if len(seen) != n {
					t.Errorf("n=%d: saw %d", n, len(seen))
				}
				for id, k := range seen {
					if k != 1 {
						t.Errorf("n=%d: %s seen %d times", n, id, k)
					}
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Rows come back as they were put in, whatever their types, with and without NULLs.
func TestInsertKeepsValues(t *testing.T) {
	t.Parallel()
	type word string
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		for _, n := range []int{1, 2, 5000} {
			err := d.Write(ctx, func(tx *db.Tx) error {
				blob := "BLOB"
				if d.Dialect().Name() == "postgres" {
					blob = "BYTEA"
				}
				if _, err := tx.Exec(ctx, "CREATE TABLE IF NOT EXISTS cell (id BIGINT PRIMARY KEY, name TEXT, body "+blob+" NOT NULL, size BIGINT, never BIGINT)"); err != nil {
					return err
				}
				var rows [][]any
				for i := range n {
					row := []any{i, word(fmt.Sprint("名", i)), []byte{0, byte(i), 255}, nil, nil}
					if i%2 == 0 {
						row[2], row[3] = []byte{}, int64(i)
					}
					rows = append(rows, row)
				}
				for range 2 { // the second time every row is there already
					err := tx.Insert(ctx, "cell", []string{"id", "name", "body", "size", "never"},
						"ON CONFLICT (id) DO UPDATE SET name = excluded.name || '!', body = excluded.body", rows)
					if err != nil {
						return err
					}
				}
				got := 0
				err := tx.Each(ctx, func(rs *sql.Rows) error {
					var i, size, never sql.NullInt64
					var name string
					var body []byte
					if err := rs.Scan(&i, &name, &body, &size, &never); err != nil {
						return err
					}
					want := []byte{0, byte(i.Int64), 255}
					if i.Int64%2 == 0 {
						want = nil
					}
					if name != fmt.Sprint("名", i.Int64, "!") || string(body) != string(want) || never.Valid || size.Valid != (i.Int64%2 == 0) || size.Int64%2 != 0 {
						t.Errorf("row %d is %q %v %v %v", i.Int64, name, body, size, never)
					}
					got++
					return nil
				}, "SELECT id, name, body, size, never FROM cell")
				if got != n {
					t.Errorf("%d rows of %d", got, n)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Write(ctx, func(tx *db.Tx) error { _, err := tx.Exec(ctx, "DROP TABLE cell"); return err }); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// What is inserted together is all there, in its order among other statements,
// and of what fails nothing is.
func TestTogether(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		cols := []string{"id"}
		if err := d.Write(ctx, func(tx *db.Tx) error {
			for _, name := range []string{"one", "two"} {
				if _, err := tx.Exec(ctx, "CREATE TABLE "+name+" (id BIGINT PRIMARY KEY)"); err != nil {
					return err
				}
			}
			return tx.Together(ctx, func() error {
				if err := tx.Insert(ctx, "one", cols, "", [][]any{{1}, {2}, {3}}); err != nil {
					return err
				}
				if n, err := tx.Exec(ctx, "DELETE FROM one WHERE id > 1"); err != nil || n != 2 {
					t.Errorf("%d of the rows inserted before are there, %v", n, err)
				}
				if err := tx.Insert(ctx, "one", cols, "", [][]any{{4}}); err != nil {
					return err
				}
				if n, err := tx.Inserted(ctx, "two", cols, "ON CONFLICT DO NOTHING", [][]any{{5}, {6}}); err != nil || n != 2 {
					t.Errorf("%d inserted, %v", n, err)
				}
				return tx.Insert(ctx, "two", cols, "", [][]any{{7}})
			})
		}); err != nil {
			t.Fatal(err)
		}
		err := d.Write(ctx, func(tx *db.Tx) error {
			return tx.Together(ctx, func() error {
				if err := tx.Insert(ctx, "two", cols, "", [][]any{{8}}); err != nil {
					return err
				}
				return tx.Insert(ctx, "one", cols, "", [][]any{{1}}) // is there
			})
		})
		if err == nil {
			t.Error("a key that is there was inserted again")
		}
		if err := d.Read(ctx, func(tx *db.Tx) error {
			var one, two int
			err := tx.QueryRow(ctx, "SELECT (SELECT count(*) FROM one), (SELECT count(*) FROM two)").Scan(&one, &two)
			if one != 2 || two != 3 {
				t.Errorf("%d and %d rows", one, two)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	})
}

// A group does everything once, and together what comes while it is busy.
func TestGroupGathers(t *testing.T) {
	t.Parallel()
	first, held := make(chan struct{}), make(chan struct{})
	var sizes []int // of one group after the other, by the group alone
	g := db.Group[*int]{Do: func(together []*int) {
		if sizes = append(sizes, len(together)); len(sizes) == 1 {
			close(first)
			<-held
		}
		for _, x := range together {
			*x++
		}
	}}
	var all sync.WaitGroup
	done := make([]int, 20)
	join := func(x *int) { all.Go(func() { g.Join(x) }) }
	join(&done[0])
	<-first
	for i := range done[1:] {
		join(&done[1+i])
	}
	close(held)
	all.Wait()
	total := 0
	for _, n := range sizes {
		total += n
	}
	if sizes[0] != 1 || total != len(done) {
		t.Errorf("groups of %v", sizes)
	}
	for i, n := range done {
		if n != 1 {
			t.Errorf("%d was done %d times", i, n)
		}
	}
}

func TestConcurrentWritersAllCommit(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for range 10 {
					if err := d.Write(ctx, func(tx *db.Tx) error { return d.KeepHighWater(ctx, tx) }); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	})
}

// The two migration directories must stay twins, or one engine rots.
func TestMigrationsPairUp(t *testing.T) {
	t.Parallel()
	names := func(dir string) map[string][]string {
		out := map[string][]string{}
		err := fs.WalkDir(os.DirFS("migrations/"+dir), ".", func(p string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			b, err := os.ReadFile("migrations/" + dir + "/" + p)
			for _, m := range regexp.MustCompile(`(?i)CREATE (?:UNIQUE )?(?:TABLE|INDEX) (\w+)`).FindAllStringSubmatch(string(b), -1) {
				out[p] = append(out[p], m[1])
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	s, p := names("sqlite"), names("postgres")
	if len(s) != len(p) {
		t.Errorf("%d files for sqlite, %d for postgres", len(s), len(p))
	}
	for f, things := range s {
		if fmt.Sprint(things) != fmt.Sprint(p[f]) {
			t.Errorf("%s: sqlite makes %v, postgres %v", f, things, p[f])
		}
	}
}
