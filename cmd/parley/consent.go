package main

import (
	"time"

	"parley/internal/access"
	"parley/internal/app"
	"parley/internal/contact"
	"parley/internal/db"
)

type consentCmd struct {
	Show   consentShowCmd   `cmd:"" help:"What a customer has agreed to and refused, now or at any instant."`
	Export consentExportCmd `cmd:"" help:"Consent records (ISO/IEC TS 27560) as JSON, one a line."`
	Stop   consentStopCmd   `cmd:"" help:"Withdraw, refuse or block: effective at once."`
}

// ofCustomer is a command about one customer.
type ofCustomer struct {
	configured
	Ref string `arg:"" help:"The bank's customer number."`
}

func (c ofCustomer) do(e *env, act func(a *app.App, party contact.ID) error) error {
	a, err := c.open(e)
	if err != nil {
		return err
	}
	defer a.Close()
	var id contact.ID
	if err := a.DB.Read(e.ctx, func(tx *db.Tx) error {
		p, err := a.Party.ByRef(e.ctx, tx, c.Ref)
		if err == nil {
			id = p.ID
		}
		return err
	}); err != nil {
		return err
	}
	return act(a, id)
}

type consentShowCmd struct {
	ofCustomer
	At time.Time `help:"As of this instant (RFC 3339); default now." placeholder:"TIME"`
}

func (c consentShowCmd) Run(e *env) error {
	return c.do(e, func(a *app.App, party contact.ID) error {
		return a.DB.Read(e.ctx, func(tx *db.Tx) error {
			at := c.At
			if at.IsZero() {
				at = tx.Now
			}
			st, err := a.Consent.AsOf(e.ctx, tx, party, at)
			if err != nil {
				return err
			}
			for _, g := range st.Grants {
				e.printf("%s  %-9s %v %v %s\n", g.ID, g.Ground, g.Purposes.Names(), g.Channels.Names(), span(g.From, g.Until))
				if g.Max > 0 {
					e.printf(e.say("      每 %d 天最多 %d 次\n", "      in any %d days at most %d\n"), g.Days, g.Max)
				}
			}
			for _, s := range st.Stops {
				e.printf("%s  %-9s %v %v %s\n", s.ID, s.Kind, s.Purposes.Names(), s.Channels.Names(), span(s.At, s.Until))
			}
			if len(st.Grants)+len(st.Stops) == 0 {
				e.printf("%s\n", e.say("没有任何授权或拒绝记录。", "Neither consents nor refusals on record."))
			}
			return nil
		})
	})
}

func span(from, until contact.Micros) string {
	s := db.Time(from).Format(time.RFC3339) + " –"
	if until > 0 {
		s += " " + db.Time(until).Format(time.RFC3339)
	}
	return s
}

type consentExportCmd struct{ ofCustomer }

func (c consentExportCmd) Run(e *env) error {
	return c.do(e, func(a *app.App, party contact.ID) error {
		return a.DB.Read(e.ctx, func(tx *db.Tx) error {
			st, err := a.Consent.AsOf(e.ctx, tx, party, tx.Now)
			if err != nil {
				return err
			}
			for _, g := range st.Grants {
				raw, err := a.Consent.Export27560(e.ctx, tx, party, g.ID)
				if err != nil {
					return err
				}
				e.printf("%s\n", raw)
			}
			return nil
		})
	})
}

type consentStopCmd struct {
	ofCustomer
	As       string   `help:"Sign-in name of the member of staff who records it." required:"" placeholder:"LOGIN"`
	Kind     string   `help:"What the customer said." enum:"withdrawal,refusal,do_not_contact" default:"withdrawal"`
	Purposes []string `help:"Purposes; none = all."`
	Channels []string `help:"Channels; none = all."`
}

func (c consentStopCmd) Run(e *env) error {
	return c.do(e, func(a *app.App, party contact.ID) error {
		by, err := a.Staff(e.ctx, c.As, access.StopContact)
		if err != nil {
			return err
		}
		st := contact.Stop{Kind: contact.StopKind(c.Kind), Source: "staff"}
		for _, n := range c.Purposes {
			p, err := contact.ParsePurpose(n)
			if err != nil {
				return err
			}
			st.Purposes |= contact.PurposeSet(p)
		}
		for _, n := range c.Channels {
			ch, err := contact.ParseChannel(n)
			if err != nil {
				return err
			}
			st.Channels |= contact.ChannelSet(ch)
		}
		if err := a.DB.Write(e.ctx, func(tx *db.Tx) (err error) {
			st, err = a.Consent.Stop(e.ctx, tx, party, st, by)
			return err
		}); err != nil {
			return err
		}
		e.printf("%s  %s\n", st.ID, e.say("已生效，尚未拨出的许可全部作废。", "In force; every permit not yet used is void."))
		return nil
	})
}
