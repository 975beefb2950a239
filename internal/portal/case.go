package portal

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"time"

	"parley/internal/complaint"
	"parley/internal/contact"
	"parley/internal/errs"
	"parley/internal/httpx"
	"parley/internal/httpx/words"
)

// view is what the progress page shows.
type view struct {
	*complaint.File
	New     bool                // straight from the form
	Proven  bool                // the contact and its evidence may be shown
	Mine    bool                // the visitor has shown the number and may say that this is theirs
	Steps   []step              // the four of them
	Block   *complaint.Decision // the last answer that bars contact
	Stopped []time.Time
	Review  *httpx.Form
	Rating  *httpx.Form
}

// step is one of the four; Look is done, now or todo.
type step struct {
	Key, Look string
	At        time.Time
}

// open reads the case that a link opens. The contact complained of and its
// evidence are shown only to whoever has shown the number: a number typed into
// a form proves nothing, and whether it is a customer's must not show. A link
// that the bank sent to the customer itself (a complaint by key, by staff) is proof.
func (p *portal) open(r *http.Request) (*view, error) {
	ctx := r.Context()
	f, err := p.Desk.ByToken(ctx, r.PathValue("token"))
	if err != nil {
		return nil, err
	}
	v := &view{File: f, Steps: steps(f), Review: &httpx.Form{}, Rating: &httpx.Form{}}
	for i := range f.Decisions {
		if d := &f.Decisions[i]; d.State == "answered" && d.Block != nil {
			v.Block = d
		}
	}
	who := in(ctx)
	same := who != nil && who.Party == f.Case.Party
	v.Proven = f.Case.Source != "web" || same && f.Case.Proven
	v.Mine = who != nil && !f.Case.Proven && (same || f.Case.Party == "")
	if v.Block != nil && p.Stopped != nil && v.Proven {
		if v.Stopped, err = p.Deps.Stopped(ctx, f.Case); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// steps tells where a case stands. A review sends it back to the second step.
func steps(f *complaint.File) []step {
	out := []step{{Key: "received", At: f.Case.Received}, {Key: "looking"}, {Key: "answered"}, {Key: "closed", At: f.Case.ClosedAt}}
	for _, e := range f.Events {
		switch e.Kind {
		case string(complaint.Take), string(complaint.AskAgain):
			out[1].At, out[2].At = e.At, time.Time{}
		case string(complaint.Answer):
			out[2].At = e.At
		}
	}
	now := map[complaint.State]int{complaint.Open: 0, complaint.Taken: 1, complaint.Proposed: 1, complaint.Review: 1,
		complaint.Answered: 2, complaint.Closed: 3}[f.Case.State]
	for i := range out {
		switch {
		case i < now && out[i].At.IsZero():
			out[i].Look = "todo" // withdrawn before it came to this
		case i < now || f.Case.State == complaint.Closed:
			out[i].Look = "done"
		case i == now:
			out[i].Look = "now"
		default:
			out[i].Look, out[i].At = "todo", time.Time{}
		}
	}
	return out
}

// withdrawn reports that the customer ended the case, not an answer.
func withdrawn(f *complaint.File) bool {
	for _, e := range f.Events {
		if e.Kind == string(complaint.Withdraw) {
			return true
		}
	}
	return false
}

// running reports whether the bank still owes an answer.
func running(s complaint.State) bool { return s != complaint.Answered && s != complaint.Closed }

// stateKey names the sentence that says who has it now and what is needed.
func stateKey(f *complaint.File) string {
	if f.Case.State == complaint.Closed && withdrawn(f) {
		return "state_withdrawn"
	}
	return "state_" + string(f.Case.State)
}

// letter is one of the bank's letters in the reader's language.
type letter struct {
	Subject, Text string
	At            time.Time
	Open          bool // shown whole; the others behind their subject
}

// letters gives what the bank wrote, the latest first. Whole are the latest of
// all and every answer; whoever has just complained has read what the first one
// says in the words above it.
func (v *view) letters(ctx context.Context) []letter {
	var out []letter
	for i, l := range slices.Backward(v.Letters) {
		x := letter{At: l.At, Open: l.Decision != "" || i == len(v.Letters)-1 && !v.New}
		x.Subject, x.Text = l.Parts(string(words.From(ctx)))
		if x.Subject == "" {
			x.Subject = say(ctx, "letter_old")
		}
		out = append(out, x)
	}
	return out
}

func (p *portal) progress(w http.ResponseWriter, r *http.Request) error {
	v, err := p.open(r)
	if err != nil {
		return err
	}
	v.New = r.URL.Query().Get("new") == "1" && v.Case.State == complaint.Open
	return show(w, r, http.StatusOK, p.casePage(v))
}

func (p *portal) check(w http.ResponseWriter, r *http.Request) error {
	v, err := p.open(r)
	if err != nil {
		return err
	}
	return show(w, r, http.StatusOK, p.checkPage(v))
}

func (p *portal) accept(w http.ResponseWriter, r *http.Request) error {
	return p.act(w, r, p.Desk.Accept)
}

func (p *portal) withdraw(w http.ResponseWriter, r *http.Request) error {
	return p.act(w, r, p.Desk.WithdrawCase)
}

func (p *portal) act(w http.ResponseWriter, r *http.Request, do func(context.Context, contact.ID) (*complaint.Case, error)) error {
	f, err := p.Desk.ByToken(r.Context(), r.PathValue("token"))
	if err != nil {
		return err
	}
	if _, err := do(r.Context(), f.Case.ID); err != nil {
		return err
	}
	httpx.Go(w, r, "/c/"+f.Case.Token)
	return nil
}

func (p *portal) review(w http.ResponseWriter, r *http.Request) error {
	v, err := p.open(r)
	if err != nil {
		return err
	}
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	why := f.Text("review", maxWords)
	if !f.OK() && v.Case.State == complaint.Answered {
		v.Review = f
		return show(w, r, http.StatusUnprocessableEntity, p.casePage(v))
	}
	if _, err := p.Desk.AskReview(r.Context(), v.Case.ID, why); err != nil {
		return err
	}
	httpx.Go(w, r, "/c/"+v.Case.Token)
	return nil
}

var (
	errProof = errs.New(errs.Forbidden, "proof_needed", "证据包里有通话录音，需要先核实是您本人。请回到投诉进度，点“核实号码”。",
		"The evidence holds the recording of a call; the bank must first know that it is you. Go back to the complaint and prove the number.")
	errBusy = errs.New(errs.Busy, "evidence_busy", "现在下载的人较多，请一分钟后再试。", "Many are downloading just now. Please try again in a minute.")
)

// evidence hands out the bundle. The ledger is sealed first, so that the last
// step the customer saw is proven too.
func (p *portal) evidence(w http.ResponseWriter, r *http.Request) error {
	v, err := p.open(r)
	if err != nil {
		return err
	}
	if !v.Proven {
		return errProof
	}
	select {
	case p.bundles <- struct{}{}:
		defer func() { <-p.bundles }()
	default:
		return errBusy
	}
	if _, err := p.Ledger.Seal(r.Context()); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := p.Desk.Bundle(r.Context(), &b, v.Case.ID, p.Ledger, p.Blobs); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Disposition", `attachment; filename="`+fileName(v.Case)+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b.Bytes()))
	return nil
}

// fileName is the bundle's name as the browser saves it.
func fileName(c *complaint.Case) string { return "parley-" + c.Number + ".zip" }
