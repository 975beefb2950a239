package region

import (
	"errors"
	"strings"
	"testing"

	"parley/internal/errs"
)

// TestEveryDivisionOfChina: the 34 divisions are known by every form that GB/T
// 2260 and ISO 3166-2:CN give them, short, long, English, number and code.
func TestEveryDivisionOfChina(t *testing.T) {
	t.Parallel()
	b, n := read(), 0
	for _, d := range b.countries["CN"].Divisions {
		n++
		want := "CN-" + d.Code
		for _, s := range append([]string{d.Zh, d.Long, d.En, strings.ToLower(d.En), d.Number, d.Number + "0000", d.Number + "0105", "CN-" + d.Code, "cn_" + d.Code,
			"CN-" + d.Number, d.Long + "某市某区", "中国" + d.Zh, d.En + " Province", " " + d.Zh + "\u3000"}, d.Aka...) {
			if got, err := Code(s); err != nil || got != want {
				t.Errorf("%q: %q, %v; want %s", s, got, err, want)
			}
		}
		if Name(want, "zh") != d.Zh || Name(d.Long, "en") != d.En {
			t.Errorf("%s is called %q, %q", want, Name(want, "zh"), Name(d.Long, "en"))
		}
	}
	if n != 34 || len(b.numbers) != 34 {
		t.Errorf("%d divisions, %d numbers", n, len(b.numbers))
	}
}

// TestRegions: ISO 3166, and what must not be guessed at.
func TestRegions(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":   "",
		"CN": "CN", "中国": "CN", "中华人民共和国": "CN", "北京市朝阳区": "CN-BJ", "１１００００": "CN-BJ", "内蒙古自治区呼和浩特市": "CN-NM",
		"FL": "US-FL", "us-fl": "US-FL", "Florida": "US-FL", "US-Florida": "US-FL", "New York": "US-NY", "newyork": "US-NY", "佛罗里达州": "US-FL", "State of no such": "!region_unknown",
		"U.S.A.": "US", "Washington, D.C.": "US-DC", "Washington": "US-WA",
		"FR": "FR", "fr-75": "FR-75", "Germany": "DE", "JP": "JP", "JP-13": "JP-13", "英国": "GB", "UK": "GB",
		"DE": "DE", "IN": "IN", // countries by their own code; Delaware and Indiana are written US-DE, US-IN
		"CA":      "!region_unclear", // California or Canada
		"BJ":      "!region_unclear", // Benin, or Beijing in an old system of a bank's
		"SC":      "!region_unclear", // Sichuan, South Carolina, the Seychelles
		"MO":      "!region_unclear", // Missouri, Macao
		"HK":      "CN-HK",
		"海南藏族自治州": "!region_unknown", // lies in Qinghai: a short name is no prefix
		"朝阳区":     "!region_unknown", // there are several
		"100020":  "!region_unknown", // a postcode
		"CN-ZZ":   "!region_unknown", "US-99": "!region_unknown", "QQ": "!region_unknown", "华东": "!region_unknown", "-": "!region_unknown", "CN-": "!region_unknown",
	} {
		got, err := Code(in)
		if code, refused := strings.CutPrefix(want, "!"); refused {
			var e *errs.Error
			if !errors.As(err, &e) || e.Code != code || e.Zh == "" || Of(in) != in {
				t.Errorf("%q: %q, %v; want %s", in, got, err, code)
			}
		} else if err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
}

// FuzzCode: a code stands for itself, whatever it was found by.
func FuzzCode(f *testing.F) {
	for _, s := range []string{"北京市", "fl", "CN-11", "FR-75", "中国中国", "\xff", "110105"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		code, err := Code(s)
		if err != nil {
			return
		}
		if again, err := Code(code); err != nil || again != code {
			t.Errorf("%q gives %q, which gives %q, %v", s, code, again, err)
		}
	})
}

func BenchmarkCode(b *testing.B) {
	for b.Loop() {
		if _, err := Code("北京"); err != nil {
			b.Fatal(err)
		}
		if _, err := Code("广东省深圳市"); err != nil {
			b.Fatal(err)
		}
	}
}
