package main

import (
	"context"
	"os"
	"slices"
	"time"

	"parley/internal/app"
	"parley/internal/app/measure"
	"parley/internal/bench"
	"parley/internal/db/pgtemp"
)

type benchCmd struct {
	What     string   `arg:"" enum:"gate,ledger,voice,import,policy,pages,api" help:"gate, ledger, voice, import, policy, pages or api."`
	JSON     bool     `help:"One JSON object a line." name:"json"`
	Quick    bool     `help:"A rougher answer within 30 seconds."`
	Engines  []string `help:"Engines to measure." enum:"sqlite,postgres" default:"sqlite,postgres"`
	Postgres string   `help:"PostgreSQL server to use; without it a throw-away one is started." placeholder:"URL"`
	Config   string   `help:"pages: measure the bank of this configuration, which parley seed has filled, instead of filling one." placeholder:"FILE"`
}

// Run measures; whatever it measured, it exits 0. Only a benchmark that could
// not run is an error.
func (c benchCmd) Run(e *env) error {
	dir, err := os.MkdirTemp("", "parley-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r := bench.NewReport(e.out, c.JSON)
	if c.What == "pages" && c.Config != "" {
		conf, err := app.LoadConfig(c.Config)
		if err != nil {
			return err
		}
		return measure.Filled(e.ctx, conf, r)
	}
	o := bench.Options{Quick: c.Quick, Engines: c.Engines, PostgresURL: c.Postgres, Dir: dir}
	if c.What != "voice" && c.Postgres == "" && slices.Contains(c.Engines, "postgres") {
		ctx, cancel := context.WithTimeout(e.ctx, time.Minute)
		defer cancel()
		if o.PostgresURL, err = pgtemp.URL(ctx, "bench", true); err != nil {
			r.Note("PostgreSQL is left out: %v", err)
			o.Engines = []string{"sqlite"}
		}
	}
	switch c.What {
	case "gate":
		return bench.Gate(e.ctx, o, r)
	case "ledger":
		return bench.Ledger(e.ctx, o, r)
	case "policy":
		if err := bench.Policy(e.ctx, o, r); err != nil {
			return err
		}
		return bench.Replay(e.ctx, o, r)
	case "pages":
		return measure.Pages(e.ctx, o, r)
	case "voice":
		return bench.Voice(e.ctx, o, r)
	case "api":
		return bench.API(e.ctx, o, r)
	default:
		if err := bench.Import(e.ctx, o, r); err != nil {
			return err
		}
		return bench.Screen(e.ctx, o, r)
	}
}
