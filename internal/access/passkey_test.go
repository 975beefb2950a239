package access

import "testing"

// WebAuthn level 3 section 5.1.3: a passkey is bound to a name, and browsers
// make one only over TLS or on this machine by name. Where it would fail it is
// not offered.
func TestPasskeysAreOfferedWhereTheyWork(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		origin, host string
		want         bool
	}{
		{"https://parley.bank.example", "parley.bank.example", true},
		{"https://parley.bank.example", "10.0.0.7:8080", true}, // a proxy that passes its own address on
		{"http://parley.bank.example", "parley.bank.example", false},
		{"http://localhost:8080", "localhost:8080", true},
		{"http://localhost:8080", "127.0.0.1:8080", false},
		{"", "localhost:8080", false},
	} {
		s := NewStore(nil)
		s.Options.Origin = c.origin
		if got := s.PasskeysHere(c.host); got != c.want {
			t.Errorf("served as %q, asked for %q: %v", c.origin, c.host, got)
		}
	}
}
