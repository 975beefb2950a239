package machines

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"parley/internal/access"
	"parley/internal/console/frame"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/httpx"
	"parley/internal/httpx/ui"
	"parley/internal/webhook"
)

func (p *pages) hooks(r *http.Request) (*frame.List, error) {
	ctx := r.Context()
	return &frame.List{
		Menu: "/webhooks", Need: access.SeeAPI, Title: say(ctx, "hooks"), Under: say(ctx, "hooks_under"), Acts: hooksActs(),
		Grid: ui.Grid{
			Name: "webhooks", Path: "/webhooks", Caption: say(ctx, "hooks"), Why: say(ctx, "hooks_none"), Do: say(ctx, "hooks_none_do"),
			Columns: []ui.Column{
				{Key: "name", Word: say(ctx, "hook_name")}, {Key: "client", Word: say(ctx, "hook_client")}, {Key: "state", Word: say(ctx, "hook_state")},
				{Key: "waiting", Word: say(ctx, "hook_waiting"), Num: true}, {Key: "failing", Word: say(ctx, "hook_failing")},
				{Key: "types", Word: say(ctx, "hook_types"), Wide: true}, {Key: "made", Word: say(ctx, "hook_made"), Off: true},
			},
		},
		Rows: p.hookRows,
	}, nil
}

func (p *pages) hookRows(ctx context.Context, a ui.Ask) (out ui.Rows, err error) {
	var list []webhook.Endpoint
	waiting := map[contact.ID]int{}
	err = p.DB.Read(ctx, func(tx *db.Tx) error {
		if list, err = p.Hooks.List(ctx, tx, "", db.Span(a.Span)); err != nil {
			return err
		}
		for _, e := range list {
			if waiting[e.ID], err = p.Hooks.Waiting(ctx, tx, e.ID); err != nil {
				return err
			}
		}
		return nil
	})
	return frame.Lines(list, a, func(e webhook.Endpoint) string { return e.ID }, func(e webhook.Endpoint) ui.Row {
		return ui.Row{Href: "/webhooks/" + e.ID, Cells: []ui.Cell{
			ui.Text(e.Name), ui.Text(client(ctx, &e)), ui.State(stateTone(string(e.State)), say(ctx, "st."+string(e.State))),
			ui.Text(httpx.Num(waiting[e.ID])), moment(ctx, e.Failing), ui.Text(strings.Join(e.Types, " ")), ui.Moment(ctx, e.MadeAt),
		}}
	}), err
}

func client(ctx context.Context, e *webhook.Endpoint) string {
	if e.Client == "" {
		return say(ctx, "hook_client_admin")
	}
	return e.Client
}

// moment is a cell of an instant that may not have come.
func moment(ctx context.Context, t time.Time) ui.Cell {
	if t.IsZero() {
		return ui.Text("")
	}
	return ui.Moment(ctx, t)
}

func (p *pages) hookForm(w http.ResponseWriter, r *http.Request) error {
	f := &httpx.Form{}
	return p.showHookForm(w, r, f.Set("types", "*"), http.StatusOK)
}

func (p *pages) showHookForm(w http.ResponseWriter, r *http.Request, f *httpx.Form, status int) error {
	return p.Frame.Show(w, r, frame.Sheet{Title: say(r.Context(), "hook_new"), Menu: "/webhooks", Body: hookForm(f), Status: status})
}

// hookMake subscribes a system, to ids only: records go to those whose key may
// read personal data.
func (p *pages) hookMake(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	e := webhook.Endpoint{Name: f.Text("name", 60), URL: f.Text("url", 500), Types: strings.Fields(f.Text("types", 2000))}
	if !f.OK() {
		return p.showHookForm(w, r, f, http.StatusUnprocessableEntity)
	}
	e, secret, err := p.Hooks.Create(ctx, e, frame.Who(ctx).ID)
	if err != nil {
		if status, ok := refused(ctx, f, err); ok {
			return p.showHookForm(w, r, f, status)
		}
		return err
	}
	return p.Frame.Show(w, r, frame.Sheet{Title: e.Name, Menu: "/webhooks", Body: secretPage(&e, secret), Status: http.StatusCreated})
}

