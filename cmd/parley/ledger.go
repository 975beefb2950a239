package main

import (
	"errors"
	"os"
	"time"

	"parley/internal/errs"
	"parley/internal/ledger"
)

type ledgerCmd struct {
	Verify ledgerVerifyCmd `cmd:"" help:"Recompute the whole log from its records and compare."`
	Key    ledgerKeyCmd    `cmd:"" help:"Print the public key that evidence is checked with."`
}

type ledgerVerifyCmd struct{ configured }

func (c ledgerVerifyCmd) Run(e *env) error {
	a, err := c.open(e)
	if err != nil {
		return err
	}
	defer a.Close()
	bar := e.bar(e.say("核验", "verifying"))
	rep, err := a.Ledger.Verify(e.ctx, bar.show)
	bar.done()
	if err != nil {
		return err
	}
	e.ledgerReport(&rep, a.Ledger.Public())
	if !rep.OK() {
		return errQuiet
	}
	return nil
}

type ledgerKeyCmd struct{ configured }

func (c ledgerKeyCmd) Run(e *env) error {
	a, err := c.open(e)
	if err != nil {
		return err
	}
	defer a.Close()
	e.printf("%s\n", a.Ledger.Public())
	return nil
}

type verifyCmd struct {
	Bundle string `arg:"" help:"The bundle (zip)." type:"existingfile"`
	Key    string `help:"Public key you trust, as the bank publishes it. Without it the bundle's own key is used and shown." placeholder:"KEY"`
}

func (c verifyCmd) Run(e *env) error {
	f, err := os.Open(c.Bundle)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	rep, err := ledger.VerifyBundle(f, st.Size(), c.Key)
	if err != nil {
		var pub *errs.Error
		if errors.As(err, &pub) {
			return err
		}
		return errs.New(errs.Invalid, "bundle_unreadable", c.Bundle+" 不是证据包，或已损坏。", c.Bundle+" is not an evidence bundle, or is damaged.").With(err)
	}
	e.bundleReport(&rep)
	if !rep.OK() {
		return errQuiet
	}
	return nil
}

// ledgerReport says in words how a verification of the whole log ended.
func (e *env) ledgerReport(r *ledger.Report, key string) {
	if r.OK() {
		e.printf(e.say("✓ 账本完整：%d 条已封存，%d 条待封存，%d 条已依法删除内容。\n", "✓ The ledger is whole: %d entries sealed, %d waiting, %d erased by law.\n"),
			r.Entries, r.Pending, r.Erased)
	}
	for _, p := range r.Problems {
		e.printf("✗ %s\n", p)
	}
	e.printf(e.say("检查点 %d 条，公钥 %s\n", "checkpoint of %d entries, key %s\n"), r.Checkpoint.Size, key)
}

// bundleReport says in words how a bundle's verification ended.
func (e *env) bundleReport(r *ledger.BundleReport) {
	e.printf("%s\n", r.Title)
	if r.OK() {
		e.printf(e.say("✓ 证据有效：%d 条记录、%d 个文件与签名检查点一致。\n", "✓ The evidence holds: %d records and %d files agree with the signed checkpoint.\n"),
			len(r.Records), len(r.Files))
	}
	for _, p := range r.Problems {
		e.printf("✗ %s\n", p)
	}
	for _, x := range r.Records {
		e.printf("  %s  #%d  %s\n", x.At.Format(time.RFC3339), x.Index, x.Type)
	}
	e.printf(e.say("检查点 %d 条，签名公钥 %s\n", "checkpoint of %d entries, signed by %s\n"), r.Checkpoint.Size, r.Key)
	if !r.KeyGiven {
		e.printf("%s\n", e.say("注意：没有指定公钥，只能说明证据包自身没有被改动。请用银行公布的公钥再核一次：--key 公钥",
			"Note: no key was given, so this shows only that the bundle agrees with itself. Check it against the key the bank publishes: --key KEY"))
	}
}
