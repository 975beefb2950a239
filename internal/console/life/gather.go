package life

import (
	"context"

	"parley/internal/access"
	"parley/internal/complaint"
	"parley/internal/consent"
	"parley/internal/console/frame"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/gate"
	"parley/internal/outbound"
	"parley/internal/remedy"
)

const seeCases = access.SeeComplaints

// most bounds how many decisions and attempts one window reads; a picture of
// more has to be looked at in parts.
const most = 3000

// facts is what lies in a window.
type facts struct {
	spans     []consent.Span
	bars      []consent.Bar
	verdicts  []gate.Glance
	attempts  []outbound.Glance
	cases     []*complaint.Case
	deadlines map[contact.ID][]complaint.Deadline
	orders    []remedy.Order
	cut       bool // there is more in the window than was read
}

func (l *Lines) gather(ctx context.Context, id contact.ID, w window) (*facts, error) {
	f := &facts{}
	err := l.DB.Read(ctx, func(tx *db.Tx) error {
		events, err := l.Consents.History(ctx, tx, id)
		if err != nil {
			return err
		}
		f.spans, f.bars = consent.Spans(events), consent.Bars(events)
		if f.attempts, err = l.Sender.Past(ctx, tx, id, w.from, w.to, most); err != nil {
			return err
		}
		// An attempt bears its decision's id: the first behind the window is the
		// way into the person's decisions there.
		behind, _, err := l.Sender.First(ctx, tx, id, w.to)
		if err != nil {
			return err
		}
		f.verdicts, err = l.Gate.Past(ctx, tx, id, behind, w.from, w.to, most)
		return err
	})
	if err != nil {
		return nil, err
	}
	f.cut = len(f.attempts) == most || len(f.verdicts) == most
	if !frame.May(ctx, seeCases) {
		return f, nil
	}
	if f.cases, err = l.Complaints.ByParty(ctx, id, 200); err != nil {
		return nil, err
	}
	if f.deadlines, err = l.Complaints.DeadlinesByParty(ctx, id); err != nil {
		return nil, err
	}
	f.orders, err = l.Remedies.ByParty(ctx, id, w.from, w.to)
	return f, err
}
