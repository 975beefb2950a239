package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"parley/internal/db/pgtemp"
)

// TestImportMeasures runs the benchmark on a short list and checks that every
// figure comes out on both engines.
func TestImportMeasures(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	url, err := pgtemp.URL(ctx, "test", false)
	if errors.Is(err, pgtemp.ErrMissing) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	o := Options{PostgresURL: url, Dir: t.TempDir()}
	for _, engine := range []string{"sqlite", "postgres"} {
		if err := benchImport(ctx, o, NewReport(&out, true), engine, 25_000); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]float64{}
	for dec := json.NewDecoder(&out); dec.More(); {
		var l Line
		if err := dec.Decode(&l); err != nil {
			t.Fatal(err)
		}
		got[l.Engine+" "+l.Metric] = l.Value
	}
	for _, engine := range []string{"sqlite", "postgres"} {
		for _, metric := range []string{"rows_per_s", "bare_rows_per_s", "ratio_to_bare_insert", "peak_heap"} {
			if got[engine+" "+metric] <= 0 {
				t.Errorf("%s %s: %v", engine, metric, got)
			}
		}
	}
	if left, err := os.ReadDir(o.Dir); err != nil || len(left) > 0 {
		t.Errorf("left behind in the scratch directory: %v, %v", left, err)
	}
}
