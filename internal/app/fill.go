package app

import (
	"context"
	"fmt"
	"time"

	"parley/internal/campaign"
	"parley/internal/complaint"
	"parley/internal/consent"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/outbound"
	"parley/internal/party"
	"parley/internal/policy"
	"parley/internal/sim"
)

// What a filled bank's past looks like.
const (
	fillStep      = 9 * time.Hour    // between two contacts of one customer
	fillLong      = 5000             // contacts of the one customer with a long history
	fillLongStep  = 25 * time.Minute // between those
	fillPerCase   = 100              // customers for each complaint
	fillOpenCases = 10               // complaints for each that is still open
	fillListed    = 50_000           // members put on the list of all customers at a time
)

// Fill makes a fictitious bank of a real one's size, for measurements: the
// demo's staff and campaigns, so many customers with their consents, one campaign
// with all of them on its list, a complaint of every hundredth, and so
// many contacts in their past, evenly spread but for one customer who has
// thousands. Those contacts are in no ledger, and every number is in a range
// that reaches nobody. The bank must be empty.
func (a *App) Fill(ctx context.Context, customers, contacts int, progress func(done, total int64)) error {
	have := int64(0)
	if err := a.DB.Read(ctx, func(tx *db.Tx) (err error) {
		have, err = a.Party.Count(ctx, tx)
		return err
	}); err != nil {
		return err
	}
	if have > 0 {
		return errs.New(errs.Conflict, "bank_not_empty", "这家银行已经有客户，不能再填充虚构数据；请换一个空的数据库。",
			"This bank has customers; fictitious data goes into an empty database only.")
	}
	const lists = 600 // of the demo's campaigns
	s, err := a.seed(ctx, 7, min(lists, customers))
	if err != nil {
		return err
	}
	f := filler{App: a, campaign: s.campaigns[0], per: contacts / max(customers, 1)}
	c, err := a.Campaigns.Get(ctx, f.campaign)
	if err != nil {
		return err
	}
	f.terms = c.Terms
	all := c.Terms
	all.Name = "全体客户告知"
	if c, err = a.Campaigns.Create(ctx, all, s.Staff("wang")); err != nil {
		return err
	}
	total := int64(customers) + int64(customers*f.per)
	done := int64(0)
	for lo := 0; lo < customers; lo += fillChunk {
		n := min(fillChunk, customers-lo)
		if err := f.chunk(ctx, lo, n); err != nil {
			return fmt.Errorf("fill: customers from %d: %w", lo, err)
		}
		if len(f.listed) >= fillListed || lo+n == customers {
			if _, err := a.Campaigns.AddMembers(ctx, c.ID, f.listed, s.Staff("wang")); err != nil {
				return fmt.Errorf("fill: list: %w", err)
			}
			f.listed = f.listed[:0]
		}
		if done += int64(n) + int64(n*f.per); progress != nil {
			progress(done, total)
		}
	}
	if err := a.launch(ctx, c.ID, s.staff); err != nil {
		return err
	}
	for _, id := range append(s.campaigns, c.ID) {
		if _, err := a.Campaigns.Pause(ctx, id, s.Staff("wang"), "虚构数据，不拨打"); err != nil {
			return err
		}
	}
	_, err = a.Ledger.Seal(ctx)
	return err
}

const fillChunk = 1000

// filler makes customers and their past, a thousand at a time.
type filler struct {
	*App
	campaign contact.ID
	terms    campaign.Terms
	per      int                // contacts of each customer
	long     bool               // the customer with a long history is there
	listed   []campaign.Contact // to be put on the list of all
}

