package main

import (
	"log/slog"
	"os"
	"time"

	"parley/internal/app"
	"parley/internal/sim"
)

type demoCmd struct {
	Headless bool          `help:"No pages: run, report and end."`
	For      time.Duration `help:"With --headless: how long to dial." default:"40s"`
	Report   string        `help:"With --headless: write the report (JSON) here; - is standard output." default:"-" type:"path"`
	Addr     string        `help:"Address of the pages." default:"127.0.0.1:8080"`
	Seed     uint64        `help:"Which fictitious world." default:"7"`
	People   int           `help:"How many fictitious customers." default:"600"`
	Dir      string        `help:"Keep the data here; without it the data goes away with the demo." type:"path"`
	Database string        `help:"PostgreSQL database instead of SQLite." placeholder:"URL"`
	Verbose  bool          `help:"Show the program's log." short:"v"`
}

func (c demoCmd) Run(e *env) error {
	log := slog.New(slog.DiscardHandler)
	if c.Verbose {
		log = slog.New(slog.NewTextHandler(e.err, nil))
	}
	addr := c.Addr
	if c.Headless {
		addr = "127.0.0.1:0"
	}
	d, err := app.StartDemo(e.ctx, app.DemoOptions{Dir: c.Dir, Database: c.Database, Addr: addr, Seed: c.Seed, People: c.People, Log: log})
	if err != nil {
		return err
	}
	defer d.Close()
	e.printf("%s\n", sim.Notice(e.lang))
	e.printf(e.say("银行时钟从上海时间 10:00 开始（现在 %s）。\n", "The bank's clock started at 10:00 in Shanghai (now %s).\n"),
		d.DB.Now().In(time.FixedZone("CST", 8*3600)).Format("15:04:05"))
	if !c.Headless {
		e.printf(e.say("打开 %s ，点一位员工的名字进入。按 Ctrl-C 结束。\n", "Open %s and enter as one of the staff. Ctrl-C ends it.\n"), d.Addr)
		<-e.ctx.Done()
		e.printf("%s\n", e.say("正在结束……", "Ending…"))
		return nil
	}
	bar := e.bar(e.say("拨打", "dialling"))
	start := time.Now()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for time.Since(start) < c.For && e.ctx.Err() == nil {
		<-tick.C
		bar.show(int64(time.Since(start)), int64(c.For))
	}
	bar.done()
	r, err := d.Report(e.ctx)
	if err != nil {
		return err
	}
	out := e.out
	if c.Report != "-" {
		f, err := os.Create(c.Report)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := r.Write(f); err != nil {
			return err
		}
		e.printf(e.say("已筛 %d 人次，接通 %d 通，录音 %d 通，退订 %d，投诉 %d；报告 %s\n", "%d screened, %d answered, %d recorded, %d withdrew, %d complained; report in %s\n"),
			r.ContactsScreened, r.Calls["answered"], r.Calls["recorded"], r.Withdrawals, r.Complaints["opened"], c.Report)
	} else if err := r.Write(out); err != nil {
		return err
	}
	for _, b := range r.Broken {
		e.printf("✗ %s\n", b)
	}
	if len(r.Broken) > 0 {
		return errQuiet
	}
	return nil
}
