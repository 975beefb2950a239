package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/ledger"
)

// whole checks that the log holds exactly the ids, each once, and verifies.
func whole(t rapid.TB, l *ledger.Log, ids []contact.ID) {
	t.Helper()
	ctx := context.Background()
	rep, err := l.Verify(ctx, nil)
	if err != nil || !rep.OK() {
		t.Fatalf("verify: %v, %v", rep.Problems, err)
	}
	if rep.Entries+rep.Pending != int64(len(ids)) {
		t.Fatalf("%d sealed and %d pending entries; want %d in all", rep.Entries, rep.Pending, len(ids))
	}
	for _, id := range ids {
		if rs, err := l.ByID(ctx, id); err != nil || len(rs) != 1 {
			t.Fatalf("entry %s is there %d times, %v", id, len(rs), err)
		}
	}
}

// TestFaultAtEveryWrite fails the sequencer at every write, once before it
// (failed) and once after it (failed but done), and after its commit (failed
// but persisted). Nothing is lost and nothing doubled.
func TestFaultAtEveryWrite(t *testing.T) {
	t.Parallel()
	for _, point := range ledger.Points {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				ctx := context.Background()
				l := open(t, d, newKey(t))
				ids := appendN(t, d, 300)
				seal(t, l, 300)
				ids = append(ids, appendN(t, d, 300)...)
				boom, hits := errors.New("boom"), 0
				l.SetFault(func(at string) error {
					if at == point {
						hits++
						return boom
					}
					return nil
				})
				if _, err := l.Seal(ctx); !errors.Is(err, boom) || hits != 1 {
					t.Fatalf("seal: %v after %d hits", err, hits)
				}
				l.SetFault(nil)
				c, err := l.Checkpoint(ctx)
				want := int64(300)
				if point == "committed" {
					want = 600
				}
				if err != nil || c.Size != want {
					t.Fatalf("after the fault %d are sealed, %v; want %d", c.Size, err, want)
				}
				whole(t, l, ids)
				seal(t, l, 600-int(want))
				whole(t, l, ids)
			})
		})
	}
}

// killEnv names the point at which the test binary, started again, ends itself.
const killEnv = "PARLEY_LEDGER_KILL"

// TestKillAtEveryWrite ends the process with SIGKILL at every write.
func TestKillAtEveryWrite(t *testing.T) {
	if os.Getenv(killEnv) != "" {
		killed(t)
		return
	}
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a process for every write")
	}
	for _, engine := range dbtest.Engines {
		for _, point := range ledger.Points {
			t.Run(engine+"/"+point, func(t *testing.T) {
				t.Parallel()
				url, dir := dbtest.URL(t, engine), t.TempDir()
				cmd := exec.Command(os.Args[0], "-test.run=^TestKillAtEveryWrite$")
				cmd.Env = append(os.Environ(), killEnv+"="+point, killEnv+"_URL="+url, killEnv+"_DIR="+dir)
				out, err := cmd.CombinedOutput()
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
					t.Fatalf("the process was not killed: %v\n%s", err, out)
				}
				d := dbtest.Open(t, url, nil)
				key, err := ledger.LoadKey(dir, origin, false)
				if err != nil {
					t.Fatal(err)
				}
				l := open(t, d, key)
				if _, err := l.Seal(context.Background()); err != nil {
					t.Fatal(err)
				}
				rep, err := l.Verify(context.Background(), nil)
				if err != nil || !rep.OK() || rep.Entries != 500 || rep.Pending != 0 {
					t.Fatalf("after the kill: %+v, %v", rep, err)
				}
			})
		}
	}
}

func killed(t *testing.T) {
	d := dbtest.Open(t, os.Getenv(killEnv+"_URL"), nil)
	key, err := ledger.LoadKey(os.Getenv(killEnv+"_DIR"), origin, true)
	if err != nil {
		t.Fatal(err)
	}
	l := open(t, d, key)
	appendN(t, d, 200)
	seal(t, l, 200)
	appendN(t, d, 300)
	l.SetFault(func(at string) error {
		if at == os.Getenv(killEnv) {
			return syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		return nil
	})
	_, err = l.Seal(context.Background())
	t.Fatalf("still alive: %v", err)
}

// TestManySequencers lets sequencers of two handles race with appenders.
func TestManySequencers(t *testing.T) {
	t.Parallel()
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url, key := dbtest.URL(t, engine), newKey(t)
			one, two := dbtest.Open(t, url, nil), dbtest.Open(t, url, nil)
			logs := []*ledger.Log{open(t, one, key), open(t, two, key)}
			ctx, stop := context.WithCancel(context.Background())
			var running errgroup.Group
			for _, l := range logs {
				l.SetLastSeal(2 * time.Minute) // the test asks that all is sealed, not how soon
				running.Go(func() error { return l.Run(ctx) })
			}
			var mu sync.Mutex
			var ids []contact.ID
			var appending errgroup.Group
			for i := range 6 {
				d := []*db.DB{one, two}[i%2]
				appending.Go(func() error {
					for range 10 {
						more := appendN(t, d, 37)
						logs[i%2].Wake()
						mu.Lock()
						ids = append(ids, more...)
						mu.Unlock()
					}
					return nil
				})
			}
			if err := appending.Wait(); err != nil {
				t.Fatal(err)
			}
			stop()
			if err := running.Wait(); err != nil {
				t.Fatal(err)
			}
			whole(t, logs[0], ids)
			if s, err := logs[1].Stats(context.Background()); err != nil || s.Sealed != int64(len(ids)) {
				t.Fatalf("Run returned with %d of %d sealed, %v", s.Sealed, len(ids), err)
			}
		})
	}
}

