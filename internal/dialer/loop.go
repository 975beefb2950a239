package dialer

import (
	"context"
	"log/slog"
	"time"

	"parley/internal/campaign"
	"parley/internal/contact"
)

// loop runs one campaign. Its fields belong to its goroutine, except calls,
// which count themselves down over ended.
type loop struct {
	d     *Dialer
	c     *campaign.Campaign // as last read; calls have their own, it is replaced under them
	to    *slog.Logger       // which campaign it is, said once
	pace  Pace
	brake Brake
	ready []ticket
	yield float64 // share of those asked about that was allowed, lately

	active  int
	ended   chan struct{}
	results results

	checked time.Time // when the campaign was last read
	counted time.Time // when what is left was last counted
	left    int
	empty   time.Time // when a claim last found nobody
}

// ticket is a member who may be called.
type ticket struct {
	m     campaign.Member
	until time.Time
}

// run works until the campaign stops running or ctx ends.
func (l *loop) run(ctx context.Context) {
	for {
		wait, over := l.step(ctx)
		if over || ctx.Err() != nil {
			break
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-l.ended:
		}
		timer.Stop()
		l.collect()
	}
	l.giveBack(context.WithoutCancel(ctx), "the campaign stopped")
}

// collect takes over how calls ended.
func (l *loop) collect() {
	sent, failed := l.results.take()
	l.active -= sent + failed
	if sent > 0 {
		l.brake.Fine()
	} else {
		for range failed {
			l.brake.Failed(time.Now())
		}
	}
}

// step does what is to be done now and gives how long to wait for more.
func (l *loop) step(ctx context.Context) (wait time.Duration, over bool) {
	tick := l.d.o.Tick
	if !l.refresh(ctx) {
		return 0, true
	}
	now := l.d.o.Now()
	if !l.c.Open(now) {
		l.giveBack(ctx, "outside the campaign's hours")
		if l.c.Over(now) && l.active == 0 {
			l.finish(ctx)
		}
		return tick, false
	}
	l.drop(ctx, now)
	l.pace.Rate = Rate(l.c.CPS, l.c.Spread, l.left, l.c.OpenLeft(now))
	if n := Batch(l.pace.Rate, l.c.Concurrency-l.active, len(l.ready), l.yield); n > 0 && time.Since(l.empty) >= min(time.Second, 5*tick) {
		l.ask(ctx, n)
	}
	if len(l.ready) == 0 || l.active >= l.c.Concurrency {
		return tick, false
	}
	if wait := max(l.pace.Wait(time.Now()), l.brake.Wait(time.Now())); wait > 0 {
		return min(wait, tick), false
	}
	l.pace.Took(time.Now())
	next := l.ready[0]
	l.ready = l.ready[1:]
	l.place(ctx, next.m)
	return 0, false
}

// refresh reads the campaign again every tick; it reports false when it no
// longer runs.
func (l *loop) refresh(ctx context.Context) bool {
	if time.Since(l.checked) < l.d.o.Tick {
		return true
	}
	c, err := l.d.src.Get(ctx, l.c.ID)
	if err != nil { // no new call while we cannot know that it still runs
		l.log(ctx, "reading the campaign", err)
		l.giveBack(context.WithoutCancel(ctx), "the campaign could not be read")
		return false
	}
	if c.State != campaign.Running {
		return false
	}
	if c.Version != l.c.Version { // those permits were asked for another script or schedule
		l.giveBack(ctx, "the campaign has changed")
	}
	l.c, l.checked = c, time.Now()
	if c.Spread && time.Since(l.counted) >= 10*time.Second {
		if p, err := l.d.src.Progress(ctx, c.ID); err == nil {
			l.left, l.counted = p.Left(), time.Now()
		}
	}
	return true
}

// drop gives back those whose permit is about to run out.
func (l *loop) drop(ctx context.Context, now time.Time) {
	keep := l.ready[:0]
	for _, t := range l.ready {
		if t.until.IsZero() || t.until.After(now.Add(time.Second)) {
			keep = append(keep, t)
		} else {
			l.release(ctx, t.m, "it waited too long")
		}
	}
	l.ready = keep
}

// ask takes members that are due and asks the gate about them.
func (l *loop) ask(ctx context.Context, n int) {
	ms, err := l.d.src.Claim(ctx, l.c.ID, n)
	if err != nil {
		l.log(ctx, "taking members", err)
		l.empty = time.Now()
		return
	}
	if len(ms) == 0 {
		l.empty = time.Now()
		if l.active == 0 && len(l.ready) == 0 {
			if idle, err := l.d.src.Idle(ctx, l.c.ID); err == nil && idle {
				l.finish(ctx)
			}
		}
		return
	}
	vs, err := l.d.gate.Reserve(ctx, l.c, ms)
	if err == nil {
		err = l.d.src.Decided(ctx, l.c.ID, vs)
	}
	if err != nil {
		l.log(ctx, "asking the gate", err)
		l.empty = time.Now()
		l.undo(context.WithoutCancel(ctx), ms, vs)
		return
	}
	l.decided(ms, vs)
}

