package voice

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// message is a SIP message as the scripted peer reads it: nothing but text, so
// that nothing of sipgo is on this side of the test.
type message struct {
	method  string // of a request; empty for a response
	start   string
	headers [][2]string
	body    string
	reply   func([]byte)
}

func (m message) get(name string) string {
	for _, h := range m.headers {
		if strings.EqualFold(h[0], name) {
			return h[1]
		}
	}
	return ""
}

func tagOf(header string) string {
	_, tag, _ := strings.Cut(header, ";tag=")
	tag, _, _ = strings.Cut(tag, ";")
	return tag
}

func parseMessage(raw string) message {
	head, body, _ := strings.Cut(raw, "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	m := message{start: lines[0], body: body}
	if !strings.HasPrefix(m.start, "SIP/") {
		m.method, _, _ = strings.Cut(m.start, " ")
	}
	for _, l := range lines[1:] {
		name, value, _ := strings.Cut(l, ":")
		m.headers = append(m.headers, [2]string{strings.TrimSpace(name), strings.TrimSpace(value)})
	}
	return m
}

// patience is how long a peer waits for what must come: longer than the slowest machine takes for it.
const patience = 2 * time.Minute

// peer is a phone that does what a script says, and keeps the books by which a
// ghost call shows: which answers it gave, were acknowledged, and were ended.
type peer struct {
	t       *testing.T
	addr    string
	udp     net.PacketConn
	tcp     net.Listener
	rtp     *net.UDPConn
	invites chan message // new ones; repetitions are not
	others  chan message // responses, and requests that are not answered by themselves
	cancels chan message
	last    func([]byte) // where the latest message came from

	endpoint *Endpoint          // that calls
	giveUp   context.CancelFunc // makes the caller give up
	dialled  chan struct{}      // closed when the caller knows what came of it
	scripted chan struct{}      // closed when the script is through

	mu       sync.Mutex
	seen     map[string]int  // requests by method, repetitions included
	branches map[string]bool // of INVITEs
	distinct map[string]int  // requests by method, repetitions not
	ids      map[string]bool // of all requests seen
	answered map[string]bool // our tags that sent a 2xx
	acked    map[string]int  // by our tag
	byes     map[string]int  // by our tag: BYEs received, or sent by us
	mute     map[string]int  // requests by method to leave unanswered, that many times
	conns    []net.Conn
	wg       sync.WaitGroup
}

func newPeer(t *testing.T, transport string) *peer {
	t.Helper()
	p := &peer{
		t: t, invites: make(chan message, 64), others: make(chan message, 256), cancels: make(chan message, 16),
		dialled: make(chan struct{}), scripted: make(chan struct{}),
		seen: map[string]int{}, branches: map[string]bool{}, distinct: map[string]int{}, ids: map[string]bool{}, answered: map[string]bool{}, acked: map[string]int{}, byes: map[string]int{}, mute: map[string]int{},
	}
	var err error
	if transport == "tcp" {
		if p.tcp, err = net.Listen("tcp4", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		p.addr = p.tcp.Addr().String()
		p.wg.Go(p.acceptTCP)
	} else {
		if p.udp, err = net.ListenPacket("udp4", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		p.addr = p.udp.LocalAddr().String()
		p.wg.Go(p.readUDP)
	}
	if p.rtp, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p
}

func (p *peer) close() {
	if p.udp != nil {
		_ = p.udp.Close()
	}
	if p.tcp != nil {
		_ = p.tcp.Close()
	}
	p.reset()
	_ = p.rtp.Close()
	p.wg.Wait()
}

// reset breaks every TCP connection with an RST.
func (p *peer) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
	p.conns = nil
}

func (p *peer) readUDP() {
	buf := make([]byte, 65536)
	for {
		n, from, err := p.udp.ReadFrom(buf)
		if err != nil {
			return
		}
		m := parseMessage(string(buf[:n]))
		m.reply = func(b []byte) { _, _ = p.udp.WriteTo(b, from) }
		p.take(m)
	}
}

func (p *peer) acceptTCP() {
	for {
		c, err := p.tcp.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.conns = append(p.conns, c)
		p.mu.Unlock()
		p.wg.Go(func() { p.readTCP(c) })
	}
}

func (p *peer) readTCP(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		var head strings.Builder
		length := 0
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			head.WriteString(line)
			if name, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(name, "Content-Length") {
				length, _ = strconv.Atoi(strings.TrimSpace(value))
			}
			if line == "\r\n" {
				break
			}
		}
		body := make([]byte, length)
		if _, err := io.ReadFull(r, body); err != nil {
			return
		}
		m := parseMessage(head.String() + string(body))
		m.reply = func(b []byte) { _, _ = c.Write(b) }
		p.take(m)
	}
}

