package httpx

import (
	"net/http"
	"strings"

	"parley/internal/httpx/words"
)

const langCookie = "lang"

// chooseLang takes the reader's own choice first (cookie), then what the
// browser asks for; Chinese when it asks for neither of ours.
func chooseLang(r *http.Request) words.Lang {
	if c, err := r.Cookie(langCookie); err == nil {
		if l, ok := words.Parse(c.Value); ok {
			return l
		}
	}
	for part := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		base, _, _ := strings.Cut(strings.ToLower(tag), "-")
		if l, ok := words.Parse(base); ok {
			return l
		}
	}
	return words.Zh
}
