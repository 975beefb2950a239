package media

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// The two sides of a recording are in time with each other and whole, when the
// clocks tick as they should: here they are driven by hand.
func TestRecordingIsInTime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "call.wav")
	var n int64
	io := newBatch()
	var left, right *Session
	step := func() {
		n++
		for s, other := range map[*Session]*Session{left: right, right: left} {
			s.tick(n, io)
			reached(t, other) // one packet a tick
		}
	}
	_, left, right = duoOn(t, handClock, Options{}, Stream{Codec: PCMA, Send: true}, Stream{Codec: PCMU, Send: true}, Events{}, Events{}, path)
	if err := inTime(left, right, path, func(done <-chan struct{}) {
		for range 1000 {
			select {
			case <-done:
				return
			default:
				step()
			}
		}
		t.Fatal("not in twenty seconds of the line")
	}); err != nil {
		t.Error(err)
	}
}

// The same by the engine's own clocks. A machine that stands still for longer
// than a clock makes up for (200 ms), or than a packet may be late (60 ms), makes
// gaps that are not the engine's; it does not do so every time.
func TestRecordingIsInTimeByTheClock(t *testing.T) {
	t.Parallel()
	for end := time.Now().Add(patience); ; {
		path := filepath.Join(t.TempDir(), "call.wav")
		_, left, right := duo(t, Options{}, Stream{Codec: PCMA, Send: true}, Stream{Codec: PCMU, Send: true}, Events{}, Events{}, path)
		err := inTime(left, right, path, func(done <-chan struct{}) { within(t, "sound", done) })
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
		t.Log("again:", err)
	}
}

// handClock is a clock that never ticks by itself; its sessions begin at tick 1.
func handClock() *clock { return newClock(time.Now().Add(time.Hour)) }

// reached waits until a packet lies at a session's socket: the kernel may hand it
// over a moment after it was sent.
func reached(t *testing.T, s *Session) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		n, _, err := unix.Recvfrom(s.sock.fd, make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if err == nil && n > 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("no packet came: %v", err)
		}
	}
}

// inTime has two sessions speak one after the other, closes the left one and
// tells what is wrong with its recording. wait lets time go by until done.
func inTime(left, right *Session, path string, wait func(done <-chan struct{})) error {
	pcm := make([]int16, Rate/5)
	for i := range pcm {
		pcm[i] = int16(12000 * math.Sin(float64(i))) // no key: a key ends hearing
	}
	tone := NewPrompt(Sound{Samples: pcm, Channels: 1, Rate: Rate})
	wait(left.Play(tone).Done())
	h := left.Hear(3*time.Second, 400*time.Millisecond)
	wait(right.Play(tone).Done())
	wait(h.Done())
	from, to, spoke := h.Span()
	rep := left.Close()
	if rep.Recording.Err != nil || rep.Stats.Lost != 0 || rep.Stats.Late != 0 || !spoke {
		return fmt.Errorf("%+v, spoke %v", rep, spoke)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	s, err := ReadWAV(bytes.NewReader(b))
	if err != nil || s.Channels != 2 || s.Duration() != rep.Recording.Duration {
		return fmt.Errorf("%d channels, %v of %v: %w", s.Channels, s.Duration(), rep.Recording.Duration, err)
	}
	loudAt := func(ch int) (first, last int) {
		first = -1
		for i := ch; i < len(s.Samples); i += 2 {
			if v := s.Samples[i]; v > 3000 || v < -3000 {
				if last = i / 2; first < 0 {
					first = i / 2
				}
			}
		}
		return first, last
	}
	a, b1 := loudAt(0)
	c, d := loudAt(1)
	if got := b1 - a; got < 1590 || got > 1600 {
		return fmt.Errorf("200 ms of the left side last %d samples", got)
	}
	if got := d - c; got < 1590 || got > 1600 {
		return fmt.Errorf("200 ms of the right side last %d samples", got)
	}
	if at := time.Duration(c) * time.Second / Rate; at < from || at > to {
		return fmt.Errorf("the words at %v are outside of %v to %v", at, from, to)
	}
	w, err := Peaks(bytes.NewReader(b), 50)
	if err != nil || len(w.Left) != 50 || len(w.Right) != 50 || w.Left[0] < 0.2 {
		return fmt.Errorf("waveform %v: %w", w, err)
	}
	return nil
}

// A machine that stood still has heard nobody meanwhile, and has not been without
// anybody: neither a call nor a message ends by that. What is cut out is no longer
// than was asked for, and nothing before the first tick belongs to it.
func TestStandingStillIsNoSilence(t *testing.T) {
	t.Parallel()
	quiet := make(chan error, 8)
	_, left, right := duoOn(t, handClock, Options{Quiet: time.Second}, Stream{Codec: PCMA, Send: true}, Stream{Codec: PCMA, Send: true},
		Events{Fault: func(err error) { quiet <- err }}, Events{}, "")
	io := newBatch()
	h := left.Hear(500*time.Millisecond, time.Second)
	left.tick(1000, io) // an engine that has been up for long
	right.tick(1000, io)
	reached(t, left)
	left.tick(2000, io)
	within(t, "the most", h.Done())
	if from, to, spoke := h.Span(); spoke || from != 0 || to-from != 500*time.Millisecond {
		t.Errorf("%v to %v, spoke %v", from, to, spoke)
	}
	h = left.Hear(time.Hour, time.Second)
	left.tick(9000, io)
	select {
	case <-h.Done():
		t.Error("a stop of the machine counts as silence")
	case err := <-quiet:
		t.Error("a stop of the machine ended the call:", err)
	default:
	}
	for n := range int64(60) {
		left.tick(9001+n, io)
	}
	within(t, "silence", h.Done())
	if from, to, spoke := h.Span(); spoke || from != 1999*Frame || to-from != (7000+49)*Frame {
		t.Errorf("%v to %v, spoke %v", from, to, spoke) // one tick after the stop, 49 more: a second
	}
	within(t, "no sound", told(quiet))
}

// told closes what it gives once an error came.
func told(errs <-chan error) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		if err := <-errs; errors.Is(err, ErrQuiet) {
			close(done)
		}
	}()
	return done
}

