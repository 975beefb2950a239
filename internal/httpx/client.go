package httpx

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// client names the address a request came from, for limits and session lists;
// an IPv6 customer owns a /64. Behind a proxy of the bank's own it is the last
// address in X-Forwarded-For that is not such a proxy: what stands before it
// was written by the sender and proves nothing.
func (h *House) client(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && h.proxy(a); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		a = hop
	}
	if a = a.Unmap(); a.Is6() {
		if n, err := a.Prefix(64); err == nil {
			return n.String()
		}
	}
	return a.String()
}

func (h *House) proxy(a netip.Addr) bool {
	return slices.ContainsFunc(h.Proxies, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) })
}
