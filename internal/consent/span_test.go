package consent

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/internal/contact"
)

// PIPL art. 15: a withdrawal ends a consent at once; a contract stays, a consent
// that ran out was not taken back, and a newer consent begins a life of its own.
func TestSpansAndBars(t *testing.T) {
	t.Parallel()
	offers, calls := contact.PurposeSet(contact.Marketing), contact.ChannelSet(contact.Voice)
	grant := func(id string, g contact.Ground, from, until contact.Micros) Event {
		return Event{At: from, Kind: Granted, Grant: &contact.Grant{ID: id, Ground: g, Purposes: offers, From: from, Until: until}}
	}
	stop := func(id string, at contact.Micros, k contact.StopKind, ch contact.Channels, until contact.Micros) Event {
		return Event{At: at + 1, Kind: Stopped, Stop: &contact.Stop{ID: id, Kind: k, Purposes: offers, Channels: ch, At: at, Until: until}}
	}
	es := []Event{
		grant("contract", contact.Contract, 10, 0), grant("old", contact.Consent, 20, 30), grant("yes", contact.Consent, 40, 0),
		stop("calls", 50, contact.Withdrawal, calls, 0), // takes the calls, the rest goes on
		stop("all", 60, contact.Withdrawal, 0, 0),
		grant("again", contact.Consent, 70, 0),
		stop("hold", 80, contact.Hold, 0, 90), stop("dnc", 85, contact.DoNotContact, 0, 0),
		{At: 100, Kind: Lifted, Ref: "dnc"},
	}
	type span struct {
		ID, By   string
		From, To contact.Micros
	}
	var got []span
	for _, s := range Spans(es) {
		got = append(got, span{s.Grant.ID, s.By, s.From, s.To})
	}
	if diff := cmp.Diff([]span{{"contract", "", 10, 0}, {"old", "", 20, 30}, {"yes", "all", 40, 60}, {"again", "", 70, 0}}, got); diff != "" {
		t.Error(diff)
	}
	var bars []span
	for _, b := range Bars(es) {
		bars = append(bars, span{ID: b.Stop.ID, From: b.Stop.At, To: b.To})
	}
	if diff := cmp.Diff([]span{{"calls", "", 50, 70}, {"all", "", 60, 70}, {"hold", "", 80, 90}, {"dnc", "", 85, 100}}, bars); diff != "" {
		t.Error(diff)
	}
}
