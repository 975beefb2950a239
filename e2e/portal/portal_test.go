// Package portal walks the customer pages in Chromium, on a bank at work: every
// page in both languages, with axe-core, with the keyboard alone, and without
// scripts.
package portal

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"parley/internal/app"
	"parley/internal/complaint"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/httpx/browsertest"
	"parley/internal/party"
)

// axe is axe-core 4.14.1 (MPL-2.0, see testdata), by Deque Systems; the tests
// run it in the page, and nothing serves it.
//
//go:embed testdata/axe.min.js
var axe string

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// visitor is a customer of the demo who complained by key: there is a call, a
// recording and a consent to look at.
type visitor struct {
	phone, email string
	key2         *complaint.Case
}

// bank is one demo for all tests: real calls take their time.
var bank = sync.OnceValues(func() (*app.Demo, error) {
	dir, err := os.MkdirTemp("", "portal")
	if err != nil {
		return nil, err
	}
	return app.StartDemo(context.Background(), app.DemoOptions{Dir: dir, Addr: "127.0.0.1:0", Seed: 7, People: 300})
})

func TestMain(m *testing.M) {
	code := m.Run()
	if d, err := bank(); err == nil {
		if err := d.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

var (
	taken   = map[contact.ID]bool{}
	takenMu sync.Mutex
)

// newVisitor waits for a complaint by key of somebody no other test has taken.
func newVisitor(t *testing.T, d *app.Demo) visitor {
	t.Helper()
	ctx := context.Background()
	for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		cs, err := d.Complaints.List(ctx, complaint.Filter{})
		must(t, err)
		for _, c := range cs {
			takenMu.Lock()
			free := c.Source == "key2" && c.Cause != nil && c.Cause.Recording != "" && !taken[c.Party]
			if free {
				taken[c.Party] = true
			}
			takenMu.Unlock()
			if !free {
				continue
			}
			v := visitor{key2: c}
			must(t, d.DB.Write(ctx, func(tx *db.Tx) error {
				p, err := d.Party.Get(ctx, tx, c.Party)
				if err != nil {
					return err
				}
				phone, _ := p.Point(party.Phone)
				mail, _ := p.Point(party.Email)
				v.phone, v.email = phone.Value, mail.Value
				ns, err := d.Consent.Notices(ctx, tx)
				if err != nil {
					return err
				}
				_, err = d.Consent.Grant(ctx, tx, p.ID, contact.Grant{Ground: contact.Consent, Purposes: contact.PurposeSet(contact.Marketing),
					Max: 2, Days: 30, Hours: []contact.Hours{{From: 18 * 60, To: 20 * 60}}, Notice: ns[0].Hash, How: "app"}, "test")
				return err
			}))
			return v
		}
	}
	t.Fatal("nobody complained by key")
	return visitor{}
}

// browser is a Chromium tab on the pages of a bank.
type browser struct {
	*browsertest.Page
	d *app.Demo
}

func open(t *testing.T, d *app.Demo, lang string, scripts bool) *browser {
	t.Helper()
	b := &browser{Page: browsertest.Open(t, d.Addr, lang, 30*time.Minute), d: d}
	b.Size(390, 844)
	if !scripts {
		b.NoScript = true
		b.Do(func(ctx context.Context, s *chromedp.Target) (chromedp.Void, error) {
			_, err := cdp.Call(ctx, s, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
			return chromedp.Void{}, err
		})
	}
	b.open("/my?lang=" + lang)
	return b
}

func (b *browser) open(path string) {
	b.T.Helper()
	b.Go(path)
	b.Do(chromedp.WaitVisible("#main"))
}

// walk goes through every page there is, as a customer would, and calls look at each.
func (b *browser) walk(v visitor, address string, look func(name string)) {
	b.T.Helper()
	at := func(name, sel string) {
		b.T.Helper()
		b.Do(chromedp.WaitVisible(sel))
		look(name)
	}
	at("home", ".doors")
	b.open("/my/contacts")
	at("enter", "#f-address")
	b.Send(`form[action="/my/enter"]:not(.sample) button`, "#wrong")
	at("enter-wrong", "#e-address")
	b.Do(chromedp.SendKeys("#f-address", address))
	b.Send(`form[action="/my/enter"]:not(.sample) button`, "#f-code")
	at("code", "#simulated .number")
	code := b.Text("#simulated .number")
	b.Do(chromedp.SendKeys("#f-code", "x"))
	b.Send(`form[action="/my/code"] button`, "#e-code")
	at("code-wrong", "#wrong")
	b.Do(chromedp.SendKeys("#f-code", code))
	b.Send(`form[action="/my/code"] button`, ".entry")
	if b.Path() != "/my/contacts" {
		b.T.Errorf("signing in led to %s, not where the visitor was going", b.Path())
	}
	at("contacts", ".entry")
	b.open("/my")
	at("home-known", "#known")
	b.terms(at)
	b.contact(v, at)
	b.stopAll(at)
	token := b.complain(v, at)
	b.answered(token, at)
	for name, sel := range map[string]string{"cases": ".entry", "evidence": "#key", "looks": "h1"} {
		b.open("/my/" + name)
		at(name, sel)
	}
	b.open("/my")
	b.Send(`main form[action="/my/leave"] button`, ".panel")
	at("left", ".panel")
	b.open("/my/case")
	at("case-door", "#f-query")
	b.Do(chromedp.SendKeys("#f-number", "2026-000001"), chromedp.SendKeys("#f-query", "AAAA-AAAA"))
	b.Send(`form[action="/my/case"] button`, "#wrong")
	at("case-door-wrong", "#e-query")
	b.open("/c/nobody")
	at("oops", "h1")
	b.claimed(v, at)
}

// contact looks at one contact, hears its recording and stops its kind.
func (b *browser) contact(v visitor, at func(name, sel string)) {
	b.T.Helper()
	b.open("/my/contacts/" + v.key2.Attempt)
	at("contact", "#because")
	b.Send(`form[action$="/recording"] button`, "audio")
	at("recording", "audio")
	b.Send(`form[action$="/stop"] button`, "#stopped")
	at("stopped", "#stays")
}

// terms changes a consent.
func (b *browser) terms(at func(name, sel string)) {
	b.T.Helper()
	b.open("/my/agreed")
	at("agreed", ".entry")
	b.Send(`a.button[href^="/my/agreed/"]`, "#f-often")
	at("terms", "#f-hours")
	b.Click(`input[name="channels"][value="voice"]`)
	b.Send(`form[action^="/my/agreed/"]:not([action$="/stop"]) button`, "#done")
	at("agreed-changed", ".entry.new")
}

func (b *browser) stopAll(at func(name, sel string)) {
	b.T.Helper()
	b.open("/my/stop")
	at("stop-all", "#stays")
	b.Send(`form[action="/my/stop"] button`, "#stopped")
	at("stopped-all", "#stays")
}

// complain files a complaint about the contact and gives the case's token.
func (b *browser) complain(v visitor, at func(name, sel string)) string {
	b.T.Helper()
	dir := b.T.TempDir()
	picture, program := filepath.Join(dir, "截图.png"), filepath.Join(dir, "invoice.pdf")
	f, err := os.Create(picture)
	must(b.T, err)
	must(b.T, png.Encode(f, image.NewGray(image.Rect(0, 0, 64, 64))))
	must(b.T, f.Close())
	must(b.T, os.WriteFile(program, []byte("MZ\x90\x00 this program cannot be run in DOS mode"), 0o600))
	b.open("/complain?about=" + v.key2.Attempt)
	at("complain", `input[name="about"]:checked`)
	b.Send(`form[action="/complain"] button`, "#wrong")
	at("complain-wrong", "#e-words")
	b.Do(chromedp.SendKeys("#f-words", "上午有人打来推销，我说过不要。"))
	b.Send(`form[action="/complain"] button`, "#f-file")
	at("files", "#f-file")
	b.Do(chromedp.SetUploadFiles("#f-file", []string{program}))
	b.Send(`button[value="add"]`, "#wrong")
	at("files-wrong", "#e-file")
	b.Do(chromedp.SetUploadFiles("#f-file", []string{picture}))
	b.Send(`button[value="add"]`, ".files")
	at("files-added", ".files")
	b.Send(`button[value="next"]`, ".answers")
	at("check-answers", ".answers")
	b.Send(`form[action="/complain/send"] button`, ".panel .number")
	at("case-new", "#promise")
	token, _, _ := strings.Cut(strings.TrimPrefix(b.Path(), "/c/"), "?")
	return token
}

// answered has two people of the bank answer, and the customer accept and rate.
func (b *browser) answered(token string, at func(name, sel string)) {
	b.T.Helper()
	ctx := context.Background()
	f, err := b.d.Complaints.ByToken(ctx, token)
	must(b.T, err)
	if !f.Case.Proven || len(f.Files) != 1 || f.Files[0].Media != "image/png" {
		b.T.Errorf("the case is %+v with %+v", f.Case, f.Files)
	}
	b.open("/c/" + token)
	at("case", "#due")
	handler, approver := b.d.Seeded.Staff("zhang"), b.d.Seeded.Staff("zhao")
	_, err = b.d.Complaints.Take(ctx, f.Case.ID, handler)
	must(b.T, err)
	_, err = b.d.Complaints.Propose(ctx, f.Case.ID, handler, complaint.Decision{Result: complaint.Upheld, Facts: "拨打营销电话一次。", Basis: "客户曾拒绝。",
		Apology: true, Block: &contact.Stop{Purposes: contact.PurposeSet(contact.Marketing)}, RootCause: "名单已改为实时。"})
	must(b.T, err)
	_, err = b.d.Complaints.Answer(ctx, f.Case.ID, approver)
	must(b.T, err)
	b.open("/c/" + token)
	at("case-answered", ".letter")
	b.Send(`form[action$="/review"] button`, "#wrong")
	at("review-wrong", "#e-review")
	b.Send(`form[action$="/accept"] button`, "#state")
	b.Do(chromedp.WaitVisible("#f-stars"))
	b.Choose(`input[name="stars"][value="4"]`)
	b.Send(`form[action$="/rate"] button`, "#rated")
	at("case-closed", "#rated")
	b.open("/c/" + token + "/check")
	at("check", "#command")
}

// claimed files a complaint with a number and without proving it, and proves it
// afterwards: before that nothing of the number's owner shows or changes.
func (b *browser) claimed(v visitor, at func(name, sel string)) {
	b.T.Helper()
	b.open("/complain")
	at("complain-unknown", "#f-phone")
	b.Do(chromedp.SendKeys("#f-words", "有人打来推销。"), chromedp.SendKeys("#f-phone", v.phone))
	b.Send(`form[action="/complain"] button`, "#f-file")
	b.Send(`button[value="next"]`, ".answers")
	at("check-answers-unknown", ".answer")
	b.Send(`form[action="/complain/send"] button`, ".panel .number")
	at("case-claimed", "#claim")
	token, _, _ := strings.Cut(strings.TrimPrefix(b.Path(), "/c/"), "?")
	f, err := b.d.Complaints.ByToken(context.Background(), token)
	must(b.T, err)
	if f.Case.Proven || f.Case.Hold != "" || f.Case.Party != v.key2.Party {
		b.T.Errorf("a typed number has an effect: %+v", f.Case)
	}
	number, query := b.Text(".panel .number"), b.Text("#query")
	b.open("/my/case")
	b.Do(chromedp.SendKeys("#f-number", number), chromedp.SendKeys("#f-query", query))
	b.Send(`form[action="/my/case"] button`, "#state")
	if !strings.HasPrefix(b.Path(), "/c/"+token) {
		b.T.Errorf("number and code led to %s", b.Path())
	}
}

// TestEveryPageMeetsWCAG runs axe-core over every page in both languages at
// 390 px, looks that nothing is cut off at 320 px (WCAG 1.4.10, which is also
// 400 % zoom at 1280), that what is tapped is large enough, and what a page weighs.
// PARLEY_SHOTS names a directory for pictures.
func TestEveryPageMeetsWCAG(t *testing.T) {
	t.Parallel()
	d, err := bank()
	must(t, err)
	for _, lang := range []string{"zh", "en"} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			v := newVisitor(t, d)
			b := open(t, d, lang, true)
			address := v.phone
			if lang == "en" {
				address = v.email
			}
			seen := 0
			b.walk(v, address, func(name string) {
				seen++
				b.inspect(name, lang)
			})
			if seen < 35 {
				t.Errorf("only %d pages were seen", seen)
			}
		})
	}
}

