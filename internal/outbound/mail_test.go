package outbound_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime/quotedprintable"
	"strings"
	"testing"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/errs"
	"parley/internal/gate"
	"parley/internal/mail"
	"parley/internal/mail/mailtest"
	"parley/internal/outbound"
	"parley/internal/party"
	"parley/internal/policy"
)

// postman is the bank with a mail server we did not write, and a customer with an address.
type postman struct {
	*bank
	exim *mailtest.Exim
}

const template = "5f0ec1f3"

func newPostman(t *testing.T, d *db.DB) *postman {
	t.Helper()
	p := &postman{bank: newBank(t, d), exim: mailtest.Start(t, true)}
	s, err := mail.New(mail.Config{Host: "localhost", Port: p.exim.Port, From: "service@bank.test", Name: "守约银行", Roots: p.exim.Roots, Timeout: mailtest.Patience})
	check(t, err)
	p.sender, err = outbound.New(d, p.gate, p.consent, p.party, outbound.Options{Mail: s, Blobs: p.blobs, Prompts: p.prompts})
	check(t, err)
	return p
}

func (p *postman) reader(address string) policy.Intent {
	p.t.Helper()
	ctx := context.Background()
	who := &party.Party{Ref: contact.NewID(), Name: "王小明", Lang: "en", Points: []party.Point{{Kind: party.Email, Value: address}}}
	check(p.t, p.d.Write(ctx, func(tx *db.Tx) error { return p.party.Put(ctx, tx, []*party.Party{who}) }))
	return policy.Intent{Party: who.ID, Point: who.Points[0].ID, Channel: contact.Email, Purpose: contact.Service, Product: "one_time_code",
		Event: "one_time_code", Relation: contact.Self, Initiator: "customer", Script: template, Discloses: []string{policy.Identity}}
}

func (p *postman) reserve(in policy.Intent) gate.Decision {
	p.t.Helper()
	ds, err := p.gate.Reserve(context.Background(), []policy.Intent{in})
	check(p.t, err)
	return ds[0]
}

func letter(lang string) (string, string, error) {
	return "Your code " + lang, "Your code is 407193.", nil
}

// An e-mail leaves with a permit or not at all, in the customer's language; what
// became of it is stored, what it said is not.
func TestMailLeavesWithAPermit(t *testing.T) {
	t.Parallel()
	dbtest.EachClock(t, bankClock(), func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		p := newPostman(t, d)
		m := outbound.Mail{Template: template, Meets: []string{policy.Identity}, Write: letter}
		dec := p.reserve(p.reader("wang@customer.test"))
		if _, err := p.sender.SendMail(ctx, dec.ID, outbound.Mail{Template: "another", Write: letter}); err == nil || errs.Public(err).Code != "permit_mismatch" {
			t.Fatalf("a permit for another text: %v", err)
		}
		dec = p.reserve(dec.Intent)
		out, err := p.sender.SendMail(ctx, dec.ID, m)
		if err != nil || out != contact.Delivered {
			t.Fatalf("%s %v", out, err)
		}
		got := p.exim.Delivered(t)
		body, err := io.ReadAll(quotedprintable.NewReader(got.Body))
		check(t, err)
		if !strings.Contains(string(body), "407193") || got.Header.Get("Subject") != "Your code en" || got.Header.Get("To") != "<wang@customer.test>" {
			t.Errorf("delivered %v %s", got.Header, body)
		}
		a := p.attempt(dec.ID)
		raw, err := json.Marshal(a)
		check(t, err)
		if a.Channel != contact.Email || a.Outcome != contact.Delivered || a.State != outbound.Ended || holds(string(raw), "407193") || strings.Contains(string(raw), "wang@") {
			t.Errorf("kept %s", raw)
		}
		if _, err := p.sender.SendMail(ctx, dec.ID, m); !errors.Is(err, gate.ErrNotLive) {
			t.Errorf("a permit is spent twice: %v", err)
		}
		if n := p.exim.Count(); n != 1 {
			t.Errorf("%d messages left", n)
		}
	})
}

// What the server refuses is stored as what it is, and after a stop nothing leaves.
func TestMailThatDoesNotArrive(t *testing.T) {
	t.Parallel()
	dbtest.EachClock(t, bankClock(), func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		p := newPostman(t, d)
		m := outbound.Mail{Template: template, Meets: []string{policy.Identity}, Write: letter}
		for address, want := range map[string]contact.Outcome{"nobody@customer.test": contact.Unreachable, "later@customer.test": contact.NotSent} {
			dec := p.reserve(p.reader(address))
			out, err := p.sender.SendMail(ctx, dec.ID, m)
			if out != want || err == nil || p.attempt(dec.ID).Outcome != want {
				t.Errorf("%s: %s %v", address, out, err)
			}
		}
		dec := p.reserve(p.reader("wang@customer.test"))
		check(t, d.Write(ctx, func(tx *db.Tx) error {
			_, err := p.consent.Stop(ctx, tx, dec.Intent.Party, contact.Stop{Kind: contact.DoNotContact}, "test")
			return err
		}))
		if _, err := p.sender.SendMail(ctx, dec.ID, m); err == nil {
			t.Error("mail left after a stop")
		}
		if n := p.exim.Count(); n != 0 {
			t.Errorf("%d messages left", n)
		}
		none, err := outbound.New(d, p.gate, p.consent, p.party, outbound.Options{Blobs: p.blobs, Prompts: p.prompts})
		check(t, err)
		dec = p.reserve(p.reader("li@customer.test"))
		if out, err := none.SendMail(ctx, dec.ID, m); err == nil || out != contact.NotSent || errs.Public(err).Code != "no_mail" {
			t.Errorf("without a server: %s %v", out, err)
		}
	})
}
