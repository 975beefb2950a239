package api

import (
	"context"
	"strconv"
	"strings"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/party"
	"parley/internal/phone"
	"parley/internal/policy"
)

// What an intent that names nobody, or too many, is refused for.
var (
	errWho = errs.New(errs.Invalid, "customer_missing", "请指明客户：customer、customer_ref、point 或 to。",
		"Say who the customer is: customer, customer_ref, point or to.")
	errWhere = errs.New(errs.Invalid, "point_missing", "请指明联系方式：point 或 to。停止联系可能只针对某个号码。",
		"Say where: point or to. A customer may have stopped one number only.")
	errNobody = errs.New(errs.NotFound, "no_such_customer", "找不到这位客户或这个联系方式，因此没有许可。",
		"There is no such customer or contact point, so there is no permit.")
	errMany = errs.New(errs.Conflict, "customer_ambiguous", "多位客户使用这个联系方式，请同时提供 customer_ref。",
		"Several customers have this number or address: give customer_ref as well.")
)

// at says which intent of a batch an error is about.
func at(err *errs.Error, i, of int) error {
	if of == 1 {
		return err
	}
	n := strconv.Itoa(i)
	e := *err
	e.Zh, e.En = "intents["+n+"]："+err.Zh, "intents["+n+"]: "+err.En
	return &e
}

// lookup is what one request asks about the people it names.
type lookup struct {
	asked []Intent
	out   []policy.Intent
	to    []party.Address // of those that name no point; else empty
	err   error
}

// crowd is from how many intents a request looks up its people by itself, so
// that a single contact does not wait for a batch.
const crowd = 20

// intents finds out who is meant and puts intents into the gate's form. Requests
// of the same moment share their queries.
func (a *API) intents(ctx context.Context, asked []Intent) ([]policy.Intent, error) {
	l := &lookup{asked: asked, out: make([]policy.Intent, len(asked)), to: make([]party.Address, len(asked))}
	for i := range asked {
		err := fill(&l.out[i], &asked[i])
		if err == nil && asked[i].Point == "" {
			l.to[i].Kind, l.to[i].Value, err = address(asked[i].To)
		}
		if err != nil {
			return nil, at(errs.Public(err), i, len(asked))
		}
		l.out[i].Via = keyOf(ctx).Client
	}
	if len(asked) < crowd {
		a.lookups.Join(l)
	} else {
		a.lookUp([]*lookup{l})
	}
	return l.out, l.err
}

// lookUp answers lookups from one set of queries.
func (a *API) lookUp(ls []*lookup) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var refs, points []string
	var to []party.Address
	for _, l := range ls {
		for i := range l.asked {
			if r := l.asked[i].CustomerRef; r != "" {
				refs = append(refs, r)
			}
			if p := l.asked[i].Point; p != "" {
				points = append(points, p)
			} else {
				to = append(to, l.to[i])
			}
		}
	}
	var w whose
	err := a.DB.Read(ctx, func(tx *db.Tx) (err error) {
		if w.refs, w.to, err = a.Parties.Find(ctx, tx, refs, to); err != nil || len(points) == 0 {
			return err
		}
		w.points, err = a.Parties.Owners(ctx, tx, points)
		return err
	})
	for _, l := range ls {
		l.err = err
		for i := 0; i < len(l.asked) && l.err == nil; i++ {
			if e := w.who(&l.asked[i], &l.out[i], l.to[i]); e != nil {
				l.err = at(e, i, len(l.asked))
			}
		}
	}
}

// whose is who has a customer number, a contact point, an address.
type whose struct {
	refs, points map[string]contact.ID
	to           map[party.Address][]party.Found
}

// who fills in the person and the contact point. The point must be the
// person's: otherwise a stop for one number could be passed by naming another.
func (w *whose) who(in *Intent, out *policy.Intent, where party.Address) *errs.Error {
	out.Party = in.Customer
	if in.CustomerRef != "" {
		id, ok := w.refs[in.CustomerRef]
		if !ok || in.Customer != "" && in.Customer != id {
			return errNobody
		}
		out.Party = id
	}
	if in.Point != "" {
		owner, ok := w.points[in.Point]
		if !ok || out.Party != "" && out.Party != owner {
			return errNobody
		}
		out.Party, out.Point = owner, in.Point
		return nil
	}
	matched := 0
	for _, f := range w.to[where] {
		if out.Point == f.PointID || in.Customer+in.CustomerRef != "" && f.PartyID != out.Party {
			continue
		}
		matched++
		out.Party, out.Point = f.PartyID, f.PointID
	}
	switch matched {
	case 0:
		return errNobody
	case 1:
		return nil
	default:
		return errMany
	}
}

func address(s string) (party.PointKind, string, error) {
	if strings.Contains(s, "@") {
		return party.Email, strings.TrimSpace(s), nil
	}
	n, err := phone.Parse(s, "")
	return party.Phone, n.E164, err
}

// fill translates everything but the person.
func fill(out *policy.Intent, in *Intent) error {
	if in.Customer+in.CustomerRef+in.Point+in.To == "" {
		return errWho
	}
	if in.Point+in.To == "" {
		return errWhere
	}
	var err error
	if out.Channel, err = contact.ParseChannel(in.Channel); err != nil {
		return errRequest.With(err)
	}
	if out.Purpose, err = contact.ParsePurpose(in.Purpose); err != nil {
		return errRequest.With(err)
	}
	out.Relation = contact.Self
	if in.Relation != "" {
		if out.Relation, err = contact.ParseRelation(in.Relation); err != nil {
			return errRequest.With(err)
		}
	}
	out.Initiator = in.Initiator
	if out.Initiator == "" {
		out.Initiator = "bank"
	}
	out.Product, out.Event, out.Campaign, out.CallerID, out.Script = in.Product, in.Event, in.Campaign, in.CallerID, in.Script
	out.Synthetic, out.Automated, out.Discloses = in.Synthetic, in.Automated, in.Discloses
	return nil
}
