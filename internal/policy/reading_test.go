package policy

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"unicode"

	"parley/packs"
)

// Every rule that ships can be read without knowing the pack language: in
// Chinese and in English, and no code of the packs is left without words.
func TestReadingOfEveryRule(t *testing.T) {
	t.Parallel()
	n := 0
	files, err := fs.Glob(packs.All, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range slices.DeleteFunc(files, isTest) {
		raw, err := packs.All.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p, err := Parse(file, raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Rules {
			n++
			for _, lang := range []string{"zh", "en"} {
				w := reader{lang: lang}
				w.read(r)
				if len(w.out) == 0 {
					t.Errorf("%s says nothing in %s", r.ID, lang)
				}
				if len(w.unknown) > 0 {
					t.Errorf("%s: no words for %q", r.ID, w.unknown)
				}
				for _, line := range w.out {
					han := strings.ContainsFunc(line, func(c rune) bool { return unicode.Is(unicode.Han, c) })
					if strings.Contains(line, "%!") || lang == "zh" && !han || lang == "en" && han && r.Stop == nil {
						t.Errorf("%s in %s: %q", r.ID, lang, line)
					}
				}
			}
		}
	}
	if n < 150 {
		t.Errorf("only %d rules read", n)
	}
}

// CN-FREQ-COL and its neighbours, word for word: a lawyer reads what the engine judges.
func TestReadingSaysWhatIsJudged(t *testing.T) {
	t.Parallel()
	s, err := LoadFS(packs.FS)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{
		"CN-FREQ-COL":        "每位客户：当地自然日内有效通话不超过 3 次（计数：催收，电话）",
		"CN-HOURS-COL":       "只在 08:00–22:00 联系",
		"CN-HOUSE-HOURS-MKT": "只在 周一至五 09:00–20:00，周六、日 10:00–18:00 联系",
		"CN-CMP-15":          "自“收到”起 15 日内须完成：作出决定、告知客户",
		"CN-REASK-01":        "客户就营销拒绝或撤回同意的，不得联系",
	} {
		if got := s.Rule(id).Reading("zh")[0]; got != want {
			t.Errorf("%s reads %q, want %q", id, got, want)
		}
	}
}

// A draft that moves one number reads as that one number moved.
func TestChangesNameWhatALawyerWouldCallDifferent(t *testing.T) {
	t.Parallel()
	before, err := LoadFS(packs.FS)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := packs.FS.ReadFile("cn.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(raw), "frequency: {max: 3, unit: effective, per: person, window: local_day, purposes: [collection]", "frequency: {max: 2, unit: effective, per: person, window: local_day, purposes: [collection]", 1)
	draft, err := Parse("cn.yaml", []byte("# a remark\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	bj, err := packs.FS.ReadFile("cn-bj.yaml")
	if err != nil {
		t.Fatal(err)
	}
	over, err := Parse("cn-bj.yaml", bj)
	if err != nil {
		t.Fatal(err)
	}
	after, err := Compose(draft, over)
	if err != nil {
		t.Fatal(err)
	}
	list := Changes(before, after, "zh")
	if len(list) != 1 || list[0].ID != "CN-FREQ-COL" || len(list[0].Before) != len(list[0].After) ||
		!strings.Contains(list[0].Before[0], "不超过 3 次") || !strings.Contains(list[0].After[0], "不超过 2 次") {
		t.Errorf("the draft reads as %+v", list)
	}
	if len(Changes(before, before, "en")) != 0 {
		t.Error("a set differs from itself")
	}
}
