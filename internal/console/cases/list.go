package cases

import (
	"context"
	"net/http"

	"parley/internal/access"
	"parley/internal/complaint"
	"parley/internal/console/frame"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/httpx"
	"parley/internal/httpx/ui"
)

// states lists the states in the order a case goes through them.
func states() []complaint.State {
	return []complaint.State{complaint.Open, complaint.Taken, complaint.Proposed, complaint.Answered, complaint.Review, complaint.Closed}
}

// list is the list of cases.
func (p *pages) list(r *http.Request) (*frame.List, error) {
	ctx := r.Context()
	counts, err := p.Desk.Count(ctx)
	if err != nil {
		return nil, err
	}
	late, first, err := p.Desk.Uncontacted(ctx, "")
	if err != nil {
		return nil, err
	}
	var choices []ui.Choice
	for _, s := range states() {
		choices = append(choices, ui.Choice{Value: string(s), Word: say(ctx, "state."+string(s)) + " · " + httpx.Num(counts.ByState[s])})
	}
	return &frame.List{
		Menu: "/complaints", Need: access.SeeComplaints, Title: say(ctx, "title"), Under: say(ctx, "list_under"),
		Acts: listActs(), Above: ui.Figures(figures(ctx, counts, late, first)),
		Grid: ui.Grid{
			Name: "complaints", Path: "/complaints", Caption: say(ctx, "title"), Why: say(ctx, "empty"), Do: say(ctx, "empty_todo"), Drawered: true,
			Columns: []ui.Column{
				{Key: "number", Word: say(ctx, "number")}, {Key: "state", Word: say(ctx, "state")}, {Key: "subject", Word: say(ctx, "subject"), Wide: true},
				{Key: "source", Word: say(ctx, "source"), Off: true}, {Key: "received", Word: say(ctx, "received")}, {Key: "due", Word: say(ctx, "due")},
				{Key: "handler", Word: say(ctx, "handler")}, {Key: "closed", Word: say(ctx, "closed_at"), Off: true},
			},
			Filters: []ui.Filter{
				{Key: "state", Word: say(ctx, "state"), Choices: choices},
				{Key: "handler", Word: say(ctx, "handler"), Choices: []ui.Choice{{Value: "me", Word: say(ctx, "handler_me")}, {Value: "nobody", Word: say(ctx, "nobody")}}},
				{Key: "order", Word: say(ctx, "order"), Initial: "new", Whole: true, Choices: []ui.Choice{
					{Value: "new", Word: say(ctx, "order_new")}, {Value: "due", Word: say(ctx, "order_due")},
					{Value: "contact", Word: say(ctx, "order_contact")}}},
			},
		},
		Rows: p.rows,
	}, nil
}

func (p *pages) rows(ctx context.Context, a ui.Ask) (ui.Rows, error) {
	q := complaint.Query{State: complaint.State(a.Filter["state"]), Due: a.Filter["order"] == "due", Contact: a.Filter["order"] == "contact"}
	switch a.Filter["handler"] {
	case "me":
		q.Handler = frame.Who(ctx).ID
	case "nobody":
		q.Handler = complaint.Nobody
	}
	list, err := p.Desk.Slice(ctx, q, db.Span(a.Span))
	if err != nil {
		return ui.Rows{}, err
	}
	return frame.Lines(list, a, q.Key, func(c *complaint.Case) ui.Row { return p.row(ctx, c) }), nil
}

func (p *pages) row(ctx context.Context, c *complaint.Case) ui.Row {
	return ui.Row{Href: "/complaints/" + c.ID, Cells: []ui.Cell{
		ui.Text(c.Number), ui.State(frame.CaseTone(c.State), say(ctx, "state."+string(c.State))), ui.Text(frame.Subject(ctx, c)),
		ui.Text(say(ctx, "source."+c.Source)), ui.Moment(ctx, c.Received), ui.View(httpx.Exact(ctx, c.Due), clock(c, nil)),
		p.handler(ctx, c.Handler), ui.Moment(ctx, c.ClosedAt),
	}}
}

func (p *pages) handler(ctx context.Context, id contact.ID) ui.Cell {
	if id == "" {
		return ui.Text(say(ctx, "nobody"))
	}
	return ui.Text(p.Frame.Name(ctx, id))
}
