package outbound_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/errs"
	"parley/internal/outbound"
	"parley/internal/policy"
	"parley/internal/sim"
)

// A one-time code is read out by a real call to a phone on a stack we did not
// write: it is heard to the end, is not recorded, and is nowhere in what is
// stored (ASVS 5.0 6.6 out-of-band, 16.2.5).
func TestACodeIsReadOutAndLeavesNoTrace(t *testing.T) {
	t.Parallel()
	const code = "407193"
	dbtest.EachClock(t, bankClock(), func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		b := newBank(t, d)
		who := b.customer(sim.Busy) // whoever has asked picks up all the same
		b.carrier.Expect("+" + b.number(who.Point))
		sc := b.scripts["one_time_code"]
		ds, err := b.gate.Reserve(ctx, []policy.Intent{{Party: who.Party, Point: who.Point, Channel: contact.Voice, Purpose: contact.Service,
			Product: "one_time_code", Event: "one_time_code", Relation: contact.Self, Initiator: "customer", Synthetic: true, CallerID: "95588",
			Script: sc.Hash(), Discloses: sc.Discloses()}})
		check(t, err)
		if ds[0].Verdict.Effect != policy.Allow {
			t.Fatalf("%s by %s", ds[0].Verdict.Effect, ds[0].Verdict.By)
		}
		if out, err := b.sender.Call(ctx, ds[0].ID, outbound.Job{CallerID: "95588", Script: sc}); err == nil || errs.Public(err).Code != "value_missing" || out != contact.NotSent {
			t.Fatalf("without a code: %s %v", out, err)
		}
		ds, err = b.gate.Reserve(ctx, []policy.Intent{ds[0].Intent})
		check(t, err)
		out, err := b.sender.Call(ctx, ds[0].ID, outbound.Job{CallerID: "95588", Script: sc, Values: map[string]string{"code": code}})
		if err != nil || out != contact.Effective {
			t.Fatalf("%s %v", out, err)
		}
		a := b.attempt(ds[0].ID)
		raw, err := json.Marshal(a)
		check(t, err)
		if a.Recording.SHA256 != "" || holds(string(raw), code) {
			t.Errorf("kept: %s", raw)
		}
		calls := b.carrier.Calls()
		heard := calls[len(calls)-1]
		if heard.Persona != sim.Waits || heard.VoiceHeard < 8*time.Second {
			t.Errorf("the phone heard %v as %s", heard.VoiceHeard, heard.Persona)
		}
		check(t, d.Read(ctx, func(tx *db.Tx) error {
			if err := tx.Each(ctx, func(r *sql.Rows) error {
				var record string
				err := r.Scan(&record)
				if holds(record, code) {
					t.Errorf("the code stands in the ledger: %s", record)
				}
				return err
			}, "SELECT record FROM ledger_outbox WHERE record LIKE $1", "%"+code+"%"); err != nil {
				return err
			}
			c, err := b.sender.Counts(ctx, tx, "")
			if c.NotDue != 1 || c.Unrecorded != 0 {
				t.Errorf("counts %+v", c)
			}
			return err
		}))
	})
}

// longHex is an id, a hash or a time in microseconds.
var longHex = regexp.MustCompile(`[0-9a-f]{12,}`)

// holds tells whether a code stands in a text as somebody would write it. Within
// ids, hashes and times its six digits come by chance.
func holds(text, code string) bool {
	return strings.Contains(longHex.ReplaceAllString(text, "…"), code)
}
