package policy

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The kinds of node in an explanation.
const (
	NodeVerdict = "verdict" // the root: the decision in one sentence
	NodeFacts   = "facts"   // what was asked: its children are the facts in words
	NodeLayer   = "layer"   // law, a region's rules, the house's, the customer's own terms
	NodeRule    = "rule"    // one rule: what it compared, and what came of it
	NodeCompare = "compare" // one comparison: what there is, what is demanded
	NodeDuties  = "duties"  // what a permit obliges to
	NodeNote    = "note"    // a remark: where the rule comes from, why it applies
)

// Node is one line of an explanation, and what it rests on below it.
type Node struct {
	Kind       string    `json:"kind"`
	Title      string    `json:"title"`
	Text       string    `json:"text,omitempty"`
	Effect     Effect    `json:"effect,omitempty"` // 0 where there is none to speak of
	Word       string    `json:"word,omitempty"`   // the effect in one word
	At         time.Time `json:"at,omitzero"`      // the instant the rule names: from when it permits, or a deadline
	Rule       string    `json:"rule,omitempty"`
	Citation   string    `json:"citation,omitempty"`
	Link       string    `json:"link,omitempty"`
	Force      Force     `json:"force,omitempty"`
	ForceWord  string    `json:"force_word,omitempty"`
	Confidence string    `json:"confidence,omitempty"`
	Have       string    `json:"have,omitempty"` // of a comparison: what there is …
	Want       string    `json:"want,omitempty"` // … and what is demanded
	Decides    bool      `json:"decides,omitempty"`
	Nodes      []Node    `json:"nodes,omitempty"`
}

var forceWords = map[Force]Words{
	Prohibition: {"禁止性规定", "prohibition"}, Presumption: {"推定", "presumption, not a limit"}, SafeHarbour: {"安全港", "safe harbour, not a limit"},
	Standard: {"推荐性标准", "recommended standard"}, Duty: {"义务", "duty"}, BankDefault: {"本行规定", "the bank's own rule"}, Repealed: {"已废止", "repealed"},
}

// Word says the force in words.
func (f Force) Word(lang string) string { return forceWords[f].In(lang) }

// Layer is where a rule stands among those that speak together.
type Layer string

// The layers, outermost first.
const (
	LayerIntent Layer = "intent"
	LayerLaw    Layer = "law"
	LayerRegion Layer = "region"
	LayerHouse  Layer = "house"
	LayerTerms  Layer = "terms"
)

var layers = []struct {
	layer Layer
	Words
}{
	{LayerIntent, Words{"联系本身", "the contact itself"}}, {LayerLaw, Words{"法律与标准", "law and standards"}},
	{LayerRegion, Words{"地区规定", "the region's rules"}}, {LayerHouse, Words{"本行规定", "the bank's own rules"}},
	{LayerTerms, Words{"客户自己的约定", "the customer's own terms"}},
}

// Layer says which layer the rule with the id belongs to.
func (s *Set) Layer(id string) Layer {
	r := s.Rule(id)
	switch {
	case id == RuleTerms:
		return LayerTerms
	case r == nil:
		return LayerIntent
	case r.Force == BankDefault:
		return LayerHouse
	case r.Pack.Over != "":
		return LayerRegion
	}
	return LayerLaw
}

// Tree explains a verdict: layer by layer every rule that spoke, with what it
// compared with what, its result and where it comes from. f is the facts it was
// judged on, nil when they are not to be shown; lang "zh" is Chinese, anything
// else English.
func (s *Set) Tree(f *Facts, v Verdict, lang string) Node {
	root := Node{Kind: NodeVerdict, Title: s.Headline(v, lang), Effect: v.Effect, Word: v.Effect.Word(lang), At: v.At, Rule: v.By}
	if f != nil {
		root.Nodes = append(root.Nodes, f.node(lang))
	}
	for _, l := range layers {
		n := Node{Kind: NodeLayer, Title: l.In(lang)}
		for i := range v.Rules {
			if r := &v.Rules[i]; s.Layer(r.Rule) == l.layer {
				n.Effect = max(n.Effect, r.Effect)
				n.Nodes = append(n.Nodes, s.node(r, v.By, f, lang))
			}
		}
		if len(n.Nodes) > 0 {
			n.Word = n.Effect.Word(lang)
			slices.SortStableFunc(n.Nodes, func(a, b Node) int { return int(b.Effect) - int(a.Effect) })
			root.Nodes = append(root.Nodes, n)
		}
	}
	if len(v.Obligations) > 0 {
		n := Node{Kind: NodeDuties, Title: Words{"须履行", "what it obliges to"}.In(lang)}
		for _, o := range v.Obligations {
			d := Node{Kind: NodeNote, Title: dutyWords(o.Kind, lang), Text: o.Value, Rule: o.Rule}
			if o.Latest != "" {
				d.Text = strings.TrimSpace(d.Text + Words{" 不迟于 ", " not later than "}.In(lang) + o.Latest)
			}
			n.Nodes = append(n.Nodes, d)
		}
		root.Nodes = append(root.Nodes, n)
	}
	return root
}

