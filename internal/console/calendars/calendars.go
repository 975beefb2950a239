// Package calendars is the staff's pages of public holidays and made-up
// workdays: a year as twelve months, the draft of a year, and the versions that
// deadlines are pinned to.
package calendars

import (
	"context"
	_ "embed"
	"net/http"
	"strconv"
	"time"

	"parley/internal/access"
	"parley/internal/approval"
	"parley/internal/calendar"
	"parley/internal/console/frame"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/holidays"
	"parley/internal/httpx"
	"parley/internal/httpx/words"
)

//go:embed words.yaml
var wordsFile []byte

var book = words.NewBook("calendars", wordsFile)

func say(ctx context.Context, key string, args ...any) string { return book.Say(ctx, key, args...) }

func in(ctx context.Context, w calendar.Words) string { return w.In(string(words.From(ctx))) }

// Deps are the rooms behind the pages.
type Deps struct {
	Frame     *frame.Frame
	DB        *db.DB
	Holidays  *holidays.Store
	Approvals *approval.Store
	Own       string // the bank's own calendar, shown first
}

type pages struct{ Deps }

// Routes gives the pages.
func Routes(d Deps) []frame.Route {
	p := &pages{d}
	return []frame.Route{
		frame.To("GET /calendars", access.SeeRules, p.year),
		frame.To("GET /calendars/edit", access.EditRules, p.form),
		frame.To("POST /calendars/edit", access.EditRules, p.save),
		frame.To("GET /calendars/drafts/{id}", access.SeeRules, p.draft),
		frame.To("POST /calendars/drafts/{id}/submit", access.EditRules, p.submit),
		frame.To("POST /calendars/drafts/{id}/drop", access.EditRules, p.drop),
	}
}

// view is a year of a calendar as it is shown.
type view struct {
	all      []*calendar.Calendar
	doc      *calendar.Calendar // what is shown: in force, or as the draft would make it
	force    *calendar.Calendar // in force
	year     int
	prev     int // 0 = none
	next     int
	months   []month
	spans    []span
	versions []*holidays.Version
	open     *holidays.Version // draft of the year shown; nil = none
	isDraft  bool              // doc is the draft's
	request  contact.ID        // of the draft, while it waits
	names    func(string) string
}

type month struct {
	name  string
	weeks [][7]day
}

// day is a cell; N 0 is outside the month.
type day struct {
	n       int
	kind    string // holiday, worked, weekend, plain, unknown
	name    string
	today   bool
	changed bool // the draft says otherwise than what is in force
}

// span is days in a row with one name.
type span struct {
	name     string
	from, to calendar.Date
	worked   bool
}

func (p *pages) year(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	id := r.URL.Query().Get("id")
	if id == "" {
		id = p.Own
	}
	doc := p.Holidays.Doc(id)
	if doc == nil {
		all := p.Holidays.Docs(p.Own)
		if len(all) == 0 || r.URL.Query().Get("id") != "" {
			return holidays.ErrNone
		}
		doc = all[0]
	}
	visit := httpx.From(ctx)
	year := visit.Now.In(visit.Zone).Year()
	if n, err := strconv.Atoi(r.URL.Query().Get("year")); err == nil {
		year = n
	}
	first, last := doc.Years()
	year = min(max(year, first), last+1)
	open, err := p.Holidays.Open(ctx, doc.ID(), year)
	if err != nil {
		return err
	}
	return p.show(w, r, &view{doc: doc, force: doc, year: year, open: open})
}

func (p *pages) draft(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	v, err := p.Holidays.Get(ctx, r.PathValue("id"))
	if err != nil {
		return err
	}
	force := p.Holidays.Doc(v.Calendar)
	if force == nil || v.Year == 0 {
		return holidays.ErrNone
	}
	if v.State != holidays.Draft && v.State != holidays.Submitted {
		httpx.Go(w, r, "/calendars?id="+v.Calendar+"&year="+strconv.Itoa(v.Year))
		return nil
	}
	doc, err := p.Holidays.Try(v.Calendar, v.Notice)
	if err != nil {
		return err
	}
	view := &view{doc: doc, force: force, year: v.Year, open: v, isDraft: true}
	if v.State == holidays.Submitted {
		if err := p.DB.Read(ctx, func(tx *db.Tx) error {
			q, err := p.Approvals.Waiting(ctx, tx, holidays.ApprovalKind, v.ID)
			if q != nil {
				view.request = q.ID
			}
			return err
		}); err != nil {
			return err
		}
	}
	return p.show(w, r, view)
}

