package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"parley/internal/contact"
)

// Bounds of a scope: length in bytes, nesting, and CEL cost units per evaluation.
const (
	maxScope = 2_000
	maxCost  = 5_000
)

// The words a scope may ask about. A class of contacts shares all of these but
// person, which is asked per contact:
//
//	channel, purpose, class (service, risk, marketing), relation, initiator,
//	product and event (the family: what stands before the first colon),
//	region, country (the region up to the first dash)                  string
//	synthetic, automated, outsourced                                   bool
//	person                                                             map(string, string)
//
// About another matter than a contact a scope asks:
//
//	attr                                                               map(string, string)
//	count                                                              map(string, int)
//	has_parts, happened                                                list(string)
var contactWords = struct{ texts, flags []string }{
	[]string{"channel", "purpose", "class", "relation", "initiator", "product", "event", "region", "country"},
	[]string{"synthetic", "automated", "outsourced"},
}

func newEnv(about string) (*cel.Env, error) {
	opts := []cel.EnvOption{
		cel.OptionalTypes(),
		cel.ParserExpressionSizeLimit(maxScope),
		cel.ParserRecursionLimit(40),
	}
	if about != AboutContact {
		text := cel.ListType(cel.StringType)
		return cel.NewEnv(append(opts,
			cel.Variable("attr", cel.MapType(cel.StringType, cel.StringType)), cel.Variable("count", cel.MapType(cel.StringType, cel.IntType)),
			cel.Variable("has_parts", text), cel.Variable("happened", text))...)
	}
	opts = append(opts, cel.Variable("person", cel.MapType(cel.StringType, cel.StringType)))
	for _, v := range contactWords.texts {
		opts = append(opts, cel.Variable(v, cel.StringType))
	}
	for _, v := range contactWords.flags {
		opts = append(opts, cel.Variable(v, cel.BoolType))
	}
	return cel.NewEnv(opts...)
}

// envs are made once: making one costs more than compiling a pack.
var envs = sync.OnceValues(func() (map[string]*cel.Env, error) {
	out := map[string]*cel.Env{}
	for _, about := range []string{AboutContact, AboutRecord} {
		env, err := newEnv(about)
		if err != nil {
			return nil, err
		}
		out[about] = env
	}
	return out, nil
})

func envOf(about string) (*cel.Env, error) {
	all, err := envs()
	if err != nil {
		return nil, err
	}
	if about == AboutContact {
		return all[AboutContact], nil
	}
	return all[AboutRecord], nil
}

// vocabulary is every word that channel, purpose, class, relation and initiator
// can hold: a scope that compares them with another word has a typing error,
// and would quietly never apply.
func vocabulary() []string {
	words := []string{"service", "risk", "marketing", "bank", "customer"}
	for c := contact.Voice; c <= contact.Push; c++ {
		words = append(words, c.String())
	}
	for p := contact.Service; p <= contact.Statutory; p++ {
		words = append(words, p.String())
	}
	for r := contact.Self; r <= contact.Reference; r++ {
		words = append(words, r.String())
	}
	return words
}

// asks are the names an expression refers to.
type asks map[string]bool

// scope compiles what the rule applies to: its own scope and the pack's.
func (c *compiler) scope(at string, r *Rule) {
	at += ".scope"
	text := strings.TrimSpace(r.Scope)
	if pack := strings.TrimSpace(r.Pack.Scope); pack != "" && r.About == AboutContact {
		if text == "" {
			text, at = pack, "$.scope"
		} else {
			text = "(" + pack + ") && (" + text + ")"
		}
	}
	if text == "" {
		return
	}
	var ast *cel.Ast
	var names asks
	r.program, ast, names = c.expression(at, r, "scope", text)
	if names["person"] {
		var only bool
		r.keys, only = personKeys(ast.NativeRep().Expr())
		r.dynamic = !only
	}
	if r.asks == nil {
		r.asks = asks{}
	}
	maps.Copy(r.asks, names)
	if ast == nil || r.About != AboutContact {
		return
	}
	words := literals(ast.NativeRep().Expr())
	if !names["person"] && !names["product"] && !names["event"] && !names["region"] && !names["country"] {
		known := vocabulary()
		for _, lit := range words {
			if !slices.Contains(known, lit) {
				c.fail(at, "rule %s: no channel, purpose, class, relation or initiator is called %q", r.ID, lit)
				return
			}
		}
	}
	if !names["person"] && !reachable(r, words) {
		c.fail(at, "rule %s can never apply: no contact satisfies its scope; mend it, or disable the rule and say why", r.ID)
	}
}

