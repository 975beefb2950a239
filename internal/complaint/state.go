package complaint

import "parley/internal/errs"

// State is where a case stands.
type State string

// The states of a case. Review (核查) sends it round once more, to other people.
const (
	Open     State = "open"     // received; nobody has it
	Taken    State = "taken"    // a handler investigates
	Proposed State = "proposed" // a decision waits for a second person
	Answered State = "answered" // the customer has been told
	Review   State = "review"   // the customer asked for a review; nobody has it
	Closed   State = "closed"   // accepted, withdrawn, or final
)

// Act is what somebody does to a case.
type Act string

// The acts.
const (
	Take     Act = "take"
	Propose  Act = "propose"
	SendBack Act = "send_back"
	Retract  Act = "retract" // whoever proposed takes it back
	Answer   Act = "answer"
	Accept   Act = "accept"
	AskAgain Act = "ask_review"
	Withdraw Act = "withdraw"
)

// next gives the state after an act, or a refusal in words. It is pure: the
// caller writes row, event and ledger entry in one transaction.
func next(s State, round int, a Act) (State, error) {
	switch {
	case a == Take && (s == Open || s == Review || s == Taken):
		return Taken, nil
	case a == Propose && s == Taken:
		return Proposed, nil
	case (a == SendBack || a == Retract) && s == Proposed:
		return Taken, nil
	case a == Answer && s == Proposed:
		return Answered, nil
	case a == Accept && s == Answered:
		return Closed, nil
	case a == AskAgain && s == Answered && round == 1: // 投诉管理办法 art. 20: one review by another body
		return Review, nil
	case a == Withdraw && s != Closed: // art. 15: ends the same day
		return Closed, nil
	}
	if a == AskAgain && s == Answered {
		return s, errs.New(errs.Conflict, "review_used",
			"本投诉已核查过一次。如仍不同意，可依答复函所列途径申请调解、仲裁或提起诉讼。",
			"This complaint has been reviewed once. If you still disagree, the answer names mediation, arbitration and court.")
	}
	return s, errs.New(errs.Conflict, "case_moved_on",
		"投诉的状态已经变了，这一步现在不能做；请刷新页面看最新进展。",
		"The case has moved on and this step cannot be taken now; reload the page to see where it stands.")
}
