// Package api is Parley's face for other systems: the gate as a service for
// dialers and gateways that Parley does not run, and the bank's customers,
// consents, campaigns, contacts and complaints, read and written over HTTP. The
// OpenAPI 3.1 document is made from this code.
package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"parley/internal/apikey"
	"parley/internal/campaign"
	"parley/internal/complaint"
	"parley/internal/consent"
	"parley/internal/db"
	"parley/internal/disclosure"
	"parley/internal/gate"
	"parley/internal/httpx"
	"parley/internal/outbound"
	"parley/internal/party"
	"parley/internal/webhook"
)

// Deps are the rooms behind the API.
type Deps struct {
	House       *httpx.House
	DB          *db.DB
	Keys        *apikey.Store
	Parties     *party.Store
	Consents    *consent.Store
	Gate        *gate.Gate
	Campaigns   *campaign.Store
	Sender      *outbound.Sender
	Complaints  *complaint.Desk
	Disclosures *disclosure.Store // who read personal data in clear
	Webhooks    *webhook.Sender
	Prompt      func(key string) bool                              // whether a prompt can be played; nil = not checked
	Rate        int                                                // requests per second of a key that sets none; 0 = 100
	MaxBody     int64                                              // bytes of a request; 0 = 1 MiB
	Served      func(route string, status int, took time.Duration) // told of every request; nil = nobody
	Clock       func() time.Time                                   // measures time that passes, not the bank's; nil = the machine's
	Log         *slog.Logger
}

// API serves /api/.
type API struct {
	Deps
	requests *requests
	lookups  db.Group[*lookup]
	limits   limits
	huma     huma.API
	order    []*huma.Operation // as they were registered
	ops      *http.ServeMux
	mux      *http.ServeMux
}

// Version is the version of the interface. Within v1 fields are added, never
// removed or given another meaning.
const Version = "1.0.0"

const base = "/api/v1"

// errorsOnce: the framework has one error constructor for the whole program.
var errorsOnce sync.Once

// New makes the API. Wrap it with House.Wrap.
func New(d Deps) *API {
	if d.Rate == 0 {
		d.Rate = 100
	}
	if d.MaxBody == 0 {
		d.MaxBody = 1 << 20
	}
	if d.Clock == nil {
		d.Clock = time.Now
	}
	if d.Log == nil {
		d.Log = slog.Default()
	}
	errorsOnce.Do(func() {
		huma.NewErrorWithContext = fromHuma
		huma.NewError = func(status int, msg string, faults ...error) huma.StatusError {
			return fromHuma(nil, status, msg, faults...)
		}
	})
	a := &API{Deps: d, requests: newRequests(d.DB), ops: http.NewServeMux(), mux: http.NewServeMux()}
	a.lookups.Do = a.lookUp
	a.huma = humago.New(a.ops, a.config())
	a.huma.UseMiddleware(a.scope)
	a.routes()
	a.mux.Handle("GET /api/docs", a.House.Handle(a.docs))
	a.mux.HandleFunc("GET /api/openapi.json", a.document((*huma.OpenAPI).MarshalJSON, "application/openapi+json"))
	a.mux.HandleFunc("GET /api/openapi.yaml", a.document((*huma.OpenAPI).YAML, "application/openapi+yaml"))
	a.mux.Handle(base+"/", a.enter(a.ops))
	a.mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) { a.refuse(w, r, errRoute) })
	return a
}

