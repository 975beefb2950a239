package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"

	"parley/internal/calendar"
)

// Limit bounds something that is counted in a matter: representatives of a
// joint complaint, transfers of a call.
type Limit struct {
	Count   string
	AtMost  int
	AtLeast int
}

type rawLimit struct {
	Count   string `yaml:"count"`
	AtMost  *int   `yaml:"at_most"`
	AtLeast int    `yaml:"at_least"`
}

func (c *compiler) limit(at string, rl *rawLimit) *Limit {
	b := &Limit{Count: rl.Count, AtMost: 1 << 30, AtLeast: rl.AtLeast}
	if !word.MatchString(rl.Count) {
		c.fail(at+".count", "count %q: name what is counted in small letters, as in representatives", rl.Count)
	}
	if rl.AtMost != nil {
		b.AtMost = *rl.AtMost
	} else if rl.AtLeast <= 0 {
		c.fail(at, "the limit bounds nothing: give at_most or at_least")
	}
	if b.AtMost < max(b.AtLeast, 0) {
		c.fail(at+".at_most", "at_most %d is under at_least %d: nothing could keep it", b.AtMost, b.AtLeast)
	}
	return b
}

func (e *review) limit(b *Limit) outcome {
	have, known := e.Counts[b.Count]
	o := outcome{effect: Allow, reason: Reason{Code: "limit", What: b.Count, Have: have, Max: b.AtMost}}
	switch {
	case !known:
		o.effect, o.reason.Code = Deny, "limit_unknown"
	case have > b.AtMost:
		o.effect, o.reason.Code = Deny, "limit_over"
	case have < b.AtLeast:
		o.effect, o.reason.Code, o.reason.Max = Deny, "limit_under", b.AtLeast
	case b.AtMost == 1<<30:
		o.reason.Code, o.reason.Max = "limit_least", b.AtLeast
	}
	return o
}

// Abandonment is the ceiling for calls that a person answered and nobody spoke
// to. It is judged on a campaign's figures, which count live and abandoned
// calls of the block that runs, and ring_seconds and rings of a call that was
// given up.
type Abandonment struct {
	PerMille int // abandoned of a thousand answered live; not more than
	Block    calendar.Span
	Connect  time.Duration // how soon somebody speaks, or the call is abandoned
	Ring     time.Duration // how long it rings before it is given up …
	Rings    int           // … or how often
	Message  []string      // what the recorded message says when nobody speaks
}

type rawAbandonment struct {
	Ceiling string   `yaml:"ceiling"`
	Block   string   `yaml:"block"`
	Connect string   `yaml:"connect_within"`
	Ring    string   `yaml:"ring_at_least"`
	Rings   int      `yaml:"or_rings"`
	Message []string `yaml:"message"`
}

