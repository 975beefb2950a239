package outbound_test

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/errs"
	"parley/internal/gate"
	"parley/internal/outbound"
	"parley/internal/policy"
	"parley/internal/sim"
)

// recounted counts the attempts themselves, as no page does: by slot, campaign and outcome.
func recounted(t testing.TB, d *db.DB) map[string][6]int64 {
	t.Helper()
	out := map[string][6]int64{}
	check(t, d.Read(context.Background(), func(tx *db.Tx) error {
		return tx.Each(context.Background(), func(r *sql.Rows) error {
			var id, campaign, outcome string
			var answered, withdrawn int64
			var complaint, recording, missing string
			if err := r.Scan(&id, &campaign, &outcome, &answered, &withdrawn, &complaint, &recording, &missing); err != nil {
				return err
			}
			n := [6]int64{1}
			for i, is := range []bool{answered > 0, recording != "", missing == "no rule and no script asked for a recording", withdrawn > 0, complaint != ""} {
				if is {
					n[i+1] = 1
				}
			}
			keys := []string{fmt.Sprint(contact.IDTime(id).Unix()/3600, campaign, outcome), fmt.Sprint(-1, "", outcome)}
			if campaign != "" {
				keys = append(keys, fmt.Sprint(-1, campaign, outcome))
			}
			for _, k := range keys {
				sum := out[k]
				for i := range sum {
					sum[i] += n[i]
				}
				out[k] = sum
			}
			return nil
		}, `SELECT a.id, a.campaign_id, a.outcome, a.answered_at, a.withdrawn_at, a.complaint, COALESCE(r.sha256, ''), COALESCE(r.error, '')
			FROM outbound_attempt a LEFT JOIN outbound_recording r ON r.attempt_id = a.id`)
	}))
	return out
}

// countsAreExact fails when the counts kept are not those of the attempts.
// Every test of calls ends with it.
func countsAreExact(t testing.TB, d *db.DB) {
	t.Helper()
	kept := map[string][6]int64{}
	check(t, d.Read(context.Background(), func(tx *db.Tx) error {
		return tx.Each(context.Background(), func(r *sql.Rows) error {
			var slot int64
			var campaign, outcome string
			var n [6]int64
			err := r.Scan(&slot, &campaign, &outcome, &n[0], &n[1], &n[2], &n[3], &n[4], &n[5])
			if n != [6]int64{} {
				kept[fmt.Sprint(slot, campaign, outcome)] = n
			}
			return err
		}, `SELECT slot, campaign_id, outcome, CAST(SUM(n) AS BIGINT), CAST(SUM(answered) AS BIGINT), CAST(SUM(recorded) AS BIGINT), CAST(SUM(not_due) AS BIGINT),
			CAST(SUM(withdrawn) AS BIGINT), CAST(SUM(complained) AS BIGINT) FROM outbound_count GROUP BY slot, campaign_id, outcome`)
	}))
	if want := recounted(t, d); !reflect.DeepEqual(kept, want) {
		t.Errorf("counted as they changed\n%v\ncounted now\n%v", kept, want)
	}
}

