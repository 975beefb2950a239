package approvals

import (
	"context"
	"net/url"
	"os"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"parley/internal/access"
	"parley/internal/approval"
	"parley/internal/approval/approvaltest"
	"parley/internal/console/frame/frametest"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/httpx/words"
)

func TestWords(t *testing.T) {
	t.Parallel()
	flaws, asked := book.Flaws(os.DirFS("."))
	for _, f := range flaws {
		t.Error(f)
	}
	if asked < 25 {
		t.Fatalf("only %d keys found: the pattern has gone stale", asked)
	}
	if got := say(words.With(context.Background(), words.En), "approve"); got != "Approve" {
		t.Errorf("say: %q", got)
	}
}

type bank struct {
	*frametest.House
	t     *testing.T
	store *approval.Store
}

func newBank(t *testing.T, d *db.DB) *bank {
	t.Helper()
	h := frametest.New(t, d, map[string][]access.Role{"maker": {access.CampaignManager}, "boss": {access.Approver}, "boss2": {access.Approver},
		"audit": {access.Auditor}, "admin": {access.Admin}, "agent": {access.Agent}})
	b := &bank{House: h, t: t, store: approval.New(d, access.Eyes{Store: h.Staff}, approvaltest.Keys(t))}
	b.store.Register(approval.Kind{Name: "campaign", Permission: string(access.ApproveCampaign), Revocable: true,
		Apply: func(context.Context, *db.Tx, *approval.Request) (approval.Effect, error) {
			return approval.Effect{}, nil
		}})
	h.Serve(Routes(Deps{Frame: h.Frame, Approvals: b.store}))
	return b
}

func (b *bank) ask(after string) *approval.Request {
	b.t.Helper()
	r, err := b.store.AskNow(b.t.Context(), approval.Ask{Kind: "campaign", Subject: "s1", Title: "银行卡换卡", After: after,
		Reason: "节前通知，问 13800138000", By: b.IDs["maker"]})
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// do asks for a page as somebody, or sends a form; it gives the page as a tree too.
func (b *bank) do(as, path string, form url.Values) (int, *html.Node, string) {
	b.t.Helper()
	code, _, body := b.Do(as, path, form)
	doc, err := html.Parse(strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	return code, doc, body
}

// forms gives the addresses the page's forms go to.
func forms(n *html.Node) (out []string) {
	if n.Type == html.ElementNode && n.Data == "form" {
		for _, a := range n.Attr {
			if a.Key == "action" && strings.HasPrefix(a.Val, "/approvals/") {
				out = append(out, a.Val)
			}
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		out = append(out, forms(c)...)
	}
	return out
}

// Four eyes looks the same everywhere: what changes, why, who asked, what
// happens on approval; only who may decide is offered to.
func TestRequestPage(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := newBank(t, d)
		r := b.ask("calls_per_second: 2\n")
		at := "/approvals/" + r.ID
		for as, want := range map[string]struct {
			code int
			acts string
		}{
			"maker": {200, at + "/withdraw"},
			"boss":  {200, at + "/approve " + at + "/send-back"},
			"audit": {200, ""},
			"admin": {404, ""}, // not his to decide, not his to see
			"agent": {403, ""},
		} {
			code, doc, body := b.do(as, at, nil)
			if code != want.code || strings.Join(forms(doc), " ") != want.acts {
				t.Errorf("%s: %d, offered %v; want %+v", as, code, forms(doc), want)
			}
			if code != 200 {
				continue
			}
			for _, part := range []string{"calls_per_second: 2", "节前通知", "员工maker", say(t.Context(), "effect.campaign"), r.Hash, `href="/campaigns/s1"`} {
				if !strings.Contains(body, part) {
					t.Errorf("%s does not see %q", as, part)
				}
			}
			if strings.Contains(body, "13800138000") { // JR/T 0171: masked where people wrote it
				t.Errorf("%s sees a phone number in the clear", as)
			}
		}
	})
}

func TestDecidingOnThePage(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := newBank(t, d)
		r := b.ask("calls_per_second: 2\n")
		at := "/approvals/" + r.ID
		hash := url.Values{"hash": {r.Hash}, "reason": {"名单太大"}}
		for _, tc := range []struct {
			as, act string
			form    url.Values
			code    int
			says    string
		}{
			{"maker", "approve", hash, 403, "须由另一人审批"},
			{"audit", "approve", hash, 403, "岗位不能"},
			{"boss", "approve", url.Values{"hash": {"old"}}, 409, "已有改动"},
			{"boss", "send-back", url.Values{"hash": {r.Hash}}, 422, "退回原因"},
			{"boss", "withdraw", hash, 403, "提出申请的人"},
			{"boss", "send-back", hash, 303, ""},
			{"boss2", "approve", hash, 409, "已经退回"},
		} {
			code, _, body := b.do(tc.as, at+"/"+tc.act, tc.form)
			if code != tc.code || !strings.Contains(body, tc.says) {
				t.Errorf("%s %s: %d, want %d and %q", tc.as, tc.act, code, tc.code, tc.says)
			}
		}
		again := b.ask("calls_per_second: 1\n")
		if code, _, _ := b.do("boss", "/approvals/"+again.ID+"/approve", url.Values{"hash": {again.Hash}, "note": {"好"}}); code != 303 {
			t.Errorf("approve: %d", code)
		}
		for _, tc := range []struct{ as, which, want string }{
			{"boss", "for_me", "没有事情在等"}, {"boss", "decided", at}, {"maker", "mine", at}, {"audit", "decided", at}, {"audit", "open", "没有事情在等"},
		} {
			if code, _, body := b.do(tc.as, "/approvals?which="+tc.which, nil); code != 200 || !strings.Contains(body, tc.want) {
				t.Errorf("%s %s: %d without %q", tc.as, tc.which, code, tc.want)
			}
		}
		if code, doc, _ := b.do("boss2", "/approvals/"+again.ID, nil); code != 200 || strings.Join(forms(doc), "") != "/approvals/"+again.ID+"/send-back" {
			t.Errorf("an approval that nothing runs on cannot be taken back: %v", forms(doc))
		}
	})
}
