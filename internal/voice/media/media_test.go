package media

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"parley/internal/machine/port"
)

// patience is how long a test waits for what must come: longer than the slowest machine takes for it.
const patience = 3 * time.Minute

// What is still there when the tests are through is looked at again before it
// counts as left behind: on a busy machine a goroutine's last step takes a while.
func TestMain(m *testing.M) {
	code := m.Run()
	for end := time.Now().Add(patience); code == 0; {
		err := goleak.Find()
		if err == nil {
			break
		}
		if time.Now().After(end) {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// G.711 has 256 values a law: each must come back as it was, but for the two
// zeros of µ-law, which are one silence.
func TestCodecRoundTrip(t *testing.T) {
	t.Parallel()
	for _, c := range []Codec{PCMA, PCMU} {
		for b := range 256 {
			got := c.Encode(c.Decode(byte(b)))
			if got != byte(b) && c.Decode(got) != c.Decode(byte(b)) {
				t.Errorf("%v %#x comes back as %#x", c, b, got)
			}
		}
		if v := c.Decode(c.Silence()); v < -8 || v > 8 {
			t.Errorf("%v silence is %d", c, v)
		}
	}
}

// Another program's tables must agree on every value.
func TestCodecAgainstSox(t *testing.T) {
	t.Parallel()
	sox, err := exec.LookPath("sox")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("sox is not installed; CI needs it")
		}
		t.Skip("sox is not installed")
	}
	raw := make([]byte, 256)
	for i := range raw {
		raw[i] = byte(i)
	}
	for name, c := range map[string]Codec{"al": PCMA, "ul": PCMU} {
		cmd := exec.Command(sox, "-D", "-t", name, "-r", "8000", "-c", "1", "-", "-t", "raw", "-e", "signed", "-b", "16", "-L", "-")
		cmd.Stdin = bytes.NewReader(raw)
		out, err := cmd.Output()
		if err != nil || len(out) != 512 {
			t.Fatalf("sox: %v, %d bytes", err, len(out))
		}
		for i := range raw {
			if want := int16(uint16(out[2*i]) | uint16(out[2*i+1])<<8); c.Decode(byte(i)) != want {
				t.Errorf("%s %#x is %d, sox says %d", name, i, c.Decode(byte(i)), want)
			}
		}
	}
}

func TestWAVRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := Sound{Channels: rapid.IntRange(1, 2).Draw(t, "channels"), Rate: Rate}
		for range rapid.IntRange(0, 400).Draw(t, "frames") * s.Channels {
			s.Samples = append(s.Samples, rapid.Int16().Draw(t, "sample"))
		}
		var b bytes.Buffer
		if err := WriteWAV(&b, s); err != nil {
			t.Fatal(err)
		}
		got, err := ReadWAV(&b)
		if err != nil || got.Channels != s.Channels || len(got.Samples) != len(s.Samples) {
			t.Fatalf("%d of %d samples: %v", len(got.Samples), len(s.Samples), err)
		}
		for i := range got.Samples {
			if got.Samples[i] != s.Samples[i] {
				t.Fatalf("sample %d: %d, want %d", i, got.Samples[i], s.Samples[i])
			}
		}
		c := rapid.SampledFrom([]Codec{PCMA, PCMU}).Draw(t, "codec")
		b.Reset()
		if err := WriteG711(&b, c, s); err != nil {
			t.Fatal(err)
		}
		p, err := NewPCM(bytes.NewReader(b.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		whole, err := io.ReadAll(p)
		if err != nil || int64(len(whole)) != p.Size() {
			t.Fatalf("%d of %d bytes: %v", len(whole), p.Size(), err)
		}
		// Any range is the same stretch of the whole, as a browser asks for it.
		at := rapid.IntRange(0, len(whole)).Draw(t, "at")
		if _, err := p.Seek(int64(at), io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(p); err != nil || !bytes.Equal(rest, whole[at:]) {
			t.Fatalf("from %d: %v", at, err)
		}
	})
}

func FuzzReadWAV(f *testing.F) {
	var b bytes.Buffer
	_ = WriteG711(&b, PCMA, Sound{Samples: make([]int16, 64), Channels: 2, Rate: Rate})
	f.Add(b.Bytes())
	f.Add(pcmHeader(1, Rate, 0xFFFFFFFF))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := ReadWAV(bytes.NewReader(raw))
		if err == nil && (s.Channels < 1 || len(s.Samples)%s.Channels != 0 || len(s.Samples) > len(raw)) {
			t.Fatalf("%d samples of %d channels from %d bytes", len(s.Samples), s.Channels, len(raw))
		}
		if p, err := NewPCM(bytes.NewReader(raw)); err == nil {
			if n, err := io.Copy(io.Discard, p); err != nil || n != p.Size() {
				t.Fatalf("%d of %d: %v", n, p.Size(), err)
			}
		}
		if _, err := ParsePrompt(raw); err != nil && !errors.Is(err, ErrNotWAV) {
			t.Fatal(err)
		}
	})
}

