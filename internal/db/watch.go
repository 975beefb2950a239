package db

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"
)

// slowAfter is when a statement is slow enough to be remembered, and slowTexts
// how many different ones are.
const (
	slowAfter = 100 * time.Millisecond
	slowTexts = 50
)

// Slow is a statement that has been slow since the start.
type Slow struct {
	Query      string // its text, without parameters
	N          int64  // how often it was slow
	Total, Max time.Duration
	Last       time.Time // the bank's clock
}

type slowLog struct {
	mu   sync.Mutex
	seen map[string]*Slow
}

// Slow gives the statements that have taken 100 ms or more, those that have
// taken the most time first.
func (d *DB) Slow() []Slow {
	d.slow.mu.Lock()
	defer d.slow.mu.Unlock()
	var out []Slow
	for _, s := range d.slow.seen {
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b Slow) int { return cmp.Compare(b.Total, a.Total) })
	return out
}

func (d *DB) wasSlow(q string, took time.Duration) {
	l := &d.slow
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil {
		l.seen = map[string]*Slow{}
	}
	s := l.seen[q]
	if s == nil {
		if len(l.seen) >= slowTexts {
			return
		}
		s = &Slow{Query: strings.Join(strings.Fields(q), " ")}
		l.seen[q] = s
	}
	s.N++
	s.Total += took
	s.Max = max(s.Max, took)
	s.Last = Time(d.last.Load())
}

// Watch has fn called with every statement before it runs, until stop; tests
// learn with it what a store asks. There is one watcher at a time.
func (d *DB) Watch(fn func(q string, args []any)) (stop func()) {
	d.watch.Store(&fn)
	return func() { d.watch.Store(nil) }
}

// watched notes a statement; what it gives is called when the statement is over.
func (d *DB) watched(q string, args []any) (done func()) {
	if w := d.watch.Load(); w != nil {
		(*w)(q, args)
	}
	start := time.Now()
	return func() {
		if took := time.Since(start); took >= slowAfter {
			d.wasSlow(q, took)
		}
	}
}

// Load is how many of the connections are at work.
type Load struct {
	Writing, Writers int // transactions that may change rows: under way, at most
	Reading, Readers int
}

// Load gives how busy the connections are at this moment.
func (d *DB) Load() Load {
	return Load{Writing: cap(d.write.free) - len(d.write.free), Writers: cap(d.write.free),
		Reading: cap(d.read.free) - len(d.read.free), Readers: cap(d.read.free)}
}
