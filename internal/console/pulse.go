package console

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/campaign"
	"parley/internal/complaint"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/gate"
	"parley/internal/httpx"
	"parley/internal/ledger"
	"parley/internal/outbound"
)

// tally is what a board shows of one campaign, or of all, at one instant.
type tally struct {
	at     time.Time
	gate   gate.Counts
	calls  outbound.Counts
	live   int64           // on the wire at this instant
	today  outbound.Counts // since midnight
	before outbound.Counts // of yesterday, up to the same time of day
}

// reading is one look at everything a board shows.
type reading struct {
	seq       int64
	at        time.Time
	of        map[contact.ID][]tally // "" = all campaigns; oldest first
	campaigns []*campaign.Campaign
	progress  map[contact.ID]*campaign.Progress
	cases     complaint.Counts
	ledger    ledger.Stats
	live      map[contact.ID]int64 // calls on the wire, by campaign
}

// last gives the newest tally of a campaign.
func (r *reading) last(id contact.ID) tally {
	if h := r.of[id]; len(h) > 0 {
		return h[len(h)-1]
	}
	return tally{}
}

// How often the pulse is taken, how much of it is kept, and how much of the
// machine it may take: a look that takes long is taken less often.
const (
	pulseEvery = time.Second
	pulseKeep  = 600
	pulseShare = 20
)

// pulse takes the readings that all boards share, so that a hundred open
// boards cost what one costs.
type pulse struct {
	c    *Console
	mu   sync.Mutex // held while looking
	next time.Time  // not before
	now  *reading

	last atomic.Pointer[reading] // now, for those who do not wait for a look

	before map[contact.ID]passed // guarded by mu
}

// known gives the newest reading there is without taking one; pages that show
// figures beside other things use it.
func (p *pulse) known() *reading {
	if r := p.last.Load(); r != nil {
		return r
	}
	return &reading{}
}

func newPulse(c *Console) *pulse {
	return &pulse{c: c, now: &reading{}, before: map[contact.ID]passed{}}
}

func (p *pulse) run(ctx context.Context) error {
	t := time.NewTicker(pulseEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			if _, err := p.read(ctx); err != nil && ctx.Err() == nil {
				c := p.c
				if c.House.Log != nil {
					c.House.Log.Error("board", "error", err)
				}
			}
		}
	}
}

// read gives the newest reading, taking one when the last is old enough. Whoever
// comes while somebody looks gets the last one and does not wait.
func (p *pulse) read(ctx context.Context) (*reading, error) {
	if r := p.last.Load(); r != nil && !p.mu.TryLock() {
		return r, nil
	} else if r == nil {
		p.mu.Lock()
	}
	defer p.mu.Unlock()
	start := time.Now()
	if start.Before(p.next) {
		return p.now, nil
	}
	r, err := p.look(ctx)
	if err != nil {
		return p.now, err
	}
	p.now = r
	p.last.Store(r)
	p.next = start.Add(max(pulseEvery*9/10, pulseShare*time.Since(start)))
	return r, nil
}

