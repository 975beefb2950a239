package api

import (
	"context"
	"net/http"
	"strings"

	"parley/internal/apikey"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/disclosure"
	"parley/internal/errs"
	"parley/internal/mask"
	"parley/internal/party"
	"parley/internal/region"
)

// Point is one place where a customer can be reached.
type Point struct {
	ID    string `json:"id"`
	Kind  string `json:"kind" enum:"phone,email"`
	Value string `json:"value,omitempty" doc:"Masked, unless it was asked for in clear."`
}

// Customer is a customer as kept.
type Customer struct {
	ID       string            `json:"id"`
	Ref      string            `json:"customer_ref"`
	Name     string            `json:"name,omitempty" doc:"Masked, unless it was asked for in clear."`
	IDNumber string            `json:"id_number,omitempty" doc:"Masked, unless it was asked for in clear."`
	Lang     string            `json:"lang,omitempty"`
	Zone     string            `json:"zone,omitempty"`
	Region   string            `json:"region,omitempty"`
	Attrs    map[string]string `json:"attributes,omitempty" doc:"In clear only."`
	Points   []Point           `json:"points" nullable:"false"`
	Clear    bool              `json:"clear,omitempty" doc:"Nothing is masked; the reading is in the ledger."`
}

// NewCustomer is a customer to be recorded, by the bank's customer number.
type NewCustomer struct {
	Ref      string            `json:"customer_ref" minLength:"1" maxLength:"64"`
	Name     string            `json:"name" maxLength:"200"`
	IDNumber string            `json:"id_number,omitempty" maxLength:"64"`
	Lang     string            `json:"lang,omitempty" maxLength:"16" doc:"BCP 47; zh-CN when absent."`
	Zone     string            `json:"zone,omitempty" maxLength:"64" doc:"IANA time zone; Asia/Shanghai when absent."`
	Region   string            `json:"region,omitempty" maxLength:"32" doc:"By name or code, such as 北京, 110000 or CN-BJ; kept as a code of ISO 3166-2, which rules ask about."`
	Attrs    map[string]string `json:"attributes,omitempty" maxProperties:"50"`
	Phones   []string          `json:"phones,omitempty" maxItems:"20"`
	Emails   []string          `json:"emails,omitempty" maxItems:"20"`
}

// Recorded names customers that were recorded. It repeats no personal data.
type Recorded struct {
	Customers []Customer `json:"customers" nullable:"false"`
}

// Reason asks for data in clear.
type Reason struct {
	Clear  bool   `query:"clear" doc:"Ask for personal data in clear: needs the scope personal:read and a reason; the reading becomes a ledger entry."`
	Reason string `header:"X-Reason" maxLength:"200" doc:"Why clear data is needed. It is kept: no personal data."`
}

var (
	errClear = errs.New(errs.Forbidden, "clear_data_forbidden", "这个密钥没有读取个人信息明文的权限（personal:read）。",
		"This key may not read personal data in clear (personal:read).")
	errReason = errs.New(errs.Invalid, "reason_missing", "读取个人信息明文须在 X-Reason 头中写明理由。",
		"Say in the X-Reason header why personal data is needed in clear.")
	errEmail = errs.New(errs.Invalid, "bad_email", "电子邮箱格式有误。", "This is not an e-mail address.")
)

func (a *API) customerRoutes() {
	type one struct {
		ByID
		Reason
	}
	add(a, op{method: http.MethodGet, path: "/customers/{id}", id: "get-customer", tag: "customers", scope: apikey.CustomersRead,
		sum: "Read a customer · 查询客户", doc: "Masked, unless clear=true."},
		func(ctx context.Context, in *one) (Customer, error) { return a.customer(ctx, in.ID, in.Reason) })
	type list struct {
		Paged
		Ref string `query:"customer_ref" maxLength:"64" doc:"Only the customer with this number."`
	}
	add(a, op{method: http.MethodGet, path: "/customers", id: "list-customers", tag: "customers", scope: apikey.CustomersRead,
		sum: "List customers · 客户列表", doc: "In the order they were first recorded, masked."},
		func(ctx context.Context, in *list) (Page[Customer], error) { return a.customers(ctx, in.Paged, in.Ref) })
	type search struct {
		Body struct {
			To string `json:"to" minLength:"3" maxLength:"254" doc:"Telephone number or e-mail address: in the body, because addresses end up in logs."`
		}
	}
	add(a, op{method: http.MethodPost, path: "/customers/search", id: "find-customers", tag: "customers", scope: apikey.CustomersRead,
		sum: "Find customers by number or address · 按号码查找客户", doc: "Masked."},
		func(ctx context.Context, in *search) (Page[Customer], error) { return a.find(ctx, in.Body.To) })
	type record struct {
		Body struct {
			Customers []NewCustomer `json:"customers" minItems:"1" maxItems:"1000"`
		}
	}
	add(a, op{method: http.MethodPost, path: "/customers", id: "record-customers", tag: "customers", scope: apikey.CustomersWrite,
		sum: "Record customers · 登记或更新客户", doc: "A known customer_ref is brought up to date. Contact points keep their id as long as the customer has them. " +
			"All of them are recorded, or none."},
		func(ctx context.Context, in *record) (Recorded, error) { return a.record(ctx, in.Body.Customers) })
}

