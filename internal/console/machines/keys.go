package machines

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"parley/internal/access"
	"parley/internal/apikey"
	"parley/internal/approval"
	"parley/internal/console/frame"
	"parley/internal/db"
	"parley/internal/httpx"
	"parley/internal/httpx/ui"
)

func (p *pages) keys(r *http.Request) (*frame.List, error) {
	ctx := r.Context()
	return &frame.List{
		Menu: "/api-keys", Need: access.SeeAPI, Title: say(ctx, "keys"), Under: say(ctx, "keys_under"), Acts: keysActs(),
		Grid: ui.Grid{
			Name: "apikeys", Path: "/api-keys", Caption: say(ctx, "keys"), Why: say(ctx, "keys_none"), Do: say(ctx, "keys_none_do"),
			Columns: []ui.Column{
				{Key: "name", Word: say(ctx, "key_name")}, {Key: "client", Word: say(ctx, "key_client")}, {Key: "prefix", Word: say(ctx, "key_prefix")},
				{Key: "state", Word: say(ctx, "key_state")}, {Key: "used", Word: say(ctx, "key_used")}, {Key: "expires", Word: say(ctx, "key_expires")},
				{Key: "scopes", Word: say(ctx, "key_scopes"), Wide: true}, {Key: "made", Word: say(ctx, "key_made"), Off: true},
				{Key: "by", Word: say(ctx, "key_made_by"), Off: true},
			},
		},
		Rows: p.keyRows,
	}, nil
}

func (p *pages) keyRows(ctx context.Context, a ui.Ask) (ui.Rows, error) {
	list, err := p.Keys.List(ctx, db.Span(a.Span))
	if err != nil {
		return ui.Rows{}, err
	}
	now := httpx.From(ctx).Now
	return frame.Lines(list, a, func(k apikey.Key) string { return k.ID }, func(k apikey.Key) ui.Row {
		used := ui.Text(say(ctx, "key_never"))
		if !k.UsedAt.IsZero() {
			used = ui.Moment(ctx, k.UsedAt)
		}
		return ui.Row{Href: "/api-keys/" + k.ID, Cells: []ui.Cell{
			ui.Text(k.Name), ui.Text(k.Client), ui.View(k.Prefix, code("parley_"+k.Prefix+"_…")), ui.State(stateTone(k.State(now)), say(ctx, "st."+k.State(now))),
			used, ui.Moment(ctx, k.Expires), ui.View(scopeList(k.Scopes), tags(k.Scopes)), ui.Moment(ctx, k.MadeAt), ui.Text(p.Frame.Name(ctx, k.MadeBy)),
		}}
	}), nil
}

func scopeList(ss []apikey.Scope) string {
	names := make([]string, len(ss))
	for i, s := range ss {
		names[i] = string(s)
	}
	return strings.Join(names, " ")
}

func (p *pages) keyForm(w http.ResponseWriter, r *http.Request) error {
	f := &httpx.Form{}
	f.Set("days", "90").Set("scopes", string(apikey.GateUse)+","+string(apikey.GateRead))
	return p.showKeyForm(w, r, f, http.StatusOK)
}

func (p *pages) showKeyForm(w http.ResponseWriter, r *http.Request, f *httpx.Form, status int) error {
	return p.Frame.Show(w, r, frame.Sheet{Title: say(r.Context(), "key_new"), Menu: "/api-keys", Body: keyForm(f), Status: status})
}

// keyMake makes a key and shows it, on the answer to the form and nowhere else.
func (p *pages) keyMake(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	k := apikey.Key{Name: f.Text("name", 60), Client: f.Text("client", 32)}
	for s := range strings.SplitSeq(f.Get("scopes"), ",") {
		if s != "" {
			k.Scopes = append(k.Scopes, apikey.Scope(s))
		}
	}
	k.Expires = httpx.From(ctx).Now.Add(time.Duration(f.Int("days", 1, 366)) * 24 * time.Hour)
	if f.Get("rate") != "" {
		k.Rate = f.Int("rate", 1, 100_000)
	}
	reason := f.Maybe("reason", 400)
	if !f.OK() {
		return p.showKeyForm(w, r, f, http.StatusUnprocessableEntity)
	}
	var token string
	err = p.DB.Write(ctx, func(tx *db.Tx) (err error) {
		me := frame.Who(ctx).ID
		if k, token, err = p.Keys.CreateIn(ctx, tx, k, me); err != nil || !k.Wide() {
			return err
		}
		_, err = p.Approvals.Ask(ctx, tx, approval.Ask{Kind: KeyKind, Subject: k.ID, Title: k.Client + " " + k.Prefix,
			After: describe(&k), Reason: reason, By: me})
		return err
	})
	if err != nil {
		if status, ok := refused(ctx, f, err); ok {
			return p.showKeyForm(w, r, f, status)
		}
		return err
	}
	return p.Frame.Show(w, r, frame.Sheet{Title: k.Name, Menu: "/api-keys", Body: keyMade(&k, token, p.URL), Status: http.StatusCreated})
}

// describe is what an approver reads about a key.
func describe(k *apikey.Key) string {
	var b strings.Builder
	fmt.Fprintf(&b, "name: %s\nsystem: %s\nexpires: %s\nscopes:\n", k.Name, k.Client, k.Expires.UTC().Format(time.DateOnly))
	for _, s := range k.Scopes {
		mark := ""
		if s.Wide() {
			mark = " ◆"
		}
		fmt.Fprintf(&b, "  - %s%s\n", s, mark)
	}
	return b.String()
}

// keyView is one key as its page shows it.
type keyView struct {
	apikey.Key
	state    string
	name     func(string) string
	approval string // id of the request that waits; empty = none
}

func (p *pages) key(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	k, err := p.Keys.Get(ctx, r.PathValue("id"))
	if err != nil {
		return err
	}
	v := &keyView{Key: k, state: k.State(httpx.From(ctx).Now), name: func(id string) string { return p.Frame.Name(ctx, id) }}
	if v.state == "waiting" {
		if err := p.DB.Read(ctx, func(tx *db.Tx) error {
			ask, err := p.Approvals.Waiting(ctx, tx, KeyKind, k.ID)
			if ask != nil {
				v.approval = ask.ID
			}
			return err
		}); err != nil {
			return err
		}
	}
	return p.Frame.Show(w, r, frame.Sheet{Title: k.Name, Menu: "/api-keys", Body: keyPage(v)})
}

func (p *pages) keyRevoke(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), r.PathValue("id")
	err := p.DB.Write(ctx, func(tx *db.Tx) error {
		me := frame.Who(ctx).ID
		if err := p.Approvals.Supersede(ctx, tx, KeyKind, id, me); err != nil {
			return err
		}
		return p.Keys.RevokeIn(ctx, tx, id, me)
	})
	if err != nil {
		return err
	}
	return p.Frame.Done(w, r, "/api-keys/"+id, "flash.done")
}

// scopeChoices offers every scope, the wide ones marked.
func scopeChoices(ctx context.Context) (out []ui.Choice) {
	for _, s := range apikey.Scopes() {
		out = append(out, ui.Choice{Value: string(s), Word: string(s) + " · " + scopeWord(ctx, s)})
	}
	return out
}

func scopeWord(ctx context.Context, s apikey.Scope) string {
	word := say(ctx, "scope."+string(s))
	if s.Wide() {
		word += " ◆"
	}
	return word
}
