package voice

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"parley/internal/contact"
	"parley/internal/voice/media"
)

// Dial is a call to be placed.
type Dial struct {
	To          string            // number or SIP URI
	From        string            // number shown
	DisplayName string            // name shown
	RingFor     time.Duration     // how long it may ring; 0 = Timing.Ring
	Headers     map[string]string // further SIP headers
	CallID      string            // unique; empty = made here
	Record      string            // path of the WAV to write; empty = no recording
	// MustRecord makes a call without a recording impossible: it is not placed
	// when the file cannot be made, and ended when the recording breaks.
	MustRecord bool
}

// maxChallenges bounds how often one request is repeated for authentication:
// registrar and proxy may both ask, each may renew its nonce once.
const maxChallenges = 3

func notSent(reason string) *Failure { return &Failure{Outcome: contact.NotSent, Reason: reason} }

// Dial places a call. It returns when the call is answered, or with a *Failure
// when it certainly is not, or nobody can say any more. When ctx ends the call
// is cancelled, and Dial waits until the peer has confirmed that.
func (e *Endpoint) Dial(ctx context.Context, d Dial) (*Call, error) {
	c, fail := e.prepare(ctx, d)
	if fail == nil {
		fail = c.place(ctx)
	}
	if fail != nil {
		e.counts.failed.Add(1)
		return nil, fail
	}
	e.counts.answered.Add(1)
	return c, nil
}

// prepare makes everything a call needs before anything is sent.
func (e *Endpoint) prepare(ctx context.Context, d Dial) (*Call, *Failure) {
	if err := d.check(); err != nil {
		return nil, notSent(err.Error())
	}
	if ctx.Err() != nil {
		return nil, notSent("cancelled before it was sent")
	}
	if fail := e.reachable(ctx); fail != nil {
		return nil, fail
	}
	if d.CallID == "" {
		d.CallID = contact.NewID()
	}
	if d.RingFor <= 0 {
		d.RingFor = e.cfg.Timing.Ring
	}
	c := newCall(e, d)
	if fail := e.enter(c); fail != nil {
		return nil, fail
	}
	var err error
	c.media, err = e.media.Open(d.Record, media.Events{Digit: c.press, Fault: c.fault})
	if err == nil && d.MustRecord && c.media.RecordingErr() != nil {
		err = c.media.RecordingErr()
		c.media.Close()
	}
	if err == nil {
		c.invite, err = c.compose()
		if err != nil {
			c.media.Close()
		}
	}
	if err != nil {
		e.leave(c)
		close(c.done)
		e.wg.Done()
		return nil, notSent(err.Error())
	}
	return c, nil
}

func (d Dial) check() error {
	if d.To == "" {
		return errors.New("nobody to call")
	}
	all := append([]string{d.To, d.From, d.DisplayName, d.CallID}, slices.Collect(maps.Keys(d.Headers))...)
	for _, s := range append(all, slices.Collect(maps.Values(d.Headers))...) {
		if strings.ContainsAny(s, "\r\n\x00") {
			return errors.New("a line break has no place in a SIP header")
		}
	}
	if strings.ContainsAny(d.From+d.CallID, "<>@ \"") || strings.ContainsAny(d.To, "<> \"") {
		return fmt.Errorf("%q or %q is not a number to call with", d.To, d.From)
	}
	return nil
}

// compose builds the INVITE.
func (c *Call) compose() (*sip.Request, error) {
	e, d := c.e, c.d
	to := sip.Uri{Scheme: "sip", User: d.To, Host: e.cfg.Domain}
	if sip.UriIsSIP(d.To) {
		if err := sip.ParseUri(d.To, &to); err != nil {
			return nil, fmt.Errorf("%q is not a SIP URI: %w", d.To, err)
		}
	}
	from := sip.FromHeader{DisplayName: strings.ReplaceAll(d.DisplayName, `"`, ""), Address: sip.Uri{Scheme: "sip", User: d.From, Host: e.cfg.Domain}}
	from.Params.Add("tag", c.tag)
	id, forwards := sip.CallIDHeader(c.id), sip.MaxForwardsHeader(70)
	us := sip.Uri{Scheme: "sip", User: d.From, Host: e.local.Addr().String(), Port: int(e.local.Port())}
	if e.cfg.Transport == "tcp" {
		us.UriParams.Add("transport", "tcp")
	}
	req := sip.NewRequest(sip.INVITE, to)
	for _, h := range []sip.Header{
		&from, &sip.ToHeader{Address: to}, &id, &sip.CSeqHeader{SeqNo: 1, MethodName: sip.INVITE}, &forwards,
		&sip.ContactHeader{Address: us}, sip.NewHeader("Allow", allow), sip.NewHeader("User-Agent", "Parley"),
		sip.NewHeader("Content-Type", "application/sdp"),
	} {
		req.AppendHeader(h)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Headers)) {
		req.AppendHeader(sip.NewHeader(name, d.Headers[name]))
	}
	req.SetTransport(strings.ToUpper(e.cfg.Transport))
	req.SetDestination(e.cfg.Proxy)
	c.sdpID = rand.Uint64N(1 << 62)
	req.SetBody(describe(e.cfg.MediaIP, c.media.Port(), c.sdpID, 1, e.codecs, "sendrecv"))
	return req, nil
}

