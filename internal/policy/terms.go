package policy

import (
	"slices"
	"sync"
	"time"

	"parley/internal/calendar"
	"parley/packs"
)

// The events of a complaint that a bank's desk knows.
const (
	EventReceived  = "received"
	EventContacted = "contacted" // the complainant, by whoever handles the complaint
	EventTold      = "told"
	EventAnswered  = "answered"
	EventReview    = "review_requested"
)

// ComplaintTerms gives the deadlines of a complaint that are in force at now, for
// the desk that keeps them: for answering, the shortest that binds an ordinary
// complaint and the longer ones it can be extended to; for contacting the
// complainant, those whose scope fits. attrs is what is known of the complaint
// (region); ok is false when the packs set no term for the answer.
func (s *Set) ComplaintTerms(now time.Time, attrs map[string]string) (t calendar.Terms, ok bool) {
	e := &review{Matter: &Matter{About: AboutComplaint, Now: now, Attrs: attrs}, set: s, now: now.UnixMicro()}
	first := -1
	for _, r := range s.matters {
		d := r.Deadline
		if d == nil || r.About != AboutComplaint || !holds(r.From, r.Until, e.now) || !holds(r.Pack.From, r.Pack.Until, e.now) {
			continue
		}
		switch {
		case d.Starts == EventReceived && (slices.Contains(d.Done, EventTold) || slices.Contains(d.Done, EventAnswered)):
			x := s.term(r)
			i, _ := slices.BinarySearchFunc(t.Answer, x, func(a, b calendar.Term) int {
				return a.DueFrom(now, r.loc).Compare(b.DueFrom(now, r.loc))
			})
			t.Answer = slices.Insert(t.Answer, i, x)
			if i <= first {
				first++
			}
			if applies, err := r.applies(e); err == nil && applies && d.Extends == "" && (first < 0 || i < first) {
				first = i
			}
		case d.Starts == EventReceived && slices.Equal(d.Done, []string{EventContacted}):
			if applies, err := r.applies(e); err != nil || applies { // a scope that cannot be judged binds
				t.Contact = append(t.Contact, s.term(r))
			}
		case d.Starts == EventReview:
			t.Review = s.term(r)
		case slices.Contains(d.Done, EventReview):
			t.Ask = s.term(r)
		}
	}
	if first < 0 {
		return calendar.Terms{}, false
	}
	t.Answer = t.Answer[first:]
	t.Answer[0].Extends = ""
	for i := range t.Answer[1:] {
		t.Answer[i+1].Extends = t.Answer[i].Rule
	}
	return t, true
}

func (s *Set) term(r *Rule) calendar.Term {
	return calendar.Term{Rule: r.ID, Within: r.Deadline.Within, Days: s.days[r.Deadline.Calendar], Extends: r.Deadline.Extends, Approver: r.Deadline.Approver,
		TellBefore: r.Deadline.Notice, Citation: r.Citation.Short(), Zh: r.Customer.Zh, En: r.Customer.En}
}

// shipped is the packs that run unless the configuration chooses otherwise.
var shipped = sync.OnceValues(func() (*Set, error) { return LoadFS(packs.FS) })

// TermsOf gives what ComplaintTerms of the set gives, and where it sets none,
// what the packs that ship do: a desk without deadlines would keep none. The set
// may be nil.
func TermsOf(s *Set, now time.Time, attrs map[string]string) calendar.Terms {
	home, err := shipped()
	if err != nil {
		panic("policy: the packs that ship are not readable: " + err.Error()) // a test keeps them readable
	}
	base, _ := home.ComplaintTerms(now, attrs)
	if s == nil {
		return base
	}
	t, ok := s.ComplaintTerms(now, attrs)
	if !ok {
		return base
	}
	if t.Review.Rule == "" {
		t.Review = base.Review
	}
	if t.Ask.Rule == "" {
		t.Ask = base.Ask
	}
	return t
}
