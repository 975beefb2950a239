package voice

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"parley/internal/voice/media"
)

// Endpoint is our end of one trunk: it places calls and answers what belongs
// to them. It takes no calls.
type Endpoint struct {
	cfg    Config
	codecs []media.Codec
	local  netip.AddrPort
	trunk  netip.Addr // where stray answers to calls nobody remembers may come from
	ua     *sipgo.UserAgent
	client *sipgo.Client
	server *sipgo.Server
	media  *media.Engine
	socket interface{ Close() error }

	ctx  context.Context // ends when Close begins
	stop context.CancelFunc
	wg   sync.WaitGroup // dials, byes, cancels
	run  sync.WaitGroup // the SIP reader

	mu      sync.Mutex
	calls   map[string]*Call // by Call-ID; ended ones stay for Timing.Linger
	lingers map[*Call]*time.Timer
	active  int
	closed  bool // no new calls
	drained bool // nothing may be sent any more
	down    bool // the trunk did not answer the last INVITE
	pinging sync.Mutex

	counts counters
}

type counters struct {
	placed, answered, failed, ghosts, byesLost atomic.Int64
}

// Stats tells what an endpoint has done.
type Stats struct {
	Active   int   // dialing or talking
	Draining int   // media ports kept bound after their call
	Placed   int64 // INVITEs sent, without those repeated for authentication
	Answered int64
	Failed   int64
	Ghosts   int64 // answers nobody waited for, ended at once
	ByesLost int64 // BYEs that got no answer
	Down     bool  // the trunk does not answer
}

// receiveBuffer is asked for the SIP socket: a burst of answers overruns the
// usual 200 kB, and every lost one costs seconds of timers.
const receiveBuffer = 8 << 20

// Listen opens an endpoint. Close ends it.
func Listen(ctx context.Context, c Config) (*Endpoint, error) {
	c, codecs, err := c.checked(ctx)
	if err != nil {
		return nil, err
	}
	ip, err := netip.ParseAddr(c.MediaIP)
	if err != nil {
		return nil, fmt.Errorf("media address %q: %w", c.MediaIP, err)
	}
	e := &Endpoint{cfg: c, codecs: codecs, calls: map[string]*Call{}, lingers: map[*Call]*time.Timer{}}
	e.ctx, e.stop = context.WithCancel(context.WithoutCancel(ctx))
	if host, _, err := net.SplitHostPort(c.Proxy); err == nil {
		if ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host); err == nil && len(ips) > 0 {
			e.trunk = ips[0].Unmap()
		}
	}
	if e.media, err = media.New(media.Options{
		IP: ip, Ports: c.MediaPorts, Drain: c.Timing.Drain, Quiet: c.Timing.Quiet, NAT: c.NAT, Log: c.Log,
	}); err != nil {
		return nil, err
	}
	if err := e.open(ctx); err != nil {
		e.media.Close()
		return nil, err
	}
	return e, nil
}

func (e *Endpoint) open(ctx context.Context) error {
	var err error
	if e.ua, err = sipgo.NewUA(sipgo.WithUserAgent("Parley"), sipgo.WithUserAgentHostname(e.cfg.Domain),
		sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(e.cfg.Log)),
		sipgo.WithUserAgentTransactionLayerOptions(
			sip.WithTransactionLayerLogger(e.cfg.Log),
			sip.WithTransactionLayerUnhandledResponseHandler(e.stray),
			sip.WithTransactionLayerTerminateOnConnClose())); err != nil {
		return err
	}
	if e.server, err = sipgo.NewServer(e.ua, sipgo.WithServerLogger(e.cfg.Log)); err != nil {
		return err
	}
	e.handle()
	serve, err := e.bind(ctx)
	if err != nil {
		_ = e.ua.Close()
		return err
	}
	options := []sipgo.ClientOption{
		sipgo.WithClientLogger(e.cfg.Log), sipgo.WithClientAddr(e.local.String()), sipgo.WithClientNAT(),
	}
	if e.cfg.Transport == "udp" { // TCP takes a connection of its own and is reached at the listener
		options = append(options, sipgo.WithClientConnectionAddr(e.local.String()))
	}
	if e.client, err = sipgo.NewClient(e.ua, options...); err != nil {
		return errors.Join(err, e.ua.Close(), e.socket.Close())
	}
	return e.serve(ctx, serve)
}

// bind opens the SIP socket and gives what reads it. Nothing is read yet: an
// answer to a former run must find an endpoint that is able to end it.
func (e *Endpoint) bind(ctx context.Context) (serve func() error, err error) {
	var lc net.ListenConfig
	if e.cfg.Transport == "tcp" {
		l, err := lc.Listen(ctx, "tcp4", e.cfg.Local)
		if err != nil {
			return nil, err
		}
		e.socket, e.local = l, l.Addr().(*net.TCPAddr).AddrPort()
		return func() error { return e.server.ServeTCP(l) }, nil
	}
	p, err := lc.ListenPacket(ctx, "udp4", e.cfg.Local)
	if err != nil {
		return nil, err
	}
	conn := p.(*net.UDPConn)
	if err := conn.SetReadBuffer(receiveBuffer); err != nil {
		e.cfg.Log.Warn("SIP socket keeps its small receive buffer", "error", err)
	}
	e.socket, e.local = conn, conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return func() error { return e.server.ServeUDP(conn) }, nil
}

