package books

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"parley/internal/access"
	"parley/internal/consent"
	"parley/internal/console/frame"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/gate"
	"parley/internal/httpx"
	"parley/internal/httpx/errand"
	"parley/internal/ledger"
	"parley/internal/policy"
	"parley/packs"
)

type bank struct {
	t       *testing.T
	db      *db.DB
	log     *ledger.Log
	handler http.Handler
	staff   map[access.Role]string
}

func newBank(t *testing.T, d *db.DB) *bank {
	t.Helper()
	ctx := context.Background()
	b := &bank{t: t, db: d, staff: map[access.Role]string{}}
	key, err := ledger.NewKey("bank.example/ledger")
	if err != nil {
		t.Fatal(err)
	}
	if b.log, err = ledger.Open(ctx, d, ledger.Options{Key: key}); err != nil {
		t.Fatal(err)
	}
	set, err := policy.LoadFS(packs.FS)
	if err != nil {
		t.Fatal(err)
	}
	staff := access.NewStore(d)
	for _, r := range []access.Role{access.Compliance, access.Handler} {
		st, err := staff.AddStaff(ctx, access.Staff{Login: string(r), Name: "员工", Roles: []access.Role{r}}, "")
		if err != nil {
			t.Fatal(err)
		}
		if b.staff[r], _, err = staff.Enter(ctx, st.ID); err != nil {
			t.Fatal(err)
		}
	}
	house := &httpx.House{BankZh: "守约银行", BankEn: "Parley Bank", Clock: d.Now, Simulated: true}
	f := frame.New(house, staff)
	mux := http.NewServeMux()
	f.Serve(mux, Routes(Deps{Frame: f, DB: d, Ledger: b.log, Gate: gate.New(d, set, consent.NewStore(d, nil), gate.Options{}),
		Dir: t.TempDir(), Trunk: func() Trunk { return Trunk{Placed: 7421} }}))
	b.handler = house.Wrap(mux)
	return b
}

func (b *bank) want(who access.Role, method, path string, status int, texts ...string) string {
	b.t.Helper()
	r := httptest.NewRequest(method, path, nil)
	r.Header.Set("Accept-Language", "en")
	r.AddCookie(&http.Cookie{Name: "parley", Value: b.staff[who]})
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	if w.Code != status {
		b.t.Fatalf("%s %s: status %d, want %d\n%s", method, path, w.Code, status, w.Body)
	}
	for _, s := range texts {
		if !strings.Contains(w.Body.String(), s) {
			b.t.Errorf("%s %s lacks %q:\n%s", method, path, s, w.Body)
		}
	}
	return w.Body.String()
}

func (b *bank) add(id contact.ID) {
	b.t.Helper()
	if err := b.db.Write(context.Background(), func(tx *db.Tx) error {
		return ledger.Append(context.Background(), tx, ledger.Entry{Type: "test.done", ID: id, Record: map[string]any{"what": "<b>this</b>"}})
	}); err != nil {
		b.t.Fatal(err)
	}
}

func TestLedgerPage(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := newBank(t, d)
		first, second := contact.NewID(), contact.NewID()
		b.add(first)
		b.want(access.Handler, "GET", "/ledger?id="+first, 200, "not sealed yet", "test.done")
		if _, err := b.log.Seal(context.Background()); err != nil {
			t.Fatal(err)
		}
		b.add(second)
		c, err := b.log.Checkpoint(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		page := b.want(access.Handler, "GET", "/ledger", 200, first, second, c.Root.String(), "bank.example/ledger", "not sealed yet", "Nobody has verified")
		if strings.Contains(page, "Verify now") {
			t.Error("a handler is offered what would be refused")
		}
		page = b.want(access.Handler, "GET", "/ledger?id="+first, 200, "Inclusion proof", c.Root.String(), "&lt;b&gt;this")
		if strings.Contains(page, "<b>this") {
			t.Error("a record's content was not escaped")
		}
		b.want(access.Handler, "GET", "/ledger/entries", 200, first, "Ledger entries", "test.done")
		b.want(access.Handler, "GET", "/ledger?id=%3Cscript%3E", 200, "The ledger holds nothing under this id", "&lt;script&gt;")
	})
}

func TestVerifyRunsOnceAndSaysWhatItFound(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := newBank(t, d)
		b.add(contact.NewID())
		if _, err := b.log.Seal(context.Background()); err != nil {
			t.Fatal(err)
		}
		b.want(access.Handler, "POST", "/ledger/verify", 403)
		b.want(access.Compliance, "POST", "/ledger/verify", 303)
		b.finish("The ledger is whole")

		if err := d.Write(context.Background(), func(tx *db.Tx) error {
			_, err := tx.Exec(context.Background(), `UPDATE ledger_entry SET type = 'test.undone'`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		b.want(access.Compliance, "POST", "/ledger/verify", 303)
		b.finish("The ledger is damaged", "entry 0")
	})
}

// finish asks as the page does until the check has ended.
func (b *bank) finish(texts ...string) {
	b.t.Helper()
	ctx, end := context.WithTimeout(context.Background(), 2*time.Minute)
	defer end()
	for {
		if p := b.want(access.Compliance, "GET", "/ledger/verify", 200); !strings.Contains(p, "every 1s") {
			break
		}
		if ctx.Err() != nil {
			b.t.Fatal("the check does not end")
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.want(access.Compliance, "GET", "/ledger", 200, texts...)
	b.want(access.Compliance, "GET", "/ledger/verify", 200, append(texts, "started by 员工", "Verify now")...)
}

// While a check runs, the page asks again every second and offers no second one.
func TestRunningCheckShowsItsProgress(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := checkPart(errand.State[ledger.Report]{Running: true, Done: 3, Total: 10}, "Li").Render(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
	if s := b.String(); !strings.Contains(s, `hx-trigger="every 1s"`) || !strings.Contains(s, `value="3"`) || strings.Contains(s, "<form") {
		t.Error(s)
	}
}

func TestSystemPage(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := newBank(t, d)
		b.want(access.Handler, "GET", "/system", 403)
		b.want(access.Compliance, "GET", "/system", 200, "The carrier is simulated", "agrees", "Placed since the start", "7,421", "in use", "No prompts are loaded", "GiB", "Ledger sealing", "below 5 s", "Machine against database clock", "Versions",
			map[string]string{"sqlite": "SQLite (one machine)", "postgres": "PostgreSQL"}[d.Dialect().Name()])
	})
}

func TestSize(t *testing.T) {
	t.Parallel()
	for n, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 5 << 30: "5.0 GiB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %s, want %s", n, got, want)
		}
	}
}
