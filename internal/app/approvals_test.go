package app

import (
	"log/slog"
	"path/filepath"
	"testing"

	"parley/internal/access"
	"parley/internal/console/approvals"
)

// openBank opens a bank of its own on SQLite, without trunk and pages.
func openBank(t *testing.T) *App {
	t.Helper()
	dir := t.TempDir()
	c := DefaultConfig()
	c.Database.URL = filepath.Join(dir, "parley.db")
	c.Keys.Dir, c.Keys.Create, c.Recordings.Dir = filepath.Join(dir, "keys"), true, filepath.Join(dir, "recordings")
	a, err := Open(t.Context(), Options{Config: c, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// Every kind of request that is registered has its words, and a permission
// that somebody holds.
func TestEveryKindOfApproval(t *testing.T) {
	t.Parallel()
	a := openBank(t)
	kinds := a.Approvals.Kinds()
	if len(kinds) == 0 {
		t.Fatal("no kind is registered")
	}
	for _, k := range kinds {
		if !approvals.Named(k) {
			t.Errorf("kind.%s and effect.%s are missing in internal/console/approvals/words.yaml", k, k)
		}
		if !access.May(access.Roles(), access.Permission(a.Approvals.Permission(k))) {
			t.Errorf("nobody may decide %s: no role has %q", k, a.Approvals.Permission(k))
		}
	}
}
