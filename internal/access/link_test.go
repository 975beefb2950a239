package access

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"parley/internal/db"
	"parley/internal/ledger"
)

// The first administrator enters by a link that is for a bank without staff,
// works once and for an hour (ASVS 5.0 6.4.1).
func TestFirstLink(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, c *handClock) {
		ctx := context.Background()
		s.Options.Must = Roles()
		old, err := s.FirstLink(ctx)
		if err != nil || old == "" {
			t.Fatal(old, err)
		}
		code, err := s.FirstLink(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Linked(ctx, old); !errors.Is(err, ErrLink) {
			t.Fatalf("the link before the last works: %v", err)
		}
		if _, first, err := s.Linked(ctx, code); err != nil || !first {
			t.Fatal(first, err)
		}
		if _, err := s.Redeem(ctx, code, "boss", "王总", "short", ""); !errors.Is(err, ErrWeak) {
			t.Fatal(err)
		}
		e, err := s.Redeem(ctx, code, "Boss", "王总", secret, "")
		if err != nil || e.Step != StepEnrol || e.Staff.Login != "boss" || !e.Staff.May(EditStaff) {
			t.Fatalf("%+v %v", e, err)
		}
		if _, err := s.Redeem(ctx, code, "boss2", "李总", secret, ""); !errors.Is(err, ErrLink) {
			t.Fatalf("the link works twice: %v", err)
		}
		if code, err := s.FirstLink(ctx); err != nil || code != "" {
			t.Fatalf("a bank with staff gives a first link: %q %v", code, err)
		}
		if _, err := s.SignIn(ctx, "boss", secret, ""); err != nil {
			t.Fatal(err)
		}
	})
}

func TestLinksEnd(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, c *handClock) {
		ctx := context.Background()
		code, err := s.FirstLink(ctx)
		if err != nil {
			t.Fatal(err)
		}
		c.pass(FirstLimit + time.Second)
		if _, err := s.Redeem(ctx, code, "boss", "王总", secret, ""); !errors.Is(err, ErrLink) {
			t.Fatalf("an old link works: %v", err)
		}
		st, err := s.AddStaff(ctx, Staff{Login: "li", Name: "李", Roles: []Role{Handler}}, "")
		if err != nil {
			t.Fatal(err)
		}
		if code, err = s.Invite(ctx, st.ID, "boss"); err != nil {
			t.Fatal(err)
		}
		c.pass(InviteLimit + time.Second)
		if _, err := s.Redeem(ctx, code, "", "", secret, ""); !errors.Is(err, ErrLink) {
			t.Fatalf("an old invitation works: %v", err)
		}
	})
}

// An invitation is for somebody who has nothing to sign in with yet: nobody
// gets into an account that is in use by making a link for it.
func TestInviteAndReset(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, c *handClock) {
		ctx := context.Background()
		s.Options.Must = []Role{Handler}
		st, err := s.AddStaff(ctx, Staff{Login: "li", Name: "李", Roles: []Role{Handler}}, "")
		if err != nil {
			t.Fatal(err)
		}
		code, err := s.Invite(ctx, st.ID, "boss")
		if err != nil {
			t.Fatal(err)
		}
		if e, err := s.Redeem(ctx, code, "", "", secret, ""); err != nil || e.Staff.ID != st.ID || e.Step != StepEnrol {
			t.Fatalf("%+v %v", e, err)
		}
		_, _, token := enrolled(t, s, c, "li")
		if _, err := s.Invite(ctx, st.ID, "boss"); !errors.Is(err, errActive) {
			t.Fatalf("a link into an account in use: %v", err)
		}
		if err := s.db.Write(ctx, func(tx *db.Tx) error { return s.Reset(ctx, tx, st.ID, "boss") }); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Session(ctx, token); !errors.Is(err, ErrSession) {
			t.Fatal(err)
		}
		if _, err := s.SignIn(ctx, "li", secret, ""); !errors.Is(err, ErrSignIn) {
			t.Fatalf("the old password opens after a reset: %v", err)
		}
		if code, err = s.Invite(ctx, st.ID, "boss"); err != nil {
			t.Fatal(err)
		}
		if err := s.Disable(ctx, st.ID, "boss"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Redeem(ctx, code, "", "", secret, ""); !errors.Is(err, ErrLink) {
			t.Fatalf("an invitation into a closed account: %v", err)
		}
	})
}

// Every step of an account leaves its entry, and none names anybody (ASVS 5.0
// 16.3.1, 16.2.5).
func TestLedgerTellsAndNamesNobody(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, c *handClock) {
		ctx := context.Background()
		s.Options.Must = []Role{Handler}
		st := add(t, s, "li", Handler)
		if _, err := s.SignIn(ctx, "li", "wrong wrong wrong", ""); err == nil {
			t.Fatal("a wrong password opens")
		}
		key, codes, token := enrolled(t, s, c, "li")
		if err := s.ChangePassword(ctx, st, token, secret, "another long enough phrase"); err != nil {
			t.Fatal(err)
		}
		if err := s.db.Write(ctx, func(tx *db.Tx) error {
			if err := s.SetRoles(ctx, tx, st.ID, []Role{Auditor}, "boss"); err != nil {
				return err
			}
			return s.Reset(ctx, tx, st.ID, "boss")
		}); err != nil {
			t.Fatal(err)
		}
		if err := s.Disable(ctx, st.ID, "boss"); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		k, err := ledger.LoadKey(dir, "test.example/ledger", true)
		if err != nil {
			t.Fatal(err)
		}
		log, err := ledger.Open(ctx, s.db, ledger.Options{Key: k})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]string{}
		recs, err := log.ByID(ctx, st.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range recs {
			seen[r.Type] = string(r.Record)
		}
		for _, want := range []string{"access.staff_added", "access.sign_in_failed", "access.factor_added", "access.signed_in",
			"access.password_changed", "access.roles_changed", "access.reset", "access.disabled"} {
			if !json.Valid([]byte(seen[want])) {
				t.Errorf("%s: %q", want, seen[want])
			}
		}
		for typ, rec := range seen {
			for _, secret := range []string{st.Name, `"li"`, key, codes[0], token} {
				if strings.Contains(rec, secret) {
					t.Errorf("%s tells %q", typ, secret)
				}
			}
		}
	})
}
