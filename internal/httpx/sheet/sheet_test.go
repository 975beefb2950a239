package sheet

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"
)

var rows = [][]string{
	{"客户", "次数"},
	{"=HYPERLINK(\"http://x\")", "41,188"},
	{"@SUM(A1)", "-5"},
	{"＝1+1", "-cmd"},
	{"张**, \"甲\"", ""},
}

// OWASP, CSV injection: no cell may begin as a formula; numbers stay numbers.
var harmlessRows = [][]string{
	{"客户", "次数"},
	{"'=HYPERLINK(\"http://x\")", "41188"},
	{"'@SUM(A1)", "-5"},
	{"'＝1+1", "'-cmd"},
	{"张**, \"甲\"", ""},
}

func write(t *testing.T, f Format) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := New(f, &b, []bool{false, true})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if err := w.Row(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCSV(t *testing.T) {
	t.Parallel()
	raw := string(write(t, CSV))
	body, ok := strings.CutPrefix(raw, "\ufeff")
	if !ok || !strings.Contains(body, "\r\n") {
		t.Errorf("no byte order mark, or lines that do not end as RFC 4180 says: %q", raw)
	}
	got, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(harmlessRows, got); d != "" {
		t.Error(d)
	}
}

func TestXLSX(t *testing.T) {
	t.Parallel()
	book, err := excelize.OpenReader(bytes.NewReader(write(t, XLSX)))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	got, err := book.GetRows("Sheet1")
	if err != nil {
		t.Fatal(err)
	}
	want := append([][]string{}, harmlessRows...)
	want[4] = []string{"张**, \"甲\"", ""}
	for i := range got {
		for len(got[i]) < 2 {
			got[i] = append(got[i], "")
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for i := range want {
		if f, _ := book.GetCellFormula("Sheet1", "A"+string(rune('1'+i))); f != "" {
			t.Errorf("row %d holds a formula: %s", i, f)
		}
	}
	if typ, _ := book.GetCellType("Sheet1", "B2"); typ != excelize.CellTypeUnset && typ != excelize.CellTypeNumber {
		t.Errorf("a number was written as text: %v", typ)
	}
}

func TestNoOtherFormat(t *testing.T) {
	t.Parallel()
	if _, err := New("exe", &bytes.Buffer{}, nil); err == nil {
		t.Error("an unknown format was accepted")
	}
}
