package cases

import (
	"context"
	"os"
	"testing"

	"parley/internal/complaint"
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
	for _, s := range states() {
		if !book.Has("state." + string(s)) {
			t.Errorf("no word for state %s", s)
		}
	}
	for _, r := range []complaint.Result{complaint.Upheld, complaint.Partly, complaint.NotUpheld} {
		if !book.Has("result." + string(r)) {
			t.Errorf("no word for result %s", r)
		}
	}
	if got := say(words.With(context.Background(), words.En), "cue_key", "2"); got != "key 2" {
		t.Errorf("say: %q", got)
	}
}
