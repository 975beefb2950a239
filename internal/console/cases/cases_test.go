package cases

import (
	"archive/zip"
	"bytes"
	"context"
	"io"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/access"
	"parley/internal/approval"
	"parley/internal/campaign"
	"parley/internal/complaint"
	"parley/internal/consent"
	"parley/internal/console/approvals"
	"parley/internal/console/frame/frametest"
	"parley/internal/console/reveal"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/disclosure"
	"parley/internal/gate"
	"parley/internal/httpx"
	"parley/internal/ledger"
	"parley/internal/outbound"
	"parley/internal/party"
	"parley/internal/policy"
	"parley/internal/remedy"
	"parley/packs"
)

// bank is the complaint pages over real rooms, with a clock the test turns.
type bank struct {
	*frametest.House
	region string // where customers live
	t      *testing.T
	db     *db.DB
	gate   *gate.Gate
	desk   *complaint.Desk
	now    *atomic.Int64
	person *party.Party
	cause  complaint.Cause
}

// Cause and Latest make the bank the desk's Contacts.
func (b *bank) Cause(context.Context, *db.Tx, contact.ID) (complaint.Cause, error) {
	return b.cause, nil
}

func (b *bank) Latest(_ context.Context, _ *db.Tx, p contact.ID, _ time.Time, _ int) ([]complaint.Cause, error) {
	if b.person != nil && p == b.person.ID {
		return []complaint.Cause{b.cause}, nil
	}
	return nil, nil
}

// asked gives the address of a request that a case's page leads to, and the
// form that decides it.
func (b *bank) asked(who, at string, n int) (string, url.Values) {
	b.t.Helper()
	to := regexp.MustCompile(`/approvals/[0-9a-f-]{36}`).FindAllString(main(b.want(b.do(who, "GET", at, nil), 200).Body.String()), -1)
	if len(to) <= n {
		b.t.Fatalf("%s leads to %d requests", at, len(to))
	}
	hash := regexp.MustCompile(`name="hash" value="([0-9a-f]{64})"`).FindStringSubmatch(b.do(who, "GET", to[n], nil).Body.String())
	if hash == nil {
		hash = []string{"", ""}
	}
	return to[n], url.Values{"hash": {hash[1]}}
}

type noRecordings struct{}

func (noRecordings) Open(string) (io.ReadSeekCloser, error) { return nil, os.ErrNotExist }

func each(t *testing.T, fn func(t *testing.T, b *bank)) {
	t.Helper()
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			fn(t, newBank(t, engine))
		})
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newBank(t *testing.T, engine string) *bank {
	ctx := context.Background()
	b := &bank{t: t, now: &atomic.Int64{}}
	b.now.Store(time.Date(2026, 11, 23, 15, 0, 0, 0, httpx.Shanghai()).UnixMicro()) // a Monday
	b.db = dbtest.Open(t, dbtest.URL(t, engine), func() time.Time { return time.UnixMicro(b.now.Load()) })
	keys := must(party.OpenKeyring(filepath.Join(t.TempDir(), "keys"), true))(t)
	parties, consents := party.NewStore(b.db, keys), consent.NewStore(b.db, nil)
	b.gate = gate.New(b.db, must(policy.LoadFS(packs.FS))(t), consents, gate.Options{})
	consents.SetVoider(b.gate)
	key := must(ledger.NewKey("bank.example/ledger"))(t)
	log := must(ledger.Open(ctx, b.db, ledger.Options{Key: key}))(t)
	remedies := remedy.New(b.db, consents)
	b.House = frametest.New(t, b.db, map[string][]access.Role{"chen": {access.Handler}, "zhou": {access.Handler, access.ComplaintApprover},
		"wu": {access.ComplaintApprover}, "feng": {access.Senior}, "audit": {access.Auditor}, "cm": {access.CampaignManager}})
	b.Lang, b.Frame.House.Simulated = "en", true
	eyes := approval.New(b.db, access.Eyes{Store: b.Staff}, keys)
	b.desk = complaint.New(b.db, eyes, keys, consents, b, remedies, complaint.Options{BankZh: "守约银行", BankEn: "Parley Bank", Hotline: "95500", Zone: httpx.Shanghai(), Grades: access.Grades(),
		Region: func(context.Context, *db.Tx, contact.ID) (string, error) { return b.region, nil }})
	eyes.Register(b.desk.Approvals("approve_complaint")...)
	looks := reveal.New(reveal.Deps{Frame: b.Frame, DB: b.db, Parties: parties, Desk: b.desk, Disclosures: disclosure.New(b.db, keys), Approvals: eyes,
		Whose: func(context.Context, contact.ID) (contact.ID, error) { return b.person.ID, nil }})
	b.Serve(looks.Routes())
	b.Serve(approvals.Routes(approvals.Deps{Frame: b.Frame, Approvals: eyes}))
	b.Serve(Routes(Deps{Frame: b.Frame, DB: b.db, Desk: b.desk, Approvals: eyes, Reveal: looks, Remedies: remedies, Gate: b.gate, Parties: parties,
		Campaigns: campaign.NewStore(b.db, eyes), Ledger: log, Recordings: noRecordings{},
		Attempt: func(context.Context, *db.Tx, contact.ID) (*outbound.Attempt, error) {
			return nil, outbound.ErrNoAttempt
		}}))
	b.contacted(parties, consents)
	return b
}

