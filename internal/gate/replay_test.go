package gate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/policy"
)

// past gives a bank three weeks of decisions of every effect: caps reached,
// closed hours, withdrawals, people without consent.
func past(t *testing.T, d *db.DB, c *clock) *bank {
	b := newBank(t, d, Options{PermitTTL: time.Hour})
	people := make([]contact.ID, 12)
	for i := range people {
		people[i] = contact.NewID()
		if i%3 != 0 {
			b.grant(people[i], contact.Grant{Ground: contact.Consent, Purposes: contact.PurposeSet(contact.Marketing)})
		}
	}
	for n := range 21 {
		for i, who := range people {
			in := market(who)
			if (n+i)%4 == 0 {
				in = collect(who)
			}
			in.Campaign = "0199f3a0-0000-7000-8000-00000000000" + string(rune('1'+i%2))
			if d := b.reserve(in)[0]; d.Permit.ID() != "" && (n+i)%3 != 0 {
				b.end(d.ID, []contact.Outcome{contact.NoAnswer, contact.Effective}[n%2])
			}
			c.add(7 * time.Minute)
		}
		if n == 10 {
			b.stop(people[1], contact.Stop{Kind: contact.Withdrawal})
		}
		c.add(19*time.Hour + 41*time.Minute)
	}
	return b
}

// A replay under the very packs that judged finds no difference, whichever way
// it is asked for.
func TestReplayOfTheSamePackChangesNothing(t *testing.T) {
	t.Parallel()
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			c := &clock{t: day}
			b := past(t, dbtest.Open(t, dbtest.URL(t, engine), c.now), c)
			for name, set := range map[string]*policy.Set{"each its own": nil, "the same text": testSet(t)} {
				got, err := b.gate.Replay(context.Background(), Replay{Set: set})
				if err != nil {
					t.Fatal(err)
				}
				if got.Decisions != 21*12 || got.Changed != 0 || len(got.Changes) != 0 || got.Unknown != 0 || got.Short != 0 {
					t.Errorf("%s: %+v", name, got)
				}
				for e := policy.Allow; e <= policy.Deny; e++ {
					if got.Before[e] == 0 || got.Before[e] != got.After[e] {
						t.Errorf("%s: %s %d before, %d after", name, e, got.Before[e], got.After[e])
					}
				}
			}
		})
	}
}

// A tighter cap turns exactly those allowed contacts into denials or delays that
// would have exceeded it, and names its rule; nothing else changes.
func TestReplayOfATighterCap(t *testing.T) {
	t.Parallel()
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			c := &clock{t: day}
			b := past(t, dbtest.Open(t, dbtest.URL(t, engine), c.now), c)
			ctx := context.Background()
			draft := testSet(t, strings.Replace(testPack, "max: 3, unit: attempts, per: person, window: rolling_days 30", "max: 2, unit: attempts, per: person, window: rolling_days 30", 1))
			var seen int64
			got, err := b.gate.Replay(ctx, Replay{Set: draft, Progress: func(done, about int64) { seen = max(seen, done) }})
			if err != nil {
				t.Fatal(err)
			}
			var want int64 // every stored decision judged by hand
			lost := map[contact.ID]bool{}
			for _, s := range b.all(t) {
				v := draft.Decide(&s.Facts)
				if v.Effect != s.Verdict.Effect || v.By != s.Verdict.By || !v.At.Equal(s.Verdict.At) {
					want++
					lost[s.ID] = true
				}
			}
			if got.Changed != want || want == 0 || seen != got.Decisions || got.Purposes[contact.Marketing] != want || len(got.Campaigns) != 2 {
				t.Fatalf("%d changed of %d, want %d: %+v", got.Changed, got.Decisions, want, got)
			}
			var sum int64
			for _, ch := range got.Changes {
				sum += ch.N
				if ch.ToBy != "T-MKT-30" || ch.To == policy.Allow || len(ch.Examples) == 0 || !lost[ch.Examples[0]] {
					t.Errorf("%+v", ch)
				}
			}
			if sum != want {
				t.Errorf("changes add up to %d of %d", sum, want)
			}
			week, err := b.gate.Replay(ctx, Replay{Set: draft, Since: day.AddDate(0, 0, 7), Till: day.AddDate(0, 0, 14)})
			if err != nil || week.Decisions >= got.Decisions || week.Decisions < 5*12 {
				t.Errorf("a week has %d of %d decisions (%v)", week.Decisions, got.Decisions, err)
			}
		})
	}
}

