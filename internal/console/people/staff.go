package people

import (
	"context"
	"net/http"
	"strings"

	"parley/internal/access"
	"parley/internal/approval"
	"parley/internal/console/frame"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/httpx"
	"parley/internal/httpx/ui"
	"parley/internal/httpx/words"
)

func roleChoices(ctx context.Context) []ui.Choice {
	var out []ui.Choice
	for _, r := range access.Roles() {
		out = append(out, ui.Choice{Value: string(r), Word: words.T(ctx, "role."+string(r))})
	}
	return out
}

// bothWords is what the second person reads for a role, whichever language the
// request was made in.
func bothWords(r access.Role) string {
	return words.In(words.Zh, "role."+string(r)) + " · " + words.In(words.En, "role."+string(r))
}

func roleWords(ctx context.Context, rs []access.Role) string {
	out := make([]string, len(rs))
	for i, r := range rs {
		out[i] = words.T(ctx, "role."+string(r))
	}
	return strings.Join(out, words.T(ctx, "app.comma"))
}

// staffList is the list of those who work here.
func (p *pages) staffList(r *http.Request) (*frame.List, error) {
	ctx := r.Context()
	var states []ui.Choice
	for _, s := range []string{"open", "waiting", "closed"} {
		states = append(states, ui.Choice{Value: s, Word: say(ctx, "state."+s)})
	}
	return &frame.List{
		Menu: "/staff", Need: access.SeeStaff, Title: say(ctx, "staff"), Under: say(ctx, "staff_under"), Acts: staffActs(),
		Grid: ui.Grid{
			Name: "staff", Path: "/staff", Caption: say(ctx, "staff"), Why: say(ctx, "staff_none"), Do: say(ctx, "staff_none_do"),
			Columns: []ui.Column{
				{Key: "name", Word: say(ctx, "name")}, {Key: "login", Word: words.T(ctx, "signin.login")}, {Key: "roles", Word: say(ctx, "roles"), Wide: true},
				{Key: "state", Word: say(ctx, "state")}, {Key: "second", Word: say(ctx, "second_factor")}, {Key: "number", Word: say(ctx, "number"), Off: true},
			},
			Filters: []ui.Filter{{Key: "role", Word: say(ctx, "role"), Choices: roleChoices(ctx)}, {Key: "state", Word: say(ctx, "state"), Choices: states}},
		},
		Rows: p.staffRows,
	}, nil
}

func (p *pages) staffRows(ctx context.Context, a ui.Ask) (ui.Rows, error) {
	list, err := p.Access.Slice(ctx, access.Choose{Role: access.Role(a.Filter["role"]), State: a.Filter["state"]}, db.Span(a.Span))
	if err != nil {
		return ui.Rows{}, err
	}
	return frame.Lines(list, a, func(l access.Listed) string { return l.Login }, func(l access.Listed) ui.Row {
		tone, state := stateOf(l.Staff, l.Ready)
		second := ui.Text("—")
		if l.Second {
			second = ui.State(ui.Good, say(ctx, "has"))
		}
		return ui.Row{Href: "/staff/" + l.ID, Cells: []ui.Cell{ui.Text(l.Name), ui.Text(l.Login), ui.Text(roleWords(ctx, l.Roles)),
			ui.State(tone, say(ctx, "state."+state)), second, ui.Text(l.Number)}}
	}), nil
}

func stateOf(st access.Staff, ready bool) (ui.Tone, string) {
	switch {
	case !st.Disabled.IsZero():
		return ui.Over, "closed"
	case !ready:
		return ui.Wait, "waiting"
	default:
		return ui.Good, "open"
	}
}

func (p *pages) staffForm(w http.ResponseWriter, r *http.Request) error {
	return p.showStaffForm(w, r, new(httpx.Form), 0)
}

func (p *pages) showStaffForm(w http.ResponseWriter, r *http.Request, f *httpx.Form, status int) error {
	return p.show(w, r, frame.Sheet{Title: say(r.Context(), "staff_new"), Menu: "/staff", Status: status, Body: staffFormPage(f)})
}

// readRoles reads the ticked roles of a form.
func readRoles(f *httpx.Form) []access.Role {
	var out []access.Role
	for _, r := range access.Roles() {
		if f.Has("role", string(r)) {
			out = append(out, r)
		}
	}
	return out
}

// staffAdd adds a person without roles or password: the roles are a second
// person's to give, the password is the person's own to choose.
func (p *pages) staffAdd(w http.ResponseWriter, r *http.Request) error {
	ctx, by := r.Context(), frame.Who(r.Context()).ID
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	login, name, number := f.Text("login", 100), f.Text("name", 100), f.Maybe("number", 40)
	roles := readRoles(f)
	if len(roles) == 0 {
		f.Wrong("role", "form.choose")
	}
	if !f.OK() {
		return p.showStaffForm(w, r, f, http.StatusUnprocessableEntity)
	}
	st, err := p.Access.Hire(ctx, access.Staff{Login: login, Name: name, Number: number}, by)
	if err != nil {
		return p.refuse(w, r, f, err, p.showStaffForm)
	}
	done, err := p.Access.AskRoles(ctx, st.ID, roles, say(ctx, "reason_new"), by, bothWords)
	if err != nil {
		return err
	}
	if done {
		return p.Frame.Done(w, r, "/staff/"+st.ID, "flash.staff_added")
	}
	return p.Frame.Done(w, r, "/staff/"+st.ID, "flash.staff_added_asked")
}

