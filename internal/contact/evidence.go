package contact

import "encoding/json"

// Evidence is the form of a grant and what is on file about it, as a set.
type Evidence uint8

// The forms (of which a rule may demand one) and the pieces of evidence (of
// which it may demand all).
const (
	Written    Evidence = 1 << iota // signed on paper or a durable medium
	Electronic                      // given in an app, on a page, by message
	Oral                            // said in a call or at a counter
	Express                         // an affirmative act for this very thing, nothing pre-ticked
	Shown                           // the notice that was shown is on file
	Proof                           // a record proves it: recording, document, log entry
	Separate                        // asked and given apart from other consents
	Signed                          // a signature, on paper or electronic
)

var evidenceNames = [...]string{"", "written", "electronic", "oral", "express", "notice", "proof", "separate", "signed"}

// Forms are the members that say how a grant was given.
const Forms = Written | Electronic | Oral

// Known is the grant's evidence as stated, with what its own fields show: a
// notice on file, and the form that a plain way of obtaining it has.
func (g *Grant) Known() Evidence {
	e := g.Evidence
	if g.Notice != "" {
		e |= Shown
	}
	switch g.How {
	case "paper":
		e |= Written
	case "app", "portal", "web":
		e |= Electronic
	case "phone":
		e |= Oral
	}
	return e
}

// EvidenceSet makes a set of the named members.
func EvidenceSet(names []string) (Evidence, error) {
	var s Evidence
	for _, n := range names {
		i, err := parse[uint8]("evidence", evidenceNames[:], n)
		if err != nil {
			return 0, err
		}
		s |= 1 << (i - 1)
	}
	return s, nil
}

// Names lists the members.
func (e Evidence) Names() []string { return setNames(uint16(e)<<1, evidenceNames[:]) }

// MarshalJSON writes the members' names.
func (e Evidence) MarshalJSON() ([]byte, error) { return json.Marshal(e.Names()) }

// UnmarshalJSON reads a list of names.
func (e *Evidence) UnmarshalJSON(b []byte) (err error) {
	var names []string
	if err := json.Unmarshal(b, &names); err != nil {
		return err
	}
	*e, err = EvidenceSet(names)
	return err
}