// Facts hold what the rules of their day could see. A draft that looks further
// back is told that it may judge too mildly.
func TestReplaySaysWhereFactsAreShort(t *testing.T) {
	t.Parallel()
	c := &clock{t: day}
	b := past(t, dbtest.Open(t, dbtest.URL(t, dbtest.Engines[0]), c.now), c)
	c.add(60 * 24 * time.Hour)
	who := contact.NewID()
	b.grant(who, contact.Grant{Ground: contact.Consent, Purposes: contact.PurposeSet(contact.Marketing)})
	b.contact(market(who), contact.NoAnswer)
	for range 2 { // the first is beyond the rules' sight when the second is judged
		c.add(40 * 24 * time.Hour)
		b.contact(market(who), contact.NoAnswer)
	}
	draft := testSet(t, strings.Replace(testPack, "window: rolling_days 30", "window: rolling_days 90", 1))
	got, err := b.gate.Replay(context.Background(), Replay{Set: draft})
	if err != nil || got.Short == 0 || got.Short == got.Decisions {
		t.Fatalf("%+v %v", got, err)
	}
}

// People with many contacts behind them have facts that leave out what stands in
// earlier facts. Read again they are whole: the ledger has their hash, and a
// replay under the same rules finds no difference.
func TestSharedFactsAreWhole(t *testing.T) {
	t.Parallel()
	eachClock(t, func(t *testing.T, d *db.DB, c *clock) {
		b := newBank(t, d, Options{PermitTTL: time.Hour})
		who := contact.NewID()
		for n := range 60 {
			in := collect(who)
			in.Product = []string{"card", "loan"}[n/20%2]
			if d := b.reserve(in)[0]; d.Permit.ID() != "" && n%7 != 0 {
				b.end(d.ID, []contact.Outcome{contact.NoAnswer, contact.Connected, contact.Effective}[n%3])
			}
			c.add(11 * time.Hour)
		}
		shared := 0
		for _, s := range b.all(t) {
			var kept []byte
			var record string
			err := d.Read(t.Context(), func(tx *db.Tx) error {
				if err := tx.QueryRow(t.Context(), "SELECT facts FROM gate_decision WHERE id = $1", s.ID).Scan(&kept); err != nil {
					return err
				}
				return tx.QueryRow(t.Context(), "SELECT record FROM ledger_outbox WHERE id = $1 AND type = 'gate.decided'", s.ID).Scan(&record)
			})
			if err != nil {
				t.Fatal(err)
			}
			if sum := sha256.Sum256(s.Raw); !s.Replayed || !strings.Contains(record, hex.EncodeToString(sum[:])) {
				t.Fatalf("decision %s, replayed %v, has facts of %x, the ledger says %s", s.ID, s.Replayed, sum, record)
			}
			if len(kept) < len(s.Raw) {
				shared++
			}
		}
		got, err := b.gate.Replay(t.Context(), Replay{})
		if err != nil || shared < 20 || got.Decisions != 60 || got.Changed != 0 || got.Unknown != 0 || got.Short != 0 {
			t.Fatalf("%d share facts, %+v %v", shared, got, err)
		}
	})
}

// all gives every stored decision.
func (b *bank) all(t *testing.T) (out []Stored) {
	t.Helper()
	var ids []string
	err := b.db.Read(context.Background(), func(tx *db.Tx) error {
		rs, err := tx.Query(context.Background(), "SELECT id FROM gate_decision ORDER BY id")
		if err != nil {
			return err
		}
		defer rs.Close()
		for rs.Next() {
			var id string
			if err := rs.Scan(&id); err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return rs.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		s, err := b.gate.Decision(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}
