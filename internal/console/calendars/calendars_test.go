package calendars

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"parley/internal/access"
	"parley/internal/approval"
	"parley/internal/approval/approvaltest"
	"parley/internal/calendar"
	"parley/internal/console/frame/frametest"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/holidays"
	"parley/internal/httpx"
	"parley/internal/httpx/words"
)

func TestWords(t *testing.T) {
	t.Parallel()
	flaws, asked := book.Flaws(os.DirFS("."))
	for _, f := range flaws {
		t.Error(f)
	}
	if asked < 25 {
		t.Fatalf("only %d keys found: the pattern has gone stale", asked)
	}
	if got := say(words.With(context.Background(), words.En), "edit_year", "2027"); got != "Edit 2027" {
		t.Errorf("say: %q", got)
	}
}

type bank struct {
	*frametest.House
	store     *holidays.Store
	approvals *approval.Store
}

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, httpx.Shanghai())

func newBank(t *testing.T, d *db.DB) *bank {
	t.Helper()
	h := frametest.New(t, d, map[string][]access.Role{"law": {access.Compliance}, "law2": {access.Compliance}, "agent": {access.Agent}})
	b := &bank{House: h, approvals: approval.New(d, access.Eyes{Store: h.Staff}, approvaltest.Keys(t))}
	b.store = holidays.New(d, b.approvals)
	b.approvals.Register(b.store.Approval(string(access.ApproveRules)))
	if _, err := b.store.Adopt(t.Context(), calendar.ShippedDocs()); err != nil {
		t.Fatal(err)
	}
	h.Serve(Routes(Deps{Frame: h.Frame, DB: d, Holidays: b.store, Approvals: b.approvals, Own: "CN"}))
	return b
}

func filled(more ...string) url.Values {
	v := url.Values{"id": {"CN"}, "year": {"2027"}, "rows": {"3"}, "instrument": {"国务院办公厅关于2027年部分节假日安排的通知"}, "confidence": {"P"},
		"zh0": {"元旦"}, "en0": {"New Year's Day"}, "from0": {"2027-01-01"}, "to0": {"2027-01-03"}, "work1_0": {"2026-12-27"}, "zh1": {"春节"}, "en1": {"Spring Festival"}}
	for i := 0; i < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return v
}

// A year is seen as twelve months, drafted, and approved by a second person;
// until then the year is unknown, and the old version stays what it was.
func TestYear(t *testing.T) {
	t.Parallel()
	dbtest.EachClock(t, func() time.Time { return noon }, func(t *testing.T, d *db.DB) {
		b := newBank(t, d)
		body := b.See("agent", "/calendars", "CN 2026.1", "2026", "十二月", "休息日 春节", "调休上班 春节", "content_7047091.htm")
		if strings.Contains(body, "/calendars/edit") {
			t.Error("an agent is offered to edit")
		}
		b.See("agent", "/calendars?year=2027", "2027 年的节假日尚未公布", "cal-d unknown")
		b.See("agent", "/calendars?id=UK-SCT&year=2026", "世界杯银行假日")
		if code, _, _ := b.Do("agent", "/calendars?id=ZZ", nil); code != http.StatusNotFound {
			t.Errorf("a calendar that is not there: %d", code)
		}
		if code, _, _ := b.Do("agent", "/calendars/edit", filled()); code != http.StatusForbidden {
			t.Errorf("an agent edits: %d", code)
		}
		b.See("law", "/calendars/edit?id=CN&year=2027", "国务院办公厅关于2027年部分节假日安排的通知", `value="端午节"`)

		code, at, _ := b.Do("law", "/calendars/edit", filled())
		if code != http.StatusSeeOther {
			t.Fatalf("save: %d", code)
		}
		b.See("law", at, "cal-d holiday changed", "2027.1", at+"/submit", at+"/drop")
		b.See("agent", "/calendars?year=2027", "2027 年的节假日尚未公布", at)
		b.See("law", "/calendars/edit?id=CN&year=2027", `value="2027-01-03"`, `value="2026-12-27"`)
		if code, _, _ := b.Do("law", at+"/submit", url.Values{"reason": {"通知已公布"}}); code != http.StatusSeeOther {
			t.Fatalf("submit: %d", code)
		}
		b.See("law", at, "/approvals/")
		var r *approval.Request
		if err := d.Read(t.Context(), func(tx *db.Tx) (err error) {
			r, err = b.approvals.Waiting(t.Context(), tx, holidays.ApprovalKind, at[strings.LastIndex(at, "/")+1:])
			return err
		}); err != nil || r == nil {
			t.Fatalf("request: %v %v", r, err)
		}
		if _, err := b.approvals.ApproveNow(t.Context(), approval.Decision{ID: r.ID, By: b.IDs["law"], Hash: r.Hash}); err == nil {
			t.Error("the maker approved")
		}
		if _, err := b.approvals.ApproveNow(t.Context(), approval.Decision{ID: r.ID, By: b.IDs["law2"], Hash: r.Hash}); err != nil {
			t.Fatal(err)
		}
		if err := b.store.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.See("agent", "/calendars?year=2027", "CN 2027.1", "休息日 元旦", "CN 2026.1")
		if code, to, _ := b.Do("agent", at, nil); code != http.StatusSeeOther || to != "/calendars?id=CN&year=2027" {
			t.Errorf("an approved draft leads to %d %q", code, to)
		}
	})
}

