package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Finding is one thing that lint has to say about a rule.
type Finding struct {
	Kind  string `json:"kind"`
	File  string `json:"file"`
	Line  int    `json:"line"`
	Rule  string `json:"rule"`
	Text  Words  `json:"text"`
	Fault bool   `json:"fault"` // CI fails on it
}

// The kinds of finding, in the order they are listed.
const (
	LintTests       = "tests"       // fewer than three tests
	LintDisabled    = "disabled"    // the rule does not run
	LintRepealed    = "repealed"    // a famous number that is law no longer
	LintPresumption = "presumption" // a famous number that is only a presumption
	LintHarbour     = "safe_harbour"
	LintUnread      = "unread"     // nobody has read its text, so it is the bank's own
	LintWeak        = "weak"       // its source is weak
	LintUnverified  = "unverified" // no lawyer of the bank has verified it
)

// LintKinds lists the kinds with what they mean.
var LintKinds = []struct {
	Kind string
	Words
}{
	{LintTests, Words{"测试不足三项", "fewer than three tests"}},
	{LintDisabled, Words{"已停用及原因", "disabled, and why"}},
	{LintRepealed, Words{"已废止的数字", "numbers that are law no longer"}},
	{LintPresumption, Words{"只是推定，不是上限", "only a presumption, not a limit"}},
	{LintHarbour, Words{"只是安全港，不是上限", "only a safe harbour, not a limit"}},
	{LintUnread, Words{"无人读过条文，按本行规定执行", "nobody has read the text, so it is the bank's own rule"}},
	{LintWeak, Words{"来源较弱", "a weak source"}},
	{LintUnverified, Words{"尚无人核实", "nobody has verified them"}},
}

// leastTests is how many tests a rule wants: before, at and after an edge.
const leastTests = 3

// Lint reads every pack of fsys with its tests and says what a reader should
// know before trusting them. Packs that cannot be read are an error, with every
// fault found.
func Lint(fsys fs.FS) ([]Finding, error) {
	names, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, err
	}
	var packs []*Pack
	var errs []error
	tests := map[string]int{}
	for _, n := range names {
		raw, err := fs.ReadFile(fsys, n)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", n, err)
		}
		if isTest(n) {
			var rs rawSuite
			if _, err := decode(n, raw, &rs); err != nil {
				errs = append(errs, err)
			}
			for i := range rs.Tests {
				tests[rs.Tests[i].Rule]++
			}
			continue
		}
		p, err := Parse(n, raw)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		packs = append(packs, p)
	}
	if len(packs) == 0 && len(errs) == 0 {
		return nil, errors.New("no packs here: nothing to lint")
	}
	var out []Finding
	for _, p := range packs {
		for _, r := range p.Rules {
			out = append(out, r.lint(tests[r.ID])...)
		}
	}
	order := func(k string) int {
		for i := range LintKinds {
			if LintKinds[i].Kind == k {
				return i
			}
		}
		return len(LintKinds)
	}
	slices.SortStableFunc(out, func(a, b Finding) int { return order(a.Kind) - order(b.Kind) })
	return out, errors.Join(errs...)
}

// lint says what there is to say about one rule.
func (r *Rule) lint(tests int) (out []Finding) {
	add := func(kind string, fault bool, zh, en string) {
		out = append(out, Finding{Kind: kind, File: r.Pack.File, Line: r.Line, Rule: r.ID, Text: Words{zh, en}, Fault: fault})
	}
	source := r.Citation.Short()
	if r.Disabled != "" {
		kind := LintDisabled
		if r.Force == Repealed {
			kind = LintRepealed
		}
		add(kind, false, r.Disabled, r.Disabled)
		return out
	}
	if tests < leastTests {
		add(LintTests, true, fmt.Sprintf("有 %d 项，至少 %d 项：边界之前、边界上、边界之后", tests, leastTests),
			fmt.Sprintf("%d of at least %d: before, at and after its edge", tests, leastTests))
	}
	switch r.Force {
	case Presumption:
		add(LintPresumption, false, source, source)
	case SafeHarbour:
		add(LintHarbour, false, source, source)
	}
	switch r.Confidence {
	case "M":
		add(LintUnread, false, source, source)
	case "none":
		if !strings.HasPrefix(r.Citation.Instrument, "本行规定") {
			add(LintUnread, false, source, source)
		}
	case "S-":
		add(LintWeak, false, source, source)
	}
	if r.VerifiedBy == "" {
		add(LintUnverified, false, source, source)
	}
	return out
}
