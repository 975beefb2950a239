package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"parley/internal/machine/port"
	"parley/internal/voice"
	"parley/internal/voice/media"
)

// voiceLoad is the load both callers are put under.
type voiceLoad struct {
	calls int
	talk  time.Duration // of each call
	pace  time.Duration // between two calls' starts
	dir   string
}

// voiceResult is what a caller made of it.
type voiceResult struct {
	answered int
	failed   int
	why      error   // of the first that failed
	seconds  float64 // of talk, all calls together
	lost     uint64  // packets that did not come back
	late     uint64
	sent     uint64
	cpu      time.Duration // of this process only
	memory   int64         // bytes of resident memory at the height, above the start
}

// Voice measures concurrent recorded calls against sipp with RTP echo, and the
// same calls placed by a plain diago caller with its stereo recording. sipp
// is another process, so its work is in neither figure.
func Voice(ctx context.Context, o Options, r *Report) error {
	load := voiceLoad{calls: 500, talk: 10 * time.Second, pace: 4 * time.Millisecond}
	if o.Quick {
		load.talk = 6 * time.Second
	}
	if _, err := exec.LookPath("sipp"); err != nil {
		return fmt.Errorf("the benchmark calls sipp (package sip-tester): %w", err)
	}
	dir, err := os.MkdirTemp(o.Dir, "bench-voice-")
	if err != nil {
		return fmt.Errorf("scratch directory: %w", err)
	}
	defer os.RemoveAll(dir)
	load.dir = dir
	return load.report(ctx, r)
}

// report measures both callers and tells what came of it.
func (load voiceLoad) report(ctx context.Context, r *Report) error {
	ours, err := measure(ctx, load, callWithParley)
	if err != nil {
		return fmt.Errorf("parley: %w", err)
	}
	theirs, err := measure(ctx, load, callWithDiago)
	if err != nil {
		return fmt.Errorf("diago: %w", err)
	}
	name := fmt.Sprintf("calls=%d", load.calls)
	for _, c := range []struct {
		engine string
		res    voiceResult
	}{{"parley", ours}, {"diago", theirs}} {
		r.Add("voice", c.engine, name, "answered", float64(c.res.answered), "calls", float64(load.calls))
		r.Add("voice", c.engine, name, "cpu_ms_per_call_s", c.res.perSecond(), "ms", 0)
		r.Add("voice", c.engine, name, "packets_sent", float64(c.res.sent), "packets", 0)
		r.Add("voice", c.engine, name, "packets_lost", float64(c.res.lost), "packets", 0)
		if c.engine == "parley" {
			r.Add("voice", c.engine, name, "packets_late", float64(c.res.late), "packets", 0)
		}
		r.Add("voice", c.engine, name, "kb_per_call", float64(c.res.memory)/1024/float64(load.calls), "kB", 0)
	}
	r.Add("voice", "parley", name, "ratio_to_diago", ours.perSecond()/theirs.perSecond(), "ratio", 1)
	return nil
}

// perSecond is milliseconds of processor time for one second of one call.
func (v voiceResult) perSecond() float64 {
	return float64(v.cpu) / float64(time.Millisecond) / max(v.seconds, 1e-9)
}

func (v *voiceResult) fail(err error) {
	v.failed++
	if v.why == nil {
		v.why = err
	}
}

// caller places the calls of a load, in turn to each of the peers.
type caller func(ctx context.Context, peers []string, load voiceLoad, wav string) (voiceResult, error)

// phones is how many sipps share the calls. The echo of one is a single thread
// behind a socket buffer of 10 ms of 500 calls: it would lose what neither
// caller lost.
const phones = 4

// measure runs a caller against sipps of its own.
func measure(ctx context.Context, load voiceLoad, call caller) (voiceResult, error) {
	var peers []string
	for range phones {
		peer, stop, err := startSipp(ctx, load.dir)
		if err != nil {
			return voiceResult{}, err
		}
		defer stop()
		peers = append(peers, peer)
	}
	wav := filepath.Join(load.dir, "prompt.wav")
	if err := writePrompt(wav, load.talk+time.Second); err != nil {
		return voiceResult{}, err
	}
	runtime.GC()
	debug.FreeOSMemory()
	memory := watchMemory()
	before := processorTime()
	res, err := call(ctx, peers, load, wav)
	res.cpu = processorTime() - before
	res.memory = memory()
	if err == nil && res.answered == 0 {
		err = fmt.Errorf("no call was answered: %w", res.why)
	}
	return res, err
}

