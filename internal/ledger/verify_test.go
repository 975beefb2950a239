package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/ledger"
)

// flipByte changes one byte in the middle of a stored value.
func flipByte(t *testing.T, d *db.DB, table, column, where string) {
	t.Helper()
	ctx := context.Background()
	if err := d.Write(ctx, func(tx *db.Tx) error {
		var v any
		if err := tx.QueryRow(ctx, "SELECT "+column+" FROM "+table+" WHERE "+where).Scan(&v); err != nil {
			return err
		}
		switch x := v.(type) {
		case []byte:
			x[len(x)/2] ^= 1
			v = x
		case string:
			b := []byte(x)
			i := len(b) / 2
			for b[i] >= 0x80 || b[i] == '\n' { // stay within what a TEXT column can hold
				i++
			}
			b[i] ^= 1
			v = string(b)
		case int64:
			v = x ^ 1<<20
		default:
			return fmt.Errorf("%s.%s is a %T", table, column, v)
		}
		n, err := tx.Exec(ctx, "UPDATE "+table+" SET "+column+" = $1 WHERE "+where, v)
		if err == nil && n != 1 {
			err = fmt.Errorf("%d rows changed", n)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// TestFlippedByteIsNamed flips a byte in every column that is stored, and in
// rows of each kind: in the first tile, in a later full one, in the partial one.
func TestFlippedByteIsNamed(t *testing.T) {
	t.Parallel()
	type flip struct{ table, column, where, field string }
	var flips []flip
	for _, leaf := range []int{0, 300, 599} {
		where := fmt.Sprintf("leaf = %d", leaf)
		for column, field := range map[string]string{
			"salt": "record or salt", "record": "record or salt", "type": "leaf", "at": "leaf", "id": "leaf",
			"commitment": "commitment", "leaf": "index",
		} {
			flips = append(flips, flip{"ledger_entry", column, where, field})
		}
	}
	for _, at := range [][2]int{{0, 0}, {0, 1}, {0, 2}, {1, 0}} {
		where := fmt.Sprintf("level = %d AND n = %d", at[0], at[1])
		field := fmt.Sprintf("tile %d/%d", at[0], at[1])
		for _, column := range []string{"data", "level", "n"} {
			flips = append(flips, flip{"ledger_tile", column, where, field})
		}
	}
	flips = append(flips,
		flip{"ledger_head", "checkpoint", "id = 1", "checkpoint"},
		flip{"ledger_head", "origin", "id = 1", "key"},
		flip{"ledger_head", "verifier", "id = 1", "key"},
		flip{"ledger_head", "id", "id = 1", "checkpoint"})
	for _, column := range []string{"salt", "record", "commitment"} {
		flips = append(flips, flip{"ledger_outbox", column, "seq = (SELECT max(seq) FROM ledger_outbox)", "record"})
	}
	for _, f := range flips {
		t.Run(f.table+"."+f.column+" "+f.where, func(t *testing.T) {
			t.Parallel()
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				l := open(t, d, newKey(t))
				ids := appendN(t, d, 600)
				seal(t, l, 600)
				appendN(t, d, 1)
				flipByte(t, d, f.table, f.column, f.where)
				rep, err := l.Verify(context.Background(), nil)
				if err != nil {
					t.Fatal(err)
				}
				if rep.OK() {
					t.Fatal("nothing was found")
				}
				p := rep.Problems[0]
				if p.Field != f.field && (f.field != "record" || !strings.HasPrefix(p.Field, "record")) {
					t.Fatalf("named %q: %s; want field %q", p.Field, p, f.field)
				}
				if f.table == "ledger_entry" {
					var leaf int64
					if _, err := fmt.Sscanf(f.where, "leaf = %d", &leaf); err != nil {
						t.Fatal(err)
					}
					if p.Index != leaf || f.column != "leaf" && f.column != "id" && p.ID != ids[leaf] ||
						f.column != "leaf" && f.column != "type" && p.Type != "test.fact" {
						t.Fatalf("named %s; want entry %d, %s", p, leaf, ids[leaf])
					}
				}
			})
		})
	}
}

// TestDamagedLogIsNotBuiltOn checks that a checkpoint never signs altered tiles.
func TestDamagedLogIsNotBuiltOn(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		l := open(t, d, newKey(t))
		appendN(t, d, 10)
		seal(t, l, 10)
		flipByte(t, d, "ledger_tile", "data", "level = 0 AND n = 0")
		appendN(t, d, 1)
		if _, err := l.Seal(ctx); !errors.Is(err, ledger.ErrDamaged) {
			t.Fatalf("sealed on altered tiles: %v", err)
		}
		if err := l.Run(ctx); !errors.Is(err, ledger.ErrDamaged) {
			t.Fatalf("Run goes on over altered tiles: %v", err)
		}
		if _, err := l.Prove(ctx, 0); !errors.Is(err, ledger.ErrDamaged) {
			t.Fatalf("a proof from altered tiles: %v", err)
		}
	})
}