func dutyWords(kind, lang string) string {
	if w, ok := terms[kind]; ok {
		return w.In(lang)
	}
	return kind
}

// node explains one rule's result.
func (s *Set) node(res *RuleResult, by string, f *Facts, lang string) Node {
	n := Node{Kind: NodeRule, Rule: res.Rule, Title: res.Rule, Text: res.Reason.Text(lang), Effect: res.Effect, Word: res.Effect.Word(lang),
		At: res.At, Decides: res.Rule == by}
	if w, ok := pseudo[res.Rule]; ok {
		n.Title = w.In(lang)
	}
	if c, ok := res.Reason.compare(lang); ok {
		c.Effect, c.Word = res.Effect, n.Word
		n.Nodes = append(n.Nodes, c)
	}
	if res.Effect == Later {
		n.Nodes = append(n.Nodes, Node{Kind: NodeNote, Title: Words{"最早", "not before"}.In(lang), Text: res.Reason.moment(res.At.UnixMicro()), At: res.At})
	}
	r := s.Rule(res.Rule)
	if r == nil {
		return n
	}
	n.Title, n.Citation, n.Link = r.Title.In(lang), r.Citation.Short(), r.Citation.Link
	n.Force, n.ForceWord, n.Confidence = r.Force, r.Force.Word(lang), r.Confidence
	if why := r.because(f, lang); why != "" {
		n.Nodes = append(n.Nodes, Node{Kind: NodeNote, Title: Words{"适用，因为", "applies, because"}.In(lang), Text: why})
	}
	if d := r.Deadline; d != nil && d.Approver != "" {
		n.Nodes = append(n.Nodes, Node{Kind: NodeNote, Title: Words{"须由谁批准", "to be approved by"}.In(lang), Text: GradeWord(d.Approver, lang)})
	}
	n.Nodes = append(n.Nodes, Node{Kind: NodeNote, Title: Words{"依据", "source"}.In(lang),
		Text: fmt.Sprintf("%s · %s · %s", n.Citation, n.ForceWord, confidenceWords[r.Confidence].In(lang)), Link: n.Link})
	return n
}

var confidenceWords = map[string]Words{
	"P": {"已读原文", "the text itself was read"}, "S": {"据二手来源", "from a source that quotes it"}, "S-": {"据较弱的来源", "from a weak source"},
	"M": {"凭记忆，未读原文", "from memory, the text was not read"}, "none": {"没有法律条文", "no legal text"},
}

// because says which of the contact's words made the rule apply.
func (r *Rule) because(f *Facts, lang string) string {
	if f == nil || r.About != AboutContact || r.program == nil {
		return ""
	}
	a := &activation{k: class{
		channel: f.Channel, purpose: f.Purpose, relation: f.Relation, customer: f.Initiator == "customer", synthetic: f.Synthetic, automated: f.Automated,
		outsourced: f.Person["outsourced"] == "yes", product: family(f.Product), event: family(f.Event), region: f.Person["region"],
	}}
	var parts []string
	for _, w := range slices.Concat(contactWords.texts, contactWords.flags) {
		if !r.asks[w] {
			continue
		}
		v, _ := a.ResolveName(w)
		text := fmt.Sprint(v)
		if b, ok := v.(bool); ok {
			text = map[bool]Words{true: {"是", "yes"}, false: {"否", "no"}}[b].In(lang)
		} else if t, ok := terms[text]; ok {
			text = t.In(lang)
		}
		parts = append(parts, wordWords[w].In(lang)+Words{"＝", " = "}.In(lang)+text)
	}
	return strings.Join(parts, Words{"，", ", "}.In(lang))
}

