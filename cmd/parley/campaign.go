package main

import (
	"encoding/csv"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"parley/internal/access"
	"parley/internal/app"
	"parley/internal/campaign"
	"parley/internal/policy"
)

type campaignCmd struct {
	Create  campaignCreateCmd  `cmd:"" help:"Make a draft from a campaign file (YAML)."`
	Add     campaignAddCmd     `cmd:"" help:"Put customers on a campaign's list."`
	List    campaignListCmd    `cmd:"" help:"List campaigns."`
	Show    campaignShowCmd    `cmd:"" help:"Show one campaign: terms, approval, progress."`
	Screen  campaignScreenCmd  `cmd:"" help:"Say what the gate would say now about everybody on the list; nothing is reserved."`
	Submit  campaignSubmitCmd  `cmd:"" help:"Ask for approval of this version."`
	Approve campaignApproveCmd `cmd:"" help:"Approve exactly this version; never by anybody who worked on it."`
	Return  campaignReturnCmd  `cmd:"" help:"Send a submitted campaign back with a reason."`
	Start   campaignStartCmd   `cmd:"" help:"Start or go on; 'parley serve' does the dialling."`
	Pause   campaignPauseCmd   `cmd:"" help:"Stop new calls within a second."`
}

// one is a command on one campaign, done by a member of staff.
type one struct {
	configured
	ID string `arg:"" help:"The campaign's id."`
	As string `help:"Sign-in name of the member of staff who does this." required:"" placeholder:"LOGIN"`
}

// do opens the bank, finds the person and acts.
func (c one) do(e *env, may access.Permission, act func(a *app.App, by string) (*campaign.Campaign, error)) error {
	a, err := c.open(e)
	if err != nil {
		return err
	}
	defer a.Close()
	by, err := a.Staff(e.ctx, c.As, may)
	if err != nil {
		return err
	}
	got, err := act(a, by)
	if err != nil {
		return err
	}
	e.printf("%s  %s  %s v%d\n", got.ID, got.State, got.Name, got.Version)
	return nil
}

type campaignCreateCmd struct {
	configured
	File string `arg:"" help:"Campaign file." type:"existingfile"`
	As   string `help:"Sign-in name of the maker." required:"" placeholder:"LOGIN"`
}

func (c campaignCreateCmd) Run(e *env) error {
	return one{configured: c.configured, As: c.As}.do(e, access.EditCampaign, func(a *app.App, by string) (*campaign.Campaign, error) {
		return a.CreateCampaign(e.ctx, c.File, by)
	})
}

type campaignAddCmd struct {
	one
	File string `help:"File with one customer number a line." type:"existingfile" xor:"who" required:""`
	All  bool   `help:"Everybody with a telephone number." xor:"who" required:""`
}

func (c campaignAddCmd) Run(e *env) error {
	return c.do(e, access.EditCampaign, func(a *app.App, by string) (*campaign.Campaign, error) {
		if c.All {
			n, err := a.AddEverybody(e.ctx, c.ID, by)
			if err != nil {
				return nil, err
			}
			e.printf(e.say("名单共 %d 人\n", "%d people on the list\n"), n)
			return a.Campaigns.Get(e.ctx, c.ID)
		}
		f, err := os.Open(c.File)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		n, unknown, err := a.AddListed(e.ctx, c.ID, f, by)
		if err != nil {
			return nil, err
		}
		for _, ref := range unknown {
			e.printf(e.say("跳过 %s：没有这位客户，或没有电话号码\n", "left out %s: no such customer, or no number\n"), ref)
		}
		e.printf(e.say("名单共 %d 人\n", "%d people on the list\n"), n)
		return a.Campaigns.Get(e.ctx, c.ID)
	})
}

type campaignListCmd struct{ configured }

func (c campaignListCmd) Run(e *env) error {
	a, err := c.open(e)
	if err != nil {
		return err
	}
	defer a.Close()
	cs, err := a.Campaigns.List(e.ctx)
	if err != nil {
		return err
	}
	for _, x := range cs {
		e.printf("%s  %-9s  %-10s  %6d  v%d  %s\n", x.ID, x.State, x.Purpose, x.Members, x.Version, x.Name)
	}
	if len(cs) == 0 {
		e.printf("%s\n", e.say("还没有活动。用 parley campaign create 新建。", "No campaigns yet. Make one with `parley campaign create`."))
	}
	return nil
}

type campaignShowCmd struct {
	configured
	ID string `arg:"" help:"The campaign's id."`
}

