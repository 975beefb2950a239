package consents

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/a-h/templ"

	"parley/internal/access"
	"parley/internal/consent"
	"parley/internal/console/frame"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/httpx"
	"parley/internal/httpx/errand"
	"parley/internal/httpx/ui"
	"parley/internal/httpx/words"
	"parley/internal/mask"
	"parley/internal/party"
	"parley/internal/phone"
	"parley/internal/roster"
)

// Deps are the rooms behind the pages.
type Deps struct {
	Frame    *frame.Frame
	DB       *db.DB
	Parties  *party.Store
	Consents *consent.Store
}

type pages struct {
	Deps
	upload errand.Desk[taken] // the list that is being taken in, or was last: one at a time
}

// Routes gives the pages.
func Routes(d Deps) []frame.Route {
	p := &pages{Deps: d}
	out := append(d.Frame.ToList("/consents", access.SeeConsents, p.numbers), d.Frame.ToList("/consents/said", access.SeeConsents, p.said)...)
	return append(out,
		frame.To("GET /consents/notices", access.SeeConsents, p.notices),
		frame.To("POST /consents", access.EditDNC, p.add),
		frame.To("POST /consents/check", access.SeeConsents, p.check),
		frame.To("POST /consents/{id}/lift", access.EditDNC, p.lift),
		frame.To("POST /consents/upload", access.EditDNC, p.uploadFile),
		frame.To("GET /consents/upload", access.EditDNC, p.uploadPart),
		frame.To("GET /consents/upload/rejects.csv", access.EditDNC, p.uploadRejects),
	)
}

// numbers is the do-not-contact list.
func (p *pages) numbers(r *http.Request) (*frame.List, error) {
	return p.list(r.Context(), &httpx.Form{})
}

func (p *pages) list(ctx context.Context, f *httpx.Form) (*frame.List, error) {
	return &frame.List{
		Menu: "/consents", Need: access.SeeConsents, Title: say(ctx, "title"), Under: say(ctx, "under"), Above: p.above(ctx, f),
		Grid: ui.Grid{
			Name: "numbers", Path: "/consents", Caption: say(ctx, "list"), Why: say(ctx, "empty"), Do: say(ctx, "empty_do"),
			Columns: []ui.Column{
				{Key: "number", Word: say(ctx, "number")}, {Key: "state", Word: say(ctx, "state")}, {Key: "covers", Word: say(ctx, "covers")},
				{Key: "source", Word: say(ctx, "source")}, {Key: "reason", Word: say(ctx, "reason"), Wide: true}, {Key: "by", Word: say(ctx, "by")},
				{Key: "at", Word: say(ctx, "at")}, {Key: "until", Word: say(ctx, "until")}, {Key: "lifted", Word: say(ctx, "lifted"), Off: true},
			},
			Filters: []ui.Filter{{Key: "which", Word: say(ctx, "state"), Choices: []ui.Choice{{Value: "on", Word: say(ctx, "on")}, {Value: "off", Word: say(ctx, "off")}}}},
		},
		Rows: p.numberRows,
	}, nil
}

func (p *pages) numberRows(ctx context.Context, a ui.Ask) (out ui.Rows, err error) {
	err = p.DB.Read(ctx, func(tx *db.Tx) error {
		list, err := p.Consents.Numbers(ctx, tx, a.Filter["which"], db.Span(a.Span))
		out = frame.Lines(list, a, func(n consent.Number) string { return n.Key() }, func(n consent.Number) ui.Row { return p.numberRow(ctx, n) })
		return err
	})
	return out, err
}

func (p *pages) numberRow(ctx context.Context, n consent.Number) ui.Row {
	state, tone := "on", ui.Bad
	lifted := ui.Text("")
	switch {
	case n.LiftedAt > 0:
		state, tone = "off", ui.Over
		lifted = ui.Text(httpx.Minute(ctx, db.Time(n.LiftedAt)) + " · " + p.Frame.Name(ctx, n.LiftedBy) + " · " + n.LiftWhy)
	case n.Until > 0 && n.Until <= db.Micros(httpx.From(ctx).Now):
		state, tone = "over", ui.Over
	}
	row := ui.Row{Cells: []ui.Cell{
		ui.Text(n.Mask), ui.State(tone, say(ctx, state)), ui.Text(frame.Purposes(ctx, n.Purposes)), ui.Text(sourceWord(ctx, n.Source)), ui.Text(n.Reason),
		ui.Text(p.Frame.Name(ctx, n.By)), ui.Moment(ctx, db.Time(n.At)), untilCell(ctx, n.Until), lifted,
	}}
	if state == "on" && frame.May(ctx, access.EditDNC) {
		row.Acts = ui.Do(ui.Act{Action: "/consents/" + n.ID + "/lift", Word: say(ctx, "lift"), Effect: say(ctx, "lift_effect"), Reason: say(ctx, "lift_why")})
	}
	return row
}

