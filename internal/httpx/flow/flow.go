// Package flow lays out a small directed graph in layers, from top to bottom,
// so that it can be drawn: a call flow, a state diagram. It follows Sugiyama,
// Tagawa and Toda (1981): turn round the edges that go back, put every node a
// layer below those that lead to it, order the layers so that few edges cross,
// and give each node a place near those it is joined to. It is deterministic.
package flow

import (
	"cmp"
	"math"
	"slices"
)

// Node is a box to be placed.
type Node struct {
	ID   string
	W, H float64
	X, Y float64 // of its upper left corner; set by Lay
}

// Edge joins two nodes by their ids.
type Edge struct {
	From, To string
	Label    string
	Back     bool    // it leads to a node above, or to itself; set by Lay
	Points   []Point // from the lower side of From to the upper side of To; set by Lay
}

// Point is a place in the drawing.
type Point struct{ X, Y float64 }

// Graph is what is laid out. Nodes that nothing leads to begin layers of their
// own; edges to or from unknown nodes are left out.
type Graph struct {
	Nodes []*Node
	Edges []*Edge
	W, H  float64 // of the whole; set by Lay
}

// The distances between boxes, and from the border.
const (
	gapX   = 28
	gapY   = 56
	border = 14
)

// spot is a node in a layer, or the place where an edge passes through one.
type spot struct {
	node     *Node // nil = an edge passes
	w        float64
	layer    int
	x        float64 // of its middle
	up, down []*spot
}

type layout struct {
	g      *Graph
	spots  map[string]*spot
	layers [][]*spot
	paths  map[*Edge][]*spot // from the upper to the lower end
}

// Lay places the nodes and draws the edges.
func (g *Graph) Lay() {
	l := &layout{g: g, spots: map[string]*spot{}, paths: map[*Edge][]*spot{}}
	for _, n := range g.Nodes {
		l.spots[n.ID] = &spot{node: n, w: n.W}
	}
	g.Edges = slices.DeleteFunc(g.Edges, func(e *Edge) bool { return l.spots[e.From] == nil || l.spots[e.To] == nil })
	l.turn()
	l.rank()
	l.thread()
	l.order()
	l.align()
	l.place()
}

// turn marks the edges that lead back to a node on the way to their own.
func (l *layout) turn() {
	out := map[string][]*Edge{}
	for _, e := range l.g.Edges {
		out[e.From] = append(out[e.From], e)
	}
	state := map[string]int{} // 1 = on the way, 2 = done
	var visit func(id string)
	visit = func(id string) {
		state[id] = 1
		for _, e := range out[id] {
			switch state[e.To] {
			case 0:
				visit(e.To)
			case 1:
				e.Back = true
			}
		}
		state[id] = 2
	}
	for _, n := range l.g.Nodes {
		if state[n.ID] == 0 {
			visit(n.ID)
		}
	}
}

// ends gives an edge's upper and lower node.
func (e *Edge) ends() (upper, lower string) {
	if e.Back {
		return e.To, e.From
	}
	return e.From, e.To
}

// rank puts every node one layer below the lowest that leads to it, and then
// nodes that nothing leads to right above the first they lead to.
func (l *layout) rank() {
	for range l.g.Nodes { // as often as the longest way is long, at most
		moved := false
		for _, e := range l.g.Edges {
			if a, b := e.ends(); a != b && l.spots[b].layer <= l.spots[a].layer {
				l.spots[b].layer, moved = l.spots[a].layer+1, true
			}
		}
		if !moved {
			break
		}
	}
	for i, n := range l.g.Nodes {
		s := l.spots[n.ID]
		if i == 0 || s.layer > 0 {
			continue
		}
		near := math.MaxInt
		for _, e := range l.g.Edges {
			if a, b := e.ends(); a == n.ID && b != n.ID {
				near = min(near, l.spots[b].layer-1)
			}
		}
		if near < math.MaxInt {
			s.layer = max(0, near)
		}
	}
}

// thread fills the layers, with a spot wherever an edge passes through one.
// Edges to the same node pass together.
func (l *layout) thread() {
	add := func(s *spot) {
		for len(l.layers) <= s.layer {
			l.layers = append(l.layers, nil)
		}
		l.layers[s.layer] = append(l.layers[s.layer], s)
	}
	for _, n := range l.g.Nodes {
		add(l.spots[n.ID])
	}
	type passage struct {
		to    string
		back  bool
		layer int
	}
	passes := map[passage]*spot{}
	for _, e := range l.g.Edges {
		a, b := e.ends()
		at, end := l.spots[a], l.spots[b]
		if at == end {
			continue
		}
		path := []*spot{at}
		for at.layer+1 < end.layer {
			k := passage{b, e.Back, at.layer + 1}
			s := passes[k]
			if s == nil {
				s = &spot{w: 10, layer: k.layer}
				passes[k] = s
				add(s)
			}
			join(at, s)
			path = append(path, s)
			at = s
		}
		join(at, end)
		l.paths[e] = append(path, end)
	}
}

// join ties two spots, once.
func join(a, b *spot) {
	if !slices.Contains(a.down, b) {
		a.down, b.up = append(a.down, b), append(b.up, a)
	}
}

