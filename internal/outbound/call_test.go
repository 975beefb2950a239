package outbound_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/approval"
	"parley/internal/approval/approvaltest"
	"parley/internal/blob"
	"parley/internal/campaign"
	"parley/internal/consent"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/errs"
	"parley/internal/gate"
	"parley/internal/outbound"
	"parley/internal/party"
	"parley/internal/policy"
	"parley/internal/prompt"
	"parley/internal/sim"
	"parley/internal/voice"
	"parley/internal/voice/media"
	"parley/packs"
)

// morning is Monday 10:00 in Shanghai, when every purpose may call.
var morning = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

// bankClock runs from morning on.
func bankClock() func() time.Time {
	start := time.Now()
	return func() time.Time { return morning.Add(time.Since(start)) }
}

// bank is everything a call needs, all of it real.
type bank struct {
	t         testing.TB
	d         *db.DB
	consent   *consent.Store
	party     *party.Store
	gate      *gate.Gate
	campaigns *campaign.Store
	blobs     *blob.Store
	sender    *outbound.Sender
	desk      *outbound.Desk
	carrier   *sim.Carrier
	spool     string
	intake    *intake
	scripts   map[string]*campaign.Script
	keys      *party.Keyring
	prompts   *prompt.Set
	next      int // number to look at for the next customer
}

// intake opens complaints with a number of its own.
type intake struct {
	mu   sync.Mutex
	got  []outbound.Complaint
	fail error
}

