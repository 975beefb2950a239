package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/internal/access"
)

// certificate writes a certificate for 127.0.0.1 and gives who trusts it.
func certificate(t *testing.T, dir string) (cert, key string, trust *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key, trust = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), x509.NewCertPool()
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	trust.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return cert, key, trust
}

// ASVS 5.0 12.1.1, 12.1.2, 12.2.1: TLS 1.2 and 1.3, nothing older, nothing in
// the clear beside it; browsers are told to stay with it.
func TestServesTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := DefaultConfig()
	c.Database.URL, c.Keys.Dir, c.Recordings.Dir, c.HTTP.Addr = filepath.Join(dir, "parley.db"), filepath.Join(dir, "keys"), filepath.Join(dir, "rec"), "127.0.0.1:0"
	var trust *x509.CertPool
	c.HTTP.Cert, c.HTTP.Key, trust = certificate(t, dir)
	a, err := Open(t.Context(), Options{Config: c, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	r, err := a.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	ask := func(most uint16) (*http.Response, error) {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust, MaxVersion: most}, ForceAttemptHTTP2: true}}
		res, err := client.Get(r.Addr + "/signin")
		if err == nil {
			res.Body.Close()
		}
		return res, err
	}
	res, err := ask(0)
	if err != nil || res.StatusCode != http.StatusOK || res.TLS.Version != tls.VersionTLS13 || res.ProtoMajor != 2 {
		t.Fatalf("%+v %v", res, err)
	}
	if res.Header.Get("Strict-Transport-Security") == "" {
		t.Error("browsers are not told to stay with TLS")
	}
	if res, err = ask(tls.VersionTLS12); err != nil || res.TLS.Version != tls.VersionTLS12 {
		t.Errorf("TLS 1.2: %v", err)
	}
	if _, err = ask(tls.VersionTLS11); err == nil {
		t.Error("TLS 1.1 is served")
	}
	if res, err := http.Get(strings.Replace(r.Addr, "https", "http", 1) + "/signin"); err == nil {
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			t.Error("pages are served in the clear beside TLS")
		}
	}
}

// A configuration of sign-in that cannot work is refused with the key to mend.
func TestBadAccessConfigNamesTheKey(t *testing.T) {
	t.Parallel()
	for key, spoil := range map[string]func(c *Config){
		"access.second_factor": func(c *Config) { c.Access.Second = []string{"king"} },
		"access.oidc_issuer":   func(c *Config) { c.Access.Issuer = "https://id.example" },
		"access.oidc_roles": func(c *Config) {
			c.Access.Issuer, c.Access.ClientID, c.HTTP.PublicURL, c.Access.RoleMap = "https://id.example", "x", "https://p.example", []string{"ops"}
		},
		"access.oidc_client_secret_file": func(c *Config) {
			c.Access.Issuer, c.Access.ClientID, c.HTTP.PublicURL, c.Access.Secret = "https://id.example", "x", "https://p.example", "/nowhere"
		},
	} {
		a := &App{Config: DefaultConfig(), Access: access.NewStore(nil)}
		spoil(&a.Config)
		if err := a.identity(nil); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
	c := HTTPConfig{Proxies: []string{"10.0.0.5", "10.1.0.0/16"}}
	if ps, err := c.proxies(); err != nil || len(ps) != 2 || ps[0].Bits() != 32 {
		t.Errorf("%v %v", ps, err)
	}
	c.Proxies = []string{"proxy.example"}
	if _, err := c.proxies(); err == nil {
		t.Error("a name is taken for a network")
	}
}
