package rulebook

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"
)

// Files are the texts of an edition by name: packs and, beside each, its tests.
type Files map[string]string

// Hash binds names and bytes.
func (f Files) Hash() string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(f)) {
		fmt.Fprintf(h, "%d:%s%d:%s", len(name), name, len(f[name]), f[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// FS gives the files as a file system of one directory.
func (f Files) FS() fs.FS { return flat(f) }

// Text lays all files end to end, for people who compare two editions.
func (f Files) Text() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(f)) {
		fmt.Fprintf(&b, "# ===== %s =====\n%s", name, f[name])
		if !strings.HasSuffix(f[name], "\n") {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// ReadFiles reads the packs and tests of a directory; uses names those that
// speak together (none = all), and only they and their tests are read.
func ReadFiles(fsys fs.FS, uses []string) (Files, error) {
	names, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, err
	}
	out := Files{}
	for _, n := range names {
		if pack := strings.TrimSuffix(strings.TrimSuffix(n, ".yaml"), "_test"); len(uses) > 0 && !slices.Contains(uses, pack) {
			continue
		}
		raw, err := fs.ReadFile(fsys, n)
		if err != nil {
			return nil, fmt.Errorf("read pack %s: %w", n, err)
		}
		out[n] = string(raw)
	}
	return out, nil
}

// flat is Files as fs.FS: one directory, read only.
type flat Files

// Open gives a file, or the directory as ".".
func (f flat) Open(name string) (fs.File, error) {
	if name == "." {
		d := &folder{}
		for _, n := range slices.Sorted(maps.Keys(f)) {
			d.rest = append(d.rest, fs.FileInfoToDirEntry(entry{n, int64(len(f[n]))}))
		}
		return d, nil
	}
	body, ok := f[name]
	if !ok || !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return text{strings.NewReader(body), entry{name, int64(len(body))}}, nil
}

// entry is what is known of a file without reading it.
type entry struct {
	name string
	size int64
}

func (e entry) Name() string     { return e.name }
func (e entry) Size() int64      { return e.size }
func (entry) Mode() fs.FileMode  { return 0o444 }
func (entry) ModTime() time.Time { return time.Time{} } // nobody asks; the hash tells versions apart
func (entry) IsDir() bool        { return false }
func (entry) Sys() any           { return nil }

// text is an open file.
type text struct {
	*strings.Reader
	entry
}

func (t text) Stat() (fs.FileInfo, error) { return t.entry, nil }
func (text) Close() error                 { return nil }
func (t text) Size() int64                { return t.size }

// folder is the open directory.
type folder struct{ rest []fs.DirEntry }

func (*folder) Close() error                 { return nil }
func (d *folder) Stat() (fs.FileInfo, error) { return d, nil }
func (*folder) Name() string                 { return "." }
func (*folder) Size() int64                  { return 0 }
func (*folder) Mode() fs.FileMode            { return fs.ModeDir | 0o555 }
func (*folder) ModTime() time.Time           { return time.Time{} }
func (*folder) IsDir() bool                  { return true }
func (*folder) Sys() any                     { return nil }

func (*folder) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: ".", Err: fs.ErrInvalid}
}

// ReadDir gives the next n entries, or with n <= 0 all that are left.
func (d *folder) ReadDir(n int) ([]fs.DirEntry, error) {
	if n > 0 && len(d.rest) == 0 {
		return nil, io.EOF
	}
	if n <= 0 || n > len(d.rest) {
		n = len(d.rest)
	}
	out := d.rest[:n]
	d.rest = d.rest[n:]
	return out, nil
}
