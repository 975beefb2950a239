package policy_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/internal/contact"
	"parley/internal/policy"
)

var base = at("2026-03-20T12:00:00Z").UnixMicro() // two changes of clock lie within the horizon

const hourUS = int64(time.Hour / time.Microsecond)

// drawInstant draws instants that like edges: whole hours, and a microsecond beside them.
func drawInstant(t *rapid.T, label string, from, to int) int64 {
	return base + int64(rapid.IntRange(from, to).Draw(t, label+" h"))*hourUS/2 + int64(rapid.IntRange(-1, 1).Draw(t, label+" µs"))
}

func drawHours(t *rapid.T) []contact.Hours {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) contact.Hours {
		return contact.Hours{From: rapid.IntRange(0, 47).Draw(t, "from") * 30, To: rapid.IntRange(0, 48).Draw(t, "to") * 30,
			Days: uint8(rapid.IntRange(0, 127).Draw(t, "days"))}
	}), 0, 2).Draw(t, "hours")
}

func drawPurposes(t *rapid.T) contact.Purposes {
	return contact.Purposes(rapid.SampledFrom([]uint16{0, 1 << contact.Marketing, 1 << contact.Service, 1<<contact.Marketing | 1<<contact.Collection, 1 << contact.FraudAlert}).Draw(t, "purposes"))
}

func drawChannels(t *rapid.T) contact.Channels {
	return contact.Channels(rapid.SampledFrom([]uint16{0, 0, 1 << contact.Voice, 1 << contact.SMS}).Draw(t, "channels"))
}

func drawFacts(t *rapid.T) *policy.Facts {
	f := &policy.Facts{
		Intent: policy.Intent{
			Channel: rapid.SampledFrom([]contact.Channel{contact.Voice, contact.SMS, contact.Email}).Draw(t, "channel"),
			Purpose: contact.Purpose(rapid.IntRange(1, 5).Draw(t, "purpose")), Relation: contact.Relation(rapid.IntRange(1, 3).Draw(t, "relation")),
			Point: "a", Product: rapid.SampledFrom([]string{"", "loan:1", "credit_card"}).Draw(t, "product"), Event: "e",
			Initiator: rapid.SampledFrom([]string{"", "bank", "customer"}).Draw(t, "initiator"),
			Synthetic: rapid.Bool().Draw(t, "synthetic"), Automated: rapid.Bool().Draw(t, "automated"),
			Discloses: rapid.SampledFrom([][]string{{"identity", "refusal_path", "ai_label", "no_debt"}, {"identity@0.5s", "refusal_path@2s", "ai_label", "no_debt"}, {"identity"}, {"identity@1s", "offer"}}).Draw(t, "discloses"),
		},
		Now:       time.UnixMicro(drawInstant(t, "now", 0, 48)).UTC(),
		Zone:      rapid.SampledFrom([]string{"", "Asia/Shanghai", "Europe/London", "America/Havana", "Australia/Lord_Howe"}).Draw(t, "zone"),
		PointZone: rapid.SampledFrom([]string{"", "", "Europe/London", "America/Los_Angeles"}).Draw(t, "point zone"),
		Figures:   rapid.SampledFrom([]map[string]int{nil, {"live": 1000, "abandoned": 30}, {"live": 1000, "abandoned": 31}}).Draw(t, "figures"),
	}
	f.CallerID = rapid.SampledFrom([]string{"", "95588", "1600123456"}).Draw(t, "caller")
	f.Person = rapid.SampledFrom([]map[string]string{nil, {"debtor_unreachable": "yes"}, {"outsourced": "yes", "outsourcing_notice": "2026-03-21"},
		{"registry_tps": "2026-02-22", "registry_tps_copy": "2026-02-18"}, {"registry_tps": "2026-01-01"}}).Draw(t, "person")
	f.Standing.Grants = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) contact.Grant {
		g := contact.Grant{ID: "g", Ground: rapid.SampledFrom([]contact.Ground{contact.Consent, contact.Consent, contact.Request, contact.Contract}).Draw(t, "ground"),
			Purposes: drawPurposes(t), Channels: drawChannels(t), Max: rapid.IntRange(0, 2).Draw(t, "max"), Days: rapid.IntRange(1, 3).Draw(t, "days"), Hours: drawHours(t),
			From: drawInstant(t, "from", -200, 0), Evidence: rapid.SampledFrom([]contact.Evidence{0, contact.Oral, contact.Written | contact.Express, 255}).Draw(t, "evidence")}
		if rapid.Bool().Draw(t, "ends") {
			g.Until = drawInstant(t, "until", 0, 300)
		}
		return g
	}), 0, 3).Draw(t, "grants")
	f.Standing.Stops = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) contact.Stop {
		s := contact.Stop{ID: "s", Kind: rapid.SampledFrom([]contact.StopKind{contact.Withdrawal, contact.Refusal, contact.DoNotContact, contact.Hold}).Draw(t, "kind"),
			Purposes: drawPurposes(t), Channels: drawChannels(t), At: drawInstant(t, "at", -250, 0)}
		if rapid.IntRange(0, 3).Draw(t, "ends") > 0 {
			s.Until = drawInstant(t, "until", 0, 200)
		}
		return s
	}), 0, 2).Draw(t, "stops")
	f.Charges = rapid.SliceOfN(rapid.Custom(drawCharge), 0, 12).Draw(t, "charges")
	return f
}

