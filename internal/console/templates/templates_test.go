package templates

import (
	"context"
	"net/http"
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
	"parley/internal/console/frame/frametest"
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
	*frametest.House
	t         *testing.T
	db        *db.DB
	store     *template.Store
	approvals *approval.Store
	desk      *complaint.Desk
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
	keys := approvaltest.Keys(t)
	b := &bank{t: t, db: d, House: frametest.New(t, d, map[string][]access.Role{"zhang": {access.Handler}, "zhao": {access.ComplaintApprover}, "wang": {access.CampaignManager}})}
	b.approvals = approval.New(d, access.Eyes{Store: b.Staff}, keys)
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
	b.Serve(Routes(Deps{Frame: b.Frame, DB: d, Templates: b.store, Approvals: b.approvals, Desk: b.desk, Parties: people}))
	return b
}

func (b *bank) ok(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
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
		b.See("wang", "/templates", "受理通知", "投诉处理答复", "验证码邮件", "第 1 版")
		body := b.See("wang", "/templates/received", "第 1 版 · 现行", "我们已收到您的投诉", "We have received your complaint", "{due}", "随程序提供")
		if strings.Contains(body, "/templates/edit") || strings.Contains(body, `name="case"`) {
			b.t.Error("a campaign manager is offered to write, or to look at a case")
		}
		if code, _, _ := b.Do("wang", "/templates/edit", typed()); code != http.StatusForbidden {
			b.t.Errorf("a campaign manager writes: %d", code)
		}
		b.See("zhang", "/templates/edit?id=received", "可以写进信里的内容", "编号：{number}", "可以保存")
		code, at, _ := b.Do("zhang", "/templates/edit", typed("subject_zh", "投诉收到了"))
		if code != http.StatusSeeOther {
			b.t.Fatalf("save: %d", code)
		}
		b.See("zhang", at, "草稿", "投诉收到了", "diff-added", at+"/submit", at+"/drop")
		b.See("wang", "/templates/received", at)
		if code, _, body := b.Do("zhang", at+"/submit", url.Values{"why": {""}}); code != http.StatusUnprocessableEntity || !strings.Contains(body, `href="#f-why"`) {
			b.t.Errorf("no reason: %d", code)
		}
		if code, _, body := b.Do("zhang", at+"/submit", url.Values{"why": {"短"}, "from": {"2026-11-24T11:00"}}); code != http.StatusUnprocessableEntity ||
			!strings.Contains(body, "生效时间须晚于现在") || !strings.Contains(body, `value="2026-11-24T11:00"`) {
			b.t.Errorf("in the past: %d", code)
		}
		if code, _, _ := b.Do("zhang", at+"/submit", url.Values{"why": {"更短"}}); code != http.StatusSeeOther {
			b.t.Fatalf("submit: %d", code)
		}
		b.See("zhao", at, "/approvals/", "待审批")
		if code, to, _ := b.Do("zhang", "/templates/edit?id=received", nil); code != http.StatusSeeOther || to != at {
			b.t.Errorf("the editor of what waits leads to %d %q", code, to)
		}
		b.approve(at, "zhao")
		if code, to, _ := b.Do("zhang", at, nil); code != http.StatusSeeOther || to != "/templates/received?v=2" {
			b.t.Errorf("what was approved leads to %d %q", code, to)
		}
		b.See("zhang", "/templates/received", "第 2 版 · 现行", "投诉收到了", "与第 1 版相比", "员工zhang")
		var first *template.Version
		b.ok(b.db.Read(b.t.Context(), func(tx *db.Tx) (err error) {
			first, err = b.store.Numbered(b.t.Context(), tx, "received", 1)
			return err
		}))
		b.See("zhang", "/templates/received?v=1", "已被取代", "/templates/versions/"+first.ID+"/restore")
		code, at, _ = b.Do("zhang", "/templates/versions/"+first.ID+"/restore", url.Values{"reason": {"客户更习惯原来的说法"}})
		if code != http.StatusSeeOther {
			b.t.Fatalf("restore: %d", code)
		}
		b.approve(at, "zhao")
		b.See("zhang", "/templates/received", "第 3 版 · 现行", "我们已收到您的投诉", "（恢复）")
	})
}

func (b *bank) approve(at, by string) {
	b.t.Helper()
	b.ok(b.db.Write(b.t.Context(), func(tx *db.Tx) error {
		r, err := b.approvals.Waiting(b.t.Context(), tx, template.ApprovalKind, at[strings.LastIndex(at, "/")+1:])
		if err != nil || r == nil {
			b.t.Fatalf("request: %v %v", r, err)
		}
		_, err = b.approvals.Approve(b.t.Context(), tx, approval.Decision{ID: r.ID, By: b.IDs[by], Hash: r.Hash})
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
			code, _, body := b.Do("zhang", path, bad)
			for _, part := range []string{"英文正文第 1 行：", "没有叫 {nummer} 的内容", "<code lang=\"en\">Number {nummer}</code>", "缺少必须写明的 {number}", "&lt;b&gt;{hotline}", "2 处要改"} {
				if code != want || !strings.Contains(body, part) {
					b.t.Errorf("%s: %d, lacks %q", path, code, part)
				}
			}
		}
		code, _, part := b.Do("zhang", "/templates/check", typed(), "HX-Request", "true")
		if code != http.StatusOK || !strings.HasPrefix(strings.TrimSpace(part), `<div id="checked"`) || !strings.Contains(part, "2026年12月8日") {
			b.t.Errorf("the part: %d %.80s", code, part)
		}
		if code, _, _ := b.Do("zhang", "/templates/edit", typed("subject_zh", "一")); code != http.StatusSeeOther {
			b.t.Fatalf("save: %d", code)
		}
		code, _, body := b.Do("zhang", "/templates/edit", typed("subject_zh", "二")) // opened before that draft was saved
		if code != http.StatusConflict || !strings.Contains(body, "别人刚刚改过") || !strings.Contains(body, `value="二"`) {
			b.t.Errorf("over a colleague's draft: %d", code)
		}
		for _, path := range []string{"/templates/nothing", "/templates/edit?id=nothing", "/templates/received?v=9", "/templates/versions/" + contact.NewID()} {
			if code, _, _ := b.Do("zhang", path, nil); code != http.StatusNotFound {
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
		b.See("zhang", "/templates/answer?case=2026-000001", "还没有走到要写这封信的一步")
		_, err = b.desk.Take(ctx, c.Case.ID, b.IDs["zhang"])
		b.ok(err)
		_, err = b.desk.Propose(ctx, c.Case.ID, b.IDs["zhang"], complaint.Decision{Result: complaint.Upheld, Facts: "王小明，13800138000，接到一次来电。", Basis: "曾拒绝。", RootCause: "已改。"})
		b.ok(err)
		body := b.See("zhao", "/templates/answer?case=2026-000001", "按投诉 2026-000001 写成", "接到一次来电", "您的投诉成立", "138****8000")
		if strings.Contains(body, "13800138000") || strings.Contains(body, "王小明") {
			b.t.Error("a preview shows a customer's data in the clear")
		}
		if body := b.See("wang", "/templates/answer?case=2026-000001"); strings.Contains(body, "接到一次来电") {
			b.t.Error("who may not see cases reads one in a preview")
		}
		b.See("zhang", "/templates/answer?sample=2", "经核实，您的投诉不成立", "we do not uphold")
		b.See("zhang", "/templates/answer?case=2026-999999", "没有这个投诉")
	})
}
