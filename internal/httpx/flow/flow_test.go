package flow

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// Whatever the graph: no two boxes touch, edges that do not go back run
// downwards from box to box, and everything is inside the drawing.
func TestLay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := &Graph{}
		n := rapid.IntRange(1, 14).Draw(t, "nodes")
		for i := range n {
			g.Nodes = append(g.Nodes, &Node{ID: fmt.Sprint(i), W: 150, H: 50})
		}
		for range rapid.IntRange(0, 24).Draw(t, "edges") {
			g.Edges = append(g.Edges, &Edge{From: fmt.Sprint(rapid.IntRange(0, n).Draw(t, "from")), To: fmt.Sprint(rapid.IntRange(0, n).Draw(t, "to"))})
		}
		g.Lay()
		at := map[string]*Node{}
		for i, a := range g.Nodes {
			at[a.ID] = a
			if a.X < 0 || a.Y < 0 || a.X+a.W > g.W+1e-6 || a.Y+a.H > g.H+1e-6 {
				t.Fatalf("%+v is outside %v × %v", a, g.W, g.H)
			}
			for _, b := range g.Nodes[:i] {
				if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
					t.Fatalf("%+v and %+v touch", a, b)
				}
			}
		}
		for _, e := range g.Edges {
			a, b := at[e.From], at[e.To]
			if a == nil || b == nil || len(e.Points) < 2 {
				t.Fatalf("%+v joins nothing", e)
			}
			first, last := e.Points[0], e.Points[len(e.Points)-1]
			if !e.Back && (first.Y != a.Y+a.H || last.Y != b.Y || first.Y >= last.Y) {
				t.Fatalf("%+v does not run down from %+v to %+v", e, a, b)
			}
			if first.X < a.X-1e-6 || first.X > a.X+a.W+1e-6 || last.X < b.X-1e-6 || last.X > b.X+b.W+1e-6 {
				t.Fatalf("%+v begins or ends beside its box", e)
			}
		}
	})
}

// A flow whose ways need not cross is drawn without a crossing.
func TestNoNeedlessCrossing(t *testing.T) {
	t.Parallel()
	g := &Graph{}
	for _, id := range []string{"start", "a", "b", "c", "a1", "b1", "c1", "end"} {
		g.Nodes = append(g.Nodes, &Node{ID: id, W: 100, H: 40})
	}
	for _, e := range [][2]string{{"start", "c"}, {"start", "a"}, {"start", "b"}, {"b", "b1"}, {"c", "c1"}, {"a", "a1"}, {"a1", "end"}, {"c1", "end"}, {"b1", "end"}, {"start", "end"}} {
		g.Edges = append(g.Edges, &Edge{From: e[0], To: e[1]})
	}
	l := &layout{g: g, spots: map[string]*spot{}, paths: map[*Edge][]*spot{}}
	for _, n := range g.Nodes {
		l.spots[n.ID] = &spot{node: n, w: n.W}
	}
	l.turn()
	l.rank()
	l.thread()
	l.order()
	if n := l.crossings(); n != 0 {
		t.Errorf("%d crossings", n)
	}
}
