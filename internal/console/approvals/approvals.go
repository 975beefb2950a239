package approvals

import (
	"context"
	"errors"
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
	"parley/internal/mask"
)

// Deps are the rooms behind the approvals pages.
type Deps struct {
	Frame     *frame.Frame
	Approvals *approval.Store
}

type pages struct{ Deps }

// Routes gives the pages. Who may decide what is the four-eyes room's to say:
// here only who may look.
func Routes(d Deps) []frame.Route {
	p := &pages{d}
	return append(d.Frame.ToList("/approvals", access.SeeApprovals, p.list),
		frame.To("GET /approvals/{id}", access.SeeApprovals, p.page),
		frame.To("POST /approvals/{id}/approve", access.SeeApprovals, p.act(p.approve)),
		frame.To("POST /approvals/{id}/send-back", access.SeeApprovals, p.act(p.sendBack)),
		frame.To("POST /approvals/{id}/withdraw", access.SeeApprovals, p.act(p.withdraw)),
	)
}

// subjects are where the pages of a kind's subjects are.
var subjects = map[string]string{
	"campaign":  "/campaigns/",
	"script":    "/scripts/",
	"template":  "/templates/versions/",
	"calendar":  "/calendars/drafts/",
	"decision":  "/complaints/",
	"extension": "/complaints/",
	// of a grade: see complaint.ExtensionKind
	"extension_upper_institution": "/complaints/",
	"staff_roles":                 "/staff/",
	"staff_reset":                 "/staff/",
	"pack":                        "/rules/editions/",
	"api_key":                     "/api-keys/",
}

func subjectHref(r *approval.Request) string {
	if at := subjects[r.Kind]; at != "" {
		return at + r.Subject
	}
	return ""
}

// Kind names a kind of request in the reader's language.
func Kind(ctx context.Context, kind string) string {
	if !Named(kind) {
		return say(ctx, "unknown_kind") + " (" + kind + ")"
	}
	return say(ctx, "kind."+kind)
}

func tone(s approval.State) ui.Tone {
	switch s {
	case approval.Pending:
		return ui.Wait
	case approval.Approved:
		return ui.Good
	case approval.SentBack:
		return ui.Bad
	default:
		return ui.Over
	}
}

func reader(ctx context.Context) approval.Reader {
	st := frame.Who(ctx)
	return approval.Reader{Account: st.ID, All: st.May(access.SeeAllApprovals)}
}

// What a reader may list.
const (
	forMe   = "for_me"
	mine    = "mine"
	decided = "decided"
	open    = "open"
)

func (p *pages) list(r *http.Request) (*frame.List, error) {
	ctx := r.Context()
	which := []ui.Choice{{Value: forMe, Word: say(ctx, "which.for_me")}, {Value: mine, Word: say(ctx, "which.mine")}, {Value: decided, Word: say(ctx, "which.decided")}}
	first := forMe
	if reader(ctx).All {
		which = append(which, ui.Choice{Value: open, Word: say(ctx, "which.open")})
	}
	var kinds []ui.Choice
	for _, k := range p.Approvals.Kinds() {
		kinds = append(kinds, ui.Choice{Value: k, Word: Kind(ctx, k)})
	}
	why, do := say(ctx, "none"), say(ctx, "none_do")
	switch r.FormValue("which") {
	case mine:
		why, do = say(ctx, "none_mine"), ""
	case decided:
		why, do = say(ctx, "none_decided"), ""
	}
	return &frame.List{
		Menu: "/approvals", Need: access.SeeApprovals, Title: say(ctx, "title"), Under: say(ctx, "under"),
		Grid: ui.Grid{
			Name: "approvals", Path: "/approvals", Caption: say(ctx, "title"), Why: why, Do: do, Drawered: true,
			Columns: []ui.Column{
				{Key: "subject", Word: say(ctx, "subject")}, {Key: "kind", Word: say(ctx, "kind")}, {Key: "state", Word: say(ctx, "state")},
				{Key: "by", Word: say(ctx, "asked_by")}, {Key: "asked", Word: say(ctx, "asked_at")}, {Key: "reason", Word: say(ctx, "reason"), Wide: true},
				{Key: "decided_by", Word: say(ctx, "decided_by"), Off: true}, {Key: "decided", Word: say(ctx, "decided_at"), Off: true},
			},
			Filters: []ui.Filter{{Key: "which", Word: say(ctx, "which"), Choices: which, Initial: first, Whole: true},
				{Key: "kind", Word: say(ctx, "kind"), Choices: kinds}},
		},
		Rows: p.rows,
	}, nil
}

