package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxPack bounds a pack or test file; a pack is text a lawyer reads.
const maxPack = 1 << 20

// Parse reads one pack. name is used in errors, which say file, line and what
// to mend; every fault found is reported, not only the first.
func Parse(name string, raw []byte) (*Pack, error) {
	var rp rawPack
	src, err := decode(name, raw, &rp)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(raw)
	c := &compiler{source: src}
	p := c.pack(&rp)
	p.File, p.Sum = name, hex.EncodeToString(sum[:])
	if len(c.errs) > 0 {
		return nil, errors.Join(c.errs...)
	}
	return p, nil
}

// source finds the line of a place in a file.
type source struct {
	name string
	file *ast.File
}

// decode reads YAML strictly into v: unknown keys, doubled keys, aliases and
// several documents are refused.
func decode(name string, raw []byte, v any) (src *source, err error) {
	defer func() {
		if p := recover(); p != nil { // a parser's panic on rubbish is rubbish in the file
			src, err = nil, fmt.Errorf("%s:1: not readable as YAML (%v)", name, p)
		}
	}()
	if len(raw) > maxPack {
		return nil, fmt.Errorf("%s:1: the file is larger than %d bytes", name, maxPack)
	}
	f, err := parser.ParseBytes(raw, 0)
	if err != nil {
		return nil, located(name, err)
	}
	var body ast.Node
	for _, d := range f.Docs {
		if d.Body == nil {
			continue
		}
		if body != nil {
			return nil, fmt.Errorf("%s:%d: a second document; put one per file", name, d.Body.GetToken().Position.Line)
		}
		body = d.Body
	}
	if body == nil || body.Type() == ast.NullType {
		return nil, fmt.Errorf("%s:1: the file is empty", name)
	}
	for _, t := range []ast.NodeType{ast.AliasType, ast.AnchorType, ast.MergeKeyType} {
		if ns := ast.Filter(t, body); len(ns) > 0 {
			return nil, fmt.Errorf("%s:%d: anchors and aliases are not allowed; write the value out", name, ns[0].GetToken().Position.Line)
		}
	}
	if err := yaml.NodeToValue(body, v, yaml.Strict()); err != nil {
		return nil, located(name, err)
	}
	return &source{name: name, file: f}, nil
}

func located(name string, err error) error {
	var ye yaml.Error
	if errors.As(err, &ye) && ye.GetToken() != nil && ye.GetToken().Position != nil {
		return fmt.Errorf("%s:%d: %s", name, ye.GetToken().Position.Line, ye.GetMessage())
	}
	return fmt.Errorf("%s:1: %w", name, err)
}

// line gives the line of a YAML path such as "$.rules[2].scope", or of the
// nearest ancestor that exists.
func (s *source) line(path string) int {
	for path != "" && path != "$" {
		if p, err := yaml.PathString(path); err == nil {
			if n, err := p.FilterFile(s.file); err == nil && n != nil && n.GetToken() != nil {
				return firstLine(n)
			}
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return 1
}

func firstLine(n ast.Node) int {
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 {
		return m.Values[0].Key.GetToken().Position.Line
	}
	if m, ok := n.(*ast.MappingValueNode); ok {
		return m.Key.GetToken().Position.Line
	}
	return n.GetToken().Position.Line
}
