package campaign

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A trial is the call a customer would have: what is asked, what keys do, how
// silence is taken, and what the call counts as.
func TestTry(t *testing.T) {
	t.Parallel()
	all, err := DemoScripts(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := all["overdue_reminder"]
	for name, c := range map[string]struct {
		keys  string
		nodes string
		waits string
		check func(Trial) bool
	}{
		"nothing yet":          {"", "hello who", "who", func(x Trial) bool { return !x.Effective }},
		"nobody there":         {"--", "hello who who bye", "", func(x Trial) bool { return !x.Effective && x.Heard[2].Prompts[0] == "not_understood" }},
		"the customer":         {"1", "hello who person remind", "remind", func(x Trial) bool { return x.Effective }},
		"promises":             {"11", "hello who person remind promise promised bye", "", func(x Trial) bool { return x.Effective && x.Withdrawn == "" }},
		"a stranger":           {"3", "hello who person stranger bye", "", func(x Trial) bool { return x.Withdrawn == ScopeNumber }},
		"any other key":        {"7", "hello who person bye", "", func(x Trial) bool { return !x.Effective }},
		"withdraws":            {"19", "hello who person remind stop bye", "", func(x Trial) bool { return x.Withdrawn == ScopePurpose && x.Heard[3].Global }},
		"complains at once":    {"2", "hello who complain bye", "", func(x Trial) bool { return x.Complained && x.Effective }},
		"more keys than asked": {"11999", "hello who person remind promise promised bye", "", func(x Trial) bool { return x.Withdrawn == "" }},
	} {
		x := s.Try(strings.Split(c.keys, "")[:len(c.keys)])
		var nodes []string
		for _, h := range x.Heard {
			nodes = append(nodes, h.Node)
		}
		if got := strings.Join(nodes, " "); got != c.nodes || x.Waits != c.waits || x.Lost || !c.check(x) {
			t.Errorf("%s: %s, waits %q: %+v", name, got, x.Waits, x)
		}
	}
}

// A text with mistakes is walked as far as it goes, and every walk ends.
func TestTryEnds(t *testing.T) {
	t.Parallel()
	s, problems := Check([]byte(strings.Replace(whole, "silent: bye", "silent: open", 1)), nil)
	if s == nil || len(problems) == 0 {
		t.Fatal("the case is without a mistake")
	}
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfN(rapid.SampledFrom(strings.Split("0123456789*#-", "")), 0, 300).Draw(t, "keys")
		if x := s.Try(keys); len(x.Heard) > trialMost {
			t.Fatalf("%d steps", len(x.Heard))
		}
	})
	for _, text := range []string{"id: x", "id: x\nnodes: {a: null}\nstart: a", "id: x\nnodes: {a: {branch: {}}}\nstart: a"} {
		if s, _ := Check([]byte(text), nil); s != nil && !s.Try([]string{"1"}).Lost {
			t.Errorf("%q leads somewhere", text)
		}
	}
}

// Mistakes are found with the line they stand in.
func TestProblemLines(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		line int
		node string
	}{
		strings.Replace(whole, "next: who}", "next: hwo}", 1):                          {11, "open"},
		strings.Replace(whole, "start: open", "start: opne", 1):                        {8, ""},
		strings.Replace(whole, "refusal_path: [refuse]", "refusal_path: []", 1):        {6, "meets.refusal_path"},
		strings.Replace(whole, "bye: {hangup: {}}", "bye: {hangup: {}, next: open", 1): {17, ""},
	} {
		_, problems := Check([]byte(text), nil)
		if len(problems) == 0 || problems[0].Line != want.line || problems[0].Node != want.node {
			t.Errorf("%+v, want line %d of %q", problems, want.line, want.node)
		}
	}
}