func (b *browser) inspect(name, lang string) {
	b.T.Helper()
	if got := browsertest.Eval[string](b.Page, `document.documentElement.lang`); !strings.HasPrefix(got, lang) {
		b.T.Errorf("%s speaks %s, not %s", name, got, lang)
	}
	if n := browsertest.Eval[int](b.Page, `document.scripts.length`); n != 0 {
		b.T.Errorf("%s has %d scripts", name, n)
	}
	browsertest.Eval[bool](b.Page, axe+";true")
	found := browsertest.Eval[string](b.Page, `axe.run(document, {runOnly: ["wcag2a","wcag2aa","wcag21a","wcag21aa","wcag22aa","best-practice"]}).then(r =>
		JSON.stringify(r.violations.map(v => v.id + ": " + v.help + " " + v.nodes.map(n => n.html).join(" | "))))`)
	var violations []string
	must(b.T, json.Unmarshal([]byte(found), &violations))
	for _, s := range violations {
		b.T.Errorf("%s (%s): %s", name, lang, s)
	}
	if small := browsertest.Eval[string](b.Page, tooSmall); small != "" {
		b.T.Errorf("%s (%s): too small to tap: %s", name, lang, small)
	}
	if w := browsertest.Eval[int](b.Page, weight); w > 60_000 {
		b.T.Errorf("%s weighs %d bytes", name, w)
	}
	b.Size(320, 640)
	if wide := browsertest.Eval[int](b.Page, `document.documentElement.scrollWidth`); wide > 320 {
		b.T.Errorf("%s (%s) is %d px wide at 320 px", name, lang, wide)
	}
	if px := browsertest.Eval[float64](b.Page, `parseFloat(getComputedStyle(document.body).fontSize)`); px < 16 {
		b.T.Errorf("%s has text of %v px", name, px)
	}
	for _, size := range [][2]int64{{1280, 900}, {390, 844}} {
		b.Size(size[0], size[1])
		if dir := os.Getenv("PARLEY_SHOTS"); dir != "" {
			img, err := chromedp.Run(b.Ctx, chromedp.FullScreenshot(100))
			must(b.T, err)
			must(b.T, os.WriteFile(filepath.Join(dir, fmt.Sprintf("portal-%s-%s-%d.png", name, lang, size[0])), img, 0o644))
		}
	}
}

