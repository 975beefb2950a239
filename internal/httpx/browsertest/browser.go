// Package browsertest drives a real Chromium over pages that are served, for
// tests that walk them as people do.
package browsertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
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
	for try := 1; ; try++ {
		ctx, stop := start(opts, most)
		err := chromedp.Do(ctx, chromedp.Navigate("about:blank")) // the browser lives as long as this context
		if err == nil {
			t.Cleanup(stop)
			return &Page{T: t, Ctx: ctx, URL: url}
		}
		stop()
		if try == 3 { // a browser that did not come up says nothing about the pages
			t.Fatal(err)
		}
		t.Logf("starting Chromium: %v", err)
	}
}

func start(opts []chromedp.ExecAllocatorOption, most time.Duration) (context.Context, func()) {
	ctx, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, stop2 := chromedp.NewContext(ctx)
	ctx, stop3 := context.WithTimeout(ctx, most)
	return ctx, func() { stop3(); stop2(); stop() }
}

// With gives the same browser for a test below.
func (p *Page) With(t testing.TB) *Page {
	return &Page{T: t, Ctx: p.Ctx, URL: p.URL, NoScript: p.NoScript}
}

// gone are errors about what was there when it was looked for and is not any
// more: the page, or a piece of it, gave way to another. Nothing was touched.
var gone = []string{"Could not find node", "No node with given id", "Node is detached", "does not have a layout object", "Could not compute",
	"Element is not focusable", "Execution context was destroyed", "Cannot find context", "Inspected target navigated", "Promise was collected"}

