package access

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/trustelem/zxcvbn"
	"golang.org/x/crypto/argon2"

	"parley/internal/errs"
)

// The cost of one password check (OWASP Password Storage Cheat Sheet 2025:
// argon2id with 19 MiB, 2 passes, 1 lane).
const (
	argonMemory  = 19 * 1024 // KiB
	argonPasses  = 2
	argonLanes   = 1
	argonKeyLen  = 32
	argonSaltLen = 16
)

var errPassword = errors.New("password hash is not argon2id in PHC form")

// hashPassword gives the PHC string of a fresh salt.
func hashPassword(password string) string {
	salt := make([]byte, argonSaltLen)
	_, _ = rand.Read(salt) // never fails (crypto/rand)
	key := argon2.IDKey([]byte(password), salt, argonPasses, argonMemory, argonLanes, argonKeyLen)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonPasses, argonLanes,
		b64.EncodeToString(salt), b64.EncodeToString(key))
}

// checkPassword compares in constant time. The costs are read from the hash, so
// they can be raised later; what this program would never have written is refused.
func checkPassword(phc, password string) (bool, error) {
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, errPassword
	}
	var memory, passes uint32
	var lanes uint8
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &passes, &lanes); err != nil {
		return false, fmt.Errorf("%w: %w", errPassword, err)
	}
	if memory < 8 || memory > 1<<20 || passes < 1 || passes > 16 || lanes < 1 || lanes > 16 {
		return false, errPassword
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false, fmt.Errorf("%w: %w", errPassword, err)
	}
	want, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(want) != argonKeyLen {
		return false, errPassword
	}
	got := argon2.IDKey([]byte(password), salt, passes, memory, lanes, argonKeyLen)
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}

const minPassword = 10 // characters (NIST SP 800-63B-4: 8 with a second factor)

// What a new password must not be.
var (
	ErrWeak = errs.New(errs.Invalid, "weak_password", "密码至少要有 10 个字符。", "A password needs at least 10 characters.")
	ErrEasy = errs.New(errs.Invalid, "easy_password", "这个密码太容易猜到（常见密码、姓名、登录名、连续或重复的字符）。可以用几个不相干的词拼成一句。",
		"This password is too easy to guess (a common one, your name, a sequence, a repetition). A few unrelated words make a good one.")
)

// strong refuses passwords that are short or that a guesser tries early: the
// common and leaked ones, names, keyboard walks (zxcvbn). There are no rules of
// composition and no upper bound but the form's (ASVS 5.0 6.2.1 to 6.2.12).
func (s *Store) strong(password string, st Staff) error {
	if utf8.RuneCountInString(password) < minPassword {
		return ErrWeak
	}
	parts := strings.FieldsFunc(st.Login, func(r rune) bool { return strings.ContainsRune(".-_@", r) })
	own := append(parts, strings.Join(parts, ""), st.Login, st.Name, st.Number, s.bank(), "parley", "shouyue")
	part := []rune(password) // the estimate's work grows with the length, and 72 characters are beyond any guesser
	if zxcvbn.PasswordStrength(string(part[:min(len(part), 72)]), own).Score < 3 {
		return ErrEasy
	}
	return nil
}
