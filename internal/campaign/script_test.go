package campaign

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"parley/internal/errs"
	"parley/internal/prompt"
)

// The scripts that ship pass every check against the catalogue that ships.
func TestDemoScriptsFitTheCatalogue(t *testing.T) {
	t.Parallel()
	cat, err := prompt.ReadCatalogueFS(prompt.DemoFS())
	if err != nil {
		t.Fatal(err)
	}
	got, err := DemoScripts(func(k string) bool { _, ok := cat.Entries[k]; return ok })
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"card_renewal", "overdue_reminder", "deposit_offer"} {
		s := got[id]
		if s == nil {
			t.Fatalf("no script %s", id)
		}
		if len(s.Hash()) != 64 || !s.Synthetic {
			t.Errorf("%s: hash %q, synthetic %v", id, s.Hash(), s.Synthetic)
		}
		if len(s.Values()) != 0 {
			t.Errorf("%s needs values", id)
		}
		for _, o := range []string{"identity", "ai_label", "refusal_path"} {
			if !strings.Contains(strings.Join(s.Discloses(), " "), o) {
				t.Errorf("%s does not disclose %s", id, o)
			}
		}
	}
}

const whole = `
id: t
title: {zh: 测试, en: Test}
purpose: collection
synthetic: true
meets: {identity: [hello], ai_label: [label], refusal_path: [refuse], no_debt_before_identity: [who]}
reveals_debt: [debt]
start: open
digits: {"9": stop, "2": complain}
nodes:
  open: {play: [hello, label], next: who}
  who: {gather: {play: [who]}, next: choice, silent: bye}
  choice: {branch: {"1": remind}, other: bye, confirms: "1"}
  remind: {play: [debt, refuse], effective: true, next: bye}
  stop: {withdraw: {confirm: [stopped]}, next: bye}
  complain: {complain: {ask: [ask], thanks: [thanks]}, next: bye}
  bye: {hangup: {}}
`

// Each mistake is found when the script is loaded, and the error names the
// node and says how to mend it.
func TestParseNamesTheMistake(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, new, node, want string }{
		"unknown key":            {"start: open", "start: open\ncolour: red", "", "colour"},
		"unknown node key":       {"{hangup: {}}", "{hangup: {}, speed: 3}", "", "speed"},
		"unknown start":          {"start: open", "start: opne", "", `start "opne" is no node`},
		"dangling next":          {"next: who", "next: hwo", "open", `leads to "hwo"`},
		"missing next":           {"{play: [debt, refuse], effective: true, next: bye}", "{play: [debt, refuse]}", "remind", "next is missing"},
		"gather without silent":  {", silent: bye", "", "who", "silent is missing"},
		"branch without other":   {", other: bye", "", "choice", "other is missing"},
		"two kinds":              {"{hangup: {}}", "{hangup: {}, play: [hello]}", "bye", "exactly one of"},
		"no hangup":              {"{hangup: {}}", "{play: [x], next: who}", "", "no hangup"},
		"unreachable":            {"{hangup: {}}", "{hangup: {}}\n  lost: {play: [x], next: bye}", "lost", "nothing leads"},
		"loop without exit":      {"next: choice, silent: bye", "next: choice, silent: open", "open", "for ever"},
		"loop by other":          {"other: bye", "other: choice", "choice", "for ever"},
		"not a key":              {`"9": stop`, `"99": stop`, "", "not a telephone key"},
		"global key leads off":   {`"9": stop`, `"9": nowhere`, "digits", "no node"},
		"global key reused":      {`branch: {"1": remind}`, `branch: {"1": remind, "9": bye}`, "choice", "works everywhere"},
		"identity not first":     {"[hello, label]", "[music, hello, label]", "open", "identity (hello) must be the first thing played"},
		"ai label not first":     {"[hello, label]", "[hello, music, label]", "open", "ai_label (label) must be the first"},
		"ai label in a question": {"play: [hello, label]", "play: [hello]", "", "never played"},
		"ai label forgotten":     {"ai_label: [label], ", "", "meets.ai_label", "required disclosure"},
		"opening not a play":     {"start: open", "start: who", "", "must be the first thing played"},
		"obligation unbound":     {"refusal_path: [refuse]", "refusal_path: []", "meets.refusal_path", "no prompt is bound"},
		"refusal without key":    {`"9": stop, `, `"8": complain, `, "", "no key refuses"},
		"debt before identity":   {"{gather: {play: [who]}", "{gather: {play: [who, debt]}", "who", "not confirmed"},
		"debt by other digit":    {`{"1": remind}, other: bye`, `{"1": remind, "3": remind}, other: bye`, "remind", "not confirmed"},
		"no debt declared":       {"no_debt_before_identity: [who]", "no_debt: []", "remind", "declares no_debt"},
		"confirms nothing":       {`confirms: "1"`, `confirms: "5"`, "choice", "does not have"},
		"missing prompt":         {"thanks: [thanks]", "thanks: [missing]", "complain", "prompt missing is missing"},
		"bad scope":              {"{confirm: [stopped]}", "{confirm: [stopped], scope: some}", "stop", "not one of"},
		"silent withdrawal":      {"{confirm: [stopped]}", "{confirm: []}", "stop", "needs its confirmation"},
		"purpose unknown":        {"purpose: collection", "purpose: fun", "", "purpose"},
		"no purpose":             {"purpose: collection\n", "", "", "purpose is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(whole, c.old, c.new, 1)
			if text == whole {
				t.Fatal("the case changes nothing")
			}
			_, err := Parse("t.yaml", []byte(text), func(k string) bool { return k != "missing" })
			var e *errs.Error
			if !errors.As(err, &e) || e.Kind != errs.Invalid {
				t.Fatalf("accepted: %v", err)
			}
			if !strings.Contains(e.En, c.want) || !strings.Contains(e.En, "t.yaml") || e.Zh == "" {
				t.Errorf("error does not say %q: %s", c.want, e.En)
			}
			if c.node != "" && !strings.Contains(e.En, ": "+c.node+": ") {
				t.Errorf("error does not name node %s: %s", c.node, e.En)
			}
		})
	}
	if _, err := Parse("t.yaml", []byte(whole), func(string) bool { return true }); err != nil {
		t.Fatalf("the whole script: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	_ = fs.WalkDir(scripts, ".", func(p string, e fs.DirEntry, err error) error {
		if raw, err := scripts.ReadFile(p); err == nil {
			f.Add(raw)
		}
		return err
	})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if s, err := Parse("f", raw, nil); err == nil {
			if err := yaml.Unmarshal(s.Raw(), &Script{}); err != nil {
				t.Fatal(err)
			}
			s.Prompts()
			s.Lang("en-GB")
		}
	})
}
