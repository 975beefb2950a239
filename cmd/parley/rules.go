package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"parley/internal/access"
	"parley/internal/app"
	"parley/internal/contact"
	"parley/internal/errs"
	"parley/internal/gate"
	"parley/internal/policy"
	"parley/internal/rulebook"
)

// ruled is a command on the rulebook, done by a member of staff.
type ruled struct {
	configured
	As string `help:"Sign-in name of the member of staff who does this." required:"" placeholder:"LOGIN"`
}

func (c ruled) do(e *env, may access.Permission, act func(a *app.App, by string) error) error {
	a, err := c.open(e)
	if err != nil {
		return err
	}
	defer a.Close()
	by, err := a.Staff(e.ctx, c.As, may)
	if err != nil {
		return err
	}
	return act(a, by)
}

func (e *env) edition(ed *rulebook.Edition, err error) error {
	if err == nil {
		e.printf("%s  %-9s  %.12s  %s\n", ed.ID, ed.State, ed.Hash, ed.Title)
	}
	return err
}

type policyEditionsCmd struct{ configured }

// Run lists editions and when they judged.
func (c policyEditionsCmd) Run(e *env) error {
	a, err := c.open(e)
	if err != nil {
		return err
	}
	defer a.Close()
	list, err := a.Rulebook.List(e.ctx, "", 100)
	if err != nil {
		return err
	}
	for _, ed := range list {
		if err := e.edition(ed, nil); err != nil {
			return err
		}
	}
	as, err := a.Rulebook.Activations(e.ctx)
	if err != nil {
		return err
	}
	now := a.DB.Now()
	force := true // the first that has begun is in force, those behind it are superseded
	for _, act := range as {
		word := e.say("将生效", "scheduled")
		if !act.From.After(now) {
			word = e.say("已被取代", "superseded")
			if force {
				word, force = e.say("现行", "in force"), false
			}
		}
		from := e.say("安装时", "installation")
		if act.ApprovedBy != "" {
			from = act.From.Format(time.RFC3339)
		}
		e.printf("%s  %-10s  %s  %s\n", act.Edition, word, from, act.Title)
	}
	return nil
}

type policyDraftCmd struct {
	ruled
	Title string `help:"What the draft is called." required:""`
	Base  string `help:"Edition to copy; none = the one in force." placeholder:"EDITION"`
	From  string `help:"Take the packs of this directory instead, or of this version of Parley (\"shipped\")." placeholder:"DIR|shipped"`
}

// Run starts a draft.
func (c policyDraftCmd) Run(e *env) error {
	return c.do(e, access.EditRules, func(a *app.App, by string) error {
		d, err := a.Rulebook.Draft(e.ctx, c.Base, c.Title, by)
		if err != nil || c.From == "" {
			return e.edition(d, err)
		}
		fsys := a.Config.ShippedFS()
		if c.From != "shipped" {
			fsys = os.DirFS(c.From)
		}
		files, err := rulebook.ReadFiles(fsys, d.Uses)
		if err != nil {
			return err
		}
		old, err := a.Rulebook.Files(e.ctx, d.ID)
		if err != nil {
			return err
		}
		for name, body := range files {
			if d, err = a.Rulebook.Put(e.ctx, d.ID, name, body, by); err != nil {
				return err
			}
			delete(old, name)
		}
		for name := range old { // no longer there
			if d, err = a.Rulebook.Put(e.ctx, d.ID, name, "", by); err != nil {
				return err
			}
		}
		return e.edition(d, nil)
	})
}

type policyPutCmd struct {
	ruled
	ID    string   `arg:"" help:"The draft."`
	Files []string `arg:"" help:"Packs or tests that take the place of those of the same name." type:"existingfile"`
}

// Run changes files of a draft.
func (c policyPutCmd) Run(e *env) error {
	return c.do(e, access.EditRules, func(a *app.App, by string) error {
		var d *rulebook.Edition
		for _, f := range c.Files {
			raw, err := os.ReadFile(f)
			if err != nil {
				return err
			}
			if d, err = a.Rulebook.Put(e.ctx, c.ID, filepath.Base(f), string(raw), by); err != nil {
				return err
			}
		}
		return e.edition(d, nil)
	})
}

