package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"

	"parley/internal/contact"
	"parley/internal/policy"
)

// condition is one rule three times over: as a body of a pack, as CEL, and as
// Go. A test holds that the three agree.
type condition struct {
	body, cel string
	holds     func(*moment) bool
}

// moment is what the CEL and Go forms are given ready made: the local time of
// day and the start of the local day. The pack reckons them itself.
type moment struct {
	*policy.Facts
	now, today      int64
	minute, weekday int
}

const dayMicros = 24 * 3600 * 1_000_000

func capOf(limit int, unit contact.Reach, days int, product bool) condition {
	per, cond := "person", ""
	if product {
		per, cond = "product", " && c.product == product"
	}
	name := [...]string{"", "attempts", "connected", "effective"}[unit]
	return condition{
		body: fmt.Sprintf("frequency: {max: %d, unit: %s, per: %s, window: rolling_days %d, purposes: [collection], channels: [voice]}", limit, name, per, days),
		cel: fmt.Sprintf(`charges.filter(c, c.at >= today - %d && c.reach >= %d && c.purpose == "collection" && c.channel == "voice"%s).size() < %d`,
			int64(days-1)*dayMicros, unit, cond, limit),
		holds: func(m *moment) bool {
			n := 0
			for i := range m.Charges {
				c := &m.Charges[i]
				if c.At >= m.today-int64(days-1)*dayMicros && c.Reach >= unit && c.Purpose == contact.Collection && c.Channel == contact.Voice &&
					(!product || c.Product == m.Product) {
					n++
				}
			}
			return n < limit
		},
	}
}

func hoursOf(from, to int, weekend bool) condition {
	days, cond := "", ""
	if !weekend {
		days, cond = "days: [mon-fri], ", "weekday >= 1 && weekday <= 5 && "
	}
	return condition{
		body: fmt.Sprintf("hours: {allow: [{%sfrom: \"%02d:00\", to: \"%02d:00\"}]}", days, from, to),
		cel:  fmt.Sprintf("%sminute >= %d && minute < %d", cond, from*60, to*60),
		holds: func(m *moment) bool {
			return (weekend || m.weekday >= 1 && m.weekday <= 5) && m.minute >= from*60 && m.minute < to*60
		},
	}
}

func stopOf(kind contact.StopKind) condition {
	return condition{
		body: fmt.Sprintf("do_not_contact: {kinds: [%s], across: all}", kind),
		cel:  fmt.Sprintf(`!stops.exists(s, s.kind == %q && s.at <= now && (s.until == 0 || now < s.until) && purpose in s.purposes)`, kind),
		holds: func(m *moment) bool {
			return !slices.ContainsFunc(m.Standing.Stops, func(s contact.Stop) bool {
				return s.Kind == kind && s.At <= m.now && (s.Until == 0 || m.now < s.Until) && s.Purposes.Has(m.Purpose)
			})
		},
	}
}

func sayOf(kind string, must bool) condition {
	word, not := "requires", ""
	if !must {
		word, not = "forbids", "!"
	}
	return condition{
		body: fmt.Sprintf("disclosure: {%s: [%s]}", word, kind),
		cel:  fmt.Sprintf("%sdiscloses.exists(d, d.startsWith(%q))", not, kind),
		holds: func(m *moment) bool {
			return must == slices.ContainsFunc(m.Discloses, func(d string) bool { return strings.HasPrefix(d, kind) })
		},
	}
}

func conditions() []condition {
	return []condition{
		hoursOf(8, 22, true), hoursOf(9, 20, false), hoursOf(7, 23, true),
		capOf(3, contact.ReachEffective, 1, false), capOf(5, contact.ReachAttempt, 1, false), capOf(4, contact.ReachConnected, 3, false),
		capOf(7, contact.ReachAttempt, 7, true), capOf(20, contact.ReachAttempt, 30, false), capOf(1, contact.ReachEffective, 7, true),
		stopOf(contact.Withdrawal), stopOf(contact.Refusal), stopOf(contact.DoNotContact), stopOf(contact.Hold),
		sayOf(policy.Identity, true), sayOf(policy.NoDebt, true), sayOf(policy.Offer, false), sayOf(policy.Overdue, false),
		{"third_party: {allow: [self, guarantor]}", `relation in ["self", "guarantor"]`,
			func(m *moment) bool { return m.Relation == contact.Self || m.Relation == contact.Guarantor }},
		{`caller_id: {allow: ["955", "95"], digits: [5, 12]}`, `(caller.startsWith("955") || caller.startsWith("95")) && size(caller) >= 5 && size(caller) <= 12`,
			func(m *moment) bool {
				return (strings.HasPrefix(m.CallerID, "955") || strings.HasPrefix(m.CallerID, "95")) && len(m.CallerID) >= 5 && len(m.CallerID) <= 12
			}},
		{"consent: {grounds: [contract, statute]}", `grants.exists(g, g.ground in ["contract", "statute"] && purpose in g.purposes && g.at <= now &&
			(g.until == 0 || now < g.until) && !stops.exists(s, s.kind in ["withdrawal", "refusal"] && s.at >= g.at && s.at <= now &&
			(s.until == 0 || now < s.until) && purpose in s.purposes))`,
			func(m *moment) bool {
				return slices.ContainsFunc(m.Standing.Grants, func(g contact.Grant) bool {
					return (g.Ground == contact.Contract || g.Ground == contact.Statute) && g.Purposes.Has(m.Purpose) && g.From <= m.now &&
						(g.Until == 0 || m.now < g.Until) && !m.takenBack(&g)
				})
			}},
	}
}

