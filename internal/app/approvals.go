package app

import (
	"context"

	"parley/internal/access"
	"parley/internal/apikey"
	"parley/internal/approval"
	"parley/internal/campaign"
	"parley/internal/console/machines"
	"parley/internal/console/reveal"
	"parley/internal/db"
)

// people joins the four-eyes room to the staff: who stands behind an account,
// and what it may decide.
type people struct {
	access.Eyes
	keys *apikey.Store
}

// Person gives the human being behind an account.
func (p people) Person(ctx context.Context, tx *db.Tx, account string) (string, error) {
	if maker, ok, err := p.keys.MakerIn(ctx, tx, account); ok {
		if err != nil {
			return "", err
		}
		account = maker // whoever made a key answers for what it does
	}
	return p.Eyes.Person(ctx, tx, account)
}

// registerApprovals says what each kind of request needs and does. Every kind
// that exists is here.
func (a *App) registerApprovals() {
	a.Approvals.Register(a.Rulebook.Approval(string(access.ApproveRules)))
	a.Approvals.Register(a.Holidays.Approval(string(access.ApproveRules)))
	a.Approvals.Register(a.Templates.Approval(string(access.ApproveTemplate)))
	a.Approvals.Register(a.Campaigns.Approval(string(access.ApproveCampaign)))
	a.Approvals.Register(a.Campaigns.ScriptApproval(string(access.ApproveScript)))
	a.Approvals.Register(reveal.Bulk(string(access.ApproveUnmask)))
	a.Approvals.Register(a.Complaints.Approvals(string(access.ApproveComplaint))...)
	for _, k := range a.Access.Kinds() {
		a.Approvals.Register(k)
	}
	a.Approvals.Register(approval.Kind{Name: machines.KeyKind, Permission: string(access.ApproveAPI),
		Apply: func(ctx context.Context, tx *db.Tx, r *approval.Request) (approval.Effect, error) {
			return approval.Effect{}, a.APIKeys.ApproveIn(ctx, tx, r.Subject, r.DecidedBy)
		},
		Return: func(ctx context.Context, tx *db.Tx, r *approval.Request) (approval.Effect, error) {
			return approval.Effect{}, a.APIKeys.RevokeIn(ctx, tx, r.Subject, r.DecidedBy)
		}})
}

// adopt brings what older versions of Parley left behind into the form of this
// one. It is safe to run at every start.
func (a *App) adopt(ctx context.Context) error {
	campaigns, err := a.Campaigns.Adopt(ctx)
	if err != nil {
		return err
	}
	cases, err := a.Complaints.Adopt(ctx)
	if campaigns > 0 || cases > 0 {
		a.Log.Info("taken over from an older version", "campaigns", campaigns, "cases", cases)
	}
	if err != nil {
		return err
	}
	n, err := a.Campaigns.Ship(ctx, a.shipped())
	if n > 0 {
		a.Log.Info("scripts that come with Parley stand on the shelf", "scripts", n)
	}
	return err
}

// wordings puts what customers are told in force where the bank has no wording of
// its own that this version of Parley can fill.
func (a *App) wordings(ctx context.Context) error {
	pins, err := a.Templates.Adopt(ctx)
	if len(pins) > 0 {
		a.Log.Info("letters and messages are written in the wordings that ship", "versions", pins)
	}
	return err
}

// shipped gives the scripts that come with Parley, as far as the prompts at hand
// can speak them.
func (a *App) shipped() []*campaign.Script {
	all, err := campaign.DemoScripts(a.Prompts.Has)
	if err != nil {
		a.Log.Warn("the scripts that ship need other prompts than these", "error", err)
	}
	var out []*campaign.Script
	for _, id := range []string{"card_renewal", "overdue_reminder", "deposit_offer"} {
		if s := all[id]; s != nil {
			out = append(out, s)
		}
	}
	return out
}
