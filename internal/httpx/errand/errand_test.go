package errand

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// One piece of work of a key at a time; it outlives who asked for it, says how
// far it is, and what came of it is found again.
func TestWorkIsFoundAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d Desk[string]
		if s := d.Of("a"); s.Running || s.Over() {
			t.Errorf("nothing was begun: %+v", s)
		}
		ctx, leave := context.WithCancel(t.Context())
		wrong := errors.New("torn")
		work := func(ctx context.Context, report func(done, total int64)) (string, error) {
			report(3, 10)
			time.Sleep(time.Minute)
			return "came through", errors.Join(wrong, ctx.Err())
		}
		if !d.Begin(ctx, "a", "list.csv", work) || d.Begin(ctx, "a", "other.csv", work) || !d.Begin(ctx, "b", "", work) {
			t.Fatal("not one piece of work for each key")
		}
		leave()
		synctest.Wait()
		if s := d.Of("a"); !s.Running || s.Over() || s.About != "list.csv" || s.Done != 3 || s.Total != 10 {
			t.Errorf("under way: %+v", s)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		s := d.Of("a")
		if s.Running || !s.Over() || s.Result != "came through" || !errors.Is(s.Err, wrong) || errors.Is(s.Err, context.Canceled) || s.Ended.Sub(s.Began) != time.Minute {
			t.Errorf("over: %+v", s)
		}
		if !d.Begin(t.Context(), "a", "again", work) || d.Of("a").Over() {
			t.Error("what has ended cannot be begun again")
		}
		time.Sleep(time.Minute)
	})
}
