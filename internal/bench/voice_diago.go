package bench

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/diago"
	diagomedia "github.com/emiago/diago/media"
	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"parley/internal/machine/port"
	"parley/internal/voice/media"
)

// callWithDiago places the load the way diago's own examples do: one goroutine
// reads, one writes, its stereo recorder stands between.
func callWithDiago(ctx context.Context, peers []string, load voiceLoad, wav string) (voiceResult, error) {
	var sum voiceResult
	prompt, err := readULaw(wav)
	if err != nil {
		return sum, err
	}
	quiet := slog.New(slog.DiscardHandler)
	ua, err := sipgo.NewUA(sipgo.WithUserAgent("diago"))
	if err != nil {
		return sum, err
	}
	defer ua.Close()
	local, err := port.Unused()
	if err != nil {
		return sum, err
	}
	dg := diago.NewDiago(ua, diago.WithLogger(quiet),
		diago.WithTransport(diago.Transport{Transport: "udp", BindHost: "127.0.0.1", BindPort: local}),
		diago.WithMediaConfig(diago.MediaConfig{Codecs: []diagomedia.Codec{diagomedia.CodecAudioUlaw, diagomedia.CodecTelephoneEvent8000}}))
	serving, stop := context.WithCancel(ctx)
	defer stop()
	if err := dg.ServeBackground(serving, func(d *diago.DialogServerSession) {}); err != nil {
		return sum, err
	}
	var to []sip.Uri
	for _, peer := range peers {
		at, err := netip.ParseAddrPort(peer)
		if err != nil {
			return sum, err
		}
		to = append(to, sip.Uri{Host: at.Addr().String(), Port: int(at.Port())})
	}
	var mu sync.Mutex
	spread(load, func(i int) {
		callee := to[i%len(to)]
		callee.User = fmt.Sprintf("1%05d", i)
		one, err := diagoCall(ctx, dg, callee, load, prompt, i)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			sum.fail(err)
			return
		}
		sum.answered++
		sum.seconds += one.seconds
		sum.sent += one.sent
		sum.lost += one.lost
	})
	return sum, nil
}

// diagoCall is one recorded call.
func diagoCall(ctx context.Context, dg *diago.Diago, to sip.Uri, load voiceLoad, prompt []byte, i int) (voiceResult, error) {
	var res voiceResult
	dialling, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	d, err := dg.Invite(dialling, to, diago.InviteOptions{})
	if err != nil {
		return res, err
	}
	defer d.Close()
	f, err := os.Create(filepath.Join(load.dir, fmt.Sprintf("diago-%d.wav", i)))
	if err != nil {
		return res, err
	}
	defer f.Close()
	rec, err := d.AudioStereoRecordingCreate(f)
	if err != nil {
		return res, err
	}
	start := time.Now()
	var heard atomic.Uint64
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		buf := make([]byte, diagomedia.RTPBufSize)
		for r := io.Reader(rec.AudioReader()); ; heard.Add(1) {
			if _, err := r.Read(buf); err != nil {
				return
			}
		}
	}()
	// The writer keeps its own clock of 20 ms.
	for at := 0; time.Since(start) < load.talk && at+media.FrameSamples <= len(prompt); at += media.FrameSamples {
		if _, err := rec.AudioWriter().Write(prompt[at : at+media.FrameSamples]); err != nil {
			break
		}
		res.sent++
	}
	res.seconds = time.Since(start).Seconds()
	hangup, stopHangup := context.WithTimeout(ctx, time.Minute)
	defer stopHangup()
	if err := d.Hangup(hangup); err != nil {
		return res, err
	}
	if err := d.Close(); err != nil {
		return res, err
	}
	<-listening
	res.lost = missing(res.sent, heard.Load())
	return res, rec.Close()
}

// readULaw gives a prompt in the coded form diago's writer takes.
func readULaw(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, err := media.ReadWAV(f)
	if err != nil {
		return nil, err
	}
	out := make([]byte, len(s.Samples))
	for i, v := range s.Samples {
		out[i] = media.PCMU.Encode(v)
	}
	return out, nil
}
