package dialer

import "sync"

// results counts calls that ended, from their goroutines to the loop's.
type results struct {
	mu           sync.Mutex
	sent, failed int
}

// add counts a call; sent says that something left the bank, or that it was
// for a rule and not for the line that nothing did.
func (r *results) add(sent bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if sent {
		r.sent++
	} else {
		r.failed++
	}
}

func (r *results) take() (sent, failed int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sent, failed = r.sent, r.failed
	r.sent, r.failed = 0, 0
	return sent, failed
}
