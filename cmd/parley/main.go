// Command parley contacts a bank's customers only as they and the law agreed,
// and puts it right when it did not. `parley demo` shows the whole of it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"parley/internal/app"
	"parley/internal/errs"
	"parley/internal/prompt"
)

// cli is the command line.
type cli struct {
	Lang string `help:"Language of messages: zh or en." enum:"zh,en" default:"${lang}"`

	Demo     demoCmd     `cmd:"" help:"Run the main job with a fictitious bank and simulated phones, on real SIP and RTP."`
	Serve    serveCmd    `cmd:"" help:"Run a bank: dialer, gate, complaints, console and portal."`
	Migrate  migrateCmd  `cmd:"" help:"Bring the database schema up to date."`
	Doctor   doctorCmd   `cmd:"" help:"Check database, keys, trunk, clock, disk and prompts, and say what to mend."`
	Config   configCmd   `cmd:"" help:"Print a documented configuration file with every default."`
	Seed     seedCmd     `cmd:"" help:"Fill an empty bank with fictitious customers and contacts, for measurements."`
	Import   importCmd   `cmd:"" help:"Import customers or consents from CSV or XLSX."`
	Campaign campaignCmd `cmd:"" help:"Make, approve, start and watch campaigns."`
	Script   scriptCmd   `cmd:"" help:"Check, store and compare call scripts."`
	Consent  consentCmd  `cmd:"" help:"Show, export and withdraw a customer's consents."`
	Staff    staffCmd    `cmd:"" help:"Add and list staff."`
	Policy   policyCmd   `cmd:"" help:"Test rule packs and explain verdicts."`
	Ledger   ledgerCmd   `cmd:"" help:"Verify the ledger."`
	Verify   verifyCmd   `cmd:"" help:"Verify an evidence bundle, offline."`
	Prompts  promptsCmd  `cmd:"" help:"Render prompts from text."`
	Bench    benchCmd    `cmd:"" help:"Measure against a yardstick in the same run."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

// env is what every command gets.
type env struct {
	ctx  context.Context
	out  io.Writer
	err  io.Writer
	lang string
}

func (e *env) printf(format string, args ...any) { fmt.Fprintf(e.out, format, args...) }

// say chooses the sentence in the caller's language.
func (e *env) say(zh, en string) string {
	if e.lang == "en" {
		return en
	}
	return zh
}

// gcPercent lets the heap grow to five times what is alive before it is
// collected: that is little beside the machine, and each collection takes a part
// of the processors from calls and decisions that are due in milliseconds.
const gcPercent = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// errQuiet ends with exit code 1 without another word: the command has said it all.
var errQuiet = errors.New("failed")

func run(args []string, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c cli
	code := -1
	parser, err := kong.New(&c, kong.Name("parley"),
		kong.Description("Parley (守约): no contact without a permit, no complaint without its cause, no change without proof."),
		kong.Vars{"lang": defaultLang(), "command": prompt.DefaultCommand}, kong.Writers(out, errOut), kong.Exit(func(n int) { code = n }), kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		fmt.Fprintln(errOut, err)
		return 2
	}
	k, err := parser.Parse(args)
	if code >= 0 { // --help
		return code
	}
	if err != nil {
		fmt.Fprintf(errOut, "parley: %v\n", err)
		return 2
	}
	e := &env{ctx: ctx, out: out, err: errOut, lang: c.Lang}
	if err := k.Run(e); err != nil {
		if !errors.Is(err, errQuiet) {
			e.complain(err)
		}
		return 1
	}
	return 0
}

// complain prints the sentence for people; an error that has none is printed
// as it is, for this is a terminal and its reader runs the machine.
func (e *env) complain(err error) {
	var pub *errs.Error
	if !errors.As(err, &pub) {
		fmt.Fprintf(e.err, "parley: %v\n", err)
		return
	}
	fmt.Fprintf(e.err, "parley: %s\n", e.say(pub.Zh, pub.En))
	if cause := errors.Unwrap(pub); cause != nil {
		fmt.Fprintf(e.err, "        (%v)\n", cause)
	}
}

// defaultLang follows the terminal's locale; without one it is Chinese.
func defaultLang() string {
	for _, key := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := os.Getenv(key); v != "" {
			if strings.HasPrefix(v, "en") {
				return "en"
			}
			return "zh"
		}
	}
	return "zh"
}

type versionCmd struct{}

func (versionCmd) Run(e *env) error { //nolint:unparam // every command gives an error
	v := "devel"
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			v = info.Main.Version
		}
		v += " " + info.GoVersion
	}
	e.printf("parley %s\n", v)
	return nil
}

type configCmd struct{}

func (configCmd) Run(e *env) error { return app.WriteConfig(e.out) }

// configured is what every command that works on a bank's data takes.
type configured struct {
	Config string `help:"Configuration file (TOML); see parley config." type:"path" placeholder:"FILE"`
}

// load reads the configuration; without a file the defaults hold, in this directory.
func (c configured) load() (app.Config, error) {
	if c.Config == "" {
		return app.DefaultConfig(), nil
	}
	return app.LoadConfig(c.Config)
}

// open opens the bank's data without starting anything.
func (c configured) open(e *env) (*app.App, error) {
	conf, err := c.load()
	if err != nil {
		return nil, err
	}
	log, err := conf.Logger(e.err)
	if err != nil {
		return nil, err
	}
	return app.Open(e.ctx, app.Options{Config: conf, Log: log})
}

// quiet is a log for commands that speak for themselves.
func quiet(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
