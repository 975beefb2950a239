package mask_test

import (
	"testing"

	"parley/internal/mask"
)

// JR/T 0171-2020: what identifies a person is shown masked by default.
func TestMasks(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ kind, in, want string }{
		{"phone", "+8613800138000", "138****8000"},
		{"phone", "13800138000", "138****8000"},
		{"phone", "+85291234567", "+852****4567"},
		{"phone", "95588", "***88"},
		{"phone", "", ""},
		{"name", "张三", "张*"},
		{"name", "张小明", "张**"},
		{"name", "欧阳修", "欧阳*"},
		{"name", "司马", "司*"},
		{"name", "李", "*"},
		{"name", "Ann Lee", "A** L**"},
		{"id", "110101199003071234", "110***********1234"},
		{"id", "E1234567", "E12*4567"},
		{"id", "E1234", "***34"},
		{"email", "zhang@example.com", "z***@example.com"},
		{"email", "张@例子.cn", "张***@例子.cn"},
		{"email", "nonsense", "********"},
		{"card", "6222021234567890123", "622202*********0123"},
		{"card", "6222 0212 3456 7890", "622202******7890"},
		{"card", "12345", "***45"},
		{"card", "", ""},
		{"address", "上海市浦东新区世纪大道100号2栋301", "上海市浦东新区****"},
		{"address", "世纪大道100号", "世纪****"},
		{"address", "北京市", "北****"},
		{"address", "", ""},
	} {
		of := map[string]func(string) string{"phone": mask.Phone, "name": mask.Name, "id": mask.ID, "email": mask.Email, "card": mask.Card, "address": mask.Address}[tc.kind]
		if got := of(tc.in); got != tc.want {
			t.Errorf("%s %q is shown as %q, want %q", tc.kind, tc.in, got, tc.want)
		}
	}
}

// What people write about themselves is masked where it stands; what only
// looks like it (case numbers, dates, hashes, service numbers) is left alone.
func TestText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"我是王小明，手机13800138000，请回电":                                               "我是王**，手机138****8000，请回电",
		"+86 138 0013 8000 / 138-0013-8000":                                     "138****8000 / 138****8000",
		"身份证110101199003071234。":                                                "身份证110***********1234。",
		"身份证11010119900307123X":                                                 "身份证110***********123X",
		"卡号6222 0212 3456 7890 123":                                             "卡号622202*********0123",
		"mail zhang@example.com, 010-12345678, +852 9123 4567":                  "mail z***@example.com, 010****5678, +852****4567",
		"投诉 2026-000123 于 2026-11-24 10:00 由 95588 打来":                          "投诉 2026-000123 于 2026-11-24 10:00 由 95588 打来",
		"sha256 1380013800013800138000138001380013800013800138000138001380013a": "sha256 1380013800013800138000138001380013800013800138000138001380013a",
		"我叫李雷，姓名：韩梅梅":                                                           "我叫李*，姓名：韩**",
		"":                                                                      "",
	} {
		if got := mask.Text(in, "王小明"); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
}
