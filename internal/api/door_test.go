package api

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"parley/internal/apikey"
	"parley/internal/db"
)

// operations gives every operation of the document.
func (b *bank) operations() []*huma.Operation {
	var out []*huma.Operation
	for _, p := range b.api.OpenAPI().Paths {
		for _, o := range []*huma.Operation{p.Get, p.Post, p.Put, p.Patch, p.Delete} {
			if o != nil {
				out = append(out, o)
			}
		}
	}
	return out
}

// Every operation × every scope (ASVS 5.0, 8.3.1: authorisation is enforced
// everywhere, and what nobody allowed is denied).
func TestEveryOperationNeedsItsScope(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		ops := b.operations()
		if len(ops) < 7 {
			b.t.Fatalf("%d operations", len(ops))
		}
		for _, o := range ops {
			need := apikey.Scope(o.Security[0][security][0])
			if !slices.Contains(apikey.Scopes(), need) {
				b.t.Errorf("%s needs the scope %q, which does not exist", o.OperationID, need)
			}
			path := strings.NewReplacer("{id}", "none", "{stop}", "none", "{leaf}", "1").Replace(o.Path)
			for _, s := range apikey.Scopes() {
				r := b.do(b.scoped(s), o.Method, path, "{}")
				if denied := r.status == 403 && r.str("code") == "scope_missing"; denied == (s == need) {
					b.t.Errorf("%s %s with %s: %d %s", o.Method, o.Path, s, r.status, r.raw)
				}
			}
			b.refused(401, "key_missing", "", o.Method, path, "{}")
			r := b.refused(401, "key_invalid", "parley_aaaaaaaa_"+strings.Repeat("x", 43), o.Method, path, "{}")
			if r.header.Get("WWW-Authenticate") == "" {
				b.t.Error("401 without WWW-Authenticate (RFC 9110, 11.6.1)")
			}
		}
	})
}

// draft-ietf-httpapi-idempotency-key-header: the same key and body give the
// same answer, also at the same moment; another body is refused.
func TestSameKeySameAnswer(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		b.customer("C1", "+8613800138000")
		use := b.scoped(apikey.GateUse)
		b.api.requests.wait = 5 * time.Minute // a machine that stands still for seconds is not what is tried here
		var mu sync.Mutex
		ids, replays := map[string]int{}, 0
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				r := b.do(use, "POST", "/api/v1/gate/decisions", overdue("+8613800138000"), idempotencyHeader, "call-1")
				mu.Lock()
				defer mu.Unlock()
				ids[fmt.Sprint(r.status, r.str("id"))]++
				if r.header.Get("Idempotency-Replayed") == "true" {
					replays++
				}
			})
		}
		wg.Wait()
		if len(ids) != 1 || replays != 15 {
			b.t.Fatalf("one request repeated 15 times gave %v, %d of them replayed", ids, replays)
		}
		other := overdue("+8613800138000")
		other["event"] = "another"
		b.refused(422, "idempotency_key_reused", use, "POST", "/api/v1/gate/decisions", other, idempotencyHeader, "call-1")
		b.refused(422, "idempotency_key_invalid", use, "POST", "/api/v1/gate/decisions", other, idempotencyHeader, strings.Repeat("x", 129))
		// Another system's key of the same name is another request.
		d := b.want(201, b.key("other", apikey.GateUse), "POST", "/api/v1/gate/decisions", overdue("+8613800138000"), idempotencyHeader, "call-1")
		if ids["201"+d.str("id")] != 0 || d.header.Get("Idempotency-Replayed") != "" {
			b.t.Error("one system's answer was given to another")
		}
		// A refusal is an answer too.
		missing := overdue("+8613900139000")
		b.refused(404, "no_such_customer", use, "POST", "/api/v1/gate/decisions", missing, idempotencyHeader, "call-2")
		b.customer("C2", "+8613900139000")
		b.refused(404, "no_such_customer", use, "POST", "/api/v1/gate/decisions", missing, idempotencyHeader, "call-2")
		// A day later the key is free.
		b.age(25 * time.Hour)
		b.want(201, use, "POST", "/api/v1/gate/decisions", missing, idempotencyHeader, "call-2")
		if n, err := b.api.requests.purge(b.t.Context()); err != nil || n != 2 {
			b.t.Errorf("%d requests were forgotten, %v", n, err)
		}
	})
}

// A process that died with a request leaves it to be made again; one that is
// still at work when its lease ended loses it, and keeps nothing.
func TestCrashedRequestMayBeMadeAgain(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		ctx := b.t.Context()
		q := b.api.requests
		first, err := q.begin(ctx, "k", "n", []byte("d"))
		check(b.t, err)
		b.age(2 * lease)
		second, err := q.begin(ctx, "k", "n", []byte("d"))
		check(b.t, err)
		if second.done.status != 0 {
			b.t.Fatal("an answer nobody gave")
		}
		err = b.d.Write(ctx, func(tx *db.Tx) error { return first.keep(ctx, tx, answer{status: 200, body: []byte("late")}) })
		if err == nil {
			b.t.Error("the one that lost the request kept its answer")
		}
		check(b.t, b.d.Write(ctx, func(tx *db.Tx) error { return second.keep(ctx, tx, answer{status: 200, body: []byte("right")}) }))
		third, err := q.begin(ctx, "k", "n", []byte("d"))
		if err != nil || string(third.done.body) != "right" {
			b.t.Errorf("%s, %v", third.done.body, err)
		}
	})
}

