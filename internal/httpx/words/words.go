// Package words holds every sentence the pages show, by key, one file per
// language, so that a translator edits data and a test finds what is missing.
package words

import (
	"context"
	"embed"
	"fmt"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
)

// Lang is a language the pages speak.
type Lang string

// The languages, the default first.
const (
	Zh Lang = "zh"
	En Lang = "en"
)

// Langs lists the languages in the order they are offered.
func Langs() []Lang { return []Lang{Zh, En} }

// Tag gives the BCP 47 tag for the html lang attribute.
func (l Lang) Tag() string {
	if l == En {
		return "en"
	}
	return "zh-CN"
}

// Other gives the language a reader of l would switch to.
func (l Lang) Other() Lang {
	if l == En {
		return Zh
	}
	return En
}

// Pick gives the sentence of the two that is in this language.
func (l Lang) Pick(zh, en string) string {
	if l == En {
		return en
	}
	return zh
}

// Parse reads a language name; ok is false when it is none of ours.
func Parse(s string) (l Lang, ok bool) {
	switch Lang(s) {
	case Zh, En:
		return Lang(s), true
	}
	return Zh, false
}

type langKey struct{}

// With gives a context whose reader reads l.
func With(ctx context.Context, l Lang) context.Context { return context.WithValue(ctx, langKey{}, l) }

// From gives the reader's language; Chinese when nothing says otherwise.
func From(ctx context.Context) Lang {
	if l, ok := ctx.Value(langKey{}).(Lang); ok {
		return l
	}
	return Zh
}

// Pick gives the sentence of the two that the reader of ctx reads.
func Pick(ctx context.Context, zh, en string) string { return From(ctx).Pick(zh, en) }

//go:embed zh.yaml en.yaml
var files embed.FS

// book is read once; it never changes afterwards.
var book = sync.OnceValues(func() (map[Lang]map[string]string, error) {
	out := map[Lang]map[string]string{}
	for _, l := range Langs() {
		raw, err := files.ReadFile(string(l) + ".yaml")
		if err != nil {
			return nil, err
		}
		var tree map[string]any
		if err := yaml.UnmarshalWithOptions(raw, &tree, yaml.Strict()); err != nil {
			return nil, fmt.Errorf("words %s: %w", l, err)
		}
		out[l] = map[string]string{}
		if err := flatten(out[l], "", tree); err != nil {
			return nil, fmt.Errorf("words %s: %w", l, err)
		}
	}
	return out, nil
})

func flatten(into map[string]string, prefix string, tree map[string]any) error {
	for k, v := range tree {
		switch v := v.(type) {
		case string:
			into[prefix+k] = v
		case map[string]any:
			if err := flatten(into, prefix+k+".", v); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s%s is a %T, not a sentence (quote it)", prefix, k, v)
		}
	}
	return nil
}

// Check reports a broken words file; pages call it once when they are built.
func Check() error {
	_, err := book()
	return err
}

// T gives the sentence for key in the reader's language, with {0}, {1} … filled
// in. A key that does not exist shows as itself, so that it is seen; a test
// sees to it that none is.
func T(ctx context.Context, key string, args ...any) string {
	return In(From(ctx), key, args...)
}

// In is T for a named language.
func In(l Lang, key string, args ...any) string {
	b, err := book()
	if err != nil {
		return key
	}
	s, ok := b[l][key]
	if !ok {
		return key
	}
	for i, a := range args {
		s = strings.ReplaceAll(s, fmt.Sprintf("{%d}", i), fmt.Sprint(a))
	}
	return s
}

// Has reports whether key exists in every language.
func Has(key string) bool {
	b, err := book()
	if err != nil {
		return false
	}
	for _, l := range Langs() {
		if _, ok := b[l][key]; !ok {
			return false
		}
	}
	return true
}

// Keys lists the keys of one language.
func Keys(l Lang) []string {
	b, err := book()
	if err != nil {
		return nil
	}
	out := make([]string, 0, len(b[l]))
	for k := range b[l] {
		out = append(out, k)
	}
	return out
}
