// Package bench measures Parley against yardsticks in the same run. It reports
// and never judges: a benchmark exits 0 whatever it measured.
package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
)

// Options is what a benchmark is asked for.
type Options struct {
	Quick       bool     // a rougher answer within 30 s
	Engines     []string // "sqlite", "postgres"; those that apply
	PostgresURL string   // server to use; empty leaves PostgreSQL out and says so
	Dir         string   // scratch directory
}

// Line is one measured figure. Goal is 0 where there is none.
type Line struct {
	Bench  string  `json:"bench"`
	Engine string  `json:"engine,omitempty"`
	Case   string  `json:"case,omitempty"`
	Metric string  `json:"metric"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Goal   float64 `json:"goal,omitempty"`
}

// Report prints figures as they come: one JSON object a line, or a table row.
type Report struct {
	json *json.Encoder
	tab  *tabwriter.Writer
	out  io.Writer
}

// NewReport writes to w; asJSON chooses one object a line over the table.
func NewReport(w io.Writer, asJSON bool) *Report {
	r := &Report{out: w}
	if asJSON {
		r.json = json.NewEncoder(w)
		return r
	}
	r.tab = tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(r.tab, "bench\tengine\tcase\tmetric\tvalue\tunit\tgoal")
	return r
}

// Add reports one figure.
func (r *Report) Add(bench, engine, case_, metric string, value float64, unit string, goal float64) {
	if r.json != nil {
		// The writer is a terminal or a pipe; a broken pipe ends the program anyway.
		_ = r.json.Encode(Line{bench, engine, case_, metric, value, unit, goal})
		return
	}
	g := ""
	if goal != 0 {
		g = number(goal)
	}
	fmt.Fprintf(r.tab, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", bench, engine, case_, metric, number(value), unit, g)
	r.tab.Flush()
}

// Note prints a remark in the table form; JSON output stays figures only.
func (r *Report) Note(format string, args ...any) {
	if r.tab != nil {
		r.tab.Flush()
		fmt.Fprintf(r.out, "# "+format+"\n", args...)
	}
}

func number(v float64) string {
	switch {
	case v >= 1000 || v == float64(int64(v)):
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 3, 64)
	}
}
