// Package sheet writes a table as a file that spreadsheets open: CSV (RFC 4180,
// UTF-8 with a byte order mark) or XLSX, row by row, so that a long list takes
// no memory. Text that a spreadsheet would take for a formula is made harmless.
package sheet

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/xuri/excelize/v2"
)

// Format is a kind of file.
type Format string

// The formats.
const (
	CSV  Format = "csv"
	XLSX Format = "xlsx"
)

// Type gives the media type.
func (f Format) Type() string {
	if f == XLSX {
		return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	}
	return "text/csv; charset=utf-8"
}

// Writer writes rows; Close completes the file. After an error only Close may
// be called.
type Writer interface {
	Row(cells []string) error
	Close() error
}

// New begins a file of the format on w; numeric marks the columns that hold numbers.
func New(f Format, w io.Writer, numeric []bool) (Writer, error) {
	switch f {
	case CSV:
		return newCSV(w, numeric)
	case XLSX:
		return newXLSX(w, numeric)
	default:
		return nil, fmt.Errorf("no such format: %q", f)
	}
}

// lead are the characters with which a spreadsheet takes a cell for a formula,
// full-width ones included (OWASP, CSV injection).
const lead = "=+-@\t\r\n＝＋－＠"

// harmless puts an apostrophe before text that a spreadsheet would run.
func harmless(s string) string {
	if s != "" && strings.ContainsRune(lead, []rune(s)[0]) {
		return "'" + s
	}
	return s
}

// number reads a cell of a numeric column as people write it: 41,188.
func number(s string) (float64, bool) {
	n, err := strconv.ParseFloat(strings.ReplaceAll(s, ",", ""), 64)
	return n, err == nil
}

type csvFile struct {
	w       *csv.Writer
	numeric []bool
	cells   []string
}

func newCSV(w io.Writer, numeric []bool) (*csvFile, error) {
	if _, err := io.WriteString(w, "\ufeff"); err != nil { // Excel reads UTF-8 only when told
		return nil, err
	}
	c := csv.NewWriter(w)
	c.UseCRLF = true
	return &csvFile{w: c, numeric: numeric}, nil
}

// Row writes one row.
func (f *csvFile) Row(cells []string) error {
	f.cells = f.cells[:0]
	for i, s := range cells {
		if n, ok := number(s); ok && i < len(f.numeric) && f.numeric[i] {
			s = strconv.FormatFloat(n, 'f', -1, 64)
		} else {
			s = harmless(s)
		}
		f.cells = append(f.cells, s)
	}
	return f.w.Write(f.cells)
}

// Close writes what is left.
func (f *csvFile) Close() error {
	f.w.Flush()
	return f.w.Error()
}

// maxRows is how many rows a sheet of XLSX holds before the next one begins;
// the format allows 1,048,576.
const maxRows = 1_000_000

type xlsxFile struct {
	to      io.Writer
	book    *excelize.File
	stream  *excelize.StreamWriter
	numeric []bool
	head    []string
	sheets  int
	rows    int
}

func newXLSX(w io.Writer, numeric []bool) (*xlsxFile, error) {
	f := &xlsxFile{to: w, book: excelize.NewFile(), numeric: numeric}
	return f, f.next()
}

// next begins a sheet; every sheet begins with the headings.
func (f *xlsxFile) next() (err error) {
	if f.stream != nil {
		if err := f.stream.Flush(); err != nil {
			return err
		}
	}
	f.sheets++
	name := "Sheet" + strconv.Itoa(f.sheets)
	if _, err := f.book.NewSheet(name); err != nil { // the first is there already
		return err
	}
	f.stream, err = f.book.NewStreamWriter(name)
	f.rows = 0
	return err
}

// Row writes one row.
func (f *xlsxFile) Row(cells []string) error {
	if f.head == nil {
		f.head = append([]string{}, cells...)
	}
	if f.rows == maxRows {
		if err := f.next(); err != nil {
			return err
		}
		if err := f.put(f.head); err != nil {
			return err
		}
	}
	return f.put(cells)
}

func (f *xlsxFile) put(cells []string) error {
	f.rows++
	row := make([]any, len(cells))
	for i, s := range cells {
		if n, ok := number(s); ok && i < len(f.numeric) && f.numeric[i] {
			row[i] = n
		} else {
			row[i] = harmless(s)
		}
	}
	at, err := excelize.CoordinatesToCellName(1, f.rows)
	if err != nil {
		return err
	}
	return f.stream.SetRow(at, row)
}

// Close writes the file: it is a zip archive, which has its index at the end.
func (f *xlsxFile) Close() error {
	defer f.book.Close()
	if err := f.stream.Flush(); err != nil {
		return err
	}
	_, err := f.book.WriteTo(f.to)
	return err
}
