package api

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/internal/apikey"
	"parley/internal/campaign"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/gate"
	"parley/internal/outbound"
	"parley/internal/prompt"
)

// PIPL art. 51, JR/T 0171-2020: masked by default; in clear with scope and
// reason only, and the customer can see who read it and why.
func TestPersonalDataIsMaskedUnlessAskedFor(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		p := b.customer("C1", "+8613800138000")
		path := "/api/v1/customers/" + p.ID
		read, both := b.scoped(apikey.CustomersRead), b.key("crm", apikey.CustomersRead, apikey.PersonalRead)
		for _, r := range []reply{b.want(200, read, "GET", path, nil), b.want(200, both, "GET", path, nil),
			b.want(200, read, "GET", "/api/v1/customers", nil), b.want(200, both, "POST", "/api/v1/customers/search", map[string]any{"to": "13800138000"})} {
			if strings.Contains(r.raw, "王小明") || strings.Contains(r.raw, "13800138000") || strings.Contains(r.raw, "110101199003077777") ||
				!strings.Contains(r.raw, "138****8000") || !strings.Contains(r.raw, "王**") {
				b.t.Error(r.raw)
			}
		}
		b.refused(403, "clear_data_forbidden", read, "GET", path+"?clear=true", nil, "X-Reason", "audit")
		b.refused(422, "reason_missing", both, "GET", path+"?clear=true", nil)
		r := b.want(200, both, "GET", path+"?clear=true", nil, "X-Reason", "complaint 2026-000001")
		if r.str("name") != "王小明" || r.str("points.0.value") != "+8613800138000" || r.get("clear") != true {
			b.t.Error(r.raw)
		}
		looks, err := b.looks.ByParty(context.Background(), p.ID, db.Span{N: 5})
		check(b.t, err)
		if len(looks) != 1 || looks[0].Words != "complaint 2026-000001" || !strings.HasPrefix(looks[0].By, "api:crm/") || looks[0].Role != "api" {
			b.t.Errorf("%+v", looks)
		}
	})
}

func TestCustomersAreRecordedTogetherOrNot(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		write := b.key("core", apikey.CustomersWrite, apikey.CustomersRead)
		in := func(phone string) map[string]any {
			return map[string]any{"customers": []any{
				map[string]any{"customer_ref": "C1", "name": "李雷", "phones": []string{"13800138000"}, "emails": []string{"li@example.com"}},
				map[string]any{"customer_ref": "C2", "name": "韩梅梅", "phones": []string{phone}}}}
		}
		b.refused(422, "bad_phone", write, "POST", "/api/v1/customers", in("none"))
		b.refused(404, "no_such_party", write, "GET", "/api/v1/customers?customer_ref=C1", nil)
		first := b.want(200, write, "POST", "/api/v1/customers", in("13900139000"), idempotencyHeader, "import-1")
		again := b.want(200, write, "POST", "/api/v1/customers", in("13900139000"), idempotencyHeader, "import-1")
		if first.raw != again.raw+"\n" && first.raw != again.raw || again.header.Get("Idempotency-Replayed") != "true" {
			b.t.Errorf("%q\n%q", first.raw, again.raw)
		}
		// Whole, or in the shape that pages mask it to; three digits alone stand in one of thirty sets of random ids.
		for _, sent := range []string{"李雷", "李*", "13800138000", "138****", "li@example.com", "example.com"} {
			if strings.Contains(first.raw, sent) {
				b.t.Errorf("%s, which was sent, is repeated: %s", sent, first.raw)
			}
		}
		var kept string
		check(b.t, b.d.Read(context.Background(), func(tx *db.Tx) error {
			return tx.QueryRow(context.Background(), "SELECT body FROM api_request").Scan(&kept)
		}))
		if strings.TrimSpace(first.raw) != kept {
			b.t.Errorf("kept %s", kept)
		}
		next := b.want(200, write, "POST", "/api/v1/customers", in("13900139000"))
		if next.str("customers.0.points.0.id") != first.str("customers.0.points.0.id") {
			b.t.Error("a contact point changed its id")
		}
		// Keyset paging: one at a time, every customer once.
		var got []string
		for path := "/api/v1/customers?limit=1"; ; {
			r := b.want(200, write, "GET", path, nil)
			got = append(got, r.str("items.0.customer_ref"))
			if r.str("next") == "" {
				break
			}
			path = "/api/v1/customers?limit=1&cursor=" + r.str("next")
		}
		if strings.Join(got, " ") != "C1 C2" {
			b.t.Error(got)
		}
		cursor := b.want(200, write, "GET", "/api/v1/customers?limit=1", nil).str("next")
		b.refused(422, "bad_cursor", b.scoped(apikey.CampaignsRead), "GET", "/api/v1/campaigns?cursor="+cursor, nil)
		b.refused(422, "bad_cursor", write, "GET", "/api/v1/customers?cursor=x", nil)
		b.refused(422, "invalid_request", write, "GET", "/api/v1/customers?limit=1000", nil)
	})
}

