package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/internal/apikey"
	"parley/internal/approval"
	"parley/internal/approval/approvaltest"
	"parley/internal/blob"
	"parley/internal/campaign"
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
	"parley/internal/prompt"
	"parley/internal/remedy"
	"parley/internal/webhook"
)

// Rules of the tests' own, so that these tests do not move with the law.
const testPack = `
pack: t
version: "1"
jurisdiction: CN
zone: Asia/Shanghai
title: {zh: 测试, en: test}
valid: {from: 2020-01-01}
rules:
  - id: T-DNC
    title: {zh: 停止联系, en: stops}
    citation: {instrument: 测试法, article: 第 1 条}
    force: bank_default
    confidence: none
    customer: {zh: 测试, en: test}
    do_not_contact: {kinds: [withdrawal, refusal, do_not_contact, hold], across: channel}
  - id: T-DAY
    title: {zh: 每日三次, en: three a day}
    citation: {instrument: 测试法, article: 第 2 条}
    force: bank_default
    confidence: none
    customer: {zh: 测试, en: test}
    scope: purpose == "collection"
    frequency: {max: 3, unit: attempts, per: person, window: local_day}
  - id: T-SAY
    title: {zh: 表明身份, en: identity}
    citation: {instrument: 测试法, article: 第 3 条}
    force: bank_default
    confidence: none
    customer: {zh: 测试, en: test}
    scope: channel == "voice"
    obligations: [{kind: identity}, {kind: ring_min, value: 15s}]
`

// morning is Monday 10:00 in Shanghai.
var morning = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

func bankClock() func() time.Time {
	start := time.Now()
	return func() time.Time { return morning.Add(time.Since(start)) }
}