// tooSmall names what can be tapped and is lower than 44 px; a link inside a
// sentence is as high as its line (WCAG 2.5.8 exempts it).
const tooSmall = `[...document.querySelectorAll("button, a.button, summary, input:not([type=hidden]), select, textarea, .pick, .doors a, .lang, .home")]
	.filter(e => { const r = (e.closest(".pick") || e).getBoundingClientRect(); return r.height > 0 && r.height < 43.5 })
	.map(e => e.outerHTML.slice(0, 80)).join(" ; ")`

// weight adds up what the page and all it loads take on the wire, as far as the
// browser knows, cached or not.
const weight = `performance.getEntriesByType("navigation").concat(performance.getEntriesByType("resource"))
	.filter(e => !e.name.endsWith(".wav")).reduce((n, e) => n + e.encodedBodySize, 0)`

// TestTheWholeJourneyWithoutScripts walks all of it with script execution
// switched off in the browser.
func TestTheWholeJourneyWithoutScripts(t *testing.T) {
	t.Parallel()
	d, err := bank()
	must(t, err)
	v := newVisitor(t, d)
	b := open(t, d, "zh", false)
	n := 0
	b.walk(v, v.phone, func(string) { n++ })
	if n < 35 {
		t.Errorf("only %d pages", n)
	}
}

