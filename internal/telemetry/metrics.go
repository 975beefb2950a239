// Package telemetry is what operators see of a running Parley: Prometheus
// metrics, OpenTelemetry traces, health. It knows no rooms: the composition
// root tells it where to look.
package telemetry

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Desc describes one metric. Help says what it is, in which unit.
type Desc struct {
	Name   string
	Kind   string // counter, gauge or histogram
	Help   string
	Labels []string
}

// Catalogue lists every metric of Parley's own; docs/metrics.md describes them,
// and the dashboard uses no others.
func Catalogue() []Desc {
	return []Desc{
		{"parley_gate_decisions_total", "counter", "Decisions of the gate, by effect and deciding rule.", []string{"effect", "rule"}},
		{"parley_gate_permits_total", "counter", "Permits minted, by purpose.", []string{"purpose"}},
		{"parley_gate_in_flight", "gauge", "Attempts on the wire or of unknown end; they count in full.", nil},
		{"parley_ledger_entries_total", "counter", "Entries appended to the ledger.", nil},
		{"parley_ledger_sealed_total", "counter", "Entries sealed under a signed checkpoint.", nil},
		{"parley_ledger_seal_lag_seconds", "gauge", "Age of the oldest entry that is not sealed yet.", nil},
		{"parley_calls_active", "gauge", "Calls dialling or talking.", nil},
		{"parley_calls_placed_total", "counter", "INVITEs sent since the start.", nil},
		{"parley_calls_answered_total", "counter", "Calls answered since the start.", nil},
		{"parley_calls_failed_total", "counter", "Calls that failed since the start.", nil},
		{"parley_calls_ghosts_total", "counter", "Answers nobody waited for any more, ended at once.", nil},
		{"parley_trunk_up", "gauge", "1 while the SIP trunk answers; absent without a trunk.", nil},
		{"parley_dialer_events_total", "counter", "What the dialer did, by kind and outcome.", []string{"kind", "outcome"}},
		{"parley_complaints", "gauge", "Complaints by state.", []string{"state"}},
		{"parley_complaints_overdue", "gauge", "Complaints past their legal deadline.", nil},
		{"parley_api_requests_total", "counter", "Requests of other systems, by operation and status.", []string{"route", "status"}},
		{"parley_api_request_seconds", "histogram", "How long a request of another system took, in seconds.", []string{"route"}},
		{"parley_webhook_deliveries_total", "counter", "Tries to deliver an event, by result (ok or failed).", []string{"result"}},
		{"parley_webhook_delivery_seconds", "histogram", "How long one try to deliver an event took, in seconds.", nil},
		{"parley_webhook_waiting", "gauge", "Events that wait for a subscriber.", nil},
		{"parley_loop_errors_total", "counter", "Failed turns of background loops.", []string{"loop"}},
		{"parley_disk_free_bytes", "gauge", "Free space where data and recordings lie, in bytes.", nil},
		{"parley_ready", "gauge", "1 when every readiness check passes.", nil},
	}
}

// Sample is a figure read when Prometheus asks.
type Sample struct {
	Name   string
	Value  float64
	Labels []string
}

// Metrics keeps the figures.
type Metrics struct {
	registry *prometheus.Registry
	descs    map[string]Desc
	counters map[string]*prometheus.CounterVec
	times    map[string]*prometheus.HistogramVec
	read     func(ctx context.Context) []Sample
	now      func() time.Time
	mu       sync.Mutex
	at       time.Time
	last     []prometheus.Metric
}

// counted are the metrics that the program counts itself as it goes.
var counted = map[string]bool{"parley_dialer_events_total": true, "parley_api_requests_total": true,
	"parley_webhook_deliveries_total": true, "parley_loop_errors_total": true}

// NewMetrics makes the figures; read gives those that are read on demand, at
// most every few seconds.
func NewMetrics(read func(ctx context.Context) []Sample) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), descs: map[string]Desc{}, counters: map[string]*prometheus.CounterVec{},
		times: map[string]*prometheus.HistogramVec{}, read: read, now: time.Now}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, d := range Catalogue() {
		m.descs[d.Name] = d
		switch {
		case d.Kind == "histogram":
			h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: d.Name, Help: d.Help,
				Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15}}, d.Labels)
			m.times[d.Name] = h
			m.registry.MustRegister(h)
		case counted[d.Name]:
			c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: d.Name, Help: d.Help}, d.Labels)
			m.counters[d.Name] = c
			m.registry.MustRegister(c)
		}
	}
	m.registry.MustRegister(m)
	return m
}

// Count adds one to a counter.
func (m *Metrics) Count(name string, labels ...string) {
	if m != nil {
		m.counters[name].WithLabelValues(labels...).Inc()
	}
}

// Took notes how long something took.
func (m *Metrics) Took(name string, d time.Duration, labels ...string) {
	if m != nil {
		m.times[name].WithLabelValues(labels...).Observe(d.Seconds())
	}
}

// Describe tells nothing: what is read is only known when it is read.
func (m *Metrics) Describe(chan<- *prometheus.Desc) {}

const (
	readEvery = 5 * time.Second // figures from the database are not read more often
	readLimit = 3 * time.Second
)

// Collect reads the figures that are read on demand.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := m.now(); m.last == nil || now.Sub(m.at) >= readEvery {
		ctx, cancel := context.WithTimeout(context.Background(), readLimit)
		defer cancel()
		m.at, m.last = now, []prometheus.Metric{}
		for _, s := range m.read(ctx) {
			d := m.descs[s.Name]
			kind := prometheus.GaugeValue
			if d.Kind == "counter" {
				kind = prometheus.CounterValue
			}
			x, err := prometheus.NewConstMetric(prometheus.NewDesc(s.Name, d.Help, d.Labels, nil), kind, s.Value, s.Labels...)
			if err != nil {
				x = prometheus.NewInvalidMetric(prometheus.NewDesc(s.Name, d.Help, d.Labels, nil), err)
			}
			m.last = append(m.last, x)
		}
	}
	for _, x := range m.last {
		out <- x
	}
}

// Handler serves the figures in Prometheus's format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
