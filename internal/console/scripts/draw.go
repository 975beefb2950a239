package scripts

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"parley/internal/campaign"
	"parley/internal/errs"
	"parley/internal/httpx/flow"
	"parley/internal/httpx/words"
	"parley/internal/prompt"
)

// Drawing is a script as a graph, with what is wrong with it.
type Drawing struct {
	script   *campaign.Script // nil = the text cannot be read as one
	problems []campaign.Problem
	graph    *flow.Graph
	boxes    map[string]*box
	said     []saying
}

// box is what a node's box says.
type box struct {
	*flow.Node
	kind      string // of the node; "keys" for the keys that always work, "missing" for a node that is not there
	first     string // what it says first, shortened
	effective bool
	lost      bool // nothing leads to it
	lacks     int  // prompts that cannot be played
	flaws     int
	line      int
}

// saying is a prompt as it is spoken in both languages.
type saying struct {
	key    string
	entry  prompt.Entry
	known  bool            // the catalogue has it
	sounds map[string]bool // by language: a file can be played
	nodes  []string        // that say it
	duties []string        // that it meets
	debt   bool            // from which a listener learns of a debt
}

const (
	boxWide = 186
	boxHigh = 54
	// keysBox is the box of the keys that work at any moment.
	keysBox = "\x00keys"
)

// Draw draws a script for other pages of the console; nil draws nothing.
func (m *Room) Draw(ctx context.Context, s *campaign.Script) *Drawing {
	if s == nil {
		return nil
	}
	return m.draw(ctx, s.Raw())
}

func (m *Room) draw(ctx context.Context, raw []byte) *Drawing {
	d := &Drawing{boxes: map[string]*box{}, graph: &flow.Graph{}}
	d.script, d.problems = campaign.Check(raw, m.exists)
	if d.script == nil {
		return d
	}
	d.said = m.sayings(d.script)
	lang := string(words.From(ctx))
	reached := reach(d.script)
	for _, id := range walk(d.script) {
		n := d.script.Nodes[id]
		b := &box{kind: n.Kind(), effective: n.Effective, lost: !reached[id], line: lineOf(raw, id)}
		for _, p := range n.Prompts() {
			if !m.exists(p) {
				b.lacks++
			}
			if b.first == "" {
				b.first = shorten(m.text(p, lang), 25)
			}
		}
		d.add(id, b)
	}
	if len(d.script.Digits) > 0 {
		d.add(keysBox, &box{kind: "keys"})
	}
	d.join(ctx)
	for _, p := range d.problems {
		if b := d.boxes[p.Node]; b != nil {
			b.flaws++
		}
	}
	d.graph.Lay()
	return d
}

// lineOf gives the line at which a node's text begins.
func lineOf(raw []byte, id string) int {
	n := 0
	for l := range strings.Lines(string(raw)) {
		n++
		if l[0] == ' ' && strings.HasPrefix(strings.TrimLeft(l, " "), id+":") {
			return n
		}
	}
	return 1
}

func (d *Drawing) add(id string, b *box) {
	b.Node = &flow.Node{ID: id, W: boxWide, H: boxHigh}
	if b.first == "" && b.kind == "branch" {
		b.H = 28
	}
	if id == keysBox {
		b.W, b.H = 120, 34
	}
	d.boxes[id] = b
	d.graph.Nodes = append(d.graph.Nodes, b.Node)
}

// join draws the ways from node to node.
func (d *Drawing) join(ctx context.Context) {
	edge := func(from, to, label string) {
		if to == "" {
			return
		}
		if d.boxes[to] == nil {
			d.add(to, &box{kind: "missing"})
		}
		d.graph.Edges = append(d.graph.Edges, &flow.Edge{From: from, To: to, Label: label})
	}
	for _, k := range slices.Sorted(maps.Keys(d.script.Digits)) {
		edge(keysBox, d.script.Digits[k], words.T(ctx, "script.key", k))
	}
	for _, id := range walk(d.script) {
		n := d.script.Nodes[id]
		for _, k := range slices.Sorted(maps.Keys(n.Branch)) {
			label := words.T(ctx, "script.key", k)
			if k == n.Confirms {
				label += " · " + say(ctx, "confirms")
			}
			edge(id, n.Branch[k], label)
		}
		next := ""
		if n.Gather != nil {
			next = say(ctx, "pressed")
		}
		edge(id, n.Next, next)
		edge(id, n.Other, words.T(ctx, "script.other"))
		edge(id, n.Silent, words.T(ctx, "script.silent"))
	}
}

// walk lists a script's nodes in the order a call may meet them, and then those
// that nothing leads to.
func walk(s *campaign.Script) []string {
	var out []string
	seen := map[string]bool{}
	var visit func(id string)
	visit = func(id string) {
		n := s.Nodes[id]
		if n == nil || seen[id] {
			return
		}
		seen[id] = true
		out = append(out, id)
		for _, k := range slices.Sorted(maps.Keys(n.Branch)) {
			visit(n.Branch[k])
		}
		visit(n.Next)
		visit(n.Other)
		visit(n.Silent)
	}
	visit(s.Start)
	for _, k := range slices.Sorted(maps.Keys(s.Digits)) {
		visit(s.Digits[k])
	}
	for _, id := range slices.Sorted(maps.Keys(s.Nodes)) {
		visit(id) // a node without a text has no box
	}
	return out
}

