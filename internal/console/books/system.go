package books

import (
	"net/http"
	"time"

	"parley/internal/db"
	"parley/internal/gate"
	"parley/internal/httpx"
	"parley/internal/machine"
)

// systemView is what the system page shows.
type systemView struct {
	simulated bool
	now       time.Time
	zone      string
	trunk     *Trunk // nil = none
	prompts   int
	langs     []string
	missing   []string
	on, off   int // rules in use, disabled
	checks    []Check
	slow      []db.Slow
	versions  []version
	counts    gate.Counts
}

// figure is one count of the trunk; key ends the word for it.
type figure struct {
	key string
	n   int64
}

func (t *Trunk) figures() []figure {
	return []figure{{"active", t.Active}, {"placed", t.Placed}, {"answered", t.Answered}, {"failed", t.Failed},
		{"ghosts", t.Ghosts}, {"byes_lost", t.ByesLost}, {"draining", t.Draining}}
}

// space is a disk's room in bytes.
type space struct{ free, total uint64 }

// spaceOf measures the disk a directory lies on; nil when it cannot be told.
func spaceOf(dir string) *space {
	free, total, ok := machine.Disk(dir)
	if !ok {
		return nil
	}
	return &space{free, total}
}

// low reports whether the disk is nearly full: under a tenth, or under 1 GiB.
func (s *space) low() bool { return s.free < s.total/10 || s.free < 1<<30 }

func (p *pages) system(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	visit := httpx.From(ctx)
	v := systemView{simulated: visit.House.Simulated, now: p.DB.Now(), zone: visit.Zone.String(), slow: p.DB.Slow(), versions: p.versions(ctx)}
	var err error
	if v.checks, err = Health(ctx, p.Deps); err != nil {
		return err
	}
	if v.counts, err = p.Gate.Counts(ctx); err != nil {
		return err
	}
	for _, rule := range p.Gate.Policy().Rules() {
		if rule.Disabled == "" {
			v.on++
		} else {
			v.off++
		}
	}
	if p.Trunk != nil {
		seen := p.Trunk()
		v.trunk = &seen
	}
	if p.Prompts != nil {
		keys := p.Prompts.Keys()
		v.prompts, v.langs, v.missing = len(keys), p.Prompts.Langs(), p.Prompts.Missing(keys)
	}
	return p.Frame.Show(w, r, sheet(say(ctx, "system"), "/system", systemPage(v)))
}
