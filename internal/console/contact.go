package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"parley/internal/access"
	"parley/internal/campaign"
	"parley/internal/complaint"
	"parley/internal/console/frame"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/disclosure"
	"parley/internal/errs"
	"parley/internal/gate"
	"parley/internal/httpx"
	"parley/internal/httpx/ui"
	"parley/internal/httpx/wave"
	"parley/internal/httpx/words"
	"parley/internal/ledger"
	"parley/internal/outbound"
	"parley/internal/template"
)

// dossier is one contact with everything that stands behind it.
type dossier struct {
	gate.Stored
	who      person
	campaign *campaign.Campaign // nil when it was for none
	script   *campaign.Script   // nil when not stored
	wording  *template.Version  // of an e-mail; nil when not stored
	attempt  *outbound.Attempt  // nil when none was made
	rules    []ui.Rule
	grant    *contact.Grant // relied upon
	records  []ledger.Record
	cases    []*complaint.Case
	sound    *ui.Sound
	asks     bool // whoever may hear must first say why
}

// wording gives the template version that an e-mail was made from; nil when it was
// none of ours.
func (c *Console) wording(ctx context.Context, sum string) (*template.Version, error) {
	var v *template.Version
	err := c.DB.Read(ctx, func(tx *db.Tx) (err error) {
		v, err = c.Templates.BySum(ctx, tx, sum)
		return err
	})
	if errors.Is(err, template.ErrNone) {
		return nil, nil
	}
	return v, err
}

func (c *Console) contactPage(w http.ResponseWriter, r *http.Request) error {
	d, err := c.dossier(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return c.frame.Show(w, r, frame.Sheet{Title: words.T(r.Context(), "contact.title"), Menu: "/contacts", Sound: d.sound != nil, Body: contactView(d)})
}

func (c *Console) dossier(ctx context.Context, id contact.ID) (*dossier, error) {
	s, err := c.Gate.Decision(ctx, id)
	if err != nil {
		return nil, err
	}
	d := &dossier{Stored: s, rules: frame.Rules(ctx, c.Gate.Policy(), s.Verdict)}
	if d.attempt, err = c.attempt(ctx, id); err != nil {
		return nil, err
	}
	people, err := c.people(ctx, []contact.ID{s.Intent.Party})
	if err != nil {
		return nil, err
	}
	d.who = people[s.Intent.Party]
	for i := range s.Facts.Standing.Grants {
		if s.Facts.Standing.Grants[i].ID == s.Verdict.Grant {
			d.grant = &s.Facts.Standing.Grants[i]
		}
	}
	if s.Intent.Campaign != "" {
		if d.campaign, err = c.Campaigns.Get(ctx, s.Intent.Campaign); err != nil && errs.Public(err).Kind != errs.NotFound {
			return nil, err
		}
	}
	if s.Intent.Script != "" {
		if d.script, err = c.Campaigns.Script(ctx, s.Intent.Script); err != nil && errs.Public(err).Kind != errs.NotFound {
			return nil, err
		}
	}
	if s.Intent.Channel == contact.Email && d.script == nil {
		if d.wording, err = c.wording(ctx, s.Intent.Script); err != nil {
			return nil, err
		}
	}
	if d.records, err = c.Ledger.ByID(ctx, id); err != nil {
		return nil, err
	}
	if frame.May(ctx, access.SeeComplaints) {
		all, err := c.Complaints.List(ctx, complaint.Filter{Party: s.Intent.Party})
		if err != nil {
			return nil, err
		}
		for _, k := range all {
			if k.Attempt == id {
				d.cases = append(d.cases, k)
			}
		}
	}
	if d.sound = contactPlayer(ctx, d); d.sound != nil {
		open, err := c.reveal.Ear(ctx, id)
		if err != nil {
			return nil, err
		}
		d.asks = !open
	}
	return d, nil
}

// possibleEnds are what a person may find out about an attempt of unknown end.
func possibleEnds() []contact.Outcome {
	return []contact.Outcome{contact.NotSent, contact.NoAnswer, contact.Busy, contact.Rejected, contact.Unreachable, contact.Voicemail, contact.Connected, contact.Effective}
}

// contactReconcile writes down how an attempt ended that the process died with,
// as the carrier's call records or the customer say.
func (c *Console) contactReconcile(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), r.PathValue("id")
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	o := contact.Outcome(f.Get("outcome"))
	if !slices.Contains(possibleEnds(), o) {
		return gate.ErrOutcome
	}
	if err := outbound.NewDesk(c.Sender, c.Campaigns).Reconcile(ctx, id, o, frame.Who(ctx).ID); err != nil {
		return err
	}
	return c.frame.Done(w, r, "/contacts/"+id, "flash.reconciled")
}

