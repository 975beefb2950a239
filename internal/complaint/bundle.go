package complaint

import (
	"context"
	"fmt"
	"io"
	"strings"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/ledger"
	"parley/internal/template"
)

// Recordings opens a stored recording by its hash.
type Recordings interface {
	Open(hash string) (io.ReadSeekCloser, error)
}

// Bundle writes a case's evidence as a zip that verifies offline: the case's
// own entries, those of the contact complained of, of the consent it relied on
// and of every remedy, the recording and the letters.
func (k *Desk) Bundle(ctx context.Context, w io.Writer, id contact.ID, log *ledger.Log, recs Recordings) error {
	f, err := k.Get(ctx, id)
	if err != nil {
		return err
	}
	b := ledger.Bundle{Title: "投诉 " + f.Case.Number + " 证据包 / evidence of complaint " + f.Case.Number, IDs: []contact.ID{f.Case.ID}}
	hashes := []string{f.Case.Recording}
	if c := f.Case.Cause; c != nil {
		b.IDs = append(b.IDs, c.Attempt)
		hashes = append(hashes, c.Recording)
		if c.Grant != "" {
			b.IDs = append(b.IDs, c.Grant)
		}
	}
	for _, d := range f.Decisions {
		b.IDs = append(b.IDs, d.ID)
	}
	if err := k.bundleLetters(ctx, f, &b); err != nil {
		return err
	}
	for _, a := range f.Files {
		b.Files = append(b.Files, ledger.File{Name: "attachment-" + a.SHA256, Open: func() (io.ReadCloser, error) { return recs.Open(a.SHA256) }})
	}
	seen := map[string]bool{"": true}
	for _, h := range hashes {
		if seen[h] {
			continue
		}
		seen[h] = true
		b.Files = append(b.Files, ledger.File{Name: "recording-" + h + ".wav",
			Open: func() (io.ReadCloser, error) { return recs.Open(h) }})
	}
	return log.WriteBundle(ctx, w, b)
}

// bundleLetters adds the letters, the wordings they were made from, and who
// approved those.
func (k *Desk) bundleLetters(ctx context.Context, f *File, b *ledger.Bundle) error {
	text := func(name, content string) {
		b.Files = append(b.Files, ledger.File{Name: name, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }})
	}
	wordings := map[string]bool{}
	for i, l := range f.Letters {
		for _, x := range []struct{ lang, text string }{{"zh", l.Zh}, {"en", l.En}} {
			text(fmt.Sprintf("letter-%s-%d-%s.%s.txt", f.Case.Number, i+1, l.Kind, x.lang), x.text)
		}
		name := fmt.Sprintf("wording-%s-%d.txt", l.Kind, l.Version)
		if l.Version == 0 || wordings[name] {
			continue
		}
		wordings[name] = true
		var w *template.Version
		if err := k.db.Read(ctx, func(tx *db.Tx) (err error) {
			w, err = k.opt.Wordings.Numbered(ctx, tx, l.Kind, l.Version)
			return err
		}); err != nil {
			return fmt.Errorf("wording of letter %s: %w", l.ID, err)
		}
		text(name, w.Texts.Doc())
		if w.ID != "" {
			b.IDs = append(b.IDs, w.ID)
		}
	}
	return nil
}
