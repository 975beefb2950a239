package party_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/party"
)

var ctx = context.Background()

func keys(t testing.TB) *party.Keyring {
	t.Helper()
	k, err := party.OpenKeyring(filepath.Join(t.TempDir(), "keys"), true)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func put(t testing.TB, d *db.DB, s *party.Store, ps ...*party.Party) {
	t.Helper()
	if err := d.Write(ctx, func(tx *db.Tx) error { return s.Put(ctx, tx, ps) }); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, d *db.DB, fn func(tx *db.Tx) error) {
	t.Helper()
	if err := d.Read(ctx, fn); err != nil {
		t.Fatal(err)
	}
}

func zhang() *party.Party {
	return &party.Party{
		Ref: "C-1001", Name: "张小明", IDNumber: "110101199003071234", Region: "北京", Attrs: map[string]string{"job": "教师", "age": "36"},
		Points: []party.Point{{Kind: party.Phone, Value: "+8613800138000"}, {Kind: party.Email, Value: "Zhang@example.com"}},
	}
}

func TestPutAndFindAgain(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := party.NewStore(d, keys(t))
		p := zhang()
		put(t, d, s, p)
		if p.ID == "" || p.Points[0].ID == "" || p.Points[1].PartyID != p.ID {
			t.Fatalf("ids not filled in: %+v", p)
		}
		read(t, d, func(tx *db.Tx) error {
			for name, get := range map[string]func() (*party.Party, error){
				"by id":  func() (*party.Party, error) { return s.Get(ctx, tx, p.ID) },
				"by ref": func() (*party.Party, error) { return s.ByRef(ctx, tx, "C-1001") },
			} {
				got, err := get()
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				if diff := cmp.Diff(p, got); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
			}
			for value, kind := range map[string]party.PointKind{"+8613800138000": party.Phone, " zhang@EXAMPLE.com": party.Email} {
				found, err := s.ByPoint(ctx, tx, kind, value)
				if err != nil || len(found) != 1 || found[0].PartyID != p.ID {
					t.Errorf("by %s: %v %v", value, found, err)
				}
			}
			if found, err := s.ByPoint(ctx, tx, party.Email, "+8613800138000"); err != nil || len(found) != 0 {
				t.Errorf("a phone was found as an e-mail: %v %v", found, err)
			}
			v, err := s.Value(ctx, tx, p.Points[0].ID)
			if err != nil || v != p.Points[0] {
				t.Errorf("value %+v %v", v, err)
			}
			places, err := s.Places(ctx, tx, []contact.ID{p.ID})
			if places[p.ID].Region != "北京" {
				t.Errorf("places %v", places)
			}
			return err
		})
	})
}

func TestWhatIsNotThereSaysSo(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := party.NewStore(d, keys(t))
		read(t, d, func(tx *db.Tx) error {
			if _, err := s.Get(ctx, tx, "nobody"); !errors.Is(err, party.ErrNone) {
				t.Error(err)
			}
			if _, err := s.ByRef(ctx, tx, "nobody"); !errors.Is(err, party.ErrNone) {
				t.Error(err)
			}
			if _, err := s.Value(ctx, tx, "nowhere"); err == nil {
				t.Error("a point that is not there has a value")
			}
			return nil
		})
		if err := d.Write(ctx, func(tx *db.Tx) error { return s.Put(ctx, tx, []*party.Party{{Name: "x"}}) }); !errors.Is(err, party.ErrNoRef) {
			t.Error(err)
		}
	})
}

func TestPutAgainKeepsIDs(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := party.NewStore(d, keys(t))
		first := zhang()
		put(t, d, s, first)
		again := zhang()
		put(t, d, s, again)
		if diff := cmp.Diff(first, again); diff != "" {
			t.Errorf("unchanged row: %s", diff)
		}
		moved := zhang()
		moved.Name = "张大明"
		moved.Points[1].Value = "new@example.com"
		put(t, d, s, moved)
		if moved.ID != first.ID || moved.Points[0].ID != first.Points[0].ID || moved.Points[1].ID == first.Points[1].ID {
			t.Errorf("ids after a change: %+v, before %+v", moved, first)
		}
		read(t, d, func(tx *db.Tx) error {
			got, err := s.Get(ctx, tx, first.ID)
			if diff := cmp.Diff(moved, got); diff != "" {
				t.Error(diff)
			}
			if err != nil {
				return err
			}
			found, err := s.ByPoint(ctx, tx, party.Email, "zhang@example.com")
			if len(found) != 0 {
				t.Errorf("the old address still leads to %v", found)
			}
			n, _ := s.Count(ctx, tx)
			if n != 1 {
				t.Errorf("%d customers", n)
			}
			return err
		})
	})
}

func TestManyAtOnceAndTheLaterOfTwoCounts(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := party.NewStore(d, keys(t))
		var ps []*party.Party
		for i := range 900 {
			ps = append(ps, &party.Party{Ref: fmt.Sprint("C-", i%600), Name: fmt.Sprint("n", i), Points: []party.Point{{Kind: party.Phone, Value: fmt.Sprintf("+9990%07d", i)}}})
		}
		put(t, d, s, ps...)
		read(t, d, func(tx *db.Tx) error {
			list, err := s.Slice(ctx, tx, false, db.Span{N: 1000})
			if len(list) != 600 {
				t.Errorf("%d customers of 600", len(list))
			}
			p, err2 := s.ByRef(ctx, tx, "C-5")
			if err2 != nil || p.Name != "n605" || ps[5].ID != p.ID {
				t.Errorf("%+v %v", p, err2)
			}
			return err
		})
	})
}

