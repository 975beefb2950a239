package people_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"

	"parley/internal/app"
	"parley/internal/db/dbtest"
	"parley/internal/httpx/browsertest"
	"parley/internal/machine/port"
)

// serve starts an empty bank on a name that passkeys work on, and gives the
// first administrator's link.
func serve(t *testing.T, engine string) (r *app.Running, link string) {
	t.Helper()
	free, err := port.Unused() // passkeys are bound to the address, so it is known before
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", free)
	dir := t.TempDir()
	c := app.DefaultConfig()
	c.Telemetry.Addr = "" // several banks at once
	c.Database.URL, c.Keys.Dir, c.Recordings.Dir = dbtest.URL(t, engine), filepath.Join(dir, "keys"), filepath.Join(dir, "recordings")
	c.HTTP.Addr, c.HTTP.PublicURL = addr, "http://"+strings.Replace(addr, "127.0.0.1", "localhost", 1)
	a, err := app.Open(t.Context(), app.Options{Config: c, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	a.Access.Options.Clock = watch
	if r, err = a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	if link, err = r.FirstLink(t.Context()); err != nil || link == "" {
		t.Fatal(link, err)
	}
	return r, link
}

// start is when the tests began.
var start = time.Now()

// watch is the clock of authenticator apps and of the banks that they sign in to. It goes
// slowly, so that a code stays good while a busy machine draws the page that it is
// typed into, and begins where no half minute ends soon.
func watch() time.Time {
	return start.Truncate(30 * time.Second).Add(10*time.Second + time.Since(start)/100)
}

// page is a tab of headless Chromium with an authenticator built in.
type page struct{ *browsertest.Page }

func browse(t *testing.T, url string) page {
	t.Helper()
	p := page{browsertest.Open(t, url, "zh-CN", 30*time.Minute)}
	p.Go("/signin")
	if _, err := chromedp.Call(p.Ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(p.Ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: "ctap2", Transport: "internal", HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true}}); err != nil {
		t.Fatal(err)
	}
	return p
}

// signOut leaves, from whatever page.
func (p page) signOut() {
	p.T.Helper()
	p.Click("details.me summary")
	p.Press("/signout")
	p.See("用通行密钥登录")
}

// The first administrator comes in by the link printed at start, makes a
// passkey (WebAuthn level 3, Chromium's own authenticator), signs in with it,
// sets up an authenticator app and signs in with password and code. ASVS 5.0
// 6.3.3, 6.4.1, 6.5.5, 14.2.1.
func TestFirstAdministratorInChromium(t *testing.T) {
	t.Parallel()
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) { t.Parallel(); firstAdministrator(t, engine) })
	}
}

func firstAdministrator(t *testing.T, engine string) {
	r, link := serve(t, engine)
	url, code, _ := strings.Cut(link, "/welcome#")
	p := browse(t, url)

	p.Go("/welcome#" + code)
	p.See("第一位管理员")
	at, err := chromedp.Run(p.Ctx, chromedp.Location())
	if err != nil || strings.Contains(at, code) {
		t.Fatalf("the link's secret stays in the address: %s %v", at, err)
	}
	p.Shot("welcome")
	p.Do(chromedp.SendKeys("#f-login", "boss"), chromedp.SendKeys("#f-name", "王总"),
		chromedp.SendKeys("#f-password", "boss12345678"), chromedp.SendKeys("#f-again", "boss12345678"))
	p.Press("/welcome")
	p.See("太容易猜到")
	const password = "four unrelated quiet words"
	p.Do(chromedp.SendKeys("#f-password", password), chromedp.SendKeys("#f-again", password))
	p.Press("/welcome")
	p.See("设置第二道验证")
	p.Shot("enrol")
	p.Press("/signin/enrol/passkey")
	p.See("王总")
	p.Go("/account")
	p.See("通行密钥")
	p.Shot("account")
	p.signOut()
	p.Shot("signin")

	p.Press("/signin/passkey")
	p.Do(chromedp.WaitVisible("details.me"))

	p.Go("/account/totp")
	p.See("扫描")
	p.Shot("totp")
	secret := strings.ReplaceAll(p.Text("main code.secret"), " ", "")
	now, err := totp.GenerateCode(secret, watch())
	if err != nil {
		t.Fatal(err)
	}
	p.Do(chromedp.SendKeys("#f-code", now))
	p.Press("/account/totp")
	p.See("恢复码")
	p.Shot("codes")
	recovery := p.Text("ul.codes li code")
	p.Go("/account")
	p.signOut()

	p.Do(chromedp.SendKeys("#f-login", "boss"), chromedp.SendKeys("#f-password", password))
	p.Press("/signin")
	p.See("第二道验证")
	p.Shot("second")
	p.Do(chromedp.SendKeys("#f-code", now))
	p.Press("/signin/second")
	p.See("已经用过") // the code that set the app up
	p.Do(chromedp.SendKeys("#f-code", recovery))
	p.Press("/signin/second")
	p.Do(chromedp.WaitVisible("details.me"))
	p.Go("/access")
	p.Shot("access")

	list, err := r.Access.List(t.Context())
	if err != nil || len(list) != 1 || list[0].Login != "boss" {
		t.Fatal(list, err)
	}
	if again, err := r.FirstLink(t.Context()); err != nil || again != "" {
		t.Fatalf("a second first link: %q %v", again, err)
	}
}
