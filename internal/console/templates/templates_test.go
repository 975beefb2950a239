package templates

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"parley/internal/access"
	"parley/internal/approval"
	"parley/internal/approval/approvaltest"
	"parley/internal/complaint"
	"parley/internal/consent"
	"parley/internal/console/frame"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/httpx"
	"parley/internal/party"
	"parley/internal/remedy"
	"parley/internal/template"
)

// Every sentence is there in both languages, and every key a page names exists.
func TestWords(t *testing.T) {
	t.Parallel()
	flaws, asked := book.Flaws(os.DirFS("."))
	for _, f := range flaws {
		t.Error(f)
	}
	if asked < 50 {
		t.Fatalf("only %d keys found: the pattern has gone stale", asked)
	}
}

// bank has two handlers, a complaint approver and a campaign manager, a case of a
// customer, and the template pages.
type bank struct {
	t         *testing.T
	db        *db.DB
	store     *template.Store
	approvals *approval.Store
	desk      *complaint.Desk
	handler   http.Handler
	token, id map[string]string
}

// staff joins the four eyes to real staff, as the composition root does.
type staff struct{ *access.Store }

func (s staff) Person(ctx context.Context, tx *db.Tx, account string) (string, error) {
	st, err := s.Inside(ctx, tx, account)
	return st.Person(), err
}

func (s staff) May(ctx context.Context, tx *db.Tx, account, permission string) (bool, error) {
	st, err := s.Inside(ctx, tx, account)
	return st.May(access.Permission(permission)), err
}

// nothing is a bank that made no contacts.
type nothing struct{}

func (nothing) Cause(context.Context, *db.Tx, contact.ID) (complaint.Cause, error) {
	return complaint.Cause{}, nil
}

func (nothing) Latest(context.Context, *db.Tx, contact.ID, time.Time, int) ([]complaint.Cause, error) {
	return nil, nil
}

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, httpx.Shanghai())

func each(t *testing.T, fn func(b *bank)) {
	t.Helper()
	dbtest.EachClock(t, func() time.Time { return noon }, func(t *testing.T, d *db.DB) { fn(newBank(t, d)) })
}

func newBank(t *testing.T, d *db.DB) *bank {
	t.Helper()
	b := &bank{t: t, db: d, token: map[string]string{}, id: map[string]string{}}
	st := access.NewStore(d)
	keys := approvaltest.Keys(t)
	b.approvals = approval.New(d, staff{st}, keys)
	b.store = template.New(d, b.approvals, httpx.Shanghai())
	b.approvals.Register(b.store.Approval(string(access.ApproveTemplate)))
	_, err := b.store.Adopt(t.Context())
	b.ok(err)
	consents := consent.NewStore(d, nil)
	b.desk = complaint.New(d, b.approvals, keys, consents, nothing{}, remedy.New(d, consents), complaint.Options{BankZh: "守约银行", BankEn: "Parley Bank",
		Hotline: "95500", Zone: httpx.Shanghai(), Wordings: b.store})
	b.approvals.Register(b.desk.Approvals(string(access.ApproveComplaint))...)
	people := party.NewStore(d, keys)
	wang := &party.Party{Ref: "C1", Name: "王小明", Points: []party.Point{{Kind: party.Phone, Value: "+8613800138000"}}}
	b.ok(d.Write(t.Context(), func(tx *db.Tx) error {
		if err := people.Put(t.Context(), tx, []*party.Party{wang}); err != nil {
			return err
		}
		_, err := b.desk.Open(t.Context(), tx, complaint.Intake{Source: "staff", Party: wang.ID, Words: "打扰", By: "clerk"})
		return err
	}))
	house := &httpx.House{BankZh: "守约银行", BankEn: "Parley Bank", Zone: httpx.Shanghai(), Clock: d.Now}
	f := frame.New(house, st)
	f.DB = d
	mux := http.NewServeMux()
	f.Serve(mux, Routes(Deps{Frame: f, DB: d, Templates: b.store, Approvals: b.approvals, Desk: b.desk, Parties: people}))
	b.handler = house.Wrap(mux)
	for login, role := range map[string]access.Role{"zhang": access.Handler, "zhao": access.ComplaintApprover, "wang": access.CampaignManager} {
		p, err := st.AddStaff(t.Context(), access.Staff{Login: login, Name: "员工" + login, Roles: []access.Role{role}}, "")
		b.ok(err)
		b.token[login], _, err = st.Enter(t.Context(), p.ID)
		b.ok(err)
		b.id[login] = p.ID
	}
	return b
}