// age makes every request older.
func (b *bank) age(d time.Duration) {
	b.t.Helper()
	check(b.t, b.d.Write(b.t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(b.t.Context(), "UPDATE api_request SET claimed = claimed - $1", d.Microseconds())
		return err
	}))
}

// ASVS 5.0, 4.1.x and 6.3: limits say what they are (draft-ietf-httpapi-ratelimit-headers).
func TestRateAndSizeAreLimited(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		b.api.Rate = 5
		use := b.key("slow", apikey.GateUse, apikey.GateRead)
		now := time.Now()
		b.api.Clock = func() time.Time { return now }
		for i := range 5 {
			r := b.do(use, "GET", "/api/v1/gate/decisions/none", nil)
			if r.status != 404 || r.header.Get("RateLimit-Policy") != `"key";q=5;w=1` || r.header.Get("RateLimit") != fmt.Sprintf(`"key";r=%d;t=1`, 4-i) {
				b.t.Fatal(r.status, r.header)
			}
		}
		if r := b.refused(429, "rate_limited", use, "GET", "/api/v1/gate/decisions/none", nil); r.header.Get("Retry-After") != "1" {
			b.t.Error(r.header)
		}
		now = now.Add(time.Second)
		b.refused(404, "no_such_decision", use, "GET", "/api/v1/gate/decisions/none", nil)
		big := `{"to":"` + strings.Repeat("1", 1<<20) + `"}`
		b.refused(413, "request_too_large", use, "POST", "/api/v1/gate/decisions", big)
		b.refused(413, "request_too_large", use, "POST", "/api/v1/gate/decisions", big, idempotencyHeader, "big")
	})
}

func TestUnknownAddressesAreProblems(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		use := b.scoped(apikey.GateUse)
		b.refused(404, "no_such_resource", use, "GET", "/api/v1/nothing", nil)
		b.refused(404, "no_such_resource", "", "GET", "/api/nothing", nil)
		if r := b.refused(405, "method_not_allowed", use, "DELETE", "/api/v1/gate/decisions", nil); r.header.Get("Allow") != "POST" {
			b.t.Error(r.header)
		}
		b.refused(422, "invalid_request", b.scoped(apikey.GateRead), "GET", "/api/v1/gate/decisions/x?nonsense=1", nil)
		r := b.do(use, "GET", "/api/v1/nothing", nil, "Accept-Language", "zh-CN")
		if !strings.Contains(r.str("detail"), "没有") {
			b.t.Error(r.raw)
		}
	})
}

func TestDocumentIsOpenAPI31(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		r := b.want(200, "", "GET", "/api/openapi.json", nil)
		if r.str("openapi") != "3.1.0" || r.str("components.securitySchemes.key.scheme") != "bearer" {
			b.t.Error(r.raw[:200])
		}
		y := b.want(200, "", "GET", "/api/openapi.yaml", nil)
		if !strings.Contains(y.raw, "openapi: 3.1.0") || !strings.Contains(y.raw, base+"/gate/decisions") {
			b.t.Error(y.raw[:200])
		}
		for _, o := range b.operations() {
			if o.Summary == "" || len(o.Tags) != 1 || o.Responses["401"] == nil || o.Method != http.MethodGet && o.Responses["409"] == nil {
				b.t.Errorf("%s is not described", o.OperationID)
			}
		}
	})
}

// The documentation is a page of our own: strict CSP, no script, nothing from
// elsewhere, in both languages.
func TestDocumentationPage(t *testing.T) {
	t.Parallel()
	flaws, asked := book.Flaws(os.DirFS("."))
	for _, f := range flaws {
		t.Error(f)
	}
	if asked < 15 {
		t.Fatalf("only %d keys found: the pattern has gone stale", asked)
	}
	each(t, func(b *bank) {
		for lang, word := range map[string]string{"en": "Reserve one contact", "zh": "申请一次联系许可"} {
			r := b.want(200, "", "GET", "/api/docs", nil, "Accept-Language", lang)
			for _, s := range []string{word, "gate:use", "/api/v1/gate/permits/{id}/spend", "answered_at", "required", "openapi.yaml", "$PARLEY_KEY"} {
				if s != "required" && !strings.Contains(r.raw, s) {
					b.t.Errorf("%s: no %q", lang, s)
				}
			}
			if strings.Contains(r.raw, `src="http`) || strings.Contains(r.raw, `href="http`) || strings.Contains(r.raw, " style=") || !strings.Contains(r.header.Get("Content-Security-Policy"), "default-src 'self'") {
				b.t.Error("the page needs something from elsewhere")
			}
			if n := strings.Count(r.raw, "<details class=\"fold\""); n != len(b.operations()) {
				b.t.Errorf("%d of %d operations are described", n, len(b.operations()))
			}
		}
	})
}
