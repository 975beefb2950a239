package consent_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"parley/internal/consent"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
)

var ctx = context.Background()

func write(t testing.TB, d *db.DB, fn func(tx *db.Tx) error) {
	t.Helper()
	if err := d.Write(ctx, fn); err != nil {
		t.Fatal(err)
	}
}

func standing(t testing.TB, d *db.DB, s *consent.Store, party string) (out contact.Standing) {
	t.Helper()
	if err := d.Read(ctx, func(tx *db.Tx) error {
		m, err := s.Load(ctx, tx, []contact.ID{party}, false)
		out = m[party]
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

type voids struct {
	got []contact.Stop
	err error
}

func (v *voids) VoidParty(_ context.Context, _ *db.Tx, _ contact.ID, s contact.Stop) (int, error) {
	v.got = append(v.got, s)
	return 1, v.err
}

var (
	voice     = contact.ChannelSet(contact.Voice)
	marketing = contact.PurposeSet(contact.Marketing)
)

func TestAWithdrawalTakesBackTheGrantItNames(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		v := &voids{}
		s := consent.NewStore(d, v)
		p := contact.NewID()
		var g contact.Grant
		write(t, d, func(tx *db.Tx) (err error) {
			g, err = s.Grant(ctx, tx, p, contact.Grant{Ground: contact.Consent, Purposes: marketing, Channels: voice}, "branch")
			return err
		})
		if g.ID == "" || g.From == 0 {
			t.Fatalf("grant not filled in: %+v", g)
		}
		write(t, d, func(tx *db.Tx) error {
			_, err := s.Stop(ctx, tx, p, contact.Stop{Kind: contact.Withdrawal, GrantID: g.ID, Source: "key9"}, "key9")
			return err
		})
		st := standing(t, d, s, p)
		if len(st.Grants) != 0 || len(st.Stops) != 1 {
			t.Fatalf("standing after the withdrawal: %+v", st)
		}
		if got := st.Stops[0]; got.Purposes != marketing || got.Channels != voice {
			t.Errorf("the stop covers %+v, want what the grant covered", got)
		}
		if len(v.got) != 1 || v.got[0].ID != st.Stops[0].ID {
			t.Errorf("the gate was told %+v", v.got)
		}
	})
}

func TestAFailedVoidUndoesTheStop(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		boom := errors.New("boom")
		s := consent.NewStore(d, &voids{err: boom})
		p := contact.NewID()
		err := d.Write(ctx, func(tx *db.Tx) error {
			_, err := s.Stop(ctx, tx, p, contact.Stop{Kind: contact.DoNotContact}, "x")
			return err
		})
		if !errors.Is(err, boom) {
			t.Fatal(err)
		}
		if st := standing(t, d, s, p); len(st.Stops) != 0 {
			t.Errorf("half a stop is there: %+v", st)
		}
	})
}

