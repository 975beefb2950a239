package rules

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"parley/internal/access"
	"parley/internal/approval"
	"parley/internal/console/frame"
	"parley/internal/errs"
	"parley/internal/gate"
	"parley/internal/httpx"
	"parley/internal/httpx/errand"
	"parley/internal/httpx/ui"
	"parley/internal/httpx/words"
	"parley/internal/policy"
	"parley/internal/rulebook"
)

// shelf is the editions there are, and when which judged.
type shelf struct {
	list  []*rulebook.Edition
	times []rulebook.Activation
	more  string // the edition the next page goes on after
	now   time.Time
	name  func(string) string
	form  *httpx.Form
	edit  bool
}

const shelfSize = 30

func (p *pages) editions(w http.ResponseWriter, r *http.Request) error {
	return p.showShelf(w, r, &httpx.Form{})
}

func (p *pages) showShelf(w http.ResponseWriter, r *http.Request, form *httpx.Form) error {
	ctx := r.Context()
	s := shelf{now: httpx.From(ctx).Now, name: func(id string) string { return p.Frame.Name(ctx, id) }, form: form, edit: frame.May(ctx, access.EditRules)}
	var err error
	if s.list, err = p.Rulebook.List(ctx, r.URL.Query().Get("after"), shelfSize+1); err != nil {
		return err
	}
	if len(s.list) > shelfSize {
		s.list = s.list[:shelfSize]
		s.more = s.list[shelfSize-1].ID
	}
	if s.times, err = p.Rulebook.Activations(ctx); err != nil {
		return err
	}
	status := http.StatusOK
	if !form.OK() {
		status = http.StatusUnprocessableEntity
	}
	return p.Frame.Show(w, r, frame.Sheet{Title: say(ctx, "editions"), Menu: "/rules", Status: status, Body: shelfPage(&s)})
}

// standing says in a word where an edition stands: on its way, or, once it was
// approved, what its latest activation makes of it.
func standing(ctx context.Context, e *rulebook.Edition, times []rulebook.Activation, now time.Time) (ui.Tone, string) {
	switch e.State {
	case rulebook.Draft:
		return ui.Info, say(ctx, "st.draft")
	case rulebook.Submitted:
		return ui.Wait, say(ctx, "st.submitted")
	case rulebook.Dropped:
		return ui.Over, say(ctx, "st.dropped")
	}
	for i, a := range times { // the latest first
		switch {
		case a.Edition != e.ID:
		case a.From.After(now):
			return ui.Wait, say(ctx, "st.scheduled")
		case i == slices.IndexFunc(times, func(x rulebook.Activation) bool { return !x.From.After(now) }):
			return ui.Live, say(ctx, "st.in_force")
		default:
			return ui.Over, say(ctx, "st.superseded")
		}
	}
	return ui.Over, say(ctx, "st.superseded")
}

// draft starts one, of an edition, of the packs that ship, or to change one rule.
func (p *pages) draft(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	title, base := f.Text("title", 80), f.Maybe("base", 40)
	if !f.OK() {
		return p.showShelf(w, r, f)
	}
	by := frame.Who(ctx).ID
	e, err := p.Rulebook.Draft(ctx, base, title, by)
	if err != nil {
		return err
	}
	if f.Get("shipped") != "" {
		files, err := p.Shipped()
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(files)) {
			if _, err := p.Rulebook.Put(ctx, e.ID, name, files[name], by); err != nil {
				return err
			}
		}
	}
	to := "/rules/editions/" + e.ID
	if rule := f.Get("rule"); rule != "" {
		if ru := p.Gate.Policy().Rule(rule); ru != nil {
			to += "?file=" + ru.Pack.File
		}
	}
	return p.Frame.Done(w, r, to, "flash.done")
}

