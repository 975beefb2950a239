package cases

import (
	"bytes"
	"context"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"time"

	"parley/internal/complaint"
	"parley/internal/console/frame"
	"parley/internal/contact"
	"parley/internal/errs"
	"parley/internal/httpx"
	"parley/internal/httpx/words"
	"parley/internal/money"
)

// settle ends a form: on to the case when it was done, or the case again with
// the desk's refusal in the reader's language and all that was typed.
func (p *pages) settle(w http.ResponseWriter, r *http.Request, form *httpx.Form, err error) error {
	if err == nil {
		return p.Frame.Done(w, r, "/complaints/"+r.PathValue("id"), "flash.done")
	}
	var e *errs.Error
	if !errors.As(err, &e) || e.Kind == errs.Internal || e.Kind == errs.NotFound {
		return err
	}
	return p.render(w, r, form, words.Pick(r.Context(), e.Zh, e.En), httpx.Status(e.Kind))
}

func me(ctx context.Context) contact.ID { return frame.Who(ctx).ID }

func (p *pages) take(w http.ResponseWriter, r *http.Request) error {
	_, err := p.Desk.Take(r.Context(), r.PathValue("id"), me(r.Context()))
	return p.settle(w, r, nil, err)
}

func (p *pages) note(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	return p.settle(w, r, nil, p.Desk.Note(ctx, r.PathValue("id"), me(ctx), f.Get("text")))
}

// localTime is how a browser writes a local minute.
const localTime = "2006-01-02T15:04"

// contacted records how and when the handler reached the complainant.
func (p *pages) contacted(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	at, err := time.ParseInLocation(localTime, f.Get("at"), httpx.From(ctx).Zone)
	if err != nil {
		f.Wrong("at", say(ctx, "bad_time"))
		return p.render(w, r, f, words.T(ctx, "form.look_again"), http.StatusUnprocessableEntity)
	}
	return p.settle(w, r, f, p.Desk.Contacted(ctx, r.PathValue("id"), me(ctx), complaint.Way(f.Get("way")), at, f.Text("said", maxSection)))
}

// prove records that staff have made sure that the complainant is the customer
// whose number the complaint names; how, stands in a note.
func (p *pages) prove(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	c, err := p.Desk.Get(ctx, r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := p.Desk.Note(ctx, c.Case.ID, me(ctx), f.Get("reason")); err != nil {
		return p.settle(w, r, nil, err)
	}
	_, err = p.Desk.Prove(ctx, c.Case.ID, c.Case.Party, me(ctx), "staff")
	return p.settle(w, r, nil, err)
}

// file hands out an attachment, to be saved and never shown by the browser: it
// came from outside.
func (p *pages) file(w http.ResponseWriter, r *http.Request) error {
	a, err := p.Desk.Attachment(r.Context(), r.PathValue("id"), r.PathValue("file"))
	if err != nil {
		return err
	}
	f, err := p.Recordings.Open(a.SHA256)
	if err != nil {
		return err
	}
	defer f.Close()
	w.Header().Set("Content-Type", a.Media)
	w.Header().Set("Content-Security-Policy", "sandbox")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": a.Name}))
	http.ServeContent(w, r, "", time.Time{}, f)
	return nil
}

func (p *pages) propose(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	d := readDecision(ctx, f)
	if !f.OK() {
		return p.render(w, r, f, words.T(ctx, "form.look_again"), http.StatusUnprocessableEntity)
	}
	_, err = p.Desk.Propose(ctx, r.PathValue("id"), me(ctx), d)
	return p.settle(w, r, f, err)
}

// maxSection bounds a section of a decision, in characters.
const maxSection = 6000

func readDecision(ctx context.Context, f *httpx.Form) complaint.Decision {
	d := complaint.Decision{
		Result:    complaint.Result(f.One("result", string(complaint.Upheld), string(complaint.Partly), string(complaint.NotUpheld))),
		Facts:     f.Text("facts", maxSection),
		Basis:     f.Text("basis", maxSection),
		RootCause: f.Text("root_cause", maxSection),
		Apology:   f.Has("apology", "yes"),
	}
	var err error
	if d.Compensation, err = money.Parse(f.Get("compensation")); err != nil {
		f.Wrong("compensation", say(ctx, "bad_amount")) // a sentence shows as itself
	}
	var bar contact.Purposes
	for _, p := range purposes() {
		if f.Has("block", p.String()) {
			bar |= contact.PurposeSet(p)
		}
	}
	if bar != 0 {
		d.Block = &contact.Stop{Purposes: bar}
	}
	return d
}

// purposes are those that a decision may bar. Statutory notices and fraud
// alerts are owed to the customer and are not barred here.
func purposes() []contact.Purpose {
	return []contact.Purpose{contact.Marketing, contact.Service, contact.Collection}
}

func (p *pages) extend(w http.ResponseWriter, r *http.Request) error {
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	err = p.Desk.AskExtension(r.Context(), r.PathValue("id"), me(r.Context()), f.Get("reason"))
	return p.settle(w, r, nil, err)
}

// evidence sends the case as a zip that verifies offline. It is made whole
// before the first byte is sent: half a bundle would be a broken one.
func (p *pages) evidence(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	f, err := p.Desk.Get(ctx, r.PathValue("id"))
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := p.Desk.Bundle(ctx, &b, f.Case.ID, p.Ledger, p.Recordings); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/zip")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	h.Set("Content-Disposition", `attachment; filename="complaint-`+f.Case.Number+`.zip"`)
	_, err = w.Write(b.Bytes())
	return err
}