// hookView is one subscription as its page shows it.
type hookView struct {
	webhook.Endpoint
	waiting int
	may     bool
	test    string // how a test went
	testOK  bool
}

func (p *pages) hook(w http.ResponseWriter, r *http.Request) error {
	return p.showHook(w, r, &hookView{})
}

func (p *pages) showHook(w http.ResponseWriter, r *http.Request, v *hookView) error {
	v.may = frame.May(r.Context(), access.EditAPI)
	return p.Frame.ListPage(func(r *http.Request) (*frame.List, error) { return p.deliveries(r, v) })(w, r)
}

func (p *pages) deliveriesExport(w http.ResponseWriter, r *http.Request) error {
	return p.Frame.ExportPage(func(r *http.Request) (*frame.List, error) { return p.deliveries(r, &hookView{}) })(w, r)
}

// deliveries is the page of a subscription: what it is above, what it was told below.
func (p *pages) deliveries(r *http.Request, v *hookView) (*frame.List, error) {
	ctx, id := r.Context(), r.PathValue("id")
	if err := p.DB.Read(ctx, func(tx *db.Tx) (err error) {
		if v.Endpoint, err = p.Hooks.Get(ctx, tx, id, ""); err != nil {
			return err
		}
		v.waiting, err = p.Hooks.Waiting(ctx, tx, id)
		return err
	}); err != nil {
		return nil, err
	}
	var states []ui.Choice
	for _, s := range []string{"pending", "done", "skipped"} {
		states = append(states, ui.Choice{Value: s, Word: say(ctx, "ds."+s)})
	}
	return &frame.List{
		Menu: "/webhooks", Need: access.SeeAPI, Title: v.Name, Under: v.URL, Above: hookAbove(v), Acts: hookActs(v),
		Grid: ui.Grid{
			Name: "deliveries", Path: "/webhooks/" + id, Caption: say(ctx, "deliveries"), Why: say(ctx, "deliveries_none"), Do: say(ctx, "deliveries_none_do"),
			Columns: []ui.Column{
				{Key: "event", Word: say(ctx, "delivery_event")}, {Key: "type", Word: say(ctx, "delivery_type")}, {Key: "state", Word: say(ctx, "delivery_state")},
				{Key: "tries", Word: say(ctx, "delivery_tries"), Num: true}, {Key: "code", Word: say(ctx, "delivery_code"), Num: true},
				{Key: "tried", Word: say(ctx, "delivery_tried")}, {Key: "due", Word: say(ctx, "delivery_due")}, {Key: "error", Word: say(ctx, "delivery_error"), Wide: true},
			},
			Filters: []ui.Filter{{Key: "state", Word: say(ctx, "delivery_state"), Choices: states}},
		},
		Rows: func(ctx context.Context, a ui.Ask) (ui.Rows, error) { return p.deliveryRows(ctx, v, a) },
	}, nil
}

func (p *pages) deliveryRows(ctx context.Context, v *hookView, a ui.Ask) (ui.Rows, error) {
	var list []webhook.Delivery
	err := p.DB.Read(ctx, func(tx *db.Tx) (err error) {
		list, err = p.Hooks.Deliveries(ctx, tx, v.ID, a.Filter["state"], db.Span(a.Span))
		return err
	})
	return frame.Lines(list, a, func(d webhook.Delivery) string { return strconv.FormatInt(d.Leaf, 10) }, func(d webhook.Delivery) ui.Row {
		code, due := "", ui.Text("")
		if d.Code != 0 {
			code = strconv.Itoa(d.Code)
		}
		if d.State == "pending" && d.Tries > 0 { // one that was not tried yet waits for those before it
			due = moment(ctx, d.Due)
		}
		row := ui.Row{Cells: []ui.Cell{ui.Text(webhook.MessageID(d.Leaf)), ui.Text(d.Type), ui.State(stateTone(d.State), say(ctx, "ds."+d.State)),
			ui.Text(strconv.Itoa(d.Tries)), ui.Text(code), moment(ctx, d.Tried), due, ui.Text(d.Error)}}
		if v.may {
			row.Acts = deliveryActs(d)
		}
		return row
	}), err
}