type bank struct {
	t       testing.TB
	d       *db.DB
	keys    *apikey.Store
	parties *party.Store
	consent *consent.Store
	gate    *gate.Gate
	camps   *campaign.Store
	sender  *outbound.Sender
	desk    *complaint.Desk
	looks   *disclosure.Store
	api     *API
	hooks   *webhook.Sender
	handler http.Handler
	token   map[apikey.Scope]string
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newBank(t testing.TB, d *db.DB) *bank {
	t.Helper()
	ring, err := party.OpenKeyring(filepath.Join(t.TempDir(), "keys"), true)
	check(t, err)
	pack, err := policy.Parse("t.yaml", []byte(testPack))
	check(t, err)
	set, err := policy.Compose(pack)
	check(t, err)
	prompts, err := prompt.Open(prompt.DemoFS())
	check(t, err)
	b := &bank{t: t, d: d, keys: apikey.NewStore(d), parties: party.NewStore(d, ring), consent: consent.NewStore(d, nil),
		camps: campaign.NewStore(d, approval.New(d, nil, ring)), token: map[apikey.Scope]string{}}
	b.gate = gate.New(d, set, b.consent, gate.Options{})
	b.consent.SetVoider(b.gate)
	blobs, err := blob.Open(t.TempDir(), ring)
	check(t, err)
	b.sender, err = outbound.New(d, b.gate, b.consent, b.parties, outbound.Options{Blobs: blobs, Prompts: prompts, Spool: t.TempDir()})
	check(t, err)
	zone := time.FixedZone("CST", 8*3600)
	approvals := approvaltest.Open(t, d)
	b.desk = complaint.New(d, approvals, ring, b.consent, causes{b}, remedy.New(d, b.consent), complaint.Options{BankZh: "守约银行", BankEn: "Parley Bank", Hotline: "95500", Zone: zone})
	approvals.Register(b.desk.Approvals("approve_complaint")...)
	lkey, err := ledger.NewKey("bank.example/ledger")
	check(t, err)
	log, err := ledger.Open(context.Background(), d, ledger.Options{Key: lkey})
	check(t, err)
	b.hooks = webhook.NewSender(webhook.NewStore(d, log, ring), webhook.Options{Log: slog.New(slog.DiscardHandler)})
	b.looks = disclosure.New(d, ring)
	house := &httpx.House{Clock: d.Now, Log: slog.New(slog.DiscardHandler)}
	b.api = New(Deps{House: house, DB: d, Keys: b.keys, Parties: b.parties, Consents: b.consent, Gate: b.gate, Campaigns: b.camps,
		Sender: b.sender, Complaints: b.desk, Disclosures: b.looks, Webhooks: b.hooks, Rate: 10_000, Log: slog.New(slog.DiscardHandler)})
	b.handler = house.Wrap(b.api)
	return b
}

// causes joins contacts to complaints as the composition root does.
type causes struct{ b *bank }

func (c causes) Cause(ctx context.Context, tx *db.Tx, id contact.ID) (complaint.Cause, error) {
	at, err := c.b.sender.Attempt(ctx, tx, id)
	if err != nil {
		return complaint.Cause{}, err
	}
	return complaint.Cause{Attempt: at.ID, At: at.StartedAt, Channel: at.Channel, Purpose: at.Purpose, Outcome: at.Outcome}, nil
}

func (c causes) Latest(ctx context.Context, tx *db.Tx, p contact.ID, since time.Time, n int) ([]complaint.Cause, error) {
	ats, err := c.b.sender.AttemptsByParty(ctx, tx, p, "", n)
	var out []complaint.Cause
	for _, at := range ats {
		cause, err := c.Cause(ctx, tx, at.ID)
		if err != nil {
			return nil, err
		}
		out = append(out, cause)
	}
	return out, err
}

// key makes a working key with exactly the scopes.
func (b *bank) key(client string, scopes ...apikey.Scope) string {
	b.t.Helper()
	ctx := context.Background()
	k, token, err := b.keys.Create(ctx, apikey.Key{Name: "测试", Client: client, Scopes: scopes, Expires: b.d.Now().Add(time.Hour)}, "admin")
	check(b.t, err)
	if k.Wide() {
		check(b.t, b.d.Write(ctx, func(tx *db.Tx) error { return b.keys.ApproveIn(ctx, tx, k.ID, "other") }))
	}
	return token
}

// scoped gives a key with one scope, made once.
func (b *bank) scoped(s apikey.Scope) string {
	if b.token[s] == "" {
		b.token[s] = b.key("dialer", s)
	}
	return b.token[s]
}

func (b *bank) customer(ref, number string) *party.Party {
	b.t.Helper()
	p := &party.Party{Ref: ref, Name: "王小明", IDNumber: "110101199003077777", Lang: "zh-CN", Points: []party.Point{{Kind: party.Phone, Value: number}}}
	check(b.t, b.d.Write(context.Background(), func(tx *db.Tx) error {
		return b.parties.Put(context.Background(), tx, []*party.Party{p})
	}))
	return p
}

type reply struct {
	status int
	header http.Header
	raw    string
	body   map[string]any
}

func (r reply) get(path string) any {
	var v any = r.body
	for k := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[k]
		case []any:
			i := int(k[0] - '0')
			if i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

func (r reply) str(path string) string { s, _ := r.get(path).(string); return s }

func (b *bank) do(token, method, path string, body any, headers ...string) reply {
	var in io.Reader
	switch x := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(x)
	default:
		raw, err := json.Marshal(x)
		check(b.t, err)
		in = bytes.NewReader(raw)
	}
	r := httptest.NewRequest(method, path, in)
	r.Header.Set("Accept-Language", "en")
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	out := reply{status: w.Code, header: w.Header(), raw: w.Body.String()}
	if strings.Contains(w.Header().Get("Content-Type"), "json") {
		if err := json.Unmarshal(w.Body.Bytes(), &out.body); err != nil {
			b.t.Errorf("%s %s: %v in %s", method, path, err, w.Body)
		}
	}
	return out
}

func (b *bank) want(status int, token, method, path string, body any, headers ...string) reply {
	b.t.Helper()
	r := b.do(token, method, path, body, headers...)
	if r.status != status {
		b.t.Fatalf("%s %s: %d, want %d\n%s", method, path, r.status, status, r.raw)
	}
	return r
}

// refused asserts a problem with its code.
func (b *bank) refused(status int, code, token, method, path string, body any, headers ...string) reply {
	b.t.Helper()
	r := b.want(status, token, method, path, body, headers...)
	if r.header.Get("Content-Type") != "application/problem+json" || r.str("code") != code || r.str("type") != "urn:parley:problem:"+code ||
		r.str("detail") == "" || r.get("status") != float64(status) || r.str("instance") == "" {
		b.t.Fatalf("%s %s: want the problem %s\n%s %s", method, path, code, r.header.Get("Content-Type"), r.raw)
	}
	return r
}

func each(t *testing.T, fn func(b *bank)) {
	t.Helper()
	dbtest.EachClock(t, bankClock(), func(t *testing.T, d *db.DB) { fn(newBank(t, d)) })
}

func overdue(to string) map[string]any {
	return map[string]any{"to": to, "channel": "voice", "purpose": "collection", "discloses": []string{"identity"}}
}

// The circle of one contact that another system makes (issue 3, section 4.2):
// the verdict with every rule and citation, obligations, spend, settle.
func TestGateAsAService(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		p := b.customer("C1", "+8613800138000")
		use := b.scoped(apikey.GateUse)
		d := b.want(201, use, "POST", "/api/v1/gate/decisions", overdue("138 0013 8000"))
		id := d.str("permit.id")
		if d.str("effect") != "allow" || id == "" || id != d.str("id") || d.str("customer") != p.ID || d.str("permit.obligations.1.value") != "15s" {
			t := b.t
			t.Fatal(d.raw)
		}
		rules := d.get("rules").([]any)
		if len(rules) != 3 || d.str("rules.0.citation") == "" || d.str("rules.0.text") == "" {
			b.t.Errorf("want every rule with its citation: %s", d.raw)
		}
		if s := d.str("rules.0.citation"); !strings.Contains(s, "测试法") {
			b.t.Error(s)
		}
		b.refused(403, "permit_of_another", b.key("other", apikey.GateUse), "POST", "/api/v1/gate/permits/"+id+"/spend", map[string]any{"meets": []string{}})
		at := b.want(200, use, "POST", "/api/v1/gate/permits/"+id+"/spend", map[string]any{"meets": []string{"identity", "ring_min"}})
		if at.str("customer") != p.ID || at.str("point") != p.Points[0].ID {
			b.t.Error(at.raw)
		}
		b.refused(409, "permit_not_live", use, "POST", "/api/v1/gate/permits/"+id+"/spend", map[string]any{"meets": []string{"identity", "ring_min"}})
		settle := map[string]any{"outcome": "effective", "code": 200, "talk_ms": 42000, "answered_at": morning.Format(time.RFC3339)}
		for range 2 {
			if r := b.want(200, use, "POST", "/api/v1/gate/permits/"+id+"/settle", settle); r.str("state") != "ended" {
				b.t.Error(r.raw)
			}
		}
		b.refused(409, "attempt_settled", use, "POST", "/api/v1/gate/permits/"+id+"/settle", map[string]any{"outcome": "not_sent"})
		got := b.want(200, b.scoped(apikey.GateRead), "GET", "/api/v1/gate/decisions/"+id, nil)
		if got.str("permit.state") != "settled" || len(got.get("rules").([]any)) != 3 {
			b.t.Error(got.raw)
		}
	})
}

