package voice

import (
	"fmt"
	"time"

	"parley/internal/contact"
)

// Failure is a call that did not come to be. Every one has its reason.
type Failure struct {
	Outcome contact.Outcome
	Code    int           // final SIP status; 0 = there was none
	Reason  string        // for logs and reports, English
	Rang    time.Duration // from the first 18x to the end; 0 = did not ring
	Sent    bool          // an INVITE left this machine
}

// Error gives outcome, status and reason.
func (f *Failure) Error() string {
	if f.Code == 0 {
		return fmt.Sprintf("call failed: %s: %s", f.Outcome, f.Reason)
	}
	return fmt.Sprintf("call failed: %s: %d %s", f.Outcome, f.Code, f.Reason)
}

// outcomeOf gives the outcome a final status other than 2xx stands for.
//
// 401 and 407 that outlast authentication mean that the trunk did not take the
// call on: it provably reached nobody.
func outcomeOf(code int) contact.Outcome {
	switch code {
	case 401, 407:
		return contact.NotSent
	case 486, 600:
		return contact.Busy
	case 403, 603, 607, 608:
		return contact.Rejected
	case 408, 480, 487:
		return contact.NoAnswer
	default:
		return contact.Unreachable
	}
}
