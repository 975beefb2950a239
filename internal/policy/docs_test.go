package policy_test

import (
	"os"
	"strings"
	"testing"

	"parley/internal/policy"
)

// fences gives the blocks of docs/packs.md that are marked so.
func fences(t testing.TB, mark string) (blocks []string) {
	t.Helper()
	raw, err := os.ReadFile("../../docs/packs.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(raw), "```yaml"+mark+"\n")[1:] {
		block, _, _ := strings.Cut(part, "```")
		blocks = append(blocks, block)
	}
	return blocks
}

// TestDocs: every example of the language's page is a rule that parses, and
// together they show every body.
func TestDocs(t *testing.T) {
	t.Parallel()
	head := strings.Replace(fences(t, " pack")[0], "rules: []", "rules:", 1)
	p, err := policy.Parse("packs.md", []byte(head+strings.Join(fences(t, " rule"), "")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := policy.Compose(p); err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, r := range p.Rules {
		shown[r.Kind()] = true
	}
	for _, k := range policy.Kinds() {
		if !shown[k] {
			t.Errorf("docs/packs.md shows no rule of kind %s", k)
		}
	}
}
