package gate

import (
	"context"
	"slices"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/policy"
	"parley/internal/trace"
)

// Spend turns a permit into an attempt: the contact may and must be made now.
// It judges the contact again as of this instant (a withdrawal, the hour, other
// contacts, a new pack); when it is not allowed any more the permit is voided
// and the error, of kind Refused, names the rule. Exactly one Spend of a permit
// ever succeeds.
func (g *Gate) Spend(ctx context.Context, id contact.ID) (a Attempt, err error) {
	ctx, span := trace.Start(trace.Contact(ctx, id), "gate.spend")
	defer func() { trace.End(span, err) }()
	err = g.do(ctx, &op{size: 1, permits: []contact.ID{id}, do: func(b *book) (err error) {
		a, err = b.spend(id)
		return err
	}})
	if err != nil {
		return Attempt{}, err
	}
	g.mine.Store(id, nil)
	return a, nil
}

// reserved finds a permit that may still be spent or taken back.
func (b *book) reserved(id contact.ID) (*row, *person, int, error) {
	r := b.permits[id]
	if r == nil {
		return nil, nil, 0, ErrNoDecision
	}
	p, err := b.who(r.party)
	if err != nil {
		return nil, nil, 0, err
	}
	if i := p.log.find(id); i >= 0 && p.log.states[i] == Reserved {
		return r, p, i, nil
	}
	return nil, nil, 0, ErrNotLive
}

func (b *book) spend(id contact.ID) (Attempt, error) {
	r, p, i, err := b.reserved(id)
	if err != nil {
		return Attempt{}, err
	}
	if p.now >= r.until {
		b.free(p, i, id, Expired, "")
		return Attempt{}, ErrExpired
	}
	f := p.facts(&r.intent, p.log.others(i))
	v := judge(b.set, &f, nil)
	if v.Effect != policy.Allow {
		b.free(p, i, id, Voided, v.By)
		return Attempt{}, refusal(v)
	}
	c := p.log.change(i)
	c.At, c.Grant, p.log.states[i] = p.now, v.Grant, Attempting
	p.touch()
	if b.spent == nil {
		b.spent = map[int64][]contact.ID{}
	}
	b.spent[p.now] = append(b.spent[p.now], id)
	b.note("gate.attempted", id, "pack", v.Pack)
	return Attempt{ID: id, Intent: r.intent, Obligations: v.Obligations, At: f.Now}, nil
}

// free ends a permit that was not spent and gives its budget back.
func (b *book) free(p *person, i int, id contact.ID, s State, reason string) {
	p.log.remove(i)
	p.touch()
	b.end(id, ending{state: s, at: p.now, reason: reason})
	if s == Expired {
		b.note("gate.expired", id)
		return
	}
	b.note("gate.voided", id, "reason", reason)
}

// outcomes are those an attempt can be settled with.
var outcomes = [...]contact.Outcome{contact.NotSent, contact.NoAnswer, contact.Busy, contact.Rejected, contact.Unreachable,
	contact.Voicemail, contact.Connected, contact.Effective, contact.Delivered, contact.Unknown}

// Settle records how an attempt ended; its budget then counts what it reached,
// and nothing when it was provably not sent. An attempt that is unknown may be
// settled too, when its own channel learns the outcome late. Settling again
// with the same outcome changes nothing. tx is the caller's transaction; nil
// means one of its own.
func (g *Gate) Settle(ctx context.Context, tx *db.Tx, id contact.ID, o contact.Outcome) (err error) {
	if !slices.Contains(outcomes[:], o) {
		return ErrOutcome
	}
	ctx, span := trace.Start(trace.Contact(ctx, id), "gate.settle", trace.String("outcome", string(o)))
	defer func() { trace.End(span, err) }()
	err = g.perform(ctx, tx, &op{size: 1, permits: []contact.ID{id}, do: func(b *book) error { return b.finish(id, o, "") }})
	if err == nil && tx == nil {
		g.mine.Delete(id)
	}
	return err
}

