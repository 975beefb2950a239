// Package browsertest drives a real Chromium over pages that are served, for
// tests that walk them as people do.
package browsertest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// Page is a browser on a site.
type Page struct {
	T   testing.TB
	Ctx context.Context
	URL string // of the site
	// NoScript tells that the browser runs no scripts of the page, so that a
	// click cannot be seen to have gone where it was meant to go.
	NoScript bool
}

// patience is how long a page may take to say what is expected, on a loaded machine.
const patience = 2 * time.Minute

// Open starts a headless Chromium in a language (zh-CN or en). Without Chromium
// the test is skipped, but not in CI.
func Open(t testing.TB, url, lang string, most time.Duration) *Page {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("chromium is not installed: apt-get install chromium")
		}
		t.Skip("chromium is not installed: apt-get install chromium")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("accept-lang", lang), chromedp.WindowSize(1280, 900))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(stop)
	ctx, stop2 := chromedp.NewContext(ctx)
	t.Cleanup(stop2)
	ctx, stop3 := context.WithTimeout(ctx, most)
	t.Cleanup(stop3)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil { // the browser lives as long as this context
		t.Fatal(err)
	}
	return &Page{T: t, Ctx: ctx, URL: url}
}

// With gives the same browser for a test below.
func (p *Page) With(t testing.TB) *Page {
	return &Page{T: t, Ctx: p.Ctx, URL: p.URL, NoScript: p.NoScript}
}

// Do takes steps; where one does not come off the test ends with what the page says.
func (p *Page) Do(steps ...chromedp.Action[chromedp.Void]) {
	p.T.Helper()
	ctx, stop := context.WithTimeout(p.Ctx, patience)
	defer stop()
	for _, step := range steps {
		err := chromedp.Do(ctx, step)
		if err != nil && strings.Contains(err.Error(), "Could not find node") { // the page it looked at was on its way out
			err = chromedp.Do(ctx, step)
		}
		if err != nil {
			p.T.Fatalf("at %s: %v\n%s", p.Path(), err, p.said())
		}
	}
}

// Eval gives the value of a script, awaited where it is a promise.
func Eval[R any](p *Page, script string) R {
	p.T.Helper()
	v, err := chromedp.Run(p.Ctx, chromedp.Evaluate[R](script, chromedp.EvalAwaitPromise))
	if err != nil {
		p.T.Fatalf("%.80s: %v", script, err)
	}
	return v
}

// Path is where the browser is, with the query, without the site.
func (p *Page) Path() string {
	p.T.Helper()
	at, err := chromedp.Run(p.Ctx, chromedp.Location())
	if err != nil {
		p.T.Fatal(err)
	}
	return strings.TrimPrefix(at, p.URL)
}

// Text is what the first thing that matches a selector says, folded away or not.
func (p *Page) Text(selector string) string {
	p.T.Helper()
	ctx, stop := context.WithTimeout(p.Ctx, patience)
	defer stop()
	s, err := chromedp.Run(ctx, chromedp.TextContent(selector))
	if err != nil {
		p.T.Fatalf("%s: %v\n%s", selector, err, p.said())
	}
	return strings.TrimSpace(s)
}

// rest waits until the page has loaded and what is to be touched stands still:
// a click goes to where it was, and a page that is being laid out moves.
func (p *Page) rest(selector string) {
	p.T.Helper()
	p.Do(chromedp.WaitVisible(selector), chromedp.ScrollIntoView(selector))
	at, still := "", 0
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(40 * time.Millisecond) {
		now, err := chromedp.Run(p.Ctx, chromedp.Evaluate[string](`(() => { const e = document.querySelector(`+"`"+selector+"`"+`), r = e && e.getBoundingClientRect();
			return r && document.readyState === "complete" ? [r.x, r.y, r.width, r.height, innerWidth, innerHeight].join() : "" })()`))
		if err != nil || now == "" || now != at { // a page on its way out knows nothing
			at, still = now, 0
		} else if still++; still == 3 {
			return
		}
	}
	p.T.Fatalf("%s does not come to rest on %s", selector, p.Path())
}

// Click clicks what matches a selector, where it stands still; again where the
// page moved all the same and the click went elsewhere.
func (p *Page) Click(selector string) {
	p.T.Helper()
	for range 10 {
		p.rest(selector)
		if p.NoScript {
			p.Do(chromedp.Click(selector))
			return
		}
		Eval[bool](p, `window.hit = false, document.addEventListener("click", e => { if (e.target.closest(`+"`"+selector+"`"+`)) window.hit = true }, {capture: true, once: true}), true`)
		p.Do(chromedp.Click(selector))
		if hit, err := chromedp.Run(p.Ctx, chromedp.Evaluate[bool](`window.hit !== false`)); err != nil || hit { // another page knows nothing of it
			return
		}
	}
	p.T.Fatalf("%s cannot be clicked on %s", selector, p.Path())
}