func (f *filler) chunk(ctx context.Context, lo, n int) error {
	people := sim.Customers(uint64(lo)+11, n)
	ps := make([]*party.Party, n)
	for i, p := range people {
		ps[i] = &party.Party{Ref: fmt.Sprintf("M%09d", lo+i), Name: p.Name, IDNumber: p.IDNumber, Lang: p.Lang, Zone: p.Zone, Region: p.Region,
			Points: []party.Point{{Kind: party.Phone, Value: p.Phone}}}
	}
	err := f.DB.Write(ctx, func(tx *db.Tx) error {
		if err := f.Party.Put(ctx, tx, ps); err != nil {
			return err
		}
		var grants []consent.PartyGrant
		for i, p := range people {
			for _, t := range p.Terms {
				grants = append(grants, consent.PartyGrant{Party: ps[i].ID, Grant: t.At(tx.Now)})
			}
		}
		return f.Consent.GrantMany(ctx, tx, grants, "fill")
	})
	if err != nil {
		return err
	}
	for _, p := range ps {
		f.listed = append(f.listed, campaign.Contact{Party: p.ID, Point: p.Points[0].ID})
	}
	if err := f.contacts(ctx, ps); err != nil {
		return err
	}
	return f.complain(ctx, ps)
}

// contacts gives people their past contacts.
func (f *filler) contacts(ctx context.Context, ps []*party.Party) error {
	if f.per == 0 {
		return nil
	}
	intents := make([]policy.Intent, len(ps))
	for i, p := range ps {
		intents[i] = policy.Intent{Party: p.ID, Point: p.Points[0].ID, Channel: contact.Voice, Purpose: contact.Statutory, Relation: contact.Self,
			Campaign: f.campaign, CallerID: f.terms.CallerID, Script: f.terms.ScriptHash, Discloses: []string{policy.Identity, policy.RefusalPath, policy.AILabel}}
	}
	ds, err := f.Gate.Reserve(ctx, intents)
	if err != nil {
		return err
	}
	var made []outbound.Made // one for each that is allowed: at night nothing is allowed to some, and they have no past
	for i, d := range ds {
		if d.Permit.ID() != "" {
			made = append(made, outbound.Made{ID: d.ID, Party: ps[i].ID, Point: ps[i].Points[0].ID, Campaign: f.campaign, Purpose: contact.Statutory})
		}
	}
	if !f.long && len(made) > 0 {
		f.long = true
		if err := f.past(ctx, made[:1], fillLong, fillLongStep); err != nil {
			return err
		}
		made = made[1:]
	}
	return f.past(ctx, made, f.per, fillStep)
}

// past copies each of the contacts into the time before it, per times.
func (f *filler) past(ctx context.Context, now []outbound.Made, per int, step time.Duration) error {
	if len(now) == 0 {
		return nil
	}
	at := f.DB.Now()
	ids := make([]contact.ID, len(now))
	made := make([]outbound.Made, 0, len(now)*per)
	for i, m := range now {
		ids[i] = m.ID
		for k := 1; k <= per; k++ {
			t := at.Add(-time.Duration(k) * step)
			c := m
			c.ID, c.At = contact.IDFrom(t)+m.ID[15:], t.UnixMicro()
			made = append(made, c)
		}
	}
	if err := f.Gate.Fill(ctx, ids, per, step, at); err != nil {
		return err
	}
	return f.DB.Write(ctx, func(tx *db.Tx) error { return f.Sender.Fill(ctx, tx, made) })
}

// complain opens the complaints of some of the people, and lets most of them be
// withdrawn again.
func (f *filler) complain(ctx context.Context, ps []*party.Party) error {
	for i := 0; i < len(ps); i += fillPerCase {
		var c *complaint.Case
		err := f.DB.Write(ctx, func(tx *db.Tx) (err error) {
			c, err = f.Complaints.Open(ctx, tx, complaint.Intake{Source: "web", Party: ps[i].ID, Lang: "zh",
				Subject: "电话太多", Words: "最近接到的电话太多，请说明原因。"})
			return err
		})
		if err != nil {
			return err
		}
		if (i/fillPerCase)%fillOpenCases == 0 {
			continue
		}
		if _, err := f.Complaints.WithdrawCase(ctx, c.ID); err != nil {
			return err
		}
	}
	return nil
}
