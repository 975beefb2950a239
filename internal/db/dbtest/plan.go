package dbtest

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"parley/internal/db"
)

// Asked gives the queries that fn makes on d, each text once, with the
// parameters of the first time.
func Asked(t testing.TB, d *db.DB, fn func()) (queries []Query) {
	t.Helper()
	seen := map[string]bool{}
	stop := d.Watch(func(q string, args []any) {
		if !seen[q] && isQuery.MatchString(q) {
			seen[q] = true
			queries = append(queries, Query{q, args})
		}
	})
	defer stop()
	fn()
	return queries
}

var isQuery = regexp.MustCompile(`(?i)^\s*(SELECT|WITH)\b`)

// Query is a query with its parameters.
type Query struct {
	Text string
	Args []any
}

// Plan gives how the engine answers a query, as it writes it. On PostgreSQL,
// where a table of a test is too small for an index to pay, whole tables are
// read and rows sorted only if there is no other way.
func Plan(t testing.TB, d *db.DB, q Query) string {
	t.Helper()
	var lines []string
	ctx := context.Background()
	err := d.Write(ctx, func(tx *db.Tx) error { // SET LOCAL holds for a transaction, and readers have none
		explain := "EXPLAIN QUERY PLAN "
		if d.Dialect().Name() == "postgres" {
			explain = "EXPLAIN "
			for _, off := range []string{"enable_seqscan", "enable_sort", "enable_incremental_sort", "enable_bitmapscan"} {
				if _, err := tx.Exec(ctx, "SET LOCAL "+off+" = off"); err != nil {
					return err
				}
			}
		}
		return tx.Each(ctx, func(rs *sql.Rows) error {
			cols, err := rs.Columns()
			if err != nil {
				return err
			}
			cells := make([]any, len(cols))
			for i := range cells {
				cells[i] = new(any)
			}
			if err := rs.Scan(cells...); err != nil {
				return err
			}
			lines = append(lines, fmt.Sprint(*cells[len(cells)-1].(*any)))
			return nil
		}, explain+q.Text, q.Args...)
	})
	if err != nil {
		t.Fatalf("plan of %s: %v", q.Text, err)
	}
	return strings.Join(lines, "\n")
}

var (
	// Steps whose cost grows with a table, whatever is asked.
	never = regexp.MustCompile(`Seq Scan on \w+|(?:^|-> +)(?:Incremental )?Sort  \(|USE TEMP B-TREE.*`)
	// Steps that walk a table or an index from its start.
	walk = regexp.MustCompile(`^SCAN (?:TABLE )?\w+.*|Index (?:Only )?Scan (?:Backward )?using \w+ on \w+`)
	// A query that shows the first rows of a table as they stand in an index.
	bare = regexp.MustCompile(`(?is)^(.*?)(?:WHERE 1 = 1)?\s*ORDER BY .* LIMIT \S+$`)
)

// growing gives the steps of a plan whose cost grows with a table: reading all
// of it, sorting what no index gives in order, and walking an index while
// leaving out what is not asked for.
func growing(q Query, plan string) (steps []string) {
	lines := strings.Split(plan, "\n")
	first := bare.FindStringSubmatch(q.Text)
	page := first != nil && !strings.Contains(strings.ToUpper(first[1]), "WHERE")
	for i, l := range lines {
		l = strings.TrimSpace(l)
		if step := never.FindString(l); step != "" {
			steps = append(steps, step)
			continue
		}
		step := walk.FindString(l)
		switch {
		case step == "" || page && strings.HasPrefix(step, "SCAN"):
		case strings.HasPrefix(step, "SCAN"):
			steps = append(steps, step)
		default: // PostgreSQL says below the step what it looks for and what it leaves out
			cond, filter := false, false
			for _, below := range lines[i+1:] {
				below = strings.TrimSpace(below)
				if strings.HasPrefix(below, "->") || strings.HasPrefix(below, "SubPlan") || strings.HasPrefix(below, "InitPlan") || strings.HasPrefix(below, "CTE") {
					break
				}
				cond = cond || strings.HasPrefix(below, "Index Cond:")
				filter = filter || strings.HasPrefix(below, "Filter:")
			}
			if filter && !cond {
				steps = append(steps, step+" (filtered)")
			}
		}
	}
	return steps
}

// Indexed runs fn and fails for every query it makes that reads a whole table,
// sorts, or walks past what it does not show, save tables that stay small.
func Indexed(t testing.TB, d *db.DB, fn func(), small ...string) {
	t.Helper()
	asked := Asked(t, d, fn)
	if len(asked) == 0 {
		t.Error("nothing was asked of the database")
	}
	for _, q := range asked {
		plan := Plan(t, d, q)
		for _, step := range growing(q, plan) {
			if !smallTable(step, small) {
				t.Errorf("%s\nreads more than it shows: %s\n%s", q.Text, step, plan)
			}
		}
	}
}

func smallTable(step string, small []string) bool {
	for _, s := range small {
		if strings.Contains(step, " "+s) {
			return true
		}
	}
	return false
}
