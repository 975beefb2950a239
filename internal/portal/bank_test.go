package portal_test

import (
	"bytes"
	"context"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/access/customer"
	"parley/internal/approval/approvaltest"
	"parley/internal/blob"
	"parley/internal/complaint"
	"parley/internal/consent"
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
	"parley/internal/portal"
	"parley/internal/prompt"
	"parley/internal/remedy"
	"parley/packs"
)

var received = time.Date(2026, 11, 23, 10, 0, 0, 0, httpx.Shanghai())

const (
	number   = "+8613800138000"
	stranger = "+8613900139000"
	address  = "zhang@customer.test"
)

// bank is the pages on a fresh database, with one customer who was called.
type bank struct {
	*testing.T
	db     *db.DB
	desk   *complaint.Desk
	log    *ledger.Log
	gate   *gate.Gate
	party  contact.ID
	point  contact.ID
	grant  contact.ID
	store  *consent.Store
	looks  *disclosure.Store
	cause  complaint.Cause
	pages  http.Handler
	now    *atomic.Int64
	codes  chan string
	lang   string
	client string
	jar    map[string]string
}

func (b *bank) Cause(context.Context, *db.Tx, contact.ID) (complaint.Cause, error) {
	return b.cause, nil
}

func (b *bank) Latest(_ context.Context, _ *db.Tx, party contact.ID, _ time.Time, _ int) ([]complaint.Cause, error) {
	if party == b.party {
		return []complaint.Cause{b.cause}, nil
	}
	return nil, nil
}

// Bring is the customer's telephone: the test hears the code.
func (b *bank) Bring(_ context.Context, _ customer.Place, code string) error {
	b.codes <- code
	return nil
}

func each(t *testing.T, fn func(b *bank)) {
	t.Helper()
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			fn(build(t, engine))
		})
	}
}

const notice = "守约银行可以就您同意的事项与您联系。"

func build(t *testing.T, engine string) *bank {
	t.Helper()
	ctx := context.Background()
	b := &bank{T: t, now: &atomic.Int64{}, codes: make(chan string, 10), lang: "zh-CN", client: "192.0.2.1:40000", jar: map[string]string{}}
	b.now.Store(received.UnixMicro())
	clock := func() time.Time { return time.UnixMicro(b.now.Load()) }
	b.db = dbtest.Open(t, dbtest.URL(t, engine), clock)
	ring, err := party.OpenKeyring(filepath.Join(t.TempDir(), "keys"), true)
	b.must(err)
	people := party.NewStore(b.db, ring)
	zhang := &party.Party{Ref: "C1", Name: "张三", Points: []party.Point{{Kind: party.Phone, Value: number}, {Kind: party.Email, Value: address}}}
	other := &party.Party{Ref: "C2", Name: "李四", Points: []party.Point{{Kind: party.Phone, Value: "+8613600136000"}}}
	b.must(b.db.Write(ctx, func(tx *db.Tx) error { return people.Put(ctx, tx, []*party.Party{zhang, other}) }))
	b.party, b.point = zhang.ID, zhang.Points[0].ID
	key, err := ledger.NewKey("bank.test/ledger")
	b.must(err)
	b.log, err = ledger.Open(ctx, b.db, ledger.Options{Key: key})
	b.must(err)
	set, err := policy.LoadFS(packs.FS)
	b.must(err)
	b.store = consent.NewStore(b.db, nil)
	b.gate = gate.New(b.db, set, b.store, gate.Options{})
	b.store.SetVoider(b.gate)
	blobs, err := blob.Open(t.TempDir(), ring)
	b.must(err)
	prompts, err := prompt.Open(prompt.DemoFS())
	b.must(err)
	sender, err := outbound.New(b.db, b.gate, b.store, people, outbound.Options{Blobs: blobs, Prompts: prompts})
	b.must(err)
	b.must(b.db.Write(ctx, func(tx *db.Tx) error {
		hash, err := b.store.PutNotice(ctx, tx, consent.Notice{Version: "1", Lang: "zh-CN", Text: notice})
		if err != nil {
			return err
		}
		g, err := b.store.Grant(ctx, tx, b.party, contact.Grant{Ground: contact.Consent, Purposes: contact.PurposeSet(contact.Marketing),
			From: received.AddDate(0, -2, 0).UnixMicro(), Notice: hash, How: "app"}, "test")
		b.grant = g.ID
		return err
	}))
	b.cause = complaint.Cause{Attempt: contact.NewID(), At: received.Add(-time.Hour), Channel: contact.Voice,
		Purpose: contact.Marketing, Outcome: contact.Effective, Effect: "allow", By: "CN-CONSENT-01", Pack: "p", CallerID: "95500"}
	approvals := approvaltest.Open(t, b.db)
	b.desk = complaint.New(b.db, approvals, ring, b.store, b, remedy.New(b.db, b.store), complaint.Options{BankZh: "守约银行", BankEn: "Parley Bank", Hotline: "95500", Zone: httpx.Shanghai(),
		// The customer lives in Beijing, where rules set a first contact (CN-BJ-1WD).
		Region: func(context.Context, *db.Tx, contact.ID) (string, error) { return "CN-BJ", nil }})
	approvals.Register(b.desk.Approvals("approve_complaint")...)
	b.looks = disclosure.New(b.db, ring)
	codes, err := customer.New(b.db, people, customer.Options{Key: ring.CodeKey(), Courier: b})
	b.must(err)
	house := &httpx.House{BankZh: "守约银行", BankEn: "Parley Bank", Clock: clock, Log: slog.New(slog.DiscardHandler)}
	pages, err := portal.New(portal.Deps{House: house, DB: b.db, Customers: codes, Desk: b.desk, Party: people, Consent: b.store,
		Attempts: sender, Decisions: b.gate, Words: func() portal.Rules { return b.gate.Policy() }, Ledger: b.log, Blobs: blobs, Hotline: "95500",
		Looks: b.looks,
		Stopped: func(context.Context, *complaint.Case) ([]time.Time, error) {
			return []time.Time{received.Add(30 * time.Hour)}, nil
		}})
	b.must(err)
	mux := http.NewServeMux()
	mux.Handle("/static/", httpx.Static())
	mux.Handle("/", pages)
	b.pages = house.Wrap(mux)
	return b
}

