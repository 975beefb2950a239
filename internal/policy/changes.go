package policy

import (
	"slices"
	"time"
)

// Change is one rule that two sets of packs have differently: what each demands,
// in sentences. A side is empty where that set has no such rule.
type Change struct {
	ID            string
	Title         Words
	Before, After []string
}

// Changes lists what a reader of law would call different between two sets, in
// the order of the later one; what it took out comes last. Comments, order and
// wording of the files are not among them.
func Changes(before, after *Set, lang string) []Change {
	var out []Change
	for _, r := range after.Rules() {
		c := Change{ID: r.ID, Title: r.Title, After: r.whole(lang)}
		if old := before.Rule(r.ID); old != nil {
			c.Before = old.whole(lang)
		}
		if !slices.Equal(c.Before, c.After) {
			out = append(out, c)
		}
	}
	for _, r := range before.Rules() {
		if after.Rule(r.ID) == nil {
			out = append(out, Change{ID: r.ID, Title: r.Title, Before: r.whole(lang)})
		}
	}
	return out
}

// whole is Reading with what else makes a rule: when it applies, since when, on
// what it rests, and what it is called.
func (r *Rule) whole(lang string) []string {
	w := reader{lang: lang}
	w.read(r)
	if r.Scope != "" {
		w.say("适用于：%s", "applies when: %s", r.Scope)
	}
	if r.From != 0 {
		w.say("自 %s 施行", "in force from %s", time.UnixMicro(r.From).In(r.loc).Format(time.DateOnly))
	}
	if r.Until != 0 {
		w.say("至 %s 止", "until %s", time.UnixMicro(r.Until).In(r.loc).Format(time.DateOnly))
	}
	if r.Disabled != "" {
		w.say("不启用：%s", "does not run: %s", r.Disabled)
	}
	w.say("依据：%s（%s，%s）", "source: %s (%s, %s)", r.Citation.Short(), r.Force.Word(lang), confidenceWords[r.Confidence].In(lang))
	w.say("名称：%s", "title: %s", r.Title.In(lang))
	w.say("对客户说：%s", "says to the customer: %s", r.Customer.In(lang))
	return w.out
}
