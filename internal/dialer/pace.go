package dialer

import (
	"math"
	"time"
)

// Rate gives how many calls a second to start. Spread lays what is left evenly
// over the open time that is left; cps is never exceeded.
func Rate(cps float64, spread bool, left int, open time.Duration) float64 {
	if !spread || left <= 0 || open <= 0 {
		return cps
	}
	// A tenth more than even, since some calls are retried; never slower than
	// a call a minute, so that a short list does not look stuck.
	return min(cps, max(1.1*float64(left)/open.Seconds(), 1.0/60))
}

// Pace is a token bucket that spaces calls: in any span of time t it starts at
// most rate·(t+slack)+1 calls. The zero value may start at once.
type Pace struct {
	Rate float64 // calls per second
	next time.Time
}

// slack is how much lateness is caught up, so that coarse timers do not lower
// the rate.
const slack = 50 * time.Millisecond

// Wait gives how long to wait at now before the next call.
func (p *Pace) Wait(now time.Time) time.Duration { return max(0, p.next.Sub(now)) }

// Took counts a call started at now.
func (p *Pace) Took(now time.Time) {
	if earliest := now.Add(-slack); p.next.Before(earliest) {
		p.next = earliest
	}
	p.next = p.next.Add(time.Duration(float64(time.Second) / p.Rate))
}

// Brake slows down when calls do not leave the bank: a trunk that is down must
// not be hammered, nor the list burnt against it.
type Brake struct {
	fails int
	until time.Time
}

// Failed counts a call that did not leave the bank.
func (b *Brake) Failed(now time.Time) {
	b.fails++
	if b.fails >= 3 {
		b.until = now.Add(min(time.Minute, time.Second<<min(b.fails-3, 6)))
	}
}

// Fine tells that a call left the bank.
func (b *Brake) Fine() { *b = Brake{} }

// Wait gives how long to wait at now before the next call.
func (b *Brake) Wait(now time.Time) time.Duration { return max(0, b.until.Sub(now)) }

// Batch gives how many members to ask the gate about: enough for the calls of
// the next two seconds and the free lines, more when few are allowed. yield is
// the share that was allowed lately.
func Batch(rate float64, free, ready int, yield float64) int {
	want := min(free, int(math.Ceil(2*rate))) - ready
	if want <= 0 {
		return 0
	}
	return min(1000, int(math.Ceil(float64(want)/max(yield, 0.01))))
}