func TestRefusalsOfTheGateNameTheRule(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		p := b.customer("C1", "+8613800138000")
		use := b.scoped(apikey.GateUse)
		// An obligation nobody undertakes: no contact, and the budget is free again.
		for range 5 {
			d := b.want(201, use, "POST", "/api/v1/gate/decisions", overdue("+8613800138000"))
			b.refused(409, "obligation_unmet", use, "POST", "/api/v1/gate/permits/"+d.str("id")+"/spend", map[string]any{"meets": []string{"identity"}})
		}
		// Given back: free again, and not to be spent.
		d := b.want(201, use, "POST", "/api/v1/gate/decisions", overdue("+8613800138000"))
		b.want(200, use, "POST", "/api/v1/gate/permits/"+d.str("id")+"/void", nil)
		b.refused(409, "permit_not_live", use, "POST", "/api/v1/gate/permits/"+d.str("id")+"/spend", map[string]any{"meets": []string{"identity", "ring_min"}})
		// A batch sees its own reservations: three a day, then later.
		in := map[string]any{"intents": []any{overdue("+8613800138000"), overdue("+8613800138000"), overdue("+8613800138000"), overdue("+8613800138000")}}
		r := b.want(201, use, "POST", "/api/v1/gate/batch", in)
		if r.str("decisions.2.effect") != "allow" || r.str("decisions.3.effect") != "later" || r.str("decisions.3.by") != "T-DAY" ||
			r.str("decisions.3.not_before") != "2026-11-23T16:00:00Z" || r.get("decisions.3.permit") != nil {
			b.t.Errorf("%s", r.raw)
		}
		// Withdrawn between reserve and spend.
		b.stop(p.ID)
		live := r.str("decisions.0.id")
		b.refused(409, "permit_not_live", use, "POST", "/api/v1/gate/permits/"+live+"/spend", map[string]any{"meets": []string{"identity", "ring_min"}})
		d = b.want(201, use, "POST", "/api/v1/gate/decisions", overdue("+8613800138000"))
		if d.str("effect") != "deny" || d.str("by") != "T-DNC" || d.get("rules.0.decides") != true {
			b.t.Error(d.raw)
		}
	})
}

