package console

import (
	"context"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"time"

	"parley/internal/access"
	"parley/internal/campaign"
	"parley/internal/console/frame"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/gate"
	"parley/internal/httpx"
	"parley/internal/httpx/ui"
	"parley/internal/httpx/words"
	"parley/internal/policy"
)

// campaignsOffered is how many of the newest campaigns the list of contacts can
// be narrowed to; a campaign's own page leads to its contacts whatever its age.
const campaignsOffered = 100

// contactsList is the list of decisions.
func (c *Console) contactsList(r *http.Request) (*frame.List, error) {
	ctx := r.Context()
	campaigns, err := c.campaignChoices(ctx, r.FormValue("campaign"))
	if err != nil {
		return nil, err
	}
	return &frame.List{
		Menu: "/contacts", Need: access.SeeContacts, Title: words.T(ctx, "nav.contacts"), Under: words.T(ctx, "contacts.under"),
		Grid: ui.Grid{
			Name: "contacts", Path: "/contacts", Caption: words.T(ctx, "nav.contacts"), Order: "-at", Drawered: true,
			Why: words.T(ctx, "contacts.none"), Do: words.T(ctx, "contacts.none_do"),
			Columns: []ui.Column{
				{Key: "at", Word: words.T(ctx, "contact.at"), Sort: true}, {Key: "who", Word: words.T(ctx, "contact.who")},
				{Key: "phone", Word: words.T(ctx, "customer.phone")}, {Key: "purpose", Word: words.T(ctx, "contact.purpose")},
				{Key: "channel", Word: words.T(ctx, "contact.channel"), Off: true}, {Key: "verdict", Word: words.T(ctx, "contact.verdict")},
				{Key: "by", Word: words.T(ctx, "contact.by"), Wide: true}, {Key: "outcome", Word: words.T(ctx, "contact.outcome")},
			},
			Filters: []ui.Filter{
				{Key: "campaign", Word: words.T(ctx, "campaign.campaign"), Choices: campaigns},
				{Key: "day", Word: words.T(ctx, "contacts.day"), Type: "date"},
				{Key: "view", Word: words.T(ctx, "contacts.view"), Choices: []ui.Choice{{Value: "open", Word: words.T(ctx, "contacts.open")}}},
			},
		},
		Rows: c.contactRows,
	}, nil
}

// campaignChoices offers the newest campaigns, and the one asked for.
func (c *Console) campaignChoices(ctx context.Context, asked contact.ID) ([]ui.Choice, error) {
	list, err := c.Campaigns.Slice(ctx, "", false, db.Span{N: campaignsOffered - 1})
	if err != nil {
		return nil, err
	}
	if asked != "" && !slices.ContainsFunc(list, func(m *campaign.Campaign) bool { return m.ID == asked }) {
		m, err := c.Campaigns.Get(ctx, asked)
		if err := found(&list, m, err); err != nil {
			return nil, err
		}
	}
	out := make([]ui.Choice, len(list))
	for i, m := range list {
		out[i] = ui.Choice{Value: m.ID, Word: m.Name}
	}
	return out, nil
}

func (c *Console) contactRows(ctx context.Context, a ui.Ask) (ui.Rows, error) {
	q := gate.Query{Campaign: a.Filter["campaign"], Oldest: !a.Desc}
	if day, err := time.ParseInLocation(time.DateOnly, a.Filter["day"], httpx.From(ctx).Zone); err == nil {
		q.From, q.To = day, day.AddDate(0, 0, 1)
	}
	var list []gate.Stored
	var err error
	if a.Filter["view"] == "open" { // few, and all of them are to be seen
		list, err = c.Gate.InFlight(ctx, inFlight)
		list = slices.DeleteFunc(list, func(s gate.Stored) bool {
			return q.Campaign != "" && s.Intent.Campaign != q.Campaign || !q.From.IsZero() && (s.At.Before(q.From) || !s.At.Before(q.To))
		})
		a.Span = ui.Span{N: inFlight}
	} else {
		list, err = c.Gate.Slice(ctx, q, db.Span(a.Span))
	}
	if err != nil {
		return ui.Rows{}, err
	}
	rows, err := c.rows(ctx, list)
	if err != nil {
		return ui.Rows{}, err
	}
	return frame.Lines(rows, a, func(d boardContact) string { return d.ID }, func(d boardContact) ui.Row {
		return ui.Row{Href: "/contacts/" + d.ID, Cells: []ui.Cell{
			ui.View(httpx.Exact(ctx, d.At), ui.Second(d.At)), ui.View(personName(ctx, d.who), personLink(d.who)), ui.Text(d.who.Phone),
			ui.Text(frame.Purpose(ctx, d.Intent.Purpose)), ui.Text(frame.Channel(ctx, d.Intent.Channel)),
			ui.State(frame.EffectTone(d.Verdict.Effect), frame.Effect(ctx, d.Verdict.Effect)), ui.Text(d.rule), ui.View(fateWord(ctx, d.Stored), fate(d.Stored)),
		}}
	}), nil
}

// fateWord is what fate shows, as a file holds it.
func fateWord(ctx context.Context, s gate.Stored) string {
	switch {
	case s.Outcome != "":
		return frame.Outcome(ctx, s.Outcome)
	case s.State != gate.NoPermit:
		return frame.Permit(ctx, s.State)
	default:
		return words.T(ctx, "contact.none_made")
	}
}

// rows gives decisions with whom they are about and which rule decided.
func (c *Console) rows(ctx context.Context, list []gate.Stored) ([]boardContact, error) {
	people, err := c.people(ctx, parties(list))
	if err != nil {
		return nil, err
	}
	out := make([]boardContact, len(list))
	for i, s := range list {
		out[i] = boardContact{Stored: s, who: people[s.Intent.Party]}
		if s.Verdict.Effect != policy.Allow {
			out[i].rule = c.ruleTitle(ctx, s.Verdict.By)
		}
	}
	return out, nil
}

// contactWhy says the verdict in one sentence.
func contactWhy(ctx context.Context, d *dossier) string {
	switch d.Verdict.Effect {
	case policy.Allow:
		return words.T(ctx, "contact.why_allow")
	case policy.Later:
		return words.T(ctx, "contact.why_later", httpx.Minute(ctx, d.Verdict.At))
	default:
		return words.T(ctx, "contact.why_deny")
	}
}

// chargeText says what counted against a cap, in one line.
func chargeText(ctx context.Context, x contact.Charge) string {
	return httpx.Minute(ctx, db.Time(x.At)) + " · " + frame.Purpose(ctx, x.Purpose) + " · " + frame.Channel(ctx, x.Channel) + " · " +
		words.T(ctx, "reach."+strconv.Itoa(int(x.Reach)))
}

func orDash(s string) string {
	if s == "" {
		return "—"
	}
	return s
}

func hexText(b []byte) string { return hex.EncodeToString(b) }
