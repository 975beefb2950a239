package policy

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"

	"parley/internal/calendar"
)

// rawSuite is a test file: facts and clock, and the verdict expected.
type rawSuite struct {
	Packs []string            `yaml:"packs"` // pack files beside this one that speak together
	Given map[string]rawFacts `yaml:"given"` // facts that many tests share
	Tests []rawTest           `yaml:"tests"`
}

type rawTest struct {
	Name   string    `yaml:"name"`
	Rule   string    `yaml:"rule"`  // the rule the test is about
	Given  string    `yaml:"given"` // start from these shared facts
	Facts  rawFacts  `yaml:"facts"` // and change these
	Expect rawExpect `yaml:"expect"`
}

// rawExpect is what a test expects; what is left out is not compared.
type rawExpect struct {
	Effect      string            `yaml:"effect"`
	By          string            `yaml:"by"`
	Rules       *[]string         `yaml:"rules"`   // exactly the rules that object
	Applies     []string          `yaml:"applies"` // rules that spoke, whatever they said
	Absent      []string          `yaml:"absent"`  // rules that did not speak
	At          string            `yaml:"at"`      // when later: the first permitted instant
	Said        map[string]string `yaml:"said"`    // the instant that a rule itself names
	Grant       string            `yaml:"grant"`
	Obligations []string          `yaml:"obligations"` // kind or kind=value
}

// RunTests runs test files of fsys against the packs they name and prints what
// a test runner prints. names may be test files or packs (then their tests are
// run); none means every test in fsys. err is a file that cannot be run.
func RunTests(fsys fs.FS, names []string, w io.Writer, lang string) (passed, failed int, err error) {
	if len(names) == 0 {
		if names, err = fs.Glob(fsys, "*_test.yaml"); err != nil {
			return 0, 0, err
		}
		if len(names) == 0 {
			return 0, 0, errors.New("no *_test.yaml here: nothing to run")
		}
	}
	for _, n := range names {
		if !isTest(n) {
			n = strings.TrimSuffix(n, ".yaml") + "_test.yaml"
		}
		p, f, err := runSuite(fsys, n, w, lang)
		passed, failed = passed+p, failed+f
		if err != nil {
			return passed, failed, err
		}
	}
	word := "PASS"
	if failed > 0 {
		word = "FAIL"
	}
	fmt.Fprintf(w, "%s  %d passed, %d failed\n", word, passed, failed)
	return passed, failed, nil
}

func runSuite(fsys fs.FS, name string, w io.Writer, lang string) (passed, failed int, err error) {
	raw, err := fs.ReadFile(fsys, name)
	if err != nil {
		return 0, 0, fmt.Errorf("read tests %s: %w", name, err)
	}
	var rs rawSuite
	src, err := decode(name, raw, &rs)
	if err != nil {
		return 0, 0, err
	}
	for i, p := range rs.Packs {
		rs.Packs[i] = path.Join(path.Dir(name), p)
	}
	set, err := load(calendar.Shipped(), fsys, rs.Packs)
	if err != nil {
		return 0, 0, err
	}
	if err := rs.check(src, set); err != nil {
		return 0, 0, err
	}
	fmt.Fprintf(w, "=== %s: %s\n", name, set.describe())
	tested := map[string]int{}
	for i := range rs.Tests {
		t := &rs.Tests[i]
		tested[t.Rule]++
		at := fmt.Sprintf("$.tests[%d]", i)
		rf := rs.Given[t.Given]
		overlay(reflect.ValueOf(&rf).Elem(), reflect.ValueOf(&t.Facts).Elem())
		f, v, where, err := rf.judge(set)
		if err != nil {
			return passed, failed, fmt.Errorf("%s:%d: test %q: %w", name, src.line(at+".facts."+where), t.Name, err)
		}
		wrong, err := t.Expect.compare(rf.Zone, v)
		if err != nil {
			return passed, failed, fmt.Errorf("%s:%d: test %q: %w", name, src.line(at+".expect"), t.Name, err)
		}
		if len(wrong) == 0 {
			passed++
			fmt.Fprintf(w, "ok    %-22s %s\n", t.Rule, t.Name)
			continue
		}
		failed++
		fmt.Fprintf(w, "FAIL  %-22s %s  (%s:%d)\n", t.Rule, t.Name, name, src.line(at))
		for _, s := range wrong {
			fmt.Fprintf(w, "      %s\n", s)
		}
		fmt.Fprintf(w, "      %s\n", strings.ReplaceAll(strings.TrimSpace(set.Report(f, v, lang)), "\n", "\n      "))
	}
	if few := wanting(set, name, tested); len(few) > 0 {
		fmt.Fprintf(w, "note  fewer than %d tests are about: %s\n", enough, strings.Join(few, ", "))
	}
	return passed, failed, nil
}

// enough is how many tests every rule wants.
const enough = 3

// wanting lists the rules of the pack beside the test file that too few tests
// are about; where no pack stands beside it, of all its packs.
func wanting(set *Set, name string, tested map[string]int) (few []string) {
	own := strings.TrimSuffix(name, "_test.yaml") + ".yaml"
	beside := slices.ContainsFunc(set.packs, func(p *Pack) bool { return p.File == own })
	for _, r := range set.Rules() {
		if r.Disabled == "" && tested[r.ID] < enough && (!beside || r.Pack.File == own) && !slices.Contains(few, r.ID) {
			few = append(few, r.ID)
		}
	}
	return few
}

func (s *Set) describe() string {
	var names []string
	for _, p := range s.packs {
		names = append(names, fmt.Sprintf("%s %s", p.ID, p.Version))
	}
	return fmt.Sprintf("%s, %d rules, %.12s", strings.Join(names, " + "), len(s.all), s.hash)
}

