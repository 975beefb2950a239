package ledger_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/ledger"
)

type recording struct {
	Call struct {
		SHA256 string `json:"sha256"`
	} `json:"call"`
}

var call = []byte("RIFF the recording of a call")

// bundle makes a log in which a call is recorded, and its bundle.
func bundle(t testing.TB, d *db.DB) (raw []byte, key string, id contact.ID) {
	t.Helper()
	ctx := context.Background()
	l := open(t, d, newKey(t))
	appendN(t, d, 300)
	id = contact.NewID()
	sum := sha256.Sum256(call)
	var rec recording
	rec.Call.SHA256 = hex.EncodeToString(sum[:])
	if err := d.Write(ctx, func(tx *db.Tx) error {
		return ledger.Append(ctx, tx,
			ledger.Entry{Type: "gate.decision", ID: id, Record: fact{1, "允许 <b>"}},
			ledger.Entry{Type: "call.settled", ID: id, Record: &rec})
	}); err != nil {
		t.Fatal(err)
	}
	b := ledger.Bundle{Title: "投诉 2026-000123", Note: "您的投诉的证据", IDs: []contact.ID{id},
		Files: []ledger.File{
			{Name: "通话录音.wav", Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(call)), nil }},
			{Name: "letter.txt", Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("Dear")), nil }},
		}}
	var one, two bytes.Buffer
	if err := errors.Join(l.WriteBundle(ctx, &one, b), l.WriteBundle(ctx, &two, b)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Fatal("two bundles of the same evidence differ")
	}
	return one.Bytes(), l.Public(), id
}

func check(t testing.TB, raw []byte, key string) (ledger.BundleReport, error) {
	t.Helper()
	return ledger.VerifyBundle(bytes.NewReader(raw), int64(len(raw)), key)
}

func TestBundleVerifiesOffline(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		raw, key, id := bundle(t, d)
		rep, err := check(t, raw, key)
		if err != nil || !rep.OK() {
			t.Fatalf("%v, %v", rep.Problems, err)
		}
		if len(rep.Records) != 2 || rep.Records[0].Index != 300 || rep.Records[1].ID != id || !rep.KeyGiven ||
			rep.Checkpoint.Size != 302 || rep.Title != "投诉 2026-000123" || !reflect.DeepEqual(rep.IDs(), []contact.ID{id}) {
			t.Fatalf("%+v", rep)
		}
		if len(rep.Files) != 2 || rep.Files[0].Cited != nil || !reflect.DeepEqual(rep.Files[1].Cited, []int64{301}) {
			t.Fatalf("files %+v", rep.Files)
		}
		if rep, err := check(t, raw, ""); err != nil || !rep.OK() || rep.KeyGiven || rep.Key != key {
			t.Fatalf("without a key: %+v, %v", rep, err)
		}
	})
}

