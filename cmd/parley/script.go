package main

import (
	"errors"
	"os"
	"strconv"
	"time"

	"github.com/aymanbagabas/go-udiff"

	"parley/internal/access"
	"parley/internal/campaign"
	"parley/internal/errs"
)

type scriptCmd struct {
	List   scriptListCmd   `cmd:"" help:"List scripts: newest version, state, version in use."`
	Check  scriptCheckCmd  `cmd:"" help:"Check a script file: every mistake with its line and the mend."`
	Put    scriptPutCmd    `cmd:"" help:"Save a file as the draft of its script; --submit asks a second person for approval."`
	Diff   scriptDiffCmd   `cmd:"" help:"Say what a file, or a version, changes against what is in use."`
	Export scriptExportCmd `cmd:"" help:"Write a script's text."`
}

type scriptListCmd struct{ configured }

func (c scriptListCmd) Run(e *env) error {
	a, err := c.open(e)
	if err != nil {
		return err
	}
	defer a.Close()
	shelves, err := a.Campaigns.Shelves(e.ctx)
	if err != nil {
		return err
	}
	for _, s := range shelves {
		used := "-"
		if s.InUse != nil {
			used = "v" + strconv.Itoa(s.InUse.Version)
		}
		title := ""
		if sc, _ := campaign.Check([]byte(s.Newest.YAML), nil); sc != nil {
			title = e.say(sc.Title.Zh, sc.Title.En)
		}
		e.printf("%-24s  v%-3d %-9s  %s %-4s  %s  %s\n", s.Newest.Script, s.Newest.Version, s.Newest.State, e.say("在用", "in use"), used,
			time.UnixMicro(s.Newest.ChangedAt).Format(time.DateTime), title)
	}
	return nil
}

type scriptCheckCmd struct {
	configured
	File string `arg:"" help:"Script file (YAML)." type:"existingfile"`
	Bare bool   `help:"Do not look whether the prompts exist."`
}

func (c scriptCheckCmd) Run(e *env) error {
	raw, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	var exists func(string) bool
	if !c.Bare {
		conf, err := c.load()
		if err != nil {
			return err
		}
		set, err := conf.PromptSet()
		if err != nil {
			return err
		}
		exists = set.Has
	}
	s, problems := campaign.Check(raw, exists)
	for _, p := range problems {
		at := ""
		if p.Node != "" {
			at = p.Node + ": "
		}
		e.printf("%s:%d: %s%s\n", c.File, p.Line, at, e.say(p.Zh, p.En))
	}
	if len(problems) > 0 {
		return errQuiet
	}
	e.printf(e.say("%s：没有发现错误；%d 个节点，哈希 %s\n", "%s: no mistakes; %d nodes, hash %s\n"), s.ID, len(s.Nodes), s.Hash())
	return nil
}

type scriptPutCmd struct {
	configured
	File   string `arg:"" help:"Script file (YAML)." type:"existingfile"`
	As     string `help:"Sign-in name of whoever wrote it." required:"" placeholder:"LOGIN"`
	Submit bool   `help:"Ask a second person for approval at once."`
	Why    string `help:"With --submit: why it changes."`
}

func (c scriptPutCmd) Run(e *env) error {
	raw, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	a, err := c.open(e)
	if err != nil {
		return err
	}
	defer a.Close()
	by, err := a.Staff(e.ctx, c.As, access.EditScript)
	if err != nil {
		return err
	}
	// A file is written against nothing we know of: it becomes the next draft of
	// the script it names, or its first.
	v, err := a.Campaigns.SaveScript(e.ctx, "", nil, string(raw), by)
	if errs.Public(err).Code == "script_exists" {
		v, err = a.Campaigns.SaveScript(e.ctx, campaign.ScriptID(raw), nil, string(raw), by)
	}
	if err != nil {
		return err
	}
	if c.Submit {
		if v, err = a.Campaigns.SubmitScript(e.ctx, v.Script, a.Prompts.Has, by, c.Why); err != nil {
			return err
		}
	}
	e.printf("%s  v%d  %s  %s\n", v.Script, v.Version, v.State, v.Hash)
	return nil
}

type scriptDiffCmd struct {
	configured
	Script string `arg:"" help:"A script's id, or a script file (YAML)."`
	Old    int    `help:"The version to compare with; 0 = the one in use." default:"0"`
}

func (c scriptDiffCmd) Run(e *env) error {
	a, err := c.open(e)
	if err != nil {
		return err
	}
	defer a.Close()
	id, text, name := c.Script, "", c.Script
	if raw, err := os.ReadFile(c.Script); err == nil {
		id, text = campaign.ScriptID(raw), string(raw)
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	newest, err := a.Campaigns.ScriptVersion(e.ctx, id, 0)
	if err != nil {
		return err
	}
	if text == "" {
		text, name = newest.YAML, id+" v"+strconv.Itoa(newest.Version)
	}
	old, err := a.Campaigns.ScriptVersion(e.ctx, id, c.Old)
	if c.Old == 0 {
		shelves, e2 := a.Campaigns.Shelves(e.ctx)
		if e2 != nil {
			return e2
		}
		old, err = &campaign.ScriptVersion{Script: id}, nil
		for _, s := range shelves {
			if s.Newest.Script == id && s.InUse != nil {
				old = s.InUse
			}
		}
	}
	if err != nil {
		return err
	}
	d := udiff.Unified(id+" v"+strconv.Itoa(old.Version), name, old.YAML, text)
	if d == "" {
		e.printf("%s\n", e.say("没有差别。", "No difference."))
		return nil
	}
	e.printf("%s", d)
	return nil
}

type scriptExportCmd struct {
	configured
	Script  string `arg:"" help:"A script's id."`
	Version int    `help:"0 = the newest." default:"0"`
}

func (c scriptExportCmd) Run(e *env) error {
	a, err := c.open(e)
	if err != nil {
		return err
	}
	defer a.Close()
	v, err := a.Campaigns.ScriptVersion(e.ctx, c.Script, c.Version)
	if err != nil {
		return err
	}
	_, err = e.out.Write([]byte(v.YAML))
	return err
}