// take keeps the books and answers what needs no script.
func (p *peer) take(m message) {
	p.mu.Lock()
	p.last = m.reply
	p.seen[m.method]++
	if id := m.method + m.get("Via"); !p.ids[id] {
		p.ids[id] = true
		p.distinct[m.method]++
	}
	quiet := p.mute[m.method] > 0
	if quiet {
		p.mute[m.method]--
	}
	tag := tagOf(m.get("To"))
	fresh := false
	switch {
	case m.method == "ACK" && !quiet:
		p.acked[tag]++
	case m.method == "BYE" && !quiet:
		p.byes[tag]++
	case m.method == "INVITE":
		fresh = !p.branches[m.get("Via")]
		p.branches[m.get("Via")] = true
	}
	p.mu.Unlock()
	switch {
	case quiet:
	case m.method == "BYE", m.method == "OPTIONS":
		p.reply(m, 200, "OK", "", "")
	case m.method == "CANCEL":
		p.reply(m, 200, "OK", "", "")
		p.cancels <- m
	case m.method == "INVITE":
		if fresh {
			p.invites <- m
		}
	default:
		select {
		case p.others <- m:
		default:
		}
	}
}

// invite waits for the next new INVITE.
func (p *peer) invite() message {
	p.t.Helper()
	select {
	case m := <-p.invites:
		return m
	case <-time.After(patience):
		p.t.Error("no INVITE came")
		return message{reply: func([]byte) {}}
	}
}

func (p *peer) cancelled() {
	p.t.Helper()
	select {
	case <-p.cancels:
	case <-time.After(patience):
		p.t.Error("no CANCEL came")
	}
}

// reply answers a request; tag is ours, headers are whole lines.
func (p *peer) reply(m message, code int, reason, tag, body string, headers ...string) {
	var b strings.Builder
	fmt.Fprintf(&b, "SIP/2.0 %d %s\r\n", code, reason)
	for _, h := range m.headers {
		switch strings.ToLower(h[0]) {
		case "via", "from", "call-id", "cseq":
			fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
		case "to":
			if tag != "" && !strings.Contains(h[1], ";tag=") {
				h[1] += ";tag=" + tag
			}
			fmt.Fprintf(&b, "To: %s\r\n", h[1])
		}
	}
	fmt.Fprintf(&b, "Contact: <sip:peer@%s%s>\r\n", p.addr, map[bool]string{true: ";transport=tcp"}[p.tcp != nil])
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	if body != "" {
		b.WriteString("Content-Type: application/sdp\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	if m.method == "INVITE" && code/100 == 2 {
		p.mu.Lock()
		p.answered[tag] = true
		p.mu.Unlock()
	}
	m.reply([]byte(b.String()))
}

func (p *peer) trying(m message)             { p.reply(m, 100, "Trying", "", "") }
func (p *peer) ring(m message, tag string)   { p.reply(m, 180, "Ringing", tag, "") }
func (p *peer) answer(m message, tag string) { p.reply(m, 200, "OK", tag, p.sdp("8 101")) }
func (p *peer) sdp(formats string) string {
	return p.sdpAt(p.rtp.LocalAddr().(*net.UDPAddr).Port, formats, "sendrecv")
}

// insist answers until that is acknowledged, as a phone whose 2xx is lost does.
func (p *peer) insist(m message, tag string) {
	p.t.Helper()
	p.mu.Lock()
	p.acked[tag] = 0
	p.mu.Unlock()
	for end := time.Now().Add(patience); p.acks(tag) == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Errorf("the answer of %s is not acknowledged", tag)
			return
		}
		p.answer(m, tag)
	}
}

// heard tells whether the caller has read a provisional response.
func (p *peer) heard() bool {
	p.endpoint.mu.Lock()
	defer p.endpoint.mu.Unlock()
	for _, c := range p.endpoint.calls {
		c.mu.Lock()
		heard := c.progressed
		c.mu.Unlock()
		if heard {
			return true
		}
	}
	return false
}

