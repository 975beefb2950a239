package template

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"

	"parley/internal/db"
)

// Words is a text in both languages.
type Words struct {
	Zh string `yaml:"zh"`
	En string `yaml:"en"`
}

// In gives the words in a language; anything but en is Chinese.
func (w Words) In(lang string) string {
	if strings.HasPrefix(lang, "en") {
		return w.En
	}
	return w.Zh
}

// Field is something a letter can name: {number}.
type Field struct {
	Name    string `yaml:"name"`
	About   Words  `yaml:"about"`   // what it is
	Example Words  `yaml:"example"` // for the preview
	Must    bool   `yaml:"must"`    // the text has to name it
	Maybe   bool   `yaml:"maybe"`   // sometimes has no value: stands on lines that begin with {?name}
	Flag    bool   `yaml:"flag"`    // has no value, only holds or does not: {?upheld}
}

// Say is something the text has to speak of, by law.
type Say struct {
	Words `yaml:",inline"`
	Why   string `yaml:"why"` // which provision asks for it
}

// Sample is an example to look at a wording with: which of the fields that may
// be missing are there.
type Sample struct {
	Title Words    `yaml:"title"`
	With  []string `yaml:"with"`
}

// Form is one kind of letter or message: when customers get it, what it can
// name, what it must say. Forms belong to the program, which fills them; what
// they say is the bank's, in versions.
type Form struct {
	ID      string   `yaml:"id"`
	Order   int      `yaml:"order"` // in lists
	Way     string   `yaml:"way"`   // page: on the complaint's progress page; mail: as an e-mail
	Title   Words    `yaml:"title"`
	When    Words    `yaml:"when"`
	Max     int      `yaml:"max"` // characters of a language's text
	Fields  []Field  `yaml:"fields"`
	Says    []Say    `yaml:"says"`
	Samples []Sample `yaml:"samples"`
	Shipped Texts    `yaml:"text"` // the wording that comes with Parley
}

// maxSubject bounds a subject, in characters.
const maxSubject = 80

//go:embed shipped
var shipped embed.FS

var read = sync.OnceValues(func() ([]*Form, error) {
	files, err := shipped.ReadDir("shipped")
	if err != nil {
		return nil, fmt.Errorf("templates that ship: %w", err)
	}
	var out []*Form
	for _, file := range files {
		raw, err := shipped.ReadFile("shipped/" + file.Name())
		if err != nil {
			return nil, fmt.Errorf("templates that ship: %w", err)
		}
		var f Form
		if err := yaml.NewDecoder(bytes.NewReader(raw), yaml.Strict()).Decode(&f); err != nil {
			return nil, fmt.Errorf("template %s: %w", file.Name(), err)
		}
		f.Shipped = f.Shipped.Tidy()
		out = append(out, &f)
	}
	slices.SortFunc(out, func(a, b *Form) int { return a.Order - b.Order })
	return out, nil
})

// Forms gives every kind of letter and message, in their order.
func Forms() []*Form {
	out, err := read()
	if err != nil {
		panic(err) // a test keeps them readable
	}
	return out
}

// FormOf gives a form by its id; ErrNone when there is none.
func FormOf(id string) (*Form, error) {
	for _, f := range Forms() {
		if f.ID == id {
			return f, nil
		}
	}
	return nil, ErrNone
}

// AsShipped gives the wordings that come with Parley as versions, to a room that
// keeps none of its own.
type AsShipped struct{}

// InForce gives the wording of a template.
func (AsShipped) InForce(_ context.Context, _ *db.Tx, id string) (*Version, error) {
	f, err := FormOf(id)
	if err != nil {
		return nil, err
	}
	return &Version{Template: id, Number: 1, State: Approved, Texts: f.Shipped, Sum: f.Shipped.sum(), MadeBy: maker}, nil
}

// Numbered gives the same: there is one version.
func (a AsShipped) Numbered(ctx context.Context, tx *db.Tx, id string, _ int) (*Version, error) {
	return a.InForce(ctx, tx, id)
}

// Field gives a field by its name; nil when the form has none of it.
func (f *Form) Field(name string) *Field {
	for i := range f.Fields {
		if f.Fields[i].Name == name {
			return &f.Fields[i]
		}
	}
	return nil
}

// Example gives the values of a sample of the form, in a language.
func (f *Form) Example(sample int, lang string) Values {
	with := f.Samples[min(max(sample, 0), len(f.Samples)-1)].With
	v := Values{}
	for _, x := range f.Fields {
		switch {
		case (x.Maybe || x.Flag) && !slices.Contains(with, x.Name):
		case x.Flag:
			v[x.Name] = "yes"
		default:
			v[x.Name] = x.Example.In(lang)
		}
	}
	return v
}

// sum is a wording's hash: sha256 in hex of its document.
func (t *Texts) sum() string {
	h := sha256.Sum256([]byte(t.Doc()))
	return hex.EncodeToString(h[:])
}
