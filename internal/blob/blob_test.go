package blob

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

type rawKey []byte

func (k rawKey) BlobKey() []byte { return k }

func open(t testing.TB) *Store {
	t.Helper()
	s, err := Open(t.TempDir(), rawKey(bytes.Repeat([]byte{7}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)})
	_, _ = r.Read(b) // never fails
	return b
}

// sizes around every boundary of the format.
var sizes = []int{0, 1, firstPlain - 1, firstPlain, firstPlain + 1, firstPlain + otherPlain, firstPlain + otherPlain + 1, 3*segmentSize + 17}

func files(t *testing.T, s *Store) (n int) {
	t.Helper()
	if err := filepath.WalkDir(s.dir, func(_ string, e fs.DirEntry, err error) error {
		if !e.IsDir() {
			n++
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestPutAndRead(t *testing.T) {
	t.Parallel()
	for _, n := range sizes {
		s := open(t)
		want := noise(n)
		sum := sha256.Sum256(want)
		for range 2 { // the second time it is there already
			hash, size, err := s.Put(bytes.NewReader(want))
			if err != nil || size != int64(n) || hash != hex.EncodeToString(sum[:]) {
				t.Fatalf("%d bytes: %s %d %v", n, hash, size, err)
			}
		}
		hash := hex.EncodeToString(sum[:])
		if got := files(t, s); got != 1 {
			t.Errorf("%d bytes: %d files", n, got)
		}
		r, err := s.Open(hash)
		if err != nil {
			t.Fatal(err)
		}
		if err := iotest.TestReader(r, want); err != nil { // reads and seeks in many ways
			t.Errorf("%d bytes: %v", n, err)
		}
		r.Close()
		if err := s.Check(hash); err != nil || !s.Has(hash) {
			t.Error(err)
		}
		raw, err := os.ReadFile(s.path(hash))
		if err != nil || n > 100 && bytes.Contains(raw, want[10:60]) {
			t.Errorf("%d bytes: stored in the clear (%v)", n, err)
		}
	}
}

// Our reader and Tink's agree on every byte.
func TestTinkReadsItToo(t *testing.T) {
	t.Parallel()
	for _, n := range sizes {
		s := open(t)
		want := noise(n)
		hash, _, err := s.Put(bytes.NewReader(want))
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(s.path(hash))
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.aead.NewDecryptingReader(f, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %v", n, err)
		}
		f.Close()
	}
}

// Any change to the file is noticed: a flipped bit, a cut end, an added end.
func TestDamageIsNoticed(t *testing.T) {
	t.Parallel()
	s := open(t)
	hash, _, err := s.Put(bytes.NewReader(noise(2*segmentSize + 100)))
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(s.path(hash))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(r *rapid.T) {
		b := bytes.Clone(whole)
		switch rapid.IntRange(0, 2).Draw(r, "how") {
		case 0:
			b[rapid.IntRange(0, len(b)-1).Draw(r, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(r, "bit")
		case 1:
			b = b[:rapid.IntRange(0, len(b)-1).Draw(r, "cut")]
		default:
			b = append(b, rapid.SliceOfN(rapid.Byte(), 1, 70000).Draw(r, "more")...)
		}
		if err := os.WriteFile(s.path(hash), b, 0o600); err != nil {
			r.Fatal(err)
		}
		if err := s.Check(hash); !errors.Is(err, ErrDamaged) {
			r.Fatalf("not noticed: %v", err)
		}
	})
}

// One blob under the name of another passes every seal and fails the check.
func TestASwappedFileIsNoticed(t *testing.T) {
	t.Parallel()
	s := open(t)
	a, _, err := s.Put(bytes.NewReader(noise(100)))
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := s.Put(bytes.NewReader(noise(101)))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.path(a), s.path(b)); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(b); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}

type fullDisk struct {
	file
	room int
}

func (f *fullDisk) Write(p []byte) (int, error) {
	if len(p) > f.room {
		n, _ := f.file.Write(p[:f.room])
		f.room = 0
		return n, &fs.PathError{Op: "write", Err: syscall.ENOSPC}
	}
	f.room -= len(p)
	return f.file.Write(p)
}

func TestAFullDiskLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, room := range []int{0, 10, headerSize, segmentSize, segmentSize + 1} {
		s := open(t)
		create := s.create
		s.create = func(path string) (file, error) {
			f, err := create(path)
			return &fullDisk{f, room}, err
		}
		_, _, err := s.Put(bytes.NewReader(noise(3 * segmentSize)))
		if !errors.Is(err, ErrFull) {
			t.Errorf("room for %d bytes: %v", room, err)
		}
		if n := files(t, s); n != 0 {
			t.Errorf("room for %d bytes: %d files left", room, n)
		}
	}
}

func TestAFailedSourceLeavesNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	boom := errors.New("boom")
	if _, _, err := s.Put(io.MultiReader(bytes.NewReader(noise(70000)), iotest.ErrReader(boom))); !errors.Is(err, boom) {
		t.Error(err)
	}
	if n := files(t, s); n != 0 {
		t.Errorf("%d files left", n)
	}
}

func TestPutFileMovesIt(t *testing.T) {
	t.Parallel()
	s := open(t)
	path := filepath.Join(t.TempDir(), "call.wav")
	if err := os.WriteFile(path, noise(500), 0o600); err != nil {
		t.Fatal(err)
	}
	hash, size, err := s.PutFile(path)
	if err != nil || size != 500 || !s.Has(hash) {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("still there: %v", err)
	}
	if err := errors.Join(s.Remove(hash), s.Remove(hash)); err != nil || s.Has(hash) {
		t.Error(err)
	}
}

func TestNamesThatAreNoHashes(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, name := range []string{"", "..", "../../../../etc/passwd", "AB", hex.EncodeToString(make([]byte, 31)), hex.EncodeToString(make([]byte, 32))} {
		if _, err := s.Open(name); !errors.Is(err, ErrNone) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := Open(t.TempDir(), rawKey("short")); err == nil {
		t.Error("a short key was taken")
	}
}