func (p *pulse) look(ctx context.Context) (*reading, error) {
	c := p.c
	r := &reading{seq: p.now.seq + 1, at: c.DB.Now(), of: map[contact.ID][]tally{}, progress: map[contact.ID]*campaign.Progress{}}
	var err error
	if r.campaigns, err = p.shown(ctx); err != nil {
		return nil, err
	}
	if r.cases, err = c.Complaints.Count(ctx); err != nil {
		return nil, err
	}
	if r.ledger, err = c.Ledger.Stats(ctx); err != nil {
		return nil, err
	}
	if err := c.DB.Read(ctx, func(tx *db.Tx) error {
		r.live, err = c.Sender.Live(ctx, tx)
		return err
	}); err != nil {
		return nil, err
	}
	ids := []contact.ID{""}
	for _, m := range r.campaigns {
		ids = append(ids, m.ID)
	}
	for _, id := range ids {
		old := p.now.of[id]
		// What is over does not change any more.
		if id != "" && len(old) > 1 && p.over(r, id) {
			r.of[id], r.progress[id] = old, p.now.progress[id]
			continue
		}
		t, err := p.tally(ctx, id, r)
		if err != nil {
			return nil, err
		}
		// A new slice each time: pages still read the old one.
		r.of[id] = append(old[max(0, len(old)-pulseKeep+1):len(old):len(old)], t)
		if id != "" {
			if r.progress[id], err = c.Campaigns.Progress(ctx, id); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

// How many campaigns a board shows, the newest first: of those that are going
// on, and of those that are over or have not begun.
const (
	shownGoing = 100
	shownElse  = 20
)

// shown gives the campaigns that a board shows, the oldest first. A bank has
// had thousands; a board that listed them all would cost more every year.
func (p *pulse) shown(ctx context.Context) ([]*campaign.Campaign, error) {
	var all []*campaign.Campaign
	for _, of := range []struct {
		state campaign.State
		most  int
	}{{campaign.Running, shownGoing}, {campaign.Paused, shownGoing}, {campaign.Approved, shownElse}, {campaign.Done, shownElse}} {
		list, err := p.c.Campaigns.Slice(ctx, of.state, false, db.Span{N: of.most - 1})
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	slices.SortFunc(all, func(a, b *campaign.Campaign) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// with gives the reading with a campaign in it that no board of all shows any more.
func (p *pulse) with(ctx context.Context, r *reading, id contact.ID) (*reading, error) {
	if id == "" || r.progress[id] != nil {
		return r, nil
	}
	m, err := p.c.Campaigns.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	one := *r
	one.campaigns = []*campaign.Campaign{m}
	one.of, one.progress = map[contact.ID][]tally{}, map[contact.ID]*campaign.Progress{}
	if one.progress[id], err = p.c.Campaigns.Progress(ctx, id); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t, err := p.tally(ctx, id, r)
	delete(p.before, id)
	one.of[id] = []tally{t}
	return &one, err
}

func (p *pulse) over(r *reading, id contact.ID) bool {
	for _, m := range r.campaigns {
		if m.ID == id {
			return m.State == campaign.Done
		}
	}
	return true
}

func (p *pulse) tally(ctx context.Context, id contact.ID, r *reading) (t tally, err error) {
	t.at, t.live = r.at, r.live[id]
	if id == "" {
		t.live = 0
		for _, n := range r.live {
			t.live += n
		}
	}
	if id == "" {
		t.gate, err = p.c.Gate.Counts(ctx)
	} else {
		t.gate, err = p.c.Gate.CampaignCounts(ctx, id)
	}
	if err != nil {
		return t, err
	}
	err = p.c.DB.Read(ctx, func(tx *db.Tx) error { return p.count(ctx, tx, id, &t) })
	return t, err
}

// passed is what came of yesterday's attempts up to the same time of day, which
// is looked at once a minute.
type passed struct {
	minute int64
	calls  outbound.Counts
}

// count fills in a tally's calls.
func (p *pulse) count(ctx context.Context, tx *db.Tx, id contact.ID, t *tally) (err error) {
	if t.calls, err = p.c.Sender.Counts(ctx, tx, id); err != nil {
		return err
	}
	midnight := p.midnight(t.at)
	if t.today, err = p.c.Sender.CountsBetween(ctx, tx, id, contact.IDFrom(midnight), endOfIDs); err != nil {
		return err
	}
	now := t.at.Unix() / 60
	if p.before[id].minute != now {
		c, err := p.c.Sender.CountsBetween(ctx, tx, id, contact.IDFrom(midnight.AddDate(0, 0, -1)), contact.IDFrom(t.at.AddDate(0, 0, -1)))
		if err != nil {
			return err
		}
		p.before[id] = passed{now, c}
	}
	t.before = p.before[id].calls
	return nil
}

// endOfIDs is a key after every id.
const endOfIDs = "g"

func (p *pulse) midnight(at time.Time) time.Time {
	zone := p.c.House.Zone
	if zone == nil {
		zone = httpx.Shanghai()
	}
	y, m, d := at.In(zone).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, zone)
}
