package consent

import (
	"slices"

	"parley/internal/contact"
)

// Span is how long a grant was in force, and what took it back.
type Span struct {
	Grant contact.Grant
	From  contact.Micros
	To    contact.Micros // 0 = in force, with no end
	By    contact.ID     // the stop that ended it; "" = it ran, or will run, to its own end
}

// Spans replays a person's events, the oldest first, and gives how long each
// grant was in force. A stop that took only a part of a grant does not end it.
func Spans(events []Event) []Span {
	var st contact.Standing
	var out []Span
	for _, e := range events {
		was := current(st, e.At) // what had run out by then was not taken back
		st = apply(st, e)
		switch e.Kind {
		case Granted:
			out = append(out, Span{Grant: *e.Grant, From: e.Grant.From, To: e.Grant.Until})
		case Stopped:
			for _, g := range was.Grants {
				if slices.ContainsFunc(st.Grants, func(x contact.Grant) bool { return x.ID == g.ID }) {
					continue
				}
				if i := slices.IndexFunc(out, func(s Span) bool { return s.Grant.ID == g.ID }); i >= 0 {
					out[i].To, out[i].By = max(e.Stop.At, out[i].From), e.Stop.ID
				}
			}
		}
	}
	return out
}

// Bar is how long a stop barred contact, and who lifted it.
type Bar struct {
	Stop contact.Stop
	To   contact.Micros // 0 = it still bars
}

// Bars replays a person's events and gives how long each stop barred contact.
func Bars(events []Event) []Bar {
	var st contact.Standing
	var out []Bar
	for _, e := range events {
		was := st
		st = apply(st, e)
		for _, s := range was.Stops {
			if slices.ContainsFunc(st.Stops, func(x contact.Stop) bool { return x.ID == s.ID }) {
				continue
			}
			if i := slices.IndexFunc(out, func(b Bar) bool { return b.Stop.ID == s.ID }); i >= 0 && (out[i].To == 0 || e.At < out[i].To) {
				out[i].To = e.At
			}
		}
		if e.Kind == Stopped {
			out = append(out, Bar{Stop: *e.Stop, To: e.Stop.Until})
		}
	}
	return out
}
