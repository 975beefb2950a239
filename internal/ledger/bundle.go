package ledger

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

// Bundle is evidence to hand over: every entry about some things, with the
// proofs, and the files those entries cite.
type Bundle struct {
	Title, Note string // in the reader's language
	IDs         []contact.ID
	Files       []File
}

// File is a file of a bundle, such as a recording or a letter.
type File struct {
	Name string // what the reader sees; no folders
	Open func() (io.ReadCloser, error)
}

// The names of a bundle's parts.
const (
	readmePart     = "README.txt"
	keyPart        = "key.txt"
	checkpointPart = "checkpoint.txt"
	manifestPart   = "manifest.json"
	signaturePart  = "manifest.sig"
	recordsFolder  = "records/"
	filesFolder    = "files/"
)

// bundleVersion names the form; docs/ledger.md describes it.
const bundleVersion = "parley-bundle/1"

// manifest lists a bundle's parts. The log's key signs its hash.
type manifest struct {
	Version string       `json:"version"`
	Title   string       `json:"title"`
	Note    string       `json:"note,omitempty"`
	Origin  string       `json:"origin"`
	Size    int64        `json:"size"`
	At      time.Time    `json:"at"` // of the checkpoint
	IDs     []contact.ID `json:"ids"`
	Parts   []part       `json:"parts"`
}

type part struct {
	Name   string  `json:"name"`
	Size   int64   `json:"size"`
	SHA256 string  `json:"sha256"`
	Cited  []int64 `json:"cited_by,omitempty"` // of a file: indexes of the records that name its hash
}

// recordPart is one file under records/.
type recordPart struct {
	Index      int64           `json:"index"`
	Type       string          `json:"type"`
	At         int64           `json:"at"`   // microseconds since 1970 UTC
	Time       time.Time       `json:"time"` // the same, for people
	ID         contact.ID      `json:"id"`
	Record     json.RawMessage `json:"record,omitempty"` // absent once erased
	Salt       []byte          `json:"salt,omitempty"`
	Commitment []byte          `json:"commitment"`
	Proof      []tlog.Hash     `json:"proof"`
}

// ErrNoEvidence says that the ledger holds nothing about what a bundle was asked for.
var ErrNoEvidence = errs.New(errs.NotFound, "ledger_no_evidence",
	"账本中没有这些编号的记录，无法生成证据包。", "The ledger holds nothing under these ids, so there is no evidence to bundle.")

// WriteBundle writes the evidence as a zip archive. The same log and request
// give the same bytes. What is appended but not sealed is sealed first.
func (l *Log) WriteBundle(ctx context.Context, w io.Writer, b Bundle) error {
	if _, err := l.Seal(ctx); err != nil {
		return err
	}
	var c Checkpoint
	var records []recordPart
	if err := l.db.Read(ctx, func(tx *db.Tx) (err error) {
		if c, err = l.checkpoint(ctx, tx, ""); err != nil {
			return err
		}
		records, err = evidence(ctx, tx, c, b.IDs)
		return err
	}); err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	z := &bundleWriter{zip: zip.NewWriter(w), cites: map[string][]int64{}}
	z.m = manifest{Version: bundleVersion, Title: b.Title, Note: b.Note, Origin: c.Origin, Size: c.Size, At: c.At, IDs: b.IDs}
	if err := z.write(l, c, records, b.Files); err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	return nil
}

// evidence gives the sealed entries about ids in the order of the log.
func evidence(ctx context.Context, tx *db.Tx, c Checkpoint, ids []contact.ID) ([]recordPart, error) {
	var out []recordPart
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		rs, err := byID(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		for i := range rs {
			r := &rs[i]
			if r.Index < 0 || r.Index >= c.Size {
				continue // appended since; the next bundle has it
			}
			p, err := prove(ctx, tx, c, r.Index)
			if err != nil {
				return nil, err
			}
			out = append(out, recordPart{Index: r.Index, Type: r.Type, At: db.Micros(r.At), Time: r.At, ID: r.ID,
				Record: r.Record, Salt: r.Salt, Commitment: r.Commitment, Proof: p.Hashes})
		}
	}
	if len(out) == 0 {
		return nil, ErrNoEvidence
	}
	slices.SortFunc(out, func(a, b recordPart) int { return int(a.Index - b.Index) })
	return out, nil
}

