package complaint

import (
	"errors"
	"testing"

	"parley/internal/errs"
)

// Every act in every state: what is not listed is refused with a sentence.
func TestStates(t *testing.T) {
	t.Parallel()
	allowed := map[State]map[Act]State{
		Open:     {Take: Taken, Withdraw: Closed},
		Taken:    {Take: Taken, Propose: Proposed, Withdraw: Closed},
		Proposed: {SendBack: Taken, Answer: Answered, Withdraw: Closed},
		Answered: {Accept: Closed, AskAgain: Review, Withdraw: Closed},
		Review:   {Take: Taken, Withdraw: Closed},
		Closed:   {},
	}
	for _, s := range []State{Open, Taken, Proposed, Answered, Review, Closed} {
		for _, a := range []Act{Take, Propose, SendBack, Answer, Accept, AskAgain, Withdraw} {
			got, err := next(s, 1, a)
			want, ok := allowed[s][a]
			if ok && (err != nil || got != want) {
				t.Errorf("%s in %s: %s, %v; want %s", a, s, got, err, want)
			}
			if !ok && err == nil {
				t.Errorf("%s in %s went through to %s", a, s, got)
			}
		}
	}
	_, err := next(Answered, 2, AskAgain)
	var e *errs.Error
	if !errors.As(err, &e) || e.Code != "review_used" || e.Zh == "" {
		t.Errorf("a second review (art. 20 allows one): %v", err)
	}
}
