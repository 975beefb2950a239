package sim_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
	"github.com/pion/rtp"
	"github.com/zaf/g711"

	"parley/internal/prompt"
	"parley/internal/sim"
)

// bank is a bare caller made of SIP transactions and one UDP socket a call:
// just enough to play a script to a phone and to see what comes back.
type bank struct {
	cache    *sipgo.DialogClientCache
	user     string
	password string
}

func newBank(t *testing.T, transport string) *bank {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	ua, err := sipgo.NewUA(
		sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(quiet)),
		sipgo.WithUserAgentTransactionLayerOptions(sip.WithTransactionLayerLogger(quiet)))
	if err != nil {
		t.Fatal(err)
	}
	server, err := sipgo.NewServer(ua, sipgo.WithServerLogger(quiet))
	if err != nil {
		t.Fatal(err)
	}
	ports := make(chan int, 1)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); _ = ua.Close() })
	ctx = context.WithValue(ctx, sipgo.ListenReadyCtxKey, //nolint:staticcheck // the key is sipgo's, a string
		sipgo.ListenReadyFuncCtxValue(func(_, addr string) {
			_, port, _ := sip.ParseAddr(addr)
			ports <- port
		}))
	b := &bank{}
	server.OnBye(func(req *sip.Request, tx sip.ServerTransaction) { _ = b.cache.ReadBye(req, tx) })
	go func() { _ = server.ListenAndServe(ctx, transport, "127.0.0.1:0") }()
	port := <-ports
	from := sipgo.WithClientConnectionAddr(fmt.Sprintf("127.0.0.1:%d", port))
	if transport == "tcp" { // a connection of its own
		from = sipgo.WithClientPort(port)
	}
	client, err := sipgo.NewClient(ua, sipgo.WithClientHostname("127.0.0.1"), from, sipgo.WithClientLogger(quiet))
	if err != nil {
		t.Fatal(err)
	}
	contact := sip.ContactHeader{Address: sip.Uri{User: "95500", Host: "127.0.0.1", Port: port}}
	if transport == "tcp" {
		contact.Address.UriParams = sip.NewParams()
		contact.Address.UriParams.Add("transport", "tcp")
	}
	b.cache = sipgo.NewDialogClientCache(client, contact)
	return b
}

// script is what the bank does in a call.
type script struct {
	number  string
	codec   uint8         // RTP payload type: 8 PCMA, 0 PCMU
	events  bool          // offer telephone-event
	ringFor time.Duration // then CANCEL
	begin   func() bool   // answered, the bank waits for this before its first word; nil = it does not
	steps   []string      // prompts to play; after each one the bank is quiet until a key or 3 s
	keys    int           // so many keys will be pressed: the quiet lasts until they have been
	voice   time.Duration // so much will be said: the bank stays until it has heard that
	stay    time.Duration // at the end, before BYE
}

// patience is how long a bank lets ring, or waits for the phone to hang up,
// where a test is not about that: more than the slowest machine needs.
const patience = 3 * time.Minute

// heard is what came back.
type heard struct {
	status  int // final status, 200 when answered
	callID  string
	rang    time.Duration
	keys    string // keys that the phone sent, by either way
	voice   time.Duration
	byPhone bool // the phone hung up
	err     error
}

func (b *bank) call(ctx context.Context, addr, transport string, s script) (h heard) {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return heard{err: err}
	}
	defer conn.Close()
	var uri sip.Uri
	if h.err = sip.ParseUri("sip:"+s.number+"@"+addr, &uri); h.err != nil {
		return h
	}
	if transport == "tcp" {
		uri.UriParams = sip.NewParams()
		uri.UriParams.Add("transport", "tcp")
	}
	d, err := b.cache.Invite(ctx, uri, offer(conn, s), sip.NewHeader("Content-Type", "application/sdp"))
	if err != nil {
		return heard{err: err}
	}
	defer d.Close()
	h.callID = d.InviteRequest.CallID().Value()
	ring, cancel := context.WithTimeout(ctx, s.ringFor)
	defer cancel()
	start := time.Now()
	err = d.WaitAnswer(ring, sipgo.AnswerOptions{Username: b.user, Password: b.password})
	h.rang = time.Since(start)
	var refused *sipgo.ErrDialogResponse
	switch {
	case errors.As(err, &refused):
		h.status = refused.Res.StatusCode
		return h
	case err != nil:
		h.err = err
		return h
	}
	h.status = 200
	if h.err = d.Ack(ctx); h.err != nil {
		return h
	}
	m := &line{conn: conn, codec: s.codec, remote: mediaAddr(d.InviteResponse.Body()), key: make(chan struct{}, 16)}
	h.err = m.play(d.Context(), s)
	h.byPhone = d.Context().Err() != nil
	if !h.byPhone {
		h.err = errors.Join(h.err, d.Bye(ctx))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	h.keys, h.voice = m.keys, m.voice
	return h
}

func offer(conn *net.UDPConn, s script) []byte {
	formats := strconv.Itoa(int(s.codec))
	extra := ""
	if s.events {
		formats += " 101"
		extra = "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"
	}
	return fmt.Appendf(nil, "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"+
		"m=audio %d RTP/AVP %s\r\n%sa=sendrecv\r\n", conn.LocalAddr().(*net.UDPAddr).Port, formats, extra)
}

func mediaAddr(sdp []byte) *net.UDPAddr {
	for l := range strings.Lines(string(sdp)) {
		if f := strings.Fields(l); len(f) > 1 && f[0] == "m=audio" {
			port, _ := strconv.Atoi(f[1])
			return &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}
		}
	}
	return nil
}

