// Package dialer runs automated campaigns: it takes who is due, asks the gate
// about them in batches, and starts the calls that are allowed at the pace the
// campaign sets. It decides nothing about whether a person may be called, and
// it never calls anybody twice, whatever crashes when: a member is marked as
// being on the wire before its permit is spent, and a permit is spent once.
package dialer

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"parley/internal/campaign"
	"parley/internal/contact"
	"parley/internal/errs"
)

// Source keeps the campaigns and their members; *campaign.Store is one.
type Source interface {
	List(ctx context.Context) ([]*campaign.Campaign, error)
	Running(ctx context.Context) ([]*campaign.Campaign, error)
	Get(ctx context.Context, id contact.ID) (*campaign.Campaign, error)
	Progress(ctx context.Context, id contact.ID) (*campaign.Progress, error)
	Idle(ctx context.Context, id contact.ID) (bool, error)
	Finish(ctx context.Context, id contact.ID, by string) (*campaign.Campaign, error)

	Claim(ctx context.Context, id contact.ID, n int) ([]campaign.Member, error)
	Decided(ctx context.Context, id contact.ID, vs []campaign.Verdict) error
	Dialing(ctx context.Context, c *campaign.Campaign, party, permit contact.ID) (bool, error)
	Ended(ctx context.Context, id, party, permit contact.ID, o contact.Outcome) (campaign.Member, error)
	Barred(ctx context.Context, id, party, permit contact.ID, rule string) (campaign.Member, error)
	Release(ctx context.Context, id, party, permit contact.ID) (campaign.Member, error)
	Taken(ctx context.Context, id contact.ID) ([]campaign.Member, error)
}

// Gate says who may be called now.
type Gate interface {
	// Reserve asks for permits; it answers for every member.
	Reserve(ctx context.Context, c *campaign.Campaign, ms []campaign.Member) ([]campaign.Verdict, error)
	// Void gives a permit back.
	Void(ctx context.Context, permit contact.ID, reason string) error
	// Fate says what became of a permit, and the outcome when it is Over.
	Fate(ctx context.Context, permit contact.ID) (campaign.Fate, contact.Outcome, error)
}

// Placer makes one call with one permit, from the spending of the permit to
// the stored outcome. NotSent says that certainly nothing reached the customer.
type Placer interface {
	Call(ctx context.Context, c *campaign.Campaign, m campaign.Member) (contact.Outcome, error)
}

// Kind is what happened to a member.
type Kind string

// The kinds of event.
const (
	Decided Kind = "decided"
	Placed  Kind = "placed"
	Ended   Kind = "ended"
)

// Event is something a live board shows.
type Event struct {
	Kind     Kind
	Campaign contact.ID
	Party    contact.ID
	Permit   contact.ID
	Effect   campaign.Effect // of Decided
	Rule     string          // of Decided, when not allowed
	Outcome  contact.Outcome // of Ended
	At       time.Time
}

// Options tune a dialer; the zero value is what production uses.
type Options struct {
	Now    func() time.Time // the bank's clock; nil = the machine's
	Events func(Event)      // must not block; nil = nobody listens
	Log    *slog.Logger
	Tick   time.Duration // how often a campaign is looked at; 0 = 200 ms
}

// Dialer runs every running campaign. Only one may run on a database.
type Dialer struct {
	src    Source
	gate   Gate
	placer Placer
	o      Options

	mu    sync.Mutex
	loops map[contact.ID]bool
	wg    sync.WaitGroup // loops and calls
}

// New makes a dialer.
func New(src Source, gate Gate, placer Placer, o Options) *Dialer {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Events == nil {
		o.Events = func(Event) {}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Tick <= 0 {
		o.Tick = 200 * time.Millisecond
	}
	return &Dialer{src: src, gate: gate, placer: placer, o: o, loops: map[contact.ID]bool{}}
}

// Run recovers what a crash left behind, then dials until ctx ends. It returns
// when every call it started has ended; to cut those short, close the line
// they run on.
func (d *Dialer) Run(ctx context.Context) error {
	for {
		err := d.Recover(ctx)
		if err == nil {
			break
		}
		// Dialling on top of unknown attempts could call somebody twice.
		d.o.Log.Error("recovering the dialer", "error", err)
		if !sleep(ctx, time.Second) {
			return nil
		}
	}
	for {
		cs, err := d.src.Running(ctx)
		if err != nil && ctx.Err() == nil {
			d.o.Log.Error("reading running campaigns", "error", err)
		}
		for _, c := range cs {
			d.begin(ctx, c)
		}
		if !sleep(ctx, d.o.Tick) {
			d.wg.Wait()
			return nil
		}
	}
}

func sleep(ctx context.Context, t time.Duration) bool {
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}

func (d *Dialer) begin(ctx context.Context, c *campaign.Campaign) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.loops[c.ID] {
		return
	}
	d.loops[c.ID] = true
	d.wg.Go(func() {
		l := &loop{d: d, c: c, to: d.o.Log.With("campaign", c.ID), yield: 1, ended: make(chan struct{}, 1)}
		l.run(ctx)
		d.mu.Lock()
		delete(d.loops, c.ID)
		d.mu.Unlock()
	})
}

// Recover puts right the members that a dialer had taken when it stopped: who
// certainly was not called is due again, who was is moved on by the stored
// outcome, and who may have been is parked for a person. It must run before
// the first new call, and after outbound has recovered its attempts.
func (d *Dialer) Recover(ctx context.Context) error {
	cs, err := d.src.List(ctx)
	if err != nil {
		return err
	}
	for _, c := range cs {
		ms, err := d.src.Taken(ctx, c.ID)
		if err != nil {
			return err
		}
		for _, m := range ms {
			if err := d.recover(ctx, m); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *Dialer) recover(ctx context.Context, m campaign.Member) error {
	fate, outcome := campaign.Void, contact.Outcome("")
	if m.Permit != "" {
		var err error
		if fate, outcome, err = d.gate.Fate(ctx, m.Permit); err != nil {
			return err
		}
	}
	var err error
	switch fate {
	case campaign.Unspent:
		if err = d.gate.Void(ctx, m.Permit, "the dialer stopped before the call"); err == nil {
			_, err = d.src.Release(ctx, m.Campaign, m.Party, m.Permit)
		}
	case campaign.Void:
		_, err = d.src.Release(ctx, m.Campaign, m.Party, m.Permit)
	case campaign.Over:
		_, err = d.src.Ended(ctx, m.Campaign, m.Party, m.Permit, outcome)
	default:
		_, err = d.src.Ended(ctx, m.Campaign, m.Party, m.Permit, contact.Unknown)
	}
	return err
}

// Unmet is the code of a Placer's refusal of a call whose obligations its
// script cannot meet: asking again would not help.
const Unmet = "obligation_unmet"

// refusedBy gives the code of a refusal by the gate or the placer, or "".
func refusedBy(err error) string {
	var e *errs.Error
	if errors.As(err, &e) && e.Kind == errs.Refused {
		return e.Code
	}
	return ""
}
