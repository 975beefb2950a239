package gate

import (
	"bytes"
	"context"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/policy"
)

// contact makes one settled contact now.
func (b *bank) contact(in policy.Intent, o contact.Outcome) contact.ID {
	b.t.Helper()
	d := b.reserve(in)[0]
	if d.Verdict.Effect != policy.Allow {
		b.t.Fatalf("contact is not allowed: %s", d.Verdict.By)
	}
	b.end(d.ID, o)
	return d.ID
}

// end spends a permit and settles it.
func (b *bank) end(id contact.ID, o contact.Outcome) {
	b.t.Helper()
	if _, err := b.gate.Spend(context.Background(), id); err != nil {
		b.t.Fatal(err)
	}
	if err := b.gate.Settle(context.Background(), nil, id, o); err != nil {
		b.t.Fatal(err)
	}
}

// A budget is pruned to the longest window, and completed from the decisions
// again when a new pack or a new grant looks back further.
func TestWindowGrows(t *testing.T) {
	t.Parallel()
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			c := &clock{t: day}
			d := dbtest.Open(t, dbtest.URL(t, engine), c.now)
			b := newBank(t, d, Options{})
			a, z := contact.NewID(), contact.NewID()
			for range 4 {
				b.contact(collect(a), contact.NoAnswer)
				b.contact(collect(z), contact.NoAnswer)
				c.add(20 * 24 * time.Hour)
			}
			b.contact(collect(a), contact.NoAnswer)
			if n := len(b.budget(a).charges); n != 2 {
				t.Fatalf("%d contacts in the budget, want 2: those of the last month", n)
			}
			// The grant says at most three in a hundred days; there were four of collection
			// and the terms count what the grant covers, which is marketing: none.
			b.grant(z, contact.Grant{Purposes: contact.PurposeSet(contact.Marketing, contact.Collection), Max: 4, Days: 100})
			if got := b.reserve(market(z))[0]; got.Verdict.Effect == policy.Allow || got.Verdict.By != policy.RuleTerms {
				t.Fatalf("verdict %v by %s: the four contacts of the last hundred days fill the grant", got.Verdict.Effect, got.Verdict.By)
			}
			if n := len(b.budget(z).charges); n != 4 {
				t.Fatalf("%d contacts in the budget, want 4", n)
			}
			wide := strings.Replace(testPack, "max: 5, unit: attempts, per: person, window: local_day", "max: 5, unit: attempts, per: person, window: rolling_days 90", 1)
			b.gate.SetPolicy(testSet(t, wide))
			if got := b.reserve(collect(a))[0]; got.Verdict.Effect != policy.Later || got.Verdict.By != "T-DAY" {
				t.Fatalf("verdict %v by %s: five contacts in ninety days", got.Verdict.Effect, got.Verdict.By)
			}
			if s, err := b.gate.ByParty(context.Background(), a, 10); err != nil || len(s) != 6 || !s[5].Replayed {
				t.Fatalf("%d decisions, %v; the first must still replay under the set it was made with", len(s), err)
			}
		})
	}
}