// line is the bank's end of the media.
type line struct {
	conn   *net.UDPConn
	remote *net.UDPAddr
	codec  uint8
	key    chan struct{}

	mu     sync.Mutex
	keys   string
	voice  time.Duration
	lastTS uint32
	tone   byte
}

// play sends the script's prompts at 20 ms a packet until it ends or ctx does.
// What a slow machine holds up is sent at once, so that speech takes its time
// and no more: the phones at the other end have little patience.
func (m *line) play(ctx context.Context, s script) error {
	var wg sync.WaitGroup
	over := make(chan struct{})
	wg.Go(func() { m.listen(over) })
	defer wg.Wait()
	defer func() { close(over); _ = m.conn.SetReadDeadline(time.Now()) }() // wakes the listener
	set, err := prompt.Open(prompt.DemoFS())
	if err != nil {
		return err
	}
	for s.begin != nil && !s.begin() && ctx.Err() == nil {
		time.Sleep(5 * time.Millisecond)
	}
	pkt := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: s.codec, SSRC: 7}}
	began, sent := time.Now(), 0
	send := func(frame []byte) bool {
		pkt.SequenceNumber, pkt.Timestamp, pkt.Payload = pkt.SequenceNumber+1, pkt.Timestamp+160, frame
		raw, _ := pkt.Marshal()
		_, _ = m.conn.WriteToUDP(raw, m.remote)
		sent++
		select {
		case <-time.After(time.Until(began.Add(time.Duration(sent) * 20 * time.Millisecond))):
			return true
		case <-ctx.Done():
			return false
		}
	}
	silence := m.encode(make([]int16, 160))
	for _, key := range s.steps {
		raw, err := set.WAV("zh", key)
		if err != nil {
			return err
		}
		a, _ := prompt.Decode(raw)
		audio := m.encode(a.Samples)
		for len(audio) >= 160 && send(audio[:160]) {
			audio = audio[160:]
		}
		for n := 0; len(m.key) == 0 && (n < 150 || m.pressedSoFar() < s.keys) && send(silence); n++ {
		}
		for len(m.key) > 0 {
			<-m.key
		}
	}
	for m.heardSoFar() < s.voice && send(silence) {
	}
	for range s.stay / (20 * time.Millisecond) {
		if !send(silence) {
			break
		}
	}
	return nil
}

func (m *line) encode(samples []int16) []byte {
	if m.codec == 0 {
		return prompt.ULaw(samples)
	}
	return prompt.ALaw(samples)
}

// listen hears until over, and then what lies at the socket still: what was
// sent before the end was heard, however late the listener gets to it.
func (m *line) listen(over <-chan struct{}) {
	buf := make([]byte, 1500)
	for left := 500; left > 0; { // packets; more than a socket holds
		n, err := m.conn.Read(buf)
		select {
		case <-over:
			if err != nil && left < 500 {
				return
			}
			left--
			_ = m.conn.SetReadDeadline(time.Now().Add(30 * time.Millisecond)) // longer than the way of a packet that has been sent
		default:
		}
		if err != nil {
			continue
		}
		var p rtp.Packet
		if p.Unmarshal(buf[:n]) != nil {
			continue
		}
		m.mu.Lock()
		if p.PayloadType == 101 {
			m.event(&p)
		} else {
			m.audio(p.Payload)
		}
		m.mu.Unlock()
	}
}

// event takes an RFC 4733 §2.5 event: one timestamp is one key press.
func (m *line) event(p *rtp.Packet) {
	if len(p.Payload) == 4 && p.Payload[1]&0x80 != 0 && (p.Timestamp != m.lastTS || m.keys == "") {
		m.lastTS = p.Timestamp
		m.pressed("0123456789*#"[p.Payload[0]])
	}
}

func (m *line) audio(frame []byte) {
	decode := g711.DecodeAlawFrame
	if m.codec == 0 {
		decode = g711.DecodeUlawFrame
	}
	x := make([]float64, len(frame))
	sum := 0.0
	for i, b := range frame {
		x[i] = float64(decode(b))
		sum += math.Abs(x[i])
	}
	if sum > 250*float64(len(x)) {
		m.voice += 20 * time.Millisecond
	}
	key := toneKey(x)
	if key != 0 && key != m.tone {
		m.pressed(key)
	}
	m.tone = key
}

func (m *line) pressedSoFar() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.keys)
}

func (m *line) heardSoFar() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.voice
}

func (m *line) pressed(key byte) {
	m.keys += string(key)
	m.key <- struct{}{}
}

// toneKey finds the key whose two tones carry most of the frame's energy.
func toneKey(x []float64) byte {
	power := func(hz float64) float64 {
		var re, im float64
		for i, v := range x {
			re += v * math.Cos(2*math.Pi*hz*float64(i)/8000)
			im += v * math.Sin(2*math.Pi*hz*float64(i)/8000)
		}
		return 2 * (re*re + im*im) / float64(len(x))
	}
	total := 1.0
	for _, v := range x {
		total += v * v
	}
	if total < 1e6*float64(len(x)) {
		return 0
	}
	for row, keys := range []string{"123", "456", "789", "*0#"} {
		for col := range keys {
			l := power([]float64{697, 770, 852, 941}[row])
			h := power([]float64{1209, 1336, 1477}[col])
			if l > 0.3*total && h > 0.3*total {
				return keys[col]
			}
		}
	}
	return 0
}

func startCarrier(t *testing.T, c sim.Config) *sim.Carrier {
	t.Helper()
	carrier, err := sim.StartCarrier(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(carrier.Close)
	return carrier
}
