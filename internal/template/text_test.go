package template

import (
	"strings"
	"testing"
)

// Every wording that ships is right by its own form, says what it must, and every
// sample of it fills without a hole in both languages.
func TestShipped(t *testing.T) {
	t.Parallel()
	if len(Forms()) < 7 {
		t.Fatalf("only %d templates", len(Forms()))
	}
	for _, f := range Forms() {
		for _, p := range f.Check(&f.Shipped) {
			zh, _ := p.Where()
			t.Errorf("%s: %s%s", f.ID, zh, p.Zh)
		}
		if f.Way != "page" && f.Way != "mail" || len(f.Samples) == 0 || f.Title.Zh == "" || f.When.En == "" {
			t.Errorf("%s is incomplete", f.ID)
		}
		for _, x := range f.Fields {
			if x.About.Zh == "" || x.About.En == "" || !x.Flag && (x.Example.Zh == "" || x.Example.En == "") || !name.MatchString(x.Name) {
				t.Errorf("%s: the field %q is incomplete", f.ID, x.Name)
			}
		}
		for i, s := range f.Samples {
			for _, w := range s.With {
				if x := f.Field(w); x == nil || !x.Maybe && !x.Flag {
					t.Errorf("%s: sample %d names %q", f.ID, i, w)
				}
			}
			for _, lang := range langs {
				subject, text, err := f.Shipped.Fill(lang, f.Example(i, lang))
				if err != nil || subject == "" || strings.ContainsAny(subject+text, "{}") {
					t.Errorf("%s, sample %d, %s: %v\n%s", f.ID, i, lang, err, text)
				}
			}
		}
	}
}

// CN-CMP-LETTER: each of the answer's samples names the four ways onward, save
// that there is no second review.
func TestAnswerFalls(t *testing.T) {
	t.Parallel()
	f, err := FormOf("answer")
	if err != nil {
		t.Fatal(err)
	}
	_, first, _ := f.Shipped.Fill("zh", f.Example(0, "zh"))
	_, last, _ := f.Shipped.Fill("zh", f.Example(3, "zh"))
	for _, want := range []string{"您的投诉成立。", "¥50.00", "营销类", "2026年12月31日", "调解", "仲裁", "诉讼"} {
		if !strings.Contains(first, want) {
			t.Errorf("the first answer lacks %q", want)
		}
	}
	for _, not := range []string{"投诉成立", "¥", "道歉", "申请核查", "停止"} {
		if strings.Contains(last, not) {
			t.Errorf("the answer after a review holds %q", not)
		}
	}
	if !strings.Contains(last, "经核实，您的投诉不成立。") || strings.Contains(last, "\n\n\n") {
		t.Errorf("after a review:\n%s", last)
	}
}

