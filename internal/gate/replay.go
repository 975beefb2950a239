package gate

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/policy"
)

// Replay says what is judged again, and under which rules.
type Replay struct {
	// Set judges. With nil each decision is judged by the set that made it, which
	// must give no difference at all; decisions of a set that is not at hand are
	// counted as Unknown.
	Set         *policy.Set
	Since, Till time.Time // decisions made in [Since, Till); a zero Till is now
	Examples    int       // examples kept of each kind of change; 0 = 3
	// Progress is told, from time to time, how many decisions were judged and of
	// about how many; it may be nil.
	Progress func(done, about int64)
}

// Replayed is what a replay found. Every decision is judged from the facts it
// was made on: a contact that the other rules would have refused still counts
// in the facts of those after it.
type Replayed struct {
	Set       string // hash of the set that judged; "" = each its own
	Decisions int64
	Before    map[policy.Effect]int64
	After     map[policy.Effect]int64
	Changed   int64
	// Changes by what changed, most frequent first.
	Changes []Change
	// Campaigns and Purposes count the changed decisions.
	Campaigns map[contact.ID]int64
	Purposes  map[contact.Purpose]int64
	// Short counts decisions whose facts do not reach back as far as the set
	// looks: it may judge them too mildly. Facts hold what the rules of their day
	// could see, and no more.
	Short int64
	// Unknown counts decisions that could not be judged: their set is not at hand.
	Unknown int64
}

// Change is one kind of difference: from which effect and rule to which.
type Change struct {
	From, To     policy.Effect
	FromBy, ToBy string // the deciding rules; "" = none had to
	N            int64
	Examples     []contact.ID // of decisions, the earliest
}

type changeKey struct {
	from, to     policy.Effect
	fromBy, toBy string
}

// tally is what one worker counts.
type tally struct {
	Replayed
	changes map[changeKey]*Change
}

func newTally() *tally {
	t := &tally{changes: map[changeKey]*Change{}}
	t.Before, t.After = map[policy.Effect]int64{}, map[policy.Effect]int64{}
	t.Campaigns, t.Purposes = map[contact.ID]int64{}, map[contact.Purpose]int64{}
	return t
}

// page is a run of decisions read at once; their facts lie end to end.
type page struct {
	ids, parties     []string
	classes, pattern []int64
	ends             []int
	facts            []byte
}

// pageSize is how many decisions are read in one transaction: a longer one would
// keep an embedded database from tidying up.
const pageSize = 4000

// Replay judges stored decisions again. It reads only.
func (g *Gate) Replay(ctx context.Context, rp Replay) (*Replayed, error) {
	if rp.Till.IsZero() {
		rp.Till = g.db.Now()
	}
	if rp.Examples == 0 {
		rp.Examples = 3
	}
	about, err := g.between(ctx, rp.Since, rp.Till)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pages, errs := make(chan *page, 4), make(chan error, runtime.GOMAXPROCS(0)+1)
	var done atomic.Int64
	var workers sync.WaitGroup
	tallies := make([]*tally, runtime.GOMAXPROCS(0))
	for w := range tallies {
		tallies[w] = newTally()
		workers.Go(func() {
			j := judgeOf{g: g, rp: &rp, t: tallies[w]}
			for p := range pages {
				if err := j.page(ctx, p); err != nil {
					errs <- err
					cancel()
					return
				}
				if n := done.Add(int64(len(p.ids))); rp.Progress != nil {
					rp.Progress(n, max(n, about))
				}
			}
		})
	}
	err = g.pages(ctx, idFloor(rp.Since), idFloor(rp.Till), pages)
	close(pages)
	workers.Wait()
	select {
	case err = <-errs: // of a worker: the reader was only told to stop
	default:
	}
	if err != nil {
		return nil, err
	}
	return merge(tallies, &rp), nil
}

