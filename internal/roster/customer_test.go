package roster

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/simplifiedchinese"

	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/errs"
	"parley/internal/party"
)

func people(t testing.TB, d *db.DB) *party.Store {
	t.Helper()
	k, err := party.OpenKeyring(t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	return party.NewStore(d, k)
}

func file(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func gb(t testing.TB, s string) string {
	t.Helper()
	out, err := simplifiedchinese.GB18030.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func workbook(t testing.TB, rows ...[]any) string {
	t.Helper()
	f := excelize.NewFile()
	for i, r := range rows {
		if err := f.SetSheetRow("Sheet1", fmt.Sprintf("A%d", i+1), &r); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "in.xlsx")
	if err := errors.Join(f.SaveAs(path), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func byRef(t testing.TB, d *db.DB, s *party.Store, ref string) *party.Party {
	t.Helper()
	var p *party.Party
	if err := d.Read(context.Background(), func(tx *db.Tx) (err error) { p, err = s.ByRef(context.Background(), tx, ref); return err }); err != nil {
		t.Fatalf("customer %q: %v", ref, err)
	}
	return p
}

func count(t testing.TB, d *db.DB, s *party.Store) (n int64) {
	t.Helper()
	if err := d.Read(context.Background(), func(tx *db.Tx) (err error) { n, err = s.Count(context.Background(), tx); return err }); err != nil {
		t.Fatal(err)
	}
	return n
}

// rejected reads a rejects file as "row field" entries.
func rejected(t testing.TB, path string) []string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(rows[0], []string{"row", "field", "reason_zh", "reason_en"}) {
		t.Fatalf("heading of the rejects: %v", rows[0])
	}
	var out []string
	for _, r := range rows[1:] {
		if r[2] == "" || r[3] == "" {
			t.Errorf("a reject without reasons: %v", r)
		}
		out = append(out, strings.TrimSpace(r[0]+" "+r[1]))
	}
	return out
}

// TestCustomersFromEveryForm: whatever the form, the same two customers come in.
func TestCustomersFromEveryForm(t *testing.T) {
	t.Parallel()
	const text = "ref,name,id_number,phone,email,lang,zone,region,attrs.等级\n" +
		"K1,张三丰,110101199001011234,13800138000,z@example.com,zh-CN,Asia/Shanghai,北京,金卡\r\n" +
		"\n" +
		"K2,\"欧阳\"\"大\"\"山\",,021-62345678,,,,,\n"
	with := func(sep string) string { return strings.ReplaceAll(text, ",", sep) }
	forms := map[string]func(t *testing.T) string{
		"utf-8":     func(t *testing.T) string { return file(t, "a.csv", text) },
		"bom":       func(t *testing.T) string { return file(t, "a.csv", "\xef\xbb\xbf"+text) },
		"gb18030":   func(t *testing.T) string { return file(t, "a.csv", gb(t, text)) },
		"semicolon": func(t *testing.T) string { return file(t, "a.csv", with(";")) },
		"tab":       func(t *testing.T) string { return file(t, "a.tsv", with("\t")) },
		"gb tab":    func(t *testing.T) string { return file(t, "a.tsv", gb(t, with("\t"))) },
		"no eol":    func(t *testing.T) string { return file(t, "a.csv", strings.TrimSuffix(text, "\n")) },
		"xlsx": func(t *testing.T) string {
			return workbook(t, []any{"ref", "name", "id_number", "phone", "email", "lang", "zone", "region", "attrs.等级"},
				[]any{"K1", "张三丰", "110101199001011234", 13800138000, "z@example.com", "zh-CN", "Asia/Shanghai", "北京", "金卡"},
				[]any{}, []any{"K2", `欧阳"大"山`, "", "021-62345678"})
		},
	}
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := people(t, d)
		for name, form := range forms {
			res, err := Customers(t.Context(), d, s, Options{Path: form(t)})
			if err != nil || res.Rows != 2 || res.Rejected != 0 || res.Rejects != "" || count(t, d, s) != 2 {
				t.Fatalf("%s: %+v, %v", name, res, err)
			}
			p := byRef(t, d, s, "K1")
			at, _ := p.Point(party.Phone)
			mail, _ := p.Point(party.Email)
			if p.Name != "张三丰" || p.IDNumber != "110101199001011234" || at.Value != "+8613800138000" || mail.Value != "z@example.com" || p.Region != "CN-BJ" || p.Attrs["等级"] != "金卡" {
				t.Errorf("%s: %+v", name, p)
			}
			q := byRef(t, d, s, "K2")
			if q.Name != `欧阳"大"山` || len(q.Points) != 1 || q.Points[0].Value != "+862162345678" {
				t.Errorf("%s: %+v", name, q)
			}
			if err := d.Write(t.Context(), func(tx *db.Tx) error { // so that the next form starts from nothing
				return errors.Join(s.Erase(t.Context(), tx, p.ID), s.Erase(t.Context(), tx, q.ID))
			}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func own(fields ...string) map[string]Source {
	m := map[string]Source{}
	for _, f := range fields {
		m[f] = Source{Column: f}
	}
	return m
}

// TestCustomerRejects: a row that cannot be used is set aside with its field,
// and every other row comes in.
func TestCustomerRejects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, row, reject string }{
		{"missing ref", ",a,,,", "3 ref"},
		{"bad phone", "X,a,12ab,,", "3 phone"},
		{"short service number", "X,a,95588,,", "3 phone"},
		{"bad zone", "X,a,,,Asia/Nowhere", "3 zone"},
		{"bad e-mail", "X,a,,nobody@,", "3 email"},
		{"too many cells", "X,a,,,,,", "3"},
		{"a row cut off", "X,a", "3"},
		{"unterminated quote", `X,"a,,,`, "3"},
		{"text after a quote", `X,"a"b,,,`, "3"},
		{"wrong encoding mid-file", "X,\xd5\xc5,,,", "3 name"},
		{"10 MB field", "X," + strings.Repeat("a", 10<<20) + ",,,", "3"},
		{"10 MB field in quotes", `X,"` + strings.Repeat("a", 10<<20) + `",,,`, "3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				s := people(t, d)
				path := file(t, "in.csv", "ref,name,phone,email,zone\nA1,一,13800138000,,\n"+c.row+"\nA2,二,,,\nA3,三,,,\n")
				res, err := Customers(t.Context(), d, s, Options{Path: path})
				if err != nil || res.Rows != 4 || res.Rejected != 1 || res.Rejects != path+".rejects.csv" {
					t.Fatalf("%+v, %v", res, err)
				}
				if got := rejected(t, res.Rejects); !slices.Equal(got, []string{c.reject}) {
					t.Errorf("rejects %q, want %q", got, c.reject)
				}
				if n := count(t, d, s); n != 3 || byRef(t, d, s, "A3").Name != "三" {
					t.Errorf("%d customers", n)
				}
			})
		})
	}
}

// TestCustomersKnowTheirRegion: however it is written, a region is the code that
// the rules' overlays ask for (CN-BJ-1WD); one that could be several is none.
func TestCustomersKnowTheirRegion(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := people(t, d)
		path := file(t, "in.csv", "ref,region\nR1,北京市\nR2,110105\nR3,beijing\nR4,\nR5,BJ\nR6,华北\n")
		res, err := Customers(t.Context(), d, s, Options{Path: path})
		if err != nil || res.Rows != 6 {
			t.Fatalf("%+v, %v", res, err)
		}
		if got := rejected(t, res.Rejects); !slices.Equal(got, []string{"6 region", "7 region"}) {
			t.Errorf("rejects %q", got)
		}
		for ref, want := range map[string]string{"R1": "CN-BJ", "R2": "CN-BJ", "R3": "CN-BJ", "R4": ""} {
			if p := byRef(t, d, s, ref); p.Region != want {
				t.Errorf("%s lives in %q, want %q", ref, p.Region, want)
			}
		}
	})
}