// The zone of the number that is called, what the person began, and what rules
// ask of the person are among the facts that a decision keeps.
func TestFactsOfThePoint(t *testing.T) {
	t.Parallel()
	eachClock(t, func(t *testing.T, d *db.DB, _ *clock) {
		who, far := contact.NewID(), contact.NewID()
		pack := strings.Replace(testPack, "rules:", "rules:\n  - id: T-POINT\n    title: {zh: 一, en: one}\n    citation: {instrument: i}\n    force: bank_default\n"+
			"    confidence: none\n    customer: {zh: 一, en: one}\n    hours: {allow: [{from: \"08:00\", to: \"21:00\"}], where: point}", 1)
		b := newBank(t, d, Options{Person: func(context.Context, *db.Tx, []contact.ID) (map[contact.ID]Person, error) {
			return map[contact.ID]Person{who: {Attrs: map[string]string{"vip": "yes"}, Points: map[contact.ID]string{far: "Europe/London"}}}, nil
		}}, pack)
		in := collect(who)
		in.Initiator = "customer"
		near := b.contact(in, contact.Effective)
		in.Point = far
		got := b.reserve(in)[0]
		if got.Verdict.Effect != policy.Later || got.Verdict.By != "T-POINT" {
			t.Fatalf("%v by %s: it is night where the number is", got.Verdict.Effect, got.Verdict.By)
		}
		for id, zone := range map[contact.ID]string{near: "", got.ID: "Europe/London"} {
			s, err := b.gate.Decision(context.Background(), id)
			if err != nil || !s.Replayed || s.Facts.PointZone != zone || s.Facts.Person["vip"] != "yes" {
				t.Fatalf("%+v, %v", s.Facts, err)
			}
		}
		if cs := b.budget(who).charges; len(cs) != 1 || !cs[0].Asked {
			t.Fatalf("%+v: the person asked for it", cs)
		}
	})
}

// Contacts lists pages of a campaign, latest first, whatever the classes.
func TestByCampaign(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	eachClock(t, func(t *testing.T, d *db.DB, c *clock) {
		b := newBank(t, d, Options{})
		campaign := contact.NewID()
		var made []contact.ID
		for i := range 25 {
			in := collect(contact.NewID())
			in.Campaign = campaign
			in.Synthetic = i%3 == 0 // several classes
			if i%5 == 4 {
				in.Campaign = contact.NewID()
			}
			x := b.reserve(in)[0]
			if in.Campaign == campaign {
				made = append(made, x.ID)
			}
			c.add(time.Second)
		}
		var got []contact.ID
		for before := ""; ; {
			page, err := b.gate.ByCampaign(ctx, campaign, before, 7)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, s := range page {
				got = append([]contact.ID{s.ID}, got...)
			}
			before = page[len(page)-1].ID
		}
		if diff := cmp.Diff(made, got); diff != "" {
			t.Fatal(diff)
		}
		if n, err := b.gate.CampaignCounts(ctx, campaign); err != nil || n.Allow != 20 || n.ByPurpose[contact.Collection] != 20 {
			t.Fatalf("counts %+v, %v", n, err)
		}
	})
}

// An attempt whose process died is unknown: never free, until reconciled.
func TestRecover(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			c := &clock{t: day}
			d := dbtest.Open(t, dbtest.URL(t, engine), c.now)
			old := newBank(t, d, Options{})
			who := contact.NewID()
			ds := old.reserve(collect(who), collect(who))
			if _, err := old.gate.Spend(ctx, ds[0].ID); err != nil {
				t.Fatal(err)
			}
			if ids, err := old.gate.Recover(ctx, 0); err != nil || len(ids) != 0 {
				t.Fatalf("%v, %v: the caller is still at it", ids, err)
			}
			b := newBank(t, d, Options{}) // the process starts again
			if ids, err := b.gate.Recover(ctx, time.Minute); err != nil || len(ids) != 0 {
				t.Fatalf("%v, %v: younger than asked", ids, err)
			}
			c.add(6 * time.Minute)
			if n, err := b.gate.Expire(ctx); err != nil || n != 1 {
				t.Fatalf("%d expired, %v; want the one that was not spent", n, err)
			}
			ids, err := b.gate.Recover(ctx, time.Minute)
			if err != nil || len(ids) != 1 || ids[0] != ds[0].ID || b.state(ids[0]) != Unknown {
				t.Fatalf("%v, %v", ids, err)
			}
			if list, err := b.gate.InFlight(ctx, 10); err != nil || len(list) != 1 || list[0].State != Unknown {
				t.Fatalf("in flight: %v, %v", list, err)
			}
			b.contact(collect(who), contact.Effective)
			if got := b.reserve(collect(who))[0]; got.Verdict.By != "T-EFFECTIVE" {
				t.Fatalf("%v by %s: an unknown attempt counts as effective", got.Verdict.Effect, got.Verdict.By)
			}
			want(t, b.gate.Reconcile(ctx, ids[0], contact.Unknown, "clerk"), ErrOutcome)
			want(t, b.gate.Reconcile(ctx, ids[0], contact.Busy, ""), ErrOutcome)
			if err := b.gate.Reconcile(ctx, ids[0], contact.Busy, "clerk"); err != nil {
				t.Fatal(err)
			}
			s, err := b.gate.Decision(ctx, ids[0])
			if err != nil || s.State != Settled || s.Outcome != contact.Busy || s.Reason != "clerk" {
				t.Fatalf("%+v, %v", s, err)
			}
			if got := b.reserve(collect(who))[0]; got.Verdict.Effect != policy.Allow {
				t.Fatalf("%v by %s: reconciled, it was not effective", got.Verdict.Effect, got.Verdict.By)
			}
		})
	}
}

