package roster

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sync/errgroup"

	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/ledger"
)

// Options say how to import one file.
type Options struct {
	Path     string
	Mapping  *Mapping
	Rejects  string                  // CSV file for rows that cannot be used; empty = PATH.rejects.csv
	Progress func(done, total int64) // bytes; nil = nobody looks
	By       string                  // who imports
}

// Result is what an import did.
type Result struct {
	Hash     string // of kind, mapping and file
	Rows     int64  // data rows of the file dealt with, now and before
	Skipped  int64  // of them, dealt with by an earlier run that was broken off
	Rejected int64  // now and before
	Left     int64  // left out by the mapping's "only"
	Already  bool   // the file was in already; nothing was done
	Rejects  string
}

// batchRows is how many rows one transaction takes in: enough that neighbours in
// an index share its pages, and few enough that whoever else wants to write to
// SQLite (a withdrawal) waits for a tenth of a second at most.
const batchRows = 4000

var errTwice = errs.New(errs.Conflict, "import_twice", "这个文件正由另一个导入任务处理。", "Another import is at work on this file.")

// batch is rows on their way: read, prepared, written.
type batch struct {
	last    int64 // data rows of the file up to the end of this batch
	records []Record
	rejects []Reject
	work
}

// work is what a batch has to do in its transaction.
type work struct {
	write func(ctx context.Context, tx *db.Tx) ([]Reject, error)
	// about names whom it is about: two batches that share nobody may be written
	// side by side. nil = it is written alone.
	about map[string]bool
}

// importer is one kind of file.
type importer struct {
	kind   string
	fields []string
	// prepare works on a batch away from the database, on other processors, and
	// gives what is to be done in the transaction.
	prepare func(records []Record) (w work, rejects []Reject, err error)
}

// run imports a file: rows are read, prepared and written by three workers in a
// row, so that decoding and encryption go on while the database writes.
func run(ctx context.Context, d *db.DB, im importer, o Options) (res Result, err error) {
	if o.Rejects == "" {
		o.Rejects = o.Path + ".rejects.csv"
	}
	if o.Progress == nil {
		o.Progress = func(int64, int64) {}
	}
	if res.Hash, err = fingerprint(im.kind, o); err != nil {
		return res, err
	}
	done, err := begin(ctx, d, im.kind, &res)
	if err != nil || done {
		return res, err
	}
	skip := res.Skipped
	r, err := Open(o.Path)
	if err != nil {
		return res, err
	}
	defer r.Close()
	b, err := bind(o.Mapping, r.Header(), im.fields)
	if err != nil {
		return res, err
	}
	rej := &rejectFile{path: o.Rejects, resume: skip > 0}
	g, gctx := errgroup.WithContext(ctx)
	read, ready := make(chan *batch, 1), make(chan *batch, 1)
	g.Go(func() error { defer close(read); return readAll(gctx, r, b, skip, &res.Left, o.Progress, read) })
	g.Go(func() error { defer close(ready); return prepareAll(gctx, im, read, ready) })
	g.Go(func() error { return writeAll(gctx, d, rej, ready, &res) })
	err = errors.Join(g.Wait(), rej.close())
	if err != nil {
		return res, err
	}
	if res.Rejected > 0 {
		res.Rejects = o.Rejects
	}
	return res, finish(ctx, d, im.kind, o, &res)
}

func readAll(ctx context.Context, r *Reader, b *binding, skip int64, left *int64, progress func(done, total int64), out chan<- *batch) error {
	n := int64(0)
	now := &batch{}
	send := func() error {
		now.last = n
		select {
		case out <- now:
		case <-ctx.Done():
			return ctx.Err()
		}
		now = &batch{}
		progress(r.Read())
		return nil
	}
	for {
		row, rej, err := r.Next()
		if errors.Is(err, io.EOF) {
			return send()
		}
		if err != nil {
			return err
		}
		n++
		switch {
		case n <= skip:
			if rej == nil && !b.keeps(row.Cells) {
				*left++
			}
			continue
		case rej != nil:
			now.rejects = append(now.rejects, *rej)
		case !b.keeps(row.Cells):
			*left++
		default:
			now.records = append(now.records, Record{Row: row.N, row: append([]string(nil), row.Cells...), b: b})
		}
		if len(now.records)+len(now.rejects) >= batchRows {
			if err := send(); err != nil {
				return err
			}
		}
	}
}