type policyGetCmd struct {
	configured
	ID  string `arg:"" help:"The edition."`
	Dir string `arg:"" help:"Directory to write its files to." type:"path"`
}

// Run writes an edition's files, for an editor of one's choice.
func (c policyGetCmd) Run(e *env) error {
	a, err := c.open(e)
	if err != nil {
		return err
	}
	defer a.Close()
	files, err := a.Rulebook.Files(e.ctx, c.ID)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return err
	}
	for name, body := range files {
		if err := os.WriteFile(filepath.Join(c.Dir, name), []byte(body), 0o644); err != nil {
			return err
		}
		e.printf("%s\n", filepath.Join(c.Dir, name))
	}
	return nil
}

type policyCheckCmd struct {
	ruled
	ID string `arg:"" help:"The draft."`
}

// Run runs a draft's tests and keeps what they gave.
func (c policyCheckCmd) Run(e *env) error {
	return c.do(e, access.EditRules, func(a *app.App, by string) error {
		t, err := a.Rulebook.Test(e.ctx, c.ID, by, e.lang)
		if err != nil {
			return err
		}
		e.printf("%s", t.Output)
		if !t.Green() {
			return errQuiet
		}
		return nil
	})
}

type policyReplayCmd struct {
	configured
	Pack     string `help:"What judges: a draft's or edition's id, a pack file, or a directory of packs; none = each decision by the rules that made it, which must change nothing." placeholder:"DRAFT"`
	Since    string `help:"From this day or instant on; none = from the beginning." placeholder:"DATE"`
	Till     string `help:"Up to this day or instant; none = now." placeholder:"DATE"`
	As       string `help:"Sign-in name: keep the result with the draft, as read by this person." placeholder:"LOGIN"`
	Examples int    `help:"Examples of each change." default:"3"`
	JSON     bool   `help:"One JSON object." name:"json"`
}

