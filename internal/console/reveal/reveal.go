// Package reveal is where the console shows what it masks everywhere else: one
// field of one customer for one view, a recording once per session, and many
// customers in a file that a second person approved. Each asks why, and the
// customer can read the answer.
package reveal

import (
	"context"
	"net/http"
	"slices"

	"github.com/a-h/templ"

	"parley/internal/access"
	"parley/internal/approval"
	"parley/internal/complaint"
	"parley/internal/console/frame"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/disclosure"
	"parley/internal/errs"
	"parley/internal/httpx"
	"parley/internal/httpx/words"
	"parley/internal/party"
)

// Deps are the rooms behind it.
type Deps struct {
	Frame       *frame.Frame
	DB          *db.DB
	Parties     *party.Store
	Desk        *complaint.Desk
	Disclosures *disclosure.Store
	Approvals   *approval.Store
	// Whose gives the customer of a contact.
	Whose func(ctx context.Context, attempt contact.ID) (contact.ID, error)
}

// Pages serves it.
type Pages struct{ Deps }

// New makes the pages.
func New(d Deps) *Pages { return &Pages{d} }

// Routes gives the pages.
func (p *Pages) Routes() []frame.Route {
	return []frame.Route{
		frame.To("POST /customers/{id}/reveal", access.Unmask, p.field),
		frame.To("POST /contacts/{id}/hear", access.HearRecordings, p.hear),
		frame.To("GET /reveal", access.UnmaskBulk, p.bulkPage),
		frame.To("POST /reveal", access.UnmaskBulk, p.bulkAsk),
		frame.To("POST /reveal/{id}", access.UnmaskBulk, p.bulkTake),
	}
}

// Masked is one field as the console shows it: masked, with a way to see it for
// whoever may.
type Masked struct {
	Party   contact.ID
	Field   disclosure.Field
	Subject contact.ID // of a contact point
	Shown   string     // the masked value
	clear   string
	form    *httpx.Form // what was refused just now
}

// role is the role in which the reader does what p allows; the customer is told
// the role and not the name.
func role(ctx context.Context, p access.Permission) string {
	for _, r := range frame.Who(ctx).Roles {
		if access.May([]access.Role{r}, p) {
			return string(r)
		}
	}
	return ""
}

func look(ctx context.Context, f *httpx.Form, p access.Permission, party contact.ID, what disclosure.Field, subject contact.ID) *disclosure.Look {
	return &disclosure.Look{Party: party, By: frame.Who(ctx).ID, Role: role(ctx, p), Session: frame.Session(ctx), What: what, Subject: subject,
		Reason: disclosure.Reason(f.Get("reason")), Words: f.Get("words")}
}

// fields are what can be seen one at a time.
var fields = []disclosure.Field{disclosure.Name, disclosure.Phone, disclosure.Email, disclosure.IDNumber}

// field shows one field in the clear, for this answer only. The reading and its
// record are one transaction: what is not kept is not shown.
func (p *Pages) field(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	m := Masked{Party: r.PathValue("id"), Field: disclosure.Field(f.Get("field")), Subject: f.Get("subject"), Shown: f.Get("shown"), form: f}
	if !slices.Contains(fields, m.Field) {
		return errs.New(errs.Invalid, "no_such_field", "没有这一项资料。", "There is no such field.")
	}
	err = p.DB.Write(ctx, func(tx *db.Tx) error {
		who, err := p.Parties.Get(ctx, tx, m.Party)
		if err != nil {
			return err
		}
		m.Shown, m.clear = masked(who, m), value(who, m)
		if m.clear == "" {
			return errs.New(errs.NotFound, "no_such_value", "这位客户没有登记这一项。", "Nothing is recorded there for this customer.")
		}
		return p.Disclosures.Keep(ctx, tx, look(ctx, f, access.Unmask, m.Party, m.Field, m.Subject))
	})
	if e := errs.Public(err); err != nil && e.Kind == errs.Invalid {
		m.clear, f.Notice = "", words.Pick(ctx, e.Zh, e.En)
		return p.part(w, r, m)
	}
	if err != nil {
		return err
	}
	return p.part(w, r, m)
}

