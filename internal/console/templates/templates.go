// Package templates is the staff's pages of what customers are told in writing:
// which letters there are, what they say, how a wording is changed, looked at
// with an example or a real case, and put to a second person.
package templates

import (
	"context"
	_ "embed"
	"net/http"
	"slices"
	"strconv"
	"time"

	"parley/internal/access"
	"parley/internal/approval"
	"parley/internal/complaint"
	"parley/internal/console/frame"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/httpx"
	"parley/internal/httpx/words"
	"parley/internal/mask"
	"parley/internal/party"
	"parley/internal/template"
)

//go:embed words.yaml
var wordsFile []byte

var book = words.NewBook("templates", wordsFile)

func say(ctx context.Context, key string, args ...any) string { return book.Say(ctx, key, args...) }

func in(ctx context.Context, w template.Words) string { return w.In(string(words.From(ctx))) }

// Deps are the rooms behind the pages.
type Deps struct {
	Frame     *frame.Frame
	DB        *db.DB
	Templates *template.Store
	Approvals *approval.Store
	Desk      *complaint.Desk
	Parties   *party.Store
}

type pages struct{ Deps }

// Routes gives the pages.
func Routes(d Deps) []frame.Route {
	p := &pages{d}
	return []frame.Route{
		frame.To("GET /templates", access.SeeTemplates, p.list),
		frame.To("GET /templates/{id}", access.SeeTemplates, p.show),
		frame.To("GET /templates/edit", access.EditTemplate, p.edit),
		frame.To("POST /templates/edit", access.EditTemplate, p.save),
		frame.To("POST /templates/check", access.EditTemplate, p.check),
		frame.To("GET /templates/versions/{id}", access.SeeTemplates, p.version),
		frame.To("POST /templates/versions/{id}/submit", access.EditTemplate, p.submit),
		frame.To("POST /templates/versions/{id}/drop", access.EditTemplate, p.drop),
		frame.To("POST /templates/versions/{id}/restore", access.EditTemplate, p.restore),
	}
}

const menu = "/templates"

func (p *pages) list(w http.ResponseWriter, r *http.Request) error {
	shelves, err := p.Templates.Shelves(r.Context())
	if err != nil {
		return err
	}
	return p.Frame.Show(w, r, frame.Sheet{Title: say(r.Context(), "title"), Menu: menu, Body: listPage(shelves)})
}

// leaf is one version of a template, looked at.
type leaf struct {
	*template.Shelf
	v       *template.Version // what is shown
	before  *template.Version // what it is compared with; nil = nothing
	list    []*template.Version
	more    int // the version to list older ones below; 0 = there are none
	waiting contact.ID
	look    look
	form    *httpx.Form
	name    func(string) string
	edit    bool // the reader may write
}

const versionsShown = 12

// show gives the version in force, or an older one by its number.
func (p *pages) show(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	sh, err := p.Templates.Shelf(ctx, r.PathValue("id"))
	if err != nil {
		return err
	}
	v := sh.InForce
	if n, err := strconv.Atoi(r.URL.Query().Get("v")); err == nil {
		if v, err = p.numbered(ctx, sh.ID, n); err != nil {
			return err
		}
	}
	return p.leaf(w, r, sh, v, &httpx.Form{})
}

func (p *pages) numbered(ctx context.Context, id string, n int) (v *template.Version, err error) {
	err = p.DB.Read(ctx, func(tx *db.Tx) error {
		v, err = p.Templates.Numbered(ctx, tx, id, n)
		return err
	})
	return v, err
}

// version gives a version by its id: a draft, what waits, or on to its page.
func (p *pages) version(w http.ResponseWriter, r *http.Request) error {
	return p.showVersion(w, r, &httpx.Form{})
}

func (p *pages) showVersion(w http.ResponseWriter, r *http.Request, form *httpx.Form) error {
	v, err := p.Templates.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	switch v.State {
	case template.Approved:
		httpx.Go(w, r, "/templates/"+v.Template+"?v="+strconv.Itoa(v.Number))
		return nil
	case template.Dropped:
		httpx.Go(w, r, "/templates/"+v.Template)
		return nil
	}
	sh, err := p.Templates.Shelf(r.Context(), v.Template)
	if err != nil {
		return err
	}
	return p.leaf(w, r, sh, v, form)
}

