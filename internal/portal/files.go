package portal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/gabriel-vasile/mimetype"

	"parley/internal/complaint"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/httpx"
	"parley/internal/outbound"
	"parley/internal/party"
)

// maxFile bounds one attachment, in bytes.
const maxFile = 25 << 20

// media are the kinds of file taken, by their content: pictures, sound, film,
// PDF and plain text. None can carry a program that opening it would start.
var media = []string{"image/jpeg", "image/png", "image/webp", "image/gif", "image/heic", "image/heif", "application/pdf",
	"audio/mpeg", "audio/wav", "audio/x-m4a", "audio/mp4", "audio/aac", "audio/amr", "audio/ogg", "video/mp4", "video/3gpp",
	"video/quicktime", "text/plain"}

var errLostFile = errs.New(errs.Conflict, "file_lost", "有一个附件没有保存好，请回到附件一页重新添加。",
	"One of the files was not kept; please go back to the files and add it again.")

func (p *portal) files(w http.ResponseWriter, r *http.Request) error {
	d, err := p.draft(r)
	if err != nil {
		return err
	}
	if d.Words == "" {
		httpx.Go(w, r, "/complain")
		return nil
	}
	return show(w, r, http.StatusOK, p.filesPage(&httpx.Form{}, d.Files))
}

// addFiles takes the files of one form. What is right is kept even when another
// file is not.
func (p *portal) addFiles(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	d, err := p.draft(r)
	if err != nil {
		return err
	}
	if d.Words == "" {
		return errNoDraft
	}
	select {
	case p.uploads <- struct{}{}:
		defer func() { <-p.uploads }()
	case <-ctx.Done():
		return ctx.Err()
	}
	r.Body = http.MaxBytesReader(w, r.Body, (complaint.MaxAttachments+1)*(maxFile+4096))
	parts, err := r.MultipartReader()
	if err != nil {
		return errBadUpload.With(err)
	}
	f, done := &httpx.Form{}, false
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return errBadUpload.With(err)
		}
		if part.FormName() == "do" {
			b, err := io.ReadAll(io.LimitReader(part, 16))
			if err != nil {
				return errBadUpload.With(err)
			}
			done = string(b) == "next"
			continue
		}
		if part.FormName() != "file" || part.FileName() == "" {
			continue
		}
		if wrong := p.take(ctx, &d, part); wrong != "" {
			f.Wrong("file", say(ctx, wrong, shortName(part.FileName())))
		}
	}
	if err := p.keep(w, r, d); err != nil {
		return err
	}
	if !f.OK() {
		return show(w, r, http.StatusUnprocessableEntity, p.filesPage(f, d.Files))
	}
	if done {
		httpx.Go(w, r, "/complain/check")
	} else {
		httpx.Go(w, r, "/complain/files")
	}
	return nil
}

var errBadUpload = errs.New(errs.Invalid, "bad_upload", "附件没有传完整，请返回再试；单个文件不超过 25 MB。",
	"The files did not arrive whole. Please go back and try again; each file may be up to 25 MB.")

// take reads one file into the draft and gives the key of what is wrong with it.
// What it is, its content says, not its name.
func (p *portal) take(ctx context.Context, d *draft, part *multipart.Part) (wrong string) {
	if len(d.Files) >= complaint.MaxAttachments {
		return "file_many"
	}
	raw, err := io.ReadAll(io.LimitReader(part, maxFile+1))
	switch {
	case err != nil:
		return "file_broken"
	case len(raw) == 0:
		return "file_empty"
	case len(raw) > maxFile:
		return "file_big"
	}
	kind, _, _ := strings.Cut(mimetype.Detect(raw).String(), ";")
	if !slices.Contains(media, kind) {
		return "file_kind"
	}
	sum := sha256.Sum256(raw)
	fresh := !p.Blobs.Has(hex.EncodeToString(sum[:]))
	hash, size, err := p.Blobs.Put(bytes.NewReader(raw))
	if err == nil && fresh { // what was there before, a recording say, is somebody else's to delete
		err = p.Customers.Uploaded(ctx, hash)
	}
	if err != nil {
		p.log.Error("storing an attachment", "error", err)
		return "file_broken"
	}
	if !slices.ContainsFunc(d.Files, func(a complaint.Attachment) bool { return a.SHA256 == hash }) {
		d.Files = append(d.Files, complaint.Attachment{Name: shortName(part.FileName()), Media: kind, Size: size, SHA256: hash})
	}
	return ""
}

// shortName is a file's name without folders and without what could turn a
// line round or break it.
func shortName(s string) string {
	s = path.Base(strings.ReplaceAll(s, `\`, "/"))
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	if r := []rune(s); len(r) > 80 {
		s = string(r[:76]) + "…"
	}
	return s
}

func (p *portal) removeFile(w http.ResponseWriter, r *http.Request) error {
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	d, err := p.draft(r)
	if err != nil {
		return err
	}
	if n, err := strconv.Atoi(f.Get("n")); err == nil && n >= 0 && n < len(d.Files) {
		d.Files = slices.Delete(d.Files, n, n+1)
		if err := p.keep(w, r, d); err != nil {
			return err
		}
	}
	httpx.Go(w, r, "/complain/files")
	return nil
}

func holds(ats []*outbound.Attempt, id contact.ID) bool {
	return slices.ContainsFunc(ats, func(a *outbound.Attempt) bool { return a.ID == id })
}

// whose finds the one customer a number belongs to. A number that several
// share names nobody: guessing would attach another person's calls.
func (p *portal) whose(ctx context.Context, tx *db.Tx, e164 string) (contact.ID, error) {
	found, err := p.Party.ByPoint(ctx, tx, party.Phone, e164)
	if err != nil {
		return "", err
	}
	who := ""
	for _, f := range found {
		if who != "" && f.PartyID != who {
			return "", nil
		}
		who = f.PartyID
	}
	return who, nil
}
