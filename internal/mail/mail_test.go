package mail_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"strings"
	"testing"
	"time"

	"parley/internal/contact"
	"parley/internal/mail"
	"parley/internal/mail/mailtest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func conf(e *mailtest.Exim) mail.Config {
	return mail.Config{Host: "localhost", Port: e.Port, From: "service@bank.test", Name: "守约银行", Roots: e.Roots, Timeout: mailtest.Patience}
}

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func message(to string) mail.Message {
	return mail.Message{ID: contact.NewID(), To: to, Subject: "守约银行验证码", Text: "您的验证码是 407193。\n五分钟内有效。\n", At: noon}
}

// RFC 3207 STARTTLS and RFC 8314 implicit TLS, with and without sign-in.
func TestMailIsDeliveredOverTLS(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*mail.Config, *mailtest.Exim){
		"starttls":         func(*mail.Config, *mailtest.Exim) {},
		"tls":              func(c *mail.Config, e *mailtest.Exim) { c.Port, c.Security = e.TLS, mail.TLS },
		"starttls, signed": func(c *mail.Config, _ *mailtest.Exim) { c.User, c.Password = "parley", "secret" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := mailtest.Start(t, true)
			c := conf(e)
			set(&c, e)
			s, err := mail.New(c)
			must(t, err)
			msg := message("zhang@customer.test")
			must(t, s.Send(t.Context(), msg))
			got := e.Delivered(t)
			subject, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
			must(t, err)
			body, err := io.ReadAll(quotedprintable.NewReader(got.Body))
			must(t, err)
			if subject != msg.Subject || strings.ReplaceAll(string(body), "\r\n", "\n") != msg.Text {
				t.Errorf("subject %q body %q", subject, body)
			}
			if got.Header.Get("Message-ID") != "<"+msg.ID+"@bank.test>" || got.Header.Get("Auto-Submitted") != "auto-generated" {
				t.Errorf("headers %v", got.Header)
			}
			if at, err := got.Header.Date(); err != nil || !at.Equal(noon) {
				t.Errorf("date %v %v", at, err)
			}
			if r := got.Header.Get("Received"); !strings.Contains(r, "esmtps") {
				t.Errorf("it came without TLS: %s", r)
			}
		})
	}
}

func failure(t *testing.T, err error) *mail.Failure {
	t.Helper()
	var f *mail.Failure
	if !errors.As(err, &f) {
		t.Fatalf("%v is no failure", err)
	}
	if strings.Contains(f.Error(), "customer.test") || strings.Contains(f.Error(), "407193") {
		t.Errorf("the error names the address or the text: %v", f)
	}
	return f
}

// What was certainly not handed over is not_sent; a mailbox that does not exist
// is unreachable. Nothing is sent without the TLS that was asked for.
func TestFailuresSayWhatBecameOfTheMail(t *testing.T) {
	t.Parallel()
	e, bare := mailtest.Start(t, true), mailtest.Start(t, false)
	for name, c := range map[string]struct {
		on   *mailtest.Exim
		to   string
		set  func(*mail.Config)
		want contact.Outcome
		code int
	}{
		"no such mailbox":       {e, "nobody@customer.test", nil, contact.Unreachable, 550},
		"try later":             {e, "later@customer.test", nil, contact.NotSent, 451},
		"unknown authority":     {e, "a@customer.test", func(c *mail.Config) { c.Roots = x509.NewCertPool() }, contact.NotSent, 0},
		"wrong password":        {e, "a@customer.test", func(c *mail.Config) { c.User, c.Password = "parley", "wrong" }, contact.NotSent, 0},
		"nobody listens":        {e, "a@customer.test", func(c *mail.Config) { c.Port = mailtest.FreePort(t) }, contact.NotSent, 0},
		"STARTTLS not offered":  {bare, "a@customer.test", nil, contact.NotSent, 0},
		"an address that isn't": {e, "not an address", nil, contact.NotSent, 0},
	} {
		settings := conf(c.on)
		if c.set != nil {
			c.set(&settings)
		}
		s, err := mail.New(settings)
		must(t, err)
		if f := failure(t, s.Send(t.Context(), message(c.to))); f.Outcome != c.want || f.Code != c.code {
			t.Errorf("%s: %v, want %s %d", name, f, c.want, c.code)
		}
	}
	if bare.Count() > 0 {
		t.Error("mail went out without TLS")
	}
}

// A server that takes the whole message and goes away before it answers may
// have kept it: nobody knows (RFC 5321 4.5.4.1, RFC 1047).
func TestNoReplyAfterTheFinalDotIsUnknown(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		in := bufio.NewScanner(c)
		fmt.Fprint(c, "220 mx.bank.test ESMTP\r\n")
		for data := false; in.Scan(); {
			switch line := in.Text(); {
			case data && line == ".":
				return
			case data:
			case strings.HasPrefix(line, "EHLO"):
				fmt.Fprint(c, "250-mx.bank.test\r\n250 8BITMIME\r\n")
			case line == "DATA":
				data = true
				fmt.Fprint(c, "354 go on\r\n")
			default:
				fmt.Fprint(c, "250 ok\r\n")
			}
		}
	}()
	s, err := mail.New(mail.Config{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Security: mail.Plain, From: "service@bank.test"})
	must(t, err)
	if f := failure(t, s.Send(context.Background(), message("a@customer.test"))); f.Outcome != contact.Unknown {
		t.Errorf("%v, want unknown", f)
	}
}

func TestSettingsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]mail.Config{
		"no host":               {Port: 25, From: "a@b.test"},
		"no port":               {Host: "h", From: "a@b.test"},
		"no sender":             {Host: "h", Port: 25},
		"no such security":      {Host: "h", Port: 25, From: "a@b.test", Security: "ssl"},
		"a password in the air": {Host: "h", Port: 25, From: "a@b.test", Security: mail.Plain, User: "u", Password: "p"},
	} {
		if _, err := mail.New(c); !errors.Is(err, mail.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
