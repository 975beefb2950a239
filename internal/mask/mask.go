// Package mask is how personal data looks on screens, in files and in answers
// of the API to whoever has no reason to see it: console, portal, command line
// and API mask through this room and no other.
//
// JR/T 0171-2020: C2 data (phone, ID number, account, name, address) is shown
// masked by default. The patterns of its informative Annex A were not seen; these
// are the bank's default (reference: phone 3+4, ID 3+4, card 6+4, surname kept,
// e-mail by its first character and domain).
package mask

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

const star = "*"

// Phone keeps the first three and last four digits: 138****8000. A short
// number keeps its last two.
func Phone(s string) string {
	prefix := ""
	if rest, ok := strings.CutPrefix(s, "+86"); ok {
		s = rest
	} else if strings.HasPrefix(s, "+") {
		prefix, s = "+", s[1:]
	}
	if len(s) < 8 {
		return prefix + ends(s, 0, 2)
	}
	return prefix + ends(s, 3, 4)
}

// ID keeps the first three and last four characters of an ID number.
func ID(s string) string {
	if utf8.RuneCountInString(s) < 8 {
		return ends(s, 0, 2)
	}
	return ends(s, 3, 4)
}

// compound surnames, the common ones.
const compound = "欧阳 太史 端木 上官 司马 东方 独孤 南宫 万俟 闻人 夏侯 诸葛 尉迟 公羊 赫连 澹台 皇甫 宗政 濮阳 公冶 太叔 申屠 公孙 慕容 仲孙 钟离 长孙 宇文 司徒 鲜于 司空 令狐"

// Name keeps the surname: 张**, 欧阳*; of a name in Latin letters the first
// letter of every word.
func Name(s string) string {
	s = strings.TrimSpace(s)
	r := []rune(s)
	switch {
	case len(r) == 0:
		return ""
	case r[0] < 0x2e80: // not an East Asian script
		words := strings.Fields(s)
		for i, w := range words {
			_, n := utf8.DecodeRuneInString(w)
			words[i] = w[:n] + "**"
		}
		return strings.Join(words, " ")
	case len(r) > 2 && strings.Contains(compound, string(r[:2])):
		return ends(s, 2, 0)
	case len(r) == 1:
		return star
	default:
		return ends(s, 1, 0)
	}
}

// Email keeps the first character and the domain: z***@example.com.
func Email(s string) string {
	at := strings.LastIndexByte(s, '@')
	if at <= 0 {
		return ends(s, 0, 0)
	}
	_, n := utf8.DecodeRuneInString(s)
	return s[:n] + "***" + s[at:]
}

// Card keeps the first six digits of a card or account number, which name the
// bank, and the last four. A short one keeps its last four.
func Card(s string) string {
	digits := separators.Replace(s)
	if len(digits) < 13 {
		return ends(digits, 0, min(4, len(digits)/2))
	}
	return ends(digits, 6, 4)
}

// district ends the part of a Chinese address that names a place and not a home.
const district = "区县旗市"

// Address keeps province, city and district and hides street and number; of an
// address without them only the first two characters are kept.
func Address(s string) string {
	r := []rune(strings.TrimSpace(s))
	keep := 0
	for i := range min(len(r), 16) {
		if i > 0 && strings.ContainsRune(district, r[i]) {
			keep = i + 1
		}
	}
	if keep == 0 || keep == len(r) {
		keep = min(2, len(r)/2)
	}
	if len(r) == 0 {
		return ""
	}
	return string(r[:keep]) + "****"
}

var (
	separators = strings.NewReplacer(" ", "", "-", "")
	// What people write about themselves in running text. RE2's \b is an ASCII
	// one, so a number right after a Chinese word is found and a part of a longer
	// number or hash is not.
	inText = regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}` + // e-mail
		`|\b\d{17}[\dXx]\b|\b\d{6} \d{8} \d{3}[\dXx]\b` + // ID number
		`|\b\d{4}(?:[ -]?\d{4}){2}(?:[ -]?\d{1,4}){1,2}\b` + // card
		`|(?:\+|\b)86[ -]?1[3-9]\d[ -]?\d{4}[ -]?\d{4}\b|\b1[3-9]\d[ -]?\d{4}[ -]?\d{4}\b` + // mobile
		`|\+\d[\d -]{6,17}\d\b|\b0\d{2,3}[ -]\d{7,8}\b`) // abroad, land line
	// How people introduce themselves: the surname stays.
	introduced = regexp.MustCompile(`(我叫|姓名(?:是|[:：])?\s*)(\p{Han}{2,4})`)
	idNumber   = regexp.MustCompile(`^\d{17}[\dXx]$`)
)

// Text masks what looks like a phone, ID or card number or an e-mail address
// in running text, every name of names, and a name somebody gives as their own.
func Text(s string, names ...string) string {
	s = inText.ReplaceAllStringFunc(s, func(m string) string {
		digits := separators.Replace(m)
		switch {
		case strings.Contains(m, "@"):
			return Email(m)
		case idNumber.MatchString(digits):
			return ID(digits)
		case len(digits) >= 13 && m[0] != '+' && !strings.HasPrefix(digits, "86"):
			return Card(digits)
		default:
			return Phone(digits)
		}
	})
	s = introduced.ReplaceAllStringFunc(s, func(m string) string {
		p := introduced.FindStringSubmatch(m)
		return p[1] + Name(p[2])
	})
	for _, n := range names {
		if n = strings.TrimSpace(n); n != "" {
			s = strings.ReplaceAll(s, n, Name(n))
		}
	}
	return s
}

// ends keeps the first and last characters and puts a star for each other one.
func ends(s string, first, last int) string {
	r := []rune(s)
	if first+last >= len(r) {
		return strings.Repeat(star, len(r))
	}
	return string(r[:first]) + strings.Repeat(star, len(r)-first-last) + string(r[len(r)-last:])
}