// Whatever becomes of contacts, by several hands at once and over many hours,
// the counts are those of the attempts; and those of any stretch of time are
// those of the attempts in it.
func TestCountsAreWhatCountingGives(t *testing.T) {
	t.Parallel()
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			var now atomic.Int64
			now.Store(bankClock()().UnixMicro())
			d := dbtest.Open(t, dbtest.URL(t, engine), func() time.Time { return time.UnixMicro(now.Load()) })
			ctx := context.Background()
			b := newBank(t, d)
			seed := rand.Uint64()
			t.Log("seed", seed)
			var people []gate.Decision
			for range 12 {
				who := b.customer(sim.Busy)
				in := policy.Intent{Party: who.Party, Point: who.Point, Channel: contact.Voice, Purpose: contact.Service, Relation: contact.Self,
					Campaign: contact.NewID(), CallerID: "95588", Script: b.scripts["card_renewal"].Hash(), Via: "old dialer",
					Discloses: []string{policy.Identity, policy.RefusalPath, policy.AILabel}}
				ds, err := b.gate.Reserve(ctx, []policy.Intent{in})
				check(t, err)
				if ds[0].Permit.ID() == "" {
					t.Fatalf("not allowed: %+v", ds[0])
				}
				people = append(people, ds[0])
				if _, err = b.sender.Begin(ctx, ds[0].ID, outbound.Relay{Via: "old dialer", Meets: undertaken(&ds[0]), Lang: "zh-CN"}); err != nil {
					t.Fatal(err)
				}
				now.Add((37 * time.Minute).Microseconds())
			}
			var wg sync.WaitGroup
			for hand := range 3 {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(seed, uint64(hand)))
					for range 20 {
						p := people[r.IntN(len(people))]
						rep := outbound.Report{Outcome: []contact.Outcome{contact.Busy, contact.NoAnswer, contact.Effective, contact.Unknown}[r.IntN(4)]}
						if rep.Outcome == contact.Effective {
							rep.Answered = d.Now()
						}
						if _, err := b.sender.Finish(ctx, p.ID, "old dialer", rep); err != nil && errs.Public(err).Kind == errs.Internal {
							t.Error(err)
						}
						if r.IntN(4) == 0 {
							if err := b.sender.Reconcile(ctx, p.ID, contact.NoAnswer, "wu"); err != nil && errs.Public(err).Kind == errs.Internal {
								t.Error(err)
							}
						}
					}
				})
			}
			wg.Wait()
			countsAreExact(t, d)
			ids := []contact.ID{"", "g"}
			for _, p := range people {
				ids = append(ids, p.ID, contact.IDFrom(contact.IDTime(p.ID).Truncate(time.Hour)))
			}
			slices.Sort(ids)
			all := recounted(t, d)
			check(t, d.Read(ctx, func(tx *db.Tx) error {
				for i, since := range ids {
					for _, to := range ids[i:] {
						c, err := b.sender.CountsBetween(ctx, tx, "", since, to)
						if err != nil {
							return err
						}
						want := int64(0)
						for _, p := range people {
							if p.ID >= since && p.ID < to {
								want++
							}
						}
						if c.Placed+c.NotSent != want {
							t.Errorf("[%s, %s): %d, want %d", since, to, c.Placed+c.NotSent, want)
						}
					}
				}
				c, err := b.sender.Counts(ctx, tx, "")
				for o, n := range c.ByOutcome {
					if all[fmt.Sprint(-1, "", o)][0] != n {
						t.Errorf("%s: %d, want %v", o, n, all)
					}
				}
				return err
			}))
		})
	}
}

// Figures of attempts go by index, whatever stretch they are of.
func TestCountPlans(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		b := newBank(t, d)
		at := time.Date(2026, 11, 24, 10, 20, 0, 0, time.UTC)
		dbtest.Indexed(t, d, func() {
			check(t, d.Read(ctx, func(tx *db.Tx) error {
				for _, campaign := range []contact.ID{"", contact.NewID()} {
					_, err1 := b.sender.Counts(ctx, tx, campaign)
					_, err2 := b.sender.CountsBetween(ctx, tx, campaign, contact.IDFrom(at.Add(-20*time.Hour)), contact.IDFrom(at))
					_, err3 := b.sender.CountsBetween(ctx, tx, campaign, contact.IDFrom(at), "g")
					for _, err := range []error{err1, err2, err3} {
						check(t, err)
					}
				}
				_, err := b.sender.Live(ctx, tx)
				return err
			}))
			// What a start and the loops look for, however much is over.
			_, err1 := b.sender.Recover(ctx)
			_, err2 := b.sender.GiveUp(ctx, time.Minute)
			_, err3 := b.sender.OpenPending(ctx)
			for _, err := range []error{err1, err2, err3} {
				check(t, err)
			}
		}, "outbound_attempt_open", "gate_decision_flight", "TEMP B-TREE FOR GROUP BY") // few attempts are open; of what is read there are few outcomes
	})
}

// undertaken names every obligation of a decision.
func undertaken(d *gate.Decision) []string {
	out := map[string]bool{}
	for _, o := range d.Verdict.Obligations {
		out[o.Kind] = true
	}
	return slices.Collect(maps.Keys(out))
}