// contacted makes a customer who was called for marketing with consent.
func (b *bank) contacted(parties *party.Store, consents *consent.Store) {
	ctx := context.Background()
	b.person = &party.Party{Ref: "C-0001", Name: "王小明", Lang: "zh", Points: []party.Point{{Kind: party.Phone, Value: "+8613800138000"}}}
	var g contact.Grant
	if err := b.db.Write(ctx, func(tx *db.Tx) (err error) {
		if err = parties.Put(ctx, tx, []*party.Party{b.person}); err != nil {
			return err
		}
		g, err = consents.Grant(ctx, tx, b.person.ID, contact.Grant{Ground: contact.Consent, Purposes: contact.PurposeSet(contact.Marketing), Max: 3, Days: 30, How: "branch"}, "seed")
		return err
	}); err != nil {
		b.t.Fatal(err)
	}
	b.now.Add(time.Minute.Microseconds())
	d := b.call()
	if d.Verdict.Effect != policy.Allow {
		b.t.Fatalf("the first call is not allowed: %s %+v", d.Verdict.By, d.Verdict.Rules)
	}
	if _, err := b.gate.Spend(ctx, d.ID); err != nil {
		b.t.Fatal(err)
	}
	if err := b.gate.Settle(ctx, nil, d.ID, contact.Effective); err != nil {
		b.t.Fatal(err)
	}
	b.cause = complaint.Cause{Attempt: d.ID, At: d.At, Channel: contact.Voice, Purpose: contact.Marketing, Outcome: contact.Effective,
		Effect: "allow", Pack: d.Verdict.Pack, Grant: g.ID, Script: strings.Repeat("ab", 32), Recording: strings.Repeat("cd", 32), Seconds: 31}
}

func (b *bank) call() gate.Decision {
	ds, err := b.gate.Reserve(context.Background(), []policy.Intent{{Party: b.person.ID, Point: b.person.Points[0].ID, Channel: contact.Voice,
		Purpose: contact.Marketing, Product: "fund", Relation: contact.Self, Discloses: []string{"identity", "refusal_path"}}})
	if err != nil {
		b.t.Fatal(err)
	}
	return ds[0]
}

func (b *bank) do(who, method, path string, form url.Values) *httptest.ResponseRecorder {
	b.t.Helper()
	b.now.Add(time.Second.Microseconds())
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.Send(who, r)
}

// want expects a status, and text in (or, after "!", not in) the page.
func (b *bank) want(w *httptest.ResponseRecorder, status int, texts ...string) *httptest.ResponseRecorder {
	b.t.Helper()
	if w.Code != status {
		b.t.Fatalf("status %d, want %d\n%s", w.Code, status, w.Body)
	}
	for _, s := range texts {
		no := strings.HasPrefix(s, "!")
		if strings.Contains(w.Body.String(), strings.TrimPrefix(s, "!")) == no {
			b.t.Errorf("page: %q wanted %v\n%s", s, !no, main(w.Body.String()))
		}
	}
	return w
}

