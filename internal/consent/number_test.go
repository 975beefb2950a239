package consent_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"parley/internal/consent"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
)

// A number on the list stops whoever has it, at once and later, and lifting it
// lifts exactly what it stopped.
func TestNumberStopsItsHolders(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		s := consent.NewStore(d, nil)
		a, b, pa, pb := contact.NewID(), contact.NewID(), contact.NewID(), contact.NewID()
		write := func(fn func(tx *db.Tx) error) {
			t.Helper()
			if err := d.Write(ctx, fn); err != nil {
				t.Fatal(err)
			}
		}
		stops := func(party contact.ID) (out []contact.Stop) {
			write(func(tx *db.Tx) error {
				held, err := s.Load(ctx, tx, []contact.ID{party}, false)
				out = held[party].Stops
				return err
			})
			return out
		}
		var n consent.Number
		write(func(tx *db.Tx) (err error) {
			n, err = s.AddNumber(ctx, tx, consent.Number{Blind: "aa", Mask: "138****8000", Source: "staff", Reason: "asked", By: "chen"},
				[]consent.Holder{{Party: a, Point: pa}})
			return err
		})
		if st := stops(a); len(st) != 1 || st[0].Kind != contact.DoNotContact || !slices.Equal(st[0].Points, []contact.ID{pa}) {
			t.Fatalf("the holder is not stopped at the number: %+v", st)
		}
		if err := d.Write(ctx, func(tx *db.Tx) error {
			_, err := s.AddNumber(ctx, tx, consent.Number{Blind: "aa", Mask: "x", Source: "staff", By: "chen", Purposes: contact.PurposeSet(contact.Marketing)}, nil)
			return err
		}); !errors.Is(err, consent.ErrListed) {
			t.Errorf("listed twice: %v", err)
		}
		// Somebody comes to have the number; another number is nobody's business.
		write(func(tx *db.Tx) error {
			return s.Arrived(ctx, tx, []consent.Holder{{Party: b, Point: pb, Blind: "aa"}, {Party: b, Point: contact.NewID(), Blind: "bb"}})
		})
		if st := stops(b); len(st) != 1 || !slices.Equal(st[0].Points, []contact.ID{pb}) {
			t.Fatalf("one who came later is not stopped: %+v", st)
		}
		var own contact.Stop
		write(func(tx *db.Tx) (err error) {
			own, err = s.Stop(ctx, tx, b, contact.Stop{Kind: contact.Refusal, Source: "key9"}, "customer")
			return err
		})
		write(func(tx *db.Tx) error { _, err := s.LiftNumber(ctx, tx, n.ID, "chen", "by mistake"); return err })
		if st := stops(a); len(st) != 0 {
			t.Errorf("still stopped: %+v", st)
		}
		if st := stops(b); len(st) != 1 || st[0].ID != own.ID {
			t.Errorf("what the customer said is gone, or the entry's stop is not: %+v", st)
		}
		if err := d.Write(ctx, func(tx *db.Tx) error { _, err := s.LiftNumber(ctx, tx, n.ID, "chen", "again"); return err }); !errors.Is(err, consent.ErrNumber) {
			t.Errorf("lifted twice: %v", err)
		}
		// A lifted number stops nobody, and may be listed again.
		write(func(tx *db.Tx) error {
			if err := s.Arrived(ctx, tx, []consent.Holder{{Party: a, Point: pa, Blind: "aa"}}); err != nil {
				return err
			}
			_, err := s.AddNumber(ctx, tx, consent.Number{Blind: "aa", Mask: "x", Source: "staff", By: "chen", Until: tx.At() + time.Hour.Microseconds()}, nil)
			return err
		})
		if st := stops(a); len(st) != 0 {
			t.Errorf("a lifted number stops: %+v", st)
		}
	})
}

// The lists of the page go by index and page both ways.
func TestNumberLists(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		s := consent.NewStore(d, nil)
		var ids []contact.ID
		for i := range 5 {
			if err := d.Write(ctx, func(tx *db.Tx) error {
				n, err := s.AddNumber(ctx, tx, consent.Number{Blind: string(rune('a' + i)), Mask: "x", By: "chen"}, []consent.Holder{{Party: contact.NewID(), Point: "p"}})
				ids = append(ids, n.ID)
				if err == nil && i == 0 {
					_, err = s.LiftNumber(ctx, tx, n.ID, "chen", "why")
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		dbtest.Indexed(t, d, func() {
			if err := d.Read(ctx, func(tx *db.Tx) error {
				for which, want := range map[string]int{"": 5, "on": 4, "off": 1} {
					list, err := s.Numbers(ctx, tx, which, db.Span{N: 10})
					if err != nil || len(list) != want {
						t.Errorf("%q: %d %v", which, len(list), err)
					}
					next, err := s.Numbers(ctx, tx, which, db.Span{At: list[0].Key(), N: 10})
					if err != nil || len(next) != want-1 {
						t.Errorf("%q after the first: %d %v", which, len(next), err)
					}
				}
				said, err := s.Stopped(ctx, tx, db.Span{N: 10})
				if err != nil || len(said) != 6 {
					t.Fatalf("%d said, %v", len(said), err)
				}
				next, err := s.Stopped(ctx, tx, db.Span{At: said[2].Key(), N: 10})
				if err != nil || len(next) != 3 || next[0].Key() != said[3].Key() {
					t.Errorf("after the third: %d %v", len(next), err)
				}
				back, err := s.Stopped(ctx, tx, db.Span{At: said[2].Key(), Back: true, N: 10})
				if err != nil || len(back) != 2 {
					t.Errorf("before the third: %d %v", len(back), err)
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		}, "consent_number_on", "consent_number_off", "consent_event_no") // partial: their start is the page
	})
}

// Grants are counted under the wording they rest on.
func TestNoticeCounts(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		s := consent.NewStore(d, nil)
		for range 3 {
			if err := d.Write(ctx, func(tx *db.Tx) error {
				hash, err := s.PutNotice(ctx, tx, consent.Notice{Version: "1", Lang: "zh-CN", Text: "我们会…"})
				if err != nil {
					return err
				}
				g := contact.Grant{Ground: contact.Consent, Purposes: contact.PurposeSet(contact.Marketing), Notice: hash}
				return s.GrantMany(ctx, tx, []consent.PartyGrant{{Party: contact.NewID(), Grant: g}, {Party: contact.NewID(), Grant: g}}, "chen")
			}); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Read(ctx, func(tx *db.Tx) error {
			counts, err := s.NoticeCounts(ctx, tx)
			if n := counts[consent.NoticeHash("我们会…")]; n != 6 {
				t.Errorf("%d grants of 6", n)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	})
}