// staffView is one person's page.
type staffView struct {
	form    *httpx.Form
	st      access.Staff
	factors access.Factors
	open    int // sessions
	asked   map[string]*approval.Request
	until   contact.Micros // of a link given, 0 = none
	link    string         // shown this once
	names   func(id string) string
}

func (v staffView) to(act string) string { return "/staff/" + v.st.ID + "/" + act }

func (p *pages) staffOne(w http.ResponseWriter, r *http.Request) error {
	return p.showOne(w, r, new(httpx.Form), "", 0)
}

func (p *pages) showOne(w http.ResponseWriter, r *http.Request, f *httpx.Form, link string, status int) error {
	ctx, id := r.Context(), r.PathValue("id")
	v := staffView{form: f, link: link, names: func(id string) string { return p.Frame.Name(ctx, id) }}
	var err error
	if v.st, err = p.Access.Get(ctx, id); err != nil {
		return err
	}
	if v.factors, err = p.Access.Factors(ctx, id); err != nil {
		return err
	}
	sessions, _, err := p.Access.Sessions(ctx, id, "")
	if err != nil {
		return err
	}
	v.open = len(sessions)
	if v.asked, err = p.Access.Waiting(ctx, id); err != nil {
		return err
	}
	if v.until, _, err = p.Access.Invited(ctx, id); err != nil {
		return err
	}
	return p.show(w, r, frame.Sheet{Title: v.st.Name, Menu: "/staff", Status: status, Body: staffPage(v)})
}

// act does something to a person and comes back to the page.
func (p *pages) act(w http.ResponseWriter, r *http.Request, flash string, do func(f *httpx.Form, id contact.ID, by string) error) error {
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	if err := do(f, id, frame.Who(r.Context()).ID); err != nil {
		return p.refuse(w, r, f, err, func(w http.ResponseWriter, r *http.Request, f *httpx.Form, status int) error {
			return p.showOne(w, r, f, "", status)
		})
	}
	return p.Frame.Done(w, r, "/staff/"+id, flash)
}

var errNoReason = errs.New(errs.Invalid, "reason_missing", "请写明原因，供另一位同事审批。", "Say why, for the colleague who decides.")

func (p *pages) staffRoles(w http.ResponseWriter, r *http.Request) error {
	flash := "flash.roles_asked"
	return p.act(w, r, flash, func(f *httpx.Form, id contact.ID, by string) error {
		reason := f.Maybe("reason", 500)
		if reason == "" || !f.OK() {
			return errNoReason
		}
		_, err := p.Access.AskRoles(r.Context(), id, readRoles(f), reason, by, bothWords)
		return err
	})
}

func (p *pages) staffNumber(w http.ResponseWriter, r *http.Request) error {
	return p.act(w, r, "flash.done", func(f *httpx.Form, id contact.ID, by string) error {
		return p.Access.SetNumber(r.Context(), id, f.Maybe("number", 40), by)
	})
}

func (p *pages) staffDisable(w http.ResponseWriter, r *http.Request) error {
	return p.act(w, r, "flash.staff_closed", func(_ *httpx.Form, id contact.ID, by string) error { return p.Access.Disable(r.Context(), id, by) })
}

func (p *pages) staffEnable(w http.ResponseWriter, r *http.Request) error {
	return p.act(w, r, "flash.staff_opened", func(_ *httpx.Form, id contact.ID, by string) error { return p.Access.Enable(r.Context(), id, by) })
}

func (p *pages) staffSessions(w http.ResponseWriter, r *http.Request) error {
	return p.act(w, r, "flash.staff_signed_out", func(_ *httpx.Form, id contact.ID, by string) error {
		return p.Access.EndOthers(r.Context(), id, "", by)
	})
}

func (p *pages) staffReset(w http.ResponseWriter, r *http.Request) error {
	return p.act(w, r, "flash.reset_asked", func(f *httpx.Form, id contact.ID, by string) error {
		reason := f.Maybe("reason", 500)
		if reason == "" || !f.OK() {
			return errNoReason
		}
		_, err := p.Access.AskReset(r.Context(), id, reason, by)
		return err
	})
}

// staffLink makes a one-time link and shows it on this page only, to be given
// to the person by hand.
func (p *pages) staffLink(w http.ResponseWriter, r *http.Request) error {
	code, err := p.Access.Invite(r.Context(), r.PathValue("id"), frame.Who(r.Context()).ID)
	if err != nil {
		return p.refuse(w, r, new(httpx.Form), err, func(w http.ResponseWriter, r *http.Request, f *httpx.Form, status int) error {
			return p.showOne(w, r, f, "", status)
		})
	}
	return p.showOne(w, r, new(httpx.Form), p.origin(r)+"/welcome#"+code, 0)
}
