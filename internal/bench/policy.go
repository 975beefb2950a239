package bench

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"parley/internal/contact"
	"parley/internal/policy"
	"parley/packs"
)

// Policy measures how long one contact takes under every rule of the composed
// CN set, with the reasons of each kept for an explanation; and, in the same
// run, the same twenty conditions as a rule pack, in plain CEL and in Go
// closures. One core, except where a case says otherwise.
func Policy(ctx context.Context, o Options, r *Report) error {
	set, err := policy.LoadFS(packs.FS)
	if err != nil {
		return err
	}
	long := 2 * time.Second
	if o.Quick {
		long = 500 * time.Millisecond
	}
	for _, c := range []struct {
		name string
		f    *policy.Facts
	}{{"collection", caseCollection()}, {"marketing", caseMarketing()}, {"service", caseService()}} {
		v := set.Decide(c.f)
		if v.Effect != policy.Allow {
			return fmt.Errorf("bench policy: %s is not allowed (%s): the measurement is of something else", c.name, v.By)
		}
		var room []policy.RuleResult
		m := timed(ctx, long, func() { room = set.DecideInto(c.f, room).Rules })
		name := fmt.Sprintf("cn %s, %d of %d rules", c.name, len(v.Rules), len(set.Rules()))
		r.Add("policy", "", name, "us_per_decision", m.us, "us", 3)
		r.Add("policy", "", name, "allocs", m.allocs, "1", 2)
	}
	if err := benchTwenty(ctx, r, long); err != nil {
		return err
	}
	r.Add("policy", "", fmt.Sprintf("cn collection, %d cores", min(2, runtime.NumCPU())), "decide_per_s", together(set, caseCollection(), long), "1/s", 0)
	return ctx.Err()
}

func benchTwenty(ctx context.Context, r *Report, long time.Duration) error {
	t, err := newTwenty()
	if err != nil {
		return err
	}
	f := caseCollection()
	var room []policy.RuleResult
	vars := t.vars(f)
	for _, c := range []struct {
		name string
		one  func()
	}{
		{"pack", func() { room = t.set.DecideInto(f, room).Rules }},
		{"CEL", func() { t.cel(vars) }},
		{"Go closures", func() { t.closures(f) }},
	} {
		m := timed(ctx, long, c.one)
		r.Add("policy", "", "the same 20 conditions, "+c.name, "us_per_decision", m.us, "us", 0)
		r.Add("policy", "", "the same 20 conditions, "+c.name, "allocs", m.allocs, "1", 0)
	}
	return nil
}

type timing struct{ us, allocs float64 }

// timed runs one on one core for about so long, and gives the median of ten
// parts: a machine shared with others disturbs some of them.
func timed(ctx context.Context, long time.Duration, one func()) timing {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const parts, least = 10, 1000 // so many that an allocation of somebody else's counts for nothing
	n := 1
	for started := time.Now(); (time.Since(started) < long/parts || n < least) && ctx.Err() == nil; n *= 2 { // warm, and find how many make a part
		for range n {
			one()
		}
	}
	var before, after runtime.MemStats
	times := make([]float64, 0, parts)
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range parts {
		t := time.Now()
		for range n {
			one()
		}
		times = append(times, float64(time.Since(t).Nanoseconds())/1000/float64(n))
	}
	runtime.ReadMemStats(&after)
	slices.Sort(times)
	return timing{us: times[parts/2], allocs: float64(after.Mallocs-before.Mallocs) / float64(parts*n)}
}

// together gives decisions a second on two cores.
func together(set *policy.Set, f *policy.Facts, long time.Duration) float64 {
	var wg sync.WaitGroup
	counts := make([]int, min(2, runtime.NumCPU()))
	started := time.Now()
	for i := range counts {
		wg.Go(func() {
			var room []policy.RuleResult
			for time.Since(started) < long {
				for range 1000 {
					room = set.DecideInto(f, room).Rules
				}
				counts[i] += 1000
			}
		})
	}
	wg.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return float64(total) / time.Since(started).Seconds()
}

var policyNow = time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC) // Monday 15:00 in Shanghai

func charged(ago time.Duration, ch contact.Channel, p contact.Purpose, reach contact.Reach, product string) contact.Charge {
	return contact.Charge{At: policyNow.Add(-ago).UnixMicro(), Channel: ch, Purpose: p, Reach: reach, Product: product, Campaign: "c1"}
}

// history is a dozen earlier contacts of the last month.
func history(p contact.Purpose) []contact.Charge {
	const day = 24 * time.Hour
	out := []contact.Charge{
		charged(2*time.Hour, contact.Voice, contact.Service, contact.ReachConnected, "loan:7"),
		charged(5*time.Hour, contact.SMS, contact.FraudAlert, contact.ReachEffective, ""),
		charged(day+3*time.Hour, contact.Voice, contact.Collection, contact.ReachAttempt, "loan:7"),
		charged(2*day, contact.Voice, contact.Collection, contact.ReachAttempt, "loan:7"),
		charged(5*day, contact.Voice, p, contact.ReachAttempt, "loan:7"),
	}
	for i := range 7 {
		out = append(out, charged(time.Duration(8+3*i)*day, contact.Voice, contact.Collection, contact.ReachAttempt, "loan:8"))
	}
	return out
}

func caseOf(p contact.Purpose, product string, discloses ...string) *policy.Facts {
	return &policy.Facts{
		Intent: policy.Intent{Party: "p", Point: "q", Channel: contact.Voice, Purpose: p, Relation: contact.Self, Product: product,
			Campaign: "c1", CallerID: "95588", Discloses: discloses},
		Now: policyNow, Zone: "Asia/Shanghai", Charges: history(p), Person: map[string]string{"region": "CN-BJ"},
		Standing: contact.Standing{
			Grants: []contact.Grant{
				{ID: "g1", Ground: contact.Contract, Purposes: contact.PurposeSet(contact.Collection, contact.Service), From: 1},
				{ID: "g2", Ground: contact.Consent, Purposes: contact.PurposeSet(contact.Marketing), Channels: contact.ChannelSet(contact.Voice), From: 1,
					Max: 4, Days: 30, Evidence: contact.Electronic | contact.Express | contact.Shown | contact.Proof | contact.Separate},
			},
			Stops: []contact.Stop{{ID: "s1", Kind: contact.Refusal, Purposes: contact.PurposeSet(contact.Marketing), Channels: contact.ChannelSet(contact.SMS), At: 1, Until: 2}},
		},
	}
}

func caseCollection() *policy.Facts {
	return caseOf(contact.Collection, "loan:7", policy.Identity+"@0.5s", policy.NoDebt)
}

func caseMarketing() *policy.Facts {
	return caseOf(contact.Marketing, "fund", policy.Identity+"@0.5s", policy.RefusalPath+"@2s")
}

func caseService() *policy.Facts {
	return caseOf(contact.Service, "card", policy.Identity+"@0.5s")
}
