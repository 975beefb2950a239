package bench

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"parley/internal/db"
	"parley/internal/party"
	"parley/internal/roster"
)

// importGoal is rows per second with encryption (issue 2, point 7).
const importGoal = 40_000

// importBatch is how many rows the yardstick puts into one transaction, as the import does.
const importBatch = 4000

// Import measures how many customers a second come in from a CSV file, each
// encrypted under a key of its own and indexed by number and phone, against
// the same file read by encoding/csv and inserted as it is.
func Import(ctx context.Context, o Options, r *Report) error {
	rows := 300_000
	if o.Quick {
		rows = 60_000
	}
	for _, engine := range Measured(o, r) {
		if err := benchImport(ctx, o, r, engine, rows); err != nil {
			return fmt.Errorf("bench import on %s: %w", engine, err)
		}
	}
	return nil
}

func benchImport(ctx context.Context, o Options, r *Report, engine string, rows int) error {
	dir, err := os.MkdirTemp(o.Dir, "import-")
	if err != nil {
		return fmt.Errorf("scratch directory: %w", err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "customers.csv")
	if err := writeCustomers(path, rows); err != nil {
		return err
	}
	bare, err := onFresh(ctx, o, engine, func(d *db.DB) (time.Duration, error) { return importBare(ctx, d, path) })
	if err != nil {
		return err
	}
	var peak uint64
	took, err := onFresh(ctx, o, engine, func(d *db.DB) (time.Duration, error) {
		took, p, err := importSealed(ctx, d, dir, path, rows)
		peak = p
		return took, err
	})
	if err != nil {
		return err
	}
	case_ := fmt.Sprintf("rows=%d", rows)
	r.Add("import", engine, case_, "rows_per_s", float64(rows)/took.Seconds(), "1/s", importGoal)
	r.Add("import", engine, case_, "bare_rows_per_s", float64(rows)/bare.Seconds(), "1/s", 0)
	r.Add("import", engine, case_, "ratio_to_bare_insert", bare.Seconds()/took.Seconds(), "ratio", 0)
	r.Add("import", engine, case_, "peak_heap", float64(peak)/(1<<20), "MiB", 0)
	return nil
}

// onFresh runs one measurement on a database of its own.
func onFresh(ctx context.Context, o Options, engine string, measure func(*db.DB) (time.Duration, error)) (time.Duration, error) {
	d, closeDB, err := openEngine(ctx, o, engine)
	if err != nil {
		return 0, err
	}
	defer closeDB()
	runtime.GC() // of what was measured before
	return measure(d)
}

var customerHeader = []string{"ref", "name", "id_number", "phone", "email", "region", "lang"}

// writeCustomers makes a list of fictitious customers; the numbers are in a
// range that reaches nobody.
func writeCustomers(path string, rows int) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("list of customers: %w", err)
	}
	w := csv.NewWriter(bufio.NewWriter(f))
	rnd := rand.New(rand.NewPCG(1, 2))
	surnames, given, places := []rune("王李张刘陈杨黄赵周吴"), []rune("伟芳娜敏静丽强磊军洋"), []string{"北京", "上海", "广东", "四川", "浙江"}
	err = w.Write(customerHeader)
	for i := 0; i < rows && err == nil; i++ {
		name := string([]rune{surnames[rnd.IntN(10)], given[rnd.IntN(10)], given[rnd.IntN(10)]})
		err = w.Write([]string{fmt.Sprintf("C%09d", i), name, fmt.Sprintf("11010119%02d0101%04d", i%100, i%10000),
			fmt.Sprintf("+9990%09d", rnd.IntN(1e9)), fmt.Sprintf("c%d@example.com", i), places[i%5], "zh-CN"})
	}
	w.Flush()
	return errors.Join(err, w.Error(), f.Close())
}

// importSealed is what the bank does.
func importSealed(ctx context.Context, d *db.DB, dir, path string, rows int) (took time.Duration, peak uint64, err error) {
	keys, err := party.OpenKeyring(filepath.Join(dir, "keys"), true)
	if err != nil {
		return 0, 0, err
	}
	var m runtime.MemStats
	start := time.Now()
	res, err := roster.Customers(ctx, d, party.NewStore(d, keys), roster.Options{
		Path: path, Rejects: filepath.Join(dir, "rejects.csv"), By: "bench",
		Progress: func(int64, int64) {
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		},
	})
	took = time.Since(start)
	if err == nil && (res.Rows != int64(rows) || res.Rejected != 0) {
		err = fmt.Errorf("%d rows in and %d rejected, of %d", res.Rows, res.Rejected, rows)
	}
	return took, peak, err
}

// importBare reads the same file and inserts its columns as they are, in
// transactions of the same size.
func importBare(ctx context.Context, d *db.DB, path string) (time.Duration, error) {
	if err := d.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, "CREATE TABLE bench_plain (ref TEXT PRIMARY KEY, name TEXT, id_number TEXT, phone TEXT, email TEXT, region TEXT, lang TEXT)")
		return err
	}); err != nil {
		return 0, err
	}
	f, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("list of customers: %w", err)
	}
	defer f.Close()
	start := time.Now()
	in := csv.NewReader(bufio.NewReader(f))
	if _, err := in.Read(); err != nil {
		return 0, fmt.Errorf("list of customers: %w", err)
	}
	for last := false; !last; {
		var rows [][]any
		for len(rows) < importBatch {
			rec, err := in.Read()
			if last = errors.Is(err, io.EOF); last {
				break
			}
			if err != nil {
				return 0, fmt.Errorf("list of customers: %w", err)
			}
			row := make([]any, len(rec))
			for i, c := range rec {
				row[i] = c
			}
			rows = append(rows, row)
		}
		if err := d.Write(ctx, func(tx *db.Tx) error { return tx.Insert(ctx, "bench_plain", customerHeader, "", rows) }); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}
