package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func parley(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(append([]string{"--lang", "en"}, args...), &o, &e)
	return code, o.String(), e.String()
}

func TestPolicyTestRunsThePacksOwnTests(t *testing.T) {
	t.Parallel()
	code, out, errOut := parley(t, "policy", "test")
	if code != 0 || !strings.Contains(out, " 0 failed") || !strings.Contains(out, "PASS") {
		t.Errorf("exit %d\n%s\n%s", code, out, errOut)
	}
}

// 2026-11-23 22:30 in Shanghai: GB/T 45251-2025 bars collection from 22:00 to 08:00.
func TestPolicyExplainSaysEveryRuleInWords(t *testing.T) {
	t.Parallel()
	facts := filepath.Join(t.TempDir(), "facts.yaml")
	if err := os.WriteFile(facts, []byte("now: \"2026-11-23 22:30:00\"\nintent: {channel: voice, purpose: collection, relation: self, product: \"loan:77\", discloses: [identity, ai_label]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errOut := parley(t, "policy", "explain", facts)
	if code != 0 || !strings.Contains(out, "CN-HOURS-COL") && !strings.Contains(out, "45251") {
		t.Errorf("exit %d\n%s\n%s", code, out, errOut)
	}
}

func TestConfigDoctorAndMigrate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	code, out, _ := parley(t, "config")
	if code != 0 {
		t.Fatal(code)
	}
	conf := filepath.Join(dir, "parley.toml")
	if err := os.WriteFile(conf, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ = parley(t, "doctor", "--config", conf)
	if code != 1 || !strings.Contains(out, "✗ trunk") || !strings.Contains(out, "✓ packs") {
		t.Errorf("doctor without a trunk: exit %d\n%s", code, out)
	}
	for _, want := range []string{"migrations applied", "up to date"} {
		if code, out, errOut := parley(t, "migrate", "--config", conf); code != 0 || !strings.Contains(out, want) {
			t.Errorf("migrate: exit %d, %q does not say %q; %s", code, out, want, errOut)
		}
	}
	if code, _, errOut := parley(t, "campaign", "approve", "x", "--as", "nobody", "--config", conf); code != 1 || !strings.Contains(errOut, "nobody") {
		t.Errorf("an unknown person: exit %d, %q", code, errOut)
	}
}

func TestBadCallsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"serve", "--config", "/nonexistent.toml"}, 1, "parley config"},
		{[]string{"verify", os.Args[0]}, 1, "not an evidence bundle"},
		{[]string{"campaign", "start", "x"}, 2, "--as"},
		{[]string{"bench", "nothing"}, 2, "gate"},
	} {
		if code, out, errOut := parley(t, tc.args...); code != tc.code || !strings.Contains(out+errOut, tc.want) {
			t.Errorf("%v: exit %d, want %d; %q does not say %q", tc.args, code, tc.code, out+errOut, tc.want)
		}
	}
}
