package db

import "testing"

// Parameters become positional only where that changes nothing.
func TestPositional(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"SELECT 1", "SELECT 1"},
		{"INSERT INTO t VALUES ($1,$2),($3,$4)", "INSERT INTO t VALUES (?,?),(?,?)"},
		{"SELECT a FROM t WHERE b = $1 AND c IN ($2,$3)", "SELECT a FROM t WHERE b = ? AND c IN (?,?)"},
		{"SELECT $2, $1", "SELECT $2, $1"},
		{"SELECT $1 WHERE a = $1", "SELECT $1 WHERE a = $1"},
		{"SELECT '$1', $1", "SELECT '$1', ?"},
		{"SELECT 'it''s $9' || $1", "SELECT 'it''s $9' || ?"},
		{"SELECT $10", "SELECT $10"},
	} {
		if got := positional(c.in); got != c.want {
			t.Errorf("positional(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}
