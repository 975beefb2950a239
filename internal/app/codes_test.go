package app

import (
	"strings"
	"testing"

	"parley/internal/db"
	"parley/internal/template"
)

// The e-mail with a code is written in the wording in force, in the customer's
// language, and says how long the code is good for.
func TestCodeMailIsATemplate(t *testing.T) {
	t.Parallel()
	a := openBank(t)
	var w *template.Version
	if err := a.DB.Read(t.Context(), func(tx *db.Tx) (err error) {
		w, err = a.Templates.InForce(t.Context(), tx, codeMail)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for lang, want := range map[string]string{"zh-CN": "您的验证码是 407193，5 分钟内有效", "en": "Your code is 407193. It is good for 5 minutes."} {
		subject, text, err := w.Texts.Fill(lang, a.codes.values(lang, "407193"))
		if err != nil || !strings.Contains(text, want) || !strings.Contains(text, a.Config.Bank.Hotline) || subject == "" {
			t.Errorf("%s: %v %q\n%s", lang, err, subject, text)
		}
	}
}
