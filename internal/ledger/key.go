package ledger

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"parley/internal/errs"
)

// Key signs checkpoints: an Ed25519 key in the form of C2SP signed notes.
type Key struct {
	signer   note.Signer
	verifier note.Verifier
	public   string
}

// Public is the verifier string "name+hash+key" to publish; with it anyone can
// check a checkpoint or a bundle.
func (k Key) Public() string { return k.public }

// Name is the key's name, which is also the log's origin.
func (k Key) Name() string { return k.signer.Name() }

// keyFile and publicFile are the names in a key directory.
const (
	keyFile    = "ledger.key"
	publicFile = "ledger.pub"
)

// LoadKey reads the signing key in dir. With create it makes one named name
// where there is none; name is the log's origin, by custom an address without
// its scheme, such as "bank.example/ledger".
func LoadKey(dir, name string, create bool) (Key, error) {
	path := filepath.Join(dir, keyFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && create {
		if err := createKey(dir, name); err != nil {
			return Key{}, err
		}
		b, err = os.ReadFile(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return Key{}, errs.New(errs.NotFound, "ledger_key_missing",
			"账本签名密钥不存在："+path+"。请从备份恢复它，或在新库上重新生成。",
			"The ledger's signing key is missing: "+path+". Restore it from the backup, or make one for a new database.")
	}
	if err != nil {
		return Key{}, fmt.Errorf("read ledger key: %w", err)
	}
	return parseKey(strings.TrimSpace(string(b)))
}

// NewKey makes a key that lives in memory only.
func NewKey(name string) (Key, error) {
	private, _, err := note.GenerateKey(nil, name)
	if err != nil {
		return Key{}, fmt.Errorf("make ledger key: %w", err)
	}
	return parseKey(private)
}

// createKey writes a new key whole or not at all, and never over another.
func createKey(dir, name string) error {
	private, public, err := note.GenerateKey(nil, name)
	if err != nil {
		return fmt.Errorf("make ledger key: %w", err)
	}
	if _, err := parseKey(private); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("key directory: %w", err)
	}
	f, err := os.CreateTemp(dir, keyFile+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("write ledger key: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(private + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write ledger key: %w", err)
	}
	if err := os.Link(f.Name(), filepath.Join(dir, keyFile)); errors.Is(err, fs.ErrExist) {
		return nil // another process was quicker; its key is the key
	} else if err != nil {
		return fmt.Errorf("write ledger key: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, publicFile), []byte(public+"\n"), 0o644); err != nil {
		return fmt.Errorf("write ledger key: %w", err)
	}
	return nil
}

func parseKey(private string) (Key, error) {
	bad := errs.New(errs.Invalid, "ledger_key_invalid",
		"账本签名密钥文件无法读取：内容不是有效的 Ed25519 密钥。",
		"The ledger's signing key cannot be read: it is not a valid Ed25519 note key.")
	signer, err := note.NewSigner(private)
	if err != nil {
		return Key{}, bad.With(err)
	}
	// PRIVATE+KEY+name+hash+base64: the name has no plus, the base64 may.
	raw, err := base64.StdEncoding.DecodeString(strings.SplitN(private, "+", 5)[4])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return Key{}, bad.With(err)
	}
	pub, ok := ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return Key{}, bad
	}
	public, err := note.NewEd25519VerifierKey(signer.Name(), pub)
	if err != nil {
		return Key{}, bad.With(err)
	}
	verifier, err := note.NewVerifier(public)
	if err != nil {
		return Key{}, bad.With(err)
	}
	return Key{signer: signer, verifier: verifier, public: public}, nil
}
