package console

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"parley/internal/campaign"
	"parley/internal/console/frame"
	"parley/internal/console/scripts"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/httpx"
	"parley/internal/httpx/ui"
	"parley/internal/httpx/words"
	"parley/internal/party"
)

// campaignForm shows the form, empty or filled with what the campaign has.
func (c *Console) campaignForm(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), r.PathValue("id")
	f := new(httpx.Form)
	if id == "" {
		f.Set("max_attempts", "3").Set("max_per_day", "1").Set("concurrency", "10").Set("cps", "2").Set("relation", contact.Self.String()).
			Set("from", "09:00").Set("to", "20:00").Set("retry_no_answer", "60").Set("retry_busy", "10")
	} else {
		m, err := c.Campaigns.Get(ctx, id)
		if err != nil {
			return err
		}
		fillTerms(f, &m.Terms)
	}
	return c.showCampaignForm(w, r, f, id, 0)
}

func (c *Console) showCampaignForm(w http.ResponseWriter, r *http.Request, f *httpx.Form, id contact.ID, status int) error {
	ctx := r.Context()
	title := words.T(ctx, "campaigns.new")
	if id != "" {
		title = words.T(ctx, "campaign.edit")
	}
	scripts, err := c.scriptChoices(ctx, f.Get("script"))
	if err != nil {
		return err
	}
	return c.frame.Show(w, r, frame.Sheet{Title: title, Menu: "/campaigns", Status: status, Body: campaignFormView(f, id, title, scripts)})
}

// scriptChoices offers the scripts in use, and the one the campaign has.
func (c *Console) scriptChoices(ctx context.Context, now string) ([]ui.Choice, error) {
	shelves, err := c.Campaigns.Shelves(ctx)
	if err != nil {
		return nil, err
	}
	var out []ui.Choice
	add := func(hash, version string) error {
		s, err := c.Campaigns.Script(ctx, hash)
		if err != nil {
			return err
		}
		out = append(out, ui.Choice{Value: hash, Word: scripts.Title(ctx, s) + " · " + version})
		return nil
	}
	for _, s := range shelves {
		if s.InUse == nil {
			continue
		}
		if err := add(s.InUse.Hash, words.T(ctx, "campaign.version", s.InUse.Version)); err != nil {
			return nil, err
		}
	}
	if now != "" && !slices.ContainsFunc(out, func(x ui.Choice) bool { return x.Value == now }) {
		if err := add(now, frame.Short(now)); err != nil && errs.Public(err).Kind != errs.NotFound {
			return nil, err
		}
	}
	return out, nil
}

func fillTerms(f *httpx.Form, t *campaign.Terms) {
	f.Set("name", t.Name).Set("purpose", t.Purpose.String()).Set("product", t.Product).Set("event", t.Event).Set("relation", t.Relation.String()).
		Set("caller_id", t.CallerID).Set("script", t.ScriptHash).Set("start", t.Start).Set("end", t.End).
		Set("max_attempts", strconv.Itoa(t.MaxAttempts)).Set("max_per_day", strconv.Itoa(max(t.MaxPerDay, 1))).
		Set("concurrency", strconv.Itoa(t.Concurrency)).Set("cps", strconv.FormatFloat(t.CPS, 'g', -1, 64))
	if t.MaxPerDay == 0 {
		f.Set("max_per_day", strconv.Itoa(t.MaxAttempts))
	}
	if len(t.Hours) > 0 {
		f.Set("from", clockText(t.Hours[0].From)).Set("to", clockText(t.Hours[0].To))
	}
	for _, o := range retryOutcomes() {
		if d := t.RetryAfter[o]; d > 0 {
			f.Set("retry_"+string(o), strconv.Itoa(int(d/time.Minute)))
		}
	}
	if t.Automated {
		f.Set("automated", "1")
	}
	if t.Spread {
		f.Set("spread", "1")
	}
}

