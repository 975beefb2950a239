package approval_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"parley/internal/access"
	"parley/internal/approval"
	"parley/internal/approval/approvaltest"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/errs"
)

var ctx = context.Background()

// bank is the room on a fresh database with real staff.
type bank struct {
	*approval.Store
	db      *db.DB
	access  *access.Store
	applied atomic.Int64
	back    atomic.Int64
	fail    error             // what Apply answers
	same    map[string]string // account to person, where the bank knows of one
	maker, helper, boss, other,
	outsider contact.ID
}

// Person and May join the room to the bank's staff.
func (b *bank) Person(ctx context.Context, tx *db.Tx, account string) (string, error) {
	if p, ok := b.same[account]; ok {
		return p, nil
	}
	st, err := b.access.Inside(ctx, tx, account)
	return st.ID, err
}

func (b *bank) May(ctx context.Context, tx *db.Tx, account, permission string) (bool, error) {
	st, err := b.access.Inside(ctx, tx, account)
	return st.May(access.Permission(permission)), err
}

func each(t *testing.T, fn func(t *testing.T, b *bank)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := &bank{db: d, access: access.NewStore(d), same: map[string]string{}}
		b.Store = approval.New(d, b, approvaltest.Keys(t))
		add := func(login string, role access.Role) contact.ID {
			st, err := b.access.AddStaff(ctx, access.Staff{Login: login, Name: login, Roles: []access.Role{role}}, "")
			if err != nil {
				t.Fatal(err)
			}
			return st.ID
		}
		b.maker, b.helper = add("maker", access.Approver), add("helper", access.Approver)
		b.boss, b.other = add("boss", access.Approver), add("other", access.Approver)
		b.outsider = add("outsider", access.Handler)
		b.Register(approval.Kind{Name: "thing", Permission: string(access.ApproveCampaign), Revocable: true,
			Apply: func(_ context.Context, tx *db.Tx, r *approval.Request) (approval.Effect, error) {
				if b.fail != nil {
					return approval.Effect{}, b.fail
				}
				tx.AfterCommit(func() { b.applied.Add(1) })
				return approval.Effect{Type: "thing.done", ID: r.Subject, Record: map[string]any{"size": len(r.Payload)}}, nil
			},
			Return: func(_ context.Context, tx *db.Tx, _ *approval.Request) (approval.Effect, error) {
				tx.AfterCommit(func() { b.back.Add(1) })
				return approval.Effect{}, nil
			}})
		b.Register(approval.Kind{Name: "once", Permission: string(access.ApproveCampaign),
			Apply: func(context.Context, *db.Tx, *approval.Request) (approval.Effect, error) {
				return approval.Effect{}, nil
			}})
		fn(t, b)
	})
}

