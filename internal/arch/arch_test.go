// Package arch holds the rules about the code itself: who may import whom,
// what SQL both engines understand, how large a file may grow.
package arch

import (
	"bufio"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "parley/"

// may is the import map: a room may import what stands on its right, no more.
// Imports follow time: a later step may import an earlier fact (docs/architecture.md).
var may = map[string]string{
	// words
	"internal/contact":  "",
	"internal/errs":     "",
	"internal/calendar": "packs", // the calendars a lawyer reads beside the rules
	"internal/limit":    "",
	"internal/mask":     "",
	"internal/money":    "internal/errs",
	"internal/phone":    "internal/errs",
	"internal/region":   "internal/errs",
	// ground
	"internal/db":        "internal/errs",
	"internal/db/pgtemp": "",
	"internal/db/dbtest": "internal/db internal/db/pgtemp",
	"internal/ledger":    "internal/db internal/contact internal/errs",
	"internal/blob":      "internal/errs",
	// four eyes: it knows no domain, and whatever needs a second person stands on it
	"internal/approval":              "internal/db internal/ledger internal/contact internal/errs",
	"internal/approval/approvaltest": "internal/approval internal/party internal/db",
	// wires: they know no bank
	"internal/voice":       "internal/voice/media internal/contact internal/errs",
	"internal/voice/media": "internal/contact internal/errs",
	"internal/mail":        "internal/contact internal/errs",
	"internal/prompt":      "internal/errs",
	// domain
	"packs":               "",
	"internal/party":      "internal/db internal/ledger internal/phone internal/mask internal/contact internal/errs",
	"internal/consent":    "internal/db internal/ledger internal/contact internal/errs",
	"internal/roster":     "internal/mask internal/db internal/ledger internal/party internal/consent internal/phone internal/region internal/contact internal/errs",
	"internal/policy":     "internal/contact internal/errs internal/calendar packs",
	"internal/gate":       "internal/trace internal/policy internal/consent internal/ledger internal/db internal/contact internal/errs",
	"internal/whatif":     "internal/policy internal/calendar internal/contact internal/errs",
	"internal/rulebook":   "internal/gate internal/policy internal/calendar internal/approval internal/ledger internal/db internal/contact internal/errs",
	"internal/campaign":   "internal/approval internal/db internal/ledger internal/contact internal/errs",
	"internal/dialer":     "internal/campaign internal/contact internal/errs",
	"internal/outbound":   "internal/trace internal/gate internal/policy internal/voice internal/voice/media internal/blob internal/campaign internal/party internal/consent internal/prompt internal/mail internal/ledger internal/db internal/contact internal/errs",
	"internal/holidays":   "internal/calendar internal/approval internal/ledger internal/db internal/contact internal/errs",
	"internal/template":   "internal/approval internal/ledger internal/db internal/contact internal/errs",
	"internal/complaint":  "internal/template internal/approval internal/calendar internal/policy internal/money internal/consent internal/ledger internal/db internal/contact internal/errs",
	"internal/remedy":     "internal/complaint internal/consent internal/money internal/ledger internal/db internal/contact internal/errs",
	"internal/trace":      "internal/contact internal/errs",
	"internal/telemetry":  "internal/trace",
	"internal/machine":    "",
	"internal/apikey":     "internal/db internal/ledger internal/contact internal/errs",
	"internal/disclosure": "internal/db internal/ledger internal/contact internal/errs",
	// ports of this machine, for tests and measurements
	"internal/machine/port": "",
	// a mail server for tests
	"internal/mail/mailtest": "internal/machine/port",
	// visitors of the customer pages
	"internal/access/customer": "internal/party internal/db internal/ledger internal/contact internal/errs",
	"internal/webhook":         "internal/db internal/ledger internal/contact internal/errs",
	"internal/access":          "internal/approval internal/limit internal/db internal/ledger internal/contact internal/errs",
	// faces
	"internal/httpx":             "internal/errs internal/contact",
	"internal/httpx/ui":          "internal/httpx internal/httpx/words",
	"internal/httpx/words":       "",
	"internal/httpx/browsertest": "",
	"internal/httpx/wave":        "",
	"internal/httpx/errand":      "",
	"internal/httpx/sheet":       "",
	"internal/console": "internal/apikey internal/webhook internal/rulebook internal/disclosure internal/mask internal/approval internal/limit internal/httpx internal/httpx/ui internal/httpx/words internal/httpx/wave internal/access internal/db internal/ledger internal/party internal/phone internal/region internal/consent internal/policy internal/gate " +
		"internal/campaign internal/outbound internal/dialer internal/complaint internal/remedy internal/money internal/blob internal/prompt internal/holidays internal/template internal/calendar internal/contact internal/errs internal/voice/media",
	"internal/console/templates":       "internal/console/frame internal/httpx internal/httpx/ui internal/httpx/words internal/access internal/approval internal/complaint internal/template internal/party internal/mask internal/db internal/contact internal/errs",
	"internal/console/calendars":       "internal/console/frame internal/httpx internal/httpx/ui internal/httpx/words internal/access internal/approval internal/holidays internal/calendar internal/db internal/contact internal/errs",
	"internal/console/frame":           "internal/mask internal/httpx internal/access internal/db internal/ledger internal/policy internal/gate internal/campaign internal/outbound internal/complaint internal/party internal/contact internal/calendar internal/errs",
	"internal/console/frame/frametest": "internal/console/frame internal/httpx internal/access internal/db internal/contact",
	"internal/httpx/flow":              "",
	"internal/console/screen":          "internal/console/frame internal/httpx internal/campaign internal/policy internal/contact internal/errs",
	"internal/console/scripts":         "internal/console/frame internal/httpx internal/access internal/campaign internal/prompt internal/db internal/contact internal/errs",
	"internal/console/life":            "internal/console/frame internal/httpx internal/access internal/db internal/consent internal/gate internal/outbound internal/complaint internal/remedy internal/policy internal/contact",
	"internal/console/cases": "internal/console/reveal internal/disclosure internal/mask internal/approval internal/console/frame internal/httpx internal/access internal/db internal/ledger internal/party internal/phone internal/consent internal/policy internal/gate " +
		"internal/campaign internal/outbound internal/complaint internal/remedy internal/money internal/calendar internal/contact internal/errs",
	"internal/console/people":    "internal/console/frame internal/limit internal/httpx internal/access internal/approval internal/db internal/contact internal/errs",
	"internal/console/rules":     "internal/console/frame internal/httpx internal/access internal/approval internal/rulebook internal/gate internal/policy internal/contact internal/errs",
	"internal/console/consents":  "internal/console/frame internal/httpx internal/access internal/db internal/party internal/phone internal/consent internal/roster internal/mask internal/contact internal/errs",
	"internal/console/books":     "internal/machine internal/console/frame internal/httpx internal/access internal/db internal/ledger internal/gate internal/policy internal/prompt internal/contact internal/errs",
	"internal/console/machines":  "internal/console/frame internal/httpx internal/access internal/apikey internal/approval internal/webhook internal/db internal/contact internal/errs",
	"internal/console/reveal":    "internal/console/frame internal/httpx internal/access internal/approval internal/complaint internal/disclosure internal/ledger internal/db internal/mask internal/party internal/contact internal/errs",
	"internal/console/approvals": "internal/console/frame internal/httpx internal/access internal/approval internal/db internal/mask internal/contact internal/errs",
	"internal/portal": "internal/access/customer internal/disclosure internal/mask internal/limit internal/httpx internal/httpx/ui internal/httpx/words internal/httpx/wave internal/access internal/db internal/ledger internal/party internal/phone internal/consent internal/policy internal/gate " +
		"internal/campaign internal/outbound internal/complaint internal/remedy internal/money internal/blob internal/calendar internal/contact internal/errs",
	"internal/api": "internal/disclosure internal/mask internal/httpx internal/apikey internal/webhook internal/db internal/ledger internal/party internal/phone internal/region internal/consent internal/policy internal/gate " +
		"internal/campaign internal/outbound internal/complaint internal/contact internal/errs",
	// the simulated world
	"internal/sim": "internal/prompt internal/contact internal/errs",
	// whole: may import everything below
	"internal/app":         "*",
	"internal/app/measure": "*",
	"internal/bench":       "*",
	"cmd/parley":           "*",
	"internal/arch":        "",
	"e2e":                  "*",
	"e2e/portal":           "*",
}

// wires may be imported by these alone: there is no other way out to a customer.
var wires = map[string][]string{
	"internal/voice": {"internal/outbound", "internal/hotline", "internal/app", "internal/bench"},
	"internal/mail":  {"internal/outbound", "internal/hotline", "internal/app", "internal/bench"},
}

// within reports whether dep is an inner part of a room that room may import:
// httpx is one house with its words and components.
func within(allowed, dep string) bool {
	house, _, inner := strings.Cut(strings.TrimPrefix(dep, "internal/"), "/")
	return inner && house == "httpx" && slices.Contains(strings.Fields(allowed), "internal/httpx")
}

type listed struct {
	ImportPath string
	Imports    []string
}

func rooms(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var ls []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var l listed
		if err := dec.Decode(&l); errors.Is(err, io.EOF) {
			return ls
		} else if err != nil {
			t.Fatal(err)
		}
		ls = append(ls, l)
	}
}

