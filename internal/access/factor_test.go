package access

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"parley/internal/db"
)

func code(t *testing.T, secret string, at time.Time) string {
	t.Helper()
	c, err := totp.GenerateCode(secret, at)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// enrolled signs in with a password, sets up the app that the role needs, and
// gives its secret, the recovery codes and the session.
func enrolled(t *testing.T, s *Store, c *handClock, login string) (secret_ string, codes []string, token string) {
	t.Helper()
	ctx := context.Background()
	e, err := s.SignIn(ctx, login, secret, "")
	if err != nil || e.Step != StepEnrol {
		t.Fatalf("%+v %v, want a second factor to be set up", e, err)
	}
	if _, err := s.Session(ctx, e.Token); !errors.Is(err, ErrSession) {
		t.Fatalf("half a sign-in opens the door: %v", err)
	}
	set, err := s.SetUpTOTP(ctx, e.Token, e.Staff)
	if err != nil || len(set.PNG) == 0 {
		t.Fatal(err)
	}
	if again, err := s.SetUpTOTP(ctx, e.Token, e.Staff); err != nil || again.Secret != set.Secret {
		t.Fatalf("a reload shows another secret: %v", err)
	}
	if _, _, err := s.EnrolTOTP(ctx, e.Token, "000000", ""); !errors.Is(err, ErrCode) {
		t.Fatalf("a wrong first code: %v", err)
	}
	in, codes, err := s.EnrolTOTP(ctx, e.Token, code(t, set.Secret, c.read()), "")
	if err != nil || len(codes) != recoveryCodes {
		t.Fatal(codes, err)
	}
	if _, err := s.Session(ctx, in.Token); err != nil {
		t.Fatal(err)
	}
	return set.Secret, codes, in.Token
}

func half(t *testing.T, s *Store, login string) Entry {
	t.Helper()
	e, err := s.SignIn(context.Background(), login, secret, "")
	if err != nil || e.Step != StepSecond {
		t.Fatalf("%+v %v, want the second factor to be asked for", e, err)
	}
	return e
}

// RFC 6238 section 5.2: a code is taken once, a little late or early, and never
// an older one. ASVS 5.0 6.5.1, 6.5.5.
func TestTOTPOnceAndInItsTime(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, c *handClock) {
		ctx := context.Background()
		s.Options.Must = []Role{Handler}
		add(t, s, "li", Handler)
		key, _, _ := enrolled(t, s, c, "li")
		first := code(t, key, c.read())
		if _, err := s.SecondCode(ctx, half(t, s, "li").Token, first, ""); !errors.Is(err, ErrCode) {
			t.Fatalf("the code that set the app up opens again: %v", err)
		}
		c.pass(2 * totpPeriod * time.Second)
		late := code(t, key, c.read().Add(-totpPeriod*time.Second))
		e := half(t, s, "li")
		if _, err := s.SecondCode(ctx, e.Token, late, ""); err != nil {
			t.Fatalf("a code of the period before: %v", err)
		}
		if _, err := s.SecondCode(ctx, e.Token, code(t, key, c.read()), ""); !errors.Is(err, ErrPending) {
			t.Fatalf("a half-done sign-in is used twice: %v", err)
		}
		periods := func(n int) string { return code(t, key, c.read().Add(time.Duration(n)*totpPeriod*time.Second)) }
		for _, bad := range []func() string{func() string { return late }, func() string { return periods(-3) }, func() string { return periods(1) },
			func() string { return "" }, func() string { return "six six" }} {
			if _, err := s.SecondCode(ctx, half(t, s, "li").Token, bad(), ""); !errors.Is(err, ErrCode) {
				t.Errorf("the code %q: %v", bad(), err)
			}
			c.pass(totpPeriod * time.Second)
			if _, err := s.SecondCode(ctx, half(t, s, "li").Token, periods(0), ""); err != nil {
				t.Fatalf("a right code after %q: %v", bad(), err)
			}
		}
	})
}

