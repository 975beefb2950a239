package customer_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/access/customer"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/errs"
	"parley/internal/party"
)

const (
	zhang  = "+8613800138000"
	shared = "+8613900139000"
	nobody = "+8613700137000"
	mailed = "zhang@customer.test"
)

// door is the store on a fresh database, with a clock of the test's own.
type door struct {
	*testing.T
	*customer.Store
	db    *db.DB
	party contact.ID
	now   atomic.Int64
	codes chan errand
}

type errand struct {
	to   customer.Place
	code string
}

func (d *door) Bring(_ context.Context, to customer.Place, code string) error {
	d.codes <- errand{to, code}
	return nil
}

func each(t *testing.T, fn func(d *door)) {
	t.Helper()
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			d := &door{T: t, codes: make(chan errand, 100)}
			d.now.Store(time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC).UnixMicro())
			d.db = dbtest.Open(t, dbtest.URL(t, engine), func() time.Time { return time.UnixMicro(d.now.Load()) })
			ring, err := party.OpenKeyring(filepath.Join(t.TempDir(), "keys"), true)
			d.must(err)
			people := party.NewStore(d.db, ring)
			ps := []*party.Party{
				{Ref: "C1", Name: "张三", Points: []party.Point{{Kind: party.Phone, Value: zhang}, {Kind: party.Email, Value: mailed}}},
				{Ref: "C2", Name: "李四", Points: []party.Point{{Kind: party.Phone, Value: shared}}},
				{Ref: "C3", Name: "李五", Points: []party.Point{{Kind: party.Phone, Value: shared}}},
			}
			d.must(d.db.Write(ctx, func(tx *db.Tx) error { return people.Put(ctx, tx, ps) }))
			d.party = ps[0].ID
			d.Store, err = customer.New(d.db, people, customer.Options{Key: ring.CodeKey(), Courier: d})
			d.must(err)
			fn(d)
		})
	}
}

func (d *door) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func (d *door) later(by time.Duration) { d.now.Add(by.Microseconds()) }

// ask asks for a code and waits until the courier has it.
func (d *door) ask(kind party.PointKind, value string) (string, errand) {
	d.Helper()
	d.later(2 * time.Minute)
	asked, err := d.Ask(context.Background(), kind, value, "192.0.2.1")
	d.must(err)
	return asked, <-d.codes
}

func (d *door) confirm(asked, code string, want error) string {
	d.Helper()
	token, err := d.Confirm(context.Background(), asked, code)
	if want == nil && err != nil || want != nil && !errors.Is(err, want) {
		d.Fatalf("confirm: %v, want %v", err, want)
	}
	return token
}

func (d *door) who(token string) *customer.Session {
	d.Helper()
	s, err := d.Who(context.Background(), token)
	d.must(err)
	return s
}

// other gives six digits that are not the code.
func other(code string) string {
	if code[0] == '9' {
		return "0" + code[1:]
	}
	return string(code[0]+1) + code[1:]
}

// The whole way: asked for, brought, typed in, signed in, signed out; each code
// works once (ASVS 5.0 6.5.1) and says nothing but six digits (6.5.2).
func TestACodeProvesANumberOrAddressOnce(t *testing.T) {
	t.Parallel()
	each(t, func(d *door) {
		for kind, value := range map[party.PointKind]string{party.Phone: zhang, party.Email: " Zhang@Customer.test"} {
			asked, e := d.ask(kind, value)
			if len(e.code) != 6 || strings.Trim(e.code, "0123456789") != "" {
				d.Fatalf("the code is %q", e.code)
			}
			if e.to.Party != d.party || (e.to.Way == customer.ByMail) != (kind == party.Email) {
				d.Fatalf("brought to %+v", e.to)
			}
			d.confirm(asked, other(e.code), customer.ErrWrong)
			token := d.confirm(asked, e.code, nil)
			s := d.who(token)
			if s == nil || s.Party != d.party || s.Point != e.to.Point || s.Way != e.to.Way {
				d.Fatalf("session %+v", s)
			}
			d.confirm(asked, e.code, customer.ErrOver)
			d.must(d.Leave(context.Background(), token))
			if d.who(token) != nil {
				d.Error("signed out, and still known")
			}
		}
	})
}

// ASVS 5.0 6.5.5 and 6.6.3: five tries, five minutes.
func TestGuessesAndOldCodesAreRefused(t *testing.T) {
	t.Parallel()
	each(t, func(d *door) {
		asked, e := d.ask(party.Phone, zhang)
		for range 4 {
			d.confirm(asked, other(e.code), customer.ErrWrong)
		}
		d.confirm(asked, other(e.code), customer.ErrOver)
		d.confirm(asked, e.code, customer.ErrOver)
		asked, e = d.ask(party.Phone, zhang)
		d.later(customer.CodeLife - time.Second)
		d.confirm(asked, other(e.code), customer.ErrWrong)
		d.later(time.Second)
		d.confirm(asked, e.code, customer.ErrOver)
		d.confirm("never asked", e.code, customer.ErrOver)
		another, _ := d.ask(party.Phone, zhang)
		if d.confirm(another, e.code, customer.ErrWrong) != "" {
			d.Error("the code of one question answers another")
		}
	})
}

// A number the bank does not know, and one that several customers share, answer
// like a known one, try by try; nobody is called (ASVS 5.0 6.3.8).
func TestNothingTellsWhoseNumberIsACustomers(t *testing.T) {
	t.Parallel()
	each(t, func(d *door) {
		ctx := context.Background()
		for _, number := range []string{nobody, shared} {
			d.later(2 * time.Minute)
			asked, err := d.Ask(ctx, party.Phone, number, "192.0.2.1")
			d.must(err)
			for range 4 {
				d.confirm(asked, "123456", customer.ErrWrong)
			}
			d.confirm(asked, "123456", customer.ErrOver)
			if _, err := d.Ask(ctx, party.Phone, number, "192.0.2.7"); err != nil && !errors.Is(err, customer.ErrTooOften) {
				d.Fatal(err)
			}
		}
		if len(d.codes) != 0 {
			d.Errorf("brought to a stranger: %+v", <-d.codes)
		}
	})
}

