package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley/internal/access"
	"parley/internal/app"
	"parley/internal/campaign"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/machine/port"
	"parley/internal/policy"
	"parley/internal/roster"
)

// shared finds a file of real data that is not part of the project.
func shared(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("PARLEY_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared")
	}
	path := filepath.Join(dir, "data", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the data set %s is not here (a folder named shared beside the checkout, or PARLEY_SHARED)", name)
	}
	return path
}

// sipp starts a phone exchange by others: it answers every call and sends back
// what it hears.
func sipp(t *testing.T) (addr string) {
	t.Helper()
	path, err := exec.LookPath("sipp")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("sipp is not installed: apt-get install sip-tester")
		}
		t.Skip("sipp is not installed: apt-get install sip-tester")
	}
	free := func() int {
		p, err := port.Unused()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for range 5 { // it wants more ports beside those it is told, and ends where one is taken
		sip := free()
		cmd := exec.Command(path, "-sn", "uas", "-rtp_echo", "-nostdin", "-i", "127.0.0.1", "-p", strconv.Itoa(sip), "-mi", "127.0.0.1", "-mp", strconv.Itoa(free()),
			"-buff_size", "8000000")
		cmd.Dir = t.TempDir()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		over := make(chan struct{})
		go func() {
			_ = cmd.Wait() // it runs until told
			close(over)
		}()
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			<-over
		})
		if listens(t, sip, over) {
			return fmt.Sprintf("127.0.0.1:%d", sip)
		}
	}
	t.Fatal("sipp does not start")
	return ""
}

// listens waits until a port is taken; false when the program is over.
func listens(t *testing.T, p int, over <-chan struct{}) bool {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		select {
		case <-over:
			return false
		default:
		}
		if taken, err := port.Bound("udp", p); err != nil {
			t.Fatal(err)
		} else if taken {
			return true
		}
	}
	return false
}

const callsToMake = 200

// 41,188 rows of a real bank's phone campaign come in with numbers from an
// unassigned range, everybody is screened, and the first 200 who may be called
// are called through sipp; each call is recorded and the ledger verifies.
func TestUCICampaign(t *testing.T) {
	file := shared(t, "uci-bank-marketing/bank-additional-full.csv")
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			a := uciBank(t, engine, sipp(t))
			importUCI(t, a, file)
			maker, approver := staff(t, a, "maker", access.CampaignManager), staff(t, a, "checker", access.Approver)
			c, err := a.CreateCampaign(ctx, campaignFile(t), maker)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := a.AddEverybody(ctx, c.ID, maker); err != nil || n != 41188 {
				t.Fatalf("%d on the list, %v", n, err)
			}
			var first []string
			allowed, denied := 0, 0
			if err := a.Screen(ctx, c.ID, func(s app.Screened) error {
				if s.Verdict.Effect == policy.Allow {
					if allowed++; len(first) < callsToMake {
						first = append(first, s.Ref)
					}
				} else if denied++; s.Verdict.By != "CN-CONSENT-01" {
					t.Errorf("%s is denied by %s", s.Ref, s.Verdict.By)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			// 26,144 of the rows were reached on a mobile phone (SOURCE: column contact).
			if allowed != 26144 || denied != 41188-26144 {
				t.Errorf("%d allowed, %d denied", allowed, denied)
			}
			callFirst(t, a, first, maker, approver)
		})
	}
}

func uciBank(t *testing.T, engine, trunk string) *app.App {
	t.Helper()
	dir := t.TempDir()
	c := app.DefaultConfig()
	c.Telemetry.Addr = "" // tests run side by side
	c.Database.URL = dbtest.URL(t, engine)
	c.Keys.Dir, c.Recordings.Dir = filepath.Join(dir, "keys"), filepath.Join(dir, "recordings")
	c.HTTP.Addr, c.Trunk.Address, c.Trunk.Local = "127.0.0.1:0", trunk, "127.0.0.1:0"
	c.Trunk.MediaFrom, c.Trunk.MediaTo = 30000, 39998
	if engine == "postgres" {
		c.Trunk.MediaFrom, c.Trunk.MediaTo = 40000, 49998
	}
	now := time.Now()
	ten := time.Date(2026, 11, 23, 10, 0, 0, 0, time.FixedZone("CST", 8*3600)).Sub(now)
	a, err := app.Open(context.Background(), app.Options{Config: c, Clock: func() time.Time { return time.Now().Add(ten) },
		Log: slog.New(slog.DiscardHandler), Simulated: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

func importUCI(t *testing.T, a *app.App, file string) {
	t.Helper()
	ctx := context.Background()
	for _, kind := range []string{"customers", "consents"} {
		m, err := roster.ReadMapping("../examples/uci/" + kind + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		o := roster.Options{Path: file, Mapping: m, Rejects: filepath.Join(t.TempDir(), "rejects.csv"), By: "test"}
		var res roster.Result
		if kind == "customers" {
			res, err = roster.Customers(ctx, a.DB, a.Party, o)
		} else {
			res, err = roster.Consents(ctx, a.DB, a.Party, a.Consent, time.UTC, o)
		}
		if err != nil || res.Rows != 41188 || res.Rejected != 0 {
			t.Fatalf("%s: %+v, %v", kind, res, err)
		}
	}
}

func staff(t *testing.T, a *app.App, login string, r access.Role) contact.ID {
	t.Helper()
	id, err := a.AddStaff(context.Background(), access.Staff{Login: login, Name: login}, []string{string(r)}, "a long enough password")
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func campaignFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "campaign.yaml")
	text := "name: UCI\npurpose: marketing\nproduct: deposit\ncaller_id: \"95500\"\nscript: deposit_offer\nmax_attempts: 1\nconcurrency: 100\ncalls_per_second: 25\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func callFirst(t *testing.T, a *app.App, refs []string, maker, approver contact.ID) {
	t.Helper()
	ctx := context.Background()
	c, err := a.CreateCampaign(ctx, campaignFile(t), maker)
	if err != nil {
		t.Fatal(err)
	}
	if n, unknown, err := a.AddListed(ctx, c.ID, strings.NewReader(strings.Join(refs, "\n")), maker); err != nil || n != callsToMake || len(unknown) > 0 {
		t.Fatalf("%d on the list, unknown %v, %v", n, unknown, err)
	}
	step := func(x *campaign.Campaign, err error) *campaign.Campaign {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	c = step(a.Campaigns.Submit(ctx, c.ID, maker, ""))
	if _, err := a.Campaigns.Start(ctx, c.ID, maker); err == nil {
		t.Fatal("a campaign nobody approved was started")
	}
	c = step(a.Campaigns.Approve(ctx, c.ID, approver, c.Version, c.Hash))
	step(a.Campaigns.Start(ctx, c.ID, maker))
	r, err := a.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the list to be called", patience, func() bool {
		x, err := a.Campaigns.Get(ctx, c.ID)
		if err != nil {
			t.Fatal(err)
		}
		return x.State == campaign.Done
	})
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
	if err := a.DB.Read(ctx, func(tx *db.Tx) error {
		n, err := a.Sender.Counts(ctx, tx, c.ID)
		if n.Placed != callsToMake || n.Answered != callsToMake || n.Recorded != callsToMake {
			t.Errorf("placed %d, answered %d, recorded %d of %d", n.Placed, n.Answered, n.Recorded, callsToMake)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	rep, err := a.Ledger.Verify(ctx, func(int64, int64) {})
	if err != nil || !rep.OK() || rep.Pending != 0 {
		t.Errorf("ledger: %v, %d pending, %v", err, rep.Pending, rep.Problems)
	}
}
