package app

import (
	"context"
	"fmt"
	"time"

	"parley/internal/access"
	"parley/internal/campaign"
	"parley/internal/consent"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/party"
	"parley/internal/sim"
)

// demoStaff are the people of the fictitious bank.
var demoStaff = []access.Staff{
	{Login: "wang", Name: "王敏", Roles: []access.Role{access.CampaignManager}},
	{Login: "li", Name: "李强", Roles: []access.Role{access.Approver}},
	{Login: "zhang", Name: "张华", Roles: []access.Role{access.Handler}},
	{Login: "zhao", Name: "赵静", Roles: []access.Role{access.ComplaintApprover}},
	{Login: "feng", Name: "冯毅", Roles: []access.Role{access.Senior}},
	{Login: "chen", Name: "陈思", Roles: []access.Role{access.Compliance}},
	{Login: "zhou", Name: "周正", Roles: []access.Role{access.Auditor}},
	{Login: "sun", Name: "孙晓", Roles: []access.Role{access.Agent}},
	{Login: "wu", Name: "吴伟", Roles: []access.Role{access.Supervisor}},
	{Login: "zheng", Name: "郑凯", Roles: []access.Role{access.Admin}},
	{Login: "qian", Name: "钱宁", Roles: []access.Role{access.Admin}},
}

// notice is the wording the demo's customers were shown when they agreed.
var notice = consent.Notice{Version: "2026-03", Lang: "zh-CN", Text: "守约银行可以就您同意的事项、按您同意的次数和时段，通过电话与您联系。" +
	"用途、频次和期限以您的选择为准；您可以随时撤回，撤回后立即生效，不影响其他服务。"}

// seeded is what seed made.
type seeded struct {
	staff     map[string]contact.ID // by sign-in name
	campaigns []contact.ID
}

// seedOnce seeds an empty bank; one that has customers goes on with them.
func (a *App) seedOnce(ctx context.Context, seed uint64, n int) (*seeded, error) {
	have := int64(0)
	if err := a.DB.Read(ctx, func(tx *db.Tx) (err error) {
		have, err = a.Party.Count(ctx, tx)
		return err
	}); err != nil {
		return nil, err
	}
	if have == 0 {
		return a.seed(ctx, seed, n)
	}
	list, err := a.Access.List(ctx)
	if err != nil {
		return nil, err
	}
	out := &seeded{staff: map[string]contact.ID{}}
	for _, st := range list {
		out.staff[st.Login] = st.ID
	}
	cs, err := a.Campaigns.List(ctx)
	for _, c := range cs {
		out.campaigns = append(out.campaigns, c.ID)
	}
	return out, err
}

// seed fills an empty bank with n fictitious customers, their consents, staff
// and three campaigns, each made by one person and approved by another.
func (a *App) seed(ctx context.Context, seed uint64, n int) (*seeded, error) {
	out := &seeded{staff: map[string]contact.ID{}}
	for _, st := range demoStaff {
		// Nobody knows this password: the demo's door lets people in by a click.
		got, err := a.Access.AddStaff(ctx, st, contact.NewID()+contact.NewID())
		if err != nil {
			return nil, fmt.Errorf("seed staff: %w", err)
		}
		out.staff[st.Login] = got.ID
	}
	people := sim.Customers(seed, n)
	parties, err := a.seedPeople(ctx, people)
	if err != nil {
		return nil, fmt.Errorf("seed customers: %w", err)
	}
	for _, c := range demoCampaigns() {
		id, err := a.seedCampaign(ctx, c, people, parties, out.staff)
		if err != nil {
			return nil, fmt.Errorf("seed campaign %s: %w", c.terms.Name, err)
		}
		out.campaigns = append(out.campaigns, id)
	}
	return out, nil
}

