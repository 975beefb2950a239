package roster

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"parley/internal/consent"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/errs"
)

// many writes n customers; every hundredth has a phone that is none.
func many(t testing.TB, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "many.csv")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "ref,name,phone,purposes")
	for i := range n {
		number := fmt.Sprintf("+99901%07d", i)
		if i%100 == 99 {
			number = "none"
		}
		fmt.Fprintf(w, "C%07d,客户%d,%s,marketing\n", i, i, number)
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTwiceIsOnce: a file that is in is not taken in again; by another mapping
// it is another import, and known customers are not doubled.
func TestTwiceIsOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, cs, path := people(t, d), consent.NewStore(d, nil), many(t, 2500)
		first, err := Customers(t.Context(), d, s, Options{Path: path})
		if err != nil || first.Already || first.Rows != 2500 || first.Rejected != 25 {
			t.Fatalf("%+v, %v", first, err)
		}
		again, err := Customers(t.Context(), d, s, Options{Path: path})
		if err != nil || !again.Already || again.Hash != first.Hash || again.Rows != 2500 {
			t.Fatalf("%+v, %v", again, err)
		}
		other, err := Customers(t.Context(), d, s, Options{Path: path, Mapping: &Mapping{raw: []byte("x"), Fields: own("ref", "name")}})
		if err != nil || other.Already || other.Rejected != 0 || count(t, d, s) != 2500 {
			t.Fatalf("%+v, %v", other, err)
		}
		for i := range 2 { // the same file as consents is not "in already" …
			res, err := Consents(t.Context(), d, s, cs, shanghai, Options{Path: path})
			if err != nil || res.Already != (i == 1) {
				t.Fatalf("%+v, %v", res, err)
			}
		}
		if st := standing(t, d, s, cs, "C0002400"); len(st.Grants) != 1 { // … and gives one grant
			t.Errorf("%+v", st)
		}
	})
}

// TestResume breaks an import off and runs it again: nothing twice, all in.
func TestResume(t *testing.T) {
	t.Parallel()
	const n = 40_000
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, cs, path := people(t, d), consent.NewStore(d, nil), many(t, n)
		rejects := filepath.Join(t.TempDir(), "rejects.csv")
		broken := func(run func(context.Context, Options) (Result, error)) Result {
			t.Helper()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			calls := 0
			// Six batches are under way at most, so at the eighth one at least is in.
			_, err := run(ctx, Options{Path: path, Rejects: rejects, Progress: func(done, total int64) {
				if calls++; calls == 8 {
					cancel()
				}
			}})
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("it was not broken off: %v", err)
			}
			res, err := run(t.Context(), Options{Path: path, Rejects: rejects})
			if err != nil || res.Already || res.Skipped < batchRows || res.Skipped >= n || res.Rows != n {
				t.Fatalf("%+v, %v", res, err)
			}
			return res
		}
		res := broken(func(ctx context.Context, o Options) (Result, error) { return Customers(ctx, d, s, o) })
		if res.Rejected != n/100 || count(t, d, s) != n-n/100 {
			t.Fatalf("%+v, %d customers", res, count(t, d, s))
		}
		got := rejected(t, rejects)
		if unique := slices.Compact(slices.Clone(got)); len(got) != n/100 || len(unique) != len(got) || got[0] != "101 phone" {
			t.Errorf("%d rejects, first %q", len(got), got[:1])
		}
		if err := os.Remove(rejects); err != nil {
			t.Fatal(err)
		}
		broken(func(ctx context.Context, o Options) (Result, error) { return Consents(ctx, d, s, cs, shanghai, o) })
		for i := 0; i < n; i += 997 {
			if i%100 == 99 {
				continue // no such customer
			}
			if st := standing(t, d, s, cs, fmt.Sprintf("C%07d", i)); len(st.Grants) != 1 {
				t.Fatalf("row %d: %+v", i, st)
			}
		}
	})
}

// TestTwoAtOnce: of two imports of one file at the same time one is told so.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, cs, path := known(t, d), consent.NewStore(d, nil), file(t, "in.csv", "ref,purposes\nA1,marketing\n")
		_, err := Consents(t.Context(), d, s, cs, shanghai, Options{Path: path, Progress: func(int64, int64) {}})
		if err != nil {
			t.Fatal(err)
		}
		res := Result{}
		if res.Hash, err = fingerprint("consents", Options{Path: path}); err != nil {
			t.Fatal(err)
		}
		late := make(chan *batch, 1) // a run that began before the other ended
		late <- &batch{last: 1, work: work{write: func(context.Context, *db.Tx) ([]Reject, error) { return nil, nil }}}
		close(late)
		if err := writeAll(t.Context(), d, &rejectFile{}, late, &res); err == nil || errs.Public(err).Code != "import_twice" {
			t.Fatalf("the second: %v", err)
		}
	})
}

