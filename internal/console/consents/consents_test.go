package consents

import (
	"bytes"
	"context"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"parley/internal/access"
	"parley/internal/approval/approvaltest"
	"parley/internal/consent"
	"parley/internal/console/frame/frametest"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/party"
)

type bank struct {
	*frametest.House
	t       *testing.T
	db      *db.DB
	people  *party.Store
	consent *consent.Store
}

func newBank(t *testing.T, d *db.DB) *bank {
	t.Helper()
	staff := map[string][]access.Role{}
	for _, r := range []access.Role{access.Compliance, access.CampaignManager, access.Admin} {
		staff[string(r)] = []access.Role{r}
	}
	b := &bank{House: frametest.New(t, d, staff), t: t, db: d, people: party.NewStore(d, approvaltest.Keys(t)), consent: consent.NewStore(d, nil)}
	b.people.SetArrivals(func(ctx context.Context, tx *db.Tx, came []party.Arrival) error {
		who := make([]consent.Holder, len(came))
		for i, c := range came {
			who[i] = consent.Holder{Party: c.Party, Point: c.Point, Blind: c.Blind}
		}
		return b.consent.Arrived(ctx, tx, who)
	})
	b.Serve(Routes(Deps{Frame: b.Frame, DB: d, Parties: b.people, Consents: b.consent}))
	return b
}

func (b *bank) post(who access.Role, path string, form url.Values) (code int, page string) {
	b.t.Helper()
	code, _, page = b.Do(string(who), path, form)
	return code, page
}

func (b *bank) get(who access.Role, path string) string {
	b.t.Helper()
	return b.See(string(who), path)
}

func (b *bank) customer(ref, number string) contact.ID {
	b.t.Helper()
	p := &party.Party{Ref: ref, Name: "王小明", Points: []party.Point{{Kind: party.Phone, Value: number}}}
	if err := b.db.Write(b.t.Context(), func(tx *db.Tx) error { return b.people.Put(b.t.Context(), tx, []*party.Party{p}) }); err != nil {
		b.t.Fatal(err)
	}
	return p.ID
}

func (b *bank) stopped(who contact.ID) bool {
	b.t.Helper()
	var n int
	if err := b.db.Read(b.t.Context(), func(tx *db.Tx) error {
		held, err := b.consent.Load(b.t.Context(), tx, []contact.ID{who}, false)
		n = len(held[who].Stops)
		return err
	}); err != nil {
		b.t.Fatal(err)
	}
	return n > 0
}

