// Package phone reads and writes telephone numbers: E.164 for subscribers
// (ITU-T E.164), the plain digits for short service numbers, which have no
// E.164 form and no place.
package phone

import (
	"strings"

	"github.com/nyaruka/phonenumbers"

	"parley/internal/errs"
)

// Number is a telephone number that was read.
type Number struct {
	E164     string // "+8613800138000"; of a short number its digits, "95588"
	Region   string // ISO 3166-1, such as "CN"; "001" for a network of no country
	Short    bool   // a service number such as 95588, 12378, 110: never a person's
	Mobile   bool
	Reserved bool // +999…: unassigned by ITU-T, reaches nobody; for tests and lists without numbers
}

// ErrNumber is text that is no telephone number.
var ErrNumber = errs.New(errs.Invalid, "bad_phone", "电话号码无法识别，请填写完整号码，例如 13800138000 或 +852 9123 4567。",
	"This is not a telephone number; write it in full, such as 13800138000 or +852 9123 4567.")

// Default is the region of numbers written without a country code.
const Default = "CN"

// reserved is a country code the ITU keeps free.
const reserved = "+999"

// Parse reads a number as people write it. defaultRegion is the country of a
// number without a country code; empty means China.
func Parse(s, defaultRegion string) (Number, error) {
	if defaultRegion == "" {
		defaultRegion = Default
	}
	if len(s) > 64 {
		return Number{}, ErrNumber
	}
	digits, ok := plain(s)
	if !ok || len(digits) < 3 {
		return Number{}, ErrNumber
	}
	if strings.HasPrefix(digits, reserved) {
		if n := len(digits); n < 8 || n > 16 { // E.164: at most 15 digits
			return Number{}, ErrNumber
		}
		return Number{E164: digits, Region: "001", Reserved: true}, nil
	}
	if defaultRegion == "CN" {
		if n, ok := chinese(digits); ok {
			return n, nil
		}
	}
	return parse(digits, defaultRegion)
}

func parse(digits, region string) (Number, error) {
	n, err := phonenumbers.Parse(digits, region)
	if err != nil || !phonenumbers.IsValidNumber(n) {
		return Number{}, ErrNumber.With(err)
	}
	t := phonenumbers.GetNumberType(n)
	return Number{
		E164:   phonenumbers.Format(n, phonenumbers.E164),
		Region: phonenumbers.GetRegionCodeForNumber(n),
		Mobile: t == phonenumbers.MOBILE || t == phonenumbers.FIXED_LINE_OR_MOBILE,
	}, nil
}

// plain keeps the digits and a leading plus; full-width digits count as
// digits, and anything that is not punctuation of a number is refused.
func plain(s string) (string, bool) {
	b := make([]byte, 0, len(s))
	for _, r := range strings.TrimSpace(s) {
		switch {
		case r >= '0' && r <= '9':
			b = append(b, byte(r))
		case r >= '０' && r <= '９':
			b = append(b, byte(r-'０'+'0'))
		case r == '+' || r == '＋':
			if len(b) > 0 {
				return "", false
			}
			b = append(b, '+')
		case strings.ContainsRune(" -()./\u00a0\u2010\u2011\u2012\u2013（）－·", r):
		default:
			return "", false
		}
	}
	if d, ok := strings.CutPrefix(string(b), "00"); ok {
		return "+" + d, true
	}
	return string(b), true
}

// chinese recognises what a numbering library takes for something else or is
// slow at: service numbers (95588 would be a place in Ningxia), 400 and 800
// numbers, and plain mobile numbers, which are most of every list.
func chinese(d string) (Number, bool) {
	national := strings.TrimPrefix(d, "+86")
	if isMobile(national) {
		return Number{E164: "+86" + national, Region: "CN", Mobile: true}, true
	}
	if d != national {
		return Number{}, false
	}
	if isShort(d) {
		return Number{E164: d, Region: "CN", Short: true}, true
	}
	return Number{}, false
}