func TestLiftAndItsRefusal(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := consent.NewStore(d, nil)
		p := contact.NewID()
		var hold contact.Stop
		write(t, d, func(tx *db.Tx) (err error) {
			hold, err = s.Stop(ctx, tx, p, contact.Stop{Kind: contact.Hold, Source: "complaint"}, "li")
			return err
		})
		lift := func() error {
			return d.Write(ctx, func(tx *db.Tx) error { return s.Lift(ctx, tx, p, hold.ID, "wang", "case closed") })
		}
		if err := lift(); err != nil {
			t.Fatal(err)
		}
		if st := standing(t, d, s, p); len(st.Stops) != 0 {
			t.Errorf("still there: %+v", st)
		}
		if err := lift(); !errors.Is(err, consent.ErrNoStop) {
			t.Errorf("lifted twice: %v", err)
		}
		if err := d.Read(ctx, func(tx *db.Tx) error {
			evs, err := s.History(ctx, tx, p)
			if err != nil {
				return err
			}
			if len(evs) != 2 || evs[1].Reason != "case closed" || evs[1].By != "wang" || evs[1].Ref != hold.ID || evs[1].Seq != 2 {
				t.Errorf("history %+v", evs)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestBadTermsAreRefused(t *testing.T) {
	t.Parallel()
	ok := contact.Grant{Ground: contact.Consent, Purposes: marketing}
	for name, change := range map[string]func(*contact.Grant){
		"no ground":          func(g *contact.Grant) { g.Ground = "" },
		"ends before begin":  func(g *contact.Grant) { g.From, g.Until = 10, 10 },
		"cap without window": func(g *contact.Grant) { g.Max = 3 },
		"window without cap": func(g *contact.Grant) { g.Days = 3 },
		"unknown purpose":    func(g *contact.Grant) { g.Purposes = 1 << 12 },
		"hour 25":            func(g *contact.Grant) { g.Hours = []contact.Hours{{From: 0, To: 1500}} },
		"empty hours":        func(g *contact.Grant) { g.Hours = []contact.Hours{{From: 600, To: 600}} },
		"over already":       func(g *contact.Grant) { g.Until = 5 },
	} {
		g := ok
		change(&g)
		if err := consent.CheckGrant(g, 100); !errors.Is(err, consent.ErrGrant) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := consent.CheckGrant(ok, 100); err != nil {
		t.Error(err)
	}
}

// What the projection says at any instant is what replaying the events says.
func TestAsOfEqualsWhatWasLoadedThen(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	dbtest.EachClock(t, func() time.Time { return start }, func(t *testing.T, d *db.DB) {
		s := consent.NewStore(d, nil)
		rapid.Check(t, func(r *rapid.T) {
			party := contact.NewID()
			seen := map[time.Time]contact.Standing{}
			var stops []contact.ID
			for range rapid.IntRange(1, 8).Draw(r, "steps") {
				err := d.Write(ctx, func(tx *db.Tx) error {
					var err error
					switch rapid.SampledFrom([]string{"grant", "stop", "lift", "wait"}).Draw(r, "step") {
					case "grant":
						_, err = s.Grant(ctx, tx, party, drawGrant(r, tx.At()), "x")
					case "stop":
						var st contact.Stop
						st, err = s.Stop(ctx, tx, party, drawStop(r, tx.At()), "x")
						stops = append(stops, st.ID)
					case "lift":
						if len(stops) > 0 {
							err = s.Lift(ctx, tx, party, rapid.SampledFrom(stops).Draw(r, "which"), "x", "r")
						}
						if errors.Is(err, consent.ErrNoStop) {
							err = nil
						}
					}
					if err != nil {
						return err
					}
					m, err := s.Load(ctx, tx, []contact.ID{party}, rapid.Bool().Draw(r, "lock"))
					seen[tx.Now] = m[party]
					return err
				})
				if err != nil {
					r.Fatal(err)
				}
			}
			for at, want := range seen {
				var got contact.Standing
				if err := d.Read(ctx, func(tx *db.Tx) (err error) {
					got, err = s.AsOf(ctx, tx, party, at)
					return err
				}); err != nil {
					r.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					r.Fatalf("as of %v: %s", at, diff)
				}
			}
		})
	})
}

func drawGrant(r *rapid.T, now int64) contact.Grant {
	g := contact.Grant{
		Ground:   rapid.SampledFrom([]contact.Ground{contact.Consent, contact.Request, contact.Contract, contact.Statute}).Draw(r, "ground"),
		Purposes: contact.Purposes(rapid.IntRange(0, 3).Draw(r, "purposes") << 1),
		Channels: contact.Channels(rapid.IntRange(0, 3).Draw(r, "channels") << 1),
		Points:   rapid.SampledFrom([][]contact.ID{nil, {"p1"}, {"p1", "p2"}}).Draw(r, "points"),
		How:      rapid.SampledFrom([]string{"", "branch", "手机银行"}).Draw(r, "how"),
	}
	if rapid.Bool().Draw(r, "ends") {
		g.Until = now + int64(rapid.IntRange(1, 8).Draw(r, "until"))
	}
	return g
}

func drawStop(r *rapid.T, now int64) contact.Stop {
	s := contact.Stop{
		Kind:     rapid.SampledFrom([]contact.StopKind{contact.Withdrawal, contact.Refusal, contact.DoNotContact, contact.Hold}).Draw(r, "kind"),
		Purposes: contact.Purposes(rapid.IntRange(0, 3).Draw(r, "purposes") << 1),
		Channels: contact.Channels(rapid.IntRange(0, 3).Draw(r, "channels") << 1),
		Points:   rapid.SampledFrom([][]contact.ID{nil, {"p1"}, {"p2"}}).Draw(r, "points"),
	}
	if rapid.Bool().Draw(r, "ends") {
		s.Until = now + int64(rapid.IntRange(1, 8).Draw(r, "until"))
	}
	return s
}

func TestManyGrantsAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := consent.NewStore(d, nil)
		var gs []consent.PartyGrant
		var ids []contact.ID
		for i := range 700 {
			p := fmt.Sprintf("party-%04d", i/2) // two grants each
			gs = append(gs, consent.PartyGrant{Party: p, Grant: contact.Grant{Ground: contact.Contract, How: "import"}})
			if i%2 == 0 {
				ids = append(ids, p)
			}
		}
		write(t, d, func(tx *db.Tx) error { return s.GrantMany(ctx, tx, gs, "import") })
		if err := d.Read(ctx, func(tx *db.Tx) error {
			m, err := s.Load(ctx, tx, ids, false)
			for _, id := range ids {
				if len(m[id].Grants) != 2 {
					t.Errorf("%s has %d grants", id, len(m[id].Grants))
				}
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	})
}

// Two transactions of one person never lose an event, whatever their order.
func TestConcurrentEventsOfOnePersonAllStay(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := consent.NewStore(d, nil)
		p := contact.NewID()
		const n = 24
		errc := make(chan error, n)
		for i := range n {
			go func() {
				errc <- d.Write(ctx, func(tx *db.Tx) error {
					var err error
					if i%2 == 0 {
						_, err = s.Grant(ctx, tx, p, contact.Grant{Ground: contact.Contract}, "x")
					} else {
						_, err = s.Stop(ctx, tx, p, contact.Stop{Kind: contact.Hold}, "x")
					}
					return err
				})
			}()
		}
		for range n {
			if err := <-errc; err != nil {
				t.Fatal(err)
			}
		}
		if st := standing(t, d, s, p); len(st.Grants) != n/2 || len(st.Stops) != n/2 {
			t.Errorf("%d grants and %d stops of %d each", len(st.Grants), len(st.Stops), n/2)
		}
	})
}

func TestNoticeIsKeptAsShown(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := consent.NewStore(d, nil)
		n := consent.Notice{Version: "2026-03", Lang: "zh-CN", Text: "我们将以电话向您介绍理财产品……", ValidFrom: time.Unix(1000, 0).UTC()}
		write(t, d, func(tx *db.Tx) error {
			for range 2 {
				h, err := s.PutNotice(ctx, tx, n)
				if err != nil || h != consent.NoticeHash(n.Text) {
					t.Errorf("hash %q: %v", h, err)
				}
			}
			got, err := s.GetNotice(ctx, tx, consent.NoticeHash(n.Text))
			n.Hash = got.Hash
			if got != n {
				t.Errorf("got %+v", got)
			}
			if _, err := s.GetNotice(ctx, tx, "beef"); !errors.Is(err, consent.ErrNoNotice) {
				t.Error(err)
			}
			return err
		})
	})
}
