package e2e

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"parley/internal/app"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/outbound"
)

// kill -9 in the middle of calls: afterwards nobody is called twice, what may
// have reached a customer is unknown and stays so, and the ledger verifies.
func TestKilledInTheMiddleOfCalls(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "parley")
	if out, err := exec.Command("go", "build", "-o", bin, "../cmd/parley").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			database := filepath.Join(dir, "parley.db")
			args := []string{"demo", "--headless", "--people", "200", "--dir", dir}
			if engine == "postgres" {
				database = dbtest.URL(t, engine)
				args = append(args, "--database", database)
			}
			first := exec.Command(bin, append(args, "--for", "30m")...)
			if err := first.Start(); err != nil {
				t.Fatal(err)
			}
			until(t, "calls under way", patience, func() bool { // each keeps its recording there until it has ended
				spooled, err := filepath.Glob(filepath.Join(dir, "recordings", "spool", "*.wav"))
				return err == nil && len(spooled) >= 3
			})
			if err := first.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = first.Wait() // it was killed
			report := filepath.Join(dir, "report.json")
			out, err := exec.Command(bin, append(args, "--for", "15s", "--report", report)...).CombinedOutput()
			if err != nil {
				t.Fatalf("after the crash an invariant broke: %v\n%s", err, out)
			}
			var r app.Report
			raw, err := os.ReadFile(report)
			if err == nil {
				err = json.Unmarshal(raw, &r)
			}
			if err != nil {
				t.Fatal(err)
			}
			if r.Outcomes[contact.Unknown] == 0 {
				t.Error("no call was under way when the process was killed: the test saw nothing")
			}
			nobodyTwice(t, dir, database)
		})
	}
}

// nobodyTwice reads the attempts back: after one whose end is unknown the
// campaign has left that person alone.
func nobodyTwice(t *testing.T, dir, database string) {
	t.Helper()
	ctx := context.Background()
	c := app.DefaultConfig()
	c.Telemetry.Addr = "" // tests run side by side
	c.Database.URL, c.Keys.Dir, c.Recordings.Dir = database, filepath.Join(dir, "keys"), filepath.Join(dir, "recordings")
	c.Keys.Origin = "demo.parley.example/ledger"
	a, err := app.Open(ctx, app.Options{Config: c, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	cs, err := a.Campaigns.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, camp := range cs {
		seen := map[contact.ID]outbound.State{}
		if err := a.DB.Read(ctx, func(tx *db.Tx) error {
			ats, err := a.Sender.AttemptsByCampaign(ctx, tx, camp.ID, "", 10_000)
			for i := len(ats) - 1; i >= 0; i-- { // oldest first
				if seen[ats[i].Party] == outbound.Unknown {
					t.Errorf("%s was called again by %s after an attempt nobody knows the end of", ats[i].Party, camp.Name)
				}
				seen[ats[i].Party] = ats[i].State
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
}
