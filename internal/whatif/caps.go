package whatif

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"parley/internal/calendar"
	"parley/internal/contact"
	"parley/internal/policy"
)

// PackCap is a cap that a pack sets on marketing calls.
type PackCap struct {
	Pack  string       `json:"pack"`           // the packs that speak together: us+us-fl
	Rule  string       `json:"rule,omitempty"` // "" = the pack caps nothing
	Force policy.Force `json:"force,omitempty"`
	Days  int          `json:"days,omitempty"`  // the window in local days …
	Hours float64      `json:"hours,omitempty"` // … or in hours
	Point
}

// Words says the cap in a reader's language.
func (p *PackCap) Words(lang string) string {
	zh, en := fmt.Sprintf("%d 天", p.Days), fmt.Sprintf("%d days", p.Days)
	switch {
	case p.Hours > 0:
		zh, en = fmt.Sprintf("%g 小时", p.Hours), fmt.Sprintf("%g hours", p.Hours)
	case p.Days == 1:
		zh, en = "当日", "a day"
	}
	if lang == "en" {
		return fmt.Sprintf("%d in %s, %s", p.Cap, en, p.Force)
	}
	return fmt.Sprintf("%s内 %d 次（%s）", zh, p.Cap, p.Force)
}

// Caps asks every pack of a directory, together with those it lies over, which
// caps speak about a bank's marketing call to its own customer.
func Caps(fsys fs.FS) ([]PackCap, error) {
	names, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, err
	}
	over := map[string]string{}
	var ids []string
	for _, n := range names {
		id := strings.TrimSuffix(n, ".yaml")
		if strings.HasSuffix(id, "_test") {
			continue
		}
		raw, err := fs.ReadFile(fsys, n)
		if err != nil {
			return nil, err
		}
		p, err := policy.Parse(n, raw)
		if err != nil {
			return nil, err
		}
		ids, over[p.ID] = append(ids, p.ID), p.Over
	}
	slices.Sort(ids)
	var out []PackCap
	for _, id := range ids {
		var use []string
		for at := id; at != ""; at = over[at] {
			use = append([]string{at}, use...)
		}
		set, err := policy.LoadFS(fsys, use...)
		if err != nil {
			return nil, err
		}
		caps := capsOf(set)
		if len(caps) == 0 {
			caps = []PackCap{{}}
		}
		for _, c := range caps {
			c.Pack = strings.Join(use, "+")
			out = append(out, c)
		}
	}
	return out, nil
}

// capsOf asks the set about one call and takes those of its frequency rules
// that had something to say, the tightest first.
func capsOf(set *policy.Set) (out []PackCap) {
	packs := set.Packs()
	loc, err := calendar.Zone(packs[0].Zone)
	if err != nil { // a pack whose zone is no place was refused when it was read
		loc = time.UTC
	}
	now := time.Date(2026, 11, 24, 11, 0, 0, 0, loc)
	v := set.Decide(&policy.Facts{Now: now, Intent: policy.Intent{Channel: contact.Voice, Purpose: contact.Marketing, Relation: contact.Self},
		Person: map[string]string{"region": packs[len(packs)-1].Jurisdiction}})
	for _, said := range v.Rules {
		r := set.Rule(said.Rule)
		if r == nil || r.Frequency == nil || r.Frequency.Max == 0 || r.Frequency.Pause || r.Frequency.After != nil {
			continue
		}
		f := r.Frequency
		out = append(out, PackCap{Rule: r.ID, Force: r.Force, Days: max(f.Days, f.Block), Hours: f.Span.Hours(), Point: Point{Cap: f.Max}})
	}
	slices.SortStableFunc(out, func(a, b PackCap) int { return cmp.Compare(a.Cap, b.Cap) })
	return out
}
