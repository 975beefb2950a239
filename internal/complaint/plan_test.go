package complaint_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"parley/internal/complaint"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
)

// Every list of cases goes by index, whatever narrows it.
func TestPlans(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		dbtest.Indexed(t, b.db, func() {
			for _, q := range []complaint.Query{{}, {State: complaint.Open}, {Handler: "x"}, {Handler: complaint.Nobody, State: complaint.Taken},
				{Due: true}, {Due: true, Handler: "x"}, {Due: true, State: complaint.Open}, {Contact: true}, {Contact: true, Handler: "x"}} {
				for _, span := range []db.Span{{N: 5}, {At: "9.x", N: 5}, {At: "9.x", Back: true, N: 5}} {
					if _, err := b.Slice(context.Background(), q, span); err != nil {
						t.Error(err)
					}
				}
			}
			if _, _, err := b.Pressing(context.Background(), "x", time.Hour); err != nil {
				t.Error(err)
			}
			if _, _, err := b.Uncontacted(context.Background(), "x"); err != nil {
				t.Error(err)
			}
		}, "complaint_case_due", "complaint_case_contact") // a partial index, of open cases alone: its start is the page
	})
}

// The list pages both ways, by arrival and by deadline; what is pressing is counted.
func TestSlice(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		ctx := context.Background()
		var ids []contact.ID
		for i := range 7 {
			b.set(received.Add(time.Duration(i) * 24 * time.Hour))
			if err := b.db.Write(ctx, func(tx *db.Tx) error {
				c, err := b.Open(ctx, tx, complaint.Intake{Source: "staff", Lang: "zh-CN", Subject: "s", Words: "w"})
				if err == nil {
					ids = append(ids, c.ID)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.Take(ctx, ids[2], "zhang"); err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			q    complaint.Query
			want []contact.ID
		}{
			"newest first": {complaint.Query{}, rev(ids)},
			"due soonest":  {complaint.Query{Due: true}, ids},
			"mine":         {complaint.Query{Handler: "zhang"}, ids[2:3]},
			"nobody's":     {complaint.Query{Handler: complaint.Nobody, Due: true}, slices.Delete(slices.Clone(ids), 2, 3)},
			"taken":        {complaint.Query{State: complaint.Taken}, ids[2:3]},
			"oldest first": {complaint.Query{Back: true}, ids},
		} {
			var forth, back []contact.ID
			span := db.Span{N: 2}
			for more := true; more; {
				rows, err := b.Slice(ctx, c.q, span)
				if err != nil {
					t.Fatal(err)
				}
				var page []*complaint.Case
				page, _, more = db.Cut(rows, span)
				for _, k := range page {
					forth = append(forth, k.ID)
					span.At = c.q.Key(k)
				}
			}
			span.Back, span.N = true, 100
			rows, err := b.Slice(ctx, c.q, span)
			if err != nil {
				t.Fatal(err)
			}
			page, _, _ := db.Cut(rows, span)
			for _, k := range page {
				back = append(back, k.ID)
			}
			if !slices.Equal(forth, c.want) || !slices.Equal(back, c.want[:len(c.want)-1]) {
				t.Errorf("%s: %v back %v, want %v", name, forth, back, c.want)
			}
		}
		over, soon, err := b.Pressing(ctx, "", 12*24*time.Hour)
		if err != nil || over != 0 || soon == 0 {
			t.Errorf("over %d soon %d %v", over, soon, err)
		}
		b.set(received.Add(400 * 24 * time.Hour))
		if over, soon, err = b.Pressing(ctx, "zhang", time.Hour); err != nil || over != 1 || soon != 0 {
			t.Errorf("after a year: over %d soon %d %v", over, soon, err)
		}
	})
}

func rev(ids []contact.ID) []contact.ID {
	out := slices.Clone(ids)
	slices.Reverse(out)
	return out
}