// attempt gives what was done with a permit; nil when nothing was.
func (c *Console) attempt(ctx context.Context, id contact.ID) (a *outbound.Attempt, err error) {
	err = c.DB.Read(ctx, func(tx *db.Tx) (err error) {
		a, err = c.Sender.Attempt(ctx, tx, id)
		return err
	})
	if errors.Is(err, outbound.ErrNoAttempt) {
		return nil, nil
	}
	return a, err
}

// whose gives the customer of a contact.
func (c *Console) whose(ctx context.Context, id contact.ID) (contact.ID, error) {
	a, err := c.attempt(ctx, id)
	if err != nil {
		return "", err
	}
	if a == nil {
		return "", outbound.ErrNoAttempt
	}
	return a.Party, nil
}

// contactPlayer offers the recording to those who may hear it, with the
// moments that matter marked on it.
func contactPlayer(ctx context.Context, d *dossier) *ui.Sound {
	if d.attempt == nil || d.attempt.Recording.SHA256 == "" || !frame.May(ctx, access.HearRecordings) {
		return nil
	}
	s := &ui.Sound{Audio: "/contacts/" + d.ID + "/recording.wav", Peaks: "/contacts/" + d.ID + "/peaks.json", Length: d.attempt.Recording.Duration, Download: "/contacts/" + d.ID + "/recording"}
	for _, st := range d.attempt.Steps {
		cue := ui.Cue{At: time.Duration(st.At) * time.Millisecond, Tone: ui.Good, Word: stepWord(ctx, d.script, st)}
		cue.Mark = cueMark(ctx, d.script, st)
		if st.Digits != "" {
			cue.Tone = ui.Wait
		}
		if st.To > 0 {
			cue.Tone = ui.Bad
		}
		s.Cues = append(s.Cues, cue)
	}
	return s
}

// cueMark is what stands on the wave at a step: the keys pressed, or in a word
// what was played there that the law asks for; "" for the rest.
func cueMark(ctx context.Context, sc *campaign.Script, st outbound.Step) string {
	switch {
	case st.Digits != "":
		return st.Digits
	case st.To > 0:
		return words.T(ctx, "player.spoke")
	case sc == nil || sc.Nodes[st.Node] == nil:
		return ""
	}
	for _, o := range sc.Discloses() {
		for _, p := range sc.Nodes[st.Node].Prompts() {
			if slices.Contains(sc.Meets[o], p) {
				return words.T(ctx, "player.notice")
			}
		}
	}
	return ""
}

// contactCopy gives out a recording as a file. Why it is needed is kept where
// the customer can read it, before the first byte leaves.
func (c *Console) contactCopy(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), r.PathValue("id")
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	s, hash, err := c.sound(ctx, id)
	if err != nil {
		return err
	}
	a, err := c.attempt(ctx, id)
	if err != nil {
		return err
	}
	st := frame.Who(ctx)
	// A file outlives the session in which it was asked for, so none is named
	// and each copy is kept for itself.
	look := &disclosure.Look{Party: a.Party, By: st.ID, What: disclosure.Recording, Subject: id, Reason: disclosure.Other, Words: f.Get("reason")}
	if len(st.Roles) > 0 {
		look.Role = string(st.Roles[0])
	}
	if err := c.DB.Write(ctx, func(tx *db.Tx) error { return c.Disclosures.Keep(ctx, tx, look) }); err != nil {
		return err
	}
	w.Header().Set("Content-Disposition", `attachment; filename="parley-`+frame.Short(id)+`.wav"`)
	sendSound(w, r, s, hash)
	return nil
}

// stepWord says what happened at a step: what kind it is and what was pressed.
func stepWord(ctx context.Context, sc *campaign.Script, st outbound.Step) string {
	word := st.Node
	if sc != nil && sc.Nodes[st.Node] != nil {
		if kind := sc.Nodes[st.Node].Kind(); kind != "" {
			word = words.T(ctx, "script.kind."+kind) + " " + st.Node
		}
	}
	if st.Digits != "" {
		word += " " + words.T(ctx, "contact.pressed", st.Digits)
	}
	return word
}