// workshop is one edition as its page shows it.
type workshop struct {
	*rulebook.Edition
	files   rulebook.Files
	names   []string
	file    string // shown
	base    rulebook.Files
	fault   string          // why its files are no rules
	changes []policy.Change // against the rules in force
	times   []rulebook.Activation
	waiting *approval.Request
	running errand.State[struct{}]
	name    func(string) string
	where   func(id string) string // a campaign's name
	now     time.Time
	form    *httpx.Form
	edit    bool // the reader may change it
	back    bool // it can be gone back to
}

func (p *pages) edition(w http.ResponseWriter, r *http.Request) error {
	return p.showEdition(w, r, &httpx.Form{})
}

func (p *pages) showEdition(w http.ResponseWriter, r *http.Request, form *httpx.Form) error {
	ctx, id := r.Context(), r.PathValue("id")
	running := p.replays.Of(id) // before the edition is read: a replay that ends in between is seen running, and asked for again
	e, err := p.Rulebook.Get(ctx, id)
	if err != nil {
		return err
	}
	v := &workshop{Edition: e, running: running, now: httpx.From(ctx).Now, form: form, file: r.FormValue("file"),
		name:  func(id string) string { return p.Frame.Name(ctx, id) },
		where: func(id string) string { return p.Campaign(ctx, id) }}
	if v.files, err = p.Rulebook.Files(ctx, id); err != nil {
		return err
	}
	v.names = slices.Sorted(maps.Keys(v.files))
	if _, ok := v.files[v.file]; !ok {
		v.file = v.names[0]
	}
	if set, err := p.Rulebook.Compose(v.files, e.Uses); err != nil {
		v.fault = sentence(ctx, err)
	} else {
		v.changes = policy.Changes(p.Gate.Policy(), set, lang(ctx))
	}
	if v.times, err = p.Rulebook.Activations(ctx); err != nil {
		return err
	}
	var current string
	if v.base, err = p.inForce(ctx, &current); err != nil {
		return err
	}
	if v.waiting, err = p.waiting(ctx, id); err != nil {
		return err
	}
	may := frame.May(ctx, access.EditRules)
	v.edit = may && e.State == rulebook.Draft
	v.back = may && e.State == rulebook.Approved && current != id && v.waiting == nil &&
		slices.ContainsFunc(v.times, func(a rulebook.Activation) bool { return a.Edition == id && !a.From.After(v.now) })
	status := http.StatusOK
	if !form.OK() {
		status = http.StatusUnprocessableEntity
	}
	return p.Frame.Show(w, r, frame.Sheet{Title: e.Title, Menu: "/rules", Charts: true, Status: status, Body: editionPage(v)})
}

func (p *pages) waiting(ctx context.Context, id string) (*approval.Request, error) {
	all, err := p.Approvals.About(ctx, rulebook.ApprovalKind, id)
	for _, r := range slices.Backward(all) {
		if r.State == approval.Pending {
			return r, err
		}
	}
	return nil, err
}

// sentence gives a refusal in the reader's language.
func sentence(ctx context.Context, err error) string {
	var e *errs.Error
	if errors.As(err, &e) {
		return words.Pick(ctx, e.Zh, e.En)
	}
	return err.Error()
}

// act runs a step on an edition: on to its page when it was done, or the page
// again with the refusal, nothing typed lost.
func (p *pages) act(w http.ResponseWriter, r *http.Request, step func(ctx context.Context, id, by string, f *httpx.Form) error) error {
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	err = step(r.Context(), r.PathValue("id"), frame.Who(r.Context()).ID, f)
	if err == nil && f.OK() {
		to := "/rules/editions/" + r.PathValue("id")
		if file := f.Get("file"); file != "" {
			to += "?file=" + file
		}
		return p.Frame.Done(w, r, to, "flash.done")
	}
	if e, ok := refused(err); ok {
		f.Notice = words.Pick(r.Context(), e.Zh, e.En)
	} else if err != nil {
		return err
	}
	return p.showEdition(w, r, f)
}

