package measure

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"parley/internal/app"
	"parley/internal/complaint"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/outbound"
	"parley/internal/party"
)

// found is what pages of single things are measured with.
type found struct {
	long, short contact.ID // a customer with thousands of contacts, and one with a few
	ref, name   string     // of the former
	phone       string
	contact     contact.ID // the former's latest
	open        contact.ID // a case
	number      string
	token       string
	campaign    contact.ID // with every customer on its list
}

// pages are the pages of what was found.
func (f *found) pages() []page {
	return []page{
		{"/customers/" + f.long, "zhang"}, {"/customers/" + f.short, "zhang"}, {"/contacts/" + f.contact, "wang"}, {"/complaints/" + f.open, "zhang"},
		{"/campaigns/" + f.campaign, "wang"}, {"/board?campaign=" + f.campaign, "wang"}, {"/contacts?campaign=" + f.campaign, "wang"},
		{"/my/contacts/" + f.contact, customers}, {"/c/" + f.token, customers},
	}
}

// named writes an address with names in the place of ids.
func named(path string, f *found) string {
	return strings.NewReplacer(f.long, "{5000 contacts}", f.short, "{10 contacts}", f.contact, "{contact}", f.open, "{case}", f.token, "{case}",
		f.campaign, "{everybody}").Replace(path)
}

// find looks for them as the pages do.
func find(ctx context.Context, a *app.App) (*found, error) {
	f := &found{}
	err := a.DB.Read(ctx, func(tx *db.Tx) error {
		for i := 0; f.long == "" || f.short == ""; i++ {
			p, err := a.Party.ByRef(ctx, tx, "M"+strconv.Itoa(1_000_000_000 + i)[1:])
			if err != nil {
				return err
			}
			if p == nil {
				return errors.New("the bank was not filled by parley seed")
			}
			past, err := a.Sender.AttemptsByParty(ctx, tx, p.ID, "", 1000)
			if err != nil {
				return err
			}
			switch {
			case len(past) == 1000:
				f.take(p, past)
			case len(past) > 1:
				f.short = p.ID
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	cases, err := a.Complaints.Slice(ctx, complaint.Query{State: complaint.Open}, db.Span{N: 1})
	if err != nil {
		return nil, err
	}
	if len(cases) == 0 {
		return nil, errors.New("the bank has no open case")
	}
	f.open, f.number, f.token = cases[0].ID, cases[0].Number, cases[0].Token
	lists, err := a.Campaigns.List(ctx)
	most := 0
	for _, c := range lists {
		if c.Members > most {
			f.campaign, most = c.ID, c.Members
		}
	}
	return f, err
}

func (f *found) take(p *party.Party, past []*outbound.Attempt) {
	f.long, f.ref, f.name, f.contact = p.ID, p.Ref, p.Name, past[0].ID
	for _, pt := range p.Points {
		if pt.Kind == party.Phone {
			f.phone = pt.Value
		}
	}
}
