// Package errand is work that a page begins and that goes on when the page is
// left: it is found again there, with how far it is or what came of it.
package errand

import (
	"context"
	"sync"
	"time"
)

// State is a piece of work as it stands; the zero value is work never begun.
type State[R any] struct {
	About       string // what its page says of it: who began it, which file it is about
	Running     bool
	Done, Total int64     // in whatever the work counts; Total 0 = not known yet
	Began       time.Time // by the clock of the desk
	Ended       time.Time // zero = it runs, or never did
	Result      R         // once it has ended
	Err         error     // that it ended with
}

// Over reports whether the work was begun and has ended.
func (s State[R]) Over() bool { return !s.Ended.IsZero() }

// Desk keeps the latest piece of work of each key, in this process. The zero
// value is ready.
type Desk[R any] struct {
	Clock func() time.Time // nil = the machine's

	mu  sync.Mutex
	now map[string]*State[R]
}

// Begin has do run in the background, unless work of that key runs already:
// then it gives false. The work outlives the request that asked for it; ctx
// gives its values only. do may report how far it is as often as it likes.
func (d *Desk[R]) Begin(ctx context.Context, key, about string, do func(ctx context.Context, report func(done, total int64)) (R, error)) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.now[key]; s != nil && s.Running {
		return false
	}
	if d.now == nil {
		d.now = map[string]*State[R]{}
	}
	if d.Clock == nil {
		d.Clock = time.Now
	}
	s := &State[R]{About: about, Running: true, Began: d.Clock()}
	d.now[key] = s
	ctx = context.WithoutCancel(ctx)
	go func() {
		result, err := do(ctx, func(done, total int64) {
			d.mu.Lock()
			defer d.mu.Unlock()
			s.Done, s.Total = done, total
		})
		d.mu.Lock()
		defer d.mu.Unlock()
		s.Running, s.Ended, s.Result, s.Err = false, d.Clock(), result, err
	}()
	return true
}

// Of gives the work of a key as it stands.
func (d *Desk[R]) Of(key string) State[R] {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.now[key]; s != nil {
		return *s
	}
	return State[R]{}
}
