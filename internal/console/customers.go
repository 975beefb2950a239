package console

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"parley/internal/access"
	"parley/internal/complaint"
	"parley/internal/consent"
	"parley/internal/console/frame"
	"parley/internal/console/life"
	"parley/internal/console/reveal"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/httpx"
	"parley/internal/httpx/ui"
	"parley/internal/httpx/words"
	"parley/internal/party"
)

type customerRow struct {
	person
	standing contact.Standing
}

// customersList is the list of customers.
func (c *Console) customersList(r *http.Request) (*frame.List, error) {
	ctx := r.Context()
	return &frame.List{
		Menu: "/customers", Need: access.SeeCustomers, Acts: reveal.ToBulk(), Title: words.T(ctx, "nav.customers"), Under: words.T(ctx, "customers.under"),
		Grid: ui.Grid{
			Name: "customers", Path: "/customers", Caption: words.T(ctx, "nav.customers"), Order: "ref", Drawered: true,
			Why: words.T(ctx, "customers.none"), Do: words.T(ctx, "customers.none_do"),
			Columns: []ui.Column{
				{Key: "name", Word: words.T(ctx, "customer.name")}, {Key: "ref", Word: words.T(ctx, "customer.ref"), Sort: true},
				{Key: "phone", Word: words.T(ctx, "customer.phone")}, {Key: "email", Word: words.T(ctx, "customer.email"), Off: true},
				{Key: "region", Word: words.T(ctx, "customer.region")}, {Key: "standing", Word: words.T(ctx, "customer.standing"), Wide: true},
			},
		},
		Rows: c.customerRows,
	}, nil
}

func (c *Console) customerRows(ctx context.Context, a ui.Ask) (ui.Rows, error) {
	var list []*party.Party
	var standings map[contact.ID]contact.Standing
	err := c.DB.Read(ctx, func(tx *db.Tx) (err error) {
		if list, err = c.Parties.Slice(ctx, tx, a.Desc, db.Span(a.Span)); err != nil {
			return err
		}
		ids := make([]contact.ID, len(list))
		for i, p := range list {
			ids[i] = p.ID
		}
		standings, err = c.Consents.Load(ctx, tx, ids, false)
		return err
	})
	if err != nil {
		return ui.Rows{}, err
	}
	return frame.Lines(list, a, func(p *party.Party) string { return p.Ref }, func(p *party.Party) ui.Row {
		m, st := masked(p), standings[p.ID]
		row := ui.Row{Href: "/customers/" + p.ID, Cells: []ui.Cell{
			ui.Text(personName(ctx, m)), ui.Text(m.Ref), ui.Text(m.Phone), ui.Text(m.Email), ui.Text(regionName(ctx, m.Region)),
			ui.View(standingText(ctx, st), standing(st)),
		}}
		if m.Name == "" { // erased: the number that is left is a hash
			row.Cells[1] = ui.Text("")
		}
		return row
	}), nil
}

// standingText is what standing shows, as a file holds it.
func standingText(ctx context.Context, s contact.Standing) string {
	var out []string
	for _, f := range standingBadges(ctx, s) {
		out = append(out, f.Label)
	}
	return strings.Join(out, "; ")
}

// customer is one customer with everything the bank and they have said.
type customer struct {
	person
	erased   bool
	standing contact.Standing
	history  []consent.Event
	line     *life.Line
	contacts []boardContact
	cases    []*complaint.Case
	looks    templ.Component // who saw the customer in clear
}

const customerContacts = 25

