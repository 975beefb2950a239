// Package blob keeps recordings and attachments: files named by the SHA-256 of
// their content, encrypted at rest, written whole or not at all.
package blob

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/tink-crypto/tink-go/v2/streamingaead/subtle"

	"parley/internal/errs"
)

// Store is a directory of blobs. It is safe for concurrent use, also by
// several processes.
type Store struct {
	dir    string
	key    []byte
	aead   *subtle.AESGCMHKDF
	create func(path string) (file, error) // os.OpenFile, but for tests of a full disk
}

type file interface {
	io.WriteCloser
	Sync() error
}

// Errors of this room.
var (
	ErrNone = errs.New(errs.NotFound, "no_such_blob", "找不到这个文件，它可能已按保存期限删除。",
		"There is no such file; it may have been deleted when its time was over.")
	ErrFull = errs.New(errs.Busy, "disk_full", "磁盘空间不足，文件没有保存。请清理磁盘后再试。",
		"The disk is full and the file was not saved. Free some space and try again.")
	ErrDamaged = errs.New(errs.Internal, "blob_damaged", "文件已损坏，无法读取。", "The file is damaged and cannot be read.")
)

// Keys holds the key of the store; *party.Keyring does.
type Keys interface {
	BlobKey() []byte // 32 bytes
}

// Open uses dir, which is made if missing.
func Open(dir string, keys Keys) (*Store, error) {
	key := keys.BlobKey()
	if len(key) != keySize {
		return nil, fmt.Errorf("blob key: %d bytes, want %d", len(key), keySize)
	}
	a, err := subtle.NewAESGCMHKDF(key, "SHA256", keySize, segmentSize, 0)
	if err != nil {
		return nil, fmt.Errorf("blob key: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, incoming), 0o700); err != nil {
		return nil, fmt.Errorf("blob directory: %w", err)
	}
	return &Store{dir: dir, key: key, aead: a, create: func(path string) (file, error) {
		return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}}, nil
}

const incoming = "incoming" // files on their way in; safe to delete when nothing runs

// path fans out over two levels, so that no directory grows beyond use.
func (s *Store) path(hash string) string { return filepath.Join(s.dir, hash[:2], hash[2:4], hash) }

func checkHash(hash string) error {
	if b, err := hex.DecodeString(hash); err != nil || len(b) != sha256.Size || hex.EncodeToString(b) != hash {
		return ErrNone // also keeps "../" out of paths
	}
	return nil
}

// Put stores what r holds and gives its name and size. The same content again
// is stored once. Once Put returns, the blob survives a power cut; if it
// fails, nothing of it is left.
func (s *Store) Put(r io.Reader) (hash string, size int64, err error) {
	temp := filepath.Join(s.dir, incoming, rand.Text())
	f, err := s.create(temp)
	if err != nil {
		return "", 0, public(err)
	}
	hash, size, err = s.write(f, r)
	if err = errors.Join(err, f.Close()); err == nil {
		err = s.settle(temp, hash)
	}
	if err != nil {
		_ = os.Remove(temp) // the first error is the one that matters
		return "", 0, public(err)
	}
	return hash, size, nil
}

func (s *Store) write(f file, r io.Reader) (string, int64, error) {
	w, err := s.aead.NewEncryptingWriter(f, nil)
	if err != nil {
		return "", 0, err
	}
	h := sha256.New()
	size, err := io.Copy(w, io.TeeReader(r, h))
	if err != nil {
		return "", 0, err
	}
	if err := w.Close(); err != nil {
		return "", 0, err
	}
	return hex.EncodeToString(h.Sum(nil)), size, f.Sync()
}

// settle moves a finished file to its name.
func (s *Store) settle(temp, hash string) error {
	path := s.path(hash)
	if _, err := os.Stat(path); err == nil {
		return os.Remove(temp)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	for _, d := range []string{dir, filepath.Dir(dir), s.dir} { // the name must survive too
		if err := syncDir(d); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// PutFile stores a file and removes it from where it was.
func (s *Store) PutFile(path string) (hash string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, fmt.Errorf("store file: %w", err)
	}
	hash, size, err = s.Put(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", 0, err
	}
	return hash, size, os.Remove(path)
}

// Has reports whether a blob is there.
func (s *Store) Has(hash string) bool {
	if checkHash(hash) != nil {
		return false
	}
	_, err := os.Stat(s.path(hash))
	return err == nil
}

// Remove deletes a blob. One that is not there is no error.
func (s *Store) Remove(hash string) error {
	if err := checkHash(hash); err != nil {
		return err
	}
	if err := os.Remove(s.path(hash)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove blob: %w", err)
	}
	return nil
}

// Open opens a blob for reading anywhere in it. Every segment is authenticated
// as it is read; that the whole is what its name says is for Check.
func (s *Store) Open(hash string) (io.ReadSeekCloser, error) {
	if err := checkHash(hash); err != nil {
		return nil, err
	}
	f, err := os.Open(s.path(hash))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, fmt.Errorf("open blob: %w", err)
	}
	r, err := newReader(f, s.key)
	if err != nil {
		return nil, errors.Join(ErrDamaged.With(err), f.Close())
	}
	return r, nil
}

// Check reads a blob from end to end and compares it with its name.
func (s *Store) Check(hash string) error {
	r, err := s.Open(hash)
	if err != nil {
		return err
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != hash {
		return ErrDamaged.With(fmt.Errorf("content of %s has the hash %s", hash, got))
	}
	return nil
}

// public turns a full disk into words for people.
func public(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return ErrFull.With(err)
	}
	return fmt.Errorf("store blob: %w", err)
}