func TestResample(t *testing.T) {
	t.Parallel()
	for _, rate := range []int{8000, 11025, 16000, 22050, 44100, 48000} {
		pcm := make([]int16, rate)
		for i := range pcm {
			pcm[i] = int16(10000 * math.Sin(2*math.Pi*440*float64(i)/float64(rate)))
		}
		out := resample(pcm, rate)
		if len(out) != Rate {
			t.Errorf("%d Hz: %d samples of one second", rate, len(out))
			continue
		}
		for i := 200; i < Rate-200; i++ {
			if want := 10000 * math.Sin(2*math.Pi*440*float64(i)/Rate); math.Abs(float64(out[i])-want) > 300 {
				t.Errorf("%d Hz: sample %d is %d, want %.0f", rate, i, out[i], want)
				break
			}
		}
	}
}

// hearAll feeds sound to a detector and gives the keys.
func hearAll(pcm []int16) string {
	d := newDetector()
	var got []byte
	for _, v := range pcm {
		if k := d.feed(v); k != 0 {
			got = append(got, k)
		}
	}
	return string(got)
}

// Q.24: 40 ms of tone and 40 ms of pause must do, at any phase and with noise.
func TestTonesAreHeard(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		digits := rapid.StringOfN(rapid.RuneFrom([]rune(keys)), 1, 12, -1).Draw(t, "digits")
		on := time.Duration(rapid.IntRange(42, 200).Draw(t, "on")) * time.Millisecond
		off := time.Duration(rapid.IntRange(42, 200).Draw(t, "off")) * time.Millisecond
		c := rapid.SampledFrom([]Codec{PCMA, PCMU}).Draw(t, "codec")
		pcm := make([]int16, rapid.IntRange(0, block).Draw(t, "phase"))
		for _, b := range Tones(digits, on, off).frames(c) {
			pcm = append(pcm, c.Decode(b)+int16(rand.IntN(200)-100))
		}
		pcm = append(pcm, make([]int16, 3*block)...)
		if got := hearAll(pcm); got != digits {
			t.Fatalf("%q heard as %q (on %v, off %v)", digits, got, on, off)
		}
	})
}

