package words

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
)

// Book holds the sentences of one room of pages, which keeps them beside its
// pages as key: [Chinese, English].
type Book struct {
	read func() (map[string][]string, error)
}

// NewBook makes the book of a room from its words file; it is read once, when
// first used.
func NewBook(room string, file []byte) *Book {
	return &Book{read: sync.OnceValues(func() (map[string][]string, error) {
		var m map[string][]string
		if err := yaml.UnmarshalWithOptions(file, &m, yaml.Strict()); err != nil {
			return nil, fmt.Errorf("words of %s: %w", room, err)
		}
		return m, nil
	})}
}

// Say gives the sentence for key in the reader's language, with {0}, {1} …
// filled in. A key that does not exist shows as itself.
func (b *Book) Say(ctx context.Context, key string, args ...any) string {
	m, err := b.read()
	if err != nil || len(m[key]) != 2 {
		return key
	}
	s := Pick(ctx, m[key][0], m[key][1])
	for i, a := range args {
		s = strings.ReplaceAll(s, fmt.Sprintf("{%d}", i), fmt.Sprint(a))
	}
	return s
}

// Has reports whether the book has a sentence for key.
func (b *Book) Has(key string) bool {
	m, err := b.read()
	return err == nil && len(m[key]) == 2
}

var (
	place = regexp.MustCompile(`\{\d\}`)
	asks  = regexp.MustCompile(`say\([^"()]+(?:\(\))?, "([a-z0-9_.]+)"( ?\+)?`)
)

// Flaws says what is wrong with a room's book: a sentence that one language
// lacks, a place that only one of them fills, and a key that the room's pages
// (in fsys) ask for and the book has not. asked is how many they ask for. A
// room's test calls it.
func (b *Book) Flaws(fsys fs.FS) (flaws []string, asked int) {
	m, err := b.read()
	if err != nil {
		return []string{err.Error()}, 0
	}
	bad := func(format string, args ...any) { flaws = append(flaws, fmt.Sprintf(format, args...)) }
	for _, k := range slices.Sorted(maps.Keys(m)) {
		s := m[k]
		if len(s) != 2 || s[0] == "" || s[1] == "" {
			bad("%s: %q is not a Chinese and an English sentence", k, s)
			continue
		}
		for _, p := range append(place.FindAllString(s[0], -1), place.FindAllString(s[1], -1)...) {
			if !strings.Contains(s[0], p) || !strings.Contains(s[1], p) {
				bad("%s: %s is filled in one language only", k, p)
			}
		}
	}
	said := literals{}
	for _, glob := range []string{"*.go", "*.templ"} {
		files, err := fs.Glob(fsys, glob)
		if err != nil {
			bad("%v", err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_templ.go") || strings.HasSuffix(f, "_test.go") {
				continue
			}
			raw, err := fs.ReadFile(fsys, f)
			if err != nil {
				bad("%v", err)
			}
			said.read(string(raw))
			for _, a := range asks.FindAllStringSubmatch(string(raw), -1) {
				asked++
				if a[2] == "" && m[a[1]] == nil {
					bad("%s asks for %q, which the words have not", f, a[1])
				}
			}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if !said.use(k) {
			bad("%s: no page says it", k)
		}
	}
	return flaws, asked
}

// literals are the strings that source files hold: keys, and beginnings of keys
// that are made from a value.
type literals map[string]bool

var literal = regexp.MustCompile(`"([a-z][a-z0-9_.]*)"`)

func (l literals) read(source string) {
	for _, m := range literal.FindAllStringSubmatch(source, -1) {
		l[m[1]] = true
	}
}

// use reports whether a key is named, or made from a beginning that is: "role."
// and a value, "today.due" and "_do".
func (l literals) use(key string) bool {
	if l[key] {
		return true
	}
	for i, c := range key {
		if c == '.' && (l[key[:i+1]] || l[key[:i]] && i > 0) || c == '_' && l[key[:i+1]] {
			return true
		}
	}
	return false
}
