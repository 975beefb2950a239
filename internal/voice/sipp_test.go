package voice

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"parley/internal/machine/port"
	"parley/internal/voice/media"
)

// needs gives the path of a foreign peer. CI must have them all; elsewhere the
// test is skipped and says what is missing.
func needs(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed; CI needs it", name)
		}
		t.Skipf("%s is not installed", name)
	}
	return path
}

// freePort gives an even port on which nobody listens.
func freePort(t *testing.T) int {
	t.Helper()
	p, err := port.Unused()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// taken waits until a peer has bound its port.
func taken(t *testing.T, network string, at int) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		bound, err := port.Bound(network, at)
		if err != nil {
			t.Fatal(err)
		}
		if bound {
			return
		}
	}
	t.Fatalf("nobody listens on %s port %d", network, at)
}

// sipp starts sipp as a phone that answers at once and echoes RTP.
func sipp(t *testing.T, transport string, args ...string) string {
	t.Helper()
	bin := needs(t, "sipp")
	at, mediaPort := freePort(t), freePort(t)
	args = append([]string{
		"-sn", "uas", "-rtp_echo", "-i", "127.0.0.1", "-mi", "127.0.0.1", "-p", strconv.Itoa(at), "-mp", strconv.Itoa(mediaPort),
		"-nostdin", "-t", transport, "-cp", strconv.Itoa(freePort(t)),
	}, args...)
	cmd := exec.Command(bin, args...)
	cmd.Dir = t.TempDir()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	taken(t, map[string]string{"u1": "udp", "t1": "tcp"}[transport], at)
	return fmt.Sprintf("127.0.0.1:%d", at)
}

// listen opens an endpoint that the test closes.
func listen(t *testing.T, c Config) *Endpoint {
	t.Helper()
	if c.Local == "" {
		c.Local = "127.0.0.1:0"
	}
	e, err := Listen(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if s := e.Stats(); s.Active != 0 || s.Draining != 0 {
			t.Errorf("left behind: %+v", s)
		}
	})
	return e
}

func TestSippEcho(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			mode := map[string]string{"udp": "u1", "tcp": "t1"}[transport]
			e := listen(t, Config{Proxy: sipp(t, mode), Transport: transport, Codecs: []string{"pcmu"}, Timing: patient()})
			path := filepath.Join(t.TempDir(), "call.wav")
			ctx, stop := context.WithTimeout(t.Context(), 2*patience)
			defer stop()
			c, err := e.Dial(ctx, Dial{To: "1001", From: "95588", Record: path, MustRecord: true})
			if err != nil {
				t.Fatal(err)
			}
			p := media.Tones("159D", 100*time.Millisecond, 100*time.Millisecond)
			if played, err := c.Play(ctx, p); err != nil || !played.All {
				t.Fatalf("played %+v, %v", played, err)
			}
			got, err := c.Gather(ctx, GatherSpec{Max: 4, Timeout: patience, Between: patience})
			if err := c.Hangup(ctx); err != nil {
				t.Fatal(err)
			}
			end := c.End()
			if got != "159D" || err != nil { // echoed as sound: sipp's answer names no telephone-event
				t.Errorf("gathered %q, %v", got, err)
			}
			if end.By != ByLocal || end.Recording.Err != nil || end.Recording.SHA256 == "" || end.Stats.Lost != 0 || end.Stats.Received == 0 {
				t.Errorf("%+v", end)
			}
		})
	}
}
