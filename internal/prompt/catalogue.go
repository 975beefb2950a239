package prompt

import (
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"

	"github.com/goccy/go-yaml"

	"parley/internal/errs"
)

// Catalogue says, for every key, what is spoken. The texts are what screens
// show and what a lawyer approves; the files are made from them.
type Catalogue struct {
	Voices  map[string]Voice `yaml:"voices"` // by language
	Entries map[string]Entry `yaml:"prompts"`
}

// Voice is the text-to-speech program's voice for a language.
type Voice struct {
	Name  string `yaml:"name"`
	Speed int    `yaml:"speed"` // words a minute, as the program counts them
}

// Entry is one prompt: its text in both languages, or a tone.
type Entry struct {
	Zh string `yaml:"zh"`
	En string `yaml:"en"`
	// ZhSpoken is the same sentence as a voice must be given it, where that
	// differs from the text: the free espeak-ng voice reads pinyin with tone
	// numbers well and most characters not at all.
	ZhSpoken string `yaml:"zh_spoken"`
	Tone     *Tone  `yaml:"tone"`
}

// Tone is a signal instead of words.
type Tone struct {
	Hz int `yaml:"hz"`
	Ms int `yaml:"ms"`
}

// Text is what the prompt says in lang ("zh" or "en"); "" for a tone.
func (e Entry) Text(lang string) string {
	if lang == "zh" {
		return e.Zh
	}
	return e.En
}

// Spoken is the text to hand to a voice for lang.
func (e Entry) Spoken(lang string) string {
	if lang == "zh" && e.ZhSpoken != "" {
		return e.ZhSpoken
	}
	return e.Text(lang)
}

// Keys lists the catalogue's keys in order.
func (c *Catalogue) Keys() []string { return slices.Sorted(maps.Keys(c.Entries)) }

// Langs lists the languages the catalogue has voices for, in order.
func (c *Catalogue) Langs() []string { return slices.Sorted(maps.Keys(c.Voices)) }

// ReadCatalogue parses a catalogue file. Unknown fields, a key that could
// not be a file's name and a prompt that lacks a language are errors.
func ReadCatalogue(raw []byte) (*Catalogue, error) {
	var c Catalogue
	if err := yaml.UnmarshalWithOptions(raw, &c, yaml.Strict()); err != nil {
		return nil, invalidCatalogue(err)
	}
	if err := c.check(); err != nil {
		return nil, invalidCatalogue(err)
	}
	return &c, nil
}

// ReadCatalogueFS reads the catalogue prompts.yaml of a set's directory.
func ReadCatalogueFS(fsys fs.FS) (*Catalogue, error) {
	raw, err := fs.ReadFile(fsys, "prompts.yaml")
	if err != nil {
		return nil, fmt.Errorf("reading the prompt catalogue: %w", err)
	}
	return ReadCatalogue(raw)
}

func (c *Catalogue) check() error {
	if len(c.Entries) == 0 {
		return fmt.Errorf("no prompts in it")
	}
	fileName := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	for lang := range c.Voices {
		if lang != "zh" && lang != "en" {
			return fmt.Errorf("voices: language %q is neither zh nor en", lang)
		}
	}
	for _, k := range c.Keys() {
		e := c.Entries[k]
		switch {
		case !fileName.MatchString(k):
			return fmt.Errorf("key %q: use small letters, digits and _", k)
		case e.Tone != nil && (e.Zh != "" || e.En != ""):
			return fmt.Errorf("%s: a tone has no text", k)
		case e.Tone != nil && (e.Tone.Hz < 100 || e.Tone.Hz > 3400 || e.Tone.Ms < 50 || e.Tone.Ms > 5000):
			return fmt.Errorf("%s: a tone has 100 to 3400 Hz and 50 to 5000 ms", k)
		case e.Tone == nil && (e.Zh == "" || e.En == ""):
			return fmt.Errorf("%s: needs its text in zh and en", k)
		}
	}
	return nil
}

func invalidCatalogue(cause error) error {
	return errs.New(errs.Invalid, "prompt_catalogue",
		"提示音目录 prompts.yaml 有误,请按提示修改。",
		"The prompt catalogue prompts.yaml has a mistake in it; correct what is named.").With(cause)
}
