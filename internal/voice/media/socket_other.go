//go:build unix && !linux

package media

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// batch reads packets one by one where there is no recvmmsg.
type batch struct {
	bufs  [batchSize][packetSize]byte
	sizes [batchSize]int
	names [batchSize]netip.AddrPort
}

const (
	batchSize  = 16
	packetSize = 1500
)

func newBatch() *batch { return &batch{} }

// receive reads the packets that wait at the socket, up to batchSize of them.
func (b *batch) receive(fd int) int {
	n := 0
	for n < batchSize {
		size, from, err := unix.Recvfrom(fd, b.bufs[n][:], unix.MSG_DONTWAIT)
		a, ok := from.(*unix.SockaddrInet4)
		if err != nil || !ok {
			break
		}
		b.sizes[n], b.names[n] = size, netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
		n++
	}
	return n
}

// packet gives the i-th packet that was received and where it came from.
func (b *batch) packet(i int) ([]byte, netip.AddrPort) { return b.bufs[i][:b.sizes[i]], b.names[i] }

// send sends one packet and reports whether the kernel took it.
func (b *batch) send(fd int, to netip.AddrPort, packet []byte) bool {
	return unix.Sendto(fd, packet, unix.MSG_DONTWAIT, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}) == nil
}
