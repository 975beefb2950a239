package policy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"parley/internal/contact"
	"parley/internal/policy"
	"parley/packs"
)

func cn(t testing.TB) *policy.Set {
	t.Helper()
	s, err := policy.LoadFS(packs.FS)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t
}

// marketing is a call that cn allows on a weekday.
func marketing(now string) *policy.Facts {
	return &policy.Facts{
		Intent: policy.Intent{Party: "p", Point: "q", Channel: contact.Voice, Purpose: contact.Marketing, Relation: contact.Self,
			Campaign: "c", Product: "fund", Discloses: []string{policy.Identity, policy.RefusalPath}},
		Now: at(now), Zone: "Asia/Shanghai",
		Standing: contact.Standing{Grants: []contact.Grant{{ID: "g", Ground: contact.Consent,
			Purposes: contact.PurposeSet(contact.Marketing), From: at("2026-01-05T00:00:00+08:00").UnixMicro()}}},
	}
}

// TestShippedPacks runs the tests that ship beside the packs, and demands that
// every rule that runs has at least three.
func TestShippedPacks(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	passed, failed, err := policy.RunTests(packs.All, nil, &out, "en")
	if err != nil || failed != 0 || passed < 100 {
		t.Errorf("passed %d, failed %d, err %v\n%s", passed, failed, err, out.String())
	}
	if strings.Contains(out.String(), "\nnote ") {
		t.Error("a rule has too few tests:", out.String()[strings.Index(out.String(), "\nnote "):])
	}
}

// TestEveryPurposeIsCapped: without a cap a person's history has no bound.
func TestEveryPurposeIsCapped(t *testing.T) {
	t.Parallel()
	s := cn(t)
	for ch := contact.Voice; ch <= contact.Push; ch++ {
		for p := contact.Service; p <= contact.Statutory; p++ {
			for _, who := range []string{"bank", "customer"} {
				v := s.Decide(&policy.Facts{Intent: policy.Intent{Channel: ch, Purpose: p, Relation: contact.Self, Initiator: who}, Now: at("2026-11-23T10:00:00+08:00")})
				if !slices.ContainsFunc(v.Rules, func(r policy.RuleResult) bool {
					rule := s.Rule(r.Rule)
					return rule != nil && rule.Frequency != nil
				}) {
					t.Errorf("%s %s by %s is under no cap", ch, p, who)
				}
			}
		}
	}
	if w := s.Window(); w < 30*24*time.Hour || w > 40*24*time.Hour {
		t.Errorf("window %v", w)
	}
}

const head = "pack: x\nversion: \"1\"\nzone: Asia/Shanghai\nvalid: {from: 2026-01-01}\nrules:\n"

// rule writes a rule with a scope and a body; its first line is line 6 of the file.
func rule(id, rest string) string {
	return "  - id: " + id + "\n    title: {zh: 甲, en: a}\n    citation: {instrument: i}\n    force: bank_default\n" +
		"    confidence: none\n    customer: {zh: 甲, en: a}\n" + rest
}

