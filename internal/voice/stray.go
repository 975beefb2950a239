package voice

import (
	"net/netip"

	"github.com/emiago/sipgo/sip"
)

// stray takes the responses no transaction waits for. Here ghost calls would
// arise: answers that come after a CANCEL, after timer B, from a second branch
// of a fork, or to a call a former run of this program placed.
func (e *Endpoint) stray(res *sip.Response) {
	id, cseq := res.CallID(), res.CSeq()
	if id == nil || cseq == nil || cseq.MethodName != sip.INVITE {
		return
	}
	e.mu.Lock()
	c := e.calls[id.Value()]
	if c == nil && res.IsSuccess() && !e.closed && e.fromTrunk(res) {
		// Remembered, so that its repetitions are acknowledged but not ended again.
		c = newCall(e, Dial{CallID: id.Value()})
		c.state, c.abandoned = over, true
		close(c.done)
		e.calls[c.id] = c
		e.linger(c)
	}
	e.mu.Unlock()
	if c == nil {
		return
	}
	switch {
	case res.IsSuccess():
		c.again(res)
	case res.IsProvisional():
		c.progress()
	default:
		c.rejected(res)
	}
}

// fromTrunk keeps strangers from making us send requests to third parties.
func (e *Endpoint) fromTrunk(res *sip.Response) bool {
	from, err := netip.ParseAddrPort(res.Source())
	return err == nil && e.trunk.IsValid() && from.Addr().Unmap() == e.trunk
}

// progress takes a provisional response that came after we had given up: now
// the call may be cancelled, and must be.
func (c *Call) progress() {
	c.mu.Lock()
	late := c.abandoned && c.dialog == nil && c.invite != nil
	c.progressed = true
	c.mu.Unlock()
	if late {
		c.cancel()
	}
}

// rejected acknowledges a final response that was sent again because the ACK
// of the first was lost.
func (c *Call) rejected(res *sip.Response) {
	c.mu.Lock()
	invite := c.invite
	c.mu.Unlock()
	if invite == nil || res.To() == nil || invite.CSeq().SeqNo != res.CSeq().SeqNo {
		return
	}
	if err := c.e.client.WriteRequest(ackOf(invite, res)); err != nil {
		c.e.cfg.Log.Warn("ACK not sent", "call", c.id, "error", err)
	}
}
