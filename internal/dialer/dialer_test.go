package dialer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/campaign"
	"parley/internal/contact"
	"parley/internal/errs"
)

// world is a campaign with its members in memory, a gate and a line, so that
// the loop's timing can be watched in virtual time.
type world struct {
	mu      sync.Mutex
	c       campaign.Campaign
	members map[contact.ID]*campaign.Member
	permits map[contact.ID]string // reserved, voided, spent, ended
	seq     int
	answers map[contact.ID]campaign.Verdict // by party; others are allowed
	talk    time.Duration
	outcome contact.Outcome
	callErr error

	started  []time.Time
	calls    map[contact.ID]int
	active   int
	most     int
	finished bool
}

func newWorld(n int) *world {
	w := &world{members: map[contact.ID]*campaign.Member{}, permits: map[contact.ID]string{}, answers: map[contact.ID]campaign.Verdict{},
		calls: map[contact.ID]int{}, talk: 10 * time.Second, outcome: contact.Effective}
	w.c = campaign.Campaign{ID: "c", State: campaign.Running, Version: 1, Terms: campaign.Terms{Zone: "UTC", MaxAttempts: 3,
		Concurrency: 5, CPS: 2, RetryAfter: map[contact.Outcome]time.Duration{contact.NoAnswer: time.Hour}}}
	for i := range n {
		id := fmt.Sprintf("p%03d", i)
		w.members[id] = &campaign.Member{Campaign: "c", Party: id, Point: id, State: campaign.New}
	}
	return w
}

func (w *world) lock() func() { w.mu.Lock(); return w.mu.Unlock }

func (w *world) set(s campaign.State) { defer w.lock()(); w.c.State = s }

func (w *world) List(context.Context) ([]*campaign.Campaign, error) {
	defer w.lock()()
	c := w.c
	return []*campaign.Campaign{&c}, nil
}

func (w *world) Running(ctx context.Context) ([]*campaign.Campaign, error) {
	cs, _ := w.List(ctx)
	return slices.DeleteFunc(cs, func(c *campaign.Campaign) bool { return c.State != campaign.Running }), nil
}

func (w *world) Get(ctx context.Context, _ contact.ID) (*campaign.Campaign, error) {
	cs, _ := w.List(ctx)
	return cs[0], nil
}

func (w *world) Progress(context.Context, contact.ID) (*campaign.Progress, error) {
	defer w.lock()()
	p := &campaign.Progress{ByState: map[campaign.MemberState]int{}}
	for _, m := range w.members {
		p.ByState[m.State]++
	}
	return p, nil
}

func (w *world) Idle(ctx context.Context, id contact.ID) (bool, error) {
	p, _ := w.Progress(ctx, id)
	return p.Left() == 0, nil
}

func (w *world) Finish(context.Context, contact.ID, string) (*campaign.Campaign, error) {
	defer w.lock()()
	w.c.State, w.finished = campaign.Done, true
	return &w.c, nil
}

func (w *world) Claim(_ context.Context, _ contact.ID, n int) ([]campaign.Member, error) {
	defer w.lock()()
	var out []campaign.Member
	for _, id := range slices.Sorted(mapsKeys(w.members)) {
		m := w.members[id]
		open := m.State == campaign.New || m.State == campaign.Due || m.State == campaign.Waiting
		if w.c.State == campaign.Running && len(out) < n && open && m.DueAt <= time.Now().UnixMicro() {
			m.State, m.Permit = campaign.Reserved, ""
			out = append(out, *m)
		}
	}
	return out, nil
}

func mapsKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func (w *world) Decided(_ context.Context, _ contact.ID, vs []campaign.Verdict) error {
	defer w.lock()()
	for _, v := range vs {
		m := w.members[v.Party]
		m.Permit, m.Rule = v.ID, v.Rule
		switch v.Effect {
		case campaign.Later:
			m.State, m.DueAt = campaign.Waiting, v.At.UnixMicro()
		case campaign.Deny:
			m.State = campaign.Denied
		}
	}
	return nil
}

