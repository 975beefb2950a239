package screen

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"parley/internal/campaign"
	"parley/internal/contact"
	"parley/internal/policy"
)

// Reasons of the campaign's own, beside the rules' ids.
const (
	byHours    = "campaign.hours"    // outside the campaign's days and hours
	byOver     = "campaign.over"     // its last day passes before
	byAttempts = "campaign.attempts" // as often tried as the campaign wants to
	byDay      = "campaign.day"      // as often today
)

// answer is what would come of one member.
type answer struct {
	effect policy.Effect
	by     string    // rule, or a reason of the campaign's own; empty when now
	at     time.Time // when later
}

// judge joins the gate's verdict with what the campaign itself wants. The gate
// is asked about now only; whether it agrees when the campaign opens is seen then.
func judge(t *campaign.Terms, m *campaign.Member, v policy.Verdict, now time.Time) answer {
	if m.Tries >= t.MaxAttempts {
		return answer{effect: policy.Deny, by: byAttempts}
	}
	if v.Effect == policy.Deny {
		return answer{effect: policy.Deny, by: v.By}
	}
	a := answer{effect: policy.Allow, at: now}
	if v.Effect == policy.Later {
		a = answer{effect: policy.Later, by: v.By, at: v.At}
	}
	if t.MaxPerDay > 0 && m.DayTries >= t.MaxPerDay {
		if next := t.DayAfter(now, m.Day); next.After(a.at) {
			a = answer{effect: policy.Later, by: byDay, at: next}
		}
	}
	open, ok := t.Next(a.at)
	switch {
	case !ok:
		return answer{effect: policy.Deny, by: byOver}
	case open.After(a.at):
		if a.effect == policy.Allow {
			a.by = byHours
		}
		a.effect, a.at = policy.Later, open
	}
	return a
}

// result adds answers up.
type result struct {
	Done   int // looked at
	Over   int // on the list, and finished already
	Counts map[policy.Effect]int
	By     map[policy.Effect]map[string]int // by what decided
	Some   map[string][]contact.ID          // a few of those, by effect and reason
	Hours  map[int64]int                    // those later, by the hour they may be called from (Unix hours)
}

const (
	// shown is how many people are named for a reason.
	shown = 4
	// ahead is how many days the hours are shown for.
	ahead = 7
)

func newResult() *result {
	return &result{Counts: map[policy.Effect]int{}, By: map[policy.Effect]map[string]int{}, Some: map[string][]contact.ID{}, Hours: map[int64]int{}}
}

func place(e policy.Effect, by string) string { return e.String() + " " + by }

func (r *result) add(m *campaign.Member, a answer) {
	r.Counts[a.effect]++
	if r.By[a.effect] == nil {
		r.By[a.effect] = map[string]int{}
	}
	r.By[a.effect][a.by]++
	if k := place(a.effect, a.by); len(r.Some[k]) < shown {
		r.Some[k] = append(r.Some[k], m.Party)
	}
	if a.effect == policy.Later {
		r.Hours[a.at.Unix()/3600]++
	}
}

// clone copies what a page reads while the work goes on.
func (r *result) clone() result {
	c := *r
	c.Counts, c.Some, c.Hours = maps.Clone(r.Counts), maps.Clone(r.Some), maps.Clone(r.Hours)
	c.By = map[policy.Effect]map[string]int{}
	for e, by := range r.By {
		c.By[e] = maps.Clone(by)
	}
	return c
}

// people lists everybody who is named.
func (r *result) people() []contact.ID {
	var out []contact.ID
	for _, ids := range r.Some {
		out = append(out, ids...)
	}
	return out
}

// reasons lists what decided, the most frequent first.
func (r *result) reasons(e policy.Effect) []string {
	by := r.By[e]
	return slices.SortedFunc(maps.Keys(by), func(a, b string) int { return cmp.Or(cmp.Compare(by[b], by[a]), cmp.Compare(a, b)) })
}

// grid is the hours of the days ahead with how many may be called from then.
type grid struct {
	days   []time.Time // midnights in the campaign's zone
	cells  [][24]int
	most   int
	beyond int // after the last of the days
}

func (v *view) grid(zone *time.Location) grid {
	l := v.began.In(zone)
	g := grid{}
	for d := range ahead {
		g.days = append(g.days, time.Date(l.Year(), l.Month(), l.Day()+d, 0, 0, 0, 0, zone))
	}
	g.cells = make([][24]int, ahead)
	end := g.days[0].AddDate(0, 0, ahead)
	for h, n := range v.Hours {
		at := time.Unix(h*3600, 0).In(zone)
		if !at.Before(end) {
			g.beyond += n
			continue
		}
		for d := range g.days {
			if y, m, day := g.days[d].Date(); at.Year() == y && at.Month() == m && at.Day() == day {
				g.cells[d][at.Hour()] += n
				g.most = max(g.most, g.cells[d][at.Hour()])
			}
		}
	}
	return g
}

// heat grades a count against the greatest, 0 to 5.
func (g *grid) heat(n int) int {
	if n == 0 || g.most == 0 {
		return 0
	}
	return 1 + (n*4)/g.most
}

// hoursNeeded is how long the calls that may be made now take at the
// campaign's pace, at least.
func (v *view) hoursNeeded() time.Duration {
	if v.terms.CPS <= 0 {
		return 0
	}
	return time.Duration(float64(v.Counts[policy.Allow]) / v.terms.CPS * float64(time.Second))
}