// order sorts each layer by the middle of its neighbours above, then below, and
// keeps the order with the fewest crossings.
func (l *layout) order() {
	for _, layer := range l.layers {
		for i, s := range layer {
			s.x = float64(i)
		}
	}
	best, fewest := l.snapshot(), l.crossings()
	for sweep := range 24 {
		for i := range l.layers {
			k, ends := i, func(s *spot) []*spot { return s.up }
			if sweep%2 == 1 {
				k, ends = len(l.layers)-1-i, func(s *spot) []*spot { return s.down }
			}
			layer := l.layers[k]
			at := map[*spot]float64{}
			for _, s := range layer {
				at[s] = s.x
				if ns := ends(s); len(ns) > 0 {
					at[s] = mean(ns)
				}
			}
			slices.SortStableFunc(layer, func(a, b *spot) int { return cmp.Compare(at[a], at[b]) })
			for j, s := range layer {
				s.x = float64(j)
			}
		}
		if n := l.crossings(); n < fewest {
			best, fewest = l.snapshot(), n
		}
	}
	l.layers = best
	for _, layer := range l.layers {
		for i, s := range layer {
			s.x = float64(i)
		}
	}
}

func mean(ns []*spot) float64 {
	sum := 0.0
	for _, n := range ns {
		sum += n.x
	}
	return sum / float64(len(ns))
}

func (l *layout) snapshot() [][]*spot {
	out := make([][]*spot, len(l.layers))
	for i, layer := range l.layers {
		out[i] = slices.Clone(layer)
	}
	return out
}

// crossings counts pairs of edges that cross between two layers.
func (l *layout) crossings() (n int) {
	for _, layer := range l.layers {
		for i, a := range layer {
			for _, b := range layer[i+1:] {
				for _, p := range a.down {
					for _, q := range b.down {
						if p.x > q.x {
							n++
						}
					}
				}
			}
		}
	}
	return n
}

// align gives each spot a place near the middle of its neighbours, in the order
// found and without boxes that touch.
func (l *layout) align() {
	for _, layer := range l.layers {
		x := 0.0
		for _, s := range layer {
			s.x = x + s.w/2
			x += s.w + gapX
		}
	}
	for round := range 16 {
		for i := range l.layers {
			k := i
			if round%2 == 1 {
				k = len(l.layers) - 1 - i
			}
			l.settle(l.layers[k])
		}
	}
}

// settle moves a layer's spots to where they wish to be, as far as they let
// each other: those that wish to overlap stand side by side about the middle of
// their wishes.
func (l *layout) settle(layer []*spot) {
	type block struct {
		spots []*spot
		sum   float64 // of wishes, each less its place in the block
		w     float64
		x     float64 // of the block's left side
	}
	var blocks []*block
	for _, s := range layer {
		wish := s.x
		if ns := slices.Concat(s.up, s.down); len(ns) > 0 {
			wish = mean(ns)
		}
		b := &block{spots: []*spot{s}, sum: wish - s.w/2, w: s.w, x: wish - s.w/2}
		for len(blocks) > 0 {
			last := blocks[len(blocks)-1]
			if last.x+last.w+gapX <= b.x {
				break
			}
			// Join: the new block's wishes, seen from the left side of the other.
			shift := last.w + gapX
			last.sum += b.sum - shift*float64(len(b.spots))
			last.spots = append(last.spots, b.spots...)
			last.w = shift + b.w
			last.x = last.sum / float64(len(last.spots))
			b = last
			blocks = blocks[:len(blocks)-1]
		}
		blocks = append(blocks, b)
	}
	for _, b := range blocks {
		x := b.x
		for _, s := range b.spots {
			s.x = x + s.w/2
			x += s.w + gapX
		}
	}
}

// place turns spots into boxes and edges into lines.
func (l *layout) place() {
	left := math.Inf(1)
	for _, layer := range l.layers {
		for _, s := range layer {
			left = min(left, s.x-s.w/2)
		}
	}
	y := float64(border)
	tops, highs := make([]float64, len(l.layers)), make([]float64, len(l.layers))
	for i, layer := range l.layers {
		for _, s := range layer {
			s.x += border - left
			l.g.W = max(l.g.W, s.x+s.w/2+border)
			if s.node != nil {
				highs[i] = max(highs[i], s.node.H)
			}
		}
		tops[i] = y
		y += highs[i] + gapY
	}
	l.g.H = max(0, y-gapY+border)
	for i, layer := range l.layers {
		for _, s := range layer {
			if s.node != nil {
				s.node.X, s.node.Y = s.x-s.w/2, tops[i]+(highs[i]-s.node.H)/2
			}
		}
	}
	for _, e := range l.g.Edges {
		l.line(e, tops, highs)
	}
}

// line draws an edge from box to box through the spots it passes.
func (l *layout) line(e *Edge, tops, highs []float64) {
	path := l.paths[e]
	if path == nil { // to itself: a loop at the right side
		n := l.spots[e.From].node
		x, y := n.X+n.W, n.Y+n.H/2
		e.Back = true
		e.Points = []Point{{x, y - 8}, {x + 20, y - 8}, {x + 20, y + 8}, {x, y + 8}}
		l.g.W = max(l.g.W, x+20+border)
		return
	}
	for i, s := range path {
		switch {
		case i == 0:
			e.Points = append(e.Points, Point{port(s, s.down, path[1]), s.node.Y + s.node.H})
		case i == len(path)-1:
			e.Points = append(e.Points, Point{port(s, s.up, path[i-1]), s.node.Y})
		default:
			e.Points = append(e.Points, Point{s.x, tops[s.layer]}, Point{s.x, tops[s.layer] + highs[s.layer]})
		}
	}
	if e.Back {
		slices.Reverse(e.Points)
	}
}

// port spreads the edges of one side of a box, in the order of their other ends.
func port(s *spot, ends []*spot, other *spot) float64 {
	sorted := slices.Clone(ends)
	slices.SortStableFunc(sorted, func(a, b *spot) int { return cmp.Compare(a.x, b.x) })
	i := slices.Index(sorted, other)
	return s.x + (float64(i)-float64(len(sorted)-1)/2)*min(22, s.w/float64(len(sorted)+1))
}
