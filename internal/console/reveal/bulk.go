package reveal

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"parley/internal/access"
	"parley/internal/approval"
	"parley/internal/console/frame"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/disclosure"
	"parley/internal/errs"
	"parley/internal/httpx"
	"parley/internal/httpx/sheet"
	"parley/internal/httpx/ui"
	"parley/internal/httpx/words"
	"parley/internal/ledger"
	"parley/internal/party"
)

// BulkKind is the kind under which clear exports are put to a second person.
const BulkKind = "unmask"

// Bulk says what approving a clear export does: nothing by itself. Whoever asked
// may take the file, once and within takeWithin.
func Bulk(permission string) approval.Kind {
	return approval.Kind{Name: BulkKind, Permission: permission, Revocable: true,
		Apply: func(context.Context, *db.Tx, *approval.Request) (approval.Effect, error) {
			return approval.Effect{}, nil
		}}
}

const (
	// takeWithin is how long after its approval an export can be taken.
	takeWithin = 24 * time.Hour
	maxBulk    = 5000
)

// wanted is what an export holds, bound by the approval.
type wanted struct {
	Fields  []disclosure.Field `json:"fields"`
	Parties []contact.ID       `json:"parties"`
}

// ready is one of the reader's own requests.
type ready struct {
	*approval.Request
	state string // waiting, ready, taken, expired, refused
}

func (r ready) tone() ui.Tone {
	switch r.state {
	case "waiting":
		return ui.Wait
	case "ready":
		return ui.Good
	case "refused":
		return ui.Bad
	default:
		return ui.Over
	}
}

func (p *Pages) bulkPage(w http.ResponseWriter, r *http.Request) error {
	return p.bulkShow(w, r, &httpx.Form{}, http.StatusOK)
}

func (p *Pages) bulkShow(w http.ResponseWriter, r *http.Request, f *httpx.Form, status int) error {
	ctx := r.Context()
	list, err := p.Approvals.FromMe(ctx, frame.Who(ctx).ID, BulkKind, db.Span{N: 10})
	if err != nil {
		return err
	}
	var mine []ready
	err = p.DB.Read(ctx, func(tx *db.Tx) error {
		for _, x := range list {
			st, err := p.bulkState(ctx, tx, x)
			if err != nil {
				return err
			}
			mine = append(mine, ready{x, st})
		}
		return nil
	})
	if err != nil {
		return err
	}
	return p.Frame.Show(w, r, frame.Sheet{Title: say(ctx, "bulk"), Menu: "/customers", Status: status, Body: bulkView(f, mine)})
}

func (p *Pages) bulkState(ctx context.Context, tx *db.Tx, r *approval.Request) (string, error) {
	switch r.State {
	case approval.Pending:
		return "waiting", nil
	case approval.Approved:
	default:
		return "refused", nil
	}
	taken, err := p.Disclosures.Exported(ctx, tx, r.ID)
	switch {
	case err != nil:
		return "", err
	case taken:
		return "taken", nil
	case tx.Now.Sub(db.Time(r.DecidedAt)) > takeWithin:
		return "expired", nil
	}
	return "ready", nil
}

// bulkAsk puts a clear export to a second person.
func (p *Pages) bulkAsk(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	var want wanted
	for _, x := range fields {
		if f.Has("fields", string(x)) {
			want.Fields = append(want.Fields, x)
		}
	}
	if len(want.Fields) == 0 {
		f.Wrong("fields", "form.required")
	}
	refs := strings.Fields(f.Text("refs", maxBulk*40))
	why := f.Text("why", 1000)
	if len(refs) > maxBulk {
		f.Wrong("refs", say(ctx, "bulk_refs_hint")) // a sentence shows as itself
	}
	if f.OK() {
		var unknown []string
		if want.Parties, unknown, err = p.known(ctx, refs); err != nil {
			return err
		}
		if len(unknown) > 0 {
			f.Wrong("refs", say(ctx, "bulk_unknown", strings.Join(unknown, " ")))
		}
	}
	if !f.OK() {
		return p.bulkShow(w, r, f, http.StatusUnprocessableEntity)
	}
	payload, err := json.Marshal(want)
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, x := range want.Fields {
		fmt.Fprintf(&text, "%s: %s\n", x, say(ctx, "what."+string(x)))
	}
	fmt.Fprintf(&text, "%d:\n  %s\n", len(refs), strings.Join(refs, "\n  "))
	ask, err := p.Approvals.AskNow(ctx, approval.Ask{Kind: BulkKind, Subject: contact.NewID(), Title: say(ctx, "bulk_title", len(refs)),
		After: text.String(), Payload: payload, Reason: why, By: frame.Who(ctx).ID})
	if err != nil {
		return err
	}
	return p.Frame.Done(w, r, "/approvals/"+ask.ID, "flash.done")
}

