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
	"sync"
)

// The range lies below what systems hand out by themselves (32768 and above on
// Linux, 49152 by RFC 6335 6), so that no other socket takes a port between
// the moment it is found and the moment it is used. It is divided into blocks:
// a process takes a whole one by listening at its last port, and goes through
// it before it gives a port again, so that two who ask at the same time, in one
// process or in several, are not told the same. After each port there is room
// for those that programs take along with it (RTCP, video).
const (
	from, until = 20_000, 32_000
	block       = 200
	room        = 8
	perBlock    = block/room - 1
	most        = 20 // blocks of one process: 480 ports, then the first again
)

var mine struct {
	sync.Mutex
	held []net.Listener // at the last ports of our blocks, as long as the process lives
	lows []int          // the first ports of our blocks
	next int            // count of ports given or looked at
}

// Unused gives an even port on which nobody listens, by UDP or TCP. RTP wants
// even ones (RFC 3550 11).
func Unused() (int, error) {
	mine.Lock()
	defer mine.Unlock()
	var err error
	for range 2 * most * perBlock {
		at := mine.next / perBlock
		if at == len(mine.lows) && !claim() {
			if at == 0 {
				return 0, errors.New("all ports for programs are in use")
			}
			at, mine.next = 0, 0
		}
		p := mine.lows[at] + room*(mine.next%perBlock)
		mine.next++
		if err = free(p); err == nil {
			return p, nil
		}
	}
	return 0, fmt.Errorf("no port is free: %w", err)
}

// claim takes one more block that no process has.
func claim() bool {
	const blocks = (until - from) / block
	first := rand.IntN(blocks)
	for i := range blocks {
		if len(mine.lows) == most {
			return false
		}
		low := from + (first+i)%blocks*block
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", low+block-1))
		if err == nil {
			mine.held, mine.lows = append(mine.held, l), append(mine.lows, low)
			return true
		}
	}
	return false
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
// is meant for from taking it at that moment. The table is read in pieces, so one
// who has just come or gone may be missed: ask again.
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
