package app

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"parley/internal/consent"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/gate"
	"parley/internal/party"
	"parley/internal/policy"
	"parley/packs"
)

// TestRulesSeeThePerson: what a rule asks of a person reaches it although it is
// sealed (CN-SEP-01, PIPL 23 and 29), and a change is seen at once. A region
// stored in words is the code that the Beijing overlay asks for (cn-bj).
func TestRulesSeeThePerson(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	now := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC) // Monday 10:00 in Shanghai
	dbtest.EachClock(t, func() time.Time { return now }, func(t *testing.T, d *db.DB) {
		keys, err := party.OpenKeyring(filepath.Join(t.TempDir(), "keys"), true)
		if err != nil {
			t.Fatal(err)
		}
		set, err := policy.LoadFS(packs.FS)
		if err != nil {
			t.Fatal(err)
		}
		a := &App{DB: d, Party: party.NewStore(d, keys), Consent: consent.NewStore(d, nil)}
		a.Gate = gate.New(d, set, a.Consent, gate.Options{Person: a.places})
		p := &party.Party{Ref: "C-1", Name: "张小明", Region: "北京市", Attrs: map[string]string{"sensitive_data": "yes", "job": "教师"},
			Points: []party.Point{{Kind: party.Phone, Value: "+8613800138000"}}}
		put := func() {
			t.Helper()
			if err := d.Write(ctx, func(tx *db.Tx) error { return a.Party.Put(ctx, tx, []*party.Party{p}) }); err != nil {
				t.Fatal(err)
			}
		}
		put()
		if err := d.Write(ctx, func(tx *db.Tx) error {
			_, err := a.Consent.Grant(ctx, tx, p.ID, contact.Grant{Ground: contact.Consent, Purposes: contact.PurposeSet(contact.Marketing)}, "test")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		judge := func() policy.Verdict {
			t.Helper()
			ds, err := a.Gate.Reserve(ctx, []policy.Intent{{Party: p.ID, Point: p.Points[0].ID, Channel: contact.Voice, Purpose: contact.Marketing,
				Relation: contact.Self, Product: "fund", Discloses: []string{policy.Identity, policy.RefusalPath}}})
			if err != nil {
				t.Fatal(err)
			}
			s, err := a.Gate.Decision(ctx, ds[0].ID)
			if err != nil || !s.Replayed {
				t.Fatalf("%+v, %v", s, err)
			}
			if _, ok := s.Facts.Person["job"]; ok || s.Facts.Person["region"] != "CN-BJ" {
				t.Errorf("the facts hold %v: nobody asked for the job", s.Facts.Person)
			}
			return s.Verdict
		}
		for range 2 { // the second time it is remembered
			if v := judge(); v.Effect != policy.Deny || v.By != "CN-SEP-01" {
				t.Fatalf("%s by %s", v.Effect, v.By)
			}
		}
		p.Attrs = map[string]string{"sensitive_data": "no"}
		put()
		if v := judge(); v.Effect != policy.Allow {
			t.Fatalf("%s by %s", v.Effect, v.By)
		}
	})
}