// What is wrong is said at its field, and nothing typed is lost.
func TestFaults(t *testing.T) {
	t.Parallel()
	b := newBank(t, dbtest.Open(t, dbtest.URL(t, dbtest.Engines[0]), func() time.Time { return noon }))
	for _, c := range []struct {
		change []string
		want   string
	}{
		{[]string{"instrument", ""}, say(t.Context(), "wrong.no_instrument")},
		{[]string{"link", "javascript:alert(1)"}, say(t.Context(), "wrong.bad_link")},
		{[]string{"from0", "2027-13-01"}, say(t.Context(), "wrong.bad_date")},
		{[]string{"to0", "2026-12-31"}, say(t.Context(), "wrong.backwards")},
		{[]string{"work1_0", "2026-12-28"}, say(t.Context(), "wrong.not_weekend")}, // a Monday
		{[]string{"zh0", ""}, say(t.Context(), "wrong.no_name")},
		{[]string{"from0", ""}, say(t.Context(), "wrong.no_from")},
		{[]string{"from0", "2028-01-01", "to0", "2028-01-01"}, "2028-01-01"}, // another year
		{[]string{"from0", "", "to0", "", "work1_0", ""}, "至少填写一个节日的日期"},
	} {
		code, _, body := b.Do("law", "/calendars/edit", filled(c.change...))
		if code != http.StatusUnprocessableEntity || !strings.Contains(body, c.want) || !strings.Contains(body, `value="Spring Festival"`) {
			t.Errorf("%v: %d, want %q", c.change, code, c.want)
		}
	}
	if code, _, _ := b.Do("law", "/calendars/edit", filled("year", "2029")); code != http.StatusUnprocessableEntity {
		t.Errorf("a year nobody can know: %d", code)
	}
}

// The weeks of every month of a year hold each day once, Monday first.
func TestMonths(t *testing.T) {
	t.Parallel()
	for _, doc := range calendar.ShippedDocs() {
		first, last := doc.Years()
		for year := first; year <= last; year++ {
			v := &view{doc: doc, force: doc, year: year}
			v.fill(t.Context(), calendar.MakeDate(2026, 11, 24))
			n := 0
			for m, mo := range v.months {
				want := 1
				for _, w := range mo.weeks {
					for at, d := range w {
						if d.n == 0 {
							continue
						}
						date := calendar.MakeDate(year, time.Month(m+1), d.n)
						if d.n != want || (int(date.Weekday())+6)%7 != at {
							t.Fatalf("%s stands at %d of its week", date, at)
						}
						want++
						n++
					}
				}
			}
			if days := time.Date(year, 12, 31, 0, 0, 0, 0, time.UTC).YearDay(); n != days || len(v.months) != 12 {
				t.Fatalf("%s %d has %d days, not %d", doc.ID(), year, n, days)
			}
		}
	}
}
