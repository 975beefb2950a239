package words

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestBothLanguagesHaveTheSameKeysAndPlaces(t *testing.T) {
	t.Parallel()
	if err := Check(); err != nil {
		t.Fatal(err)
	}
	places := regexp.MustCompile(`\{\d\}`)
	for _, l := range Langs() {
		for _, k := range Keys(l) {
			if !Has(k) {
				t.Errorf("%s is only in %s", k, l)
				continue
			}
			a, b := places.FindAllString(In(l, k), -1), places.FindAllString(In(l.Other(), k), -1)
			slices.Sort(a)
			slices.Sort(b)
			if !slices.Equal(slices.Compact(a), slices.Compact(b)) {
				t.Errorf("%s: %s fills %v, %s fills %v", k, l, a, l.Other(), b)
			}
		}
	}
}

// Every key a page asks for by name exists; a key built from a value
// ("role."+r) must at least have its family.
func TestEveryKeyAskedForExists(t *testing.T) {
	t.Parallel()
	ask := regexp.MustCompile(`(?:words\.T\(ctx, |words\.In\([^"]+, |\bt\(ctx, |\.Wrong\("[^"]+", |Key: +|Flash\{Key: )"([a-z_]+\.[a-z0-9_.]+)"( ?\+)?`)
	families := map[string]bool{}
	for _, k := range Keys(Zh) {
		for i, c := range k {
			if c == '.' || c == '_' {
				families[k[:i+1]] = true
			}
		}
	}
	n := 0
	for _, dir := range []string{"..", "../../console", "../../portal"} {
		err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || strings.HasSuffix(p, "_templ.go") || strings.HasSuffix(p, "_test.go") ||
				!(strings.HasSuffix(p, ".go") || strings.HasSuffix(p, ".templ")) {
				return err
			}
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			for _, m := range ask.FindAllSubmatch(b, -1) {
				n++
				key, built := string(m[1]), len(m[2]) > 0
				if built && !families[key] || !built && !Has(key) {
					t.Errorf("%s asks for %q, which no language file has", p, key)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n < 20 {
		t.Fatalf("only %d keys found: the pattern has gone stale", n)
	}
}

func TestMissingKeyShowsItself(t *testing.T) {
	t.Parallel()
	if got := In(Zh, "no.such.key"); got != "no.such.key" {
		t.Fatalf("got %q", got)
	}
}

// No sentence is left behind when its page goes: every key is asked for
// somewhere, by name or from a value.
func TestEveryKeyIsUsed(t *testing.T) {
	t.Parallel()
	said := literals{}
	err := filepath.WalkDir("../..", func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasSuffix(p, "_templ.go") || strings.HasSuffix(p, "_test.go") ||
			!(strings.HasSuffix(p, ".go") || strings.HasSuffix(p, ".templ")) {
			return err
		}
		b, err := os.ReadFile(p)
		said.read(string(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range Keys(Zh) {
		if !said.use(k) {
			t.Errorf("no page says %s", k)
		}
	}
}
