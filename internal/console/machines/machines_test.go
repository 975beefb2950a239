package machines

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/access"
	"parley/internal/apikey"
	"parley/internal/approval"
	"parley/internal/approval/approvaltest"
	"parley/internal/console/frame/frametest"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/httpx/words"
	"parley/internal/ledger"
	"parley/internal/webhook"
)

func TestWords(t *testing.T) {
	t.Parallel()
	flaws, asked := book.Flaws(os.DirFS("."))
	for _, f := range flaws {
		t.Error(f)
	}
	if asked < 60 {
		t.Fatalf("only %d keys found: the pattern has gone stale", asked)
	}
	for _, s := range apikey.Scopes() {
		if !book.Has("scope." + string(s)) {
			t.Errorf("scope %s has no words", s)
		}
	}
	if got := say(words.With(context.Background(), words.En), "keys"); got != "API keys" {
		t.Error(got)
	}
}

type bank struct {
	*frametest.House
	t     *testing.T
	d     *db.DB
	log   *ledger.Log
	keys  *apikey.Store
	hooks *webhook.Sender
	four  *approval.Store
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func each(t *testing.T, fn func(b *bank)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		key, err := ledger.NewKey("bank.example/ledger")
		check(t, err)
		log, err := ledger.Open(ctx, d, ledger.Options{Key: key})
		check(t, err)
		hooks := webhook.NewStore(d, log, approvaltest.Keys(t))
		hooks.AllowHTTP = true
		staff := map[string][]access.Role{}
		for _, r := range []access.Role{access.Admin, access.Auditor, access.Handler} {
			staff[string(r)] = []access.Role{r}
		}
		b := &bank{House: frametest.New(t, d, staff), t: t, d: d, log: log, keys: apikey.NewStore(d), four: approvaltest.Open(t, d),
			hooks: webhook.NewSender(hooks, webhook.Options{Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Log: slog.New(slog.DiscardHandler)})}
		b.Lang = "en"
		b.four.Register(approval.Kind{Name: KeyKind, Permission: string(access.ApproveAPI),
			Apply: func(ctx context.Context, tx *db.Tx, r *approval.Request) (approval.Effect, error) {
				return approval.Effect{}, b.keys.ApproveIn(ctx, tx, r.Subject, r.DecidedBy)
			}})
		b.Serve(Routes(Deps{Frame: b.Frame, DB: d, Keys: b.keys, Hooks: b.hooks, Approvals: b.four, URL: "https://parley.bank.example"}))
		fn(b)
	})
}

func (b *bank) want(who access.Role, status int, path string, form url.Values, texts ...string) string {
	b.t.Helper()
	return b.Want(string(who), status, path, form, texts...)
}

var token = regexp.MustCompile(`parley_[a-z0-9]{8}_[A-Za-z0-9_-]{43}`)

func keyValues(scopes ...string) url.Values {
	return url.Values{"name": {"催收外呼平台"}, "client": {"city-dialer"}, "scopes": scopes, "days": {"90"}, "reason": {"new dialer"}}
}

// ASVS 5.0, 6.5.2: a key is shown once, to the one who made it.
func TestKeyIsShownOnce(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		b.want(access.Admin, 200, "/api-keys", nil, "There are no API keys yet")
		b.want(access.Handler, 403, "/api-keys", nil)
		b.want(access.Auditor, 403, "/api-keys/new", nil)
		b.want(access.Auditor, 403, "/api-keys", keyValues("gate:use"))
		b.want(access.Admin, 200, "/api-keys/new", nil, "gate:use", "personal:read", "◆")
		page := b.want(access.Admin, 201, "/api-keys", keyValues("gate:use", "gate:read"), "shown this once")
		k := token.FindString(page)
		got, err := b.keys.Check(context.Background(), k)
		if err != nil || got.Client != "city-dialer" || len(got.Scopes) != 2 {
			b.t.Fatalf("%+v %v", got, err)
		}
		secret := k[16:]
		for _, path := range []string{"/api-keys", "/api-keys/" + got.ID} {
			if p := b.want(access.Auditor, 200, path, nil, "city-dialer", got.Prefix, "Active"); strings.Contains(p, secret) {
				b.t.Error(path, "shows the secret")
			}
		}
		b.want(access.Auditor, 403, "/api-keys/"+got.ID+"/revoke", url.Values{})
		b.want(access.Admin, 303, "/api-keys/"+got.ID+"/revoke", url.Values{})
		b.want(access.Admin, 200, "/api-keys/"+got.ID, nil, "Revoked")
		if _, err := b.keys.Check(context.Background(), k); err == nil {
			b.t.Error("a revoked key works")
		}
		bad := keyValues("gate:use")
		bad.Set("client", "City Dialer")
		b.want(access.Admin, 422, "/api-keys", bad, "short name", "催收外呼平台")
	})
}

