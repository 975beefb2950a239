package httpx

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"parley/internal/httpx/words"
)

// Flash is one sentence shown once, on the page that follows a form.
type Flash struct {
	Key  string   `json:"k"` // a key below "flash." in the words
	Args []string `json:"a,omitempty"`
	Bad  bool     `json:"b,omitempty"`
}

// Text gives the sentence in the language.
func (f Flash) Text(l words.Lang) string {
	args := make([]any, len(f.Args))
	for i, a := range f.Args {
		args[i] = a
	}
	return words.In(l, f.Key, args...)
}

const flashCookie = "flash"

// SetFlash leaves a sentence for the next page.
func SetFlash(w http.ResponseWriter, r *http.Request, f Flash) {
	b, err := json.Marshal(f)
	if err != nil {
		return // strings always marshal
	}
	http.SetCookie(w, Cookie(From(r.Context()).House.Secure, flashCookie, base64.RawURLEncoding.EncodeToString(b), 60))
}

// takeFlash reads and clears it. The cookie comes from the browser, so only
// sentences of ours are accepted; its arguments are escaped like any text.
func takeFlash(w http.ResponseWriter, r *http.Request, secure bool) []Flash {
	c, err := r.Cookie(flashCookie)
	if err != nil || r.Method != http.MethodGet || !strings.Contains(r.Header.Get("Accept"), "text/html") || r.Header.Get("HX-Request") != "" {
		return nil
	}
	http.SetCookie(w, Cookie(secure, flashCookie, "", -1))
	b, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil || len(b) > 1000 {
		return nil
	}
	var f Flash
	if json.Unmarshal(b, &f) != nil || !strings.HasPrefix(f.Key, "flash.") || !words.Has(f.Key) {
		return nil
	}
	return []Flash{f}
}
