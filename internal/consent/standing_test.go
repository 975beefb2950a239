package consent

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"parley/internal/contact"
)

func fuzzed(r *rapid.T) contact.Standing {
	ids := rapid.OneOf(rapid.Just(""), rapid.Just("x"), rapid.Just("0197a5e2-1111-7abc-8def-0123456789ab"), rapid.Just("0197A5E2-1111-7abc-8def-0123456789ab"))
	hash := rapid.OneOf(rapid.Just(""), rapid.Just(NoticeHash("a")), rapid.Just(NoticeHash("b")), rapid.String())
	list := rapid.Custom(func(r *rapid.T) []string {
		l := rapid.SliceOfN(ids, 0, 3).Draw(r, "list")
		if len(l) == 0 {
			return nil
		}
		return l
	})
	var s contact.Standing
	for range rapid.IntRange(0, 3).Draw(r, "grants") {
		g := contact.Grant{
			ID: ids.Draw(r, "id"), Ground: rapid.SampledFrom(append(grounds[:], "odd")).Draw(r, "ground"),
			Purposes: contact.Purposes(rapid.Uint16().Draw(r, "p")), Channels: contact.Channels(rapid.Uint16().Draw(r, "c")),
			Points: list.Draw(r, "points"), Products: list.Draw(r, "products"),
			Max: rapid.Int().Draw(r, "max"), Days: rapid.Int().Draw(r, "days"),
			From: rapid.Int64().Draw(r, "from"), Until: rapid.Int64().Draw(r, "until"),
			Notice: hash.Draw(r, "notice"), How: rapid.String().Draw(r, "how"), Evidence: contact.Evidence(rapid.Uint8().Draw(r, "evidence")),
		}
		for range rapid.IntRange(0, 2).Draw(r, "hours") {
			g.Hours = append(g.Hours, contact.Hours{From: rapid.Int().Draw(r, "hf"), To: rapid.Int().Draw(r, "ht"), Days: rapid.Uint8().Draw(r, "hd")})
		}
		s.Grants = append(s.Grants, g)
	}
	for range rapid.IntRange(0, 3).Draw(r, "stops") {
		s.Stops = append(s.Stops, contact.Stop{
			ID: ids.Draw(r, "id"), Kind: rapid.SampledFrom(append(kinds[:], "odd")).Draw(r, "kind"),
			Purposes: contact.Purposes(rapid.Uint16().Draw(r, "p")), Channels: contact.Channels(rapid.Uint16().Draw(r, "c")),
			Points: list.Draw(r, "points"), GrantID: ids.Draw(r, "grant"),
			At: rapid.Int64().Draw(r, "at"), Until: rapid.Int64().Draw(r, "until"), Source: rapid.String().Draw(r, "source"),
		})
	}
	return s
}

func TestCodecGivesBackEveryStanding(t *testing.T) {
	t.Parallel()
	dec := decoder{seen: map[string]string{}}
	rapid.Check(t, func(r *rapid.T) {
		want := fuzzed(r)
		got, err := dec.decode(encode(want))
		if err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			r.Fatal(diff)
		}
	})
}