func (w *world) Dialing(_ context.Context, c *campaign.Campaign, party, permit contact.ID) (bool, error) {
	defer w.lock()()
	m := w.members[party]
	if w.c.State != campaign.Running || w.c.Version != c.Version || m.State != campaign.Reserved || m.Permit != permit {
		return false, nil
	}
	m.State = campaign.Dialing
	return true, nil
}

func (w *world) move(party, permit contact.ID, fn func(campaign.Member) campaign.Member) (campaign.Member, error) {
	defer w.lock()()
	m := w.members[party]
	if m.Permit == permit && (m.State == campaign.Reserved || m.State == campaign.Dialing) {
		*m = fn(*m)
	}
	return *m, nil
}

func (w *world) Ended(_ context.Context, _, party, permit contact.ID, o contact.Outcome) (campaign.Member, error) {
	return w.move(party, permit, func(m campaign.Member) campaign.Member { return w.c.After(m, o, time.Now()) })
}

func (w *world) Barred(_ context.Context, _, party, permit contact.ID, rule string) (campaign.Member, error) {
	return w.move(party, permit, func(m campaign.Member) campaign.Member {
		m.State, m.Rule = campaign.Denied, rule
		return m
	})
}

func (w *world) Release(_ context.Context, _, party, permit contact.ID) (campaign.Member, error) {
	return w.move(party, permit, func(m campaign.Member) campaign.Member {
		m.State, m.DueAt, m.Permit = campaign.Due, time.Now().UnixMicro(), ""
		return m
	})
}

func (w *world) Taken(context.Context, contact.ID) ([]campaign.Member, error) {
	defer w.lock()()
	var out []campaign.Member
	for _, m := range w.members {
		if m.State == campaign.Reserved || m.State == campaign.Dialing {
			out = append(out, *m)
		}
	}
	return out, nil
}

func (w *world) Reserve(_ context.Context, _ *campaign.Campaign, ms []campaign.Member) ([]campaign.Verdict, error) {
	defer w.lock()()
	var out []campaign.Verdict
	for _, m := range ms {
		w.seq++
		v, ok := w.answers[m.Party]
		if !ok || v.Effect == campaign.Later && !time.Now().Before(v.At) {
			v = campaign.Verdict{Effect: campaign.Allow, Until: time.Now().Add(time.Minute)}
		}
		v.Party, v.ID = m.Party, fmt.Sprintf("d%d", w.seq)
		if v.Effect == campaign.Allow {
			w.permits[v.ID] = "reserved"
		}
		out = append(out, v)
	}
	return out, nil
}

func (w *world) Void(_ context.Context, permit contact.ID, _ string) error {
	defer w.lock()()
	if w.permits[permit] == "reserved" {
		w.permits[permit] = "voided"
	}
	return nil
}

func (w *world) Fate(_ context.Context, permit contact.ID) (campaign.Fate, contact.Outcome, error) {
	defer w.lock()()
	switch w.permits[permit] {
	case "reserved":
		return campaign.Unspent, "", nil
	case "spent":
		return campaign.OnWire, "", nil
	case "ended":
		return campaign.Over, w.outcome, nil
	}
	return campaign.Void, "", nil
}

func (w *world) Call(_ context.Context, _ *campaign.Campaign, m campaign.Member) (contact.Outcome, error) {
	w.mu.Lock()
	if w.callErr != nil {
		defer w.mu.Unlock()
		w.started = append(w.started, time.Now())
		return contact.NotSent, w.callErr
	}
	w.permits[m.Permit] = "spent"
	w.started = append(w.started, time.Now())
	w.calls[m.Party]++
	w.active++
	w.most = max(w.most, w.active)
	talk, o := w.talk, w.outcome
	w.mu.Unlock()
	time.Sleep(talk)
	defer w.lock()()
	w.active--
	w.permits[m.Permit] = "ended"
	return o, nil
}

func (w *world) count(s string) (n int) {
	defer w.lock()()
	for _, st := range w.permits {
		if st == s {
			n++
		}
	}
	return n
}

