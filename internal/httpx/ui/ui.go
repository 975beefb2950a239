// Package ui is the one set of components that Parley's pages are made of:
// page frame, table, badge, figure, timeline, verdict, form, player, plot. It
// knows words and times but no domain.
package ui

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"parley/internal/httpx"
)

// Plot is what a chart shows. Kinds: "line" and "area" over time, "bar"
// horizontal by name.
type Plot struct {
	Kind  string   `json:"kind"`
	Unit  string   `json:"unit,omitempty"`  // name of the value axis
	Names []string `json:"names,omitempty"` // the bars' names, or the times' labels
	Lines []Line   `json:"lines"`
}

// Line is one series of a plot; Tone gives its colour.
type Line struct {
	Name   string    `json:"name"`
	Tone   Tone      `json:"tone,omitempty"`
	Values []float64 `json:"values"`
}

func (p Plot) json() string {
	b, err := json.Marshal(p)
	if err != nil {
		return "{}" // only a NaN could do this, and none is made
	}
	return string(b)
}

// toneShape draws the shape of a tone on a 10 by 10 grid.
func toneShape(t Tone) string {
	switch t {
	case Good:
		return "M5 0a5 5 0 1 0 0 10A5 5 0 0 0 5 0z" // disc
	case Live:
		return "M1.5 0l8 5-8 5z" // arrow
	case Wait:
		return "M5 .5L10 9.5H0z" // triangle
	case Bad:
		return "M0 0h10v10H0z" // square
	case Over:
		return "M5 0a5 5 0 1 0 0 10A5 5 0 0 0 5 0zm0 2a3 3 0 1 1 0 6 3 3 0 0 1 0-6z" // ring
	default:
		return "M5 0l5 5-5 5-5-5z" // diamond
	}
}

// Shape gives the drawing of a tone on a 10 by 10 grid, for pictures made elsewhere.
func Shape(t Tone) string { return toneShape(t) }

func micros(t time.Time) string { return strconv.FormatInt(t.UnixMicro(), 10) }

func num[T ~int | ~int64](n T) string { return strconv.FormatInt(int64(n), 10) }

func orText(s string) string {
	if s == "" {
		return "text"
	}
	return s
}

// shown keeps a password from being sent back to the page.
func shown(f *httpx.Form, in Input) string {
	if in.Type == "password" {
		return ""
	}
	return f.Get(in.Name)
}

func attrs(f *httpx.Form, in Input) templ.Attributes {
	a := templ.Attributes{"id": "f-" + in.Name, "name": in.Name, "required": in.Required, "autocomplete": "off"}
	if in.Auto != "" {
		a["autocomplete"] = in.Auto
	}
	if in.Mode != "" {
		a["inputmode"] = in.Mode
	}
	if in.Min != "" {
		a["min"] = in.Min
	}
	if in.Max != "" {
		a["max"] = in.Max
	}
	by := ""
	if in.Hint != "" {
		by = "h-" + in.Name
	}
	if f.Error(in.Name) != "" {
		a["aria-invalid"] = "true"
		by = fmt.Sprint("e-", in.Name, " ", by)
	}
	if by != "" {
		a["aria-describedby"] = by
	}
	return a
}

func look(s string) string {
	if s == "" {
		return "quiet"
	}
	return s
}

func sorted(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
