package whatif

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"parley/packs"
)

var uci = Columns{Contacts: "campaign", Outcome: "y", Success: "yes"}

// The campaign of a Portuguese bank (UCI Bank Marketing): three contacts a
// person would have spared 26.5 % of its 105,754 calls and kept 88.0 % of its sales.
func TestARealCampaign(t *testing.T) {
	t.Parallel()
	const path = "../../../shared/data/uci-bank-marketing/bank-additional-full.csv"
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the UCI campaign is not here")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l, err := Read("bank.csv", f, uci)
	if err != nil {
		t.Fatal(err)
	}
	r := l.Report(10, nil)
	if r.People != 41188 || r.Contacts != 105754 || r.Successes != 4640 {
		t.Errorf("%d people, %d contacts, %d successes", r.People, r.Contacts, r.Successes)
	}
	if p := r.Curve[2]; math.Abs(p.Avoided-0.265) > 5e-4 || math.Abs(p.Kept-0.880) > 5e-4 {
		t.Errorf("three contacts: %+v", p)
	}
}

// A tighter cap never spares less and never keeps more.
func TestCapsAreMonotone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		b.WriteString("campaign;y\n")
		for range rapid.IntRange(1, 40).Draw(t, "rows") {
			k := rapid.IntRange(0, 12).Draw(t, "contacts")
			b.WriteString(strings.Join([]string{string(rune('0' + k/10)), string(rune('0' + k%10))}, "") + ";" + rapid.SampledFrom([]string{"yes", "no"}).Draw(t, "y") + "\n")
		}
		l, err := Read("log.csv", strings.NewReader(b.String()), uci)
		if err != nil {
			t.Fatal(err)
		}
		r := l.Report(12, nil)
		for i, p := range r.Curve {
			if i > 0 && (p.Avoided > r.Curve[i-1].Avoided || p.Kept < r.Curve[i-1].Kept) {
				t.Fatalf("%+v after %+v", p, r.Curve[i-1])
			}
		}
		if last := r.Curve[11]; last.Avoided != 0 || (r.Successes > 0 && last.Kept != 1) {
			t.Fatalf("a cap nobody reaches spares %+v", last)
		}
	})
}

func TestBadLogsSayWhatToMend(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"":                           "is empty",
		"a,b\n1,2\n":                 "has no column campaign; it has a, b",
		"campaign,y\n":               "no rows",
		"campaign,y\n3,yes\nmany,no": `log.csv row 3: "many" in column campaign`,
		"campaign,y\n-1,yes":         "row 2",
		"campaign,y\n1,yes\n2":       "cannot be read",
	} {
		if _, err := Read("log.csv", strings.NewReader(raw), uci); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", raw, err, want)
		}
	}
}

// Every pack that ships is in the report; the mainland's strictest cap is its
// house's own, and says so.
func TestShippedCaps(t *testing.T) {
	t.Parallel()
	caps, err := Caps(packs.All)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, c := range caps {
		found = found || c.Pack == "cn" && c.Rule == "CN-HOUSE-FREQ-MKT-30" && c.Cap == 3 && c.Days == 30 && c.Force == "bank_default"
	}
	if !found {
		t.Errorf("%+v", caps)
	}
	r := (&Log{people: map[int]int64{1: 5, 4: 2}, bought: map[int]int64{1: 1}}).Report(5, caps)
	for _, lang := range []string{"zh", "en"} {
		for d := xml.NewDecoder(strings.NewReader(Plot(r, lang))); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("the plot is no XML: %v", err)
			}
		}
	}
}