// 《个人信息保护法》第15条: a withdrawal is in force when the answer arrives.
func TestWithdrawalIsInForceAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		p := b.customer("C1", "+8613800138000")
		q := b.customer("C2", "+8613800138000")
		use, stop, read := b.scoped(apikey.GateUse), b.scoped(apikey.WithdrawalsMake), b.scoped(apikey.ConsentsRead)
		grant := map[string]any{"purposes": []string{"collection"}, "channels": []string{"voice"}, "how": "app", "max": 3, "days": 30,
			"hours": []any{map[string]any{"from": "09:00", "to": "18:30", "days": []string{"mon", "fri"}}}}
		g := b.want(201, b.scoped(apikey.ConsentsWrite), "POST", "/api/v1/customers/"+p.ID+"/consents", grant)
		st := b.want(200, read, "GET", "/api/v1/customers/"+p.ID+"/consents", nil)
		if st.str("grants.0.id") != g.str("id") || st.str("grants.0.hours.0.to") != "18:30" || st.str("grants.0.hours.0.days.1") != "fri" {
			b.t.Error(st.raw)
		}
		before := time.Now()
		in := overdue("+8613800138000")
		in["customer_ref"] = "C1"
		d := b.want(201, use, "POST", "/api/v1/gate/decisions", in)
		// An SMS gateway passes on 退订: everybody who has the number is meant.
		w := b.want(201, stop, "POST", "/api/v1/withdrawals", map[string]any{"to": "138-0013-8000", "source": "sms_reply"}, idempotencyHeader, "mo-1")
		if len(w.get("stops").([]any)) != 2 {
			b.t.Fatal(w.raw)
		}
		b.refused(409, "permit_not_live", use, "POST", "/api/v1/gate/permits/"+d.str("id")+"/spend", map[string]any{"meets": []string{"identity", "ring_min"}})
		for _, ref := range []string{"C1", "C2"} {
			in["customer_ref"] = ref
			if d := b.want(201, use, "POST", "/api/v1/gate/decisions", in); d.str("effect") != "deny" {
				b.t.Error(d.raw)
			}
		}
		// The repeated request makes no second stop.
		b.want(201, stop, "POST", "/api/v1/withdrawals", map[string]any{"to": "138-0013-8000", "source": "sms_reply"}, idempotencyHeader, "mo-1")
		st = b.want(200, read, "GET", "/api/v1/customers/"+q.ID+"/consents", nil)
		if len(st.get("stops").([]any)) != 1 || st.str("stops.0.source") != "sms_reply" {
			b.t.Error(st.raw)
		}
		old := b.want(200, read, "GET", "/api/v1/customers/"+p.ID+"/consents?as_of="+morning.Add(time.Since(before)-time.Hour).Format("2006-01-02T15:04:05Z"), nil)
		if len(old.get("stops").([]any)) != 0 {
			b.t.Error(old.raw)
		}
		b.want(200, b.scoped(apikey.ConsentsWrite), "POST", "/api/v1/customers/"+q.ID+"/withdrawals/"+st.str("stops.0.id")+"/lift", map[string]any{"reason": "he called"})
		b.refused(404, "no_such_stop", b.scoped(apikey.ConsentsWrite), "POST", "/api/v1/customers/"+q.ID+"/withdrawals/none/lift", map[string]any{"reason": "again"})
		b.refused(404, "no_such_customer", stop, "POST", "/api/v1/withdrawals", map[string]any{"to": "13900139000"})
		b.refused(404, "no_such_party", stop, "POST", "/api/v1/customers/none/withdrawals", map[string]any{})
		b.refused(404, "no_such_notice", b.scoped(apikey.ConsentsWrite), "POST", "/api/v1/customers/"+q.ID+"/consents", map[string]any{"notice": strings.Repeat("0", 64)})
	})
}

