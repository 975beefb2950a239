package disclosure_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"parley/internal/approval/approvaltest"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/disclosure"
	"parley/internal/errs"
)

var ctx = context.Background()

func each(t *testing.T, fn func(t *testing.T, d *db.DB, s *disclosure.Store)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, d *db.DB) { fn(t, d, disclosure.New(d, approvaltest.Keys(t))) })
}

func code(err error) string {
	var e *errs.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func entries(t *testing.T, d *db.DB) (n int, all string) {
	t.Helper()
	if err := d.Read(ctx, func(tx *db.Tx) error {
		rows, err := tx.Query(ctx, "SELECT record FROM ledger_outbox WHERE type = 'disclosure.shown'")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				return err
			}
			n, all = n+1, all+s
		}
		return rows.Err()
	}); err != nil {
		t.Fatal(err)
	}
	return n, all
}

// JR/T 0171-2020, PIPL 44: each showing has its reason, is a ledger entry, and
// the customer can read it. What was written stays out of the ledger.
func TestEachLookIsKept(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *db.DB, s *disclosure.Store) {
		party := contact.NewID()
		for _, tc := range []struct {
			look disclosure.Look
			want string
		}{
			{disclosure.Look{What: disclosure.Phone}, "reason_missing"},
			{disclosure.Look{What: disclosure.Phone, Reason: "because"}, "reason_missing"},
			{disclosure.Look{What: disclosure.Phone, Reason: disclosure.Other, Words: " "}, "reason_words_missing"},
			{disclosure.Look{What: disclosure.Phone, Reason: disclosure.Other, Words: strings.Repeat("x", 2001)}, "reason_too_long"},
			{disclosure.Look{What: disclosure.Phone, Reason: disclosure.Reach, Words: "回拨 13800138000"}, ""},
			{disclosure.Look{What: disclosure.IDNumber, Reason: disclosure.Identify}, ""},
		} {
			tc.look.Party, tc.look.By, tc.look.Role = party, "chen", "handler"
			if err := s.KeepNow(ctx, &tc.look); code(err) != tc.want {
				t.Errorf("%+v: %v, want %q", tc.look, err, tc.want)
			}
		}
		if err := s.KeepNow(ctx, &disclosure.Look{What: disclosure.Name, Reason: disclosure.Reach, By: "chen"}); err == nil {
			t.Error("a look at nobody was kept")
		}
		got, err := s.ByParty(ctx, party, db.Span{N: 10})
		if err != nil || len(got) != 2 || got[0].What != disclosure.IDNumber || got[1].Words != "回拨 13800138000" || got[1].Role != "handler" {
			t.Fatalf("%+v %v", got, err)
		}
		if n, all := entries(t, d); n != 2 || strings.Contains(all, "13800138000") || !strings.Contains(all, `"reason":"reach"`) {
			t.Errorf("%d entries: %s", n, all)
		}
		page, err := s.ByParty(ctx, party, db.Span{N: 1, At: db.TimeKey(got[0].At, got[0].ID)})
		if err != nil || len(page) != 1 || page[0].ID != got[1].ID {
			t.Errorf("%+v %v", page, err)
		}
		if other, err := s.ByParty(ctx, contact.NewID(), db.Span{N: 10}); err != nil || len(other) != 0 {
			t.Errorf("%+v %v", other, err)
		}
	})
}

// A recording is asked for once per session, also when page and player ask at
// the same moment.
func TestRecordingOncePerSession(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *db.DB, s *disclosure.Store) {
		party, attempt := contact.NewID(), contact.NewID()
		hear := func(session string) error {
			return s.KeepNow(ctx, &disclosure.Look{Party: party, By: "chen", Role: "handler", Session: session, What: disclosure.Recording,
				Subject: attempt, Reason: disclosure.Quality})
		}
		if ok, err := s.Heard(ctx, "chen", "s1", attempt); ok || err != nil {
			t.Fatalf("%v %v", ok, err)
		}
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				if err := hear("s1"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if err := hear("s2"); err != nil {
			t.Fatal(err)
		}
		if n, _ := entries(t, d); n != 2 {
			t.Errorf("%d entries for two sessions", n)
		}
		for _, tc := range []struct {
			who, session string
			what         contact.ID
			want         bool
		}{{"chen", "s1", attempt, true}, {"chen", "s3", attempt, false}, {"wu", "s1", attempt, false}, {"chen", "s1", party, false}, {"chen", "", attempt, false}} {
			if ok, err := s.Heard(ctx, tc.who, tc.session, tc.what); ok != tc.want || err != nil {
				t.Errorf("%+v: %v %v", tc, ok, err)
			}
		}
	})
}