func (a *App) seedPeople(ctx context.Context, people []sim.Customer) ([]*party.Party, error) {
	ps := make([]*party.Party, len(people))
	for i, p := range people {
		ps[i] = &party.Party{Ref: p.Ref, Name: p.Name, IDNumber: p.IDNumber, Lang: p.Lang, Zone: p.Zone, Region: p.Region,
			Points: []party.Point{{Kind: party.Phone, Value: p.Phone}, {Kind: party.Email, Value: p.Email}}}
	}
	err := a.DB.Write(ctx, func(tx *db.Tx) error {
		if err := a.Party.Put(ctx, tx, ps); err != nil {
			return err
		}
		hash, err := a.Consent.PutNotice(ctx, tx, notice)
		if err != nil {
			return err
		}
		var grants []consent.PartyGrant
		for i, p := range people {
			for _, t := range p.Terms {
				g := t.At(tx.Now)
				if g.Ground == contact.Consent {
					g.Notice = hash
				}
				grants = append(grants, consent.PartyGrant{Party: ps[i].ID, Grant: g})
			}
		}
		if err := a.Consent.GrantMany(ctx, tx, grants, "seed"); err != nil {
			return err
		}
		for i, p := range people {
			for _, s := range p.Stops {
				if _, err := a.Consent.Stop(ctx, tx, ps[i].ID, s.At(tx.Now), "seed"); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return ps, err
}

// demoCampaign is one of the demo's campaigns and who is on its list.
type demoCampaign struct {
	script string
	terms  campaign.Terms
	on     func(sim.Customer) bool
}

func demoCampaigns() []demoCampaign {
	base := campaign.Terms{Relation: contact.Self, CallerID: "95500", Zone: "Asia/Shanghai", MaxAttempts: 3, MaxPerDay: 2,
		RetryAfter:  map[contact.Outcome]time.Duration{contact.Busy: 10 * time.Minute, contact.NoAnswer: time.Hour, contact.Unreachable: 2 * time.Hour},
		Concurrency: 10, CPS: 1.5}
	with := func(name string, p contact.Purpose, product string) campaign.Terms {
		t := base
		t.Name, t.Purpose, t.Product = name, p, product
		return t
	}
	return []demoCampaign{
		{"card_renewal", with("银行卡到期换卡通知", contact.Service, "debit_card"), func(c sim.Customer) bool { return c.Card }},
		{"overdue_reminder", with("还款提醒", contact.Collection, "personal_loan"), func(c sim.Customer) bool { return c.Overdue }},
		{"deposit_offer", with("存款产品推荐", contact.Marketing, "deposit"), func(c sim.Customer) bool { return c.Savings }},
	}
}

func (a *App) seedCampaign(ctx context.Context, d demoCampaign, people []sim.Customer, ps []*party.Party, staff map[string]contact.ID) (contact.ID, error) {
	maker := staff["wang"]
	s, err := a.script(d.script, "")
	if err != nil {
		return "", err
	}
	if err := a.Campaigns.PutScript(ctx, s, maker); err != nil {
		return "", err
	}
	d.terms.ScriptHash = s.Hash()
	c, err := a.Campaigns.Create(ctx, d.terms, maker)
	if err != nil {
		return "", err
	}
	var list []campaign.Contact
	for i, p := range people {
		if pt, ok := ps[i].Point(party.Phone); ok && d.on(p) {
			list = append(list, campaign.Contact{Party: ps[i].ID, Point: pt.ID})
		}
	}
	if _, err := a.Campaigns.AddMembers(ctx, c.ID, list, maker); err != nil {
		return "", err
	}
	return c.ID, a.launch(ctx, c.ID, staff)
}

// launch starts a campaign that one of the demo's people made and another approves.
func (a *App) launch(ctx context.Context, id contact.ID, staff map[string]contact.ID) error {
	maker := staff["wang"]
	c, err := a.Campaigns.Submit(ctx, id, maker, "演示活动")
	if err != nil {
		return err
	}
	if _, err = a.Campaigns.Approve(ctx, id, staff["li"], c.Version, c.Hash); err != nil {
		return err
	}
	_, err = a.Campaigns.Start(ctx, id, maker)
	return err
}

// Staff gives the id of one of the demo's people by sign-in name.
func (s *seeded) Staff(login string) contact.ID { return s.staff[login] }
