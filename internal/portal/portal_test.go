package portal_test

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"parley/internal/contact"
	"parley/internal/disclosure"
	"parley/internal/ledger"
	"parley/internal/policy"
)

func TestJourneyInChinese(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		b.enter("138 0013 8000")
		b.get("/complain", "我要投诉", "发生了什么", `action="/complain"`, "95500")
		c := b.file("")
		b.get(c+"?new=1", "我们收到了您的投诉", "2026-000001", "我们会在2026年12月8日前答复您。", c, "不会再向您推销", `id="query"`)
		b.get(c, `class="now" aria-current="step"><b>已收到`, "法律规定的最后答复日：2026年12月8日", "我们最迟在2026年11月24日与您联系", "我们找到了这次联系", "2026年11月23日 09:00", "电话", "营销")
		ctx, id := context.Background(), b.id(c)
		b.must(b.desk.AskExtension(ctx, id, "ann", "需要调取录音"))
		if strings.Contains(b.get(c), "需要调取录音") {
			b.Error("an extension that nobody approved is shown")
		}
		b.must(b.desk.DecideExtension(ctx, id, "bob", true, ""))
		b.get(c, "您的投诉需要延长答复时间", "我们最迟在2026年12月23日答复您。", "原因：需要调取录音")
		b.now.Store(received.Add(24 * time.Hour).UnixMicro())
		b.answer(c, "ann", "bob")
		b.enter(number)
		b.get("/my/cases", "2026-000001", "我们已经答复您")
		b.get(c, "投诉处理答复", "2026年11月24日", "您的投诉成立", "从2026年11月24日起，我们不再为营销联系您。", "挡下了 1 次联系", "2026年11月24日 16:00")
		w := b.ask("POST", c+"/review", url.Values{"review": {" "}}, "same-origin")
		b.holds(w, 422, `href="#f-review"`, "请填写这一项")
		b.post(c+"/review", url.Values{"review": {"补偿不对"}})
		b.get(c, "您申请了核查", `class="now" aria-current="step"><b>正在核查`)
		b.answer(c, "cat", "dan")
		if strings.Contains(b.get(c, "已经核查过一次"), c+"/review") {
			b.Error("a second review is offered")
		}
		b.holds(b.ask("POST", c+"/review", url.Values{"review": {"再来"}}, "same-origin"), 409, "已核查过一次", c)
		b.holds(b.ask("POST", c+"/rate", nil, "same-origin"), 422, `href="#f-stars"`)
		b.post(c+"/accept", nil)
		b.get(c, "已经办结", `class="done"><b>办结`, "我们处理得怎么样")
		b.post(c+"/rate", url.Values{"stars": {"4"}, "text": {"还可以"}})
		b.get(c, "您给了 4 分")
		b.holds(b.ask("POST", c+"/rate", url.Values{"stars": {"1"}}, "same-origin"), 409, "已经评过分")
		b.holds(b.ask("POST", c+"/accept", nil, "same-origin"), 409, "回到投诉进度")
	})
}

func TestJourneyInEnglishEndsWithAWithdrawal(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		b.lang = "en"
		b.enter(address)
		b.get("/complain", "Make a complaint", `<html lang="en">`)
		c := b.file("")
		b.get(c+"?new=1", "We have your complaint", "We will answer you by 8 Dec 2026.")
		b.get(c, "We found this contact", "23 Nov 2026, 09:00", "Telephone call", "marketing")
		b.post(c+"/withdraw", nil)
		b.get(c, "You withdrew this complaint", `class="todo"><b>Answered`, `class="done"><b>Closed`)
	})
}

