package voice

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
)

// dialog is what a 2xx established (RFC 3261 12.1.2). It is made of the
// response alone, so that even an answer to a call nobody remembers can be ended.
type dialog struct {
	remote string // the peer's tag
	target sip.Uri
	routes []sip.Uri
	from   *sip.FromHeader
	to     *sip.ToHeader
	callID sip.CallIDHeader
	cseq   uint32
	hop    string // host:port to send to instead of what the route set says; "" = obey it
	ack    *sip.Request
}

// newDialog reads a 2xx; nil when it lacks what a dialog needs.
func (e *Endpoint) newDialog(res *sip.Response) *dialog {
	from, to, id, cseq := res.From(), res.To(), res.CallID(), res.CSeq()
	if from == nil || to == nil || id == nil || cseq == nil {
		return nil
	}
	g := &dialog{target: to.Address, from: from, to: to, callID: *id, cseq: cseq.SeqNo}
	g.remote, _ = to.Params.Get("tag")
	if contact := res.Contact(); contact != nil {
		g.target = contact.Address
	} else {
		g.hop = res.Source()
	}
	if e.cfg.NAT {
		g.hop = res.Source()
	}
	routes := res.GetHeaders("Record-Route")
	for i := len(routes) - 1; i >= 0; i-- { // reversed for the caller
		if rr, ok := routes[i].(*sip.RecordRouteHeader); ok {
			g.routes = append(g.routes, *rr.Address.Clone())
		}
	}
	g.ack = e.within(g, sip.ACK, g.cseq)
	return g
}

// within builds a request inside a dialog.
func (e *Endpoint) within(g *dialog, method sip.RequestMethod, cseq uint32) *sip.Request {
	req := sip.NewRequest(method, *g.target.Clone())
	for _, r := range g.routes {
		req.AppendHeader(&sip.RouteHeader{Address: *r.Clone()})
	}
	id := g.callID
	forwards := sip.MaxForwardsHeader(70)
	req.AppendHeader(sip.HeaderClone(g.from))
	req.AppendHeader(sip.HeaderClone(g.to))
	req.AppendHeader(&id)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: cseq, MethodName: method})
	req.AppendHeader(&forwards)
	req.SetTransport(strings.ToUpper(e.cfg.Transport))
	if g.hop != "" {
		req.SetDestination(g.hop)
	}
	return req
}

// acknowledge sends the ACK of a 2xx, the first time or again.
func (e *Endpoint) acknowledge(g *dialog) {
	ack := g.ack.Clone()
	ack.RemoveHeader("Via") // each is a transaction of its own
	if err := e.client.WriteRequest(ack); err != nil {
		e.cfg.Log.Warn("ACK not sent", "call", string(g.callID), "error", err)
	}
}

// bye ends a dialog and waits for the peer's word on it. Any final answer ends
// it; 481 says that it had ended already.
func (e *Endpoint) bye(g *dialog, reason string) {
	ctx, cancel := context.WithTimeout(context.Background(), e.cfg.Timing.Bye)
	defer cancel()
	req := e.within(g, sip.BYE, g.cseq+1)
	if reason != "" {
		req.AppendHeader(sip.NewHeader("Reason", fmt.Sprintf("SIP;text=%q", reason)))
	}
	res, err := e.do(ctx, req)
	if err != nil {
		e.counts.byesLost.Add(1)
		e.cfg.Log.Warn("BYE not answered", "call", string(g.callID), "error", err)
		return
	}
	if res.StatusCode >= 300 && res.StatusCode != 481 {
		e.cfg.Log.Warn("BYE refused", "call", string(g.callID), "status", res.StatusCode)
	}
}

// do sends a request that is not an INVITE and gives its final response,
// answering challenges. What must reach the peer, a CANCEL or a BYE, is tried
// again when the connection breaks under it: sipgo may hand out one that has
// just died.
func (e *Endpoint) do(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	const again, most = 9, time.Second // 6 s in all: as long as a busy machine may take to see that a connection is dead
	res, err := e.client.Do(ctx, req.Clone())
	pause := 100 * time.Millisecond
	for tries := 0; err != nil && tries < again && ctx.Err() == nil; tries++ {
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, most)
		res, err = e.client.Do(ctx, req.Clone())
	}
	for tries := 0; err == nil && challenge(res) && tries < maxChallenges && e.cfg.User != ""; tries++ {
		req = req.Clone()
		res, err = e.client.DoDigestAuth(ctx, req, res, e.auth())
	}
	return res, err
}

func (e *Endpoint) auth() sipgo.DigestAuth {
	return sipgo.DigestAuth{Username: e.cfg.User, Password: e.cfg.Password}
}

func challenge(res *sip.Response) bool { return res.StatusCode == 401 || res.StatusCode == 407 }

// cancelOf builds the CANCEL of an INVITE (RFC 3261 9.1): same branch, same
// CSeq number, same next hop.
func cancelOf(invite *sip.Request) *sip.Request {
	req := sip.NewRequest(sip.CANCEL, *invite.Recipient.Clone())
	forwards := sip.MaxForwardsHeader(70)
	req.AppendHeader(sip.HeaderClone(invite.Via()))
	sip.CopyHeaders("Route", invite, req)
	req.AppendHeader(sip.HeaderClone(invite.From()))
	req.AppendHeader(sip.HeaderClone(invite.To()))
	req.AppendHeader(sip.HeaderClone(invite.CallID()))
	req.AppendHeader(&sip.CSeqHeader{SeqNo: invite.CSeq().SeqNo, MethodName: sip.CANCEL})
	req.AppendHeader(&forwards)
	req.SetTransport(invite.Transport())
	req.SetDestination(invite.Destination())
	return req
}

// ackOf builds the ACK of a final response that is not 2xx (RFC 3261 17.1.1.3).
func ackOf(invite *sip.Request, res *sip.Response) *sip.Request {
	req := cancelOf(invite)
	req.Method = sip.ACK
	req.CSeq().MethodName = sip.ACK
	req.RemoveHeader("To")
	req.AppendHeader(sip.HeaderClone(res.To()))
	return req
}
