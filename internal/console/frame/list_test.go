package frame

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"parley/internal/access"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/errs"
	"parley/internal/httpx"
	"parley/internal/httpx/ui"
	"parley/internal/ledger"
)

// shelf is a list of things numbered from 1, of which the even ones are blue.
type shelf struct {
	size  int
	fails int // the thing whose page cannot be read
}

func (s shelf) lay(r *http.Request) (*List, error) {
	return &List{
		Need: access.SeeCampaigns, Title: "Things", Menu: "/things",
		Grid: ui.Grid{
			Name: "things", Path: "/things", Caption: "things", Size: 10, Order: "no",
			Columns: []ui.Column{{Key: "no", Word: "No", Num: true, Sort: true}, {Key: "colour", Word: "Colour"}, {Key: "note", Word: "Note", Off: true}},
			Filters: []ui.Filter{{Key: "colour", Word: "Colour", Choices: []ui.Choice{{Value: "blue", Word: "Blue"}}}},
		},
		Rows: s.rows,
	}, nil
}

func (s shelf) rows(_ context.Context, a ui.Ask) (ui.Rows, error) {
	step, at := 1, 0
	if a.Desc != a.Span.Back {
		step, at = -1, s.size+1
	}
	if a.Span.At != "" {
		if _, err := fmt.Sscan(a.Span.At, &at); err != nil {
			return ui.Rows{}, err
		}
	}
	var read []int
	for n := at + step; n >= 1 && n <= s.size && len(read) < db.Span(a.Span).Fetch(); n += step {
		if n == s.fails {
			return ui.Rows{}, errs.New(errs.Busy, "gone", "", "")
		}
		if a.Filter["colour"] == "" || n%2 == 0 {
			read = append(read, n)
		}
	}
	return Lines(read, a, func(n int) string { return fmt.Sprint(n) }, func(n int) ui.Row {
		colour := "red"
		if n%2 == 0 {
			colour = "=blue" // as if somebody had wished to run something
		}
		return ui.Row{Href: fmt.Sprintf("/things/%d", n), Cells: []ui.Cell{ui.Text(httpx.Num(n)), ui.Text(colour), ui.Text("note " + fmt.Sprint(n))}}
	}), nil
}

type listTest struct {
	t     *testing.T
	db    *db.DB
	log   *ledger.Log
	srv   *httptest.Server
	token map[access.Role]string
	cols  string // the cookie of the columns
}

func newListTest(t *testing.T, d *db.DB, s shelf) *listTest {
	t.Helper()
	key, err := ledger.NewKey("bank.example/ledger")
	if err != nil {
		t.Fatal(err)
	}
	lt := &listTest{t: t, db: d, token: map[access.Role]string{}}
	if lt.log, err = ledger.Open(t.Context(), d, ledger.Options{Key: key}); err != nil {
		t.Fatal(err)
	}
	store := access.NewStore(d)
	for _, r := range []access.Role{access.Compliance, access.Approver, access.Admin} {
		st, err := store.AddStaff(t.Context(), access.Staff{Login: string(r), Name: string(r), Roles: []access.Role{r}}, "")
		if err != nil {
			t.Fatal(err)
		}
		if lt.token[r], _, err = store.Enter(t.Context(), st.ID); err != nil {
			t.Fatal(err)
		}
	}
	house := &httpx.House{Clock: d.Now, Log: slog.New(slog.DiscardHandler)}
	f := New(house, store)
	f.DB = d
	mux := http.NewServeMux()
	f.Serve(mux, f.ToList("/things", access.SeeCampaigns, s.lay))
	lt.srv = httptest.NewServer(house.Wrap(mux))
	t.Cleanup(lt.srv.Close)
	return lt
}