func (p *pages) hookState(to webhook.State) frame.Page {
	return func(w http.ResponseWriter, r *http.Request) error {
		return p.write(w, r, "/webhooks/"+r.PathValue("id"), func(ctx context.Context, tx *db.Tx, id, me string) error {
			return p.Hooks.SetState(ctx, tx, id, "", to, me)
		})
	}
}

// write does one thing to a subscription and leads on.
func (p *pages) write(w http.ResponseWriter, r *http.Request, next string, fn func(ctx context.Context, tx *db.Tx, id, me string) error) error {
	ctx := r.Context()
	if err := p.DB.Write(ctx, func(tx *db.Tx) error {
		tx.AfterCommit(p.Hooks.Wake)
		return fn(ctx, tx, r.PathValue("id"), frame.Who(ctx).ID)
	}); err != nil {
		return err
	}
	return p.Frame.Done(w, r, next, "flash.done")
}

func (p *pages) hookRotate(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), r.PathValue("id")
	var e webhook.Endpoint
	var secret string
	if err := p.DB.Write(ctx, func(tx *db.Tx) (err error) {
		if e, err = p.Hooks.Get(ctx, tx, id, ""); err != nil {
			return err
		}
		secret, err = p.Hooks.Rotate(ctx, tx, id, "", frame.Who(ctx).ID)
		return err
	}); err != nil {
		return err
	}
	return p.Frame.Show(w, r, frame.Sheet{Title: e.Name, Menu: "/webhooks", Body: secretPage(&e, secret), Status: http.StatusCreated})
}

func (p *pages) hookTest(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	code, problem, err := p.Hooks.Test(ctx, r.PathValue("id"), "")
	if err != nil {
		return err
	}
	v := &hookView{test: say(ctx, "hook_tested", code), testOK: problem == ""}
	if !v.testOK {
		v.test = say(ctx, "hook_test_failed", problem)
	}
	r.Method = http.MethodGet // the page itself, with the result above it
	return p.showHook(w, r, v)
}

var errFrom = errs.New(errs.Invalid, "replay_from", "请填写从什么时刻起重放，如 2026-11-24T09:00。", "Say from when to replay, such as 2026-11-24T09:00.")

func (p *pages) hookReplay(w http.ResponseWriter, r *http.Request) error {
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	from, err := time.ParseInLocation("2006-01-02T15:04", f.Get("from"), httpx.From(r.Context()).Zone)
	if err != nil {
		return errFrom.With(err)
	}
	return p.write(w, r, "/webhooks/"+r.PathValue("id"), func(ctx context.Context, tx *db.Tx, id, me string) error {
		_, err := p.Hooks.Replay(ctx, tx, id, "", from, me)
		return err
	})
}

func (p *pages) hookDelete(w http.ResponseWriter, r *http.Request) error {
	return p.write(w, r, "/webhooks", func(ctx context.Context, tx *db.Tx, id, me string) error {
		return p.Hooks.Delete(ctx, tx, id, "", me)
	})
}

func (p *pages) mark(do func(s *webhook.Store, ctx context.Context, tx *db.Tx, id contact.ID, client string, leaf int64, by string) error) frame.Page {
	return func(w http.ResponseWriter, r *http.Request) error {
		leaf, err := strconv.ParseInt(r.PathValue("leaf"), 10, 64)
		if err != nil {
			return errors.Join(webhook.ErrDelivery, err)
		}
		return p.write(w, r, "/webhooks/"+r.PathValue("id"), func(ctx context.Context, tx *db.Tx, id, me string) error {
			return do(p.Hooks.Store, ctx, tx, id, "", leaf, me)
		})
	}
}

func deliveryPath(d webhook.Delivery) string {
	return "/webhooks/" + d.Endpoint + "/deliveries/" + strconv.FormatInt(d.Leaf, 10)
}