func drawCharge(t *rapid.T) contact.Charge {
	return contact.Charge{At: drawInstant(t, "charge", -120, 0), Channel: rapid.SampledFrom([]contact.Channel{contact.Voice, contact.SMS}).Draw(t, "channel"),
		Purpose: contact.Purpose(rapid.IntRange(1, 5).Draw(t, "purpose")), Reach: contact.Reach(rapid.IntRange(0, 3).Draw(t, "reach")),
		Product: rapid.SampledFrom([]string{"", "loan:1"}).Draw(t, "product"), Event: rapid.SampledFrom([]string{"", "e"}).Draw(t, "event"),
		Asked: rapid.Bool().Draw(t, "asked")}
}

// drawPack is a second pack with rules of every body about a contact, drawn anew
// each time.
func drawPack(t *rapid.T) string {
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	num := func(label string, from, to int) int { return rapid.IntRange(from, to).Draw(t, label) }
	hours := fmt.Sprintf("    hours: {allow: [{days: [%s], from: \"%02d:00\", to: \"%02d:30\"}], through: %t, where: %s, %s}\n",
		pick("days", "mon-sun", "sat-mon", "tue, thu"), num("from", 0, 23), num("to", 0, 23), rapid.Bool().Draw(t, "through"),
		pick("where", "residence", "point", "strictest", "pack"),
		pick("days off", "unless_agreed: true", "unless_consent: [express]", "holidays: closed, calendar: UK", "holidays: as_sunday, makeup: as_monday, calendar: CN"))
	unit, per := pick("unit", "attempts", "connected", "effective"), pick("per", "person", "product", "subject", "event", "campaign")
	by := pick("by", "bank", "customer", "either")
	freq := fmt.Sprintf("    frequency: {max: %d, unit: %s, per: %s, window: %s, started_by: %s}\n", num("max", 1, 3), unit, per,
		pick("window", "local_day", "rolling_days 3", "hours 5", "hours 48", "blocks 3 since 2026-01-01", "blocks 7 since 2026-12-30"), by)
	rules := []string{hours, freq,
		fmt.Sprintf("    frequency: {pause_days: %d, unit: %s, per: %s, started_by: %s}\n", num("pause", 1, 9), unit, per, by),
		"    frequency: {max: 1, unit: attempts, per: event, window: hours 24, after: {stops: [refusal, hold], within: 5 days}}\n",
		"    consent: {grounds: [consent]}\n",
		"    consent: {grounds: [consent, contract], form: [written, oral], max_age: 5 days}\n",
		"    consent: {grounds: [consent], evidence: [express], named: true, implied: contract}\n",
		"    do_not_contact: {kinds: [hold, refusal], across: all}\n",
		"    do_not_contact: {kinds: [withdrawal, refusal], across: channel, lasts: 3 days}\n",
		"    do_not_contact: {registry: {list: tps, listed: 28 days, copy: 31 days, unless: [consent], unless_if: [debtor_unreachable]}}\n",
		"    disclosure: {requires: [identity], forbids: [offer]}\n",
		"    disclosure: {latest: {identity: 1s, refusal_path: 2s after identity}}\n",
		"    third_party: {allow: [self]}\n",
		"    caller_id: {allow: [\"955\"], digits: [5, 8]}\n",
		"    about: contact\n    abandonment: {ceiling: 3%, block: 30 days, connect_within: 2s}\n",
		"    condition: {require: relation != \"reference\", otherwise: {zh: 甲, en: a}}\n",
		"    scope: person[?\"debtor_unreachable\"].orValue(\"\") == \"yes\"\n" + hours}
	out := "pack: other\nversion: \"1\"\nzone: Asia/Shanghai\nvalid: {from: 2026-01-01}\nrules:\n"
	for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(rules)-1), 1, 4, rapid.ID).Draw(t, "rules") {
		out += rule(fmt.Sprintf("O-%d", i), rules[i])
	}
	return out
}

