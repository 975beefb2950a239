package httpx

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"parley/internal/httpx/words"
)

// Themes are what a reader may choose between: what the machine is set to, or
// light or dark whatever it is set to.
func Themes() []string { return []string{"auto", "light", "dark"} }

const themeCookie = "theme"

// chooseTheme gives the reader's own choice; "auto" when there is none.
func chooseTheme(r *http.Request) string {
	if c, err := r.Cookie(themeCookie); err == nil && slices.Contains(Themes(), c.Value) {
		return c.Value
	}
	return "auto"
}

// switchView answers ?lang=xx and ?theme=xx on any page: the choice is kept for
// a year and the reader comes back to the same page without the parameter.
func (h *House) switchView(next http.Handler) http.Handler {
	const year = 365 * 24 * 3600
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.Method != http.MethodGet || !q.Has("lang") && !q.Has("theme") {
			next.ServeHTTP(w, r)
			return
		}
		if q.Has("lang") {
			l, _ := words.Parse(q.Get("lang"))
			http.SetCookie(w, Cookie(h.Secure, langCookie, string(l), year))
		}
		if t := q.Get("theme"); slices.Contains(Themes(), t) {
			http.SetCookie(w, Cookie(h.Secure, themeCookie, t, year))
		}
		q.Del("lang")
		q.Del("theme")
		u := *r.URL
		u.RawQuery = q.Encode()
		// Only the path goes into the answer, so it cannot lead to another site.
		Go(w, r, "/"+strings.TrimLeft(u.RequestURI(), "/\\"))
	})
}

// LangHref gives the address of this very page in another language.
func LangHref(v *Visit, l words.Lang) string { return with(v, "lang", string(l)) }

// ThemeHref gives the address of this very page in another theme.
func ThemeHref(v *Visit, theme string) string { return with(v, "theme", theme) }

func with(v *Visit, key, value string) string {
	sep := "?"
	if strings.Contains(v.Path, "?") {
		sep = "&"
	}
	return v.Path + sep + key + "=" + url.QueryEscape(value)
}

// Go sends the reader on with 303, as after a form.
func Go(w http.ResponseWriter, r *http.Request, to string) {
	http.Redirect(w, r, to, http.StatusSeeOther)
}
