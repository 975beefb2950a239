package httpx

import (
	"net/http"
	"strings"
)

// policy is the strict Content-Security-Policy of every page: everything from
// ourselves, no inline script and no inline style. data: images are the small
// drawings inside the style sheet.
const policy = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; " +
	"form-action 'self'; frame-ancestors 'none'"

func (h *House) secure(to http.Header) {
	to.Set("Content-Security-Policy", policy)
	to.Set("X-Content-Type-Options", "nosniff")
	to.Set("X-Frame-Options", "DENY")
	to.Set("Referrer-Policy", "same-origin")
	to.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
	to.Set("Cross-Origin-Opener-Policy", "same-origin")
	to.Set("Cross-Origin-Resource-Policy", "same-origin")
	if h.Secure {
		to.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	}
}

// hostPrefix keeps other hosts, and pages without TLS, from planting a cookie
// (RFC 6265bis section 4.1.3.2; ASVS 5.0 3.3.1, 3.3.3).
const hostPrefix = "__Host-"

// Cookie is a cookie of ours: not readable by scripts, not sent by other sites,
// and wherever the pages are served over TLS Secure and for this host only; no
// page needs to know, it reads the cookie under its plain name. A maxAge in
// seconds of 0 lasts until the browser closes; below 0 it is deleted.
func Cookie(secure bool, name, value string, maxAge int) *http.Cookie {
	if secure {
		name = hostPrefix + name
	}
	return &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode}
}

// ownCookies leaves a request only the cookies that Cookie made, under their
// plain names.
func (h *House) ownCookies(r *http.Request) {
	if !h.Secure {
		return
	}
	all := r.Cookies()
	r.Header.Del("Cookie")
	for _, c := range all {
		if name, ours := strings.CutPrefix(c.Name, hostPrefix); ours {
			r.AddCookie(&http.Cookie{Name: name, Value: c.Value})
		}
	}
}
