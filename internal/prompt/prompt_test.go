package prompt_test

import (
	"bytes"
	"errors"
	"flag"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"parley/internal/errs"
	"parley/internal/prompt"
)

// go test ./internal/prompt -run Render -update renders the committed files anew.
var update = flag.Bool("update", false, "render the demo's prompts into the source tree")

// need finds a program; in CI its absence is a failure, elsewhere a skip.
func need(t *testing.T, program string) string {
	t.Helper()
	p, err := exec.LookPath(program)
	switch {
	case err == nil:
		return p
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is not installed", program)
	default:
		t.Skipf("%s is not installed", program)
	}
	return ""
}

func code(err error) string {
	var e *errs.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func catalogue(t *testing.T) *prompt.Catalogue {
	t.Helper()
	c, err := prompt.ReadCatalogueFS(prompt.DemoFS())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDemoHasEveryPromptOfItsCatalogue(t *testing.T) {
	t.Parallel()
	s, err := prompt.Open(prompt.DemoFS())
	if err != nil {
		t.Fatal(err)
	}
	c := catalogue(t)
	if diff := cmp.Diff(c.Keys(), s.Keys()); diff != "" {
		t.Errorf("catalogue and files differ: %s", diff)
	}
	if m := s.Missing(c.Keys()); len(m) > 0 {
		t.Errorf("missing: %v", m)
	}
	total := 0
	for _, lang := range s.Langs() {
		for _, k := range s.Keys() {
			raw, _ := s.WAV(lang, k)
			total += len(raw)
			a, err := prompt.Decode(raw)
			if err != nil {
				t.Fatal(err)
			}
			d, l := a.Duration().Seconds(), a.Level()
			t.Logf("%s/%-18s %5.2f s  peak %6.1f dBFS  rms %6.1f dBFS", lang, k, d, l.Peak, l.RMS)
			if l.Peak > -2.5 || (k != "beep" && (l.RMS < -26 || l.RMS > -18)) {
				t.Errorf("%s/%s: level %+v is not that of a telephone prompt", lang, k, l)
			}
			least := 0.3
			if strings.HasPrefix(k, "digit_") {
				least = 0.2 // a syllable
			}
			if d > 8 || d < least {
				t.Errorf("%s/%s lasts %.2f s", lang, k, d)
			}
		}
	}
	t.Logf("total %d bytes", total)
	if total > 3_000_000 {
		t.Errorf("the demo's prompts have %d bytes", total)
	}
}

// MIIT's and CAC's labelling duties: every call says first who calls, that a
// machine speaks and that it is recorded, and a debt is not named to a stranger.
func TestDemoSaysWhatTheLawWantsFirst(t *testing.T) {
	t.Parallel()
	c := catalogue(t)
	for _, k := range []string{"hello_service", "hello_overdue", "hello_marketing"} {
		for _, words := range []string{"守约银行", "本通话由智能语音播报", "通话将被录音"} {
			if !strings.Contains(c.Entries[k].Zh, words) {
				t.Errorf("%s does not say %s", k, words)
			}
		}
	}
	for _, k := range []string{"hello_overdue", "identity_ask", "not_the_person"} {
		if regexp.MustCompile("款|欠|逾期|债|还").MatchString(c.Entries[k].Zh) {
			t.Errorf("%s names a debt before the person is known", k)
		}
	}
}

// What is shown and what is spoken must not drift apart: one syllable for each character.
func TestSpokenFormHasTheSyllablesOfTheText(t *testing.T) {
	t.Parallel()
	syllable := regexp.MustCompile(`[a-z]+[1-5]`)
	for k, e := range catalogue(t).Entries {
		want := 0
		for _, r := range e.Zh {
			switch {
			case unicode.Is(unicode.Han, r), unicode.IsDigit(r):
				want++
			case r == '#': // 井号
				want += 2
			}
		}
		if got := len(syllable.FindAllString(e.ZhSpoken, -1)); got != want {
			t.Errorf("%s: %d syllables spoken, %d written", k, got, want)
		}
	}
}

// sox is a reader of WAV that we did not write: it must agree with ours.
func TestSoxReadsTheDemoPrompts(t *testing.T) {
	t.Parallel()
	sox := need(t, "sox")
	s, err := prompt.Open(prompt.DemoFS())
	if err != nil {
		t.Fatal(err)
	}
	for _, lang := range s.Langs() {
		for _, k := range s.Keys() {
			raw, _ := s.WAV(lang, k)
			a, _ := prompt.Decode(raw)
			cmd := exec.Command(sox, "-t", "wav", "-", "-n", "stats")
			cmd.Stdin = bytes.NewReader(raw)
			out, err := cmd.CombinedOutput()
			if err != nil || bytes.Contains(out, []byte("WARN")) {
				t.Fatalf("%s/%s: %v: %s", lang, k, err, out)
			}
			for _, c := range []struct {
				label string
				ours  float64
			}{{"Pk lev dB", a.Level().Peak}, {"RMS lev dB", a.Level().RMS}, {"Length s", a.Duration().Seconds()}} {
				m := regexp.MustCompile(regexp.QuoteMeta(c.label) + `\s+(-?[0-9.]+)`).FindSubmatch(out)
				if m == nil {
					t.Fatalf("%s/%s: sox says no %s: %s", lang, k, c.label, out)
				}
				if sox, _ := strconv.ParseFloat(string(m[1]), 64); math.Abs(sox-c.ours) > 0.1 {
					t.Errorf("%s/%s: %s: sox %.2f, ours %.2f", lang, k, c.label, sox, c.ours)
				}
			}
		}
	}
}

func TestRenderWithEspeak(t *testing.T) {
	t.Parallel()
	need(t, "espeak-ng")
	if *update {
		for _, dir := range []string{"demo", "../sim/speech"} {
			c, err := prompt.ReadCatalogueFS(os.DirFS(dir))
			if err != nil {
				t.Fatal(err)
			}
			made, err := prompt.Render(t.Context(), c, dir, prompt.DefaultCommand)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: %d files", dir, len(made))
		}
	}
	c := catalogue(t)
	c = &prompt.Catalogue{Voices: c.Voices, Entries: map[string]prompt.Entry{
		"goodbye": c.Entries["goodbye"], "beep": c.Entries["beep"]}}
	dir := t.TempDir()
	made, err := prompt.Render(t.Context(), c, dir, prompt.DefaultCommand)
	if err != nil {
		t.Fatal(err)
	}
	if len(made) != 4 {
		t.Fatalf("made %d prompts, want 4", len(made))
	}
	s, err := prompt.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Has("goodbye") || !s.Has("beep") || s.Has("hello") {
		t.Errorf("set has %v", s.Keys())
	}
}

func TestRenderRefusals(t *testing.T) {
	t.Parallel()
	c := &prompt.Catalogue{Voices: map[string]prompt.Voice{"en": {}},
		Entries: map[string]prompt.Entry{"a": {Zh: "甲", En: "; touch {out}"}}}
	for _, tc := range []struct{ name, command, want string }{
		{"empty", "", "prompt_command"},
		{"no file", "say {text}", "prompt_command"},
		{"no text", "say -o {out}", "prompt_command"},
		{"no such program", "/nonexistent/say {out} {text}", "prompt_render"},
		{"fails", "false {out} {text}", "prompt_render"},
		{"writes nothing, and no shell reads the text", "true {out} {text}", "prompt_render"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if _, err := prompt.Render(t.Context(), c, t.TempDir(), tc.command); code(err) != tc.want {
				t.Errorf("got %v, want code %s", err, tc.want)
			}
		})
	}
}

func TestSetMissing(t *testing.T) {
	t.Parallel()
	beep := prompt.EncodeALaw(make([]int16, 801))
	s, err := prompt.Open(fstest.MapFS{
		"zh/a.wav": {Data: beep}, "en/a.wav": {Data: beep}, "zh/b.wav": {Data: beep}, "readme.txt": {},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"en/b", "en/c", "zh/c"}, s.Missing([]string{"a", "b", "c"})); diff != "" {
		t.Error(diff)
	}
	if !s.Has("a") || s.Has("b") || s.Has("c") {
		t.Error("Has must mean: in every language")
	}
	if _, err := s.WAV("en", "b"); code(err) != "prompt_missing" {
		t.Errorf("en/b: %v", err)
	}
	if raw, err := s.WAV("zh", "b"); err != nil || !bytes.Equal(raw, beep) {
		t.Errorf("zh/b: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	cd := prompt.EncodeALaw(make([]int16, 800))
	cd[24] = 0x11 // the rate in the header
	for name, fsys := range map[string]fstest.MapFS{
		"prompts_empty":     {},
		"prompt_unplayable": {"zh/a.wav": {Data: cd}},
	} {
		if _, err := prompt.Open(fsys); code(err) != name {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := prompt.Open(fstest.MapFS{"zh/a.wav": {Data: []byte("RIFF")}}); !strings.Contains(err.Error(), "zh/a.wav") {
		t.Errorf("the error does not name the file: %v", err)
	}
	if _, err := prompt.OpenDir(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a directory that does not exist opened")
	}
}

func TestCatalogueRefuses(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"unknown field": "prompts: {a: {zh: 甲, en: a, de: a}}",
		"no english":    "prompts: {a: {zh: 甲}}",
		"path in key":   "prompts: {../a: {zh: 甲, en: a}}",
		"empty":         "voices: {}",
		"language":      "voices: {fr: {name: x}}\nprompts: {a: {zh: 甲, en: a}}",
		"ultrasound":    "prompts: {a: {tone: {hz: 9000, ms: 100}}}",
		"not yaml":      "prompts: [",
	} {
		if _, err := prompt.ReadCatalogue([]byte(raw)); code(err) != "prompt_catalogue" {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
