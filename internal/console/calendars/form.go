package calendars

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"parley/internal/calendar"
	"parley/internal/console/frame"
	"parley/internal/errs"
	"parley/internal/holidays"
	"parley/internal/httpx"
	"parley/internal/httpx/words"
)

// maxRows bounds the rows of the form; a year has seven holidays in China.
const maxRows = 40

// sheet is the form of one year.
type sheet struct {
	doc  *calendar.Calendar
	year int
	rows int
	form *httpx.Form
}

func field(name string, row int) string { return name + strconv.Itoa(row) }

// target reads which calendar and year a form is about.
func (p *pages) target(id, year string) (*sheet, error) {
	doc := p.Holidays.Doc(id)
	n, err := strconv.Atoi(year)
	if doc == nil || err != nil {
		return nil, holidays.ErrNone
	}
	return &sheet{doc: doc, year: n}, nil
}

func (p *pages) form(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	s, err := p.target(r.URL.Query().Get("id"), r.URL.Query().Get("year"))
	if err != nil {
		return err
	}
	n, known := s.doc.Notice(s.year)
	if open, err := p.Holidays.Open(ctx, s.doc.ID(), s.year); err != nil {
		return err
	} else if open != nil {
		n, known = open.Notice, true
	}
	if !known { // begin with last year's names
		last, _ := s.doc.Notice(s.year - 1)
		for _, d := range last.Days {
			n.Days = append(n.Days, calendar.Closing{Name: d.Name})
		}
		n.Source.Instrument = strings.ReplaceAll(first(last.Source.Instrument), strconv.Itoa(s.year-1), strconv.Itoa(s.year))
	}
	s.write(n)
	return p.sheet(w, r, s)
}

// first gives the first of several instruments: a later one only changed days.
func first(instruments string) string {
	a, _, _ := strings.Cut(instruments, "；")
	return a
}

func (p *pages) sheet(w http.ResponseWriter, r *http.Request, s *sheet) error {
	ctx := r.Context()
	status := 0
	if !s.form.OK() {
		status = http.StatusUnprocessableEntity
	}
	return p.Frame.Show(w, r, frame.Sheet{Title: say(ctx, "edit_title", s.doc.ID(), strconv.Itoa(s.year)), Menu: "/calendars", Status: status, Body: formPage(s)})
}

// write fills the form; days off that do not follow each other take rows of
// their own.
func (s *sheet) write(n calendar.Notice) {
	s.form = &httpx.Form{}
	s.form.Set("instrument", n.Source.Instrument).Set("number", n.Source.Number).Set("published", n.Source.Published).Set("link", n.Source.Link)
	if n.Confidence == "" {
		n.Confidence = "P"
	}
	s.form.Set("confidence", n.Confidence)
	put := func(d calendar.Closing, off string, work []string) {
		from, to, ranged := strings.Cut(off, "..")
		if !ranged {
			to = from
		}
		s.form.Set(field("zh", s.rows), d.Name.Zh).Set(field("en", s.rows), d.Name.En).Set(field("from", s.rows), from).Set(field("to", s.rows), to)
		for i, w := range work {
			s.form.Set(field("work"+strconv.Itoa(i+1)+"_", s.rows), w)
		}
		s.rows++
	}
	for _, d := range n.Days {
		off, work := d.Off, d.Work
		for len(off) > 0 || len(work) > 0 || d.Name.Zh != "" && len(d.Off) == 0 && len(d.Work) == 0 {
			o := ""
			if len(off) > 0 {
				o, off = off[0], off[1:]
			}
			k := min(2, len(work))
			put(d, o, work[:k])
			work = work[k:]
			if len(off) == 0 && len(work) == 0 {
				break
			}
		}
	}
	s.rows = min(s.rows+3, maxRows)
}

// read makes the notice that the form describes, and notes what is wrong.
func (s *sheet) read() calendar.Notice {
	f := s.form
	n := calendar.Notice{Year: s.year, Confidence: f.Get("confidence"), Source: calendar.Source{
		Instrument: f.Get("instrument"), Number: f.Get("number"), Published: f.Get("published"), Link: f.Get("link")}}
	if n.Source.Instrument == "" {
		f.Wrong("instrument", "no_instrument")
	}
	if l := n.Source.Link; l != "" && !strings.HasPrefix(l, "https://") && !strings.HasPrefix(l, "http://") {
		f.Wrong("link", "bad_link")
	}
	if !slices.Contains([]string{"P", "S"}, n.Confidence) {
		f.Wrong("confidence", "bad_confidence")
	}
	for i := range s.rows {
		if d, any := s.row(i); any {
			n.Days = append(n.Days, d)
		}
	}
	return n
}

func (s *sheet) row(i int) (d calendar.Closing, any bool) {
	f := s.form
	date := func(name string) string {
		v := f.Get(field(name, i))
		if v == "" {
			return ""
		}
		any = true
		if _, err := calendar.ParseDate(v); err != nil {
			f.Wrong(field(name, i), "bad_date")
			return ""
		}
		return v
	}
	from, to, w1, w2 := date("from"), date("to"), date("work1_"), date("work2_")
	d.Name = calendar.Words{Zh: f.Get(field("zh", i)), En: f.Get(field("en", i))}
	if !any {
		return d, false // a name without dates: not this year
	}
	if d.Name.Zh == "" || d.Name.En == "" {
		f.Wrong(field("zh", i), "no_name")
	}
	switch {
	case from == "" && to != "":
		f.Wrong(field("from", i), "no_from")
	case from != "" && to != "" && to < from:
		f.Wrong(field("to", i), "backwards")
	case from != "" && (to == "" || to == from):
		d.Off = []string{from}
	case from != "":
		d.Off = []string{from + ".." + to}
	}
	for j, w := range []string{w1, w2} {
		if w == "" {
			continue
		}
		if day, err := calendar.ParseDate(w); err == nil && !s.doc.IsWeekend(day) {
			f.Wrong(field("work"+strconv.Itoa(j+1)+"_", i), "not_weekend")
		}
		d.Work = append(d.Work, w)
	}
	return d, true
}

func (p *pages) save(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	s, err := p.target(f.Get("id"), f.Get("year"))
	if err != nil {
		return err
	}
	s.form = f
	s.rows, _ = strconv.Atoi(f.Get("rows"))
	s.rows = min(max(s.rows, 1), maxRows)
	n := s.read()
	if !f.OK() {
		return p.sheet(w, r, s)
	}
	v, err := p.Holidays.Save(ctx, s.doc.ID(), n, frame.Who(ctx).ID)
	if e := (*errs.Error)(nil); errors.As(err, &e) && e.Kind == errs.Invalid {
		f.Notice = sentence(ctx, e)
		return p.sheet(w, r, s)
	}
	if err != nil {
		return err
	}
	httpx.Go(w, r, "/calendars/drafts/"+v.ID)
	return nil
}

func sentence(ctx context.Context, e *errs.Error) string {
	if words.From(ctx) == words.Zh {
		return e.Zh
	}
	return e.En
}
