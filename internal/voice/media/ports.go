package media

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNoPort tells that every media port is in use or draining.
var ErrNoPort = errors.New("no free media port")

// socket is a call's bound, non-blocking UDP socket.
type socket struct {
	fd   int
	port int
}

// ports lends sockets. After a call its port stays bound for a while, so that
// what the old peer still sends is never heard in a new call.
type ports struct {
	ip       netip.Addr
	low      int // 0 = the system chooses
	high     int
	drain    time.Duration
	mu       sync.Mutex
	next     int
	used     map[int]bool
	draining map[socket]*time.Timer
	closed   bool
}

func newPorts(ip netip.Addr, r [2]int, drain time.Duration) *ports {
	low := r[0] + r[0]%2 // RTP takes even ports (RFC 3550 11)
	return &ports{ip: ip, low: low, high: r[1], drain: drain, next: low, used: map[int]bool{}, draining: map[socket]*time.Timer{}}
}

// take binds a free port.
func (p *ports) take() (socket, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return socket{}, errors.New("media is closed")
	}
	if p.low == 0 {
		return bind(p.ip, 0)
	}
	for range (p.high-p.low)/2 + 1 {
		port := p.next
		if p.next += 2; p.next > p.high {
			p.next = p.low
		}
		if p.used[port] {
			continue
		}
		s, err := bind(p.ip, port)
		if errors.Is(err, unix.EADDRINUSE) {
			continue // another program has it
		}
		if err != nil {
			return socket{}, err
		}
		p.used[port] = true
		return s, nil
	}
	return socket{}, ErrNoPort
}

// give takes a socket back; it is closed when it has drained.
func (p *ports) give(s socket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.drain <= 0 {
		p.release(s)
		return
	}
	p.draining[s] = time.AfterFunc(p.drain, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if _, ok := p.draining[s]; ok {
			p.release(s)
		}
	})
}

func (p *ports) release(s socket) {
	delete(p.draining, s)
	delete(p.used, s.port)
	_ = unix.Close(s.fd)
}

// close closes every draining socket at once.
func (p *ports) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for s, t := range p.draining {
		t.Stop()
		p.release(s)
	}
}

// count gives how many ports drain.
func (p *ports) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.draining)
}

// bind opens a socket outside of Go's poller: the clocks ask it themselves.
func bind(ip netip.Addr, port int) (socket, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return socket{}, fmt.Errorf("media socket: %w", err)
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return socket{}, fmt.Errorf("media socket: %w", err)
	}
	// Expedited forwarding (RFC 4594) for voice; a network that ignores it does no harm.
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TOS, 0xB8)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: ip.As4(), Port: port}); err != nil {
		_ = unix.Close(fd)
		return socket{}, fmt.Errorf("media port %d: %w", port, err)
	}
	if name, err := unix.Getsockname(fd); err == nil {
		if a, ok := name.(*unix.SockaddrInet4); ok {
			port = a.Port
		}
	}
	return socket{fd: fd, port: port}, nil
}