// main gives a page's own part, for messages.
func main(page string) string {
	_, page, _ = strings.Cut(page, "<main")
	page, _, _ = strings.Cut(page, "</main>")
	return page
}

// typed has chen type in a complaint and gives its address.
func (b *bank) typed(who string) string {
	b.t.Helper()
	w := b.want(b.do("chen", "POST", "/complaints", url.Values{"who": {who}, "words": {"一直打电话推销基金"}, "lang": {"zh"}}), 303)
	return w.Header().Get("Location")
}

func proposal() url.Values {
	return url.Values{"result": {"upheld"}, "facts": {"The call was made."}, "basis": {"The customer had refused before."}, "root_cause": {"List was late."},
		"apology": {"yes"}, "compensation": {"1,050.5"}, "block": {"marketing"}}
}

// The whole way of a complaint, with the four eyes of 投诉管理办法 and the block
// that stops the next attempt.
func TestComplaintJourney(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		at := b.typed("138 0013 8000")
		b.want(b.do("chen", "GET", "/complaints", nil), 200, at, "2026-000001", "Received", "nobody yet")
		b.want(b.do("chen", "GET", "/complaints?state=closed", nil), 200, "!"+at, "Nothing matches these filters")
		b.want(b.do("chen", "GET", at, nil), 200, "一直打电话推销基金", "王**", "138****8000", "!王小明", "!13800138000",
			"!data-player", "Hear the recording", "at most 3 in 30 days", "/c/", "Take this case", "abababababab", `class="verdict"`, "CN-CONSENT", "!Put to a second person")
		b.want(b.do("chen", "POST", at+"/take", nil), 303)
		b.want(b.do("chen", "GET", at, nil), 200, "data-player", "!Hear the recording") // the case is the handler's reason
		b.want(b.do("chen", "POST", at+"/note", url.Values{"text": {"called back"}}), 303)
		b.want(b.do("chen", "GET", at, nil), 200, "called back", "Put to a second person", "员工chen")

		bad := proposal()
		bad.Set("compensation", "much")
		b.want(b.do("chen", "POST", at+"/propose", bad), 422, "Write the amount like", "The call was made.")
		b.want(b.do("chen", "POST", at+"/propose", proposal()), 303)
		ask, form := b.asked("wu", at, 0)
		form.Set("reason", "which number?")
		b.want(b.do("wu", "POST", ask+"/send-back", form), 303)
		b.want(b.do("chen", "GET", at, nil), 200, "which number?", "The call was made.", "1,050.50")
		b.want(b.do("chen", "POST", at+"/propose", proposal()), 303)
		ask, _ = b.asked("chen", at, 0)
		b.want(b.do("chen", "GET", ask, nil), 200, "another person decides", "!/approve\"")

		permit := b.call() // a permit that the block will void … unless the hold stopped it already
		ask, form = b.asked("wu", at, 0)
		b.want(b.do("wu", "GET", ask, nil), 200, "The customer had refused before.", "¥1,050.50", "the letter is written", "2026-000001")
		b.want(b.do("wu", "POST", ask+"/approve", form), 303)
		b.want(b.do("wu", "GET", at, nil), 200, "Attempts stopped by this block", "nobody has tried to contact since", "¥1,050.50", "Answered in time")
		if permit.Verdict.Effect == policy.Allow {
			t.Error("marketing was allowed while the complaint is open")
		}

		b.now.Add(time.Minute.Microseconds())
		if d := b.call(); d.Verdict.Effect == policy.Allow {
			t.Fatal("the block did not stop the next attempt")
		} else {
			w := b.want(b.do("audit", "GET", at, nil), 200, "/contacts/"+d.ID, "!nobody has tried", "!Save note")
			if !regexp.MustCompile(`<code>CN-(HOUSE-)?DNC`).MatchString(main(w.Body.String())) {
				t.Errorf("the page does not name the do-not-contact rule:\n%s", main(w.Body.String()))
			}
		}
	})
}