func (p *pages) leaf(w http.ResponseWriter, r *http.Request, sh *template.Shelf, v *template.Version, form *httpx.Form) error {
	ctx, q := r.Context(), r.URL.Query()
	l := &leaf{Shelf: sh, v: v, form: form, edit: frame.May(ctx, access.EditTemplate), name: func(id string) string { return p.Frame.Name(ctx, id) }}
	var err error
	switch {
	case v.Number == 0:
		l.before = sh.InForce
	case v.Number > 1:
		if l.before, err = p.numbered(ctx, sh.ID, v.Number-1); err != nil {
			return err
		}
	}
	below, _ := strconv.Atoi(q.Get("below"))
	if l.list, err = p.Templates.History(ctx, sh.ID, below, versionsShown); err != nil {
		return err
	}
	if n := len(l.list); n == versionsShown && l.list[n-1].Number > 1 {
		l.more = l.list[n-1].Number
	}
	if v.State == template.Submitted {
		if err := p.DB.Read(ctx, func(tx *db.Tx) error {
			a, err := p.Approvals.Waiting(ctx, tx, template.ApprovalKind, v.ID)
			if a != nil {
				l.waiting = a.ID
			}
			return err
		}); err != nil {
			return err
		}
	}
	sample, _ := strconv.Atoi(q.Get("sample"))
	if l.look, err = p.look(ctx, sh.Form, &v.Texts, sample, q.Get("case")); err != nil {
		return err
	}
	status := http.StatusOK
	if !form.OK() {
		status = http.StatusUnprocessableEntity
	}
	return p.Frame.Show(w, r, frame.Sheet{Title: in(ctx, sh.Title), Menu: menu, Status: status, Body: leafPage(l)})
}

// look is a wording written out, as a customer would read it.
type look struct {
	sample int
	number string // of the real case it is written for; "" = an example
	masked bool
	wrong  string // why there is nothing to see
	texts  []written
}

type written struct{ lang, subject, text string }

// look writes a wording out with an example, or with a real case for those who
// may see cases. Numbers and the customer's name are masked: a wording is judged
// without them.
func (p *pages) look(ctx context.Context, f *template.Form, t *template.Texts, sample int, number string) (look, error) {
	k := look{sample: min(max(sample, 0), len(f.Samples)-1)}
	zh, en := f.Example(k.sample, "zh"), f.Example(k.sample, "en")
	hide := func(s string) string { return s }
	if number != "" && frame.May(ctx, access.SeeComplaints) {
		k.number, k.masked = number, true
		c, z, e, err := p.Desk.Sample(ctx, number, f.ID)
		if x := errs.Public(err); err != nil && x.Kind == errs.NotFound {
			k.wrong = words.Pick(ctx, x.Zh, x.En)
			return k, nil
		}
		if err != nil {
			return k, err
		}
		names, err := p.names(ctx, c)
		if err != nil {
			return k, err
		}
		zh, en, hide = z, e, func(s string) string { return mask.Text(s, names...) }
	}
	for _, x := range []struct {
		lang string
		v    template.Values
	}{{"zh", zh}, {"en", en}} {
		subject, text, err := t.Fill(x.lang, x.v)
		if err != nil { // a draft that does not fit any more: Check says where
			k.wrong = say(ctx, "look_hole")
			return k, nil //nolint:nilerr // as above
		}
		k.texts = append(k.texts, written{x.lang, hide(subject), hide(text)})
	}
	return k, nil
}

// names gives the customer's name, to be hidden.
func (p *pages) names(ctx context.Context, c *complaint.Case) ([]string, error) {
	if c.Party == "" {
		return nil, nil
	}
	var out []string
	err := p.DB.Read(ctx, func(tx *db.Tx) error {
		who, err := p.Parties.Get(ctx, tx, c.Party)
		if err != nil {
			if errs.Public(err).Kind == errs.NotFound { // erased
				return nil
			}
			return err
		}
		out = []string{who.Name}
		return nil
	})
	return out, err
}

// localTime is how a form's date and time field writes an instant.
const localTime = "2006-01-02T15:04"

func (p *pages) submit(w http.ResponseWriter, r *http.Request) error {
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	why := f.Text("why", 500)
	var from time.Time
	if at := f.Maybe("from", 16); at != "" {
		if from, err = time.ParseInLocation(localTime, at, httpx.From(ctx).Zone); err != nil {
			f.Wrong("from", "form.not_a_date")
		}
	}
	if f.OK() {
		_, err = p.Templates.Submit(ctx, r.PathValue("id"), frame.Who(ctx).ID, from, why)
		if err == nil {
			return p.Frame.Done(w, r, "/templates/versions/"+r.PathValue("id"), "flash.done")
		}
		e := errs.Public(err)
		if e.Kind != errs.Invalid {
			return err
		}
		f.Notice = words.Pick(ctx, e.Zh, e.En)
	}
	return p.showVersion(w, r, f)
}

func (p *pages) drop(w http.ResponseWriter, r *http.Request) error {
	v, err := p.Templates.Drop(r.Context(), r.PathValue("id"), frame.Who(r.Context()).ID)
	if err != nil {
		return err
	}
	return p.Frame.Done(w, r, "/templates/"+v.Template, "flash.done")
}

