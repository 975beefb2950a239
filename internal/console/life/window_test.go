package life

import (
	"context"
	"testing"
	"time"

	"parley/internal/httpx/ui"
)

var at = time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)

// Whatever the window, the axis has a few ticks, all within it and in order.
func TestTicks(t *testing.T) {
	t.Parallel()
	for long := shortest; long <= longest; long = long*3/2 + time.Second {
		w := ending(at, long)
		ts := w.ticks(context.Background())
		if len(ts) < 1 || len(ts) > mostTicks+1 {
			t.Errorf("%v: %d ticks", long, len(ts))
		}
		last := -1.0
		for _, k := range ts {
			if k.x <= last || k.x < 0 || k.x > 100 || k.word == "" {
				t.Errorf("%v: tick %+v after %v", long, k, last)
			}
			last = k.x
		}
	}
}

// The first window is the shortest that shows everything of the last year.
func TestFitting(t *testing.T) {
	t.Parallel()
	for ago, want := range map[time.Duration]time.Duration{0: hour, 20 * time.Minute: hour, 2 * hour: day, 3 * day: 7 * day, 20 * day: 31 * day, 200 * day: 366 * day} {
		w := fitting(at.Add(-ago), at)
		if w.long() != want || !w.has(at.Add(-ago)) || !w.has(at) {
			t.Errorf("%v ago: a window of %v", ago, w.long())
		}
	}
	if w := fitting(time.Time{}, at); w.long() != 366*day {
		t.Errorf("nothing happened: %v", w.long())
	}
}

// However many contacts a window holds, a bounded number of marks is drawn, none
// is lost, and what is drawn as one looks like the worst of them and opens.
func TestDense(t *testing.T) {
	t.Parallel()
	l := &Line{win: ending(at, 31*day)}
	var ms []mark
	for i := range 3000 {
		m := mark{at: l.win.from.Add(time.Duration(i) * l.win.long() / 3000), tone: ui.Good}
		if i == 1234 {
			m.tone = ui.Bad
		}
		ms = append(ms, m)
	}
	out := l.gathered(ms)
	if len(out) > buckets+1 {
		t.Errorf("%d marks drawn", len(out))
	}
	n, bad := 0, 0
	for _, m := range out {
		n += m.n
		if m.tone == ui.Bad {
			bad++
		}
		if c := l.closer(m); c.long() >= l.win.long() || !c.has(m.at) || !c.has(m.to) {
			t.Errorf("opening %v–%v shows %v–%v", m.at, m.to, c.from, c.to)
		}
	}
	if n != 3000 || bad != 1 {
		t.Errorf("%d of 3000 drawn, %d bad", n, bad)
	}
}
