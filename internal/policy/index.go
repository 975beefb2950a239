package policy

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Index gives docs/rules.md: for every pack of fsys, statute → rule → tests,
// with how binding each rule is and how far it may be trusted. It is the same
// for the same files.
func Index(fsys fs.FS) (string, error) {
	names, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return "", err
	}
	x := index{tests: map[string][]Case{}}
	for _, n := range names {
		if isTest(n) {
			continue
		}
		raw, err := fs.ReadFile(fsys, n)
		if err != nil {
			return "", fmt.Errorf("read %s: %w", n, err)
		}
		p, err := Parse(n, raw)
		if err != nil {
			return "", err
		}
		x.packs = append(x.packs, p)
	}
	cases, err := Cases(fsys)
	if err != nil {
		return "", err
	}
	for _, c := range cases {
		x.tests[c.Rule] = append(x.tests[c.Rule], c)
	}
	slices.SortStableFunc(x.packs, func(a, b *Pack) int {
		return cmp.Or(cmp.Compare(kin(a.ID), kin(b.ID)), cmp.Compare(len(a.Over), len(b.Over)), cmp.Compare(a.ID, b.ID))
	})
	x.write()
	return x.out.String(), nil
}

// kin groups a pack with those it lies over: eu-fr with eu.
func kin(id string) string {
	f, _, _ := strings.Cut(id, "-")
	return f
}

type index struct {
	packs []*Pack
	tests map[string][]Case // by rule
	out   strings.Builder
}

func (x *index) print(format string, args ...any) { fmt.Fprintf(&x.out, format, args...) }

const indexHead = `# Rules: statute → rule → tests

Made by ` + "`parley policy index > docs/rules.md`" + `; a test keeps it current. Do not edit it.

Nothing here is legal advice. **Confidence** says how well the text behind a rule was read: P the text itself, S a source that
quotes it, S- a weak one, M memory, none no text. A rule that rests on memory, or on no text, is the bank's own choice
(bank_default) or does not run. **Verified** names the bank's lawyer and the day; until then it is empty. What a number is
(prohibition, presumption, safe harbour, standard, duty, the bank's own, repealed) is explained in [packs.md](packs.md).

`

func (x *index) write() {
	x.print("%s| pack | title | rules | run | bank's own | do not run | not verified | tests |\n|---|---|--:|--:|--:|--:|--:|--:|\n", indexHead)
	var sum [6]int
	for _, p := range x.packs {
		n := x.count(p)
		for i := range sum {
			sum[i] += n[i]
		}
		x.print("| [%s](#%s) | %s · %s | %d | %d | %d | %d | %d | %d |\n", p.ID, anchor(p), p.Title.Zh, p.Title.En, n[0], n[1], n[2], n[3], n[4], n[5])
	}
	x.print("| | | **%d** | **%d** | **%d** | **%d** | **%d** | **%d** |\n", sum[0], sum[1], sum[2], sum[3], sum[4], sum[5])
	for _, p := range x.packs {
		x.pack(p)
	}
}

func anchor(p *Pack) string {
	return strings.ReplaceAll(strings.ToLower(p.ID+" "+strings.ReplaceAll(p.Version, ".", "")), " ", "-")
}

// count gives rules, those that run, the bank's own among these, those that do
// not run, those nobody has verified, and tests.
func (x *index) count(p *Pack) (n [6]int) {
	for _, r := range p.Rules {
		n[0]++
		switch {
		case r.Disabled != "":
			n[3]++
		case r.Force == BankDefault:
			n[1]++
			n[2]++
		default:
			n[1]++
		}
		if r.VerifiedOn == "" {
			n[4]++
		}
		n[5] += len(x.tests[r.ID])
	}
	return n
}

func (x *index) pack(p *Pack) {
	x.print("\n## %s %s\n\n%s · %s. Zone %s", p.ID, p.Version, p.Title.Zh, p.Title.En, p.Zone)
	if p.Over != "" {
		x.print("; lies over %s", p.Over)
	}
	x.print(". %s\n\n| statute | article | rule | title | demands | force | conf. | verified | tests |\n|---|---|---|---|---|---|---|---|---|\n",
		strings.TrimSpace(p.About))
	rules := slices.Clone(p.Rules)
	slices.SortStableFunc(rules, func(a, b *Rule) int { return cmp.Compare(first(p.Rules, a), first(p.Rules, b)) })
	last := ""
	for _, r := range rules {
		statute := cite(r.Citation.Instrument, r.Citation.Link)
		if r.Citation.Instrument == last {
			statute = "〃"
		}
		last = r.Citation.Instrument
		x.print("| %s | %s | [%s](../packs/%s#L%d) | %s · %s | %s | %s | %s | %s | %s |\n", statute, cell(r.Citation.Article), r.ID, p.File, r.Line,
			cell(r.Title.Zh), cell(r.Title.En), cell(strings.Join(r.Reading("en"), "; ")), force(r), r.Confidence, strings.TrimSpace(r.VerifiedBy+" "+r.VerifiedOn), x.proof(r))
	}
	x.print("\n<details><summary>What the tests of %s show</summary>\n\n", p.ID)
	for _, r := range rules {
		if ts := x.tests[r.ID]; len(ts) > 0 {
			shows := make([]string, len(ts))
			for i, t := range ts {
				shows[i] = t.Name
			}
			x.print("- **%s**: %s\n", r.ID, cell(strings.Join(shows, "; ")))
		}
	}
	x.print("\n</details>\n")
}

// first gives where the rule's statute is first named, so that the rules of one
// statute stand together in the order of the pack. What rests on no text, the
// bank's own rules, comes last.
func first(rules []*Rule, r *Rule) int {
	own, at := true, -1
	for i, o := range rules {
		if o.Citation.Instrument != r.Citation.Instrument {
			continue
		}
		if at < 0 {
			at = i
		}
		own = own && o.Confidence == "none"
	}
	if own {
		at += len(rules)
	}
	return at
}

func cite(instrument, link string) string {
	if link == "" {
		return cell(instrument)
	}
	return "[" + cell(instrument) + "](" + link + ")"
}

func force(r *Rule) string {
	if r.Disabled == "" {
		return string(r.Force)
	}
	return "**does not run** (" + string(r.Force) + "): " + cell(r.Disabled)
}

func (x *index) proof(r *Rule) string {
	ts := x.tests[r.ID]
	if len(ts) == 0 {
		return "0"
	}
	return fmt.Sprintf("[%d](../packs/%s#L%d)", len(ts), path.Base(ts[0].File), ts[0].Line)
}

// cell makes text fit for a cell of a table.
func cell(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", `\|`)
}
