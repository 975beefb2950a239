package portal

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"parley/internal/httpx/words"
)

func TestBothLanguagesSayEverythingThatIsAskedFor(t *testing.T) {
	t.Parallel()
	b, err := book()
	if err != nil {
		t.Fatal(err)
	}
	places := regexp.MustCompile(`\{\d\}`)
	for _, l := range words.Langs() {
		for k, s := range b[l] {
			o, ok := b[l.Other()][k]
			if !ok {
				t.Errorf("%s is only in %s", k, l)
			}
			x, y := places.FindAllString(s, -1), places.FindAllString(o, -1)
			slices.Sort(x)
			slices.Sort(y)
			if !slices.Equal(x, y) {
				t.Errorf("%s fills %v and %v", k, x, y)
			}
		}
	}
	ask, n := regexp.MustCompile(`say\(ctx, "([a-z0-9_]+)"[,)]`), 0
	for _, pattern := range []string{"*.go", "*.templ"} {
		files, _ := filepath.Glob(pattern)
		for _, f := range files {
			raw, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range ask.FindAllSubmatch(raw, -1) {
				n++
				if _, ok := b[words.Zh][string(m[1])]; !ok {
					t.Errorf("%s asks for %s", f, m[1])
				}
			}
		}
	}
	for _, k := range []string{"open", "taken", "proposed", "answered", "review", "closed"} {
		if _, ok := b[words.Zh]["state_"+k]; !ok {
			t.Errorf("state %s has no sentence", k)
		}
	}
	if n < 50 {
		t.Fatalf("only %d keys found: the pattern has gone stale", n)
	}
}