func (b *bank) ok(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bank) do(as, path string, form url.Values, header ...string) (code int, to, body string) {
	b.t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if form != nil {
		r = httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	r.AddCookie(&http.Cookie{Name: "parley", Value: b.token[as]})
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	return w.Code, w.Header().Get("Location"), w.Body.String()
}

func (b *bank) sees(as, path string, want ...string) string {
	b.t.Helper()
	code, _, body := b.do(as, path, nil)
	if code != http.StatusOK {
		b.t.Fatalf("%s: %d", path, code)
	}
	for _, part := range want {
		if !strings.Contains(body, part) {
			b.t.Errorf("%s does not show %q", path, part)
		}
	}
	return body
}

// typed is the editor's form of the acknowledgement with what was changed.
func typed(change ...string) url.Values {
	f, err := template.FormOf("received")
	if err != nil {
		panic(err)
	}
	x := f.Shipped
	v := url.Values{"id": {"received"}, "subject_zh": {x.Zh.Subject}, "text_zh": {strings.ReplaceAll(x.Zh.Text, "\n", "\r\n")},
		"subject_en": {x.En.Subject}, "text_en": {x.En.Text}}
	for i := 0; i < len(change); i += 2 {
		v.Set(change[i], change[i+1])
	}
	return v
}

// A wording from the list through the editor to a second person and into force,
// and back again; who may not write is offered nothing.
func TestLifeOfAWording(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		b.sees("wang", "/templates", "受理通知", "投诉处理答复", "验证码邮件", "第 1 版")
		body := b.sees("wang", "/templates/received", "第 1 版 · 现行", "我们已收到您的投诉", "We have received your complaint", "{due}", "随程序提供")
		if strings.Contains(body, "/templates/edit") || strings.Contains(body, `name="case"`) {
			b.t.Error("a campaign manager is offered to write, or to look at a case")
		}
		if code, _, _ := b.do("wang", "/templates/edit", typed()); code != http.StatusForbidden {
			b.t.Errorf("a campaign manager writes: %d", code)
		}
		b.sees("zhang", "/templates/edit?id=received", "可以写进信里的内容", "编号：{number}", "可以保存")
		code, at, _ := b.do("zhang", "/templates/edit", typed("subject_zh", "投诉收到了"))
		if code != http.StatusSeeOther {
			b.t.Fatalf("save: %d", code)
		}
		b.sees("zhang", at, "草稿", "投诉收到了", "diff-added", at+"/submit", at+"/drop")
		b.sees("wang", "/templates/received", at)
		if code, _, body := b.do("zhang", at+"/submit", url.Values{"why": {""}}); code != http.StatusUnprocessableEntity || !strings.Contains(body, `href="#f-why"`) {
			b.t.Errorf("no reason: %d", code)
		}
		if code, _, body := b.do("zhang", at+"/submit", url.Values{"why": {"短"}, "from": {"2026-11-24T11:00"}}); code != http.StatusUnprocessableEntity ||
			!strings.Contains(body, "生效时间须晚于现在") || !strings.Contains(body, `value="2026-11-24T11:00"`) {
			b.t.Errorf("in the past: %d", code)
		}
		if code, _, _ := b.do("zhang", at+"/submit", url.Values{"why": {"更短"}}); code != http.StatusSeeOther {
			b.t.Fatalf("submit: %d", code)
		}
		b.sees("zhao", at, "/approvals/", "待审批")
		if code, to, _ := b.do("zhang", "/templates/edit?id=received", nil); code != http.StatusSeeOther || to != at {
			b.t.Errorf("the editor of what waits leads to %d %q", code, to)
		}
		b.approve(at, "zhao")
		if code, to, _ := b.do("zhang", at, nil); code != http.StatusSeeOther || to != "/templates/received?v=2" {
			b.t.Errorf("what was approved leads to %d %q", code, to)
		}
		b.sees("zhang", "/templates/received", "第 2 版 · 现行", "投诉收到了", "与第 1 版相比", "员工zhang")
		var first *template.Version
		b.ok(b.db.Read(b.t.Context(), func(tx *db.Tx) (err error) {
			first, err = b.store.Numbered(b.t.Context(), tx, "received", 1)
			return err
		}))
		b.sees("zhang", "/templates/received?v=1", "已被取代", "/templates/versions/"+first.ID+"/restore")
		code, at, _ = b.do("zhang", "/templates/versions/"+first.ID+"/restore", url.Values{"reason": {"客户更习惯原来的说法"}})
		if code != http.StatusSeeOther {
			b.t.Fatalf("restore: %d", code)
		}
		b.approve(at, "zhao")
		b.sees("zhang", "/templates/received", "第 3 版 · 现行", "我们已收到您的投诉", "（恢复）")
	})
}

