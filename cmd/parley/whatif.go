package main

import (
	"encoding/json"
	"os"
	"strings"

	"parley/internal/errs"
	"parley/internal/whatif"
	"parley/packs"
)

type policyWhatifCmd struct {
	CampaignLog string `help:"CSV with a row for each person called." required:"" type:"existingfile" placeholder:"FILE.csv"`
	Contacts    string `help:"Column with the number of contacts made to the person." default:"campaign"`
	Outcome     string `help:"Column that says whether it succeeded." default:"y"`
	Success     string `help:"What that column says of a success." default:"yes"`
	Most        int    `help:"Largest cap of the curve." default:"10"`
	Plot        string `help:"Write the plot to this SVG file." type:"path" placeholder:"FILE.svg"`
	JSON        bool   `help:"One JSON object." name:"json"`
}

// Run says what caps would have spared and cost.
func (c policyWhatifCmd) Run(e *env) error {
	f, err := os.Open(c.CampaignLog)
	if err != nil {
		return err
	}
	defer f.Close()
	log, err := whatif.Read(c.CampaignLog, f, whatif.Columns{Contacts: c.Contacts, Outcome: c.Outcome, Success: c.Success})
	if err != nil {
		return err
	}
	caps, err := whatif.Caps(packs.All)
	if err != nil {
		return err
	}
	r := log.Report(c.Most, caps)
	if c.Plot != "" {
		if err := os.WriteFile(c.Plot, []byte(whatif.Plot(r, e.lang)), 0o644); err != nil {
			return errs.New(errs.Invalid, "plot_file", "图形文件 "+c.Plot+" 写不了，请换个位置。", "The plot "+c.Plot+" cannot be written; choose another place.").With(err)
		}
	}
	if c.JSON {
		enc := json.NewEncoder(e.out)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	e.whatif(r)
	return nil
}

func (e *env) whatif(r whatif.Report) {
	e.printf(e.say("%d 人，%d 次联系，%d 次成功\n\n", "%d people, %d contacts, %d successes\n\n"), r.People, r.Contacts, r.Successes)
	e.printf("%s\n", e.say("每人上限   少打的电话                        保住的成功", "cap      contacts avoided                  successes kept"))
	for _, p := range r.Curve {
		e.printf("%4d     %5.1f %% %s   %5.1f %% %s\n", p.Cap, 100*p.Avoided, blocks(p.Avoided), 100*p.Kept, blocks(p.Kept))
	}
	e.printf("\n%s\n", e.say("各规则包对营销电话的上限（假定一个人的全部联系都落在规则的一个窗口内）：",
		"Under each shipped pack's cap on marketing calls (as if all of a person's contacts fell into one window of the rule):"))
	last := ""
	for _, p := range r.Packs {
		if name := p.Pack; name != last {
			last = name
		} else {
			p.Pack = ""
		}
		if p.Rule == "" {
			e.printf("  %-8s %s\n", p.Pack, e.say("没有次数上限", "no cap on the number"))
			continue
		}
		e.printf("  %-8s %-26s %-28s %5.1f %%   %5.1f %%\n", p.Pack, p.Rule, p.Words(e.lang), 100*p.Avoided, 100*p.Kept)
	}
}

// blocks draws a share as a bar of at most twenty characters.
func blocks(share float64) string {
	n := int(share*20 + 0.5)
	return strings.Repeat("█", n) + strings.Repeat("·", 20-n)
}
