package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"parley/internal/approval/approvaltest"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/ledger"
)

// clock is the bank's, moved by hand.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// receiver is a subscriber's system. It verifies every message with the
// library the Standard Webhooks project publishes.
type receiver struct {
	t      *testing.T
	server *httptest.Server
	mu     sync.Mutex
	keys   []string
	status func(id string) int
	got    []Payload
	ids    []string
	bodies []string
	bad    []string
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	body, err := io.ReadAll(req.Body)
	if err != nil {
		r.bad = append(r.bad, err.Error())
	}
	for _, k := range r.keys {
		wh, err := standardwebhooks.NewWebhook(k)
		if err == nil {
			err = wh.Verify(body, req.Header)
		}
		if err != nil {
			r.bad = append(r.bad, err.Error())
		}
	}
	id := req.Header.Get("webhook-id")
	code := r.status(id)
	if code == 200 {
		var p Payload
		if err := json.Unmarshal(body, &p); err != nil {
			r.bad = append(r.bad, err.Error())
		}
		r.got, r.ids, r.bodies = append(r.got, p), append(r.ids, id), append(r.bodies, string(body))
	}
	w.WriteHeader(code)
}

func (r *receiver) seen() (ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.bad {
		r.t.Error("the receiver:", b)
	}
	r.bad = nil
	return slices.Clone(r.ids)
}

type bank struct {
	t     *testing.T
	d     *db.DB
	log   *ledger.Log
	clock *clock
	*Sender
	rec *receiver
}

func each(t *testing.T, fn func(b *bank)) {
	t.Helper()
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			c := &clock{t: time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)}
			d := dbtest.Open(t, dbtest.URL(t, engine), c.now)
			key, err := ledger.NewKey("bank.example/ledger")
			check(t, err)
			log, err := ledger.Open(context.Background(), d, ledger.Options{Key: key})
			check(t, err)
			s := NewStore(d, log, approvaltest.Keys(t))
			s.AllowHTTP = true
			b := &bank{t: t, d: d, log: log, clock: c, Sender: NewSender(s, Options{Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
				// The receiver answers: late, on a machine that is busy with other things.
				Timeout: 2 * time.Minute, Log: slog.New(slog.DiscardHandler)})}
			b.rec = &receiver{t: t, status: func(string) int { return 200 }}
			b.rec.server = httptest.NewServer(b.rec)
			t.Cleanup(b.rec.server.Close)
			fn(b)
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bank) subscribe(types ...string) Endpoint {
	b.t.Helper()
	e, secret, err := b.Create(context.Background(), Endpoint{Name: "客户关系系统", Client: "crm", URL: b.rec.server.URL + "/hook", Types: types}, "admin")
	check(b.t, err)
	b.rec.keys = append(b.rec.keys, secret)
	b.seal()
	return e
}

func (b *bank) seal() {
	b.t.Helper()
	_, err := b.log.Seal(context.Background())
	check(b.t, err)
}

// happen seals entries of the given types, about one party each.
func (b *bank) happen(types ...string) []contact.ID {
	b.t.Helper()
	var parties []contact.ID
	for _, kind := range types {
		p := contact.NewID()
		parties = append(parties, p)
		check(b.t, b.d.Write(context.Background(), func(tx *db.Tx) error {
			return ledger.Append(context.Background(), tx, ledger.Entry{Type: kind, ID: contact.NewID(), Record: map[string]any{"party": p, "by": "张三", "n": 1}})
		}))
	}
	b.seal()
	return parties
}

// turn tells an endpoint all that is due.
func (b *bank) turn(e Endpoint) {
	b.t.Helper()
	check(b.t, b.serve(context.Background(), e.ID))
}

func (b *bank) get(id contact.ID) (e Endpoint) {
	b.t.Helper()
	check(b.t, b.d.Read(context.Background(), func(tx *db.Tx) (err error) {
		e, err = b.Get(context.Background(), tx, id, "")
		return err
	}))
	return e
}

func (b *bank) write(fn func(ctx context.Context, tx *db.Tx) error) error {
	return b.d.Write(context.Background(), func(tx *db.Tx) error { return fn(context.Background(), tx) })
}