// TestLateCommit is about PostgreSQL, where a transaction may commit a number
// below one that is sealed already.
func TestLateCommit(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d := dbtest.Open(t, dbtest.URL(t, "postgres"), nil)
	l := open(t, d, newKey(t))
	late := contact.NewID()
	var ids []contact.ID
	if err := d.Write(ctx, func(tx *db.Tx) error {
		if err := ledger.Append(ctx, tx, ledger.Entry{Type: "test.late", ID: late, Record: fact{}}); err != nil {
			return err
		}
		ids = appendN(t, d, 5) // commits first, with higher numbers
		seal(t, l, 5)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	seal(t, l, 1)
	rs, err := l.ByID(ctx, late)
	if err != nil || len(rs) != 1 || rs[0].Index != 5 {
		t.Fatalf("the late entry: %+v, %v", rs, err)
	}
	whole(t, l, append(ids, late))
}

// TestMoreThanABatch seals what takes several transactions.
func TestMoreThanABatch(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := open(t, d, newKey(t))
		n := ledger.SealBatch + 10
		appendN(t, d, n)
		seal(t, l, n)
		rep, err := l.Verify(context.Background(), nil)
		if err != nil || !rep.OK() || rep.Entries != int64(n) {
			t.Fatalf("%+v, %v", rep, err)
		}
	})
}

// TestAnyHistory lets appends, seals, faults and restarts come in any order:
// no gap, no double, every entry proven, every earlier log a beginning of the
// later ones.
func TestAnyHistory(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url := dbtest.URL(t, engine)
			d := dbtest.Open(t, url, nil)
			l := open(t, d, key)
			var ids []contact.ID // the log only grows: each run goes on where the last one stopped
			var seen []ledger.Checkpoint
			ctx := context.Background()
			rapid.Check(t, func(rt *rapid.T) {
				for range rapid.IntRange(1, 8).Draw(rt, "steps") {
					switch rapid.SampledFrom([]string{"append", "append", "seal", "fault", "reopen"}).Draw(rt, "step") {
					case "append":
						ids = append(ids, appendN(t, d, rapid.IntRange(1, 40).Draw(rt, "entries"))...)
					case "seal":
						if _, err := l.Seal(ctx); err != nil {
							rt.Fatal(err)
						}
						c, err := l.Checkpoint(ctx)
						if err != nil {
							rt.Fatal(err)
						}
						seen = append(seen, c)
					case "fault":
						point := rapid.SampledFrom(ledger.Points).Draw(rt, "point")
						l.SetFault(func(at string) error {
							if at == point {
								return fmt.Errorf("fault %s", at)
							}
							return nil
						})
						_, _ = l.Seal(ctx)
						l.SetFault(nil)
					case "reopen":
						l = open(t, d, key)
					}
				}
				provesAll(rt, l, ids, seen)
			})
			whole(t, l, ids)
		})
	}
}

// provesAll checks a sample of inclusion proofs and of consistency proofs.
func provesAll(t *rapid.T, l *ledger.Log, ids []contact.ID, seen []ledger.Checkpoint) {
	ctx := context.Background()
	c, err := l.Checkpoint(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if c.Size > 0 {
		i := rapid.Int64Range(0, c.Size-1).Draw(t, "index")
		p, err := l.Prove(ctx, i)
		if err == nil {
			err = p.Check()
		}
		if err != nil {
			t.Fatalf("proof of %d: %v", i, err)
		}
		leaf, err := ledger.ParseLeaf(p.Leaf)
		if err != nil || leaf.ID != ids[i] {
			t.Fatalf("entry %d is %s, %v; want %s", i, leaf.ID, err, ids[i])
		}
	}
	if len(seen) > 0 {
		old := rapid.SampledFrom(seen).Draw(t, "old")
		p, err := l.Consistency(ctx, old.Size)
		if err != nil || p.Check() != nil || p.OldRoot != old.Root {
			t.Fatalf("the log of %d is not a beginning of that of %d: %v", old.Size, p.Checkpoint.Size, err)
		}
	}
}