func sourceWord(ctx context.Context, s string) string {
	if book.Has("source." + s) {
		return say(ctx, "source."+s)
	}
	return s
}

func untilCell(ctx context.Context, until contact.Micros) ui.Cell {
	if until == 0 {
		return ui.Text(say(ctx, "for_good"))
	}
	return ui.View(httpx.Exact(ctx, db.Time(until)), ui.At(db.Time(until)))
}

// said is what customers have stopped lately, and what was lifted again.
func (p *pages) said(r *http.Request) (*frame.List, error) {
	ctx := r.Context()
	return &frame.List{
		Menu: "/consents", Need: access.SeeConsents, Title: say(ctx, "title"), Under: say(ctx, "said_under"), Above: tabs("/consents/said"),
		Grid: ui.Grid{
			Name: "said", Path: "/consents/said", Caption: say(ctx, "said"), Why: say(ctx, "said_empty"), Do: say(ctx, "said_empty_do"),
			Columns: []ui.Column{
				{Key: "who", Word: say(ctx, "who")}, {Key: "phone", Word: say(ctx, "number")}, {Key: "what", Word: say(ctx, "what")},
				{Key: "covers", Word: say(ctx, "covers")}, {Key: "by", Word: say(ctx, "by")}, {Key: "at", Word: say(ctx, "at")}, {Key: "until", Word: say(ctx, "until"), Off: true},
			},
		},
		Rows: p.saidRows,
	}, nil
}

func (p *pages) saidRows(ctx context.Context, a ui.Ask) (out ui.Rows, err error) {
	err = p.DB.Read(ctx, func(tx *db.Tx) error {
		list, err := p.Consents.Stopped(ctx, tx, db.Span(a.Span))
		if err != nil {
			return err
		}
		ids := make([]contact.ID, len(list))
		for i, s := range list {
			ids[i] = s.Party
		}
		people := map[contact.ID]*party.Party{}
		if err := p.Parties.Each(ctx, tx, ids, func(c *party.Party) error { people[c.ID] = c; return nil }); err != nil {
			return err
		}
		out = frame.Lines(list, a, func(s consent.Said) string { return s.Key() }, func(s consent.Said) ui.Row { return p.saidRow(ctx, s, people[s.Party]) })
		return nil
	})
	return out, err
}

func (p *pages) saidRow(ctx context.Context, s consent.Said, who *party.Party) ui.Row {
	name, number := words.T(ctx, "customer.erased"), ""
	if who != nil {
		name = mask.Name(who.Name)
		if pt, ok := who.Point(party.Phone); ok {
			number = pt.Mask()
		}
	}
	row := ui.Row{Cells: []ui.Cell{ui.Text(name), ui.Text(number), {}, {}, ui.Text(p.Frame.Name(ctx, s.By)), ui.Moment(ctx, db.Time(s.At)), {}}}
	if frame.May(ctx, access.SeeCustomers) {
		row.Href = "/customers/" + s.Party
	}
	if s.Kind == consent.Lifted {
		row.Cells[2], row.Cells[3] = ui.State(ui.Over, say(ctx, "lifted_again")), ui.Text(s.Reason)
		return row
	}
	row.Cells[2] = ui.State(ui.Bad, words.T(ctx, "stop."+string(s.Stop.Kind)))
	row.Cells[3] = ui.Text(frame.Purposes(ctx, s.Stop.Purposes) + " · " + frame.Channels(ctx, s.Stop.Channels))
	row.Cells[6] = untilCell(ctx, s.Stop.Until)
	return row
}

// worded is a wording with what rests on it.
type worded struct {
	consent.Notice
	grants int64
}

func (p *pages) notices(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	var out []worded
	err := p.DB.Read(ctx, func(tx *db.Tx) error {
		list, err := p.Consents.Notices(ctx, tx)
		if err != nil {
			return err
		}
		counts, err := p.Consents.NoticeCounts(ctx, tx)
		out = nil
		for _, n := range list {
			out = append(out, worded{n, counts[n.Hash]})
		}
		return err
	})
	if err != nil {
		return err
	}
	return p.Frame.Show(w, r, frame.Sheet{Title: say(ctx, "notices"), Menu: "/consents", Body: noticesView(out)})
}

// above is what stands over the list: the tabs and, for who may, the forms.
func (p *pages) above(ctx context.Context, f *httpx.Form) templ.Component {
	if !frame.May(ctx, access.EditDNC) {
		f = nil
	}
	return aboveView(f, p.upload.Of(""))
}