// TestMemoryIsBounded: a long file takes no more memory than a few batches, and
// nothing of a batch stays behind.
func TestMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 200,000 rows")
	}
	d := dbtest.Open(t, dbtest.URL(t, "sqlite"), nil)
	heap := func() int64 {
		var ms runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&ms)
		return int64(ms.HeapAlloc)
	}
	path, short := many(t, 200_000), many(t, 60_000)
	s, before := people(t, d), heap()
	// Rows of one batch, prepared, take some 2.5 MiB; all of the rows read or
	// taken in here would be ten times this and more.
	const most = 8 << 20
	r, err := Open(path) // all of it is read …
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for n := 0; ; n++ {
		if _, _, err := r.Next(); errors.Is(err, io.EOF) && n == 200_000 {
			break
		} else if err != nil {
			t.Fatal(n, err)
		}
		if n%20_000 == 0 {
			if grown := heap() - before; grown > most {
				t.Fatalf("the heap grew by %d KiB while %d rows were read", grown>>10, n)
			}
		}
	}
	// … and so much taken in that holding on to it would show. While this looks
	// nothing more is read, and what is under way comes to its end: how much that
	// is at a moment, with what nobody has swept up yet, is a matter of the machine.
	calls := 0
	watch := func(int64, int64) {
		if calls++; calls%5 != 0 {
			return
		}
		grown := heap() - before
		for end := time.Now().Add(time.Minute); grown > most && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			grown = heap() - before
		}
		if grown > most {
			t.Errorf("the heap keeps %d KiB of %d batches", grown>>10, calls)
		}
	}
	if res, err := Customers(t.Context(), d, s, Options{Path: short, Progress: watch}); err != nil || res.Rows != 60_000 {
		t.Fatalf("%+v, %v", res, err)
	}
	if calls < 15 {
		t.Errorf("only %d batches were seen", calls)
	}
}

// TestLongFieldIsNotHeld: a 10 MB field is passed over without being kept.
func TestLongFieldIsNotHeld(t *testing.T) {
	t.Parallel()
	r, err := newCSV(memory{bytes.NewReader([]byte("a,b\n1," + strings.Repeat("x", 10<<20) + "\n2,y\n"))})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []error{nil, errTooLong, nil, io.EOF} {
		if _, err := r.next(); !errors.Is(err, want) {
			t.Fatalf("record %d: %v, want %v", i, err, want)
		}
	}
	if held := cap(r.record) + cap(r.again); held > 4<<20 {
		t.Errorf("%d bytes are held", held)
	}
}

// TestOpenQuote: of rows after a quote that never ends none is lost, wherever
// the quote is and however much follows.
func TestOpenQuote(t *testing.T) {
	t.Parallel()
	for _, follow := range []int{0, 1, 100, 60_000} { // rows; the last are more than the limit
		var b strings.Builder
		b.WriteString("a,b\n1,\"open\n")
		for i := range follow {
			fmt.Fprintf(&b, "row %d,\"quoted \"\"%d\"\"\"\n", i, i)
		}
		b.WriteString("2,\"open again\nlast,y")
		r, err := newCSV(memory{strings.NewReader(b.String())})
		if err != nil {
			t.Fatal(err)
		}
		good, bad, last := 0, 0, ""
		for {
			cells, err := r.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if errors.Is(err, errQuote) {
				bad++
				continue
			}
			if err != nil || len(cells) != 2 {
				t.Fatalf("%q, %v", cells, err)
			}
			good, last = good+1, cells[0]
		}
		if good != follow+2 || bad != 2 || last != "last" {
			t.Errorf("%d rows between: %d good, %d bad, last %q", follow, good, bad, last)
		}
	}
}

func TestFewWrongBytesAreStillUTF8(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"ref,name\n1,张三\n2,李四\n3,\xd5\xc5\n": true,
		gb(t, "客户号,姓名\n1,张三丰\n"):             false,
		"plain":                              true,
		"姓名"[:5]:                             true, // cut off by the end of what was looked at
	} {
		if got := isUTF8([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

type memory struct{ io.ReadSeeker }

func (memory) Close() error { return nil }

// FuzzCSV: the reader takes any bytes, ends, and reads what encoding/csv reads
// where that finds no fault.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "a;b\r\n\"x\"\"y\";\"1\n2\"\r\n", "\"a\n\"b\nc\n", "\xef\xbb\xbfa\tb\n\n1\t2", "\xd5\xc5,1\n", "\"", "a\r\r\n\r\n\"\"\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := newCSV(memory{bytes.NewReader(in)})
		if err != nil {
			t.Fatal(err)
		}
		var got [][]string
		faults := 0
		for n := 0; ; n++ {
			if n > len(in)+1 {
				t.Fatal("more records than bytes")
			}
			cells, err := r.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				if !errors.Is(err, errQuote) && !errors.Is(err, errTooLong) {
					t.Fatal(err)
				}
				faults++
				continue
			}
			row := make([]string, len(cells))
			for i, c := range cells {
				row[i] = strings.ReplaceAll(c, "\r\n", "\n") // as encoding/csv does within quotes
			}
			got = append(got, row)
		}
		if !utf8.Valid(in) || bytes.HasPrefix(in, []byte("\xef\xbb\xbf")) || len(in) > maxRecord {
			return
		}
		std := csv.NewReader(bytes.NewReader(in))
		std.Comma, std.FieldsPerRecord = rune(r.comma), -1
		want, err := std.ReadAll()
		if err != nil {
			return
		}
		if faults > 0 || !slices.EqualFunc(got, want, slices.Equal[[]string]) {
			t.Fatalf("%q and %d faults, encoding/csv has %q", got, faults, want)
		}
	})
}