func TestSpeechIsNoKey(t *testing.T) {
	t.Parallel()
	noise := make([]int16, 10*Rate)
	for i := range noise {
		noise[i] = int16(rand.IntN(20000) - 10000)
	}
	single := make([]int16, Rate)
	for i := range single {
		single[i] = int16(8000 * math.Sin(2*math.Pi*770*float64(i)/Rate))
	}
	for name, pcm := range map[string][]int16{"noise": noise, "one tone": single, "silence": make([]int16, Rate)} {
		if got := hearAll(pcm); got != "" {
			t.Errorf("%s heard as %q", name, got)
		}
	}
	espeak, err := exec.LookPath("espeak-ng")
	if err != nil {
		return
	}
	out, err := exec.Command(espeak, "-v", "cmn", "--stdout", "您好，这里是模拟银行。您的还款日是本月二十五日，请按时还款。谢谢，再见。").Output()
	if err != nil {
		t.Fatal(err)
	}
	s, err := ReadWAV(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	if got := hearAll(resample(mono(s), s.Rate)); got != "" {
		t.Errorf("speech heard as %q", got)
	}
}

// duo is two sessions of one engine that talk to each other.
func duo(t *testing.T, o Options, a, b Stream, onA, onB Events, record string) (*Engine, *Session, *Session) {
	t.Helper()
	return duoOn(t, nil, o, a, b, onA, onB, record)
}

// duoOn is duo on clocks of the test's own.
func duoOn(t *testing.T, clocks func() *clock, o Options, a, b Stream, onA, onB Events, record string) (*Engine, *Session, *Session) {
	t.Helper()
	o.IP = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	left, err := e.Open(record, onA)
	if err != nil {
		t.Fatal(err)
	}
	right, err := e.Open("", onB)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		left.Close()
		right.Close()
		e.Close()
		if n, d := e.Usage(); n != 0 || d != 0 {
			t.Errorf("%d sessions and %d ports left", n, d)
		}
	})
	if clocks != nil {
		left.clk, right.clk = clocks(), clocks()
	}
	a.Remote = netip.AddrPortFrom(o.IP, uint16(right.Port()))
	b.Remote = netip.AddrPortFrom(o.IP, uint16(left.Port()))
	right.Set(b)
	left.Set(a)
	return e, left, right
}

type pressed struct {
	mu   sync.Mutex
	keys []byte
	all  chan struct{}
	want int
}

func newPressed(want int) *pressed { return &pressed{want: want, all: make(chan struct{})} }

func (p *pressed) press(k byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keys = append(p.keys, k); len(p.keys) == p.want {
		close(p.all)
	}
}

func within(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("%s: never", what)
	}
}

func TestKeysBothWays(t *testing.T) {
	t.Parallel()
	for name, event := range map[string]uint8{"RFC 4733": 96, "in band": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := newPressed(5)
			_, left, _ := duo(t, Options{}, Stream{Codec: PCMA, Event: event, Send: true}, Stream{Codec: PCMA, Event: event, Send: true},
				Events{}, Events{Digit: got.press}, "")
			if event == 0 {
				within(t, "tones", left.Play(Tones("19#*D", 60*time.Millisecond, 60*time.Millisecond)).Done())
			} else {
				s, err := left.SendDigits("19#*D")
				if err != nil {
					t.Fatal(err)
				}
				if _, err := left.SendDigits("1"); !errors.Is(err, ErrBusy) {
					t.Errorf("keys over keys: %v", err)
				}
				within(t, "events", s.Done())
			}
			within(t, "keys", got.all)
			if string(got.keys) != "19#*D" {
				t.Errorf("heard %q", got.keys)
			}
		})
	}
}

// feed gives a session packets as a clock would.
func feed(s *Session, n int64, from netip.AddrPort, h rtp.Header, payload []byte) {
	h.Version = 2
	b, _ := h.Marshal()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accept(append(b, payload...), from, n)
}