// phase is how far an INVITE has come.
type phase int

const (
	calling    phase = iota // sent, nothing heard
	proceeding              // the trunk has it
	ringing
	cancelling // CANCEL sent
)

// attempt is an INVITE on its way.
type attempt struct {
	c          *Call
	tx         sip.ClientTransaction
	phase      phase
	timer      *time.Timer
	rang       time.Time
	why        string // why we want it to end; "" = we do not
	challenges int
	nonces     map[string]bool
}

// place sends the INVITE and follows it to its end.
func (c *Call) place(ctx context.Context) *Failure {
	defer c.e.wg.Done()
	a := &attempt{c: c, nonces: map[string]bool{}, timer: time.NewTimer(c.e.cfg.Timing.Answer)}
	defer a.timer.Stop()
	fail := a.run(ctx)
	if a.tx != nil {
		a.tx.Terminate() // from here on Endpoint.stray cares for what comes late
	}
	if fail != nil {
		if !a.rang.IsZero() {
			fail.Rang = time.Since(a.rang)
		}
		c.fail()
	}
	return fail
}

func (a *attempt) run(ctx context.Context) *Failure {
	c := a.c
	// Establishing a TCP connection is bounded by the same patience.
	dialCtx, cancel := context.WithTimeout(ctx, c.e.cfg.Timing.Answer)
	tx, err := c.e.client.TransactionRequest(dialCtx, c.invite)
	cancel()
	if err != nil {
		return notSent(fmt.Sprintf("the trunk cannot be reached: %v", err))
	}
	c.e.counts.placed.Add(1)
	a.follow(tx)
	caller, shutdown := ctx.Done(), c.e.ctx.Done()
	for {
		select {
		case res := <-a.tx.Responses():
			if over, fail := a.response(ctx, res); over {
				return fail
			}
		case <-a.tx.Done():
			return a.broken()
		case <-a.timer.C:
			if fail := a.timeout(); fail != nil {
				return fail
			}
		case <-caller:
			caller = nil
			a.abandon("cancelled")
		case <-shutdown:
			shutdown = nil
			a.abandon("shutting down")
		}
	}
}

func (a *attempt) follow(tx sip.ClientTransaction) {
	a.tx = tx
	tx.OnRetransmission(a.c.e.stray) // a second 2xx: sent again, or from another branch
}

// response takes one response to the INVITE; over tells that it was the last.
func (a *attempt) response(ctx context.Context, res *sip.Response) (over bool, fail *Failure) {
	c := a.c
	c.e.setDown(false)
	switch {
	case res.IsProvisional():
		a.provisional(res)
		return false, nil
	}
	// Whoever gave up before this came has given up, whichever is noticed first.
	switch {
	case a.why != "":
	case ctx.Err() != nil:
		a.why = "cancelled"
	case c.e.ctx.Err() != nil:
		a.why = "shutting down"
	}
	switch {
	case res.IsSuccess():
		return true, a.answered(res)
	case challenge(res) && a.why == "" && c.e.cfg.User != "":
		return a.challenged(ctx, res)
	case challenge(res) && a.why != "":
		return true, &Failure{Outcome: contact.NotSent, Code: res.StatusCode, Reason: a.why, Sent: true}
	}
	fail = &Failure{Outcome: outcomeOf(res.StatusCode), Code: res.StatusCode, Reason: res.Reason, Sent: true}
	if a.why != "" {
		fail.Reason = a.why
		if a.rang.IsZero() && fail.Outcome == contact.NoAnswer {
			fail.Outcome = contact.Unreachable
		}
	}
	if res.StatusCode/100 == 3 { // another number may be another person
		fail.Reason = "redirected; redirects are not followed"
	}
	return true, fail
}

