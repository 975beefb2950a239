package sim

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/emiago/diago"
	"github.com/emiago/diago/media"
	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"parley/internal/prompt"
)

// Config says what carrier to simulate.
type Config struct {
	Addr      string             // host:port for SIP, "127.0.0.1:0" when empty; port 0 = any
	Transport string             // udp (default) or tcp
	Seed      uint64             // which world: decides every number's persona
	Speed     float64            // how much faster than life phones ring and people lose patience; 0 = 1. Speech is never faster
	Lang      string             // what the people speak: zh (default) or en
	Personas  map[string]Persona // overrides by number, with or without +
	User      string             // with Password: calls must authenticate (RFC 3261 §22), empty = open
	Password  string
	Log       *slog.Logger // nil = silent
}

// Carrier is a running simulated carrier with all its phones.
type Carrier struct {
	conf     Config
	addr     string
	ua       *sipgo.UserAgent
	diago    *diago.Diago
	digest   *diago.DigestAuthServer
	speech   *prompt.Set
	personas map[string]Persona
	ctx      context.Context // of the phones; ends first, so that they can still say goodbye
	stop     context.CancelFunc
	unplug   context.CancelFunc // stops listening for SIP
	closing  sync.Once

	calls sync.WaitGroup
	mu    sync.Mutex // guards what follows
	book  []*call
	seen  map[string]bool // INVITEs, by Call-ID and branch
	nth   map[string]uint64
	await map[string]bool // numbers whose holders expect a call
	stats Stats
}

// Stats counts what happened at the carrier since it started.
type Stats struct {
	Calls     int             // INVITEs accepted for a number, authenticated where that is asked
	Active    int             // of them not over yet
	Peak      int             // the most that were active at one time
	Answered  int             // answered by a person or a machine
	Cancelled int             // given up by the caller while ringing
	Refused   int             // INVITEs turned away because their credentials were wrong
	Personas  map[Persona]int // calls by persona
}

// StartCarrier starts a carrier and returns when it takes calls. It runs until
// Close, or until ctx ends.
func StartCarrier(ctx context.Context, conf Config) (*Carrier, error) {
	if conf.Addr == "" {
		conf.Addr = "127.0.0.1:0"
	}
	if conf.Transport == "" {
		conf.Transport = "udp"
	}
	if conf.Lang == "" {
		conf.Lang = "zh"
	}
	if conf.Speed <= 0 {
		conf.Speed = 1
	}
	if conf.Log == nil {
		conf.Log = slog.New(slog.DiscardHandler)
	}
	c := &Carrier{conf: conf, digest: diago.NewDigestServer(), personas: map[string]Persona{}, seen: map[string]bool{}, nth: map[string]uint64{}, await: map[string]bool{}}
	c.stats.Personas = map[Persona]int{}
	for number, p := range conf.Personas {
		if _, ok := profileOf(p); !ok {
			return nil, fmt.Errorf("simulated carrier: %s has the unknown persona %q", number, p)
		}
		c.personas[plain(number)] = p
	}
	var err error
	if c.speech, err = Speech(); err != nil {
		return nil, fmt.Errorf("simulated carrier: %w", err)
	}
	c.ctx, c.stop = context.WithCancel(ctx)
	serve, unplug := context.WithCancel(context.WithoutCancel(ctx))
	c.unplug = unplug
	if err := c.listen(serve); err != nil {
		c.stop()
		c.unplug()
		return nil, fmt.Errorf("simulated carrier: %w", err)
	}
	context.AfterFunc(ctx, c.Close)
	return c, nil
}

func (c *Carrier) listen(ctx context.Context) error {
	host, portText, err := net.SplitHostPort(c.conf.Addr)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return err
	}
	quiet := slog.New(slog.DiscardHandler) // these layers warn about nothing but their own closing
	c.ua, err = sipgo.NewUA(sipgo.WithUserAgent("parley-simulated-carrier"),
		sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(quiet)),
		sipgo.WithUserAgentTransactionLayerOptions(sip.WithTransactionLayerLogger(quiet)))
	if err != nil {
		return err
	}
	c.diago = diago.NewDiago(c.ua, diago.WithLogger(c.conf.Log),
		diago.WithTransport(diago.Transport{Transport: c.conf.Transport, BindHost: host, BindPort: port}),
		diago.WithMediaConfig(diago.MediaConfig{Codecs: []media.Codec{
			media.CodecAudioAlaw, media.CodecAudioUlaw, media.CodecTelephoneEvent8000}}))
	if err := c.diago.ServeBackground(ctx, c.serve); err != nil {
		_ = c.ua.Close()
		return err
	}
	for c.addr == "" { // the stack says it is ready a moment before it knows its port
		if ports := c.ua.TransportLayer().ListenPorts(c.conf.Transport); len(ports) > 0 {
			c.addr = net.JoinHostPort(host, strconv.Itoa(ports[0]))
		} else if !sleep(ctx, time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}

// Addr is the host:port to which a trunk sends its calls.
func (c *Carrier) Addr() string { return c.addr }

// Close hangs up every call, waits for them and stops. It may be called twice.
func (c *Carrier) Close() {
	c.closing.Do(func() {
		c.mu.Lock()
		c.stop() // under the lock: whoever was admitted is counted
		c.mu.Unlock()
		c.calls.Wait()
		c.unplug()
		c.digest.Close()
		_ = c.ua.Close()
	})
}

// Stats gives the counts so far.
func (c *Carrier) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Personas = maps.Clone(s.Personas)
	return s
}

// Calls gives every call the phones have seen, in the order they came,
// including those still going on.
func (c *Carrier) Calls() []PhoneCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]PhoneCall, len(c.book))
	for i, k := range c.book {
		out[i] = k.snapshot()
	}
	return out
}

// Expect says that whoever holds the number has asked to be called: the next
// call to it is answered and heard to the end, whatever the number's persona.
func (c *Carrier) Expect(number string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.await[plain(number)] = true
}

// Persona gives the persona this carrier plays for a number.
func (c *Carrier) Persona(number string) Persona {
	if p, ok := c.personas[plain(number)]; ok {
		return p
	}
	return PersonaOf(c.conf.Seed, number)
}

func (c *Carrier) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) / c.conf.Speed)
}

func (c *Carrier) words(key string) ([]int16, error) {
	raw, err := c.speech.WAV(c.conf.Lang, key)
	if err != nil {
		return nil, err
	}
	a, err := prompt.Decode(raw)
	return a.Samples, err
}
