package party

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"

	"parley/internal/contact"
)

// A customer's body is sealed with AES-256-GCM under a random key of the
// customer's own, and that key under the bank's key-encryption key (envelope).
// Both bind the customer's id, so that rows cannot be swapped.

const keySize = 32

func newDataKey() []byte {
	key := make([]byte, keySize)
	rand.Read(key) // never fails: crypto/rand ends the program instead
	return key
}

func (k *Keyring) wrap(key []byte, id contact.ID) ([]byte, error) {
	return k.kek.Encrypt(key, []byte(id+"/key"))
}

func (k *Keyring) unwrap(wrapped []byte, id contact.ID) ([]byte, error) {
	key, err := k.kek.Decrypt(wrapped, []byte(id+"/key"))
	if err != nil {
		return nil, fmt.Errorf("unwrap key of party %s: %w", id, err)
	}
	return key, nil
}

func sealBody(key []byte, p *Party) ([]byte, error) {
	a, err := subtle.NewAESGCM(key)
	if err != nil {
		return nil, err
	}
	return a.Encrypt(encodeBody(p), []byte(p.ID+"/body"))
}

// openBody fills what the body holds into p, whose ID is set.
func openBody(key, sealed []byte, p *Party) error {
	a, err := subtle.NewAESGCM(key)
	if err != nil {
		return err
	}
	plain, err := a.Decrypt(sealed, []byte(p.ID+"/body"))
	if err != nil {
		return fmt.Errorf("open party %s: %w", p.ID, err)
	}
	if err := decodeBody(plain, p); err != nil {
		return fmt.Errorf("open party %s: %w", p.ID, err)
	}
	return nil
}

const bodyVersion = 1

var errBody = errors.New("malformed body")

func encodeBody(p *Party) []byte {
	b := make([]byte, 1, 256)
	b[0] = bodyVersion
	text := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	text(p.Ref)
	text(p.Name)
	text(p.IDNumber)
	b = binary.AppendUvarint(b, uint64(len(p.Attrs)))
	for _, k := range slices.Sorted(maps.Keys(p.Attrs)) {
		text(k)
		text(p.Attrs[k])
	}
	b = binary.AppendUvarint(b, uint64(len(p.Points)))
	for _, q := range p.Points {
		text(q.ID)
		text(string(q.Kind))
		text(q.Value)
	}
	return b
}

func decodeBody(b []byte, p *Party) error {
	if len(b) == 0 || b[0] != bodyVersion {
		return errBody
	}
	b = b[1:]
	bad := false
	number := func() int {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > uint64(len(b)-n) {
			bad, b = true, nil
			return 0
		}
		b = b[n:]
		return int(v)
	}
	text := func() string {
		n := number()
		s := string(b[:n])
		b = b[n:]
		return s
	}
	p.Ref, p.Name, p.IDNumber = text(), text(), text()
	if n := number(); n > 0 {
		p.Attrs = make(map[string]string, min(n, 64))
		for range n {
			k := text()
			p.Attrs[k] = text()
		}
	}
	if n := number(); n > 0 {
		p.Points = make([]Point, 0, min(n, 64))
		for range n {
			p.Points = append(p.Points, Point{ID: text(), PartyID: p.ID, Kind: PointKind(text()), Value: text()})
			if bad {
				break
			}
		}
	}
	if bad || len(b) > 0 {
		return errBody
	}
	return nil
}
