package policy_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"parley/internal/policy"
)

// TestLanguage: what every body of the language means, as data: the vectors of
// the regulations with their edges.
func TestLanguage(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	passed, failed, err := policy.RunTests(os.DirFS("testdata"), nil, &out, "en")
	if err != nil || failed != 0 || passed < 120 {
		t.Errorf("passed %d, failed %d, err %v\n%s", passed, failed, err, out.String())
	}
	if strings.Contains(out.String(), "\nnote ") {
		t.Error("a rule has no test:", out.String()[strings.Index(out.String(), "\nnote "):])
	}
}

// TestPersonScopes: scopes that ask the person by name are resolved once per
// class and attributes, and say the same as ones that are asked each time.
func TestPersonScopes(t *testing.T) {
	t.Parallel()
	closed := "    hours: {allow: [{from: \"01:00\", to: \"02:00\"}]}\n"
	s, err := policy.Compose(mustParse(t, head+
		rule("HAS", "    scope: has(person.vip) && person.vip == \"yes\"\n"+closed)+
		rule("INDEX", "    scope: '\"vip\" in person && person[\"vip\"] == \"yes\"'\n"+closed)+
		rule("OPTION", "    scope: person[?\"vip\"].orValue(\"\") == \"yes\" || person.?old.hasValue()\n"+closed)+
		rule("LOOP", "    scope: person.exists(k, k == \"vip\" && person[k] == \"yes\")\n"+closed)))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 300 {
				f := marketing("2026-11-23T10:00:00+08:00")
				vip := []string{"yes", "no", "", fmt.Sprint(i)}[(i+w)%4]
				if f.Person = map[string]string{"other": fmt.Sprint(i)}; vip != "" {
					f.Person["vip"] = vip
				}
				if i%7 == 0 {
					f.Person["old"] = ""
				}
				v := s.Decide(f)
				for _, id := range []string{"HAS", "INDEX", "OPTION", "LOOP"} {
					want := vip == "yes" || id == "OPTION" && i%7 == 0
					if got := v.Result(id) != nil; got != want {
						t.Errorf("%s with vip %q: speaks %t, want %t", id, vip, got, want)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}