const anyHour = "    hours: {allow: [{from: \"00:00\", to: \"24:00\"}]}\n"

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ raw, want string }{
		"nothing":            {"", "x.yaml:1: the file is empty"},
		"only a comment":     {"# hi\n", "x.yaml:1: the file is empty"},
		"a list":             {"- a\n", "x.yaml:1: "},
		"broken YAML":        {"pack: [\n", "x.yaml:1: "},
		"unknown key":        {head + rule("A", "    hurs: {}\n"), `x.yaml:12: unknown field "hurs"`},
		"unknown deep key":   {head + rule("A", "    hours:\n      alow: []\n"), `x.yaml:13: unknown field "alow"`},
		"key given twice":    {"pack: x\npack: y\n", "x.yaml:2: "},
		"alias":              {"pack: &a x\nversion: *a\n", "anchors and aliases are not allowed"},
		"empty pack":         {strings.TrimSuffix(head, "rules:\n"), "the pack has no rules"},
		"bad zone":           {strings.Replace(head, "Asia/Shanghai", "Mars", 1) + rule("A", anyHour), `x.yaml:3: zone "Mars"`},
		"validity backwards": {strings.Replace(head, "2026-01-01}", "2026-01-01, until: 2025-01-01}", 1) + rule("A", anyHour), "x.yaml:4: until 2025-01-01 is not after"},
		"no validity":        {strings.Replace(head, "valid: {from: 2026-01-01}", "about: x", 1) + rule("A", anyHour), "valid.from is missing"},
		"bad date":           {head + rule("A", "    in_force: {from: 2026-02-30}\n"+anyHour), `x.yaml:12: "2026-02-30" is not a date`},
		"doubled rule":       {head + rule("A", anyHour) + rule("A", anyHour), `x.yaml:13: rule id "A" is used twice (first at line 6)`},
		"reserved id":        {head + rule("TERMS", anyHour), `rule id "TERMS" is reserved`},
		"no body":            {head + rule("A", ""), "x.yaml:6: rule A does nothing"},
		"two bodies":         {head + rule("A", anyHour+"    consent: {grounds: [consent]}\n"), "rule A has 2 bodies"},
		"no hours":           {head + rule("A", "    hours: {allow: []}\n"), "x.yaml:12: the hours cover nothing"},
		"hours of no length": {head + rule("A", "    hours: {allow: [{from: \"08:00\", to: \"08:00\"}]}\n"), "the hours 08:00-08:00 cover nothing"},
		"bad clock":          {head + rule("A", "    hours: {allow: [{from: \"8\", to: \"24:01\"}]}\n"), `"24:01" is not a time`},
		"bad day":            {head + rule("A", "    hours: {allow: [{days: [mo], from: \"08:00\", to: \"09:00\"}]}\n"), `day "mo"`},
		"bad scope":          {head + rule("A", "    scope: purpse == \"marketing\"\n"+anyHour), "x.yaml:12: rule A: scope does not compile"},
		"scope not boolean":  {head + rule("A", "    scope: purpose\n"+anyHour), "x.yaml:12: rule A: scope must be true or false, not string"},
		"scope typing error": {head + rule("A", "    scope: purpose == \"marketting\"\n"+anyHour), `is called "marketting"`},
		"scope too long":     {head + rule("A", "    scope: "+strings.Repeat("synthetic || ", 300)+"true\n"+anyHour), "scope does not compile"},
		"bad window":         {head + rule("A", "    frequency: {max: 1, unit: attempts, per: person, window: fortnight}\n"), `window "fortnight"`},
		"no max":             {head + rule("A", "    frequency: {unit: attempts, per: person, window: local_day}\n"), "max must be a number"},
		"bad ground":         {head + rule("A", "    consent: {grounds: [habit]}\n"), `ground "habit"`},
		"bad relation":       {head + rule("A", "    third_party: {allow: [cousin]}\n"), `"cousin"`},
		"bad obligation":     {head + rule("A", "    obligations: [{kind: smile}]\n"), `obligation "smile"`},
		"ring for nothing":   {head + rule("A", "    obligations: [{kind: ring_min, value: soon}]\n"), `ring_min "soon"`},
		"unread prohibition": {strings.Replace(head+rule("A", anyHour), "bank_default", "prohibition", 1), "nobody has read its text"},
		"never in force":     {head + rule("A", "    in_force: {until: 2020-01-01}\n"+anyHour), "x.yaml:12: rule A can never apply: it is not in force while the pack is valid"},
		"never in scope":     {head + rule("A", "    scope: purpose == \"marketing\" && purpose == \"service\"\n"+anyHour), "x.yaml:12: rule A can never apply: no contact satisfies its scope"},
		"class and purpose":  {head + rule("A", "    scope: class == \"marketing\" && purpose != \"marketing\"\n"+anyHour), "can never apply"},
		"pack scope too":     {strings.Replace(head, "rules:", "scope: country == \"US\"\nrules:", 1) + rule("A", "    scope: region == \"CN-BJ\"\n"+anyHour), "can never apply"},
		"over cost":          {head + rule("A", "    scope: person.exists(a, person.exists(b, person.exists(c, a == b && b == c)))\n"+anyHour), "x.yaml:12: rule A: scope may cost"},
		"condition's cost":   {head + rule("A", "    condition:\n      require: person.all(a, person.all(b, person.all(c, a != b || b != c)))\n      otherwise: {zh: 甲, en: a}\n"), "x.yaml:13: rule A: require may cost"},
		"citation's date":    {strings.Replace(head+rule("A", anyHour), "{instrument: i}", "{instrument: i, date: spring 2026}", 1), `x.yaml:8: "spring 2026" is not a date`},
		"citation's link":    {strings.Replace(head+rule("A", anyHour), "{instrument: i}", "{instrument: i, link: a book}", 1), `link "a book" is not a web address`},
		"repealed but runs":  {strings.Replace(head+rule("A", anyHour), "force: bank_default", "force: repealed", 1), "what is repealed cannot run"},
		"half verified":      {head + rule("A", "    verified_by: zhang\n"+anyHour), "verified_by and verified_on go together"},
		"wrong matter":       {head + rule("A", "    about: letter\n"+anyHour), `x.yaml:12: rule A: about "letter" is not one of contact`},
		"limit on what":      {head + rule("A", "    limit: {count: people, at_most: 5}\n"), "say what the limit is about"},
		"limit bounds none":  {head + rule("A", "    about: complaint\n    limit: {count: people}\n"), "the limit bounds nothing"},
		"limits cross":       {head + rule("A", "    about: complaint\n    limit: {count: people, at_most: 5, at_least: 6}\n"), "nothing could keep it"},
		"bad ceiling":        {head + rule("A", "    abandonment: {ceiling: \"0.03\", block: 30 days, connect_within: 2s}\n"), `ceiling "0.03" is not a percentage`},
		"bad span":           {head + rule("A", "    deadline: {starts: received, within: a fortnight, done: [told]}\n"), `"a fortnight" is not a length of time`},
		"done by nothing":    {head + rule("A", "    deadline: {starts: received, within: 15 days}\n"), "say what must have happened by then"},
		"approval of none":   {head + rule("A", "    deadline: {starts: received, within: 15 days, done: [told], approver: boss}\n"), "belong to an extension"},
		"kept too short":     {head + rule("A", "    retention: {records: [call], at_least: 5 years, at_most: 2 years, from: [made]}\n"), "nothing could be kept rightly"},
		"C3 half shown":      {head + rule("A", "    masking: {fields: {pin: {class: C3, keep: 3+4}}}\n"), "nothing of a C3 value stays visible"},
		"both number ranges": {head + rule("A", "    caller_id: {allow: [\"1600\"], deny: [\"16\"]}\n"), "is both allowed and denied"},
		"said and forbidden": {head + rule("A", "    disclosure: {requires: [offer], forbids: [offer]}\n"), "both required and forbidden"},
		"pause and cap":      {head + rule("A", "    frequency: {max: 1, pause_days: 7, unit: effective, per: person}\n"), "a pause has neither max nor window"},
		"bad evidence":       {head + rule("A", "    consent: {grounds: [consent], evidence: [oral]}\n"), "list them under form"},
		"which calendar":     {head + rule("A", "    hours: {allow: [{from: \"08:00\", to: \"20:00\"}], holidays: closed}\n"), "which calendar?"},
		"calendar for none":  {head + rule("A", "    hours: {allow: [{from: \"08:00\", to: \"20:00\"}], calendar: CN}\n"), "the calendar is never asked"},
		"one language":       {strings.Replace(head+rule("A", anyHour), "customer: {zh: 甲, en: a}", "customer: {zh: 甲}", 1), "customer needs both zh and en"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := policy.Parse("x.yaml", []byte(c.raw))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if err != nil && !strings.HasPrefix(err.Error(), "x.yaml:") {
				t.Errorf("error names no file and line: %v", err)
			}
		})
	}
}