func (b *bank) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// ask sends a request as a browser without scripts does, cookies and all.
func (b *bank) ask(method, path string, form url.Values, site string) *httptest.ResponseRecorder {
	return b.upload(method, path, "application/x-www-form-urlencoded", []byte(form.Encode()), site)
}

func (b *bank) upload(method, path, kind string, body []byte, site string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	r.RemoteAddr = b.client
	r.Header.Set("Accept-Language", b.lang)
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Sec-Fetch-Site", site)
	for k, v := range b.jar {
		r.AddCookie(&http.Cookie{Name: k, Value: v})
	}
	w := httptest.NewRecorder()
	b.pages.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		b.jar[c.Name] = c.Value
		if c.MaxAge < 0 {
			delete(b.jar, c.Name)
		} else if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode {
			b.Errorf("cookie %+v", c)
		}
	}
	return w
}

func (b *bank) get(path string, want ...string) string {
	b.Helper()
	w := b.ask("GET", path, nil, "same-origin")
	return b.holds(w, http.StatusOK, want...)
}

func (b *bank) holds(w *httptest.ResponseRecorder, status int, want ...string) string {
	b.Helper()
	body := w.Body.String()
	if w.Code != status {
		b.Fatalf("status %d, want %d: %s", w.Code, status, body)
	}
	for _, s := range want {
		if !strings.Contains(body, s) {
			b.Fatalf("the page lacks %q:\n%s", s, body)
		}
	}
	if strings.Contains(body, "<script") {
		b.Error("a page has a script")
	}
	return body
}

// post expects to be sent on and gives where to.
func (b *bank) post(path string, form url.Values) string {
	b.Helper()
	w := b.ask("POST", path, form, "same-origin")
	if w.Code != http.StatusSeeOther {
		b.Fatalf("POST %s: %d %s", path, w.Code, w.Body)
	}
	return w.Header().Get("Location")
}

// file complains, in all its steps, and gives the case's address.
func (b *bank) file(phone string) string {
	b.Helper()
	if to := b.post("/complain", url.Values{"words": {"上午9点有人打来推销贷款"}, "phone": {phone}}); to != "/complain/files" {
		b.Fatalf("after the words comes %s", to)
	}
	b.get("/complain/check", `action="/complain/send"`, "上午9点有人打来推销贷款")
	return strings.TrimSuffix(b.post("/complain/send", nil), "?new=1")
}

// enter signs in with a code to an address and gives where that led.
func (b *bank) enter(to string) string {
	b.Helper()
	b.now.Add((2 * time.Minute).Microseconds())
	if next := b.post("/my/enter", url.Values{"address": {to}}); next != "/my/code" {
		b.Fatalf("asking for a code led to %s", next)
	}
	return b.post("/my/code", url.Values{"code": {<-b.codes}})
}

func (b *bank) id(path string) contact.ID {
	b.Helper()
	f, err := b.desk.ByToken(context.Background(), strings.TrimPrefix(path, "/c/"))
	b.must(err)
	return f.Case.ID
}

// answer is what the staff do: ann takes and proposes, bob approves.
func (b *bank) answer(path, handler, approver string) {
	b.Helper()
	ctx, id := context.Background(), b.id(path)
	_, err := b.desk.Take(ctx, id, handler)
	b.must(err)
	_, err = b.desk.Propose(ctx, id, handler, complaint.Decision{Result: complaint.Upheld, Facts: "拨打营销电话一次。", Basis: "客户曾拒绝。",
		Apology: true, Block: &contact.Stop{Purposes: contact.PurposeSet(contact.Marketing)}, RootCause: "名单已改为实时。"})
	b.must(err)
	_, err = b.desk.Answer(ctx, id, approver)
	b.must(err)
}

// verdict asks the gate, as the dialer would.
func (b *bank) verdict(p contact.Purpose, c contact.Channel) policy.Verdict {
	b.Helper()
	vs, err := b.gate.Screen(context.Background(), []policy.Intent{{Party: b.party, Point: b.point, Channel: c, Purpose: p,
		Relation: contact.Self, Initiator: "bank", Discloses: []string{"identity", "refusal_path"}}})
	b.must(err)
	return vs[0]
}

func (b *bank) standing() (st contact.Standing, err error) {
	err = b.db.Read(context.Background(), func(tx *db.Tx) error {
		all, err := b.store.Load(context.Background(), tx, []contact.ID{b.party}, false)
		st = all[b.party]
		return err
	})
	return st, err
}

type file struct {
	name string
	body []byte
}

// The first bytes by which these kinds are known.
var (
	pngBytes = []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00")
	exeBytes = []byte("MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00")
)

func (b *bank) sendFiles(files ...file) *httptest.ResponseRecorder {
	b.Helper()
	var buf bytes.Buffer
	m := multipart.NewWriter(&buf)
	for _, f := range files {
		w, err := m.CreateFormFile("file", f.name)
		b.must(err)
		_, err = w.Write(f.body)
		b.must(err)
	}
	b.must(m.WriteField("do", "add"))
	b.must(m.Close())
	return b.upload("POST", "/complain/files", m.FormDataContentType(), buf.Bytes(), "same-origin")
}
