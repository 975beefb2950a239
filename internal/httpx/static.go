package httpx

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
)

//go:embed static
var assets embed.FS

// asset is one embedded file, ready to be sent.
type asset struct {
	url  string
	typ  string
	raw  []byte
	gzip []byte // nil = not worth it
	br   []byte // Brotli; nil = not worth it
}

// shelf holds every asset by name; it is made once, at first use.
var shelf = sync.OnceValue(func() map[string]asset {
	out := map[string]asset{}
	// An embedded tree cannot fail to be read.
	_ = fs.WalkDir(assets, "static", func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasSuffix(p, ".br") {
			return err
		}
		raw, err := assets.ReadFile(p)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(raw)
		name := strings.TrimPrefix(p, "static/")
		a := asset{url: "/static/" + hex.EncodeToString(sum[:6]) + "/" + name, typ: mime.TypeByExtension(path.Ext(p)), raw: raw}
		if a.typ == "" {
			a.typ = "text/plain; charset=utf-8"
		}
		a.gzip = smaller(raw, func(w io.Writer) io.WriteCloser { z, _ := gzip.NewWriterLevel(w, gzip.BestCompression); return z })
		// Large files lie there compressed as far as it goes, which takes seconds.
		if a.br, err = assets.ReadFile(p + ".br"); err != nil {
			a.br = smaller(raw, func(w io.Writer) io.WriteCloser { return brotli.NewWriterLevel(w, 9) })
		}
		out[name] = a
		return nil
	})
	return out
})

// smaller compresses in memory; nil when that makes nothing smaller.
func smaller(raw []byte, with func(io.Writer) io.WriteCloser) []byte {
	var b bytes.Buffer
	z := with(&b)
	_, err := z.Write(raw)
	if err = errors.Join(err, z.Close()); err != nil || b.Len() >= len(raw) {
		return nil
	}
	return b.Bytes()
}

// Asset gives the address of an embedded file. The address holds a hash of the
// content, so a browser may keep it for ever and still never sees a stale one.
func Asset(name string) string { return shelf()[name].url }

// Static serves the embedded files at /static/HASH/NAME.
func Static() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/static/"), "/")
		a, ok := shelf()[name]
		if !ok {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", a.typ)
		h.Set("Vary", "Accept-Encoding")
		if r.URL.Path == a.url {
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		} else { // an old page asks for an old version: give the new one, once
			h.Set("Cache-Control", "no-cache")
		}
		body := a.raw
		for _, z := range []struct {
			name string
			body []byte
		}{{"br", a.br}, {"gzip", a.gzip}} {
			if z.body != nil && accepts(r, z.name) {
				h.Set("Content-Encoding", z.name)
				body = z.body
				break
			}
		}
		if _, err := w.Write(body); err != nil {
			return // the reader has left
		}
	})
}

// accepts reports whether the reader takes a content coding (RFC 9110, 12.5.3).
func accepts(r *http.Request, coding string) bool {
	any := false
	for _, line := range r.Header.Values("Accept-Encoding") {
		for item := range strings.SplitSeq(line, ",") {
			name, q, _ := strings.Cut(strings.ReplaceAll(item, " ", ""), ";")
			weight, err := strconv.ParseFloat(strings.TrimPrefix(q, "q="), 64)
			taken := err != nil || weight > 0 // no weight is 1
			if strings.EqualFold(name, coding) {
				return taken
			}
			if name == "*" {
				any = taken
			}
		}
	}
	return any
}