// TestWithTheKeyboardAlone complains, after proving a number, with nothing but
// Tab, Space, Enter and typing (WCAG 2.1.1), and sees where the focus is all the
// way (2.4.7).
func TestWithTheKeyboardAlone(t *testing.T) {
	t.Parallel()
	d, err := bank()
	must(t, err)
	v := newVisitor(t, d)
	b := open(t, d, "zh", true)
	b.tabTo("跳到正文")
	b.press(kb.Enter)
	b.tabTo("我的投诉")
	b.enter("#f-address")
	b.tabTo("#f-address")
	b.Do(chromedp.KeyEvent(v.phone))
	b.enter("#f-code")
	code := b.Text("#simulated .number")
	b.tabTo("#f-code")
	b.Do(chromedp.KeyEvent("000"))
	b.enter("#wrong")
	b.tabTo("验证码：") // the summary's link leads to the field
	// The driver sends the character of Enter on to the field that then has the
	// focus, which no keyboard does and which submits the form; so the link with
	// the focus is followed by a click.
	browsertest.Eval[bool](b.Page, `(() => { document.activeElement.click(); return true })()`)
	if id := browsertest.Eval[string](b.Page, `document.activeElement.id`); id != "f-code" {
		t.Errorf("the summary leads to %q, not to the field", id)
	}
	b.open("/my/code")
	b.tabTo("#f-code")
	b.Do(chromedp.KeyEvent(code))
	b.enter(".entry")
	b.tabTo("我要投诉")
	b.enter("#f-words")
	b.tabTo(`about`)
	b.press(" ")
	b.tabTo("#f-words")
	b.Do(chromedp.KeyEvent("有人打来推销。"))
	b.tabTo("下一步")
	b.enter("#f-file")
	b.tabTo("下一步")
	b.enter(".answers")
	b.tabTo("提交投诉")
	b.enter(".panel .number")
	b.tabTo("退出")
	b.enter(".panel")
	b.open("/my/contacts")
	if !strings.HasPrefix(b.Path(), "/my/enter") {
		t.Errorf("signed out, and %s opens", b.Path())
	}
}

