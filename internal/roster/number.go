package roster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"parley/internal/consent"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/mask"
	"parley/internal/party"
	"parley/internal/phone"
)

var numberFields = []string{"phone", "email", "purposes", "source", "reason", "until"}

// Numbers imports a do-not-contact list: numbers and addresses at which nobody
// may be contacted, known to the bank or not. A row takes effect at once, and
// one that is on the list already is nothing new. It needs one of phone and email.
func Numbers(ctx context.Context, d *db.DB, people *party.Store, s *consent.Store, zone *time.Location, o Options) (Result, error) {
	return run(ctx, d, importer{kind: "numbers", fields: numberFields,
		prepare: func(records []Record) (work, []Reject, error) {
			var rejects []Reject
			var ns []number
			for i := range records {
				n, rej := readNumber(&records[i], zone)
				if rej != nil {
					rejects = append(rejects, *rej)
					continue
				}
				n.By = o.By
				n.Blind = people.Blind(n.kind, n.value)
				ns = append(ns, n)
			}
			return work{write: func(ctx context.Context, tx *db.Tx) ([]Reject, error) { return writeNumbers(ctx, tx, people, s, ns) }}, rejects, nil
		}}, o)
}

// number is one row: an entry of the list, with the value it is about.
type number struct {
	consent.Number
	row   int
	kind  party.PointKind
	value string
}

func readNumber(r *Record, zone *time.Location) (number, *Reject) {
	n := number{row: r.Row, Number: consent.Number{Source: r.Get("source"), Reason: r.Get("reason")}}
	if n.Source == "" {
		n.Source = "upload"
	}
	switch v := r.Get("phone"); {
	case v != "":
		p, err := phone.Parse(v, phone.Default)
		if err != nil {
			e := errs.Public(err)
			return n, &Reject{r.Row, "phone", e.Zh, e.En}
		}
		n.kind, n.value, n.Mask = party.Phone, p.E164, mask.Phone(p.E164)
	case r.Get("email") != "":
		n.kind, n.value = party.Email, r.Get("email")
		n.Mask = mask.Email(n.value)
	default:
		return n, &Reject{r.Row, "phone", "缺少号码或邮箱。", "The phone number or e-mail address is missing."}
	}
	if err := each(r.Get("purposes"), func(name string) error {
		p, err := contact.ParsePurpose(name)
		n.Purposes |= contact.PurposeSet(p)
		return err
	}); err != nil {
		return n, &Reject{r.Row, "purposes", "没有这个事项：" + r.Get("purposes") + "，例如 marketing。", fmt.Sprintf("%v; for example marketing.", err)}
	}
	if v := r.Get("until"); v != "" {
		at, err := instant(v, zone)
		if err != nil {
			return n, &Reject{r.Row, "until", "日期应写作 2026-11-23 或 2026-11-23 10:00:00。", "must be a date such as 2026-11-23 or 2026-11-23 10:00:00."}
		}
		n.Until = db.Micros(at)
	}
	return n, nil
}

func writeNumbers(ctx context.Context, tx *db.Tx, people *party.Store, s *consent.Store, ns []number) ([]Reject, error) {
	var rejects []Reject
	for _, n := range ns {
		who, err := Holders(ctx, tx, people, n.kind, n.value)
		if err != nil {
			return nil, err
		}
		_, err = s.AddNumber(ctx, tx, n.Number, who)
		if errors.Is(err, consent.ErrStop) { // said before anything was written
			e := errs.Public(err)
			rejects = append(rejects, Reject{n.row, "until", e.Zh, e.En})
		} else if err != nil && !errors.Is(err, consent.ErrListed) {
			return nil, err
		}
	}
	return rejects, nil
}

// Holders gives who has a number or address.
func Holders(ctx context.Context, tx *db.Tx, people *party.Store, kind party.PointKind, value string) ([]consent.Holder, error) {
	found, err := people.ByPoint(ctx, tx, kind, value)
	who := make([]consent.Holder, len(found))
	for i, f := range found {
		who[i] = consent.Holder{Party: f.PartyID, Point: f.PointID}
	}
	return who, err
}