// unmasked checks that clear data may be shown.
func unmasked(ctx context.Context, r Reason) (bool, error) {
	switch {
	case !r.Clear:
		return false, nil
	case !keyOf(ctx).May(apikey.PersonalRead):
		return false, errClear
	case strings.TrimSpace(r.Reason) == "":
		return false, errReason
	}
	return true, nil
}

// shown keeps that personal data of a customer was read in clear. The customer sees it.
func (a *API) shown(ctx context.Context, tx *db.Tx, id contact.ID, what disclosure.Field, subject contact.ID, reason string) error {
	return a.Disclosures.Keep(ctx, tx, &disclosure.Look{Party: id, By: by(ctx), Role: "api", What: what, Subject: subject, Reason: disclosure.Other, Words: reason})
}

func (a *API) customer(ctx context.Context, id contact.ID, r Reason) (out Customer, err error) {
	clear, err := unmasked(ctx, r)
	if err != nil {
		return out, err
	}
	run := a.DB.Read
	if clear {
		run = a.DB.Write
	}
	err = run(ctx, func(tx *db.Tx) error {
		p, err := a.Parties.Get(ctx, tx, id)
		if err != nil {
			return err
		}
		out = customer(p, clear)
		if !clear {
			return nil
		}
		return a.shown(ctx, tx, id, disclosure.Record, "", r.Reason)
	})
	return out, err
}

func customer(p *party.Party, clear bool) Customer {
	out := Customer{ID: p.ID, Ref: p.Ref, Lang: p.Lang, Zone: p.Zone, Region: p.Region, Clear: clear, Points: make([]Point, len(p.Points))}
	for i, q := range p.Points {
		out.Points[i] = Point{ID: q.ID, Kind: string(q.Kind), Value: q.Mask()}
		if clear {
			out.Points[i].Value = q.Value
		}
	}
	if clear {
		out.Name, out.IDNumber, out.Attrs = p.Name, p.IDNumber, p.Attrs
		return out
	}
	out.Name, out.IDNumber = mask.Name(p.Name), mask.ID(p.IDNumber)
	return out
}

func (a *API) customers(ctx context.Context, p Paged, ref string) (out Page[Customer], err error) {
	after, err := p.after("customers", ref)
	if err != nil {
		return out, err
	}
	var ps []*party.Party
	err = a.DB.Read(ctx, func(tx *db.Tx) error {
		if ref == "" {
			ps, err = a.Parties.List(ctx, tx, after, p.Limit+1)
			return err
		}
		one, err := a.Parties.ByRef(ctx, tx, ref)
		if err == nil {
			ps = []*party.Party{one}
		}
		return err
	})
	return page(p, "customers", ref, ps, func(c *party.Party) string { return c.ID }, func(c *party.Party) Customer { return customer(c, false) }), err
}

// find gives who can be reached at a number or address: few people share one.
func (a *API) find(ctx context.Context, to string) (out Page[Customer], err error) {
	out.Items = []Customer{}
	kind, value, err := address(to)
	if err != nil {
		return out, err
	}
	err = a.DB.Read(ctx, func(tx *db.Tx) error {
		found, err := a.Parties.ByPoint(ctx, tx, kind, value)
		if err != nil {
			return err
		}
		var ids []contact.ID
		for _, f := range found {
			ids = append(ids, f.PartyID)
		}
		return a.Parties.Each(ctx, tx, ids, func(p *party.Party) error {
			out.Items = append(out.Items, customer(p, false))
			return nil
		})
	})
	return out, err
}

func (a *API) record(ctx context.Context, in []NewCustomer) (Recorded, error) {
	ps := make([]*party.Party, len(in))
	for i, c := range in {
		code, err := region.Code(c.Region)
		if err != nil {
			return Recorded{}, at(errs.Public(err), i, len(in))
		}
		p := &party.Party{Ref: c.Ref, Name: c.Name, IDNumber: c.IDNumber, Lang: c.Lang, Zone: c.Zone, Region: code, Attrs: c.Attrs}
		for _, s := range c.Phones {
			_, number, err := address(s)
			if err != nil {
				return Recorded{}, at(errs.Public(err), i, len(in))
			}
			p.Points = append(p.Points, party.Point{Kind: party.Phone, Value: number})
		}
		for _, s := range c.Emails {
			kind, value, err := address(s)
			if err != nil || kind != party.Email {
				return Recorded{}, at(errEmail, i, len(in))
			}
			p.Points = append(p.Points, party.Point{Kind: kind, Value: value})
		}
		ps[i] = p
	}
	return change(ctx, a, http.StatusOK, func(tx *db.Tx) (out Recorded, err error) {
		if err := a.Parties.Put(ctx, tx, ps); err != nil {
			return out, err
		}
		for _, p := range ps {
			c := Customer{ID: p.ID, Ref: p.Ref, Points: make([]Point, len(p.Points))}
			for i, q := range p.Points {
				c.Points[i] = Point{ID: q.ID, Kind: string(q.Kind)}
			}
			out.Customers = append(out.Customers, c)
		}
		return out, nil
	})
}
