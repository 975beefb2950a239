package main

import (
	"context"
	"time"

	"parley/internal/app"
	"parley/internal/roster"
)

type importCmd struct {
	Customers importCustomersCmd `cmd:"" help:"Import customers."`
	Consents  importConsentsCmd  `cmd:"" help:"Import what customers agreed to or refused."`
}

// importFile is what both imports take.
type importFile struct {
	configured
	File    string `arg:"" help:"CSV (UTF-8 or GB18030) or XLSX." type:"existingfile"`
	Mapping string `help:"Which column is which field (YAML); see docs/import.md." type:"path" placeholder:"FILE"`
	Rejects string `help:"Where rows that cannot be used go; default FILE.rejects.csv." type:"path" placeholder:"FILE"`
}

func (c importFile) do(e *env, run func(context.Context, *app.App, roster.Options) (roster.Result, error)) error {
	m, err := roster.ReadMapping(c.Mapping)
	if err != nil {
		return err
	}
	a, err := c.open(e)
	if err != nil {
		return err
	}
	defer a.Close()
	bar := e.bar(e.say("导入", "importing"))
	start := time.Now()
	res, err := run(e.ctx, a, roster.Options{Path: c.File, Mapping: m, Rejects: c.Rejects, Progress: bar.show, By: "cli"})
	bar.done()
	if err != nil {
		return err
	}
	if _, err := a.Ledger.Seal(e.ctx); err != nil {
		return err
	}
	if res.Already {
		e.printf("%s\n", e.say("这个文件已经导入过，没有重复导入。", "This file is in already; nothing was done."))
		return nil
	}
	e.printf(e.say("读入 %d 行（其中 %d 行此前已处理），跳过 %d 行，拒收 %d 行，用时 %.1f 秒\n",
		"%d rows read (%d of them dealt with before), %d left out, %d rejected, %.1f s\n"), res.Rows, res.Skipped, res.Left, res.Rejected, time.Since(start).Seconds())
	if res.Rejects != "" {
		e.printf("%s %s\n", e.say("拒收的行和原因：", "rows not taken, with reasons:"), res.Rejects)
	}
	return nil
}

type importCustomersCmd struct{ importFile }

func (c importCustomersCmd) Run(e *env) error {
	return c.do(e, func(ctx context.Context, a *app.App, o roster.Options) (roster.Result, error) {
		return roster.Customers(ctx, a.DB, a.Party, o)
	})
}

type importConsentsCmd struct{ importFile }

func (c importConsentsCmd) Run(e *env) error {
	return c.do(e, func(ctx context.Context, a *app.App, o roster.Options) (roster.Result, error) {
		zone, err := time.LoadLocation(a.Config.Bank.Zone)
		if err != nil {
			return roster.Result{}, err
		}
		return roster.Consents(ctx, a.DB, a.Party, a.Consent, zone, o)
	})
}
