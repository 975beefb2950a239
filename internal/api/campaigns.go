package api

import (
	"context"
	"net/http"
	"time"

	"parley/internal/apikey"
	"parley/internal/campaign"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

// Terms are what a campaign says to whom, when and how often.
type Terms struct {
	Name        string            `json:"name" minLength:"1" maxLength:"80"`
	Purpose     string            `json:"purpose" enum:"service,marketing,fraud_alert,collection,statutory"`
	Product     string            `json:"product,omitempty" maxLength:"60"`
	Event       string            `json:"event,omitempty" maxLength:"80"`
	Relation    string            `json:"relation,omitempty" enum:"self,guarantor,reference" default:"self"`
	CallerID    string            `json:"caller_id" minLength:"2" maxLength:"32"`
	Script      string            `json:"script" maxLength:"64" doc:"Hash of a stored script."`
	Automated   bool              `json:"automated,omitempty" doc:"The list was chosen by automated means (PIPL art. 24)."`
	Zone        string            `json:"zone,omitempty" default:"Asia/Shanghai"`
	Start       string            `json:"start,omitempty" format:"date" doc:"First local day."`
	End         string            `json:"end,omitempty" format:"date" doc:"Last local day, included."`
	Hours       []Hours           `json:"hours,omitempty" maxItems:"14"`
	MaxAttempts int               `json:"max_attempts" minimum:"1" maximum:"20" doc:"Per person."`
	MaxPerDay   int               `json:"max_per_day,omitempty" minimum:"0" maximum:"20"`
	RetryAfter  map[string]string `json:"retry_after,omitempty" doc:"Outcome to a wait such as 30m or 4h."`
	Concurrency int               `json:"concurrency" minimum:"1" maximum:"5000" doc:"Calls at the same moment."`
	CPS         float64           `json:"cps" exclusiveMinimum:"0" maximum:"1000" doc:"New calls a second, at most."`
	Spread      bool              `json:"spread,omitempty"`
}

// Campaign is one campaign as kept.
type Campaign struct {
	ID      string    `json:"id"`
	State   string    `json:"state" enum:"draft,submitted,approved,running,paused,done"`
	Version int       `json:"version"`
	Hash    string    `json:"hash" doc:"Of terms, script and list: what an approval binds."`
	Members int       `json:"members"`
	Changed time.Time `json:"changed_at"`
	Note    string    `json:"note,omitempty" doc:"Why it was sent back or stopped."`
	Terms   Terms     `json:"terms"`
}

// Progress counts a campaign's people.
type Progress struct {
	Total     int            `json:"total"`
	ByState   map[string]int `json:"by_state"`
	ByOutcome map[string]int `json:"by_outcome"`
	ByRule    map[string]int `json:"by_rule" doc:"Who is denied or waits, by the rule that decided."`
}

// Member is one person of a list.
type Member struct {
	Customer string     `json:"customer"`
	Point    string     `json:"point"`
	State    string     `json:"state" enum:"new,due,later,reserved,dialing,done,denied,parked"`
	Due      *time.Time `json:"due_at,omitempty"`
	Tries    int        `json:"tries"`
	Outcome  string     `json:"last_outcome,omitempty"`
	Decision string     `json:"decision,omitempty"`
	Rule     string     `json:"rule,omitempty"`
}

// Listed says how many people are on the list now.
type Listed struct {
	Members int `json:"members"`
}

var errWait = errs.New(errs.Invalid, "retry_after_invalid", "retry_after 的等待时间请写成 30m、4h 等。", "Write the waits of retry_after as 30m, 4h and the like.")

func (t *Terms) terms() (out campaign.Terms, err error) {
	out = campaign.Terms{Name: t.Name, Product: t.Product, Event: t.Event, CallerID: t.CallerID, ScriptHash: t.Script, Automated: t.Automated,
		Zone: t.Zone, Start: t.Start, End: t.End, MaxAttempts: t.MaxAttempts, MaxPerDay: t.MaxPerDay, Concurrency: t.Concurrency, CPS: t.CPS, Spread: t.Spread}
	if out.Purpose, err = contact.ParsePurpose(t.Purpose); err != nil {
		return out, errRequest.With(err)
	}
	if out.Relation, err = contact.ParseRelation(t.Relation); err != nil {
		return out, errRequest.With(err)
	}
	if out.Hours, err = hours(t.Hours); err != nil {
		return out, err
	}
	for o, s := range t.RetryAfter {
		d, err := time.ParseDuration(s)
		if err != nil {
			return out, errWait.With(err)
		}
		if out.RetryAfter == nil {
			out.RetryAfter = map[contact.Outcome]time.Duration{}
		}
		out.RetryAfter[contact.Outcome(o)] = d
	}
	return out, nil
}

func fromCampaign(c *campaign.Campaign) Campaign {
	t := Terms{Name: c.Name, Purpose: c.Purpose.String(), Product: c.Product, Event: c.Event, Relation: c.Relation.String(), CallerID: c.CallerID,
		Script: c.ScriptHash, Automated: c.Automated, Zone: c.Zone, Start: c.Start, End: c.End, Hours: fromHours(c.Hours), MaxAttempts: c.MaxAttempts,
		MaxPerDay: c.MaxPerDay, Concurrency: c.Concurrency, CPS: c.CPS, Spread: c.Spread}
	for o, d := range c.RetryAfter {
		if t.RetryAfter == nil {
			t.RetryAfter = map[string]string{}
		}
		t.RetryAfter[string(o)] = d.String()
	}
	return Campaign{ID: c.ID, State: string(c.State), Version: c.Version, Hash: c.Hash, Members: c.Members, Changed: db.Time(c.ChangedAt), Note: c.Note, Terms: t}
}

func campaignOf(c *campaign.Campaign, err error) (Campaign, error) {
	if err != nil {
		return Campaign{}, err
	}
	return fromCampaign(c), nil
}

func (a *API) campaignRoutes() {
	type list struct {
		Paged
		State string `query:"state" enum:"draft,submitted,approved,running,paused,done"`
	}
	add(a, op{method: http.MethodGet, path: "/campaigns", id: "list-campaigns", tag: "campaigns", scope: apikey.CampaignsRead,
		sum: "List campaigns · 活动列表", doc: "Newest first."},
		func(ctx context.Context, in *list) (Page[Campaign], error) {
			after, err := in.after("campaigns", in.State)
			if err != nil {
				return Page[Campaign]{}, err
			}
			rows, err := a.Campaigns.Slice(ctx, campaign.State(in.State), false, db.Span{At: after, N: in.Limit})
			return page(in.Paged, "campaigns", in.State, rows, func(c *campaign.Campaign) string { return c.ID }, fromCampaign), err
		})
	add(a, op{method: http.MethodGet, path: "/campaigns/{id}", id: "get-campaign", tag: "campaigns", scope: apikey.CampaignsRead,
		sum: "Read a campaign · 查询活动"},
		func(ctx context.Context, in *ByID) (Campaign, error) { return campaignOf(a.Campaigns.Get(ctx, in.ID)) })
	add(a, op{method: http.MethodGet, path: "/campaigns/{id}/progress", id: "get-progress", tag: "campaigns", scope: apikey.CampaignsRead,
		sum: "Progress of a campaign · 活动进度", doc: "How many were called, wait or are refused, and by which rule."},
		func(ctx context.Context, in *ByID) (Progress, error) { return a.progress(ctx, in.ID) })
	type members struct {
		Paged
		ByID
		State string `query:"state" enum:"new,due,later,reserved,dialing,done,denied,parked"`
	}
	add(a, op{method: http.MethodGet, path: "/campaigns/{id}/members", id: "list-members", tag: "campaigns", scope: apikey.CampaignsRead,
		sum: "People of a campaign · 活动名单"},
		func(ctx context.Context, in *members) (Page[Member], error) {
			filter := in.ID + "/" + in.State
			after, err := in.after("members", filter)
			if err != nil {
				return Page[Member]{}, err
			}
			rows, err := a.Campaigns.Page(ctx, in.ID, campaign.MemberState(in.State), after, in.Limit+1)
			return page(in.Paged, "members", filter, rows, func(m campaign.Member) string { return m.Party }, fromMember), err
		})
	type terms struct{ Body Terms }
	add(a, op{method: http.MethodPost, path: "/campaigns", id: "make-campaign", tag: "campaigns", scope: apikey.CampaignsWrite, status: http.StatusCreated,
		sum: "Draft a campaign · 新建活动草稿", doc: "A person of the bank approves it; a key never does."},
		func(ctx context.Context, in *terms) (Campaign, error) {
			t, err := in.Body.terms()
			if err != nil {
				return Campaign{}, err
			}
			return campaignOf(a.Campaigns.Create(ctx, t, by(ctx)))
		})
	type update struct {
		ByID
		Body Terms
	}
	add(a, op{method: http.MethodPut, path: "/campaigns/{id}", id: "change-campaign", tag: "campaigns", scope: apikey.CampaignsWrite,
		sum: "Change a campaign · 修改活动", doc: "It is a draft again, stopped if it ran, and needs approval anew."},
		func(ctx context.Context, in *update) (Campaign, error) {
			t, err := in.Body.terms()
			if err != nil {
				return Campaign{}, err
			}
			return campaignOf(a.Campaigns.Update(ctx, in.ID, t, by(ctx)))
		})
	a.campaignActs()
}

// Listing names one person for a list, as an intent does.
type Listing struct {
	Customer    string `json:"customer,omitempty" maxLength:"36"`
	CustomerRef string `json:"customer_ref,omitempty" maxLength:"64"`
	Point       string `json:"point,omitempty" maxLength:"36"`
	To          string `json:"to,omitempty" maxLength:"254"`
}

func (a *API) campaignActs() {
	type list struct {
		ByID
		Body struct {
			People []Listing `json:"people" minItems:"1" maxItems:"1000"`
		}
	}
	add(a, op{method: http.MethodPost, path: "/campaigns/{id}/members", id: "add-members", tag: "campaigns", scope: apikey.CampaignsWrite,
		sum: "Add people to the list · 添加名单", doc: "A change that needs approval again. Who is on the list already stays as they are."},
		func(ctx context.Context, in *list) (Listed, error) { return a.addMembers(ctx, in.ID, in.Body.People) })
	type why struct {
		ByID
		Body *struct {
			Reason string `json:"reason,omitempty" maxLength:"400"`
		}
	}
	reason := func(in *why) string {
		if in.Body == nil {
			return ""
		}
		return in.Body.Reason
	}
	for _, x := range []struct {
		name, sum, doc string
		scope          apikey.Scope
		do             func(ctx context.Context, in *why) (*campaign.Campaign, error)
	}{
		{"submit", "Submit for approval · 提交复核", "To a second person, who is not the one that made the key.", apikey.CampaignsWrite,
			func(ctx context.Context, in *why) (*campaign.Campaign, error) {
				return a.Campaigns.Submit(ctx, in.ID, by(ctx), reason(in))
			}},
		{"start", "Start or go on · 启动", "What was approved, and exactly that.", apikey.CampaignsRun,
			func(ctx context.Context, in *why) (*campaign.Campaign, error) {
				return a.Campaigns.Start(ctx, in.ID, by(ctx))
			}},
		{"pause", "Pause · 暂停", "Once it is answered, no new call starts.", apikey.CampaignsRun,
			func(ctx context.Context, in *why) (*campaign.Campaign, error) {
				return a.Campaigns.Pause(ctx, in.ID, by(ctx), reason(in))
			}},
		{"finish", "Finish for good · 结束", "It cannot be started again.", apikey.CampaignsRun,
			func(ctx context.Context, in *why) (*campaign.Campaign, error) {
				return a.Campaigns.Finish(ctx, in.ID, by(ctx))
			}},
	} {
		add(a, op{method: http.MethodPost, path: "/campaigns/{id}/" + x.name, id: x.name + "-campaign", tag: "campaigns", scope: x.scope, sum: x.sum, doc: x.doc},
			func(ctx context.Context, in *why) (Campaign, error) { return campaignOf(x.do(ctx, in)) })
	}
	type script struct {
		Body struct {
			Name string `json:"name" minLength:"1" maxLength:"80" doc:"Of the file, for error messages."`
			YAML string `json:"yaml" minLength:"1" maxLength:"200000" doc:"The script, as examples show."`
		}
	}
	add(a, op{method: http.MethodPost, path: "/scripts", id: "put-script", tag: "campaigns", scope: apikey.CampaignsWrite, status: http.StatusCreated,
		sum: "Store a script · 上传脚本", doc: "Checked: every mistake is named. Its id is its hash; storing it again changes nothing."},
		func(ctx context.Context, in *script) (Made, error) {
			sc, err := campaign.Parse(in.Body.Name, []byte(in.Body.YAML), a.Prompt)
			if err != nil {
				return Made{}, err
			}
			return Made{sc.Hash()}, a.Campaigns.PutScript(ctx, sc, by(ctx))
		})
}

func (a *API) addMembers(ctx context.Context, id contact.ID, people []Listing) (Listed, error) {
	asked := make([]Intent, len(people))
	for i, p := range people {
		asked[i] = Intent{Customer: p.Customer, CustomerRef: p.CustomerRef, Point: p.Point, To: p.To,
			Channel: contact.Voice.String(), Purpose: contact.Service.String()}
	}
	found, err := a.intents(ctx, asked)
	if err != nil {
		return Listed{}, err
	}
	list := make([]campaign.Contact, len(found))
	for i, f := range found {
		list[i] = campaign.Contact{Party: f.Party, Point: f.Point}
	}
	n, err := a.Campaigns.AddMembers(ctx, id, list, by(ctx))
	return Listed{n}, err
}

func fromMember(m campaign.Member) Member {
	return Member{Customer: m.Party, Point: m.Point, State: string(m.State), Due: instant(m.DueAt), Tries: m.Tries, Outcome: string(m.LastOutcome),
		Decision: m.Permit, Rule: m.Rule}
}

func (a *API) progress(ctx context.Context, id contact.ID) (Progress, error) {
	p, err := a.Campaigns.Progress(ctx, id)
	if err != nil {
		return Progress{}, err
	}
	out := Progress{Total: p.Total, ByState: map[string]int{}, ByOutcome: map[string]int{}, ByRule: p.ByRule}
	for s, n := range p.ByState {
		out.ByState[string(s)] = n
	}
	for o, n := range p.ByOutcome {
		out.ByOutcome[string(o)] = n
	}
	return out, nil
}