// contactLine is the contact's story in order.
func contactLine(ctx context.Context, d *dossier) []ui.Mark {
	ms := []ui.Mark{{At: d.At, Tone: frame.EffectTone(d.Verdict.Effect), Title: words.T(ctx, "contact.line_decided", frame.Effect(ctx, d.Verdict.Effect))}}
	if a := d.attempt; a != nil {
		ms = append(ms, ui.Mark{At: a.StartedAt, Tone: ui.Live, Title: words.T(ctx, "contact.line_dialled", a.CallerID)})
		if !a.AnsweredAt.IsZero() {
			ms = append(ms, ui.Mark{At: a.AnsweredAt, Tone: ui.Info, Title: words.T(ctx, "contact.line_answered")})
		}
		for _, st := range a.Steps {
			if st.Digits != "" {
				ms = append(ms, ui.Mark{At: a.AnsweredAt.Add(time.Duration(st.At) * time.Millisecond), Tone: ui.Info, Title: words.T(ctx, "contact.line_pressed", st.Digits), Text: st.Node})
			}
		}
		if !a.Withdrawn.IsZero() {
			ms = append(ms, ui.Mark{At: a.Withdrawn, Tone: ui.Wait, Title: words.T(ctx, "contact.line_withdrew"), Text: words.T(ctx, "contact.line_withdrew_text")})
		}
		if !a.EndedAt.IsZero() {
			ms = append(ms, ui.Mark{At: a.EndedAt, Tone: frame.OutcomeTone(a.Outcome), Title: words.T(ctx, "contact.line_ended", frame.Outcome(ctx, a.Outcome)), Text: endText(ctx, a)})
		}
	} else if !d.Ended.IsZero() {
		ms = append(ms, ui.Mark{At: d.Ended, Tone: ui.Over, Title: frame.Permit(ctx, d.State), Text: d.Reason})
	}
	for _, k := range d.cases {
		ms = append(ms, ui.Mark{At: k.Received, Tone: ui.Bad, Title: words.T(ctx, "contact.line_complained", k.Number), Href: "/complaints/" + k.ID})
	}
	return ms
}

func endText(ctx context.Context, a *outbound.Attempt) string {
	var parts []string
	if a.EndedBy != "" {
		parts = append(parts, words.T(ctx, "ended."+a.EndedBy))
	}
	if a.Code != 0 {
		parts = append(parts, "SIP "+httpx.Num(a.Code))
	}
	if a.Reason != "" {
		parts = append(parts, a.Reason)
	}
	return strings.Join(parts, " · ")
}

// sound decodes the recording of the attempt; that it may be heard is the
// caller's to see to.
func (c *Console) sound(ctx context.Context, id contact.ID) (*wave.Sound, string, error) {
	a, err := c.attempt(ctx, id)
	if err != nil {
		return nil, "", err
	}
	if a == nil || a.Recording.SHA256 == "" {
		return nil, "", errs.New(errs.NotFound, "no_recording", "这次联系没有录音。", "There is no recording of this contact.")
	}
	s, err := c.decode(a.Recording.SHA256)
	return s, a.Recording.SHA256, err
}

func (c *Console) decode(hash string) (*wave.Sound, error) {
	f, err := c.Recordings.Open(hash)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return wave.Decode(f)
}

func (c *Console) contactSound(w http.ResponseWriter, r *http.Request) error {
	if err := c.reveal.Listen(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	s, hash, err := c.sound(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	sendSound(w, r, s, hash)
	return nil
}

func (c *Console) contactPeaks(w http.ResponseWriter, r *http.Request) error {
	if err := c.reveal.Listen(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	s, _, err := c.sound(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return sendPeaks(w, s)
}

// sendSound serves PCM, in parts where the player asks for parts. A browser may
// keep it while the page is open, and no longer.
func sendSound(w http.ResponseWriter, r *http.Request, s *wave.Sound, hash string) {
	w.Header().Set("Content-Type", "audio/wav")
	w.Header().Set("Cache-Control", "private, no-cache")
	w.Header().Set("ETag", `"`+hash+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.PCM()))
}

// peakCount is how many bars a player draws.
const peakCount = 300

func sendPeaks(w http.ResponseWriter, s *wave.Sound) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(s.Peaks(peakCount))
}