func TestEvidenceVerifiesOfflineWithTheKeyShown(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		b.enter(number)
		b.post("/complain", url.Values{"words": {"有人打来推销"}})
		b.sendFiles(file{"截图.png", pngBytes})
		c := strings.TrimSuffix(b.post("/complain/send", nil), "?new=1")
		b.answer(c, "ann", "bob")
		w := b.ask("GET", c+"/evidence.zip", nil, "same-origin")
		if w.Code != 200 || w.Header().Get("Content-Type") != "application/zip" {
			b.Fatalf("%d %v", w.Code, w.Header())
		}
		raw := w.Body.Bytes()
		rep, err := ledger.VerifyBundle(bytes.NewReader(raw), int64(len(raw)), b.log.Public())
		b.must(err)
		if len(rep.Problems) > 0 {
			b.Fatalf("problems: %v", rep.Problems)
		}
		z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
		b.must(err)
		letters, files := 0, 0
		for _, f := range z.File {
			if strings.Contains(f.Name, "letter-2026-000001") {
				letters++
			}
			if strings.Contains(f.Name, "attachment-") {
				files++
			}
		}
		if letters != 4 || files != 1 { // the acknowledgement and the answer, in two languages
			b.Errorf("%d letters and %d attachments in the bundle, want 4 and 1", letters, files)
		}
		b.get(c+"/check", "parley verify parley-2026-000001.zip --key", b.log.Origin())
		b.get("/my/evidence", c+"/evidence.zip")
	})
}

func TestErrorsKeepWhatWasTypedAndLinkToTheField(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		w := b.ask("POST", "/complain", url.Values{"phone": {"一二三"}}, "same-origin")
		b.holds(w, 422, `role="alert"`, `href="#f-words"`, `href="#f-phone"`, `id="f-words"`, `value="一二三"`, "这个号码认不出来")
		w = b.ask("POST", "/complain", url.Values{"phone": {"95588"}, "words": {"<b>吵</b>"}}, "same-origin")
		b.holds(w, 422, "&lt;b&gt;吵", "这个号码认不出来")
		w = b.ask("POST", "/complain", url.Values{"words": {strings.Repeat("吵", 5001)}}, "same-origin")
		b.holds(w, 422, "太长了")
		if n, err := b.desk.Count(context.Background()); err != nil || n.Total != 0 {
			b.Fatalf("%+v %v", n, err)
		}
		for _, bad := range []string{"", "95588", "张三", "a@", "<x@y.test>, z@y.test"} {
			b.holds(b.ask("POST", "/my/enter", url.Values{"address": {bad}}, "same-origin"), 422, `href="#f-address"`)
		}
	})
}

// A stranger who types somebody's number learns nothing and changes nothing:
// the pages are the same, byte for byte but for numbers, whether the bank knows
// the number or not, and its owner goes on as before (the fault mended here).
func TestNothingIsToldToStrangersAndNothingChangesForTheOwner(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		known := b.file(number)
		f, err := b.desk.ByToken(context.Background(), strings.TrimPrefix(known, "/c/"))
		b.must(err)
		if f.Case.Proven || f.Case.Hold != "" || f.Case.Party != b.party {
			b.Fatalf("a claim has an effect: %+v", f.Case)
		}
		if v := b.verdict(contact.Marketing, contact.Voice); v.Effect != policy.Allow {
			b.Errorf("a stranger's complaint holds the owner's marketing: %s by %s", v.Effect, v.By)
		}
		unknown := b.file("13900139000")
		pages := map[string]string{}
		for _, c := range []string{known, unknown} {
			page := b.get(c, "现在核实号码", "核实是您本人之后")
			if strings.Contains(page, "09:00") || strings.Contains(page, "evidence.zip") {
				b.Error("a typed number shows the contact of whoever owns it")
			}
			if strings.Contains(b.get(c+"?new=1"), "不会再向您推销") {
				b.Error("the confirmation tells whose number is a customer's")
			}
			b.holds(b.ask("GET", c+"/evidence.zip", nil, "same-origin"), 403)
			pages[c] = strings.NewReplacer(c, "", "2026-000001", "", "2026-000002", "").Replace(page)
		}
		if pages[known] != pages[unknown] {
			b.Error("the page of a known number differs from that of an unknown one")
		}
		b.now.Add((2 * time.Minute).Microseconds())
		answers := map[string]bool{}
		for _, n := range []string{number, stranger} {
			b.post("/my/enter", url.Values{"address": {n}})
			page := b.get("/my/code") + b.holds(b.ask("POST", "/my/code", url.Values{"code": {"12345"}}, "same-origin"), 422)
			answers[strings.NewReplacer("138****8000", "", "139****9000", "").Replace(page)] = true
		}
		if len(answers) != 1 {
			b.Error("asking for a code tells whose number is a customer's")
		}
		for _, path := range []string{"/c/aaaaaaaaaaaaaaaaaaaaaaaaaa", "/c/x/check", "/c/x/evidence.zip", "/c/2026-000001", "/my/nothing"} {
			b.holds(b.ask("GET", path, nil, "same-origin"), 404, `href="/my"`)
		}
		b.holds(b.ask("POST", "/c/x/accept", nil, "same-origin"), 404)
		b.holds(b.ask("POST", known+"/withdraw", nil, "cross-site"), 403)
		if w := b.ask("GET", known, nil, "none"); w.Header().Get("Cache-Control") != "no-store" {
			b.Error("a customer's page may be cached")
		}
	})
}

