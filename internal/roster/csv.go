package roster

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/transform"
)

// maxRecord bounds one row, in bytes: a larger one is refused, not read into memory.
const maxRecord = 1 << 20

// Errors of one row; the rows after it are read on.
var (
	errTooLong = errors.New("row is longer than 1 MiB")
	errQuote   = errors.New("a quoted field does not end")
)

// csvReader reads delimited text in UTF-8 or GB18030, a record at a time.
type csvReader struct {
	raw    io.Closer
	in     *bufio.Reader
	count  *counter
	comma  byte
	record []byte // with its line end
	cells  []string
	// Lines that a quote which never ended had swallowed: they are read once more,
	// from pos on. The record at hand began at from.
	again     []byte
	from, pos int
}

// counter counts the bytes of the file that were read, for progress.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func newCSV(f io.ReadSeekCloser) (*csvReader, error) {
	head := make([]byte, 64<<10)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	head = head[:n]
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	r := &csvReader{raw: f, count: &counter{r: f}}
	var src io.Reader = r.count
	if !isUTF8(head) {
		src = transform.NewReader(src, simplifiedchinese.GB18030.NewDecoder())
	}
	r.in = bufio.NewReaderSize(src, 256<<10)
	if b, err := r.in.Peek(3); err == nil && bytes.Equal(b, []byte("\xef\xbb\xbf")) {
		_, _ = r.in.Discard(3) // just peeked
	}
	heading, _, _ := bytes.Cut(head, []byte("\n"))
	r.comma = ','
	for _, c := range []byte{';', '\t'} {
		if bytes.Count(heading, []byte{c}) > bytes.Count(heading, []byte{r.comma}) {
			r.comma = c
		}
	}
	return r, nil
}

// isUTF8 reports whether the beginning of a file is UTF-8. A few wrong bytes in
// text that otherwise is do not make it GB18030: those rows are refused, where
// the other reading would spoil every name in the file. Characters of three
// bytes, as Chinese ones are, tell: GB18030 hardly ever looks like them.
func isUTF8(head []byte) bool {
	good, bad := 0, 0
	for len(head) > 0 {
		c, n := utf8.DecodeRune(head)
		switch {
		case c == utf8.RuneError && n == 1:
			if !utf8.FullRune(head) { // cut off by the end of head
				return bad <= good
			}
			bad++
		case n > 2:
			good++
		}
		head = head[n:]
	}
	return bad <= good
}

// next gives the cells of the next record, valid until the call after it. A row
// error concerns this record only.
func (r *csvReader) next() ([]string, error) {
	for {
		if err := r.read(); err != nil {
			return nil, err
		}
		if text := line(r.record); len(text) > 0 { // empty lines are no rows
			cells, err := r.split(string(text))
			if err != nil {
				r.rewind()
			}
			return cells, err
		}
	}
}

// line is a record without the line end.
func line(record []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(record, []byte("\n")), []byte("\r"))
}

// read takes bytes up to a line end outside quotes. When a quote does not end
// within the limit, only the line it is on is lost.
func (r *csvReader) read() error {
	r.record, r.from = r.record[:0], r.pos
	quoted := false
	for {
		part, err := r.slice()
		quoted = quoted != (bytes.Count(part, []byte{'"'})%2 == 1)
		r.record = append(r.record, part...)
		switch {
		case len(r.record) > maxRecord:
			if r.rewind() {
				return errQuote
			}
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = r.slice()
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			return errTooLong
		case err == nil && !quoted:
			return nil
		case errors.Is(err, io.EOF):
			if len(r.record) == 0 {
				return io.EOF
			}
			if quoted {
				r.rewind()
				return errQuote
			}
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}

// slice is ReadSlice up to a line end, of what is to be read again first.
func (r *csvReader) slice() ([]byte, error) {
	rest := r.again[r.pos:]
	if len(rest) == 0 {
		return r.in.ReadSlice('\n')
	}
	if i := bytes.IndexByte(rest, '\n'); i >= 0 {
		r.pos += i + 1
		return rest[:i+1], nil
	}
	r.pos = len(r.again)
	return rest, bufio.ErrBufferFull // the line goes on in the file
}

// rewind goes back to the second line of the record at hand, and reports
// whether there is one.
func (r *csvReader) rewind() bool {
	first := bytes.IndexByte(r.record, '\n') + 1
	if first == 0 || first == len(r.record) {
		return false
	}
	if len(r.record) <= len(r.again)-r.from {
		r.pos = r.from + first
	} else { // it went on in the file, so all that was to be read again is in it
		r.again, r.pos = append([]byte(nil), r.record[first:]...), 0
	}
	return true
}

// split takes a record apart (RFC 4180).
func (r *csvReader) split(text string) ([]string, error) {
	r.cells = r.cells[:0]
	for {
		if !strings.HasPrefix(text, `"`) {
			i := strings.IndexByte(text, r.comma)
			if i < 0 {
				r.cells = append(r.cells, text)
				return r.cells, nil
			}
			r.cells = append(r.cells, text[:i])
			text = text[i+1:]
			continue
		}
		end := closing(text)
		if end < 0 {
			return r.cells, errQuote
		}
		r.cells = append(r.cells, strings.ReplaceAll(text[1:end], `""`, `"`))
		text = text[end+1:]
		if text == "" {
			return r.cells, nil
		}
		if text[0] != r.comma {
			return r.cells, errQuote
		}
		text = text[1:]
	}
}

// closing finds the quote that ends the field text begins with.
func closing(text string) int {
	for i := 1; i < len(text); i++ {
		if text[i] != '"' {
			continue
		}
		if i+1 < len(text) && text[i+1] == '"' {
			i++
			continue
		}
		return i
	}
	return -1
}

func (r *csvReader) whole() bool { return true }

func (r *csvReader) read0() int64 { return r.count.n }

func (r *csvReader) close() error { return r.raw.Close() }
