package campaign

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"parley/internal/contact"
	"parley/internal/errs"
)

// Script is a call flow as data: what is said, what is asked and what each key
// does. It is text that a lawyer reads and approves, so what it declares to
// meet is bound to the prompts that meet it. A parsed script never changes.
type Script struct {
	ID        string          `yaml:"id"`
	Title     Words           `yaml:"title"`
	Purpose   contact.Purpose `yaml:"purpose"`
	Synthetic bool            `yaml:"synthetic"` // the voice is machine-made
	Langs     []string        `yaml:"langs"`     // languages its prompts exist in; the first is the fall-back
	// Meets binds an obligation the script meets (identity, ai_label,
	// refusal_path, recording_notice, no_debt_before_identity …) to the prompts
	// that meet it. A claim about the whole script (no_debt) has none.
	Meets map[string][]string `yaml:"meets"`
	// Debt lists the prompts from which a listener learns of a debt.
	Debt   []string          `yaml:"reveals_debt"`
	Limit  time.Duration     `yaml:"limit"` // longest conversation; 0 = five minutes
	Start  string            `yaml:"start"`
	Digits map[string]string `yaml:"digits"` // keys that work at any moment
	Nodes  map[string]*Node  `yaml:"nodes"`

	raw  []byte
	hash string
}

// Words is a text in both languages.
type Words struct {
	Zh string `yaml:"zh" json:"zh"`
	En string `yaml:"en" json:"en"`
}

// Node is one step of a call: exactly one of its kinds is set.
type Node struct {
	Play     []string          `yaml:"play"`
	Gather   *Gather           `yaml:"gather"`
	Branch   map[string]string `yaml:"branch"` // by what was last gathered
	Withdraw *Withdraw         `yaml:"withdraw"`
	Complain *Complain         `yaml:"complain"`
	Record   *Record           `yaml:"record"`
	Spell    *Spell            `yaml:"spell"`
	Hangup   *Hangup           `yaml:"hangup"`

	Next   string `yaml:"next"`   // the step after this one
	Silent string `yaml:"silent"` // gather: nothing was pressed
	Other  string `yaml:"other"`  // branch: anything else was pressed
	// Confirms is the key of a branch by which the listener says that it is
	// the customer.
	Confirms string `yaml:"confirms"`
	// Effective marks the step that makes the call an effective conversation.
	Effective bool `yaml:"effective"`
}

// Gather asks for digits.
type Gather struct {
	Play    []string      `yaml:"play"`    // the question; any key interrupts it
	Digits  int           `yaml:"digits"`  // at most; 0 = 1
	Until   string        `yaml:"until"`   // key that ends the entry
	Timeout time.Duration `yaml:"timeout"` // for the first digit; 0 = 5 s
	Between time.Duration `yaml:"between"` // for each next one; 0 = 3 s
	Tries   int           `yaml:"tries"`   // how often it is asked; 0 = 1
	Again   []string      `yaml:"again"`   // said before it is asked again
}

// Withdraw records that the person wants no more of this, before it says so.
type Withdraw struct {
	// Scope says what is stopped: purpose (calls of this purpose, the default),
	// all (every call), number (this purpose at this number: wrong person).
	Scope   string   `yaml:"scope"`
	Confirm []string `yaml:"confirm"` // said once the withdrawal is stored
}

// Complain records the person's words and opens a complaint.
type Complain struct {
	Ask     []string      `yaml:"ask"`
	Max     time.Duration `yaml:"max"`     // longest statement; 0 = 2 min
	Silence time.Duration `yaml:"silence"` // silence that ends it; 0 = 4 s
	Thanks  []string      `yaml:"thanks"`  // said once the complaint is open
	Sorry   []string      `yaml:"sorry"`   // said when it could not be opened: points to the hotline
}

// Record keeps a message of the person for the bank.
type Record struct {
	Ask     []string      `yaml:"ask"`
	Max     time.Duration `yaml:"max"`
	Silence time.Duration `yaml:"silence"`
	Thanks  []string      `yaml:"thanks"`
}