func (c *Console) customerPage(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), r.PathValue("id")
	v := &customer{}
	err := c.DB.Read(ctx, func(tx *db.Tx) error {
		p, err := c.Parties.Get(ctx, tx, id)
		switch {
		case errs.Public(err).Is(party.ErrErased):
			v.erased, v.person = true, person{ID: id}
		case err != nil:
			return err
		default:
			v.person = masked(p)
		}
		standings, err := c.Consents.Load(ctx, tx, []contact.ID{id}, false)
		if err != nil {
			return err
		}
		v.standing = standings[id]
		v.history, err = c.Consents.History(ctx, tx, id)
		return err
	})
	if err != nil {
		return err
	}
	if v.line, err = c.life.Of(ctx, id, r); err != nil {
		return err
	}
	list, err := c.Gate.ByParty(ctx, id, customerContacts)
	if err != nil {
		return err
	}
	if v.contacts, err = c.rows(ctx, list); err != nil {
		return err
	}
	if frame.May(ctx, access.SeeComplaints) {
		if v.cases, err = c.Complaints.ByParty(ctx, id, customerContacts); err != nil {
			return err
		}
	}
	if v.looks, err = c.reveal.Looks(ctx, id); err != nil {
		return err
	}
	return c.frame.Show(w, r, frame.Sheet{Title: words.T(ctx, "customer.title"), Menu: "/customers", Scripts: []string{"life.js"}, Body: c.customerView(v)})
}

// customerStop writes down that the customer does not want to be contacted.
func (c *Console) customerStop(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), r.PathValue("id")
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	reason := f.Text("reason", 500)
	st := contact.Stop{Kind: contact.DoNotContact, Source: "staff"}
	if p := f.One("purpose", append(purposeNames(), "all")...); p != "all" && f.OK() {
		purpose, err := contact.ParsePurpose(p)
		if err != nil {
			return err
		}
		st.Purposes = contact.PurposeSet(purpose)
	}
	if !f.OK() {
		return errs.New(errs.Invalid, "stop_incomplete", "请选择停止的事项并写明原因。", "Choose what is to stop and say why.")
	}
	st.Source = "staff: " + reason
	err = c.DB.Write(ctx, func(tx *db.Tx) error {
		_, err := c.Consents.Stop(ctx, tx, id, st, frame.Who(ctx).ID)
		return err
	})
	if err != nil {
		return err
	}
	return c.frame.Done(w, r, "/customers/"+id, "flash.stopped")
}

func purposeNames() []string {
	var out []string
	for p := contact.Service; p <= contact.Statutory; p++ {
		out = append(out, p.String())
	}
	return out
}

func purposeChoices(ctx context.Context, all bool) []ui.Choice {
	var out []ui.Choice
	if all {
		out = append(out, ui.Choice{Value: "all", Word: words.T(ctx, "purpose.any")})
	}
	for _, n := range purposeNames() {
		out = append(out, ui.Choice{Value: n, Word: words.T(ctx, "purpose."+n)})
	}
	return out
}

// standingBadges says in a glance what may be said to a customer.
func standingBadges(ctx context.Context, s contact.Standing) []ui.Fig {
	var out []ui.Fig
	for _, st := range s.Stops {
		out = append(out, ui.Fig{Tone: ui.Bad, Label: words.T(ctx, "stop."+string(st.Kind)) + " · " + frame.Purposes(ctx, st.Purposes)})
	}
	for _, g := range s.Grants {
		if g.Ground == contact.Consent {
			out = append(out, ui.Fig{Tone: ui.Good, Label: frame.Purposes(ctx, g.Purposes)})
		}
	}
	return out
}

// historyLine is what was said, the latest first.
func (c *Console) historyLine(ctx context.Context, es []consent.Event) []ui.Mark {
	var out []ui.Mark
	for _, e := range slices.Backward(es) {
		m := ui.Mark{At: db.Time(e.At), Tone: ui.Info}
		by := words.T(ctx, "customer.by", c.frame.Name(ctx, e.By))
		switch e.Kind {
		case consent.Granted:
			m.Tone, m.Title, m.Text = ui.Good, words.T(ctx, "customer.granted"), frame.Grant(ctx, *e.Grant)+" · "+by
		case consent.Stopped:
			m.Tone, m.Title, m.Text = ui.Bad, words.T(ctx, "customer.stopped"), frame.Stop(ctx, *e.Stop)+" · "+by
		case consent.Lifted:
			m.Tone, m.Title, m.Text = ui.Over, words.T(ctx, "customer.lifted"), e.Reason+" · "+by
		}
		out = append(out, m)
	}
	return out
}
