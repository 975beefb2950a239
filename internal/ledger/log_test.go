package ledger_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/ledger"
)

const origin = "bank.example/ledger"

func newKey(t testing.TB) ledger.Key {
	t.Helper()
	k, err := ledger.NewKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func open(t testing.TB, d *db.DB, k ledger.Key) *ledger.Log {
	t.Helper()
	l, err := ledger.Open(context.Background(), d, ledger.Options{Origin: origin, Key: k})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

type fact struct {
	N    int    `json:"n"`
	Text string `json:"text"`
}

// appendN appends n entries in one transaction and gives their ids.
func appendN(t testing.TB, d *db.DB, n int) []contact.ID {
	t.Helper()
	ids := make([]contact.ID, n)
	es := make([]ledger.Entry, n)
	for i := range es {
		ids[i] = contact.NewID()
		es[i] = ledger.Entry{Type: "test.fact", ID: ids[i], Record: fact{i, "守约 <&>"}}
	}
	if err := d.Write(context.Background(), func(tx *db.Tx) error {
		return ledger.Append(context.Background(), tx, es...)
	}); err != nil {
		t.Fatal(err)
	}
	return ids
}

func seal(t testing.TB, l *ledger.Log, want int) {
	t.Helper()
	if n, err := l.Seal(context.Background()); err != nil || n != want {
		t.Fatalf("sealed %d, %v; want %d", n, err, want)
	}
}

func TestAppendSealRead(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		l := open(t, d, newKey(t))
		ids := appendN(t, d, 3)
		before, err := l.ByID(ctx, ids[1])
		if err != nil || len(before) != 1 || before[0].Index != -1 {
			t.Fatalf("unsealed: %+v, %v", before, err)
		}
		if s, err := l.Stats(ctx); err != nil || s.Entries != 3 || s.Sealed != 0 || s.Lag <= 0 {
			t.Fatalf("stats %+v, %v", s, err)
		}
		seal(t, l, 3)
		seal(t, l, 0)
		after, err := l.ByID(ctx, ids[1])
		if err != nil || len(after) != 1 || after[0].Index != 1 {
			t.Fatalf("sealed: %+v, %v", after, err)
		}
		r := after[0]
		if want := `{"n":1,"text":"守约 <&>"}`; string(r.Record) != want {
			t.Fatalf("record %s, want %s", r.Record, want)
		}
		if sum := sha256.Sum256(append(r.Salt, r.Record...)); len(r.Salt) != 32 || string(sum[:]) != string(r.Commitment) {
			t.Fatal("the commitment is not SHA-256 of salt and record")
		}
		if s, err := l.Stats(ctx); err != nil || s.Entries != 3 || s.Sealed != 3 || s.Lag != 0 || s.Checkpoint.Size != 3 {
			t.Fatalf("stats %+v, %v", s, err)
		}
		more := appendN(t, d, 2)
		rs, err := l.Recent(ctx, 3)
		if err != nil || len(rs) != 3 || rs[0].ID != more[1] || rs[1].ID != more[0] || rs[2].ID != ids[2] {
			t.Fatalf("recent %+v, %v", rs, err)
		}
	})
}

func TestRolledBackIsNoEvidence(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		l := open(t, d, newKey(t))
		boom := fmt.Errorf("boom")
		if err := d.Write(ctx, func(tx *db.Tx) error {
			if err := ledger.Append(ctx, tx, ledger.Entry{Type: "x", ID: contact.NewID(), Record: fact{}}); err != nil {
				return err
			}
			return boom
		}); !errors.Is(err, boom) {
			t.Fatal(err)
		}
		seal(t, l, 0)
	})
}

func TestAppendRefusesWhatCannotBeShown(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		for name, e := range map[string]ledger.Entry{
			"no type":          {ID: "a", Record: fact{}},
			"type with spaces": {Type: "a b", ID: "a", Record: fact{}},
			"no id":            {Type: "a", Record: fact{}},
			"id with a name":   {Type: "a", ID: "张三", Record: fact{}},
			"not an object":    {Type: "a", ID: "a", Record: []int{1}},
			"too large":        {Type: "a", ID: "a", Record: fact{Text: string(make([]byte, 1<<20))}},
			"cannot marshal":   {Type: "a", ID: "a", Record: make(chan int)},
		} {
			if err := d.Write(context.Background(), func(tx *db.Tx) error {
				return ledger.Append(context.Background(), tx, e)
			}); err == nil {
				t.Errorf("%s: appended", name)
			}
		}
	})
}