// Nobody approves what is their own, whatever their roles (双人复核).
func TestFourEyes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		at := b.typed("C-0001")
		b.want(b.do("zhou", "POST", at+"/take", nil), 303)
		b.want(b.do("zhou", "POST", at+"/propose", proposal()), 303)
		decide, _ := b.asked("zhou", at, 0)
		b.want(b.do("zhou", "GET", decide, nil), 200, "another person decides", "!name=\"hash\"")
		_, form := b.asked("wu", at, 0)
		b.want(b.do("zhou", "POST", decide+"/approve", form), 403, "another person must decide", `role="alert"`)
		b.want(b.do("chen", "POST", decide+"/approve", form), 404) // not his to decide, not his to see
		b.want(b.do("zhou", "POST", at+"/extend", url.Values{"reason": {"third-party recording"}}), 303)
		b.want(b.do("zhou", "POST", at+"/extend", url.Values{"reason": {"again"}}), 409, "already waiting")
		extend, longer := b.asked("wu", at, 1)
		b.want(b.do("wu", "GET", extend, nil), 200, "CN-CMP-15", "CN-CMP-30", "third-party recording", "told date and reason")
		b.want(b.do("zhou", "POST", extend+"/approve", longer), 403, "another person must decide")
		b.want(b.do("wu", "POST", extend+"/approve", longer), 303)
		b.want(b.do("wu", "GET", at, nil), 200, "CN-CMP-30", "员工wu", "!"+extend)
		b.want(b.do("wu", "POST", decide+"/approve", form), 303)
		b.want(b.do("wu", "POST", decide+"/approve", form), 409, "was approved already")
	})
}

// CN-CMP-60 reserves the last extension to the upper institution: the page says
// so, and whoever approves other decisions neither sees the request nor decides it.
func TestGradeOfAnExtension(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		at := b.typed("C-0001")
		b.want(b.do("chen", "POST", at+"/take", nil), 303)
		b.want(b.do("chen", "POST", at+"/extend", url.Values{"reason": {"third-party recording"}}), 303)
		first, form := b.asked("wu", at, 0)
		b.want(b.do("feng", "GET", at, nil), 200, "!"+first)
		b.want(b.do("feng", "POST", first+"/approve", form), 404)
		b.want(b.do("wu", "POST", first+"/approve", form), 303)

		const reserved = "approved by the upper institution or a senior manager of the head office"
		b.want(b.do("chen", "GET", at, nil), 200, "CN-CMP-60", reserved)
		b.want(b.do("chen", "POST", at+"/extend", url.Values{"reason": {"expert opinion"}}), 303)
		last, form := b.asked("feng", at, 0)
		b.want(b.do("wu", "GET", at, nil), 200, reserved, "!"+last)
		b.want(b.do("wu", "POST", last+"/approve", form), 404)
		b.want(b.do("audit", "POST", last+"/approve", form), 403, "may not decide")
		b.want(b.do("feng", "GET", last, nil), 200, "CN-CMP-30", "CN-CMP-60", "expert opinion", "upper institution")
		b.want(b.do("feng", "POST", last+"/approve", form), 303)
		b.want(b.do("wu", "GET", at, nil), 200, "reserved to the upper institution", "员工feng", "by calendar CN 2026.1")
	})
}

// CN-BJ-1WD: the second clock of a customer in Beijing is on the case and the
// list, and whoever handles the case records how it was met.
func TestFirstContact(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		b.region = "CN-BJ"
		at := b.typed("C-0001")
		b.want(b.do("chen", "GET", at, nil), 200, "First contact", "24 Nov", "CN-BJ-1WD", "!Record a contact")
		b.want(b.do("wu", "GET", "/complaints?order=contact", nil), 200, "2026-000001", "first contact")
		said := url.Values{"way": {"call"}, "at": {"2026-11-23T15:01"}, "said": {"explained what comes next"}}
		b.want(b.do("chen", "POST", at+"/contact", said), 403, "take the case first")
		b.want(b.do("chen", "POST", at+"/take", nil), 303)
		b.want(b.do("chen", "GET", at, nil), 200, "Record a contact", `value="2026-11-23T15:0`)
		b.want(b.do("chen", "POST", at+"/contact", url.Values{"way": {"call"}, "at": {"yesterday"}}), 422, "Write the time like")
		b.want(b.do("wu", "POST", at+"/contact", said), 403)
		b.want(b.do("chen", "POST", at+"/contact", said), 303)
		b.want(b.do("chen", "GET", at, nil), 200, "Complainant contacted", "Call", "explained what comes next", "contacted", "Met")
		b.want(b.do("wu", "GET", "/complaints?order=contact", nil), 200, "!2026-000001")
	})
}

