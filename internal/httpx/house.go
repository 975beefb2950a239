// Package httpx is what every page of Parley shares: request ids and logs,
// security headers, the reader's language and the bank's time, errors as
// sentences, live streams, forms and the embedded browser files. It knows no
// domain; the pages are in console and portal.
package httpx

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"

	"parley/internal/errs"
	"parley/internal/httpx/words"
)

// House is what all pages of one running Parley have in common.
type House struct {
	BankZh    string // the bank's name
	BankEn    string
	Zone      *time.Location   // the bank's zone; nil = Asia/Shanghai
	Clock     func() time.Time // the bank's clock; nil = the machine's
	Simulated bool             // contacts go to a simulated carrier: every page says so
	Secure    bool             // served over TLS: cookies are Secure and HSTS is sent
	Proxies   []netip.Prefix   // the bank's own reverse proxies: their X-Forwarded-For is believed
	Log       *slog.Logger
}

// Bank gives the bank's name in the reader's language.
func (h *House) Bank(ctx context.Context) string { return words.Pick(ctx, h.BankZh, h.BankEn) }

// Visit is one request's surroundings; pages find it in their context.
type Visit struct {
	House *House
	ID    string // request id, shown on error pages and written in the log
	Now   time.Time
	Zone  *time.Location
	Path  string // path and query, for the language switch
	Theme string // auto, light or dark
	Flash []Flash
	Route string // pattern that matched; the log names it instead of the path, which may hold secrets
	Staff string // id of the person signed in, for the log

	Client string // address the request came from (IPv6: its /64), for limits
}

type visitKey struct{}

// From gives the visit of a request. Outside a request (tests of a component)
// it is an empty one, never nil.
func From(ctx context.Context) *Visit {
	if v, ok := ctx.Value(visitKey{}).(*Visit); ok {
		return v
	}
	return &Visit{House: &House{}, Zone: Shanghai(), Now: time.Unix(0, 0)}
}

// Later gives the context of the same visit at a later instant: a live stream
// outlasts the moment it was opened at.
func Later(ctx context.Context, now time.Time) context.Context {
	v := *From(ctx)
	v.Now = now
	return context.WithValue(ctx, visitKey{}, &v)
}

// Wrap puts the house around all pages. It is applied once, outermost.
func (h *House) Wrap(next http.Handler) http.Handler {
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(h.Handle(func(http.ResponseWriter, *http.Request) error {
		return errs.New(errs.Forbidden, "cross_origin", "请求来自别的网站，已拒绝。请从本系统的页面重新操作。",
			"The request came from another site and was refused. Please start again from our own page.")
	}))
	inner := compress(guard.Handler(h.switchView(next)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		h.ownCookies(r)
		v := &Visit{House: h, ID: requestID(), Now: h.now(), Zone: h.zone(), Path: r.URL.RequestURI(), Theme: chooseTheme(r), Client: h.client(r)}
		ctx := words.With(context.WithValue(r.Context(), visitKey{}, v), chooseLang(r))
		r = r.WithContext(ctx)
		h.secure(w.Header())
		w.Header().Set("X-Request-Id", v.ID)
		rec := &recorder{ResponseWriter: w}
		defer h.finish(rec, r, v, start)
		v.Flash = takeFlash(rec, r, h.Secure)
		inner.ServeHTTP(rec, r)
	})
}

func (h *House) now() time.Time {
	if h.Clock == nil {
		return time.Now()
	}
	return h.Clock()
}

func (h *House) zone() *time.Location {
	if h.Zone == nil {
		return Shanghai()
	}
	return h.Zone
}

func (h *House) log() *slog.Logger {
	if h.Log == nil {
		return slog.Default()
	}
	return h.Log
}

// finish turns a panic into an error page and writes the request's one log line.
func (h *House) finish(w *recorder, r *http.Request, v *Visit, start time.Time) {
	if p := recover(); p != nil {
		if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(p)
		}
		h.log().Error("panic", "request", v.ID, "route", v.Route, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		if w.status == 0 {
			h.showError(w, r, errs.Public(errors.New("panic")))
		}
	}
	h.log().Debug("request", "request", v.ID, "method", r.Method, "route", v.Route, "status", w.status,
		"took", time.Since(start), "staff", v.Staff)
}

// Handle makes a handler of a page that may fail. A failure is shown as a
// sentence in the reader's language; its cause goes to the log.
func (h *House) Handle(page func(w http.ResponseWriter, r *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := From(r.Context())
		v.Route = r.Pattern
		err := page(w, r)
		if err == nil || r.Context().Err() != nil { // nobody is there to read it
			return
		}
		e := errs.Public(err)
		level := slog.LevelInfo
		if e.Kind == errs.Internal {
			level = slog.LevelError
		}
		h.log().Log(r.Context(), level, "refused", "request", v.ID, "route", v.Route, "staff", v.Staff, "code", e.Code, "err", err)
		if rec, ok := w.(*recorder); ok && rec.status != 0 {
			return // the page has begun; nothing sensible can be added to it
		}
		h.showError(w, r, e)
	})
}

// BreakOff ends an answer that has begun and cannot be completed, so that the
// other side sees it torn off and not merely short. It does not return.
func (h *House) BreakOff(ctx context.Context, what string, err error) {
	v := From(ctx)
	h.log().Error("broken off", "what", what, "request", v.ID, "route", v.Route, "err", err)
	panic(http.ErrAbortHandler)
}

func (h *House) showError(w http.ResponseWriter, r *http.Request, e *errs.Error) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(Status(e.Kind))
	if err := errorPage(e).Render(r.Context(), w); err != nil {
		h.log().Debug("error page", "err", err)
	}
}

// Status maps a kind of refusal to its HTTP status.
func Status(k errs.Kind) int {
	switch k {
	case errs.Invalid:
		return http.StatusUnprocessableEntity
	case errs.NotFound:
		return http.StatusNotFound
	case errs.Forbidden:
		return http.StatusForbidden
	case errs.Conflict, errs.Refused:
		return http.StatusConflict
	case errs.TooMany:
		return http.StatusTooManyRequests
	case errs.Busy:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// recorder remembers the status for the log.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status.
func (r *recorder) WriteHeader(code int) {
	if r.status == 0 {
		r.status = code
	}
	r.ResponseWriter.WriteHeader(code)
}

// Write notes an implied 200.
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach Flush and deadlines.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func requestID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}
