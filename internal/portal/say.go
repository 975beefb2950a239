package portal

import (
	"context"
	"embed"
	"fmt"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"

	"parley/internal/httpx/words"
)

//go:embed words/zh.yaml words/en.yaml
var files embed.FS

// book holds the portal's own sentences, read once.
var book = sync.OnceValues(func() (map[words.Lang]map[string]string, error) {
	out := map[words.Lang]map[string]string{}
	for _, l := range words.Langs() {
		raw, err := files.ReadFile("words/" + string(l) + ".yaml")
		if err != nil {
			return nil, err
		}
		m := map[string]string{}
		if err := yaml.UnmarshalWithOptions(raw, &m, yaml.Strict()); err != nil {
			return nil, fmt.Errorf("portal words %s: %w", l, err)
		}
		out[l] = m
	}
	return out, nil
})

// say gives the sentence for key in the reader's language, with {0}, {1} … filled in.
func say(ctx context.Context, key string, args ...any) string {
	b, err := book()
	if err != nil {
		return key
	}
	s, ok := b[words.From(ctx)][key]
	if !ok {
		return key
	}
	for i, a := range args {
		s = strings.ReplaceAll(s, fmt.Sprintf("{%d}", i), fmt.Sprint(a))
	}
	return s
}