// The owner proves the number and takes the complaint for theirs: only then the
// contact shows and marketing is held. Somebody else's number does not do.
func TestAClaimIsProvenByTheNumbersOwner(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		c := b.file(number)
		if to := b.post(c+"/mine", nil); to != "/my/enter" {
			b.Fatalf("an unknown visitor is led to %s", to)
		}
		if to := b.enter("13600136000"); to != c {
			b.Fatalf("proving a number leads to %s, not back to the complaint", to)
		}
		b.get(c, "核实是您本人之后")
		b.holds(b.ask("POST", c+"/mine", nil, "same-origin"), 403, "另一个号码")
		b.enter(number)
		if strings.Contains(b.get(c, "是我提交的"), "09:00") {
			b.Error("the contact shows before the complaint is taken for one's own")
		}
		b.post(c+"/mine", nil)
		b.get(c, "我们找到了这次联系", "2026年11月23日 09:00", "evidence.zip")
		if v := b.verdict(contact.Marketing, contact.Voice); v.Effect != policy.Deny {
			b.Errorf("a proven complaint does not hold marketing: %s", v.Effect)
		}
		b.post("/my/leave", nil)
		if strings.Contains(b.get(c, "核实是您本人之后"), "09:00") {
			b.Error("whoever holds the link sees the contact without proof")
		}
	})
}

// Number and query code open a case; guessing is bounded and learns nothing.
func TestNumberAndQueryCodeOpenACase(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		c := b.file("")
		f, err := b.desk.ByToken(context.Background(), strings.TrimPrefix(c, "/c/"))
		b.must(err)
		b.get(c+"?new=1", f.Case.QueryCode())
		if to := b.post("/my/case", url.Values{"number": {f.Case.Number}, "query": {strings.ToLower(f.Case.QueryCode())}}); to != c {
			b.Fatalf("it leads to %s", to)
		}
		said := map[string]bool{}
		for _, n := range []string{f.Case.Number, "2026-999999"} {
			w := b.ask("POST", "/my/case", url.Values{"number": {n}, "query": {"AAAA-AAAA"}}, "same-origin")
			said[strings.ReplaceAll(b.holds(w, 422, `href="#f-query"`), n, "")] = true
		}
		if len(said) != 1 {
			b.Error("a wrong code and a number that does not exist differ")
		}
		for range 8 {
			b.ask("POST", "/my/case", url.Values{"number": {f.Case.Number}, "query": {"AAAA-AAAA"}}, "same-origin")
		}
		b.client = "192.0.2.9:1" // from elsewhere the case itself is still shut
		for range 2 {
			b.holds(b.ask("POST", "/my/case", url.Values{"number": {f.Case.Number}, "query": {"AAAA-AAAA"}}, "same-origin"), 422)
		}
		b.holds(b.ask("POST", "/my/case", url.Values{"number": {f.Case.Number}, "query": {f.Case.QueryCode()}}, "same-origin"), 422, "一小时")
	})
}