const root = "../.."

func TestImportMap(t *testing.T) {
	t.Parallel()
	for _, l := range rooms(t) {
		room := strings.TrimPrefix(l.ImportPath, module)
		allowed, known := may[room]
		if !known {
			t.Errorf("%s is not in the import map: say there what it may import", room)
			continue
		}
		for _, imp := range l.Imports {
			dep, ours := strings.CutPrefix(imp, module)
			if !ours || strings.HasPrefix(dep, room+"/") || within(allowed, dep) {
				continue
			}
			if only, wire := wires[dep]; wire && !slices.Contains(only, room) {
				t.Errorf("%s imports the wire %s; only %v may", room, dep, only)
			}
			if allowed != "*" && !slices.Contains(strings.Fields(allowed), dep) {
				t.Errorf("%s must not import %s", room, dep)
			}
			if allowed == "*" && room != "cmd/parley" && dep == "internal/app" && room != "e2e" && room != "internal/app/measure" {
				t.Errorf("%s imports the composition root", room)
			}
		}
	}
}

func goFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && (e.Name() == ".git" || e.Name() == "testdata") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(p, ".go") {
			files = append(files, p)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var (
	sqlStart = regexp.MustCompile(`(?is)^\s*(SELECT|INSERT INTO|UPDATE \w+ SET|UPDATE \w+\s|DELETE FROM|WITH \w+)\b`)
	// What only one of the engines understands, or understands differently.
	notPortable = regexp.MustCompile(`(?i)now\(\)|::\w|\bILIKE\b|\bANY\s*\(|INSERT OR |datetime\(|strftime\(|CURRENT_TIMESTAMP|\bIFNULL\(|->>|json_extract|FOR UPDATE|SKIP LOCKED|\?\d`)
	oneEngine   = map[string]bool{"internal/db/dialect.go": true, "internal/db/dbtest/dbtest.go": true, "internal/db/pgtemp/pgtemp.go": true}
)

// SQL is written once, in the dialect both engines share (docs/architecture.md).
func TestSQLIsPortable(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, p := range goFiles(t) {
		rel, err := filepath.Rel(root, p)
		if err != nil {
			t.Fatal(err)
		}
		if oneEngine[rel] || strings.HasPrefix(rel, "internal/bench/") || strings.HasPrefix(rel, "internal/arch/") {
			continue
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, p, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			s, err := strconv.Unquote(lit.Value)
			if err != nil || !sqlStart.MatchString(s) {
				return true
			}
			seen++
			if bad := notPortable.FindString(s); bad != "" {
				t.Errorf("%s: SQL with %q is not portable", fset.Position(lit.Pos()), bad)
			}
			return true
		})
	}
	if seen < 10 {
		t.Errorf("only %d SQL texts found: the test no longer sees them", seen)
	}
}

