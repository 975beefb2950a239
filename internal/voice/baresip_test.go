package voice

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/internal/voice/media"
)

// baresip starts a softphone that answers by itself; control is its ctrl_tcp.
func baresip(t *testing.T) (addr string, control net.Conn) {
	t.Helper()
	bin := needs(t, "baresip")
	dir := t.TempDir()
	port, ctrl := freePort(t), freePort(t)
	// It hangs up when its file ends, so the file is long: more than all that the test waits for.
	wav, err := os.Create(filepath.Join(dir, "say.wav"))
	if err != nil {
		t.Fatal(err)
	}
	if err := media.WriteWAV(wav, media.Sound{Samples: make([]int16, int(2*patience/time.Second)*media.Rate), Channels: 1, Rate: media.Rate}); err != nil {
		t.Fatal(err)
	}
	wav.Close()
	modules := "/usr/lib/baresip/modules"
	config := fmt.Sprintf(`net_interface 127.0.0.1
sip_listen 127.0.0.1:%d
module_path %s
module g711.so
module aufile.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:%d
audio_source aufile,%s
audio_player aufile,%s
audio_alert aufile,%s
`, port, modules, ctrl, wav.Name(), filepath.Join(dir, "out.wav"), filepath.Join(dir, "alert.wav"))
	for name, text := range map[string]string{
		"config":   config,
		"accounts": fmt.Sprintf("<sip:cust@127.0.0.1:%d>;regint=0;answermode=auto;audio_codecs=PCMA/8000/1\n", port),
		"contacts": "",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(bin, "-f", dir)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			b, _ := os.ReadFile(log.Name())
			t.Logf("baresip: %s", b)
		}
	})
	taken(t, "udp", port)
	taken(t, "tcp", ctrl)
	control, err = net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", ctrl))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = control.Close() })
	return fmt.Sprintf("127.0.0.1:%d", port), control
}

func TestBaresipKeysBothWays(t *testing.T) {
	t.Parallel()
	addr, control := baresip(t)
	e := listen(t, Config{Proxy: addr, Timing: patient()})
	ctx, stop := context.WithTimeout(t.Context(), 2*patience)
	defer stop()
	c, err := e.Dial(ctx, Dial{To: "cust", From: "95588", Record: filepath.Join(t.TempDir(), "call.wav")})
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan byte, 16)
	go func() { // netstrings of JSON, told apart by what stands in them
		defer close(heard)
		var all string
		for buf := make([]byte, 4096); ; {
			n, err := control.Read(buf)
			if err != nil {
				return
			}
			for all += string(buf[:n]); ; {
				_, after, ok := strings.Cut(all, "CALL_DTMF_START")
				if _, param, there := strings.Cut(after, `"param":"`); ok && there && param != "" {
					heard <- param[0]
					all = param
					continue
				}
				break
			}
		}
	}()
	if err := c.SendDigits(ctx, "120"); err != nil {
		t.Fatal(err)
	}
	var got string
	for len(got) < 3 {
		select {
		case key := <-heard:
			got += string(key)
		case <-ctx.Done():
			t.Fatalf("baresip heard %q only", got)
		}
	}
	if got != "120" {
		t.Errorf("baresip heard %q", got)
	}
	for _, key := range "5*" {
		msg := fmt.Sprintf(`{"command":"sndcode","params":"%c"}`, key)
		fmt.Fprintf(control, "%d:%s,", len(msg), msg)
		time.Sleep(300 * time.Millisecond)                          // it sends one key at a time
		msg = fmt.Sprintf(`{"command":"sndcode","params":"%c"}`, 4) // the key is let go
		fmt.Fprintf(control, "%d:%s,", len(msg), msg)
	}
	if got, err := c.Gather(ctx, GatherSpec{Max: 2, Timeout: patience, Between: patience}); got != "5*" || err != nil {
		t.Errorf("gathered %q, %v", got, err)
	}
	if err := c.Hangup(ctx); err != nil {
		t.Fatal(err)
	}
	if end := c.End(); end.Stats.Received == 0 || end.Stats.Strangers != 0 || end.Recording.SHA256 == "" {
		t.Errorf("%+v", end)
	}
	_ = control.Close()
	for range heard { // ends with the connection
	}
}