// Spell reads out, digit by digit, a value that each call is given anew: a
// one-time code. The value is in no script, no log and no ledger entry.
type Spell struct {
	Value  string   `yaml:"value"`  // its name
	Before []string `yaml:"before"` // said before it
	Again  []string `yaml:"again"`  // said before it is repeated
	Times  int      `yaml:"times"`  // how often it is read; 0 = 1
}

// Digit is the prompt that says one digit.
func Digit(d byte) string { return "digit_" + string(d) }

// Hangup ends the call.
type Hangup struct {
	Play []string `yaml:"play"`
}

// The scopes of a withdraw step.
const (
	ScopePurpose = "purpose"
	ScopeAll     = "all"
	ScopeNumber  = "number"
)

// Kind names the node's kind, "" when it has none or more than one.
func (n *Node) Kind() string {
	kind, set := "", 0
	for k, is := range map[string]bool{
		"play": n.Play != nil, "gather": n.Gather != nil, "branch": n.Branch != nil, "withdraw": n.Withdraw != nil,
		"complain": n.Complain != nil, "record": n.Record != nil, "spell": n.Spell != nil, "hangup": n.Hangup != nil,
	} {
		if is {
			kind, set = k, set+1
		}
	}
	if set != 1 {
		return ""
	}
	return kind
}

// Prompts lists the prompts the node may say, in order.
func (n *Node) Prompts() []string {
	out := slices.Clone(n.Play)
	switch {
	case n.Gather != nil:
		out = append(append(out, n.Gather.Play...), n.Gather.Again...)
	case n.Withdraw != nil:
		out = append(out, n.Withdraw.Confirm...)
	case n.Complain != nil:
		out = append(append(append(out, n.Complain.Ask...), n.Complain.Thanks...), n.Complain.Sorry...)
	case n.Record != nil:
		out = append(append(out, n.Record.Ask...), n.Record.Thanks...)
	case n.Spell != nil:
		out = append(append(out, n.Spell.Before...), n.Spell.Again...)
		for d := byte('0'); d <= '9'; d++ {
			out = append(out, Digit(d))
		}
	case n.Hangup != nil:
		out = append(out, n.Hangup.Play...)
	}
	return out
}

// Parse reads and checks a script. name is the file's, for errors; exists says
// whether a prompt can be played in every language (nil: not checked). All
// mistakes are reported together, each with its line, its node and the mend.
func Parse(name string, raw []byte, exists func(key string) bool) (*Script, error) {
	s, problems := Check(raw, exists)
	if len(problems) == 0 {
		return s, nil
	}
	var zh, en []string
	for _, p := range problems {
		at := name
		if p.Line > 0 {
			at += ":" + strconv.Itoa(p.Line)
		}
		if p.Node != "" {
			at += ": " + p.Node
		}
		zh, en = append(zh, at+": "+p.Zh), append(en, at+": "+p.En)
	}
	return nil, errs.New(errs.Invalid, "script_invalid", strings.Join(zh, "\n"), strings.Join(en, "\n"))
}

// Check reads a script and gives every mistake in it. The script is nil when
// the text cannot be read as one at all.
func Check(raw []byte, exists func(key string) bool) (*Script, []Problem) {
	s := &Script{}
	if err := yaml.UnmarshalWithOptions(raw, s, yaml.Strict()); err != nil {
		p := Problem{Zh: "文件格式有误：" + err.Error(), En: "not a script: " + err.Error()}
		if y, ok := errors.AsType[yaml.Error](err); ok {
			p.Zh, p.En = "文件格式有误："+y.GetMessage(), "not a script: "+y.GetMessage()
			if t := y.GetToken(); t != nil {
				p.Line = t.Position.Line
			}
		}
		return nil, []Problem{p}
	}
	s.defaults()
	problems := s.check(lines(raw), exists)
	sum := sha256.Sum256(raw)
	s.raw, s.hash = slices.Clone(raw), hex.EncodeToString(sum[:])
	return s, problems
}