func (c *compiler) abandonment(at string, ra *rawAbandonment) *Abandonment {
	b := &Abandonment{Rings: ra.Rings, Message: ra.Message}
	num, percent := strings.CutSuffix(ra.Ceiling, "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(num), 64)
	if b.PerMille = int(f*10 + 0.5); !percent || err != nil || f < 0 || f > 100 || float64(b.PerMille) != f*10 {
		c.fail(at+".ceiling", "ceiling %q is not a percentage such as 3%% or 0.5%%", ra.Ceiling)
	}
	b.Block = c.length(at+".block", ra.Block)
	b.Connect = c.seconds(at+".connect_within", ra.Connect)
	if ra.Ring != "" {
		b.Ring = c.seconds(at+".ring_at_least", ra.Ring)
	}
	if ra.Rings < 0 || ra.Rings > 20 || ra.Rings > 0 && ra.Ring == "" {
		c.fail(at+".or_rings", "or_rings %d: give ring_at_least too, and at most 20 rings", ra.Rings)
	}
	c.declared(at+".message", ra.Message)
	return b
}

// judge compares the figures with the ceiling.
func (b *Abandonment) judge(n map[string]int) outcome {
	live, lost := n["live"], n["abandoned"]
	why := Reason{Code: "abandoned", Have: lost, Max: live, What: fmt.Sprintf("%g%%", float64(b.PerMille)/10)}
	if ring, cut := n["ring_seconds"]; cut && time.Duration(ring)*time.Second < b.Ring && (b.Rings == 0 || n["rings"] < b.Rings) {
		return outcome{effect: Deny, reason: Reason{Code: "rang_short", Have: ring, Max: int(b.Ring / time.Second)}}
	}
	if lost*1000 > live*b.PerMille {
		why.Code = "abandoned_over"
		return outcome{effect: Deny, reason: why}
	}
	return outcome{effect: Allow, reason: why}
}

// Masking says how personal data may be seen.
type Masking struct {
	Fields []MaskField // in order of name
}

// MaskField is how one field may be seen.
type MaskField struct {
	Field string
	Class string // C1 internal, C2 sensitive: masked unless there is a reason, C3 authentication: never (JR/T 0171-2020)
	// Keep is what stays visible of a masked value: "3+4" (first three and last
	// four), "surname", "1+domain"; empty = nothing.
	Keep string
}

type rawMasking struct {
	Fields map[string]rawMaskField `yaml:"fields"`
}

type rawMaskField struct {
	Class string `yaml:"class"`
	Keep  string `yaml:"keep"`
}

func (c *compiler) masking(at string, rm *rawMasking) *Masking {
	b := &Masking{}
	if len(rm.Fields) == 0 {
		c.fail(at, "list the fields, as in fields: {phone: {class: C2, keep: 3+4}}")
	}
	for _, n := range slices.Sorted(maps.Keys(rm.Fields)) {
		f := rm.Fields[n]
		here := at + ".fields." + n
		if !word.MatchString(n) {
			c.fail(at+".fields", "field %q: use small letters and underscores", n)
			here = at
		}
		if !slices.Contains([]string{"C1", "C2", "C3"}, f.Class) {
			c.fail(here, "field %s: class %q is not one of C1, C2, C3", n, f.Class)
		}
		if f.Class == "C3" && f.Keep != "" {
			c.fail(here, "field %s: nothing of a C3 value stays visible; take out keep", n)
		}
		if !keepForm.MatchString(f.Keep) {
			c.fail(here, "field %s: keep %q is not like 3+4, surname or 1+domain", n, f.Keep)
		}
		b.Fields = append(b.Fields, MaskField{Field: n, Class: f.Class, Keep: f.Keep})
	}
	return b
}

// Mask gives how a field may be seen: the strictest of the rules that name it,
// in force at now; ok is false when none does.
func (s *Set) Mask(field string, now time.Time) (m MaskField, ok bool) {
	at := now.UnixMicro()
	for _, r := range s.matters {
		if r.Masking == nil || !holds(r.From, r.Until, at) || !holds(r.Pack.From, r.Pack.Until, at) {
			continue
		}
		for _, f := range r.Masking.Fields {
			if f.Field == field && (!ok || f.Class > m.Class || f.Class == m.Class && cmp.Less(f.Keep, m.Keep)) {
				m, ok = f, true
			}
		}
	}
	return m, ok
}

// masking judges what somebody wants to do with a field: attr action is show
// (masked), reveal, log or export.
func (e *review) masking(b *Masking) outcome {
	i := slices.IndexFunc(b.Fields, func(f MaskField) bool { return f.Field == e.Attrs["field"] })
	if i < 0 {
		return outcome{effect: Allow, reason: Reason{Code: "mask_other", What: e.Attrs["field"]}}
	}
	f := b.Fields[i]
	why := Reason{Code: "mask_" + strings.ToLower(f.Class), What: f.Field}
	action := e.Attrs["action"]
	bad := !slices.Contains([]string{"show", "reveal", "log", "export"}, action)
	switch f.Class {
	case "C3":
		bad = true
	case "C2":
		bad = bad || action == "log" || action == "reveal" && e.Attrs["reason"] == "" || action == "export" && e.Attrs["approved"] != "yes"
		if action != "show" && !bad {
			why.Code = "mask_reason"
		}
	}
	if bad {
		return outcome{effect: Deny, reason: why}
	}
	return outcome{effect: Allow, reason: why}
}

// Condition is a rule that no typed body says: a CEL expression that must hold,
// and the words for when it does not.
type Condition struct {
	Require   string
	Otherwise Words
	program   cel.Program
}

type rawCondition struct {
	Require   string `yaml:"require"`
	Otherwise Words  `yaml:"otherwise"`
}

func (c *compiler) condition(at string, r *Rule, rc *rawCondition) *Condition {
	b := &Condition{Require: rc.Require, Otherwise: rc.Otherwise}
	if rc.Otherwise.Zh == "" || rc.Otherwise.En == "" {
		c.fail(at+".otherwise", "rule %s: say in zh and en what is wrong when the condition does not hold", r.ID)
	}
	if strings.TrimSpace(rc.Require) == "" {
		c.fail(at+".require", "rule %s: the condition requires nothing; write a CEL expression", r.ID)
		return b
	}
	b.program, _, r.asks = c.expression(at+".require", r, "require", rc.Require)
	return b
}

func (b *Condition) judge(a cel.Activation) outcome {
	ok, err := truth(b.program, a)
	switch {
	case err != nil:
		return outcome{effect: Deny, reason: Reason{Code: "error", What: oneLine(err.Error())}}
	case !ok:
		return outcome{effect: Deny, reason: Reason{Code: "condition_fails", Words: &b.Otherwise}}
	}
	return outcome{effect: Allow, reason: Reason{Code: "condition"}}
}
