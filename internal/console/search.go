package console

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"parley/internal/access"
	"parley/internal/campaign"
	"parley/internal/complaint"
	"parley/internal/console/frame"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/gate"
	"parley/internal/httpx"
	"parley/internal/httpx/words"
	"parley/internal/party"
	"parley/internal/phone"
)

// finds is what one search found, in the groups the page shows.
type finds struct {
	asked     string
	customers []customerRow
	contacts  []boardContact
	cases     []*complaint.Case
	campaigns []*campaign.Campaign
	cut       bool // more customers bear the name than are shown
}

// findMost is how many a group shows.
const findMost = 12

func (f *finds) count() int {
	return len(f.customers) + len(f.contacts) + len(f.cases) + len(f.campaigns)
}

// only gives the page of the one thing found; "" when there is more or nothing.
func (f *finds) only() string {
	switch {
	case f.count() != 1:
		return ""
	case len(f.customers) == 1:
		return "/customers/" + f.customers[0].ID
	case len(f.contacts) == 1:
		return "/contacts/" + f.contacts[0].ID
	case len(f.cases) == 1:
		return "/complaints/" + f.cases[0].ID
	default:
		return "/campaigns/" + f.campaigns[0].ID
	}
}

// searchPage is the one search box. What is looked for comes in the body of a
// POST, so that no number or name stands in an address, a history or a log.
func (c *Console) searchPage(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	f := &finds{}
	if r.Method == http.MethodPost {
		form, err := httpx.ReadForm(w, r)
		if err != nil {
			return err
		}
		asked := []rune(form.Get("q"))
		if f, err = c.search(ctx, string(asked[:min(len(asked), 100)])); err != nil {
			return err
		}
		if to := f.only(); to != "" {
			httpx.Go(w, r, to)
			return nil
		}
	}
	return c.frame.Show(w, r, frame.Sheet{Title: words.T(ctx, "find.title"), Menu: "/search", Body: findView(f)})
}

// search looks in all that the reader may see, and nowhere else.
func (c *Console) search(ctx context.Context, asked string) (*finds, error) {
	f := &finds{asked: asked}
	if asked == "" {
		return f, nil
	}
	var err error
	if id, parseErr := uuid.Parse(asked); parseErr == nil {
		err = c.searchID(ctx, f, id.String())
	} else {
		err = errors.Join(c.searchPeople(ctx, f), c.searchTexts(ctx, f))
	}
	return f, err
}

// found keeps what a look-up gave; that there is none is no failure.
func found[T any](to *[]T, x T, err error) error {
	if err != nil && errs.Public(err).Kind == errs.NotFound {
		return nil
	}
	if err == nil {
		*to = append(*to, x)
	}
	return err
}

// searchID finds whatever has the id.
func (c *Console) searchID(ctx context.Context, f *finds, id contact.ID) error {
	var all []error
	if frame.May(ctx, access.SeeCustomers) {
		all = append(all, c.addCustomers(ctx, f, []contact.ID{id}))
	}
	if frame.May(ctx, access.SeeContacts) {
		var list []gate.Stored
		s, err := c.Gate.Decision(ctx, id)
		all = append(all, found(&list, s, err))
		if f.contacts, err = c.rows(ctx, list); err != nil {
			all = append(all, err)
		}
	}
	if frame.May(ctx, access.SeeComplaints) {
		var list []*complaint.File
		file, err := c.Complaints.Get(ctx, id)
		all = append(all, found(&list, file, err))
		for _, x := range list {
			f.cases = append(f.cases, x.Case)
		}
	}
	if frame.May(ctx, access.SeeCampaigns) {
		m, err := c.Campaigns.Get(ctx, id)
		all = append(all, found(&f.campaigns, m, err))
	}
	return errors.Join(all...)
}

// searchPeople finds customers by number, telephone, e-mail address or whole
// name, and what one who is found alone has been going through.
func (c *Console) searchPeople(ctx context.Context, f *finds) error {
	if !frame.May(ctx, access.SeeCustomers) {
		return nil
	}
	var ids []contact.ID
	err := c.DB.Read(ctx, func(tx *db.Tx) (err error) {
		ids, f.cut, err = c.whoIs(ctx, tx, f.asked)
		return err
	})
	if err != nil {
		return err
	}
	if err := c.addCustomers(ctx, f, ids); err != nil || len(f.customers) != 1 {
		return err
	}
	who := f.customers[0].ID
	if frame.May(ctx, access.SeeContacts) {
		list, err := c.Gate.ByParty(ctx, who, findMost/2)
		if err != nil {
			return err
		}
		if f.contacts, err = c.rows(ctx, list); err != nil {
			return err
		}
	}
	if frame.May(ctx, access.SeeComplaints) {
		list, err := c.Complaints.ByParty(ctx, who, findMost/2)
		if err != nil {
			return err
		}
		f.cases = append(f.cases, list...)
	}
	return nil
}

// whoIs gives the customers whom the text may mean; cut = there are more.
func (c *Console) whoIs(ctx context.Context, tx *db.Tx, asked string) (ids []contact.ID, cut bool, err error) {
	byRef, err := c.Parties.IDs(ctx, tx, []string{asked})
	if err != nil {
		return nil, false, err
	}
	for _, id := range byRef {
		ids = append(ids, id)
	}
	kind, value := party.Email, asked
	if n, err := phone.Parse(asked, phone.Default); err == nil {
		kind, value = party.Phone, n.E164
	} else if !strings.Contains(asked, "@") {
		named, err := c.Parties.ByName(ctx, tx, asked, findMost+1)
		return append(ids, named[:min(len(named), findMost)]...), len(named) > findMost, err
	}
	at, err := c.Parties.ByPoint(ctx, tx, kind, value)
	for _, p := range at {
		ids = append(ids, p.PartyID)
	}
	return ids, false, err
}

func (c *Console) addCustomers(ctx context.Context, f *finds, ids []contact.ID) error {
	return c.DB.Read(ctx, func(tx *db.Tx) error {
		f.customers = nil
		standings, err := c.Consents.Load(ctx, tx, ids, false)
		if err != nil {
			return err
		}
		return c.Parties.Each(ctx, tx, ids, func(p *party.Party) error {
			f.customers = append(f.customers, customerRow{person: masked(p), standing: standings[p.ID]})
			return nil
		})
	})
}

// searchTexts finds cases by number or text, and campaigns by name.
func (c *Console) searchTexts(ctx context.Context, f *finds) error {
	if frame.May(ctx, access.SeeComplaints) {
		list, err := c.Complaints.Search(ctx, f.asked, findMost)
		if err != nil {
			return err
		}
		f.cases = append(f.cases, list...)
	}
	if frame.May(ctx, access.SeeCampaigns) {
		list, err := c.Campaigns.Search(ctx, f.asked, findMost)
		if err != nil {
			return err
		}
		f.campaigns = append(f.campaigns, list...)
	}
	return nil
}
