package books

import (
	"context"
	"os"
	"testing"

	"parley/internal/httpx/words"
)

// Every sentence is there in both languages, fills the same places, and every
// key a page names exists.
func TestWords(t *testing.T) {
	t.Parallel()
	flaws, asked := book.Flaws(os.DirFS("."))
	for _, f := range flaws {
		t.Error(f)
	}
	if asked < 40 {
		t.Fatalf("only %d keys found: the pattern has gone stale", asked)
	}
	if got := say(words.With(context.Background(), words.En), "problem_entry", 7); got != "entry 7" {
		t.Errorf("say: %q", got)
	}
}
