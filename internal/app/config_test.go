package app

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, text string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "parley.toml")
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPrintedConfigIsTheDefault(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := WriteConfig(&b); err != nil {
		t.Fatal(err)
	}
	path := write(t, b.String())
	got, err := LoadConfig(path)
	if err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	want := DefaultConfig()
	want.resolve(filepath.Dir(path))
	if !reflect.DeepEqual(got, want) {
		t.Errorf("printed config reads as\n%+v, want\n%+v", got, want)
	}
}

func TestEveryKeyIsDocumented(t *testing.T) {
	t.Parallel()
	c := DefaultConfig()
	eachKey(reflect.ValueOf(&c).Elem(), func(section, key string, f reflect.StructField, _ reflect.Value) {
		if key == "" || f.Tag.Get("doc") == "" {
			t.Errorf("%s.%s lacks a name or a doc", section, f.Name)
		}
	})
	b, err := os.ReadFile("../../docs/config.toml")
	if err != nil {
		t.Fatal(err)
	}
	var w strings.Builder
	if err := WriteConfig(&w); err != nil {
		t.Fatal(err)
	}
	if string(b) != w.String() {
		t.Error("docs/config.toml is not what `parley config` prints; run: go run ./cmd/parley config > docs/config.toml")
	}
}

func TestBadConfigNamesLineAndMend(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"unknown key":   {"[gate]\npermit_tll = \"2m\"\n", "line 2: unknown key gate.permit_tll"},
		"unknown table": {"[trunc]\naddress = \"x\"\n", "unknown key trunc"},
		"wrong type":    {"[http]\naddr = 8080\n", "line 2"},
		"not TOML":      {"[http\n", "line 1"},
		"zone":          {"[bank]\nzone = \"Beijing\"\n", "bank.zone"},
		"transport":     {"[trunk]\ntransport = \"sctp\"\n", "trunk.transport"},
		"ports":         {"[trunk]\nmedia_port_from = 20000\nmedia_port_to = 20010\n", "media_port"},
		"short permit":  {"[gate]\npermit_ttl = \"1ms\"\n", "gate.permit_ttl"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := LoadConfig(write(t, tc.text))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v does not say %q", err, tc.want)
			}
		})
	}
}

func TestConfigOverridesAndResolves(t *testing.T) {
	t.Parallel()
	p := write(t, "[database]\nurl = \"x/y.db\"\n[gate]\npermit_ttl = \"90s\"\n[keys]\ndir = \"k\"\n")
	c, err := LoadConfig(p)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(p)
	if c.Database.URL != filepath.Join(dir, "x/y.db") || c.Keys.Dir != filepath.Join(dir, "k") || c.Gate.PermitTTL.Duration != 90*time.Second {
		t.Errorf("got %+v", c)
	}
	if _, err := LoadConfig(filepath.Join(dir, "none.toml")); err == nil {
		t.Error("a missing file is not an error")
	}
}