// Screening gives the verdict that Reserve would, and keeps nothing.
func TestScreen(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	eachClock(t, func(t *testing.T, d *db.DB, _ *clock) {
		b := newBank(t, d, Options{})
		var in []policy.Intent
		for i := range 5000 {
			x := market(contact.NewID())
			if i < 40 {
				switch i % 4 {
				case 0:
					b.grant(x.Party, contact.Grant{Purposes: contact.PurposeSet(contact.Marketing)})
				case 1:
					x = collect(x.Party)
				case 2:
					x = collect(x.Party)
					b.reserve(x, x)
				case 3:
					b.stop(x.Party, contact.Stop{Kind: contact.Hold, Until: db.Micros(day.Add(48 * time.Hour))})
					x = collect(x.Party)
				}
			}
			in = append(in, x)
		}
		in = append(in, policy.Intent{}, in[0])
		rand.Shuffle(len(in), func(i, j int) { in[i], in[j] = in[j], in[i] })
		before, err := b.gate.Counts(ctx)
		if err != nil {
			t.Fatal(err)
		}
		vs, err := b.gate.Screen(ctx, in)
		if err != nil || len(vs) != len(in) {
			t.Fatalf("%d verdicts, %v", len(vs), err)
		}
		after, err := b.gate.Counts(ctx)
		if err != nil || cmp.Diff(before, after) != "" {
			t.Fatal("screening was kept", err)
		}
		effects := map[policy.Effect]int{}
		seen := map[contact.ID]bool{}
		for i := range in {
			effects[vs[i].Effect]++
			if seen[in[i].Party] || vs[i].Effect == policy.Deny && i%50 > 0 {
				continue
			}
			seen[in[i].Party] = true
			v := b.reserve(in[i])[0].Verdict
			if v.Effect != vs[i].Effect || v.By != vs[i].By || v.At.Truncate(time.Second) != vs[i].At.Truncate(time.Second) {
				t.Fatalf("screened %v by %s, reserved %v by %s", vs[i].Effect, vs[i].By, v.Effect, v.By)
			}
		}
		if effects[policy.Allow] != 21 || effects[policy.Later] != 20 {
			t.Fatalf("effects %v", effects)
		}
	})
}

