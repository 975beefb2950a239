package ui

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/a-h/templ"

	"parley/internal/httpx"
	"parley/internal/httpx/words"
)

// Grid is a list of any length: paged by its keyset, its filters and order in
// the address, its columns as the reader chose them. It is made anew for every
// request, in the reader's language.
type Grid struct {
	Name     string // short, unique, of lower-case letters: names the cookie of the columns and the exported file
	Path     string // where the list is; it is exported from Path + "/export"
	Caption  string // what the list holds, for those who do not see the page
	Columns  []Column
	Filters  []Filter
	Order    string // Key of the column the list is in the order of, "-" before it for descending
	Size     int    // rows on a page; 0 = 50
	Exports  bool   // the reader may take the list away
	Why, Do  string // why an empty list is empty, and what to do about it
	Drawered bool   // a row's detail can be looked at beside the list
}

// Column is a column of a Grid. The first one is the thing's name and link.
type Column struct {
	Key  string // names it in addresses, cookies and nowhere else
	Word string
	Num  bool // a number: right-aligned
	Sort bool // the list can be in its order: there is an index
	Off  bool // hidden until chosen
	Wide bool // keeps room for a bar or a sentence
}

// Filter is one condition of the filter bar: a choice or, without Choices, an
// input of Type. Its value stands in the address, so it must never be personal
// data.
type Filter struct {
	Key, Word string
	Choices   []Choice
	Type      string // of an input: text, date, …
	Initial   string // what holds when the address says nothing
	Whole     bool   // a choice without "all": one always holds
}

// Span asks for a page by its keyset; it converts to a db.Span.
type Span struct {
	At   string
	Back bool
	N    int
}

// Ask is what a reader asks of a list.
type Ask struct {
	Filter map[string]string // by Filter.Key; a choice holds only values it offers
	Sort   string            // Key of a sortable column; "" = the list has one order only
	Desc   bool
	Span   Span
	shown  []string // column keys
}

// Filtered reports whether any filter narrows the list.
func (a Ask) Filtered(g *Grid) bool {
	for _, f := range g.Filters {
		if !f.Whole && a.Filter[f.Key] != f.Initial {
			return true
		}
	}
	return false
}

// Rows is one page of a list.
type Rows struct {
	Rows          []Row
	Before, After string // where the pages on both sides go on from; "" = there is none
	Total         string // how many there are in all, in words; "" = not told
}

// Row is one line of a list.
type Row struct {
	Href  string // the thing's own page
	Cells []Cell // one for each of Grid.Columns
	Acts  templ.Component
}

// Cell is what stands in one place of a list: Text is what is exported, and
// shown too unless there is a View.
type Cell struct {
	Text string
	View templ.Component
}

// Text is a cell of plain words.
func Text(s string) Cell { return Cell{Text: s} }

// View is a cell that is shown otherwise than it is exported.
func View(text string, c templ.Component) Cell { return Cell{Text: text, View: c} }

// Moment is a cell of an instant: relative on the page, exact in a file.
func Moment(ctx context.Context, t time.Time) Cell {
	if t.IsZero() {
		return Cell{View: When(t)}
	}
	return Cell{Text: httpx.Exact(ctx, t), View: When(t)}
}

// State is a cell of a badge.
func State(tone Tone, word string) Cell { return Cell{Text: word, View: Badge(tone, word)} }

const (
	gridSize  = 50
	maxFilter = 100 // characters of a filter's value
)

// Read reads what a request asks of the list: from its address or, of an
// export, from its form.
func (g *Grid) Read(r *http.Request) Ask {
	q := r.URL.Query()
	if r.Method == http.MethodPost && r.ParseForm() == nil {
		q = r.PostForm
	}
	a := Ask{Filter: map[string]string{}, Span: Span{N: g.Size}, shown: g.chosen(r)}
	if a.Span.N == 0 {
		a.Span.N = gridSize
	}
	for _, f := range g.Filters {
		a.Filter[f.Key] = f.read(q)
	}
	a.Sort, a.Desc = g.order(q.Get("sort"))
	if a.Span.At = q.Get("after"); a.Span.At == "" && q.Get("before") != "" {
		a.Span.At, a.Span.Back = q.Get("before"), true
	}
	return a
}

func (f *Filter) read(q url.Values) string {
	v := strings.TrimSpace(q.Get(f.Key))
	if !q.Has(f.Key) || utf8.RuneCountInString(v) > maxFilter {
		return f.Initial
	}
	if f.Choices == nil || !f.Whole && v == "" || slices.ContainsFunc(f.Choices, func(c Choice) bool { return c.Value == v }) {
		return v
	}
	return f.Initial
}

