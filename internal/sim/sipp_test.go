package sim_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/internal/sim"
)

// need finds a program; in CI its absence is a failure, elsewhere a skip.
func need(t *testing.T, program string) string {
	t.Helper()
	p, err := exec.LookPath(program)
	switch {
	case err == nil:
		return p
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is not installed", program)
	default:
		t.Skipf("%s is not installed", program)
	}
	return ""
}

// sipp is a SIP program that neither we nor the carrier's authors wrote.
func TestSippCallsTheCarrier(t *testing.T) {
	t.Parallel()
	sipp := need(t, "sipp")
	c := startCarrier(t, sim.Config{Speed: 10, Personas: map[string]sim.Persona{"9990000001": sim.Agrees}})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, sipp, "-sn", "uac", "-s", "9990000001", "-i", "127.0.0.1", "-m", "20",
		"-r", "10", "-l", "20", "-d", "1000", "-nostdin", "-timeout", "150", c.Addr())
	cmd.Dir = t.TempDir()
	// It counts a second from its ACK to its BYE, within what the phone counts.
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sipp: %v\n%s", err, out)
	}
	settled(t, c)
	for _, p := range c.Calls() {
		if p.Ended != sim.ByCaller || !p.Answered || p.Talked < 900*time.Millisecond {
			t.Errorf("%+v", p)
		}
	}
	if s := c.Stats(); s.Calls != 20 || s.Answered != 20 {
		t.Errorf("%+v", s)
	}
}

// Thirty calls at a time to a mixed population: no call that one side knows
// and the other does not, and the same story told by both. The seed is one of
// whose first thirty numbers 26 answer, and whose forty have every persona.
func TestThirtyCallsAtOnce(t *testing.T) {
	t.Parallel()
	c, b := startCarrier(t, sim.Config{Speed: 4, Seed: 52}), newBank(t, "udp")
	const calls, together = 40, 30
	got := make([]heard, calls)
	places := make(chan struct{}, together)
	number := func(i int) string { return fmt.Sprintf("+99900%07d", i) }
	// Nobody of the first who answer hears a word, and so nobody of them leaves,
	// before all of the first have called.
	least := 0
	for i := range together {
		switch c.Persona(number(i)) {
		case sim.Ignores, sim.Busy, sim.SwitchedOff, sim.NoSuchNumber, sim.Rejects:
		default:
			least++
		}
	}
	all := func() bool { return c.Stats().Calls >= together }
	var wg sync.WaitGroup
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	start := time.Now()
	for i := range got {
		places <- struct{}{} // in their order: the first are those counted above
		wg.Go(func() {
			defer func() { <-places }()
			ring := patience
			if c.Persona(number(i)) == sim.Ignores { // others answer: who does must not be given up at that moment
				ring = 8 * time.Second
			}
			got[i] = b.call(t.Context(), c.Addr(), "udp", script{number: number(i), codec: 8, events: true,
				ringFor: ring, begin: all, steps: []string{"hello_service", "refusal_path", "goodbye"}})
		})
	}
	wg.Wait()
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	settled(t, c)
	cpu := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
	t.Logf("%+v, %s of CPU in %s (both sides and the tests beside)", c.Stats(), cpu, time.Since(start))
	book := map[string]sim.PhoneCall{}
	for _, p := range c.Calls() {
		book[p.CallID] = p
	}
	if len(book) != calls || c.Stats().Peak < least || least < 25 {
		t.Errorf("%d calls in the book, peak %d, %d of the first answer", len(book), c.Stats().Peak, least)
	}
	for _, h := range got {
		p := book[h.callID]
		keys := p.KeysSent
		if p.Ended == sim.ByCaller && len(keys) == len(h.keys)+1 { // hanging up may cut the last key short
			keys = keys[:len(h.keys)]
		}
		if p.Answered != (h.status == 200) || (p.Ended == sim.Cancelled) != (h.status == 0) || keys != h.keys {
			t.Errorf("two stories: bank %+v, phone %+v", h, p)
		}
	}
}
