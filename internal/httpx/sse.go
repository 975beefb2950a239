package httpx

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Event is something a page may want to redraw for. Data is opaque here; the
// stream that delivers it renders it in its own reader's language.
type Event struct {
	Topic string
	Data  any
}

// Broker carries events from those who know to the pages that watch. A slow
// page never holds up a publisher: its buffer is bounded, and when it is full
// the page loses events and is told to start afresh.
type Broker struct {
	mu     sync.Mutex
	subs   map[*Subscription]struct{}
	buffer int
	done   chan struct{}
	closed bool
}

// NewBroker makes a broker whose subscribers may lag by buffer events each.
func NewBroker(buffer int) *Broker {
	return &Broker{subs: map[*Subscription]struct{}{}, buffer: max(1, buffer), done: make(chan struct{})}
}

// Subscription is one watcher's bounded queue.
type Subscription struct {
	broker *Broker
	topics []string
	events chan Event
	lost   bool // guarded by broker.mu
}

// Publish hands the event to every watcher of its topic and never blocks.
func (b *Broker) Publish(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.subs {
		if !s.wants(e.Topic) {
			continue
		}
		select {
		case s.events <- e:
		default:
			s.lost = true
		}
	}
}

// Watched reports whether anyone watches the topic, so that a snapshot nobody
// would see need not be made.
func (b *Broker) Watched(topic string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.subs {
		if s.wants(topic) {
			return true
		}
	}
	return false
}

// Subscribe starts watching the topics. Close ends it.
func (b *Broker) Subscribe(topics ...string) *Subscription {
	s := &Subscription{broker: b, topics: topics, events: make(chan Event, b.buffer)}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subs[s] = struct{}{}
	return s
}

// Close ends every stream, so that a server can shut down.
func (b *Broker) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		close(b.done)
	}
}

func (s *Subscription) wants(topic string) bool {
	for _, t := range s.topics {
		if t == topic {
			return true
		}
	}
	return false
}

// Close ends the subscription; events published later are not queued.
func (s *Subscription) Close() {
	s.broker.mu.Lock()
	defer s.broker.mu.Unlock()
	delete(s.broker.subs, s)
}

// Lost reports whether events were dropped since the last call, and forgets it.
func (s *Subscription) Lost() bool {
	s.broker.mu.Lock()
	defer s.broker.mu.Unlock()
	lost := s.lost
	s.lost = false
	return lost
}

// keepAlive is how often a silent stream sends a comment, so that proxies and
// the reader's browser know that it is alive.
const keepAlive = 15 * time.Second

// Fragment is one named piece of HTML (or JSON) sent to a page.
type Fragment struct {
	Name string // the sse-swap name
	Body string
}

// Stream serves server-sent events of the topics until the reader leaves or
// the broker closes. render turns an event into fragments; it is called with
// the zero Event at the start and after lost events, to draw everything anew.
func (b *Broker) Stream(w http.ResponseWriter, r *http.Request, render func(Event) ([]Fragment, error), topics ...string) error {
	s := b.Subscribe(topics...)
	defer s.Close()
	rc := http.NewResponseController(w)
	// A stream has no end, so the server's write limit must not apply to it.
	if err := rc.SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	send := func(e Event) error {
		fs, err := render(e)
		if err != nil {
			return err
		}
		for _, f := range fs {
			if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", f.Name, strings.ReplaceAll(f.Body, "\n", "\ndata: ")); err != nil {
				return err
			}
		}
		return rc.Flush()
	}
	if err := send(Event{}); err != nil {
		return err
	}
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	for {
		var err error
		select {
		case <-r.Context().Done():
			return nil
		case <-b.done:
			return nil
		case <-alive.C:
			if _, err = fmt.Fprint(w, ": alive\n\n"); err == nil {
				err = rc.Flush()
			}
		case e := <-s.events:
			if s.Lost() {
				s.drain()
				e = Event{}
			}
			err = send(e)
		}
		if err != nil {
			return err
		}
	}
}

// drain empties the queue: what is in it is older than the fresh start to come.
func (s *Subscription) drain() {
	for {
		select {
		case <-s.events:
		default:
			return
		}
	}
}
