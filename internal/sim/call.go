package sim

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/emiago/diago"
	"github.com/emiago/diago/media"
	"github.com/emiago/sipgo/sip"
)

// Ending is how a call ended as the phone saw it.
type Ending string

// The endings.
const (
	ByCaller  Ending = "caller"    // the caller hung up
	ByPhone   Ending = "phone"     // the called person hung up
	Cancelled Ending = "cancelled" // the caller gave up while it rang
	Turned    Ending = "refused"   // busy, switched off, no such number, declined
	Lapsed    Ending = "lapsed"    // rang so long that the carrier gave up
	Failed    Ending = "failed"    // no common codec, or the answer was never acknowledged
)

// PhoneCall is one call as the phone saw it. What the bank recorded about the
// same CallID must tell the same story.
type PhoneCall struct {
	CallID     string
	From       string // caller id that was shown
	Number     string // number that was dialled, as written in the INVITE
	Persona    Persona
	At         time.Time     // INVITE arrived
	Rang       time.Duration // from 180 until it was answered, refused or given up
	Answered   bool
	Talked     time.Duration // from answer to end
	Code       int           // final SIP status; 0 when still open or cancelled
	KeysSent   string        // keys the person pressed, in order, from their first packet
	KeysHeard  string        // RFC 4733 events the phone received
	BytesHeard int64         // audio payload received; 8000 a second
	VoiceHeard time.Duration // how much of that was audible
	Ended      Ending        // "" while the call goes on
}

// call is the phone's own record of a call, written by ear, mouth and hand.
type call struct {
	mu sync.Mutex
	PhoneCall
}

func (c *call) update(f func(*PhoneCall)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.PhoneCall)
}

func (c *call) snapshot() PhoneCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.PhoneCall
}

// end records the first ending only: what follows is its consequence.
func (c *call) end(e Ending, code int) {
	c.update(func(p *PhoneCall) {
		if p.Ended == "" {
			p.Ended, p.Code = e, code
		}
	})
}

// serve is one INVITE from its arrival to the end of its call.
func (c *Carrier) serve(d *diago.DialogServerSession) {
	if !c.admit() {
		return // closing: diago answers 480
	}
	defer c.calls.Done()
	if c.repeated(d) || !c.authorised(d) {
		return
	}
	k, nth := c.open(d)
	defer c.close(k)
	ctx, cancel := context.WithCancel(d.Context())
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()

	p, _ := profileOf(k.Persona)
	dice := dice(c.conf.Seed, k.Number, nth+1)
	if p.ringLeast == 0 && p.code != 0 {
		sleep(ctx, c.scaled(200*time.Millisecond+upTo(dice, 300*time.Millisecond))) // the network looks for the phone
	} else if !c.ring(ctx, d, k, p, c.scaled(p.ring(dice))) {
		if d.Context().Err() == nil { // closing: said here, for Close waits for this and then takes the line away
			_ = d.Respond(sip.StatusTemporarilyUnavailable, "Temporarily Unavailable", nil)
		}
		return
	}
	if p.code != 0 {
		k.end(Turned, p.code)
		_ = d.Respond(p.code, p.reason, nil)
		return
	}
	if p.act == nil {
		k.end(Lapsed, sip.StatusTemporarilyUnavailable)
		_ = d.Respond(sip.StatusTemporarilyUnavailable, "No Answer", nil)
		return
	}
	c.answer(ctx, d, k, p, &phone{carrier: c, dialog: d, call: k, dice: dice, log: c.conf.Log,
		words: make(chan utterance), onset: make(chan struct{}, 1)})
}

// ring lets the phone ring; it reports false when the caller gave up.
func (c *Carrier) ring(ctx context.Context, d *diago.DialogServerSession, k *call, p profile, long time.Duration) bool {
	const lapse = 90 * time.Second // networks do not ring for ever, at no speed
	if p.act == nil && p.code == 0 {
		long = lapse
	}
	start := time.Now()
	if err := d.Ringing(); err != nil {
		k.end(Cancelled, 0)
		return false
	}
	alive := sleep(ctx, min(long, lapse))
	k.update(func(p *PhoneCall) { p.Rang = time.Since(start) })
	if d.Context().Err() != nil {
		k.end(Cancelled, 0)
	}
	if !alive && c.ctx.Err() != nil {
		k.end(Lapsed, sip.StatusTemporarilyUnavailable)
	}
	return alive
}