var wordWords = map[string]Words{
	"channel": {"渠道", "channel"}, "purpose": {"目的", "purpose"}, "class": {"类别", "class"}, "relation": {"对象", "relation"},
	"initiator": {"发起方", "asked for by"}, "product": {"产品", "product"}, "event": {"事件", "event"}, "region": {"地区", "region"},
	"country": {"国家或地区", "country"}, "synthetic": {"合成语音", "machine-made voice"}, "automated": {"自动选定", "chosen by automated means"},
	"outsourced": {"委外", "outsourced"},
}

// node says what was asked.
func (f *Facts) node(lang string) Node {
	n := Node{Kind: NodeFacts, Title: Words{"这次联系", "the contact"}.In(lang)}
	say := func(zh, en, value string) {
		if value == "" {
			return
		}
		if t, ok := terms[value]; ok {
			value = t.In(lang)
		}
		n.Nodes = append(n.Nodes, Node{Kind: NodeNote, Title: Words{zh, en}.In(lang), Text: value})
	}
	zone := f.Zone
	if zone == "" {
		zone = "Asia/Shanghai"
	}
	say("时间", "time", Reason{Zone: f.Zone}.in(f.Now.UnixMicro()).Format("2006-01-02 15:04:05")+" "+zone)
	say("渠道", "channel", f.Channel.String())
	say("目的", "purpose", f.Purpose.String())
	say("对象", "relation", f.Relation.String())
	say("产品", "product", f.Product)
	say("事件", "event", f.Event)
	say("地区", "region", f.Person["region"])
	if f.Initiator == "customer" {
		say("发起方", "asked for by", "customer")
	}
	say("已有联系", "earlier contacts", strconv.Itoa(len(f.Charges)))
	return n
}

// compare gives the comparison behind a reason, where one number, time or date
// stands against another.
func (r Reason) compare(lang string) (n Node, ok bool) {
	n = Node{Kind: NodeCompare}
	code := strings.TrimPrefix(r.Code, "beyond:")
	unit := func() string {
		if t, ok := terms[r.What]; ok {
			return t.In(lang)
		}
		return r.What
	}
	under := func() string { return Words{"少于 ", "fewer than "}.In(lang) + strconv.Itoa(r.Max) }
	most := func() string { return Words{"至多 ", "at most "}.In(lang) + strconv.Itoa(r.Max) }
	switch code {
	case "cap", "cap_full", "cap_block", "cap_block_full", "pause", "pause_over":
		n.Title, n.Have, n.Want = unit()+" · "+r.window(lang), strconv.Itoa(r.Have), under()
	case "terms_cap":
		n.Title, n.Have, n.Want = Words{"约定的次数", "agreed contacts"}.In(lang)+" · "+r.window(lang), strconv.Itoa(r.Have), under()
	case "in_hours", "out_of_hours", "terms_hours":
		n.Title, n.Have = Words{"当地时间", "local time"}.In(lang), r.clock()
		if r.Zone != "" {
			n.Have += " " + r.Zone
		}
		if n.Want = hhmm(r.From) + "–" + hhmm(r.To); r.From == r.To {
			n.Want = Words{"在允许的时段内", "within the permitted hours"}.In(lang)
		}
	case "abandoned", "abandoned_over":
		n.Title, n.Have = Words{"遗弃／接通", "abandoned / answered live"}.In(lang), fmt.Sprintf("%d / %d", r.Have, r.Max)
		n.Want = Words{"不超过 ", "not more than "}.In(lang) + r.What
	case "limit", "limit_over":
		n.Title, n.Have, n.Want = unit(), strconv.Itoa(r.Have), most()
	case "limit_under", "limit_least":
		n.Title, n.Have, n.Want = unit(), strconv.Itoa(r.Have), Words{"至少 ", "at least "}.In(lang)+strconv.Itoa(r.Max)
	case "rang_short":
		n.Title, n.Have, n.Want = Words{"振铃秒数", "seconds it rang"}.In(lang), strconv.Itoa(r.Have), Words{"至少 ", "at least "}.In(lang)+strconv.Itoa(r.Max)
	case "said_in_time", "said_late":
		n.Title, n.Have, n.Want = unit(), fmt.Sprintf("%d ms", r.Have), fmt.Sprintf("≤ %d ms", r.Max)
	case "not_disclosed", "not_timed":
		n.Title, n.Have, n.Want = Words{"脚本声明", "the script declares"}.In(lang), "—", unit()
	case "forbidden":
		n.Title, n.Have, n.Want = Words{"脚本声明", "the script declares"}.In(lang), unit(), "—"
	case "term", "term_kept", "term_missed", "term_over":
		n.Title, n.Want = Words{"期限", "term"}.In(lang), "≤ "+r.moment(r.Until)
		if n.Have = "—"; r.At != 0 {
			n.Have = r.moment(r.At)
		}
	case "keep_until", "keep_over":
		n.Title, n.Have, n.Want = Words{"保存", "kept"}.In(lang), r.moment(r.Since), spanWords(r.What, lang)+" → "+r.moment(r.Until)
	case "caller_id", "caller_id_range", "caller_id_denied", "caller_id_length", "caller_id_missing":
		n.Title, n.Have = Words{"显示号码", "number shown"}.In(lang), r.What
		if r.What == "" {
			n.Have = "—"
		}
	default:
		return n, false
	}
	return n, true
}

