package reveal

import (
	"context"
	"os"
	"testing"

	"parley/internal/disclosure"
	"parley/internal/httpx/words"
)

// Every sentence is there in both languages, fills the same places, and every
// key a page names exists; every field and reason has its words.
func TestWords(t *testing.T) {
	t.Parallel()
	flaws, asked := book.Flaws(os.DirFS("."))
	for _, f := range flaws {
		t.Error(f)
	}
	if asked < 20 {
		t.Fatalf("only %d keys found: the pattern has gone stale", asked)
	}
	for _, r := range disclosure.Reasons() {
		if !book.Has("why." + string(r)) {
			t.Errorf("the reason %s has no words", r)
		}
	}
	for _, f := range []disclosure.Field{disclosure.Name, disclosure.Phone, disclosure.Email, disclosure.IDNumber, disclosure.Card, disclosure.Address,
		disclosure.Words, disclosure.Recording, disclosure.Record, disclosure.Export} {
		if !book.Has("what." + string(f)) {
			t.Errorf("the field %s has no words", f)
		}
	}
	if got := say(words.With(context.Background(), words.En), "bulk_title", 7); got != "Data of 7 customers in clear" {
		t.Errorf("say: %q", got)
	}
}
