package ui

import (
	"bytes"
	"go/format"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/a-h/templ"
	"github.com/a-h/templ/generator"
	parser "github.com/a-h/templ/parser/v2"
)

// What is committed is what "go tool templ generate -path internal" makes of
// the components now.
func TestGeneratedCodeIsCurrent(t *testing.T) {
	t.Parallel()
	const internal = "../.."
	n := 0
	err := filepath.WalkDir(internal, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(p, ".templ") {
			return err
		}
		n++
		tree, err := parser.Parse(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(internal, p)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if _, err := generator.Generate(tree, &b, generator.WithFileName(filepath.ToSlash(rel)), generator.WithVersion(templ.Version())); err != nil {
			return err
		}
		want, err := format.Source(b.Bytes())
		if err != nil {
			return err
		}
		have, err := os.ReadFile(strings.TrimSuffix(p, ".templ") + "_templ.go")
		if err != nil {
			return err
		}
		if !bytes.Equal(have, want) {
			t.Errorf("%s has changed since its code was made: run go tool templ generate -path internal", rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 5 {
		t.Fatalf("only %d components found", n)
	}
}
