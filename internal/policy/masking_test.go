package policy_test

import (
	"strings"
	"testing"

	"parley/internal/mask"
)

// TestMaskingKeepsToThePack: the room that masks shows what CN-MASK-01 lets
// stay visible, and no more (JR/T 0171-2020).
func TestMaskingKeepsToThePack(t *testing.T) {
	t.Parallel()
	s := cn(t)
	now := at("2026-11-23T10:00:00+08:00")
	for _, c := range []struct {
		field, plain, first, last string
		show                      func(string) string
	}{
		{"phone", "13812345678", "3", "4", mask.Phone},
		{"id_number", "110101199003071234", "3", "4", mask.ID},
		{"card_number", "6222021234567890123", "6", "4", mask.Card},
		{"name", "张小明", "surname", "", mask.Name},
		{"email", "zhang@example.com", "1", "domain", mask.Email},
	} {
		m, ok := s.Mask(c.field, now)
		if want := strings.TrimSuffix(c.first+"+"+c.last, "+"); !ok || m.Class != "C2" || m.Keep != want {
			t.Errorf("%s: the pack says %+v, want C2 %s", c.field, m, want)
		}
		shown := c.show(c.plain)
		var kept string
		switch m.Keep {
		case "surname":
			kept = "张**"
		case "1+domain":
			kept = "z***@example.com"
		default:
			a, b := int(m.Keep[0]-'0'), int(m.Keep[2]-'0')
			kept = c.plain[:a] + strings.Repeat("*", len(c.plain)-a-b) + c.plain[len(c.plain)-b:]
		}
		if shown != kept {
			t.Errorf("%s is shown as %s; the pack lets stay %s", c.field, shown, kept)
		}
	}
	if m, ok := s.Mask("one_time_code", now); !ok || m.Class != "C3" || m.Keep != "" {
		t.Errorf("one_time_code: %+v", m)
	}
	if _, ok := s.Mask("shoe_size", now); ok {
		t.Error("a field that no rule names has a mask")
	}
}
