// Package screen shows what would come of a campaign before it runs: how many
// of its list may be called now, later or never, and by which rule, as the gate
// says without reserving anything. A long list is screened in the background;
// the work can be left, found again and stopped.
package screen

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"parley/internal/campaign"
	"parley/internal/console/frame"
	"parley/internal/contact"
	"parley/internal/errs"
	"parley/internal/policy"
)

// Deps are the rooms behind a screening.
type Deps struct {
	Frame     *frame.Frame
	Campaigns *campaign.Store
	Now       func() time.Time // the bank's clock
	// Ask gives the gate's verdict about people, reserving and storing nothing.
	Ask func(ctx context.Context, c *campaign.Campaign, people []campaign.Contact) ([]policy.Verdict, error)
	// Rule names a rule in the reader's language.
	Rule func(ctx context.Context, id string) string
	// Names gives people's names as the reader may see them.
	Names func(ctx context.Context, ids []contact.ID) (map[contact.ID]string, error)
}

// Room keeps the screenings of this process.
type Room struct {
	Deps
	mu   sync.Mutex
	jobs map[string]*job
	last []string // ids, the newest last
}

// New makes the room.
func New(d Deps) *Room { return &Room{Deps: d, jobs: map[string]*job{}} }

const (
	// kept is how many screenings are remembered.
	kept = 32
	// chunk is how many people are asked about at a time.
	chunk = 2000
	// patience is how long a page waits for a short list.
	patience = 400 * time.Millisecond
	// stale is how old a finished screening may be before it is made anew: what
	// may be called now changes with the hour.
	stale = 10 * time.Minute
)

// job is one screening, running or done.
type job struct {
	id, campaign, by string
	terms            campaign.Terms
	total            int
	stop             context.CancelFunc
	over             chan struct{}

	mu      sync.Mutex
	began   time.Time // by the bank's clock: what was judged is as of then
	started time.Time // by the machine's, for the rate
	took    time.Duration
	result  *result
	stopped bool
	failed  error
}

// key names a screening by what it is about: the same terms over the same list
// are the same work, whoever asks.
func key(c *campaign.Campaign) string {
	raw, err := json.Marshal(struct {
		ID    string
		Terms campaign.Terms
		List  string
	}{c.ID, c.Terms, c.List})
	if err != nil {
		return c.ID // terms are strings, numbers and maps of them
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}

// start begins a screening of a campaign under terms, or finds the one there is.
// The asker's other screenings of the campaign are stopped: they were about
// terms that have changed since.
func (m *Room) start(c *campaign.Campaign, by string, anew bool) *job {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := key(c)
	if j := m.jobs[id]; j != nil && !anew && !j.isStale(time.Now()) {
		return j
	}
	for _, j := range m.jobs {
		if j.campaign == c.ID && (j.by == by || j.id == id) {
			j.cancel()
		}
	}
	// It must outlast the page that asked for it.
	ctx, stop := context.WithCancel(context.Background())
	j := &job{id: id, campaign: c.ID, by: by, terms: c.Terms, total: c.Members, stop: stop, over: make(chan struct{}),
		began: m.Now(), started: time.Now(), result: newResult()}
	m.jobs[id] = j
	m.last = append(m.last, id)
	for len(m.last) > kept {
		if old := m.jobs[m.last[0]]; old != nil && old != j {
			old.cancel()
			delete(m.jobs, m.last[0])
		}
		m.last = m.last[1:]
	}
	go m.run(ctx, j, *c)
	return j
}

func (j *job) isStale(now time.Time) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.took > 0 && (j.stopped || j.failed != nil || now.Sub(j.started) > stale)
}

// cancel stops a screening; one that is over stays as it is.
func (j *job) cancel() {
	j.mu.Lock()
	if j.took == 0 {
		j.stopped = true
	}
	j.mu.Unlock()
	j.stop()
}

func (m *Room) run(ctx context.Context, j *job, c campaign.Campaign) {
	defer j.stop()
	defer close(j.over)
	err := m.walk(ctx, j, &c)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.took = max(1, time.Since(j.started))
	if err != nil && !errors.Is(err, context.Canceled) {
		j.failed = err
	}
}