var errNumber = errs.New(errs.Invalid, "dnc_number", "请填写一个电话号码或邮箱。", "Give a telephone number or an e-mail address.")

// address reads a number or an e-mail address as people write it.
func address(s string) (party.PointKind, string, string, error) {
	if at := strings.IndexByte(s, '@'); at > 0 && at < len(s)-1 {
		return party.Email, s, mask.Email(s), nil
	}
	n, err := phone.Parse(s, phone.Default)
	if err != nil {
		return "", "", "", errNumber.With(err)
	}
	return party.Phone, n.E164, mask.Phone(n.E164), nil
}

// readEntry reads an entry of the list from its form.
func (p *pages) readEntry(ctx context.Context, f *httpx.Form) (n consent.Number, kind party.PointKind, value string) {
	n = consent.Number{Source: "staff", By: frame.Who(ctx).ID, Reason: f.Text("reason", 500)}
	var err error
	if kind, value, n.Mask, err = address(f.Text("number", 100)); err != nil {
		f.Wrong("number", "form.bad_number")
	}
	if v := f.Get("purpose"); v != "" && v != "all" {
		purpose, err := contact.ParsePurpose(v)
		if err != nil {
			f.Wrong("purpose", "form.choose")
		}
		n.Purposes = contact.PurposeSet(purpose)
	}
	if v := f.Get("until"); v != "" {
		day, err := time.ParseInLocation(time.DateOnly, v, httpx.From(ctx).Zone)
		if err != nil || !day.After(httpx.From(ctx).Now) {
			f.Wrong("until", "form.bad_day")
		}
		n.Until = db.Micros(day)
	}
	return n, kind, value
}

// add puts a number on the list. A form with something wrong in it is shown
// again with all that was typed.
func (p *pages) add(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	n, kind, value := p.readEntry(ctx, f)
	held := 0
	if f.OK() {
		n.Blind = p.Parties.Blind(kind, value)
		err = p.DB.Write(ctx, func(tx *db.Tx) error {
			who, err := roster.Holders(ctx, tx, p.Parties, kind, value)
			if err != nil {
				return err
			}
			held = len(who)
			_, err = p.Consents.AddNumber(ctx, tx, n, who)
			return err
		})
		if errors.Is(err, consent.ErrListed) {
			f.Wrong("number", "form.number_listed")
		} else if err != nil {
			return err
		}
	}
	if !f.OK() {
		return p.again(w, r, f)
	}
	if held == 0 {
		return p.Frame.Done(w, r, "/consents", "flash.number_listed_nobody", n.Mask)
	}
	return p.Frame.Done(w, r, "/consents", "flash.number_listed", n.Mask, httpx.Num(held))
}

// again shows the list with a form that needs mending.
func (p *pages) again(w http.ResponseWriter, r *http.Request, f *httpx.Form) error {
	l, err := p.list(r.Context(), f)
	if err != nil {
		return err
	}
	return p.Frame.ListAgain(w, r, l, http.StatusUnprocessableEntity)
}

// check tells whether a number is on the list.
func (p *pages) check(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	kind, value, masked, err := address(f.Get("q"))
	if err != nil {
		return err
	}
	v := checked{mask: masked}
	err = p.DB.Read(ctx, func(tx *db.Tx) error {
		blind := p.Parties.Blind(kind, value)
		listed, err := p.Consents.NumbersOf(ctx, tx, []string{blind})
		if err != nil {
			return err
		}
		v.entries = listed[blind]
		who, err := roster.Holders(ctx, tx, p.Parties, kind, value)
		v.held = len(who)
		return err
	})
	if err != nil {
		return err
	}
	return p.Frame.Show(w, r, frame.Sheet{Title: say(ctx, "check"), Menu: "/consents", Body: p.checkedView(v)})
}

// checked is what is known of a number.
type checked struct {
	mask    string
	entries []consent.Number
	held    int
}

// lift takes a number off the list.
func (p *pages) lift(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	why := f.Text("reason", 500)
	if !f.OK() {
		return errs.New(errs.Invalid, "lift_why", "请写明解除的原因。", "Say why it is lifted.")
	}
	var n consent.Number
	if err := p.DB.Write(ctx, func(tx *db.Tx) (err error) {
		n, err = p.Consents.LiftNumber(ctx, tx, r.PathValue("id"), frame.Who(ctx).ID, why)
		return err
	}); err != nil {
		return err
	}
	return p.Frame.Done(w, r, "/consents", "flash.number_lifted", n.Mask)
}