// undo gives back members whose verdicts could not be had or kept.
func (l *loop) undo(ctx context.Context, ms []campaign.Member, vs []campaign.Verdict) {
	for _, v := range vs {
		if v.Effect == campaign.Allow {
			if err := l.d.gate.Void(ctx, v.ID, "the decision could not be kept"); err != nil {
				l.log(ctx, "voiding a permit", err) // it will expire
			}
		}
	}
	for _, m := range ms {
		if _, err := l.d.src.Release(ctx, m.Campaign, m.Party, m.Permit); err != nil {
			l.log(ctx, "giving a member back", err) // the next Recover will
		}
	}
}

func (l *loop) decided(ms []campaign.Member, vs []campaign.Verdict) {
	byParty := make(map[contact.ID]campaign.Member, len(ms))
	for _, m := range ms {
		byParty[m.Party] = m
	}
	allowed := 0
	for _, v := range vs {
		l.d.o.Events(Event{Kind: Decided, Campaign: l.c.ID, Party: v.Party, Permit: v.ID, Effect: v.Effect, Rule: v.Rule, At: l.d.o.Now()})
		if v.Effect == campaign.Allow {
			allowed++
			m := byParty[v.Party]
			m.Permit = v.ID
			l.ready = append(l.ready, ticket{m: m, until: v.Until})
		}
	}
	l.yield = 0.5*l.yield + 0.5*float64(allowed)/float64(len(ms))
}

// giveBack voids the permits that wait and makes their members due again.
func (l *loop) giveBack(ctx context.Context, why string) {
	for _, t := range l.ready {
		l.release(ctx, t.m, why)
	}
	l.ready = nil
}

func (l *loop) release(ctx context.Context, m campaign.Member, why string) {
	if err := l.d.gate.Void(ctx, m.Permit, why); err != nil && refusedBy(err) == "" {
		l.log(ctx, "voiding a permit", err) // it will expire
	}
	if _, err := l.d.src.Release(ctx, m.Campaign, m.Party, m.Permit); err != nil {
		l.log(ctx, "giving a member back", err)
	}
}

// place starts a call. The call outlives a stop of the loop: a conversation is
// not cut off because a campaign pauses.
func (l *loop) place(ctx context.Context, m campaign.Member) {
	l.active++
	c := l.c
	ctx = context.WithoutCancel(ctx)
	l.d.wg.Go(func() {
		l.results.add(l.call(ctx, c, m))
		select {
		case l.ended <- struct{}{}:
		default:
		}
	})
}

// call makes one call and reports whether something left the bank.
func (l *loop) call(ctx context.Context, c *campaign.Campaign, m campaign.Member) bool {
	ok, err := l.d.src.Dialing(ctx, c, m.Party, m.Permit)
	if err != nil || !ok {
		if err != nil {
			l.log(ctx, "marking a member as on the wire", err)
		}
		l.release(ctx, m, "the campaign stopped")
		return err == nil
	}
	l.d.o.Events(Event{Kind: Placed, Campaign: c.ID, Party: m.Party, Permit: m.Permit, At: l.d.o.Now()})
	outcome, err := l.d.placer.Call(ctx, c, m)
	if outcome == "" {
		outcome = contact.Unknown
	}
	if err != nil {
		l.log(ctx, "calling", err)
	}
	l.settle(ctx, m, outcome, err)
	l.d.o.Events(Event{Kind: Ended, Campaign: c.ID, Party: m.Party, Permit: m.Permit, Outcome: outcome, At: l.d.o.Now()})
	return outcome != contact.NotSent || refusedBy(err) != ""
}

// settle moves the member on. If it cannot be stored now, Recover will find
// the outcome with the attempt.
func (l *loop) settle(ctx context.Context, m campaign.Member, o contact.Outcome, callErr error) {
	for try := range 5 {
		var err error
		if o == contact.NotSent && refusedBy(callErr) == Unmet {
			_, err = l.d.src.Barred(ctx, m.Campaign, m.Party, m.Permit, Unmet)
		} else {
			_, err = l.d.src.Ended(ctx, m.Campaign, m.Party, m.Permit, o)
		}
		if err == nil {
			return
		}
		l.log(ctx, "storing how a call ended", err)
		sleep(ctx, 200*time.Millisecond<<try)
	}
}

func (l *loop) finish(ctx context.Context) {
	if _, err := l.d.src.Finish(ctx, l.c.ID, "dialer"); err != nil {
		l.log(ctx, "finishing the campaign", err)
	}
	l.checked = time.Time{}
}

func (l *loop) log(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		l.to.Warn(what, "error", err)
	}
}
