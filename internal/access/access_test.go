package access

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/party"
)

// handClock is a clock a test moves.
type handClock struct{ now atomic.Int64 }

func (c *handClock) read() time.Time { return time.UnixMicro(c.now.Load()) }

func (c *handClock) pass(d time.Duration) { c.now.Add(d.Microseconds()) }

func newClock() *handClock {
	c := &handClock{}
	c.now.Store(time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC).UnixMicro())
	return c
}

func each(t *testing.T, fn func(t *testing.T, s *Store, c *handClock)) {
	t.Helper()
	for _, e := range dbtest.Engines {
		t.Run(e, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			s := NewStore(dbtest.Open(t, dbtest.URL(t, e), c.read))
			keys, err := party.OpenKeyring(t.TempDir(), true)
			if err != nil {
				t.Fatal(err)
			}
			s.Options.Seal = keys
			fn(t, s, c)
		})
	}
}

const secret = "correct horse battery"

func add(t *testing.T, s *Store, login string, rs ...Role) Staff {
	t.Helper()
	st, err := s.AddStaff(context.Background(), Staff{Login: login, Name: "李" + login, Roles: rs}, secret)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func TestSignInSessionSignOut(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, c *handClock) {
		ctx := context.Background()
		add(t, s, "li", CampaignManager, Approver)
		e, err := s.SignIn(ctx, " LI ", secret, "test")
		token, st := e.Token, e.Staff
		if err != nil || st.Name != "李li" || !st.May(ApproveCampaign) || st.May(HandleComplaint) {
			t.Fatalf("%+v %v", st, err)
		}
		for range 3 { // kept alive by use
			c.pass(20 * time.Minute)
			if got, err := s.Session(ctx, token); err != nil || got.ID != st.ID {
				t.Fatalf("%+v %v", got, err)
			}
		}
		if err := s.SignOut(ctx, token); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Session(ctx, token); !errors.Is(err, ErrSession) {
			t.Fatalf("after sign-out: %v", err)
		}
	})
}

func TestSessionEnds(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, c *handClock) {
		ctx := context.Background()
		st := add(t, s, "li", Handler)
		token, _, err := s.Enter(ctx, st.ID)
		if err != nil {
			t.Fatal(err)
		}
		c.pass(IdleLimit + time.Second)
		if _, err := s.Session(ctx, token); !errors.Is(err, ErrSession) {
			t.Fatalf("idle session lives: %v", err)
		}
		if token, _, err = s.Enter(ctx, st.ID); err != nil {
			t.Fatal(err)
		}
		for i := 0; ; i++ {
			c.pass(IdleLimit - time.Minute)
			if _, err := s.Session(ctx, token); errors.Is(err, ErrSession) {
				if i < 20 || i > 26 {
					t.Fatalf("a used session lived %d half hours, want 12 h", i)
				}
				return
			}
			if i > 30 {
				t.Fatal("a used session lives for ever")
			}
		}
	})
}

func TestGuessingIsSlowedAndTellsNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, c *handClock) {
		ctx := context.Background()
		add(t, s, "li", Handler)
		for range maxFailures {
			if _, err := s.SignIn(ctx, "li", "wrong wrong wrong", ""); !errors.Is(err, ErrSignIn) {
				t.Fatal(err)
			}
		}
		if _, err := s.SignIn(ctx, "li", secret, ""); !errors.Is(err, ErrLocked) {
			t.Fatalf("not locked: %v", err)
		}
		c.pass(lockFor + time.Second)
		if _, err := s.SignIn(ctx, "li", secret, ""); err != nil {
			t.Fatal(err)
		}
		for range maxFailures {
			if _, err := s.SignIn(ctx, "nobody", secret, ""); !errors.Is(err, ErrSignIn) {
				t.Fatalf("an unknown name is told apart: %v", err)
			}
		}
		if _, err := s.SignIn(ctx, "nobody", secret, ""); !errors.Is(err, ErrLocked) {
			t.Fatalf("an unknown name is told apart by not locking: %v", err)
		}
	})
}

