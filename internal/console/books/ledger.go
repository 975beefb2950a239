package books

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"parley/internal/access"
	"parley/internal/console/frame"
	"parley/internal/db"
	"parley/internal/httpx"
	"parley/internal/httpx/errand"
	"parley/internal/httpx/ui"
	"parley/internal/ledger"
)

// recent is how many of the newest entries the page lists.
const recent = 20

// ledgerView is what the ledger page shows.
type ledgerView struct {
	stats  ledger.Stats
	public string
	recent []ledger.Record
	check  errand.State[ledger.Report]
	by     string // who started the check
	id     string // looked up; "" = nothing was
	found  []found
}

// found is an entry looked up, with the proof that the sealed log holds it.
type found struct {
	ledger.Record
	proof *ledger.Proof // nil until sealed
}

func (p *pages) ledger(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	v := ledgerView{public: p.Ledger.Public(), check: p.check.Of(""), id: strings.TrimSpace(r.URL.Query().Get("id"))}
	v.by = p.Frame.Name(ctx, v.check.About)
	var err error
	if v.stats, err = p.Ledger.Stats(ctx); err != nil {
		return err
	}
	if v.id != "" {
		if v.found, err = p.lookUp(ctx, v.id); err != nil {
			return err
		}
	} else if v.recent, err = p.Ledger.Recent(ctx, recent); err != nil {
		return err
	}
	return p.Frame.Show(w, r, sheet(say(ctx, "ledger"), "/ledger", ledgerPage(v)))
}

// entries is the list of what the log holds, sealed.
func (p *pages) entries(r *http.Request) (*frame.List, error) {
	ctx := r.Context()
	return &frame.List{
		Menu: "/ledger", Need: access.SeeLedger, Title: say(ctx, "entries"), Under: say(ctx, "entries_under"),
		Grid: ui.Grid{
			Name: "ledger", Path: "/ledger/entries", Caption: say(ctx, "entries"), Order: "-index", Why: say(ctx, "empty"),
			Columns: []ui.Column{
				{Key: "index", Word: say(ctx, "index"), Num: true, Sort: true}, {Key: "type", Word: say(ctx, "type")},
				{Key: "at", Word: say(ctx, "time")}, {Key: "id", Word: say(ctx, "id")},
				{Key: "commitment", Word: say(ctx, "commitment"), Off: true},
			},
		},
		Rows: p.entryRows,
	}, nil
}

func (p *pages) entryRows(ctx context.Context, a ui.Ask) (ui.Rows, error) {
	list, err := p.Ledger.Slice(ctx, !a.Desc, db.Span(a.Span))
	if err != nil {
		return ui.Rows{}, err
	}
	return frame.Lines(list, a, func(e ledger.Record) string { return strconv.FormatInt(e.Index, 10) }, func(e ledger.Record) ui.Row {
		return ui.Row{Href: "/ledger?id=" + url.QueryEscape(e.ID), Cells: []ui.Cell{
			ui.Text(httpx.Num(e.Index)), ui.View(e.Type, Kind(e.Type)), ui.View(httpx.Exact(ctx, e.At), ui.Second(e.At)),
			ui.View(e.ID, code(e.ID)), ui.View(hex.EncodeToString(e.Commitment), code(frame.Short(hex.EncodeToString(e.Commitment)))),
		}}
	}), nil
}

// lookUp gives all entries about an id. Prove checks each proof it gives, so a
// proof shown is a proof that holds.
func (p *pages) lookUp(ctx context.Context, id string) ([]found, error) {
	rs, err := p.Ledger.ByID(ctx, id)
	if err != nil {
		return nil, err
	}
	out := make([]found, len(rs))
	for i, rec := range rs {
		out[i].Record = rec
		if rec.Index < 0 {
			continue
		}
		proof, err := p.Ledger.Prove(ctx, rec.Index)
		if err != nil {
			return nil, err
		}
		out[i].proof = &proof
	}
	return out, nil
}

func (p *pages) verify(w http.ResponseWriter, r *http.Request) error {
	p.check.Begin(r.Context(), "", frame.Who(r.Context()).ID, p.Ledger.Verify) // one at a time: it reads every record there is
	httpx.Go(w, r, "/ledger#verify")
	return nil
}

// progress is the piece of the page that shows the check; while one runs, the
// piece asks for itself again every second.
func (p *pages) progress(w http.ResponseWriter, r *http.Request) error {
	s := p.check.Of("")
	return p.Frame.Part(w, r, checkPart(s, p.Frame.Name(r.Context(), s.About)))
}

// pretty lays out a record for reading.
func pretty(raw []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return string(raw)
	}
	return b.String()
}