func (b *bank) ask(t *testing.T, kind, subject, after string) *approval.Request {
	t.Helper()
	r, err := b.AskNow(ctx, approval.Ask{Kind: kind, Subject: subject, Title: "thing " + subject, After: after,
		Payload: []byte(`{"a": "<b>"}`), Reason: "it is time", By: b.maker, Hands: []string{b.helper}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func code(err error) string {
	var e *errs.Error
	if errors.As(err, &e) {
		return e.Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func (b *bank) entries(t *testing.T, kind string) []string {
	t.Helper()
	var out []string
	rows := func(tx *db.Tx) error {
		r, err := tx.Query(ctx, `SELECT record FROM ledger_outbox WHERE type = $1`, kind)
		if err != nil {
			return err
		}
		defer r.Close()
		for r.Next() {
			var s string
			if err := r.Scan(&s); err != nil {
				return err
			}
			out = append(out, s)
		}
		return r.Err()
	}
	if err := b.db.Read(ctx, rows); err != nil {
		t.Fatal(err)
	}
	return out
}

// Four eyes: never the asker, never who had a hand in it, never without the
// permission, and only what was seen.
func TestWhoMayDecide(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		r := b.ask(t, "thing", "s1", "new")
		for _, tc := range []struct{ by, hash, want string }{
			{b.maker, r.Hash, "four_eyes"},
			{b.helper, r.Hash, "four_eyes"},
			{b.outsider, r.Hash, "not_permitted"},
			{b.boss, strings.Repeat("0", 64), "version_moved"},
			{b.boss, "", "version_moved"},
		} {
			if _, err := b.ApproveNow(ctx, approval.Decision{ID: r.ID, By: tc.by, Hash: tc.hash}); code(err) != tc.want {
				t.Errorf("%s: %q, want %q", tc.by, code(err), tc.want)
			}
		}
		if _, err := b.ApproveNow(ctx, approval.Decision{ID: r.ID, By: "nobody", Hash: r.Hash}); err == nil {
			t.Error("an account that does not exist approved")
		}
		if b.applied.Load() != 0 {
			t.Fatal("a refused decision had an effect")
		}
		if _, err := b.ApproveNow(ctx, approval.Decision{ID: r.ID, By: b.boss, Hash: r.Hash, Note: " fine "}); err != nil {
			t.Fatal(err)
		}
		got, err := b.Get(ctx, approval.Reader{Account: b.maker}, r.ID)
		if err != nil || got.State != approval.Approved || got.Note != "fine" || got.DecidedBy != b.boss || !got.Mine || got.Decide ||
			string(got.Payload) != `{"a": "<b>"}` {
			t.Fatalf("%+v %v", got, err)
		}
	})
}

// A second account of the same person has the same two eyes, also when the
// bank learns that only after the request was made.
func TestSecondAccountOfTheSamePerson(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		r := b.ask(t, "thing", "s1", "new")
		b.same[b.maker], b.same[b.boss] = "anna", "anna"
		d := approval.Decision{ID: r.ID, By: b.boss, Hash: r.Hash, Note: "no"}
		if _, err := b.ApproveNow(ctx, d); code(err) != "four_eyes" {
			t.Errorf("approved her own: %v", err)
		}
		if _, err := b.SendBackNow(ctx, d); code(err) != "four_eyes" {
			t.Errorf("sent back her own: %v", err)
		}
		r2 := b.ask(t, "thing", "s2", "new") // now it is known
		waits, err := b.ForMe(ctx, b.boss, "", db.Span{N: 50})
		if err != nil || len(waits) != 1 || waits[0].ID != r.ID {
			t.Errorf("her own request %s waits for her: %v %v", r2.ID, waits, err)
		}
		if _, err := b.WithdrawNow(ctx, r2.ID, b.boss); err != nil {
			t.Errorf("the same person cannot withdraw: %v", err)
		}
	})
}

// Approval and effect are one transaction and one ledger entry.
func TestApprovalAndEffectAreOne(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		r := b.ask(t, "thing", "s1", "new")
		b.fail = errs.New(errs.Refused, "too_late", "晚了。", "Too late.")
		if _, err := b.ApproveNow(ctx, approval.Decision{ID: r.ID, By: b.boss, Hash: r.Hash}); code(err) != "too_late" {
			t.Fatal(err)
		}
		if got, err := b.Get(ctx, approval.Reader{Account: b.boss}, r.ID); err != nil || got.State != approval.Pending || !got.Decide {
			t.Fatalf("%+v %v", got, err)
		}
		b.fail = nil
		if _, err := b.ApproveNow(ctx, approval.Decision{ID: r.ID, By: b.boss, Hash: r.Hash, Note: "张小明 13800138000"}); err != nil {
			t.Fatal(err)
		}
		es := b.entries(t, "thing.done")
		if len(es) != 1 || len(b.entries(t, "approval.approved")) != 0 || !strings.Contains(es[0], r.Hash) || !strings.Contains(es[0], r.ID) {
			t.Errorf("%v", es)
		}
		for _, e := range append(es, b.entries(t, "approval.asked")...) {
			if strings.Contains(e, "13800138000") || strings.Contains(e, "it is time") {
				t.Errorf("the ledger holds what people wrote: %s", e)
			}
		}
	})
}

