package campaign

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Obligations a script declares that this package checks by itself. Their
// names are those of the rule packs.
const (
	meetsIdentity   = "identity"
	meetsAILabel    = "ai_label"
	meetsRefusal    = "refusal_path"
	meetsRecording  = "recording_notice"
	meetsNoDebt     = "no_debt"
	meetsDebtAfter  = "no_debt_before_identity"
	meetsNonProfile = "non_personalised"
)

// Problem is one mistake of a script, and how to mend it.
type Problem struct {
	Line int    // in the text, from 1; 0 = of the whole
	Node string // "" = none
	Zh   string
	En   string
}

// checker collects every mistake of one script.
type checker struct {
	s        *Script
	lines    map[string]int // of top-level keys, and of nodes.NAME and meets.NAME
	problems []Problem
}

func (c *checker) bad(node, zh, en string) {
	at := node
	if c.s.Nodes[node] != nil || c.lines["nodes."+node] > 0 {
		at = "nodes." + node
	}
	if node == "" {
		at, _, _ = strings.Cut(en, " ")
		at = strings.TrimSuffix(at, ":")
	}
	c.problems = append(c.problems, Problem{Line: c.lines[at], Node: node, Zh: zh, En: en})
}

func (s *Script) check(lines map[string]int, exists func(string) bool) []Problem {
	c := &checker{s: s, lines: lines}
	c.head()
	for _, name := range slices.Sorted(maps.Keys(s.Nodes)) {
		c.node(name, s.Nodes[name])
	}
	if len(c.problems) == 0 { // the rest walks the graph, so it must be one
		c.reach()
		c.silence()
		c.promises()
		c.opening()
		c.debt()
	}
	if exists != nil {
		for _, name := range slices.Sorted(maps.Keys(s.Nodes)) {
			c.prompts(name, exists)
		}
	}
	slices.SortStableFunc(c.problems, func(a, b Problem) int { return a.Line - b.Line })
	return c.problems
}

func (c *checker) head() {
	s := c.s
	if s.ID == "" {
		c.bad("", "缺少 id；请给脚本一个固定的短名。", "id is missing; give the script a short stable name.")
	}
	if s.Title.Zh == "" || s.Title.En == "" {
		c.bad("", "title 须有 zh 和 en。", "title needs zh and en.")
	}
	if s.Purpose == 0 {
		c.bad("", "缺少 purpose；请写明该脚本用于何种目的。", "purpose is missing; say what the script is for.")
	}
	for _, l := range s.Langs {
		if l != "zh" && l != "en" {
			c.bad("", "语言 "+l+" 不支持；请用 zh 或 en。", "language "+l+" is not known; use zh or en.")
		}
	}
	if s.Nodes[s.Start] == nil {
		c.bad("", fmt.Sprintf("start %q 不是任何节点；请改为开场节点的名称。", s.Start),
			fmt.Sprintf("start %q is no node; name the node that opens the call.", s.Start))
	}
	for _, d := range slices.Sorted(maps.Keys(s.Digits)) {
		if !isKey(d) {
			c.bad("", fmt.Sprintf("digits: %q 不是电话按键；请用 0–9、* 或 #。", d),
				fmt.Sprintf("digits: %q is not a telephone key; use 0-9, * or #.", d))
		}
		c.edge("digits", "digits "+d, s.Digits[d])
	}
	if !slices.ContainsFunc(slices.Collect(maps.Values(s.Nodes)), func(n *Node) bool { return n != nil && n.Hangup != nil }) {
		c.bad("", "没有 hangup 节点；请加一个结束通话的节点。", "there is no hangup node; add one that ends the call.")
	}
}

func isKey(d string) bool { return len(d) == 1 && strings.Contains("0123456789*#", d) }

// edge checks that a step leads somewhere.
func (c *checker) edge(node, field, to string) {
	if to == "" {
		c.bad(node, "缺少 "+field+"；请写明下一个节点。", field+" is missing; name the node that follows.")
	} else if c.s.Nodes[to] == nil {
		c.bad(node, fmt.Sprintf("%s 指向不存在的节点 %q；请改正名称或补上该节点。", field, to),
			fmt.Sprintf("%s leads to %q, which is no node; mend the name or add the node.", field, to))
	}
}