func TestMissingEntryIsNamed(t *testing.T) {
	t.Parallel()
	for _, q := range []string{"leaf = 0", "leaf = 7", "leaf >= 590", "leaf >= 0"} {
		t.Run(q, func(t *testing.T) {
			t.Parallel()
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				ctx := context.Background()
				l := open(t, d, newKey(t))
				appendN(t, d, 600)
				seal(t, l, 600)
				if err := d.Write(ctx, func(tx *db.Tx) error {
					_, err := tx.Exec(ctx, "DELETE FROM ledger_entry WHERE "+q)
					return err
				}); err != nil {
					t.Fatal(err)
				}
				var first int64
				if _, err := fmt.Sscanf(strings.Trim(q[4:], " >="), "%d", &first); err != nil {
					t.Fatal(err)
				}
				rep, err := l.Verify(ctx, nil)
				if err != nil || rep.OK() || rep.Problems[0].Index != first || rep.Problems[0].Field != "index" {
					t.Fatalf("%v, %v", rep.Problems, err)
				}
			})
		})
	}
}

// TestEraseIsSilentAndIntact is PIPL article 47: what is erased is gone, in the
// outbox as well as in the log, and the log still verifies and says so.
func TestEraseIsSilentAndIntact(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		l := open(t, d, newKey(t))
		ids := appendN(t, d, 300)
		seal(t, l, 300)
		id := ids[42]
		erase := func(want int64) {
			t.Helper()
			if err := d.Write(ctx, func(tx *db.Tx) error {
				n, err := ledger.Erase(ctx, tx, id, "PIPL 47", "staff-1")
				if n != want {
					t.Errorf("erased %d, want %d", n, want)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Write(ctx, func(tx *db.Tx) error {
			return ledger.Append(ctx, tx, ledger.Entry{Type: "test.again", ID: id, Record: fact{}})
		}); err != nil {
			t.Fatal(err)
		}
		erase(2)
		erase(0)
		for _, sealed := range []int{0, 2} { // the erasure is believed before it is sealed, too
			if sealed > 0 {
				seal(t, l, sealed)
			}
			rep, err := l.Verify(ctx, nil)
			if err != nil || !rep.OK() || rep.Erased != 2 {
				t.Fatalf("%+v, %v", rep, err)
			}
		}
		rs, err := l.ByID(ctx, id)
		if err != nil || len(rs) != 3 || !rs[0].Erased() || !rs[1].Erased() || rs[2].Type != ledger.ErasedType {
			t.Fatalf("%+v, %v", rs, err)
		}
		if _, err := l.Prove(ctx, 42); err != nil {
			t.Fatalf("an erased entry's place cannot be proven: %v", err)
		}
	})
}

func TestErasureWithoutEntryIsFound(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		l := open(t, d, newKey(t))
		ids := appendN(t, d, 3)
		seal(t, l, 3)
		if err := d.Write(ctx, func(tx *db.Tx) error {
			_, err := tx.Exec(ctx, "UPDATE ledger_entry SET salt = NULL, record = NULL WHERE leaf = 1")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		rep, err := l.Verify(ctx, nil)
		if err != nil || rep.OK() || rep.Problems[0].Index != 1 || rep.Problems[0].ID != ids[1] {
			t.Fatalf("%+v, %v", rep, err)
		}
	})
}

func TestVerifyEmptyAndProgress(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		l := open(t, d, newKey(t))
		if rep, err := l.Verify(ctx, nil); err != nil || !rep.OK() || rep.Entries != 0 {
			t.Fatalf("empty log: %+v, %v", rep, err)
		}
		appendN(t, d, 10)
		seal(t, l, 10)
		var done, total int64
		if _, err := l.Verify(ctx, func(d, n int64) { done, total = d, n }); err != nil || done != 10 || total != 10 {
			t.Fatalf("progress %d of %d, %v", done, total, err)
		}
	})
}

// TestAnotherKeyIsRefused: going on with another key would fork the log.
func TestAnotherKeyIsRefused(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		open(t, d, newKey(t))
		other, err := ledger.NewKey("other.example")
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range []ledger.Key{newKey(t), other} {
			if _, err := ledger.Open(ctx, d, ledger.Options{Key: k}); !errors.Is(err, ledger.ErrKey) {
				t.Errorf("key %s: %v", k.Public(), err)
			}
		}
	})
}

func TestKeyFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := ledger.LoadKey(dir, origin, false); err == nil {
		t.Fatal("a key out of nothing")
	}
	k, err := ledger.LoadKey(dir, origin, true)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ledger.LoadKey(dir, "ignored.example", true)
	if err != nil || again.Public() != k.Public() || again.Name() != origin {
		t.Fatalf("%s then %s, %v", k.Public(), again.Public(), err)
	}
	if _, err := ledger.LoadKey(t.TempDir(), "two words", true); err == nil {
		t.Fatal("a key whose name no note can carry")
	}
}
