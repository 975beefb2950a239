package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/bits"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/internal/contact"
	"parley/internal/policy"
)

// alone gives the conditions that do not hold as the rules of the pack see it,
// each by itself: in a verdict of the whole pack a rule may also object at the
// later instant that another one names, of which CEL and Go know nothing.
func alone(t *testing.T) func(*policy.Facts) uint32 {
	var sets []*policy.Set
	for _, c := range conditions() {
		s, err := packOf([]condition{c})
		if err != nil {
			t.Fatal(err)
		}
		sets = append(sets, s)
	}
	return func(f *policy.Facts) (bad uint32) {
		for i, s := range sets {
			if s.Decide(f).Effect != policy.Allow {
				bad |= 1 << i
			}
		}
		return bad
	}
}

// TestTwentyAgree: the yardsticks measure the same thing as the pack: for any
// facts the three forms find the same conditions broken.
func TestTwentyAgree(t *testing.T) {
	t.Parallel()
	w, err := newTwenty()
	if err != nil {
		t.Fatal(err)
	}
	if len(w.funcs) != 20 {
		t.Fatalf("%d conditions", len(w.funcs))
	}
	if v := w.set.Decide(caseCollection()); v.Effect != policy.Allow || len(v.Rules) < 20 {
		t.Fatalf("the case measured is not allowed by twenty rules: %+v", v)
	}
	pack := alone(t)
	facts := rapid.Custom(func(t *rapid.T) *policy.Facts {
		f := caseCollection()
		f.Now = policyNow.Add(time.Duration(rapid.IntRange(-200, 200).Draw(t, "hours")) * 30 * time.Minute)
		f.Relation = contact.Relation(rapid.IntRange(1, 3).Draw(t, "relation"))
		f.CallerID = rapid.SampledFrom([]string{"95588", "10086", "955", "95588123456789"}).Draw(t, "caller")
		f.Discloses = rapid.SampledFrom([][]string{{"identity", "no_debt"}, {"identity@1s"}, {"no_debt", "offer"}, {"identity", "no_debt", "overdue"}}).Draw(t, "discloses")
		for range rapid.IntRange(0, 12).Draw(t, "more") {
			ago := time.Duration(rapid.IntRange(0, 900).Draw(t, "ago")) * time.Hour
			f.Charges = append(f.Charges, contact.Charge{At: f.Now.Add(-ago).UnixMicro(), Channel: contact.Voice, Purpose: contact.Collection,
				Reach: contact.Reach(rapid.IntRange(0, 3).Draw(t, "reach")), Product: rapid.SampledFrom([]string{"loan:7", "loan:8"}).Draw(t, "product")})
		}
		for i := range f.Charges { // the CEL and Go forms know no future
			f.Charges[i].At = min(f.Charges[i].At, f.Now.UnixMicro())
		}
		if rapid.Bool().Draw(t, "stopped") {
			f.Standing.Stops = []contact.Stop{{ID: "s", Kind: rapid.SampledFrom([]contact.StopKind{contact.Withdrawal, contact.Refusal, contact.DoNotContact, contact.Hold}).Draw(t, "kind"), At: 1}}
			f.Standing.Stops[0].Purposes = contact.PurposeSet(contact.Collection)
		}
		if rapid.Bool().Draw(t, "no ground") {
			f.Standing.Grants = nil
		}
		return f
	})
	agree := func(f *policy.Facts) (broken uint32, err error) {
		a, b, c := pack(f), w.cel(w.vars(f)), w.closures(f)
		if a != b || b != c {
			err = fmt.Errorf("pack %020b\nCEL  %020b\nGo   %020b", a, b, c)
		}
		return a, err
	}
	rapid.Check(t, func(t *rapid.T) {
		if _, err := agree(facts.Draw(t, "facts")); err != nil {
			t.Fatal(err)
		}
	})
	// The facts are drawn so that every condition is broken by some of them: shown
	// by the same two hundred each time, not by the luck of those above.
	seen := uint32(0)
	for i := range 200 {
		broken, err := agree(facts.Example(i))
		if err != nil {
			t.Fatal(err)
		}
		seen |= broken
	}
	if n := bits.OnesCount32(seen); n != 20 {
		t.Errorf("only %d of the conditions were ever broken: %020b", n, seen)
	}
}

// TestDecideAllocates: at most two allocations for a contact under the whole CN
// set (issue 4, "Speed"), whatever the case.
func TestDecideAllocates(t *testing.T) {
	var out bytes.Buffer
	if err := Policy(context.Background(), Options{Quick: true}, NewReport(&out, true)); err != nil {
		t.Fatal(err)
	}
	n := 0
	for dec := json.NewDecoder(&out); dec.More(); {
		var l Line
		if err := dec.Decode(&l); err != nil {
			t.Fatal(err)
		}
		if l.Metric == "allocs" && l.Goal != 0 {
			if n++; l.Value > l.Goal {
				t.Errorf("%s: %.2f allocations, at most %.0f", l.Case, l.Value, l.Goal)
			}
		}
	}
	if n != 3 {
		t.Errorf("%d cases", n)
	}
}