// answer takes the call and lets the phone live.
func (c *Carrier) answer(ctx context.Context, d *diago.DialogServerSession, k *call, p profile, ph *phone) {
	answered := time.Now() // before the 200 leaves: the caller counts from its arrival
	if err := d.Answer(); err != nil {
		switch {
		case d.Context().Err() != nil || errors.Is(err, sip.ErrTransactionCanceled):
			k.end(Cancelled, 0)
		default:
			c.conf.Log.Warn("simulated phone could not answer", "call", k.CallID, "err", err)
			k.end(Failed, sip.StatusNotAcceptableHere)
			_ = d.Respond(sip.StatusNotAcceptableHere, "Not Acceptable Here", nil)
		}
		return
	}
	k.update(func(p *PhoneCall) { p.Answered, p.Code = true, sip.StatusOK })
	c.mu.Lock()
	c.stats.Answered++
	c.mu.Unlock()
	for _, codec := range d.MediaSession().CommonCodecs() {
		switch {
		case codec.Name != media.CodecTelephoneEvent8000.Name:
			if ph.codec.Name == "" {
				ph.codec = codec
			}
		case p.Persona != AgreesInband:
			ph.events = &codec
		}
	}
	ph.live(ctx, p.act)
	k.update(func(p *PhoneCall) { p.Talked = time.Since(answered) })
}

// hangUp ends an answered call from the phone's side, unless it is over already.
func (c *Carrier) hangUp(ctx context.Context, d *diago.DialogServerSession, k *call) {
	if d.Context().Err() != nil {
		k.end(ByCaller, sip.StatusOK)
		return
	}
	k.end(ByPhone, sip.StatusOK)
	// Not ctx: a carrier that closes still says goodbye.
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := d.Hangup(bye); err != nil {
		c.conf.Log.Warn("simulated phone could not hang up", "call", k.CallID, "err", err)
	}
}

// authorised challenges an INVITE without credentials and refuses wrong ones.
// Neither is a call: no phone rang.
func (c *Carrier) authorised(d *diago.DialogServerSession) bool {
	if c.conf.User == "" {
		return true
	}
	challenge := d.InviteRequest.GetHeader("Authorization") == nil
	err := c.digest.AuthorizeDialog(d, diago.DigestAuth{Username: c.conf.User, Password: c.conf.Password,
		Realm: "carrier.invalid", Expire: time.Minute})
	if err == nil {
		return true
	}
	if !challenge {
		c.mu.Lock()
		c.stats.Refused++
		c.mu.Unlock()
		_ = d.Respond(sip.StatusForbidden, "Forbidden", nil)
	}
	return false
}

// admit counts a call that Close must wait for, unless it waits already.
func (c *Carrier) admit() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return false
	}
	c.calls.Add(1)
	return true
}

// repeated tells whether an INVITE came before. The stack forgets a transaction
// at once when its own 100 Trying crosses the final answer; what a caller on a
// busy machine sent again after half a second is then a new one to it, and the
// phone would ring twice.
func (c *Carrier) repeated(d *diago.DialogServerSession) bool {
	key := d.InviteRequest.CallID().Value()
	if via := d.InviteRequest.Via(); via != nil {
		branch, _ := via.Params.Get("branch")
		key += " " + branch
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen[key] {
		return true // diago answers 480 to what nobody waits for any more
	}
	c.seen[key] = true
	return false
}

// open enters a call in the book; nth counts the earlier calls to its number.
func (c *Carrier) open(d *diago.DialogServerSession) (k *call, nth uint64) {
	k = &call{PhoneCall: PhoneCall{CallID: d.InviteRequest.CallID().Value(), From: d.FromUser(),
		Number: d.InviteRequest.Recipient.User, At: time.Now()}}
	k.Persona = c.Persona(k.Number)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.await[plain(k.Number)] {
		delete(c.await, plain(k.Number))
		k.Persona = Waits
	}
	nth = c.nth[plain(k.Number)]
	c.nth[plain(k.Number)]++
	c.book = append(c.book, k)
	c.stats.Calls++
	c.stats.Personas[k.Persona]++
	c.stats.Active++
	c.stats.Peak = max(c.stats.Peak, c.stats.Active)
	return k, nth
}

func (c *Carrier) close(k *call) {
	k.end(Failed, 0) // unless it has ended properly
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Active--
	if k.snapshot().Ended == Cancelled {
		c.stats.Cancelled++
	}
}
