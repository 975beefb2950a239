package api

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"golang.org/x/time/rate"

	"parley/internal/apikey"
	"parley/internal/contact"
	"parley/internal/httpx"
)

const idempotencyHeader = "Idempotency-Key"

type keyKey struct{}

type claimKey struct{}

// keyOf gives the key a request came with.
func keyOf(ctx context.Context) *apikey.Key {
	k, _ := ctx.Value(keyKey{}).(*apikey.Key)
	return k
}

func claimOf(ctx context.Context) *claim {
	c, _ := ctx.Value(claimKey{}).(*claim)
	return c
}

// by names the caller in what
// the stores record: the system and the key, whose maker answers for it.
func by(ctx context.Context) string { return apikey.Account(keyOf(ctx)) }

// enter is the door of every operation: key, rate, size and repetition.
func (a *API) enter(next http.Handler) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		w, start := &watched{ResponseWriter: out}, a.Clock()
		defer func() {
			if a.Served != nil {
				a.Served(routeOf(r), w.status, a.Clock().Sub(start))
			}
		}()
		defer a.recovered(w, r)
		w.Header().Set("Cache-Control", "no-store")
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			a.refuse(w, r, errNoKey)
			return
		}
		key, err := a.Keys.Check(r.Context(), strings.TrimSpace(token))
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		if !a.limits.take(w.Header(), key, a.Rate, a.Clock()) {
			a.refuse(w, r, errRate)
			return
		}
		httpx.From(r.Context()).Staff = "key " + key.Prefix // the log names who asked
		r = r.WithContext(context.WithValue(r.Context(), keyKey{}, key))
		if name := r.Header.Get(idempotencyHeader); name != "" && r.Method != http.MethodGet {
			a.once(w, r, token, name, next)
			return
		}
		a.pass(w, r, next)
	})
}

// watched remembers the status of an answer.
type watched struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status.
func (w *watched) WriteHeader(code int) {
	if w.status == 0 {
		w.status = code
	}
	w.ResponseWriter.WriteHeader(code)
}

// Write notes an implied 200.
func (w *watched) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach deadlines.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// routeOf names the operation of a request, never its path: that holds ids.
func routeOf(r *http.Request) string {
	if route := httpx.From(r.Context()).Route; route != "" {
		return route
	}
	return "none"
}

// pass hands a request on, or says that there is nothing there.
func (a *API) pass(w http.ResponseWriter, r *http.Request, next http.Handler) {
	mux, ok := next.(*http.ServeMux)
	if !ok {
		next.ServeHTTP(w, r)
		return
	}
	if _, pattern := mux.Handler(r); pattern == "" {
		for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			probe := r.Clone(r.Context())
			probe.Method = m
			if _, pattern := mux.Handler(probe); pattern != "" {
				w.Header().Add("Allow", m)
			}
		}
		if w.Header().Get("Allow") != "" {
			a.refuse(w, r, errMethod)
			return
		}
		a.refuse(w, r, errRoute)
		return
	}
	mux.ServeHTTP(w, r)
}

// once runs a request that carries an Idempotency-Key at most once a day, and
// repeats its answer.
func (a *API) once(w http.ResponseWriter, r *http.Request, secret, name string, next http.Handler) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, a.MaxBody))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			err = errLarge
		} else {
			err = errMalformed.With(err)
		}
		a.refuse(w, r, err)
		return
	}
	// Keyed with what only the caller has: the table gives nobody a way to
	// guess a person's number from it.
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%s %s\n", r.Method, r.URL.RequestURI())
	mac.Write(body)
	c, err := a.requests.begin(r.Context(), keyOf(r.Context()).ID, name, mac.Sum(nil))
	if err != nil {
		if errors.Is(err, errUnderWay) {
			w.Header().Set("Retry-After", "1")
		}
		a.refuse(w, r, err)
		return
	}
	if c.done.status != 0 {
		w.Header().Set("Idempotency-Replayed", "true")
		c.done.write(w)
		return
	}
	a.first(w, r, c, body, next)
}

