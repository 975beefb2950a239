package httpx

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/tdewolff/parse/v2"
	"github.com/tdewolff/parse/v2/css"
)

var update = flag.Bool("update", false, "write the vendored files anew")

const vendored = "static/vendor"

// The style sheet sent is Tabler's without what no page of ours uses, and every
// vendored file lies there compressed as far as it goes, for it never changes between
// releases. `make generate` writes both.
func TestVendor(t *testing.T) {
	t.Parallel()
	full, err := os.ReadFile("testdata/tabler.min.css")
	if err != nil {
		t.Fatal(err)
	}
	lean, err := prune(full, usedWords(t))
	if err != nil {
		t.Fatal(err)
	}
	same(t, vendored+"/tabler.min.css", func() []byte { return lean }, func(have []byte) bool { return bytes.Equal(have, lean) })
	files, err := filepath.Glob(vendored + "/*.min.*s")
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		same(t, f+".br", func() []byte { return squeeze(t, raw) }, func(have []byte) bool {
			plain, err := io.ReadAll(brotli.NewReader(bytes.NewReader(have)))
			return err == nil && bytes.Equal(plain, raw)
		})
	}
}

// squeeze compresses as far as Brotli goes, which takes seconds.
func squeeze(t *testing.T, raw []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := brotli.NewWriterLevel(&b, brotli.BestCompression)
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// same reports a file that is not as it should be, or writes it.
func same(t *testing.T, name string, make func() []byte, good func(have []byte) bool) {
	t.Helper()
	have, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err == nil && good(have) {
		return
	}
	if !*update {
		t.Errorf("%s is not up to date: make generate", name)
		return
	}
	if err := os.WriteFile(name, make(), 0o644); err != nil {
		t.Fatal(err)
	}
}

var word = regexp.MustCompile(`[A-Za-z][A-Za-z0-9_-]*`)

// usedWords gives every word in what pages are made of: among them are all
// classes they can carry.
func usedWords(t *testing.T) map[string]bool {
	t.Helper()
	used := map[string]bool{}
	err := filepath.WalkDir("..", func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && (e.Name() == "testdata" || e.Name() == "vendor") {
			return fs.SkipDir
		}
		ours := strings.HasSuffix(p, ".templ") || strings.HasSuffix(p, ".js") ||
			strings.HasSuffix(p, ".go") && !strings.HasSuffix(p, "_test.go") && !strings.HasSuffix(p, "_templ.go")
		if e.IsDir() || !ours {
			return nil
		}
		raw, err := os.ReadFile(p)
		for _, w := range word.FindAll(raw, -1) {
			used[string(w)] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return used
}

// prune gives a style sheet without the rules that need a class that is not used.
func prune(sheet []byte, used map[string]bool) ([]byte, error) {
	p := css.NewParser(parse.NewInputBytes(sheet), false)
	blocks := []*bytes.Buffer{{}} // the sheet, and the at-rules that are open
	heads := []string{""}
	var selectors []string
	keep := false
	for {
		kind, _, data := p.Next()
		out := blocks[len(blocks)-1]
		switch kind {
		case css.ErrorGrammar:
			if err := p.Err(); !errors.Is(err, io.EOF) {
				return nil, err
			}
			return blocks[0].Bytes(), nil
		case css.CommentGrammar:
			out.Write(data)
		case css.AtRuleGrammar:
			out.WriteString(string(data) + values(p) + ";")
		case css.BeginAtRuleGrammar:
			blocks, heads = append(blocks, &bytes.Buffer{}), append(heads, string(data)+values(p))
			keep = true
		case css.EndAtRuleGrammar:
			blocks = blocks[:len(blocks)-1]
			if out.Len() > 0 {
				blocks[len(blocks)-1].WriteString(heads[len(heads)-1] + "{" + out.String() + "}")
			}
			heads = heads[:len(heads)-1]
		case css.QualifiedRuleGrammar, css.BeginRulesetGrammar:
			if needed(p.Values(), used) {
				selectors = append(selectors, values(p))
			}
			if kind == css.BeginRulesetGrammar {
				if keep = len(selectors) > 0; keep {
					out.WriteString(strings.Join(selectors, ",") + "{")
				}
				selectors = nil
			}
		case css.DeclarationGrammar, css.CustomPropertyGrammar:
			if keep {
				out.WriteString(string(data) + ":" + values(p) + ";")
			}
		case css.EndRulesetGrammar:
			if keep {
				out.Truncate(len(strings.TrimSuffix(out.String(), ";")))
				out.WriteString("}")
			}
			keep = true // declarations of the at-rule around it
		}
	}
}

func values(p *css.Parser) string {
	var b strings.Builder
	for _, v := range p.Values() {
		b.Write(v.Data)
	}
	return b.String()
}

// needed reports whether something on our pages can match a selector: every
// class outside its parentheses is used.
func needed(sel []css.Token, used map[string]bool) bool {
	depth := 0
	for i, v := range sel {
		switch v.TokenType {
		case css.FunctionToken, css.LeftParenthesisToken:
			depth++
		case css.RightParenthesisToken:
			depth--
		case css.IdentToken:
			if depth == 0 && i > 0 && string(sel[i-1].Data) == "." && !used[string(v.Data)] {
				return false
			}
		}
	}
	return true
}
