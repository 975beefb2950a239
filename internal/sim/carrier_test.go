package sim_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/internal/prompt"
	"parley/internal/sim"
)

// settled waits until the carrier has closed the book on all its calls.
func settled(t *testing.T, c *sim.Carrier) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for c.Stats().Active > 0 {
		select {
		case <-ctx.Done():
			t.Fatalf("calls still active: %+v", c.Stats())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Every persona once, seen from both ends of the line: the keys that the bank
// received are those the phone pressed, and both agree on who hung up.
func TestEveryPersona(t *testing.T) {
	t.Parallel()
	notice := []string{"hello_marketing", "refusal_path"}
	cases := []struct {
		persona sim.Persona
		script  script
		status  int
		keys    string
		ended   sim.Ending
		voice   time.Duration // the phone speaks at least this much
	}{
		{sim.Agrees, script{codec: 8, events: true, steps: []string{"identity_ask", "overdue_remind"}}, 200, "11", sim.ByCaller, 0},
		{sim.AgreesInband, script{codec: 8, events: true, steps: []string{"refusal_path"}}, 200, "1", sim.ByCaller, 0},
		{sim.Agrees, script{codec: 0, steps: []string{"refusal_path"}}, 200, "1", sim.ByCaller, 0}, // no events offered: tones
		{sim.OptsOut, script{codec: 8, events: true, steps: notice}, 200, "9", sim.ByCaller, 0},
		{sim.Complains, script{codec: 0, events: true, steps: []string{"refusal_path", "complain_ask"}}, 200, "2#", sim.ByCaller, 4 * time.Second},
		{sim.Listens, script{codec: 8, events: true, steps: notice, stay: patience}, 200, "", sim.ByPhone, time.Second},
		{sim.HangsUp, script{codec: 8, events: true, steps: notice, stay: patience}, 200, "", sim.ByPhone, 0},
		{sim.SlowAnswer, script{codec: 8, events: true, steps: []string{"refusal_path"}}, 200, "1", sim.ByCaller, 0},
		{sim.Voicemail, script{codec: 8, events: true, steps: notice, stay: time.Second}, 200, "", sim.ByCaller, 4 * time.Second},
		{sim.Ignores, script{codec: 8, events: true, ringFor: time.Second}, 0, "", sim.Cancelled, 0},
		{sim.Busy, script{codec: 8, events: true}, 486, "", sim.Turned, 0},
		{sim.SwitchedOff, script{codec: 8, events: true}, 480, "", sim.Turned, 0},
		{sim.NoSuchNumber, script{codec: 8, events: true}, 404, "", sim.Turned, 0},
		{sim.Rejects, script{codec: 8, events: true}, 603, "", sim.Turned, 0},
		{sim.Busy, script{codec: 18}, 486, "", sim.Turned, 0},
		{sim.Agrees, script{codec: 18}, 488, "", sim.Failed, 0}, // G.729 only: nothing in common
	}
	conf := sim.Config{Speed: 2, Personas: map[string]sim.Persona{}}
	for i := range cases {
		cases[i].script.number = fmt.Sprintf("+99900%07d", i)
		conf.Personas[cases[i].script.number[1:]] = cases[i].persona
	}
	c, b := startCarrier(t, conf), newBank(t, "udp")
	got := make([]heard, len(cases))
	var wg sync.WaitGroup
	for i, tc := range cases {
		if tc.script.ringFor == 0 {
			tc.script.ringFor = patience
		}
		tc.script.keys, tc.script.voice = len(tc.keys), tc.voice
		wg.Go(func() { got[i] = b.call(t.Context(), c.Addr(), "udp", tc.script) })
	}
	wg.Wait()
	settled(t, c)
	book := map[string]sim.PhoneCall{}
	for _, p := range c.Calls() {
		book[p.CallID] = p
	}
	if len(book) != len(cases) {
		t.Errorf("%d calls in the book, %d were made", len(book), len(cases))
	}
	for i, tc := range cases {
		t.Run(fmt.Sprintf("%s/%d", tc.persona, tc.script.codec), func(t *testing.T) {
			h, p := got[i], book[got[i].callID]
			t.Logf("bank: %+v\nphone: %+v", h, p)
			if (h.err != nil) != (tc.ended == sim.Cancelled) {
				t.Errorf("bank: %v", h.err)
			}
			if h.status != tc.status || p.Answered != (tc.status == 200) || (tc.status != 0 && p.Code != tc.status) {
				t.Errorf("status %d, phone %d, want %d", h.status, p.Code, tc.status)
			}
			if h.keys != tc.keys || p.KeysSent != tc.keys {
				t.Errorf("keys: bank %q, phone %q, want %q", h.keys, p.KeysSent, tc.keys)
			}
			if p.Ended != tc.ended || h.byPhone != (tc.ended == sim.ByPhone) {
				t.Errorf("ended %s (bank: by phone %v), want %s", p.Ended, h.byPhone, tc.ended)
			}
			if p.Persona != tc.persona || p.Number != tc.script.number {
				t.Errorf("the book names another call: %+v", p)
			}
			if h.voice < tc.voice {
				t.Errorf("the phone spoke for %s, want %s", h.voice, tc.voice)
			}
			if p.Answered && (p.VoiceHeard < 500*time.Millisecond || p.BytesHeard < 4000) {
				t.Errorf("the phone heard %s, %d bytes", p.VoiceHeard, p.BytesHeard)
			}
		})
	}
}

// RFC 3261 §22: with a password set, only who knows it makes a phone ring.
func TestCarrierAuthenticates(t *testing.T) {
	t.Parallel()
	const number = "+999000000001"
	c := startCarrier(t, sim.Config{Speed: 10, User: "trunk", Password: "secret",
		Personas: map[string]sim.Persona{number: sim.Rejects}})
	for _, tc := range []struct {
		user, password string
		status         int
		calls          int
	}{{"trunk", "secret", 603, 1}, {"trunk", "guess", 403, 1}, {"", "", 401, 1}, {"trunk", "secret", 603, 2}} {
		b := newBank(t, "udp")
		b.user, b.password = tc.user, tc.password
		h := b.call(t.Context(), c.Addr(), "udp", script{number: number, ringFor: patience, codec: 8})
		settled(t, c)
		if h.status != tc.status || len(c.Calls()) != tc.calls {
			t.Errorf("%q/%q: status %d with %d calls, want %d with %d: %v", tc.user, tc.password, h.status, len(c.Calls()), tc.status, tc.calls, h.err)
		}
	}
	if s := c.Stats(); s.Refused != 1 || s.Calls != 2 {
		t.Errorf("stats %+v", s)
	}
}

func TestCarrierOverTCP(t *testing.T) {
	t.Parallel()
	c := startCarrier(t, sim.Config{Transport: "tcp", Speed: 10, Personas: map[string]sim.Persona{"1": sim.HangsUp}})
	h := newBank(t, "tcp").call(t.Context(), c.Addr(), "tcp", script{number: "1", codec: 8, ringFor: patience, stay: patience})
	if h.status != 200 || !h.byPhone || h.err != nil {
		t.Errorf("%+v", h)
	}
}

// Closing the carrier hangs up and leaves no call open on either side.
func TestCloseHangsUp(t *testing.T) {
	t.Parallel()
	c := startCarrier(t, sim.Config{Speed: 10, Personas: map[string]sim.Persona{"1": sim.Agrees, "2": sim.Ignores}})
	b := newBank(t, "udp")
	var answered, ringing heard
	var wg sync.WaitGroup
	wg.Go(func() {
		answered = b.call(t.Context(), c.Addr(), "udp", script{number: "1", codec: 8, ringFor: patience, stay: patience})
	})
	wg.Go(func() {
		ringing = b.call(t.Context(), c.Addr(), "udp", script{number: "2", codec: 8, ringFor: patience})
	})
	for s := c.Stats(); s.Answered < 1 || s.Calls < 2; s = c.Stats() {
		time.Sleep(5 * time.Millisecond)
	}
	c.Close()
	wg.Wait()
	if answered.status != 200 || !answered.byPhone || ringing.status != 480 {
		t.Errorf("answered %+v, ringing %+v", answered, ringing)
	}
	for _, p := range c.Calls() {
		if p.Ended == "" {
			t.Errorf("open in the book: %+v", p)
		}
	}
}

func TestPersonasAreDeterministicAndAllOccur(t *testing.T) {
	t.Parallel()
	count := map[sim.Persona]int{}
	for i := range 5000 {
		n := fmt.Sprintf("+99900%07d", i)
		p := sim.PersonaOf(7, n)
		if p != sim.PersonaOf(7, n[1:]) {
			t.Fatalf("%s has two personas", n)
		}
		count[p]++
	}
	for _, p := range sim.Personas() {
		if count[p] < 50 {
			t.Errorf("%s occurs %d times in 5000", p, count[p])
		}
	}
	if _, err := sim.StartCarrier(t.Context(), sim.Config{Personas: map[string]sim.Persona{"1": "shouts"}}); err == nil {
		t.Error("a carrier with an unknown persona started")
	}
}

// A phone takes 900 ms of silence to be its turn: no prompt may hold one, nor
// two prompts played one after the other.
func TestPromptsHaveNoPauseThatInvitesAnAnswer(t *testing.T) {
	t.Parallel()
	set, err := prompt.Open(prompt.DemoFS())
	if err != nil {
		t.Fatal(err)
	}
	for _, lang := range set.Langs() {
		for _, key := range set.Keys() {
			raw, _ := set.WAV(lang, key)
			a, _ := prompt.Decode(raw)
			quiet, longest := 0, 0
			for frame := range slices.Chunk(a.Samples, 160) {
				if quiet++; (prompt.Audio{Samples: frame}).Level().RMS > -40 {
					quiet = 0
				}
				longest = max(longest, quiet)
			}
			if ms := longest * 20; ms > 600 {
				t.Errorf("%s/%s is silent for %d ms", lang, key, ms)
			}
		}
	}
}

// Not parallel: it counts goroutines.
func TestCloseLeavesNothingRunning(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Run("call", func(t *testing.T) {
		c := startCarrier(t, sim.Config{Speed: 10, Personas: map[string]sim.Persona{"1": sim.HangsUp}})
		h := newBank(t, "udp").call(t.Context(), c.Addr(), "udp", script{number: "1", codec: 8, ringFor: patience, stay: patience})
		if h.status != 200 || !h.byPhone {
			t.Errorf("%+v", h)
		}
	})
	// Sockets' readers end a moment after their sockets, on a busy machine a long one.
	for end := time.Now().Add(patience); ; {
		err := goleak.Find(before)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// An INVITE that was sent again because the answer was slow, and is read when the
// stack has forgotten the first, is the same call (RFC 3261 17.2.3): same Call-ID
// and branch. The phone does not ring twice.
func TestARepeatedInviteIsNoSecondCall(t *testing.T) {
	t.Parallel()
	c := startCarrier(t, sim.Config{Speed: 10, Personas: map[string]sim.Persona{"1": sim.Busy}})
	conn, err := net.Dial("udp", c.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The stack tells transactions apart by the sender's name, too: another name
	// is a new transaction to it.
	for i, want := range []string{"486", "480"} {
		send := func(method, to string) {
			if _, err := fmt.Fprintf(conn, "%s sip:1@%s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bKonce;rport\r\n"+
				"From: <sip:95500@127.0.0.1>;tag=a\r\nTo: %s\r\nCall-ID: once\r\nCSeq: 1 %s\r\nMax-Forwards: 70\r\n"+
				"Contact: <sip:95500@%s>\r\nContent-Length: 0\r\n\r\n", method, c.Addr(), 20001+i, to, method, conn.LocalAddr()); err != nil {
				t.Fatal(err)
			}
		}
		send("INVITE", "<sip:1@127.0.0.1>")
		for buf := make([]byte, 4096); ; {
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			head := string(buf[:n])
			code, _, _ := strings.Cut(strings.TrimPrefix(head, "SIP/2.0 "), " ")
			_, to, _ := strings.Cut(head, "\r\nTo: ")
			to, _, _ = strings.Cut(to, "\r\n")
			if code < "200" {
				continue
			}
			send("ACK", to)
			if code == want {
				break
			}
		}
		settled(t, c)
	}
	if n := len(c.Calls()); n != 1 {
		t.Errorf("%d calls by one INVITE", n)
	}
}
