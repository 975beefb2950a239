package port

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
)

// What is found is free by both networks, and is seen to be taken.
func TestUnusedUntilTaken(t *testing.T) {
	t.Parallel()
	p, err := Unused()
	if err != nil {
		t.Fatal(err)
	}
	if p%2 != 0 {
		t.Errorf("%d is odd (RFC 3550 11)", p)
	}
	at := fmt.Sprintf("127.0.0.1:%d", p)
	for _, network := range []string{"udp", "tcp"} {
		if bound, err := Bound(network, p); err != nil || bound {
			t.Errorf("%s %s before: %v %v", network, at, bound, err)
		}
	}
	u, err := net.ListenPacket("udp4", at)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	l, err := net.Listen("tcp4", at)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, network := range []string{"udp", "tcp"} {
		for end := time.Now().Add(time.Minute); ; { // sockets of others that close while the table is read hide one
			bound, err := Bound(network, p)
			if bound && err == nil {
				break
			}
			if err != nil || time.Now().After(end) {
				t.Fatalf("%s %s after: %v %v", network, at, bound, err)
			}
		}
	}
}

// Nobody is told the port of another, however many ask, and more than one block
// of ports is given when one does not do.
func TestNobodyIsToldTheSame(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[int]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				p, err := Unused()
				mu.Lock()
				if err != nil || seen[p] || p < from || p >= until {
					t.Errorf("port %d, %v", p, err)
				}
				seen[p] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}