// TestAnyPackMoreHistoryNeverLoosens: as TestMoreHistoryNeverLoosens, for every body.
func TestAnyPackMoreHistoryNeverLoosens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, err := policy.Parse("other.yaml", []byte(drawPack(t)))
		if err != nil {
			t.Fatal(err)
		}
		s, err := policy.Compose(p)
		if err != nil {
			t.Fatal(err)
		}
		f := drawFacts(t)
		a := s.Decide(f)
		f.Charges = append(slices.Clone(f.Charges), drawCharge(t))
		b := s.Decide(f)
		if b.Effect < a.Effect || a.Effect == policy.Later && b.Effect == policy.Later && b.At.Before(a.At) {
			t.Fatalf("%s at %v became %s at %v", a.Effect, a.At, b.Effect, b.At)
		}
	})
}

// TestComposingNeverLoosens: adding a pack never turns a deny into an allow or
// a later, and never brings a permitted instant forward.
func TestComposingNeverLoosens(t *testing.T) {
	t.Parallel()
	alone := cn(t)
	rapid.Check(t, func(t *rapid.T) {
		extra, err := policy.Parse("other.yaml", []byte(drawPack(t)))
		if err != nil {
			t.Fatal(err)
		}
		both, err := policy.Compose(append(alone.Packs(), extra)...)
		if err != nil {
			t.Fatal(err)
		}
		f := drawFacts(t)
		a, b := alone.Decide(f), both.Decide(f)
		if b.Effect < a.Effect || a.Effect == policy.Later && b.Effect == policy.Later && b.At.Before(a.At) {
			t.Fatalf("%s at %v became %s at %v", a.Effect, a.At, b.Effect, b.At)
		}
	})
}

// TestMoreHistoryNeverLoosens: one more earlier contact never turns a deny into
// an allow, and never brings a permitted instant forward.
func TestMoreHistoryNeverLoosens(t *testing.T) {
	t.Parallel()
	s := cn(t)
	rapid.Check(t, func(t *rapid.T) {
		f := drawFacts(t)
		a := s.Decide(f)
		f.Charges = append(slices.Clone(f.Charges), drawCharge(t))
		b := s.Decide(f)
		if b.Effect < a.Effect || a.Effect == policy.Later && b.Effect == policy.Later && b.At.Before(a.At) {
			t.Fatalf("%s at %v became %s at %v", a.Effect, a.At, b.Effect, b.At)
		}
	})
}

// TestLaterIsExact: at a later verdict's instant the same facts are allowed, and
// at no instant probed before it.
func TestLaterIsExact(t *testing.T) {
	t.Parallel()
	alone := cn(t)
	rapid.Check(t, func(t *rapid.T) {
		s := alone
		if rapid.Bool().Draw(t, "composed") {
			extra, err := policy.Parse("other.yaml", []byte(drawPack(t)))
			if err != nil {
				t.Fatal(err)
			}
			if s, err = policy.Compose(append(alone.Packs(), extra)...); err != nil {
				t.Fatal(err)
			}
		}
		f := drawFacts(t)
		v := s.Decide(f)
		if v.Effect != policy.Later {
			return
		}
		then := *f
		then.Now = v.At
		if w := s.Decide(&then); w.Effect != policy.Allow {
			t.Fatalf("at the promised %v: %s by %s (%s)", v.At, w.Effect, w.By, w.Outcomes())
		}
		gap := v.At.Sub(f.Now)
		for _, before := range []time.Duration{time.Microsecond, time.Millisecond, time.Second, time.Hour, gap / 2, gap / 3, gap / 7} {
			then.Now = v.At.Add(-before)
			if before <= 0 || then.Now.Before(f.Now) {
				continue
			}
			if w := s.Decide(&then); w.Effect == policy.Allow {
				t.Fatalf("already allowed %v before the promised %v", before, v.At)
			}
		}
	})
}