func (i *intake) OpenFromCall(_ context.Context, _ *db.Tx, c outbound.Complaint) (string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fail != nil {
		return "", i.fail
	}
	i.got = append(i.got, c)
	return "2026-000001", nil
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// campaigns opens the campaigns with their approvals.
func campaigns(d *db.DB, keys *party.Keyring) *campaign.Store {
	a := approval.New(d, approvaltest.Plain{}, keys)
	s := campaign.NewStore(d, a)
	a.Register(s.Approval("approve_campaign"))
	return s
}

// newBank makes a bank whose counts must be exact at the end of the test.
func newBank(t testing.TB, d *db.DB) *bank {
	t.Helper()
	t.Cleanup(func() { countsAreExact(t, d) })
	return mortalBank(t, d)
}

// mortalBank makes a bank of a test that closes its database or writes to it by hand.
func mortalBank(t testing.TB, d *db.DB) *bank {
	t.Helper()
	ctx := context.Background()
	keys, err := party.OpenKeyring(filepath.Join(t.TempDir(), "keys"), true)
	check(t, err)
	set, err := policy.LoadFS(packs.FS)
	check(t, err)
	prompts, err := prompt.Open(prompt.DemoFS())
	check(t, err)
	b := &bank{t: t, d: d, consent: consent.NewStore(d, nil), party: party.NewStore(d, keys), campaigns: campaigns(d, keys),
		spool: t.TempDir(), intake: &intake{}, keys: keys, prompts: prompts}
	b.gate = gate.New(d, set, b.consent, gate.Options{})
	b.consent.SetVoider(b.gate)
	b.blobs, err = blob.Open(t.TempDir(), keys)
	check(t, err)
	b.carrier, err = sim.StartCarrier(ctx, sim.Config{Speed: 5})
	check(t, err)
	t.Cleanup(b.carrier.Close)
	end, err := voice.Listen(ctx, voice.Config{Local: "127.0.0.1:0", Proxy: b.carrier.Addr()})
	check(t, err)
	t.Cleanup(func() { end.Close() })
	b.sender, err = outbound.New(d, b.gate, b.consent, b.party, outbound.Options{Voice: end, Blobs: b.blobs, Prompts: prompts,
		Spool: b.spool, Intake: b.intake, RingFor: 16 * time.Second})
	check(t, err)
	b.desk = outbound.NewDesk(b.sender, b.campaigns)
	b.scripts, err = campaign.DemoScripts(prompts.Has)
	check(t, err)
	return b
}

// customer makes a customer with a consent to everything, whose phone behaves
// as persona, and gives their ids.
func (b *bank) customer(persona sim.Persona) campaign.Contact {
	b.t.Helper()
	ctx := context.Background()
	n := b.next
	for ; sim.PersonaOf(0, number(n)) != persona; n++ {
	}
	b.next = n + 1
	p := &party.Party{Ref: contact.NewID(), Name: "王小明", Lang: "zh-CN", Points: []party.Point{{Kind: party.Phone, Value: number(n)}}}
	check(b.t, b.d.Write(ctx, func(tx *db.Tx) error {
		if err := b.party.Put(ctx, tx, []*party.Party{p}); err != nil {
			return err
		}
		_, err := b.consent.Grant(ctx, tx, p.ID, contact.Grant{Ground: contact.Consent, How: "branch"}, "test")
		return err
	}))
	return campaign.Contact{Party: p.ID, Point: p.Points[0].ID}
}

// number gives a contact point's number, without the +.
func (b *bank) number(point contact.ID) string {
	b.t.Helper()
	var v party.Point
	check(b.t, b.d.Read(context.Background(), func(tx *db.Tx) (err error) {
		v, err = b.party.Value(context.Background(), tx, point)
		return err
	}))
	return strings.TrimPrefix(v.Value, "+")
}

// reopen makes everything anew on b.d, as a new process would.
func (b *bank) reopen() {
	set := b.gate.Policy()
	b.consent, b.party = consent.NewStore(b.d, nil), party.NewStore(b.d, b.keys)
	b.gate = gate.New(b.d, set, b.consent, gate.Options{})
	b.remake(b.blobs)
}

func number(n int) string { return "+999100" + strings.Repeat("0", 5-len(itoa(n))) + itoa(n) }

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

// permit asks for a permit to call someone with a script.
func (b *bank) permit(script string, who campaign.Contact) (gate.Decision, outbound.Job) {
	b.t.Helper()
	sc := b.scripts[script]
	c := &campaign.Campaign{ID: contact.NewID(), Terms: campaign.Terms{Purpose: sc.Purpose, Relation: contact.Self, CallerID: "95588"}}
	ds, err := b.gate.Reserve(context.Background(), []policy.Intent{outbound.Intent(c, sc, who.Party, who.Point)})
	check(b.t, err)
	return ds[0], outbound.Job{Campaign: c.ID, CallerID: "95588", Script: sc}
}

func (b *bank) attempt(id contact.ID) *outbound.Attempt {
	b.t.Helper()
	var a *outbound.Attempt
	check(b.t, b.d.Read(context.Background(), func(tx *db.Tx) (err error) {
		a, err = b.sender.Attempt(context.Background(), tx, id)
		return err
	}))
	return a
}

// Each kind of phone, by a carrier on a stack we did not write: the outcome,
// the keys and the recording are what happened.
func TestCallsToRealPhones(t *testing.T) {
	t.Parallel()
	dbtest.EachClock(t, bankClock(), func(t *testing.T, d *db.DB) {
		b := newBank(t, d)
		cases := []phoneCase{
			{sim.Agrees, "card_renewal", contact.Effective, "1"},
			{sim.OptsOut, "deposit_offer", contact.Effective, "9"},
			{sim.Complains, "card_renewal", contact.Effective, "2#"},
			{sim.HangsUp, "deposit_offer", contact.Connected, ""},
			{sim.Voicemail, "overdue_reminder", contact.Voicemail, ""},
			{sim.Busy, "card_renewal", contact.Busy, ""},
			{sim.Rejects, "card_renewal", contact.Rejected, ""},
			{sim.NoSuchNumber, "card_renewal", contact.Unreachable, ""},
			{sim.Ignores, "card_renewal", contact.NoAnswer, ""},
		}
		called := make([]called, len(cases))
		var wg sync.WaitGroup
		for i, c := range cases {
			k := &called[i]
			k.who = b.customer(c.persona)
			k.dec, k.job = b.permit(c.script, k.who)
			if k.dec.Verdict.Effect != policy.Allow {
				t.Fatalf("%s: not allowed: %+v", c.persona, k.dec.Verdict)
			}
			wg.Go(func() { k.got, k.err = b.sender.Call(t.Context(), k.dec.ID, k.job) }) // all at once: waiting is what takes long
		}
		wg.Wait()
		for i, c := range cases {
			t.Run(string(c.persona), func(t *testing.T) {
				of := *b
				of.t = t
				of.judge(c, &called[i])
			})
		}
	})
}

type phoneCase struct {
	persona sim.Persona
	script  string
	want    contact.Outcome
	digits  string
}

// called is a call that was made.
type called struct {
	who campaign.Contact
	dec gate.Decision
	job outbound.Job
	got contact.Outcome
	err error
}

func (b *bank) judge(c phoneCase, k *called) {
	t, ctx := b.t, context.Background()
	dec, want := k.dec, c.want
	a := b.attempt(dec.ID)
	if k.err != nil || k.got != want || a.Outcome != want || a.State != outbound.Ended || !strings.HasPrefix(a.Digits, c.digits) {
		t.Fatalf("got %s (%v), stored %s %s digits %q reason %q", k.got, k.err, a.State, a.Outcome, a.Digits, a.Reason)
	}
	st, err := b.gate.Decision(ctx, dec.ID)
	if err != nil || st.State != gate.Settled || st.Outcome != want {
		t.Fatalf("permit %s %s, %v", st.State, st.Outcome, err)
	}
	if answered := want.Reach() >= contact.ReachConnected; answered != (a.Recording.SHA256 != "") || answered != !a.AnsweredAt.IsZero() {
		t.Fatalf("answered %v, recording %+v", answered, a.Recording)
	} else if answered {
		b.listen(a)
	}
	if want == contact.NoAnswer && a.Rang < 15*time.Second {
		t.Errorf("rang %v, the rule says 15 s", a.Rang)
	}
	if out, err := b.sender.Call(ctx, dec.ID, k.job); out != contact.NotSent || err == nil {
		t.Fatalf("a permit made a second call: %s %v", out, err)
	}
	switch c.persona {
	case sim.OptsOut:
		if again, _ := b.permit(c.script, k.who); again.Verdict.Effect != policy.Deny || a.Withdrawn.IsZero() {
			t.Fatalf("after key 9: %+v", again.Verdict)
		}
	case sim.Complains:
		if a.Complaint != "2026-000001" || a.SpokeTo-a.SpokeFrom < time.Second {
			t.Fatalf("complaint %q, words %v to %v", a.Complaint, a.SpokeFrom, a.SpokeTo)
		}
		if c := b.intake.got[0]; c.Recording != a.Recording.SHA256 || c.Attempt != a.ID {
			t.Fatalf("intake got %+v", c)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(b.spool, a.ID+"*")); len(left) > 0 {
		t.Errorf("left in the spool: %v", left)
	}
}

// listen checks that the recording can be heard and is as long as the call.
func (b *bank) listen(a *outbound.Attempt) {
	b.t.Helper()
	r, err := b.blobs.Open(a.Recording.SHA256)
	check(b.t, err)
	defer r.Close()
	s, err := media.ReadWAV(r)
	check(b.t, err)
	if d := s.Duration(); d < a.Talk-time.Second || d > a.Talk+time.Second || s.Channels != 2 {
		b.t.Errorf("recording of %v in %d channels for a call of %v", d, s.Channels, a.Talk)
	}
}

// A script that cannot meet an obligation, or a permit for something else,
// makes no call, and the permit is void.
func TestNoCallThatDoesNotFitItsPermit(t *testing.T) {
	t.Parallel()
	dbtest.EachClock(t, bankClock(), func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		b := newBank(t, d)
		// The same script without its identity prompt declared, behind the
		// gate's back: the hash differs from the permit's.
		dec, job := b.permit("card_renewal", b.customer(sim.Agrees))
		other := job
		other.Script = b.scripts["overdue_reminder"]
		out, err := b.sender.Call(ctx, dec.ID, other)
		if out != contact.NotSent || errs.Public(err).Code != "permit_mismatch" {
			t.Fatalf("%s %v", out, err)
		}
		if st, _ := b.gate.Decision(ctx, dec.ID); st.State != gate.Voided {
			t.Fatalf("permit is %s", st.State)
		}
		if n := b.carrier.Stats().Calls; n != 0 {
			t.Fatalf("%d calls reached the carrier", n)
		}
	})
}

func TestMeetsNamesTheObligation(t *testing.T) {
	t.Parallel()
	all, err := campaign.DemoScripts(nil)
	check(t, err)
	sc := all["card_renewal"]
	ok := []policy.Obligation{{Kind: "identity"}, {Kind: "ai_label"}, {Kind: "refusal_path", Value: "key9"}, {Kind: "ring_min", Value: "15s"}, {Kind: "record"}, {Kind: "no_debt"}}
	check(t, outbound.Meets(sc, ok))
	for _, o := range []policy.Obligation{{Kind: "refusal_path", Value: "key5"}, {Kind: "refusal_path", Value: "key2"}, {Kind: "notice", Value: "outsourcing"},
		{Kind: "non_personalised"}, {Kind: "ring_min", Value: "long"}, {Kind: "sing"}} {
		o.Rule = "R-1"
		err := outbound.Meets(sc, append(slices.Clone(ok), o))
		if errs.Public(err).Code != outbound.Unmet || !strings.Contains(err.Error(), "R-1") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// A withdrawal between the permit and the wire stops the call.
func TestWithdrawalBeforeTheWire(t *testing.T) {
	t.Parallel()
	dbtest.EachClock(t, bankClock(), func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		b := newBank(t, d)
		who := b.customer(sim.Agrees)
		dec, job := b.permit("deposit_offer", who)
		check(t, d.Write(ctx, func(tx *db.Tx) error {
			_, err := b.consent.Stop(ctx, tx, who.Party, contact.Stop{Kind: contact.Withdrawal, Purposes: contact.PurposeSet(contact.Marketing)}, "portal")
			return err
		}))
		out, err := b.sender.Call(ctx, dec.ID, job)
		if out != contact.NotSent || errs.Public(err).Kind != errs.Refused || b.carrier.Stats().Calls != 0 {
			t.Fatalf("%s %v, %d calls", out, err, b.carrier.Stats().Calls)
		}
	})
}

// fullDisk is a blob store that cannot take anything.
type fullDisk struct{}

func (fullDisk) Put(io.Reader) (string, int64, error) {
	return "", 0, errors.New("no space left on device")
}

// A recording that cannot be stored is told with its reason, and found again
// when there is room.
func TestRecordingThatCannotBeStored(t *testing.T) {
	t.Parallel()
	dbtest.EachClock(t, bankClock(), func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		b := newBank(t, d)
		b.remake(fullDisk{})
		dec, job := b.permit("deposit_offer", b.customer(sim.HangsUp))
		out, err := b.sender.Call(ctx, dec.ID, job)
		a := b.attempt(dec.ID)
		if err != nil || out != contact.Connected || a.Recording.SHA256 != "" || !strings.Contains(a.Recording.Error, "no space") {
			t.Fatalf("%s %v %+v", out, err, a.Recording)
		}
		b.remake(b.blobs)
		rec, err := b.sender.Recover(ctx)
		if err != nil || rec.Salvaged != 1 {
			t.Fatalf("%+v %v", rec, err)
		}
		if a := b.attempt(dec.ID); a.Recording.SHA256 == "" || !a.Recording.Salvaged {
			t.Fatalf("%+v", a.Recording)
		}
	})
}

// remake gives the bank a new sender, as a new process would have.
func (b *bank) remake(blobs outbound.Blobs) {
	b.t.Helper()
	prompts, err := prompt.Open(prompt.DemoFS())
	check(b.t, err)
	end, err := voice.Listen(context.Background(), voice.Config{Local: "127.0.0.1:0", Proxy: b.carrier.Addr()})
	check(b.t, err)
	b.t.Cleanup(func() { end.Close() })
	set := b.gate.Policy()
	b.gate = gate.New(b.d, set, b.consent, gate.Options{}) // knows nothing of the attempts of the old process
	b.consent.SetVoider(b.gate)
	b.sender, err = outbound.New(b.d, b.gate, b.consent, b.party, outbound.Options{Voice: end, Blobs: blobs, Prompts: prompts,
		Spool: b.spool, Intake: b.intake})
	check(b.t, err)
	b.desk = outbound.NewDesk(b.sender, b.campaigns)
}

// What a dead process leaves: an attempt on the wire is unknown until a person
// reconciles it, its recording is kept, and a permit whose attempt was not
// begun was never sent.
func TestRecover(t *testing.T) {
	t.Parallel()
	dbtest.EachClock(t, bankClock(), func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		b := mortalBank(t, d) // the attempt is written by hand, which counts nothing
		onWire, _ := b.permit("card_renewal", b.customer(sim.Agrees))
		spentOnly, _ := b.permit("card_renewal", b.customer(sim.OptsOut))
		for _, id := range []contact.ID{onWire.ID, spentOnly.ID} {
			_, err := b.gate.Spend(ctx, id)
			check(t, err)
		}
		check(t, d.Write(ctx, func(tx *db.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO outbound_attempt (id, party_id, point_id, campaign_id, channel, purpose, script, lang,
				caller_id, state, outcome, code, reason, started_at, answered_at, ended_at, rang_us, talk_us, ended_by, digits, steps,
				withdrawn_at, complaint, span_from, span_to) VALUES ($1, $2, $3, 'c', 'voice', 'service', 's', 'zh', '95588', 'dialing',
				'', 0, '', $4, 0, 0, 0, 0, '', '', '', 0, 'pending', 0, 0)`, onWire.ID, onWire.Intent.Party, onWire.Intent.Point, tx.At())
			return err
		}))
		check(t, os.WriteFile(filepath.Join(b.spool, onWire.ID+".wav"), make([]byte, 16000), 0o600))
		b.remake(b.blobs)
		rec, err := b.sender.Recover(ctx)
		if err != nil || rec != (outbound.Recovered{Unknown: 1, NotSent: 1, Salvaged: 1, Opened: 1}) {
			t.Fatalf("%+v %v", rec, err)
		}
		a := b.attempt(onWire.ID)
		if a.State != outbound.Unknown || a.Outcome != contact.Unknown || a.Recording.SHA256 == "" || a.Complaint != "2026-000001" {
			t.Fatalf("%+v", a)
		}
		if st, _ := b.gate.Decision(ctx, spentOnly.ID); st.State != gate.Settled || st.Outcome != contact.NotSent {
			t.Fatalf("%s %s", st.State, st.Outcome)
		}
		if rec, err := b.sender.Recover(ctx); err != nil || rec != (outbound.Recovered{}) {
			t.Fatalf("recovering again: %+v %v", rec, err)
		}
		check(t, b.sender.Reconcile(ctx, onWire.ID, contact.NoAnswer, "sue"))
		if a := b.attempt(onWire.ID); a.State != outbound.Ended || a.Outcome != contact.NoAnswer {
			t.Fatalf("%+v", a)
		}
		if err := b.sender.Reconcile(ctx, onWire.ID, contact.Busy, "sue"); errs.Public(err).Kind != errs.Conflict {
			t.Fatalf("reconciled twice: %v", err)
		}
	})
}

// A complaint whose case cannot be opened at the end of the call is kept, and
// opened later; the call's own end does not hang on it.
func TestComplaintIsKeptUntilItsCaseIsOpen(t *testing.T) {
	t.Parallel()
	dbtest.EachClock(t, bankClock(), func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		b := newBank(t, d)
		b.intake.fail = errors.New("no number can be had")
		dec, job := b.permit("deposit_offer", b.customer(sim.Complains))
		out, err := b.sender.Call(ctx, dec.ID, job)
		if a := b.attempt(dec.ID); err != nil || out != contact.Effective || a.Complaint != "pending" || a.State != outbound.Ended {
			t.Fatalf("%s %v %+v", out, err, a)
		}
		b.intake.fail = nil
		if n, err := b.sender.OpenPending(ctx); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if a := b.attempt(dec.ID); a.Complaint != "2026-000001" || b.intake.got[0].Recording == "" {
			t.Fatalf("%+v", a)
		}
	})
}

func TestQueries(t *testing.T) {
	t.Parallel()
	dbtest.EachClock(t, bankClock(), func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		b := newBank(t, d)
		who := b.customer(sim.Busy)
		var ids []contact.ID
		var last outbound.Job
		for range 2 {
			dec, job := b.permit("card_renewal", who)
			if _, err := b.sender.Call(ctx, dec.ID, job); err != nil {
				t.Fatal(err)
			}
			ids, last = append(ids, dec.ID), job
		}
		check(t, d.Read(ctx, func(tx *db.Tx) error {
			all, err := b.sender.AttemptsByParty(ctx, tx, who.Party, "", 10)
			if err != nil || len(all) != 2 || all[0].ID != ids[1] {
				t.Errorf("by party: %v %v", all, err)
			}
			older, err := b.sender.AttemptsByPoint(ctx, tx, who.Point, ids[1], 10)
			if err != nil || len(older) != 1 || older[0].ID != ids[0] {
				t.Errorf("by point: %v %v", older, err)
			}
			of, err := b.sender.AttemptsByCampaign(ctx, tx, last.Campaign, "", 10)
			if err != nil || len(of) != 1 {
				t.Errorf("by campaign: %v %v", of, err)
			}
			c, err := b.sender.Counts(ctx, tx, "")
			if err != nil || c.Placed != 2 || c.ByOutcome[contact.Busy] != 2 || c.Answered != 0 {
				t.Errorf("%+v %v", c, err)
			}
			// Parts of time add up to the whole, and a part holds what lies in it.
			first, err1 := b.sender.CountsBetween(ctx, tx, "", "", ids[1])
			second, err2 := b.sender.CountsBetween(ctx, tx, last.Campaign, ids[1], "g")
			if err := errors.Join(err1, err2); err != nil || second.Placed != 1 || first.Placed != 1 || first.ByOutcome[contact.Busy] != 1 {
				t.Errorf("%+v %+v %v", first, second, err)
			}
			if n, err := b.sender.Live(ctx, tx); len(n) != 0 || err != nil {
				t.Errorf("%v live, %v", n, err)
			}
			past, err := b.sender.Past(ctx, tx, who.Party, time.Unix(0, 0), tx.Now.Add(time.Hour), 1)
			if err != nil || len(past) != 1 || past[0].ID != ids[1] || past[0].Outcome != contact.Busy || past[0].Recorded != 0 {
				t.Errorf("past: %+v %v", past, err)
			}
			if none, err := b.sender.Past(ctx, tx, who.Party, tx.Now.Add(time.Minute), tx.Now.Add(time.Hour), 9); len(none) != 0 || err != nil {
				t.Errorf("the future: %+v %v", none, err)
			}
			if id, at, err := b.sender.First(ctx, tx, who.Party, time.Unix(0, 0)); id != ids[0] || at.IsZero() || err != nil {
				t.Errorf("first: %s %v %v", id, at, err)
			}
			_, err = b.sender.Attempt(ctx, tx, "none")
			if !errors.Is(err, outbound.ErrNoAttempt) {
				t.Error(err)
			}
			return nil
		}))
	})
}
