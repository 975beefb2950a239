package db

import (
	"context"
	"embed"
	"fmt"
	"hash"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrations embed.FS

// Migrate brings the schema up to this version of Parley. It is safe to run at
// every start: what has been applied is not applied again.
func (d *DB) Migrate(ctx context.Context) error {
	p, err := d.provider()
	if err != nil {
		return err
	}
	res, err := p.Up(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	for _, r := range res {
		d.log.Debug("migrated", "file", r.Source.Path, "took", r.Duration)
	}
	return d.loadHighWater(ctx)
}

// Pending gives how many migrations are not applied yet.
func (d *DB) Pending(ctx context.Context) (int, error) {
	p, err := d.provider()
	if err != nil {
		return 0, err
	}
	st, err := p.Status(ctx)
	if err != nil {
		return 0, fmt.Errorf("migration status: %w", err)
	}
	n := 0
	for _, s := range st {
		if s.State == goose.StatePending {
			n++
		}
	}
	return n, nil
}

func (d *DB) provider() (*goose.Provider, error) {
	dialect := goose.DialectSQLite3
	if d.dialect.Name() == "postgres" {
		dialect = goose.DialectPostgres
	}
	dir, err := fs.Sub(migrations, "migrations/"+d.dialect.Name())
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	p, err := goose.NewProvider(dialect, d.pool, dir)
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return p, nil
}

// SchemaHash sums the text of every migration, so that a test can tell whether
// a template database made earlier is still of this version.
func SchemaHash(h hash.Hash) []byte {
	// An embedded tree cannot fail to be read.
	_ = fs.WalkDir(migrations, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := migrations.ReadFile(path)
		h.Write([]byte(path))
		h.Write(b)
		return err
	})
	return h.Sum(nil)
}

// Empty reports whether the database has no schema of Parley's yet.
func (d *DB) Empty(ctx context.Context) (bool, error) {
	has, err := d.dialect.hasTable(ctx, d.pool, "clock")
	return !has, err
}
