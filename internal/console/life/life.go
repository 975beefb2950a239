// Package life draws one person's lifeline: what they agreed to and took back,
// what the gate said, what was sent, what they complained of and what they were
// given back, on one axis of time. It is drawn on the server, so it prints, and
// reads as a list where there is no picture.
package life

import (
	"context"
	"net/http"
	"time"

	"parley/internal/complaint"
	"parley/internal/consent"
	"parley/internal/console/frame"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/gate"
	"parley/internal/httpx"
	"parley/internal/outbound"
	"parley/internal/remedy"
)

// Deps are the rooms a lifeline reads.
type Deps struct {
	Frame      *frame.Frame
	DB         *db.DB
	Consents   *consent.Store
	Gate       *gate.Gate
	Sender     *outbound.Sender
	Complaints *complaint.Desk
	Remedies   *remedy.Store
	// Rule names a rule in the reader's language.
	Rule func(ctx context.Context, id string) string
}

// Lines draws lifelines.
type Lines struct{ Deps }

// New makes the room.
func New(d Deps) *Lines { return &Lines{d} }

// Page serves a lifeline alone, for another window of time; htmx swaps it in.
func (l *Lines) Page(w http.ResponseWriter, r *http.Request) error {
	line, err := l.Of(r.Context(), r.PathValue("id"), r)
	if err != nil {
		return err
	}
	if r.Header.Get("HX-Request") != "" {
		return l.Frame.Part(w, r, Picture(line))
	}
	ctx := r.Context()
	return l.Frame.Show(w, r, frame.Sheet{Title: say(ctx, "title"), Menu: "/customers", Scripts: []string{"life.js"}, Body: alone(line)})
}

// Of reads and lays out the lifeline of a person for the window the request
// asks for.
func (l *Lines) Of(ctx context.Context, id contact.ID, r *http.Request) (*Line, error) {
	now := httpx.From(ctx).Now
	win, asked := readWindow(r.URL.Query(), now)
	if !asked {
		first, err := l.first(ctx, id, now)
		if err != nil {
			return nil, err
		}
		win = fitting(first, now)
	}
	f, err := l.gather(ctx, id, win)
	if err != nil {
		return nil, err
	}
	return draw(ctx, id, win, now, f, l.Rule), nil
}

// first gives the instant of the earliest contact or complaint of the last year.
func (l *Lines) first(ctx context.Context, id contact.ID, now time.Time) (time.Time, error) {
	var at time.Time
	err := l.DB.Read(ctx, func(tx *db.Tx) (err error) {
		_, at, err = l.Sender.First(ctx, tx, id, now.AddDate(-1, 0, 0))
		return err
	})
	if err != nil || !frame.May(ctx, seeCases) {
		return at, err
	}
	cases, err := l.Complaints.ByParty(ctx, id, 1)
	if len(cases) > 0 && cases[0].Received.After(now.AddDate(-1, 0, 0)) && (at.IsZero() || cases[0].Received.Before(at)) {
		at = cases[0].Received
	}
	return at, err
}
