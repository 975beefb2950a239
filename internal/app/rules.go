package app

import (
	"context"
	"io/fs"
	"os"

	"parley/internal/errs"
	"parley/internal/policy"
	"parley/internal/rulebook"
	"parley/packs"
)

// packsFS gives the directory of packs that the configuration names, and what
// to call it.
func (c *Config) packsFS() (fs.FS, string) {
	if c.Policy.Packs != "" {
		return os.DirFS(c.Policy.Packs), c.Policy.Packs
	}
	return c.ShippedFS(), "built in"
}

// ShippedFS gives the packs that come with this version of Parley.
func (c *Config) ShippedFS() fs.FS {
	if len(c.Policy.Use) > 0 {
		return packs.All
	}
	return packs.FS
}

// PolicySet loads the rule packs the configuration names.
func (c *Config) PolicySet() (*policy.Set, error) {
	fsys, where := c.packsFS()
	set, err := policy.LoadFS(fsys, c.Policy.Use...)
	if err != nil {
		return nil, errs.New(errs.Invalid, "packs_invalid", "规则包有误（"+where+"），已拒绝载入。",
			"The rule packs ("+where+") are not right and were refused.").With(err)
	}
	return set, nil
}

// PackFiles reads the packs the configuration names, with their tests.
func (c *Config) PackFiles() (rulebook.Files, error) {
	fsys, _ := c.packsFS()
	return rulebook.ReadFiles(fsys, c.Policy.Use)
}

// ShippedFiles reads the packs that come with this version of Parley.
func (c *Config) ShippedFiles() (rulebook.Files, error) {
	return rulebook.ReadFiles(c.ShippedFS(), c.Policy.Use)
}

// rules has the gate judge by the edition that was approved. A bank without any
// adopts the packs it was installed with; a directory of packs that nobody has
// approved is refused, unless the configuration says that this is a workshop.
func (a *App) rules(ctx context.Context) error {
	if a.Config.Policy.Unapproved {
		a.Log.Warn("policy.unapproved: the rules in force were approved by nobody", "set", a.Gate.Policy().Hash())
		return nil
	}
	files, err := a.Config.PackFiles()
	if err != nil {
		return err
	}
	adopted, err := a.Rulebook.Adopt(ctx, files, a.Config.Policy.Use, "随程序安装 · as installed", "parley")
	if err != nil {
		return err
	}
	schedule, err := a.Rulebook.Schedule(ctx)
	if err != nil {
		return errs.New(errs.Refused, "rules_not_approved", "生效规则与批准时不一致，已拒绝启动。请用 parley ledger verify 查证，并恢复备份。",
			"The rules in force are not those that were approved, so Parley does not start. Look into it with `parley ledger verify`, and restore a backup.").With(err)
	}
	a.Gate.Schedule(schedule...)
	if adopted {
		a.Log.Info("the bank adopted the rules it was installed with", "set", a.Gate.Policy().Hash())
		return nil
	}
	return a.unapproved(ctx, files)
}

// unapproved compares the packs beside the program with those that were approved.
func (a *App) unapproved(ctx context.Context, files rulebook.Files) error {
	as, err := a.Rulebook.Activations(ctx)
	if err != nil {
		return err
	}
	for _, act := range as {
		if act.Hash == files.Hash() {
			return nil
		}
	}
	if dir := a.Config.Policy.Packs; dir != "" {
		return errs.New(errs.Refused, "packs_not_approved",
			"目录 "+dir+" 中的规则包未经批准。请用 parley policy draft --from "+dir+" 起草并送审；仅在开发环境可设 policy.unapproved = true。",
			"Nobody has approved the rule packs in "+dir+". Draft them with `parley policy draft --from "+dir+
				"` and have them approved; policy.unapproved = true is for development only.")
	}
	a.Log.Info("this version of Parley ships other rules than the approved ones, which stay in force; parley policy draft --from shipped proposes them")
	return nil
}
