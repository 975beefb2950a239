package party_test

import (
	"fmt"
	"slices"
	"testing"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/party"
)

// A name is found as a whole, however it is spaced, and only while it is borne.
func TestByName(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := party.NewStore(d, keys(t))
		one, two, ann := zhang(), zhang(), zhang()
		two.Ref, ann.Ref, ann.Name = "C-1002", "C-1003", "Ann Lee"
		put(t, d, s, one, two, ann)
		find := func(name string, want ...contact.ID) {
			t.Helper()
			read(t, d, func(tx *db.Tx) error {
				got, err := s.ByName(ctx, tx, name, 10)
				if !slices.Equal(got, want) {
					t.Errorf("%q: %v, want %v", name, got, want)
				}
				return err
			})
		}
		find("张小明", one.ID, two.ID)
		find("张 小明", one.ID, two.ID)
		find("ＡＮＮ　lee", ann.ID)
		find("张小")
		two.Name = "李四"
		put(t, d, s, two)
		find("张小明", one.ID)
		find("李四", two.ID)
	})
}

// A bank that had customers before names were indexed finds them afterwards,
// also when the work was broken off.
func TestIndexNames(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := party.NewStore(d, keys(t))
		var ps []*party.Party
		for i := range 1201 {
			ps = append(ps, &party.Party{Ref: fmt.Sprint("C-", i), Name: fmt.Sprint("n", i)})
		}
		put(t, d, s, ps...)
		if err := d.Write(ctx, func(tx *db.Tx) error {
			if _, err := tx.Exec(ctx, "DELETE FROM party_name"); err != nil {
				return err
			}
			if err := s.Erase(ctx, tx, ps[700].ID); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "INSERT INTO party_naming (id, upto) VALUES (1, '')")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.IndexNames(ctx); err != nil {
				t.Fatal(err)
			}
		}
		read(t, d, func(tx *db.Tx) error {
			var n int
			if err := tx.QueryRow(ctx, "SELECT count(*) FROM party_name").Scan(&n); err != nil {
				return err
			}
			got, err := s.ByName(ctx, tx, "n1200", 2)
			if n != 1200 || len(got) != 1 || got[0] != ps[1200].ID { // all but the erased one
				t.Errorf("%d names, %v", n, got)
			}
			return err
		})
	})
}

// The list of customers pages both ways, from either end.
func TestSlice(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := party.NewStore(d, keys(t))
		for i := range 7 {
			put(t, d, s, &party.Party{Ref: fmt.Sprint("C-", 9-i), Name: "n"})
		}
		for _, desc := range []bool{true, false} {
			var forth, back []string
			walk := func(span db.Span, into *[]string) {
				for more := true; more; {
					read(t, d, func(tx *db.Tx) error {
						rows, err := s.Slice(ctx, tx, desc, span)
						page, before, after := db.Cut(rows, span)
						refs := []string{}
						for _, p := range page {
							refs = append(refs, p.Ref)
						}
						if more = after; span.Back {
							more = before
							slices.Reverse(refs)
						}
						*into = append(*into, refs...)
						if len(page) > 0 {
							span.At = page[len(page)-1].Ref
							if span.Back {
								span.At = page[0].Ref
							}
						}
						return err
					})
				}
			}
			walk(db.Span{N: 3}, &forth)
			walk(db.Span{N: 3, Back: true}, &back)
			slices.Reverse(back)
			if len(forth) != 7 || !slices.Equal(forth, back) {
				t.Errorf("desc %v: %v and back %v", desc, forth, back)
			}
		}
	})
}
