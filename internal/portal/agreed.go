package portal

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"parley/internal/access/customer"
	"parley/internal/consent"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/httpx"
	"parley/internal/httpx/ui"
	"parley/internal/httpx/words"
)

// standing reads what the visitor has said about being contacted.
func (p *portal) standing(ctx context.Context, tx *db.Tx, party contact.ID, lock bool) (contact.Standing, error) {
	all, err := p.Consent.Load(ctx, tx, []contact.ID{party}, lock)
	return all[party], err
}

func (p *portal) readStanding(ctx context.Context, party contact.ID) (st contact.Standing, err error) {
	err = p.DB.Read(ctx, func(tx *db.Tx) error {
		st, err = p.standing(ctx, tx, party, false)
		return err
	})
	return st, err
}

func (p *portal) agreed(w http.ResponseWriter, r *http.Request, s *customer.Session) error {
	st, err := p.readStanding(r.Context(), s.Party)
	if err != nil {
		return err
	}
	return show(w, r, http.StatusOK, p.agreedPage(st.Grants, merge(left(st)), r.URL.Query().Get("done")))
}

// left gives the stops with what they still bar: not the ways that a younger
// consent has opened again. A change of terms leaves such a stop.
func left(st contact.Standing) []contact.Stop {
	var out []contact.Stop
	for _, s := range st.Stops {
		open := contact.Channels(0)
		for _, g := range st.Grants {
			covers := g.Purposes == 0 || s.Purposes != 0 && g.Purposes&s.Purposes == s.Purposes
			if own(s) && g.Ground == contact.Consent && g.From > s.At && covers && len(g.Products) == 0 && len(g.Points) == 0 {
				if g.Channels == 0 {
					g.Channels = everyWay
				}
				open |= g.Channels
			}
		}
		if s.Channels == 0 && open != 0 {
			s.Channels = everyWay
		}
		if s.Channels &^= open; open == 0 || s.Channels != 0 {
			out = append(out, s)
		}
	}
	return out
}

// everyWay names all channels, where the empty set would mean any.
var everyWay = contact.ChannelSet(channelNames...)

