package outbound

import (
	"context"
	"errors"
	"sync"

	"parley/internal/campaign"
	"parley/internal/contact"
	"parley/internal/gate"
	"parley/internal/policy"
	"parley/internal/trace"
)

// Desk joins campaigns to the gate and the sender: it is the Gate and the
// Placer of a dialer.
type Desk struct {
	s         *Sender
	campaigns *campaign.Store
	scripts   sync.Map // hash → *campaign.Script: a hash never means another script
}

// NewDesk makes a desk.
func NewDesk(s *Sender, campaigns *campaign.Store) *Desk { return &Desk{s: s, campaigns: campaigns} }

func (d *Desk) script(ctx context.Context, hash string) (*campaign.Script, error) {
	if sc, ok := d.scripts.Load(hash); ok {
		return sc.(*campaign.Script), nil
	}
	sc, err := d.campaigns.Script(ctx, hash)
	if err != nil {
		return nil, err
	}
	d.scripts.Store(hash, sc)
	return sc, nil
}

// Intent is the contact that a campaign wants to make with one person.
func Intent(c *campaign.Campaign, sc *campaign.Script, party, point contact.ID) policy.Intent {
	return policy.Intent{Party: party, Point: point, Channel: contact.Voice, Purpose: c.Purpose, Product: c.Product, Event: c.Event,
		Campaign: c.ID, Relation: c.Relation, Initiator: "bank", Synthetic: sc.Synthetic, CallerID: c.CallerID, Script: sc.Hash(),
		Discloses: sc.Discloses(), Automated: c.Automated}
}

// Screen asks the gate about people without reserving anything: the preview of
// a list.
func (d *Desk) Screen(ctx context.Context, c *campaign.Campaign, people []campaign.Contact) ([]policy.Verdict, error) {
	sc, err := d.script(ctx, c.ScriptHash)
	if err != nil {
		return nil, err
	}
	intents := make([]policy.Intent, len(people))
	for i, p := range people {
		intents[i] = Intent(c, sc, p.Party, p.Point)
	}
	return d.s.gate.Screen(ctx, intents)
}

// Reserve asks for permits for members of a campaign.
func (d *Desk) Reserve(ctx context.Context, c *campaign.Campaign, ms []campaign.Member) ([]campaign.Verdict, error) {
	sc, err := d.script(ctx, c.ScriptHash)
	if err != nil {
		return nil, err
	}
	intents := make([]policy.Intent, len(ms))
	for i, m := range ms {
		intents[i] = Intent(c, sc, m.Party, m.Point)
	}
	decisions, err := d.s.gate.Reserve(ctx, intents)
	if err != nil {
		return nil, err
	}
	out := make([]campaign.Verdict, len(decisions))
	for i := range decisions {
		dec := &decisions[i]
		v := campaign.Verdict{Party: ms[i].Party, ID: dec.ID, Rule: dec.Verdict.By, Effect: campaign.Deny}
		switch dec.Verdict.Effect {
		case policy.Allow:
			v.Effect, v.Until = campaign.Allow, dec.Permit.Until()
		case policy.Later:
			v.Effect, v.At = campaign.Later, dec.Verdict.At
		}
		out[i] = v
	}
	return out, nil
}

// Void gives a permit back.
func (d *Desk) Void(ctx context.Context, permit contact.ID, reason string) error {
	return d.s.gate.Void(ctx, permit, reason)
}

// Fate says what became of a permit.
func (d *Desk) Fate(ctx context.Context, permit contact.ID) (campaign.Fate, contact.Outcome, error) {
	st, err := d.s.gate.Decision(ctx, permit)
	if errors.Is(err, gate.ErrNoDecision) {
		return campaign.Void, "", nil
	}
	if err != nil {
		return "", "", err
	}
	switch st.State {
	case gate.Reserved:
		return campaign.Unspent, "", nil
	case gate.Attempting, gate.Unknown:
		return campaign.OnWire, "", nil
	case gate.Settled:
		return campaign.Over, st.Outcome, nil
	default:
		return campaign.Void, "", nil
	}
}

// Call makes the call of a member with its permit.
func (d *Desk) Call(ctx context.Context, c *campaign.Campaign, m campaign.Member) (o contact.Outcome, err error) {
	ctx, span := trace.Start(trace.Contact(ctx, m.Permit), "dialer.call", trace.String("campaign", c.ID), trace.Int("try", m.Tries+1))
	defer func() { trace.End(span, err) }()
	sc, err := d.script(ctx, c.ScriptHash)
	if err != nil {
		return contact.NotSent, err
	}
	return d.s.Call(ctx, m.Permit, Job{Campaign: c.ID, CallerID: c.CallerID, Script: sc})
}

// Reconcile stores what a person found out about an unknown attempt, and moves
// the campaign's member on accordingly.
func (d *Desk) Reconcile(ctx context.Context, id contact.ID, o contact.Outcome, by string) error {
	if err := d.s.Reconcile(ctx, id, o, by); err != nil {
		return err
	}
	st, err := d.s.gate.Decision(ctx, id)
	if err != nil || st.Intent.Campaign == "" {
		return err
	}
	_, err = d.campaigns.Reconciled(ctx, st.Intent.Campaign, st.Intent.Party, id, o)
	return err
}