// TestMapping: what is wrong with a mapping is said before anything is read in.
func TestMapping(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, yaml, code, says string }{
		{"unknown key, with its line", "fields:\n  ref: {column: no}\nfilds: {}\n", "mapping_invalid", "[3:1]"},
		{"unknown key of a source", "fields:\n  ref: {colum: no}\n", "mapping_invalid", "colum"},
		{"unknown column", "fields:\n  ref: {column: nummer}\n", "mapping_column", "no, who"},
		{"unknown column of only", "fields:\n  ref: {column: no}\nonly: {state: [open]}\n", "mapping_column", "state"},
		{"unknown field", "fields:\n  reff: {column: no}\n", "mapping_field", "reff"},
		{"two sources", "fields:\n  ref: {column: no, const: x}\n", "mapping_source", "ref"},
		{"no number in row", "fields:\n  ref: {row: UCI}\n", "mapping_row", "UCI-%06d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := file(t, "in.csv", "no,who\n1,a\n")
			m, err := ReadMapping(file(t, "m.yaml", c.yaml))
			if err == nil {
				var r *Reader
				if r, err = Open(path); err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				_, err = bind(m, r.Header(), customerFields)
			}
			if e := errs.Public(err); err == nil || e.Code != c.code || !strings.Contains(e.En, c.says) || !strings.Contains(e.Zh+e.En, c.says) {
				t.Fatalf("%v; want %s with %q", err, c.code, c.says)
			}
		})
	}
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := people(t, d)
		path := file(t, "in.csv", "no,who,sex,state\n1,甲,f,open\n2,乙,m, closed \n3,丙,x,new\n")
		m, err := ParseMapping("m.yaml", []byte("fields:\n  ref: {row: 'T-%03d'}\n  name: {column: who}\n  lang: {const: en}\n"+
			"  attrs.sex: {column: sex, values: {f: female, m: male}}\nonly: {state: [open, new]}\n"))
		if err != nil {
			t.Fatal(err)
		}
		res, err := Customers(t.Context(), d, s, Options{Path: path, Mapping: m})
		if err != nil || res.Rows != 3 || res.Left != 1 || count(t, d, s) != 2 {
			t.Fatalf("%+v, %v", res, err)
		}
		if p := byRef(t, d, s, "T-001"); p.Name != "甲" || p.Lang != "en" || p.Attrs["sex"] != "female" {
			t.Errorf("%+v", p)
		}
		if p := byRef(t, d, s, "T-003"); p.Attrs["sex"] != "x" { // what has no meaning given is kept
			t.Errorf("%+v", p)
		}
	})
}

func TestFilesThatAreNone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ path, code string }{
		"empty":    {file(t, "a.csv", ""), "sheet_empty"},
		"no file":  {filepath.Join(t.TempDir(), "none.csv"), "sheet_unreadable"},
		"not xlsx": {file(t, "a.xlsx", "PK\x03\x04 this is no workbook"), "sheet_unreadable"},
	} {
		if _, err := Open(c.path); err == nil || errs.Public(err).Code != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := bind(nil, []string{"a", "b"}, customerFields); err == nil || errs.Public(err).Code != "mapping_missing" {
		t.Errorf("a heading without known names: %v", err)
	}
}
