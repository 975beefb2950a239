// Package money holds amounts in minor units, so that no sum is ever a float.
package money

import (
	"fmt"
	"strconv"
	"strings"

	"parley/internal/errs"
)

// Fen is an amount of renminbi in fen, a hundredth of a yuan.
type Fen int64

// String gives the amount as people write it: ¥1,234.50.
func (f Fen) String() string {
	sign := ""
	if f < 0 {
		sign, f = "-", -f
	}
	yuan := strconv.FormatInt(int64(f)/100, 10)
	for i := len(yuan) - 3; i > 0; i -= 3 {
		yuan = yuan[:i] + "," + yuan[i:]
	}
	return fmt.Sprintf("%s¥%s.%02d", sign, yuan, int64(f)%100)
}

// maxYuan keeps a typing slip from becoming a payment.
const maxYuan = 10_000_000

// Parse reads "100", "1,234.5" or "¥1,234.50"; an empty string is nothing.
func Parse(s string) (Fen, error) {
	s = strings.ReplaceAll(strings.TrimPrefix(strings.TrimSpace(s), "¥"), ",", "")
	if s == "" {
		return 0, nil
	}
	bad := errs.New(errs.Invalid, "amount_invalid", "金额“"+s+"”看不懂：请写成 100 或 100.50（元）。",
		"The amount "+strconv.Quote(s)+" cannot be read: write 100 or 100.50 (yuan).")
	yuan, fen, _ := strings.Cut(s, ".")
	if len(fen) > 2 || yuan == "" {
		return 0, bad
	}
	y, err := strconv.ParseUint(yuan, 10, 63)
	if err != nil || y > maxYuan {
		return 0, bad.With(err)
	}
	c, err := strconv.ParseUint((fen + "00")[:2], 10, 8)
	if err != nil {
		return 0, bad.With(err)
	}
	return Fen(y*100 + c), nil
}
