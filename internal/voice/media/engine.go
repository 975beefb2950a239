package media

import (
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

// Options say where media lives and how patient it is.
type Options struct {
	IP    netip.Addr    // local IPv4 address of RTP
	Ports [2]int        // first and last RTP port; zeros let the system choose
	Drain time.Duration // how long a port stays bound after its call
	Quiet time.Duration // no RTP for so long ends a call; 0 = never
	NAT   bool          // follow the first packet that comes, whatever the SDP said
	Log   *slog.Logger
}

// Engine runs the media of all calls: a few clocks, two disk writers, the ports.
type Engine struct {
	o       Options
	ports   *ports
	clocks  []*clock
	writers []*writer
	wg      sync.WaitGroup
	create  func(path string) (file, error)

	mu       sync.Mutex
	sessions int
	idle     *sync.Cond
	turn     int
}

// clockCount spreads the calls of a frame over its 20 ms, so that packets leave
// evenly and a second processor can help: four clocks, 5 ms apart.
const clockCount = 4

// New starts an engine. Close ends it.
func New(o Options) (*Engine, error) {
	if !o.IP.Is4() {
		return nil, fmt.Errorf("media address %q is not an IPv4 address", o.IP)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{o: o, ports: newPorts(o.IP, o.Ports, o.Drain), create: createFile}
	e.idle = sync.NewCond(&e.mu)
	epoch := time.Now()
	for i := range clockCount {
		c := newClock(epoch.Add(time.Duration(i) * Frame / clockCount))
		e.clocks = append(e.clocks, c)
		e.wg.Go(c.run)
	}
	for range 2 {
		w := newWriter()
		e.writers = append(e.writers, w)
		e.wg.Go(w.run)
	}
	return e, nil
}

// Open binds a port for a call and, when record is not empty, makes the file of
// its recording. The session is silent until Set.
func (e *Engine) Open(record string, on Events) (*Session, error) {
	sock, err := e.ports.take()
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	turn := e.turn
	e.turn++
	e.sessions++
	e.mu.Unlock()
	s := newSession(e, sock, e.clocks[turn%len(e.clocks)], on)
	if record == "" {
		return s, nil
	}
	f, err := e.create(record)
	if err != nil {
		s.recErr = fmt.Errorf("make recording: %w", err)
		return s, nil
	}
	s.rec = &recorder{path: record, f: f, w: e.writers[turn%len(e.writers)], fault: on.fault}
	return s, nil
}

// Usage gives how many sessions are open and how many ports drain.
func (e *Engine) Usage() (open, draining int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sessions, e.ports.count()
}

func (e *Engine) gone() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sessions--
	e.idle.Broadcast()
}

// Close waits until every session is closed and stops the engine.
func (e *Engine) Close() {
	e.mu.Lock()
	for e.sessions > 0 {
		e.idle.Wait()
	}
	e.mu.Unlock()
	for _, c := range e.clocks {
		c.stop()
	}
	for _, w := range e.writers {
		close(w.jobs)
	}
	e.wg.Wait()
	e.ports.close()
}

// clock ticks every 20 ms for its sessions, on deadlines counted from one epoch
// so that no delay adds up. It sleeps while it has none.
type clock struct {
	epoch time.Time
	io    *batch

	mu       sync.Mutex
	sessions []*Session // replaced, never changed in place
	stopped  bool
	wake     chan struct{}
}

func newClock(epoch time.Time) *clock {
	return &clock{epoch: epoch, io: newBatch(), wake: make(chan struct{}, 1)}
}

func (c *clock) add(s *Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sessions = append(c.sessions[:len(c.sessions):len(c.sessions)], s)
	c.poke()
}

func (c *clock) remove(s *Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := make([]*Session, 0, len(c.sessions))
	for _, have := range c.sessions {
		if have != s {
			kept = append(kept, have)
		}
	}
	c.sessions = kept
}

func (c *clock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	c.poke()
}

func (c *clock) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *clock) work() ([]*Session, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sessions, c.stopped
}

// now gives the number of the next tick.
func (c *clock) now() int64 { return int64(time.Since(c.epoch)/Frame) + 1 }

// far is how many ticks a clock makes up for after a delay. Beyond that the
// machine stood still, and sending the past at once would help nobody.
const far = 10

func (c *clock) run() {
	n := c.now()
	for {
		sessions, stopped := c.work()
		if stopped {
			return
		}
		if len(sessions) == 0 {
			<-c.wake
			n = c.now()
			continue
		}
		time.Sleep(time.Until(c.epoch.Add(time.Duration(n) * Frame)))
		if late := c.now() - n; late > far {
			n += late
		}
		for _, s := range sessions {
			s.tick(n, c.io)
		}
		n++
	}
}