// enter presses Enter on what leads to another page, which then shows something.
func (b *browser) enter(shows string) {
	b.T.Helper()
	b.Follow(func() { b.press(kb.Enter) })
	b.Do(chromedp.WaitVisible(shows))
}

func (b *browser) press(key string) {
	b.T.Helper()
	b.Do(chromedp.KeyEvent(key))
}

// focus is what has the focus, as "id name text", and whether it shows.
const focus = `(() => { const e = document.activeElement, s = getComputedStyle(e);
	return JSON.stringify({is: "#" + e.id + " " + (e.name || "") + " " + e.innerText, seen: e === document.body || s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0}) })()`

// tabTo presses Tab until the focus is on what is named by its text, name or #id.
func (b *browser) tabTo(what string) {
	b.T.Helper()
	var passed []string
	for range 60 {
		b.press(kb.Tab)
		var f struct {
			Is   string
			Seen bool
		}
		must(b.T, json.Unmarshal([]byte(browsertest.Eval[string](b.Page, focus)), &f))
		if !f.Seen {
			b.T.Errorf("the focus on %q cannot be seen", f.Is)
		}
		if strings.Contains(f.Is, what) {
			return
		}
		passed = append(passed, f.Is)
	}
	b.T.Fatalf("Tab does not reach %q on %s; it passes %q", what, b.Path(), passed)
}
