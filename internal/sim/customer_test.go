package sim_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/simplifiedchinese"

	"parley/internal/contact"
	"parley/internal/sim"
)

func TestCustomersAreFictitiousAndTheSameForASeed(t *testing.T) {
	t.Parallel()
	people := sim.Customers(1, 20_000)
	if diff := cmp.Diff(people[:200], sim.Customers(1, 200)); diff != "" {
		t.Errorf("a longer list begins differently: %s", diff)
	}
	if cmp.Equal(people[:10], sim.Customers(2, 10)) {
		t.Error("two seeds give the same people")
	}
	form := regexp.MustCompile(`^999999(19|20)\d{9}[\dX]$`) // 999999 is no region of GB/T 2260
	reserved := regexp.MustCompile(`^\+99900\d{7}$`)
	phones, refs := map[string]bool{}, map[string]bool{}
	for _, c := range people {
		if !form.MatchString(c.IDNumber) || !checked(c.IDNumber) {
			t.Fatalf("identity number %s", c.IDNumber)
		}
		if !reserved.MatchString(c.Phone) || phones[c.Phone] || refs[c.Ref] {
			t.Fatalf("%s %s: outside the reserved range, or twice", c.Ref, c.Phone)
		}
		phones[c.Phone], refs[c.Ref] = true, true
		if _, err := time.LoadLocation(c.Zone); err != nil {
			t.Fatal(err)
		}
		if _, err := simplifiedchinese.GB18030.NewEncoder().String(c.Name); err != nil || c.Name == "" {
			t.Fatalf("name %q: %v", c.Name, err)
		}
	}
}

// checked verifies the check character by ISO 7064 MOD 11-2 as GB 11643
// states it: the weighted sum of all 18 is 1 modulo 11.
func checked(id string) bool {
	rest := 0
	for _, r := range id {
		d := int(r - '0')
		if r == 'X' {
			d = 10
		}
		rest = (rest*2 + d) % 11
	}
	return rest == 1
}

// What a kind says must be what its grants and stops say at any now.
func TestKindsMeanWhatTheySay(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	count := map[sim.Kind]int{}
	for _, c := range sim.Customers(5, 3000) {
		count[c.Kind]++
		var offer *contact.Grant
		service, collection := false, false
		for _, terms := range c.Terms {
			g := terms.At(now)
			if g.From >= now.UnixMicro() {
				t.Fatalf("%s: a grant from the future", c.Ref)
			}
			if g.Purposes.Has(contact.Marketing) {
				offer = &g
			}
			service = service || g.Purposes.Has(contact.Service)
			collection = collection || g.Purposes.Has(contact.Collection)
		}
		if !service || (c.Overdue && !collection) {
			t.Fatalf("%s: no contract ground: %+v", c.Ref, c.Terms)
		}
		if (offer == nil) != (c.Kind == sim.NeverAsked) {
			t.Fatalf("%s is %s with offer %+v", c.Ref, c.Kind, offer)
		}
		if (len(c.Stops) > 0) != (c.Kind == sim.Withdrawn || c.Kind == sim.DoNotCall) {
			t.Fatalf("%s is %s with stops %+v", c.Ref, c.Kind, c.Stops)
		}
		if offer == nil {
			continue
		}
		for _, stop := range c.Stops {
			if s := stop.At(now); s.At <= offer.From || s.At >= now.UnixMicro() {
				t.Fatalf("%s: stopped before it was granted, or in the future", c.Ref)
			}
		}
		for kind, is := range map[sim.Kind]bool{
			sim.Expired:     offer.Until != 0 && offer.Until < now.UnixMicro(),
			sim.Capped:      offer.Max == 2 && offer.Days == 30,
			sim.Evenings:    len(offer.Hours) == 1,
			sim.LettersOnly: !offer.Channels.Has(contact.Voice),
		} {
			if is != (c.Kind == kind) {
				t.Fatalf("%s is %s; %s is %v: %+v", c.Ref, c.Kind, kind, is, offer)
			}
		}
	}
	for _, k := range sim.Kinds() {
		if count[k] < 100 {
			t.Errorf("%s occurs %d times in 3000", k, count[k])
		}
	}
}

func TestNoticeSaysThatItIsSimulated(t *testing.T) {
	t.Parallel()
	if sim.Notice("zh")[:12] != "模拟环境" || sim.Notice("en")[:10] != "Simulation" {
		t.Error(sim.Notice("zh"), sim.Notice("en"))
	}
}

func BenchmarkCustomers(b *testing.B) {
	for b.Loop() {
		sim.Customers(1, 10_000)
	}
}
