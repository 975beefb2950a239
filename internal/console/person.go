package console

import (
	"context"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/gate"
	"parley/internal/httpx/words"
	"parley/internal/mask"
	"parley/internal/party"
	"parley/internal/region"
)

// person is a customer as staff see one: masked (JR/T 0171-2020).
type person struct {
	ID, Ref, Name, Phone, Email, IDNumber string
	Region, Lang, Zone                    string
	phoneID, emailID                      contact.ID
}

func masked(p *party.Party) person {
	out := person{ID: p.ID, Ref: p.Ref, Name: mask.Name(p.Name), Region: p.Region, Lang: p.Lang, Zone: p.Zone}
	if p.IDNumber != "" {
		out.IDNumber = mask.ID(p.IDNumber)
	}
	if pt, ok := p.Point(party.Phone); ok {
		out.Phone, out.phoneID = pt.Mask(), pt.ID
	}
	if pt, ok := p.Point(party.Email); ok {
		out.Email, out.emailID = pt.Mask(), pt.ID
	}
	return out
}

// people reads the masked forms of the customers.
func (c *Console) people(ctx context.Context, ids []contact.ID) (map[contact.ID]person, error) {
	out := make(map[contact.ID]person, len(ids))
	err := c.DB.Read(ctx, func(tx *db.Tx) error {
		return c.Parties.Each(ctx, tx, ids, func(p *party.Party) error {
			out[p.ID] = masked(p)
			return nil
		})
	})
	return out, err
}

// parties lists whom the decisions are about.
func parties(list []gate.Stored) []contact.ID {
	out := make([]contact.ID, len(list))
	for i := range list {
		out[i] = list[i].Intent.Party
	}
	return out
}

func personName(ctx context.Context, p person) string {
	if p.Name == "" {
		return words.T(ctx, "customer.erased")
	}
	return p.Name
}

func regionName(ctx context.Context, code string) string {
	return region.Name(code, string(words.From(ctx)))
}
