package voice

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/emiago/diago"
	"github.com/emiago/sipgo"

	"parley/internal/voice/media"
)

// diagoPhone answers with another stack of Go and does what serve says.
func diagoPhone(t *testing.T, serve func(*diago.DialogServerSession)) string {
	t.Helper()
	ua, err := sipgo.NewUA()
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	dg := diago.NewDiago(ua, diago.WithLogger(slog.New(slog.DiscardHandler)),
		diago.WithTransport(diago.Transport{Transport: "udp", BindHost: "127.0.0.1", BindPort: port}))
	ctx, stop := context.WithCancel(context.Background())
	if err := dg.ServeBackground(ctx, serve); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = ua.Close() })
	return fmt.Sprintf("127.0.0.1:%d", port)
}

func TestDiagoKeys(t *testing.T) {
	t.Parallel()
	heard := make(chan rune, 8)
	addr := diagoPhone(t, func(d *diago.DialogServerSession) {
		_ = d.Trying()
		_ = d.Ringing()
		if err := d.Answer(); err != nil {
			t.Error(err)
			return
		}
		w := d.AudioWriterDTMF()
		for _, k := range "94" {
			if err := w.WriteDTMF(k); err != nil {
				t.Error(err)
			}
		}
		_ = d.AudioReaderDTMF().Listen(func(k rune) error { heard <- k; return nil }, 2*patience)
		<-d.Context().Done()
	})
	e := listen(t, Config{Proxy: addr, Timing: patient()})
	ctx, stop := context.WithTimeout(t.Context(), 2*patience)
	defer stop()
	c, err := e.Dial(ctx, Dial{To: "13800138000", From: "95588", Record: filepath.Join(t.TempDir(), "call.wav")})
	if err != nil {
		t.Fatal(err)
	}
	// A key stops the prompt it may stop, stays for Gather, and others do not stop it.
	long := media.NewPrompt(media.Sound{Samples: make([]int16, int(patience/time.Second)*media.Rate), Channels: 1, Rate: media.Rate})
	if played, err := c.PlayUntil(ctx, long, "4"); err != nil || played.All || played.Digit != '4' {
		t.Errorf("played %+v, %v", played, err)
	}
	if got, err := c.Gather(ctx, GatherSpec{Max: 3, Until: "#", Between: time.Second}); got != "94" || err != nil {
		t.Errorf("gathered %q, %v", got, err)
	}
	if err := c.SendDigits(ctx, "2*7"); err != nil {
		t.Error(err)
	}
	for _, want := range "2*7" {
		select {
		case got := <-heard:
			if got != want {
				t.Errorf("diago heard %q, want %q", got, want)
			}
		case <-ctx.Done():
			t.Fatal("diago did not hear the keys")
		}
	}
	if err := c.Hangup(ctx); err != nil {
		t.Error(err)
	}
	if end := c.End(); end.By != ByLocal || end.Recording.SHA256 == "" {
		t.Errorf("%+v", end)
	}
}

func TestDiagoHangsUpWhileWeWait(t *testing.T) {
	t.Parallel()
	addr := diagoPhone(t, func(d *diago.DialogServerSession) {
		if err := d.Answer(); err != nil {
			t.Error(err)
			return
		}
		time.Sleep(200 * time.Millisecond)
		_ = d.Hangup(d.Context())
	})
	e := listen(t, Config{Proxy: addr, Timing: patient()})
	c, err := e.Dial(t.Context(), Dial{To: "1", From: "2", Record: filepath.Join(t.TempDir(), "call.wav")})
	if err != nil {
		t.Fatal(err)
	}
	span, err := c.RecordMessage(t.Context(), 2*patience, patience)
	if !errors.Is(err, ErrEnded) || span.To < span.From {
		t.Errorf("%+v, %v", span, err)
	}
	<-c.Done()
	if end := c.End(); end.By != ByRemote || end.Recording.SHA256 == "" || span.To > end.Recording.Duration+media.Frame {
		t.Errorf("%+v, span %+v", end, span)
	}
}
