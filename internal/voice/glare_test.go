package voice

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/internal/contact"
)

// Readers and timers end a moment after what they belong to, on a busy machine a
// long one, so what is still there is looked at again before it counts as left behind.
func TestMain(m *testing.M) {
	code := m.Run()
	for end := time.Now().Add(patience); code == 0; {
		err := goleak.Find()
		if err == nil {
			break
		}
		if time.Now().After(end) {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// patient is more than the slowest machine takes for a step. A test about a
// patience that ends shortens that one alone, so that nothing else is a race.
func patient() Timing {
	const long = 2 * patience
	return Timing{Answer: long, Setup: long, Ring: long, Cancel: long, Bye: long, Linger: long, Quiet: long, Drain: 50 * time.Millisecond, Ping: long}
}

// short is a patience that a test waits out.
const short = 300 * time.Millisecond

func shortRing(c *Config)   { c.Timing.Ring = short }
func shortAnswer(c *Config) { c.Timing.Answer = 3 * short } // bounds the sending, too

// glare is one row: what the peer does, and what must come of it.
type glare struct {
	name      string
	transport string
	config    func(*Config)
	dial      func(*Dial)
	script    func(p *peer)                                             // the other side
	talk      func(t *testing.T, ctx context.Context, p *peer, c *Call) // ours, once answered; default: hang up at once
	outcome   contact.Outcome                                           // of a failure; "" = the call is answered
	code      int
	reason    string // part of the failure's or the end's reason
	by        By
	check     func(t *testing.T, p *peer, e *Endpoint)
}

func hold(t *testing.T, _ context.Context, _ *peer, c *Call) {
	select {
	case <-c.Done():
	case <-time.After(patience):
		t.Error("the call did not end")
	}
}

// hangupAfter hangs up when the other side's script is through.
func hangupAfter(_ *testing.T, ctx context.Context, p *peer, c *Call) {
	<-p.scripted
	_ = c.Hangup(ctx) // how it ended is checked
}

// quiet is how long a call may be without sound where that is tested.
const quiet = 2 * time.Second

// glares covers RFC 3261 9.1 (CANCEL), 13.2.2.4 (2xx), 15 (BYE), 17.1.1 (timers)
// and what carriers do beyond it.
var glares = []glare{
	{name: "answer and hang up", script: func(p *peer) { m := p.invite(); p.trying(m); p.ring(m, "a"); p.answer(m, "a") }, by: ByLocal},
	{name: "answer without provisional", script: func(p *peer) { p.answer(p.invite(), "a") }, by: ByLocal},
	{name: "tcp: answer and hang up", transport: "tcp", script: func(p *peer) { m := p.invite(); p.ring(m, "a"); p.answer(m, "a") }, by: ByLocal},
	{name: "busy", script: func(p *peer) { p.stop(p.invite(), 486) }, outcome: contact.Busy, code: 486},
	{name: "declined", script: func(p *peer) { p.stop(p.invite(), 603) }, outcome: contact.Rejected, code: 603},
	{name: "no such number", script: func(p *peer) { p.stop(p.invite(), 404) }, outcome: contact.Unreachable, code: 404},
	{name: "carrier failure is not retried", script: func(p *peer) { p.stop(p.invite(), 503) }, outcome: contact.Unreachable, code: 503,
		check: func(t *testing.T, p *peer, _ *Endpoint) {
			if n := p.calls(); n != 1 {
				t.Errorf("%d INVITEs for one call", n)
			}
		}},
	{name: "redirect is not followed", script: func(p *peer) { p.stop(p.invite(), 302) }, outcome: contact.Unreachable, code: 302, reason: "redirect"},
	{name: "no answer leads to CANCEL", config: shortRing, script: func(p *peer) {
		m := p.invite()
		p.ring(m, "a")
		p.cancelled()
		p.reply(m, 487, "Request Terminated", "a", "")
	}, outcome: contact.NoAnswer, code: 487, reason: "not answered"},
	{name: "trying but never ringing", config: func(c *Config) { c.Timing.Setup = short }, script: func(p *peer) {
		m := p.invite()
		p.trying(m)
		p.cancelled()
		p.reply(m, 487, "Request Terminated", "a", "")
	}, outcome: contact.Unreachable, code: 487, reason: "neither ringing"},
	{name: "answer crosses CANCEL", config: shortRing, script: func(p *peer) {
		m := p.invite()
		p.ring(m, "a")
		p.cancelled()
		p.answer(m, "a")
	}, outcome: contact.Connected, code: 200, reason: "while being cancelled", check: oneGhost},
	{name: "answer after 487", config: shortRing, script: func(p *peer) {
		m := p.invite()
		p.ring(m, "a")
		p.cancelled()
		p.reply(m, 487, "Request Terminated", "a", "")
		p.until("ACK of 487", func() bool { return p.acks("a") > 0 })
		<-p.dialled
		p.insist(m, "a")
	}, outcome: contact.NoAnswer, code: 487, check: oneGhost},
	{name: "caller gives up before any response", script: func(p *peer) {
		m := p.invite()
		p.giveUp()
		time.Sleep(short)
		if p.count("CANCEL") > 0 {
			p.t.Error("CANCEL before a provisional response (RFC 3261 9.1)")
		}
		p.trying(m)
		p.cancelled()
		p.reply(m, 487, "Request Terminated", "a", "")
	}, outcome: contact.Unreachable, code: 487, reason: "cancelled"},
	{name: "caller gives up, answer is the first response", script: func(p *peer) {
		m := p.invite()
		p.giveUp()
		time.Sleep(short)
		p.answer(m, "a")
	}, outcome: contact.Connected, code: 200, check: oneGhost},
	{name: "487 sent again is acknowledged again", config: shortRing, script: func(p *peer) {
		m := p.invite()
		p.ring(m, "a")
		p.cancelled()
		p.until("three ACKs", func() bool {
			p.reply(m, 487, "Request Terminated", "a", "")
			return p.acks("a") >= 3
		})
	}, outcome: contact.NoAnswer, code: 487},
	{name: "CANCEL never confirmed, answer long after", config: func(c *Config) { c.Timing.Ring, c.Timing.Cancel = short, short }, script: func(p *peer) {
		m := p.invite()
		p.ring(m, "a")
		p.cancelled()
		<-p.dialled
		p.insist(m, "a")
	}, outcome: contact.Unknown, reason: "not confirmed", check: oneGhost},
	{name: "timer B, then silence for ever", config: shortAnswer, script: func(p *peer) { p.invite() }, outcome: contact.Unknown, reason: "no answer of any kind",
		check: func(t *testing.T, p *peer, e *Endpoint) {
			if n := p.calls(); n != 1 {
				t.Errorf("%d INVITEs of unknown fate", n)
			}
			if !e.Stats().Down {
				t.Error("the trunk is not known to be down")
			}
		}},
	{name: "timer B, then it rings after all", config: shortAnswer, script: func(p *peer) {
		m := p.invite()
		<-p.dialled
		p.ring(m, "a")
		p.cancelled()
		p.reply(m, 487, "Request Terminated", "a", "")
	}, outcome: contact.Unknown},
	{name: "timer B, then it answers after all", config: shortAnswer, script: func(p *peer) {
		m := p.invite()
		<-p.dialled
		p.insist(m, "a")
	}, outcome: contact.Unknown, check: oneGhost},
	{name: "storm of provisionals", script: func(p *peer) {
		m := p.invite()
		for i := range 40 {
			p.reply(m, 180+3*(i%2), "Progress", "a", p.sdp("8 101"))
		}
		p.answer(m, "a")
	}, by: ByLocal},
	{name: "fork: two phones answer", script: func(p *peer) {
		m := p.invite()
		p.ring(m, "a")
		p.ring(m, "b")
		p.answer(m, "a")
		p.insist(m, "b")
		p.insist(m, "a") // the first of them may be read while the call is still being made
		p.until("an end of one of them", func() bool { return p.count("BYE") > 0 })
	}, talk: hangupAfter, by: ByLocal, check: oneGhost},
	{name: "lost ACK: the answer comes again", script: func(p *peer) {
		p.silence("ACK", 2)
		m := p.invite()
		p.insist(m, "a")
		if p.count("BYE") > 0 {
			p.t.Error("ended instead of acknowledged again")
		}
	}, talk: hangupAfter, by: ByLocal},
	{name: "lost BYE is sent again", script: func(p *peer) { p.silence("BYE", 1); p.answer(p.invite(), "a") }, by: ByLocal},
	{name: "BYE never answered", config: func(c *Config) { c.Timing.Bye = short }, script: func(p *peer) {
		p.silence("BYE", 100)
		p.answer(p.invite(), "a")
		p.until("BYE", func() bool { return p.count("BYE") > 0 })
		p.mu.Lock()
		p.byes["a"]++ // it was sent, and that is all one can do
		p.mu.Unlock()
	}, by: ByLocal, check: func(_ *testing.T, p *peer, e *Endpoint) {
		p.until("a BYE that counts as lost", func() bool { return e.Stats().ByesLost == 1 })
	}},
	{name: "peer hangs up", script: func(p *peer) {
		m := p.invite()
		p.answer(m, "a")
		p.until("ACK", func() bool { return p.acks("a") > 0 })
		p.request(m, "BYE", "a", 1, "")
		if got := p.response("BYE", 1); !strings.Contains(got, " 200 ") {
			p.t.Errorf("BYE answered %q", got)
		}
		p.request(m, "BYE", "a", 2, "") // once more, for a call that is over
		p.response("BYE", 2)
	}, talk: hold, by: ByRemote},
	{name: "peer's BYE overtakes its answer", script: func(p *peer) {
		m := p.invite()
		p.ring(m, "a")
		p.request(m, "BYE", "a", 1, "")
		p.response("BYE", 1)
		p.answer(m, "a")
	}, talk: hold, by: ByRemote},
	{name: "both hang up at once", script: func(p *peer) {
		m := p.invite()
		p.answer(m, "a")
		p.until("BYE", func() bool { return p.count("BYE") > 0 })
		p.request(m, "BYE", "a", 1, "")
		p.response("BYE", 1)
	}, by: ByLocal},
	{name: "peer knows nothing of our BYE", script: func(p *peer) {
		p.silence("BYE", 1)
		m := p.invite()
		p.answer(m, "a")
		p.until("BYE", func() bool { return p.count("BYE") > 1 })
	}, by: ByLocal},
	{name: "answer without SDP", script: func(p *peer) { p.reply(p.invite(), 200, "OK", "a", "") },
		outcome: contact.Connected, code: 200, reason: "without SDP", check: oneGhost},
	{name: "answer with another codec", script: func(p *peer) { p.reply(p.invite(), 200, "OK", "a", p.sdp("18 101")) },
		outcome: contact.Connected, code: 200, reason: "codec", check: oneGhost},
	{name: "answer with rubbish for SDP", script: func(p *peer) { p.reply(p.invite(), 200, "OK", "a", "what=is\r\nthis") },
		outcome: contact.Connected, code: 200, reason: "SDP", check: oneGhost},
	{name: "401 for ever", config: credentials, script: func(p *peer) {
		for i := range 10 {
			select {
			case m := <-p.invites:
				p.reply(m, 401, "Unauthorized", "a", "", `WWW-Authenticate: Digest realm="r", nonce="n`+string(rune('0'+i))+`", algorithm=MD5, qop="auth"`)
			case <-p.dialled:
				return
			}
		}
		p.t.Error("the 401 loop does not end")
	}, outcome: contact.NotSent, code: 401, reason: "credentials"},
	{name: "401 with the same nonce again", config: credentials, script: func(p *peer) {
		for range 2 {
			p.reply(p.invite(), 401, "Unauthorized", "a", "", `WWW-Authenticate: Digest realm="r", nonce="n"`)
		}
	}, outcome: contact.NotSent, code: 401, check: func(t *testing.T, p *peer, _ *Endpoint) {
		if n := p.calls(); n != 2 {
			t.Errorf("%d INVITEs, want 2", n)
		}
	}},
	{name: "401 without credentials", script: func(p *peer) {
		p.reply(p.invite(), 401, "Unauthorized", "a", "", `WWW-Authenticate: Digest realm="r", nonce="n"`)
	}, outcome: contact.NotSent, code: 401},
	{name: "407 twice, then an answer", config: credentials, script: func(p *peer) {
		p.reply(p.invite(), 407, "Proxy Authentication Required", "a", "", `Proxy-Authenticate: Digest realm="r", nonce="n1", qop="auth"`)
		p.reply(p.invite(), 407, "Proxy Authentication Required", "a", "", `Proxy-Authenticate: Digest realm="r", nonce="n2", stale=true, qop="auth"`)
		m := p.invite()
		if !strings.Contains(m.get("Proxy-Authorization"), `nonce="n2"`) {
			p.t.Errorf("authorization %q", m.get("Proxy-Authorization"))
		}
		p.ring(m, "b")
		p.answer(m, "b")
	}, by: ByLocal},
	{name: "401 and 407 on one way", config: credentials, script: func(p *peer) {
		p.reply(p.invite(), 407, "Proxy Authentication Required", "a", "", `Proxy-Authenticate: Digest realm="p", nonce="n1"`)
		p.reply(p.invite(), 401, "Unauthorized", "a", "", `WWW-Authenticate: Digest realm="r", nonce="n2"`)
		m := p.invite()
		if m.get("Proxy-Authorization") == "" || m.get("Authorization") == "" {
			p.t.Error("one of two authorizations is missing")
		}
		p.answer(m, "b")
	}, by: ByLocal},
	{name: "sound never comes", config: func(c *Config) { c.Timing.Quiet = short },
		script: func(p *peer) { p.answer(p.invite(), "a") }, talk: hold, by: ByLost, reason: "no sound"},
	{name: "sound only from a stranger", config: func(c *Config) { c.Timing.Quiet = quiet }, script: func(p *peer) {
		stranger, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			p.t.Error(err)
			return
		}
		defer stranger.Close()
		m := p.invite()
		p.answer(m, "a")
		p.until("an end of it", func() bool { p.talk(m, stranger, 1); return p.count("BYE") > 0 })
	}, talk: func(t *testing.T, ctx context.Context, p *peer, c *Call) {
		hold(t, ctx, p, c)
		if s := c.End().Stats; s.Strangers == 0 || s.Received != 0 {
			t.Errorf("stranger was heard: %+v", s)
		}
	}, by: ByLost},
	{name: "hold and resume", config: func(c *Config) { c.Timing.Quiet = quiet }, script: func(p *peer) {
		m := p.invite()
		p.answer(m, "a")
		p.until("ACK", func() bool { return p.acks("a") > 0 })
		port := p.rtp.LocalAddr().(*net.UDPAddr).Port
		held, silent := make(chan struct{}), make(chan struct{})
		go func() { // sound until it is held, however long that takes
			defer close(silent)
			for i := 0; ; i++ {
				select {
				case <-held:
					return
				default:
					p.talkOn(m, p.rtp, i, 1)
				}
			}
		}()
		p.request(m, "INVITE", "a", 1, p.sdpAt(port, "8 101", "sendonly"))
		if got := p.response("INVITE", 1); !strings.Contains(got, " 200 ") {
			p.t.Errorf("hold answered %q", got)
		}
		close(held)
		<-silent
		p.request(m, "ACK", "a", 1, "")
		time.Sleep(3 * quiet / 2) // longer than Quiet: a held call is not a lost one
		p.request(m, "INVITE", "a", 2, p.sdpAt(port, "18", "sendrecv"))
		if got := p.response("INVITE", 2); !strings.Contains(got, " 488 ") {
			p.t.Errorf("unusable offer answered %q", got)
		}
		p.request(m, "INFO", "a", 3, "Signal=9\r\nDuration=100")
		p.response("INFO", 3)
		p.request(m, "BYE", "a", 4, "")
	}, talk: func(t *testing.T, ctx context.Context, p *peer, c *Call) {
		if got, _ := c.Gather(ctx, GatherSpec{Max: 1, Timeout: patience}); got != "9" {
			t.Errorf("key by INFO: %q", got)
		}
		hold(t, ctx, p, c)
	}, by: ByRemote},
	{name: "requests to calls that are not ours", script: func(p *peer) {
		m := p.invite()
		p.answer(m, "a")
		other := m
		other.headers = append([][2]string{{"Call-ID", "nobody's"}}, m.headers...)
		for _, method := range []string{"BYE", "INFO", "INVITE", "OPTIONS", "PRACK"} {
			p.request(other, method, "z", 1, "")
			if got := p.response(method, 1); !strings.Contains(got, " 481 ") {
				p.t.Errorf("%s answered %q", method, got)
			}
		}
		p.request(m, "BYE", "a", 9, "")
	}, talk: hold, by: ByRemote},
	{name: "tcp: connection reset while ringing", transport: "tcp", script: func(p *peer) {
		m := p.invite()
		p.ring(m, "a")
		p.until("heard ringing", p.heard)
		p.reset()
		p.cancelled() // over a new connection: it must not ring on
	}, outcome: contact.Unknown, check: func(t *testing.T, p *peer, _ *Endpoint) {
		if n := p.calls(); n != 1 {
			t.Errorf("%d INVITEs of unknown fate", n)
		}
	}},
	{name: "tcp: connection reset while talking", transport: "tcp", script: func(p *peer) {
		p.answer(p.invite(), "a")
		p.until("ACK", func() bool { return p.acks("a") > 0 })
		p.reset()
	}, talk: hangupAfter, by: ByLocal},
	{name: "tcp: trunk down", transport: "tcp", config: func(c *Config) { c.Proxy = "127.0.0.1:1" },
		outcome: contact.NotSent, reason: "cannot be reached"},
	{name: "disk full", config: func(*Config) {}, dial: func(d *Dial) { d.Record, d.MustRecord = "/dev/full", true },
		script: func(p *peer) { p.answer(p.invite(), "a") }, talk: hold, by: ByError, reason: "no space"},
	{name: "no such folder for the recording", dial: func(d *Dial) { d.Record, d.MustRecord = "/nowhere/at/all.wav", true },
		outcome: contact.NotSent, reason: "recording"},
}

func credentials(c *Config) { c.User, c.Password = "bank", "secret" }

func oneGhost(t *testing.T, _ *peer, e *Endpoint) {
	if got := e.Stats().Ghosts; got != 1 {
		t.Errorf("%d ghosts ended, want 1", got)
	}
}

func TestGlare(t *testing.T) {
	t.Parallel()
	for _, g := range glares {
		t.Run(g.name, func(t *testing.T) { t.Parallel(); g.run(t) })
	}
}

func (g glare) run(t *testing.T) {
	p := newPeer(t, g.transport)
	cfg := Config{Proxy: p.addr, Transport: g.transport, Timing: patient()}
	if g.config != nil {
		g.config(&cfg)
	}
	e := listen(t, cfg)
	ctx, stop := context.WithTimeout(t.Context(), 2*patience)
	defer stop()
	dialling, giveUp := context.WithCancel(ctx)
	defer giveUp()
	p.endpoint, p.giveUp = e, giveUp
	go func() {
		defer close(p.scripted)
		if g.script != nil {
			g.script(p)
		}
	}()
	d := Dial{To: "+8613800138000", From: "95588", Record: filepath.Join(t.TempDir(), "call.wav")}
	if g.dial != nil {
		g.dial(&d)
	}
	c, err := e.Dial(dialling, d)
	close(p.dialled)
	if g.outcome != "" {
		g.failed(t, err)
	} else if err != nil {
		t.Fatal(err)
	} else {
		g.talked(t, ctx, p, c, d)
	}
	<-p.scripted
	p.noGhosts()
	if g.check != nil {
		g.check(t, p, e)
	}
}

func (g glare) failed(t *testing.T, err error) {
	var f *Failure
	if !errors.As(err, &f) {
		t.Fatalf("got %v, want a failure", err)
	}
	if f.Outcome != g.outcome || f.Code != g.code || !strings.Contains(f.Reason, g.reason) || f.Reason == "" {
		t.Errorf("got %+v, want %s %d %q", f, g.outcome, g.code, g.reason)
	}
	if f.Sent == (f.Outcome == contact.NotSent && f.Code == 0) {
		t.Errorf("sent %v with outcome %s", f.Sent, f.Outcome)
	}
}

// talked checks that an answered call left its recording, or the reason why not.
func (g glare) talked(t *testing.T, ctx context.Context, p *peer, c *Call, d Dial) {
	if g.talk != nil {
		g.talk(t, ctx, p, c)
	} else if err := c.Hangup(ctx); err != nil {
		t.Error(err)
	}
	select {
	case <-c.Done():
	case <-ctx.Done():
		t.Fatal("the call did not end")
	}
	end := c.End()
	if end.By != g.by || !strings.Contains(end.Reason, g.reason) || end.Reason == "" {
		t.Errorf("ended by %s: %q, want %s: %q", end.By, end.Reason, g.by, g.reason)
	}
	if rec := end.Recording; rec.Err == nil && (rec.SHA256 == "" || rec.Path != d.Record) {
		t.Errorf("neither recording nor reason: %+v", rec)
	}
}
