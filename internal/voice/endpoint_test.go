package voice

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"parley/internal/contact"
	"parley/internal/voice/media"
)

func failure(t *testing.T, err error) *Failure {
	t.Helper()
	var f *Failure
	if !errors.As(err, &f) {
		t.Fatalf("got %v, want a failure", err)
	}
	return f
}

// A trunk that was silent is asked before the next call: what is not sent costs
// no customer's budget.
func TestSilentTrunk(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "udp")
	timing := patient()
	timing.Answer, timing.Ping = 2*time.Second, 2*time.Second // both are waited out once
	e := listen(t, Config{Proxy: p.addr, Timing: timing})
	if f := failure(t, second(e.Dial(t.Context(), Dial{To: "1", From: "2"}))); f.Outcome != contact.Unknown || !f.Sent {
		t.Fatalf("%+v", f)
	}
	p.invite() // it was there, and heard not a word
	p.silence("OPTIONS", 100)
	if f := failure(t, second(e.Dial(t.Context(), Dial{To: "1", From: "2"}))); f.Outcome != contact.NotSent || f.Sent {
		t.Errorf("%+v", f)
	}
	p.silence("OPTIONS", 0)
	e.cfg.Timing = patient() // from here on nothing is waited out
	go func() { p.stop(p.invite(), 486) }()
	if f := failure(t, second(e.Dial(t.Context(), Dial{To: "1", From: "2"}))); f.Outcome != contact.Busy {
		t.Errorf("%+v", f)
	}
	if e.Stats().Down {
		t.Error("the trunk answers and counts as down")
	}
}

func second(_ *Call, err error) error { return err }

func TestLimitsAndRefusals(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "udp")
	e := listen(t, Config{Proxy: p.addr, Timing: patient(), MaxCalls: 1})
	go func() { p.answer(p.invite(), "a") }()
	c, err := e.Dial(t.Context(), Dial{To: "1", From: "2", CallID: "once"})
	if err != nil {
		t.Fatal(err)
	}
	if f := failure(t, second(e.Dial(t.Context(), Dial{To: "1", From: "2"}))); f.Outcome != contact.NotSent {
		t.Errorf("second line: %+v", f)
	}
	if err := c.Hangup(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]Dial{
		"same id again": {To: "1", From: "2", CallID: "once"},
		"line break":    {To: "1\r\nX: y", From: "2"},
		"header":        {To: "1", From: "2", Headers: map[string]string{"X": "y\r\nVia: z"}},
		"nobody":        {From: "2"},
	} {
		if f := failure(t, second(e.Dial(t.Context(), d))); f.Outcome != contact.NotSent || f.Sent {
			t.Errorf("%s: %+v", name, f)
		}
	}
	gone, stop := context.WithCancel(t.Context())
	stop()
	if f := failure(t, second(e.Dial(gone, Dial{To: "1", From: "2"}))); f.Outcome != contact.NotSent {
		t.Errorf("cancelled before: %+v", f)
	}
	p.noGhosts()
	if n := p.calls(); n != 1 {
		t.Errorf("%d INVITEs", n)
	}
}

// A former run of this program placed a call and was killed; its answer comes
// to us. It is ended. The same from a stranger moves us to nothing.
func TestAnswerToAFormerRun(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "udp")
	e := listen(t, Config{Proxy: p.addr, Timing: patient()})
	to := net.UDPAddrFromAddrPort(e.Addr())
	old := message{method: "INVITE", headers: [][2]string{
		{"Via", "SIP/2.0/UDP " + e.Addr().String() + ";branch=z9hG4bKold"}, {"From", "<sip:95588@bank>;tag=ours"},
		{"To", "<sip:1@bank>"}, {"Call-ID", "old"}, {"CSeq", "1 INVITE"},
	}, reply: func(b []byte) { _, _ = p.udp.WriteTo(b, to) }}
	for range 3 {
		p.answer(old, "a")
		time.Sleep(30 * time.Millisecond)
	}
	p.noGhosts()
	p.until("three ACKs", func() bool { return p.acks("a") >= 3 })
	if n := e.Stats().Ghosts; n != 1 || p.once("BYE") != 1 {
		t.Errorf("%d ghosts, %d BYEs", n, p.once("BYE"))
	}
}