// broken is a disk that fails after some bytes.
type broken struct {
	file
	left int
}

func (b *broken) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errors.New("no space left on device")
	}
	return b.file.Write(p)
}

func TestDiskFillsWhileRecording(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e, err := New(Options{IP: netip.AddrFrom4([4]byte{127, 0, 0, 1})})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.create = func(path string) (file, error) {
		f, err := createFile(path)
		return &broken{f, 20000}, err
	}
	told := make(chan struct{})
	s, err := e.Open(filepath.Join(dir, "x.wav"), Events{Fault: func(err error) {
		if strings.Contains(err.Error(), "no space") {
			close(told)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.Set(Stream{Remote: netip.MustParseAddrPort("127.0.0.1:9"), Codec: PCMA, Send: true})
	within(t, "fault", told)
	if rep := s.Close(); rep.Recording.Err == nil || rep.Recording.SHA256 != "" {
		t.Errorf("%+v", rep.Recording)
	}
}

// What was placed is what is written, silence where nothing was placed.
func TestRecorderWindow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWriter()
		r := &recorder{w: w, fault: func(error) {}}
		r.begin(PCMA)
		<-w.jobs
		const length = 5 * Rate
		want := bytes.Repeat([]byte{0xD5}, 2*length)
		for at := int64(0); at < length; at += FrameSamples {
			for range rapid.IntRange(0, 1).Draw(t, "packets") {
				pos := at - int64(rapid.IntRange(0, 3000).Draw(t, "delay"))
				ch, b := rapid.IntRange(0, 1).Draw(t, "side"), byte(rapid.IntRange(0, 200).Draw(t, "sound"))
				size := rapid.SampledFrom([]int{80, 160, 240}).Draw(t, "size")
				base := r.base
				if placed := r.place(ch, pos, bytes.Repeat([]byte{b}, size)); placed != (pos+int64(size) > base) {
					t.Fatalf("placed %v at %d of %d", placed, pos, base)
				}
				for p := max(pos, base); p < pos+int64(size); p++ {
					if p < length {
						want[2*p+int64(ch)] = b
					}
				}
			}
			r.advance(at + FrameSamples)
		}
		for r.base < length {
			r.emit(min(length, r.base+chunk))
		}
		var got []byte
		for len(w.jobs) > 0 {
			got = append(got, (<-w.jobs).data...)
		}
		if !bytes.Equal(got, want) {
			t.Fatal("written sound differs from what was placed")
		}
	})
}
