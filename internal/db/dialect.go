package db

import (
	"context"
	"database/sql"
)

// Dialect is all that differs between the engines. Five methods at most: a
// sixth is a sign that the SQL should change instead.
type Dialect interface {
	// Name is "sqlite" or "postgres".
	Name() string
	// ForUpdate locks the selected rows until the transaction ends. SQLite's
	// single writer already holds that lock, so there it is empty.
	ForUpdate() string
	// Size gives the bytes the database takes.
	Size() string
	// Clock gives the engine's own clock in microseconds.
	Clock() string

	hasTable(ctx context.Context, pool *sql.DB, table string) (bool, error)
}

type sqlite struct{}

func (sqlite) Name() string      { return "sqlite" }
func (sqlite) ForUpdate() string { return "" }
func (sqlite) Size() string {
	return "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
}
func (sqlite) Clock() string {
	return "SELECT CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"
}
func (sqlite) hasTable(ctx context.Context, pool *sql.DB, table string) (bool, error) {
	return exists(ctx, pool, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = $1", table)
}

type postgres struct{}

func (postgres) Name() string      { return "postgres" }
func (postgres) ForUpdate() string { return " FOR UPDATE" }
func (postgres) Size() string      { return "SELECT pg_database_size(current_database())" }
func (postgres) Clock() string {
	return "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"
}
func (postgres) hasTable(ctx context.Context, pool *sql.DB, table string) (bool, error) {
	return exists(ctx, pool, "SELECT count(*) FROM information_schema.tables WHERE table_name = $1", table)
}

func exists(ctx context.Context, pool *sql.DB, q, arg string) (bool, error) {
	var n int
	err := pool.QueryRowContext(ctx, q, arg).Scan(&n)
	return n > 0, err
}