// ServeHTTP serves a request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// Run forgets old requests until ctx ends.
func (a *API) Run(ctx context.Context) error {
	t := time.NewTicker(10 * time.Minute)
	defer t.Stop()
	for {
		if _, err := a.requests.purge(ctx); err != nil && ctx.Err() == nil {
			a.Log.Error("forgetting old requests", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// security is how an operation is called in the document.
const security = "key"

func (a *API) config() huma.Config {
	c := huma.DefaultConfig("Parley API", Version)
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", "" // served by ourselves: nothing comes from elsewhere
	c.CreateHooks = nil                                   // no $schema in answers
	c.RejectUnknownQueryParameters = true
	c.Info.Description = "Ask Parley's gate before every contact, and keep it told. Every refusal is application/problem+json with a stable code. " +
		"Requests that change something may carry an Idempotency-Key; lists are paged by cursor; times are RFC 3339."
	c.Servers = []*huma.Server{{URL: "/"}}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{security: {Type: "http", Scheme: "bearer",
		Description: "An API key, made by an administrator at /api-keys. The scopes an operation needs stand with it."}}
	c.Tags = []*huma.Tag{
		{Name: "gate", Description: "Reserve, spend, settle and void permits. No permit, no contact."},
		{Name: "customers"}, {Name: "consents", Description: "What customers agreed to, and their withdrawals: in force when the answer arrives."},
		{Name: "campaigns"}, {Name: "contacts"}, {Name: "complaints"},
		{Name: "webhooks", Description: "Being told what happens, as Standard Webhooks: signed, in order, retried for days."},
	}
	return c
}

func (a *API) document(write func(*huma.OpenAPI) ([]byte, error), kind string) http.HandlerFunc {
	doc := sync.OnceValues(func() ([]byte, error) { return write(a.huma.OpenAPI()) })
	return func(w http.ResponseWriter, r *http.Request) {
		b, err := doc()
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(b) // the reader has gone: nobody to tell
	}
}

// OpenAPI gives the document.
func (a *API) OpenAPI() *huma.OpenAPI { return a.huma.OpenAPI() }

// Answer is the body an operation answers with.
type Answer[T any] struct {
	Body T
}

// needs is where an operation's scope stands in its metadata.
const needs = "scope"

// op describes one operation.
type op struct {
	method, path string
	id, tag      string
	scope        apikey.Scope
	sum, doc     string
	status       int // 0 = 200
}

// add registers an operation. Its errors become problems.
func add[I, O any](a *API, o op, fn func(ctx context.Context, in *I) (O, error)) {
	if o.status == 0 {
		o.status = http.StatusOK
	}
	spec := huma.Operation{Method: o.method, Path: base + o.path, OperationID: o.id, Tags: []string{o.tag}, Summary: o.sum,
		Description: o.doc, DefaultStatus: o.status, MaxBodyBytes: a.MaxBody, Metadata: map[string]any{needs: o.scope},
		Security: []map[string][]string{{security: {string(o.scope)}}}, Extensions: map[string]any{"x-scope": string(o.scope)},
		Errors: []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests}}
	if o.method != http.MethodGet {
		spec.Errors = append(spec.Errors, http.StatusConflict)
		spec.Parameters = []*huma.Param{{Name: idempotencyHeader, In: "header", Schema: &huma.Schema{Type: huma.TypeString},
			Description: "Makes the request safe to repeat for 24 hours: the same key and body give the same answer."}}
	}
	huma.Register(a.huma, spec, func(ctx context.Context, in *I) (*Answer[O], error) {
		out, err := fn(ctx, in)
		if err != nil {
			p := problem(ctx, err)
			a.logRefusal(ctx, p, err)
			return nil, p
		}
		return &Answer[O]{Body: out}, nil
	})
	item := a.huma.OpenAPI().Paths[spec.Path]
	a.order = append(a.order, map[string]*huma.Operation{http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put,
		http.MethodPatch: item.Patch, http.MethodDelete: item.Delete}[o.method])
}

// change runs fn in one transaction and keeps its answer with it, so that a
// repeated request finds either both or nothing.
func change[O any](ctx context.Context, a *API, status int, fn func(tx *db.Tx) (O, error)) (out O, err error) {
	c := claimOf(ctx)
	err = a.DB.Write(ctx, func(tx *db.Tx) error {
		if out, err = fn(tx); err != nil || c == nil {
			return err
		}
		body, err := json.Marshal(out)
		if err != nil {
			return err
		}
		return c.keep(ctx, tx, answer{status: status, body: body})
	})
	return out, err
}

func (a *API) routes() {
	a.gateRoutes()
	a.customerRoutes()
	a.consentRoutes()
	a.campaignRoutes()
	a.contactRoutes()
	a.complaintRoutes()
	a.webhookRoutes()
}
