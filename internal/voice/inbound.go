package voice

import (
	"context"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// allow lists the methods we understand.
const allow = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE"

// handle registers what is done with requests. sipgo runs each in a goroutine
// of its own, so they may come in any order; the call's lock puts them right.
func (e *Endpoint) handle() {
	e.server.OnBye(e.onBye)
	e.server.OnInvite(e.onOffer)
	e.server.OnUpdate(e.onOffer)
	e.server.OnAck(e.onAck)
	e.server.OnInfo(e.onInfo)
	e.server.OnOptions(func(req *sip.Request, tx sip.ServerTransaction) {
		if inDialog(req) && e.find(req) == nil {
			e.respond(req, tx, 481, "Call Does Not Exist", nil)
			return
		}
		e.respond(req, tx, 200, "OK", nil)
	})
	e.server.OnNoRoute(func(req *sip.Request, tx sip.ServerTransaction) {
		if req.Method == sip.CANCEL || inDialog(req) && e.find(req) == nil {
			e.respond(req, tx, 481, "Call Does Not Exist", nil)
			return
		}
		e.respond(req, tx, 405, "Method Not Allowed", nil)
	})
}

func inDialog(req *sip.Request) bool {
	to := req.To()
	return to != nil && to.Params.Has("tag")
}

func (e *Endpoint) respond(req *sip.Request, tx sip.ServerTransaction, code int, reason string, body []byte) *sip.Response {
	res := sip.NewResponseFromRequest(req, code, reason, body)
	res.AppendHeader(sip.NewHeader("Allow", allow))
	if body != nil {
		res.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
		res.AppendHeader(&sip.ContactHeader{Address: sip.Uri{Scheme: "sip", Host: e.local.Addr().String(), Port: int(e.local.Port())}})
	}
	if err := tx.Respond(res); err != nil {
		e.cfg.Log.Warn("response not sent", "method", string(req.Method), "status", code, "error", err)
	}
	return res
}

func peerTag(req *sip.Request) string {
	if from := req.From(); from != nil {
		tag, _ := from.Params.Get("tag")
		return tag
	}
	return ""
}

// onBye ends a call from the other side. A BYE may be handled before the 2xx it
// followed, and before our ACK has left.
func (e *Endpoint) onBye(req *sip.Request, tx sip.ServerTransaction) {
	c := e.find(req)
	if c == nil {
		e.respond(req, tx, 481, "Call Does Not Exist", nil)
		return
	}
	tag := peerTag(req)
	c.mu.Lock()
	ours := c.dialog != nil && c.dialog.remote == tag
	if !ours {
		c.gone[tag] = true
	}
	c.mu.Unlock()
	e.respond(req, tx, 200, "OK", nil)
	if ours {
		c.finish(ByRemote, "hung up")
	}
}

// onOffer answers a re-INVITE or UPDATE: hold, resume, or sound from elsewhere.
func (e *Endpoint) onOffer(req *sip.Request, tx sip.ServerTransaction) {
	if !inDialog(req) {
		e.respond(req, tx, 480, "This Line Only Calls Out", nil)
		return
	}
	c := e.find(req)
	if c == nil {
		e.respond(req, tx, 481, "Call Does Not Exist", nil)
		return
	}
	code, reason, body := c.offered(req)
	if req.Method != sip.INVITE || code != 200 {
		e.respond(req, tx, code, reason, body)
		return
	}
	acked := make(chan struct{})
	seq := req.CSeq().SeqNo
	c.mu.Lock()
	c.reacks[seq] = acked
	c.mu.Unlock()
	res := e.respond(req, tx, code, reason, body)
	e.background(func() { c.insist(res, seq, acked) })
}

// offered judges an offer and sets the media to it.
func (c *Call) offered(req *sip.Request) (code int, reason string, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state == over:
		return 481, "Call Does Not Exist", nil
	case c.dialog == nil: // it overtook the 2xx
		return 491, "Request Pending", nil
	case c.dialog.remote != peerTag(req):
		return 481, "Call Does Not Exist", nil
	case req.CSeq() == nil || req.CSeq().SeqNo <= c.peerSeq:
		return 500, "Out Of Order", nil
	}
	c.peerSeq = req.CSeq().SeqNo
	if contact := req.Contact(); contact != nil && !c.e.cfg.NAT {
		g := *c.dialog
		g.target = contact.Address
		c.dialog = &g
	}
	if len(req.Body()) == 0 {
		if req.Method == sip.UPDATE { // a sign of life only
			return 200, "OK", nil
		}
		c.sdpVersion++
		return 200, "OK", describe(c.e.cfg.MediaIP, c.media.Port(), c.sdpID, c.sdpVersion, c.e.codecs, "sendrecv")
	}
	st, direction, err := agree(req.Body(), c.e.codecs)
	if err != nil {
		return 488, "Not Acceptable Here", nil
	}
	st.Send = true
	c.media.Set(st)
	c.sdpVersion++
	return 200, "OK", describe(c.e.cfg.MediaIP, c.media.Port(), c.sdpID, c.sdpVersion, c.e.codecs, direction)
}

// insist repeats the 2xx of a re-INVITE until it is acknowledged (RFC 3261
// 13.3.1.4); a peer that never does is gone.
func (c *Call) insist(res *sip.Response, seq uint32, acked <-chan struct{}) {
	defer func() {
		c.mu.Lock()
		delete(c.reacks, seq)
		c.mu.Unlock()
	}()
	const t1, t2 = 500 * time.Millisecond, 4 * time.Second
	ctx, stop := context.WithTimeout(c.e.ctx, c.e.cfg.Timing.Answer)
	defer stop()
	for wait := t1; ; wait = min(2*wait, t2) {
		select {
		case <-acked:
			return
		case <-c.done:
			return
		case <-ctx.Done():
			if c.e.ctx.Err() != nil {
				return // closing, which hangs up by itself
			}
			c.finish(ByError, "the change of the call was not acknowledged")
			return
		case <-time.After(wait):
			if err := c.e.server.WriteResponse(res); err != nil {
				c.e.cfg.Log.Warn("response not repeated", "call", c.id, "error", err)
			}
		}
	}
}

// onAck ends the repetition of a 2xx of ours.
func (e *Endpoint) onAck(req *sip.Request, _ sip.ServerTransaction) {
	c := e.find(req)
	if c == nil || req.CSeq() == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if acked, ok := c.reacks[req.CSeq().SeqNo]; ok {
		close(acked)
		delete(c.reacks, req.CSeq().SeqNo)
	}
	if st, _, err := agree(req.Body(), c.e.codecs); err == nil && c.state == talking { // the answer to our offer
		st.Send = true
		c.media.Set(st)
	}
}

// onInfo takes keys that some peers send by INFO (application/dtmf-relay).
func (e *Endpoint) onInfo(req *sip.Request, tx sip.ServerTransaction) {
	c := e.find(req)
	if c == nil {
		e.respond(req, tx, 481, "Call Does Not Exist", nil)
		return
	}
	for line := range strings.Lines(string(req.Body())) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if value = strings.TrimSpace(value); ok && strings.EqualFold(strings.TrimSpace(name), "signal") && validKey(value) {
			c.press(value[0])
		}
	}
	e.respond(req, tx, 200, "OK", nil) // only now: a BYE that follows it ends the call
}