func (p *pages) show(w http.ResponseWriter, r *http.Request, v *view) error {
	ctx := r.Context()
	var err error
	if v.versions, err = p.Holidays.History(ctx, v.doc.ID()); err != nil {
		return err
	}
	v.names = func(id string) string { return p.Frame.Name(ctx, id) }
	v.all = p.Holidays.Docs(p.Own)
	first, last := v.doc.Years()
	if v.year > first {
		v.prev = v.year - 1
	}
	if v.year <= last {
		v.next = v.year + 1
	}
	visit := httpx.From(ctx)
	v.fill(ctx, calendar.DateOf(visit.Now, visit.Zone))
	return p.Frame.Show(w, r, frame.Sheet{Title: say(ctx, "title"), Menu: "/calendars", Body: yearPage(v)})
}

// known reports whether the calendar shown has data for the year.
func (v *view) known() bool { return v.doc.Covers(calendar.MakeDate(v.year, 1, 1)) }

// fill lays the year out in months whose weeks begin on Monday.
func (v *view) fill(ctx context.Context, today calendar.Date) {
	for m := time.January; m <= time.December; m++ {
		mo := month{name: say(ctx, "m."+strconv.Itoa(int(m)))}
		var week [7]day
		d := calendar.MakeDate(v.year, m, 1)
		for {
			_, dm, n := d.Split()
			if dm != m {
				break
			}
			at := (int(d.Weekday()) + 6) % 7
			week[at] = v.day(ctx, d, n, today)
			if at == 6 {
				mo.weeks, week = append(mo.weeks, week), [7]day{}
			}
			d = d.Add(1)
		}
		if week != [7]day{} {
			mo.weeks = append(mo.weeks, week)
		}
		v.months = append(v.months, mo)
	}
	for _, d := range v.doc.Marks() {
		if y, _, _ := d.Split(); y != v.year {
			continue
		}
		name, worked := in(ctx, v.doc.Name(d)), v.doc.Mark(d) == calendar.Workday
		if n := len(v.spans); n > 0 && v.spans[n-1].name == name && v.spans[n-1].worked == worked && v.spans[n-1].to.Add(1) == d {
			v.spans[n-1].to = d
			continue
		}
		v.spans = append(v.spans, span{name, d, d, worked})
	}
}

func (v *view) day(ctx context.Context, d calendar.Date, n int, today calendar.Date) day {
	c := day{n: n, kind: "plain", name: in(ctx, v.doc.Name(d)), today: d == today}
	switch {
	case !v.doc.Covers(d):
		c.kind = "unknown"
	case v.doc.Mark(d) == calendar.Holiday:
		c.kind = "holiday"
	case v.doc.Mark(d) == calendar.Workday:
		c.kind = "worked"
	case v.doc.IsWeekend(d):
		c.kind = "weekend"
	}
	c.changed = v.isDraft && (v.doc.Mark(d) != v.force.Mark(d) || v.doc.Covers(d) && !v.force.Covers(d) && c.kind != "plain" && c.kind != "weekend")
	return c
}

// label is what a screen reader says of a marked day.
func (d day) label(ctx context.Context) string {
	if d.kind != "holiday" && d.kind != "worked" {
		return ""
	}
	return say(ctx, "is."+d.kind) + " " + d.name
}

func (p *pages) submit(w http.ResponseWriter, r *http.Request) error {
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	return p.done(w, r, func(ctx context.Context, id contact.ID, by string) (*holidays.Version, error) {
		return p.Holidays.Submit(ctx, id, by, f.Get("reason"))
	})
}

func (p *pages) drop(w http.ResponseWriter, r *http.Request) error {
	return p.done(w, r, p.Holidays.Drop)
}

// done does a step about a draft and shows the year, or the draft as it stands.
func (p *pages) done(w http.ResponseWriter, r *http.Request, step func(context.Context, contact.ID, string) (*holidays.Version, error)) error {
	v, err := step(r.Context(), r.PathValue("id"), frame.Who(r.Context()).ID)
	if err != nil {
		return err
	}
	to := "/calendars/drafts/" + v.ID
	if v.State == holidays.Dropped {
		to = "/calendars?id=" + v.Calendar + "&year=" + strconv.Itoa(v.Year)
	}
	httpx.Go(w, r, to)
	return nil
}
