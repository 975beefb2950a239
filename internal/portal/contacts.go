package portal

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"parley/internal/access/customer"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/disclosure"
	"parley/internal/errs"
	"parley/internal/gate"
	"parley/internal/httpx"
	"parley/internal/httpx/wave"
	"parley/internal/httpx/words"
	"parley/internal/ledger"
	"parley/internal/outbound"
	"parley/internal/phone"
	"parley/internal/policy"
)

// Rules gives what a customer may be told about a decision.
type Rules interface {
	ForCustomer(v policy.Verdict, lang string) policy.CustomerView
}

// told is one contact with all that its page tells of it.
type told struct {
	*outbound.Attempt
	why    gate.Stored
	grant  *contact.Grant    // the ground relied on; nil when none is on record
	to     string            // masked
	notice string            // the wording shown when it was agreed to
	rules  []string          // the rules' sentences
	looks  []disclosure.Look // who listened to the recording
	heard  bool              // the recording was asked for just now
}

const perPage = 20

// contacts lists every contact with the visitor, the latest first.
func (p *portal) contacts(w http.ResponseWriter, r *http.Request, s *customer.Session) error {
	ctx := r.Context()
	var list []*told
	older := contact.ID("")
	err := p.DB.Read(ctx, func(tx *db.Tx) error {
		list, older = nil, ""
		ats, err := p.Attempts.AttemptsByParty(ctx, tx, s.Party, r.URL.Query().Get("before"), perPage+1)
		if err != nil {
			return err
		}
		if len(ats) > perPage {
			ats = ats[:perPage]
			older = ats[perPage-1].ID
		}
		known, err := p.known(ctx, tx, s.Party)
		if err != nil {
			return err
		}
		for _, a := range ats {
			if a.Outcome == contact.NotSent {
				continue // it never left the bank
			}
			t, err := p.tell(ctx, tx, a, known)
			if err != nil {
				return err
			}
			list = append(list, t)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return show(w, r, http.StatusOK, p.contactsPage(list, older))
}

// points gives a customer's numbers and addresses, masked.
func (p *portal) points(ctx context.Context, tx *db.Tx, id contact.ID) (map[contact.ID]string, error) {
	out := map[contact.ID]string{}
	who, err := p.Party.Get(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	for _, q := range who.Points {
		out[q.ID] = q.Mask()
	}
	return out, nil
}

// file is what is on record of a customer beside the contacts.
type file struct {
	points map[contact.ID]string         // masked
	grants map[contact.ID]*contact.Grant // all they ever gave
}

func (p *portal) known(ctx context.Context, tx *db.Tx, id contact.ID) (file, error) {
	points, err := p.points(ctx, tx, id)
	if err != nil {
		return file{}, err
	}
	f := file{points: points, grants: map[contact.ID]*contact.Grant{}}
	past, err := p.Consent.History(ctx, tx, id)
	for _, e := range past {
		if e.Grant != nil {
			f.grants[e.Grant.ID] = e.Grant
		}
	}
	return f, err
}

func (p *portal) tell(ctx context.Context, tx *db.Tx, a *outbound.Attempt, f file) (t *told, err error) {
	t = &told{Attempt: a, to: f.points[a.Point]}
	if t.why, err = p.Decisions.DecisionIn(ctx, tx, a.ID); err != nil {
		return nil, err
	}
	t.grant = f.grants[t.why.Verdict.Grant]
	return t, nil
}

var errNoContact = errs.New(errs.NotFound, "no_such_contact", "没有找到这次联系。", "There is no such contact.")

// open reads one contact of the visitor's own; another person's is none.
func (p *portal) openContact(ctx context.Context, tx *db.Tx, s *customer.Session, id contact.ID) (*told, error) {
	a, err := p.Attempts.Attempt(ctx, tx, id)
	if err != nil && errs.Public(err).Kind != errs.NotFound {
		return nil, err
	}
	if err != nil || a.Party != s.Party || a.Outcome == contact.NotSent {
		return nil, errNoContact
	}
	known, err := p.known(ctx, tx, s.Party)
	if err != nil {
		return nil, err
	}
	t, err := p.tell(ctx, tx, a, known)
	if err != nil {
		return nil, err
	}
	if t.grant != nil && t.grant.Notice != "" {
		n, err := p.Consent.GetNotice(ctx, tx, t.grant.Notice)
		if err != nil && errs.Public(err).Kind != errs.NotFound {
			return nil, err
		}
		t.notice = n.Text
	}
	t.rules = p.Words().ForCustomer(t.why.Verdict, string(words.From(ctx))).Sentences
	return t, nil
}

func (p *portal) contact(w http.ResponseWriter, r *http.Request, s *customer.Session) error {
	return p.showContact(w, r, s, false)
}

func (p *portal) showContact(w http.ResponseWriter, r *http.Request, s *customer.Session, heard bool) error {
	ctx := r.Context()
	var t *told
	err := p.DB.Read(ctx, func(tx *db.Tx) (err error) {
		t, err = p.openContact(ctx, tx, s, r.PathValue("id"))
		return err
	})
	if err != nil {
		return err
	}
	if t.looks, err = p.heardBy(ctx, s, t.ID); err != nil {
		return err
	}
	t.heard = heard
	return show(w, r, http.StatusOK, p.contactPage(t))
}

// toContact leads those who come back to the address of a button, as after
// signing in, to the page it is on: nothing is done without a tap.
func (p *portal) toContact(w http.ResponseWriter, r *http.Request, _ *customer.Session) error {
	httpx.Go(w, r, "/my/contacts/"+r.PathValue("id"))
	return nil
}

// hear opens the recording for the visitor and keeps that it was asked for.
func (p *portal) hear(w http.ResponseWriter, r *http.Request, s *customer.Session) error {
	ctx := r.Context()
	err := p.DB.Write(ctx, func(tx *db.Tx) error {
		t, err := p.openContact(ctx, tx, s, r.PathValue("id"))
		if err != nil {
			return err
		}
		if t.Recording.SHA256 == "" {
			return errNoRecording
		}
		return ledger.Append(ctx, tx, ledger.Entry{Type: "recording.heard", ID: t.ID,
			Record: map[string]any{"attempt": t.ID, "party": s.Party, "by": "customer", "session": s.ID}})
	})
	if err != nil {
		return err
	}
	return p.showContact(w, r, s, true)
}

var errNoRecording = errs.New(errs.NotFound, "no_recording", "这次联系没有录音。", "There is no recording of this contact.")

func (p *portal) sound(w http.ResponseWriter, r *http.Request, s *customer.Session) error {
	ctx := r.Context()
	var t *told
	err := p.DB.Read(ctx, func(tx *db.Tx) (err error) {
		t, err = p.openContact(ctx, tx, s, r.PathValue("id"))
		return err
	})
	if err != nil {
		return err
	}
	if t.Recording.SHA256 == "" {
		return errNoRecording
	}
	f, err := p.Blobs.Open(t.Recording.SHA256)
	if err != nil {
		return err
	}
	defer f.Close()
	snd, err := wave.Decode(f)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "audio/wav")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(snd.PCM()))
	return nil
}

// firm reports a purpose that the person cannot stop as a whole: the law, or
// their own safety, wants it.
func firm(p contact.Purpose) bool { return p == contact.FraudAlert || p == contact.Statutory }

// stopFor is what "do not contact me for this again" bars: marketing in every
// way; what belongs to a contract in the way it came.
func stopFor(p contact.Purpose, c contact.Channel) contact.Stop {
	st := contact.Stop{Purposes: contact.PurposeSet(p), Source: "portal"}
	if p != contact.Marketing {
		st.Channels = contact.ChannelSet(c)
	}
	return st
}

// refuse records a stop as both things it is: consent taken back (PIPL 15) and
// a refusal of this way of contact.
func (p *portal) refuse(ctx context.Context, tx *db.Tx, party contact.ID, st contact.Stop) (contact.ID, error) {
	refusal, withdrawal := st, st
	refusal.Kind, withdrawal.Kind = contact.Refusal, contact.Withdrawal
	if _, err := p.Consent.Stop(ctx, tx, party, refusal, "portal"); err != nil {
		return "", err
	}
	got, err := p.Consent.Stop(ctx, tx, party, withdrawal, "portal")
	return got.ID, err
}

var errFirm = errs.New(errs.Refused, "cannot_stop", "风险提示和法定通知不能停止：前者保护您的钱，后者是法律要求。",
	"Fraud alerts and legal notices cannot be stopped: the first protect your money, the second the law requires.")

func (p *portal) stopContact(w http.ResponseWriter, r *http.Request, s *customer.Session) error {
	ctx := r.Context()
	var id contact.ID
	err := p.DB.Write(ctx, func(tx *db.Tx) error {
		t, err := p.openContact(ctx, tx, s, r.PathValue("id"))
		if err != nil {
			return err
		}
		if firm(t.Purpose) {
			return errFirm
		}
		id, err = p.refuse(ctx, tx, s.Party, stopFor(t.Purpose, t.Channel))
		return err
	})
	if err != nil {
		return err
	}
	httpx.Go(w, r, "/my/stopped?id="+id)
	return nil
}

// looks lists who at the bank saw the visitor's data in the clear.
func (p *portal) looks(w http.ResponseWriter, r *http.Request, s *customer.Session) error {
	span := db.Span{At: r.URL.Query().Get("before"), N: perPage}
	list, err := p.Looks.ByParty(r.Context(), s.Party, span)
	if err != nil {
		return err
	}
	list, _, more := db.Cut(list, span)
	older := ""
	if more {
		last := list[len(list)-1]
		older = db.TimeKey(last.At, last.ID)
	}
	return show(w, r, http.StatusOK, p.looksPage(list, older))
}

// mostHeard is how many of the latest looks are searched for those at one recording.
const mostHeard = 200

// heardBy gives who listened to the recording of a contact.
func (p *portal) heardBy(ctx context.Context, s *customer.Session, attempt contact.ID) ([]disclosure.Look, error) {
	all, err := p.Looks.ByParty(ctx, s.Party, db.Span{N: mostHeard})
	var out []disclosure.Look
	for _, l := range all {
		if l.What == disclosure.Recording && l.Subject == attempt {
			out = append(out, l)
		}
	}
	return out, err
}

// look says in words who saw what, and when.
func look(ctx context.Context, l disclosure.Look) string {
	who := say(ctx, "looks_somebody")
	if l.Role != "" && words.Has("role."+l.Role) {
		who = words.T(ctx, "role."+l.Role)
	}
	return say(ctx, "looks_one", httpx.Minute(ctx, time.UnixMicro(l.At)), who, say(ctx, "look_"+string(l.What)))
}

// lookReason says why.
func lookReason(ctx context.Context, l disclosure.Look) string {
	why := say(ctx, "reason_"+string(l.Reason))
	if l.Words != "" {
		why += say(ctx, "colon") + l.Words
	}
	return why
}

// sentence says what a contact was: when, from which number, about what, and
// how it ended.
func (t *told) sentence(ctx context.Context) string {
	from := t.CallerID
	if t.Channel == contact.Voice {
		from = phone.Format(from)
	}
	return say(ctx, "contact_"+t.Channel.String(), httpx.Minute(ctx, t.StartedAt), from, t.to, say(ctx, "about_"+t.about()), say(ctx, "outcome_"+t.ended()))
}

// about names what the contact was for.
func (t *told) about() string {
	if t.why.Intent.Product == "one_time_code" {
		return "code"
	}
	return t.Purpose.String()
}

func (t *told) ended() string {
	if t.Outcome == "" {
		return "now"
	}
	return string(t.Outcome)
}

// because says what allowed a contact.
func (t *told) because(ctx context.Context) string {
	if t.why.Intent.Initiator == "customer" {
		return say(ctx, "because_asked")
	}
	if t.grant != nil {
		key := "because_" + string(t.grant.Ground)
		return say(ctx, key, httpx.Day(ctx, time.UnixMicro(t.grant.From)), how(ctx, t.grant.How))
	}
	if firm(t.Purpose) {
		return say(ctx, "because_statute")
	}
	return say(ctx, "because_contract")
}

// how names the way a consent was obtained; what the bank calls its own way
// stands as it is.
func how(ctx context.Context, h string) string {
	if h == "" {
		return say(ctx, "how_unknown")
	}
	if s := say(ctx, "how_"+h); s != "how_"+h {
		return s
	}
	return h
}
