package cases

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"parley/internal/access"
	"parley/internal/approval"
	"parley/internal/calendar"
	"parley/internal/complaint"
	"parley/internal/console/frame"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/gate"
	"parley/internal/httpx"
	"parley/internal/httpx/ui"
	"parley/internal/httpx/words"
	"parley/internal/mask"
	"parley/internal/outbound"
	"parley/internal/party"
	"parley/internal/policy"
	"parley/internal/remedy"
)

// caseView is a case with everything its page shows.
type caseView struct {
	*complaint.File
	names    func(string) string
	me       string
	customer *party.Party // nil = unknown or erased
	decision *gate.Stored // nil = no cause
	attempt  *outbound.Attempt
	grant    *contact.Grant
	rules    []ui.Rule
	orders   []remedy.Order
	blocked  bool
	stopped  []stopped
	pending  *complaint.Decision // waits for a second person
	asked    *complaint.Deadline // extension that waits
	ear      bool                // the recording can be heard now, without asking why
	// What a second person is asked; nil = nothing waits.
	decisionAsk, extensionAsk *approval.Request
	eyes                      bool           // the reader may look at the request for an extension
	next                      *calendar.Term // that an extension would run to; nil = none
	link                      string
	form                      *httpx.Form // of the proposal
}

// stopped is one attempt to contact that a block prevented.
type stopped struct {
	at       time.Time
	id       contact.ID
	campaign string
	rule     string
	text     string
	voided   bool // a permit given before, voided by the block itself
}

func sheet(title string, body templ.Component) frame.Sheet {
	return frame.Sheet{Title: title, Menu: "/complaints", Body: body}
}

func (p *pages) show(w http.ResponseWriter, r *http.Request) error {
	return p.render(w, r, nil, "", 0)
}

// render shows a case; notice is what was refused just now, form what was typed.
func (p *pages) render(w http.ResponseWriter, r *http.Request, form *httpx.Form, notice string, status int) error {
	v, err := p.view(r)
	if err != nil {
		return err
	}
	if form == nil {
		form = draft(v)
	}
	if form.Get("at") == "" {
		form.Set("at", httpx.From(r.Context()).Now.In(httpx.From(r.Context()).Zone).Format(localTime))
	}
	form.Notice = notice
	v.form = form
	s := sheet(v.Case.Number, casePage(v))
	s.Sound, s.Status = true, status
	return p.Frame.Show(w, r, s)
}

func (p *pages) view(r *http.Request) (*caseView, error) {
	ctx := r.Context()
	id := r.PathValue("id")
	get := p.Desk.Get
	if strings.HasPrefix(id, "20") && len(id) < 20 { // people paste the number they were told
		get = p.Desk.ByNumber
	}
	f, err := get(ctx, id)
	if err != nil {
		return nil, err
	}
	v := &caseView{File: f, me: frame.Who(ctx).ID, names: func(id string) string { return p.Frame.Name(ctx, id) }}
	v.link = origin(r) + "/c/" + f.Case.Token
	for i, d := range f.Decisions {
		if d.State == "proposed" {
			v.pending = &f.Decisions[i]
		}
	}
	for i, d := range f.Deadlines {
		if d.State == "asked" {
			v.asked = &f.Deadlines[i]
		}
	}
	t, ok, err := p.Desk.NextTerm(ctx, f.Case.ID)
	if err != nil {
		return nil, err
	}
	if ok {
		v.next = &t
	}
	if err := p.cause(ctx, v); err != nil {
		return nil, err
	}
	if v.Case.Cause != nil && v.Case.Cause.Recording != "" {
		if v.ear, err = p.Reveal.Ear(ctx, v.Case.Cause.Attempt); err != nil {
			return nil, err
		}
	}
	return v, p.remedied(ctx, v)
}