// What is packed is unpacked the same, and damage is an error, not a panic.
func TestPacking(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[0-9a-f]{64}`), rapid.Just(contact.NewID()), rapid.Just(""))
	rapid.Check(t, func(t *rapid.T) {
		var l log
		l.since, l.high = rapid.Int64Range(0, 1<<60).Draw(t, "since"), rapid.Int64Range(0, 1<<60).Draw(t, "high")
		l.last = text.Draw(t, "last")
		for range rapid.IntRange(0, 40).Draw(t, "n") {
			c := contact.Charge{
				At: rapid.Int64Range(-1<<60, 1<<60).Draw(t, "at"), Channel: contact.Channel(rapid.IntRange(1, 5).Draw(t, "channel")),
				Purpose: contact.Purpose(rapid.IntRange(1, 5).Draw(t, "purpose")), Reach: contact.Reach(rapid.IntRange(0, 3).Draw(t, "reach")),
				Product: text.Draw(t, "product"), Campaign: text.Draw(t, "campaign"), Event: text.Draw(t, "event"), Grant: text.Draw(t, "grant"),
				Asked: rapid.Bool().Draw(t, "asked"),
			}
			s := rapid.SampledFrom(packedState[:]).Draw(t, "state")
			if s.live() {
				c.Permit, c.InFlight = contact.NewID(), s != Unknown
			}
			l.add(c, s)
		}
		f := policy.Facts{
			Now: time.UnixMicro(rapid.Int64Range(0, 1<<55).Draw(t, "now")).UTC(), Zone: text.Draw(t, "zone"),
			Person: map[string]string{"region": text.Draw(t, "region")}, Charges: l.charges,
			Standing: contact.Standing{
				Grants: []contact.Grant{{ID: text.Draw(t, "id"), Ground: contact.Ground(text.Draw(t, "ground")), Purposes: 6, Points: []string{text.Draw(t, "point")},
					Products: []string{"a", "b"}, Max: 3, Days: 30, Hours: []contact.Hours{{From: 540, To: 1200, Days: 62}}, From: 5, Until: 1 << 50,
					Evidence: contact.Evidence(rapid.SampledFrom([]uint8{0, 0, 8, 255}).Draw(t, "evidence"))}},
				Stops: []contact.Stop{{ID: contact.NewID(), Kind: contact.Hold, Channels: 2, GrantID: text.Draw(t, "grant"), At: 7, Until: 9}},
			},
		}
		f.PointZone = rapid.SampledFrom([]string{"", "Europe/Paris"}).Draw(t, "point zone")
		f.Figures = rapid.SampledFrom([]map[string]int{nil, {}, {"live": 1000, "abandoned": 31}}).Draw(t, "figures")
		f.Point, f.Product, f.Event = text.Draw(t, "point"), text.Draw(t, "product"), text.Draw(t, "event")
		v := policy.Verdict{At: time.UnixMicro(77).UTC(), Grant: text.Draw(t, "grant")}
		raw := l.append(appendFacts(nil, &f, &v, -5, 1<<62))
		got, err := readFacts(raw)
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Charges) == 0 {
			f.Charges, got.Charges = nil, nil
		}
		if diff := cmp.Diff(f, got.Facts); diff != "" || got.class != -5 || got.verdict != 1<<62 || got.at != 77 || got.grant != v.Grant {
			t.Fatal(diff)
		}
		cut := rapid.IntRange(0, len(raw)-1).Draw(t, "cut")
		if _, err := readFacts(raw[:cut]); err == nil {
			t.Fatalf("%d of %d bytes are accepted", cut, len(raw))
		}
	})
}

// Facts that were packed before there was more to say (by the version of
// 2026-11-23) are still read, and mean the same when they are packed again.
func TestOldFacts(t *testing.T) {
	t.Parallel()
	raw, err := hex.DecodeString("0101000000000000000200000000000000c60100036700086c6f616e3a37000f417369612f5368616e6768616901" +
		"08726567696f6e07434e2d424a01036701040000000000000a0001037304000000000e00010b0c066c61737401086c6f616e3a37020a1413000800")
	if err != nil {
		t.Fatal(err)
	}
	f, err := readFacts(raw)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Charges) != 2 || f.Charges[1].At != 9 || f.Charges[1].Asked || f.Person["region"] != "CN-BJ" || len(f.Standing.Grants) != 1 || len(f.Standing.Stops) != 1 {
		t.Fatalf("%+v", f.Facts)
	}
	again, err := readFacts(f.pack())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(f.Facts, again.Facts); diff != "" || again.log.since != 11 || again.log.high != 12 || again.log.last != "last" || again.grant != "g" {
		t.Fatal(diff, again.log)
	}
}

// Whatever happens to a budget, facts that leave out what stands in earlier
// facts are completed to the very bytes that were hashed; and a budget that is
// packed behind what was packed before is the same as one packed anew.
func TestFactsShareCharges(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		facts := map[contact.ID][]byte{} // in full
		var l log
		now := int64(1 << 50)
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			now += rapid.Int64Range(0, 40).Draw(t, "pause") * int64(time.Hour/time.Microsecond)
			l.prune(now - rapid.SampledFrom([]int64{30, 30, 30, 20}).Draw(t, "days")*int64(24*time.Hour/time.Microsecond))
			id := contact.NewID()
			whole := l.append(nil)
			if anew := (&log{since: l.since, high: l.high, last: l.last, charges: l.charges, states: l.states}).append(nil); !bytes.Equal(whole, anew) {
				t.Fatalf("packed\n%x, anew\n%x", whole, anew)
			}
			if l.shares() {
				var part, from log
				if err := part.read(&reader{b: l.appendRest(nil)}, &slab{}); err != nil {
					t.Fatal(err)
				}
				if err := from.read(&reader{b: facts[part.base.id]}, &slab{}); err != nil {
					t.Fatal(err)
				}
				if err := part.join(&from); err != nil {
					t.Fatal(err)
				}
				if again := part.append(nil); !bytes.Equal(again, whole) {
					t.Fatalf("completed\n%x, hashed\n%x", again, whole)
				}
			} else {
				l.stands(id)
			}
			facts[id] = whole
			l.last, l.high = id, now
			c := contact.Charge{Permit: id, At: now, Channel: contact.Voice, Purpose: contact.Purpose(rapid.IntRange(1, 2).Draw(t, "purpose")), InFlight: true,
				Campaign: rapid.SampledFrom([]string{"", "c1", "c2"}).Draw(t, "campaign")}
			if rapid.IntRange(0, 9).Draw(t, "allowed") > 0 {
				l.add(c, Reserved)
			}
			if rapid.Bool().Draw(t, "written") { // and read again, as in the next transaction
				raw := l.appendRow(nil)
				l = log{}
				if err := l.read(&reader{b: raw}, &slab{}); err != nil {
					t.Fatal(err)
				}
			}
			for i := len(l.charges) - 1; i >= 0; i-- {
				if l.states[i] != Reserved {
					continue
				}
				switch rapid.IntRange(0, 8).Draw(t, "end") {
				case 0: // waits on
				case 1:
					l.remove(i)
				default:
					c := l.change(i)
					c.At, c.InFlight, c.Reach, l.states[i] = now, false, contact.ReachAttempt, Settled
				}
			}
		}
	})
	// Draws may keep old permits open, and then little is shared. Somebody whose
	// contacts are settled as they come shares nearly all of them.
	var l log
	shared := 0
	for i := range int64(41) {
		id := contact.NewID()
		if l.shares() {
			shared++
		} else {
			l.stands(id)
		}
		l.add(contact.Charge{Permit: id, At: i, Channel: contact.Voice, InFlight: true}, Reserved)
		c := l.change(int(i))
		c.InFlight, l.states[i] = false, Settled
	}
	if shared < 20 {
		t.Errorf("%d of 41 logs share their charges", shared)
	}
}

// FuzzFacts feeds damaged facts to the reader.
func FuzzFacts(f *testing.F) {
	var l log
	l.add(contact.Charge{At: 5, Channel: 1, Purpose: 2, Product: "card"}, Settled)
	f.Add(l.append(appendFacts(nil, &policy.Facts{Now: day}, &policy.Verdict{}, 1, 2)))
	f.Fuzz(func(_ *testing.T, raw []byte) {
		_, _ = readFacts(raw) // an error or facts, never a panic or a huge allocation
	})
}