// PIPL art. 15: taking back consent is as easy as giving it; at once, by the gate.
func TestConsentsAreChangedAndStoppedAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		if to := b.post("/my/agreed/"+b.grant, url.Values{"channels": {"sms"}, "often": {"1/30"}, "hours": {"evening"}}); to != "/my/enter" {
			b.Fatalf("a stranger is led to %s", to)
		}
		if to := b.enter(number); to != "/my/agreed/"+b.grant {
			b.Fatalf("after signing in comes %s", to)
		}
		page := b.get("/my/agreed/"+b.grant, notice)
		if !strings.Contains(page, `value="1/30" checked`) || strings.Contains(page, `value="voice" checked`) {
			b.Error("what was typed before signing in is lost")
		}
		b.holds(b.ask("POST", "/my/agreed/"+b.grant, url.Values{"often": {"9/"}}, "same-origin"), 422, "#f-channels", "#f-often", "#f-hours")
		if v := b.verdict(contact.Marketing, contact.Voice); v.Effect != policy.Allow {
			b.Fatalf("before: %s by %s", v.Effect, v.By)
		}
		to := b.post("/my/agreed/"+b.grant, url.Values{"channels": {"sms"}, "often": {"1/30"}, "hours": {"morning,afternoon,evening"}})
		fresh := strings.TrimPrefix(to, "/my/agreed?done=")
		b.get(to, "已改好", "30 天内最多 1 次", "短信", "我们不再为营销联系您（电话、电子邮件、信件、手机应用通知）")
		if v := b.verdict(contact.Marketing, contact.Voice); v.Effect != policy.Deny {
			b.Errorf("calls are still allowed after the change: %s", v.Effect)
		}
		if v := b.verdict(contact.Marketing, contact.SMS); v.Effect != policy.Allow {
			b.Errorf("what was agreed to is refused: %s by %s", v.Effect, v.By)
		}
		b.holds(b.ask("POST", "/my/agreed/"+b.grant, url.Values{"channels": {"sms"}, "often": {"none"}, "hours": {"morning"}}, "same-origin"), 404)
		b.get(b.post("/my/agreed/"+fresh+"/stop", nil), "已经停止", "我们不再为营销联系您", "诈骗风险提示")
		if v := b.verdict(contact.Marketing, contact.SMS); v.Effect != policy.Deny {
			b.Errorf("stopped, and %s", v.Effect)
		}
		b.get(b.post("/my/stop", nil), "除风险提示和法定告知外")
		for p, want := range map[contact.Purpose]policy.Effect{contact.Marketing: policy.Deny, contact.Service: policy.Deny,
			contact.Collection: policy.Deny, contact.FraudAlert: policy.Allow, contact.Statutory: policy.Allow} {
			if v := b.verdict(p, contact.Voice); v.Effect != want {
				b.Errorf("after stopping all, %s is %s by %s, want %s", p, v.Effect, v.By, want)
			}
		}
		st, err := b.standing()
		b.must(err)
		b.post("/my/again", url.Values{"id": {st.Stops[len(st.Stops)-1].ID}})
		if v := b.verdict(contact.Service, contact.Voice); v.Effect != policy.Allow {
			b.Errorf("undone, and service is %s by %s", v.Effect, v.By)
		}
		b.holds(b.ask("POST", "/my/again", url.Values{"id": {contact.NewID()}}, "same-origin"), 404)
	})
}