func (m *moment) takenBack(g *contact.Grant) bool {
	return slices.ContainsFunc(m.Standing.Stops, func(s contact.Stop) bool {
		return (s.Kind == contact.Withdrawal || s.Kind == contact.Refusal) && s.At >= g.From && s.At <= m.now && (s.Until == 0 || m.now < s.Until) &&
			s.Purposes.Has(m.Purpose)
	})
}

// twenty is the conditions made ready in each of the three forms.
type twenty struct {
	set      *policy.Set
	programs []cel.Program
	funcs    []func(*moment) bool
}

func newTwenty() (*twenty, error) {
	t := &twenty{}
	maps := cel.ListType(cel.MapType(cel.StringType, cel.DynType))
	env, err := cel.NewEnv(cel.Variable("charges", maps), cel.Variable("stops", maps), cel.Variable("grants", maps),
		cel.Variable("discloses", cel.ListType(cel.StringType)), cel.Variable("purpose", cel.StringType), cel.Variable("product", cel.StringType),
		cel.Variable("relation", cel.StringType), cel.Variable("caller", cel.StringType),
		cel.Variable("now", cel.IntType), cel.Variable("today", cel.IntType), cel.Variable("minute", cel.IntType), cel.Variable("weekday", cel.IntType))
	if err != nil {
		return nil, fmt.Errorf("bench policy: CEL: %w", err)
	}
	for i, c := range conditions() {
		ast, iss := env.Compile(c.cel)
		if iss.Err() != nil {
			return nil, fmt.Errorf("bench policy: condition %d: %w", i+1, iss.Err())
		}
		p, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize))
		if err != nil {
			return nil, fmt.Errorf("bench policy: condition %d: %w", i+1, err)
		}
		t.programs, t.funcs = append(t.programs, p), append(t.funcs, c.holds)
	}
	t.set, err = packOf(conditions())
	return t, err
}

// packOf makes a set of the conditions' rules.
func packOf(cs []condition) (*policy.Set, error) {
	var b strings.Builder
	b.WriteString("pack: twenty\nversion: \"1\"\nzone: Asia/Shanghai\nvalid: {from: 2020-01-01}\nrules:\n")
	for i, c := range cs {
		fmt.Fprintf(&b, "  - id: T-%02d\n    title: {zh: 甲, en: a}\n    citation: {instrument: i}\n    force: bank_default\n    confidence: none\n"+
			"    customer: {zh: 甲, en: a}\n    scope: purpose == \"collection\" && channel == \"voice\"\n    %s\n", i+1, c.body)
	}
	p, err := policy.Parse("twenty.yaml", []byte(b.String()))
	if err != nil {
		return nil, err
	}
	return policy.Compose(p)
}

func momentOf(f *policy.Facts) *moment {
	loc := time.FixedZone("CST", 8*3600)
	at := f.Now.In(loc)
	y, m, d := at.Date()
	return &moment{Facts: f, now: f.Now.UnixMicro(), today: time.Date(y, m, d, 0, 0, 0, 0, loc).UnixMicro(),
		minute: at.Hour()*60 + at.Minute(), weekday: int(at.Weekday())}
}

// vars puts the facts into the maps and lists that CEL reads; that is not part
// of what is measured.
func (t *twenty) vars(f *policy.Facts) map[string]any {
	m := momentOf(f)
	charges, stops, grants := []map[string]any{}, []map[string]any{}, []map[string]any{}
	for _, c := range f.Charges {
		charges = append(charges, map[string]any{"at": c.At, "reach": int64(c.Reach), "purpose": c.Purpose.String(), "channel": c.Channel.String(), "product": c.Product})
	}
	for _, s := range f.Standing.Stops {
		stops = append(stops, map[string]any{"kind": string(s.Kind), "at": s.At, "until": s.Until, "purposes": s.Purposes.Names()})
	}
	for _, g := range f.Standing.Grants {
		grants = append(grants, map[string]any{"ground": string(g.Ground), "at": g.From, "until": g.Until, "purposes": g.Purposes.Names()})
	}
	return map[string]any{"charges": charges, "stops": stops, "grants": grants, "discloses": f.Discloses, "purpose": f.Purpose.String(),
		"product": f.Product, "relation": f.Relation.String(), "caller": f.CallerID, "now": m.now, "today": m.today,
		"minute": int64(m.minute), "weekday": int64(m.weekday)}
}

// cel gives the conditions that do not hold, as bits.
func (t *twenty) cel(vars map[string]any) (bad uint32) {
	for i, p := range t.programs {
		if out, _, err := p.Eval(vars); err != nil || out.Value() != true {
			bad |= 1 << i
		}
	}
	return bad
}

func (t *twenty) closures(f *policy.Facts) (bad uint32) {
	m := momentOf(f)
	for i, holds := range t.funcs {
		if !holds(m) {
			bad |= 1 << i
		}
	}
	return bad
}