// serve reads the SIP socket from now on.
func (e *Endpoint) serve(ctx context.Context, serve func() error) error {
	e.run.Go(func() {
		if err := serve(); err != nil && e.ctx.Err() == nil {
			e.cfg.Log.Error("SIP socket ended", "error", err)
		}
	})
	for e.cfg.Transport == "udp" { // the client finds the socket in sipgo's pool, once it is there
		if c, err := e.ua.TransportLayer().GetConnection("udp", e.local.String()); err == nil {
			_, err = c.TryClose()
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// Addr is the local SIP address.
func (e *Endpoint) Addr() netip.AddrPort { return e.local }

// Stats gives the counts so far.
func (e *Endpoint) Stats() Stats {
	_, draining := e.media.Usage()
	e.mu.Lock()
	defer e.mu.Unlock()
	return Stats{
		Active: e.active, Draining: draining, Down: e.down,
		Placed: e.counts.placed.Load(), Answered: e.counts.answered.Load(), Failed: e.counts.failed.Load(),
		Ghosts: e.counts.ghosts.Load(), ByesLost: e.counts.byesLost.Load(),
	}
}

// Close cancels what rings, hangs up what talks, waits for the peers' word on
// it (as long as Timing allows) and frees every socket.
func (e *Endpoint) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	calls := make([]*Call, 0, len(e.calls))
	for _, c := range e.calls {
		calls = append(calls, c)
	}
	e.mu.Unlock()
	e.stop() // every Dial that waits now gives up
	for _, c := range calls {
		c.finish(ByLocal, "shutting down")
	}
	e.wg.Wait()
	for _, c := range calls {
		c.finish(ByLocal, "shutting down") // whose answer was being taken as this began
		<-c.done                           // somebody else may be ending it
	}
	e.wg.Wait()
	e.mu.Lock()
	e.drained = true
	for _, t := range e.lingers {
		t.Stop()
	}
	e.calls = map[string]*Call{}
	e.mu.Unlock()
	e.wg.Wait() // what a late answer started between the two locks
	err := e.ua.Close()
	if errors.Is(err, net.ErrClosed) { // a connection that the peer has broken is closed already
		err = nil
	}
	err = errors.Join(err, e.socket.Close())
	e.run.Wait()
	e.media.Close()
	return err
}

// enter registers a call.
func (e *Endpoint) enter(c *Call) *Failure {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return notSent("the endpoint is closed")
	case e.cfg.MaxCalls > 0 && e.active >= e.cfg.MaxCalls:
		return notSent("all lines are in use")
	case e.calls[c.id] != nil:
		return notSent("a call with this id was placed already")
	}
	e.calls[c.id] = c
	e.active++
	e.wg.Add(1)
	return nil
}

// leave takes a call off the lines; it lingers for what may still come of it.
func (e *Endpoint) leave(c *Call) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.active--
	e.linger(c)
}

func (e *Endpoint) linger(c *Call) {
	e.lingers[c] = time.AfterFunc(e.cfg.Timing.Linger, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.lingers, c)
		if e.calls[c.id] == c {
			delete(e.calls, c.id)
		}
	})
}

// find gives the call a request within a dialog belongs to.
func (e *Endpoint) find(req *sip.Request) *Call {
	id, to := req.CallID(), req.To()
	if id == nil || to == nil {
		return nil
	}
	e.mu.Lock()
	c := e.calls[id.Value()]
	e.mu.Unlock()
	if tag, _ := to.Params.Get("tag"); c == nil || tag != c.tag {
		return nil
	}
	return c
}

// Ping asks the trunk for a sign of life (OPTIONS); any answer is one.
func (e *Endpoint) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Timing.Ping)
	defer cancel()
	req := sip.NewRequest(sip.OPTIONS, sip.Uri{Scheme: "sip", Host: e.cfg.Domain})
	req.SetDestination(e.cfg.Proxy)
	req.SetTransport(strings.ToUpper(e.cfg.Transport))
	_, err := e.client.Do(ctx, req)
	e.mu.Lock()
	e.down = err != nil
	e.mu.Unlock()
	if err != nil {
		return fmt.Errorf("the trunk does not answer: %w", err)
	}
	return nil
}

// reachable refuses to dial into a trunk that was silent and still is: a call
// of unknown fate costs the customer's budget, a call not made costs nothing.
func (e *Endpoint) reachable(ctx context.Context) *Failure {
	isDown := func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.down
	}
	if !isDown() {
		return nil
	}
	e.pinging.Lock()
	defer e.pinging.Unlock()
	if !isDown() { // another dial asked meanwhile
		return nil
	}
	if err := e.Ping(ctx); err != nil {
		return notSent(err.Error())
	}
	return nil
}

func (e *Endpoint) setDown(down bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.down = down
}