// Early media is heard while it rings, and neither answered nor recorded.
func TestEarlyMedia(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "udp")
	e := listen(t, Config{Proxy: p.addr, Timing: patient()})
	answered, through := make(chan time.Time, 1), make(chan struct{})
	const early = 40
	go func() {
		defer close(through)
		m := p.invite()
		p.reply(m, 183, "Session Progress", "a", p.sdp("8 101"))
		sent := 0
		p.until("early media is heard", func() bool { // what came before the 183 was read is a stranger's
			p.talkOn(m, p.rtp, sent, 1)
			sent++
			return received(e) >= early
		})
		p.until("all of it is read", func() bool { return received(e) == heardFrom(e, uint64(sent)) })
		_ = p.rtp.SetReadDeadline(time.Now().Add(time.Millisecond))
		if n, _, err := p.rtp.ReadFromUDP(make([]byte, 200)); err == nil {
			t.Errorf("%d bytes sent before the answer", n)
		}
		answered <- time.Now()
		p.answer(m, "a")
		_ = p.rtp.SetReadDeadline(time.Now().Add(patience))
		if _, _, err := p.rtp.ReadFromUDP(make([]byte, 200)); err != nil {
			t.Errorf("nothing sent after the answer: %v", err)
		}
	}()
	path := t.TempDir() + "/call.wav"
	c, err := e.Dial(t.Context(), Dial{To: "1", From: "2", Record: path})
	if err != nil {
		t.Fatal(err)
	}
	p.until("sent", func() bool { return c.Stats().Sent > 5 })
	if err := c.Hangup(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-through
	// The recording is no longer than from before the answer to now, but for the
	// frames it begins and ends in. The early media, 800 ms, would not fit.
	end, longest := c.End(), time.Since(<-answered)+2*media.Frame
	if end.Stats.Received < early || end.Recording.SHA256 == "" || end.Recording.Duration > longest {
		t.Errorf("%+v, at most %v", end, longest)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := media.Peaks(bytes.NewReader(b), 1)
	if err != nil || len(w.Right) != 1 || w.Right[0] > 0.01 {
		t.Errorf("early media was recorded: %+v, %v", w, err)
	}
	p.noGhosts()
}

// stats gives the counts of the one call of an endpoint.
func stats(e *Endpoint) media.Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.calls {
		return c.media.Stats()
	}
	return media.Stats{}
}

func received(e *Endpoint) uint64 { return stats(e).Received }

// heardFrom gives how many of so many packets were not a stranger's.
func heardFrom(e *Endpoint, sent uint64) uint64 { return sent - stats(e).Strangers }

// The other side's words are cut out by their span.
func TestRecordMessage(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "udp")
	e := listen(t, Config{Proxy: p.addr, Timing: patient()})
	const frames, silence = 20, time.Second
	said := make(chan message, 1)
	go func() {
		m := p.invite()
		p.answer(m, "a")
		said <- m
	}()
	c, err := e.Dial(t.Context(), Dial{To: "1", From: "2", Record: t.TempDir() + "/call.wav"})
	if err != nil {
		t.Fatal(err)
	}
	m, span := <-said, Span{}
	for before := 0; ; before += frames {
		spoken := make(chan struct{})
		go func() { defer close(spoken); p.talkOn(m, p.rtp, before, frames) }()
		span, err = c.RecordMessage(t.Context(), patience, silence)
		<-spoken
		p.until("all of it is read", func() bool { return c.Stats().Received >= uint64(before+frames) })
		last := c.Stats().LastPacket
		if before < 100*frames && err == nil && (last <= span.From || last > span.To) {
			continue // this machine was too slow to listen in time, or to speak without a pause: again
		}
		if err != nil || !span.Spoke || span.To-last < silence || span.To-span.From >= patience {
			t.Errorf("%+v, %v; the last word at %v", span, err, last)
		}
		break
	}
	span, err = c.RecordMessage(t.Context(), 200*time.Millisecond, 5*time.Second)
	if err != nil || span.Spoke || span.To-span.From != 200*time.Millisecond {
		t.Errorf("silence: %+v, %v", span, err)
	}
	_ = c.Hangup(t.Context())
	p.noGhosts()
}

