package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strconv"
	"testing"

	"parley/internal/db/pgtemp"
)

// TestGateFigures prints the figures of the gate and of screening when
// PARLEY_BENCH is set.
func TestGateFigures(t *testing.T) {
	if os.Getenv("PARLEY_BENCH") == "" {
		t.Skip("set PARLEY_BENCH=1 (quick) or 2 (full) to measure")
	}
	ctx := context.Background()
	url, err := pgtemp.URL(ctx, "bench", true)
	if err != nil {
		t.Fatal(err)
	}
	v, _ := strconv.Atoi(os.Getenv("PARLEY_BENCH"))
	o := Options{Quick: v == 1, Engines: []string{"sqlite", "postgres"}, PostgresURL: url, Dir: t.TempDir()}
	r := NewReport(os.Stdout, false)
	if err := Gate(ctx, o, r); err != nil {
		t.Fatal(err)
	}
	if err := Screen(ctx, o, r); err != nil {
		t.Fatal(err)
	}
}

// Every case of the gate's benchmark gives its figures.
func TestGateCases(t *testing.T) {
	if testing.Short() {
		t.Skip("measures for some seconds")
	}
	t.Parallel()
	ctx := context.Background()
	var out bytes.Buffer
	r := NewReport(&out, true)
	o := Options{Dir: t.TempDir()}
	s := size{people: 5000, big: 1, small: 2, ones: 5, singles: 640, grown: 3000, aged: 1000, past: 20, rounds: 2}
	if err := benchGate(ctx, o, r, "sqlite", s); err != nil {
		t.Fatal(err)
	}
	if err := gateGrowth(ctx, o, r, "sqlite", s); err != nil {
		t.Fatal(err)
	}
	if err := benchScreen(ctx, o, r, "sqlite", 4000, 1); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for dec := json.NewDecoder(&out); dec.More(); {
		var l Line
		if err := dec.Decode(&l); err != nil {
			t.Fatal(err)
		}
		if l.Value <= 0 {
			t.Errorf("%s %s is %v", l.Case, l.Metric, l.Value)
		}
		got[l.Case+" "+l.Metric] = true
	}
	for _, want := range []string{
		"batch=1 decisions_per_s", "batch=100 ratio_to_bare_insert", "batch=1000 ratio_to_bare_insert", "singles=64 decisions_per_s",
		"singles=64 p99_ms", "history=0-20 table=10000-20000 growth_ratio", "people=4000 contacts_per_s",
	} {
		if !got[want] {
			t.Errorf("no figure for %s", want)
		}
	}
}