// callWithParley places the load with our own voice.
func callWithParley(ctx context.Context, peers []string, load voiceLoad, wav string) (voiceResult, error) {
	var sum voiceResult
	prompt, err := media.LoadPrompt(wav)
	if err != nil {
		return sum, err
	}
	var trunks []*voice.Endpoint
	defer func() {
		for _, e := range trunks {
			_ = e.Close()
		}
	}()
	for _, peer := range peers {
		e, err := voice.Listen(ctx, voice.Config{Local: "127.0.0.1:0", Proxy: peer, Timing: voice.Timing{Drain: 10 * time.Millisecond}})
		if err != nil {
			return sum, err
		}
		trunks = append(trunks, e)
	}
	var mu sync.Mutex
	spread(load, func(i int) {
		c, err := trunks[i%len(trunks)].Dial(ctx, voice.Dial{
			To: fmt.Sprintf("1%05d", i), From: "95588", MustRecord: true,
			Record: filepath.Join(load.dir, fmt.Sprintf("parley-%d.wav", i)),
		})
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			sum.fail(err)
			return
		}
		talking, stop := context.WithTimeout(ctx, load.talk)
		defer stop()
		_, _ = c.Play(talking, prompt) // ends with the time, not with the prompt
		hangup, stopHangup := context.WithTimeout(ctx, time.Minute)
		defer stopHangup()
		_ = c.Hangup(hangup)
		<-c.Done()
		end := c.End()
		mu.Lock()
		defer mu.Unlock()
		if end.By != voice.ByLocal || end.Recording.Err != nil {
			sum.fail(errors.Join(errors.New(end.Reason), end.Recording.Err))
			return
		}
		sum.answered++
		sum.seconds += end.Duration.Seconds()
		sum.sent += end.Stats.Sent
		sum.late += end.Stats.Late
		sum.lost += max(end.Stats.Lost, missing(end.Stats.Sent, end.Stats.Received))
	})
	return sum, nil
}

// missing is how many packets did not come back. The last few may still have
// been on their way when the call ended.
func missing(sent, received uint64) uint64 {
	const underway = 3
	if sent <= received+underway {
		return 0
	}
	return sent - received
}

// spread starts the calls one after another and waits for them all.
func spread(load voiceLoad, call func(i int)) {
	var wg sync.WaitGroup
	for i := range load.calls {
		wg.Go(func() { call(i) })
		time.Sleep(load.pace)
	}
	wg.Wait()
}

// startSipp runs a phone that answers everything and echoes what it hears.
func startSipp(ctx context.Context, dir string) (peer string, stop func(), err error) {
	var ports [3]int // SIP, RTP, control
	for i := range ports {
		if ports[i], err = port.Unused(); err != nil {
			return "", nil, err
		}
	}
	cmd := exec.CommandContext(ctx, "sipp", "-sn", "uas", "-rtp_echo", "-nostdin", "-i", "127.0.0.1", "-mi", "127.0.0.1",
		"-p", strconv.Itoa(ports[0]), "-mp", strconv.Itoa(ports[1]), "-cp", strconv.Itoa(ports[2]), "-buff_size", "8000000", "-trace_err")
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("start sipp: %w", err)
	}
	stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	peer = net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))
	for range 2400 { // it is up when its port is taken; it answers no OPTIONS
		if bound, err := port.Bound("udp", ports[0]); err != nil || bound {
			return peer, stop, err
		}
		time.Sleep(50 * time.Millisecond)
	}
	stop()
	return "", nil, errors.New("sipp did not start")
}

// writePrompt makes a WAV of a tone that comes and goes, for both callers.
func writePrompt(path string, length time.Duration) error {
	pcm := make([]int16, int(length*media.Rate/time.Second))
	for i := range pcm {
		pcm[i] = int16(6000 * math.Sin(float64(i)/5) * math.Sin(float64(i)/9000))
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(media.WriteWAV(f, media.Sound{Samples: pcm, Channels: 1, Rate: media.Rate}), f.Close())
}

// processorTime is the time this process, not its children, has computed.
func processorTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// watchMemory follows resident memory; the function it gives ends that and
// tells how much it grew.
func watchMemory() func() int64 {
	start, peak := resident(), int64(0)
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		t := time.NewTicker(250 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case <-t.C:
				peak = max(peak, resident()-start)
			}
		}
	}()
	return func() int64 { close(done); <-stopped; return peak }
}

// resident is this process's resident memory in bytes, 0 where it cannot be read.
func resident() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
