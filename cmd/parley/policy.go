package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"parley/internal/policy"
	"parley/packs"
)

type policyCmd struct {
	Test    policyTestCmd    `cmd:"" help:"Run the tests that stand beside the packs."`
	Explain policyExplainCmd `cmd:"" help:"Say every rule's outcome in words, for facts in a YAML file or for an attempt."`
	Lint    policyLintCmd    `cmd:"" help:"Say what a reader should know before trusting the packs; exit code 1 on a fault."`
	Index   policyIndexCmd   `cmd:"" help:"Print docs/rules.md: statute, rule, tests, of every pack that ships."`
	List    policyListCmd    `cmd:"" help:"List the rules with citation, force and confidence."`

	Editions policyEditionsCmd `cmd:"" help:"List the bank's editions of the rules and when they judged."`
	Draft    policyDraftCmd    `cmd:"" help:"Start a draft from an edition, a directory, or the packs of this version."`
	Get      policyGetCmd      `cmd:"" help:"Write an edition's files to a directory."`
	Put      policyPutCmd      `cmd:"" help:"Change files of a draft."`
	Check    policyCheckCmd    `cmd:"" help:"Run a draft's tests and keep what they gave."`
	Replay   policyReplayCmd   `cmd:"" help:"Judge stored decisions again and say which verdicts change, and why."`
	Submit   policySubmitCmd   `cmd:"" help:"Put a draft to a second person, to judge from an instant on."`
	Approve  policyApproveCmd  `cmd:"" help:"Approve an edition; never by anybody who worked on it."`
	Rollback policyRollbackCmd `cmd:"" help:"Ask to go back to an edition that was in force before."`
	Whatif   policyWhatifCmd   `cmd:"" help:"What a cap would have spared and cost a campaign that Parley never saw."`
}

type policyIndexCmd struct{}

func (policyIndexCmd) Run(e *env) error {
	doc, err := policy.Index(packs.All)
	if err != nil {
		return err
	}
	e.printf("%s", doc)
	return nil
}

type policyTestCmd struct {
	Files []string `arg:"" optional:"" help:"Test files (*_test.yaml) or packs; none = the packs built in." type:"existingfile"`
}

func (c policyTestCmd) Run(e *env) error {
	passed, failed := 0, 0
	run := func(fsys fs.FS, names []string) error {
		p, f, err := policy.RunTests(fsys, names, e.out, e.lang)
		passed, failed = passed+p, failed+f
		return err
	}
	if len(c.Files) == 0 {
		if err := run(packs.All, nil); err != nil {
			return err
		}
	}
	for _, f := range c.Files {
		if err := run(os.DirFS(filepath.Dir(f)), []string{filepath.Base(f)}); err != nil {
			return err
		}
	}
	if failed > 0 {
		return errQuiet
	}
	return nil
}

type policyExplainCmd struct {
	configured
	What     string `arg:"" help:"A YAML file with facts, or the id of an attempt."`
	JSON     bool   `help:"The tree and the customer's version as JSON." name:"json"`
	Customer bool   `help:"The customer's version only."`
}

func (c policyExplainCmd) Run(e *env) error {
	raw, err := os.ReadFile(c.What)
	if err == nil {
		conf, err := c.load()
		if err != nil {
			return err
		}
		set, err := conf.PolicySet()
		if err != nil {
			return err
		}
		x, err := policy.ExplainFacts(set, raw, e.lang)
		if err != nil {
			return err
		}
		return c.print(e, x)
	}
	a, err := c.open(e)
	if err != nil {
		return err
	}
	defer a.Close()
	if c.JSON || c.Customer {
		x, err := a.Explanation(e.ctx, c.What, e.lang)
		if err != nil {
			return err
		}
		return c.print(e, x)
	}
	text, err := a.ExplainAttempt(e.ctx, c.What, e.lang)
	if err != nil {
		return err
	}
	e.printf("%s\n", text)
	return nil
}

func (c policyExplainCmd) print(e *env, x policy.Explanation) error {
	var v any = x
	if c.Customer {
		v = x.Customer
	}
	switch {
	case c.JSON:
		enc := json.NewEncoder(e.out)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	case c.Customer:
		e.printf("%s", x.Customer.Text())
	default:
		e.printf("%s", x.Text(e.lang))
	}
	return nil
}

type policyLintCmd struct {
	Dir    string `arg:"" optional:"" help:"A directory of packs; none = every pack built in." type:"existingdir"`
	Strict bool   `help:"Fail too while a rule that runs is not verified."`
	JSON   bool   `help:"One JSON object a line." name:"json"`
}

func (c policyLintCmd) Run(e *env) error {
	var fsys fs.FS = packs.All
	if c.Dir != "" {
		fsys = os.DirFS(c.Dir)
	}
	found, err := policy.Lint(fsys)
	if err != nil {
		return err
	}
	bad := 0
	for _, f := range found {
		f.Fault = f.Fault || c.Strict && f.Kind == policy.LintUnverified
		if f.Fault {
			bad++
		}
		if c.JSON {
			if err := json.NewEncoder(e.out).Encode(f); err != nil {
				return err
			}
		}
	}
	if !c.JSON {
		c.table(e, found)
	}
	if bad > 0 {
		e.printf("%s\n", e.say(fmt.Sprintf("未通过：%d 处", bad), fmt.Sprintf("FAIL: %d", bad)))
		return errQuiet
	}
	return nil
}

func (c policyLintCmd) table(e *env, found []policy.Finding) {
	for _, k := range policy.LintKinds {
		of := slices.DeleteFunc(slices.Clone(found), func(f policy.Finding) bool { return f.Kind != k.Kind })
		if len(of) == 0 {
			continue
		}
		e.printf("# %s (%d)\n", k.In(e.lang), len(of))
		for _, f := range of {
			e.printf("  %-24s %-22s %s\n", fmt.Sprintf("%s:%d", f.File, f.Line), f.Rule, f.Text.In(e.lang))
		}
	}
}

type policyListCmd struct{ configured }

func (c policyListCmd) Run(e *env) error {
	conf, err := c.load()
	if err != nil {
		return err
	}
	set, err := conf.PolicySet()
	if err != nil {
		return err
	}
	e.printf("# %s %s\n", e.say("规则集", "rule set"), set.Hash())
	for _, r := range set.Rules() {
		e.printf("%-20s %-12s %-13s %-4s %s\n", r.ID, r.Kind(), r.Force, r.Confidence, r.Citation.Short())
	}
	return nil
}
