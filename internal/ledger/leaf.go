package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Leaf is what the Merkle tree holds of an entry. It is public.
type Leaf struct {
	Type       string
	At         int64 // microseconds since 1970 UTC
	ID         string
	Commitment [32]byte
}

// leafVersion is the first byte of every leaf of this form.
const leafVersion = 1

// maxName bounds a leaf's type and id, each counted by one byte.
const maxName = 64

// AppendBinary appends the leaf's bytes to b:
//
//	version 1 | time, 8 bytes big-endian | length, type | length, id | commitment, 32 bytes
func (l Leaf) AppendBinary(b []byte) ([]byte, error) {
	if err := checkName(l.Type, l.ID); err != nil {
		return nil, err
	}
	b = append(b, leafVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(l.At))
	b = append(b, byte(len(l.Type)))
	b = append(b, l.Type...)
	b = append(b, byte(len(l.ID)))
	b = append(b, l.ID...)
	return append(b, l.Commitment[:]...), nil
}

// ParseLeaf reads a leaf's bytes; every leaf has exactly one form.
func ParseLeaf(b []byte) (Leaf, error) {
	var l Leaf
	if len(b) < 9 {
		return l, errors.New("leaf is too short")
	}
	if b[0] != leafVersion {
		return l, fmt.Errorf("leaf has version %d, not %d", b[0], leafVersion)
	}
	l.At = int64(binary.BigEndian.Uint64(b[1:9]))
	b = b[9:]
	for _, s := range []*string{&l.Type, &l.ID} {
		if len(b) < 1 || len(b) < 1+int(b[0]) {
			return l, errors.New("leaf is too short")
		}
		*s, b = string(b[1:1+int(b[0])]), b[1+int(b[0]):]
	}
	if len(b) != len(l.Commitment) {
		return l, fmt.Errorf("leaf has %d bytes of commitment, not %d", len(b), len(l.Commitment))
	}
	copy(l.Commitment[:], b)
	return l, checkName(l.Type, l.ID)
}

// hash is the leaf's hash in the tree (RFC 6962 section 2.1).
func (l Leaf) hash(buf []byte) (tlog.Hash, []byte, error) {
	b, err := l.AppendBinary(buf[:0])
	if err != nil {
		return tlog.Hash{}, buf, err
	}
	return tlog.RecordHash(b), b, nil
}

func checkName(typ, id string) error {
	if len(typ) == 0 || len(typ) > maxName {
		return fmt.Errorf("ledger entry type %.80q must have 1 to %d bytes", typ, maxName)
	}
	for _, c := range []byte(typ) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '_' {
			return fmt.Errorf("ledger entry type %q may hold only a-z, 0-9, dot and underscore", typ)
		}
	}
	if len(id) == 0 || len(id) > maxName {
		return fmt.Errorf("ledger entry id %.80q must have 1 to %d bytes", id, maxName)
	}
	for _, c := range []byte(id) {
		if c <= ' ' || c > '~' {
			return fmt.Errorf("ledger entry id %q may hold only printable ASCII", id)
		}
	}
	return nil
}
