package db

import (
	"slices"
	"testing"
)

// A page knows what lies on both sides of it, whichever way it was reached.
func TestCut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		rows          []int
		span          Span
		page          []int
		before, after bool
	}{
		{"only page", []int{1, 2}, Span{N: 2}, []int{1, 2}, false, false},
		{"first of more", []int{1, 2, 3}, Span{N: 2}, []int{1, 2}, false, true},
		{"last", []int{3}, Span{At: "2", N: 2}, []int{3}, true, false},
		{"back to the start", []int{2, 1}, Span{At: "3", Back: true, N: 2}, []int{1, 2}, false, true},
		{"back within", []int{4, 3, 2}, Span{At: "5", Back: true, N: 2}, []int{3, 4}, true, true},
		{"nothing", nil, Span{N: 2}, nil, false, false},
	} {
		page, before, after := Cut(c.rows, c.span)
		if !slices.Equal(page, c.page) || before != c.before || after != c.after {
			t.Errorf("%s: %v %v %v", c.name, page, before, after)
		}
	}
}
