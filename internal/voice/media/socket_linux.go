package media

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batch is the space one clock reads packets into. A clock serves its calls one
// after the other, so all of them share it.
//
// The two system calls per frame are made raw: they never block (the sockets
// are non-blocking), and telling the scheduler about each costs as much again.
type batch struct {
	msgs  [batchSize]mmsghdr
	iovs  [batchSize]unix.Iovec
	names [batchSize]unix.RawSockaddrInet4
	bufs  [batchSize][packetSize]byte
	out   unix.RawSockaddrInet4
}

const (
	batchSize  = 4 // one packet is the rule; a clock asks again when all come full
	packetSize = 1500
)

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

func newBatch() *batch {
	b := &batch{}
	for i := range b.msgs {
		b.iovs[i].Base = &b.bufs[i][0]
		b.iovs[i].SetLen(packetSize)
		b.msgs[i].hdr.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		b.msgs[i].hdr.Namelen = unix.SizeofSockaddrInet4 // stays so: every sender of an IPv4 socket has such an address
		b.msgs[i].hdr.Iov = &b.iovs[i]
		b.msgs[i].hdr.SetIovlen(1)
	}
	return b
}

// receive reads the packets that wait at the socket, up to batchSize of them.
func (b *batch) receive(fd int) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.msgs[0])),
		batchSize, unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0 // nothing there (EAGAIN); or an ICMP error, which the silence timer will judge
	}
	return int(n)
}

// packet gives the i-th packet that was received and where it came from.
func (b *batch) packet(i int) ([]byte, netip.AddrPort) {
	port := (*[2]byte)(unsafe.Pointer(&b.names[i].Port)) // network order
	from := netip.AddrPortFrom(netip.AddrFrom4(b.names[i].Addr), uint16(port[0])<<8|uint16(port[1]))
	return b.bufs[i][:b.msgs[i].n], from
}

// send sends one packet and reports whether the kernel took it.
func (b *batch) send(fd int, to netip.AddrPort, packet []byte) bool {
	b.out.Family = unix.AF_INET
	b.out.Addr = to.Addr().As4()
	port := (*[2]byte)(unsafe.Pointer(&b.out.Port))
	port[0], port[1] = byte(to.Port()>>8), byte(to.Port())
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&packet[0])), uintptr(len(packet)),
		unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&b.out)), unix.SizeofSockaddrInet4)
	return errno == 0
}