func (lt *listTest) ask(who access.Role, method, path string, form url.Values, status int) ([]byte, error) {
	lt.t.Helper()
	r, err := http.NewRequestWithContext(lt.t.Context(), method, lt.srv.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		lt.t.Fatal(err)
	}
	r.Header.Set("Accept-Language", "en")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.AddCookie(&http.Cookie{Name: "parley", Value: lt.token[who]})
	if lt.cols != "" {
		r.AddCookie(&http.Cookie{Name: "cols-things", Value: lt.cols})
	}
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := c.Do(r)
	if err != nil {
		lt.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != status {
		lt.t.Fatalf("%s %s: %d, want %d", method, path, res.StatusCode, status)
	}
	for _, k := range res.Cookies() {
		if k.Name == "cols-things" {
			lt.cols = k.Value
		}
	}
	return io.ReadAll(res.Body)
}

// shown reads the numbers of the rows a page shows, and where its links lead.
func (lt *listTest) shown(path string) (rows []string, prev, next string) {
	lt.t.Helper()
	body, err := lt.ask(access.Compliance, "GET", path, nil, 200)
	if err != nil {
		lt.t.Fatal(err)
	}
	doc, err := html.Parse(strings.NewReader(string(body)))
	if err != nil {
		lt.t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Data != "a" {
			continue
		}
		at := map[string]string{}
		for _, a := range n.Attr {
			at[a.Key] = a.Val
		}
		switch {
		case at["class"] == "row-link":
			rows = append(rows, strings.TrimPrefix(at["href"], "/things/"))
		case at["rel"] == "prev":
			prev = at["href"]
		case at["rel"] == "next":
			next = at["href"]
		}
	}
	return rows, prev, next
}

// Paging by keyset: forward to the end and back to the start, nothing twice,
// nothing left out, in either order and with a filter in the address.
func TestListPagesBothWays(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		lt := newListTest(t, d, shelf{size: 47})
		for start, want := range map[string]int{"/things": 47, "/things?sort=-no": 47, "/things?colour=blue": 23, "/things?colour=blue&sort=-no": 23} {
			var forth, back []string
			at, last := start, ""
			for at != "" {
				rows, _, next := lt.shown(at)
				forth = append(forth, rows...)
				last, at = at, next
			}
			for at = last; at != ""; {
				rows, prev, _ := lt.shown(at)
				back = append(rows, back...)
				at = prev
			}
			if len(forth) != want || strings.Join(forth, " ") != strings.Join(back, " ") {
				t.Errorf("%s: forward %v\nback %v", start, forth, back)
			}
		}
	})
}

func TestColumnsAreRemembered(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		lt := newListTest(t, d, shelf{size: 3})
		page := func() string {
			b, err := lt.ask(access.Compliance, "GET", "/things", nil, 200)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		if strings.Contains(page(), "note 1") {
			t.Error("a column that is off is shown")
		}
		if _, err := lt.ask(access.Compliance, "GET", "/things?columns=keep&show=note&show=evil", nil, 303); err != nil {
			t.Fatal(err)
		}
		if p := page(); !strings.Contains(p, "note 1") || strings.Contains(p, `data-word="Colour"`) {
			t.Error("the chosen columns are not shown, or others are")
		}
	})
}

// Filters that are none of a list's are not passed on; a wrong one holds nothing back.
func TestUnknownFilterValue(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		lt := newListTest(t, d, shelf{size: 4})
		if rows, _, _ := lt.shown("/things?colour=%22%3E%3Cscript%3E&sort=nothing&x=y"); len(rows) != 4 {
			t.Errorf("rows %v", rows)
		}
	})
}

// An export holds exactly what the filter shows, needs the permission beside
// that of the list, and leaves two ledger entries, the second with the file's hash.
func TestExport(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		lt := newListTest(t, d, shelf{size: 2*exportSpan + 7})
		form := url.Values{"format": {"csv"}, "colour": {"blue"}}
		if _, err := lt.ask(access.Approver, "POST", "/things/export", form, 403); err != nil {
			t.Fatal(err)
		}
		if _, err := lt.ask(access.Compliance, "POST", "/things/export", url.Values{"format": {"exe"}}, 422); err != nil {
			t.Fatal(err)
		}
		file, err := lt.ask(access.Compliance, "POST", "/things/export", form, 200)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(file), "\ufeff"))).ReadAll()
		if err != nil || len(rows) != 1+exportSpan+3 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		if rows[1][1] != "'=blue" || rows[exportSpan+3][0] != fmt.Sprint(2*exportSpan+6) || len(rows[1]) != 2 {
			t.Errorf("rows %v … %v", rows[1], rows[exportSpan+3])
		}
		if _, err := lt.log.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
		entries, err := lt.log.Recent(t.Context(), 2)
		if err != nil || len(entries) != 2 {
			t.Fatal(entries, err)
		}
		var done struct {
			Rows   int
			SHA256 string
		}
		sum := sha256.Sum256(file)
		if err := json.Unmarshal(entries[0].Record, &done); err != nil || entries[0].Type != "export.done" || done.Rows != exportSpan+3 || done.SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("%s %s %v", entries[0].Type, entries[0].Record, err)
		}
		if entries[1].Type != "export.began" || !strings.Contains(string(entries[1].Record), `"colour":"blue"`) {
			t.Errorf("%s %s", entries[1].Type, entries[1].Record)
		}
	})
}

// Half a file must not look whole: the connection is torn.
func TestBrokenExportIsTorn(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		lt := newListTest(t, d, shelf{size: 20 * exportSpan, fails: 19 * exportSpan})
		if _, err := lt.ask(access.Compliance, "POST", "/things/export", url.Values{"format": {"csv"}}, 200); err == nil {
			t.Error("a file that broke off looks whole")
		}
	})
}
