package db

import "sync"

// Group does the work of callers that come at the same time together, in one
// transaction or with one query: what comes while the work of others is being
// done waits and is done next, all of it at once. An idle group does a caller's
// work at once. The zero value with Do set is ready.
type Group[T any] struct {
	Do func(together []T)

	mu      sync.Mutex
	waiting []T
	ends    chan struct{} // closed when what waits now is done
	busy    bool
}

// Join has x done and returns when it is.
func (g *Group[T]) Join(x T) {
	g.mu.Lock()
	if g.ends == nil {
		g.ends = make(chan struct{})
	}
	g.waiting = append(g.waiting, x)
	end := g.ends
	lead := !g.busy
	g.busy = true
	g.mu.Unlock()
	if lead {
		go g.drain()
	}
	<-end
}

func (g *Group[T]) drain() {
	for {
		g.mu.Lock()
		together, end := g.waiting, g.ends
		g.waiting, g.ends = nil, nil
		g.busy = len(together) > 0
		g.mu.Unlock()
		if len(together) == 0 {
			return
		}
		g.Do(together)
		close(end)
	}
}
