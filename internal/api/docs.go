package api

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/a-h/templ"
	"github.com/danielgtaylor/huma/v2"

	"parley/internal/httpx/ui"
	"parley/internal/httpx/words"
)

//go:embed words.yaml
var wordsFile []byte

var book = words.NewBook("api", wordsFile)

// say gives this room's sentence for key in the reader's language.
func say(ctx context.Context, key string) string { return book.Say(ctx, key) }

// docTag is one group of operations.
type docTag struct {
	name string
	ops  []docOp
}

// docOp is one operation as the page shows it.
type docOp struct {
	*huma.Operation
	scope           string
	params, in, out []docField
	example         string
}

// docField is one field of a request or an answer.
type docField struct {
	name, kind, text string
	need             bool
	depth            int
}

// title gives the operation's summary, which is "English · 中文", in one language.
func (o docOp) title(ctx context.Context) string {
	en, zh, ok := strings.Cut(o.Summary, " · ")
	if !ok {
		return o.Summary
	}
	return words.Pick(ctx, zh, en)
}

// docs shows the document to people: our own page, so that nothing comes from
// elsewhere and the strict Content-Security-Policy holds.
func (a *API) docs(w http.ResponseWriter, r *http.Request) error {
	page := ui.Page(ui.Shell{Title: say(r.Context(), "title")})
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	return templ.ComponentFunc(func(ctx context.Context, out io.Writer) error {
		return page.Render(templ.WithChildren(ctx, docsPage(a.tags())), out)
	}).Render(r.Context(), w)
}

// tags gives the operations in the order they were registered, by group.
func (a *API) tags() []docTag {
	doc := a.huma.OpenAPI()
	var out []docTag
	for _, t := range doc.Tags {
		tag := docTag{name: t.Name}
		for _, o := range a.order {
			if o.Tags[0] == t.Name {
				tag.ops = append(tag.ops, describe(doc, o))
			}
		}
		out = append(out, tag)
	}
	return out
}

func describe(doc *huma.OpenAPI, o *huma.Operation) docOp {
	d := docOp{Operation: o, scope: o.Security[0][security][0]}
	for _, p := range o.Parameters {
		d.params = append(d.params, docField{name: p.Name + " (" + p.In + ")", kind: kindOf(doc, p.Schema), text: p.Description, need: p.Required})
	}
	if o.RequestBody != nil {
		if m := o.RequestBody.Content["application/json"]; m != nil {
			d.in = fields(doc, m.Schema, 0)
			d.example = example(o, sample(doc, m.Schema, 0))
		}
	}
	if d.example == "" {
		d.example = example(o, nil)
	}
	for _, code := range []string{"200", "201"} {
		if resp := o.Responses[code]; resp != nil && resp.Content["application/json"] != nil {
			d.out = fields(doc, resp.Content["application/json"].Schema, 0)
		}
	}
	return d
}

func resolve(doc *huma.OpenAPI, s *huma.Schema) *huma.Schema {
	for s != nil && s.Ref != "" {
		s = doc.Components.Schemas.SchemaFromRef(s.Ref)
	}
	return s
}

func kindOf(doc *huma.OpenAPI, s *huma.Schema) string {
	if s = resolve(doc, s); s == nil {
		return ""
	}
	if s.Type == huma.TypeArray {
		return "[" + kindOf(doc, s.Items) + "]"
	}
	kind := s.Type
	if len(s.Enum) > 0 {
		var names []string
		for _, e := range s.Enum {
			names = append(names, fmt.Sprint(e))
		}
		return strings.Join(names, " | ")
	}
	if s.Format != "" {
		kind += " " + s.Format
	}
	return kind
}

// deep bounds how far fields of fields are listed.
const deep = 3

func fields(doc *huma.OpenAPI, s *huma.Schema, depth int) (out []docField) {
	if s = resolve(doc, s); s != nil && s.Type == huma.TypeArray {
		s = resolve(doc, s.Items)
	}
	if s == nil || depth > deep {
		return nil
	}
	for _, name := range names(s) {
		p := s.Properties[name]
		text := p.Description
		if r := resolve(doc, p); text == "" && r != nil {
			text = r.Description
		}
		out = append(out, docField{name: name, kind: kindOf(doc, p), text: text, need: slices.Contains(s.Required, name), depth: depth})
		out = append(out, fields(doc, p, depth+1)...)
	}
	return out
}

func names(s *huma.Schema) []string {
	var out []string
	for n := range s.Properties {
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b string) int { // what must be there first
		x, y := slices.Contains(s.Required, a), slices.Contains(s.Required, b)
		if x != y {
			if x {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	return out
}

// sample makes a value of what is required.
func sample(doc *huma.OpenAPI, s *huma.Schema, depth int) any {
	if s = resolve(doc, s); s == nil || depth > deep {
		return nil
	}
	switch {
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Type == huma.TypeArray:
		return []any{sample(doc, s.Items, depth+1)}
	case s.Type == huma.TypeObject:
		out := map[string]any{}
		for _, n := range s.Required {
			out[n] = sample(doc, s.Properties[n], depth+1)
		}
		return out
	case s.Type == huma.TypeInteger, s.Type == huma.TypeNumber:
		return 1
	case s.Type == huma.TypeBoolean:
		return true
	case s.Format == "date-time":
		return "2026-11-24T10:00:00+08:00"
	default:
		return "…"
	}
}

func example(o *huma.Operation, body any) string {
	var b strings.Builder
	b.WriteString("curl -H \"Authorization: Bearer $PARLEY_KEY\"")
	if o.Method != http.MethodGet {
		b.WriteString(" -X " + o.Method)
	}
	b.WriteString(" \\\n  \"$PARLEY" + o.Path + "\"")
	if raw, err := json.Marshal(body); err == nil && body != nil {
		b.WriteString(" \\\n  -H 'Content-Type: application/json' -d '" + string(raw) + "'")
	}
	return b.String()
}