// Nothing a person could be known by is in the database in the clear.
func TestPersonalDataIsSealed(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t, "sqlite")
	d := dbtest.Open(t, url, nil)
	s := party.NewStore(d, keys(t))
	p := zhang()
	put(t, d, s, p)
	path := d.Path()
	d.Close() // checkpoints the write-ahead log into the file
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(raw, []byte(p.ID)) {
		t.Fatal("the row is not in the file: the test looks at the wrong thing")
	}
	for _, secret := range []string{"张小明", "110101199003071234", "13800138000", "Zhang@example.com", "zhang@example.com", "教师"} {
		if bytes.Contains(raw, []byte(secret)) {
			t.Errorf("%s is readable in the file", secret)
		}
	}
}

// Rules are told of a customer what they ask and nothing more; of one who was
// erased, nothing that was sealed.
func TestKnownIsWhatIsAsked(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := party.NewStore(d, keys(t))
		p, gone := zhang(), zhang()
		gone.Ref, gone.Points = "C-1002", nil
		put(t, d, s, p, gone)
		if err := d.Write(ctx, func(tx *db.Tx) error { return s.Erase(ctx, tx, gone.ID) }); err != nil {
			t.Fatal(err)
		}
		read(t, d, func(tx *db.Tx) error {
			got, err := s.Known(ctx, tx, []contact.ID{p.ID, gone.ID}, []string{"job", "debtor_unreachable"})
			if diff := cmp.Diff(map[string]string{"job": "教师"}, got[p.ID].Attrs); diff != "" || len(got[p.ID].Points) != 2 {
				t.Errorf("%s %+v", diff, got[p.ID])
			}
			if k, ok := got[gone.ID]; !ok || k.Attrs != nil || k.Points != nil {
				t.Errorf("of an erased customer: %+v", k)
			}
			return err
		})
	})
}

func TestEraseIsForGood(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := party.NewStore(d, keys(t))
		p := zhang()
		put(t, d, s, p)
		if err := d.Write(ctx, func(tx *db.Tx) error { return s.Erase(ctx, tx, p.ID) }); err != nil {
			t.Fatal(err)
		}
		read(t, d, func(tx *db.Tx) error {
			if _, err := s.Get(ctx, tx, p.ID); !errors.Is(err, party.ErrErased) {
				t.Error(err)
			}
			found, err := s.ByPoint(ctx, tx, party.Phone, "+8613800138000")
			if len(found) != 0 {
				t.Errorf("found %v", found)
			}
			named, err2 := s.ByName(ctx, tx, "张小明", 10)
			if len(named) != 0 {
				t.Errorf("found by name: %v", named)
			}
			list, err3 := s.Slice(ctx, tx, false, db.Span{N: 10})
			if len(list) != 1 || list[0].ID != p.ID || list[0].Name != "" || list[0].Points != nil {
				t.Errorf("listed %v", list)
			}
			return errors.Join(err, err2, err3)
		})
		back := zhang() // a customer again: the same person to consent and gate
		put(t, d, s, back)
		if back.ID != p.ID {
			t.Errorf("came back as %s, was %s", back.ID, p.ID)
		}
	})
}

func TestRowsCannotBeSwapped(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := party.NewStore(d, keys(t))
		a, b := zhang(), zhang()
		b.Ref = "C-1002"
		put(t, d, s, a, b)
		if err := d.Write(ctx, func(tx *db.Tx) error {
			_, err := tx.Exec(ctx, "UPDATE party SET datakey = (SELECT datakey FROM party WHERE id = $1), body = (SELECT body FROM party WHERE id = $1) WHERE id = $2", a.ID, b.ID)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := d.Read(ctx, func(tx *db.Tx) error { _, err := s.Get(ctx, tx, b.ID); return err }); err == nil {
			t.Error("one customer's row was read as another's")
		}
	})
}

func TestKeyDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	if _, err := party.OpenKeyring(dir, false); !errors.Is(err, party.ErrKeys) {
		t.Errorf("no directory: %v", err)
	}
	if _, err := party.OpenKeyring(dir, true); err != nil {
		t.Fatal(err)
	}
	one, err := party.OpenKeyring(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	two, err := party.OpenKeyring(dir, false)
	if err != nil || !bytes.Equal(one.BlobKey(), two.BlobKey()) {
		t.Errorf("keys changed: %v", err)
	}
	if err := os.Chmod(filepath.Join(dir, "index.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := party.OpenKeyring(dir, false); !errors.Is(err, party.ErrKeys) {
		t.Errorf("readable by others: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "index.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := party.OpenKeyring(dir, true); !errors.Is(err, party.ErrKeys) {
		t.Errorf("a lost key was replaced by a new one: %v", err)
	}
}

func BenchmarkSeal(b *testing.B) {
	s := party.NewStore(nil, keys(b))
	ps := make([]*party.Party, 2000)
	for i := range ps {
		ps[i] = zhang()
		ps[i].Ref = fmt.Sprint(i)
	}
	for b.Loop() {
		if _, err := s.Seal(ps); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*2000/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkPut(b *testing.B) {
	d := dbtest.Open(b, dbtest.URL(b, "sqlite"), nil)
	s := party.NewStore(d, keys(b))
	n := 0
	for b.Loop() {
		ps := make([]*party.Party, 2000)
		for i := range ps {
			ps[i] = zhang()
			ps[i].Ref = fmt.Sprint(n)
			n++
		}
		put(b, d, s, ps...)
	}
	b.ReportMetric(float64(b.N)*2000/b.Elapsed().Seconds(), "rows/s")
}
