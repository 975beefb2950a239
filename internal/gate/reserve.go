package gate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/ledger"
	"parley/internal/policy"
	"parley/internal/trace"
)

// Reserve decides intents in their order and reserves budget for those it
// allows. Decision, reservation and ledger entry are one transaction; batches
// of more than a thousand take several, and on an error the decisions already
// made come back with it. Callers that call at the same time share a
// transaction. It must not be called inside a transaction. A verdict's Rules
// are those that object; Decision gives all.
func (g *Gate) Reserve(ctx context.Context, intents []policy.Intent) ([]Decision, error) {
	return g.reserve(ctx, intents, false)
}

// ReserveExplained is Reserve for callers that show why: a verdict's Rules are
// all that applied.
func (g *Gate) ReserveExplained(ctx context.Context, intents []policy.Intent) ([]Decision, error) {
	return g.reserve(ctx, intents, true)
}

func (g *Gate) reserve(ctx context.Context, intents []policy.Intent, all bool) ([]Decision, error) {
	out := make([]Decision, len(intents))
	var asked time.Time
	if trace.On() {
		asked = g.wall()
	}
	for lo := 0; lo < len(intents); lo += maxGroup {
		hi := min(lo+maxGroup, len(intents))
		parties := make([]contact.ID, 0, hi-lo)
		for i := range intents[lo:hi] {
			parties = append(parties, intents[lo+i].Party)
		}
		err := g.do(ctx, &op{size: hi - lo, parties: parties, do: func(b *book) error {
			for i := lo; i < hi; i++ {
				if err := b.decide(&intents[i], &out[i], all); err != nil {
					return err
				}
			}
			return nil
		}})
		if err != nil {
			return out[:lo], err
		}
	}
	if !asked.IsZero() {
		g.traced(ctx, out, asked)
	}
	return out, nil
}

// traced begins the trace of every contact that was permitted. Spans have the
// world's time, not the bank's.
func (g *Gate) traced(ctx context.Context, ds []Decision, asked time.Time) {
	for i := range ds {
		if d := &ds[i]; d.Permit.id != "" {
			trace.Decided(ctx, d.ID, asked, g.wall(), trace.String("channel", d.Intent.Channel.String()), trace.String("purpose", d.Intent.Purpose.String()),
				trace.String("campaign", d.Intent.Campaign), trace.String("via", d.Intent.Via), trace.Int("batch", len(ds)))
		}
	}
}

// decide judges one intent and, when it is allowed, reserves budget for it. The
// answer has all rules or only those that object.
func (b *book) decide(in *policy.Intent, out *Decision, all bool) error {
	p, err := b.who(in.Party)
	if err != nil {
		return err
	}
	if p == nil { // names nobody: there is no budget to guard and nobody to keep it for
		*out = Decision{Intent: *in, At: b.tx.Now, Verdict: denial(b.set, "intent", "party")}
		return nil
	}
	class, err := b.class(in)
	if err != nil {
		return err
	}
	f := p.facts(in, p.log.charges)
	v := judge(b.set, &f, b.rules)
	b.rules = v.Rules[:0]
	pattern := b.verdict(&v)
	if all {
		v.Rules = slices.Clone(v.Rules)
	} else {
		v.Rules = objections(v.Rules)
	}
	*out = Decision{ID: b.mint(), Intent: *in, Verdict: v, At: f.Now}
	raw, sum := b.facts(&f, &v, class, pattern, p, out.ID)
	state, until := NoPermit, int64(0)
	prev := p.log.last
	p.log.last = out.ID
	if v.Effect == policy.Allow {
		state, until = Reserved, p.now+b.g.ttl.Microseconds()
		p.log.add(contact.Charge{
			Permit: out.ID, At: p.now, Channel: in.Channel, Purpose: in.Purpose, Reach: contact.ReachEffective, InFlight: true,
			Product: in.Product, Campaign: in.Campaign, Event: in.Event, Grant: v.Grant,
			Asked: in.Initiator == "customer",
		}, Reserved)
		out.Permit = Permit{id: out.ID, party: in.Party, point: in.Point, until: db.Time(until), obligations: v.Obligations}
	}
	p.touch()
	if b.decisions == nil {
		b.decisions, b.entries = make([][]any, 0, full), make([]ledger.Entry, 0, full)
	}
	b.decisions = append(b.decisions, []any{out.ID, in.Party, prev, class, pattern, raw, int64(state), until})
	if b.counts == nil {
		b.counts = map[[2]int64]int64{}
	}
	b.counts[[2]int64{class, pattern}]++
	b.entries = append(b.entries, ledger.Entry{Type: "gate.decided", ID: out.ID, Record: record([]string{
		"by", v.By, "effect", v.Effect.String(), "pack", v.Pack, "sha256", hex.EncodeToString(sum[:]),
	})})
	if len(b.decisions) == full {
		b.pass()
	}
	return nil
}

// facts packs what a verdict depended on, as it is kept, and gives the sha256 of
// all of it. A person's charges change little from one decision to the next, so
// facts leave out those that stand in earlier facts already; what is hashed has them.
func (b *book) facts(f *policy.Facts, v *policy.Verdict, class, verdict int64, p *person, id contact.ID) (kept []byte, sum [sha256.Size]byte) {
	b.scratch = appendFacts(b.scratch[:0], f, v, class, verdict)
	head := len(b.scratch)
	b.scratch = p.log.append(b.scratch)
	sum = sha256.Sum256(b.scratch)
	if p.log.shares() {
		b.scratch = p.log.appendRest(b.scratch[:head])
	} else {
		p.log.stands(id)
	}
	return b.hold(b.scratch), sum
}

// record makes the canonical JSON of name, value pairs in order of name.
func record(fields []string) json.RawMessage {
	n := 2
	for _, f := range fields {
		n += len(f) + 3
	}
	b := append(make([]byte, 0, n), '{')
	for i := 0; i+1 < len(fields); i += 2 {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(b, fields[i])
		b = append(b, ':')
		b = appendJSON(b, fields[i+1])
	}
	return append(b, '}')
}

func appendJSON(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			j, err := json.Marshal(s)
			if err != nil { // a string always marshals
				j = []byte(`""`)
			}
			return append(b, j...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