// idFloor is the least id of a decision made at t or later.
func idFloor(t time.Time) string {
	if t.UnixMilli() <= 0 {
		return "0"
	}
	return contact.IDFrom(t)
}

// between estimates how many decisions were made in an interval, from their
// share of the time since the first.
func (g *Gate) between(ctx context.Context, since, till time.Time) (n int64, err error) {
	err = g.db.Read(ctx, func(tx *db.Tx) error {
		var first, last sql.NullString
		var all sql.NullInt64
		if err := tx.QueryRow(ctx, "SELECT min(id) FROM gate_decision").Scan(&first); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, "SELECT max(id) FROM gate_decision").Scan(&last); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, "SELECT sum(n) FROM gate_count").Scan(&all); err != nil || !first.Valid {
			return err
		}
		from, to := contact.IDTime(first.String), contact.IDTime(last.String).Add(time.Millisecond)
		share := min(to.UnixMilli(), till.UnixMilli()) - max(from.UnixMilli(), since.UnixMilli())
		if share > 0 {
			n = int64(float64(all.Int64) * float64(share) / float64(to.UnixMilli()-from.UnixMilli()))
		}
		return nil
	})
	return n, err
}

// pages reads decisions by id and hands them on in runs.
func (g *Gate) pages(ctx context.Context, from, till string, out chan<- *page) error {
	for {
		p := &page{facts: make([]byte, 0, 256*pageSize)}
		err := g.db.Read(ctx, func(tx *db.Tx) error {
			p.ids, p.parties, p.classes, p.pattern, p.ends, p.facts = p.ids[:0], p.parties[:0], p.classes[:0], p.pattern[:0], p.ends[:0], p.facts[:0]
			var raw sql.RawBytes
			return tx.Each(ctx, func(rs *sql.Rows) error {
				var id, party string
				var class, pattern int64
				if err := rs.Scan(&id, &party, &class, &pattern, &raw); err != nil {
					return err
				}
				p.ids, p.parties = append(p.ids, id), append(p.parties, party)
				p.classes, p.pattern = append(p.classes, class), append(p.pattern, pattern)
				p.facts = append(p.facts, raw...)
				p.ends = append(p.ends, len(p.facts))
				return nil
			}, "SELECT id, party_id, class, verdict, facts FROM gate_decision WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3", from, till, pageSize)
		})
		if err != nil {
			return err
		}
		if len(p.ids) > 0 {
			select {
			case out <- p:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if len(p.ids) < pageSize {
			return nil
		}
		from = p.ids[len(p.ids)-1] + "!" // the least text after it
	}
}

// judgeOf judges pages for one worker, with room that is used again.
type judgeOf struct {
	g       *Gate
	rp      *Replay
	t       *tally
	classes map[int64]policy.Intent
	seen    map[int64]pattern
	slab    slab
	room    []policy.RuleResult
	names   map[string]string
	list    []facts
}

func (j *judgeOf) page(ctx context.Context, p *page) error {
	j.slab.pool = &j.g.charges
	defer j.slab.release()
	if err := j.learn(ctx, p); err != nil {
		return err
	}
	j.names = map[string]string{}
	if cap(j.list) < len(p.ids) {
		j.list = make([]facts, len(p.ids))
	}
	from, list, short := 0, j.list[:len(p.ids)], []*facts(nil)
	for i, id := range p.ids {
		var err error
		if list[i], err = unpackFacts(p.facts[from:p.ends[i]], j.names, &j.slab); err != nil {
			return fmt.Errorf("facts of decision %s: %w", id, err)
		}
		from = p.ends[i]
		if list[i].log.short {
			short = append(short, &list[i])
		}
	}
	if len(short) > 0 {
		err := j.g.db.Read(ctx, func(tx *db.Tx) error { return complete(ctx, tx, short, j.names, &j.slab) })
		if err != nil {
			return err
		}
	}
	for i, id := range p.ids {
		list[i].withClass(j.classes[p.classes[i]], p.parties[i])
		j.judge(id, &list[i], j.seen[p.pattern[i]])
	}
	return nil
}

// learn reads the classes and patterns of a page that are not known yet.
func (j *judgeOf) learn(ctx context.Context, p *page) error {
	if j.classes == nil {
		j.classes, j.seen = map[int64]policy.Intent{}, map[int64]pattern{}
	}
	return j.g.db.Read(ctx, func(tx *db.Tx) (err error) {
		for i, c := range p.classes {
			if _, ok := j.classes[c]; !ok {
				if j.classes[c], err = j.g.shared.classByID(ctx, tx, c); err != nil {
					return err
				}
			}
			if v := p.pattern[i]; j.seen[v].effect == 0 {
				if j.seen[v], err = j.g.shared.verdictByID(ctx, tx, v); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (j *judgeOf) judge(id contact.ID, f *facts, was pattern) {
	t := j.t
	t.Decisions++
	set := j.rp.Set
	if set == nil {
		known, ok := j.g.sets.Load(was.pack)
		if !ok {
			t.Unknown++
			return
		}
		set = known.(*policy.Set)
	}
	v := judge(set, &f.Facts, j.room)
	j.room = v.Rules[:0]
	t.Before[was.effect]++
	t.After[v.Effect]++
	if f.log.since > f.Now.UnixMicro()-set.WindowFor(&f.Standing).Microseconds() {
		t.Short++
	}
	if v.Effect == was.effect && v.By == was.by && v.Grant == f.grant && sameInstant(v.At, f.at) && (j.rp.Set != nil || sameOutcomes(v.Rules, was.rules)) {
		return
	}
	t.Changed++
	t.Campaigns[f.Campaign]++
	t.Purposes[f.Purpose]++
	k := changeKey{was.effect, v.Effect, was.by, v.By}
	c := t.changes[k]
	if c == nil {
		c = &Change{From: k.from, To: k.to, FromBy: k.fromBy, ToBy: k.toBy}
		t.changes[k] = c
	}
	c.N++
	if len(c.Examples) < j.rp.Examples {
		c.Examples = append(c.Examples, id)
	}
}

func sameInstant(t time.Time, stored int64) bool {
	if t.IsZero() {
		return stored == 0
	}
	return t.UnixMicro() == stored
}

func sameOutcomes(a, b []policy.RuleResult) bool {
	return slices.EqualFunc(a, b, func(x, y policy.RuleResult) bool { return x.Rule == y.Rule && x.Effect == y.Effect })
}

// merge adds up what the workers counted.
func merge(ts []*tally, rp *Replay) *Replayed {
	all := newTally()
	for _, t := range ts {
		all.Decisions, all.Changed = all.Decisions+t.Decisions, all.Changed+t.Changed
		all.Short, all.Unknown = all.Short+t.Short, all.Unknown+t.Unknown
		add(all.Before, t.Before)
		add(all.After, t.After)
		add(all.Campaigns, t.Campaigns)
		add(all.Purposes, t.Purposes)
		for k, c := range t.changes {
			if o := all.changes[k]; o != nil {
				o.N, o.Examples = o.N+c.N, append(o.Examples, c.Examples...)
			} else {
				all.changes[k] = c
			}
		}
	}
	out := &all.Replayed
	if rp.Set != nil {
		out.Set = rp.Set.Hash()
	}
	for c := range maps.Values(all.changes) {
		slices.Sort(c.Examples)
		c.Examples = c.Examples[:min(rp.Examples, len(c.Examples))]
		out.Changes = append(out.Changes, *c)
	}
	slices.SortFunc(out.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.FromBy, b.FromBy), cmp.Compare(a.ToBy, b.ToBy), cmp.Compare(a.To, b.To))
	})
	return out
}

func add[K comparable](to, from map[K]int64) {
	for k, n := range from {
		to[k] += n
	}
}