// TestVerdictNamesItsRule: a verdict other than allow names a rule that objects;
// an allow carries no objection.
func TestVerdictNamesItsRule(t *testing.T) {
	t.Parallel()
	s := cn(t)
	rapid.Check(t, func(t *rapid.T) {
		v := s.Decide(drawFacts(t))
		if v.Effect == policy.Allow {
			if v.By != "" || !v.At.IsZero() || slices.ContainsFunc(v.Rules, func(r policy.RuleResult) bool { return r.Effect != policy.Allow }) {
				t.Fatalf("allowed, but by %q: %s", v.By, v.Outcomes())
			}
			return
		}
		if r := v.Result(v.By); r == nil || r.Effect != v.Effect {
			t.Fatalf("%s by %q: %s", v.Effect, v.By, v.Outcomes())
		}
		for i, r := range v.Rules {
			if v.Result(r.Rule) != &v.Rules[i] {
				t.Fatalf("rule %s is reported twice", r.Rule)
			}
		}
	})
}

// FuzzParse: the decoder neither panics nor accepts a pack that would then fail
// to decide, or to be explained. What it refuses, it refuses with file and line.
func FuzzParse(f *testing.F) {
	f.Add([]byte(head + rule("A", anyHour)))
	f.Add([]byte(head + rule("A", "    scope: person[\"a\"] == \"b\"\n    frequency: {max: 1, unit: attempts, per: event, window: hours 3}\n")))
	f.Add([]byte(head + rule("A", "    do_not_contact: {kinds: [hold], across: all}\n    obligations: [{kind: ring_min, value: 15s}]\n")))
	f.Add([]byte("{a: *b, ? : - !!x |>\n"))
	for _, body := range fences(f, " rule") {
		f.Add([]byte(head + body))
	}
	for _, name := range []string{"testdata/lang.yaml", "../../packs/cn.yaml"} {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := policy.Parse("x.yaml", raw)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "x.yaml:") {
				t.Fatalf("an error without file and line: %v", err)
			}
			return
		}
		s, err := policy.Compose(p)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "x.yaml:") {
				t.Fatalf("an error without file and line: %v", err)
			}
			return
		}
		facts := marketing("2026-11-23T10:00:00+08:00")
		v := s.Decide(facts)
		if v.Effect < policy.Allow || v.Effect > policy.Deny {
			t.Fatalf("effect %d", v.Effect)
		}
		s.Report(facts, v, "zh")
		for _, r := range p.Rules {
			if r.About == policy.AboutContact {
				continue
			}
			m := &policy.Matter{About: r.About, Now: facts.Now, Attrs: map[string]string{"action": "delete"}, Events: map[string]contact.Micros{"received": 1, "made": 1}}
			if v := s.Review(m); v.Effect < policy.Allow || v.Effect > policy.Deny {
				t.Fatalf("effect %d", v.Effect)
			}
		}
	})
}

// FuzzFacts: facts written by hand are explained or refused with their line.
func FuzzFacts(f *testing.F) {
	s := cn(f)
	f.Add([]byte("now: 2026-11-23 22:10\nintent: {channel: voice, purpose: collection, relation: self, discloses: [identity@1s]}\n"))
	f.Add([]byte("now: 2026-11-23\nzone: Europe/Paris\nmatter: {about: complaint, events: {received: 2026-11-01}, pauses: [{kind: appraisal, from: 2026-11-02}]}\n"))
	f.Add([]byte("grants: [{max: 3, days: 30, hours: [{from: \"22:00\", to: \"02:00\"}], evidence: [proof]}]\ncharges: [{at: 2026-11-23, outcome: in_flight, times: 2}]\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 4096 {
			return
		}
		if _, err := policy.ExplainFacts(s, raw, "en"); err != nil && !strings.HasPrefix(err.Error(), "facts:") {
			t.Fatalf("an error without a line: %v", err)
		}
	})
}