// ASVS 5.0 5.2: size, number and content of files are bounded, the content says
// what a file is, and its name is no path.
func TestAttachmentsAreJudgedByTheirContent(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		b.holds(b.sendFiles(file{"a.png", pngBytes}), 409)
		b.post("/complain", url.Values{"words": {"见附件"}})
		for _, bad := range []struct {
			file
			says string
		}{
			{file{"invoice.pdf", exeBytes}, "不是照片"},
			{file{"page.png", []byte("<html><script>alert(1)</script></html>")}, "不是照片"},
			{file{"pic.svg", []byte(`<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>`)}, "不是照片"},
			{file{"all.zip", []byte("PK\x03\x04\x14\x00\x00\x00\x08\x00")}, "不是照片"},
			{file{"empty.png", nil}, "是空的"},
			{file{"big.txt", bytes.Repeat([]byte("字"), 9<<20)}, "超过 25 MB"},
		} {
			b.holds(b.sendFiles(bad.file), 422, `href="#f-file"`, bad.says)
		}
		if w := b.sendFiles(file{"../../etc/截图.exe", pngBytes}, file{"说明.txt", []byte("当时的情况")}); w.Code != 303 {
			b.Fatalf("%d %s", w.Code, w.Body)
		}
		b.get("/complain/files", "已添加 2 个", "截图.exe", "说明.txt")
		b.post("/complain/files/remove", url.Values{"n": {"1"}})
		if strings.Contains(b.get("/complain/check", "截图.exe"), "说明.txt") {
			b.Error("a removed file is still there")
		}
		var many []file
		for i := range 10 {
			many = append(many, file{fmt.Sprintf("%d.txt", i), fmt.Appendf(nil, "第 %d 份", i)})
		}
		b.holds(b.sendFiles(many...), 422, "9.txt", "最多 10 个附件")
		c := strings.TrimSuffix(b.post("/complain/send", nil), "?new=1")
		f, err := b.desk.ByToken(context.Background(), strings.TrimPrefix(c, "/c/"))
		b.must(err)
		if len(f.Files) != 10 || f.Files[0].Media != "image/png" || f.Files[0].Name != "截图.exe" || f.Files[0].Size != int64(len(pngBytes)) {
			b.Errorf("%+v", f.Files)
		}
		b.holds(b.ask("POST", "/complain/send", nil, "same-origin"), 409)
	})
}

// ASVS 5.0 8.2.2: one customer's session opens nothing of another's.
func TestASessionOpensNothingOfAnothers(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		b.enter("13600136000")
		b.holds(b.ask("GET", "/my/agreed/"+b.grant, nil, "same-origin"), 404)
		b.holds(b.ask("POST", "/my/agreed/"+b.grant+"/stop", nil, "same-origin"), 404)
		b.holds(b.ask("GET", "/my/contacts/"+b.cause.Attempt, nil, "same-origin"), 404)
		b.holds(b.ask("POST", "/my/contacts/"+b.cause.Attempt+"/recording", nil, "same-origin"), 404)
		if v := b.verdict(contact.Marketing, contact.Voice); v.Effect != policy.Allow {
			b.Errorf("somebody else's tap stopped it: %s", v.Effect)
		}
		b.jar["next"] = "aHR0cHM6Ly9ldmlsLnRlc3Q" // https://evil.test
		if to := b.enter(number); to != "/my" {
			b.Errorf("signing in leads to %s", to)
		}
	})
}

func TestOneAddressCannotFlood(t *testing.T) {
	t.Parallel()
	b := build(t, "sqlite")
	for range 10 {
		b.file("")
	}
	b.post("/complain", url.Values{"words": {"再一次"}})
	b.holds(b.ask("POST", "/complain/send", nil, "same-origin"), 429, "太频繁")
	b.get("/complain/check", "再一次") // what was typed is not lost
	b.client = "192.0.2.2:1"
	b.file("")
	b.client = "192.0.2.1:2"
	b.now.Store(received.Add(11 * time.Minute).UnixMicro())
	b.file("")
}

// PIPL art. 44 and 45: a person may know who saw their data. The page names the
// role and the reason, never the member of staff.
func TestACustomerReadsWhoLooked(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		b.enter(number)
		b.get("/my/looks", "没有人看过")
		b.must(b.looks.KeepNow(context.Background(), &disclosure.Look{Party: b.party, By: "staff-1", Role: "handler", What: disclosure.Phone,
			Reason: disclosure.Complaint, Words: "回电核实"}))
		if strings.Contains(b.get("/my/looks", "投诉处理人看了您的电话号码", "处理投诉：回电核实"), "staff-1") {
			b.Error("the page names the member of staff")
		}
		b.enter("13600136000")
		b.get("/my/looks", "没有人看过")
	})
}