// merge puts the two records of one tap, refusal and withdrawal, on one line.
func merge(stops []contact.Stop) []contact.Stop {
	var out []contact.Stop
	for _, s := range stops {
		same := slices.ContainsFunc(out, func(o contact.Stop) bool {
			return o.At == s.At && o.Purposes == s.Purposes && o.Channels == s.Channels && slices.Equal(o.Points, s.Points) && own(o) == own(s)
		})
		if !same {
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(a, b contact.Stop) int { return int(min(max(b.At-a.At, -1), 1)) })
	return out
}

// own reports a stop that the person can end: it was theirs to make.
func own(s contact.Stop) bool { return s.Kind == contact.Refusal || s.Kind == contact.Withdrawal }

var errNoGrant = errs.New(errs.NotFound, "no_such_consent", "这份同意已经不在了，可能刚刚改过或停止了。",
	"This consent is no longer there; it may just have been changed or stopped.")

func find(st contact.Standing, id contact.ID) (contact.Grant, error) {
	for _, g := range st.Grants {
		if g.ID == id {
			return g, nil
		}
	}
	return contact.Grant{}, errNoGrant
}

// terms shows one consent with what can be changed in it.
func (p *portal) terms(w http.ResponseWriter, r *http.Request, s *customer.Session) error {
	f, err := p.interrupted(w, r)
	if err != nil {
		return err
	}
	return p.showTerms(w, r, s, f, http.StatusOK)
}

func (p *portal) showTerms(w http.ResponseWriter, r *http.Request, s *customer.Session, f *httpx.Form, status int) error {
	ctx := r.Context()
	var g contact.Grant
	var notice consent.Notice
	err := p.DB.Read(ctx, func(tx *db.Tx) error {
		st, err := p.standing(ctx, tx, s.Party, false)
		if err != nil {
			return err
		}
		if g, err = find(st, r.PathValue("id")); err != nil || g.Notice == "" {
			return err
		}
		if notice, err = p.Consent.GetNotice(ctx, tx, g.Notice); err != nil && errs.Public(err).Kind == errs.NotFound {
			err = nil
		}
		return err
	})
	if err != nil {
		return err
	}
	if f == nil {
		f = fromTerms(g)
	}
	return show(w, r, status, p.termsPage(g, notice.Text, f))
}

// caps are the frequencies offered: so many contacts in so many days.
var caps = [...][2]int{{1, 7}, {1, 30}, {2, 30}, {3, 30}, {1, 90}}

// slots are the hours offered, in minutes of the day.
var slots = map[string]contact.Hours{"morning": {From: 9 * 60, To: 12 * 60}, "afternoon": {From: 12 * 60, To: 18 * 60}, "evening": {From: 18 * 60, To: 20 * 60}}

var (
	slotNames    = []string{"morning", "afternoon", "evening"}
	channelNames = []contact.Channel{contact.Voice, contact.SMS, contact.Email, contact.Letter, contact.Push}
)

func capValue(max, days int) string {
	if max == 0 {
		return "none"
	}
	return fmt.Sprintf("%d/%d", max, days)
}

// fromTerms fills the form with a consent as it stands. Terms that the form
// cannot say are kept as they are, as the choice "as it is".
func fromTerms(g contact.Grant) *httpx.Form {
	f := (&httpx.Form{}).Set("often", capValue(g.Max, g.Days))
	var chans, hours []string
	for _, c := range channelNames {
		if g.Channels.Has(c) {
			chans = append(chans, c.String())
		}
	}
	for _, n := range slotNames {
		if slices.ContainsFunc(g.Hours, func(h contact.Hours) bool { return h == slots[n] }) || len(g.Hours) == 0 {
			hours = append(hours, n)
		}
	}
	return f.Set("channels", strings.Join(chans, ",")).Set("hours", strings.Join(hours, ","))
}

func capChoices(ctx context.Context, g contact.Grant) []ui.Choice {
	out := []ui.Choice{{Value: "none", Word: say(ctx, "often_none")}}
	known := g.Max == 0
	for _, c := range caps {
		known = known || c == [2]int{g.Max, g.Days}
		out = append(out, ui.Choice{Value: capValue(c[0], c[1]), Word: say(ctx, "often_cap", c[0], c[1])})
	}
	if !known {
		out = append(out, ui.Choice{Value: capValue(g.Max, g.Days), Word: say(ctx, "often_cap", g.Max, g.Days)})
	}
	return out
}

func channelChoices(ctx context.Context) []ui.Choice {
	out := make([]ui.Choice, len(channelNames))
	for i, c := range channelNames {
		out[i] = ui.Choice{Value: c.String(), Word: say(ctx, "channel_"+c.String())}
	}
	return out
}

func slotChoices(ctx context.Context) []ui.Choice {
	out := make([]ui.Choice, len(slotNames))
	for i, n := range slotNames {
		out[i] = ui.Choice{Value: n, Word: say(ctx, "slot_"+n)}
	}
	return out
}

// readTerms puts what was chosen into a consent.
func readTerms(f *httpx.Form, g contact.Grant) contact.Grant {
	g.Channels, g.Hours = 0, nil
	for _, c := range channelNames {
		if f.Has("channels", c.String()) {
			g.Channels |= contact.ChannelSet(c)
		}
	}
	if g.Channels == 0 {
		f.Wrong("channels", "form.choose")
	}
	for _, n := range slotNames {
		if f.Has("hours", n) {
			g.Hours = append(g.Hours, slots[n])
		}
	}
	switch len(g.Hours) {
	case 0:
		f.Wrong("hours", "form.choose")
	case len(slotNames):
		g.Hours = nil // any hour the rules allow
	}
	n, days, ok := strings.Cut(f.Get("often"), "/")
	g.Max, g.Days = 0, 0
	if ok {
		g.Max, _ = strconv.Atoi(n)
		g.Days, _ = strconv.Atoi(days)
	}
	if ok && (g.Max < 1 || g.Days < 1 || g.Days > 366) || !ok && f.Get("often") != "none" {
		f.Wrong("often", "form.choose")
	}
	return g
}

// change replaces a consent by one with the terms now chosen: the old one is
// taken back and a new one given in one transaction.
func (p *portal) change(w http.ResponseWriter, r *http.Request, s *customer.Session) error {
	ctx := r.Context()
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	readTerms(f, contact.Grant{})
	if !f.OK() {
		return p.showTerms(w, r, s, f, http.StatusUnprocessableEntity)
	}
	var fresh contact.Grant
	err = p.DB.Write(ctx, func(tx *db.Tx) error {
		st, err := p.standing(ctx, tx, s.Party, true)
		if err != nil {
			return err
		}
		old, err := find(st, r.PathValue("id"))
		if err != nil {
			return err
		}
		if old.Ground != contact.Consent {
			return errNotYours
		}
		// A consent outweighs a withdrawal only if it is younger.
		back := contact.Stop{Kind: contact.Withdrawal, GrantID: old.ID, Source: "portal", At: tx.At() - 1}
		if _, err := p.Consent.Stop(ctx, tx, s.Party, back, "portal"); err != nil {
			return err
		}
		fresh = readTerms(f, old)
		fresh.ID, fresh.From, fresh.How = "", 0, "portal"
		fresh.Evidence = contact.Electronic | contact.Express | contact.Proof // the tap, by whoever proved the number, is in the ledger
		fresh, err = p.Consent.Grant(ctx, tx, s.Party, fresh, "portal")
		return err
	})
	if err != nil {
		return err
	}
	httpx.Go(w, r, "/my/agreed?done="+fresh.ID)
	return nil
}

var errNotYours = errs.New(errs.Refused, "not_a_consent", "这一项不是凭您的同意，而是为了履行合同或法律要求，不能在这里修改。",
	"This does not rest on your consent but on a contract or the law, so it cannot be changed here.")

func (p *portal) toGrant(w http.ResponseWriter, r *http.Request, _ *customer.Session) error {
	httpx.Go(w, r, "/my/agreed/"+r.PathValue("id"))
	return nil
}

func (p *portal) stopGrant(w http.ResponseWriter, r *http.Request, s *customer.Session) error {
	ctx := r.Context()
	var id contact.ID
	err := p.DB.Write(ctx, func(tx *db.Tx) error {
		st, err := p.standing(ctx, tx, s.Party, true)
		if err != nil {
			return err
		}
		g, err := find(st, r.PathValue("id"))
		if err != nil {
			return err
		}
		if g.Ground != contact.Consent && g.Ground != contact.Request {
			return errNotYours
		}
		got, err := p.Consent.Stop(ctx, tx, s.Party, contact.Stop{Kind: contact.Withdrawal, GrantID: g.ID, Source: "portal"}, "portal")
		id = got.ID
		return err
	})
	if err != nil {
		return err
	}
	httpx.Go(w, r, "/my/stopped?id="+id)
	return nil
}

func (p *portal) stopAllPage(w http.ResponseWriter, r *http.Request, _ *customer.Session) error {
	return show(w, r, http.StatusOK, p.stopAllForm())
}

// stopAll stops all that a person can stop. Purposes that cannot be are not
// named, so the rules about them let them pass.
func (p *portal) stopAll(w http.ResponseWriter, r *http.Request, s *customer.Session) error {
	ctx := r.Context()
	var id contact.ID
	err := p.DB.Write(ctx, func(tx *db.Tx) (err error) {
		id, err = p.refuse(ctx, tx, s.Party, contact.Stop{Source: "portal"})
		return err
	})
	if err != nil {
		return err
	}
	httpx.Go(w, r, "/my/stopped?id="+id)
	return nil
}

// stoppedPage says in words what was stopped, as it is recorded.
func (p *portal) stoppedPage(w http.ResponseWriter, r *http.Request, s *customer.Session) error {
	st, err := p.readStanding(r.Context(), s.Party)
	if err != nil {
		return err
	}
	for _, stop := range st.Stops {
		if stop.ID == r.URL.Query().Get("id") {
			return show(w, r, http.StatusOK, p.stoppedNow(stop))
		}
	}
	httpx.Go(w, r, "/my/agreed")
	return nil
}

// again lets the bank contact the visitor again as before a stop of their own.
// A consent that was taken back does not return; the page says so.
func (p *portal) again(w http.ResponseWriter, r *http.Request, s *customer.Session) error {
	ctx := r.Context()
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	err = p.DB.Write(ctx, func(tx *db.Tx) error {
		st, err := p.standing(ctx, tx, s.Party, true)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(st.Stops, func(q contact.Stop) bool { return q.ID == f.Get("id") && own(q) })
		if i < 0 {
			return consent.ErrNoStop
		}
		for _, twin := range st.Stops {
			if len(merge([]contact.Stop{st.Stops[i], twin})) == 1 {
				if err := p.Consent.Lift(ctx, tx, s.Party, twin.ID, "portal", "customer"); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	httpx.Go(w, r, "/my/agreed?done=again")
	return nil
}

// purposesOf names what a stop or consent covers; none named means any.
func purposesOf(ctx context.Context, s contact.Purposes) string {
	return named(ctx, "purpose_", s.Names())
}

func channelsOf(ctx context.Context, s contact.Channels) string {
	return named(ctx, "channel_", s.Names())
}

func named(ctx context.Context, family string, names []string) string {
	if len(names) == 0 {
		return say(ctx, family+"all")
	}
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = say(ctx, family+n)
	}
	return strings.Join(out, words.Pick(ctx, "、", ", "))
}

// when writes a consent's hours.
func when(ctx context.Context, hs []contact.Hours) string {
	if len(hs) == 0 {
		return say(ctx, "hours_any")
	}
	out := make([]string, len(hs))
	for i, h := range hs {
		out[i] = fmt.Sprintf("%d:%02d–%d:%02d", h.From/60, h.From%60, h.To/60, h.To%60)
	}
	return strings.Join(out, words.Pick(ctx, "、", ", "))
}

func often(ctx context.Context, g contact.Grant) string {
	if g.Max == 0 {
		return say(ctx, "often_none")
	}
	return say(ctx, "often_cap", g.Max, g.Days)
}

// stopped says in words what a stop bars, and since when.
func stopped(ctx context.Context, s contact.Stop) string {
	key := "stop_says"
	switch {
	case s.Kind == contact.Hold:
		key = "stop_says_hold"
	case s.Purposes == 0:
		key = "stop_says_any"
	}
	return say(ctx, key, httpx.Minute(ctx, time.UnixMicro(s.At)), purposesOf(ctx, s.Purposes), channelsOf(ctx, s.Channels))
}