// CustomerView is what the person contacted may be told about a decision: the
// packs' own sentences, and nothing that was counted, compared or held on file.
type CustomerView struct {
	Effect    Effect    `json:"effect"`
	Sentences []string  `json:"sentences"`      // the deciding rule's first
	At        time.Time `json:"at,omitzero"`    // from when a contact may come
	Said      string    `json:"said,omitempty"` // the decision in words
}

// ForCustomer gives the customer's version of a verdict.
func (s *Set) ForCustomer(v Verdict, lang string) CustomerView {
	c := CustomerView{Effect: v.Effect, At: v.At}
	switch v.Effect {
	case Allow:
		c.Said = Words{"这次联系符合您的约定和以下规则。", "This contact kept to what you agreed and to these rules."}.In(lang)
	case Later:
		c.Said = Words{"我们现在不能联系您，请见以下规则。", "We may not contact you at this time, by these rules."}.In(lang)
	default:
		c.Said = Words{"我们没有联系您，请见以下规则。", "We did not contact you, by these rules."}.In(lang)
	}
	add := func(id string) {
		text := ""
		if r := s.Rule(id); r != nil {
			text = r.Customer.In(lang)
		} else if id == RuleTerms {
			text = Words{"我们遵守您自己约定的条件。", "We keep to the terms you agreed."}.In(lang)
		}
		if text != "" && !slices.Contains(c.Sentences, text) {
			c.Sentences = append(c.Sentences, text)
		}
	}
	add(v.By)
	for i := range v.Rules {
		if r := &v.Rules[i]; r.Effect == v.Effect && (v.Effect != Allow || s.Layer(r.Rule) != LayerIntent) {
			add(r.Rule)
		}
	}
	return c
}

// Print writes the tree for a terminal.
func (n Node) Print(w io.Writer, lang string) {
	fmt.Fprintln(w, n.line(lang))
	n.below(w, "", lang)
}

func (n Node) below(w io.Writer, indent, lang string) {
	for i, c := range n.Nodes {
		branch, next := "├─ ", "│  "
		if i == len(n.Nodes)-1 {
			branch, next = "└─ ", "   "
		}
		fmt.Fprintf(w, "%s%s%s\n", indent, branch, c.line(lang))
		c.below(w, indent+next, lang)
	}
}

func (n Node) line(lang string) string {
	switch n.Kind {
	case NodeVerdict:
		return n.Title
	case NodeCompare:
		if n.Want == "" {
			return n.Title + Words{"：", ": "}.In(lang) + n.Have
		}
		return n.Title + Words{"：", ": "}.In(lang) + n.Have + Words{"，要求 ", ", required "}.In(lang) + n.Want
	case NodeRule:
		mark := ""
		if n.Decides {
			mark = Words{" ◀ 决定", " ◀ decides"}.In(lang)
		}
		return fmt.Sprintf("[%s] %s %s · %s%s", n.Word, n.Rule, n.Title, n.Text, mark)
	case NodeLayer:
		return fmt.Sprintf("%s [%s]", n.Title, n.Word)
	}
	if n.Text == "" {
		return n.Title
	}
	text := n.Title + Words{"：", ": "}.In(lang) + n.Text
	if n.Kind == NodeNote && n.Rule != "" {
		text += " (" + n.Rule + ")"
	}
	return text
}