// origin is where the reader has this very site.
func origin(r *http.Request) string {
	if httpx.From(r.Context()).House.Secure || r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// cause reads what stood behind the contact complained of, and who complains.
// What is missing (erased, of another time) leaves its place empty: a case must
// be workable without it.
func (p *pages) cause(ctx context.Context, v *caseView) error {
	return p.DB.Read(ctx, func(tx *db.Tx) (err error) {
		if v.decisionAsk, err = p.Approvals.Waiting(ctx, tx, complaint.DecisionKind, v.Case.ID); err != nil {
			return err
		}
		if v.extensionAsk, err = p.Desk.WaitingExtension(ctx, tx, v.Case.ID); err != nil {
			return err
		}
		if r := v.extensionAsk; r != nil {
			v.eyes = v.may(ctx, access.SeeAllApprovals) || slices.Contains(r.Hands, v.me) || v.may(ctx, access.Permission(p.Approvals.Permission(r.Kind)))
		}
		if v.Case.Party != "" {
			c, err := p.Parties.Get(ctx, tx, v.Case.Party)
			if err != nil && !missing(err) {
				return err
			}
			if err == nil {
				v.customer = c
			}
		}
		if v.Case.Cause == nil {
			return nil
		}
		id := v.Case.Cause.Attempt
		st, err := p.Gate.DecisionIn(ctx, tx, id)
		if err != nil && !missing(err) {
			return err
		}
		if err == nil {
			v.decision = &st
			v.rules = frame.Rules(ctx, p.Gate.Policy(), st.Verdict)
			for i, g := range st.Facts.Standing.Grants {
				if g.ID == st.Verdict.Grant {
					v.grant = &st.Facts.Standing.Grants[i]
				}
			}
		}
		if p.Attempt == nil {
			return nil
		}
		at, err := p.Attempt(ctx, tx, id)
		if err == nil {
			v.attempt = at
		} else if !missing(err) {
			return err
		}
		return nil
	})
}

func missing(err error) bool {
	var e *errs.Error
	return errors.As(err, &e) && e.Kind == errs.NotFound
}

// recent is how many of a person's decisions are searched for those that a
// block stopped.
const recent = 200

// remedied reads what the case led to, and what a block has prevented since.
func (p *pages) remedied(ctx context.Context, v *caseView) error {
	var err error
	if v.orders, err = p.Remedies.ByCase(ctx, v.Case.ID); err != nil {
		return err
	}
	var since time.Time
	for _, o := range v.orders {
		if o.Kind == remedy.Block && (since.IsZero() || o.At.Before(since)) {
			since, v.blocked = o.At, true
		}
	}
	if !v.blocked {
		return nil
	}
	list, err := p.Gate.ByParty(ctx, v.Case.Party, recent)
	if err != nil {
		return err
	}
	set, lang := p.Gate.Policy(), string(words.From(ctx))
	for _, d := range list {
		s := stopped{at: d.At, id: d.ID, campaign: d.Intent.Campaign}
		if d.State == gate.Voided && d.Ended.Equal(since) {
			s.at, s.voided, s.text = d.Ended, true, say(ctx, "stopped_void")
		} else if rule := barredBy(set, d.Verdict); rule != "" && d.At.After(since) {
			s.rule = rule
			for _, l := range set.Explain(d.Verdict, lang) {
				if l.Rule == rule {
					s.text = l.Title + words.T(ctx, "app.colon") + l.Text
				}
			}
		} else {
			continue
		}
		v.stopped = append(v.stopped, s)
	}
	return p.nameCampaigns(ctx, v.stopped)
}

// barredBy gives the do-not-contact rule that kept a contact from happening:
// the one that decided when it is one, else the first that objected.
func barredBy(set *policy.Set, v policy.Verdict) string {
	if v.Effect == policy.Allow {
		return ""
	}
	honours := func(id string) bool {
		r := set.Rule(id)
		return r != nil && r.Stop != nil && slices.Contains(r.Stop.Kinds, contact.DoNotContact)
	}
	if honours(v.By) {
		return v.By
	}
	for _, res := range v.Rules {
		if res.Effect != policy.Allow && honours(res.Rule) {
			return res.Rule
		}
	}
	return ""
}

func (p *pages) nameCampaigns(ctx context.Context, list []stopped) error {
	return p.DB.Read(ctx, func(tx *db.Tx) error {
		known := map[contact.ID]string{"": ""}
		for i, s := range list {
			name, ok := known[s.campaign]
			if !ok {
				c, err := p.Campaigns.GetIn(ctx, tx, s.campaign)
				if err != nil && !missing(err) {
					return err
				}
				if err == nil {
					name = c.Name
				}
				known[s.campaign] = name
			}
			list[i].campaign = name
		}
		return nil
	})
}

// draft fills the proposal with the decision that was sent back, if any.
func draft(v *caseView) *httpx.Form {
	f := &httpx.Form{}
	for i := len(v.Decisions) - 1; i >= 0; i-- {
		d := v.Decisions[i]
		if d.State != "sent_back" || d.Round != v.Case.Round {
			continue
		}
		f.Set("result", string(d.Result)).Set("facts", d.Facts).Set("basis", d.Basis).Set("root_cause", d.RootCause)
		if d.Apology {
			f.Set("apology", "yes")
		}
		if d.Compensation > 0 {
			f.Set("compensation", strings.TrimPrefix(d.Compensation.String(), "¥"))
		}
		if d.Block != nil {
			f.Set("block", strings.Join(d.Block.Purposes.Names(), ","))
		}
		break
	}
	return f
}

// open reports whether the case is still the bank's to answer.
func (v *caseView) open() bool {
	return v.Case.State != complaint.Answered && v.Case.State != complaint.Closed
}

func (v *caseView) may(ctx context.Context, p access.Permission) bool { return frame.May(ctx, p) }

// cues marks on the recording the keys pressed and the customer's own words.
func (v *caseView) cues(ctx context.Context) []ui.Cue {
	var out []ui.Cue
	if v.attempt != nil {
		for _, s := range v.attempt.Steps {
			if s.Digits != "" {
				out = append(out, ui.Cue{At: time.Duration(s.At) * time.Millisecond, Word: say(ctx, "cue_key", s.Digits), Tone: ui.Info})
			}
		}
	}
	if v.Case.To > v.Case.From {
		out = append(out, ui.Cue{At: v.Case.From, Word: say(ctx, "cue_words"), Tone: ui.Wait},
			ui.Cue{At: v.Case.To, Word: say(ctx, "cue_words_end"), Tone: ui.Over})
	}
	slices.SortStableFunc(out, func(a, b ui.Cue) int { return int(a.At - b.At) })
	return out
}

// text is what people wrote, as the reader may see it: word for word to the
// handler who works on the case, whose reason that is; to others with numbers
// and the customer's name masked.
func (v *caseView) text(s string) string {
	if v.Case.Handler == v.me && (v.Case.State == complaint.Taken || v.Case.State == complaint.Proposed) {
		return s
	}
	if v.customer == nil {
		return mask.Text(s)
	}
	return mask.Text(s, v.customer.Name)
}

// marks tells the case's events in words.
func (v *caseView) marks(ctx context.Context) []ui.Mark {
	out := make([]ui.Mark, 0, len(v.Events))
	for _, e := range v.Events {
		m := ui.Mark{At: e.At, Tone: eventTone(e.Kind), Title: say(ctx, "ev."+e.Kind)}
		text := []string{v.names(e.By)}
		if e.Public {
			text = append(text, say(ctx, "public"))
		}
		m.Text = strings.Join(text, " · ")
		if way, ok := e.Data["way"].(string); ok && e.Kind == "contacted" {
			m.Text += "\u2003" + say(ctx, "way."+way) + " · " + httpx.Minute(ctx, happened(e))
		}
		for _, k := range []string{"text", "reason", "why"} {
			if s, ok := e.Data[k].(string); ok && s != "" {
				m.Text += "\u2003" + v.text(s)
			}
		}
		if g, ok := e.Data["grade"].(string); ok && g != "" {
			m.Text += "\u2003" + say(ctx, "by_grade", frame.Grade(ctx, g))
		}
		if s, ok := e.Data["result"].(string); ok && s != "" {
			m.Text += "\u2003" + say(ctx, "result."+s)
		}
		out = append(out, m)
	}
	return out
}

// happened is when what an event tells took place, where that is not when it was
// written down.
func happened(e complaint.Event) time.Time {
	if s, ok := e.Data["at"].(string); ok {
		if at, err := time.Parse(time.RFC3339, s); err == nil {
			return at
		}
	}
	return e.At
}

// first gives the first contact with the complainant; nil while there was none.
func (v *caseView) first() *complaint.Event {
	for i := range v.Events {
		if v.Events[i].Kind == "contacted" {
			return &v.Events[i]
		}
	}
	return nil
}

// contacts reports whether the reader may record a contact.
func (v *caseView) contacts(ctx context.Context) bool {
	return v.open() && v.Case.Handler == v.me && v.may(ctx, access.HandleComplaint)
}

func wayChoices(ctx context.Context) []ui.Choice {
	var out []ui.Choice
	for _, w := range complaint.Ways() {
		out = append(out, ui.Choice{Value: string(w), Word: say(ctx, "way."+string(w))})
	}
	return out
}

func eventTone(kind string) ui.Tone {
	switch kind {
	case "deadline_missed", "contact_missed":
		return ui.Bad
	case "opened", "ask_review", "extension_asked", "send_back":
		return ui.Wait
	case "answer", "accept", "extended", "contacted":
		return ui.Good
	case "take", "propose":
		return ui.Live
	default:
		return ui.Over
	}
}

func deadlineTone(state string) ui.Tone {
	switch state {
	case "running":
		return ui.Live
	case "asked":
		return ui.Wait
	case "met":
		return ui.Good
	case "missed":
		return ui.Bad
	default:
		return ui.Over
	}
}

func capText(ctx context.Context, g *contact.Grant) string {
	if g.Max == 0 {
		return say(ctx, "grant_nocap")
	}
	return say(ctx, "grant_cap_text", strconv.Itoa(g.Max), strconv.Itoa(g.Days))
}
