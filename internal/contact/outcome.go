package contact

// Outcome is how an attempt ended.
type Outcome string

// The outcomes. Unknown means that it may have reached the customer and nobody
// can say: it is never retried and counts against every cap until reconciled.
const (
	NotSent     Outcome = "not_sent"    // provably never left the bank
	NoAnswer    Outcome = "no_answer"   // rang at least the minimum time
	Busy        Outcome = "busy"        // SIP 486/600
	Rejected    Outcome = "rejected"    // SIP 603/403
	Unreachable Outcome = "unreachable" // no such number, carrier failure
	Voicemail   Outcome = "voicemail"   // answered by a machine
	Connected   Outcome = "connected"   // a person answered and left before the message was heard
	Effective   Outcome = "effective"   // an effective conversation (有效通话)
	Delivered   Outcome = "delivered"   // message handed over with a receipt
	Unknown     Outcome = "unknown"
)

// Reach is what an attempt counts as in a budget; higher includes lower.
type Reach uint8

// The units of count in frequency rules.
const (
	ReachNone      Reach = iota // nothing left the bank
	ReachAttempt                // the customer may have noticed
	ReachConnected              // somebody or something answered
	ReachEffective              // an effective conversation took place
)

// Reach gives the unit the outcome counts as. Unknown counts as the worst case.
func (o Outcome) Reach() Reach {
	switch o {
	case NotSent:
		return ReachNone
	case NoAnswer, Busy, Rejected, Unreachable:
		return ReachAttempt
	case Voicemail, Connected:
		return ReachConnected
	default:
		return ReachEffective
	}
}
