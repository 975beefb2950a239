// Package mailtest gives a test a real mail server: Exim, which its authors
// wrote and not Parley's.
package mailtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	netmail "net/mail"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley/internal/machine/port"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Exim is a mail server we did not write, running for one test. It keeps all
// mail it takes in a maildir; the mailbox "nobody" does not exist, and "later"
// is not to be had now.
type Exim struct {
	Port  int // STARTTLS, if it is offered
	TLS   int // TLS from the first byte
	Roots *x509.CertPool
	dir   string
}

// Patience is how long a test waits for the server: more than the slowest machine takes.
const Patience = 3 * time.Minute

const eximConf = `
primary_hostname = mx.bank.test
spool_directory = %[1]s/spool
log_file_path = %[1]s/log/%%slog
pid_file_path =
daemon_smtp_ports = %[2]d : %[3]d
tls_on_connect_ports = %[3]d
local_interfaces = 127.0.0.1
keep_environment =
tls_advertise_hosts = %[4]s
tls_certificate = %[1]s/cert.pem
tls_privatekey = %[1]s/key.pem
acl_smtp_rcpt = rcpt
acl_smtp_data = accept
deliver_drop_privilege = true
begin acl
rcpt:
  deny message = no such mailbox here
       local_parts = nobody
  defer message = try later
       local_parts = later
  accept authenticated = *
  accept hosts = 127.0.0.1
begin routers
all:
  driver = accept
  transport = file
begin transports
file:
  driver = appendfile
  directory = %[1]s/mail
  maildir_format
%[5]s
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and {{eq{$auth2}{parley}}{eq{$auth3}{secret}}}}
  server_set_id = $auth2
`

// FreePort gives a port on which nobody listens.
func FreePort(t *testing.T) int {
	t.Helper()
	p, err := port.Unused()
	check(t, err)
	return p
}

// Start runs a server for the test; starttls says whether it offers STARTTLS.
// Without Exim on the machine the test is skipped, but not in CI.
func Start(t *testing.T, starttls bool) *Exim {
	t.Helper()
	path, err := exec.LookPath("exim4")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/exim4")
	}
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("exim4 is not installed: apt-get install exim4-daemon-light")
		}
		t.Skip("exim4 is not installed: apt-get install exim4-daemon-light")
	}
	dir, err := os.MkdirTemp("", "exim")
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	check(t, os.Chmod(dir, 0o755))
	e := &Exim{dir: dir, Port: FreePort(t), TLS: FreePort(t), Roots: x509.NewCertPool()}
	e.Roots.AppendCertsFromPEM(certificate(t, dir))
	as, offer := "", ""
	if starttls {
		offer = "*"
	}
	for _, d := range []string{"spool", "mail", "log"} {
		check(t, os.Mkdir(filepath.Join(dir, d), 0o755))
		if os.Getuid() == 0 { // exim gives up root before it touches anything
			who, err := user.Lookup("Debian-exim")
			check(t, err)
			uid, _ := strconv.Atoi(who.Uid)
			gid, _ := strconv.Atoi(who.Gid)
			check(t, os.Chown(filepath.Join(dir, d), uid, gid))
			as = "  user = Debian-exim"
		}
	}
	conf := filepath.Join(dir, "exim.conf")
	check(t, os.WriteFile(conf, fmt.Appendf(nil, eximConf, dir, e.Port, e.TLS, offer, as), 0o644))
	cmd := exec.Command(path, "-C", conf, "-bdf")
	cmd.WaitDelay = time.Second // a child of its may outlive it and hold the pipe
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			logs, _ := filepath.Glob(dir + "/log/*")
			for _, l := range logs {
				b, _ := os.ReadFile(l)
				t.Logf("%s: %s", filepath.Base(l), b)
			}
		}
	})
	for _, at := range []int{e.Port, e.TLS} {
		e.until(t, "exim listens", func() bool {
			c, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", at))
			if err == nil {
				c.Close()
			}
			return err == nil
		})
	}
	return e
}

func (e *Exim) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(Patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never happened: ", what)
		}
	}
}

// certificate makes a certificate for localhost that is its own authority.
func certificate(t *testing.T, dir string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	tpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, &key.PublicKey, key)
	check(t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	check(t, os.WriteFile(filepath.Join(dir, "cert.pem"), cert, 0o644))
	check(t, os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o644))
	return cert
}

// Delivered reads the one message that exim put in its maildir.
func (e *Exim) Delivered(t *testing.T) *netmail.Message {
	t.Helper()
	var files []string
	e.until(t, "a message is delivered", func() bool {
		files, _ = filepath.Glob(e.dir + "/mail/new/*")
		return len(files) > 0
	})
	if len(files) != 1 {
		t.Fatalf("%d messages were delivered", len(files))
	}
	raw, err := os.ReadFile(files[0])
	check(t, err)
	m, err := netmail.ReadMessage(strings.NewReader(string(raw)))
	check(t, err)
	return m
}

// Count is how many messages it has delivered so far.
func (e *Exim) Count() int {
	files, _ := filepath.Glob(e.dir + "/mail/new/*")
	return len(files)
}
