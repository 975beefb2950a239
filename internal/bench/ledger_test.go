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

// TestLedgerMeasures runs the benchmark on a log too small to say anything and
// checks that every figure comes out on both engines.
func TestLedgerMeasures(t *testing.T) {
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
		if err := benchLedger(ctx, o, NewReport(&out, true), engine, 3000); err != nil {
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
	for _, want := range []string{"sqlite entries_per_s", "sqlite proof_ms", "postgres entries_per_s", "postgres proof_ms"} {
		if got[want] <= 0 {
			t.Errorf("%s: %v of %v", want, got[want], got)
		}
	}
	left, err := os.ReadDir(o.Dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind in the scratch directory: %v, %v", left, err)
	}
}

func TestPostgresIsLeftOutAloud(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	o := Options{Engines: []string{"sqlite", "postgres"}}
	if es := Measured(o, NewReport(&out, false)); len(es) != 1 || !bytes.Contains(out.Bytes(), []byte("postgres is left out")) {
		t.Fatalf("%v, %q", es, out.String())
	}
}