// Close during calls of every state leaves nobody ringing or talking.
func TestCloseEndsEverything(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "udp")
	e := listen(t, Config{Proxy: p.addr, Timing: patient()})
	ringing := make(chan struct{})
	go func() {
		p.answer(p.invite(), "talking")
		m := p.invite()
		p.ring(m, "ringing")
		close(ringing)
		p.cancelled()
		p.reply(m, 487, "Request Terminated", "ringing", "")
	}()
	c, err := e.Dial(t.Context(), Dial{To: "1", From: "2", Record: t.TempDir() + "/call.wav"})
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() { failed <- second(e.Dial(t.Context(), Dial{To: "3", From: "2", RingFor: time.Minute})) }()
	<-ringing
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if f := failure(t, <-failed); !strings.Contains(f.Reason, "shutting down") {
		t.Errorf("%+v", f)
	}
	if end := c.End(); end.By != ByLocal || end.Recording.SHA256 == "" {
		t.Errorf("%+v", end)
	}
	p.noGhosts()
	if f := failure(t, second(e.Dial(t.Context(), Dial{To: "1", From: "2"}))); f.Outcome != contact.NotSent {
		t.Errorf("after close: %+v", f)
	}
}

func TestAgree(t *testing.T) {
	t.Parallel()
	sdp := func(rest string) string { return "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\n" + rest }
	ours := []media.Codec{media.PCMA, media.PCMU}
	for _, c := range []struct {
		name, body, want string
	}{
		{"plain", sdp("c=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"), "10.0.0.1:4000 PCMA 0 false sendrecv"},
		{"their order rules", sdp("c=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\n"), "10.0.0.1:4000 PCMU 0 false sendrecv"},
		{"their event type", sdp("c=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 126\r\na=rtpmap:126 telephone-event/8000\r\n"), "10.0.0.1:4000 PCMA 126 false sendrecv"},
		{"address of the media", sdp("c=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\nc=IN IP4 10.0.0.2\r\n"), "10.0.0.2:4000 PCMA 0 false sendrecv"},
		{"hold", sdp("c=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\na=sendonly\r\n"), "10.0.0.1:4000 PCMA 0 true recvonly"},
		{"hold of the session", sdp("c=IN IP4 10.0.0.1\r\nt=0 0\r\na=inactive\r\nm=audio 4000 RTP/AVP 8\r\n"), "10.0.0.1:4000 PCMA 0 true inactive"},
		{"old hold", sdp("c=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"), "0.0.0.0:4000 PCMA 0 true sendrecv"},
		{"video first", sdp("c=IN IP4 10.0.0.1\r\nt=0 0\r\nm=video 4002 RTP/AVP 99\r\nm=audio 4000 RTP/AVP 8\r\n"), "10.0.0.1:4000 PCMA 0 false sendrecv"},
		{"audio refused", sdp("c=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 0 RTP/AVP 8\r\n"), "answered without audio"},
		{"no codec", sdp("c=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 18 101\r\n"), "answered without a codec we offered"},
		{"8 is not A-law", sdp("c=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\na=rtpmap:8 G722/8000\r\n"), "answered without a codec we offered"},
		{"no address", sdp("t=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"), "SDP without an address"},
		{"nothing", "", "answered without SDP"},
	} {
		st, direction, err := agree([]byte(c.body), ours)
		got := fmt.Sprint(st.Remote, " ", st.Codec, " ", st.Event, " ", st.Hold, " ", direction)
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	st, _, err := agree(describe("10.0.0.9", 5000, 1, 1, ours, "sendrecv"), ours)
	if err != nil || st.Remote.String() != "10.0.0.9:5000" || st.Event != eventPT || st.Codec != media.PCMA {
		t.Errorf("our own: %+v, %v", st, err)
	}
}

func FuzzAgree(f *testing.F) {
	f.Add(describe("10.0.0.9", 5000, 1, 1, []media.Codec{media.PCMA, media.PCMU}, "sendonly"))
	f.Fuzz(func(t *testing.T, body []byte) {
		st, _, err := agree(body, []media.Codec{media.PCMA})
		if err == nil && (!st.Remote.Addr().Is4() || st.Remote.Port() == 0 || st.Codec != media.PCMA) {
			t.Fatalf("%+v", st)
		}
	})
}
