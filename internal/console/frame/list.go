package frame

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/a-h/templ"

	"parley/internal/access"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/httpx"
	"parley/internal/httpx/sheet"
	"parley/internal/httpx/ui"
	"parley/internal/ledger"
)

// List is a page that lists things of one kind. Every list is searched, paged,
// ordered, narrowed and exported in the same way.
type List struct {
	ui.Grid
	Menu  string            // href of the menu entry it belongs to
	Need  access.Permission // what seeing it needs; exporting it needs access.Export too
	Title string
	Under string
	Acts  templ.Component // what can be done here, beside the title
	Above templ.Component // figures between title and list
	Below templ.Component
	// Rows reads a page. What it gives is masked as the reader may see it.
	Rows func(ctx context.Context, a ui.Ask) (ui.Rows, error)
}

// ToList makes the routes of a list: its page, and its export.
func (f *Frame) ToList(path string, need access.Permission, lay func(r *http.Request) (*List, error)) []Route {
	return []Route{To("GET "+path, need, f.ListPage(lay)), {Pattern: "POST " + path + "/export", Need: need, Also: access.Export, Page: f.ExportPage(lay)}}
}

// ListPage shows the list that make gives for a request.
func (f *Frame) ListPage(lay func(r *http.Request) (*List, error)) Page {
	return func(w http.ResponseWriter, r *http.Request) error {
		l, err := f.lay(r, lay)
		if err != nil || l.Choose(w, r) {
			return err
		}
		a := l.Read(r)
		rows, err := l.Rows(r.Context(), a)
		if err != nil {
			return err
		}
		return f.Show(w, r, Sheet{Title: l.Title, Menu: l.Menu, Body: listPage(l, a, rows)})
	}
}

// ListAgain shows a list after a form beside it was not right, with status.
func (f *Frame) ListAgain(w http.ResponseWriter, r *http.Request, l *List, status int) error {
	l.Exports = May(r.Context(), access.Export)
	a := l.Read(r)
	rows, err := l.Rows(r.Context(), a)
	if err != nil {
		return err
	}
	return f.Show(w, r, Sheet{Title: l.Title, Menu: l.Menu, Status: status, Body: listPage(l, a, rows)})
}

func (f *Frame) lay(r *http.Request, lay func(r *http.Request) (*List, error)) (*List, error) {
	l, err := lay(r)
	if err != nil {
		return nil, err
	}
	l.Exports = May(r.Context(), access.Export)
	if l.Need != "" && !May(r.Context(), l.Need) {
		return nil, ErrRole
	}
	return l, nil
}

// exportSpan is how many rows an export reads at a time, in a transaction of its own.
const exportSpan = 500

// ExportPage sends the list that make gives for a request as a file: what its
// filters show, in the columns the reader chose, masked as on the page. The
// ledger gets an entry before the first byte is sent and another, with the
// file's sha256, after the last.
func (f *Frame) ExportPage(lay func(r *http.Request) (*List, error)) Page {
	return func(w http.ResponseWriter, r *http.Request) error {
		r.Body = http.MaxBytesReader(w, r.Body, 1<<16)
		l, err := f.lay(r, lay)
		if err != nil {
			return err
		}
		ctx, a := r.Context(), l.Read(r)
		format := sheet.Format(r.PostFormValue("format"))
		if format != sheet.CSV && format != sheet.XLSX {
			return errs.New(errs.Invalid, "export_format", "请选择导出格式：CSV 或 XLSX。", "Choose a format for the export: CSV or XLSX.")
		}
		x := &export{f: f, list: l, ask: a, places: a.Shown(&l.Grid), id: contact.NewID(), sum: sha256.New()}
		if err := x.note(ctx, "export.began", map[string]any{"list": l.Name, "format": string(format), "filters": a.Filter, "columns": x.keys()}); err != nil {
			return err
		}
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // a long list takes as long as it takes; not every server can tell
		name := fmt.Sprintf("%s-%s.%s", l.Name, httpx.From(ctx).Now.In(httpx.From(ctx).Zone).Format("20060102-1504"), format)
		w.Header().Set("Content-Type", format.Type())
		w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
		if err := x.send(ctx, format, w); err != nil {
			f.House.BreakOff(ctx, "export", err)
		}
		return x.note(ctx, "export.done", map[string]any{"list": l.Name, "rows": x.rows, "sha256": hex.EncodeToString(x.sum.Sum(nil))})
	}
}

// export is one list on its way into a file.
type export struct {
	f      *Frame
	list   *List
	ask    ui.Ask
	places []int // of the columns shown
	id     contact.ID
	sum    hash.Hash
	rows   int64
}

func (x *export) keys() (out []string) {
	for _, i := range x.places {
		out = append(out, x.list.Columns[i].Key)
	}
	return out
}

// note writes a fact about the export into the ledger.
func (x *export) note(ctx context.Context, what string, record map[string]any) error {
	record["by"] = Who(ctx).ID
	return x.f.DB.Write(context.WithoutCancel(ctx), func(tx *db.Tx) error {
		return ledger.Append(ctx, tx, ledger.Entry{Type: what, ID: x.id, Record: record})
	})
}

func (x *export) send(ctx context.Context, format sheet.Format, to io.Writer) error {
	numeric := make([]bool, len(x.places))
	head := make([]string, len(x.places))
	for i, p := range x.places {
		numeric[i], head[i] = x.list.Columns[p].Num, x.list.Columns[p].Word
	}
	w, err := sheet.New(format, io.MultiWriter(to, x.sum), numeric)
	if err != nil {
		return err
	}
	if err := w.Row(head); err != nil {
		return err
	}
	for x.ask.Span = (ui.Span{N: exportSpan}); ; {
		page, err := x.list.Rows(ctx, x.ask)
		if err != nil {
			return err
		}
		for _, row := range page.Rows {
			cells := make([]string, len(x.places))
			for i, p := range x.places {
				cells[i] = row.Cells[p].Text
			}
			if err := w.Row(cells); err != nil {
				return err
			}
		}
		x.rows += int64(len(page.Rows))
		if page.After == "" || page.After == x.ask.Span.At {
			return w.Close()
		}
		x.ask.Span.At = page.After
	}
}

// Lines makes a list's page out of rows read for a span (db.Cut): key gives the
// keyset of an entry, row its line.
func Lines[T any](read []T, a ui.Ask, key func(T) string, row func(T) ui.Row) ui.Rows {
	page, before, after := db.Cut(slices.Clone(read), db.Span(a.Span))
	var out ui.Rows
	for _, x := range page {
		out.Rows = append(out.Rows, row(x))
	}
	if n := len(page); n > 0 {
		if before {
			out.Before = key(page[0])
		}
		if after {
			out.After = key(page[n-1])
		}
	}
	return out
}