// provisional follows progress. Carriers may send any number of them.
func (a *attempt) provisional(res *sip.Response) {
	c := a.c
	c.mu.Lock()
	c.progressed = true
	c.mu.Unlock()
	if a.phase == calling {
		a.phase = proceeding
		a.timer.Reset(c.e.cfg.Timing.Setup)
		if a.why != "" { // it was to be cancelled before it could be
			a.cancel()
			return
		}
	}
	if res.StatusCode == 100 || a.phase == cancelling {
		return
	}
	if a.phase == proceeding {
		a.phase, a.rang = ringing, time.Now()
		a.timer.Reset(c.d.RingFor)
	}
	if st, _, err := agree(res.Body(), c.e.codecs); err == nil {
		c.media.Set(st) // early media: heard, not recorded
	}
}

// abandon gives the call up: by CANCEL, as soon as that is allowed (9.1: not
// before a provisional response).
func (a *attempt) abandon(why string) {
	if a.why != "" {
		return
	}
	a.why = why
	if a.phase != calling {
		a.cancel()
	}
}

func (a *attempt) cancel() {
	a.phase = cancelling
	a.timer.Reset(a.c.e.cfg.Timing.Cancel)
	a.c.cancel()
}

// timeout acts on the patience of the current phase having ended.
func (a *attempt) timeout() *Failure {
	t := a.c.e.cfg.Timing
	switch a.phase {
	case calling:
		a.c.e.setDown(true)
		a.c.giveUp()
		return &Failure{Outcome: contact.Unknown, Reason: fmt.Sprintf("no answer of any kind within %v", t.Answer), Sent: true}
	case proceeding:
		a.abandon("neither ringing nor answer")
	case ringing:
		a.abandon("not answered")
	case cancelling:
		a.c.giveUp()
		return &Failure{Outcome: contact.Unknown, Reason: a.why + "; the cancellation was not confirmed", Sent: true}
	}
	return nil
}

// broken handles a transaction that died: its connection was reset. The peer
// may ring on, so it is cancelled over a new connection; the INVITE is not sent again.
func (a *attempt) broken() *Failure {
	a.c.giveUp()
	reason := "the transaction ended"
	if err := a.tx.Err(); err != nil {
		reason = err.Error()
	}
	return &Failure{Outcome: contact.Unknown, Reason: reason, Sent: true}
}

// challenged answers a 401 or 407 with the INVITE sent anew.
func (a *attempt) challenged(ctx context.Context, res *sip.Response) (over bool, fail *Failure) {
	c := a.c
	denied := &Failure{Outcome: contact.NotSent, Code: res.StatusCode, Reason: "the trunk does not accept our credentials", Sent: true}
	a.challenges++
	var asked string
	for _, h := range append(res.GetHeaders("WWW-Authenticate"), res.GetHeaders("Proxy-Authenticate")...) {
		asked += h.Value()
	}
	if a.challenges > maxChallenges || a.nonces[asked] {
		return true, denied
	}
	a.nonces[asked] = true
	a.tx.Terminate()
	invite := c.invite.Clone()
	tx, err := c.e.client.TransactionDigestAuth(ctx, invite, res, c.e.auth())
	if err != nil {
		denied.Reason = fmt.Sprintf("authentication failed: %v", err)
		return true, denied
	}
	c.mu.Lock()
	c.invite, c.progressed = invite, false
	c.mu.Unlock()
	a.phase = calling
	a.timer.Reset(c.e.cfg.Timing.Answer)
	a.follow(tx)
	return false, nil
}

// answered takes the 2xx: a call, unless we had given up or cannot talk.
func (a *attempt) answered(res *sip.Response) *Failure {
	fail := &Failure{Outcome: contact.Connected, Code: res.StatusCode, Sent: true}
	if a.why != "" {
		fail.Reason = "answered while being cancelled (" + a.why + "); ended at once"
		a.c.refuse(res, fail.Reason)
		return fail
	}
	st, _, err := agree(res.Body(), a.c.e.codecs)
	if err != nil {
		fail.Reason = err.Error()
		a.c.refuse(res, fail.Reason)
		return fail
	}
	if !a.c.establish(res, st) {
		fail.Reason = "answered with an unusable response"
		return fail
	}
	return nil
}