// readTerms reads the form into terms; what the form does not show stays as it is in old.
func readTerms(f *httpx.Form, old campaign.Terms, zone string) campaign.Terms {
	t := old
	t.Name, t.Product, t.CallerID = f.Text("name", 80), f.Maybe("product", 60), f.Text("caller_id", 30)
	t.ScriptHash = f.Text("script", 64)
	t.Start, t.End = f.Maybe("start", 10), f.Maybe("end", 10)
	t.MaxAttempts, t.MaxPerDay = f.Int("max_attempts", 1, 20), f.Int("max_per_day", 1, 20)
	t.Concurrency = f.Int("concurrency", 1, 1000)
	t.Automated, t.Spread = f.Get("automated") != "", f.Get("spread") != ""
	if t.Zone == "" {
		t.Zone = zone
	}
	if p, err := contact.ParsePurpose(f.One("purpose", purposeNames()...)); err == nil {
		t.Purpose = p
	}
	if rel, err := contact.ParseRelation(f.One("relation", relationNames()...)); err == nil {
		t.Relation = rel
	}
	if cps, err := strconv.ParseFloat(f.Text("cps", 10), 64); err == nil && cps > 0 && cps <= 100 {
		t.CPS = cps
	} else {
		f.Wrong("cps", "form.not_in_range")
	}
	if from, to := f.Maybe("from", 5), f.Maybe("to", 5); from != "" || to != "" {
		a, okA := minutes(from)
		b, okB := minutes(to)
		if !okA || !okB || a >= b {
			f.Wrong("to", "form.hours")
		}
		h := contact.Hours{From: a, To: b}
		if len(old.Hours) > 0 { // the form shows one window; its days and further windows stay
			h.Days = old.Hours[0].Days
			t.Hours = append([]contact.Hours{h}, old.Hours[1:]...)
		} else {
			t.Hours = []contact.Hours{h}
		}
	} else {
		t.Hours = nil
	}
	t.RetryAfter = map[contact.Outcome]time.Duration{}
	for o, d := range old.RetryAfter {
		t.RetryAfter[o] = d
	}
	for _, o := range retryOutcomes() {
		delete(t.RetryAfter, o)
		if f.Get("retry_"+string(o)) != "" {
			t.RetryAfter[o] = time.Duration(f.Int("retry_"+string(o), 1, 7*24*60)) * time.Minute
		}
	}
	return t
}

func (c *Console) campaignSave(w http.ResponseWriter, r *http.Request) error {
	ctx, id, by := r.Context(), r.PathValue("id"), frame.Who(r.Context()).ID
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	var old campaign.Terms
	if id != "" {
		m, err := c.Campaigns.Get(ctx, id)
		if err != nil {
			return err
		}
		old = m.Terms
	}
	t := readTerms(f, old, httpx.From(ctx).Zone.String())
	if f.OK() {
		err = c.storeCampaign(ctx, &id, t, by)
		if e := errs.Public(err); err != nil && e.Kind == errs.Invalid {
			f.Notice = words.Pick(ctx, e.Zh, e.En)
		} else if err != nil {
			return err
		}
	}
	if !f.OK() {
		return c.showCampaignForm(w, r, f, id, http.StatusUnprocessableEntity)
	}
	return c.frame.Done(w, r, "/campaigns/"+id, "flash.campaign_saved")
}

func (c *Console) storeCampaign(ctx context.Context, id *contact.ID, t campaign.Terms, by string) error {
	if *id != "" {
		_, err := c.Campaigns.Update(ctx, *id, t, by)
		return err
	}
	m, err := c.Campaigns.Create(ctx, t, by)
	if err == nil {
		*id = m.ID
	}
	return err
}

// maxTyped is how many customer numbers a page takes; longer lists come by file.
const maxTyped = 5000

// campaignList adds customers to a campaign's list, by customer number.
func (c *Console) campaignList(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), r.PathValue("id")
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	refs := strings.FieldsFunc(f.Get("refs"), func(r rune) bool { return strings.ContainsRune(" \t\r\n,;，；、", r) })
	if len(refs) == 0 || len(refs) > maxTyped {
		return errs.New(errs.Invalid, "list_size", fmt.Sprintf("请填写 1 至 %d 个客户号。", maxTyped), fmt.Sprintf("Give between 1 and %d customer numbers.", maxTyped))
	}
	var list []campaign.Contact
	unknown := 0
	err = c.DB.Read(ctx, func(tx *db.Tx) error {
		list = nil
		ids, err := c.Parties.IDs(ctx, tx, refs)
		if err != nil {
			return err
		}
		unknown = len(refs) - len(ids)
		var parties []contact.ID
		for _, p := range ids {
			parties = append(parties, p)
		}
		return c.Parties.Each(ctx, tx, parties, func(p *party.Party) error {
			if pt, ok := p.Point(party.Phone); ok {
				list = append(list, campaign.Contact{Party: p.ID, Point: pt.ID})
			} else {
				unknown++
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return errs.New(errs.NotFound, "list_unknown", "这些客户号都找不到，或没有电话号码。", "None of these customer numbers is known with a telephone number.")
	}
	n, err := c.Campaigns.AddMembers(ctx, id, list, frame.Who(ctx).ID)
	if err != nil {
		return err
	}
	return c.frame.Done(w, r, "/campaigns/"+id, "flash.listed", httpx.Num(n), httpx.Num(unknown))
}

func relationNames() []string {
	return []string{contact.Self.String(), contact.Guarantor.String(), contact.Reference.String()}
}

func relationChoices(ctx context.Context) []ui.Choice {
	var out []ui.Choice
	for _, n := range relationNames() {
		out = append(out, ui.Choice{Value: n, Word: words.T(ctx, "relation."+n)})
	}
	return out
}

func clockText(m int) string { return fmt.Sprintf("%02d:%02d", m/60, m%60) }

func minutes(s string) (int, bool) {
	t, err := time.Parse("15:04", s)
	return t.Hour()*60 + t.Minute(), err == nil
}
