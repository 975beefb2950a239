package main

import (
	"errors"

	"parley/internal/app"
)

type serveCmd struct {
	Config string `help:"Configuration file (TOML); see parley config." required:"" type:"path" placeholder:"FILE"`
}

func (c serveCmd) Run(e *env) error {
	a, err := configured(c).open(e)
	if err != nil {
		return err
	}
	defer a.Close()
	r, err := a.Start(e.ctx)
	if err != nil {
		return err
	}
	e.printf("%s %s\n", e.say("守约已启动：", "Parley is running at"), r.Addr)
	link, err := r.FirstLink(e.ctx)
	if err != nil {
		return errors.Join(err, r.Stop())
	}
	if link != "" {
		e.printf("\n%s\n    %s\n%s\n\n", e.say("这家银行还没有员工。请用这个链接成为第一位管理员：", "This bank has no staff yet. Become its first administrator by this link:"), link,
			e.say("一小时内有效，只能用一次。", "It works once, within an hour."))
	}
	<-e.ctx.Done()
	e.printf("%s\n", e.say("正在停止：不再拨打，等进行中的通话结束……", "Stopping: no new calls, waiting for those under way…"))
	return r.Stop()
}

type migrateCmd struct{ configured }

func (c migrateCmd) Run(e *env) error {
	conf, err := c.load()
	if err != nil {
		return err
	}
	n, err := app.Migrate(e.ctx, conf, quiet(e.err))
	if err != nil {
		return err
	}
	if n == 0 {
		e.printf("%s\n", e.say("数据库结构已是最新。", "The schema is up to date."))
		return nil
	}
	e.printf(e.say("已执行 %d 项迁移。\n", "%d migrations applied.\n"), n)
	return nil
}

type doctorCmd struct{ configured }

func (c doctorCmd) Run(e *env) error {
	conf, err := c.load()
	if err != nil {
		return err
	}
	ok := true
	for _, f := range app.Doctor(e.ctx, conf, quiet(e.err)) {
		mark := "✓"
		if !f.OK {
			mark, ok = "✗", false
		}
		e.printf("%s %-12s %s\n", mark, f.What, e.say(f.Zh, f.En))
	}
	if !ok {
		return errQuiet
	}
	return nil
}