// reach tells which nodes a call can come to.
func reach(s *campaign.Script) map[string]bool {
	seen := map[string]bool{}
	todo := append([]string{s.Start}, slices.Collect(maps.Values(s.Digits))...)
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		n := s.Nodes[id]
		if n == nil || seen[id] {
			continue
		}
		seen[id] = true
		todo = append(todo, n.Next, n.Silent, n.Other)
		todo = append(todo, slices.Collect(maps.Values(n.Branch))...)
	}
	return seen
}

// sayings lists what a script says, in the order a call may meet it.
func (m *Room) sayings(s *campaign.Script) []saying {
	var out []saying
	at := map[string]int{}
	for _, id := range walk(s) {
		for _, p := range s.Nodes[id].Prompts() {
			i, ok := at[p]
			if !ok {
				i = len(out)
				at[p] = i
				out = append(out, m.saying(s, p))
			}
			if !slices.Contains(out[i].nodes, id) {
				out[i].nodes = append(out[i].nodes, id)
			}
		}
	}
	return out
}

func (m *Room) saying(s *campaign.Script, key string) saying {
	x := saying{key: key, sounds: map[string]bool{}, debt: slices.Contains(s.Debt, key)}
	if c := m.texts(); c != nil {
		x.entry, x.known = c.Entries[key]
	}
	for _, l := range s.Langs {
		if m.Prompts != nil {
			_, err := m.Prompts.WAV(l, key)
			x.sounds[l] = err == nil
		}
	}
	for _, o := range s.Discloses() {
		if slices.Contains(s.Meets[o], key) {
			x.duties = append(x.duties, o)
		}
	}
	return x
}

// text gives what a prompt says; its key where nobody wrote that down.
func (m *Room) text(key, lang string) string {
	if c := m.texts(); c != nil {
		if e, ok := c.Entries[key]; ok {
			if e.Tone != nil {
				return "♪ " + key
			}
			return e.Text(lang)
		}
	}
	return key
}

// shorten cuts a text to a width, counted in narrow letters.
func shorten(s string, most int) string {
	n := 0
	for i, r := range s {
		n++
		if r > 0x2e80 {
			n++
		}
		if n > most {
			return s[:i] + "…"
		}
	}
	return s
}

// bend draws an edge as a line that leaves and arrives upright.
func bend(e *flow.Edge) string {
	var b strings.Builder
	for i, p := range e.Points {
		if i == 0 {
			fmt.Fprintf(&b, "M%.1f %.1f", p.X, p.Y)
			continue
		}
		q := e.Points[i-1]
		if q.X == p.X {
			fmt.Fprintf(&b, "L%.1f %.1f", p.X, p.Y)
			continue
		}
		mid := (p.Y - q.Y) / 2
		fmt.Fprintf(&b, "C%.1f %.1f %.1f %.1f %.1f %.1f", q.X, q.Y+mid, p.X, p.Y-mid, p.X, p.Y)
	}
	return b.String()
}

// labelAt is where an edge's label stands: on the first piece, nearer its end.
func labelAt(e *flow.Edge) flow.Point {
	a, b := e.Points[0], e.Points[1]
	return flow.Point{X: a.X + (b.X-a.X)*0.5, Y: a.Y + (b.Y-a.Y)*0.5 + 4}
}

// arrow is the head at the end of an edge.
func arrow(e *flow.Edge) string {
	p, q := e.Points[len(e.Points)-1], e.Points[len(e.Points)-2]
	d := 7.0
	if q.Y > p.Y {
		d = -d
	}
	if q.Y == p.Y {
		return fmt.Sprintf("M%.1f %.1fl7 -4v8z", p.X, p.Y)
	}
	return fmt.Sprintf("M%.1f %.1fl-4 %.1fh8z", p.X, p.Y, -d)
}

// Title names a script in the reader's language.
func Title(ctx context.Context, s *campaign.Script) string {
	return words.Pick(ctx, s.Title.Zh, s.Title.En)
}

func wordsOf(ctx context.Context, e *errs.Error) string { return words.Pick(ctx, e.Zh, e.En) }

func problem(ctx context.Context, p campaign.Problem) string { return words.Pick(ctx, p.Zh, p.En) }

func num(f float64) string { return fmt.Sprintf("%.1f", f) }

// trial is a call walked in text.
type trial struct {
	campaign.Trial
	script *campaign.Script
	lang   string
	keys   string // pressed so far
	texts  map[string]string
}

func (m *Room) walk(ctx context.Context, s *campaign.Script, lang, keys string) trial {
	if lang == "" {
		lang = string(words.From(ctx))
	}
	t := trial{script: s, lang: lang, keys: strings.Map(func(r rune) rune {
		if strings.ContainsRune("0123456789*#"+campaign.Silence, r) {
			return r
		}
		return -1
	}, keys)}
	if s == nil || s.Nodes[s.Start] == nil {
		t.script = nil
		return t
	}
	t.lang = s.Lang(lang)
	if len(t.keys) > 60 {
		t.keys = t.keys[:60]
	}
	var presses []string
	for _, k := range t.keys {
		presses = append(presses, string(k))
	}
	t.Trial = s.Try(presses)
	t.texts = map[string]string{}
	for _, h := range t.Heard {
		for _, p := range h.Prompts {
			t.texts[p] = m.text(p, t.lang)
		}
	}
	return t
}