// ASVS 5.0 6.3.1, 6.6.3: guessing codes ends the half-done sign-in and locks the account.
func TestCodesCannotBeGuessed(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, c *handClock) {
		ctx := context.Background()
		s.Options.Must = []Role{Handler}
		add(t, s, "li", Handler)
		key, _, _ := enrolled(t, s, c, "li")
		c.pass(totpPeriod * time.Second)
		e := half(t, s, "li")
		for range maxFailures {
			if _, err := s.SecondCode(ctx, e.Token, "000000", ""); !errors.Is(err, ErrCode) {
				t.Fatal(err)
			}
		}
		if _, err := s.SecondCode(ctx, e.Token, code(t, key, c.read()), ""); err == nil {
			t.Fatal("guessing goes on")
		}
		if _, err := s.SignIn(ctx, "li", secret, ""); !errors.Is(err, ErrLocked) {
			t.Fatalf("the account is not locked: %v", err)
		}
		c.pass(lockFor + time.Second)
		if _, err := s.SecondCode(ctx, half(t, s, "li").Token, code(t, key, c.read()), ""); err != nil {
			t.Fatal(err)
		}
		e = half(t, s, "li")
		c.pass(pendingLimit + time.Second)
		if _, err := s.SecondCode(ctx, e.Token, code(t, key, c.read()), ""); !errors.Is(err, ErrPending) {
			t.Fatalf("a half-done sign-in lives for ever: %v", err)
		}
	})
}

// ASVS 5.0 6.5.1, 6.5.2: a recovery code opens once; fresh ones end the old.
func TestRecoveryCodesOpenOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, c *handClock) {
		ctx := context.Background()
		s.Options.Must = []Role{Handler}
		st := add(t, s, "li", Handler)
		_, codes, _ := enrolled(t, s, c, "li")
		if _, err := s.SecondCode(ctx, half(t, s, "li").Token, codes[0], ""); err != nil {
			t.Fatal(err)
		}
		if _, err := s.SecondCode(ctx, half(t, s, "li").Token, codes[0], ""); !errors.Is(err, ErrCode) {
			t.Fatalf("a recovery code opens twice: %v", err)
		}
		if f, err := s.Factors(ctx, st.ID); err != nil || f.Recovery != recoveryCodes-1 {
			t.Fatalf("%+v %v", f, err)
		}
		fresh, err := s.NewRecovery(ctx, st.ID)
		if err != nil || slices.Contains(fresh, codes[1]) {
			t.Fatal(err)
		}
		if _, err := s.SecondCode(ctx, half(t, s, "li").Token, codes[1], ""); !errors.Is(err, ErrCode) {
			t.Fatalf("an old recovery code opens: %v", err)
		}
		// Somebody else's code is nobody's.
		add(t, s, "wang", Handler)
		_, others, _ := enrolled(t, s, c, "wang")
		if _, err := s.SecondCode(ctx, half(t, s, "li").Token, others[0], ""); !errors.Is(err, ErrCode) {
			t.Fatalf("another's recovery code opens: %v", err)
		}
	})
}