// What is wrong is named with its language, its line, and the mend.
func TestCheck(t *testing.T) {
	t.Parallel()
	f, err := FormOf("answer")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*Texts)
		lang   string
		line   int
		want   string
	}{
		{"unknown field", func(x *Texts) { x.Zh.Text = "{nummer}\n" + x.Zh.Text }, "zh", 1, "there is no {nummer} here"},
		{"unknown condition", func(x *Texts) { x.En.Text += "\n{?maybe}x" }, "en", 28, "there is no {?maybe} here"},
		{"missing number", func(x *Texts) { x.Zh.Text = strings.Replace(x.Zh.Text, "{number}", "", 1) }, "zh", 0, "{number} (投诉编号) must be said"},
		{"missing result", func(x *Texts) { x.En.Text = strings.Replace(x.En.Text, "{?partly}", "{?upheld}", 1) }, "en", 0, "{partly}"},
		{"no word of mediation", func(x *Texts) { x.En.Text = strings.Replace(x.En.Text, "mediation", "talking", 1) }, "en", 0, `speak of "mediation" (CN-CMP-LETTER)`},
		{"review without its condition", func(x *Texts) { x.Zh.Text = strings.Replace(x.Zh.Text, "{?review_by}", "", 1) }, "zh", 23, "{?review_by}"},
		{"empty language", func(x *Texts) { x.En = Text{} }, "en", 0, "Give it a subject."},
		{"empty text", func(x *Texts) { x.En.Text = "" }, "en", 0, "Write the text."},
		{"too long", func(x *Texts) { x.Zh.Text += strings.Repeat("长", 6000) }, "zh", 0, "more than the 6000 allowed"},
		{"no partner", func(x *Texts) { x.Zh.Text = "{number\n" + x.Zh.Text }, "zh", 1, "no partner"},
		{"no partner either", func(x *Texts) { x.Zh.Text = "number}\n" + x.Zh.Text }, "zh", 1, "no partner"},
		{"nested", func(x *Texts) { x.Zh.Text = "{a{number}}\n" + x.Zh.Text }, "zh", 1, "no partner"},
		{"full width", func(x *Texts) { x.Zh.Text = "｛number｝\n" + x.Zh.Text }, "zh", 1, "full-width"},
		{"blank inside", func(x *Texts) { x.Zh.Text = "{ number }\n" + x.Zh.Text }, "zh", 1, "no { number } here"},
		{"condition in the middle", func(x *Texts) { x.Zh.Text = "您 {?apology}好\n" + x.Zh.Text }, "zh", 1, "beginning of a line"},
		{"flag as a value", func(x *Texts) { x.Zh.Text = "{apology}\n" + x.Zh.Text }, "zh", 1, "{?apology}"},
		{"needless condition", func(x *Texts) { x.Zh.Text = "{?facts}{facts}\n" + x.Zh.Text }, "zh", 1, "take the condition"},
		{"condition in the subject", func(x *Texts) { x.Zh.Subject = "{?apology}好" }, "zh", 0, "takes no condition"},
		{"subject of two lines", func(x *Texts) { x.Zh.Subject = "a\nBcc: x@y" }, "zh", 0, "one line"},
		{"heading", func(x *Texts) { x.Zh.Text += "\n=== English en ===" }, "zh", 28, "cannot begin with ==="},
		{"control character", func(x *Texts) { x.Zh.Text = "a\x00b\n" + x.Zh.Text }, "zh", 1, "control character"},
	} {
		x := f.Shipped
		c.change(&x)
		found := false
		ps := f.Check(&x)
		for _, p := range ps {
			found = found || p.Lang == c.lang && p.Line == c.line && strings.Contains(strings.ToLower(p.En), strings.ToLower(c.want)) && p.Zh != ""
		}
		if !found {
			t.Errorf("%s: want %q in line %d of %s, got %+v", c.name, c.want, c.line, c.lang, ps)
		}
	}
}

// A letter with a hole in it does not leave, and what people wrote is not read as
// a template again.
func TestFill(t *testing.T) {
	t.Parallel()
	x := Texts{Zh: Text{Subject: "{a}", Text: "{?b}B {b}\nA {a}"}}
	if _, _, err := x.Fill("zh", Values{}); err == nil || !strings.Contains(err.Error(), "{a}") {
		t.Errorf("a hole: %v", err)
	}
	subject, text, err := x.Fill("zh", Values{"a": "{b} {?b}"})
	if err != nil || subject != "{b} {?b}" || text != "A {b} {?b}" {
		t.Errorf("%q %q %v", subject, text, err)
	}
	if _, text, _ = x.Fill("zh", Values{"a": "1", "b": "2"}); text != "B 2\nA 1" {
		t.Errorf("%q", text)
	}
}

// Two different wordings never share a document, whatever stands in them.
func FuzzDoc(f *testing.F) {
	f.Add("标题", "一行\n=== English en ===", "subject", "text", "x")
	f.Fuzz(func(t *testing.T, zs, zt, es, et, more string) {
		form := Forms()[0]
		a := Texts{Zh: Text{zs, zt}, En: Text{es, et}}
		a = a.Tidy()
		b := a
		b.Zh.Text += more
		b = b.Tidy()
		bad := func(x *Texts) bool {
			for _, p := range form.Check(x) {
				if strings.Contains(p.En, "begin with") || strings.Contains(p.En, "one line") || strings.Contains(p.En, "control") {
					return true
				}
			}
			return false
		}
		if bad(&a) || bad(&b) {
			return
		}
		if (a == b) != (a.Doc() == b.Doc()) {
			t.Errorf("%q %q", a, b)
		}
	})
}
