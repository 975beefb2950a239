package books

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"parley/internal/access"
	"parley/internal/consent"
	"parley/internal/console/frame/frametest"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/gate"
	"parley/internal/httpx/errand"
	"parley/internal/ledger"
	"parley/internal/policy"
	"parley/packs"
)

type bank struct {
	*frametest.House
	t   *testing.T
	db  *db.DB
	log *ledger.Log
}

func newBank(t *testing.T, d *db.DB) *bank {
	t.Helper()
	ctx := context.Background()
	b := &bank{House: frametest.New(t, d, map[string][]access.Role{"law": {access.Compliance}, "handler": {access.Handler}}), t: t, db: d}
	b.Lang, b.Frame.House.Simulated = "en", true
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
	b.Serve(Routes(Deps{Frame: b.Frame, DB: d, Ledger: b.log, Gate: gate.New(d, set, consent.NewStore(d, nil), gate.Options{}),
		Dir: t.TempDir(), Trunk: func() Trunk { return Trunk{Placed: 7421} }}))
	return b
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
		b.See("handler", "/ledger?id="+first, "not sealed yet", "test.done")
		if _, err := b.log.Seal(context.Background()); err != nil {
			t.Fatal(err)
		}
		b.add(second)
		c, err := b.log.Checkpoint(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		page := b.See("handler", "/ledger", first, second, c.Root.String(), "bank.example/ledger", "not sealed yet", "Nobody has verified")
		if strings.Contains(page, "Verify now") {
			t.Error("a handler is offered what would be refused")
		}
		page = b.See("handler", "/ledger?id="+first, "Inclusion proof", c.Root.String(), "&lt;b&gt;this")
		if strings.Contains(page, "<b>this") {
			t.Error("a record's content was not escaped")
		}
		b.See("handler", "/ledger/entries", first, "Ledger entries", "test.done")
		b.See("handler", "/ledger?id=%3Cscript%3E", "The ledger holds nothing under this id", "&lt;script&gt;")
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
		b.Want("handler", 403, "/ledger/verify", url.Values{})
		b.Want("law", 303, "/ledger/verify", url.Values{})
		b.finish("The ledger is whole")

		if err := d.Write(context.Background(), func(tx *db.Tx) error {
			_, err := tx.Exec(context.Background(), `UPDATE ledger_entry SET type = 'test.undone'`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		b.Want("law", 303, "/ledger/verify", url.Values{})
		b.finish("The ledger is damaged", "entry 0")
	})
}

// finish asks as the page does until the check has ended.
func (b *bank) finish(texts ...string) {
	b.t.Helper()
	ctx, end := context.WithTimeout(context.Background(), 2*time.Minute)
	defer end()
	for {
		if p := b.See("law", "/ledger/verify"); !strings.Contains(p, "every 1s") {
			break
		}
		if ctx.Err() != nil {
			b.t.Fatal("the check does not end")
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.See("law", "/ledger", texts...)
	b.See("law", "/ledger/verify", append(texts, "started by 员工law", "Verify now")...)
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
		b.Want("handler", 403, "/system", nil)
		b.See("law", "/system", "The carrier is simulated", "agrees", "Placed since the start", "7,421", "in use", "No prompts are loaded", "GiB", "Ledger sealing", "below 5 s", "Machine against database clock", "Versions",
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
