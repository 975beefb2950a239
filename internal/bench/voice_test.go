package bench

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"
)

// A small load gives every figure, and none of them is impossible.
func TestVoiceFigures(t *testing.T) {
	if _, err := exec.LookPath("sipp"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("sipp is not installed; CI needs it")
		}
		t.Skip("sipp is not installed")
	}
	began := time.Now()
	got := smallLoad(t)
	for _, name := range []string{"parley answered", "diago answered"} {
		if got[name] != 10 {
			t.Errorf("%s is %v", name, got[name])
		}
	}
	for _, name := range []string{"parley cpu_ms_per_call_s", "diago cpu_ms_per_call_s", "parley ratio_to_diago"} {
		if got[name] <= 0 {
			t.Errorf("%s is %v", name, got[name])
		}
	}
	// 50 a second and call, as well as the machine keeps time: never more than fit
	// into all of it, and about as many as there should be once it was not disturbed.
	const least, most = 500, 2000
	for end := began.Add(3 * time.Minute); ; {
		n := got["parley packets_sent"]
		if fit := 10 * (50*time.Since(began).Seconds() + 2); n < 1 || n > fit {
			t.Errorf("%v packets sent in 10 calls of 2 s; %v fit", n, fit)
		}
		if n >= least && n <= most || t.Failed() {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%v packets sent in 10 calls of 2 s", n)
		}
		began, got = time.Now(), smallLoad(t)
	}
}

// smallLoad measures ten calls of two seconds and gives the figures.
func smallLoad(t *testing.T) map[string]float64 {
	t.Helper()
	var out bytes.Buffer
	load := voiceLoad{calls: 10, talk: 2 * time.Second, pace: 4 * time.Millisecond, dir: t.TempDir()}
	if err := load.report(t.Context(), NewReport(&out, true)); err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for d := json.NewDecoder(&out); d.More(); {
		var l Line
		if err := d.Decode(&l); err != nil {
			t.Fatal(err)
		}
		got[l.Engine+" "+l.Metric] = l.Value
	}
	return got
}
