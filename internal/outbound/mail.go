package outbound

import (
	"context"
	"errors"
	"slices"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/gate"
	"parley/internal/ledger"
	"parley/internal/mail"
	"parley/internal/party"
)

// Mail is an e-mail to be sent with a permit.
type Mail struct {
	Template string   // hash of the text it was made from; the permit is for it
	Meets    []string // obligations that the text meets, as in a script
	// Write makes subject and text in the customer's language. They are sent and
	// kept nowhere: they may hold a one-time code.
	Write func(lang string) (subject, text string, err error)
}

var errNoMail = errs.New(errs.Busy, "no_mail", "没有配置邮件服务器，发不了邮件。", "No mail server is configured, so no e-mail can be sent.")

// SendMail sends one e-mail with a permit and gives what became of it:
// delivered means that the mail server took it. The error is as Call's.
func (s *Sender) SendMail(ctx context.Context, permit contact.ID, m Mail) (contact.Outcome, error) {
	d, err := s.gate.Decision(ctx, permit)
	if err != nil {
		return contact.NotSent, err
	}
	who, to, err := s.addressee(ctx, d, m)
	if err != nil {
		if d.State == gate.Reserved {
			err = errors.Join(err, s.gate.Void(ctx, permit, errs.Public(err).Code))
		}
		return contact.NotSent, err
	}
	subject, text, err := m.Write(who.Lang)
	if err != nil {
		return contact.NotSent, errors.Join(err, s.gate.Void(ctx, permit, "mail_unwritten"))
	}
	spent, err := s.gate.Spend(ctx, permit)
	if err != nil {
		return contact.NotSent, s.unspend(ctx, permit, err)
	}
	for _, o := range spent.Obligations {
		if !slices.Contains(m.Meets, o.Kind) {
			return contact.NotSent, s.unspend(ctx, permit, unmet(o))
		}
	}
	if err := s.begin(ctx, &Attempt{ID: permit, Party: d.Intent.Party, Point: d.Intent.Point, Campaign: d.Intent.Campaign,
		Channel: contact.Email, Purpose: d.Intent.Purpose, Script: m.Template, Lang: who.Lang, CallerID: s.o.Mail.From()}); err != nil {
		return contact.NotSent, s.unspend(ctx, permit, err)
	}
	err = s.o.Mail.Send(ctx, mail.Message{ID: permit, To: to.Value, Subject: subject, Text: text, At: spent.At})
	return s.mailed(context.WithoutCancel(ctx), permit, d, err)
}

// addressee finds out whom to write to and whether the text fits the permit.
func (s *Sender) addressee(ctx context.Context, d gate.Stored, m Mail) (*party.Party, party.Point, error) {
	if s.o.Mail == nil {
		return nil, party.Point{}, errNoMail
	}
	if d.Intent.Channel != contact.Email || d.Intent.Script != m.Template {
		return nil, party.Point{}, errs.New(errs.Refused, "permit_mismatch", "许可不适用于这封邮件（渠道或模板不同），未发送。",
			"The permit is for another channel or template, so nothing was sent.")
	}
	who, at, err := s.whom(ctx, d.Intent.Party, d.Intent.Point)
	if err == nil && (at.Kind != party.Email || at.PartyID != d.Intent.Party) {
		err = errs.New(errs.Invalid, "not_an_email", "该联系方式不是此客户的电子邮箱。", "This contact point is not an e-mail address of the customer.")
	}
	return who, at, err
}

// mailed stores what became of a message: permit, attempt and ledger entry in
// one transaction.
func (s *Sender) mailed(ctx context.Context, id contact.ID, d gate.Stored, sent error) (contact.Outcome, error) {
	outcome, code, reason := contact.Delivered, 250, ""
	var f *mail.Failure
	if errors.As(sent, &f) {
		outcome, code, reason = f.Outcome, f.Code, f.Reason
	}
	state := Ended
	if outcome == contact.Unknown {
		state = Unknown
	}
	err := patiently(ctx, func() error {
		return s.db.Write(ctx, func(tx *db.Tx) error {
			if err := s.gate.Settle(ctx, tx, id, outcome); err != nil {
				return err
			}
			if err := counting(ctx, tx, id, func() error {
				_, err := tx.Exec(ctx, `UPDATE outbound_attempt SET state = $2, outcome = $3, code = $4, reason = $5, ended_at = $6
					WHERE id = $1`, id, string(state), string(outcome), code, reason, tx.At())
				return err
			}); err != nil {
				return err
			}
			return ledger.Append(ctx, tx, ledger.Entry{Type: "mail.ended", ID: id, Record: map[string]any{"attempt": id,
				"party": d.Intent.Party, "template": d.Intent.Script, "outcome": string(outcome), "code": code, "reason": reason}})
		})
	})
	if err != nil {
		s.o.Log.Error("storing what became of an e-mail", "attempt", id, "error", err)
		return contact.Unknown, err
	}
	return outcome, sent
}
