package bench

import (
	"bytes"
	"strings"
	"testing"
)

// The benchmark runs on SQLite and gives every figure it promises.
func TestAPIReportsItsFigures(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := runAPI(t.Context(), Options{Engines: []string{"sqlite"}, Dir: t.TempDir()}, NewReport(&out, true), 1000, 200, 1); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"case":"bare gate call","metric":"p99_ms"`, `"case":"POST decisions, 200/s","metric":"p99_ms"`,
		`"metric":"answered_per_s"`, `Idempotency-Key","metric":"p99_over_bare_gate"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in\n%s", want, out.String())
		}
	}
}