// Run judges stored decisions again and says what would change.
func (c policyReplayCmd) Run(e *env) error {
	a, err := c.open(e)
	if err != nil {
		return err
	}
	defer a.Close()
	rp := gate.Replay{Examples: c.Examples}
	if rp.Since, err = moment(a, c.Since); err != nil {
		return err
	}
	if rp.Till, err = moment(a, c.Till); err != nil {
		return err
	}
	b := e.bar(e.say("回放", "replaying"))
	rp.Progress = b.show
	var r *gate.Replayed
	if c.As != "" {
		by, err := a.Staff(e.ctx, c.As, access.EditRules)
		if err != nil {
			return err
		}
		kept, err := a.Rulebook.Replay(e.ctx, c.Pack, by, rp.Since, rp.Till, b.show)
		if err != nil {
			return err
		}
		r = kept.Result
	} else {
		if rp.Set, err = judgeSet(e, a, c.Pack); err != nil {
			return err
		}
		if r, err = a.Gate.Replay(e.ctx, rp); err != nil {
			return err
		}
	}
	b.done()
	if c.JSON {
		enc := json.NewEncoder(e.out)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	e.replayed(a, r)
	return nil
}

// judgeSet finds what is to judge: an edition, a file or a directory.
func judgeSet(e *env, a *app.App, what string) (*policy.Set, error) {
	if what == "" {
		return nil, nil
	}
	st, err := os.Stat(what)
	if err != nil {
		ed, err := a.Rulebook.Get(e.ctx, what)
		if err != nil {
			return nil, err
		}
		files, err := a.Rulebook.Files(e.ctx, what)
		if err != nil {
			return nil, err
		}
		return a.Rulebook.Compose(files, ed.Uses)
	}
	if st.IsDir() {
		return policy.LoadFS(os.DirFS(what))
	}
	return policy.LoadFS(os.DirFS(filepath.Dir(what)), filepath.Base(what))
}

// moment reads a day in the bank's zone or an instant.
func moment(a *app.App, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	zone, err := time.LoadLocation(a.Config.Bank.Zone)
	if err != nil {
		return time.Time{}, err
	}
	for _, form := range []string{time.RFC3339, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(form, s, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errs.New(errs.Invalid, "not_a_date", "“"+s+"”不是日期，请写成 2026-11-01 或 2026-11-01 09:00。",
		s+" is not a date; write 2026-11-01 or 2026-11-01 09:00.")
}

func (e *env) replayed(a *app.App, r *gate.Replayed) {
	e.printf(e.say("重新判定 %d 次决定，%d 次会改变\n", "%d decisions judged again, %d would change\n"), r.Decisions, r.Changed)
	for ef := policy.Allow; ef <= policy.Deny; ef++ {
		e.printf("  %-6s %9d → %9d\n", ef, r.Before[ef], r.After[ef])
	}
	for _, c := range r.Changes {
		e.printf("%9d  %s → %s\n", c.N, by(c.From, c.FromBy), by(c.To, c.ToBy))
		e.printf("           %s %s\n", e.say("例", "e.g."), strings.Join(c.Examples, " "))
	}
	campaigns := make([]contact.ID, 0, len(r.Campaigns))
	for id := range r.Campaigns {
		campaigns = append(campaigns, id)
	}
	slices.SortFunc(campaigns, func(x, y contact.ID) int { return int(r.Campaigns[y] - r.Campaigns[x]) })
	for _, id := range campaigns[:min(10, len(campaigns))] {
		name := e.say("（无活动）", "(no campaign)")
		if c, err := a.Campaigns.Get(e.ctx, id); err == nil {
			name = c.Name
		}
		e.printf("%9d  %s %s\n", r.Campaigns[id], e.say("活动", "campaign"), name)
	}
	for p, n := range r.Purposes {
		e.printf("%9d  %s %s\n", n, e.say("目的", "purpose"), p)
	}
	if r.Short > 0 {
		e.printf(e.say("注意：%d 次决定留存的事实不够久，新规则回看更远，可能判得过宽。\n",
			"note: the facts of %d decisions do not reach back as far as these rules look; they may be judged too mildly.\n"), r.Short)
	}
	if r.Unknown > 0 {
		e.printf(e.say("注意：%d 次决定所用的规则集不在手边，未能重判。\n", "note: the rules of %d decisions are not at hand; those were not judged.\n"), r.Unknown)
	}
}

func by(ef policy.Effect, rule string) string {
	if rule == "" {
		return ef.String()
	}
	return fmt.Sprintf("%s (%s)", ef, rule)
}

type policySubmitCmd struct {
	ruled
	ID   string `arg:"" help:"The draft."`
	From string `help:"When it is to judge, in the bank's zone; none = as soon as it is approved." placeholder:"TIME"`
	Why  string `help:"Reason, for the approver." required:""`
}

// Run puts a draft to a second person.
func (c policySubmitCmd) Run(e *env) error {
	return c.do(e, access.EditRules, func(a *app.App, by string) error {
		from, err := moment(a, c.From)
		if err != nil {
			return err
		}
		return e.edition(a.Rulebook.Submit(e.ctx, c.ID, by, from, c.Why))
	})
}

type policyApproveCmd struct {
	ruled
	ID   string `arg:"" help:"The edition that waits for approval."`
	Note string `help:"What to say about it."`
}

// Run approves an edition; never by anybody who worked on it.
func (c policyApproveCmd) Run(e *env) error {
	return c.do(e, access.ApproveRules, func(a *app.App, by string) error {
		act, err := a.Rulebook.Approve(e.ctx, c.ID, by, c.Note)
		if err != nil {
			return err
		}
		e.printf("%s %s %s %s\n", act.Edition, e.say("将于", "judges from"), act.From.Format(time.RFC3339), e.say("起生效", "on"))
		return nil
	})
}

type policyRollbackCmd struct {
	ruled
	ID  string `arg:"" help:"An edition that was in force before."`
	Why string `help:"Reason, for the approver." required:""`
}

// Run asks a second person to go back to an earlier edition.
func (c policyRollbackCmd) Run(e *env) error {
	return c.do(e, access.EditRules, func(a *app.App, by string) error {
		return e.edition(a.Rulebook.Rollback(e.ctx, c.ID, by, c.Why))
	})
}