func (w *world) in(s campaign.MemberState) (n int) {
	defer w.lock()()
	for _, m := range w.members {
		if m.State == s {
			n++
		}
	}
	return n
}

// start runs a dialer on w until the test's end or stop is called.
func start(w *world) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = New(w, w, w, Options{Log: slog.New(slog.DiscardHandler)}).Run(ctx)
	}()
	return func() { w.lock()(); cancel(); <-done }
}

// pass lets virtual time go by until everything waits again.
// What the test has read so far comes before whatever the world does then.
func (w *world) pass(d time.Duration) {
	w.lock()()
	time.Sleep(d)
	synctest.Wait()
}

func TestCallsKeepPaceAndLines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(40)
		stop := start(w)
		w.pass(3 * time.Minute)
		stop()
		if len(w.started) != 40 || !w.finished || w.in(campaign.Finished) != 40 {
			t.Fatalf("%d calls, finished %v", len(w.started), w.finished)
		}
		if w.most != 5 { // 2 a second of 10 s each would want 20 lines
			t.Errorf("%d calls at once, 5 lines", w.most)
		}
		for i := 1; i < len(w.started); i++ {
			if gap := w.started[i].Sub(w.started[i-1]); gap < 500*time.Millisecond-slack {
				t.Errorf("calls %v apart at 2 a second", gap)
			}
		}
		if n := w.count("reserved"); n > 0 {
			t.Errorf("%d permits left", n)
		}
	})
}

// No new call more than a second after the pause; those under way finish;
// permits that were not used are void, and their members are called after the
// campaign goes on.
func TestPauseStopsWithinASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(100)
		w.c.CPS, w.c.Concurrency = 20, 50
		stop := start(w)
		defer stop()
		w.pass(2 * time.Second)
		w.set(campaign.Paused)
		paused := time.Now()
		w.pass(time.Second)
		if n := w.count("reserved"); n > 0 {
			t.Errorf("%d permits are still open a second after the pause", n)
		}
		w.pass(time.Minute)
		for _, at := range w.started {
			if at.After(paused) {
				t.Fatalf("a call started %v after the pause", at.Sub(paused))
			}
		}
		if w.active > 0 || w.in(campaign.Finished) != len(w.started) {
			t.Fatalf("calls under way were not finished: %d active, %d done of %d", w.active, w.in(campaign.Finished), len(w.started))
		}
		w.set(campaign.Running)
		w.pass(time.Minute)
		if w.in(campaign.Finished) != 100 {
			t.Fatalf("%d done after it went on", w.in(campaign.Finished))
		}
		for p, n := range w.calls {
			if n != 1 {
				t.Errorf("%s was called %d times", p, n)
			}
		}
	})
}

// What a rule postpones is called at its instant; what a rule denies is not.
func TestLaterAndDenied(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(3)
		at := time.Now().Add(30 * time.Minute)
		w.answers["p001"] = campaign.Verdict{Effect: campaign.Later, At: at, Rule: "CN-HOURS-COL"}
		w.answers["p002"] = campaign.Verdict{Effect: campaign.Deny, Rule: "CN-DNC-01"}
		stop := start(w)
		defer stop()
		w.pass(29 * time.Minute)
		if w.calls["p001"] != 0 || w.calls["p000"] != 1 {
			t.Fatalf("calls %v", w.calls)
		}
		w.pass(2 * time.Minute)
		if w.calls["p001"] != 1 || w.calls["p002"] != 0 || w.members["p002"].Rule != "CN-DNC-01" || !w.finished {
			t.Fatalf("calls %v, finished %v", w.calls, w.finished)
		}
		if last := w.started[len(w.started)-1]; last.Before(at) || last.After(at.Add(2*time.Second)) {
			t.Fatalf("called at %v, permitted from %v", last, at)
		}
	})
}