func (p *peer) stop(m message, code int)     { p.reply(m, code, "No", "t", "") }
func (p *peer) silence(method string, n int) { p.mu.Lock(); defer p.mu.Unlock(); p.mute[method] = n }
func (p *peer) count(method string) int      { p.mu.Lock(); defer p.mu.Unlock(); return p.seen[method] }
func (p *peer) once(method string) int       { p.mu.Lock(); defer p.mu.Unlock(); return p.distinct[method] }
func (p *peer) acks(tag string) int          { p.mu.Lock(); defer p.mu.Unlock(); return p.acked[tag] }
func (p *peer) calls() int                   { p.mu.Lock(); defer p.mu.Unlock(); return len(p.branches) }
func (p *peer) until(what string, f func() bool) {
	p.t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Errorf("never: %s", what)
			return
		}
	}
}

func (p *peer) sdpAt(port int, formats, direction string) string {
	return fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP %s\r\n"+
		"a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:18 G729/8000\r\na=rtpmap:101 telephone-event/8000\r\na=%s\r\n", port, formats, direction)
}

// request sends a request of ours inside the dialog of an INVITE.
func (p *peer) request(m message, method, tag string, seq int, body string) {
	uri := strings.Trim(m.get("Contact"), "<>")
	transport := "UDP"
	if p.tcp != nil {
		transport = "TCP"
	}
	p.mu.Lock()
	send := p.last
	if method == "BYE" {
		p.byes[tag]++
	}
	p.mu.Unlock()
	if p.tcp != nil {
		send = m.reply
	}
	send([]byte(fmt.Sprintf("%s %s SIP/2.0\r\nVia: SIP/2.0/%s %s;branch=z9hG4bK%s%s%d\r\nFrom: %s;tag=%s\r\nTo: %s\r\nCall-ID: %s\r\n"+
		"CSeq: %d %s\r\nMax-Forwards: 70\r\nContact: <sip:peer@%s>\r\nContent-Length: %d\r\n\r\n%s",
		method, uri, transport, p.addr, tag, method, seq, strings.Split(m.get("To"), ";tag=")[0], tag, m.get("From"), m.get("Call-ID"),
		seq, method, p.addr, len(body), body)))
}

// response waits for the response to a request of ours. One to an earlier request
// of the method may come again, when our ACK was slow.
func (p *peer) response(method string, seq int) string {
	p.t.Helper()
	for {
		select {
		case m := <-p.others:
			if m.method == "" && m.get("CSeq") == fmt.Sprintf("%d %s", seq, method) && !strings.Contains(m.start, " 100 ") {
				return m.start
			}
		case <-time.After(patience):
			p.t.Errorf("no response to %s", method)
			return ""
		}
	}
}

// noGhosts checks the books: every 2xx was acknowledged and every dialog ended.
func (p *peer) noGhosts() {
	p.t.Helper()
	p.mu.Lock()
	tags := maps.Clone(p.answered)
	p.mu.Unlock()
	for tag := range tags {
		p.until("ACK for the answer "+tag, func() bool { return p.acks(tag) > 0 })
		p.until("BYE for the answer "+tag, func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.byes[tag] > 0 })
	}
}

// talk sends n frames of RTP to where the INVITE asked for them.
func (p *peer) talk(m message, from *net.UDPConn, n int) { p.talkOn(m, from, 0, n) }

// talkOn goes on after the frames that came before.
func (p *peer) talkOn(m message, from *net.UDPConn, before, n int) {
	port := 0
	for line := range strings.Lines(m.body) {
		if _, err := fmt.Sscanf(line, "m=audio %d", &port); err == nil {
			break
		}
	}
	packet := make([]byte, 172)
	packet[0], packet[1] = 0x80, 8
	for i := range packet[12:] {
		packet[12+i] = 0x2A // loud
	}
	for i := before; i < before+n; i++ {
		packet[2], packet[3] = byte(i>>8), byte(i)
		ts := i * 160
		packet[4], packet[5], packet[6], packet[7] = byte(ts>>24), byte(ts>>16), byte(ts>>8), byte(ts)
		_, _ = from.WriteToUDP(packet, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		time.Sleep(20 * time.Millisecond)
	}
}
