package gate

import (
	"testing"

	"parley/internal/contact"
)

// An attempt whose end nobody knows counts as the worst case.
func TestUnknownAttemptsCountInFull(t *testing.T) {
	t.Parallel()
	for want, r := range map[contact.Reach]*row{
		contact.ReachEffective: {state: Unknown},
		contact.ReachAttempt:   {state: Settled, outcome: contact.NoAnswer},
		contact.ReachNone:      {state: Settled, outcome: contact.NotSent},
	} {
		if got := reached(r); got != want {
			t.Errorf("%s %s counts as %d, want %d", r.state, r.outcome, got, want)
		}
	}
}