func TestCampaignsContactsComplaints(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		p := b.customer("C1", "+8613800138000")
		prompts, err := prompt.Open(prompt.DemoFS())
		check(b.t, err)
		scripts, err := campaign.DemoScripts(prompts.Has)
		check(b.t, err)
		write := b.scoped(apikey.CampaignsWrite)
		sc := b.want(201, write, "POST", "/api/v1/scripts", map[string]any{"name": "overdue", "yaml": string(scripts["overdue_reminder"].Raw())})
		terms := map[string]any{"name": "十一月提醒", "purpose": "collection", "caller_id": "95500", "script": sc.str("id"), "max_attempts": 3,
			"concurrency": 10, "cps": 2.5, "retry_after": map[string]string{"no_answer": "2h"}, "hours": []any{map[string]any{"from": "09:00", "to": "20:00"}}}
		c := b.want(201, write, "POST", "/api/v1/campaigns", terms)
		path := "/api/v1/campaigns/" + c.str("id")
		if r := b.want(200, write, "POST", path+"/members", map[string]any{"people": []any{map[string]any{"customer_ref": "C1", "to": "13800138000"}}}); r.get("members") != 1.0 {
			b.t.Error(r.raw)
		}
		read := b.scoped(apikey.CampaignsRead)
		got := b.want(200, read, "GET", path, nil)
		if got.str("state") != "draft" || got.str("terms.retry_after.no_answer") != "2h0m0s" || got.str("terms.hours.0.from") != "09:00" || got.get("members") != 1.0 {
			b.t.Error(got.raw)
		}
		if r := b.want(200, read, "GET", path+"/members", nil); r.str("items.0.customer") != p.ID || r.str("items.0.state") != "new" {
			b.t.Error(r.raw)
		}
		if r := b.want(200, read, "GET", path+"/progress", nil); r.get("total") != 1.0 {
			b.t.Error(r.raw)
		}
		if r := b.do(b.scoped(apikey.CampaignsRun), "POST", path+"/start", nil); r.status != 409 {
			b.t.Errorf("a draft was started: %s", r.raw)
		}
		terms["max_attempts"] = 2
		if r := b.want(200, write, "PUT", path, terms); r.get("terms.max_attempts") != 2.0 {
			b.t.Error(r.raw)
		}

		id := b.contact(p.ID)
		for _, q := range []string{"customer=" + p.ID, "point=" + p.Points[0].ID} {
			if r := b.want(200, b.scoped(apikey.ContactsRead), "GET", "/api/v1/contacts?"+q, nil); r.str("items.0.id") != id || r.str("items.0.via") != "dialer" {
				b.t.Error(r.raw)
			}
		}
		b.refused(422, "contacts_of_whom", b.scoped(apikey.ContactsRead), "GET", "/api/v1/contacts", nil)
		// Nobody said how it ended: unknown, counted in full, until somebody finds out.
		n, err := b.sender.GiveUp(context.Background(), 0)
		if err != nil || n != 1 {
			b.t.Fatal(n, err)
		}
		if r := b.want(200, b.scoped(apikey.ContactsRead), "GET", "/api/v1/contacts/"+id, nil); r.str("state") != "unknown" {
			b.t.Error(r.raw)
		}
		b.want(200, b.scoped(apikey.ContactsWrite), "POST", "/api/v1/contacts/"+id+"/reconcile", map[string]any{"outcome": "no_answer"})

		open := map[string]any{"customer": p.ID, "contact": id, "words": "不要再打了，我叫王小明"}
		k := b.want(201, b.scoped(apikey.ComplaintsWrite), "POST", "/api/v1/complaints", open)
		if k.str("contact") != id || k.str("due_at") == "" || strings.Contains(k.raw, "王小明") {
			b.t.Error(k.raw)
		}
		b.want(201, b.scoped(apikey.ComplaintsWrite), "POST", "/api/v1/complaints/"+k.str("id")+"/notes", map[string]any{"text": "called back"})
		l := b.want(200, b.scoped(apikey.ComplaintsRead), "GET", "/api/v1/complaints?state=open", nil)
		if l.str("items.0.number") != k.str("number") || strings.Contains(l.raw, "王小明") {
			b.t.Error(l.raw)
		}
		clear := b.key("crm", apikey.ComplaintsRead, apikey.PersonalRead)
		if r := b.want(200, clear, "GET", "/api/v1/complaints/"+k.str("id")+"?clear=true", nil, "X-Reason", "handling"); r.str("words") != open["words"] || r.str("deadlines.0.state") != "running" {
			b.t.Error(r.raw)
		}
	})
}

