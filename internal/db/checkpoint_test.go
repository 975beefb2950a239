package db

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// A long log is copied and begun anew while the database is in use: what is
// written then takes the place of what was copied, and nothing is lost.
func TestLogBeginsAnew(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "log.db")
	d, err := Open(ctx, path, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	// The test copies by itself. Of two checkpoints at once SQLite turns one
	// away, and what the other has not copied yet the log cannot begin anew over.
	d.copier.close()
	write := func(q string) {
		t.Helper()
		if err := d.Write(ctx, func(tx *Tx) error { _, err := tx.Exec(ctx, q); return err }); err != nil {
			t.Fatal(err)
		}
	}
	size := func() int64 {
		t.Helper()
		st, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return st.Size()
	}
	write("CREATE TABLE page (body BLOB)")
	write("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000) INSERT INTO page SELECT zeroblob(4000) FROM n")
	if err := d.copier.copy(ctx); err != nil {
		t.Fatal(err)
	}
	full := size()
	if full < longLog*4096 {
		t.Fatalf("the log has %d bytes only", full)
	}
	write("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) INSERT INTO page SELECT zeroblob(4000) FROM n")
	if now := size(); now != full {
		t.Errorf("the log went on from %d to %d bytes", full, now)
	}
	n := 0
	if err := d.Read(ctx, func(tx *Tx) error { return tx.QueryRow(ctx, "SELECT count(*) FROM page").Scan(&n) }); err != nil || n != 10_000 {
		t.Errorf("%d rows, %v", n, err)
	}
}
