package ui

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiff(t *testing.T) {
	t.Parallel()
	before := "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n"
	after := "a\nB\nc\nd\ne\nf\ng\nh\ni\nj\nk"
	want := []Hunk{
		{Lines: []DiffLine{{Same, 1, 1, "a"}, {Removed, 2, 0, "b"}, {Added, 0, 2, "B"}, {Same, 3, 3, "c"}, {Same, 4, 4, "d"}, {Same, 5, 5, "e"}}},
		{Lines: []DiffLine{{Same, 8, 8, "h"}, {Same, 9, 9, "i"}, {Same, 10, 10, "j"}, {Added, 0, 11, "k"}}},
	}
	if d := cmp.Diff(want, Diff(before, after)); d != "" {
		t.Error(d)
	}
	for _, same := range []string{"", "x", "x\n"} {
		if got := Diff(same, strings.TrimSuffix(same, "\n")); got != nil {
			t.Errorf("%q differs from itself: %v", same, got)
		}
	}
	if got := Diff("", "one\ntwo"); len(got) != 1 || len(got[0].Lines) != 2 || got[0].Lines[0].Change != Added || got[0].Lines[0].New != 1 {
		t.Errorf("a first version: %+v", got)
	}
}

// What people wrote is shown, never run, and a change has its sign and word
// beside its colour (WCAG 2.2, 1.4.1).
func TestDiffView(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := DiffView("<b>old</b>\n", "<script>new</script>\n").Render(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	for _, want := range []string{"&lt;b&gt;old", "&lt;script&gt;new", `class="diff-removed"`, `class="diff-added"`, "−</span>", "+</span>", `class="unseen"`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	if strings.Contains(got, "<script>") {
		t.Error("text of a diff is taken as markup")
	}
}