// contact begins a contact that another system makes.
func (b *bank) contact(party contact.ID) string {
	b.t.Helper()
	use := b.scoped(apikey.GateUse)
	in := overdue("+8613800138000")
	in["customer"] = party
	d := b.want(201, use, "POST", "/api/v1/gate/decisions", in)
	b.want(200, use, "POST", fmt.Sprintf("/api/v1/gate/permits/%s/spend", d.str("id")), map[string]any{"meets": []string{"identity", "ring_min"}})
	return d.str("id")
}

func TestSubscriptionsBelongToTheirSystem(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		crm, other := b.key("crm", apikey.WebhooksWrite, apikey.WebhooksRead), b.key("erp", apikey.WebhooksWrite, apikey.WebhooksRead)
		in := map[string]any{"name": "客户关系", "url": "https://crm.bank.example/hook", "types": []string{"consent.*", "case.*"}}
		w := b.want(201, crm, "POST", "/api/v1/webhooks", in, idempotencyHeader, "sub-1")
		if !strings.HasPrefix(w.str("secret"), "whsec_") {
			b.t.Error(w.raw)
		}
		again := b.want(201, crm, "POST", "/api/v1/webhooks", in, idempotencyHeader, "sub-1")
		if again.str("id") != w.str("id") || again.str("secret") != "" {
			b.t.Errorf("a secret is shown once: %s", again.raw)
		}
		path := "/api/v1/webhooks/" + w.str("id")
		b.refused(404, "no_such_webhook", other, "GET", path, nil)
		b.refused(404, "no_such_webhook", other, "POST", path+"/rotate", nil)
		b.refused(404, "no_such_webhook", other, "GET", path+"/deliveries", nil)
		if r := b.want(200, other, "GET", "/api/v1/webhooks", nil); len(r.get("items").([]any)) != 0 {
			b.t.Error(r.raw)
		}
		if r := b.want(200, crm, "POST", path+"/rotate", nil); r.str("secret") == w.str("secret") || r.str("secret") == "" {
			b.t.Error(r.raw)
		}
		b.want(200, crm, "POST", path+"/pause", nil)
		if r := b.want(200, crm, "GET", path, nil); r.str("state") != "paused" || r.str("secret") != "" {
			b.t.Error(r.raw)
		}
		in["records"] = true
		b.refused(403, "clear_data_forbidden", crm, "POST", "/api/v1/webhooks", in)
		in["url"] = "http://10.0.0.1/"
		in["records"] = false
		b.refused(422, "webhook_url", crm, "POST", "/api/v1/webhooks", in)
		b.want(200, crm, "DELETE", path, nil)
		b.refused(404, "no_such_webhook", crm, "GET", path, nil)
	})
}

// A restart of Parley is none of the gateway's business: its contact goes on,
// counts as the worst case meanwhile, and is settled afterwards.
func TestRelayedContactOutlivesARestart(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		p := b.customer("C1", "+8613800138000")
		id := b.contact(p.ID)
		b.restart()
		if _, err := b.sender.Recover(b.t.Context()); err != nil {
			b.t.Fatal(err)
		}
		use := b.scoped(apikey.GateUse)
		if r := b.want(200, b.scoped(apikey.ContactsRead), "GET", "/api/v1/contacts/"+id, nil); r.str("state") != "dialing" {
			b.t.Error(r.raw)
		}
		b.want(200, use, "POST", "/api/v1/gate/permits/"+id+"/settle", map[string]any{"outcome": "no_answer", "code": 480})
		if r := b.want(200, b.scoped(apikey.GateRead), "GET", "/api/v1/gate/decisions/"+id, nil); r.str("permit.state") != "settled" {
			b.t.Error(r.raw)
		}
	})
}

// restart makes gate and sender anew on the same data, as a new process would.
func (b *bank) restart() {
	b.t.Helper()
	prompts, err := prompt.Open(prompt.DemoFS())
	check(b.t, err)
	b.gate = gate.New(b.d, b.gate.Policy(), b.consent, gate.Options{})
	b.consent.SetVoider(b.gate)
	b.sender, err = outbound.New(b.d, b.gate, b.consent, b.parties, outbound.Options{Prompts: prompts, Spool: b.t.TempDir()})
	check(b.t, err)
	b.api.Gate, b.api.Sender = b.gate, b.sender
}