func FuzzCodec(f *testing.F) {
	f.Add(encode(contact.Standing{}))
	f.Add(encode(contact.Standing{
		Grants: []contact.Grant{{ID: contact.NewID(), Ground: contact.Consent, Points: []string{"a"}, Notice: NoticeHash("x"), Hours: []contact.Hours{{From: 1, To: 2}}}},
		Stops:  []contact.Stop{{ID: contact.NewID(), Kind: contact.Hold}},
	}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var dec decoder
		s, err := dec.decode(b)
		if err != nil {
			return
		}
		again, err := dec.decode(encode(s))
		if err != nil {
			t.Fatalf("encoded form of %x is refused: %v", b, err)
		}
		if diff := cmp.Diff(s, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestCodecRefusesEveryTruncation(t *testing.T) {
	t.Parallel()
	b := encode(contact.Standing{Grants: []contact.Grant{{ID: contact.NewID(), Ground: contact.Consent, How: "x"}}})
	for i := range b {
		var dec decoder
		if _, err := dec.decode(b[:i]); err == nil {
			t.Errorf("%d of %d bytes were taken for a standing", i, len(b))
		}
	}
}

const (
	mkt = contact.Purposes(1 << contact.Marketing)
	svc = contact.Purposes(1 << contact.Service)
	vox = contact.Channels(1 << contact.Voice)
	sms = contact.Channels(1 << contact.SMS)
)

func TestWhatAStopLeavesOfAConsent(t *testing.T) {
	t.Parallel()
	consent := func(p contact.Purposes, c contact.Channels, points ...string) contact.Grant {
		return contact.Grant{ID: "g", Ground: contact.Consent, Purposes: p, Channels: c, Points: points, From: 1}
	}
	for name, tc := range map[string]struct {
		have contact.Grant
		stop contact.Stop
		left []contact.Grant
	}{
		"all of it":                 {consent(mkt, vox), contact.Stop{Kind: contact.Withdrawal}, nil},
		"its purpose":               {consent(mkt, 0), contact.Stop{Kind: contact.Withdrawal, Purposes: mkt}, nil},
		"another purpose":           {consent(mkt, 0), contact.Stop{Kind: contact.Withdrawal, Purposes: svc}, []contact.Grant{consent(mkt, 0)}},
		"one channel of two":        {consent(mkt, vox|sms), contact.Stop{Kind: contact.Withdrawal, Channels: vox}, []contact.Grant{consent(mkt, sms)}},
		"a refusal":                 {consent(mkt|svc, vox), contact.Stop{Kind: contact.Refusal, Purposes: mkt}, []contact.Grant{consent(svc, vox)}},
		"purpose and channel":       {consent(mkt|svc, vox|sms), contact.Stop{Kind: contact.Withdrawal, Purposes: mkt, Channels: vox}, []contact.Grant{consent(svc, vox|sms), consent(mkt, sms)}},
		"one point of two":          {consent(mkt, vox, "a", "b"), contact.Stop{Kind: contact.Withdrawal, Points: []string{"a"}}, []contact.Grant{consent(mkt, vox, "b")}},
		"a point of any":            {consent(mkt, vox), contact.Stop{Kind: contact.Withdrawal, Points: []string{"a"}}, []contact.Grant{consent(mkt, vox)}},
		"a hold takes nothing":      {consent(mkt, vox), contact.Stop{Kind: contact.Hold}, []contact.Grant{consent(mkt, vox)}},
		"for a time takes nothing":  {consent(mkt, vox), contact.Stop{Kind: contact.Refusal, Until: 99}, []contact.Grant{consent(mkt, vox)}},
		"recorded late, is older":   {contact.Grant{ID: "g", Ground: contact.Consent, From: 7}, contact.Stop{Kind: contact.Withdrawal, At: 5}, []contact.Grant{{ID: "g", Ground: contact.Consent, From: 7}}},
		"a contract is not taken":   {contact.Grant{ID: "g", Ground: contact.Contract}, contact.Stop{Kind: contact.Withdrawal}, []contact.Grant{{ID: "g", Ground: contact.Contract}}},
		"a named grant, whole":      {consent(mkt|svc, 0), contact.Stop{Kind: contact.Withdrawal, Purposes: mkt, GrantID: "g"}, nil},
		"a named contract as well":  {contact.Grant{ID: "g", Ground: contact.Contract}, contact.Stop{Kind: contact.Withdrawal, GrantID: "g"}, nil},
		"any purpose, minus market": {consent(0, vox), contact.Stop{Kind: contact.Withdrawal, Purposes: mkt}, []contact.Grant{consent(allPurposes&^mkt, vox)}},
	} {
		tc.stop.ID = "s"
		if tc.stop.At == 0 {
			tc.stop.At = 10
		}
		got := apply(contact.Standing{Grants: []contact.Grant{tc.have}}, Event{At: 10, Kind: Stopped, Stop: &tc.stop})
		if diff := cmp.Diff(tc.left, got.Grants); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if len(got.Stops) != 1 {
			t.Errorf("%s: the stop is not there", name)
		}
	}
}

func TestWhatANewConsentEnds(t *testing.T) {
	t.Parallel()
	fresh := contact.Grant{ID: "new", Ground: contact.Consent, Purposes: mkt, From: 20}
	stop := contact.Stop{ID: "s", Kind: contact.Withdrawal, Purposes: mkt, At: 10}
	for name, tc := range map[string]struct {
		stop  func(*contact.Stop)
		grant func(*contact.Grant)
		older []contact.Grant
		ends  bool
	}{
		"covers it":                       {ends: true},
		"a refusal as well":               {stop: func(s *contact.Stop) { s.Kind = contact.Refusal }, ends: true},
		"a do-not-contact must be lifted": {stop: func(s *contact.Stop) { s.Kind = contact.DoNotContact }},
		"a hold must be lifted":           {stop: func(s *contact.Stop) { s.Kind = contact.Hold }},
		"covers one purpose of two":       {stop: func(s *contact.Stop) { s.Purposes = mkt | svc }},
		"covers some of all":              {stop: func(s *contact.Stop) { s.Purposes = 0 }},
		"one product only":                {grant: func(g *contact.Grant) { g.Products = []string{"fund"} }},
		"a contract is no consent":        {grant: func(g *contact.Grant) { g.Ground = contact.Contract }},
		"given before the stop":           {grant: func(g *contact.Grant) { g.From = 5 }},
		"begins later":                    {grant: func(g *contact.Grant) { g.From = 99 }},
		"one point of any":                {grant: func(g *contact.Grant) { g.Points = []string{"a"} }},
		"an old consent would revive":     {older: []contact.Grant{{ID: "old", Ground: contact.Consent, From: 1}}},
	} {
		s, g := stop, fresh
		if tc.stop != nil {
			tc.stop(&s)
		}
		if tc.grant != nil {
			tc.grant(&g)
		}
		got := apply(contact.Standing{Grants: tc.older, Stops: []contact.Stop{s}}, Event{At: 20, Kind: Granted, Grant: &g})
		if (len(got.Stops) == 0) != tc.ends {
			t.Errorf("%s: stops left %+v", name, got.Stops)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	raw := encode(contact.Standing{Grants: []contact.Grant{
		{ID: contact.NewID(), Ground: contact.Contract, Purposes: svc, From: 1, How: "branch"},
		{ID: contact.NewID(), Ground: contact.Consent, Purposes: mkt, Channels: vox, Max: 2, Days: 30, From: 1, Notice: NoticeHash("x"), How: "app"}}})
	dec := decoder{seen: map[string]string{}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := dec.decode(raw); err != nil {
			b.Fatal(err)
		}
	}
}
