// Package mail hands e-mail to the bank's mail server by SMTP (RFC 5321), over
// TLS from the start or after STARTTLS (RFC 3207). It knows no bank and decides
// nothing: whether a message may be sent was settled before it came here.
package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"

	smtp "github.com/wneessen/go-mail"

	"parley/internal/contact"
	"parley/internal/errs"
)

// Security says how the connection to the server is protected.
type Security string

// The ways. Plain is for a server on the same machine; a password is never
// sent over it.
const (
	STARTTLS Security = "starttls" // required: a server that does not offer it is an error
	TLS      Security = "tls"      // from the first byte (RFC 8314)
	Plain    Security = "none"
)

// Config says which server takes the bank's mail.
type Config struct {
	Host     string
	Port     int
	Security Security // empty = STARTTLS
	User     string   // empty = the server asks for no sign-in
	Password string
	From     string         // address the bank writes from
	Name     string         // the bank's name beside it
	Hello    string         // our name in EHLO; empty = the domain of From
	Timeout  time.Duration  // for the whole hand-over; 0 = 30 s
	Roots    *x509.CertPool // certificate authorities; nil = the machine's
}

// Sender hands over messages. It is safe for concurrent use: each message has
// a connection of its own, for the bank sends few.
type Sender struct{ conf Config }

// ErrConfig is a configuration no mail can be sent with.
var ErrConfig = errs.New(errs.Invalid, "mail_config", "邮件配置有误：请检查 mail.host、mail.port、mail.security 和 mail.from。",
	"The mail settings are not right: check mail.host, mail.port, mail.security and mail.from.")

// New checks the configuration and makes a sender. It connects to nothing.
func New(c Config) (*Sender, error) {
	if c.Security == "" {
		c.Security = STARTTLS
	}
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	from, err := mail.ParseAddress(c.From)
	switch {
	case err != nil:
		return nil, ErrConfig.With(fmt.Errorf("mail.from: %w", err))
	case c.Host == "" || c.Port < 1 || c.Port > 65535:
		return nil, ErrConfig.With(fmt.Errorf("mail server %q port %d", c.Host, c.Port))
	case c.Security != STARTTLS && c.Security != TLS && c.Security != Plain:
		return nil, ErrConfig.With(fmt.Errorf("mail.security %q is not one of starttls, tls, none", c.Security))
	case c.User != "" && c.Security == Plain:
		return nil, ErrConfig.With(errors.New("a password is not sent without TLS"))
	}
	if c.Hello == "" {
		c.Hello = from.Address[strings.LastIndexByte(from.Address, '@')+1:]
	}
	s := &Sender{conf: c}
	_, err = s.client()
	return s, err
}

// From is the address the bank writes from.
func (s *Sender) From() string { return s.conf.From }

func (s *Sender) client() (*smtp.Client, error) {
	c := s.conf
	opts := []smtp.Option{smtp.WithPort(c.Port), smtp.WithTimeout(c.Timeout), smtp.WithHELO(c.Hello), smtp.WithoutNoop(),
		smtp.WithTLSConfig(&tls.Config{ServerName: c.Host, RootCAs: c.Roots, MinVersion: tls.VersionTLS12})}
	switch c.Security {
	case TLS:
		opts = append(opts, smtp.WithSSL())
	case Plain:
		opts = append(opts, smtp.WithTLSPolicy(smtp.NoTLS))
	default:
		opts = append(opts, smtp.WithTLSPolicy(smtp.TLSMandatory))
	}
	if c.User != "" {
		opts = append(opts, smtp.WithSMTPAuth(smtp.SMTPAuthAutoDiscover), smtp.WithUsername(c.User), smtp.WithPassword(c.Password))
	}
	cl, err := smtp.NewClient(c.Host, opts...)
	if err != nil {
		return nil, ErrConfig.With(err)
	}
	return cl, nil
}

// Message is one text to one person.
type Message struct {
	ID      contact.ID // of the attempt; becomes the Message-ID
	To      string
	Subject string
	Text    string
	At      time.Time // the Date header
}

// Failure says why a message was not handed over, and what may have become of
// it. It names neither address nor text.
type Failure struct {
	Outcome contact.Outcome // NotSent, Unreachable, or Unknown when the server may have taken it
	Code    int             // of the server's reply; 0 = none
	Reason  string
}

// Error writes the failure for logs.
func (f *Failure) Error() string { return fmt.Sprintf("mail %s: %d %s", f.Outcome, f.Code, f.Reason) }

// Send hands a message to the server. nil means that the server has taken
// responsibility for it (RFC 5321 4.2.5), not that it was read. Every error is
// a *Failure.
func (s *Sender) Send(ctx context.Context, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, s.conf.Timeout)
	defer cancel()
	msg, err := s.write(m)
	if err != nil {
		return &Failure{Outcome: contact.NotSent, Reason: "the message cannot be written"}
	}
	cl, err := s.client()
	if err != nil {
		return &Failure{Outcome: contact.NotSent, Reason: "the mail settings cannot be used"}
	}
	if err := cl.DialWithContext(ctx); err != nil {
		return &Failure{Outcome: contact.NotSent, Reason: "no session with the mail server: " + plainly(err)}
	}
	defer func() { _ = cl.Close() }() // what was handed over stays so
	if err := cl.Send(msg); err != nil && !msg.IsDelivered() {
		return classify(err)
	}
	return nil
}

func (s *Sender) write(m Message) (*smtp.Msg, error) {
	msg := smtp.NewMsg(smtp.WithCharset(smtp.CharsetUTF8))
	err := errors.Join(msg.FromFormat(s.conf.Name, s.conf.From), msg.To(m.To))
	msg.Subject(m.Subject)
	msg.SetMessageIDWithValue(m.ID + "@" + s.conf.Hello)
	msg.SetDateWithValue(m.At)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no out-of-office answers
	msg.SetUserAgent("Parley")
	msg.SetBodyString(smtp.TypeTextPlain, m.Text)
	return msg, err
}

// classify says what a failed hand-over means. Until the final dot was sent the
// server must deliver nothing (RFC 5321 4.1.1.4); after it, without a reply,
// nobody knows.
func classify(err error) *Failure {
	var e *smtp.SendError
	if !errors.As(err, &e) {
		return &Failure{Outcome: contact.NotSent, Reason: "the session broke off before the message"}
	}
	f := &Failure{Outcome: contact.NotSent, Code: e.ErrorCode(), Reason: e.Reason.String()}
	switch {
	case e.Reason == smtp.ErrSMTPRcptTo && f.Code >= 500:
		f.Outcome = contact.Unreachable
	case (e.Reason == smtp.ErrSMTPDataClose || e.Reason == smtp.ErrAmbiguous) && f.Code < 400:
		f.Outcome = contact.Unknown
	}
	return f
}

// plainly names the kind of an error without what a server may quote in it.
func plainly(err error) string {
	var cert *tls.CertificateVerificationError
	switch {
	case errors.As(err, &cert):
		return "its certificate is not trusted"
	case errors.Is(err, context.DeadlineExceeded):
		return "it did not answer in time"
	case strings.Contains(err.Error(), "STARTTLS"):
		return "it does not offer STARTTLS"
	case strings.Contains(strings.ToLower(err.Error()), "auth"):
		return "it refused our sign-in"
	default:
		return "it could not be reached"
	}
}
