package ledger

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"parley/internal/contact"
	"parley/internal/db"
)

// BundleReport is the result of checking a bundle.
type BundleReport struct {
	Title, Note string
	Key         string // verifier string of the key that signed it
	KeyGiven    bool   // the reader named that key; otherwise the bundle vouches for itself only
	Checkpoint  Checkpoint
	Records     []Record
	Files       []BundledFile
	Problems    []BundleProblem // in the order found
}

// OK reports whether nothing was wrong.
func (r *BundleReport) OK() bool { return len(r.Problems) == 0 }

// BundledFile is a file that came with the evidence.
type BundledFile struct {
	Name   string
	Size   int64
	SHA256 string  // hex
	Cited  []int64 // records that name its hash; without any, only the bank's signature vouches for it
}

// BundleProblem is one thing wrong with a bundle.
type BundleProblem struct {
	Part string // the file in the archive it is about
	What string // a sentence
}

// String is one line for people.
func (p BundleProblem) String() string { return p.Part + ": " + p.What }

// The limits of a bundle. Parts are stored, not compressed, so an archive
// cannot hold more than its own size.
const (
	maxParts    = 20_000
	maxTextPart = 16 << 20 // manifest, records, readme
)

// VerifyBundle checks a bundle offline against the log's public key, the
// verifier string to be had from somewhere else than the bundle. With an empty
// key the bundle's own is used, which shows only that it agrees with itself.
// An error means that it is not a bundle at all; everything wrong with one is
// in the report.
func VerifyBundle(r io.ReaderAt, size int64, key string) (BundleReport, error) {
	c := bundleCheck{parts: map[string]*zip.File{}, sums: map[string]string{}}
	z, err := zip.NewReader(r, size)
	if err != nil {
		return c.report, fmt.Errorf("this is not a bundle: %w", err)
	}
	if err := c.index(z, size); err != nil {
		return c.report, fmt.Errorf("this bundle is refused: %w", err)
	}
	v, err := c.key(key)
	if err != nil {
		return c.report, err
	}
	c.manifest(v)
	c.checkpoint(v)
	c.records()
	c.files()
	return c.report, nil
}

type bundleCheck struct {
	report BundleReport
	parts  map[string]*zip.File
	names  []string          // sorted
	sums   map[string]string // hex sha256 of the parts read so far
	listed map[string]part
	signed bool // the checkpoint's signature is good
}

func (c *bundleCheck) problem(part, what string, args ...any) {
	c.report.Problems = append(c.report.Problems, BundleProblem{part, fmt.Sprintf(what, args...)})
}

// index looks at the archive's directory before anything is read from it.
func (c *bundleCheck) index(z *zip.Reader, size int64) error {
	if len(z.File) > maxParts {
		return fmt.Errorf("it has %d parts; %d is the most", len(z.File), maxParts)
	}
	var total uint64
	for _, f := range z.File {
		if !goodPartName(f.Name) {
			return fmt.Errorf("part name %q is not allowed", f.Name)
		}
		if c.parts[f.Name] != nil {
			return fmt.Errorf("part %s is there twice", f.Name)
		}
		if f.Method != zip.Store || f.CompressedSize64 != f.UncompressedSize64 {
			return fmt.Errorf("part %s is compressed; bundles are not, so somebody packed this one anew", f.Name)
		}
		if f.UncompressedSize64 > uint64(size) || total+f.UncompressedSize64 > uint64(size) {
			return errors.New("its parts claim to be larger than the archive")
		}
		total += f.UncompressedSize64
		c.parts[f.Name] = f
		c.names = append(c.names, f.Name)
	}
	slices.Sort(c.names)
	return nil
}

func goodPartName(name string) bool {
	switch dir, file := path.Split(name); dir {
	case "":
		return slices.Contains([]string{readmePart, keyPart, checkpointPart, manifestPart, signaturePart}, file)
	case recordsFolder, filesFolder:
		return goodFileName(file)
	default:
		return false
	}
}

// text reads a small part; false when it cannot be read, which is reported.
func (c *bundleCheck) text(name string) ([]byte, bool) {
	f := c.parts[name]
	if f == nil {
		c.problem(name, "is missing")
		return nil, false
	}
	if f.UncompressedSize64 > maxTextPart {
		c.problem(name, "is larger than %d bytes", maxTextPart)
		return nil, false
	}
	var b bytes.Buffer
	ok := c.read(f, &b)
	return b.Bytes(), ok
}

// read copies a part and sums it.
func (c *bundleCheck) read(f *zip.File, w io.Writer) bool {
	r, err := f.Open()
	if err != nil {
		c.problem(f.Name, "cannot be read: %v", err)
		return false
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(w, h), r); err != nil {
		c.problem(f.Name, "was changed or cut: %v", err)
		return false
	}
	c.sums[f.Name] = hex.EncodeToString(h.Sum(nil))
	return true
}

// key finds the key to check with.
func (c *bundleCheck) key(given string) (note.Verifier, error) {
	given = strings.TrimSpace(given)
	own := ""
	if b, ok := c.text(keyPart); ok {
		own = strings.TrimSpace(string(b))
	}
	c.report.Key, c.report.KeyGiven = own, false
	if given != "" {
		if own != given {
			c.problem(keyPart, "the bundle's key is %q and not the expected %q", own, given)
		}
		c.report.Key, c.report.KeyGiven = given, true
	}
	v, err := note.NewVerifier(c.report.Key)
	if err != nil {
		return nil, fmt.Errorf("the key %q is not a verifier string: %w", c.report.Key, err)
	}
	return v, nil
}

