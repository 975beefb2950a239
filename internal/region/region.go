// Package region knows how people and other systems write a region, and gives
// the code by which rules know it: ISO 3166-2 (CN-BJ), or ISO 3166-1 where only
// the country is known (FR). What it knows is data, regions.yaml.
package region

import (
	_ "embed"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
	"golang.org/x/text/language"
	"golang.org/x/text/width"

	"parley/internal/errs"
)

//go:embed regions.yaml
var data []byte

// Words are what a region is called.
type Words struct {
	Code string   `yaml:"code"`
	Zh   string   `yaml:"zh"`
	En   string   `yaml:"en"`
	Aka  []string `yaml:"aka"`
}

type country struct {
	Words     `yaml:",inline"`
	Suffixes  []string   `yaml:"suffixes"` // what may stand after a name
	Bare      bool       `yaml:"bare"`     // a division's letters alone mean it
	Divisions []division `yaml:"divisions"`
}

type division struct {
	Words  `yaml:",inline"`
	Long   string `yaml:"long"`   // 北京市; what follows it in an address lies in it
	Number string `yaml:"number"` // the first two digits of GB/T 2260
}

// book is the data, ready to be asked.
type book struct {
	codes     map[string]string   // by every way of writing it; unclear when there are two meanings
	names     map[string]Words    // by code
	long      []division          // Code is whole: CN-BJ
	numbers   map[string]string   // by the first two digits of GB/T 2260
	countries map[string]*country // those whose divisions are known
}

// unclear is the code of what could be several regions.
const unclear = "?"

var read = sync.OnceValue(func() *book {
	var in struct {
		Countries []*country `yaml:"countries"`
	}
	if err := yaml.UnmarshalWithOptions(data, &in, yaml.Strict()); err != nil {
		panic("region: regions.yaml: " + err.Error()) // it is part of the program; a test reads it
	}
	b := &book{codes: map[string]string{}, names: map[string]Words{}, numbers: map[string]string{}, countries: map[string]*country{}}
	letters := map[string][]string{}
	for _, c := range in.Countries {
		b.add(c.Code, c.Words, nil)
		b.codes[c.Code] = c.Code
		if len(c.Divisions) > 0 {
			b.countries[c.Code] = c
		}
		for _, d := range c.Divisions {
			code := c.Code + "-" + d.Code
			b.add(code, d.Words, c.Suffixes)
			b.codes[code] = code
			if d.Long != "" {
				b.put(d.Long, code)
				b.long = append(b.long, division{Words: Words{Code: code}, Long: d.Long})
			}
			if d.Number != "" {
				b.numbers[d.Number] = code
			}
			letters[d.Code] = append(letters[d.Code], code)
		}
	}
	for _, c := range in.Countries {
		for _, d := range c.Divisions {
			if _, named := b.codes[d.Code]; named {
				continue // a country's own code, or a name by itself
			}
			if c.Bare && len(letters[d.Code]) == 1 && !isCountry(d.Code) {
				b.codes[d.Code] = c.Code + "-" + d.Code
			} else {
				b.codes[d.Code] = unclear
			}
		}
	}
	return b
})

func (b *book) add(code string, n Words, suffixes []string) {
	b.names[code] = n
	for _, s := range append([]string{n.Zh, n.En}, n.Aka...) {
		b.put(s, code)
		for _, x := range suffixes {
			b.put(s+x, code)
		}
	}
}

func (b *book) put(text, code string) {
	k := key(text)
	if old, ok := b.codes[k]; ok && old != code {
		code = unclear
	}
	b.codes[k] = code
}

// key makes one of the ways of writing that mean the same.
func key(s string) string {
	s = strings.ToUpper(width.Fold.String(s))
	return strings.Map(func(r rune) rune {
		switch r {
		case ' ', '\t', '\u00a0', '\u3000', '.', ',', '\'', '’':
			return -1
		case '_':
			return '-'
		}
		return r
	}, s)
}

// isCountry reports whether two letters are a country's of ISO 3166-1.
func isCountry(s string) bool {
	r, err := language.ParseRegion(s)
	return err == nil && len(s) == 2 && r.IsCountry() && r.String() == s
}

// Code gives the code of a region however it is written: 北京, 北京市朝阳区,
// Beijing, 110105, CN-11, CN-BJ. Codes of countries whose divisions are not
// known here are taken as they are (FR-75). Nothing is nothing. An error says in
// words what to write instead.
func Code(text string) (string, error) {
	b := read()
	if code, ok := b.codes[text]; ok && code != unclear {
		return code, nil // most lists say the same few things all over
	}
	k := key(text)
	if k == "" {
		return "", nil
	}
	code := b.find(k)
	switch code {
	case "":
		return "", errs.New(errs.Invalid, "region_unknown", "不认识这个地区："+shown(text)+"。请写名称或代码，例如 北京、110000、CN-BJ、US-FL；不知道就留空。",
			"This region is not known: "+shown(text)+". Write a name or a code, such as Beijing, 110000, CN-BJ or US-FL, or leave it empty.")
	case unclear:
		return "", errs.New(errs.Invalid, "region_unclear", "这个地区有几种可能："+shown(text)+"。请写全，例如 CN-BJ、US-CA，或写名称。",
			"This could be several regions: "+shown(text)+". Write it in full, such as CN-BJ or US-CA, or by its name.")
	}
	return code, nil
}

// find gives the code of a key; "" when nothing is known of it.
func (b *book) find(k string) string {
	if code, ok := b.codes[k]; ok {
		return code
	}
	if at, sub, ok := strings.Cut(k, "-"); ok && isCountry(at) {
		return b.within(at, sub)
	}
	if n := len(k); n >= 4 && n <= 12 && n%2 == 0 || n == 2 {
		if code := b.numbers[k[:2]]; code != "" && strings.Trim(k, "0123456789") == "" {
			return code
		}
	}
	for _, d := range b.long {
		if strings.HasPrefix(k, d.Long) {
			return d.Code
		}
	}
	if rest, ok := strings.CutPrefix(k, "中国"); ok {
		return b.find(rest)
	}
	if isCountry(k) {
		return k
	}
	return ""
}

// within gives the code of a division of a country: by letters, number or name.
func (b *book) within(at, sub string) string {
	c := b.countries[at]
	if c == nil {
		if len(sub) >= 1 && len(sub) <= 3 && strings.Trim(sub, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == "" {
			return at + "-" + sub
		}
		return ""
	}
	for _, d := range c.Divisions {
		if sub == d.Code || sub == d.Number || slices.ContainsFunc(slices.Concat(d.Aka, []string{d.Zh, d.En, d.Long}), func(s string) bool { return sub == key(s) }) {
			return at + "-" + d.Code
		}
	}
	return ""
}

// Of is Code for what was stored already: what is not known stays as it is.
func Of(stored string) string {
	if code, err := Code(stored); err == nil {
		return code
	}
	return stored
}

// Name gives a region's name in a language, zh or en; what is not known by name
// is shown as it is written.
func Name(text, lang string) string {
	n, ok := read().names[Of(text)]
	switch {
	case !ok:
		return text
	case lang == "zh":
		return n.Zh
	}
	return n.En
}

// shown bounds what an error repeats.
func shown(s string) string {
	if r := []rune(s); len(r) > 20 {
		return string(r[:20]) + "…"
	}
	return s
}