var created = regexp.MustCompile(`(?i)CREATE TABLE (\w+)`)

// SQL lives with the package that owns the table: the migration file NNNN_room.sql
// names the owner, and no other package's SQL names the table.
func TestTablesHaveOneOwner(t *testing.T) {
	t.Parallel()
	owner := map[string]string{}
	files, err := filepath.Glob(root + "/internal/db/migrations/sqlite/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal("no migrations", err)
	}
	for _, f := range files {
		room := strings.TrimSuffix(filepath.Base(f), ".sql")
		_, room, _ = strings.Cut(room, "_")
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range created.FindAllStringSubmatch(string(b), -1) {
			owner[m[1]] = room
		}
	}
	owner["clock"] = "db"
	named := regexp.MustCompile(`(?i)\b(?:FROM|JOIN|INTO|UPDATE)\s+([a-z_]+)\b`)
	for _, p := range goFiles(t) {
		rel, _ := filepath.Rel(root, p)
		if strings.HasSuffix(p, "_test.go") || strings.HasPrefix(rel, "internal/bench/") {
			continue
		}
		room := filepath.Base(filepath.Dir(p))
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, p, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			s, err := strconv.Unquote(lit.Value)
			if err != nil || !sqlStart.MatchString(s) {
				return true
			}
			for _, m := range named.FindAllStringSubmatch(s, -1) {
				if o, ok := owner[m[1]]; ok && o != room {
					t.Errorf("%s: table %s belongs to %s", fset.Position(lit.Pos()), m[1], o)
				}
			}
			return true
		})
	}
}

const maxLines = 600

// A file over 600 lines has a second noun in it.
func TestFilesStaySmall(t *testing.T) {
	t.Parallel()
	for _, p := range goFiles(t) {
		if strings.HasSuffix(p, "_templ.go") {
			continue
		}
		limit := maxLines
		if strings.HasSuffix(p, "_test.go") {
			limit = 1000
		}
		f, err := os.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		sc := bufio.NewScanner(f)
		sc.Buffer(nil, 1<<20)
		for sc.Scan() {
			n++
		}
		f.Close()
		if n > limit {
			t.Errorf("%s has %d lines, more than %d", p, n, limit)
		}
	}
}

// Rooms are nouns of the trade.
func TestNoJunkDrawers(t *testing.T) {
	t.Parallel()
	banned := []string{"util", "utils", "common", "models", "types", "helpers", "services", "managers", "misc"}
	for _, l := range rooms(t) {
		if slices.Contains(banned, filepath.Base(l.ImportPath)) {
			t.Errorf("%s is a drawer, not a room", l.ImportPath)
		}
	}
}
