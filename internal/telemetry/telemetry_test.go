package telemetry

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"parley/internal/trace"
)

// Every metric is described where operators read, with its labels.
func TestEveryMetricIsDocumented(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range Catalogue() {
		row := regexp.MustCompile("(?m)^\\| `" + d.Name + "` \\| " + d.Kind + " \\| (.*?) \\| .+ \\|$").FindStringSubmatch(string(raw))
		if row == nil {
			t.Errorf("docs/metrics.md does not describe %s (%s)", d.Name, d.Kind)
			continue
		}
		for _, l := range d.Labels {
			if !strings.Contains(row[1], "`"+l+"`") {
				t.Errorf("docs/metrics.md does not name the label %s of %s", l, d.Name)
			}
		}
		// Prometheus naming: a counter ends in _total, a base unit is named.
		if (d.Kind == "counter") != strings.HasSuffix(d.Name, "_total") || d.Kind == "histogram" && !strings.HasSuffix(d.Name, "_seconds") {
			t.Errorf("%s is not named by convention", d.Name)
		}
	}
	for _, m := range regexp.MustCompile("`(parley_\\w+)`").FindAllStringSubmatch(string(raw), -1) {
		if !known(m[1]) {
			t.Errorf("docs/metrics.md describes %s, which does not exist", m[1])
		}
	}
}

func known(name string) bool {
	for _, d := range Catalogue() {
		if d.Name == name || d.Kind == "histogram" && (name == d.Name+"_bucket" || name == d.Name+"_sum" || name == d.Name+"_count") {
			return true
		}
	}
	return false
}

// The dashboard asks for nothing that is not there.
func TestDashboardNamesMetricsThatExist(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/grafana/parley.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Title  string `json:"title"`
		Panels []struct {
			Title   string `json:"title"`
			Type    string `json:"type"`
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal(raw, &board); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, p := range board.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("the panel %q asks for nothing", p.Title)
		}
		for _, q := range p.Targets {
			for _, name := range regexp.MustCompile(`parley_\w+`).FindAllString(q.Expr, -1) {
				seen++
				if !known(name) {
					t.Errorf("the panel %q asks for %s, which does not exist", p.Title, name)
				}
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d metrics are asked for", seen)
	}
}

func TestReadinessSaysWhatFails(t *testing.T) {
	t.Parallel()
	bad := errors.New("postgres://user:secret@db: refused")
	mux := http.NewServeMux()
	NewHealth(Check{"database", func(context.Context) error { return bad }}, Check{"disk", func(context.Context) error { return nil }},
		Check{"slow", func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}).Routes(mux)
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 503} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != want {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
		if path == "/readyz" && (!strings.Contains(w.Body.String(), `"database":"failing"`) || !strings.Contains(w.Body.String(), `"disk":"ok"`) ||
			!strings.Contains(w.Body.String(), `"slow":"failing"`) || strings.Contains(w.Body.String(), "secret")) {
			t.Error(w.Body)
		}
	}
}

func TestFiguresAreServed(t *testing.T) {
	t.Parallel()
	reads := 0
	m := NewMetrics(func(context.Context) []Sample {
		reads++
		return []Sample{{"parley_complaints", 3, []string{"open"}}, {"parley_ledger_entries_total", 9, nil}}
	})
	now := time.Now()
	m.now = func() time.Time { return now }
	m.Count("parley_api_requests_total", "POST /x", "201")
	m.Took("parley_api_request_seconds", 4*time.Millisecond, "POST /x")
	for range 2 {
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		for _, line := range []string{`parley_complaints{state="open"} 3`, `parley_ledger_entries_total 9`, "# TYPE parley_ledger_entries_total counter",
			`parley_api_requests_total{route="POST /x",status="201"} 1`, `parley_api_request_seconds_bucket{route="POST /x",le="0.005"} 1`, "go_goroutines"} {
			if !strings.Contains(w.Body.String(), line) {
				t.Errorf("no %s in\n%s", line, w.Body)
			}
		}
	}
	if reads != 1 {
		t.Errorf("the rooms were asked %d times within a moment", reads)
	}
	now = now.Add(readEvery)
	m.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/metrics", nil))
	if reads != 2 {
		t.Errorf("the rooms were asked %d times in two moments", reads)
	}
}

// Traces reach an OpenTelemetry collector over OTLP/HTTP, read here with
// OpenTelemetry's own protocol types.
func TestTracesAreSentToACollector(t *testing.T) {
	got := make(chan *collector.ExportTraceServiceRequest, 8)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		req := &collector.ExportTraceServiceRequest{}
		if err == nil {
			err = proto.Unmarshal(raw, req)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Error(r.URL.Path, err)
		}
		got <- req
	}))
	defer server.Close()
	stop, err := Traces(t.Context(), server.URL+"/v1/traces", 1)
	if err != nil {
		t.Fatal(err)
	}
	const permit = "01a20b50-3782-75fb-8000-d65fa2797993"
	trace.Decided(t.Context(), permit, time.Now().Add(-time.Millisecond), time.Now(), trace.String("purpose", "service"))
	_, span := trace.Start(trace.Contact(t.Context(), permit), "gate.spend")
	trace.End(span, nil)
	if err := stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(got)
	var spans []*tracepb.Span // a batch goes off every few seconds, so a slow machine sends two
	for req := range got {
		spans = append(spans, req.ResourceSpans[0].ScopeSpans[0].Spans...)
	}
	if len(spans) != 2 || hex.EncodeToString(spans[0].TraceId) != strings.ReplaceAll(permit, "-", "") || string(spans[1].ParentSpanId) != string(spans[0].SpanId) {
		t.Errorf("%v", spans)
	}
	if trace.On() {
		t.Error("stopped, and still tracing")
	}
}

// A share of all contacts is sampled evenly, although all ids are UUIDs.
func TestShareOfContacts(t *testing.T) {
	t.Parallel()
	kept := 0
	for range 4000 {
		u := uuid.Must(uuid.NewV7())
		if sampler(0.25).ShouldSample(sdk.SamplingParameters{TraceID: [16]byte(u)}).Decision == sdk.RecordAndSample {
			kept++
		}
	}
	if kept < 850 || kept > 1150 {
		t.Errorf("%d of 4000 were kept instead of a quarter", kept)
	}
}
