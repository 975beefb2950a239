package voice

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"parley/internal/voice/media"
)

// ErrEnded tells that the call ended while something was done in it.
var ErrEnded = errors.New("the call has ended")

// anyKey is every key there is.
const anyKey = "0123456789*#ABCD"

func validKey(s string) bool { return len(s) == 1 && media.ValidDigits(s) }

// press is told by media of a key on the other side.
func (c *Call) press(key byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.keys) < 256 {
		c.keys = append(c.keys, key)
	}
	select {
	case c.keyPressed <- struct{}{}:
	default:
	}
}

// take gives the first key that waits, 0 when there is none.
func (c *Call) take() byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.keys) == 0 {
		return 0
	}
	k := c.keys[0]
	c.keys = c.keys[1:]
	return k
}

// waiting gives the first of the given keys that waits, 0 when there is none.
func (c *Call) waiting(of string) byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.IndexFunc(c.keys, func(k byte) bool { return strings.IndexByte(of, k) >= 0 }); i >= 0 {
		return c.keys[i]
	}
	return 0
}

// ClearDigits forgets the keys that were pressed and not gathered.
func (c *Call) ClearDigits() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keys = nil
}

// Played tells how far a prompt came.
type Played struct {
	All   bool // to its end
	Digit byte // the key that stopped it, 0 when none did
}

// Play plays a prompt to its end, whatever is pressed; the keys wait for Gather.
func (c *Call) Play(ctx context.Context, p *media.Prompt) (Played, error) {
	return c.PlayUntil(ctx, p, "")
}

// PlayUntil plays a prompt to its end or until one of keys is pressed. The key
// stays, and is the first that Gather reads. A key that already waits stops the
// prompt at once; ClearDigits before forgets it.
func (c *Call) PlayUntil(ctx context.Context, p *media.Prompt, keys string) (Played, error) {
	pl := c.media.Play(p)
	defer c.media.Stop(pl)
	for {
		if key := c.waiting(keys); key != 0 {
			return Played{Digit: key}, nil
		}
		select {
		case <-pl.Done():
			if !pl.All() {
				return Played{}, c.why()
			}
			return Played{All: true}, nil
		case <-c.keyPressed:
		case <-c.done:
			return Played{}, ErrEnded
		case <-ctx.Done():
			return Played{}, ctx.Err()
		}
	}
}

// errReplaced tells that another prompt took the place of this one.
var errReplaced = errors.New("another prompt was started")

// why tells what stopped a prompt or keys.
func (c *Call) why() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == over {
		return ErrEnded
	}
	return errReplaced
}

// GatherSpec says which keys to wait for.
type GatherSpec struct {
	Max     int           // stop after so many; 0 = no limit
	Until   string        // keys that end the input; not part of it
	Timeout time.Duration // for the first key; 0 = 5 s
	Between time.Duration // for every further key; 0 = 3 s
}

// Gather collects keys, those already pressed first. Input that ends by a
// timeout is given as it is, perhaps empty, without an error.
func (c *Call) Gather(ctx context.Context, g GatherSpec) (string, error) {
	if g.Timeout <= 0 {
		g.Timeout = 5 * time.Second
	}
	if g.Between <= 0 {
		g.Between = 3 * time.Second
	}
	timer := time.NewTimer(g.Timeout)
	defer timer.Stop()
	var got []byte
	for {
		for key := c.take(); key != 0; key = c.take() {
			if strings.IndexByte(g.Until, key) >= 0 {
				return string(got), nil
			}
			if got = append(got, key); g.Max > 0 && len(got) >= g.Max {
				return string(got), nil
			}
			timer.Reset(g.Between)
		}
		select {
		case <-c.keyPressed:
		case <-timer.C:
			return string(got), nil
		case <-c.done:
			if c.waiting(anyKey) != 0 { // pressed just before the end
				continue
			}
			return string(got), ErrEnded
		case <-ctx.Done():
			return string(got), ctx.Err()
		}
	}
}

// SendDigits presses keys: as RFC 4733 events, or as tones for a peer that
// takes no events. It returns when they have been sent.
func (c *Call) SendDigits(ctx context.Context, digits string) error {
	if digits == "" || !media.ValidDigits(digits) {
		return errors.New("not keys of a telephone: " + digits)
	}
	if !c.media.TakesEvents() {
		_, err := c.Play(ctx, media.Tones(digits, 100*time.Millisecond, 100*time.Millisecond))
		return err
	}
	s, err := c.media.SendDigits(digits)
	if err != nil {
		if errors.Is(err, media.ErrClosed) {
			return ErrEnded
		}
		return err
	}
	select {
	case <-s.Done():
		if !s.All() {
			return ErrEnded
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Span is a stretch of a call's recording, counted from its start.
type Span struct {
	From, To time.Duration
	Spoke    bool // a voice was heard in it
}

// RecordMessage lets the other side speak: until they have been silent for
// silence, pressed a key, or spoken for max. The words are on the right side of
// the call's recording at the span that is given, also when the call ends
// meanwhile (then with ErrEnded).
func (c *Call) RecordMessage(ctx context.Context, max, silence time.Duration) (Span, error) {
	h := c.media.Hear(max, silence)
	var err error
	select {
	case <-h.Done():
		if errors.Is(c.why(), ErrEnded) {
			err = ErrEnded
		}
	case <-ctx.Done():
		err = ctx.Err()
	}
	c.media.StopHearing(h)
	from, to, spoke := h.Span()
	return Span{From: from, To: to, Spoke: spoke}, err
}

// Position is how far the recording has come.
func (c *Call) Position() time.Duration { return c.media.Position() }

// Stats gives the call's packet counts so far.
func (c *Call) Stats() media.Stats { return c.media.Stats() }
