package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"parley/internal/complaint"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/gate"
	"parley/internal/outbound"
	"parley/internal/policy"
	"parley/internal/remedy"
)

// causes tells the complaint desk what stood behind a contact: it joins the
// attempt, the gate's decision and the campaign.
type causes struct{ a *App }

// Cause describes one attempt.
func (c causes) Cause(ctx context.Context, tx *db.Tx, id contact.ID) (complaint.Cause, error) {
	at, err := c.a.Sender.Attempt(ctx, tx, id)
	if err != nil {
		return complaint.Cause{}, err
	}
	return c.describe(ctx, tx, at)
}

// Latest gives a person's last contacts.
func (c causes) Latest(ctx context.Context, tx *db.Tx, party contact.ID, since time.Time, n int) ([]complaint.Cause, error) {
	ats, err := c.a.Sender.AttemptsByParty(ctx, tx, party, "", n)
	if err != nil {
		return nil, err
	}
	var out []complaint.Cause
	for _, at := range ats {
		if at.StartedAt.Before(since) {
			break
		}
		cause, err := c.describe(ctx, tx, at)
		if err != nil {
			return nil, err
		}
		out = append(out, cause)
	}
	return out, nil
}

func (c causes) describe(ctx context.Context, tx *db.Tx, at *outbound.Attempt) (complaint.Cause, error) {
	d, err := c.a.Gate.DecisionIn(ctx, tx, at.ID)
	if err != nil {
		return complaint.Cause{}, fmt.Errorf("decision of contact %s: %w", at.ID, err)
	}
	out := complaint.Cause{Attempt: at.ID, At: at.StartedAt, Channel: at.Channel, Purpose: at.Purpose, Campaign: at.Campaign,
		Outcome: at.Outcome, CallerID: at.CallerID, Effect: d.Verdict.Effect.String(), By: d.Verdict.By, Pack: d.Verdict.Pack,
		Grant: d.Verdict.Grant, Script: at.Script, Recording: at.Recording.SHA256, Seconds: at.Recording.Duration.Seconds()}
	if camp, err := c.a.Campaigns.GetIn(ctx, tx, at.Campaign); err == nil {
		out.Name = camp.Name
	}
	return out, nil
}

// intake opens the complaints that customers speak after pressing key 2.
type intake struct{ a *App }

// OpenFromCall opens a case with the call attached, in the transaction that ends the call.
func (i intake) OpenFromCall(ctx context.Context, tx *db.Tx, c outbound.Complaint) (string, error) {
	lang := "zh"
	if strings.HasPrefix(c.Lang, "en") {
		lang = "en"
	}
	words := ""
	if c.Recording == "" {
		words = "（客户按 2 键投诉，未能录下内容 / pressed 2 to complain; no words were recorded）"
	}
	k, err := i.a.Complaints.Open(ctx, tx, complaint.Intake{Source: "key2", Party: c.Party, Attempt: c.Attempt, Lang: lang,
		Words: words, Recording: c.Recording, From: c.From, To: c.To})
	if err != nil {
		return "", err
	}
	return k.Number, nil
}

// Explanation explains an attempt by the rules it was decided under.
func (a *App) Explanation(ctx context.Context, id contact.ID, lang string) (policy.Explanation, error) {
	d, err := a.Gate.Decision(ctx, id)
	if err != nil {
		return policy.Explanation{}, err
	}
	return a.explained(&d, lang), nil
}

func (a *App) explained(d *gate.Stored, lang string) policy.Explanation {
	set := a.Gate.Known(d.Verdict.Pack)
	if set == nil { // nobody here knows those rules any more: today's say what their ids mean
		set = a.Gate.Policy()
	}
	return set.Explanation(&d.Facts, d.Verdict, lang)
}

// ExplainAttempt says in words what every rule said about an attempt, when it
// was decided, and what became of it.
func (a *App) ExplainAttempt(ctx context.Context, id contact.ID, lang string) (string, error) {
	d, err := a.Gate.Decision(ctx, id)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n", d.At.Format(time.RFC3339), id)
	b.WriteString(a.Gate.Policy().Report(&d.Facts, d.Verdict, lang))
	if d.State != gate.NoPermit {
		fmt.Fprintf(&b, "permit: %s %s\n", d.State, d.Outcome)
	}
	return b.String(), nil
}

// StoppedBy gives the attempts on the complainant that were refused after the
// case's remedy, by a rule that honours stops: what the remedy has changed.
func (a *App) StoppedBy(ctx context.Context, c *complaint.Case) ([]gate.Stored, error) {
	orders, err := a.Remedies.ByCase(ctx, c.ID)
	if err != nil || c.Party == "" {
		return nil, err
	}
	var since time.Time
	for _, o := range orders {
		if o.Kind == remedy.Block {
			since = o.At
		}
	}
	if since.IsZero() {
		return nil, nil
	}
	ds, err := a.Gate.ByParty(ctx, c.Party, 50)
	if err != nil {
		return nil, err
	}
	var out []gate.Stored
	for _, d := range ds {
		r := a.Gate.Policy().Rule(d.Verdict.By)
		if d.At.After(since) && d.Verdict.Effect == policy.Deny && r != nil && r.Kind() == "do_not_contact" {
			out = append(out, d)
		}
	}
	return out, nil
}
