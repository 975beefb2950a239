package app

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"parley/internal/campaign"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/outbound"
	"parley/internal/party"
	"parley/internal/policy"
)

// CreateCampaign makes a draft from a campaign file (YAML). Its script is a
// file beside it, or the id of a script that ships.
func (a *App) CreateCampaign(ctx context.Context, path, by string) (*campaign.Campaign, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, errs.New(errs.NotFound, "campaign_file", "读不到活动文件 "+path+"。", "The campaign file "+path+" cannot be read.").With(err)
	}
	terms, script, err := campaign.ReadTerms(path, raw)
	if err != nil {
		return nil, err
	}
	s, err := a.script(script, filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	if err := a.Campaigns.PutScript(ctx, s, by); err != nil {
		return nil, err
	}
	terms.ScriptHash = s.Hash()
	return a.Campaigns.Create(ctx, terms, by)
}

func (a *App) script(name, dir string) (*campaign.Script, error) {
	shipped, err := campaign.DemoScripts(a.Prompts.Has)
	if err != nil {
		return nil, err
	}
	if s, ok := shipped[name]; ok {
		return s, nil
	}
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return nil, errs.New(errs.NotFound, "script_missing", "找不到话术 "+name+"：它既不是自带话术，也不是活动文件旁的文件。",
			"There is no script "+name+": it is neither one that ships nor a file beside the campaign file.").With(err)
	}
	return campaign.Parse(name, raw, a.Prompts.Has)
}

// listChunk is how many people are added to a list at a time.
const listChunk = 5000

// AddEverybody puts every customer with a telephone number on a campaign's
// list, and gives how many are on it.
func (a *App) AddEverybody(ctx context.Context, id contact.ID, by string) (int, error) {
	after, on := contact.ID(""), 0
	for {
		var page []*party.Party
		if err := a.DB.Read(ctx, func(tx *db.Tx) (err error) {
			page, err = a.Party.List(ctx, tx, after, listChunk)
			return err
		}); err != nil || len(page) == 0 {
			return on, err
		}
		after = page[len(page)-1].ID
		var list []campaign.Contact
		for _, p := range page {
			if pt, ok := p.Point(party.Phone); ok {
				list = append(list, campaign.Contact{Party: p.ID, Point: pt.ID})
			}
		}
		var err error
		if on, err = a.Campaigns.AddMembers(ctx, id, list, by); err != nil {
			return on, err
		}
	}
}

// AddListed puts the customers whose bank numbers stand in r, one a line, on a
// campaign's list. It gives how many are on it and the lines it could not use.
func (a *App) AddListed(ctx context.Context, id contact.ID, r io.Reader, by string) (on int, unknown []string, err error) {
	var refs []string
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		if ref := strings.TrimSpace(strings.TrimPrefix(sc.Text(), "\ufeff")); ref != "" {
			refs = append(refs, ref)
		}
	}
	if err := sc.Err(); err != nil {
		return 0, nil, err
	}
	var list []campaign.Contact
	err = a.DB.Read(ctx, func(tx *db.Tx) error {
		list, unknown = nil, nil
		ids, err := a.Party.IDs(ctx, tx, refs)
		if err != nil {
			return err
		}
		order := make([]contact.ID, 0, len(refs))
		for _, ref := range refs {
			if pid, ok := ids[ref]; ok {
				order = append(order, pid)
			} else {
				unknown = append(unknown, ref)
			}
		}
		return a.Party.Each(ctx, tx, order, func(p *party.Party) error {
			if pt, ok := p.Point(party.Phone); ok {
				list = append(list, campaign.Contact{Party: p.ID, Point: pt.ID})
			} else {
				unknown = append(unknown, p.Ref)
			}
			return nil
		})
	})
	if err != nil {
		return 0, unknown, err
	}
	on, err = a.Campaigns.AddMembers(ctx, id, list, by)
	return on, unknown, err
}

// Screened is one line of a screening: who, and what the gate would say now.
type Screened struct {
	Member  campaign.Member
	Ref     string
	Verdict policy.Verdict
}

// Screen asks the gate about everybody on a campaign's list, reserving and
// storing nothing, and hands every answer to fn.
func (a *App) Screen(ctx context.Context, id contact.ID, fn func(Screened) error) error {
	c, err := a.Campaigns.Get(ctx, id)
	if err != nil {
		return err
	}
	desk := outbound.NewDesk(a.Sender, a.Campaigns)
	after := contact.ID("")
	for {
		ms, err := a.Campaigns.Page(ctx, id, "", after, listChunk)
		if err != nil || len(ms) == 0 {
			return err
		}
		after = ms[len(ms)-1].Party
		people := make([]campaign.Contact, len(ms))
		for i, m := range ms {
			people[i] = campaign.Contact{Party: m.Party, Point: m.Point}
		}
		vs, err := desk.Screen(ctx, c, people)
		if err != nil {
			return err
		}
		refs, err := a.refs(ctx, ms)
		if err != nil {
			return err
		}
		for i, m := range ms {
			if err := fn(Screened{Member: m, Ref: refs[m.Party], Verdict: vs[i]}); err != nil {
				return err
			}
		}
	}
}

func (a *App) refs(ctx context.Context, ms []campaign.Member) (map[contact.ID]string, error) {
	ids := make([]contact.ID, len(ms))
	for i, m := range ms {
		ids[i] = m.Party
	}
	out := make(map[contact.ID]string, len(ids))
	err := a.DB.Read(ctx, func(tx *db.Tx) error {
		return a.Party.Each(ctx, tx, ids, func(p *party.Party) error {
			out[p.ID] = p.Ref
			return nil
		})
	})
	return out, err
}