func (c *checker) node(name string, n *Node) {
	if n == nil || n.Kind() == "" {
		c.bad(name, "节点须恰有 play、gather、branch、withdraw、complain、record、spell、hangup 之一。",
			"a node is exactly one of play, gather, branch, withdraw, complain, record, spell, hangup.")
		return
	}
	kind := n.Kind()
	if kind != "branch" && kind != "hangup" {
		c.edge(name, "next", n.Next)
	}
	only := func(field, of string, set bool) {
		if set && kind != of {
			c.bad(name, field+" 只能用于 "+of+" 节点；请删去。", field+" belongs to a "+of+" node; remove it.")
		}
	}
	only("silent", "gather", n.Silent != "")
	only("other", "branch", n.Other != "")
	only("confirms", "branch", n.Confirms != "")
	switch kind {
	case "play":
		if len(n.Play) == 0 {
			c.bad(name, "play 没有提示音。", "play has no prompts; list at least one.")
		}
	case "gather":
		c.edge(name, "silent", n.Silent)
	case "branch":
		c.branch(name, n)
	case "withdraw":
		if s := n.Withdraw.Scope; s != ScopePurpose && s != ScopeAll && s != ScopeNumber {
			c.bad(name, fmt.Sprintf("scope %q 不可用；请用 purpose、all 或 number。", s),
				fmt.Sprintf("scope %q is not one of purpose, all, number.", s))
		}
		if len(n.Withdraw.Confirm) == 0 {
			c.bad(name, "退订后须有确认语(confirm)。", "a withdrawal needs its confirmation (confirm).")
		}
	case "complain":
		if len(n.Complain.Ask) == 0 || len(n.Complain.Thanks) == 0 {
			c.bad(name, "complain 须有 ask 与 thanks。", "complain needs ask and thanks.")
		}
	case "spell":
		if n.Spell.Value == "" || n.Spell.Times > 5 {
			c.bad(name, "spell 须有 value，且 times 不超过 5。", "spell needs value, and times is at most 5.")
		}
	case "hangup":
		if n.Next != "" {
			c.bad(name, "hangup 之后不能再有 next。", "nothing follows a hangup; remove next.")
		}
	}
}

func (c *checker) branch(name string, n *Node) {
	c.edge(name, "other", n.Other)
	for _, d := range slices.Sorted(maps.Keys(n.Branch)) {
		c.edge(name, "branch "+d, n.Branch[d])
		if c.s.Digits[d] != "" {
			c.bad(name, "按键 "+d+" 已是全程有效键；请为此选项换一个键。",
				"key "+d+" works everywhere already; give this choice another key.")
		}
	}
	if n.Next != "" {
		c.bad(name, "branch 用 other 而不是 next。", "a branch has other, not next.")
	}
	if n.Confirms != "" && n.Branch[n.Confirms] == "" {
		c.bad(name, "confirms 所指的按键不在 branch 中。", "confirms names a key that the branch does not have.")
	}
}

// next lists where a node can lead, leaving out the edge by which the listener
// confirmed who they are when unconfirmed is set.
func (c *checker) next(n *Node, unconfirmed bool) []string {
	out := []string{n.Next, n.Silent, n.Other}
	for d, to := range n.Branch {
		if !unconfirmed || d != n.Confirms {
			out = append(out, to)
		}
	}
	return slices.DeleteFunc(out, func(s string) bool { return s == "" })
}

// reached walks from the start and the keys that work everywhere.
func (c *checker) reached(unconfirmed bool) map[string]bool {
	seen := map[string]bool{}
	todo := append([]string{c.s.Start}, slices.Collect(maps.Values(c.s.Digits))...)
	for len(todo) > 0 {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !seen[name] {
			seen[name] = true
			todo = append(todo, c.next(c.s.Nodes[name], unconfirmed)...)
		}
	}
	return seen
}

func (c *checker) reach() {
	seen := c.reached(false)
	for _, name := range slices.Sorted(maps.Keys(c.s.Nodes)) {
		if !seen[name] {
			c.bad(name, "没有任何路径到达此节点；请连上它或删去。", "nothing leads to this node; connect it or remove it.")
		}
	}
}

// silence follows, from every node, what happens when the listener presses
// nothing: the call must end by itself.
func (c *checker) silence() {
	told := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(c.s.Nodes)) {
		seen := map[string]bool{}
		for at := name; c.s.Nodes[at].Hangup == nil; {
			if seen[at] {
				if !told[at] {
					c.bad(at, "对方不按键时会在此循环，通话无法结束；请让 silent 或 other 通向 hangup。",
						"a listener who presses nothing goes round here for ever; let silent or other lead to a hangup.")
				}
				for n := range seen {
					told[n] = true
				}
				break
			}
			seen[at] = true
			n := c.s.Nodes[at]
			switch {
			case n.Gather != nil:
				at = n.Silent
			case n.Branch != nil:
				at = n.Other
			default:
				at = n.Next
			}
		}
	}
}