func TestSendBackWithdrawSupersede(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		r := b.ask(t, "thing", "s1", "one")
		if _, err := b.SendBackNow(ctx, approval.Decision{ID: r.ID, By: b.boss, Hash: r.Hash, Note: " "}); code(err) != "reason_missing" {
			t.Error(err)
		}
		if _, err := b.WithdrawNow(ctx, r.ID, b.helper); code(err) != "not_your_request" {
			t.Error(err)
		}
		again := b.ask(t, "thing", "s1", "two")
		if got, err := b.Get(ctx, approval.Reader{Account: b.boss}, r.ID); err != nil || got.State != approval.Superseded {
			t.Errorf("%+v %v", got, err)
		}
		if _, err := b.ApproveNow(ctx, approval.Decision{ID: r.ID, By: b.boss, Hash: r.Hash}); code(err) != "already_decided" {
			t.Error(err)
		}
		if _, err := b.SendBackNow(ctx, approval.Decision{ID: again.ID, By: b.boss, Hash: again.Hash, Note: "smaller"}); err != nil {
			t.Fatal(err)
		}
		third := b.ask(t, "thing", "s1", "three")
		if third.Before != "" {
			t.Errorf("what was never approved is the base: %q", third.Before)
		}
		if _, err := b.ApproveNow(ctx, approval.Decision{ID: third.ID, By: b.boss, Hash: third.Hash}); err != nil {
			t.Fatal(err)
		}
		fourth := b.ask(t, "thing", "s1", "four")
		if fourth.Before != "three" {
			t.Errorf("base %q, want what was approved last", fourth.Before)
		}
		if _, err := b.WithdrawNow(ctx, fourth.ID, b.maker); err != nil {
			t.Fatal(err)
		}
		// An approval that has not taken effect by itself can be taken back.
		if _, err := b.SendBackNow(ctx, approval.Decision{ID: third.ID, By: b.other, Hash: third.Hash, Note: "wait"}); err != nil {
			t.Errorf("revoke: %v", err)
		}
		once := b.ask(t, "once", "s1", "x")
		if _, err := b.ApproveNow(ctx, approval.Decision{ID: once.ID, By: b.boss, Hash: once.Hash}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.SendBackNow(ctx, approval.Decision{ID: once.ID, By: b.other, Hash: once.Hash, Note: "wait"}); code(err) != "already_decided" {
			t.Errorf("what has taken effect was sent back: %v", err)
		}
		if b.applied.Load() != 1 || b.back.Load() != 3 {
			t.Errorf("applied %d, returned %d", b.applied.Load(), b.back.Load())
		}
		all, err := b.About(ctx, "thing", "s1")
		if err != nil || len(all) != 4 {
			t.Errorf("%d requests, %v", len(all), err)
		}
	})
}

// Of many who decide at once exactly one decides, on both engines.
func TestTwoDecideAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		for round := range 5 {
			r := b.ask(t, "thing", string(rune('a'+round)), "new")
			b.applied.Store(0)
			b.back.Store(0)
			var wg sync.WaitGroup
			var won atomic.Int64
			start := make(chan struct{})
			for i := range 6 {
				by, step := b.boss, b.ApproveNow
				if i%2 == 1 {
					by, step = b.other, b.SendBackNow
				}
				wg.Go(func() {
					<-start
					_, err := step(ctx, approval.Decision{ID: r.ID, By: by, Hash: r.Hash, Note: "me"})
					switch {
					case err == nil:
						won.Add(1)
					case code(err) != "already_decided":
						t.Error(err)
					}
				})
			}
			close(start)
			wg.Wait()
			// An approval may be revoked by a send-back that comes after it; then both count.
			if a, s := b.applied.Load(), b.back.Load(); a > 1 || s > 1 || won.Load() != a+s || won.Load() == 0 {
				t.Errorf("round %d: %d won, %d effects, %d returns", round, won.Load(), a, s)
			}
		}
	})
}

// Of two who ask about the same thing at once, one request waits.
func TestTwoAskAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				_, err := b.AskNow(ctx, approval.Ask{Kind: "thing", Subject: "s", Title: "t", After: "x", By: b.maker})
				if err != nil && code(err) != "approval_waiting" && code(err) != "already_decided" {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		waits, err := b.ForMe(ctx, b.boss, "", db.Span{N: 50})
		if err != nil || len(waits) != 1 {
			t.Errorf("%d wait, %v", len(waits), err)
		}
	})
}