// manifest checks that the bank signed exactly this list of parts.
func (c *bundleCheck) manifest(v note.Verifier) {
	b, ok1 := c.text(manifestPart)
	sig, ok2 := c.text(signaturePart)
	if !ok1 || !ok2 {
		return
	}
	n, err := note.Open(sig, note.VerifierList(v))
	switch {
	case err != nil:
		c.problem(signaturePart, "is not by the key: %v", err)
	case n.Text != manifestText(v.Name(), b):
		c.problem(manifestPart, "is not the one that was signed")
	}
	var m manifest
	if err := json.Unmarshal(b, &m); err != nil || m.Version != bundleVersion {
		c.problem(manifestPart, "is not a manifest of version %s", bundleVersion)
		return
	}
	c.report.Title, c.report.Note = m.Title, m.Note
	c.listed = map[string]part{}
	for _, p := range m.Parts {
		c.listed[p.Name] = p
		if c.parts[p.Name] == nil {
			c.problem(p.Name, "is missing")
		}
	}
	for _, name := range c.names {
		if _, ok := c.listed[name]; !ok && name != manifestPart && name != signaturePart {
			c.problem(name, "is not in the manifest")
		}
	}
	if _, ok := c.text(readmePart); ok {
		c.same(readmePart)
	}
	c.same(keyPart)
}

// same compares a part that was read with what the manifest says of it.
func (c *bundleCheck) same(name string) {
	if want, ok := c.listed[name]; ok && c.sums[name] != "" && c.sums[name] != want.SHA256 {
		c.problem(name, "was changed: its SHA-256 is %s and not %s", c.sums[name], want.SHA256)
	}
}

func (c *bundleCheck) checkpoint(v note.Verifier) {
	b, ok := c.text(checkpointPart)
	if !ok {
		return
	}
	c.same(checkpointPart)
	cp, err := OpenCheckpoint(b, v)
	if err != nil {
		c.problem(checkpointPart, "is not a checkpoint signed by the key: %v", err)
		return
	}
	c.report.Checkpoint, c.signed = cp, true
}

func (c *bundleCheck) records() {
	for _, name := range c.names {
		if !strings.HasPrefix(name, recordsFolder) {
			continue
		}
		b, ok := c.text(name)
		if !ok {
			continue
		}
		c.same(name)
		var r recordPart
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&r); err != nil || dec.InputOffset() != int64(len(bytes.TrimRight(b, "\n"))) {
			c.problem(name, "is not a record, or more than one")
			continue
		}
		c.record(name, &r)
	}
	if len(c.report.Records) == 0 {
		c.problem(recordsFolder, "holds no record that can be read")
	}
}

// record checks one record down to the signed root.
func (c *bundleCheck) record(name string, r *recordPart) {
	out := Record{Index: r.Index, Type: r.Type, At: db.Time(r.At), ID: r.ID, Salt: r.Salt, Commitment: r.Commitment}
	if name != recordName(r.Index) {
		c.problem(name, "says that its index is %d", r.Index)
	}
	if !r.Time.Equal(out.At) {
		c.problem(name, "says two times, %d and %s", r.At, r.Time.Format(time.RFC3339Nano))
	}
	if len(r.Commitment) != sha256.Size {
		c.problem(name, "commitment: is not whole")
		return
	}
	leaf := out.Leaf()
	if r.Record != nil || r.Salt != nil {
		var rec bytes.Buffer
		if err := json.Compact(&rec, r.Record); err != nil {
			c.problem(name, "record: is not JSON")
			return
		}
		out.Record = rec.Bytes()
		if got := commit(r.Salt, out.Record); got != leaf.Commitment {
			c.problem(name, "record or salt: does not give the commitment")
		}
	}
	c.report.Records = append(c.report.Records, out)
	if !c.signed {
		return // said once already
	}
	cp := c.report.Checkpoint
	b, err := leaf.AppendBinary(nil)
	if err == nil {
		err = tlog.CheckRecord(r.Proof, cp.Size, cp.Root, r.Index, tlog.RecordHash(b))
	}
	if err != nil {
		c.problem(name, "proof: type, time, id, commitment, index or proof is not as sealed (%v)", err)
	}
}

// files checks every file against the records that name it.
func (c *bundleCheck) files() {
	cites := map[string][]int64{}
	for i := range c.report.Records {
		r := &c.report.Records[i]
		for _, sum := range citations(r.Record) {
			cites[sum] = append(cites[sum], r.Index)
		}
	}
	for _, name := range c.names {
		if !strings.HasPrefix(name, filesFolder) || !c.read(c.parts[name], io.Discard) {
			continue
		}
		c.same(name)
		sum := c.sums[name]
		f := BundledFile{Name: strings.TrimPrefix(name, filesFolder), Size: int64(c.parts[name].UncompressedSize64),
			SHA256: sum, Cited: cites[sum]}
		if want := c.listed[name]; len(want.Cited) > 0 && len(f.Cited) == 0 {
			c.problem(name, "is not the file that record %d names", want.Cited[0])
		}
		c.report.Files = append(c.report.Files, f)
	}
}

// IDs gives the ids the records are about, each once.
func (r *BundleReport) IDs() []contact.ID {
	var ids []contact.ID
	for i := range r.Records {
		ids = append(ids, r.Records[i].ID)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