// perform runs one op in tx, or in a group's when tx is nil.
func (g *Gate) perform(ctx context.Context, tx *db.Tx, o *op) error {
	if tx == nil {
		return g.do(ctx, o)
	}
	for _, id := range o.permits {
		tx.AfterCommit(func() { g.mine.Delete(id) })
	}
	if err := g.within(ctx, tx, []*op{o}); err != nil {
		return err
	}
	return o.err
}

// finish settles an attempt; by is who reconciled it, if somebody did.
func (b *book) finish(id contact.ID, o contact.Outcome, by string) error {
	r := b.permits[id]
	if r == nil {
		return ErrNoDecision
	}
	p, err := b.who(r.party)
	if err != nil {
		return err
	}
	i := p.log.find(id)
	if i < 0 {
		switch {
		case r.state == Settled && r.outcome == o:
			return nil
		case r.attempted != 0:
			return ErrSettled
		}
		return ErrNotSpent
	}
	if p.log.states[i] == Reserved {
		return ErrNotSpent
	}
	c := p.log.change(i)
	if o == contact.Unknown {
		if p.log.states[i] == Unknown {
			return nil
		}
		c.InFlight, c.Reach, p.log.states[i] = false, contact.ReachEffective, Unknown
		p.touch()
		b.end(id, ending{state: Unknown, outcome: o})
		b.note("gate.unknown", id)
		return nil
	}
	if o.Reach() == contact.ReachNone {
		p.log.remove(i)
	} else {
		c.InFlight, c.Reach, p.log.states[i] = false, o.Reach(), Settled
	}
	p.touch()
	b.end(id, ending{state: Settled, at: p.now, outcome: o, reason: by})
	if by != "" {
		b.note("gate.reconciled", id, "by", by, "outcome", string(o))
	} else {
		b.note("gate.settled", id, "outcome", string(o))
	}
	return nil
}

// Void takes back a permit that was not spent and frees its budget.
func (g *Gate) Void(ctx context.Context, id contact.ID, reason string) error {
	return g.do(ctx, &op{size: 1, permits: []contact.ID{id}, do: func(b *book) error {
		_, p, i, err := b.reserved(id)
		if err != nil {
			return err
		}
		b.free(p, i, id, Voided, reason)
		return nil
	}})
}

// VoidParty makes void, in the caller's transaction, every permit of a person
// that was not spent and that a stop covers, or that the rules no longer allow
// since. It gives their number. It implements consent.Voider.
func (g *Gate) VoidParty(ctx context.Context, tx *db.Tx, party contact.ID, s contact.Stop) (int, error) {
	n := 0
	o := &op{parties: []contact.ID{party}, do: func(b *book) error {
		p, err := b.who(party)
		if p == nil || err != nil {
			return err
		}
		var ids []contact.ID
		for i := range p.log.charges {
			if p.log.states[i] == Reserved {
				ids = append(ids, p.log.charges[i].Permit)
			}
		}
		return eachRow(ctx, tx, ids, func(r *row) error {
			i := p.log.find(r.id)
			if _, err := g.fill(ctx, tx, r); err != nil {
				return err
			}
			f := p.facts(&r.intent, p.log.others(i))
			if s.At <= p.now && bars(&s, &r.intent) || judge(b.set, &f, nil).Effect != policy.Allow {
				b.free(p, i, r.id, Voided, "stop:"+string(s.Kind))
				n++
			}
			return nil
		})
	}}
	if err := g.within(ctx, tx, []*op{o}); err != nil {
		return 0, err
	}
	return n, o.err
}

// bars reports whether the stop names such a contact.
func bars(s *contact.Stop, in *policy.Intent) bool {
	return s.Purposes.Has(in.Purpose) && s.Channels.Has(in.Channel) && (len(s.Points) == 0 || slices.Contains(s.Points, in.Point))
}