// promises checks that what the script declares to meet is really in it.
func (c *checker) promises() {
	seen, played := c.reached(false), map[string]bool{}
	for name := range seen {
		for _, p := range c.s.Nodes[name].Prompts() {
			played[p] = true
		}
	}
	for _, o := range c.s.Discloses() {
		ps := c.s.Meets[o]
		if len(ps) == 0 && o != meetsNoDebt && o != meetsDebtAfter && o != meetsNonProfile {
			c.bad("meets."+o, "未写明由哪个提示音履行；请列出。", "no prompt is bound to it; list those that meet it.")
		}
		for _, p := range ps {
			if !played[p] {
				c.bad("meets."+o, "提示音 "+p+" 从未播放；请在流程中播放它。", "prompt "+p+" is never played; play it in the flow.")
			}
		}
	}
	if _, ok := c.s.Meets[meetsRefusal]; ok && !slices.ContainsFunc(slices.Collect(maps.Values(c.s.Digits)),
		func(to string) bool { return c.s.Nodes[to].Withdraw != nil }) {
		c.bad("meets."+meetsRefusal, "没有全程有效的拒绝键；请在 digits 中加一个通向 withdraw 节点的键。",
			"no key refuses at any moment; add one to digits that leads to a withdraw node.")
	}
}

// opening checks that who calls, and that the voice is a machine's, is the
// first thing said, in play steps that no ordinary key can interrupt.
func (c *checker) opening() {
	required := []string{meetsIdentity}
	if c.s.Synthetic {
		required = append(required, meetsAILabel)
	}
	disclosure := map[string]bool{}
	for _, o := range append(slices.Clone(required), meetsRecording) {
		for _, p := range c.s.Meets[o] {
			disclosure[p] = true
		}
	}
	said, seen, first := map[string]bool{}, map[string]bool{}, ""
	for at := c.s.Start; first == "" && !seen[at] && c.s.Nodes[at].Play != nil; at = c.s.Nodes[at].Next {
		seen[at] = true
		for _, p := range c.s.Nodes[at].Play {
			if !disclosure[p] {
				first = p
				break
			}
			said[p] = true
		}
	}
	for _, o := range required {
		if len(c.s.Meets[o]) == 0 {
			c.bad("meets."+o, "必须披露而未写明；请绑定提示音并在开场播放。",
				"is a required disclosure; bind it to its prompts and play them first.")
		}
		for _, p := range c.s.Meets[o] {
			if !said[p] {
				c.bad(c.s.Start, fmt.Sprintf("%s（%s）必须最先播放；请把它移到开场，放在 %q 之前。", o, p, first),
					fmt.Sprintf("%s (%s) must be the first thing played; move it to the opening, before %q.", o, p, first))
			}
		}
	}
}

// debt checks that nobody learns of a debt who has not confirmed to be the
// customer, when the script declares so, and that no_debt is not declared in vain.
func (c *checker) debt() {
	reveals := func(name string) bool {
		return slices.ContainsFunc(c.s.Nodes[name].Prompts(), func(p string) bool { return slices.Contains(c.s.Debt, p) })
	}
	check := func(o string, seen map[string]bool, zh, en string) {
		if _, declared := c.s.Meets[o]; !declared {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(seen)) {
			if reveals(name) {
				c.bad(name, zh, en)
			}
		}
	}
	check(meetsDebtAfter, c.reached(true), "未确认本人即可听到欠款信息；请放在 confirms 分支之后。",
		"reveals the debt to somebody who has not confirmed to be the customer; put it behind a branch that confirms.")
	check(meetsNoDebt, c.reached(false), "脚本声明不透露欠款，此节点却会透露；请删去其一。",
		"the script declares no_debt, yet this node reveals one; remove one of the two.")
}

func (c *checker) prompts(name string, exists func(string) bool) {
	n := c.s.Nodes[name]
	if n == nil {
		return
	}
	for _, p := range n.Prompts() {
		if !exists(p) {
			c.bad(name, "提示音 "+p+" 不存在或缺少语言；请补录或重新生成。",
				"prompt "+p+" is missing in some language; record or render it.")
		}
	}
}
