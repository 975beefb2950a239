package ledger

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8 // C2SP tlog-tiles: 256 hashes a tile
	tileWidth  = 1 << tileHeight
	tileBytes  = tileWidth * tlog.HashSize
	// maxLevel bounds tile levels: six of them hold 2^48 entries.
	maxLevel = 6
)

// tile is the coordinates of one tile and its hashes so far.
type tile struct {
	level int
	n     int64
	data  []byte
}

// edge is the right edge of a tree of the given size: the tiles that are not
// full yet, which is all one needs to grow the tree and to know its root.
type edge struct {
	size    int64
	partial [maxLevel][]byte // concatenated hashes, fewer than 256
	filled  []tile           // filled since the last take
	touched [maxLevel]bool   // partial tiles changed since the last take
}

// width gives how many hashes the partial tile of a level has in a tree of a size.
func width(size int64, level int) int { return int(size >> (tileHeight * level) & (tileWidth - 1)) }

// number gives the partial tile's number at a level.
func number(size int64, level int) int64 { return size >> (tileHeight * (level + 1)) }

// add grows the tree by one leaf.
func (e *edge) add(h tlog.Hash) {
	for level := range e.partial {
		e.touched[level] = true
		p := e.partial[level]
		if p == nil {
			p = make([]byte, 0, tileBytes)
		}
		p = append(p, h[:]...)
		if len(p) < tileBytes {
			e.partial[level] = p
			break
		}
		e.filled = append(e.filled, tile{level, number(e.size, level), p})
		e.partial[level], e.touched[level] = nil, false
		h = subtree(p)
	}
	e.size++
}

// full gives the tiles filled since the last call.
func (e *edge) full() []tile {
	out := e.filled
	e.filled = nil
	return out
}

// take gives the tiles that changed since the last call, full ones first.
func (e *edge) take() []tile {
	out := e.full()
	for level, p := range e.partial {
		if e.touched[level] {
			out = append(out, tile{level, number(e.size, level), p})
		}
		e.touched[level] = false
	}
	return out
}

// root is the tree's hash (RFC 6962 section 2.1).
func (e *edge) root() (tlog.Hash, error) { return tlog.TreeHash(e.size, e) }

// ReadHashes implements tlog.HashReader for the hashes a root is made of; each
// of them lies in a partial tile.
func (e *edge) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		t := tlog.TileForIndex(tileHeight, x)
		if t.L >= maxLevel || t.N != number(e.size, t.L) {
			return nil, fmt.Errorf("tile %s is not on the edge of a tree of %d", t.Path(), e.size)
		}
		h, err := tlog.HashFromTile(t, e.partial[t.L], x)
		if err != nil {
			return nil, err
		}
		out[i] = h
	}
	return out, nil
}

// subtree is the hash of a full tile.
func subtree(data []byte) tlog.Hash {
	if len(data) == tlog.HashSize {
		return tlog.Hash(data)
	}
	half := len(data) / 2
	return tlog.NodeHash(subtree(data[:half]), subtree(data[half:]))
}
