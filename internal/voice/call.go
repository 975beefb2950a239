package voice

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"parley/internal/voice/media"
)

// By is who, or what, ended a call.
type By string

// The ends of a call.
const (
	ByLocal  By = "local"  // we hung up
	ByRemote By = "remote" // they hung up
	ByLost   By = "lost"   // their sound stopped coming
	ByError  By = "error"  // something of ours broke
)

// End is how a call ended and what it leaves behind.
type End struct {
	By        By
	Reason    string
	At        time.Time
	Duration  time.Duration // from the answer on
	Recording media.Recording
	Stats     media.Stats
}

// state is where a call is in its life.
type state int

const (
	inviting state = iota
	talking
	over
)

// Call is a call from its first INVITE until nothing of it can come any more.
type Call struct {
	e     *Endpoint
	d     Dial
	id    string // Call-ID
	tag   string // ours
	media *media.Session
	done  chan struct{}

	mu          sync.Mutex
	state       state
	invite      *sip.Request
	progressed  bool               // a provisional response came
	abandoned   bool               // we want it to end, whatever comes
	cancelSent  bool               // for the current INVITE
	dialog      *dialog            // the established one
	ended       map[string]*dialog // by remote tag: those that were or will not be ours
	gone        map[string]bool    // remote tags that said BYE before we read their 2xx
	peerSeq     uint32             // highest CSeq of the peer's requests
	reacks      map[uint32]chan struct{}
	answeredAt  time.Time
	end         End
	sdpID       uint64
	sdpVersion  uint64
	keys        []byte
	keyPressed  chan struct{}
	pendingLoss error
}

func newCall(e *Endpoint, d Dial) *Call {
	return &Call{
		e: e, d: d, id: d.CallID, tag: sip.GenerateTagN(16), done: make(chan struct{}),
		ended: map[string]*dialog{}, gone: map[string]bool{}, reacks: map[uint32]chan struct{}{},
		keyPressed: make(chan struct{}, 1), sdpVersion: 1,
	}
}

// ID is the Call-ID.
func (c *Call) ID() string { return c.id }

// Done is closed when the call has ended and its recording is closed.
func (c *Call) Done() <-chan struct{} { return c.done }

// End tells, after Done, how the call ended.
func (c *Call) End() End {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.end
}

// AnsweredAt is when the 2xx came.
func (c *Call) AnsweredAt() time.Time { return c.answeredAt }

// Hangup ends the call and waits until its recording is closed, or ctx ends.
// The BYE is followed to its answer in the background.
func (c *Call) Hangup(ctx context.Context) error {
	go c.finish(ByLocal, "hung up")
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// establish takes the first 2xx: ACK, then sound. It reports whether the
// response could make a dialog.
func (c *Call) establish(res *sip.Response, st media.Stream) bool {
	g := c.e.newDialog(res)
	if g == nil {
		return false
	}
	c.mu.Lock()
	c.dialog = g
	c.state = talking
	c.answeredAt = time.Now()
	hungUp := c.gone[g.remote]
	loss := c.pendingLoss
	st.Send = true
	c.media.Set(st) // before anybody can end the call: every answered call has its recording
	c.mu.Unlock()
	c.e.acknowledge(g)
	switch {
	case hungUp: // its BYE overtook its 2xx
		c.finish(ByRemote, "hung up")
	case loss != nil:
		c.finish(ByError, loss.Error())
	}
	return true
}

// refuse ends a 2xx nobody wants: ACK, and BYE once for each dialog.
func (c *Call) refuse(res *sip.Response, reason string) {
	g := c.e.newDialog(res)
	if g == nil {
		return
	}
	c.mu.Lock()
	known := c.ended[g.remote]
	if known == nil {
		c.ended[g.remote] = g
	}
	bye := known == nil && !c.gone[g.remote]
	c.mu.Unlock()
	c.e.acknowledge(g)
	if bye {
		c.e.counts.ghosts.Add(1)
		c.e.background(func() { c.e.bye(g, reason) })
	}
}

// again takes a 2xx that is not the first: one sent again because our ACK was
// lost, or one of another branch, or one we had stopped waiting for.
func (c *Call) again(res *sip.Response) {
	tag := ""
	if to := res.To(); to != nil {
		tag, _ = to.Params.Get("tag")
	}
	c.mu.Lock()
	g := c.dialog
	waiting := c.state == inviting && !c.abandoned
	c.mu.Unlock()
	switch {
	case g != nil && g.remote == tag:
		c.e.acknowledge(g)
	case g == nil && waiting: // the dial will read its own copy, or the peer will send it again
	default:
		c.refuse(res, "no longer wanted")
	}
}

// cancel sends the CANCEL of the current INVITE, once.
func (c *Call) cancel() {
	c.mu.Lock()
	c.abandoned = true
	send := !c.cancelSent
	c.cancelSent = true
	invite := c.invite
	c.mu.Unlock()
	if !send {
		return
	}
	c.e.background(func() {
		ctx, stop := context.WithTimeout(context.Background(), c.e.cfg.Timing.Cancel)
		defer stop()
		if _, err := c.e.do(ctx, cancelOf(invite)); err != nil {
			c.e.cfg.Log.Warn("CANCEL not answered", "call", c.id, "error", err)
		}
	})
}

// giveUp stops waiting for an INVITE of unknown fate. If it was heard of, it is
// cancelled now; if it is heard of later, stray will do so.
func (c *Call) giveUp() {
	c.mu.Lock()
	c.abandoned = true
	progressed := c.progressed
	c.mu.Unlock()
	if progressed {
		c.cancel()
	}
}

// fail puts away a call that was not answered.
func (c *Call) fail() {
	c.mu.Lock()
	c.state, c.abandoned = over, true
	c.mu.Unlock()
	c.media.Close()
	c.e.leave(c)
	close(c.done)
}

// finish ends an answered call, once: BYE unless the peer sent one, and the
// recording is closed.
func (c *Call) finish(by By, reason string) {
	c.mu.Lock()
	if c.state != talking {
		c.mu.Unlock()
		return
	}
	c.state, c.abandoned = over, true
	g := c.dialog
	at := time.Now()
	c.mu.Unlock()
	if by != ByRemote {
		text := ""
		if by != ByLocal {
			text = reason
		}
		c.e.background(func() { c.e.bye(g, text) })
	}
	rep := c.media.Close()
	c.mu.Lock()
	c.end = End{By: by, Reason: reason, At: at, Duration: at.Sub(c.answeredAt), Recording: rep.Recording, Stats: rep.Stats}
	c.mu.Unlock()
	c.e.leave(c)
	close(c.done)
}

// fault is told by media that the sound stopped or the recording broke.
func (c *Call) fault(err error) {
	if errors.Is(err, media.ErrQuiet) {
		c.finish(ByLost, err.Error())
		return
	}
	c.e.cfg.Log.Error("recording failed", "call", c.id, "error", err)
	if !c.d.MustRecord {
		return // End.Recording.Err tells it
	}
	c.mu.Lock()
	c.pendingLoss = err
	c.mu.Unlock()
	c.finish(ByError, err.Error())
}

// background runs what a call still owes its peer; Close waits for it.
func (e *Endpoint) background(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.drained {
		e.wg.Go(f)
	}
}
