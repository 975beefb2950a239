package main

import (
	"os"

	"parley/internal/access"
	"parley/internal/app"
	"parley/internal/errs"
)

type staffCmd struct {
	Add     staffAddCmd     `cmd:"" help:"Add a member of staff; the password is read from standard input, or --link prints a one-time link for its owner."`
	List    staffListCmd    `cmd:"" help:"List staff, their roles and what they sign in with."`
	Link    staffLinkCmd    `cmd:"" help:"Print a one-time link for somebody who has nothing to sign in with yet."`
	Reset   staffResetCmd   `cmd:"" help:"Take away password, second factor and passkeys and end all sessions; prints a one-time link."`
	Disable staffDisableCmd `cmd:"" help:"Close an account at once and end its sessions."`
	Enable  staffEnableCmd  `cmd:"" help:"Open a closed account again."`
}

type staffAddCmd struct {
	configured
	Login  string   `arg:"" help:"Sign-in name."`
	Name   string   `help:"Full name." required:""`
	Roles  []string `help:"Roles: campaign_manager, approver, agent, supervisor, handler, complaint_approver, senior, compliance, auditor, admin." required:"" name:"role"`
	Number string   `help:"Staff number: two accounts with one number are one person."`
	Link   bool     `help:"Read no password; print a one-time link by which the person sets it."`
}

func (c staffAddCmd) Run(e *env) error {
	a, err := c.open(e)
	if err != nil {
		return err
	}
	defer a.Close()
	pw := ""
	if !c.Link {
		if pw, err = readPassword(e, os.Stdin); err != nil {
			return errs.New(errs.Invalid, "password_unreadable", "读不到密码。", "The password could not be read.").With(err)
		}
		if pw == "" {
			return access.ErrWeak
		}
	}
	id, err := a.AddStaff(e.ctx, access.Staff{Login: c.Login, Name: c.Name, Number: c.Number}, c.Roles, pw)
	if err != nil {
		return err
	}
	e.printf("%s  %s\n", id, c.Login)
	if c.Link {
		return e.link(a, id)
	}
	return nil
}

// link prints a one-time link for the person.
func (e *env) link(a *app.App, id string) error {
	address, err := a.InviteLink(e.ctx, id, "cli")
	if err != nil {
		return err
	}
	e.printf("%s\n    %s\n", e.say("24 小时内有效，只能用一次：", "It works once, within 24 hours:"), address)
	return nil
}

type staffListCmd struct{ configured }

func (c staffListCmd) Run(e *env) error {
	a, err := c.open(e)
	if err != nil {
		return err
	}
	defer a.Close()
	list, err := a.Access.List(e.ctx)
	if err != nil {
		return err
	}
	for _, s := range list {
		f, err := a.Access.Factors(e.ctx, s.ID)
		if err != nil {
			return err
		}
		state := e.say("启用", "in use")
		switch {
		case !s.Disabled.IsZero():
			state = e.say("停用", "closed")
		case f.None():
			state = e.say("待启用", "not set up")
		case f.TOTP || f.Passkeys > 0:
			state += e.say("，有第二道验证", ", second factor")
		}
		e.printf("%s  %-12s %-12s %-20v %s\n", s.ID, s.Login, s.Name, s.Roles, state)
	}
	return nil
}

// account is a command about one account.
type account struct {
	configured
	Login string `arg:"" help:"Sign-in name."`
}

func (c account) with(e *env, do func(a *app.App, st access.Staff) error) error {
	a, err := c.open(e)
	if err != nil {
		return err
	}
	defer a.Close()
	st, err := a.Access.ByLogin(e.ctx, c.Login)
	if err != nil {
		return err
	}
	return do(a, st)
}

type staffLinkCmd struct{ account }

func (c staffLinkCmd) Run(e *env) error {
	return c.with(e, func(a *app.App, st access.Staff) error { return e.link(a, st.ID) })
}

type staffResetCmd struct{ account }

func (c staffResetCmd) Run(e *env) error {
	return c.with(e, func(a *app.App, st access.Staff) error {
		if err := a.Access.ResetNow(e.ctx, st.ID, "cli"); err != nil {
			return err
		}
		if !st.Disabled.IsZero() { // a closed account gets no link
			return nil
		}
		return e.link(a, st.ID)
	})
}

type staffDisableCmd struct{ account }

func (c staffDisableCmd) Run(e *env) error {
	return c.with(e, func(a *app.App, st access.Staff) error { return a.Access.Disable(e.ctx, st.ID, "cli") })
}

type staffEnableCmd struct{ account }

func (c staffEnableCmd) Run(e *env) error {
	return c.with(e, func(a *app.App, st access.Staff) error { return a.Access.Enable(e.ctx, st.ID, "cli") })
}
