package money

import (
	"testing"

	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Fen{"": 0, "100": 10000, "1,234.5": 123450, "¥0.07": 7, " 12.30 ": 1230} {
		if got, err := Parse(in); err != nil || got != want {
			t.Errorf("Parse(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"-1", "1.234", "abc", "1.x", ".5", "99999999999", "1e3"} {
		if got, err := Parse(in); err == nil {
			t.Errorf("Parse(%q) = %d, want an error", in, got)
		}
	}
}

func TestStringReadsBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := Fen(rapid.Int64Range(0, maxYuan*100).Draw(t, "fen"))
		if got, err := Parse(f.String()); err != nil || got != f {
			t.Fatalf("%s reads back as %d, %v", f, got, err)
		}
	})
}
