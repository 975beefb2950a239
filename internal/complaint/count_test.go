package complaint_test

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"time"

	"parley/internal/complaint"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
)

// recounted counts the cases themselves, as no page does.
func recounted(t *testing.T, b *bank) complaint.Counts {
	t.Helper()
	out := complaint.Counts{ByState: map[complaint.State]int{}}
	if err := b.db.Read(context.Background(), func(tx *db.Tx) error {
		return tx.Each(context.Background(), func(r *sql.Rows) error {
			var state, attempt, cause string
			var due int64
			if err := r.Scan(&state, &attempt, &cause, &due); err != nil {
				return err
			}
			out.Total++
			s := complaint.State(state)
			out.ByState[s]++
			if attempt != "" && cause != "" {
				out.WithCause++
			}
			if s != complaint.Answered && s != complaint.Closed && due < tx.At() {
				out.Overdue++
			}
			return nil
		}, "SELECT state, attempt_id, cause, due_at FROM complaint_case")
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// Whatever happens to cases, by several hands at once, the counts are those of
// the cases. What is refused changes nothing.
func TestCountIsWhatCountingGives(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		ctx := context.Background()
		var ids []contact.ID
		for i := range 9 {
			in := complaint.Intake{Source: "web", Words: "电话太多", Party: b.party, Claimed: i%3 == 0}
			if i%4 == 0 {
				in.Party = ""
			}
			ids = append(ids, b.open(t, in).ID)
		}
		// No hand has the last two, so that there are two states whatever is drawn:
		// one draw in seventy withdraws every case.
		if _, err := b.WithdrawCase(ctx, ids[7]); err != nil {
			t.Fatal(err)
		}
		ids = ids[:7]
		seed := rand.Uint64()
		t.Log("seed", seed)
		var wg sync.WaitGroup
		for hand := range 3 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(seed, uint64(hand)))
				for range 30 {
					id := ids[r.IntN(len(ids))]
					var err error
					switch r.IntN(10) {
					case 0, 1:
						_, err = b.Take(ctx, id, "zhang")
					case 2, 3:
						d := decision()
						d.Block = nil
						_, err = b.Propose(ctx, id, "zhang", d)
					case 4:
						err = b.AskExtension(ctx, id, "zhang", "需要调取录音")
					case 5:
						err = b.DecideExtension(ctx, id, "zhao", true, "")
					case 6:
						_, err = b.Prove(ctx, id, b.party, "staff", "staff")
					case 7:
						_, err = b.Accept(ctx, id)
					case 8:
						_, err = b.AskReview(ctx, id, "不同意")
					case 9:
						_, err = b.WithdrawCase(ctx, id)
					}
					if err != nil && code(err) == "" {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		b.set(received.Add(40 * 24 * time.Hour))
		got, err := b.Count(ctx)
		if err != nil {
			t.Fatal(err)
		}
		want := recounted(t, b)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("counted as they changed %+v, counted now %+v", got, want)
		}
		if want.WithCause == 0 || want.ByState[complaint.Open] == 0 || want.ByState[complaint.Closed] == 0 {
			t.Errorf("nothing was moved: %+v", want)
		}
		dbtest.Indexed(t, b.db, func() {
			if _, err := b.Count(ctx); err != nil {
				t.Error(err)
			}
		}, "complaint_count")
	})
}
