package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"parley/internal/access/customer"
	"parley/internal/campaign"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/outbound"
	"parley/internal/party"
	"parley/internal/policy"
	"parley/internal/portal"
	"parley/internal/template"
)

// oneTimeCode names script, product and event of the contacts that bring codes;
// the rules about them ask for it.
const oneTimeCode = "one_time_code"

// codes brings one-time codes to customers: a contact like any other, with a
// permit of its own, asked for by the customer.
type codes struct {
	a      *App
	script *campaign.Script // nil = the prompts for it are missing: no calls
}

// newCodes reads what is said. A bank whose own prompts lack those of the script
// can still send e-mail.
func (a *App) newCodes() *codes {
	c := &codes{a: a}
	shipped, err := campaign.DemoScripts(a.Prompts.Has)
	if err != nil {
		a.Log.Warn("one-time codes cannot be read out: the prompts lack some", "error", err)
		return c
	}
	c.script = shipped[oneTimeCode]
	return c
}

// ready stores the script, so that a call can be explained by what it said.
func (c *codes) ready(ctx context.Context) error {
	if c.script == nil {
		return nil
	}
	return c.a.Campaigns.PutScript(ctx, c.script, "parley")
}

// Bring has the code read out, or mails it.
func (c *codes) Bring(ctx context.Context, to customer.Place, code string) error {
	in := policy.Intent{Party: to.Party, Point: to.Point, Purpose: contact.Service, Product: oneTimeCode,
		Event: oneTimeCode, Relation: contact.Self, Initiator: "customer", Synthetic: true}
	if to.Way == customer.ByMail {
		return c.post(ctx, in, code)
	}
	if c.script == nil {
		return fmt.Errorf("no script to read a code out with")
	}
	in.Channel, in.CallerID = contact.Voice, c.a.Config.Bank.Hotline
	in.Script, in.Discloses = c.script.Hash(), c.script.Discloses()
	permit, err := c.permit(ctx, in)
	if err != nil {
		return err
	}
	if err := c.expect(ctx, to.Point); err != nil {
		return err
	}
	_, err = c.a.Sender.Call(ctx, permit, outbound.Job{CallerID: in.CallerID, Script: c.script, Values: map[string]string{"code": code}})
	return err
}

// post mails a code in the wording in force; permit and attempt keep its hash.
func (c *codes) post(ctx context.Context, in policy.Intent, code string) error {
	var w *template.Version
	if err := c.a.DB.Read(ctx, func(tx *db.Tx) (err error) {
		w, err = c.a.Templates.InForce(ctx, tx, codeMail)
		return err
	}); err != nil {
		return err
	}
	in.Channel, in.Script, in.Discloses = contact.Email, w.Sum, []string{policy.Identity}
	permit, err := c.permit(ctx, in)
	if err != nil {
		return err
	}
	_, err = c.a.Sender.SendMail(ctx, permit, outbound.Mail{Template: w.Sum, Meets: in.Discloses,
		Write: func(lang string) (string, string, error) { return w.Texts.Fill(lang, c.values(lang, code)) }})
	return err
}

// codeMail is the template of the e-mail that carries a code.
const codeMail = "code_mail"

func (c *codes) values(lang, code string) template.Values {
	bank := c.a.Config.Bank.NameZh
	if strings.HasPrefix(lang, "en") {
		bank = c.a.Config.Bank.NameEn
	}
	return template.Values{"code": code, "minutes": strconv.Itoa(int(customer.CodeLife / time.Minute)), "bank": bank, "hotline": c.a.Config.Bank.Hotline}
}

// permit asks the gate for one contact.
func (c *codes) permit(ctx context.Context, in policy.Intent) (contact.ID, error) {
	ds, err := c.a.Gate.Reserve(ctx, []policy.Intent{in})
	if err != nil {
		return "", err
	}
	if ds[0].Verdict.Effect != policy.Allow {
		return "", fmt.Errorf("the gate says %s by %s", ds[0].Verdict.Effect, ds[0].Verdict.By)
	}
	return ds[0].ID, nil
}

// expect tells a simulated carrier that somebody sits by this phone: whoever
// has asked for a code picks up.
func (c *codes) expect(ctx context.Context, point contact.ID) error {
	if c.a.expect == nil {
		return nil
	}
	return c.a.DB.Read(ctx, func(tx *db.Tx) error {
		p, err := c.a.Party.Value(ctx, tx, point)
		if err == nil && p.Kind == party.Phone {
			c.a.expect(p.Value)
		}
		return err
	})
}

// sampled is how many fictitious customers a simulated bank offers to enter as,
// and looked how many are looked at to find some who were contacted.
const (
	sampled = 4
	looked  = 300
)

// samples gives fictitious customers whom a visitor may enter as, those who were
// contacted most first. A real bank has none.
func (a *App) samples(ctx context.Context) ([]portal.Sample, error) {
	if !a.Simulated {
		return nil, nil
	}
	var out []portal.Sample
	err := a.DB.Read(ctx, func(tx *db.Tx) error {
		out = nil
		people, err := a.Party.List(ctx, tx, "", looked)
		if err != nil {
			return err
		}
		for _, p := range people {
			point, ok := p.Point(party.Phone)
			if !ok {
				continue
			}
			ats, err := a.Sender.AttemptsByParty(ctx, tx, p.ID, "", sampled)
			if err != nil {
				return err
			}
			if len(ats) > 0 || len(out) < sampled {
				out = append(out, portal.Sample{Number: point.Value, Calls: len(ats)})
			}
		}
		return nil
	})
	slices.SortStableFunc(out, func(x, y portal.Sample) int { return y.Calls - x.Calls })
	return out[:min(len(out), sampled)], err
}

// tidyUploads deletes what visitors sent for complaints they never filed.
func (a *App) tidyUploads(ctx context.Context) error {
	sums, err := a.Customers.Unclaimed(ctx)
	for _, sum := range sums {
		cited, cErr := a.Complaints.Cites(ctx, sum)
		if cErr == nil && !cited {
			cErr = a.Blobs.Remove(sum)
		}
		err = errors.Join(err, cErr)
	}
	return err
}
