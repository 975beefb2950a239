package gate

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

// op is one caller's work inside a group's transaction.
type op struct {
	size    int          // how many decisions or permits
	parties []contact.ID // to lock
	permits []contact.ID // to read, and lock their people
	do      func(b *book) error
	err     error
	done    chan struct{}
	state   atomic.Int32
}

const (
	opWaiting = iota
	opTaken
	opGone // its caller left before it was taken
)

// maxGroup is the most decisions in one transaction.
const maxGroup = 1000

// queue gathers the work of concurrent callers into groups that commit
// together (group commit). An idle gate runs a caller's work at once; while a
// transaction commits, the next group gathers.
type queue struct {
	mu      sync.Mutex
	waiting []*op
	active  int
	width   int // groups side by side
}

// do runs o in some group and gives its error. When ctx ends first and the work
// has not begun, it is dropped; once begun, do waits for it, so that the caller
// always knows what happened.
func (g *Gate) do(ctx context.Context, o *op) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	o.done = make(chan struct{})
	q := &g.queue
	q.mu.Lock()
	q.waiting = append(q.waiting, o)
	start := q.active < q.width
	if start {
		q.active++
	}
	q.mu.Unlock()
	if start {
		go g.drain()
	}
	select {
	case <-o.done:
		return o.err
	case <-ctx.Done():
	}
	if o.state.CompareAndSwap(opWaiting, opGone) {
		return ctx.Err()
	}
	<-o.done
	return o.err
}

func (g *Gate) drain() {
	for {
		group := g.queue.take()
		if group == nil {
			return
		}
		g.commit(group)
		for _, o := range group {
			close(o.done)
		}
	}
}

// take gives the next group, nil when there is nothing to do.
func (q *queue) take() []*op {
	q.mu.Lock()
	defer q.mu.Unlock()
	var group []*op
	size, n := 0, 0
	for _, o := range q.waiting {
		if size > 0 && size+o.size > maxGroup {
			break
		}
		n++
		if o.state.CompareAndSwap(opWaiting, opTaken) {
			group = append(group, o)
			size += o.size
		}
	}
	q.waiting = q.waiting[n:]
	if len(q.waiting) == 0 {
		q.waiting = nil
	}
	if group == nil {
		q.active--
	}
	return group
}

// patience bounds a group's transaction: longer than any healthy one.
const patience = 30 * time.Second

// commit runs a group in one transaction. When the work itself fails (not the
// commit, whose outcome may be unknown), each op is tried alone, so that one
// that cannot be stored does not fail the others.
func (g *Gate) commit(group []*op) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	failed, err := g.run(ctx, group)
	if err == nil {
		return
	}
	if !failed || len(group) == 1 {
		for _, o := range group {
			o.err = err
		}
		return
	}
	for _, o := range group {
		if _, err := g.run(ctx, []*op{o}); err != nil {
			o.err = err
		}
	}
}

// run gives the transaction's error, and whether it surely did not take place.
func (g *Gate) run(ctx context.Context, group []*op) (undone bool, err error) {
	err = g.db.Write(ctx, func(tx *db.Tx) error {
		undone = true
		size, do := 0, g.within
		for _, o := range group {
			size += o.size
		}
		if size >= pipelined {
			do = g.beside
		}
		if err := do(ctx, tx, group); err != nil {
			return err
		}
		undone = false
		return nil
	})
	if err == nil {
		err = g.at("committed")
	}
	if errors.Is(err, context.DeadlineExceeded) {
		g.log.Error("gate transaction ran out of time", "ops", len(group))
	}
	return undone, err
}

// within does the ops' work in tx.
func (g *Gate) within(ctx context.Context, tx *db.Tx, group []*op) error {
	b, err := g.open(ctx, tx, group)
	if err != nil {
		return err
	}
	for _, o := range group {
		o.err = o.do(b)
	}
	if err := failure(group); err != nil {
		return err
	}
	return b.flush(ctx)
}

// failure gives the first error that is not an answer to its caller: the op
// broke off halfway, so nothing of the group may be kept.
func failure(group []*op) error {
	for _, o := range group {
		var answer *errs.Error
		if o.err != nil && !errors.As(o.err, &answer) {
			return o.err
		}
	}
	return nil
}

// pipelined is the size from which a group is judged and written side by side.
const pipelined = 256

// beside is within for a large group of a transaction of its own: one
// goroutine judges while this one writes what is judged already.
func (g *Gate) beside(ctx context.Context, tx *db.Tx, group []*op) error {
	b, err := g.open(ctx, tx, group)
	if err != nil {
		return err
	}
	b.out = make(chan sheet, 8)
	go func() {
		defer close(b.out)
		for _, o := range group {
			o.err = o.do(b)
		}
		b.leave()
		b.pass()
	}()
	for s := range b.out { // to the end, so that nobody judges on once this returns
		if err == nil {
			err = s.write(ctx, g, tx)
		}
	}
	if err := errors.Join(err, failure(group)); err != nil {
		return err
	}
	return b.flush(ctx)
}
