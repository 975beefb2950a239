package template

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text is a wording in one language: a subject of one line and what follows it.
type Text struct {
	Subject string `yaml:"subject" json:"subject"`
	Text    string `yaml:"text" json:"text"`
}

// Texts is a wording in both languages.
type Texts struct {
	Zh Text `yaml:"zh" json:"zh"`
	En Text `yaml:"en" json:"en"`
}

// In gives the wording in a language; anything but en is Chinese.
func (t *Texts) In(lang string) *Text {
	if strings.HasPrefix(lang, "en") {
		return &t.En
	}
	return &t.Zh
}

// langs are the languages every template has.
var langs = []string{"zh", "en"}

// Tidy gives a wording as it is stored: without the browser's carriage returns,
// blanks at line ends and blank lines around.
func (t Texts) Tidy() Texts {
	for _, lang := range langs {
		x := t.In(lang)
		x.Subject = strings.TrimSpace(strings.ReplaceAll(x.Subject, "\r", ""))
		lines := strings.Split(strings.ReplaceAll(x.Text, "\r\n", "\n"), "\n")
		for i, l := range lines {
			lines[i] = strings.TrimRightFunc(l, unicode.IsSpace)
		}
		x.Text = strings.Trim(strings.Join(lines, "\n"), "\n")
	}
	return t
}

// mark begins the headings of Doc; no line of a text may begin so, and two
// different wordings never give the same document.
const mark = "==="

// Doc writes a wording down as one document: what a second person reads, what a
// version's hash is of, and what an evidence bundle holds.
func (t *Texts) Doc() string {
	return mark + " 中文 zh " + mark + "\n" + t.Zh.Subject + "\n\n" + t.Zh.Text + "\n\n" +
		mark + " English en " + mark + "\n" + t.En.Subject + "\n\n" + t.En.Text + "\n"
}

// Piece is a part of a line: words as they stand, or the value of a field.
type Piece struct{ Words, Field string }

// Line is a line of a text, read.
type Line struct {
	Only   []string // the line stands only where all of these fields have a value
	Pieces []Piece
}

var (
	only  = regexp.MustCompile(`^\{\?([a-z][a-z0-9_]*)\}`)
	token = regexp.MustCompile(`\{([^{}]*)\}`)
	name  = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

// Lines reads a text. What is not right in it stands as words; Check says what.
func Lines(text string) []Line {
	var out []Line
	for l := range strings.SplitSeq(text, "\n") {
		var line Line
		for m := only.FindStringSubmatch(l); m != nil; m = only.FindStringSubmatch(l) {
			line.Only, l = append(line.Only, m[1]), l[len(m[0]):]
		}
		at := 0
		for _, m := range token.FindAllStringSubmatchIndex(l, -1) {
			if field := l[m[2]:m[3]]; name.MatchString(field) {
				line.Pieces = append(line.Pieces, Piece{Words: l[at:m[0]]}, Piece{Field: field})
				at = m[1]
			}
		}
		line.Pieces = append(line.Pieces, Piece{Words: l[at:]})
		out = append(out, line)
	}
	return out
}

// Values are what a letter is filled with, by the names of fields. A field that
// is not there has no value.
type Values map[string]string

// Fill writes a wording out in a language. A line whose condition has no value
// falls away; a field without a value anywhere else is an error, because a letter
// with a hole in it must not leave.
func (t *Texts) Fill(lang string, v Values) (subject, text string, err error) {
	x := t.In(lang)
	if subject, err = fill(x.Subject, v); err != nil {
		return "", "", err
	}
	text, err = fill(x.Text, v)
	return subject, text, err
}

func fill(text string, v Values) (string, error) {
	var out []string
	for _, l := range Lines(text) {
		if slices.ContainsFunc(l.Only, func(f string) bool { return v[f] == "" }) {
			continue
		}
		var b strings.Builder
		for _, p := range l.Pieces {
			if p.Field != "" && v[p.Field] == "" {
				return "", fmt.Errorf("template: nothing was given for {%s}", p.Field)
			}
			b.WriteString(p.Words)
			b.WriteString(v[p.Field])
		}
		out = append(out, b.String())
	}
	return strings.Join(out, "\n"), nil
}

// Problem is something wrong with a wording: where it is and how to mend it.
type Problem struct {
	Lang    string // zh, en
	Subject bool   // in the subject, not in the text
	Line    int    // of the text, from 1; 0 = of the whole
	Zh, En  string
}

// checker collects what is wrong with a wording.
type checker struct {
	form     *Form
	lang     string
	subject  bool
	line     int
	problems []Problem
}

func (c *checker) bad(zh, en string, args ...any) {
	c.problems = append(c.problems, Problem{Lang: c.lang, Subject: c.subject, Line: c.line, Zh: fmt.Sprintf(zh, args...), En: fmt.Sprintf(en, args...)})
}

// Check gives everything that is wrong with a wording for this form.
func (f *Form) Check(t *Texts) []Problem {
	c := &checker{form: f}
	for _, lang := range langs {
		c.check(lang, t.In(lang))
	}
	return c.problems
}

func (c *checker) check(lang string, x *Text) {
	c.lang, c.subject, c.line = lang, true, 0
	switch {
	case x.Subject == "":
		c.bad("请填写标题。", "Give it a subject.")
	case strings.Contains(x.Subject, "\n"):
		c.bad("标题只能有一行。", "The subject is one line.")
	case utf8.RuneCountInString(x.Subject) > maxSubject:
		c.bad("标题太长，请控制在 %d 字以内。", "The subject is too long; keep it under %d characters.", maxSubject)
	default:
		c.lines(x.Subject, true)
	}
	c.subject, c.line = false, 0
	if x.Text == "" {
		c.bad("请填写正文。", "Write the text.")
		return
	}
	if n := utf8.RuneCountInString(x.Text); n > c.form.Max {
		c.bad("正文有 %d 字，超过 %d 字的上限；请精简。", "The text has %d characters, more than the %d allowed; shorten it.", n, c.form.Max)
	}
	c.lines(x.Text, false)
	c.line = 0
	used := fields(x.Subject + "\n" + x.Text)
	for _, f := range c.form.Fields {
		if f.Must && !used[f.Name] {
			c.bad("缺少必须写明的 {%s}（%s）；请把它写进正文。", "{%s} (%s) must be said; write it into the text.", f.Name, f.About.In(lang))
		}
	}
	for _, s := range c.form.Says {
		if !strings.Contains(strings.ToLower(x.Text), s.In(lang)) {
			c.bad("必须写明“%s”（%s）；请补上这句话。", "It must speak of %q (%s); add that sentence.", s.In(lang), s.Why)
		}
	}
}

// lines checks a text line by line.
func (c *checker) lines(text string, subject bool) {
	for i, l := range strings.Split(text, "\n") {
		if !subject {
			c.line = i + 1
		}
		if strings.HasPrefix(l, mark) {
			c.bad("一行不能以 %s 开头；请换一种写法。", "A line cannot begin with %s; write it another way.", mark)
		}
		if strings.ContainsFunc(l, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }) {
			c.bad("含有看不见的控制字符；请重新输入这一行。", "It holds an invisible control character; type this line again.")
		}
		if strings.ContainsAny(l, "｛｝") {
			c.bad("花括号须用半角 { }；请改写 ｛ 或 ｝。", "Fields stand in { }; replace the full-width ｛ or ｝.")
		}
		c.braces(l, subject)
	}
}