func TestLists(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		var ids []contact.ID
		for i := range 7 {
			ids = append(ids, b.ask(t, "thing", string(rune('a'+i)), "x").ID)
		}
		var got []contact.ID
		for p := (db.Span{N: 3}); ; {
			rows, err := b.ForMe(ctx, b.boss, "thing", p)
			if err != nil {
				t.Fatal(err)
			}
			rs, _, more := db.Cut(rows, p)
			for _, r := range rs {
				got = append(got, r.ID)
			}
			if !more {
				break
			}
			p.At = rs[len(rs)-1].ID
		}
		if rs, err := b.ForMe(ctx, b.boss, "once", db.Span{N: 3}); err != nil || len(rs) != 0 {
			t.Errorf("another kind: %v %v", rs, err)
		}
		if rs, err := b.Open(ctx, "", db.Span{N: 10}); err != nil || len(rs) != 7 {
			t.Errorf("open: %d %v", len(rs), err)
		}
		if strings.Join(got, " ") != strings.Join(ids, " ") {
			t.Errorf("waiting: %v, want %v", got, ids)
		}
		for who, want := range map[string]int{b.boss: 7, b.maker: 0, b.helper: 0, b.outsider: 0} {
			if n, err := b.Count(ctx, who, 100); err != nil || n != want {
				t.Errorf("%s: %d wait, want %d, %v", who, n, want, err)
			}
		}
		if _, err := b.Get(ctx, approval.Reader{Account: b.outsider}, ids[0]); code(err) != "approval_unknown" {
			t.Errorf("an outsider reads a request: %v", err)
		}
		if got, err := b.Get(ctx, approval.Reader{Account: b.outsider, All: true}, ids[0]); err != nil || got.Decide {
			t.Errorf("who sees all: %+v %v", got, err)
		}
		for _, id := range ids[:4] {
			r, err := b.Get(ctx, approval.Reader{Account: b.boss}, id)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.ApproveNow(ctx, approval.Decision{ID: id, By: b.boss, Hash: r.Hash}); err != nil {
				t.Fatal(err)
			}
		}
		p := db.Span{N: 3}
		first, err := b.Decided(ctx, approval.Reader{Account: b.boss}, "", p)
		if err != nil || len(first) != 4 || first[0].ID != ids[3] {
			t.Fatalf("%v %v", first, err)
		}
		p.At = db.TimeKey(first[2].DecidedAt, first[2].ID)
		rest, err := b.Decided(ctx, approval.Reader{Account: b.boss}, "thing", p)
		if err != nil || len(rest) != 1 || rest[0].ID != ids[0] {
			t.Errorf("%v %v", rest, err)
		}
		if none, err := b.Decided(ctx, approval.Reader{Account: b.outsider}, "", p); err != nil || len(none) != 0 {
			t.Errorf("an outsider lists %d, %v", len(none), err)
		}
		if mine, err := b.FromMe(ctx, b.maker, "", db.Span{N: 4}); err != nil || len(mine) != 5 || mine[0].ID != ids[6] {
			t.Errorf("%v %v", mine, err)
		}
	})
}

// What people wrote is not readable in the database file.
func TestTextsAreSealed(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t, "sqlite")
	d := dbtest.Open(t, url, nil)
	s := approvaltest.Open(t, d)
	s.Register(approval.Kind{Name: "thing", Permission: "p", Apply: func(context.Context, *db.Tx, *approval.Request) (approval.Effect, error) {
		return approval.Effect{}, nil
	}})
	r, err := s.AskNow(ctx, approval.Ask{Kind: "thing", Subject: "s1", Title: "no. 7", Before: "张小明", After: "13800138000", Reason: "110101199003071234", By: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.SendBackNow(ctx, approval.Decision{ID: r.ID, By: "b", Hash: r.Hash, Note: "zhang@example.com"}); err != nil {
		t.Fatal(err)
	}
	path := d.Path()
	d.Close()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(raw), r.Hash) {
		t.Fatal("the row is not in the file: the test looks at the wrong thing")
	}
	for _, secret := range []string{"张小明", "13800138000", "110101199003071234", "zhang@example.com"} {
		if strings.Contains(string(raw), secret) {
			t.Errorf("%s is readable in the file", secret)
		}
	}
}

func TestNobodyRegistersHalfAKind(t *testing.T) {
	t.Parallel()
	for _, k := range []approval.Kind{{Name: "x", Permission: "p"}, {Name: "x"}, {}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v was taken", k)
				}
			}()
			approval.New(nil, nil, nil).Register(k)
		}()
	}
}
