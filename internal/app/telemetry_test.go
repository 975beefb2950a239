package app

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/outbound"
	"parley/internal/party"
	"parley/internal/telemetry"
)

// lines is a log that many write to.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// One seeded run, seen as its operators see it: one trace from the decision to
// the hang-up, metrics, health, and a log without personal data.
func TestOperatorsSeeARun(t *testing.T) {
	log, spans := &lines{}, tracetest.NewInMemoryExporter()
	stop := telemetry.Use(sdk.WithSyncer(spans), 1)
	d, err := StartDemo(t.Context(), DemoOptions{Dir: t.TempDir(), Addr: "127.0.0.1:0", Telemetry: "127.0.0.1:0", Seed: 11, People: 120,
		Log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	permit := talked(t, d)
	for _, path := range []string{"/", "/customers", "/api/v1/customers", "/readyz"} {
		get(t, d.Addr+path)
	}
	figures := get(t, d.MetricsAddr+"/metrics")
	if ready := get(t, d.MetricsAddr+"/readyz"); !strings.Contains(ready, `"status":"ok"`) || !strings.Contains(ready, `"ledger":"ok"`) || !strings.Contains(ready, `"trunk":"ok"`) {
		t.Error(ready)
	}
	names := personal(t, d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	seen := spans.GetSpans() // stopping forgets them
	if err := stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	checkTrace(t, seen, permit)
	checkFigures(t, figures)
	checkLog(t, log.String(), names)
}

func get(t *testing.T, url string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// talked waits for a call that was answered and has ended.
func talked(t *testing.T, d *Demo) contact.ID {
	t.Helper()
	for end := time.Now().Add(4 * time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		camps, err := d.Campaigns.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var found contact.ID
		for _, c := range camps {
			if err := d.DB.Read(t.Context(), func(tx *db.Tx) error {
				list, err := d.Sender.AttemptsByCampaign(t.Context(), tx, c.ID, "", 50)
				for _, a := range list {
					if a.State == outbound.Ended && a.Talk > 0 {
						found = a.ID
					}
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		if found != "" {
			return found
		}
	}
	t.Fatal("nobody answered within four minutes")
	return ""
}

// checkTrace finds every step of a contact in one trace, whose id is the permit's.
func checkTrace(t *testing.T, spans tracetest.SpanStubs, permit contact.ID) {
	t.Helper()
	want := uuid.MustParse(permit)
	var got []tracetest.SpanStub
	for _, s := range spans {
		if s.SpanContext.TraceID() == [16]byte(want) {
			got = append(got, s)
		}
	}
	at := func(name string) tracetest.SpanStub {
		i := slices.IndexFunc(got, func(s tracetest.SpanStub) bool { return s.Name == name })
		if i < 0 {
			t.Fatalf("the trace of a contact lacks %s; it has %d of %d spans", name, len(got), len(spans))
		}
		return got[i]
	}
	reserve, call, talk := at("gate.reserve"), at("call"), at("call.talk")
	if reserve.Parent.IsValid() || at("dialer.call").Parent.SpanID() != reserve.SpanContext.SpanID() {
		t.Error("the decision is not the root of the trace")
	}
	if at("gate.spend").Parent.SpanID() != at("dialer.call").SpanContext.SpanID() || talk.Parent.SpanID() != call.SpanContext.SpanID() ||
		at("call.dial").Parent.SpanID() != call.SpanContext.SpanID() || at("gate.settle").Parent.SpanID() != call.SpanContext.SpanID() {
		t.Error("the spans do not stand below each other as the steps do")
	}
	if !reserve.StartTime.Before(call.StartTime) || talk.EndTime.After(call.EndTime) {
		t.Error("the steps are out of order")
	}
}

// checkFigures finds no figure that is not described, and those that a run with calls must have.
func checkFigures(t *testing.T, figures string) {
	t.Helper()
	var known []string
	for _, d := range telemetry.Catalogue() {
		known = append(known, d.Name)
	}
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (parley_\w+) (\w+)$`).FindAllStringSubmatch(figures, -1) {
		seen[m[1]] = true
		i := slices.Index(known, m[1])
		if i < 0 || telemetry.Catalogue()[i].Kind != m[2] {
			t.Errorf("%s %s is not in the catalogue", m[1], m[2])
		}
	}
	for _, d := range telemetry.Catalogue() {
		if !seen[d.Name] && !strings.Contains(d.Name, "_webhook_deliver") && d.Name != "parley_loop_errors_total" {
			t.Errorf("%s is described and not there", d.Name)
		}
	}
}

// personal gives what must not be in a log: seeded names, numbers, ID numbers.
func personal(t *testing.T, d *Demo) (out []string) {
	t.Helper()
	if err := d.DB.Read(t.Context(), func(tx *db.Tx) error {
		ps, err := d.Party.List(t.Context(), tx, "", 1000)
		for _, p := range ps {
			out = append(out, p.Name, p.IDNumber)
			for _, q := range p.Points {
				if q.Kind == party.Phone {
					out = append(out, strings.TrimPrefix(q.Value, "+"))
				} else {
					out = append(out, q.Value)
				}
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// ASVS 5.0, 16.2.5: logs hold no personal data.
func checkLog(t *testing.T, log string, names []string) {
	t.Helper()
	if n := strings.Count(log, "\n"); n < 20 || len(names) < 200 {
		t.Fatalf("%d lines and %d names: nothing was tested", n, len(names))
	}
	for _, n := range names {
		if i := strings.Index(log, n); n != "" && i >= 0 {
			t.Errorf("the log holds personal data: …%s…", log[max(0, i-150):min(len(log), i+80)])
		}
	}
}
