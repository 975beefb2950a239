package httpx

import (
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzhttp"
)

// compress sends pages to browsers compressed; files compress themselves, and
// live streams and recordings are left alone. A little random padding keeps the
// length of a page that shows both a secret and what a stranger wrote from
// telling anything (BREACH).
func compress(next http.Handler) http.Handler {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(1024), gzhttp.ContentTypes([]string{"text/html"}), gzhttp.RandomJitter(32, 0, false))
	if err != nil {
		panic(err) // an option that is none: a mistake of the program
	}
	zipped := wrap(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/static/") || strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
			next.ServeHTTP(w, r)
			return
		}
		zipped.ServeHTTP(w, r)
	})
}
