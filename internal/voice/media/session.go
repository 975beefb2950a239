package media

import (
	"errors"
	"net/netip"
	"sync"
	"time"
)

// ErrQuiet tells that the other side sent no sound for longer than Options.Quiet.
var ErrQuiet = errors.New("no sound from the other side")

// ErrClosed tells that the session has ended.
var ErrClosed = errors.New("media session is closed")

// Events are what a session tells its owner. They are called from a clock and
// must return at once.
type Events struct {
	Digit func(key byte)  // a key was pressed on the other side
	Fault func(err error) // ErrQuiet, or the recording broke; told once each
}

func (e Events) fault(err error) {
	if e.Fault != nil {
		go e.Fault(err)
	}
}

// Stream is what the two sides agreed on.
type Stream struct {
	Remote netip.AddrPort // where to send, and whom to hear
	Codec  Codec
	Event  uint8 // payload type of telephone-event (RFC 4733); 0 = the peer takes none
	Send   bool  // false while ringing: hear, but neither send nor record
	Hold   bool  // the peer wants to hear nothing now
}

// Session is the media of one call.
type Session struct {
	e    *Engine
	sock socket
	clk  *clock
	on   Events

	mu      sync.Mutex
	rec     *recorder
	recErr  error
	st      Stream
	running bool
	closed  bool
	latched bool  // NAT: the peer's true address is known
	began   int64 // tick at which sending and recording began; 0 = not yet
	last    int64 // latest tick
	heard   int64 // tick at which RTP was last heard
	lived   int64 // ticks that were run; a machine that stood still leaves some out
	alive   int64 // lived when RTP was last heard
	quiet   bool  // ErrQuiet was told
	out     sender
	in      receiver
	keys    []byte // pressed during this tick, not yet told
	playing *Playing
	sending *Sending
	hearing *Hearing
	stats   Stats
}

func newSession(e *Engine, sock socket, clk *clock, on Events) *Session {
	return &Session{e: e, sock: sock, clk: clk, on: on, out: newSender()}
}

// Port is the local RTP port.
func (s *Session) Port() int { return s.sock.port }

// RecordingErr tells why no recording can be made, nil when one can or none was asked for.
func (s *Session) RecordingErr() error { return s.recErr }

// Set starts the stream, or changes it to what a later offer says.
func (s *Session) Set(st Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if st.Remote != s.st.Remote {
		s.latched = false
	}
	resumed := s.st.Hold && !st.Hold
	st.Send = st.Send || s.st.Send
	s.st = st
	if st.Event == 0 && s.in.tones == nil {
		s.in.tones = newDetector()
	}
	if st.Send && s.began == 0 {
		s.began = max(s.clk.now(), s.last+1)
		s.heard, s.alive = s.began, s.lived
		if s.rec != nil {
			s.rec.begin(st.Codec)
		}
	}
	if resumed {
		s.heard, s.alive = s.last, s.lived
	}
	if !s.running {
		s.running = true
		s.clk.add(s)
	}
}

// tick is one frame: hear what came, send one packet.
func (s *Session) tick(n int64, io *batch) {
	s.mu.Lock()
	if s.closed || n <= s.last {
		s.mu.Unlock()
		return
	}
	s.last = n
	s.lived++
	for {
		got := io.receive(s.sock.fd)
		for i := range got {
			packet, from := io.packet(i)
			s.accept(packet, from, n)
		}
		if got < batchSize {
			break
		}
	}
	if s.began != 0 && n >= s.began {
		s.emit(n, io)
	}
	s.watch(n)
	keys := s.keys
	s.keys = nil
	s.mu.Unlock()
	if s.on.Digit != nil {
		for _, k := range keys {
			s.on.Digit(k)
		}
	}
}

// watch looks at what depends on time going by. Silence is counted in ticks
// that were run: while the machine stood still nobody could have been heard.
func (s *Session) watch(n int64) {
	if h := s.hearing; h != nil {
		if n-h.from >= h.most || s.lived-h.quiet >= h.silence {
			s.endHearing()
		}
	}
	limit := int64(s.e.o.Quiet / Frame)
	if limit > 0 && s.began != 0 && !s.st.Hold && !s.quiet && s.lived-s.alive > limit {
		s.quiet = true
		s.on.fault(ErrQuiet)
	}
}

// position is the sample of the recording at which tick n starts.
func (s *Session) position(n int64) int64 { return (n - s.began) * FrameSamples }

// Position tells how long sending and recording have gone on.
func (s *Session) Position() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.elapsed()
}

func (s *Session) elapsed() time.Duration {
	if s.began == 0 || s.last < s.began {
		return 0
	}
	return time.Duration(s.last+1-s.began) * Frame
}

// Report is what a session leaves behind.
type Report struct {
	Recording Recording // zero when none was asked for
	Stats     Stats
}

// Close ends the session, finishes its recording and lets its port drain. Only
// the first call gives the report.
func (s *Session) Close() Report {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return Report{}
	}
	s.closed = true
	s.clk.remove(s)
	s.endPlaying(false)
	s.endSending()
	s.endHearing()
	var rec Recording
	var done <-chan Recording
	if s.rec != nil {
		if s.began != 0 { // as long as the call, also when the clock did not tick at its end
			s.rec.advance(s.position(max(s.last+1, s.clk.now())))
		}
		done = s.rec.end()
		s.rec = nil // its window is large, and ended sessions are kept a while
	} else if s.recErr != nil {
		rec.Err = s.recErr
	}
	stats := s.snapshot()
	answered := s.began != 0
	s.mu.Unlock()

	s.e.ports.give(s.sock)
	if done != nil {
		if rec = <-done; !answered {
			rec = Recording{} // nobody answered; its empty file is gone
		}
	}
	s.e.gone()
	return Report{Recording: rec, Stats: stats}
}
