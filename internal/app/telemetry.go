package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"parley/internal/complaint"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/machine"
	"parley/internal/telemetry"
	"parley/internal/webhook"
)

// watch makes what operators see; the rooms are open by then.
func (a *App) watch() {
	a.metrics = telemetry.NewMetrics(a.figures)
	a.events.count = a.metrics.Count
	a.health = telemetry.NewHealth(
		telemetry.Check{Name: "database", Fail: a.databaseWell},
		telemetry.Check{Name: "ledger", Fail: a.ledgerWell},
		telemetry.Check{Name: "disk", Fail: a.diskWell},
		telemetry.Check{Name: "trunk", Fail: a.trunkWell},
	)
}

// sent is told of every try to deliver an event.
func (a *App) sent(ok bool, took time.Duration) {
	result := "failed"
	if ok {
		result = "ok"
	}
	a.metrics.Count("parley_webhook_deliveries_total", result)
	a.metrics.Took("parley_webhook_delivery_seconds", took)
}

// served is told of every request of another system.
func (a *App) served(route string, status int, took time.Duration) {
	a.metrics.Count("parley_api_requests_total", route, fmt.Sprint(status))
	a.metrics.Took("parley_api_request_seconds", took, route)
}

// figures reads the figures that nobody counts as they happen. What cannot be
// read is left out: an absent figure is honest, a zero is not.
func (a *App) figures(ctx context.Context) (out []telemetry.Sample) {
	add := func(name string, v float64, labels ...string) {
		out = append(out, telemetry.Sample{Name: name, Value: v, Labels: labels})
	}
	failed := func(what string, err error) bool {
		if err != nil {
			a.Log.Warn("metrics", "what", what, "error", err)
		}
		return err != nil
	}
	if c, err := a.Gate.Counts(ctx); !failed("gate", err) {
		add("parley_gate_decisions_total", float64(c.Allow), "allow", "")
		for rule, n := range c.DeniedBy {
			add("parley_gate_decisions_total", float64(n), "deny", rule)
		}
		for rule, n := range c.LaterBy {
			add("parley_gate_decisions_total", float64(n), "later", rule)
		}
		for p, n := range c.ByPurpose {
			add("parley_gate_permits_total", float64(n), p.String())
		}
	}
	if flying, err := a.Gate.InFlight(ctx, 10_000); !failed("in flight", err) {
		add("parley_gate_in_flight", float64(len(flying)))
	}
	if s, err := a.Ledger.Stats(ctx); !failed("ledger", err) {
		add("parley_ledger_entries_total", float64(s.Entries))
		add("parley_ledger_sealed_total", float64(s.Sealed))
		add("parley_ledger_seal_lag_seconds", s.Lag.Seconds())
	}
	if a.Voice != nil {
		s := a.Voice.Stats()
		up := 1.0
		if s.Down {
			up = 0
		}
		add("parley_trunk_up", up)
		add("parley_calls_active", float64(s.Active))
		add("parley_calls_placed_total", float64(s.Placed))
		add("parley_calls_answered_total", float64(s.Answered))
		add("parley_calls_failed_total", float64(s.Failed))
		add("parley_calls_ghosts_total", float64(s.Ghosts))
	}
	if c, err := a.Complaints.Count(ctx); !failed("complaints", err) {
		for _, s := range []complaint.State{complaint.Open, complaint.Taken, complaint.Proposed, complaint.Answered, complaint.Review, complaint.Closed} {
			add("parley_complaints", float64(c.ByState[s]), string(s))
		}
		add("parley_complaints_overdue", float64(c.Overdue))
	}
	if n, err := a.waiting(ctx); !failed("webhooks", err) {
		add("parley_webhook_waiting", float64(n))
	}
	if free, _, ok := machine.Disk(a.Config.Recordings.Dir); ok {
		add("parley_disk_free_bytes", float64(free))
	}
	ready := 0.0
	if ok, _ := a.health.Ready(ctx); ok {
		ready = 1
	}
	add("parley_ready", ready)
	return out
}

// waiting counts the events that wait, over all subscribers.
func (a *App) waiting(ctx context.Context) (n int, err error) {
	err = a.DB.Read(ctx, func(tx *db.Tx) error {
		n = 0
		var list []webhook.Endpoint
		if list, err = a.Webhooks.List(ctx, tx, "", db.Span{N: 1000}); err != nil {
			return err
		}
		for _, e := range list {
			k, err := a.Webhooks.Waiting(ctx, tx, e.ID)
			if err != nil {
				return err
			}
			n += k
		}
		return nil
	})
	return n, err
}

func (a *App) databaseWell(ctx context.Context) error {
	return a.DB.Read(ctx, func(tx *db.Tx) error { return tx.QueryRow(ctx, "SELECT 1").Scan(new(int)) })
}

// sealLate is when the ledger counts as stuck; an entry is sealed within a second, usually.
const sealLate = 30 * time.Second

func (a *App) ledgerWell(ctx context.Context) error {
	s, err := a.Ledger.Stats(ctx)
	if err == nil && s.Lag > sealLate {
		err = fmt.Errorf("an entry has waited %s to be sealed", s.Lag)
	}
	return err
}

// roomNeeded is below what no further recording may fit.
const roomNeeded = 256 << 20

func (a *App) diskWell(context.Context) error {
	if free, _, ok := machine.Disk(a.Config.Recordings.Dir); ok && free < roomNeeded {
		return fmt.Errorf("%d bytes are left", free)
	}
	return nil
}

func (a *App) trunkWell(context.Context) error {
	if a.Voice != nil && a.Voice.Stats().Down {
		return errors.New("the trunk does not answer")
	}
	return nil
}

// open starts the operators' own port and the sending of traces.
func (r *Running) open(ctx context.Context) error {
	c := r.Config.Telemetry
	if c.OTLP != "" {
		stop, err := telemetry.Traces(ctx, c.OTLP, float64(c.Share)/100)
		if err != nil {
			return errs.New(errs.Invalid, "otlp_url", "telemetry.otlp_url 不可用："+c.OTLP, "telemetry.otlp_url cannot be used: "+c.OTLP).With(err)
		}
		r.traces = stop
	}
	if c.Addr == "" {
		return nil
	}
	l, err := net.Listen("tcp", c.Addr)
	if err != nil {
		return errs.New(errs.Invalid, "telemetry_addr", "端口 "+c.Addr+" 打不开，可能已被占用；请改 telemetry.addr。",
			"The address "+c.Addr+" cannot be listened on; it may be in use. Change telemetry.addr.").With(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", r.metrics.Handler())
	r.health.Routes(mux)
	r.MetricsAddr = "http://" + l.Addr().String()
	r.ops = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second}
	r.loop("metrics", func() error {
		if err := r.ops.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	return nil
}

// shut ends what open began.
func (r *Running) shut(ctx context.Context) (err error) {
	if r.ops != nil {
		err = r.ops.Shutdown(ctx)
	}
	if r.traces != nil {
		err = errors.Join(err, r.traces(ctx))
	}
	return err
}