// expression compiles a CEL expression that must be true or false; the program
// is nil when it cannot run.
func (c *compiler) expression(at string, r *Rule, what, text string) (cel.Program, *cel.Ast, asks) {
	env, err := envOf(r.About)
	if err != nil {
		c.fail(at, "rule %s: %v", r.ID, err)
		return nil, nil, nil
	}
	ast, iss := env.Compile(text)
	if iss.Err() != nil {
		c.fail(at, "rule %s: %s does not compile: %s", r.ID, what, oneLine(iss.Err().Error()))
		return nil, nil, nil
	}
	if !ast.OutputType().IsExactType(types.BoolType) {
		c.fail(at, "rule %s: %s must be true or false, not %s", r.ID, what, ast.OutputType())
		return nil, nil, nil
	}
	if cost, err := env.EstimateCost(ast, sizes{}); err != nil || cost.Max > maxCost {
		c.fail(at, "rule %s: %s may cost %d, more than %d per contact; make it simpler: compare fewer texts, and use no nested loops", r.ID, what, cost.Max, maxCost)
		return nil, nil, nil
	}
	names := asks{}
	for _, ref := range ast.NativeRep().ReferenceMap() {
		if ref.Name != "" {
			names[ref.Name] = true
		}
	}
	p, err := env.Program(ast, cel.CostLimit(maxCost), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		c.fail(at, "rule %s: %s: %s", r.ID, what, oneLine(err.Error()))
		return nil, nil, nil
	}
	return p, ast, names
}

// sizes bounds what a scope can be asked about, for the estimate of its cost.
type sizes struct{}

func (sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	switch n.Type().Kind() {
	case types.StringKind:
		return &cost.SizeEstimate{Min: 0, Max: 64}
	case types.MapKind, types.ListKind:
		return &cost.SizeEstimate{Min: 0, Max: 32}
	}
	return nil
}

func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// maxTries bounds how many kinds of contact a scope is tried on.
const maxTries = 20_000

// reachable reports whether some contact satisfies the scope. It tries every
// value of the words that the scope asks about, and for those whose values are
// free the ones it names and one that it does not. Where those are too many to
// try, it is taken for reachable.
func reachable(r *Rule, named []string) bool {
	free := append([]string{"", "any other"}, named...)
	a := r.asks // those of a condition too: that only tries more
	ways := []struct {
		asked bool
		n     int
		set   func(*class, int)
	}{
		{a["channel"], int(contact.Push), func(c *class, i int) { c.channel = contact.Channel(i + 1) }},
		{a["purpose"] || a["class"], int(contact.Statutory), func(c *class, i int) { c.purpose = contact.Purpose(i + 1) }},
		{a["relation"], int(contact.Reference), func(c *class, i int) { c.relation = contact.Relation(i + 1) }},
		{a["initiator"], 2, func(c *class, i int) { c.customer = i == 1 }},
		{a["synthetic"], 2, func(c *class, i int) { c.synthetic = i == 1 }},
		{a["automated"], 2, func(c *class, i int) { c.automated = i == 1 }},
		{a["outsourced"], 2, func(c *class, i int) { c.outsourced = i == 1 }},
		{a["product"], len(free), func(c *class, i int) { c.product = free[i] }},
		{a["event"], len(free), func(c *class, i int) { c.event = free[i] }},
		{a["region"] || a["country"], len(free), func(c *class, i int) { c.region = free[i] }},
	}
	total := 1
	for _, w := range ways {
		if w.asked {
			if total *= w.n; total > maxTries {
				return true
			}
		}
	}
	for try := range total {
		k := class{channel: contact.Voice, purpose: contact.Service, relation: contact.Self}
		for _, w := range ways {
			if w.asked {
				w.set(&k, try%w.n)
				try /= w.n
			}
		}
		if ok, err := r.applies(&activation{k: k}); ok || err != nil { // an error is not never: it denies
			return true
		}
	}
	return false
}

// personKeys gives the attributes of the person that an expression asks by name,
// and whether it asks about the person in no other way.
func personKeys(e celast.Expr) (keys []string, only bool) {
	isPerson := func(e celast.Expr) bool { return e.Kind() == celast.IdentKind && e.AsIdent() == "person" }
	all, named := 0, 0
	add := func(key string) {
		named++
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	celast.PostOrderVisit(e, celast.NewExprVisitor(func(e celast.Expr) {
		switch e.Kind() {
		case celast.IdentKind:
			if isPerson(e) {
				all++
			}
		case celast.SelectKind:
			if sel := e.AsSelect(); isPerson(sel.Operand()) {
				add(sel.FieldName())
			}
		case celast.CallKind:
			call := e.AsCall()
			if n := call.FunctionName(); n != operators.Index && n != operators.OptIndex && n != operators.OptSelect {
				return
			}
			if a := call.Args(); len(a) == 2 && isPerson(a[0]) && a[1].Kind() == celast.LiteralKind {
				if key, ok := a[1].AsLiteral().(types.String); ok {
					add(string(key))
				}
			}
		}
	}))
	slices.Sort(keys)
	return keys, all == named
}

func literals(e celast.Expr) []string {
	var out []string
	celast.PostOrderVisit(e, celast.NewExprVisitor(func(e celast.Expr) {
		if e.Kind() == celast.LiteralKind {
			if s, ok := e.AsLiteral().(types.String); ok {
				out = append(out, string(s))
			}
		}
	}))
	return out
}

func oneLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return strings.TrimPrefix(s, "ERROR: ")
}

