package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"parley/internal/app"
	"parley/internal/complaint"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/gate"
	"parley/internal/httpx/browsertest"
	"parley/internal/policy"
)

// walk is one reader's way through a bank at work, in one language.
type walk struct {
	*browsertest.Page
	d    *app.Demo
	lang string
	c    *complaint.Case
}

// w chooses the words of the walk's language.
func (w *walk) w(zh, en string) string {
	if w.lang == "en" {
		return en
	}
	return zh
}

// shot keeps a picture; the README's are those of the Chinese walk.
func (w *walk) shot(name string) {
	w.T.Helper()
	if w.lang == "en" {
		name += "-en"
	}
	w.Shot(name)
}

// journeys are the ten main ways through the pages, each by the person whose
// work it is.
var journeys = []struct {
	name string
	go_  func(w *walk)
}{
	{"a manager watches the board, pauses a campaign and starts it again", func(w *walk) {
		w.Enter("王敏")
		w.Has("main h1")
		w.shot("today")
		w.Go("/board")
		w.See(w.w("模拟", "Simulated"))
		w.shot("board")
		at := "/campaigns/" + w.c.Cause.Campaign
		w.Go(at)
		w.shot("campaign")
		w.Press(at + "/pause")
		w.See(w.w("已暂停", "Paused"))
		w.Press(at + "/start")
		w.See(w.w("进行中", "Running"))
	}},
	{"a second person approves a campaign", func(w *walk) {
		id := w.submitted()
		w.Enter("李强")
		w.Go("/approvals")
		w.Tap("main table a", w.lang+"-journey")
		w.Has(`form[action$="/approve"]`)
		w.shot("approval")
		w.Press("/approve")
		w.See(w.w("已批准", "Approved"))
		w.Go("/campaigns/" + id)
		w.See(w.w("已批准", "Approved"))
	}},
	{"an auditor reads why a contact was made", func(w *walk) {
		w.Enter("周正")
		w.Go("/contacts/" + w.c.Attempt)
		w.See("CN-CONSENT-01")
		w.shot("contact")
		w.Go("/decisions/" + w.denied())
		w.See(w.w("拒绝", "denied"))
		w.shot("decision")
	}},
	{"a handler finds a customer and reads the lifeline", func(w *walk) {
		w.Enter("张华")
		w.Do(chromedp.SendKeys(`form[action="/search"] [name="q"]`, w.ref()))
		w.Follow(func() { w.Do(chromedp.SendKeys(`form[action="/search"] [name="q"]`, "\r")) })
		w.See(w.ref())
		w.Go("/customers/" + w.c.Party)
		w.Has("main svg")
		w.See(w.ref())
		w.shot("customer")
	}},
	{"a handler takes a case, a second person decides, the block holds", func(w *walk) {
		w.Enter("张华")
		w.Go("/complaints/" + w.c.ID)
		w.See(w.c.Number)
		settle(w.T.(*testing.T), w.d, w.c)
		blockStopsTheNextAttempt(w.T.(*testing.T), w.d, w.c)
		w.Go("/complaints/" + w.c.ID)
		w.See("¥50.00")
		w.shot("case")
	}},
	{"compliance drafts a rule, tests it and replays the past", func(w *walk) {
		w.Enter("陈思")
		w.Go("/rules")
		w.See("CN-HOURS-COL")
		w.shot("rules")
		w.Go("/rules/CN-HOURS-COL")
		w.Click(`main details.do summary`)
		w.Fill("title", w.lang+" journey")
		w.Press("/rules/editions")
		w.See(w.w("草稿", "Draft"))
		w.Press("/test")
		w.See(w.w("全部通过", "passed"))
		w.Press("/replay")
		w.See(w.w("次会改变", "would change"))
		w.shot("edition")
	}},
	{"compliance puts a number on the do-not-contact list", func(w *walk) {
		w.Enter("陈思")
		w.Go("/consents")
		w.Has(`form[action="/consents"]`)
		w.shot("consents")
	}},
	{"a manager sees a script as text and as a graph", func(w *walk) {
		w.Enter("王敏")
		w.Go("/scripts")
		w.Tap("main table tbody a", "")
		w.Has("main svg")
		w.shot("script")
	}},
	{"an auditor has the ledger verified", func(w *walk) {
		w.Enter("周正")
		w.Go("/ledger")
		w.See("demo.parley.example/ledger")
		w.Press("/ledger/verify")
		w.See(w.w("账本完好", "The ledger is whole"))
		w.shot("ledger")
		w.Go("/access")
		w.Has("main table")
	}},
	{"a customer follows the complaint and complains again, on a phone", func(w *walk) {
		w.Size(390, 844)
		w.Go("/c/" + w.c.Token)
		w.See("¥50.00")
		w.shot("portal")
		w.Go("/complain")
		w.Has(`form[action^="/complain"]`)
		w.shot("complain")
		w.Size(1280, 900)
	}},
}