// Standard Webhooks: headers and signature, checked by the project's own library.
func TestEventsArriveInOrderSignedAndWithoutPersonalData(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		b.happen("case.opened") // before anybody subscribed
		e := b.subscribe("case.*", "consent.granted")
		parties := b.happen("case.opened", "gate.decided", "consent.granted", "consent.withdrawn", "case.closed")
		b.turn(e)
		b.turn(e)
		var kinds []string
		for _, p := range b.rec.got {
			kinds = append(kinds, p.Type)
		}
		if strings.Join(kinds, " ") != "case.opened consent.granted case.closed" {
			b.t.Fatal(kinds, b.rec.seen())
		}
		first := b.rec.got[0]
		if first.Data.IDs["party"] != parties[0] || first.Data.ID == "" || first.Data.Leaf == 0 || first.Timestamp.IsZero() || first.Data.Record != nil {
			b.t.Errorf("%+v", first)
		}
		if all := strings.Join(b.rec.bodies, ""); strings.Contains(all, "张三") {
			b.t.Error("more than ids was sent:", all)
		}
		if ids := b.rec.seen(); ids[0] != MessageID(first.Data.Leaf) {
			b.t.Error(ids)
		}
		ds := b.deliveries(e)
		if len(ds) != 3 || ds[0].State != "done" || ds[0].Code != 200 {
			b.t.Errorf("%+v", ds)
		}
	})
}

func (b *bank) deliveries(e Endpoint) (ds []Delivery) {
	b.t.Helper()
	check(b.t, b.d.Read(context.Background(), func(tx *db.Tx) (err error) {
		ds, err = b.Deliveries(context.Background(), tx, e.ID, "", db.Span{N: 100})
		return err
	}))
	return ds
}

func TestRecordsGoOnlyToThoseWhoMayHaveThem(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		e, secret, err := b.Create(context.Background(), Endpoint{Name: "n", URL: b.rec.server.URL, Types: []string{"*"}, Records: true}, "admin")
		check(b.t, err)
		b.rec.keys = []string{secret}
		b.happen("case.opened", "gate.decided")
		b.turn(e)
		if n := len(b.rec.seen()); n != 2 { // webhook.created and case.opened: * leaves the gate out
			b.t.Fatal(n, b.rec.bodies)
		}
		if !strings.Contains(b.rec.bodies[1], "张三") {
			b.t.Error(b.rec.bodies)
		}
	})
}

// A subscriber that fails is tried again for days, ever more rarely, without
// losing its order; then it is disabled; nothing is lost.
func TestRetriesKeepTheOrderAndEndInDisabling(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		e := b.subscribe("case.*")
		b.rec.status = func(string) int { return 500 }
		b.happen("case.opened", "case.closed")
		tries, start := 0, b.clock.now()
		b.rec.status = func(string) int { tries++; return 500 }
		for b.get(e.ID).State == Active && b.clock.now().Sub(start) < 30*24*time.Hour {
			b.turn(e)
			b.clock.add(10 * time.Minute)
		}
		// The last try is the first one five days after the first: at most one
		// wait of a day and its tenth later, and one turn of this loop. Which
		// one it is hangs on the tenths: the waits alone put the twelfth between
		// 111 and 136 hours.
		took, latest := b.clock.now().Sub(start), 5*24*time.Hour+24*time.Hour*11/10+2*10*time.Minute
		if took < 5*24*time.Hour || took > latest || tries < 12 || tries > 13 {
			b.t.Fatalf("disabled after %s and %d tries", took, tries)
		}
		if ds := b.deliveries(e); len(ds) != 2 || ds[0].Tries != 0 || ds[1].Tries != tries || ds[1].Code != 500 {
			b.t.Errorf("the second event was tried before the first: %+v", ds)
		}
		if got := b.get(e.ID); got.Note == "" || got.Failing.IsZero() {
			b.t.Errorf("%+v", got)
		}
		b.rec.status = func(string) int { return 200 }
		check(b.t, b.write(func(ctx context.Context, tx *db.Tx) error { return b.SetState(ctx, tx, e.ID, "crm", Active, "admin") }))
		b.turn(e)
		if got := b.rec.got; len(got) != 2 || got[0].Type != "case.opened" || got[1].Type != "case.closed" {
			b.t.Errorf("%+v", got)
		}
		b.rec.seen()
	})
}

func TestGoneDisablesAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		e := b.subscribe("case.*")
		b.rec.status = func(string) int { return 410 }
		b.happen("case.opened")
		b.turn(e)
		if got := b.get(e.ID); got.State != Disabled {
			b.t.Errorf("%+v", got)
		}
	})
}

func TestReplayResendSkip(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		e := b.subscribe("case.*")
		b.happen("case.opened")
		b.clock.add(time.Hour)
		noon := b.clock.now()
		b.happen("case.taken", "case.closed")
		b.turn(e)
		before := b.rec.seen()
		// The same events again, under the same ids, in the same order.
		check(b.t, b.write(func(ctx context.Context, tx *db.Tx) error {
			_, err := b.Replay(ctx, tx, e.ID, "crm", noon, "admin")
			return err
		}))
		b.seal()
		b.turn(e)
		after := b.rec.seen()[3:]
		if !slices.Equal(after, before[1:]) {
			b.t.Errorf("replayed %v of %v", after, before)
		}
		leaf := b.rec.got[0].Data.Leaf
		check(b.t, b.write(func(ctx context.Context, tx *db.Tx) error { return b.Resend(ctx, tx, e.ID, "crm", leaf, "admin") }))
		b.turn(e)
		if got := b.rec.seen(); got[len(got)-1] != before[0] {
			b.t.Error(got)
		}
		// One that cannot be delivered holds up the rest until somebody passes it over.
		b.happen("case.reopened", "case.closed")
		b.rec.status = func(id string) int {
			if id == MessageID(b.deliveries(e)[1].Leaf) {
				return 500
			}
			return 200
		}
		b.turn(e)
		bad := b.deliveries(e)[1]
		n := len(b.rec.seen())
		if bad.Tries != 1 || bad.State != "pending" {
			b.t.Fatalf("%+v", bad)
		}
		check(b.t, b.write(func(ctx context.Context, tx *db.Tx) error { return b.Skip(ctx, tx, e.ID, "crm", bad.Leaf, "admin") }))
		b.turn(e)
		if got := b.rec.seen(); len(got) != n+1 {
			b.t.Error(got)
		}
		// Another system's subscription is not there.
		for _, err := range []error{
			b.write(func(ctx context.Context, tx *db.Tx) error { return b.Resend(ctx, tx, e.ID, "other", leaf, "x") }),
			b.write(func(ctx context.Context, tx *db.Tx) error { return b.Delete(ctx, tx, e.ID, "other", "x") }),
			b.write(func(ctx context.Context, tx *db.Tx) error {
				_, err := b.Rotate(ctx, tx, e.ID, "other", "x")
				return err
			}),
		} {
			if !errors.Is(err, ErrNone) {
				b.t.Error(err)
			}
		}
	})
}

// Standard Webhooks, secret rotation: for a while both secrets sign.
func TestRotationOverlaps(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		e := b.subscribe("case.*")
		var secret string
		check(b.t, b.write(func(ctx context.Context, tx *db.Tx) (err error) {
			secret, err = b.Rotate(ctx, tx, e.ID, "crm", "admin")
			return err
		}))
		b.rec.keys = append(b.rec.keys, secret) // the receiver verifies with both
		b.happen("case.opened")
		b.turn(e)
		if len(b.rec.seen()) != 1 {
			b.t.Fatal("not delivered")
		}
		b.clock.add(Overlap + time.Minute)
		old := b.rec.keys[0]
		b.rec.keys = []string{secret}
		b.happen("case.closed")
		b.turn(e)
		if len(b.rec.seen()) != 2 {
			b.t.Fatal("not delivered")
		}
		b.rec.keys = []string{old}
		b.happen("case.reopened")
		b.turn(e)
		if len(b.rec.bad) != 1 {
			b.t.Error("the old secret still signs")
		}
		b.rec.bad = nil
	})
}

