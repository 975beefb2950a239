// Package whatif asks of a campaign that Parley never saw: had nobody been
// called more than N times, how many calls would have been spared, and how many
// successes lost? It reads the campaign's log and needs nothing else.
package whatif

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"parley/internal/errs"
)

// Columns names what is read of a campaign log, which has a row for each person.
type Columns struct {
	Contacts string // number of contacts made to the person
	Outcome  string // whether it succeeded in the end
	Success  string // what that column says then
}

// Log is a campaign, by how often people were contacted.
type Log struct {
	people, bought map[int]int64
}

// maxContacts bounds the contacts of one person; more is a slip of the pen.
const maxContacts = 100_000

// Read reads a campaign log: CSV with a header, parted by commas, semicolons or
// tabs. A row that cannot be read is an error that names row and column, for a
// share of an unknown whole would mislead.
func Read(name string, r io.Reader, c Columns) (*Log, error) {
	in := bufio.NewReader(r)
	head, err := in.Peek(4096)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	line, _, _ := strings.Cut(string(head), "\n")
	rows := csv.NewReader(in)
	rows.Comma, rows.ReuseRecord = ',', true
	for _, sep := range []rune{';', '\t'} {
		if strings.Count(line, string(sep)) > strings.Count(line, string(rows.Comma)) {
			rows.Comma = sep
		}
	}
	cells, err := rows.Read()
	if errors.Is(err, io.EOF) {
		return nil, bad("文件 "+name+" 是空的。", name+" is empty.")
	}
	if err != nil {
		return nil, bad(name+" 读不了："+err.Error(), name+" cannot be read: "+err.Error())
	}
	contacts, outcome, err := c.find(name, cells)
	if err != nil {
		return nil, err
	}
	log := &Log{people: map[int]int64{}, bought: map[int]int64{}}
	for n := 2; ; n++ {
		cells, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, bad(name+" 读不了："+err.Error(), name+" cannot be read: "+err.Error())
		}
		k, err := strconv.Atoi(strings.TrimSpace(cells[contacts]))
		if err != nil || k < 0 || k > maxContacts {
			return nil, bad(fmt.Sprintf("%s 第 %d 行：%s 列的“%s”不是联系次数。", name, n, c.Contacts, cells[contacts]),
				fmt.Sprintf("%s row %d: %q in column %s is not a number of contacts.", name, n, cells[contacts], c.Contacts))
		}
		log.people[k]++
		if strings.EqualFold(strings.TrimSpace(cells[outcome]), c.Success) {
			log.bought[k]++
		}
	}
	if len(log.people) == 0 {
		return nil, bad(name+" 只有表头，没有数据。", name+" has a header and no rows.")
	}
	return log, nil
}

// find gives the places of the two columns.
func (c Columns) find(name string, header []string) (contacts, outcome int, err error) {
	at := func(want string) int {
		i := slices.IndexFunc(header, func(h string) bool {
			return strings.EqualFold(strings.TrimSpace(strings.TrimPrefix(h, "\ufeff")), want)
		})
		if i < 0 && err == nil {
			have := strings.Join(header, ", ")
			err = bad(fmt.Sprintf("%s 没有 %s 列；已有的列：%s。用 --contacts 和 --outcome 指定。", name, want, have),
				fmt.Sprintf("%s has no column %s; it has %s. Name yours with --contacts and --outcome.", name, want, have))
		}
		return i
	}
	return at(c.Contacts), at(c.Outcome), err
}

func bad(zh, en string) error { return errs.New(errs.Invalid, "campaign_log", zh, en) }

// Point is what one cap would have spared and kept.
type Point struct {
	Cap     int     `json:"cap"`     // contacts at most to one person
	Avoided float64 `json:"avoided"` // share of all contacts that would not have been made
	Kept    float64 `json:"kept"`    // share of successes that would still have come: those within the cap
}

// Report is the whole answer.
type Report struct {
	People    int64     `json:"people"`
	Contacts  int64     `json:"contacts"`
	Successes int64     `json:"successes"`
	Curve     []Point   `json:"curve"`
	Packs     []PackCap `json:"packs"`
}

// Report gives the curve for caps from one to most, and what each pack's caps
// come to.
func (l *Log) Report(most int, caps []PackCap) Report {
	var r Report
	for k, n := range l.people {
		r.People += n
		r.Contacts += int64(k) * n
		r.Successes += l.bought[k]
	}
	for c := 1; c <= most; c++ {
		r.Curve = append(r.Curve, l.at(c, &r))
	}
	for _, p := range caps {
		if p.Rule != "" {
			p.Point = l.at(p.Cap, &r)
		}
		r.Packs = append(r.Packs, p)
	}
	return r
}

// at judges one cap. A success is kept when it took no more contacts than that.
func (l *Log) at(limit int, all *Report) Point {
	var avoided, kept int64
	for k, n := range l.people {
		if k > limit {
			avoided += int64(k-limit) * n
		} else {
			kept += l.bought[k]
		}
	}
	return Point{Cap: limit, Avoided: share(avoided, all.Contacts), Kept: share(kept, all.Successes)}
}

func share(n, of int64) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}