// isMobile reports an eleven-digit mobile number of an assigned series.
func isMobile(d string) bool {
	if len(d) != 11 || d[0] != '1' {
		return false
	}
	switch d[1] {
	case '3', '5', '7', '8', '9':
		return d[:3] != "154" // not assigned
	case '4':
		return d[2] >= '5' && d[2] != '8' || d[2] == '4' || d[2] == '0' || d[2] == '1' // 140, 141, 144, 145-147, 149
	case '6':
		return d[2] == '2' || d[2] == '5' || d[2] == '6' || d[2] == '7'
	}
	return false
}

// isShort reports a number of the Chinese service ranges (《电信网编号计划》):
// 1XX emergency and enquiry, 10XXX and 12XXX carriers and public services,
// 95XXX and 96XXX enterprises, 106… messages, 400 and 800 shared-cost.
func isShort(d string) bool {
	switch n := len(d); {
	case n == 3:
		return d[0] == '1'
	case strings.HasPrefix(d, "106"):
		return n >= 6 && n <= 20
	case n == 10:
		return strings.HasPrefix(d, "400") || strings.HasPrefix(d, "800")
	case strings.HasPrefix(d, "95"):
		return n >= 5 && n <= 8
	case strings.HasPrefix(d, "96"):
		return n >= 5 && n <= 6
	case strings.HasPrefix(d, "10"), strings.HasPrefix(d, "12"), strings.HasPrefix(d, "11"):
		return n == 5 || n == 4 && d[1] != '0'
	}
	return false
}

// Format writes a number for reading: 138 0013 8000 for a Chinese mobile,
// 010 6601 8888 for a fixed line, +852 9123 4567 abroad, short numbers as they are.
func Format(e164 string) string {
	if strings.HasPrefix(e164, "+86") && isMobile(e164[3:]) {
		d := e164[3:]
		return d[:3] + " " + d[3:7] + " " + d[7:]
	}
	if strings.HasPrefix(e164, reserved) && len(e164) > 8 {
		return e164[:4] + " " + e164[4:len(e164)-4] + " " + e164[len(e164)-4:]
	}
	if len(e164) == 10 && (strings.HasPrefix(e164, "400") || strings.HasPrefix(e164, "800")) {
		return e164[:3] + " " + e164[3:6] + " " + e164[6:]
	}
	if !strings.HasPrefix(e164, "+") {
		return e164
	}
	n, err := phonenumbers.Parse(e164, "")
	if err != nil {
		return e164
	}
	if n.GetCountryCode() == 86 {
		return phonenumbers.Format(n, phonenumbers.NATIONAL)
	}
	return phonenumbers.Format(n, phonenumbers.INTERNATIONAL)
}

// Hint is what a number suggests about its holder. It is no more than that:
// numbers move between carriers (携号转网) and people between places.
type Hint struct {
	Zone    string // IANA; empty if the number does not tell
	Carrier string // by number range, in Chinese or the carrier's own name
	Place   string // in Chinese
}

// Guess gives the hints of a number; of short and reserved numbers there are none.
func Guess(e164 string) Hint {
	var h Hint
	if !strings.HasPrefix(e164, "+") || strings.HasPrefix(e164, reserved) {
		return h
	}
	n, err := phonenumbers.Parse(e164, "")
	if err != nil || !phonenumbers.IsValidNumber(n) {
		return h
	}
	// A table that lacks the number leaves its hint empty.
	if zones, err := phonenumbers.GetTimezonesForNumber(n); err == nil && len(zones) == 1 && zones[0] != phonenumbers.UNKNOWN_TIMEZONE {
		h.Zone = zones[0]
	}
	h.Carrier, _ = phonenumbers.GetCarrierForNumber(n, "zh")
	h.Place, _ = phonenumbers.GetGeocodingForNumber(n, "zh")
	return h
}
