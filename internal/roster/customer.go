package roster

import (
	"context"
	"strings"
	"time"

	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/party"
	"parley/internal/phone"
	"parley/internal/region"
)

// CustomerFields are the fields of a customer row. What follows "attrs." is
// kept with the customer, encrypted.
var customerFields = []string{"ref", "name", "id_number", "phone", "email", "lang", "zone", "region", "attrs."}

// Customers imports customers: new ones are added, known ones (by their bank
// number, ref) brought up to date.
func Customers(ctx context.Context, d *db.DB, s *party.Store, o Options) (Result, error) {
	return run(ctx, d, importer{kind: "customers", fields: customerFields,
		prepare: func(records []Record) (work, []Reject, error) {
			var rejects []Reject
			ps := make([]*party.Party, 0, len(records))
			for i := range records {
				p, rej := customer(&records[i])
				if rej != nil {
					rejects = append(rejects, *rej)
					continue
				}
				ps = append(ps, p)
			}
			sealed, err := s.Seal(ps)
			if err != nil {
				return work{}, nil, err
			}
			about := make(map[string]bool, len(ps))
			for _, p := range ps {
				about[p.Ref] = true
			}
			return work{about: about, write: func(ctx context.Context, tx *db.Tx) ([]Reject, error) {
				return nil, s.PutSealed(ctx, tx, sealed)
			}}, rejects, nil
		}}, o)
}

func customer(r *Record) (*party.Party, *Reject) {
	p := &party.Party{Ref: r.Get("ref"), Name: r.Get("name"), IDNumber: r.Get("id_number"), Lang: r.Get("lang"), Zone: r.Get("zone"), Region: r.Get("region")}
	if p.Ref == "" {
		return nil, &Reject{r.Row, "ref", "缺少客户号。", "The customer number is missing."}
	}
	region, err := region.Code(p.Region)
	if err != nil {
		e := errs.Public(err)
		return nil, &Reject{r.Row, "region", e.Zh, e.En}
	}
	p.Region = region
	if p.Zone != "" {
		if _, err := time.LoadLocation(p.Zone); err != nil {
			return nil, &Reject{r.Row, "zone", "没有这个时区：" + p.Zone + "，例如 Asia/Shanghai。", "No such time zone: " + p.Zone + "; for example Asia/Shanghai."}
		}
	}
	if v := r.Get("phone"); v != "" {
		n, err := phone.Parse(v, "CN")
		if err != nil {
			e := errs.Public(err)
			return nil, &Reject{r.Row, "phone", e.Zh, e.En}
		}
		if n.Short {
			return nil, &Reject{r.Row, "phone", "这是服务短号，不是客户的号码。", "This is a short service number, not a customer's."}
		}
		p.Points = append(p.Points, party.Point{Kind: party.Phone, Value: n.E164})
	}
	if v := r.Get("email"); v != "" {
		if at := strings.IndexByte(v, '@'); at < 1 || at == len(v)-1 || strings.ContainsAny(v, " ,;") {
			return nil, &Reject{r.Row, "email", "电子邮箱写法不对。", "The e-mail address is not right."}
		}
		p.Points = append(p.Points, party.Point{Kind: party.Email, Value: v})
	}
	for _, a := range r.With("attrs.") {
		if v := r.Get("attrs." + a); v != "" {
			if p.Attrs == nil {
				p.Attrs = map[string]string{}
			}
			p.Attrs[a] = v
		}
	}
	return p, nil
}