// order reads an order, or gives the list's own.
func (g *Grid) order(s string) (key string, desc bool) {
	for _, o := range []string{s, g.Order} {
		key, desc = strings.CutPrefix(o, "-")
		if slices.ContainsFunc(g.Columns, func(c Column) bool { return c.Sort && c.Key == key }) {
			return key, desc
		}
	}
	return "", false
}

// chosen gives the keys of the columns to show: those the reader chose, unless
// none of them is left.
func (g *Grid) chosen(r *http.Request) []string {
	var asked []string
	if c, err := r.Cookie(g.cookie()); err == nil {
		asked = strings.Split(c.Value, ".")
	}
	var own, out []string
	for i, c := range g.Columns {
		if i == 0 || slices.Contains(asked, c.Key) { // the first is the thing itself
			out = append(out, c.Key)
		}
		if i == 0 || !c.Off {
			own = append(own, c.Key)
		}
	}
	if asked == nil {
		return own
	}
	return out
}

func (g *Grid) cookie() string { return "cols-" + g.Name }

// Choose keeps the columns a reader has chosen, when that is what the request
// asks, and sends the reader back to the list; done tells whether it did.
func (g *Grid) Choose(w http.ResponseWriter, r *http.Request) (done bool) {
	q := r.URL.Query()
	if r.Method != http.MethodGet || !q.Has("columns") {
		return false
	}
	var keep []string
	for _, c := range g.Columns {
		if slices.Contains(q["show"], c.Key) {
			keep = append(keep, c.Key)
		}
	}
	age := 365 * 24 * 3600
	if q.Get("columns") == "reset" {
		age = -1
	}
	http.SetCookie(w, httpx.Cookie(httpx.From(r.Context()).House.Secure, g.cookie(), strings.Join(keep, "."), age))
	a := g.Read(r)
	httpx.Go(w, r, g.href(a, nil))
	return true
}

// Shown gives the columns the reader sees, with their place among all.
func (a Ask) Shown(g *Grid) (places []int) {
	for i, c := range g.Columns {
		if slices.Contains(a.shown, c.Key) {
			places = append(places, i)
		}
	}
	return places
}

// Values are the filters and the order as they stand in an address.
func (g *Grid) Values(a Ask) url.Values {
	v := url.Values{}
	for _, f := range g.Filters {
		if a.Filter[f.Key] != f.Initial {
			v.Set(f.Key, a.Filter[f.Key])
		}
	}
	if s := sortWord(a.Sort, a.Desc); s != "" && s != g.Order {
		v.Set("sort", s)
	}
	return v
}

func sortWord(key string, desc bool) string {
	if desc {
		return "-" + key
	}
	return key
}

// href gives the list's address with some parameters changed.
func (g *Grid) href(a Ask, set map[string]string) string {
	v := g.Values(a)
	for k, x := range set {
		if x == "" {
			v.Del(k)
		} else {
			v.Set(k, x)
		}
	}
	if len(v) == 0 {
		return g.Path
	}
	return g.Path + "?" + v.Encode()
}

// sortHref gives the list in the order of the column, the other way round when
// it is in that order already.
func (g *Grid) sortHref(a Ask, c Column) string {
	return g.href(a, map[string]string{"sort": sortWord(c.Key, a.Sort == c.Key && !a.Desc)})
}

// ariaSort tells a reader of the page the order a column is in.
func ariaSort(a Ask, c Column) string {
	switch {
	case !c.Sort || a.Sort != c.Key:
		return "none"
	case a.Desc:
		return "descending"
	default:
		return "ascending"
	}
}

func (f *Filter) choices(ctx context.Context) []Choice {
	if f.Whole {
		return f.Choices
	}
	return append([]Choice{{"", words.T(ctx, "grid.all")}}, f.Choices...)
}

// flat lists the values of a form's hidden fields in order.
func flat(v url.Values) map[string]string {
	out := map[string]string{}
	for k := range v {
		out[k] = v.Get(k)
	}
	return out
}

func (a Ask) shows(key string) bool { return slices.Contains(a.shown, key) }

// trailing reports whether the rows end in a place for acts.
func (g *Grid) trailing(p Rows) bool {
	return g.Drawered || slices.ContainsFunc(p.Rows, func(r Row) bool { return r.Acts != nil })
}
