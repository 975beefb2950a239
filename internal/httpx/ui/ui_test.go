package ui

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"

	"parley/internal/httpx"
)

func render(t *testing.T, c templ.Component) string {
	t.Helper()
	var b strings.Builder
	if err := c.Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The pages' policy allows no inline script or style, so no component may have one.
func TestNoComponentBreaksTheContentSecurityPolicy(t *testing.T) {
	t.Parallel()
	inline := regexp.MustCompile(`(?i)\sstyle=|\son[a-z]+=|<style|<script(>|\s[^>]*>\s*\S[^<]*</script)|javascript:`)
	n := 0
	err := filepath.WalkDir("../..", func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(p, ".templ") {
			return err
		}
		n++
		b, err := os.ReadFile(p)
		if m := inline.Find(b); m != nil {
			t.Errorf("%s has %q inline", p, m)
		}
		return err
	})
	if err != nil || n < 5 {
		t.Fatalf("%d components, %v", n, err)
	}
}

func TestEveryToneHasItsOwnShape(t *testing.T) {
	t.Parallel()
	seen := map[string]Tone{}
	for _, tone := range []Tone{Good, Live, Wait, Bad, Over, Info} {
		if other, taken := seen[toneShape(tone)]; taken {
			t.Errorf("%s looks like %s to who sees no colour", tone, other)
		}
		seen[toneShape(tone)] = tone
		if got := render(t, Badge(tone, "已办结")); !strings.Contains(got, "已办结") {
			t.Errorf("%s has no word: %s", tone, got)
		}
	}
}

func TestWhatPeopleWroteIsEscaped(t *testing.T) {
	t.Parallel()
	const evil = `<img src=x onerror=alert(1)>"'`
	f := new(httpx.Form).Set("name", evil)
	for what, c := range map[string]templ.Component{
		"field":    Field(f, Input{Name: "name", Label: evil}),
		"area":     Field(f, Input{Name: "name", Label: evil, Rows: 3}),
		"timeline": Timeline([]Mark{{At: time.Unix(1, 0), Title: evil, Text: evil}}),
		"verdict":  Verdict([]Rule{{ID: evil, Text: evil, Citation: evil, Link: "javascript:alert(1)"}}),
		"series":   Series("x", Plot{Names: []string{evil}}),
		"player":   Player(Sound{Cues: []Cue{{Word: evil}}}),
		"figures":  Figures([]Fig{{Label: evil, Value: evil}}),
	} {
		if got := render(t, c); strings.Contains(got, "<img") || strings.Contains(got, `"javascript:`) {
			t.Errorf("%s lets it through: %s", what, got)
		}
	}
}

func TestPasswordsDoNotComeBack(t *testing.T) {
	t.Parallel()
	f := new(httpx.Form).Set("password", "hunter2hunter2")
	if got := render(t, Field(f, Input{Name: "password", Type: "password"})); strings.Contains(got, "hunter2") {
		t.Error(got)
	}
}

func TestIconsAreDrawn(t *testing.T) {
	t.Parallel()
	used := regexp.MustCompile(`Icon(?:\(|: *)"([a-z0-9-]+)"`)
	err := filepath.WalkDir("../..", func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(p, ".templ") {
			return err
		}
		b, err := os.ReadFile(p)
		for _, m := range used.FindAllSubmatch(b, -1) {
			if iconPath(string(m[1])) == iconPath("") {
				t.Errorf("%s uses the icon %s, which is not drawn", p, m[1])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
