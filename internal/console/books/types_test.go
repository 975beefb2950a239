package books

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"parley/internal/httpx/words"
)

var update = flag.Bool("update", false, "write the table of types into docs/ledger.md")

const (
	typesDoc   = "../../../docs/ledger.md"
	typesBegin = "<!-- types: go test ./internal/console/books -run Types -update -->\n"
	typesEnd   = "<!-- /types -->"
)

// Whoever reads the ledger, or subscribes to its events, finds in
// docs/ledger.md what each type says.
func TestTypesAreDocumented(t *testing.T) {
	t.Parallel()
	var m map[string][]string
	if err := yaml.Unmarshal(typesFile, &m); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| type | says | 中文 |\n|---|---|---|\n")
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		if len(m[k]) != 2 || m[k][0] == "" || m[k][1] == "" {
			t.Errorf("%s: %q is not a Chinese and an English word", k, m[k])
			continue
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k, m[k][1], m[k][0])
	}
	raw, err := os.ReadFile(typesDoc)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), typesBegin)
	got, after, ok2 := strings.Cut(rest, typesEnd)
	if !ok || !ok2 {
		t.Fatal("docs/ledger.md has lost the marks of the table")
	}
	if got != b.String() {
		if !*update {
			t.Fatal("the table of types in docs/ledger.md is old: go test ./internal/console/books -run Types -update")
		}
		if err := os.WriteFile(typesDoc, []byte(before+typesBegin+b.String()+typesEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if word, ok := Type(words.With(context.Background(), words.En), "gate.decided"); !ok || word != "decision" {
		t.Errorf("gate.decided: %q", word)
	}
	if _, ok := Type(context.Background(), "test.done"); ok {
		t.Error("a type without words has words")
	}
}
