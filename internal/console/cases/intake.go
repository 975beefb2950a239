package cases

import (
	"context"
	"errors"
	"net/http"

	"parley/internal/complaint"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/httpx"
	"parley/internal/httpx/words"
	"parley/internal/party"
	"parley/internal/phone"
)

func (p *pages) intakePage(w http.ResponseWriter, r *http.Request) error {
	f := &httpx.Form{}
	f.Set("who", r.URL.Query().Get("who"))
	f.Set("lang", string(words.Zh))
	return p.intakeForm(w, r, f, 0)
}

func (p *pages) intakeForm(w http.ResponseWriter, r *http.Request, f *httpx.Form, status int) error {
	s := sheet(say(r.Context(), "intake_title"), intakeView(f))
	s.Status = status
	return p.Frame.Show(w, r, s)
}

// intake records what a customer said to a member of staff.
func (p *pages) intake(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	in := complaint.Intake{Source: "staff", By: me(ctx), Subject: f.Maybe("subject", 100),
		Words: f.Text("words", maxSection), Lang: f.One("lang", string(words.Zh), string(words.En))}
	who := f.Maybe("who", 60)
	var c *complaint.Case
	if f.OK() {
		err = p.DB.Write(ctx, func(tx *db.Tx) (err error) {
			if in.Party, err = p.find(ctx, tx, who); err != nil {
				return err
			}
			c, err = p.Desk.Open(ctx, tx, in)
			return err
		})
	}
	var e *errs.Error
	switch {
	case errors.As(err, &e) && (e.Is(errNoCustomer) || e.Is(errSeveral)):
		f.Wrong("who", words.Pick(ctx, e.Zh, e.En)) // a sentence shows as itself
	case errors.As(err, &e) && e.Kind == errs.Invalid:
		f.Notice = words.Pick(ctx, e.Zh, e.En)
	case err != nil:
		return err
	}
	if !f.OK() {
		return p.intakeForm(w, r, f, http.StatusUnprocessableEntity)
	}
	return p.Frame.Done(w, r, "/complaints/"+c.ID, "flash.done")
}

var (
	errNoCustomer = errs.New(errs.Invalid, "intake_not_found", "没有找到这位客户，请核对；确实不知道就留空。",
		"No such customer; check it, or leave it empty when unknown.")
	errSeveral = errs.New(errs.Invalid, "intake_several", "有几位客户共用这个号码，请改填客户号。",
		"Several customers share this number; give the customer number instead.")
)

// find gives who is meant by a customer number or a telephone number; nobody
// for an empty one.
func (p *pages) find(ctx context.Context, tx *db.Tx, who string) (contact.ID, error) {
	if who == "" {
		return "", nil
	}
	c, err := p.Parties.ByRef(ctx, tx, who)
	if err == nil {
		return c.ID, nil
	}
	if !missing(err) {
		return "", err
	}
	n, err := phone.Parse(who, "")
	if err != nil {
		return "", errNoCustomer.With(err)
	}
	found, err := p.Parties.ByPoint(ctx, tx, party.Phone, n.E164)
	if err != nil {
		return "", err
	}
	ids := map[contact.ID]bool{}
	for _, f := range found {
		ids[f.PartyID] = true
	}
	switch len(ids) {
	case 0:
		return "", errNoCustomer
	case 1:
		return found[0].PartyID, nil
	default:
		return "", errSeveral
	}
}