func TestCounting(t *testing.T) {
	t.Parallel()
	peer, stranger := netip.MustParseAddrPort("127.0.0.1:4000"), netip.MustParseAddrPort("127.0.0.1:4002")
	sound := bytes.Repeat([]byte{0xD5}, FrameSamples)
	for _, c := range []struct {
		name string
		seqs []int
		want Stats
	}{
		{"in order", []int{1, 2, 3}, Stats{Received: 3}},
		{"swapped is not lost", []int{1, 3, 2, 4}, Stats{Received: 4}},
		{"one lost", []int{1, 3, 4}, Stats{Received: 3, Lost: 1}},
		{"twice", []int{1, 2, 2, 3}, Stats{Received: 4, Duplicate: 1}},
		{"round the end", []int{65534, 65535, 0, 1}, Stats{Received: 4}},
		{"lost round the end", []int{65534, 1}, Stats{Received: 2, Lost: 2}},
		{"before the first", []int{5, 4, 6}, Stats{Received: 3}},
	} {
		s := &Session{e: &Engine{}, st: Stream{Remote: peer, Codec: PCMA, Event: 101}}
		for i, q := range c.seqs {
			feed(s, int64(i), peer, rtp.Header{PayloadType: 8, SequenceNumber: uint16(q), Timestamp: uint32(q-c.seqs[0]) * 160}, sound)
		}
		got := s.snapshot()
		got.Jitter, got.Late = 0, 0
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	s := &Session{e: &Engine{}, st: Stream{Remote: peer, Codec: PCMA}}
	feed(s, 0, stranger, rtp.Header{PayloadType: 8}, sound)
	s.accept([]byte{1, 2, 3}, peer, 0)
	if got := s.snapshot(); got.Strangers != 1 || got.Malformed != 1 || got.Received != 0 {
		t.Errorf("stranger and rubbish: %+v", got)
	}
}

// Property: whatever comes from the network, in any order, nothing panics and a
// press counts once.
func TestEventsOnce(t *testing.T) {
	t.Parallel()
	peer := netip.MustParseAddrPort("127.0.0.1:4000")
	rapid.Check(t, func(t *rapid.T) {
		s := &Session{e: &Engine{}, st: Stream{Remote: peer, Codec: PCMA, Event: 101}}
		digits := rapid.StringOfN(rapid.RuneFrom([]rune(keys)), 0, 10, -1).Draw(t, "digits")
		seq := uint16(rapid.Uint16().Draw(t, "seq"))
		ts := rapid.Uint32().Draw(t, "ts")
		for i := range len(digits) {
			kept := false
			for k := range 8 {
				seq++
				if kept && rapid.Bool().Draw(t, "lost") {
					continue
				}
				kept = true
				p := []byte{byte(event(digits[i])), 10, 0, byte(k)}
				if k > 4 {
					p[1] |= 0x80
				}
				feed(s, 0, peer, rtp.Header{PayloadType: 101, SequenceNumber: seq, Timestamp: ts}, p)
			}
			ts += 1600
		}
		if string(s.keys) != digits {
			t.Fatalf("%q came as %q", digits, s.keys)
		}
	})
}

func FuzzPacket(f *testing.F) {
	peer := netip.MustParseAddrPort("127.0.0.1:4000")
	f.Add([]byte{0x80, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0xD5}, []byte{0xB0, 101, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 5, 0x80, 0, 1})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if len(a) > packetSize || len(b) > packetSize {
			return
		}
		s := &Session{e: &Engine{}, st: Stream{Remote: peer, Codec: PCMA, Event: 101}, began: 1}
		s.rec = &recorder{w: newWriter(), fault: func(error) {}}
		s.rec.begin(PCMA)
		s.accept(a, peer, 1)
		s.accept(b, peer, 2)
		s.rec.advance(4 * Rate)
	})
}

func TestPortsDrain(t *testing.T) {
	t.Parallel()
	base, err := port.Unused() // and those after it likely are free, too
	if err != nil {
		t.Fatal(err)
	}
	p := newPorts(netip.AddrFrom4([4]byte{127, 0, 0, 1}), [2]int{base, base + 4}, time.Hour)
	seen := map[int]bool{}
	for {
		s, err := p.take()
		if errors.Is(err, ErrNoPort) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if s.port%2 != 0 || s.port < base || s.port > base+4 || seen[s.port] {
			t.Fatalf("port %d lent", s.port)
		}
		seen[s.port] = true
		p.give(s)
	}
	if len(seen) == 0 || p.count() != len(seen) {
		t.Errorf("%d ports lent, %d drain", len(seen), p.count())
	}
	p.close()
	if p.count() != 0 {
		t.Errorf("%d ports left", p.count())
	}
}
