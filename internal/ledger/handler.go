package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"parley/internal/db"
)

// Handler serves the log as C2SP tlog-tiles, for auditors and witnesses:
//
//	/checkpoint                    the newest signed checkpoint
//	/tile/<L>/<N>[.p/<W>]          Merkle tree hashes
//	/tile/entries/<N>[.p/<W>]      leaves, each behind its length in two bytes
//
// It holds nothing personal, so it needs no sign-in.
func (l *Log) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /checkpoint", l.serveCheckpoint)
	mux.HandleFunc("GET /tile/", l.serveTile)
	return mux
}

func (l *Log) serveCheckpoint(w http.ResponseWriter, r *http.Request) {
	c, err := l.Checkpoint(r.Context())
	if err != nil {
		l.refuse(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-cache")
	serve(w, "text/plain; charset=utf-8", c.Note)
}

func (l *Log) serveTile(w http.ResponseWriter, r *http.Request) {
	t, ok := parseTilePath(r.URL.Path)
	if !ok {
		http.NotFound(w, r)
		return
	}
	var data []byte
	err := l.db.Read(r.Context(), func(tx *db.Tx) error {
		c, err := l.checkpoint(r.Context(), tx, "")
		if err != nil {
			return err
		}
		data, err = published(r.Context(), tx, c.Size, t)
		return err
	})
	if err != nil {
		l.refuse(w, r, err)
		return
	}
	// A tile is the same for ever: a partial one is a beginning of the full one.
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	serve(w, "application/octet-stream", data)
}

// published gives a tile's bytes if the log of size has that many of them.
func published(ctx context.Context, tx *db.Tx, size int64, t tlog.Tile) ([]byte, error) {
	level := max(t.L, 0)
	if have := size>>(tileHeight*level) - t.N<<tileHeight; level >= maxLevel || have < int64(t.W) {
		return nil, ErrNotSealed
	}
	if t.L >= 0 {
		data, err := readTile(ctx, tx, t.L, t.N)
		if err != nil {
			return nil, err
		}
		if len(data) < t.W*tlog.HashSize {
			return nil, ErrDamaged
		}
		return data[:t.W*tlog.HashSize], nil
	}
	leaves, err := readLeaves(ctx, tx, t.N<<tileHeight, t.W)
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, b := range leaves {
		out = binary.BigEndian.AppendUint16(out, uint16(len(b)))
		out = append(out, b...)
	}
	return out, nil
}

// parseTilePath reads a C2SP tile path. It differs from the Go checksum
// database's, which tlog reads, in leaving out the height and in calling
// entries by that name.
func parseTilePath(path string) (tlog.Tile, bool) {
	rest, ok := strings.CutPrefix(path, "/tile/")
	if !ok {
		return tlog.Tile{}, false
	}
	level, rest, ok := strings.Cut(rest, "/")
	if !ok || level == "data" {
		return tlog.Tile{}, false
	}
	if level == "entries" {
		level = "data"
	}
	// tlog's reader accepts exactly one form of each number; sixteen digits are
	// more than any log has tiles.
	if len(rest) > 32 {
		return tlog.Tile{}, false
	}
	t, err := tlog.ParseTilePath("tile/" + strconv.Itoa(tileHeight) + "/" + level + "/" + rest)
	return t, err == nil
}

func serve(w http.ResponseWriter, kind string, b []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Access-Control-Allow-Origin", "*")
	_, _ = w.Write(b) // a reader that went away needs nothing
}

func (l *Log) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, ErrNotSealed) {
		w.Header().Set("Cache-Control", "no-cache") // it may exist in a second
		http.NotFound(w, r)
		return
	}
	if r.Context().Err() == nil {
		l.log.Error("ledger: cannot serve", "path", r.URL.Path, "err", err)
	}
	http.Error(w, "the log cannot be read now", http.StatusInternalServerError)
}