func (d answer) write(w http.ResponseWriter) {
	kind := "application/json"
	if d.status >= 400 {
		kind = "application/problem+json"
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(d.status)
	_, _ = w.Write(d.body) // the caller has gone: nobody to tell
}

// first runs a claimed request and keeps its answer. What may go better next
// time (a fault of ours, a busy system) is not kept.
func (a *API) first(w http.ResponseWriter, r *http.Request, c *claim, body []byte, next http.Handler) {
	rec := &held{header: w.Header()}
	ended := false
	defer func() {
		if !ended { // a panic: the request may be made again
			_ = a.requests.end(c, nil) // the lease ends it otherwise
		}
	}()
	r = r.WithContext(context.WithValue(r.Context(), claimKey{}, c))
	r.Body = io.NopCloser(bytes.NewReader(body))
	a.pass(rec, r, next)
	ended = true
	done := &answer{status: rec.status, body: rec.body.Bytes()}
	if rec.status >= 500 || rec.status == http.StatusTooManyRequests {
		done = nil
	}
	if err := a.requests.end(c, done); err != nil {
		// The answer stands; a repetition after the lease would run again.
		a.Log.Error("keeping the answer of a request", "request", httpx.From(r.Context()).ID, "error", err)
	}
	w.WriteHeader(rec.status)
	_, _ = w.Write(rec.body.Bytes()) // the caller has gone: nobody to tell
}

// held keeps an answer until it is stored.
type held struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header gives the answer's header.
func (h *held) Header() http.Header { return h.header }

// WriteHeader notes the status.
func (h *held) WriteHeader(code int) {
	if h.status == 0 {
		h.status = code
	}
}

// Write keeps a piece of the body.
func (h *held) Write(b []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	return h.body.Write(b)
}

// SetReadDeadline does nothing: the request has been read.
func (h *held) SetReadDeadline(time.Time) error { return nil }

// scope lets only keys pass that carry the operation's scope.
func (a *API) scope(hc huma.Context, next func(huma.Context)) {
	need, ok := hc.Operation().Metadata[needs].(apikey.Scope)
	if v := httpx.From(hc.Context()); v != nil {
		v.Route = hc.Operation().Method + " " + hc.Operation().Path
	}
	if k := keyOf(hc.Context()); !ok || !k.May(need) { // an operation nobody gave a scope is nobody's
		r, w := humago.Unwrap(hc)
		a.refuse(w, r, errScope)
		return
	}
	next(hc)
}

func (a *API) recovered(w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p)
	}
	a.Log.Error("panic", "request", httpx.From(r.Context()).ID, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	a.refuse(w, r, fmt.Errorf("panic: %v", p))
}

// limits are the rates of keys.
type limits struct {
	mu  sync.Mutex
	per map[contact.ID]*rate.Limiter
}

// take lets one request of a key pass, or not, and says in the answer's header
// what is left (draft-ietf-httpapi-ratelimit-headers). A second's worth may come at once.
func (l *limits) take(h http.Header, k *apikey.Key, standard int, now time.Time) bool {
	per := k.Rate
	if per == 0 {
		per = standard
	}
	l.mu.Lock()
	lim := l.per[k.ID]
	if lim == nil {
		if l.per == nil {
			l.per = map[contact.ID]*rate.Limiter{}
		}
		lim = rate.NewLimiter(rate.Limit(per), per)
		l.per[k.ID] = lim
	}
	l.mu.Unlock()
	if lim.Burst() != per {
		lim.SetLimitAt(now, rate.Limit(per))
		lim.SetBurstAt(now, per)
	}
	ok := lim.AllowN(now, 1)
	left := math.Max(0, lim.TokensAt(now))
	h.Set("RateLimit-Policy", `"key";q=`+strconv.Itoa(per)+`;w=1`)
	h.Set("RateLimit", `"key";r=`+strconv.Itoa(int(left))+`;t=1`)
	if !ok {
		h.Set("Retry-After", "1")
	}
	return ok
}
