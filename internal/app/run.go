package app

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"parley/internal/campaign"
	"parley/internal/console"
	"parley/internal/dialer"
	"parley/internal/errs"
	"parley/internal/outbound"
	"parley/internal/voice"
)

// line opens the trunk and makes what dials on it. Without a trunk configured
// there is no dialer and everything else works.
func (a *App) line(ctx context.Context) error {
	t := a.Config.Trunk
	if t.Address == "" {
		a.Log.Warn("no trunk is configured: no calls will be placed")
		return nil
	}
	spool := filepath.Join(a.Config.Recordings.Dir, "spool")
	if err := os.MkdirAll(spool, 0o700); err != nil {
		return err
	}
	var err error
	if a.Voice, err = voice.Listen(ctx, voice.Config{Local: t.Local, MediaIP: t.MediaIP, MediaPorts: [2]int{t.MediaFrom, t.MediaTo},
		Transport: t.Transport, Proxy: t.Address, User: t.User, Password: t.Password, Domain: t.Domain, Codecs: t.Codecs,
		MaxCalls: t.MaxCalls, Log: a.Log}); err != nil {
		return errs.New(errs.Internal, "trunk_down", "中继线路打不开，请检查 trunk 配置与网络。",
			"The trunk cannot be opened; check the trunk settings and the network.").With(err)
	}
	if a.Sender, err = a.sender(); err != nil {
		return err
	}
	desk := outbound.NewDesk(a.Sender, a.Campaigns)
	a.Dialer = dialer.New(a.Campaigns, desk, desk, dialer.Options{Now: a.DB.Now, Events: a.events.dialer, Log: a.Log})
	return nil
}

var _ dialer.Source = (*campaign.Store)(nil)

// Running is an App at work.
type Running struct {
	*App
	Addr        string           // where the pages are
	Staff       *console.Console // the staff's pages among them
	MetricsAddr string           // where the metrics are; empty = nowhere

	stop    context.CancelFunc
	dial    context.CancelFunc
	work    sync.WaitGroup
	dialing sync.WaitGroup
	server  *http.Server
	ops     *http.Server // for operators; nil = none
	traces  func(context.Context) error
	once    sync.Once
	err     error
}