func TestRetriesByOutcomeAndCap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.outcome = contact.NoAnswer
		stop := start(w)
		defer stop()
		w.pass(5 * time.Hour)
		if w.calls["p000"] != 3 || !w.finished {
			t.Fatalf("called %d times with a cap of 3", w.calls["p000"])
		}
		for i := 1; i < 3; i++ {
			if gap := w.started[i].Sub(w.started[i-1]); gap < time.Hour {
				t.Errorf("tried again after %v", gap)
			}
		}
	})
}

// A trunk that is down is not hammered, and nobody is lost by it.
func TestDeadLineIsSpared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(200)
		w.c.CPS, w.c.Concurrency = 50, 50
		w.callErr = errors.New("the trunk cannot be reached")
		stop := start(w)
		defer stop()
		w.pass(time.Minute)
		if n := len(w.started); n > 20 {
			t.Fatalf("%d tries in a minute against a dead line", n)
		}
		w.mu.Lock()
		w.callErr = nil
		w.mu.Unlock()
		w.pass(2 * time.Hour)
		if w.in(campaign.Finished) != 200 {
			t.Fatalf("%d done after the line came back", w.in(campaign.Finished))
		}
	})
}

// A script that cannot meet an obligation is not asked about again.
func TestUnmetObligationEndsTheMember(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.callErr = errs.New(errs.Refused, Unmet, "x", "x")
		stop := start(w)
		defer stop()
		w.pass(time.Hour)
		if len(w.started) != 1 || w.in(campaign.Denied) != 1 {
			t.Fatalf("%d tries, %d denied", len(w.started), w.in(campaign.Denied))
		}
	})
}

// Outside the chosen hours nothing is reserved and nothing is called.
func TestHoursOfTheCampaign(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // the bubble's clock starts at midnight UTC
		w := newWorld(3)
		w.c.Hours = []contact.Hours{{From: 9 * 60, To: 10 * 60}}
		stop := start(w)
		defer stop()
		w.pass(9*time.Hour - time.Minute)
		if len(w.started) > 0 || w.seq > 0 {
			t.Fatal("asked or called before nine")
		}
		w.pass(2 * time.Minute)
		if len(w.started) != 3 {
			t.Fatalf("%d calls after nine", len(w.started))
		}
	})
}

func TestSpreadOverTheHours(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(600)
		w.c.Hours, w.c.Spread, w.c.CPS, w.c.Concurrency = []contact.Hours{{From: 0, To: 120}}, true, 50, 50
		stop := start(w)
		defer stop()
		w.pass(time.Hour)
		if n := len(w.started); n < 250 || n > 400 {
			t.Errorf("%d of 600 calls in the first of two hours", n)
		}
		w.pass(time.Hour)
		if n := len(w.started); n != 600 {
			t.Errorf("%d of 600 calls in two hours", n)
		}
	})
}

// Whatever the dialer had taken when it stopped, nobody is called twice.
func TestRecoverMovesEveryMemberOn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		state  campaign.MemberState
		permit string // state of the permit, "" = none was had
		want   campaign.MemberState
	}{
		"taken, not asked":       {campaign.Reserved, "", campaign.Due},
		"asked, not called":      {campaign.Reserved, "reserved", campaign.Due},
		"permit ran out":         {campaign.Reserved, "voided", campaign.Due},
		"marked, permit unspent": {campaign.Dialing, "reserved", campaign.Due},
		"marked, permit void":    {campaign.Dialing, "voided", campaign.Due},
		"on the wire":            {campaign.Dialing, "spent", campaign.Parked},
		"ended, not stored":      {campaign.Dialing, "ended", campaign.Finished},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(1)
			m := w.members["p000"]
			m.State = c.state
			if c.permit != "" {
				m.Permit, w.permits["x"] = "x", c.permit
			}
			if err := New(w, w, w, Options{}).Recover(t.Context()); err != nil {
				t.Fatal(err)
			}
			if m.State != c.want || w.permits["x"] == "reserved" {
				t.Fatalf("member is %s, want %s; permit %s", m.State, c.want, w.permits["x"])
			}
		})
	}
}