func TestPermissionsAndEvidence(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		b.cause.Recording = "" // no blob store here
		at := b.typed("")
		b.want(b.do("chen", "GET", at, nil), 200, "not known which customer", "was not found")
		b.want(b.do("cm", "GET", "/complaints", nil), 403)
		b.want(b.do("audit", "GET", "/complaints/new", nil), 403)
		b.want(b.do("audit", "POST", at+"/note", url.Values{"text": {"x"}}), 403)
		b.want(b.do("wu", "POST", at+"/take", nil), 403)
		b.want(b.do("", "GET", at, nil), 303)
		b.want(b.do("chen", "GET", "/complaints/"+contact.NewID(), nil), 404, "There is no such complaint")
		b.want(b.do("chen", "GET", "/complaints/2026-000001", nil), 200, "2026-000001")
		w := b.want(b.do("audit", "GET", at+"/evidence.zip", nil), 200)
		z, err := zip.NewReader(bytes.NewReader(w.Body.Bytes()), int64(w.Body.Len()))
		if err != nil || len(z.File) == 0 {
			t.Fatalf("evidence: %v", err)
		}
	})
}

func TestIntakeSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		b.want(b.do("chen", "GET", "/complaints/new?who=C-0001", nil), 200, `value="C-0001"`)
		for _, c := range []struct{ who, words, say string }{
			{"C-9999", "x", "No such customer"},
			{"+8613900000000", "x", "No such customer"},
			{"", "", `aria-invalid="true"`},
		} {
			w := b.do("chen", "POST", "/complaints", url.Values{"who": {c.who}, "words": {c.words}, "lang": {"zh"}})
			b.want(w, 422, c.say)
		}
		if n := must(b.desk.Count(context.Background()))(t); n.Total != 0 {
			t.Errorf("%d complaints were opened by refused forms", n.Total)
		}
	})
}

// A case past its time says so in words, and red.
func TestOverdueIsSaid(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		at := b.typed("C-0001")
		b.now.Add((13 * 24 * time.Hour).Microseconds())
		b.Enter("chen") // the old session has ended
		b.want(b.do("chen", "GET", "/complaints", nil), 200, `tag tag-wait`)
		b.now.Add((4 * 24 * time.Hour).Microseconds())
		b.Enter("chen")
		b.want(b.do("chen", "GET", "/complaints", nil), 200, `tag tag-bad`, "answer the customer at once")
		b.want(b.do("chen", "GET", at, nil), 200, `tag tag-bad`)
	})
}

// A typed number is a claim until staff have checked who complains; what came
// with the complaint is handed out to be saved, never to be shown.
func TestAClaimAndItsAttachments(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		ctx := context.Background()
		var c *complaint.Case
		hash := strings.Repeat("ab", 32)
		err := b.db.Write(ctx, func(tx *db.Tx) (err error) {
			c, err = b.desk.Open(ctx, tx, complaint.Intake{Source: "web", Claimed: true, Party: b.person.ID, Words: "一直打电话",
				Files: []complaint.Attachment{{Name: "截图.png", Media: "image/png", Size: 2048, SHA256: hash}}})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		at := "/complaints/" + c.ID
		b.want(b.do("chen", "GET", at, nil), 200, "Number not proven", "截图.png", "2 KB", "abababababab", at+"/prove")
		b.want(b.do("chen", "GET", at+"/files/none", nil), 404)
		b.want(b.do("chen", "POST", at+"/prove", url.Values{"reason": {" "}}), 422, "Write the note")
		b.want(b.do("chen", "POST", at+"/prove", url.Values{"reason": {"called back, knew the last payment"}}), 303)
		b.want(b.do("chen", "GET", at, nil), 200, "!Number not proven", "called back, knew the last payment")
		if f, err := b.desk.Get(ctx, c.ID); err != nil || !f.Case.Proven || f.Case.Hold == "" {
			t.Errorf("%+v %v", f.Case, err)
		}
	})
}
