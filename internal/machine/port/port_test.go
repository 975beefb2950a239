package port

import (
	"fmt"
	"net"
	"testing"
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
		if bound, err := Bound(network, p); err != nil || !bound {
			t.Errorf("%s %s after: %v %v", network, at, bound, err)
		}
	}
}
