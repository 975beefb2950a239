package roster

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"parley/internal/errs"
)

// Mapping says where each field of a row comes from. See docs/import.md.
type Mapping struct {
	Fields map[string]Source `yaml:"fields"`
	// Only keeps the rows whose column has one of the values.
	Only map[string][]string `yaml:"only"`
	raw  []byte
}

// Source is where one field comes from: a column, a constant, or the number of
// the data row.
type Source struct {
	Column string            `yaml:"column"`
	Values map[string]string `yaml:"values"` // what the file says → what it means; others are kept
	Const  string            `yaml:"const"`
	Row    string            `yaml:"row"` // a pattern such as UCI-%06d
}

// ReadMapping reads a mapping file; with an empty path every field is the
// column of its own name.
func ReadMapping(path string) (*Mapping, error) {
	if path == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, errs.New(errs.NotFound, "mapping_unreadable", "读不到列对应文件 "+path+"。", "The mapping file "+path+" cannot be read.").With(err)
	}
	return ParseMapping(path, raw)
}

// ParseMapping reads a mapping; unknown keys are refused with their line.
func ParseMapping(name string, raw []byte) (*Mapping, error) {
	m := &Mapping{raw: raw}
	if err := yaml.UnmarshalWithOptions(raw, m, yaml.Strict()); err != nil {
		text := yaml.FormatError(err, false, false)
		return nil, errs.New(errs.Invalid, "mapping_invalid", "列对应文件 "+name+" 有误："+text, "The mapping file "+name+" is not right: "+text).With(err)
	}
	return m, nil
}

// binding is a mapping applied to a file's heading.
type binding struct {
	fields map[string]bound
	only   []filter
}

type bound struct {
	col  int // -1 = none
	from Source
}

type filter struct {
	col    int
	values []string
}

// bind joins a mapping with a heading. known are the fields there are; one that
// ends in "." stands for all that begin with it.
func bind(m *Mapping, header, known []string) (*binding, error) {
	b := &binding{fields: map[string]bound{}}
	knows := func(f string) bool {
		return slices.ContainsFunc(known, func(k string) bool { return k == f || strings.HasSuffix(k, ".") && strings.HasPrefix(f, k) })
	}
	if m == nil {
		for i, h := range header {
			if knows(h) {
				b.fields[h] = bound{col: i}
			}
		}
		if len(b.fields) == 0 {
			list := strings.Join(known, ", ")
			return nil, errs.New(errs.Invalid, "mapping_missing", "表头里没有认识的列（"+list+"）；请用 --mapping 指明对应关系。",
				"No column has a known name ("+list+"); say with --mapping which column is what.")
		}
		return b, nil
	}
	for f, s := range m.Fields {
		if !knows(f) {
			list := strings.Join(known, ", ")
			return nil, errs.New(errs.Invalid, "mapping_field", "没有字段“"+f+"”；可用的有："+list, "There is no field "+strconv.Quote(f)+"; there are: "+list)
		}
		if err := s.check(f); err != nil {
			return nil, err
		}
		x := bound{col: -1, from: s}
		if s.Column != "" {
			var err error
			if x.col, err = column(header, s.Column); err != nil {
				return nil, err
			}
		}
		b.fields[f] = x
	}
	for name, values := range m.Only {
		i, err := column(header, name)
		if err != nil {
			return nil, err
		}
		b.only = append(b.only, filter{i, values})
	}
	return b, nil
}

// check reports a source that does not say one thing.
func (s Source) check(field string) error {
	n := 0
	for _, v := range []string{s.Column, s.Const, s.Row} {
		if v != "" {
			n++
		}
	}
	if n != 1 {
		return errs.New(errs.Invalid, "mapping_source", "字段“"+field+"”必须且只能写 column、const、row 之一。",
			"Field "+strconv.Quote(field)+" needs one of column, const and row.")
	}
	if s.Row != "" && strings.Contains(fmt.Sprintf(s.Row, 1), "%!") {
		return errs.New(errs.Invalid, "mapping_row", "字段“"+field+"”的 row 应含一个编号，例如 UCI-%06d。",
			"The row of field "+strconv.Quote(field)+" needs one number, as in UCI-%06d.")
	}
	return nil
}

func column(header []string, name string) (int, error) {
	i := slices.Index(header, name)
	if i < 0 {
		list := strings.Join(header, ", ")
		return 0, errs.New(errs.Invalid, "mapping_column", "文件里没有“"+name+"”这一列；表头是："+list,
			"The file has no column "+strconv.Quote(name)+"; its heading is: "+list)
	}
	return i, nil
}

// Record is a row by field.
type Record struct {
	Row int // as in the file
	row []string
	b   *binding
}

// Get gives a field's value, trimmed; empty when the file has none.
func (r *Record) Get(field string) string {
	x, ok := r.b.fields[field]
	switch {
	case !ok:
		return ""
	case x.from.Row != "":
		return fmt.Sprintf(x.from.Row, r.Row-1)
	case x.from.Const != "":
		return x.from.Const
	case x.col < 0 || x.col >= len(r.row):
		return ""
	}
	v := strings.TrimSpace(r.row[x.col])
	if to, ok := x.from.Values[v]; ok {
		return to
	}
	return v
}

// With lists the fields of this file that begin with prefix, without it.
func (r *Record) With(prefix string) []string {
	var out []string
	for f := range r.b.fields {
		if rest, ok := strings.CutPrefix(f, prefix); ok {
			out = append(out, rest)
		}
	}
	return out
}

func (b *binding) keeps(cells []string) bool {
	for _, f := range b.only {
		if f.col >= len(cells) || !slices.Contains(f.values, strings.TrimSpace(cells[f.col])) {
			return false
		}
	}
	return true
}
