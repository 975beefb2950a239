// Package voice places calls over SIP and speaks in them. It knows no bank and
// no customer: a number in, sound and digits and an outcome out.
//
// Its first duty is that there is never a ghost call, one that rings or talks
// without us: every 2xx is acknowledged and every dialog ended, whatever was
// lost, crossed or late, and an INVITE whose fate is unknown is not repeated.
package voice

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"parley/internal/voice/media"
)

// Config says how to reach a trunk and how to behave there.
type Config struct {
	Local      string   // ip:port for SIP; port 0 = any; ip 0.0.0.0 = the one that reaches Proxy
	MediaIP    string   // address of RTP; empty = that of Local
	MediaPorts [2]int   // first and last RTP port; zeros = any
	Transport  string   // "udp" (default) or "tcp"
	Proxy      string   // host:port of the trunk
	User       string   // for digest authentication
	Password   string   // for digest authentication
	Domain     string   // host of From and To; empty = host of Proxy
	Codecs     []string // in order of preference; empty = pcma, pcmu
	NAT        bool     // answer where packets come from, not where they say they come from
	MaxCalls   int      // at one time; 0 = no limit
	Timing     Timing
	Log        *slog.Logger
}

// Timing holds the patience of the call states. Zero values take the defaults.
type Timing struct {
	Answer time.Duration // no response at all to INVITE: RFC 3261 timer B, 32 s
	Setup  time.Duration // 100 Trying, but neither ringing nor answer: 30 s
	Ring   time.Duration // ringing, when Dial.RingFor does not say: 45 s
	Cancel time.Duration // no final response after CANCEL: 64·T1 (RFC 3261 9.1), 32 s
	Bye    time.Duration // no response to BYE: timer F, 32 s
	Linger time.Duration // how long late answers to an ended call are cared for: 64·T1 and more, 40 s
	Quiet  time.Duration // no RTP ends the call: 15 s
	Drain  time.Duration // a media port stays bound after its call: 3 s
	Ping   time.Duration // a trunk that did not answer is asked with OPTIONS: 2 s
}

func (t Timing) defaults() Timing {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&t.Answer, 32*time.Second)
	set(&t.Setup, 30*time.Second)
	set(&t.Ring, 45*time.Second)
	set(&t.Cancel, 32*time.Second)
	set(&t.Bye, 32*time.Second)
	set(&t.Linger, 40*time.Second)
	set(&t.Quiet, 15*time.Second)
	set(&t.Drain, 3*time.Second)
	set(&t.Ping, 2*time.Second)
	return t
}

// checked gives the configuration with every default filled in.
func (c Config) checked(ctx context.Context) (Config, []media.Codec, error) {
	c.Timing = c.Timing.defaults()
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Transport = strings.ToLower(c.Transport)
	if c.Transport == "" {
		c.Transport = "udp"
	}
	if c.Transport != "udp" && c.Transport != "tcp" {
		return c, nil, fmt.Errorf("transport %q is not one of udp, tcp", c.Transport)
	}
	host, _, err := net.SplitHostPort(c.Proxy)
	if err != nil {
		return c, nil, fmt.Errorf("proxy %q is not host:port: %w", c.Proxy, err)
	}
	if c.Domain == "" {
		c.Domain = host
	}
	if c.Local, err = localAddress(ctx, c.Local, c.Proxy); err != nil {
		return c, nil, err
	}
	if c.MediaIP == "" {
		c.MediaIP, _, _ = net.SplitHostPort(c.Local)
	}
	if len(c.Codecs) == 0 {
		c.Codecs = []string{"pcma", "pcmu"}
	}
	var codecs []media.Codec
	for _, name := range c.Codecs {
		codec, err := media.ParseCodec(name)
		if err != nil {
			return c, nil, err
		}
		codecs = append(codecs, codec)
	}
	return c, codecs, nil
}

// localAddress makes an unspecified local address concrete: the one from which
// the trunk is reached, since it stands in Via, Contact and SDP.
func localAddress(ctx context.Context, local, proxy string) (string, error) {
	if local == "" {
		local = "0.0.0.0:0"
	}
	at, err := netip.ParseAddrPort(local)
	if err != nil {
		return "", fmt.Errorf("local address %q is not ip:port: %w", local, err)
	}
	if !at.Addr().IsUnspecified() {
		return local, nil
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "udp4", proxy) // sends nothing: it only asks for the route
	if err != nil {
		return "", fmt.Errorf("no route to the trunk %q: %w", proxy, err)
	}
	defer c.Close()
	a, ok := c.LocalAddr().(*net.UDPAddr)
	if !ok {
		return "", errors.New("no local address reaches the trunk")
	}
	return netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), at.Port()).String(), nil
}