func mustParse(t testing.TB, raw string) *policy.Pack {
	t.Helper()
	p, err := policy.Parse("x.yaml", []byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestComposeRefuses(t *testing.T) {
	t.Parallel()
	if _, err := policy.Compose(); err == nil {
		t.Error("no pack at all was accepted")
	}
	if _, err := policy.LoadFS(fstest.MapFS{}); err == nil {
		t.Error("an empty folder was accepted")
	}
	old := mustParse(t, head+rule("A", anyHour))
	next := mustParse(t, strings.Replace(head, "2026-01-01", "2026-06-01", 1)+rule("A", anyHour))
	if _, err := policy.Compose(next, old); err == nil || !strings.Contains(err.Error(), "overlaps") {
		t.Errorf("overlapping validity: %v", err)
	}
	other := mustParse(t, strings.Replace(head, "pack: x", "pack: y", 1)+rule("A", anyHour))
	if _, err := policy.Compose(old, other); err == nil || !strings.Contains(err.Error(), "also in pack") {
		t.Errorf("one rule id in two packs: %v", err)
	}
	for want, raw := range map[string]string{
		"x.yaml:1: pack x lies over pack cn, which is not here":      strings.Replace(head, "rules:", "over: cn\nrules:", 1) + rule("A", anyHour),
		"x.yaml:6: rule A asks calendar MARS, which is not there":    head + rule("A", "    hours: {allow: [{from: \"08:00\", to: \"20:00\"}], holidays: closed, calendar: MARS}\n"),
		"x.yaml:6: rule A extends B, which is not another deadline":  head + rule("A", "    deadline: {starts: a, within: 1 days, done: [b], extends: B}\n"),
		"x.yaml:13: rule B extends A, which is not another deadline": head + rule("A", anyHour) + rule("B", "    deadline: {starts: a, within: 1 days, done: [b], extends: A}\n"),
		"x.yaml:6: rule A extends A, which is not another deadline":  head + rule("A", "    deadline: {starts: a, within: 1 days, done: [b], extends: A}\n"),
		"x.yaml:6: rule A extends B, which is not another deadline, or extends this one": head + rule("A", "    deadline: {starts: a, within: 1 days, done: [b], extends: B}\n") +
			rule("B", "    deadline: {starts: a, within: 1 days, done: [b], extends: A}\n"),
	} {
		if _, err := policy.Compose(mustParse(t, raw)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestVersionsSucceed: at each instant the version of the pack that is valid speaks.
func TestVersionsSucceed(t *testing.T) {
	t.Parallel()
	early := "    hours: {allow: [{from: \"08:00\", to: \"12:00\"}]}\n"
	late := "    hours: {allow: [{from: \"12:00\", to: \"20:00\"}]}\n"
	a := mustParse(t, strings.Replace(head, "2026-01-01}", "2026-01-01, until: 2026-06-01}", 1)+rule("A", early))
	b := mustParse(t, strings.Replace(strings.Replace(head, "2026-01-01", "2026-06-01", 1), `"1"`, `"2"`, 1)+rule("A", late))
	s, err := policy.Compose(b, a)
	if err != nil {
		t.Fatal(err)
	}
	f := marketing("2026-05-31T10:00:00+08:00")
	if v := s.Decide(f); v.Effect != policy.Allow {
		t.Errorf("under the first version: %+v", v)
	}
	f.Now = at("2026-06-01T10:00:00+08:00")
	if v := s.Decide(f); v.Effect != policy.Later || !v.At.Equal(at("2026-06-01T12:00:00+08:00")) {
		t.Errorf("under the second version: %+v", v)
	}
	f.Now = at("2026-05-31T21:00:00+08:00") // the first permitted instant lies in the second version
	if v := s.Decide(f); v.Effect != policy.Later || !v.At.Equal(at("2026-06-01T12:00:00+08:00")) {
		t.Errorf("across the change: %+v", v)
	}
}

// TestScopeErrorDenies: a condition that fails at run time denies and names its rule.
func TestScopeErrorDenies(t *testing.T) {
	t.Parallel()
	s, err := policy.Compose(mustParse(t, head+
		rule("STATIC", "    scope: 1 / (size(product) - 4) >= 0\n"+anyHour)+
		rule("DYNAMIC", "    scope: person[\"vip\"] == \"no\"\n"+anyHour)+
		rule("COST", "    scope: person.exists(a, a == \"x\")\n"+anyHour)))
	if err != nil {
		t.Fatal(err)
	}
	f := marketing("2026-11-23T10:00:00+08:00")
	f.Person = map[string]string{"vip": "no"}
	for _, c := range []struct {
		by   string
		edit func(*policy.Facts)
	}{
		{"STATIC", func(*policy.Facts) {}},
		{"DYNAMIC", func(f *policy.Facts) { f.Product, f.Person = "loan:9x", nil; f.Product = "card_" }},
		{"COST", func(f *policy.Facts) {
			f.Product = "card_"
			for i := range 2000 {
				f.Person[fmt.Sprint(i)] = "1"
			}
		}},
	} {
		c.edit(f)
		v := s.Decide(f)
		if v.Effect != policy.Deny || v.By != c.by || v.Result(c.by).Reason.Code != "error" {
			t.Errorf("%s: got %s by %s", c.by, v.Effect, v.By)
		}
		if c.by == "DYNAMIC" {
			f.Person = map[string]string{"vip": "no"}
		}
	}
}

func TestIncompleteIntentDenies(t *testing.T) {
	t.Parallel()
	s := cn(t)
	for name, edit := range map[string]func(*policy.Facts){
		"channel":   func(f *policy.Facts) { f.Channel = 0 },
		"purpose":   func(f *policy.Facts) { f.Purpose = 99 },
		"relation":  func(f *policy.Facts) { f.Relation = 0 },
		"now":       func(f *policy.Facts) { f.Now = time.Time{} },
		"initiator": func(f *policy.Facts) { f.Initiator = "nobody" },
		"zone":      func(f *policy.Facts) { f.Zone = "Mars/Base" },
		"Local":     func(f *policy.Facts) { f.Zone = "Local" },
	} {
		f := marketing("2026-11-23T10:00:00+08:00")
		edit(f)
		if v := s.Decide(f); v.Effect != policy.Deny || v.By != policy.RuleIntent {
			t.Errorf("without a good %s: %s by %s", name, v.Effect, v.By)
		}
	}
	if v := s.Decide(&policy.Facts{}); v.Effect != policy.Deny {
		t.Error("empty facts were not denied")
	}
}

// TestJSON: facts, verdict and reasons come back as they went; the same facts
// give the same verdict.
func TestJSON(t *testing.T) {
	t.Parallel()
	s := cn(t)
	f := marketing("2026-11-23T21:00:00.123456+08:00")
	f.Now = f.Now.UTC()
	f.Charges = []contact.Charge{{Permit: "x", At: 5, Channel: contact.SMS, Purpose: contact.Service, Reach: contact.ReachAttempt}}
	f.Person = map[string]string{"region": "BJ"}
	raw, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var g policy.Facts
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(*f, g) {
		t.Errorf("facts\n%+v\n%+v", *f, g)
	}
	v := s.Decide(f)
	raw, err = json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var w policy.Verdict
	if err := json.Unmarshal(raw, &w); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(v, w) || !reflect.DeepEqual(v, s.Decide(&g)) {
		t.Errorf("verdict\n%+v\n%+v", v, w)
	}
	if o := v.Outcomes(); !strings.Contains(o, "CN-CONSENT-01=allow;") || !strings.Contains(o, "CN-HOUSE-HOURS-MKT=later") {
		t.Errorf("outcomes %s", o)
	}
	if err := json.Unmarshal([]byte(`{"effect":"perhaps"}`), &w); err == nil {
		t.Error("an unknown effect was read")
	}
}

// TestWords: every code a verdict can carry has words in both languages with no
// brace left open.
func TestWords(t *testing.T) {
	t.Parallel()
	s := cn(t)
	f := marketing("2026-11-23T14:05:00+08:00")
	f.Purpose, f.Standing = contact.Collection, contact.Standing{}
	lines := s.Explain(s.Decide(f), "zh")
	want := "合规 · 催收时段(GB/T 45251-2025 催收时间) · 14:05 在 08:00–22:00 内"
	if !slices.ContainsFunc(lines, func(l policy.Line) bool { return l.String() == want }) {
		t.Errorf("no line %q in %v", want, lines)
	}
	for _, lang := range []string{"zh", "en"} {
		for _, code := range policy.Codes() {
			text := policy.Reason{Code: code, What: "attempts"}.Text(lang)
			if text == code || strings.ContainsAny(text, "{}") {
				t.Errorf("%s in %s: %q", code, lang, text)
			}
		}
	}
	for _, r := range s.Rules() {
		if v := s.Rule(r.ID); v != r {
			t.Errorf("rule %s is not found by its id", r.ID)
		}
	}
}

// TestRunnerReports: a wrong expectation fails in words; a test about a rule that
// does not exist is refused with file and line.
func TestRunnerReports(t *testing.T) {
	t.Parallel()
	suite := "packs: [x.yaml]\ngiven:\n  a: {now: \"2026-11-23 10:00\", intent: {channel: voice, purpose: service, relation: self}}\ntests:\n"
	fsys := func(tests string) fstest.MapFS {
		return fstest.MapFS{
			"x.yaml":      {Data: []byte(head + rule("A", "    hours: {allow: [{from: \"09:00\", to: \"10:00\"}]}\n") + rule("B", anyHour))},
			"x_test.yaml": {Data: []byte(suite + tests)},
		}
	}
	var out bytes.Buffer
	p, f, err := policy.RunTests(fsys("  - {name: wrong, rule: A, given: a, expect: {effect: allow, at: \"2026-11-24 08:00\", rules: []}}\n"), []string{"x.yaml"}, &out, "en")
	if p != 0 || f != 1 || err != nil {
		t.Fatalf("%d %d %v", p, f, err)
	}
	for _, want := range []string{"FAIL  A", "(x_test.yaml:5)", "expected allow, got later", "expected 2026-11-24T08:00:00+08:00, got 2026-11-24T09:00:00+08:00",
		"expected none, got A", "10:00 is outside", "note  fewer than 3 tests are about: A, B", "FAIL  0 passed, 1 failed"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
	for bad, want := range map[string]string{
		"  - {name: n, rule: C, given: a, expect: {effect: allow}}\n":                  `x_test.yaml:5: test "n" is about rule "C"`,
		"  - {name: n, rule: A, given: z, expect: {effect: allow}}\n":                  `x_test.yaml:5: no facts are called "z"`,
		"  - {name: n, rule: A, given: a, expect: {effect: maybe}}\n":                  `x_test.yaml:5: test "n": effect "maybe"`,
		"  - {name: n, rule: A, given: a, facts: {now: noon}, expect: {effect: deny}}": `x_test.yaml:5: test "n": "noon" is not a time`,
		"  - {name: n, rule: A, given: a, expects: {}}\n":                              "x_test.yaml:5: unknown field",
	} {
		if _, _, err := policy.RunTests(fsys(bad), nil, &out, "zh"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, _, err := policy.RunTests(fstest.MapFS{}, nil, &out, "zh"); err == nil {
		t.Error("no tests at all passed")
	}
}

func TestExplainFacts(t *testing.T) {
	t.Parallel()
	s := cn(t)
	raw := []byte("now: \"2026-11-23 22:00\"\nintent: {channel: sms, purpose: marketing, relation: self}\n")
	zh, err := policy.ExplainFacts(s, raw, "zh")
	if text := zh.Text("zh"); err != nil || !strings.Contains(text, "拒绝 · 营销须经同意或请求") || !strings.Contains(text, "对客户的说明：") {
		t.Errorf("%v\n%s", err, text)
	}
	en, err := policy.ExplainFacts(s, raw, "en")
	if text := en.Text("en"); err != nil || !strings.Contains(text, "denied · Marketing needs consent or a request") {
		t.Errorf("%v\n%s", err, text)
	}
	for bad, want := range map[string]string{
		"now: soon\n": "facts:1: ", "nowe: x\n": "facts:1: unknown field", "now: 2026-01-01\nintent: {channel: fax}\n": "facts:2: channel",
		"now: 2026-01-01\nintent: {channel: sms, purpose: service, relation: self}\ncharges:\n  - {at: 2026-01-01, outcome: lost}\n": "facts:4: outcome",
	} {
		if _, err := policy.ExplainFacts(s, []byte(bad), "en"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", bad, err, want)
		}
	}
}

// TestExplanation: every rule that spoke stands in the tree, under its layer and
// with its source; the customer's version holds the packs' sentences and nothing
// that was counted, compared or held on file.
func TestExplanation(t *testing.T) {
	t.Parallel()
	s := cn(t)
	f := marketing("2026-11-23T21:00:00+08:00")
	f.Party, f.Point, f.Campaign, f.CallerID = "party-1", "point-1", "campaign-1", "95588"
	f.Standing.Grants[0].ID, f.Standing.Grants[0].Max, f.Standing.Grants[0].Days = "grant-1", 2, 30
	f.Charges = []contact.Charge{{Permit: "permit-1", At: at("2026-11-23T09:00:00+08:00").UnixMicro(), Channel: contact.Voice, Purpose: contact.Marketing, Reach: contact.ReachAttempt}}
	v := s.Decide(f)
	for _, lang := range []string{"zh", "en"} {
		x := s.Explanation(f, v, lang)
		seen := map[string]bool{}
		var walk func(n policy.Node, above string)
		walk = func(n policy.Node, above string) {
			if n.Kind == policy.NodeRule {
				seen[n.Rule] = true
				if above != policy.NodeLayer || n.Text == "" || n.Word == "" || n.Effect == 0 {
					t.Errorf("%s under %s: %+v", n.Rule, above, n)
				}
				if r := s.Rule(n.Rule); r != nil && (n.Citation != r.Citation.Short() || n.Title != r.Title.In(lang)) {
					t.Errorf("%s: %+v", n.Rule, n)
				}
			}
			for _, c := range n.Nodes {
				walk(c, n.Kind)
			}
		}
		walk(x.Tree, "")
		for _, r := range v.Rules {
			if !seen[r.Rule] {
				t.Errorf("%s spoke and is not in the tree", r.Rule)
			}
		}
		text := x.Text(lang)
		for _, want := range []string{"21:00", "09:00–20:00", map[string]string{"zh": "客户自己的约定", "en": "the customer's own terms"}[lang]} {
			if !strings.Contains(text, want) {
				t.Errorf("the tree lacks %q:\n%s", want, text)
			}
		}
		raw, err := json.Marshal(x.Customer)
		if err != nil || len(x.Customer.Sentences) < 2 || x.Customer.Effect != policy.Later {
			t.Fatalf("%v %s", err, raw)
		}
		for _, leak := range []string{"CN-", "party-1", "point-1", "campaign-1", "95588", "grant-1", "permit-1", "Asia/", "fund"} {
			if strings.Contains(string(raw), leak) {
				t.Errorf("the customer is told %q: %s", leak, raw)
			}
		}
	}
}

// TestConcurrent: the cache of classes is shared by all callers.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	s := cn(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 200 {
				f := marketing("2026-11-23T10:00:00+08:00")
				f.Product = fmt.Sprintf("p%d:%d", (n*7+i)%50, n)
				f.Automated = n%2 == 0
				if v := s.Decide(f); v.Effect != policy.Allow {
					t.Errorf("%s by %s", v.Effect, v.By)
					return
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkDecide(b *testing.B) {
	s := cn(b)
	long := marketing("2026-11-23T10:00:00+08:00")
	for i := range 1000 {
		long.Charges = append(long.Charges, contact.Charge{At: long.Now.Add(-time.Duration(i+40*24) * time.Hour).UnixMicro(), Purpose: contact.Marketing, Channel: contact.Voice, Reach: contact.ReachAttempt})
	}
	col := marketing("2026-11-23T10:00:00+08:00")
	col.Purpose, col.Standing = contact.Collection, contact.Standing{}
	for _, c := range []struct {
		name string
		f    *policy.Facts
		room bool
	}{
		{"marketing", marketing("2026-11-23T10:00:00+08:00"), false},
		{"marketing/room", marketing("2026-11-23T10:00:00+08:00"), true},
		{"marketing/history=1000", long, false},
		{"marketing/later", marketing("2026-11-23T21:00:00+08:00"), false},
		{"collection", col, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			room := make([]policy.RuleResult, 0, 32)
			for b.Loop() {
				if c.room {
					s.DecideInto(c.f, room)
				} else {
					s.Decide(c.f)
				}
			}
		})
	}
}
