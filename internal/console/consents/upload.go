package consents

import (
	"context"
	"encoding/csv"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"parley/internal/console/frame"
	"parley/internal/errs"
	"parley/internal/httpx"
	"parley/internal/roster"
)

// maxUpload bounds a list, in bytes: some ten million numbers.
const maxUpload = 256 << 20

// taken is what came of a list.
type taken struct {
	roster.Result
	rejects [][]string // row, field, Chinese, English; at most keepRejects
}

// keepRejects is how many refused rows are kept for the page and its file.
const keepRejects = 1000

var (
	errFile = errs.New(errs.Invalid, "dnc_file", "请选择一个 CSV 或 XLSX 文件，不超过 256 MB。", "Choose a CSV or XLSX file of at most 256 MB.")
	errBusy = errs.New(errs.Conflict, "dnc_busy", "上一份名单还在导入，请稍候。", "The list before is still being taken in; please wait.")
)

// uploadFile takes a list in: it is kept only until it has been read.
func (p *pages) uploadFile(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	r.Body = http.MaxBytesReader(w, r.Body, maxUpload)
	file, head, err := r.FormFile("file")
	if err != nil {
		return errFile.With(err)
	}
	defer file.Close()
	ext := strings.ToLower(filepath.Ext(head.Filename))
	if ext != ".csv" && ext != ".xlsx" {
		return errFile
	}
	dir, err := os.MkdirTemp("", "parley-list")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "list"+ext)
	if err := keep(path, file); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	if !p.upload.Begin(ctx, "", filepath.Base(head.Filename), func(ctx context.Context, report func(done, total int64)) (taken, error) {
		return p.takeIn(ctx, dir, path, report)
	}) {
		return errors.Join(errBusy, os.RemoveAll(dir))
	}
	httpx.Go(w, r, "/consents#upload")
	return nil
}

func keep(path string, from io.Reader) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}

func (p *pages) takeIn(ctx context.Context, dir, path string, report func(done, total int64)) (taken, error) {
	refused := filepath.Join(dir, "rejects.csv")
	res, err := roster.Numbers(ctx, p.DB, p.Parties, p.Consents, httpx.From(ctx).Zone,
		roster.Options{Path: path, Rejects: refused, By: frame.Who(ctx).ID, Progress: report})
	rejects, readErr := readRejects(refused)
	return taken{res, rejects}, errors.Join(err, readErr, os.RemoveAll(dir))
}

// readRejects reads the first refused rows; no file means none.
func readRejects(path string) (out [][]string, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := csv.NewReader(f)
	if _, err := r.Read(); err != nil { // the heading
		return nil, err
	}
	for len(out) < keepRejects {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, row)
	}
	return out, nil
}

// uploadPart is the piece of the page that shows the upload; while one runs the
// piece asks for itself again.
func (p *pages) uploadPart(w http.ResponseWriter, r *http.Request) error {
	return p.Frame.Part(w, r, uploadView(p.upload.Of("")))
}

// uploadRejects gives the refused rows as a file, to be mended and sent again.
// It names rows and reasons, no numbers.
func (p *pages) uploadRejects(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="rejects.csv"`)
	out := csv.NewWriter(w)
	_ = out.Write([]string{"row", "field", "reason_zh", "reason_en"}) // Error reports
	_ = out.WriteAll(p.upload.Of("").Result.rejects)
	return out.Error()
}