// OWASP ASVS 5.0, 1.3.6 (SSRF): addresses that lead inside are refused when the
// connection is made, and redirects are not followed.
func TestPrivateNetworksAreRefused(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		strict := NewSender(b.Store, Options{Timeout: b.o.Timeout, Log: slog.New(slog.DiscardHandler)})
		inside := ""
		for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "10.0.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "[::ffff:127.0.0.1]", "[fd00::1]", "100.64.0.1"} {
			_, port, _ := strings.Cut(strings.TrimPrefix(b.rec.server.URL, "http://"), ":")
			e := Endpoint{URL: fmt.Sprintf("http://%s:%s/", host, port)}
			if res := strict.post(context.Background(), &e, "x", nil, nil); res.code != 0 || !strings.Contains(res.err, "private network") {
				b.t.Errorf("%s: %+v", host, res)
			}
		}
		b.rec.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			inside += r.URL.Path
			http.Redirect(w, r, "/inside", http.StatusTemporaryRedirect)
		})
		res := b.post(context.Background(), &Endpoint{URL: b.rec.server.URL + "/hook"}, "x", nil, nil)
		if res.code != 307 || res.ok() || inside != "/hook" {
			b.t.Errorf("%+v %s", res, inside)
		}
	})
}

func TestBadSubscriptionsAreRefused(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		b.AllowHTTP = false
		for want, es := range map[error][]Endpoint{
			ErrURL: {{Name: "n", URL: "http://bank.example/", Types: []string{"*"}}, {Name: "n", URL: "https://u:p@bank.example/", Types: []string{"*"}},
				{Name: "n", URL: "file:///etc/passwd", Types: []string{"*"}}, {Name: "n", URL: "https:///x", Types: []string{"*"}}},
			ErrTypes: {{Name: "n", URL: "https://bank.example/"}, {Name: "n", URL: "https://bank.example/", Types: []string{"case.* x"}}},
			ErrName:  {{URL: "https://bank.example/", Types: []string{"*"}}},
		} {
			for _, e := range es {
				if _, _, err := b.Create(context.Background(), e, "admin"); !errors.Is(err, want) {
					b.t.Errorf("%+v: %v", e, err)
				}
			}
		}
	})
}

// The loop finds by itself what is new, and two processes never tell the same
// subscriber at once or out of order.
func TestTwoProcessesTellInOrder(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		b.subscribe("case.*")
		other := NewSender(b.Store, b.o)
		ctx, stop := context.WithCancel(context.Background())
		var work sync.WaitGroup
		for _, s := range []*Sender{b.Sender, other} {
			work.Go(func() {
				if err := s.Run(ctx); err != nil {
					b.t.Error(err)
				}
			})
		}
		for range 5 {
			b.happen("case.opened", "case.taken", "case.closed", "gate.decided")
			b.Wake()
			other.Wake()
		}
		for end := time.Now().Add(2 * time.Minute); len(b.rec.seen()) < 15 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			b.Wake()
		}
		stop()
		work.Wait()
		b.rec.seen()
		leaf := int64(0)
		for _, p := range b.rec.got {
			if p.Data.Leaf <= leaf {
				b.t.Errorf("leaf %d after %d", p.Data.Leaf, leaf)
			}
			leaf = p.Data.Leaf
		}
		if len(b.rec.got) != 15 {
			b.t.Errorf("%d events arrived", len(b.rec.got))
		}
	})
}

func TestTestMessageSaysHowItWent(t *testing.T) {
	t.Parallel()
	each(t, func(b *bank) {
		e := b.subscribe("case.*")
		code, problem, err := b.Test(context.Background(), e.ID, "crm")
		if err != nil || code != 200 || problem != "" || b.rec.got[0].Type != "webhook.test" {
			b.t.Error(code, problem, err)
		}
		e, _, err = b.Create(context.Background(), Endpoint{Name: "n", Client: "crm", URL: refusing(b.t) + "/hook", Types: []string{"case.*"}}, "admin")
		check(b.t, err)
		if code, problem, err = b.Test(context.Background(), e.ID, "crm"); err != nil || code != 0 || problem == "" || strings.Contains(problem, "/hook") {
			b.t.Error(code, problem, err)
		}
	})
}

// refusing gives an address at which connections are refused as long as the
// test runs. The port of a server that is closed may be somebody else's a moment
// later, so this one stays taken, and nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	check(t, err)
	syscall.CloseOnExec(fd)
	t.Cleanup(func() { check(t, syscall.Close(fd)) })
	check(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	at, err := syscall.Getsockname(fd)
	check(t, err)
	return fmt.Sprintf("http://127.0.0.1:%d", at.(*syscall.SockaddrInet4).Port)
}
