package dialer

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// In no span of time does a pace start more than its rate allows, and it does
// not fall behind when the loop wakes late by less than the slack.
func TestPaceKeepsTheRate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		p := Pace{Rate: rapid.Float64Range(0.1, 50).Draw(rt, "rate")}
		now := time.Unix(1_800_000_000, 0)
		var starts []time.Time
		for range 200 {
			now = now.Add(p.Wait(now)).Add(time.Duration(rapid.IntRange(0, 40).Draw(rt, "late")) * time.Millisecond)
			if rapid.IntRange(0, 9).Draw(rt, "idle") == 0 {
				now = now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(rt, "pause")) * time.Millisecond)
			}
			p.Took(now)
			starts = append(starts, now)
		}
		for i := range starts {
			for j := i; j < len(starts); j++ {
				span := starts[j].Sub(starts[i]) + slack
				if n := float64(j - i + 1); n > p.Rate*span.Seconds()+1.0001 {
					rt.Fatalf("%v calls in %v at %v a second", n, span, p.Rate)
				}
			}
		}
	})
}

func TestRateSpreadsEvenly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cps    float64
		spread bool
		left   int
		open   time.Duration
		want   float64
	}{
		"at once":               {5, false, 3600, time.Hour, 5},
		"spread":                {5, true, 3600, time.Hour, 1.1},
		"never above cps":       {0.5, true, 36000, time.Hour, 0.5},
		"never a stuck list":    {5, true, 3, 10 * time.Hour, 1.0 / 60},
		"nothing known to left": {5, true, 0, time.Hour, 5},
	} {
		if got := Rate(c.cps, c.spread, c.left, c.open); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestBatchLooksAheadTwoSeconds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rate        float64
		free, ready int
		yield       float64
		want        int
	}{
		"free lines bound it":     {10, 3, 0, 1, 3},
		"rate bounds it":          {1, 100, 0, 1, 2},
		"what waits counts":       {1, 100, 2, 1, 0},
		"no free line":            {10, 0, 0, 1, 0},
		"few allowed, ask more":   {1, 100, 0, 0.1, 20},
		"nobody allowed, bounded": {50, 100, 0, 0, 1000},
	} {
		if got := Batch(c.rate, c.free, c.ready, c.yield); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// Single faults do not slow anything; a dead trunk is asked less and less.
func TestBrake(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	var b Brake
	for i, want := range []time.Duration{0, 0, 1, 2, 4, 8, 16, 32, 60, 60} {
		b.Failed(now)
		if got := b.Wait(now); got != want*time.Second {
			t.Errorf("after %d faults: %v, want %vs", i+1, got, want)
		}
	}
	b.Fine()
	if b.Wait(now) != 0 {
		t.Error("a call that left does not release the brake")
	}
}
