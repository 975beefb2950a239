package app

import (
	"parley/internal/dialer"
	"parley/internal/httpx"
)

// Events tells live pages that something happened.
type Events struct {
	broker *httpx.Broker
	count  func(name string, labels ...string) // metrics
}

func newEvents() *Events { return &Events{broker: httpx.NewBroker(64)} }

func (e *Events) dialer(ev dialer.Event) {
	if e.count != nil {
		outcome := string(ev.Outcome)
		if ev.Kind == dialer.Decided {
			outcome = string(ev.Effect)
		}
		e.count("parley_dialer_events_total", string(ev.Kind), outcome)
	}
	e.broker.Publish(httpx.Event{Topic: "board", Data: ev})
}

func (e *Events) close() { e.broker.Close() }
