package portal

import (
	"context"
	"net/http"

	"parley/internal/complaint"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/httpx"
	"parley/internal/httpx/ui"
	"parley/internal/httpx/words"
	"parley/internal/party"
)

// maxWords keeps any text, at four bytes a character, within what the desk takes.
const maxWords = 5000

var errOften = errs.New(errs.TooMany, "too_often", "您提交得太频繁，请十分钟后再试。您之前提交的投诉已经收到。",
	"You are sending too often; please try again in ten minutes. What you sent before has been received.")

// draft is a complaint that is being written. It lives on the server,
// readable with the browser's cookie alone, so nothing is lost on the way.
type draft struct {
	Words string
	Phone string     // as typed
	About contact.ID // the contact complained of; only for those who are known
	Files []complaint.Attachment
}

func (p *portal) draft(r *http.Request) (draft, error) {
	var d draft
	_, err := p.Customers.Draft(r.Context(), cookie(r, draftCookie), &d)
	return d, err
}

func (p *portal) keep(w http.ResponseWriter, r *http.Request, d draft) error {
	token, err := p.Customers.Keep(r.Context(), cookie(r, draftCookie), d)
	if err == nil {
		p.set(w, draftCookie, token)
	}
	return err
}

// words asks what happened. Coming from a contact's page, the contact is
// chosen already.
func (p *portal) words(w http.ResponseWriter, r *http.Request) error {
	d, err := p.draft(r)
	if err != nil {
		return err
	}
	f := (&httpx.Form{}).Set("words", d.Words).Set("phone", d.Phone).Set("about", d.About)
	if about := r.URL.Query().Get("about"); about != "" {
		f.Set("about", about)
	}
	return p.showWords(w, r, http.StatusOK, f)
}

// aboutMost is how many contacts are offered to complain of.
const aboutMost = 6

func (p *portal) showWords(w http.ResponseWriter, r *http.Request, status int, f *httpx.Form) error {
	ctx := r.Context()
	s := in(ctx)
	var list []*told
	if s != nil {
		err := p.DB.Read(ctx, func(tx *db.Tx) error {
			list = nil
			known, err := p.known(ctx, tx, s.Party)
			if err != nil {
				return err
			}
			ats, err := p.Attempts.AttemptsByParty(ctx, tx, s.Party, "", aboutMost)
			if err != nil {
				return err
			}
			if about := f.Get("about"); about != "" { // an older one, from its own page
				if a, err := p.Attempts.Attempt(ctx, tx, about); err == nil && a.Party == s.Party && !holds(ats, about) {
					ats = append(ats, a)
				}
			}
			for _, a := range ats {
				if a.Outcome == contact.NotSent {
					continue
				}
				t, err := p.tell(ctx, tx, a, known)
				if err != nil {
					return err
				}
				if t.why.Intent.Initiator == "customer" && t.ID != f.Get("about") {
					continue // they asked for it themselves
				}
				list = append(list, t)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return show(w, r, status, p.wordsPage(f, s != nil, list))
}

func (p *portal) saveWords(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	d, err := p.draft(r)
	if err != nil {
		return err
	}
	d.Words, d.Phone, d.About = f.Text("words", maxWords), f.Maybe("phone", 64), f.Maybe("about", 64)
	if d.Phone != "" {
		if kind, value, _ := address(d.Phone); value == "" || kind != party.Phone {
			f.Wrong("phone", say(ctx, "form_phone_bad")) // a sentence stands for itself
		}
	}
	if !f.OK() {
		return p.showWords(w, r, http.StatusUnprocessableEntity, f)
	}
	if err := p.keep(w, r, d); err != nil {
		return err
	}
	httpx.Go(w, r, "/complain/files")
	return nil
}

// checkAnswers shows all that will be sent, each with the way to change it.
func (p *portal) checkAnswers(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	d, err := p.draft(r)
	if err != nil {
		return err
	}
	if d.Words == "" {
		httpx.Go(w, r, "/complain")
		return nil
	}
	s := in(r.Context())
	var about *told
	if s != nil && d.About != "" {
		err := p.DB.Read(ctx, func(tx *db.Tx) error {
			about, err = p.openContact(ctx, tx, s, d.About)
			return err
		})
		if err != nil && errs.Public(err).Kind != errs.NotFound {
			return err
		}
	}
	return show(w, r, http.StatusOK, p.checkAnswersPage(d, s != nil, about))
}

// send files the complaint. Who is known files as themselves; a number typed by
// somebody unknown is a claim, on which nothing is held and nothing shown.
func (p *portal) send(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	d, err := p.draft(r)
	if err != nil {
		return err
	}
	if d.Words == "" {
		return errNoDraft
	}
	s := in(r.Context())
	if !p.filing.Allow(httpx.From(ctx).Client, httpx.From(ctx).Now) {
		return errOften
	}
	for _, a := range d.Files {
		if !p.Blobs.Has(a.SHA256) {
			return errLostFile
		}
	}
	in := complaint.Intake{Source: "web", Lang: string(words.From(ctx)), Words: d.Words, Files: d.Files}
	var c *complaint.Case
	err = p.DB.Write(ctx, func(tx *db.Tx) error {
		if s != nil {
			in.Party, in.Attempt = s.Party, ""
			if d.About != "" {
				t, err := p.openContact(ctx, tx, s, d.About)
				if err != nil {
					return err
				}
				in.Attempt = t.ID
			}
		} else {
			in.Claimed = true
			if _, e164, _ := address(d.Phone); e164 != "" {
				if in.Party, err = p.whose(ctx, tx, e164); err != nil {
					return err
				}
			}
		}
		c, err = p.Desk.Open(ctx, tx, in)
		return err
	})
	if err != nil {
		return err
	}
	if err := p.Customers.Forget(ctx, cookie(r, draftCookie)); err != nil {
		p.log.Warn("a sent draft stays until it is old", "error", err)
	}
	p.set(w, draftCookie, "")
	httpx.Go(w, r, "/c/"+c.Token+"?new=1")
	return nil
}

var errNoDraft = errs.New(errs.Conflict, "no_draft", "没有找到您写的投诉，可能已经提交，或者隔得太久了。请重新填写。",
	"What you wrote was not found; it may have been sent already, or too long ago. Please start again.")

// aboutChoices offers the latest contacts, and none of them.
func aboutChoices(ctx context.Context, list []*told) []ui.Choice {
	out := make([]ui.Choice, 0, len(list)+1)
	for _, t := range list {
		out = append(out, ui.Choice{Value: t.ID, Word: t.sentence(ctx)})
	}
	return append(out, ui.Choice{Value: "", Word: say(ctx, "about_none")})
}
