package ui

import (
	"strconv"

	"github.com/aymanbagabas/go-udiff"
)

// Change says what became of a line.
type Change string

// What becomes of a line.
const (
	Same    Change = "same"
	Added   Change = "added"
	Removed Change = "removed"
)

// DiffLine is one line of two texts laid side by side. A line number of 0 says
// that the line is not in that text.
type DiffLine struct {
	Change   Change
	Old, New int
	Text     string
}

// Hunk is a run of lines around a change.
type Hunk struct{ Lines []DiffLine }

// diffContext is how many unchanged lines are shown around a change.
const diffContext = 3

// Diff compares two texts line by line. Equal texts give no hunk.
func Diff(before, after string) []Hunk {
	// A text that ends in a new line and one that does not differ in nothing a
	// reader could see.
	before, after = ended(before), ended(after)
	u, err := udiff.ToUnifiedDiff("", "", before, udiff.Lines(before, after), diffContext)
	if err != nil {
		panic(err) // only edits that do not belong to the text could do this
	}
	var out []Hunk
	for _, h := range u.Hunks {
		var hunk Hunk
		from, to := h.FromLine, h.ToLine
		for _, l := range h.Lines {
			line := DiffLine{Change: Same, Text: unended(l.Content)}
			if l.Kind != udiff.Insert {
				line.Old, from = from, from+1
			}
			if l.Kind != udiff.Delete {
				line.New, to = to, to+1
			}
			switch l.Kind {
			case udiff.Insert:
				line.Change = Added
			case udiff.Delete:
				line.Change = Removed
			}
			hunk.Lines = append(hunk.Lines, line)
		}
		out = append(out, hunk)
	}
	return out
}

func ended(s string) string {
	if s == "" || s[len(s)-1] == '\n' {
		return s
	}
	return s + "\n"
}

func unended(s string) string {
	if n := len(s); n > 0 && s[n-1] == '\n' {
		return s[:n-1]
	}
	return s
}

// counts gives how many lines were added and removed.
func counts(hs []Hunk) (added, removed int) {
	for _, h := range hs {
		for _, l := range h.Lines {
			switch l.Change {
			case Added:
				added++
			case Removed:
				removed++
			}
		}
	}
	return added, removed
}

func lineNo(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func sign(c Change) string {
	switch c {
	case Added:
		return "+"
	case Removed:
		return "−"
	default:
		return ""
	}
}