// A wide key waits for a second person, in the four-eyes room.
func TestWideKeyWaitsForASecondPerson(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		ctx := context.Background()
		k := token.FindString(b.want(access.Admin, 201, "/api-keys", keyValues("personal:read", "customers:read"), "second person"))
		if _, err := b.keys.Check(ctx, k); err == nil {
			b.t.Fatal("it works already")
		}
		list, err := b.keys.List(ctx, db.Span{N: 1})
		check(b.t, err)
		b.want(access.Admin, 200, "/api-keys/"+list[0].ID, nil, "Waits for approval", "/approvals/")
		asks, err := b.four.About(ctx, KeyKind, list[0].ID)
		if err != nil || len(asks) != 1 || !strings.Contains(asks[0].After, "personal:read ◆") || asks[0].Reason != "new dialer" {
			b.t.Fatalf("%+v %v", asks, err)
		}
		if _, err := b.four.ApproveNow(ctx, approval.Decision{ID: asks[0].ID, By: b.IDs[string(access.Admin)], Hash: asks[0].Hash}); err == nil {
			b.t.Error("approved by its maker")
		}
		_, err = b.four.ApproveNow(ctx, approval.Decision{ID: asks[0].ID, By: b.IDs[string(access.Auditor)], Hash: asks[0].Hash})
		check(b.t, err)
		if _, err := b.keys.Check(ctx, k); err != nil {
			b.t.Error(err)
		}
	})
}

func TestDeliveriesAreSeenAndSentAgain(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		var answer atomic.Int64
		answer.Store(http.StatusInternalServerError)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(int(answer.Load())) }))
		b.t.Cleanup(server.Close)
		b.want(access.Admin, 422, "/webhooks", url.Values{"name": {"n"}, "url": {"ftp://x"}, "types": {"*"}}, "https://")
		page := b.want(access.Admin, 201, "/webhooks", url.Values{"name": {"客户关系"}, "url": {server.URL}, "types": {"case.* consent.*"}}, "whsec_")
		path := regexp.MustCompile(`/webhooks/[0-9a-f-]{36}`).FindString(page)
		b.want(access.Handler, 403, path, nil)
		b.want(access.Auditor, 403, path+"/rotate", url.Values{})
		check(b.t, b.d.Write(context.Background(), func(tx *db.Tx) error {
			return ledger.Append(context.Background(), tx, ledger.Entry{Type: "case.opened", ID: contact.NewID(), Record: map[string]any{"by": "x"}})
		}))
		_, err := b.log.Seal(context.Background())
		check(b.t, err)
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- b.hooks.Run(ctx) }()
		b.until(path, "500", "case.opened", "Waiting")
		b.want(access.Admin, 200, path+"/test", url.Values{}, "did not arrive")
		answer.Store(http.StatusOK)
		b.want(access.Admin, 200, path+"/test", url.Values{}, "the answer was 200")
		leaf := regexp.MustCompile(`/deliveries/(\d+)/resend`).FindStringSubmatch(b.want(access.Admin, 200, path, nil))[1]
		b.want(access.Admin, 303, path+"/deliveries/"+leaf+"/resend", url.Values{})
		b.until(path, "Delivered")
		b.want(access.Admin, 303, path+"/pause", url.Values{})
		b.want(access.Admin, 200, path, nil, "Paused")
		b.want(access.Admin, 303, path+"/resume", url.Values{})
		b.want(access.Admin, 422, path+"/replay", url.Values{"from": {"soon"}})
		b.want(access.Admin, 303, path+"/replay", url.Values{"from": {"2020-01-01T00:00"}})
		b.want(access.Admin, 201, path+"/rotate", url.Values{}, "whsec_")
		b.want(access.Admin, 303, path+"/delete", url.Values{})
		b.want(access.Admin, 404, path, nil)
		stop()
		if err := <-done; err != nil {
			b.t.Error(err)
		}
	})
}

// until asks for a page until it says all texts.
func (b *bank) until(path string, texts ...string) {
	b.t.Helper()
	ctx, end := context.WithTimeout(context.Background(), 2*time.Minute)
	defer end()
	for {
		page := b.want(access.Admin, 200, path, nil)
		all := true
		for _, s := range texts {
			all = all && strings.Contains(page, s)
		}
		if all {
			return
		}
		if ctx.Err() != nil {
			b.t.Fatalf("%s never says %v:\n%s", path, texts, page)
		}
		b.hooks.Wake()
	}
}