// bundleWriter writes parts and remembers them for the manifest.
type bundleWriter struct {
	zip   *zip.Writer
	m     manifest
	cites map[string][]int64 // sha256 → records that name it
}

func (z *bundleWriter) write(l *Log, c Checkpoint, records []recordPart, files []File) error {
	for _, p := range []struct{ name, text string }{
		{readmePart, readme(z.m, l.key.public)},
		{keyPart, l.key.public + "\n"},
		{checkpointPart, string(c.Note)},
	} {
		if err := z.add(p.name, strings.NewReader(p.text)); err != nil {
			return err
		}
	}
	for i := range records {
		r := &records[i]
		b, err := marshal(r)
		if err != nil {
			return err
		}
		for _, sum := range citations(r.Record) {
			z.cites[sum] = append(z.cites[sum], r.Index)
		}
		if err := z.add(recordName(r.Index), strings.NewReader(string(b))); err != nil {
			return err
		}
	}
	for _, f := range files {
		if err := z.file(f); err != nil {
			return err
		}
	}
	b, err := marshal(z.m)
	if err != nil {
		return err
	}
	signature, err := note.Sign(&note.Note{Text: manifestText(z.m.Origin, b)}, l.key.signer)
	if err != nil {
		return err
	}
	if err := errors.Join(z.put(manifestPart, strings.NewReader(string(b)), nil),
		z.put(signaturePart, strings.NewReader(string(signature)), nil)); err != nil {
		return err
	}
	return z.zip.Close()
}

func (z *bundleWriter) file(f File) error {
	if !goodFileName(f.Name) || slices.ContainsFunc(z.m.Parts, func(p part) bool { return p.Name == filesFolder+f.Name }) {
		return fmt.Errorf("file name %q cannot be used or is used twice", f.Name)
	}
	r, err := f.Open()
	if err != nil {
		return fmt.Errorf("file %s: %w", f.Name, err)
	}
	defer r.Close()
	return z.add(filesFolder+f.Name, r)
}

// add writes a part that the manifest lists.
func (z *bundleWriter) add(name string, r io.Reader) error {
	h := sha256.New()
	p := part{Name: name}
	if err := z.put(name, io.TeeReader(r, h), &p.Size); err != nil {
		return err
	}
	p.SHA256 = hex.EncodeToString(h.Sum(nil))
	if strings.HasPrefix(name, filesFolder) {
		p.Cited = z.cites[p.SHA256]
	}
	z.m.Parts = append(z.m.Parts, p)
	return nil
}

// put stores a part without compression: then no archive can hold more than
// its own size, and whoever checks one need not fear what it unpacks to.
func (z *bundleWriter) put(name string, r io.Reader, size *int64) error {
	w, err := z.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store, Modified: z.m.At})
	if err != nil {
		return err
	}
	n, err := io.Copy(w, r)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if size != nil {
		*size = n
	}
	return nil
}

// manifestText is what the log's key signs of a bundle. Its first line keeps it
// from ever being taken for a checkpoint.
func manifestText(origin string, manifest []byte) string {
	sum := sha256.Sum256(manifest)
	return bundleVersion + "\n" + origin + "\n" + hex.EncodeToString(sum[:]) + "\n"
}

func recordName(index int64) string { return fmt.Sprintf("%s%012d.json", recordsFolder, index) }

// goodFileName reports whether a name is safe to unpack on any system.
func goodFileName(name string) bool {
	if name == "" || len(name) > 200 || name[0] == '.' || !utf8.ValidString(name) {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return unicode.IsControl(r) || strings.ContainsRune(`/\:*?"<>|`, r)
	})
}

func marshal(v any) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return []byte(b.String()), err
}

// citations gives every hash a record names in a field "sha256".
func citations(record []byte) []string {
	var v any
	if json.Unmarshal(record, &v) != nil {
		return nil // an erased record cites nothing
	}
	var out []string
	var visit func(any)
	visit = func(v any) {
		switch x := v.(type) {
		case map[string]any:
			if s, ok := x["sha256"].(string); ok {
				out = append(out, s)
			}
			for _, e := range x {
				visit(e)
			}
		case []any:
			for _, e := range x {
				visit(e)
			}
		}
	}
	visit(v)
	slices.Sort(out)
	return slices.Compact(out)
}