func (p *pages) put(w http.ResponseWriter, r *http.Request) error {
	return p.act(w, r, func(ctx context.Context, id, by string, f *httpx.Form) error {
		_, err := p.Rulebook.Put(ctx, id, f.Get("file"), strings.ReplaceAll(f.Get("body"), "\r\n", "\n")+"\n", by)
		return err
	})
}

func (p *pages) test(w http.ResponseWriter, r *http.Request) error {
	return p.act(w, r, func(ctx context.Context, id, by string, _ *httpx.Form) error {
		_, err := p.Rulebook.Test(ctx, id, by, lang(ctx))
		return err
	})
}

func (p *pages) drop(w http.ResponseWriter, r *http.Request) error {
	return p.act(w, r, func(ctx context.Context, id, by string, _ *httpx.Form) error {
		_, err := p.Rulebook.Drop(ctx, id, by)
		return err
	})
}

func (p *pages) rollback(w http.ResponseWriter, r *http.Request) error {
	return p.act(w, r, func(ctx context.Context, id, by string, f *httpx.Form) error {
		why := f.Text("reason", 500)
		if !f.OK() {
			return nil
		}
		_, err := p.Rulebook.Rollback(ctx, id, by, why)
		return err
	})
}

// localTime is how a form's date and time field writes an instant.
const localTime = "2006-01-02T15:04"

func (p *pages) submit(w http.ResponseWriter, r *http.Request) error {
	return p.act(w, r, func(ctx context.Context, id, by string, f *httpx.Form) error {
		why := f.Text("why", 500)
		var from time.Time
		if at := f.Maybe("from", 16); at != "" {
			var err error
			if from, err = time.ParseInLocation(localTime, at, httpx.From(ctx).Zone); err != nil {
				f.Wrong("from", "form.not_a_date")
			}
		}
		if !f.OK() {
			return nil
		}
		_, err := p.Rulebook.Submit(ctx, id, by, from, why)
		return err
	})
}

func (p *pages) replay(w http.ResponseWriter, r *http.Request) error {
	return p.act(w, r, func(ctx context.Context, id, by string, f *httpx.Form) error {
		zone := httpx.From(ctx).Zone
		var since time.Time
		if at := f.Maybe("since", 10); at != "" {
			var err error
			if since, err = time.ParseInLocation(time.DateOnly, at, zone); err != nil {
				f.Wrong("since", "form.not_a_date")
				return nil //nolint:nilerr // the form says it
			}
		}
		p.replays.Begin(ctx, id, by, func(ctx context.Context, report func(done, about int64)) (struct{}, error) {
			_, err := p.Rulebook.Replay(ctx, id, by, since, time.Time{}, report)
			return struct{}{}, err
		})
		return nil
	})
}

// replayPart is the piece of the page that shows a replay; while one runs, it
// asks for itself again every second.
func (p *pages) replayPart(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), r.PathValue("id")
	e, err := p.Rulebook.Get(ctx, id)
	if err != nil {
		return err
	}
	v := &workshop{Edition: e, running: p.replays.Of(id), name: func(id string) string { return p.Frame.Name(ctx, id) },
		where: func(id string) string { return p.Campaign(ctx, id) }}
	if v.running.Over() {
		w.Header().Set("HX-Refresh", "true") // how far the edition is on its way has changed too
	}
	return p.Frame.Part(w, r, replayBox(v))
}

// moves are a replay's changes by where decisions went, for the plot.
func moves(ctx context.Context, r *gate.Replayed) ui.Plot {
	plot := ui.Plot{Kind: "bar", Unit: say(ctx, "decisions")}
	line := ui.Line{Name: say(ctx, "changed"), Tone: ui.Wait}
	for _, c := range r.Changes[:min(8, len(r.Changes))] {
		plot.Names = append(plot.Names, frame.Effect(ctx, c.From)+" → "+frame.Effect(ctx, c.To)+" "+c.ToBy)
		line.Values = append(line.Values, float64(c.N))
	}
	plot.Lines = []ui.Line{line}
	return plot
}