// repack rewrites a bundle with some parts changed (nil leaves a part out).
func repack(t testing.TB, raw []byte, method uint16, change map[string]func([]byte) []byte) []byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	put := func(name string, b []byte) {
		if b == nil {
			return
		}
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err == nil {
			_, err = f.Write(b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if fn := change[f.Name]; fn != nil {
			b = fn(b)
		}
		put(f.Name, b)
	}
	if fn := change["+"]; fn != nil {
		put("files/extra.txt", fn(nil))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestChangedBundleIsNamed changes each part as a forger would, who packs the
// archive anew with right checksums.
func TestChangedBundleIsNamed(t *testing.T) {
	t.Parallel()
	raw, key, _ := bundle(t, dbtest.Open(t, dbtest.URL(t, "sqlite"), nil))
	other := newKey(t)
	replace := func(old, new string) func([]byte) []byte {
		return func(b []byte) []byte {
			if !bytes.Contains(b, []byte(old)) {
				t.Errorf("%q is not in %s", old, b)
			}
			return bytes.Replace(b, []byte(old), []byte(new), 1)
		}
	}
	// text after a marker: changes the character n places behind it
	after := func(marker string, n int) func([]byte) []byte {
		return func(b []byte) []byte {
			i := bytes.Index(b, []byte(marker)) + len(marker) + n
			if b[i] == 'A' {
				b[i] = 'B'
			} else {
				b[i] = 'A'
			}
			return b
		}
	}
	drop := func([]byte) []byte { return nil }
	const rec = "records/000000000300.json"
	for name, c := range map[string]struct {
		part   string
		change func([]byte) []byte
		says   string
	}{
		"record":        {rec, replace("允许", "拒绝"), "record or salt"},
		"salt":          {rec, after(`"salt": "`, 4), "record or salt"},
		"commitment":    {rec, after(`"commitment": "`, 4), "proof"},
		"type":          {rec, replace("gate.decision", "gate.precision"), "proof"},
		"id":            {rec, after(`"id": "`, 4), "proof"},
		"index":         {rec, replace(`"index": 300`, `"index": 299`), "index"},
		"proof":         {rec, after("\"proof\": [\n    \"", 4), "proof"},
		"time":          {rec, replace(`"time": "2`, `"time": "3`), "two times"},
		"record gone":   {rec, drop, "is missing"},
		"not a record":  {rec, func([]byte) []byte { return []byte("{}{}") }, "record"},
		"recording":     {"files/通话录音.wav", replace("call", "talk"), "is not the file that record 301 names"},
		"recording cut": {"files/通话录音.wav", func(b []byte) []byte { return b[:5] }, "was changed"},
		"letter":        {"files/letter.txt", replace("Dear", "Dire"), "was changed"},
		"checkpoint":    {"checkpoint.txt", replace("\n302\n", "\n303\n"), "not a checkpoint signed by the key"},
		"checkpoint by": {"checkpoint.txt", after("— "+origin+" ", 20), "not a checkpoint signed by the key"},
		"key":           {"key.txt", func([]byte) []byte { return []byte(other.Public() + "\n") }, "not the expected"},
		"title":         {"manifest.json", replace("2026-000123", "2026-000124"), "not the one that was signed"},
		"signature":     {"manifest.sig", after("— "+origin+" ", 20), "not by the key"},
		"no signature":  {"manifest.sig", drop, "is missing"},
		"no manifest":   {"manifest.json", drop, "is missing"},
		"no checkpoint": {"checkpoint.txt", drop, "is missing"},
		"readme":        {"README.txt", replace("守约", "失约"), "was changed"},
		"added file":    {"+", func([]byte) []byte { return []byte("new") }, "not in the manifest"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rep, err := check(t, repack(t, raw, zip.Store, map[string]func([]byte) []byte{c.part: c.change}), key)
			if err != nil || rep.OK() {
				t.Fatalf("not found: %v", err)
			}
			part := strings.Replace(c.part, "+", "files/extra.txt", 1)
			for _, p := range rep.Problems {
				if p.Part == part && strings.Contains(p.What, c.says) {
					return
				}
			}
			t.Fatalf("no problem of %s says %q: %v", part, c.says, rep.Problems)
		})
	}
}

// TestForgedBundle is made by somebody with a key of their own: it agrees with
// itself, and only the key expected tells.
func TestForgedBundle(t *testing.T) {
	t.Parallel()
	raw, _, _ := bundle(t, dbtest.Open(t, dbtest.URL(t, "sqlite"), nil))
	rep, err := check(t, raw, newKey(t).Public())
	if err != nil || rep.OK() {
		t.Fatalf("another key's bundle passed: %v", err)
	}
	if p := rep.Problems[0]; p.Part != "key.txt" || !strings.Contains(p.What, "not the expected") {
		t.Fatalf("first problem: %s", p)
	}
	if _, err := check(t, raw, "not a key"); err == nil {
		t.Fatal("a key that is none was accepted")
	}
}

// TestAnyFlippedByteOfABundle: whatever byte of the archive changes, either it
// is found or what the reader gets is the same.
func TestAnyFlippedByteOfABundle(t *testing.T) {
	t.Parallel()
	raw, key, _ := bundle(t, dbtest.Open(t, dbtest.URL(t, "sqlite"), nil))
	want, err := check(t, raw, key)
	if err != nil {
		t.Fatal(err)
	}
	step := 1
	if testing.Short() {
		step = 17
	}
	for i := 0; i < len(raw); i += step {
		b := bytes.Clone(raw)
		b[i] ^= 0x10
		got, err := check(t, b, key)
		if err == nil && got.OK() && !reflect.DeepEqual(got, want) {
			t.Fatalf("byte %d changes what is read and is not found", i)
		}
	}
}

func TestHostileArchives(t *testing.T) {
	t.Parallel()
	raw, key, _ := bundle(t, dbtest.Open(t, dbtest.URL(t, "sqlite"), nil))
	archive := func(method uint16, names ...string) []byte {
		var out bytes.Buffer
		w := zip.NewWriter(&out)
		for _, n := range names {
			f, err := w.CreateHeader(&zip.FileHeader{Name: n, Method: method})
			if err == nil {
				_, err = f.Write(make([]byte, 1<<16))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	many := make([]string, 20_001)
	for i := range many {
		many[i] = fmt.Sprintf("files/%d", i)
	}
	for name, c := range map[string]struct {
		raw  []byte
		says string
	}{
		"no archive":     {[]byte("hello"), "not a bundle"},
		"nothing":        {nil, "not a bundle"},
		"bomb":           {archive(zip.Deflate, "files/a"), "compressed"},
		"packed anew":    {repack(t, raw, zip.Deflate, nil), "compressed"},
		"path traversal": {archive(zip.Store, "files/../../etc/passwd"), "not allowed"},
		"absolute path":  {archive(zip.Store, "/etc/passwd"), "not allowed"},
		"windows path":   {archive(zip.Store, `files/..\x`), "not allowed"},
		"hidden":         {archive(zip.Store, "files/.profile"), "not allowed"},
		"unknown part":   {archive(zip.Store, "virus.exe"), "not allowed"},
		"twice":          {archive(zip.Store, "files/a", "files/a"), "twice"},
	} {
		if _, err := check(t, c.raw, key); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v; want %q", name, err, c.says)
		}
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, n := range many {
		if _, err := w.CreateHeader(&zip.FileHeader{Name: n}); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	if _, err := check(t, out.Bytes(), key); err == nil || !strings.Contains(err.Error(), "parts") {
		t.Errorf("too many parts: %v", err)
	}
}

func TestBundleOfNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		l := open(t, d, newKey(t))
		ids := appendN(t, d, 1)
		err := l.WriteBundle(ctx, io.Discard, ledger.Bundle{IDs: []contact.ID{contact.NewID()}})
		if !errors.Is(err, ledger.ErrNoEvidence) {
			t.Fatalf("a bundle of nothing: %v", err)
		}
		for _, name := range []string{"", "a/b", "..", `a\b`, "a\x00"} {
			f := ledger.File{Name: name, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("")), nil }}
			if err := l.WriteBundle(ctx, io.Discard, ledger.Bundle{IDs: ids, Files: []ledger.File{f}}); err == nil {
				t.Errorf("file name %q was taken", name)
			}
		}
	})
}

// TestBundleOfErased: a customer's earlier copy still verifies, a new bundle is
// silent about what was erased.
func TestBundleOfErased(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		l := open(t, d, newKey(t))
		ids := appendN(t, d, 5)
		var before, after bytes.Buffer
		b := ledger.Bundle{Title: "t", IDs: ids[2:3]}
		if err := l.WriteBundle(ctx, &before, b); err != nil {
			t.Fatal(err)
		}
		if err := d.Write(ctx, func(tx *db.Tx) error {
			_, err := ledger.Erase(ctx, tx, ids[2], "PIPL 47", "staff-1")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := l.WriteBundle(ctx, &after, b); err != nil {
			t.Fatal(err)
		}
		old, err := check(t, before.Bytes(), l.Public())
		if err != nil || !old.OK() || old.Records[0].Erased() {
			t.Fatalf("%+v, %v", old, err)
		}
		now, err := check(t, after.Bytes(), l.Public())
		if err != nil || !now.OK() || len(now.Records) != 2 || !now.Records[0].Erased() {
			t.Fatalf("%+v, %v", now, err)
		}
	})
}

// FuzzVerifyBundle: no archive makes it panic, and none passes but the true one.
func FuzzVerifyBundle(f *testing.F) {
	raw, key, _ := bundle(f, dbtest.Open(f, dbtest.URL(f, "sqlite"), nil))
	f.Add(raw)
	f.Add(raw[:len(raw)/2])
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	want, err := check(f, raw, key)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = check(t, b, "") // with its own key, so that all of it is read
		got, err := check(t, b, key)
		if err == nil && got.OK() && !reflect.DeepEqual(got, want) {
			t.Fatalf("a forgery passed: %+v", got)
		}
	})
}

// FuzzParseLeaf: what can be read is written back the same.
func FuzzParseLeaf(f *testing.F) {
	b, err := ledger.Leaf{Type: "gate.decision", At: time.Now().UnixMicro(), ID: contact.NewID()}.AppendBinary(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:20])
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ledger.ParseLeaf(b)
		if err != nil {
			return
		}
		again, err := l.AppendBinary(nil)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x became %x, %v", b, again, err)
		}
	})
}