func (m *Room) walk(ctx context.Context, j *job, c *campaign.Campaign) error {
	after := contact.ID("")
	for {
		ms, err := m.Campaigns.Page(ctx, c.ID, "", after, chunk)
		if err != nil || len(ms) == 0 {
			return err
		}
		after = ms[len(ms)-1].Party
		people := make([]campaign.Contact, 0, len(ms))
		var open []campaign.Member
		for _, x := range ms {
			if x.State != campaign.Finished {
				people = append(people, campaign.Contact{Party: x.Party, Point: x.Point})
				open = append(open, x)
			}
		}
		vs, err := m.Ask(ctx, c, people)
		if err != nil {
			return err
		}
		j.mu.Lock()
		j.result.Done += len(ms)
		j.result.Over += len(ms) - len(open)
		for i := range open {
			j.result.add(&open[i], judge(&c.Terms, &open[i], vs[i], j.began))
		}
		j.mu.Unlock()
	}
}

// view is a screening as it stands.
type view struct {
	result
	id, campaign string
	terms        campaign.Terms
	total        int
	began        time.Time
	running      bool
	stopped      bool
	failed       error
	rate         float64       // people a second
	left         time.Duration // 0 = not known
	names        map[contact.ID]string
}

func (m *Room) look(ctx context.Context, j *job) (*view, error) {
	j.mu.Lock()
	v := &view{result: j.result.clone(), id: j.id, campaign: j.campaign, terms: j.terms, total: j.total, began: j.began,
		running: j.took == 0 && !j.stopped, stopped: j.stopped, failed: j.failed}
	took := j.took
	if took == 0 {
		took = time.Since(j.started)
	}
	j.mu.Unlock()
	if took > 0 {
		v.rate = float64(v.Done) / took.Seconds()
	}
	if v.running && v.rate > 0 {
		v.left = time.Duration(float64(v.total-v.Done) / v.rate * float64(time.Second))
	}
	var err error
	v.names, err = m.Names(ctx, v.people())
	return v, err
}

// Serve answers with the screening of a campaign under terms; anew makes it
// again though it is known.
func (m *Room) Serve(w http.ResponseWriter, r *http.Request, c *campaign.Campaign, anew bool) error {
	j := m.start(c, frame.Who(r.Context()).ID, anew)
	select {
	case <-j.over:
	case <-time.After(patience):
	case <-r.Context().Done():
		return nil
	}
	return m.answer(w, r, j, c.Name)
}

// Again answers with a screening that was begun before.
func (m *Room) Again(w http.ResponseWriter, r *http.Request) error {
	j, err := m.find(r)
	if err != nil {
		return err
	}
	return m.answer(w, r, j, "")
}

// Stop ends a screening; what it has found so far stays to be seen.
func (m *Room) Stop(w http.ResponseWriter, r *http.Request) error {
	j, err := m.find(r)
	if err != nil {
		return err
	}
	j.cancel()
	return m.answer(w, r, j, "")
}

var errNone = errs.New(errs.NotFound, "screening_unknown", "这次预筛已不在了，请重新预筛。", "This screening is gone; screen the list again.")

func (m *Room) find(r *http.Request) (*job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	j := m.jobs[r.PathValue("job")]
	if j == nil || j.campaign != r.PathValue("id") {
		return nil, errNone
	}
	return j, nil
}

func (m *Room) answer(w http.ResponseWriter, r *http.Request, j *job, name string) error {
	ctx := r.Context()
	v, err := m.look(ctx, j)
	if err != nil {
		return err
	}
	if r.Header.Get("HX-Request") != "" {
		return m.Frame.Part(w, r, m.Result(v))
	}
	if name == "" {
		if c, err := m.Campaigns.Get(ctx, j.campaign); err == nil {
			name = c.Name
		}
	}
	return m.Frame.Show(w, r, frame.Sheet{Title: say(ctx, "title"), Menu: "/campaigns", Body: m.page(v, name)})
}

func (v *view) path() string { return fmt.Sprintf("/campaigns/%s/screen/%s", v.campaign, v.id) }

// Say answers with why there is no preview; key is "empty" or "invalid".
func (m *Room) Say(w http.ResponseWriter, r *http.Request, key string) error {
	if r.Header.Get("HX-Request") != "" {
		return m.Frame.Part(w, r, note(key))
	}
	return m.Frame.Show(w, r, frame.Sheet{Title: say(r.Context(), "title"), Menu: "/campaigns", Body: note(key)})
}
