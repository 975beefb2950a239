package party

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"parley/internal/errs"
)

// The files of a key directory. Whoever has them and the database can read
// everything; a backup keeps the two apart.
const (
	kekFile   = "party.kek.json" // Tink keyset: wraps the customers' keys
	indexFile = "index.key"      // 32 bytes in hex: blind index
	blobFile  = "blob.key"       // 32 bytes in hex: recordings and attachments
)

// Keyring holds the bank's keys for data at rest. It is safe for concurrent use.
type Keyring struct {
	kek   tink.AEAD
	macs  sync.Pool // of hash.Hash keyed with the index key
	blobs []byte
}

// ErrKeys is a key directory that cannot be used as it is.
var ErrKeys = errs.New(errs.Invalid, "key_directory", "密钥目录不可用，请检查其中的文件和权限（应为 0600）。",
	"The key directory cannot be used: check its files and their permissions (0600).")

// OpenKeyring reads the keys in dir. With create, an empty or missing
// directory is filled with new keys; one that has some of the files but not
// all is always refused, since new keys would not fit the old data.
func OpenKeyring(dir string, create bool) (*Keyring, error) {
	var missing []string
	for _, name := range []string{kekFile, indexFile, blobFile} {
		st, err := os.Stat(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, name)
		case err != nil:
			return nil, ErrKeys.With(err)
		case st.Mode().Perm()&0o077 != 0:
			return nil, ErrKeys.With(fmt.Errorf("%s is readable by others (mode %o)", name, st.Mode().Perm()))
		}
	}
	if len(missing) == 3 && create {
		if err := createKeys(dir); err != nil {
			return nil, ErrKeys.With(err)
		}
	} else if len(missing) > 0 {
		return nil, ErrKeys.With(fmt.Errorf("missing in %s: %s", dir, strings.Join(missing, ", ")))
	}
	k, err := readKeys(dir)
	if err != nil {
		return nil, ErrKeys.With(err)
	}
	return k, nil
}

func createKeys(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return fmt.Errorf("new key: %w", err)
	}
	var buf bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&buf)); err != nil {
		return fmt.Errorf("write keyset: %w", err)
	}
	files := map[string][]byte{kekFile: buf.Bytes()}
	for _, name := range []string{indexFile, blobFile} {
		key := make([]byte, 32)
		rand.Read(key) // never fails: crypto/rand ends the program instead
		files[name] = []byte(hex.EncodeToString(key) + "\n")
	}
	for name, b := range files {
		if err := writeNew(filepath.Join(dir, name), b); err != nil {
			return err
		}
	}
	return nil
}

// writeNew writes a file that must not exist yet, through to the disk: a key
// lost to a power cut is data lost.
func writeNew(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

func readKeys(dir string) (*Keyring, error) {
	raw, err := os.ReadFile(filepath.Join(dir, kekFile))
	if err != nil {
		return nil, err
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(raw)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kekFile, err)
	}
	k := &Keyring{}
	if k.kek, err = aead.New(handle); err != nil {
		return nil, fmt.Errorf("%s: %w", kekFile, err)
	}
	index, err := readHex(dir, indexFile)
	if err != nil {
		return nil, err
	}
	k.macs.New = func() any { return hmac.New(sha256.New, index) }
	k.blobs, err = readHex(dir, blobFile)
	return k, err
}

func readHex(dir, name string) ([]byte, error) {
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(raw)))
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("%s: not 32 bytes in hex", name)
	}
	return key, nil
}

// BlobKey gives the 32-byte key of the blob store.
func (k *Keyring) BlobKey() []byte { return bytes.Clone(k.blobs) }

// Seal encrypts a secret of the bank's own (a second factor, a webhook's key)
// under the bank's key; about names what it is and whose, so that rows cannot be swapped.
func (k *Keyring) Seal(plain []byte, about string) ([]byte, error) {
	return k.kek.Encrypt(plain, []byte("secret/"+about))
}

// Open reads what Seal sealed.
func (k *Keyring) Open(sealed []byte, about string) ([]byte, error) {
	plain, err := k.kek.Decrypt(sealed, []byte("secret/"+about))
	if err != nil {
		return nil, fmt.Errorf("open secret of %s: %w", about, err)
	}
	return plain, nil
}

// CodeKey gives a 32-byte key for hashing one-time codes and what goes with
// them; it is made from the blob key, so that a backup of keys stays whole.
func (k *Keyring) CodeKey() []byte {
	key, err := hkdf.Key(sha256.New, k.blobs, nil, "parley one-time codes", sha256.Size)
	if err != nil {
		panic(err) // only a length no hash could give makes it fail
	}
	return key
}

// blind gives the look-up form of a value: HMAC-SHA-256 cut to 16 bytes.
// Without the key nobody can test whether a number is in the table,
// which a plain hash of an 11-digit number would allow.
func (k *Keyring) blind(kind, value string) []byte {
	h := k.macs.Get().(hash.Hash) // the pool holds nothing else
	defer k.macs.Put(h)
	h.Reset()
	h.Write([]byte(kind))
	h.Write([]byte{0})
	h.Write([]byte(value))
	var sum [sha256.Size]byte
	return bytes.Clone(h.Sum(sum[:0])[:16])
}