func (b *bank) approve(at, by string) {
	b.t.Helper()
	b.ok(b.db.Write(b.t.Context(), func(tx *db.Tx) error {
		r, err := b.approvals.Waiting(b.t.Context(), tx, template.ApprovalKind, at[strings.LastIndex(at, "/")+1:])
		if err != nil || r == nil {
			b.t.Fatalf("request: %v %v", r, err)
		}
		_, err = b.approvals.Approve(b.t.Context(), tx, approval.Decision{ID: r.ID, By: b.id[by], Hash: r.Hash})
		return err
	}))
}

// What is wrong is named with its line and the mend, while it is written and when
// it is saved; nothing typed is lost, and a colleague's draft is not overwritten.
func TestFaults(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		bad := typed("text_en", "Number {nummer}\n{due}\n<b>{hotline}")
		for path, want := range map[string]int{"/templates/check": http.StatusOK, "/templates/edit": http.StatusUnprocessableEntity} {
			code, _, body := b.do("zhang", path, bad)
			for _, part := range []string{"英文正文第 1 行：", "没有叫 {nummer} 的内容", "<code lang=\"en\">Number {nummer}</code>", "缺少必须写明的 {number}", "&lt;b&gt;{hotline}", "2 处要改"} {
				if code != want || !strings.Contains(body, part) {
					b.t.Errorf("%s: %d, lacks %q", path, code, part)
				}
			}
		}
		code, _, part := b.do("zhang", "/templates/check", typed(), "HX-Request", "true")
		if code != http.StatusOK || !strings.HasPrefix(strings.TrimSpace(part), `<div id="checked"`) || !strings.Contains(part, "2026年12月8日") {
			b.t.Errorf("the part: %d %.80s", code, part)
		}
		if code, _, _ := b.do("zhang", "/templates/edit", typed("subject_zh", "一")); code != http.StatusSeeOther {
			b.t.Fatalf("save: %d", code)
		}
		code, _, body := b.do("zhang", "/templates/edit", typed("subject_zh", "二")) // opened before that draft was saved
		if code != http.StatusConflict || !strings.Contains(body, "别人刚刚改过") || !strings.Contains(body, `value="二"`) {
			b.t.Errorf("over a colleague's draft: %d", code)
		}
		for _, path := range []string{"/templates/nothing", "/templates/edit?id=nothing", "/templates/received?v=9", "/templates/versions/" + contact.NewID()} {
			if code, _, _ := b.do("zhang", path, nil); code != http.StatusNotFound {
				b.t.Errorf("%s: %d", path, code)
			}
		}
	})
}

// A wording is looked at with a real case by those who may see cases, masked;
// a case that has not come to the letter says so.
func TestLookWithACase(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		ctx := b.t.Context()
		c, err := b.desk.ByNumber(ctx, "2026-000001")
		b.ok(err)
		b.sees("zhang", "/templates/answer?case=2026-000001", "还没有走到要写这封信的一步")
		_, err = b.desk.Take(ctx, c.Case.ID, b.id["zhang"])
		b.ok(err)
		_, err = b.desk.Propose(ctx, c.Case.ID, b.id["zhang"], complaint.Decision{Result: complaint.Upheld, Facts: "王小明，13800138000，接到一次来电。", Basis: "曾拒绝。", RootCause: "已改。"})
		b.ok(err)
		body := b.sees("zhao", "/templates/answer?case=2026-000001", "按投诉 2026-000001 写成", "接到一次来电", "您的投诉成立", "138****8000")
		if strings.Contains(body, "13800138000") || strings.Contains(body, "王小明") {
			b.t.Error("a preview shows a customer's data in the clear")
		}
		if body := b.sees("wang", "/templates/answer?case=2026-000001"); strings.Contains(body, "接到一次来电") {
			b.t.Error("who may not see cases reads one in a preview")
		}
		b.sees("zhang", "/templates/answer?sample=2", "经核实，您的投诉不成立", "we do not uphold")
		b.sees("zhang", "/templates/answer?case=2026-999999", "没有这个投诉")
	})
}
