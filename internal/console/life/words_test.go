package life

import (
	"os"
	"testing"
)

// Every sentence is there in both languages, and every key a page names exists.
func TestWords(t *testing.T) {
	t.Parallel()
	flaws, asked := book.Flaws(os.DirFS("."))
	for _, f := range flaws {
		t.Error(f)
	}
	if asked < 30 {
		t.Fatalf("only %d keys found: the pattern has gone stale", asked)
	}
}