func (b *bank) stop(p contact.ID) {
	b.t.Helper()
	check(b.t, b.d.Write(context.Background(), func(tx *db.Tx) error {
		_, err := b.consent.Stop(context.Background(), tx, p, contact.Stop{Kind: contact.Withdrawal}, "test")
		return err
	}))
}

func TestIntentsNameOnePersonAndPlace(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		one, two := b.customer("C1", "+8613800138000"), b.customer("C2", "+8613800138000")
		use := b.scoped(apikey.GateUse)
		post := func(status int, code string, change func(map[string]any)) {
			b.t.Helper()
			in := overdue("+8613800138000")
			change(in)
			if code == "" {
				b.want(status, use, "POST", "/api/v1/gate/decisions", in)
				return
			}
			b.refused(status, code, use, "POST", "/api/v1/gate/decisions", in)
		}
		post(409, "customer_ambiguous", func(map[string]any) {})
		post(201, "", func(in map[string]any) { in["customer_ref"] = "C2" })
		post(404, "no_such_customer", func(in map[string]any) { in["customer_ref"] = "C3" })
		post(404, "no_such_customer", func(in map[string]any) { in["to"] = "+8613900139000" })
		post(422, "bad_phone", func(in map[string]any) { in["to"] = "手机" })
		post(422, "customer_missing", func(in map[string]any) { delete(in, "to") })
		post(422, "point_missing", func(in map[string]any) { delete(in, "to"); in["customer"] = one.ID })
		// Another customer's point would pass a stop for one number.
		post(404, "no_such_customer", func(in map[string]any) {
			delete(in, "to")
			in["customer"], in["point"] = one.ID, two.Points[0].ID
		})
		r := b.refused(422, "invalid_request", use, "POST", "/api/v1/gate/decisions", map[string]any{"to": "13800138000", "channel": "fax"})
		if !strings.Contains(r.raw, "body.channel") || strings.Contains(r.raw, "13800138000") {
			b.t.Errorf("a fault names the field and does not repeat what was sent: %s", r.raw)
		}
		b.refused(400, "malformed_request", use, "POST", "/api/v1/gate/decisions", "{")
	})
}