// braces checks the fields and conditions of a line.
func (c *checker) braces(l string, subject bool) {
	var when []string
	for m := only.FindStringSubmatch(l); m != nil; m = only.FindStringSubmatch(l) {
		when, l = append(when, m[1]), l[len(m[0]):]
		switch f := c.form.Field(m[1]); {
		case subject:
			c.bad("标题不能有条件 {?%s}；请移到正文里。", "A subject takes no condition {?%s}; move it into the text.", m[1])
		case f == nil:
			c.unknown("{?" + m[1] + "}")
		case !f.Maybe && !f.Flag:
			c.bad("{%s} 总是有内容，不需要条件；请删去 {?%[1]s}。", "{%s} always has a value; take the condition {?%[1]s} away.", f.Name)
		}
	}
	for _, m := range token.FindAllStringSubmatch(l, -1) {
		f := c.form.Field(m[1])
		switch {
		case strings.HasPrefix(m[1], "?"):
			c.bad("条件 %s 只能放在行首；请把它移到这一行的最前面。", "The condition %s stands at the beginning of a line; move it there.", m[0])
		case f == nil:
			c.unknown(m[0])
		case f.Flag:
			c.bad("{%s} 没有内容，只能作条件；请改为行首的 {?%[1]s}。", "{%s} has no value of its own; begin the line with {?%[1]s} instead.", f.Name)
		case f.Maybe && !slices.Contains(when, f.Name):
			c.bad("{%s} 有时没有内容；请在这一行的最前面加上 {?%[1]s}，没有内容时整行不出现。", "{%s} may have no value; begin the line with {?%[1]s}, so that it falls away then.", f.Name)
		}
	}
	if rest := token.ReplaceAllString(l, ""); strings.ContainsAny(rest, "{}") {
		c.bad("花括号没有成对；每个内容写作 {名称}。", "A brace has no partner; every field is written {name}.")
	}
}

func (c *checker) unknown(written string) {
	var names []string
	for _, f := range c.form.Fields {
		names = append(names, f.Name)
	}
	c.bad("没有叫 %s 的内容；可用的有：%s。", "There is no %s here; these exist: %s.", written, strings.Join(names, ", "))
}

// fields gives the fields that a text names, as values or as conditions.
func fields(text string) map[string]bool {
	out := map[string]bool{}
	for _, l := range Lines(text) {
		for _, f := range l.Only {
			out[f] = true
		}
		for _, p := range l.Pieces {
			out[p.Field] = true
		}
	}
	return out
}
