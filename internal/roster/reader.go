// Package roster brings customers and their consents in from the files people
// have: CSV in UTF-8 or GB18030 and XLSX, streamed, by a mapping of columns to
// fields. Rows that cannot be used are set aside with field and reason; an
// import that was broken off goes on where it stopped, and a file that is in
// already is not taken in again.
package roster

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"

	"parley/internal/errs"
)

// Row is one row of a file. N counts from 1 and includes the heading, as a
// spreadsheet does.
type Row struct {
	N     int
	Cells []string
}

// Reject is a row that could not be used, and why.
type Reject struct {
	Row    int
	Field  string
	Zh, En string
}

// source is a file format.
type source interface {
	next() ([]string, error)
	whole() bool  // every row has all cells, empty ones too
	read0() int64 // bytes of the file read so far
	close() error
}

// Reader reads the rows of one file.
type Reader struct {
	src    source
	header []string
	n      int
	size   int64
}

// Open opens a CSV or XLSX file and reads its heading.
func Open(path string) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, unreadable(path, err)
	}
	r := &Reader{size: st.Size()}
	magic := make([]byte, 4)
	if _, err := f.ReadAt(magic, 0); err == nil && bytes.Equal(magic, []byte("PK\x03\x04")) {
		f.Close()
		r.src, err = newXLSX(path, st.Size())
		if err != nil {
			return nil, unreadable(path, err)
		}
	} else if r.src, err = newCSV(f); err != nil {
		f.Close()
		return nil, unreadable(path, err)
	}
	cells, err := r.src.next()
	if err != nil {
		r.Close()
		if errors.Is(err, io.EOF) {
			return nil, errs.New(errs.Invalid, "sheet_empty", "文件 "+path+" 是空的。", "The file "+path+" is empty.")
		}
		return nil, unreadable(path, err)
	}
	r.n = 1
	for _, c := range cells {
		r.header = append(r.header, strings.TrimSpace(c))
	}
	return r, nil
}

func unreadable(path string, err error) error {
	return errs.New(errs.Invalid, "sheet_unreadable", "读不了文件 "+path+"：请给出 CSV（UTF-8 或 GB18030）或 XLSX。",
		"The file "+path+" cannot be read: give a CSV (UTF-8 or GB18030) or an XLSX.").With(err)
}

// Header gives the names of the columns.
func (r *Reader) Header() []string { return r.header }

// Read gives how many bytes of the file have been read, of how many.
func (r *Reader) Read() (done, total int64) { return r.src.read0(), r.size }

// Close closes the file.
func (r *Reader) Close() error { return r.src.close() }

// Next gives the next row, io.EOF after the last, or a reject for a row that
// cannot be read; the rows after it can.
func (r *Reader) Next() (Row, *Reject, error) {
	cells, err := r.src.next()
	if errors.Is(err, io.EOF) {
		return Row{}, nil, io.EOF
	}
	r.n++
	row := Row{N: r.n, Cells: cells}
	switch {
	case errors.Is(err, errTooLong):
		return row, &Reject{r.n, "", "这一行超过 1 MiB，已跳过。", "This row is longer than 1 MiB and was left out."}, nil
	case errors.Is(err, errQuote):
		return row, &Reject{r.n, "", "引号没有成对，请检查这一行。", "A quoted field does not end; check this row."}, nil
	case err != nil:
		return row, nil, fmt.Errorf("row %d: %w", r.n, err)
	}
	for i, c := range cells {
		if !utf8.ValidString(c) || strings.ContainsRune(c, utf8.RuneError) {
			return row, &Reject{r.n, r.column(i), "含有无法识别的字符：文件编码应为 UTF-8 或 GB18030。", "Unreadable characters: the file must be UTF-8 or GB18030."}, nil
		}
	}
	if len(cells) > len(r.header) {
		return row, &Reject{r.n, "", fmt.Sprintf("有 %d 列，而表头只有 %d 列。", len(cells), len(r.header)), fmt.Sprintf("%d cells, but the heading has %d.", len(cells), len(r.header))}, nil
	}
	// A row that was cut off must not count as one with fewer terms.
	if len(cells) < len(r.header) && r.src.whole() {
		return row, &Reject{r.n, "", fmt.Sprintf("只有 %d 列，而表头有 %d 列。", len(cells), len(r.header)), fmt.Sprintf("%d cells only, but the heading has %d.", len(cells), len(r.header))}, nil
	}
	return row, nil, nil
}

func (r *Reader) column(i int) string {
	if i < len(r.header) {
		return r.header[i]
	}
	return fmt.Sprint(i + 1)
}

// xlsxReader reads the first sheet of a workbook, a row at a time.
type xlsxReader struct {
	book *excelize.File
	rows *excelize.Rows
	size int64
	n    int64
}

func newXLSX(path string, size int64) (*xlsxReader, error) {
	book, err := excelize.OpenFile(path, excelize.Options{RawCellValue: true, UnzipXMLSizeLimit: 64 << 20, UnzipSizeLimit: 16 << 30})
	if err != nil {
		return nil, err
	}
	rows, err := book.Rows(book.GetSheetName(0))
	if err != nil {
		book.Close()
		return nil, err
	}
	return &xlsxReader{book: book, rows: rows, size: size}, nil
}

func (x *xlsxReader) next() ([]string, error) {
	for x.rows.Next() {
		cells, err := x.rows.Columns()
		x.n++
		if err != nil {
			return nil, err
		}
		for _, c := range cells {
			if len(c) > maxRecord {
				return nil, errTooLong
			}
			if c != "" {
				return cells, nil
			}
		}
	}
	if err := x.rows.Error(); err != nil {
		return nil, err
	}
	return nil, io.EOF
}

// whole is false: a spreadsheet does not store the empty cells at a row's end.
func (x *xlsxReader) whole() bool { return false }

// read0 cannot know how far the packed file has been read; it creeps.
func (x *xlsxReader) read0() int64 { return min(x.n*64, x.size) }

func (x *xlsxReader) close() error { return errors.Join(x.rows.Close(), x.book.Close()) }
