// Package port finds ports of the loopback address for programs that have to be
// told which one to take, and sees when they have taken it.
package port

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"strings"
)

// The range lies below what systems hand out by themselves (32768 and above on
// Linux, 49152 by RFC 6335 6), so that no other socket takes a port between
// the moment it is found and the moment it is used.
const from, until = 20_000, 32_000

// Unused gives an even port on which nobody listens, by UDP or TCP. RTP wants
// even ones (RFC 3550 11).
func Unused() (int, error) {
	var err error
	for range 100 {
		p := from + 2*rand.IntN((until-from)/2)
		if err = free(p); err == nil {
			return p, nil
		}
	}
	return 0, fmt.Errorf("no port is free: %w", err)
}

func free(p int) error {
	at := fmt.Sprintf("127.0.0.1:%d", p)
	u, err := net.ListenPacket("udp4", at)
	if err != nil {
		return err
	}
	t, err := net.Listen("tcp4", at)
	if err != nil {
		return errors.Join(err, u.Close())
	}
	return errors.Join(t.Close(), u.Close())
}

// Bound reports whether somebody holds a port by a network, udp or tcp. It reads
// the kernel's table where there is one: to try the port would keep the one it
// is meant for from taking it at that moment.
func Bound(network string, p int) (bool, error) {
	table, err := os.ReadFile("/proc/net/" + network)
	if errors.Is(err, fs.ErrNotExist) {
		at := fmt.Sprintf("127.0.0.1:%d", p)
		if network == "udp" {
			c, err := net.ListenPacket("udp4", at)
			if err == nil {
				err = c.Close()
			}
			return err != nil, nil
		}
		l, err := net.Listen("tcp4", at)
		if err == nil {
			err = l.Close()
		}
		return err != nil, nil
	}
	if err != nil {
		return false, err
	}
	local := fmt.Sprintf(":%04X 00000000:0000 ", p) // and connected to nobody
	return strings.Contains(string(table), local), nil
}