// 个人信息保护法第四十七条, 通信短信息服务管理规定: a number asked to be left
// alone is left alone at once, whoever has it, also one nobody has yet.
func TestDoNotContactList(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := newBank(t, d)
		known := b.customer("C-1", "+8613800138000")
		entry := url.Values{"number": {"138 0013 8000"}, "purpose": {"all"}, "reason": {"来电要求"}}
		if code, _ := b.post(access.CampaignManager, "/consents", entry); code != http.StatusForbidden {
			t.Errorf("a campaign manager may list numbers: %d", code)
		}
		if code, page := b.post(access.Compliance, "/consents", url.Values{"number": {"12"}, "purpose": {"all"}, "reason": {"留住我"}, "until": {"2001-01-01"}}); code != 422 ||
			!strings.Contains(page, "留住我") || !strings.Contains(page, "完整的电话号码") || !strings.Contains(page, "今天以后") {
			t.Errorf("a wrong form: %d", code)
		}
		if code, _ := b.post(access.Compliance, "/consents", entry); code != http.StatusSeeOther || !b.stopped(known) {
			t.Fatalf("listed: %d, in force %v", code, b.stopped(known))
		}
		if code, page := b.post(access.Compliance, "/consents", entry); code != 422 || !strings.Contains(page, "已在免打扰名单中") {
			t.Errorf("listed twice: %d", code)
		}
		entry.Set("number", "13900139000")
		if code, page := b.post(access.Compliance, "/consents", entry); code != http.StatusSeeOther {
			t.Fatalf("a stranger's number: %d %s", code, page)
		}
		if later := b.customer("C-2", "+8613900139000"); !b.stopped(later) {
			t.Error("a customer who came later is contacted at a number on the list")
		}
		page := b.get(access.CampaignManager, "/consents")
		for _, want := range []string{"138****8000", "139****9000", "来电要求", "员工compliance", "生效中"} {
			if !strings.Contains(page, want) {
				t.Errorf("the list lacks %q", want)
			}
		}
		for _, secret := range []string{"13800138000", "138 0013 8000", "/lift", `action="/consents/upload"`} {
			if strings.Contains(page, secret) {
				t.Errorf("the list shows a campaign manager %q", secret)
			}
		}
		if said := b.get(access.Compliance, "/consents/said"); !strings.Contains(said, "王**") || strings.Contains(said, "王小明") {
			t.Error("what was stopped lately is not shown, or not masked")
		}
		if code, page := b.post(access.CampaignManager, "/consents/check", url.Values{"q": {"+86 138 0013 8000"}}); code != 200 || !strings.Contains(page, "1 条") {
			t.Errorf("check: %d", code)
		}
		ids := regexp.MustCompile(`/consents/([0-9a-f-]{36})/lift`).FindAllStringSubmatch(b.get(access.Compliance, "/consents"), -1)
		if len(ids) != 2 {
			t.Fatalf("%d entries can be lifted, want 2", len(ids))
		}
		for _, id := range ids {
			if code, _ := b.post(access.Compliance, id[0], url.Values{}); code != 422 || !b.stopped(known) {
				t.Fatalf("lifted without a reason: %d", code)
			}
		}
		for _, id := range ids {
			if code, page := b.post(access.Compliance, id[0], url.Values{"reason": {"号码登记有误"}}); code != http.StatusSeeOther {
				t.Errorf("lift: %d %s", code, page)
			}
		}
		if b.stopped(known) || !strings.Contains(b.get(access.Compliance, "/consents?which=off"), "138****8000") {
			t.Error("the number was lifted and still holds")
		}
	})
}

// A list is taken in through the roster: what can be used takes effect, the
// rest comes back with the reason.
func TestUpload(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := newBank(t, d)
		known := b.customer("C-1", "+8613800138000")
		send := func(name, content string) *httptest.ResponseRecorder {
			var body bytes.Buffer
			m := multipart.NewWriter(&body)
			f, err := m.CreateFormFile("file", name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Write([]byte(content)); err != nil {
				t.Fatal(err)
			}
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodPost, "/consents/upload", &body)
			r.Header.Set("Content-Type", m.FormDataContentType())
			return b.Send(string(access.Compliance), r)
		}
		if w := send("list.exe", "x"); w.Code != 422 {
			t.Errorf("a program was taken for a list: %d", w.Code)
		}
		if w := send("list.csv", "phone,purposes,reason\n13800138000,,工信部名单\nabc,,\n13900139000,chat,\n13700137000,marketing,\n"); w.Code != http.StatusSeeOther {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		ctx, end := context.WithTimeout(t.Context(), 2*time.Minute)
		defer end()
		part := ""
		for part = b.get(access.Compliance, "/consents/upload"); strings.Contains(part, "every 1s"); part = b.get(access.Compliance, "/consents/upload") {
			select {
			case <-ctx.Done():
				t.Fatal("the upload does not end")
			case <-time.After(20 * time.Millisecond):
			}
		}
		if !strings.Contains(part, "2 行已生效，2 行退回") || !strings.Contains(part, "没有这个事项") {
			t.Errorf("what became of the list: %s", part)
		}
		if !b.stopped(known) {
			t.Error("a listed customer is not stopped")
		}
		rejects := b.get(access.Compliance, "/consents/upload/rejects.csv")
		if strings.Count(rejects, "\n") != 3 || strings.Contains(rejects, "13900139000") {
			t.Errorf("rejects: %s", rejects)
		}
	})
}
