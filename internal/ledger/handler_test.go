package ledger_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/ledger"
)

// remote reads a log over HTTP as any C2SP tlog-tiles client does; it knows
// nothing of this package.
type remote struct {
	url   string
	tiles int
}

func (r *remote) get(path string) ([]byte, error) {
	resp, err := http.Get(r.url + path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, resp.Status)
	}
	return b, err
}

func (r *remote) Height() int { return 8 }

func (r *remote) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(tiles))
	for i, t := range tiles {
		b, err := r.get("/" + strings.Replace(t.Path(), "tile/8/", "tile/", 1))
		if err != nil {
			return nil, err
		}
		out[i] = b
		r.tiles++
	}
	return out, nil
}

func (r *remote) SaveTiles([]tlog.Tile, [][]byte) {}

// entries reads a bundle of leaves: each behind its length in two bytes.
func (r *remote) entries(path string) (leaves [][]byte, err error) {
	b, err := r.get(path)
	for len(b) >= 2 && err == nil {
		n := int(binary.BigEndian.Uint16(b))
		if len(b) < 2+n {
			return nil, fmt.Errorf("%s: cut", path)
		}
		leaves, b = append(leaves, b[2:2+n]), b[2+n:]
	}
	return leaves, err
}

func TestIndependentReader(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		key := newKey(t)
		l := open(t, d, key)
		srv := httptest.NewServer(l.Handler())
		defer srv.Close()
		r := &remote{url: srv.URL}
		ids := appendN(t, d, 700)
		seal(t, l, 700)
		ids = append(ids, appendN(t, d, 37)...)
		seal(t, l, 37)

		v, err := note.NewVerifier(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		b, err := r.get("/checkpoint")
		if err != nil {
			t.Fatal(err)
		}
		n, err := note.Open(b, note.VerifierList(v))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(n.Text, "\n")
		root, err := tlog.ParseHash(lines[2])
		if err != nil || lines[0] != origin || lines[1] != "737" {
			t.Fatalf("checkpoint %q, %v", n.Text, err)
		}
		hashes := tlog.TileHashReader(tlog.Tree{N: 737, Hash: root}, r)
		for _, path := range []string{"/tile/entries/000", "/tile/entries/001", "/tile/entries/002.p/225"} {
			leaves, err := r.entries(path)
			if err != nil {
				t.Fatal(err)
			}
			first := int64(path[len("/tile/entries/00")]-'0') * 256
			for i, leaf := range leaves {
				index := first + int64(i)
				if i%50 == 0 {
					p, err := tlog.ProveRecord(737, index, hashes)
					if err != nil {
						t.Fatal(err)
					}
					if err := tlog.CheckRecord(p, 737, root, index, tlog.RecordHash(leaf)); err != nil {
						t.Fatal(err)
					}
				}
				if x, err := ledger.ParseLeaf(leaf); err != nil || x.ID != ids[index] {
					t.Fatalf("leaf %d is %+v, %v", index, x, err)
				}
			}
		}
		// The log of 700 is a beginning of this one.
		p, err := l.Consistency(ctx, 700)
		if err != nil {
			t.Fatal(err)
		}
		old, err := tlog.TreeHash(700, hashes)
		if err != nil || old != p.OldRoot || tlog.CheckTree(p.Hashes, 737, root, 700, old) != nil {
			t.Fatalf("consistency: %v", err)
		}
	})
}

func TestTilePaths(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := open(t, d, newKey(t))
		appendN(t, d, 300)
		seal(t, l, 300)
		appendN(t, d, 1)
		const immutable = "public, max-age=31536000, immutable"
		for _, c := range []struct {
			path   string
			status int
			length int
			cache  string
		}{
			{"/checkpoint", 200, 0, "no-cache"},
			{"/tile/0/000", 200, 256 * 32, immutable},
			{"/tile/0/001.p/44", 200, 44 * 32, immutable},
			{"/tile/0/001.p/43", 200, 43 * 32, immutable}, // of an earlier checkpoint
			{"/tile/0/001.p/45", 404, 0, "no-cache"},
			{"/tile/0/001", 404, 0, "no-cache"},
			{"/tile/1/000.p/1", 200, 32, immutable},
			{"/tile/1/000.p/2", 404, 0, "no-cache"},
			{"/tile/2/000.p/1", 404, 0, "no-cache"},
			{"/tile/63/000.p/1", 404, 0, "no-cache"},
			{"/tile/0/x001/234", 404, 0, "no-cache"},
			{"/tile/entries/001.p/44", 200, 0, immutable},
			{"/tile/entries/001.p/45", 404, 0, "no-cache"},
			{"/tile/00/000", 404, 0, ""},
			{"/tile/0/0", 404, 0, ""},
			{"/tile/0/000.p/256", 404, 0, ""},
			{"/tile/0/000.p/0", 404, 0, ""},
			{"/tile/-1/000", 404, 0, ""},
			{"/tile/data/000", 404, 0, ""},
			{"/tile/8/0/000", 404, 0, ""},
			{"/tile/0/" + strings.Repeat("x999/", 20) + "999", 404, 0, ""},
			{"/tile/0/x999/x999/x999/x999/x999/x999/999", 404, 0, ""},
			{"/tile/", 404, 0, ""},
			{"/", 404, 0, ""},
		} {
			w := httptest.NewRecorder()
			l.Handler().ServeHTTP(w, httptest.NewRequest("GET", c.path, nil))
			if w.Code != c.status || c.length > 0 && w.Body.Len() != c.length ||
				c.cache != "" && w.Header().Get("Cache-Control") != c.cache {
				t.Errorf("%s: %d, %d bytes, %q", c.path, w.Code, w.Body.Len(), w.Header().Get("Cache-Control"))
			}
		}
		w := httptest.NewRecorder()
		l.Handler().ServeHTTP(w, httptest.NewRequest("POST", "/checkpoint", nil))
		if w.Code != http.StatusMethodNotAllowed {
			t.Errorf("POST: %d", w.Code)
		}
	})
}
