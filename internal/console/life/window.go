package life

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"parley/internal/httpx"
	"parley/internal/httpx/words"
)

// window is the stretch of time shown: [from, to).
type window struct{ from, to time.Time }

const (
	hour = time.Hour
	day  = 24 * hour
	// shortest and longest a window may be.
	shortest = time.Minute
	longest  = 60 * 366 * day
)

// spans are the lengths the reader may choose, by name.
var spans = []struct {
	name string
	long time.Duration
}{{"hour", hour}, {"day", day}, {"week", 7 * day}, {"month", 31 * day}, {"year", 366 * day}}

// readWindow reads ?from= and ?to= (Unix seconds).
func readWindow(q url.Values, now time.Time) (w window, asked bool) {
	from, err1 := strconv.ParseInt(q.Get("from"), 10, 64)
	to, err2 := strconv.ParseInt(q.Get("to"), 10, 64)
	if err1 != nil || err2 != nil || from >= to || from < 0 || to > now.Unix()+int64(longest/time.Second) {
		return w, false
	}
	w = window{time.Unix(from, 0).UTC(), time.Unix(to, 0).UTC()}
	if d := w.long(); d < shortest || d > longest {
		return w, false
	}
	return w, true
}

func (w window) long() time.Duration { return w.to.Sub(w.from) }

func (w window) query() string {
	return "?from=" + strconv.FormatInt(w.from.Unix(), 10) + "&to=" + strconv.FormatInt(w.to.Unix(), 10)
}

// ending gives a window of a length that leaves a little room after now.
func ending(now time.Time, long time.Duration) window {
	to := now.Add(long / 12).Truncate(time.Second)
	return window{to.Add(-long), to}
}

// fitting gives the shortest of the named windows that shows what happened
// since first; a year when nothing did.
func fitting(first, now time.Time) window {
	if !first.IsZero() {
		for _, s := range spans {
			if w := ending(now, s.long); !first.Before(w.from.Add(s.long / 20)) {
				return w
			}
		}
	}
	return ending(now, 366*day)
}

// around gives a window of a length about the middle of w, or about now when
// now is in w.
func (w window) around(now time.Time, long time.Duration) window {
	if !now.Before(w.from) && now.Before(w.to) {
		return ending(now, long)
	}
	mid := w.from.Add(w.long() / 2).Truncate(time.Second)
	return window{mid.Add(-long / 2), mid.Add(long / 2)}
}

// moved gives the window a part of its length earlier (< 0) or later.
func (w window) moved(part float64) window {
	d := time.Duration(part * float64(w.long())).Truncate(time.Second)
	return window{w.from.Add(d), w.to.Add(d)}
}

// zoomed gives the window with its length times f, about its middle.
func (w window) zoomed(f float64) window {
	long := min(max(time.Duration(f*float64(w.long())), shortest), longest).Truncate(time.Second)
	mid := w.from.Add(w.long() / 2)
	return window{mid.Add(-long / 2).Truncate(time.Second), mid.Add(long / 2).Truncate(time.Second)}
}

// at places an instant in the window, in per cent of its length, unbounded.
func (w window) at(t time.Time) float64 {
	return 100 * float64(t.Sub(w.from)) / float64(w.long())
}

func (w window) has(t time.Time) bool { return !t.Before(w.from) && t.Before(w.to) }

// tick is one mark of the axis.
type tick struct {
	x    float64
	word string
	big  bool // a new day, or a new year
}

// steps are the distances ticks may have; months and years are counted apart.
var steps = []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, hour, 3 * hour, 6 * hour, 12 * hour, day, 2 * day, 7 * day}

const mostTicks = 10

// ticks lays out the axis in the bank's zone.
func (w window) ticks(ctx context.Context) []tick {
	zone := httpx.From(ctx).Zone
	for _, s := range steps {
		if w.long()/s <= mostTicks {
			return w.even(ctx, s, zone)
		}
	}
	for _, m := range []int{1, 2, 3, 6, 12, 24, 60, 120} {
		if w.long() <= time.Duration(mostTicks*m)*30*day {
			return w.months(ctx, m, zone)
		}
	}
	return nil
}

func (w window) even(ctx context.Context, s time.Duration, zone *time.Location) (out []tick) {
	l := w.from.In(zone)
	t := time.Date(l.Year(), l.Month(), l.Day(), 0, 0, 0, 0, zone)
	if s == 7*day { // weeks begin on Monday
		t = t.AddDate(0, 0, -(int(t.Weekday())+6)%7)
	}
	next := func(t time.Time) time.Time {
		if s >= day { // a day is not always 24 hours
			return t.AddDate(0, 0, int(s/day))
		}
		return t.Add(s)
	}
	for ; t.Before(w.to); t = next(t) {
		if !w.has(t) {
			continue
		}
		x := tick{x: w.at(t), big: t.Hour() == 0 && t.Minute() == 0 && s < day}
		switch {
		case s >= day || x.big:
			x.word = words.Pick(ctx, t.Format("1月2日"), t.Format("2 Jan"))
		case s >= time.Minute:
			x.word = t.Format("15:04")
		default:
			x.word = t.Format("15:04:05")
		}
		out = append(out, x)
	}
	return out
}

func (w window) months(ctx context.Context, m int, zone *time.Location) (out []tick) {
	l := w.from.In(zone)
	for t := time.Date(l.Year(), 1, 1, 0, 0, 0, 0, zone); t.Before(w.to); t = t.AddDate(0, m, 0) {
		if !w.has(t) {
			continue
		}
		x := tick{x: w.at(t), big: t.Month() == 1, word: words.Pick(ctx, t.Format("1月"), t.Format("Jan"))}
		if x.big || m >= 12 {
			x.word = words.Pick(ctx, t.Format("2006年"), t.Format("2006"))
		}
		out = append(out, x)
	}
	return out
}