// Choose ticks a box or a choice, and taps again where that had no effect.
func (p *Page) Choose(selector string) {
	p.T.Helper()
	for range 10 {
		p.Click(selector)
		ctx, stop := context.WithTimeout(p.Ctx, 2*time.Second)
		err := chromedp.Do(ctx, chromedp.WaitReady(selector+":checked"))
		stop()
		if err == nil {
			return
		}
	}
	p.T.Fatalf("%s cannot be chosen", selector)
}

// Follow does what leads to another page, and waits until that has loaded.
func (p *Page) Follow(act func()) {
	p.T.Helper()
	Eval[bool](p, `window.left = true`)
	act()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(40 * time.Millisecond) {
		there, err := chromedp.Run(p.Ctx, chromedp.Evaluate[bool](`!window.left && document.readyState === "complete"`))
		if err == nil && there {
			return
		}
	}
	p.T.Fatalf("nothing leads away from %s:\n%s", p.Path(), p.said())
}

// Send clicks a button and waits for the page that follows to show something.
func (p *Page) Send(button, shows string) {
	p.T.Helper()
	p.Follow(func() { p.Click(button) })
	p.Do(chromedp.WaitVisible(shows))
}

// Go opens a path of the site.
func (p *Page) Go(path string) {
	p.T.Helper()
	ctx, stop := context.WithTimeout(p.Ctx, patience)
	defer stop()
	err := chromedp.Do(ctx, chromedp.Navigate(p.URL+path))
	for err != nil && strings.Contains(err.Error(), "ERR_ABORTED") && ctx.Err() == nil { // it was still on its way to another page
		time.Sleep(100 * time.Millisecond)
		err = chromedp.Do(ctx, chromedp.Navigate(p.URL+path))
	}
	if err != nil {
		p.T.Fatalf("%s: %v", path, err)
	}
}

func (p *Page) said() string {
	s, err := chromedp.Run(p.Ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
	if err != nil {
		return err.Error()
	}
	return s
}

// See waits until the page says something.
func (p *Page) See(words string) {
	p.T.Helper()
	said := ""
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if said = p.said(); strings.Contains(said, words) {
			return
		}
	}
	p.T.Fatalf("the page does not say %q:\n%s", words, said)
}

// Has waits until something on the page matches a selector.
func (p *Page) Has(selector string) {
	p.T.Helper()
	p.Do(chromedp.WaitReady(selector))
}

// Fill types into the field of a name.
func (p *Page) Fill(name, text string) {
	p.T.Helper()
	p.Do(chromedp.SendKeys(`main [name="`+name+`"]`, text))
}

// Press presses the button of the form whose address ends so. A form folded
// away is opened first; one that asks for a reason is given one.
func (p *Page) Press(action string) {
	p.T.Helper()
	form := `form[action$="` + action + `"]`
	p.Has(form)
	_, err := chromedp.Run(p.Ctx, chromedp.Evaluate[bool](`(() => {
		const f = document.querySelector('`+form+`');
		const fold = f.closest("details");
		if (fold) fold.open = true;
		const why = f.querySelector('textarea[name="reason"]');
		if (why && !why.value) why.value = "测试 test";
		return true })()`))
	if err != nil {
		p.T.Fatal(err)
	}
	p.Click(form + ` [type="submit"]`)
}

// Enter goes in as one of the demo's staff, by the name on the door.
func (p *Page) Enter(name string) {
	p.T.Helper()
	if _, err := chromedp.Call(p.Ctx, network.ClearBrowserCookies, cdp.Empty{}); err != nil {
		p.T.Fatal(err)
	}
	p.Go("/signin")
	p.tap(`[...document.querySelectorAll('form[action="/enter"] button')].find(b => b.innerText.includes("` + name + `"))`)
	p.leaves("/signin")
}

// tap clicks what a script finds, once it is there.
func (p *Page) tap(script string) {
	p.T.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		done, err := chromedp.Run(p.Ctx, chromedp.Evaluate[bool](`(() => { const e = `+script+`; if (!e) return false; e.click(); return true })()`))
		if err == nil && done {
			return
		}
		if time.Now().After(end) {
			p.T.Fatalf("there is no %s (%v)\n%s", script, err, p.said())
		}
	}
}

// Tap clicks the first thing that matches a selector and holds the words.
func (p *Page) Tap(selector, words string) {
	p.T.Helper()
	p.tap(`[...document.querySelectorAll('` + selector + `')].find(e => e.innerText.includes("` + words + `"))`)
}

// leaves waits until the browser is no longer at a path.
func (p *Page) leaves(path string) {
	p.T.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		at, err := chromedp.Run(p.Ctx, chromedp.Evaluate[string](`location.pathname`))
		if err == nil && at != path {
			return
		}
	}
	p.T.Fatalf("the browser stays at %s:\n%s", path, p.said())
}

// Shot keeps a picture of the page where PARLEY_SHOTS says.
func (p *Page) Shot(name string) {
	p.T.Helper()
	dir := os.Getenv("PARLEY_SHOTS")
	if dir == "" {
		return
	}
	time.Sleep(1200 * time.Millisecond) // plots draw themselves
	png, err := chromedp.Run(p.Ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	}
	if err != nil {
		p.T.Errorf("picture of %s: %v", name, err)
	}
}