// Start opens the trunk, puts right what a crash left behind, and runs the
// loops and the pages until Stop.
func (a *App) Start(ctx context.Context) (*Running, error) {
	if err := a.line(ctx); err != nil {
		return nil, err
	}
	if err := a.codes.ready(ctx); err != nil {
		return nil, err
	}
	rec, err := a.Sender.Recover(ctx)
	if err != nil {
		return nil, err
	}
	if rec != (outbound.Recovered{}) {
		a.Log.Warn("recovered after an unclean stop", "unknown", rec.Unknown, "not_sent", rec.NotSent, "salvaged", rec.Salvaged, "complaints", rec.Opened)
	}
	l, err := net.Listen("tcp", a.Config.HTTP.Addr)
	if err != nil {
		return nil, errs.New(errs.Invalid, "http_addr", "端口 "+a.Config.HTTP.Addr+" 打不开，可能已被占用；请改 http.addr。",
			"The address "+a.Config.HTTP.Addr+" cannot be listened on; it may be in use. Change http.addr.").With(err)
	}
	here := "http://" + l.Addr().String()
	if a.Config.HTTP.Cert != "" {
		here = "https://" + l.Addr().String()
		if l, err = a.Config.HTTP.secure(l); err != nil {
			return nil, err
		}
	}
	pages, staff, err := a.pages(here)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	loops, stop := context.WithCancel(context.WithoutCancel(ctx))
	dialing, stopDialing := context.WithCancel(loops)
	r := &Running{App: a, Addr: here, Staff: staff, stop: stop, dial: stopDialing,
		server: &http.Server{Handler: pages, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}}
	if err := r.open(ctx); err != nil {
		stop()
		return nil, errors.Join(err, l.Close())
	}
	r.loop("ledger", func() error { return a.Ledger.Run(loops) })
	r.loop("pages", func() error {
		if err := r.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	if !a.Config.Policy.Unapproved {
		r.loop("rules", func() error {
			a.Rulebook.Follow(loops, func(err error) { a.Log.Error("following the rules in force", "error", err) })
			return nil
		})
	}
	r.loop("calendars", func() error {
		a.Holidays.Follow(loops, func(err error) { a.Log.Error("following the calendars in force", "error", err) })
		return nil
	})
	r.loop("board", func() error { return staff.Run(loops) })
	r.loop("webhooks", func() error { return a.Webhooks.Run(loops) })
	r.loop("requests", func() error { return a.door.Run(loops) })
	r.every(loops, time.Minute, "contacts left open", func() error {
		_, err := a.Sender.GiveUp(loops, a.Config.API.SettleAfter.Duration)
		return err
	})
	r.loop("names", func() error { return a.Party.IndexNames(loops) })
	r.every(loops, time.Minute, "codes and sessions", func() error { return errors.Join(a.Customers.Sweep(loops), a.tidyUploads(loops)) })
	r.every(loops, time.Second, "expire permits", func() error { _, err := a.Gate.Expire(loops); return err })
	r.every(loops, time.Minute, "deadlines", func() error { _, err := a.Complaints.Tick(loops); return err })
	r.every(loops, 5*time.Second, "complaints by key", func() error { _, err := a.Sender.OpenPending(loops); return err })
	if a.Dialer != nil {
		r.dialing.Go(func() {
			if err := a.Dialer.Run(dialing); err != nil {
				a.Log.Error("dialer", "error", err)
			}
		})
	}
	return r, nil
}

func (r *Running) loop(name string, fn func() error) {
	r.work.Go(func() {
		if err := fn(); err != nil && !errors.Is(err, context.Canceled) {
			r.metrics.Count("parley_loop_errors_total", name)
			r.Log.Error("loop ended", "loop", name, "error", err)
		}
	})
}

func (r *Running) every(ctx context.Context, d time.Duration, name string, fn func() error) {
	r.work.Go(func() {
		t := time.NewTicker(d)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				if err := fn(); err != nil && ctx.Err() == nil {
					r.metrics.Count("parley_loop_errors_total", name)
					r.Log.Error("loop", "loop", name, "error", err)
				}
			}
		}
	})
}

// StopDialing places no call any more and waits until those under way have ended.
func (r *Running) StopDialing() {
	r.dial()
	r.dialing.Wait()
	r.Customers.Wait()
}

// patience is how long calls under way may go on when Parley stops.
const patience = 30 * time.Second

// Stop ends it in order: no new calls, calls under way end, pages close, the
// ledger seals what is left. It may be called twice.
func (r *Running) Stop() error {
	r.once.Do(func() {
		r.dial()
		ended := make(chan struct{})
		go func() { r.dialing.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(patience):
			r.Log.Warn("hanging up calls that would not end")
		}
		if r.Voice != nil {
			r.err = r.Voice.Close()
		}
		r.dialing.Wait()
		r.events.close()
		r.err = errors.Join(r.err, within(pagesPatience, r.closePages), within(pagesPatience, r.shut))
		r.Customers.Wait()
		r.stop()
		r.work.Wait()
		r.err = errors.Join(r.err, within(patience, func(ctx context.Context) error { // however long the rest took
			_, err := r.Ledger.Seal(ctx)
			return err
		}))
	})
	return r.err
}

// pagesPatience is how long answers under way may take when Parley stops. A
// connection that a browser opened ahead and has not used counts as one for five
// seconds (net/http).
const pagesPatience = 10 * time.Second

// closePages waits for answers under way and cuts short those that do not end.
func (r *Running) closePages(ctx context.Context) error {
	err := r.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		r.Log.Warn("closing pages that would not end")
		err = r.server.Close()
	}
	return err
}

func within(d time.Duration, fn func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return fn(ctx)
}