func (c campaignShowCmd) Run(e *env) error {
	a, err := c.open(e)
	if err != nil {
		return err
	}
	defer a.Close()
	x, err := a.Campaigns.Get(e.ctx, c.ID)
	if err != nil {
		return err
	}
	p, err := a.Campaigns.Progress(e.ctx, c.ID)
	if err != nil {
		return err
	}
	e.printf("%s\n  %s  %s  v%d  %s\n", x.Name, x.ID, x.State, x.Version, x.Hash)
	e.printf("  %s %s  %s %s  %s %d  %.1f/s\n", e.say("目的", "purpose"), x.Purpose, e.say("主叫", "caller id"), x.CallerID,
		e.say("并发", "concurrency"), x.Concurrency, x.CPS)
	for _, s := range slices.Sorted(maps.Keys(p.ByState)) {
		e.printf("  %-9s %d\n", s, p.ByState[s])
	}
	hist, err := a.Campaigns.History(e.ctx, c.ID)
	if err != nil {
		return err
	}
	for _, h := range hist {
		e.printf("  %s  v%d %-10s %s %s\n", time.UnixMicro(h.At).Format(time.DateTime), h.Version, h.What, h.By, h.Note)
	}
	return nil
}

type campaignScreenCmd struct {
	configured
	ID  string `arg:"" help:"The campaign's id."`
	CSV string `help:"Write every verdict here: customer number, effect, rule, first permitted instant, words." type:"path" name:"csv" placeholder:"FILE"`
}

func (c campaignScreenCmd) Run(e *env) error {
	a, err := c.open(e)
	if err != nil {
		return err
	}
	defer a.Close()
	var rows *csv.Writer
	if c.CSV != "" {
		f, err := os.Create(c.CSV)
		if err != nil {
			return err
		}
		defer f.Close()
		rows = newCSV(f)
	}
	counts := map[string]int{}
	camp, err := a.Campaigns.Get(e.ctx, c.ID)
	if err != nil {
		return err
	}
	bar := e.bar(e.say("甄别", "screening"))
	start, n := time.Now(), int64(0)
	err = a.Screen(e.ctx, c.ID, func(s app.Screened) error {
		n++
		bar.show(n, int64(camp.Members))
		key := s.Verdict.Effect.String()
		at := ""
		if s.Verdict.Effect != policy.Allow {
			key += "  " + s.Verdict.By
		}
		if s.Verdict.Effect == policy.Later {
			at = s.Verdict.At.Format(time.RFC3339)
		}
		counts[key]++
		if rows == nil {
			return nil
		}
		return rows.Write([]string{s.Ref, s.Verdict.Effect.String(), s.Verdict.By, at, a.Gate.Policy().Headline(s.Verdict, e.lang)})
	})
	bar.done()
	if err != nil {
		return err
	}
	if rows != nil {
		if rows.Flush(); rows.Error() != nil {
			return rows.Error()
		}
	}
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		e.printf("%8d  %s\n", counts[k], k)
	}
	e.printf(e.say("共 %d 人，%.1f 秒\n", "%d people in %.1f s\n"), n, time.Since(start).Seconds())
	return nil
}

func newCSV(w io.Writer) *csv.Writer {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"ref", "effect", "rule", "at", "words"}) // reported by the last Flush
	return out
}

type campaignSubmitCmd struct {
	one
	Why string `help:"The reason, for the approver." default:""`
}

func (c campaignSubmitCmd) Run(e *env) error {
	return c.do(e, access.EditCampaign, func(a *app.App, by string) (*campaign.Campaign, error) {
		return a.Campaigns.Submit(e.ctx, c.ID, by, c.Why)
	})
}

type campaignApproveCmd struct {
	one
	Hash string `help:"Hash of the version you looked at ('parley campaign show'); without it the version submitted now." placeholder:"SHA256"`
}

func (c campaignApproveCmd) Run(e *env) error {
	return c.do(e, access.ApproveCampaign, func(a *app.App, by string) (*campaign.Campaign, error) {
		x, err := a.Campaigns.Get(e.ctx, c.ID)
		if err != nil {
			return nil, err
		}
		if c.Hash == "" {
			c.Hash = x.Hash
		}
		return a.Campaigns.Approve(e.ctx, c.ID, by, x.Version, c.Hash)
	})
}

type campaignReturnCmd struct {
	one
	Why string `help:"The reason." required:""`
}

func (c campaignReturnCmd) Run(e *env) error {
	return c.do(e, access.ApproveCampaign, func(a *app.App, by string) (*campaign.Campaign, error) {
		return a.Campaigns.SendBack(e.ctx, c.ID, by, c.Why)
	})
}

type campaignStartCmd struct{ one }

func (c campaignStartCmd) Run(e *env) error {
	return c.do(e, access.RunCampaign, func(a *app.App, by string) (*campaign.Campaign, error) { return a.Campaigns.Start(e.ctx, c.ID, by) })
}

type campaignPauseCmd struct {
	one
	Why string `help:"The reason." default:""`
}

func (c campaignPauseCmd) Run(e *env) error {
	return c.do(e, access.RunCampaign, func(a *app.App, by string) (*campaign.Campaign, error) {
		return a.Campaigns.Pause(e.ctx, c.ID, by, c.Why)
	})
}