func TestWhoMayNotBeAdded(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, _ *handClock) {
		ctx := context.Background()
		add(t, s, "li", Handler)
		for _, c := range []struct {
			st   Staff
			pass string
			want error
		}{
			{Staff{Login: "Li", Roles: []Role{Handler}}, secret, ErrTaken},
			{Staff{Login: "wang", Roles: []Role{"king"}}, secret, ErrRole},
			{Staff{Login: "wang", Roles: []Role{Handler}}, "short", ErrWeak},
			{Staff{Login: "wang", Roles: []Role{Handler}}, "password1234", ErrEasy},
			{Staff{Login: "wang.xiaoming", Roles: []Role{Handler}}, "wangxiaoming88", ErrEasy},
			{Staff{Login: "wang", Roles: []Role{Handler}}, "1234567890123", ErrEasy},
			{Staff{Login: "wang li", Roles: []Role{Handler}}, secret, ErrLogin},
		} {
			if _, err := s.AddStaff(ctx, c.st, c.pass); !errors.Is(err, c.want) {
				t.Errorf("%+v: %v, want %v", c.st, err, c.want)
			}
		}
		if _, err := s.AddStaff(ctx, Staff{Login: "demo", Roles: []Role{Admin}}, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := s.SignIn(ctx, "demo", "", ""); !errors.Is(err, ErrSignIn) {
			t.Fatalf("an empty password opens: %v", err)
		}
		all, err := s.List(ctx)
		if err != nil || len(all) != 2 {
			t.Fatalf("%v %v", all, err)
		}
	})
}

func TestTokensAreNotStored(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		s := NewStore(d)
		st := add(t, s, "li", Handler)
		token, _, err := s.Enter(ctx, st.ID)
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if err := d.Read(ctx, func(tx *db.Tx) error {
			return tx.QueryRow(ctx, "SELECT count(*) FROM staff_session WHERE token = $1", token).Scan(&n)
		}); err != nil || n != 0 {
			t.Fatalf("%d rows hold the token itself (%v)", n, err)
		}
	})
}

func TestPasswordHash(t *testing.T) {
	t.Parallel()
	h := hashPassword(secret)
	if !strings.HasPrefix(h, "$argon2id$v=19$m=19456,t=2,p=1$") || h == hashPassword(secret) {
		t.Fatalf("hash %q", h)
	}
	for password, want := range map[string]bool{secret: true, secret + "x": false, "": false} {
		if ok, err := checkPassword(h, password); err != nil || ok != want {
			t.Errorf("%q: %v %v", password, ok, err)
		}
	}
	for _, bad := range []string{"", "plain", "$argon2id$v=19$m=9999999,t=2,p=1$AAAA$AAAA", "$bcrypt$a$b$c$d"} {
		if _, err := checkPassword(bad, secret); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

// The table names only roles that exist, every permission has someone, the
// auditor changes nothing and the administrator sees no person.
func TestTable(t *testing.T) {
	t.Parallel()
	for _, l := range Table() {
		if len(l.Roles) == 0 {
			t.Errorf("nobody may %s", l.Permission)
		}
		reads := strings.HasPrefix(string(l.Permission), "see_") || slices.Contains([]Permission{OwnAccount, Search, Export, HearRecordings, VerifyLedger, Unmask}, l.Permission)
		if !reads && May([]Role{Auditor}, l.Permission) {
			t.Errorf("the auditor may %s", l.Permission)
		}
	}
	for _, p := range []Permission{SeeContacts, SeeCustomers, SeeConsents, SeeComplaints, HearRecordings, Unmask, UnmaskBulk, ApproveUnmask, Export} {
		if May([]Role{Admin}, p) {
			t.Errorf("the administrator may %s", p)
		}
	}
	if May(nil, SeeBoard) || May(Roles(), "no_such_thing") {
		t.Error("nobody may something, or everybody may the unknown")
	}
}