// check refuses a suite that names packs, rules or facts that do not exist.
func (rs *rawSuite) check(src *source, set *Set) error {
	var errs []error
	fail := func(at, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s:%d: %s", src.name, src.line(at), fmt.Sprintf(format, args...)))
	}
	if len(rs.Tests) == 0 {
		fail("$", "the file has no tests")
	}
	known := func(id string) bool { return slices.Contains(reserved, id) || set.Rule(id) != nil }
	for i := range rs.Tests {
		t := &rs.Tests[i]
		at := fmt.Sprintf("$.tests[%d]", i)
		if t.Name == "" {
			fail(at, "a test without a name")
		}
		if _, ok := rs.Given[t.Given]; t.Given != "" && !ok {
			fail(at+".given", "no facts are called %q", t.Given)
		}
		ids := slices.Concat([]string{t.Rule}, t.Expect.Applies, t.Expect.Absent, slices.Sorted(maps.Keys(t.Expect.Said)))
		if t.Expect.By != "" {
			ids = append(ids, t.Expect.By)
		}
		if t.Expect.Rules != nil {
			ids = append(ids, *t.Expect.Rules...)
		}
		for _, id := range ids {
			if !known(id) {
				fail(at, "test %q is about rule %q, which is not in the packs", t.Name, id)
			}
		}
	}
	return errors.Join(errs...)
}

// compare says in words what differs from what was expected.
func (x *rawExpect) compare(zone string, v Verdict) (wrong []string, err error) {
	effect, err := ParseEffect(x.Effect)
	if err != nil {
		return nil, err
	}
	differ := func(what, want, got string) {
		wrong = append(wrong, fmt.Sprintf("%-12s expected %s, got %s", what, want, got))
	}
	if v.Effect != effect {
		differ("verdict", effect.String(), v.Effect.String())
	}
	if x.By != "" && x.By != v.By {
		differ("decided by", x.By, cmp.Or(v.By, "no rule"))
	}
	if x.Grant != "" && x.Grant != v.Grant {
		differ("grant", x.Grant, cmp.Or(v.Grant, "none"))
	}
	var object []string
	for _, r := range v.Rules {
		if r.Effect != Allow {
			object = append(object, r.Rule)
		}
	}
	if x.Rules != nil {
		want := slices.Sorted(slices.Values(*x.Rules))
		if got := slices.Sorted(slices.Values(object)); !slices.Equal(want, got) {
			differ("objections", cmp.Or(strings.Join(want, ", "), "none"), cmp.Or(strings.Join(got, ", "), "none"))
		}
	}
	for _, id := range x.Applies {
		if v.Result(id) == nil {
			differ(id, "that it speaks", "silence")
		}
	}
	for _, id := range x.Absent {
		if r := v.Result(id); r != nil {
			differ(id, "silence", r.Effect.String())
		}
	}
	instant := func(what, want string, got time.Time) error {
		loc, err := calendar.Zone(zone)
		if err != nil {
			return err
		}
		t, err := stamp(want, loc)
		if err == nil && !t.Equal(got) {
			differ(what, t.In(loc).Format(time.RFC3339Nano), got.In(loc).Format(time.RFC3339Nano))
		}
		return err
	}
	if x.At != "" {
		if err := instant("from", x.At, v.At); err != nil {
			return nil, err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(x.Said)) {
		var at time.Time
		if r := v.Result(id); r != nil {
			at = r.At
		}
		if err := instant(id, x.Said[id], at); err != nil {
			return nil, err
		}
	}
	for _, o := range x.Obligations {
		kind, value, valued := strings.Cut(o, "=")
		if !slices.ContainsFunc(v.Obligations, func(g Obligation) bool { return g.Kind == kind && (!valued || g.Value == value) }) {
			differ("obligation", o, fmt.Sprint(v.Obligations))
		}
	}
	return wrong, nil
}

// overlay copies what is set in src over dst, structs field by field and maps
// key by key.
func overlay(dst, src reflect.Value) {
	switch src.Kind() {
	case reflect.Struct:
		for i := range src.NumField() {
			overlay(dst.Field(i), src.Field(i))
		}
	case reflect.Map:
		if src.Len() == 0 {
			return
		}
		both := reflect.MakeMap(src.Type())
		for _, m := range []reflect.Value{dst, src} {
			for it := m.MapRange(); it.Next(); {
				both.SetMapIndex(it.Key(), it.Value())
			}
		}
		dst.Set(both)
	default:
		if !src.IsZero() {
			dst.Set(src)
		}
	}
}

// Case is one test of a rule, as people read it.
type Case struct {
	Rule, Name, File string
	Line             int
	Expect           string // "later by CN-HOURS-COL": what it expects, in short
}

// Cases lists the tests beside the packs of fsys, in the order of file and line.
func Cases(fsys fs.FS) ([]Case, error) {
	names, err := fs.Glob(fsys, "*_test.yaml")
	if err != nil {
		return nil, err
	}
	var out []Case
	for _, name := range names {
		raw, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("read tests %s: %w", name, err)
		}
		var rs rawSuite
		src, err := decode(name, raw, &rs)
		if err != nil {
			return nil, err
		}
		for i, t := range rs.Tests {
			c := Case{Rule: t.Rule, Name: t.Name, File: name, Line: src.line(fmt.Sprintf("$.tests[%d]", i)), Expect: t.Expect.Effect}
			if t.Expect.By != "" {
				c.Expect += " by " + t.Expect.By
			}
			out = append(out, c)
		}
	}
	return out, nil
}