// ScriptID reads a script's id, also where the rest of the text is not right.
func ScriptID(raw []byte) string {
	var head struct {
		ID string `yaml:"id"`
	}
	if yaml.Unmarshal(raw, &head) == nil {
		return strings.TrimSpace(head.ID)
	}
	for l := range strings.Lines(string(raw)) {
		if id, ok := strings.CutPrefix(l, "id:"); ok {
			id, _, _ = strings.Cut(id, "#")
			return strings.Trim(strings.TrimSpace(id), `"'`)
		}
	}
	return ""
}

// lines gives the line of every top-level key of a script, and of what stands
// below nodes and meets.
func lines(raw []byte) map[string]int {
	out := map[string]int{}
	f, err := parser.ParseBytes(raw, 0)
	if err != nil || len(f.Docs) == 0 {
		return out
	}
	each := func(n ast.Node, fn func(key string, k, v ast.Node)) {
		var pairs []*ast.MappingValueNode
		switch n := n.(type) {
		case *ast.MappingNode:
			pairs = n.Values
		case *ast.MappingValueNode:
			pairs = []*ast.MappingValueNode{n}
		}
		for _, v := range pairs {
			if t := v.Key.GetToken(); t != nil {
				fn(t.Value, v.Key, v.Value)
			}
		}
	}
	each(f.Docs[0].Body, func(key string, k, v ast.Node) {
		out[key] = k.GetToken().Position.Line
		if key == "nodes" || key == "meets" {
			each(v, func(name string, k, _ ast.Node) { out[key+"."+name] = k.GetToken().Position.Line })
		}
	})
	return out
}

func (s *Script) defaults() {
	if len(s.Langs) == 0 {
		s.Langs = []string{"zh", "en"}
	}
	s.Limit = or(s.Limit, 5*time.Minute)
	for _, n := range s.Nodes {
		if n == nil {
			continue
		}
		if g := n.Gather; g != nil {
			g.Digits, g.Tries = max(g.Digits, 1), max(g.Tries, 1)
			g.Timeout, g.Between = or(g.Timeout, 5*time.Second), or(g.Between, 3*time.Second)
		}
		if w := n.Withdraw; w != nil && w.Scope == "" {
			w.Scope = ScopePurpose
		}
		if c := n.Complain; c != nil {
			c.Max, c.Silence = or(c.Max, 2*time.Minute), or(c.Silence, 4*time.Second)
		}
		if sp := n.Spell; sp != nil {
			sp.Times = max(sp.Times, 1)
		}
		if r := n.Record; r != nil {
			r.Max, r.Silence = or(r.Max, 2*time.Minute), or(r.Silence, 4*time.Second)
		}
	}
}

func or(d, fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return d
}

// Hash is the sha256 (hex) of the file's bytes: the script's version.
func (s *Script) Hash() string { return s.hash }

// Raw gives the file's bytes.
func (s *Script) Raw() []byte { return slices.Clone(s.raw) }

// Discloses lists the obligations the script is able to meet, in order.
func (s *Script) Discloses() []string { return slices.Sorted(maps.Keys(s.Meets)) }

// Lang picks the language to speak to a person who prefers lang.
func (s *Script) Lang(lang string) string {
	if len(lang) >= 2 && slices.Contains(s.Langs, lang[:2]) {
		return lang[:2]
	}
	return s.Langs[0]
}

// Prompts lists every prompt key the script uses, sorted.
func (s *Script) Prompts() []string {
	var keys []string
	for _, n := range s.Nodes {
		keys = append(keys, n.Prompts()...)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// Values lists the names of what each call must be given to read out, sorted.
func (s *Script) Values() []string {
	var names []string
	for _, n := range s.Nodes {
		if n.Spell != nil {
			names = append(names, n.Spell.Value)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