// TestTenJourneys walks the main ways through the pages in Chromium, on banks at
// work: in Chinese on SQLite, in English on PostgreSQL. The README's pictures are
// made by it:
// PARLEY_SHOTS=$PWD/docs/img go test ./e2e -run TenJourneys
func TestTenJourneys(t *testing.T) {
	t.Parallel()
	for _, r := range []struct{ lang, accept, engine string }{{"zh", "zh-CN", "sqlite"}, {"en", "en", "postgres"}} {
		t.Run(r.lang+" "+r.engine, func(t *testing.T) {
			t.Parallel()
			d := startDemo(t, r.engine, 600)
			until(t, "a complaint about a marketing call", patience, func() bool { return marketingComplaint(t, d) != nil })
			c := marketingComplaint(t, d)
			p := browsertest.Open(t, d.Addr, r.accept, 30*time.Minute)
			for _, j := range journeys {
				t.Run(j.name, func(t *testing.T) { j.go_(&walk{Page: p.With(t), d: d, lang: r.lang, c: c}) })
			}
		})
	}
}

// submitted makes a campaign that waits for approval.
func (w *walk) submitted() contact.ID {
	w.T.Helper()
	ctx := context.Background()
	first, err := w.d.Campaigns.Get(ctx, w.c.Cause.Campaign)
	if err != nil {
		w.T.Fatal(err)
	}
	terms := first.Terms
	terms.Name = w.lang + "-journey"
	made, err := w.d.Campaigns.Create(ctx, terms, w.d.Seeded.Staff("wang"))
	if err != nil {
		w.T.Fatal(err)
	}
	if _, err := w.d.AddEverybody(ctx, made.ID, w.d.Seeded.Staff("wang")); err != nil {
		w.T.Fatal(err)
	}
	if _, err := w.d.Campaigns.Submit(ctx, made.ID, w.d.Seeded.Staff("wang"), "journey"); err != nil {
		w.T.Fatal(err)
	}
	return made.ID
}

// denied gives a decision that was no.
func (w *walk) denied() (id contact.ID) {
	w.T.Helper()
	before := ""
	for range 20 {
		list, err := w.d.Gate.ByCampaign(context.Background(), w.c.Cause.Campaign, before, 50)
		if err != nil || len(list) == 0 {
			break
		}
		for _, s := range list {
			if s.Verdict.Effect == policy.Deny && s.State == gate.NoPermit {
				return s.ID
			}
			before = s.ID
		}
	}
	w.T.Fatal("nobody was denied")
	return ""
}

// ref gives the bank's number of the customer who complained.
func (w *walk) ref() (ref string) {
	w.T.Helper()
	err := w.d.DB.Read(context.Background(), func(tx *db.Tx) error {
		p, err := w.d.Party.Get(context.Background(), tx, w.c.Party)
		if err == nil {
			ref = strings.TrimSpace(p.Ref)
		}
		return err
	})
	if err != nil {
		w.T.Fatal(err)
	}
	return ref
}