func (p *pages) rows(ctx context.Context, a ui.Ask) (ui.Rows, error) {
	me, kind, span := reader(ctx), a.Filter["kind"], db.Span(a.Span)
	key := func(r *approval.Request) string { return r.ID }
	var list []*approval.Request
	var err error
	switch a.Filter["which"] {
	case mine:
		list, err = p.Approvals.FromMe(ctx, me.Account, kind, span)
	case decided:
		key = func(r *approval.Request) string { return db.TimeKey(r.DecidedAt, r.ID) }
		list, err = p.Approvals.Decided(ctx, me, kind, span)
	case open:
		list, err = p.Approvals.Open(ctx, kind, span)
	default:
		list, err = p.Approvals.ForMe(ctx, me.Account, kind, span)
	}
	if err != nil {
		return ui.Rows{}, err
	}
	return frame.Lines(list, a, key, func(r *approval.Request) ui.Row {
		by, at := "", ui.Text("")
		if r.DecidedAt != 0 {
			by, at = p.Frame.Name(ctx, r.DecidedBy), ui.Moment(ctx, db.Time(r.DecidedAt))
		}
		return ui.Row{Href: "/approvals/" + r.ID, Cells: []ui.Cell{
			ui.Text(r.Title), ui.Text(Kind(ctx, r.Kind)), ui.State(tone(r.State), say(ctx, "st."+string(r.State))),
			ui.Text(p.Frame.Name(ctx, r.By)), ui.Moment(ctx, db.Time(r.AskedAt)), ui.Text(mask.Text(r.Reason)), ui.Text(by), at,
		}}
	}), nil
}

// view is one request as its page shows it.
type view struct {
	*approval.Seen
	before, after string // masked
	masked        bool
	names         func(string) string
	earlier       []*approval.Request
	form          *httpx.Form
}

func (p *pages) page(w http.ResponseWriter, r *http.Request) error {
	return p.show(w, r, nil, http.StatusOK)
}

func (p *pages) show(w http.ResponseWriter, r *http.Request, form *httpx.Form, status int) error {
	ctx := r.Context()
	seen, err := p.Approvals.Get(ctx, reader(ctx), r.PathValue("id"))
	if err != nil {
		return err
	}
	v := &view{Seen: seen, names: func(id string) string { return p.Frame.Name(ctx, id) }, form: form}
	if form == nil {
		v.form = &httpx.Form{}
	}
	v.before, v.after = mask.Text(seen.Before), mask.Text(seen.After)
	v.masked = v.before != seen.Before || v.after != seen.After
	all, err := p.Approvals.About(ctx, seen.Kind, seen.Subject)
	if err != nil {
		return err
	}
	for _, x := range all {
		if x.ID < seen.ID {
			v.earlier = append(v.earlier, x)
		}
	}
	return p.Frame.Show(w, r, frame.Sheet{Title: seen.Title, Menu: "/approvals", Body: requestPage(v), Status: status})
}

// act runs a step on a request: on to its page when it was done, or the page
// again with the refusal in the reader's language.
func (p *pages) act(step func(ctx context.Context, id contact.ID, f *httpx.Form) error) frame.Page {
	return func(w http.ResponseWriter, r *http.Request) error {
		f, err := httpx.ReadForm(w, r)
		if err != nil {
			return err
		}
		err = step(r.Context(), r.PathValue("id"), f)
		if err == nil {
			return p.Frame.Done(w, r, "/approvals/"+r.PathValue("id"), "flash.done")
		}
		var e *errs.Error
		if !errors.As(err, &e) || e.Kind == errs.Internal || e.Kind == errs.NotFound {
			return err
		}
		f.Notice = words.Pick(r.Context(), e.Zh, e.En)
		return p.show(w, r, f, httpx.Status(e.Kind))
	}
}

func decision(ctx context.Context, id contact.ID, f *httpx.Form, note string) approval.Decision {
	return approval.Decision{ID: id, By: frame.Who(ctx).ID, Hash: f.Get("hash"), Note: strings.TrimSpace(note)}
}

func (p *pages) approve(ctx context.Context, id contact.ID, f *httpx.Form) error {
	_, err := p.Approvals.ApproveNow(ctx, decision(ctx, id, f, f.Maybe("note", maxNote)))
	return err
}

func (p *pages) sendBack(ctx context.Context, id contact.ID, f *httpx.Form) error {
	_, err := p.Approvals.SendBackNow(ctx, decision(ctx, id, f, f.Maybe("reason", maxNote)))
	return err
}

func (p *pages) withdraw(ctx context.Context, id contact.ID, _ *httpx.Form) error {
	_, err := p.Approvals.WithdrawNow(ctx, id, frame.Who(ctx).ID)
	return err
}

// maxNote bounds what a decider writes, in characters.
const maxNote = 500
