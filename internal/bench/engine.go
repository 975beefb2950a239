package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"

	"github.com/google/uuid"

	"parley/internal/db"
)

// Measured gives those of o.Engines that can be measured, and says which cannot.
func Measured(o Options, r *Report) []string {
	var out []string
	for _, e := range o.Engines {
		if e == "postgres" && o.PostgresURL == "" {
			r.Note("postgres is left out: no server was named and none could be started")
			continue
		}
		out = append(out, e)
	}
	return out
}

// Fresh gives the address of a new, empty database on an engine and a function
// that removes it.
func Fresh(ctx context.Context, o Options, engine string) (address string, remove func() error, err error) {
	switch engine {
	case "sqlite":
		dir, err := os.MkdirTemp(o.Dir, "bench-")
		if err != nil {
			return "", nil, fmt.Errorf("scratch directory: %w", err)
		}
		address = "sqlite:" + dir + "/bench.db"
		remove = func() error { return os.RemoveAll(dir) }
	case "postgres":
		name := "parley_bench_" + strings.ReplaceAll(uuid.NewString(), "-", "")
		if err := onServer(ctx, o.PostgresURL, "CREATE DATABASE "+name); err != nil {
			return "", nil, err
		}
		u, err := url.Parse(o.PostgresURL)
		if err != nil {
			return "", nil, fmt.Errorf("PostgreSQL address: %w", err)
		}
		u.Path = "/" + name
		address = u.String()
		remove = func() error {
			return onServer(context.WithoutCancel(ctx), o.PostgresURL, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
		}
	default:
		return "", nil, fmt.Errorf("engine %q is not sqlite or postgres", engine)
	}
	return address, remove, nil
}

// openEngine makes a fresh migrated database on an engine, with the durability
// production uses, and gives a function that closes and removes it.
func openEngine(ctx context.Context, o Options, engine string) (*db.DB, func(), error) {
	address, remove, err := Fresh(ctx, o, engine)
	if err != nil {
		return nil, nil, err
	}
	d, err := db.Open(ctx, address, db.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	if err := d.Migrate(ctx); err != nil {
		return nil, nil, errors.Join(err, d.Close(), remove())
	}
	return d, func() {
		if err := errors.Join(d.Close(), remove()); err != nil {
			slog.Warn("bench: could not remove the scratch database", "engine", engine, "err", err)
		}
	}, nil
}

// onServer runs one statement in the server's maintenance database.
func onServer(ctx context.Context, address, q string) error {
	pool, err := sql.Open("pgx", address)
	if err != nil {
		return fmt.Errorf("PostgreSQL server: %w", err)
	}
	defer pool.Close()
	if _, err := pool.ExecContext(ctx, q); err != nil {
		return fmt.Errorf("PostgreSQL server: %w", err)
	}
	return nil
}