// known gives the customers with the numbers, and the numbers nobody has.
func (p *Pages) known(ctx context.Context, refs []string) (ids []contact.ID, unknown []string, err error) {
	err = p.DB.Read(ctx, func(tx *db.Tx) error {
		found, err := p.Parties.IDs(ctx, tx, refs)
		ids, unknown = nil, nil
		for _, ref := range refs {
			if id, ok := found[ref]; ok {
				ids = append(ids, id)
			} else if len(unknown) < 10 {
				unknown = append(unknown, ref)
			}
		}
		return err
	})
	return ids, unknown, err
}

// bulkTake sends an approved export to whoever asked for it, once. What is sent
// was kept first: one disclosure for each customer.
func (p *Pages) bulkTake(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	seen, err := p.Approvals.Get(ctx, approval.Reader{Account: frame.Who(ctx).ID}, r.PathValue("id"))
	if err != nil {
		return err
	}
	if seen.Kind != BulkKind || !seen.Mine {
		return approval.ErrNone
	}
	var want wanted
	if err := json.Unmarshal(seen.Payload, &want); err != nil {
		return fmt.Errorf("clear export %s: %w", seen.ID, err)
	}
	rows := [][]string{{say(ctx, "ref")}}
	for _, x := range want.Fields {
		rows[0] = append(rows[0], say(ctx, "what."+string(x)))
	}
	err = p.DB.Write(ctx, func(tx *db.Tx) error {
		st, err := p.bulkState(ctx, tx, seen.Request)
		if err != nil {
			return err
		}
		if st != "ready" {
			return errs.New(errs.Conflict, "export_not_ready", "这次导出现在不能下载："+book.Say(words.With(ctx, words.Zh), "bulk."+st)+"。",
				"This export cannot be taken now: "+book.Say(words.With(ctx, words.En), "bulk."+st)+".")
		}
		rows = rows[:1]
		var kept []*disclosure.Look
		if err := p.Parties.Each(ctx, tx, want.Parties, func(who *party.Party) error {
			row := []string{who.Ref}
			for _, x := range want.Fields {
				row = append(row, value(who, Masked{Field: x}))
			}
			rows = append(rows, row)
			kept = append(kept, &disclosure.Look{Party: who.ID, By: frame.Who(ctx).ID, Role: role(ctx, access.UnmaskBulk), Session: frame.Session(ctx),
				What: disclosure.Export, Subject: seen.ID, Reason: disclosure.Other, Words: seen.Reason})
			return nil
		}); err != nil {
			return err
		}
		if err := p.Disclosures.Keep(ctx, tx, kept...); err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Entry{Type: "disclosure.export", ID: seen.ID, Record: map[string]any{
			"request": seen.ID, "by": frame.Who(ctx).ID, "customers": len(kept), "fields": want.Fields}})
	})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", sheet.CSV.Type())
	w.Header().Set("Content-Disposition", `attachment; filename="clear-`+seen.ID+`.csv"`)
	out, err := sheet.New(sheet.CSV, w, make([]bool, len(rows[0])))
	if err != nil {
		return err
	}
	for _, row := range rows {
		if err := out.Row(row); err != nil {
			return err
		}
	}
	return out.Close()
}