func (p *pages) restore(w http.ResponseWriter, r *http.Request) error {
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	v, err := p.Templates.Restore(r.Context(), r.PathValue("id"), frame.Who(r.Context()).ID, f.Get("reason"))
	if err != nil {
		return err
	}
	return p.Frame.Done(w, r, "/templates/versions/"+v.ID, "flash.done")
}

// sheet is the editor's form.
type sheet struct {
	*template.Form
	texts template.Texts
	seen  string // hash of the draft it was opened with
	draft bool   // there is a draft
	wrong string
	check checked
}

// checked is what is wrong with a wording, and how it reads.
type checked struct {
	problems []template.Problem
	texts    template.Texts
	look     look
}

func (p *pages) edit(w http.ResponseWriter, r *http.Request) error {
	sh, err := p.Templates.Shelf(r.Context(), r.URL.Query().Get("id"))
	if err != nil {
		return err
	}
	s := &sheet{Form: sh.Form, texts: sh.InForce.Texts}
	switch {
	case sh.Open != nil && sh.Open.State != template.Draft:
		httpx.Go(w, r, "/templates/versions/"+sh.Open.ID)
		return nil
	case sh.Open != nil:
		s.texts, s.seen, s.draft = sh.Open.Texts, sh.Open.Sum, true
	case r.URL.Query().Get("from") == "shipped":
		s.texts = sh.Shipped
	}
	return p.editor(w, r, s, 0)
}

func (p *pages) editor(w http.ResponseWriter, r *http.Request, s *sheet, status int) (err error) {
	ctx := r.Context()
	if s.check, err = p.checked(ctx, s, 0); err != nil {
		return err
	}
	return p.Frame.Show(w, r, frame.Sheet{Title: say(ctx, "edit_title", in(ctx, s.Title)), Menu: menu, Status: status, Body: editPage(s)})
}

func (p *pages) checked(ctx context.Context, s *sheet, sample int) (c checked, err error) {
	c = checked{problems: s.Check(&s.texts), texts: s.texts}
	if len(c.problems) == 0 {
		c.look, err = p.look(ctx, s.Form, &s.texts, sample, "")
	}
	return c, err
}

// read takes the editor's form.
func read(w http.ResponseWriter, r *http.Request) (*sheet, *httpx.Form, error) {
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return nil, nil, err
	}
	form, err := template.FormOf(f.Get("id"))
	if err != nil {
		return nil, nil, err
	}
	s := &sheet{Form: form, seen: f.Get("seen"), draft: f.Get("seen") != ""}
	for lang, t := range map[string]*template.Text{"zh": &s.texts.Zh, "en": &s.texts.En} {
		t.Subject, t.Text = f.Get("subject_"+lang), f.Get("text_"+lang)
	}
	s.texts = s.texts.Tidy()
	return s, f, nil
}

// check says what is wrong with a wording and writes it out, while it is written.
func (p *pages) check(w http.ResponseWriter, r *http.Request) error {
	s, f, err := read(w, r)
	if err != nil {
		return err
	}
	if r.Header.Get("HX-Request") == "" {
		return p.editor(w, r, s, 0)
	}
	sample, _ := strconv.Atoi(f.Get("sample"))
	c, err := p.checked(r.Context(), s, sample)
	if err != nil {
		return err
	}
	return p.Frame.Part(w, r, checkedPart(s.Form, c))
}

func (p *pages) save(w http.ResponseWriter, r *http.Request) error {
	s, _, err := read(w, r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	v, err := p.Templates.Save(ctx, s.ID, s.texts, s.seen, frame.Who(ctx).ID)
	if e := errs.Public(err); err != nil && (e.Kind == errs.Invalid || e.Kind == errs.Conflict) {
		s.wrong = words.Pick(ctx, e.Zh, e.En)
		return p.editor(w, r, s, httpx.Status(e.Kind))
	}
	if err != nil {
		return err
	}
	return p.Frame.Done(w, r, "/templates/versions/"+v.ID, "flash.done")
}

// standing names where a version is in the order of versions.
func (l *leaf) standing() string {
	switch {
	case l.v.Number == 0:
		return string(l.v.State)
	case l.v.Number == l.InForce.Number:
		return "in_force"
	case l.v.Number > l.InForce.Number:
		return "scheduled"
	}
	return "past"
}

// quoted gives the line that a problem is about.
func (c checked) quoted(p template.Problem) string {
	lines := slices.Collect(lines(c.texts.In(p.Lang).Text))
	if p.Subject || p.Line < 1 || p.Line > len(lines) {
		return ""
	}
	return lines[p.Line-1]
}
