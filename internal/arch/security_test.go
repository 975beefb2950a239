package arch

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// asvs is how many items of levels 1 and 2 each section of the OWASP ASVS 5.0.0
// has; in every section they are the first ones.
var asvs = map[string]int{
	"1.1": 2, "1.2": 9, "1.3": 11, "1.4": 3, "1.5": 2, "2.1": 3, "2.2": 3, "2.3": 4, "2.4": 1,
	"3.2": 2, "3.3": 4, "3.4": 6, "3.5": 5, "3.7": 2, "4.1": 3, "4.2": 1, "4.3": 2, "4.4": 4, "5.1": 1, "5.2": 3, "5.3": 2, "5.4": 3,
	"6.1": 3, "6.2": 12, "6.3": 4, "6.4": 4, "6.5": 5, "6.6": 3, "6.8": 4, "7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5, "7.5": 2, "7.6": 2,
	"8.1": 2, "8.2": 3, "8.3": 1, "8.4": 1, "9.1": 3, "9.2": 4, "10.1": 2, "10.2": 2, "10.3": 4, "10.4": 11, "10.5": 5, "10.6": 2, "10.7": 3,
	"11.1": 2, "11.2": 3, "11.3": 3, "11.4": 4, "11.5": 1, "11.6": 1, "12.1": 3, "12.2": 2, "12.3": 4, "13.1": 1, "13.2": 5, "13.3": 2, "13.4": 5,
	"14.1": 2, "14.2": 4, "14.3": 3, "15.1": 3, "15.2": 3, "15.3": 7, "16.1": 1, "16.2": 5, "16.3": 4, "16.4": 3, "16.5": 3, "17.1": 1, "17.2": 4, "17.3": 2,
}

var (
	asvsRow   = regexp.MustCompile(`(?m)^\| (\d+\.\d+)\.(\d+) \| (met|partly|operator|not applicable) \| (.+) \| (.+) \|$`)
	namedTest = regexp.MustCompile("`(Test\\w+)`")
	isTest    = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
)

// docs/security.md answers for every item of the standard's level 2, and every
// test it calls on exists.
func TestSecurityChecklistIsWholeAndItsTestsExist(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(root + "/docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, p := range goFiles(t) {
		if !strings.HasSuffix(p, "_test.go") {
			continue
		}
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range isTest.FindAllSubmatch(b, -1) {
			have[string(m[1])] = true
		}
	}
	for _, m := range namedTest.FindAllSubmatch(doc, -1) {
		if !have[string(m[1])] {
			t.Errorf("docs/security.md names %s, which does not exist", m[1])
		}
	}
	rows := map[string]int{}
	states := map[string]int{}
	for _, m := range asvsRow.FindAllSubmatch(doc, -1) {
		id, state, how, test := string(m[1])+"."+string(m[2]), string(m[3]), string(m[4]), string(m[5])
		rows[id]++
		states[state]++
		if len(how) < 8 {
			t.Errorf("%s says nothing", id)
		}
		if state == "not applicable" && test != "—" {
			t.Errorf("%s does not apply but names a test", id)
		}
	}
	total := 0
	for section, n := range asvs {
		for i := 1; i <= n; i++ {
			total++
			if id := fmt.Sprintf("%s.%d", section, i); rows[id] != 1 {
				t.Errorf("docs/security.md answers %d times for %s", rows[id], id)
			}
		}
	}
	if len(rows) != total {
		t.Errorf("docs/security.md has %d items, the standard %d", len(rows), total)
	}
	sum := fmt.Sprintf("Of %d items %d are met, %d partly, %d are the operator's to do, and %d do not apply.", total,
		states["met"], states["partly"], states["operator"], states["not applicable"])
	if !strings.Contains(string(doc), sum) {
		t.Errorf("the summary should read: %s", sum)
	}
}