// class is what static scopes can tell intents apart by. Fields no scope asks
// about stay empty, so that few classes exist.
type class struct {
	channel                                    contact.Channel
	purpose                                    contact.Purpose
	relation                                   contact.Relation
	customer, synthetic, automated, outsourced bool
	product, event, region                     string
}

func (s *Set) classOf(f *Facts) class {
	k := class{
		channel: f.Channel, purpose: f.Purpose, relation: f.Relation, customer: f.Initiator == "customer",
		synthetic: f.Synthetic, automated: f.Automated, outsourced: f.Person["outsourced"] == "yes",
	}
	if s.asksProduct {
		k.product = family(f.Product)
	}
	if s.asksEvent && len(f.Event) != len(family(f.Event)) {
		k.event = family(f.Event) // an event without a family is one of its own: no scope can mean it
	}
	if s.asksRegion {
		k.region = f.Person["region"]
	}
	return k
}

// activation resolves the variables of a scope without a map.
type activation struct {
	k      class
	person map[string]string
}

func (a *activation) ResolveName(name string) (any, bool) {
	switch name {
	case "channel":
		return a.k.channel.String(), true
	case "purpose":
		return a.k.purpose.String(), true
	case "class":
		return a.k.purpose.Class(), true
	case "relation":
		return a.k.relation.String(), true
	case "initiator":
		if a.k.customer {
			return "customer", true
		}
		return "bank", true
	case "product":
		return a.k.product, true
	case "event":
		return a.k.event, true
	case "region":
		return a.k.region, true
	case "country":
		return countryOf(a.k.region), true
	case "synthetic":
		return a.k.synthetic, true
	case "automated":
		return a.k.automated, true
	case "outsourced":
		return a.k.outsourced, true
	case "person":
		if a.person == nil {
			return map[string]string{}, true
		}
		return a.person, true
	}
	return nil, false
}

// countryOf gives the country of a region code such as US-FL; a region in words
// tells none, and rules for "" and for a country then both hold.
func countryOf(region string) string {
	c, _, _ := strings.Cut(region, "-")
	if len(c) != 2 || strings.Trim(c, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return ""
	}
	return c
}

func (a *activation) Parent() cel.Activation { return nil }

// ResolveName gives a matter's words. An attribute or count that the matter
// does not have is empty or 0, and not an error: matters are of many kinds.
func (e *review) ResolveName(name string) (any, bool) {
	switch name {
	case "attr":
		return lenient{types.DefaultTypeAdapter.NativeToValue(e.Attrs).(traits.Mapper), types.String("")}, true
	case "count":
		return lenient{types.DefaultTypeAdapter.NativeToValue(e.Counts).(traits.Mapper), types.Int(0)}, true
	case "has_parts":
		return e.Has, true
	case "happened":
		return e.happened(), true
	}
	return nil, false
}

func (e *review) Parent() cel.Activation { return nil }

// happened lists the events up to now.
func (e *review) happened() []string {
	out := []string{}
	for n, at := range e.Events {
		if at != 0 && at <= e.now {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// lenient is a map that holds every key.
type lenient struct {
	traits.Mapper
	empty ref.Val
}

func (m lenient) Find(key ref.Val) (ref.Val, bool) {
	if v, ok := m.Mapper.Find(key); ok {
		return v, true
	}
	return m.empty, true
}

func (m lenient) Get(key ref.Val) ref.Val {
	v, _ := m.Find(key)
	return v
}

// applies evaluates the rule's scope; an error is the caller's to deny on.
func (r *Rule) applies(a cel.Activation) (bool, error) {
	if r.program == nil {
		return true, nil
	}
	return truth(r.program, a)
}

// truth evaluates an expression that must be true or false.
func truth(p cel.Program, a cel.Activation) (bool, error) {
	out, _, err := p.Eval(a)
	if err != nil {
		return false, err
	}
	b, ok := out.Value().(bool)
	if !ok {
		return false, fmt.Errorf("expression gave %v", out.Type())
	}
	return b, nil
}
