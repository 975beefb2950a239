// Package limit bounds how often somebody may try something: sign in, ask for a
// code, file a complaint, call the API. Its memory is bounded too. It knows
// neither clocks nor what is tried.
package limit

import (
	"sync"
	"time"
)

// Limit allows each name so many tries in a span that begins with the first.
// It is safe for concurrent use. Each node of a bank counts by itself.
type Limit struct {
	most  int
	span  time.Duration
	slots int
	mu    sync.Mutex
	seen  map[string]count
}

type count struct {
	n     int
	until time.Time
}

// New makes a limit of most tries per span for each name; it remembers at most
// slots names.
func New(most int, span time.Duration, slots int) *Limit {
	return &Limit{most: most, span: span, slots: slots, seen: map[string]count{}}
}

// Take counts a try and gives how long to wait before the next; 0 means that
// this one is allowed.
func (l *Limit) Take(who string, now time.Time) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.seen[who]
	if !ok || now.After(c.until) {
		if !ok && len(l.seen) >= l.slots {
			l.makeRoom(now)
		}
		c = count{until: now.Add(l.span)}
	}
	c.n++
	l.seen[who] = c
	if c.n <= l.most {
		return 0
	}
	return max(c.until.Sub(now), time.Second)
}

// Over tells how long a name must wait, without counting a try: for doors that
// count only failures.
func (l *Limit) Over(who string, now time.Time) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c, ok := l.seen[who]; ok && c.n >= l.most && !now.After(c.until) {
		return max(c.until.Sub(now), time.Second)
	}
	return 0
}

// Allow is Take for those who do not say how long to wait.
func (l *Limit) Allow(who string, now time.Time) bool { return l.Take(who, now) == 0 }

// Forget starts anew for a name, as after a success.
func (l *Limit) Forget(who string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.seen, who)
}

// makeRoom drops what is over, and when nothing is, any one: a crowd of
// names must not shut everybody else out.
func (l *Limit) makeRoom(now time.Time) {
	some := ""
	for k, c := range l.seen {
		some = k
		if now.After(c.until) {
			delete(l.seen, k)
		}
	}
	if len(l.seen) >= l.slots {
		delete(l.seen, some)
	}
}