// ASVS 5.0 11.7.1, 13.3.1: a copy of the database gives no second factor away.
func TestSecretsAreSealedAtRest(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, c *handClock) {
		s.Options.Must = []Role{Handler}
		add(t, s, "li", Handler)
		key, codes, _ := enrolled(t, s, c, "li")
		err := s.db.Read(t.Context(), func(tx *db.Tx) error {
			var sealed []byte
			var plain int
			if err := tx.QueryRow(t.Context(), "SELECT secret FROM staff_totp").Scan(&sealed); err != nil {
				return err
			}
			if len(sealed) <= len(key) || string(sealed) == key {
				t.Errorf("the secret is stored as %q", sealed)
			}
			err := tx.QueryRow(t.Context(), "SELECT count(*) FROM staff_recovery WHERE code = $1", codes[0]).Scan(&plain)
			if plain != 0 {
				t.Error("a recovery code is stored as it is")
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// A role that needs a second factor never ends up without one.
func TestLastFactorStays(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, c *handClock) {
		s.Options.Must = []Role{Handler}
		st := add(t, s, "li", Handler)
		enrolled(t, s, c, "li")
		if err := s.DropTOTP(t.Context(), st); !errors.Is(err, errLastFactor) {
			t.Fatal(err)
		}
		s.Options.Must = nil
		if err := s.DropTOTP(t.Context(), st); err != nil {
			t.Fatal(err)
		}
		if f, err := s.Factors(t.Context(), st.ID); err != nil || f.TOTP || f.Recovery != 0 {
			t.Fatalf("%+v %v", f, err)
		}
	})
}

// ASVS 5.0 7.5.2, 7.4.3: people see and end their sessions; a new password ends
// all others. 6.2.3: the present password is asked for.
func TestSessionsOfOnesOwn(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, c *handClock) {
		ctx := context.Background()
		st, other := add(t, s, "li", Handler), add(t, s, "wang", Handler)
		var tokens []string
		for _, d := range []string{"Chrome", "Firefox", "telephone"} {
			c.pass(time.Second)
			e, err := s.SignIn(ctx, "li", secret, d)
			if err != nil {
				t.Fatal(err)
			}
			tokens = append(tokens, e.Token)
		}
		list, current, err := s.Sessions(ctx, st.ID, tokens[0])
		if err != nil || len(list) != 3 || list[0].Device != "telephone" || list[0].How != "password" || current != list[2].ID {
			t.Fatalf("%+v %q %v", list, current, err)
		}
		if err := s.EndSession(ctx, other.ID, list[0].ID); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Session(ctx, tokens[2]); err != nil {
			t.Fatalf("somebody else ended it: %v", err)
		}
		if err := s.EndSession(ctx, st.ID, list[0].ID); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Session(ctx, tokens[2]); !errors.Is(err, ErrSession) {
			t.Fatalf("an ended session lives: %v", err)
		}
		const fresh = "another long enough phrase"
		if err := s.ChangePassword(ctx, st, tokens[0], "not the present one", fresh); !errors.Is(err, errWrongPassword) {
			t.Fatal(err)
		}
		if err := s.ChangePassword(ctx, st, tokens[0], secret, "li12345678"); !errors.Is(err, ErrEasy) {
			t.Fatal(err)
		}
		if err := s.ChangePassword(ctx, st, tokens[0], secret, fresh); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Session(ctx, tokens[1]); !errors.Is(err, ErrSession) {
			t.Fatalf("another session outlives the old password: %v", err)
		}
		if _, err := s.Session(ctx, tokens[0]); err != nil {
			t.Fatalf("one's own session ended: %v", err)
		}
		for range mostSessions + 2 { // ASVS 5.0 7.1.2: so many at once and no more, the oldest goes
			c.pass(time.Second)
			if _, err := s.SignIn(ctx, "li", fresh, ""); err != nil {
				t.Fatal(err)
			}
		}
		if list, _, err = s.Sessions(ctx, st.ID, ""); err != nil || len(list) != mostSessions {
			t.Fatalf("%d sessions at once (%v)", len(list), err)
		}
		if e, err := s.SignIn(ctx, "li", fresh, ""); err == nil {
			tokens[0] = e.Token
		}
		if _, err := s.SignIn(ctx, "li", fresh, ""); err != nil {
			t.Fatal(err)
		}
		c.pass(FreshLimit + time.Second)
		if err := s.Fresh(ctx, tokens[0]); !errors.Is(err, ErrStale) {
			t.Fatalf("an old session may change what protects the account: %v", err)
		}
	})
}

// ASVS 5.0 7.4.2, 8.3.2: closing an account and taking a role away take effect at once.
func TestDisabledIsOutAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, _ *handClock) {
		ctx := context.Background()
		st, boss := add(t, s, "li", Handler, Approver), add(t, s, "boss", Admin)
		e, err := s.SignIn(ctx, "li", secret, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.db.Write(ctx, func(tx *db.Tx) error { return s.SetRoles(ctx, tx, st.ID, []Role{Handler}, boss.ID) }); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Session(ctx, e.Token); err != nil || got.May(ApproveCampaign) || !got.May(HandleComplaint) {
			t.Fatalf("%+v %v", got, err)
		}
		if err := s.Disable(ctx, st.ID, st.ID); !errors.Is(err, errYourself) {
			t.Fatal(err)
		}
		if err := s.Disable(ctx, st.ID, boss.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Session(ctx, e.Token); !errors.Is(err, ErrSession) {
			t.Fatalf("a closed account's session lives: %v", err)
		}
		if _, err := s.SignIn(ctx, "li", secret, ""); !errors.Is(err, ErrSignIn) {
			t.Fatalf("a closed account signs in: %v", err)
		}
		if err := s.Enable(ctx, st.ID, boss.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := s.SignIn(ctx, "li", secret, ""); err != nil {
			t.Fatal(err)
		}
	})
}
