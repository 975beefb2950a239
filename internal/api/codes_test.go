package api

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"parley/internal/errs"
)

var update = flag.Bool("update", false, "write the table of codes into docs/api.md")

const (
	docFile    = "../../docs/api.md"
	tableBegin = "<!-- codes: go test ./internal/api -run Codes -update -->\n"
	tableEnd   = "<!-- /codes -->"
)

// refusals reads every errs.New with a fixed code in the rooms the API stands on.
func refusals(t *testing.T) map[string]*errs.Error {
	t.Helper()
	kinds := map[string]errs.Kind{"Internal": errs.Internal, "Invalid": errs.Invalid, "NotFound": errs.NotFound, "Forbidden": errs.Forbidden,
		"Conflict": errs.Conflict, "Refused": errs.Refused, "Busy": errs.Busy}
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}} {{.Dir}}{{end}}", "parley/internal/api").Output()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*errs.Error{}
	for line := range strings.Lines(string(out)) {
		path, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !strings.HasPrefix(path, "parley/") {
			continue
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), f, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) != 4 {
					return true
				}
				sel, ok := call.Fun.(*ast.SelectorExpr)
				if !ok || sel.Sel.Name != "New" || fmt.Sprint(sel.X) != "errs" {
					return true
				}
				code, ok := text(call.Args[1])
				if !ok {
					return true
				}
				kind, ok := call.Args[0].(*ast.SelectorExpr)
				if !ok {
					return true
				}
				en, _ := text(call.Args[3])
				if old := found[code]; old == nil || old.En == "" {
					found[code] = errs.New(kinds[kind.Sel.Name], code, "", en)
				}
				return true
			})
		}
	}
	// Codes that are made while the program runs.
	found["refused"] = errs.New(errs.Refused, "refused", "", "A rule forbids the contact now; rule names it.")
	found["obligation_unmet"] = errs.New(errs.Refused, "obligation_unmet", "", "Not every obligation of this contact is undertaken, so it must not be made.")
	found["internal"] = errs.New(errs.Internal, "internal", "", "Something went wrong on our side; the request may be repeated.")
	return found
}

// text gives a string that is written out, concatenations included; what is
// computed in the middle shows as an ellipsis.
func text(e ast.Expr) (string, bool) {
	switch x := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(x.Value)
		return s, err == nil && x.Kind == token.STRING
	case *ast.BinaryExpr:
		a, ok := text(x.X)
		b, ok2 := text(x.Y)
		if !ok && !ok2 {
			return "", false
		}
		if !ok {
			a = "…"
		}
		if !ok2 {
			b = "…"
		}
		return a + b, true
	}
	return "", false
}

func table(codes map[string]*errs.Error) string {
	var b strings.Builder
	b.WriteString("| code | status | what it says |\n|---|---|---|\n")
	var names []string
	for c := range codes {
		names = append(names, c)
	}
	slices.Sort(names)
	for _, c := range names {
		e := codes[c]
		fmt.Fprintf(&b, "| `%s` | %d | %s |\n", c, statusOf(e), strings.ReplaceAll(strings.ReplaceAll(e.En, "\n", " "), "|", `\|`))
	}
	return b.String()
}

// Every refusal a caller can meet has a stable code, and docs/api.md lists it.
func TestCodesAreDocumented(t *testing.T) {
	t.Parallel()
	want := table(refusals(t))
	if n := strings.Count(want, "\n"); n < 60 {
		t.Fatalf("only %d codes found: the test no longer sees them", n)
	}
	raw, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), tableBegin)
	got, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatal("docs/api.md has lost the marks of the table")
	}
	if got == want {
		return
	}
	if !*update {
		t.Fatal("the table of codes in docs/api.md is old: go test ./internal/api -run Codes -update")
	}
	if err := os.WriteFile(docFile, []byte(before+tableBegin+want+tableEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