func prepareAll(ctx context.Context, im importer, in <-chan *batch, out chan<- *batch) error {
	for b := range in {
		w, rejects, err := im.prepare(b.records)
		if err != nil {
			return err
		}
		b.work, b.records = w, nil
		b.rejects = append(b.rejects, rejects...)
		select {
		case out <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// fingerprint identifies an import: the same file by another mapping is another.
func fingerprint(kind string, o Options) (string, error) {
	f, err := os.Open(o.Path)
	if err != nil {
		return "", unreadable(o.Path, err)
	}
	defer f.Close()
	h := sha256.New()
	h.Write([]byte(kind + "\n"))
	if o.Mapping != nil {
		h.Write(o.Mapping.raw)
	}
	if _, err := io.Copy(h, f); err != nil {
		return "", unreadable(o.Path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// begin fills in what an earlier run did.
func begin(ctx context.Context, d *db.DB, kind string, res *Result) (done bool, err error) {
	err = d.Write(ctx, func(tx *db.Tx) error {
		var at int64
		err := tx.QueryRow(ctx, `SELECT rows_done, rejected, done_at FROM roster_file WHERE hash = $1`, res.Hash).Scan(&res.Rows, &res.Rejected, &at)
		if errors.Is(err, sql.ErrNoRows) {
			_, err = tx.Exec(ctx, `INSERT INTO roster_file (hash, kind, rows_done, rejected, started_at, done_at) VALUES ($1,$2,0,0,$3,0)`, res.Hash, kind, tx.At())
		}
		res.Already = at > 0
		return err
	})
	res.Skipped = res.Rows
	return res.Already, err
}

func finish(ctx context.Context, d *db.DB, kind string, o Options, res *Result) error {
	return d.Write(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE roster_file SET done_at = $2 WHERE hash = $1`, res.Hash, tx.At()); err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Entry{Type: "list.accepted", ID: res.Hash[:32], Record: map[string]any{
			"kind": kind, "import": res.Hash, "rows": res.Rows, "rejected": res.Rejected, "by": o.By}})
	})
}

// rejectFile holds the rows that could not be used; it is made when the first comes.
type rejectFile struct {
	path   string
	resume bool
	f      *os.File
	w      *csv.Writer
}

func (r *rejectFile) add(rs []Reject) error {
	if len(rs) == 0 {
		return nil
	}
	if r.f == nil {
		mode := os.O_CREATE | os.O_WRONLY | os.O_TRUNC
		if r.resume {
			mode = os.O_CREATE | os.O_WRONLY | os.O_APPEND
		}
		f, err := os.OpenFile(r.path, mode, 0o600)
		if err != nil {
			return errs.New(errs.Invalid, "rejects_unwritable", "写不了拒收文件 "+r.path+"。", "The rejects file "+r.path+" cannot be written.").With(err)
		}
		r.f, r.w = f, csv.NewWriter(f)
		if st, err := f.Stat(); err == nil && st.Size() == 0 {
			_ = r.w.Write([]string{"row", "field", "reason_zh", "reason_en"}) // Flush reports
		}
	}
	for _, x := range rs {
		_ = r.w.Write([]string{strconv.Itoa(x.Row), x.Field, x.Zh, x.En}) // Flush reports
	}
	r.w.Flush()
	if err := r.w.Error(); err != nil {
		return fmt.Errorf("write %s: %w", r.path, err)
	}
	return nil
}

func (r *rejectFile) close() error {
	if r.f == nil {
		return nil
	}
	return r.f.Close()
}