// Codes to one number, codes asked by one visitor and codes in all are bounded,
// whether the bank knows the number or not.
func TestAskingIsBounded(t *testing.T) {
	t.Parallel()
	each(t, func(d *door) {
		ctx := context.Background()
		tooOften := func(number, visitor string, want bool) {
			d.Helper()
			_, err := d.Ask(ctx, party.Phone, number, visitor)
			if got := errors.Is(err, customer.ErrTooOften); got != want {
				d.Fatalf("%s: %v", number, err)
			}
			if err != nil && errs.Public(err).Kind != errs.Busy {
				d.Fatal(err)
			}
		}
		for _, number := range []string{zhang, nobody} {
			tooOften(number, "192.0.2.1", false)
			tooOften(number, "192.0.2.2", true) // within a minute
			for range 4 {
				d.later(time.Minute + time.Second)
				tooOften(number, "192.0.2.1", false)
			}
			d.later(time.Hour)
			tooOften(number, "192.0.2.3", true) // the sixth in a day
		}
		d.later(24 * time.Hour)
		tooOften(zhang, "192.0.2.1", false)
		for i := range 10 {
			tooOften("+861370013701"+string(rune('0'+i)), "192.0.2.9", false)
		}
		tooOften(nobody, "192.0.2.9", true) // the visitor's eleventh
	})
}

// ASVS 5.0 7.3.1 and 7.3.2: twenty minutes idle, two hours in all.
func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	each(t, func(d *door) {
		in := func() string {
			asked, e := d.ask(party.Phone, zhang)
			return d.confirm(asked, e.code, nil)
		}
		token := in()
		d.later(customer.IdleLimit - time.Second)
		if d.who(token) == nil {
			d.Fatal("ended early")
		}
		d.later(customer.IdleLimit - time.Second)
		if d.who(token) == nil {
			d.Fatal("a request did not keep it alive")
		}
		d.later(customer.IdleLimit + time.Second)
		if d.who(token) != nil {
			d.Fatal("idle and alive")
		}
		token = in()
		for range 8 {
			d.later(15 * time.Minute)
			if s := d.who(token); s != nil && d.now.Load()-s.Started.UnixMicro() >= customer.TotalLimit.Microseconds() {
				d.Fatal("it outlives its limit")
			}
		}
		if d.who(token) != nil {
			d.Fatal("it never ends")
		}
		if d.who("") != nil || d.who("forged") != nil {
			d.Fatal("a token that nobody gave opens")
		}
		d.must(d.Sweep(context.Background()))
	})
}

// What was typed survives a detour and is gone when it is sent or old.
func TestADraftIsKeptForItsBrowser(t *testing.T) {
	t.Parallel()
	each(t, func(d *door) {
		ctx := context.Background()
		token, err := d.Keep(ctx, "", map[string]string{"words": "上午9点有人打来"})
		d.must(err)
		same, err := d.Keep(ctx, token, map[string]string{"words": "改过的"})
		d.must(err)
		var got map[string]string
		if ok, err := d.Draft(ctx, token, &got); err != nil || !ok || same != token || got["words"] != "改过的" {
			d.Fatalf("%v %v %v", ok, err, got)
		}
		if ok, err := d.Draft(ctx, "another", &got); ok || err != nil {
			d.Fatal("a draft opens to another token", err)
		}
		d.must(d.Forget(ctx, token))
		if ok, _ := d.Draft(ctx, token, &got); ok {
			d.Error("forgotten, and still there")
		}
		token, err = d.Keep(ctx, "", 1)
		d.must(err)
		d.later(3 * time.Hour)
		if ok, _ := d.Draft(ctx, token, &got); ok {
			d.Error("a draft outlives its time")
		}
	})
}

// ASVS 5.0 14.2.4, 11.4: neither number nor address, code nor draft can be read
// in the database.
func TestTheDatabaseAloneTellsNothing(t *testing.T) {
	t.Parallel()
	each(t, func(d *door) {
		ctx := context.Background()
		_, e := d.ask(party.Phone, zhang)
		_, err := d.Keep(ctx, "", "我的手机是 13800138000")
		d.must(err)
		d.must(d.db.Read(ctx, func(tx *db.Tx) error {
			var row []byte
			for _, q := range []string{"SELECT body FROM customer_draft", "SELECT address FROM customer_code", "SELECT code FROM customer_code"} {
				if err := tx.QueryRow(ctx, q).Scan(&row); err != nil {
					return err
				}
				if s := string(row); strings.Contains(s, "13800138000") || strings.Contains(s, e.code) {
					d.Errorf("%s is readable: %q", q, s)
				}
			}
			return nil
		}))
	})
}

func TestFilesOfComplaintsNeverFiledAreGivenUp(t *testing.T) {
	t.Parallel()
	each(t, func(d *door) {
		ctx := context.Background()
		d.must(d.Uploaded(ctx, "aa"))
		d.later(3 * time.Hour)
		d.must(d.Uploaded(ctx, "bb"))
		d.later(90 * time.Minute)
		got, err := d.Unclaimed(ctx)
		if err != nil || len(got) != 1 || got[0] != "aa" {
			d.Fatalf("%v %v", got, err)
		}
		if again, err := d.Unclaimed(ctx); err != nil || len(again) != 0 {
			d.Errorf("given twice: %v %v", again, err)
		}
	})
}
