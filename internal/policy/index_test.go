package policy_test

import (
	"os"
	"strings"
	"testing"

	"parley/internal/policy"
	"parley/packs"
)

// TestIndexIsCurrent: docs/rules.md is what the packs and their tests say.
func TestIndexIsCurrent(t *testing.T) {
	t.Parallel()
	want, err := policy.Index(packs.All)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/rules.md is out of date: go run ./cmd/parley policy index > docs/rules.md")
	}
}

// TestTableOfRegulations: the rules that were asked for are there, each under the id of the reference table.
func TestTableOfRegulations(t *testing.T) {
	t.Parallel()
	doc, err := policy.Index(packs.All)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range strings.Fields(`CN-CONSENT-01 CN-DNC-01 CN-DNC-02 CN-DISC-01 CN-HOURS-COL CN-FREQ-COL CN-3P-COL CN-3P-CC CN-OUT-NOTICE CN-ADM-01
		CN-SEP-01 CN-WD-01 CN-REASK-01 CN-SMS-RET CN-SMS-PROOF CN-PIA-RET CN-CC-RET CN-REC-RET CN-AI-LABEL CN-MASK-01 CN-CMP-15 CN-CMP-30 CN-CMP-60
		CN-CMP-REV CN-CMP-LETTER CN-CMP-REP5 CN-CMP-MAJ20 CN-CMP-NODUP CN-CMP-RECUSE CN-BJ-1WD CN-BJ-T3 US-HRS-01 US-DNC-REG US-DNC-INT US-REV-10
		US-CONF-5M US-PRE-ID US-FRD-3 US-ABN-3 US-REGF-H US-REGF-7 US-REGF-C7 US-FL-3 US-CID-01 US-CFPB-15 UK-TPS-28 UK-AUTO-01 UK-CONC-01 UK-ABN-0
		UK-SRC-3 UK-FR-8W UK-RET-3 IN-HRS-REC IN-NUM-16 IN-NUM-14 FR-OPTIN FR-HRS FR-FREQ ES-HRS DE-RET-5 EU-OBJ`) {
		if !strings.Contains(doc, "["+id+"](../packs/") {
			t.Errorf("no pack has rule %s", id)
		}
	}
}
