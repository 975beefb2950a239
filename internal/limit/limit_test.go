package limit

import (
	"fmt"
	"testing"
	"time"
)

// ASVS 5.0 6.3.1 and 2.4.1: trying again and again is slowed, and a crowd
// neither fills the memory nor shuts a newcomer out.
func TestLimitIsBounded(t *testing.T) {
	t.Parallel()
	l, now := New(1, time.Minute, 8), time.Unix(0, 0)
	for i := range 100 {
		if !l.Allow(fmt.Sprint(i), now) {
			t.Fatal("a crowd shuts out a newcomer")
		}
		if len(l.seen) > 8 {
			t.Fatalf("%d names held, bound 8", len(l.seen))
		}
	}
	if wait := l.Take("99", now.Add(20*time.Second)); wait != 40*time.Second {
		t.Errorf("a second try within the minute waits %s, want 40s", wait)
	}
	if !l.Allow("99", now.Add(2*time.Minute)) {
		t.Error("refused after the minute")
	}
	if l.Over("99", now.Add(2*time.Minute)) == 0 || l.Over("another", now) != 0 {
		t.Error("who is over the limit is not told apart")
	}
	l.Forget("99")
	if !l.Allow("99", now.Add(2*time.Minute)) {
		t.Error("refused after a success")
	}
}
