package people

import (
	"os"
	"testing"

	"parley/internal/access"
)

func TestWords(t *testing.T) {
	t.Parallel()
	flaws, asked := book.Flaws(os.DirFS("."))
	for _, f := range flaws {
		t.Error(f)
	}
	if asked < 60 {
		t.Errorf("only %d words asked for: the test no longer sees them", asked)
	}
	for _, l := range access.Table() {
		if !book.Has("perm." + string(l.Permission)) {
			t.Errorf("/access has no words for %s", l.Permission)
		}
	}
	for _, k := range []string{access.KindRoles, access.KindReset} {
		if !book.Has("asked." + k) {
			t.Errorf("no words for a request of kind %s", k)
		}
	}
	for _, how := range []string{"password", "totp", "recovery", "passkey", "oidc", "demo", ""} {
		if !book.Has("how." + how) {
			t.Errorf("no words for a session opened by %q", how)
		}
	}
}
