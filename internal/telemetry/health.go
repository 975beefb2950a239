package telemetry

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// Check is one thing that must be well before Parley can work.
type Check struct {
	Name string
	Fail func(ctx context.Context) error // nil = it is well
}

// Health answers whether Parley lives and whether it can work.
type Health struct {
	checks []Check
	mu     sync.Mutex
	at     time.Time
	last   map[string]string
	ok     bool
}

// NewHealth makes it of checks.
func NewHealth(checks ...Check) *Health { return &Health{checks: checks} }

const (
	healthFresh = time.Second     // probes more often than this get the same answer
	healthLimit = 2 * time.Second // of one check
)

// Ready runs the checks, and says of each whether it is well.
func (h *Health) Ready(ctx context.Context) (ok bool, each map[string]string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last != nil && time.Since(h.at) < healthFresh {
		return h.ok, h.last
	}
	h.ok, h.last = true, map[string]string{}
	for _, c := range h.checks {
		one, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthLimit)
		h.last[c.Name] = "ok"
		if err := c.Fail(one); err != nil {
			h.ok, h.last[c.Name] = false, "failing" // why is in the log, not on an open port
		}
		cancel()
	}
	h.at = time.Now()
	return h.ok, h.last
}

// Routes adds /healthz and /readyz to mux.
func (h *Health) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { report(w, http.StatusOK, "ok", nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ok, each := h.Ready(r.Context())
		if !ok {
			report(w, http.StatusServiceUnavailable, "failing", each)
			return
		}
		report(w, http.StatusOK, "ok", each)
	})
}

func report(w http.ResponseWriter, code int, status string, checks map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(struct { // the prober has gone: nobody to tell
		Status string            `json:"status"`
		Checks map[string]string `json:"checks,omitempty"`
	}{status, checks})
}