// try takes a step, and again where what it looked at gave way before.
func try[R any](ctx context.Context, step chromedp.Action[R]) (R, error) {
	for {
		r, err := chromedp.Run(ctx, step)
		again := err != nil && (errors.Is(err, chromedp.ErrInvalidDimensions) ||
			slices.ContainsFunc(gone, func(s string) bool { return strings.Contains(err.Error(), s) }))
		if !again {
			return r, err
		}
		select {
		case <-ctx.Done():
			return r, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Do takes steps; where one does not come off the test ends with what the page says.
func (p *Page) Do(steps ...chromedp.Action[chromedp.Void]) {
	p.T.Helper()
	ctx, stop := context.WithTimeout(p.Ctx, patience)
	defer stop()
	for _, step := range steps {
		if _, err := try(ctx, step); err != nil {
			p.T.Fatalf("at %s: %v\n%s", p.Path(), err, p.said())
		}
	}
}

// Eval gives the value of a script, awaited where it is a promise.
func Eval[R any](p *Page, script string) R {
	p.T.Helper()
	ctx, stop := context.WithTimeout(p.Ctx, patience)
	defer stop()
	v, err := try(ctx, chromedp.Evaluate[R](script, chromedp.EvalAwaitPromise))
	if err != nil {
		p.T.Fatalf("%.80s: %v", script, err)
	}
	return v
}

// Path is where the browser is, with the query, without the site.
func (p *Page) Path() string {
	p.T.Helper()
	return strings.TrimPrefix(Eval[string](p, `document.location.toString()`), p.URL)
}

// Text is what the first thing that matches a selector says, folded away or not.
func (p *Page) Text(selector string) string {
	p.T.Helper()
	ctx, stop := context.WithTimeout(p.Ctx, patience)
	defer stop()
	s, err := try(ctx, chromedp.TextContent(selector))
	if err != nil {
		p.T.Fatalf("%s: %v\n%s", selector, err, p.said())
	}
	return strings.TrimSpace(s)
}

// Size gives the page's window a size, and waits until the page has it.
func (p *Page) Size(width, height int64) {
	p.T.Helper()
	p.Do(chromedp.EmulateViewport(width, height))
	p.until(fmt.Sprintf(`innerWidth === %d && innerHeight === %d`, width, height), "the window does not take its size")
}

// until waits for a script to give true; a page on its way out knows nothing.
func (p *Page) until(script, otherwise string) {
	p.T.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(40 * time.Millisecond) {
		if yes, err := chromedp.Run(p.Ctx, chromedp.Evaluate[bool](script)); err == nil && yes {
			return
		}
	}
	p.T.Fatalf("%s at %s:\n%s", otherwise, p.Path(), p.said())
}

// spot gives the middle of what matches a selector, and of what it stands on,
// once the page has loaded and nothing covers it; before, nothing. ready is run
// first each time, for what a live page may have swapped in has to be made ready anew.
const spot = `((ready, selector) => {
	const e = document.querySelector(selector);
	if (!e || document.readyState !== "complete") return "";
	ready(e);
	const box = () => e.getClientRects()[0];
	let r = box();
	if (!r || !r.width || !r.height || !e.checkVisibility({visibilityProperty: true})) return "";
	if (r.top < 0 || r.left < 0 || r.bottom > innerHeight || r.right > innerWidth) {
		e.scrollIntoView({block: "center", inline: "nearest", behavior: "instant"});
		r = box();
	}
	const x = r.x + r.width / 2, y = r.y + r.height / 2, top = document.elementFromPoint(x, y);
	if (!top || !e.contains(top) && !(top.closest("label") && top.closest("label").control === e)) return "";
	return [x, y, r.width, r.height, innerWidth, innerHeight].join(" ");
})`

// rest waits until what is to be touched stands still, and gives its middle: a
// click goes to where it was, and a page that is being laid out moves.
func (p *Page) rest(selector, ready string) (x, y float64) {
	p.T.Helper()
	at, still := "", 0
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(40 * time.Millisecond) {
		now, err := chromedp.Run(p.Ctx, chromedp.Evaluate[string](spot+"(e => {"+ready+"}, `"+selector+"`)"))
		if err != nil || now == "" || now != at { // a page on its way out knows nothing
			at, still = now, 0
		} else if still++; still == 3 {
			if _, err := fmt.Sscan(at, &x, &y); err != nil {
				p.T.Fatalf("%s is at %q: %v", selector, at, err)
			}
			return x, y
		}
	}
	p.T.Fatalf("%s does not come to rest on %s:\n%s", selector, p.Path(), p.said())
	return 0, 0
}

// Click clicks what matches a selector, where it stands still; again where the
// page moved all the same and the click went elsewhere.
func (p *Page) Click(selector string) {
	p.T.Helper()
	p.click(selector, "")
}

func (p *Page) click(selector, ready string) {
	p.T.Helper()
	for range 10 {
		x, y := p.rest(selector, ready)
		if !p.NoScript {
			Eval[bool](p, "window.hit = false, document.addEventListener(\"click\", e => { const l = e.target.closest(\"label\"), c = document.querySelector(`"+selector+
				"`); if (e.target.closest(`"+selector+"`) || l && c && l.control === c) window.hit = true }, {capture: true, once: true}), true")
		}
		ctx, stop := context.WithTimeout(p.Ctx, patience)
		err := chromedp.Do(ctx, chromedp.MouseClickXY(x, y))
		stop()
		if err != nil && !strings.Contains(err.Error(), "Inspected target navigated") { // it led away before it was acknowledged
			p.T.Fatalf("%s on %s: %v", selector, p.Path(), err)
		}
		if p.NoScript {
			return
		}
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
		if Eval[bool](p, "document.querySelector(`"+selector+"`).checked") {
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
	p.until(`!window.left && document.readyState === "complete"`, "nothing leads away")
}

// Send clicks a button and waits for the page that follows to show something.
func (p *Page) Send(button, shows string) {
	p.T.Helper()
	p.Follow(func() { p.Click(button) })
	p.Do(chromedp.WaitVisible(shows))
}

// Go opens a path of the site and waits until it has loaded. The browser's answer
// comes when the page has taken the place of the one before; the driver's own
// wait takes what is heard of an earlier page's end for the new one's.
func (p *Page) Go(path string) {
	p.T.Helper()
	ctx, stop := context.WithTimeout(p.Ctx, patience)
	defer stop()
	for {
		res, err := chromedp.Call(ctx, page.Navigate, page.NavigateParams{URL: p.URL + path})
		if err == nil && res.ErrorText == "" {
			break
		}
		if err == nil && !strings.Contains(res.ErrorText, "ERR_ABORTED") { // aborted: the page before went elsewhere by itself
			err = errors.New(res.ErrorText)
		}
		if err != nil || ctx.Err() != nil {
			p.T.Fatalf("%s: %v %s", path, err, res.ErrorText)
		}
		time.Sleep(100 * time.Millisecond)
	}
	p.until(`document.readyState === "complete"`, "the page does not load")
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

// Press presses the button of the form whose address ends so, and waits for the
// page that follows: what it says may stand on the page before as well. A form
// folded away is opened first; one that asks for a reason is given one.
func (p *Page) Press(action string) {
	p.T.Helper()
	p.Follow(func() {
		p.click(`form[action$="`+action+`"] [type="submit"]`, `
			const fold = e.closest("details");
			if (fold) fold.open = true;
			const why = e.form.querySelector('textarea[name="reason"]');
			if (why && !why.value) why.value = "测试 test";`)
	})
}

// Enter goes in as one of the demo's staff, by the name on the door.
func (p *Page) Enter(name string) {
	p.T.Helper()
	if _, err := chromedp.Call(p.Ctx, network.ClearBrowserCookies, cdp.Empty{}); err != nil {
		p.T.Fatal(err)
	}
	p.Go("/signin")
	p.Tap(`form[action="/enter"] button`, name)
	if strings.HasPrefix(p.Path(), "/signin") {
		p.T.Fatalf("%s does not come in:\n%s", name, p.said())
	}
}

// Tap clicks the first thing that matches a selector and holds the words, once it
// is there, and waits for the page that it leads to.
func (p *Page) Tap(selector, words string) {
	p.T.Helper()
	p.Follow(func() {
		p.until("(() => { const e = [...document.querySelectorAll(`"+selector+"`)].find(e => e.innerText.includes(`"+words+"`)); if (!e) return false; e.click(); return true })()",
			"there is no "+selector+" with "+words)
	})
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
