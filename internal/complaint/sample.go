package complaint

import (
	"context"
	"slices"
	"time"

	"parley/internal/contact"
	"parley/internal/errs"
	"parley/internal/template"
)

var errNotYet = errs.New(errs.NotFound, "case_not_there_yet", "这件投诉还没有走到要写这封信的一步，请换一件。",
	"This complaint has not come to the step this letter is for; choose another.")

// Sample gives what a letter of this kind names for a real case, as it stood when
// the case last came to that step, for looking at a wording that is being
// written. It holds what people wrote, in the clear: the pages mask it.
func (k *Desk) Sample(ctx context.Context, number, kind string) (c *Case, zh, en template.Values, err error) {
	f, err := k.ByNumber(ctx, number)
	if err != nil {
		return nil, nil, nil, err
	}
	at, say := k.sample(f, kind)
	if say == nil {
		return nil, nil, nil, errNotYet
	}
	return f.Case, k.values(f.Case, "zh", at, say), k.values(f.Case, "en", at, say), nil
}

func (k *Desk) sample(f *File, kind string) (time.Time, content) {
	c := f.Case
	switch kind {
	case letterReceived:
		return c.Received, k.sayDue(f.Deadlines[0].Due)
	case letterExtended:
		for i, d := range slices.Backward(f.Deadlines) {
			if i > 0 && d.Reason != "" {
				return f.lastly("extension_asked"), k.sayExtended(f.Deadlines[i-1].Due, &d)
			}
		}
	case letterLate:
		if at := f.lastly("deadline_missed"); !at.IsZero() {
			return at, k.sayDue(c.Due)
		}
	case letterAnswer:
		if n := len(f.Decisions); n > 0 {
			d := f.Decisions[n-1]
			at := d.DecidedAt
			if d.State != "answered" {
				at = d.ProposedAt
			}
			return at, k.sayAnswer(c, &d, k.reviewBy(c, at))
		}
	case letterReview:
		if at := f.lastly(string(AskAgain)); !at.IsZero() {
			return at, k.sayDue(c.Due)
		}
	case letterClosed:
		for _, a := range []Act{Accept, Withdraw} {
			if at := f.lastly(string(a)); !at.IsZero() {
				return at, sayClosed(a)
			}
		}
	}
	return time.Time{}, nil
}

// lastly gives when a step was last taken; zero = never.
func (f *File) lastly(kind string) time.Time {
	for _, e := range slices.Backward(f.Events) {
		if e.Kind == kind {
			return e.At
		}
	}
	return time.Time{}
}

// Answer gives the letter of a decision; nil while there is none.
func (f *File) Answer(decision contact.ID) *Letter {
	for i := range f.Letters {
		if f.Letters[i].Decision == decision {
			return &f.Letters[i]
		}
	}
	return nil
}
