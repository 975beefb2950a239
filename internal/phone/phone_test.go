package phone_test

import (
	"errors"
	"strings"
	"testing"

	"parley/internal/phone"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]phone.Number{
		"13800138000":          {E164: "+8613800138000", Region: "CN", Mobile: true},
		"+86 138-0013-8000":    {E164: "+8613800138000", Region: "CN", Mobile: true},
		"0086 138 0013 8000":   {E164: "+8613800138000", Region: "CN", Mobile: true},
		"１３８００１３８０００":          {E164: "+8613800138000", Region: "CN", Mobile: true},
		"(010) 6601 8888":      {E164: "+861066018888", Region: "CN"},
		"0755-83199999":        {E164: "+8675583199999", Region: "CN"},
		"+852 9123 4567":       {E164: "+85291234567", Region: "HK", Mobile: true},
		"+44 20 7946 0018":     {E164: "+442079460018", Region: "GB"},
		"95588":                {E164: "95588", Region: "CN", Short: true},
		"12378":                {E164: "12378", Region: "CN", Short: true},
		"12315":                {E164: "12315", Region: "CN", Short: true},
		"10086":                {E164: "10086", Region: "CN", Short: true},
		"110":                  {E164: "110", Region: "CN", Short: true},
		"96110":                {E164: "96110", Region: "CN", Short: true},
		"400-889-5588":         {E164: "4008895588", Region: "CN", Short: true},
		"106980095588":         {E164: "106980095588", Region: "CN", Short: true},
		"+99900000123":         {E164: "+99900000123", Region: "001", Reserved: true},
		" 138 0013 8000\u00a0": {E164: "+8613800138000", Region: "CN", Mobile: true},
	} {
		got, err := phone.Parse(in, "")
		if err != nil || got != want {
			t.Errorf("%q: %+v %v, want %+v", in, got, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"", "abc", "1", "12345678901234567890123", "138001380", "1380013800x", "++8613800138000", "+999", "+9991234567890123456",
		"13800138000 ext 5", "+8695588", "张三", strings.Repeat("1", 1000), "15400138000"} {
		if got, err := phone.Parse(in, ""); !errors.Is(err, phone.ErrNumber) {
			t.Errorf("%q was read as %+v (%v)", in, got, err)
		}
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"+8613800138000": "138 0013 8000",
		"+861066018888":  "010 6601 8888",
		"+85291234567":   "+852 9123 4567",
		"95588":          "95588",
		"4008895588":     "400 889 5588",
		"+99900000123":   "+999 0000 0123",
		"nonsense":       "nonsense",
	} {
		if got := phone.Format(in); got != want {
			t.Errorf("%s is shown as %q, want %q", in, got, want)
		}
	}
}

// 95588 parses as a number in 宁夏中卫; it is a bank.
func TestHints(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]phone.Hint{
		"+8613800138000": {Zone: "Asia/Shanghai", Carrier: "中国移动", Place: "北京市"},
		"95588":          {},
		"+99900000123":   {},
	} {
		if got := phone.Guess(in); got != want {
			t.Errorf("%s: %+v, want %+v", in, got, want)
		}
	}
	if got := phone.Guess("+12125550123"); got.Zone != "America/New_York" {
		t.Errorf("New York is in %q", got.Zone)
	}
}

// What is read is stable: reading its own form again changes nothing.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"13800138000", "+852 9123 4567", "95588", "+99900000123", "010-66018888", "106980095588"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := phone.Parse(s, "")
		if err != nil {
			return
		}
		again, err := phone.Parse(n.E164, "")
		if err != nil || again != n {
			t.Fatalf("%q: %+v, then %+v (%v)", s, n, again, err)
		}
		phone.Format(n.E164)
		phone.Guess(n.E164)
	})
}

func BenchmarkParseMobile(b *testing.B) {
	for b.Loop() {
		if _, err := phone.Parse("138 0013 8000", ""); err != nil {
			b.Fatal(err)
		}
	}
}