// part answers with the field alone, in its place on the page or, without
// script, on a page of its own.
func (p *Pages) part(w http.ResponseWriter, r *http.Request, m Masked) error {
	if r.Header.Get("HX-Request") != "" {
		return p.Frame.Part(w, r, Field(m))
	}
	status := http.StatusOK
	if m.clear == "" {
		status = http.StatusUnprocessableEntity
	}
	return p.Frame.Show(w, r, frame.Sheet{Title: say(r.Context(), "what."+string(m.Field)), Menu: "/customers", Status: status, Body: fieldPage(m)})
}

func value(who *party.Party, m Masked) string {
	switch m.Field {
	case disclosure.Name:
		return who.Name
	case disclosure.IDNumber:
		return who.IDNumber
	}
	for _, q := range who.Points {
		if string(q.Kind) == string(m.Field) && (m.Subject == "" || q.ID == m.Subject) {
			return q.Value
		}
	}
	return ""
}

// Ear says whether a recording can be heard now, or must be asked for first.
func (p *Pages) Ear(ctx context.Context, attempt contact.ID) (open bool, err error) {
	if !frame.May(ctx, access.HearRecordings) {
		return false, nil
	}
	if open, err = p.Disclosures.Heard(ctx, frame.Who(ctx).ID, frame.Session(ctx), attempt); open || err != nil {
		return open, err
	}
	k, err := p.Desk.WorkedOn(ctx, attempt, frame.Who(ctx).ID)
	return k != nil, err
}

// Listen lets a recording be heard: by whoever said why in this session, and by
// the handler of a case about it, whose standing reason that case is. The first
// hearing of a session is kept.
func (p *Pages) Listen(ctx context.Context, attempt contact.ID) error {
	me := frame.Who(ctx).ID
	if ok, err := p.Disclosures.Heard(ctx, me, frame.Session(ctx), attempt); ok || err != nil {
		return err
	}
	k, err := p.Desk.WorkedOn(ctx, attempt, me)
	if err != nil {
		return err
	}
	if k == nil {
		return errs.New(errs.Forbidden, "reason_needed", "请先在页面上写明收听理由。", "Say on the page why you need to hear this first.")
	}
	return p.Disclosures.KeepNow(ctx, &disclosure.Look{Party: k.Party, By: me, Role: role(ctx, access.HearRecordings), Session: frame.Session(ctx),
		What: disclosure.Recording, Subject: attempt, Reason: disclosure.Complaint, Words: k.Number})
}

// hear keeps why somebody hears a recording, and leads back to it.
func (p *Pages) hear(w http.ResponseWriter, r *http.Request) error {
	ctx, attempt := r.Context(), r.PathValue("id")
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	whose, err := p.Whose(ctx, attempt)
	if err != nil {
		return err
	}
	err = p.Disclosures.KeepNow(ctx, look(ctx, f, access.HearRecordings, whose, disclosure.Recording, attempt))
	back := frame.Next(f.Get("next"))
	if e := errs.Public(err); err != nil && e.Kind == errs.Invalid {
		f.Notice = words.Pick(ctx, e.Zh, e.En)
		return p.Frame.Show(w, r, frame.Sheet{Title: say(ctx, "hear"), Menu: "/contacts", Status: http.StatusUnprocessableEntity, Body: hearPage(attempt, back, f)})
	}
	if err != nil {
		return err
	}
	httpx.Go(w, r, back)
	return nil
}

// Looks lists who saw a customer's data, the latest first.
func (p *Pages) Looks(ctx context.Context, whose contact.ID) (templ.Component, error) {
	ls, err := p.Disclosures.ByParty(ctx, whose, db.Span{N: 8})
	if err != nil {
		return nil, err
	}
	return looks(ls, func(id string) string { return p.Frame.Name(ctx, id) }), nil
}
