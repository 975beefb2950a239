// Package dbtest gives a test a fresh, migrated database on each engine.
package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"parley/internal/db"
	"parley/internal/db/pgtemp"
)

// Engines are the engines every store test runs on, always.
var Engines = []string{"sqlite", "postgres"}

// Each runs fn as a parallel subtest on each engine.
func Each(t *testing.T, fn func(t *testing.T, d *db.DB)) {
	t.Helper()
	EachClock(t, nil, fn)
}

// EachClock is Each with a clock of the test's own. Both engines have the one
// clock and run side by side, so it may run but fn must not move it: a test that
// does gives each engine its own with Open.
func EachClock(t *testing.T, clock func() time.Time, fn func(t *testing.T, d *db.DB)) {
	t.Helper()
	for _, e := range Engines {
		t.Run(e, func(t *testing.T) {
			t.Parallel()
			fn(t, Open(t, URL(t, e), clock))
		})
	}
}

// patience is how long tests wait for what is sure to come, on a machine that is
// busy with other things.
const patience = 2 * time.Minute

// Open opens the database at url and closes it with the test.
func Open(t testing.TB, url string, clock func() time.Time) *db.DB {
	t.Helper()
	d, err := db.Open(context.Background(), url, db.Options{Clock: clock, MaxConns: 4, Busy: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// URL makes a fresh migrated database on the engine and gives its address, for
// tests that open it themselves (restart, crash). It is dropped with the test.
func URL(t testing.TB, engine string) string {
	t.Helper()
	if engine == "sqlite" {
		return sqliteURL(t)
	}
	return postgresURL(t)
}

var sqliteTemplate = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "parley-template")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "t.db")
	if err := migrate(path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

func sqliteURL(t testing.TB) string {
	t.Helper()
	b, err := sqliteTemplate()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "parley.db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return "sqlite:" + path
}

func migrate(url string) error {
	ctx := context.Background()
	d, err := db.Open(ctx, url, db.Options{})
	if err != nil {
		return err
	}
	return errors.Join(d.Migrate(ctx), d.Close())
}

// postgresTemplate makes one migrated database per state of the migrations;
// CREATE DATABASE … TEMPLATE is far quicker than migrating for every test.
var postgresTemplate = sync.OnceValues(func() (string, error) {
	ctx := context.Background()
	url, err := pgtemp.URL(ctx, "test", false)
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("parley_tpl_%x", db.SchemaHash(fnv.New64a()))
	pool, err := sql.Open("pgx", url)
	if err != nil {
		return "", err
	}
	defer pool.Close()
	conn, err := pool.Conn(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock(4242)"); err != nil { // one process builds it
		return "", err
	}
	defer func() { _, _ = conn.ExecContext(ctx, "SELECT pg_advisory_unlock(4242)") }() // closing frees it too
	var n int
	if err := conn.QueryRowContext(ctx, "SELECT count(*) FROM pg_database WHERE datname = $1", name).Scan(&n); err != nil || n > 0 {
		return name, err
	}
	building := name + "_b" + uuid.NewString()[:8]
	if _, err := conn.ExecContext(ctx, "CREATE DATABASE "+building); err != nil {
		return "", err
	}
	if err := migrate(withDatabase(url, building)); err != nil {
		return "", err
	}
	return name, insist(func() error { // the server lets go of who has just left a little later
		_, err := conn.ExecContext(ctx, "ALTER DATABASE "+building+" RENAME TO "+name)
		return err
	})
})

// insist does what fails as long as somebody else is in the way.
func insist(do func() error) error {
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := do()
		var pg *pgconn.PgError
		if err == nil || time.Now().After(end) || !errors.As(err, &pg) {
			return err
		}
		switch pg.Code {
		case "55006", "53300", "57P03": // object in use, too many connections, cannot connect now
		default:
			return err
		}
	}
}

func postgresURL(t testing.TB) string {
	t.Helper()
	ctx := context.Background()
	tpl, err := postgresTemplate()
	if errors.Is(err, pgtemp.ErrMissing) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	url, err := pgtemp.URL(ctx, "test", false)
	if err != nil {
		t.Fatal(err)
	}
	name := "parley_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	admin := func(q string) error {
		pool, err := sql.Open("pgx", url)
		if err != nil {
			return err
		}
		defer pool.Close()
		_, err = pool.ExecContext(ctx, q)
		return err
	}
	// The template is briefly busy while another test copies it.
	if err := insist(func() error { return admin("CREATE DATABASE " + name + " TEMPLATE " + tpl) }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := admin("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)"); err != nil {
			t.Log(err)
		}
	})
	return withDatabase(url, name)
}

func withDatabase(url, name string) string {
	return strings.Replace(url, "/postgres?", "/"+name+"?", 1)
}
