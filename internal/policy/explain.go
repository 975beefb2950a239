package policy

import (
	"strings"
	"time"
)

// Line is one rule's outcome in words, for pages and terminals.
type Line struct {
	Rule       string    `json:"rule"`
	Title      string    `json:"title"`
	Effect     Effect    `json:"effect"`
	At         time.Time `json:"at,omitzero"`
	Word       string    `json:"word"`     // the effect in one word: 合规, 稍后, 拒绝
	Text       string    `json:"text"`     // what was compared with what
	Citation   string    `json:"citation"` // instrument and article
	Link       string    `json:"link,omitempty"`
	Force      Force     `json:"force,omitempty"`
	Confidence string    `json:"confidence,omitempty"`
	Customer   string    `json:"customer,omitempty"` // the pack's sentence for the customer
	Decides    bool      `json:"decides,omitempty"`  // the verdict is by this rule
}

// String gives the line as "合规 · 催收时段(GB/T 45251-2025)· 14:05 在 08:00–22:00 内".
func (l Line) String() string {
	var b strings.Builder
	b.WriteString(l.Word + " · " + l.Title)
	if l.Citation != "" {
		b.WriteString("(" + l.Citation + ")")
	}
	return b.String() + " · " + l.Text
}

var effectWords = map[Effect]Words{Allow: {"合规", "ok"}, Later: {"稍后", "later"}, Deny: {"拒绝", "denied"}}

var pseudo = map[string]Words{
	RuleTerms:  {"客户约定的条件", "the customer's own terms"},
	RuleIntent: {"联系意图", "the intent"},
	RulePack:   {"规则包", "the rule pack"},
}

// Word gives the effect in one word for people.
func (e Effect) Word(lang string) string { return effectWords[e].In(lang) }

// Explain puts every rule's outcome in words with its citation, the deciding
// rule first; lang "zh" is Chinese, anything else English.
func (s *Set) Explain(v Verdict, lang string) []Line {
	lines := make([]Line, 0, len(v.Rules))
	for i := range v.Rules {
		r := &v.Rules[i]
		l := Line{Rule: r.Rule, Effect: r.Effect, At: r.At, Word: r.Effect.Word(lang), Text: r.Reason.Text(lang),
			Title: r.Rule, Decides: r.Rule == v.By}
		if r.Effect == Later {
			at := r.Reason.moment(r.At.UnixMicro())
			l.Text += Words{"；最早 " + at, "; from " + at}.In(lang)
		}
		if w, ok := pseudo[r.Rule]; ok {
			l.Title = w.In(lang)
		}
		if rule := s.Rule(r.Rule); rule != nil {
			l.Title, l.Citation, l.Link = rule.Title.In(lang), rule.Citation.Short(), rule.Citation.Link
			l.Force, l.Confidence, l.Customer = rule.Force, rule.Confidence, rule.Customer.In(lang)
		}
		if l.Decides {
			lines = append([]Line{l}, lines...)
			continue
		}
		lines = append(lines, l)
	}
	return lines
}

// Headline says the verdict in one sentence.
func (s *Set) Headline(v Verdict, lang string) string {
	var b strings.Builder
	b.WriteString(v.Effect.Word(lang))
	if v.Effect == Later {
		b.WriteString(" · " + Words{"最早 ", "from "}.In(lang) + Reason{}.moment(v.At.UnixMicro()))
	}
	if v.By != "" {
		for _, l := range s.Explain(v, lang)[:1] {
			b.WriteString(" · " + l.Title + "：" + l.Text)
		}
	}
	return b.String()
}
