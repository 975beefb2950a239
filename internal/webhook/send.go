package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"code.dny.dev/ssrf"
	"github.com/google/uuid"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/ledger"
)

// Options tune a sender; the zero value is what production uses.
type Options struct {
	// Private lists the networks of the bank's own that addresses may lead to.
	// All other private, local and special networks are refused (SSRF).
	Private []netip.Prefix
	// DisableAfter is how long a subscriber may fail before it is disabled; 0 = five days.
	DisableAfter time.Duration
	Timeout      time.Duration    // of one delivery; 0 = 15 s
	Clock        func() time.Time // the world's time, which signatures carry; nil = the machine's
	Log          *slog.Logger
	Sent         func(ok bool, took time.Duration) // told of every try; nil = nobody
}

// Sender tells the subscribers.
type Sender struct {
	*Store
	o      Options
	client *http.Client
	wake   chan struct{}
	mu     sync.Mutex
	busy   map[contact.ID]bool // endpoints that a goroutine of ours sends to
	work   sync.WaitGroup
}

// NewSender makes a sender on s.
func NewSender(s *Store, o Options) *Sender {
	if o.DisableAfter <= 0 {
		o.DisableAfter = 5 * 24 * time.Hour
	}
	if o.Timeout <= 0 {
		o.Timeout = 15 * time.Second
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	var v4, v6 []netip.Prefix
	for _, p := range o.Private {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	// Checked when the connection is made, after names are resolved: a name
	// that changes its mind (DNS rebinding) gains nothing.
	guard := ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	dialer := &net.Dialer{Timeout: o.Timeout / 3, Control: guard.Safe} // 5 s, unless the whole may take longer
	return &Sender{Store: s, o: o, wake: make(chan struct{}, 1), busy: map[contact.ID]bool{}, client: &http.Client{
		Timeout: o.Timeout,
		// No proxy: it would resolve names past the guard.
		Transport: &http.Transport{DialContext: dialer.DialContext, TLSHandshakeTimeout: o.Timeout / 3, MaxIdleConnsPerHost: 1,
			IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// pollEvery is how soon something new is noticed when nobody wakes the sender.
const pollEvery = 500 * time.Millisecond

// Wake makes Run look at once. It never blocks.
func (s *Sender) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run tells the subscribers until ctx ends.
func (s *Sender) Run(ctx context.Context) error {
	poll, purge := time.NewTicker(pollEvery), time.NewTicker(time.Hour)
	defer poll.Stop()
	defer purge.Stop()
	defer s.work.Wait()
	for {
		ids, err := s.behind(ctx)
		if err != nil && ctx.Err() == nil {
			s.o.Log.Error("webhooks: looking for what is due", "error", err)
		}
		for _, id := range ids {
			s.start(ctx, id)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-purge.C:
			if _, err := s.Purge(ctx); err != nil && ctx.Err() == nil {
				s.o.Log.Error("webhooks: forgetting old deliveries", "error", err)
			}
		case <-poll.C:
		case <-s.wake:
		}
	}
}

// start has one goroutine send to an endpoint, unless one does.
func (s *Sender) start(ctx context.Context, id contact.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[id] {
		return
	}
	s.busy[id] = true
	s.work.Go(func() {
		defer func() {
			s.mu.Lock()
			delete(s.busy, id)
			s.mu.Unlock()
		}()
		if err := s.serve(ctx, id); err != nil && ctx.Err() == nil {
			s.o.Log.Error("webhooks", "endpoint", id, "error", err)
		}
	})
}

// serve tells one endpoint all that is due, in order.
func (s *Sender) serve(ctx context.Context, id contact.ID) error {
	for ctx.Err() == nil {
		more, err := s.gather(ctx, id)
		if err != nil {
			return err
		}
		for ctx.Err() == nil {
			next, err := s.next(ctx, id)
			if err != nil {
				return err
			}
			if next == nil {
				break
			}
			if ok, err := s.deliver(ctx, next); err != nil || !ok {
				return err
			}
		}
		if !more {
			return nil
		}
	}
	return nil
}

// job is one delivery that is to be tried now.
type job struct {
	Endpoint
	d       Delivery
	event   ledger.Record
	secrets [][]byte
}

// next takes the first event that waits, when it is due and no other process
// sends to the endpoint. Taking it holds the endpoint for a little longer than
// a delivery may take.
func (s *Sender) next(ctx context.Context, id contact.ID) (j *job, err error) {
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		j = nil
		n, err := tx.Exec(ctx, "UPDATE webhook_endpoint SET lease = $2 WHERE id = $1 AND state = 'active' AND lease <= $3",
			id, db.Micros(tx.Now.Add(2*s.o.Timeout)), tx.At())
		if err != nil || n == 0 {
			return err
		}
		d, err := scanDelivery(tx.QueryRow(ctx, "SELECT "+deliveryColumns+` FROM webhook_delivery
			WHERE endpoint_id = $1 AND state = 'pending' ORDER BY leaf LIMIT 1`, id))
		if errors.Is(err, sql.ErrNoRows) || err == nil && d.Due.After(tx.Now) {
			_, err = tx.Exec(ctx, "UPDATE webhook_endpoint SET lease = 0 WHERE id = $1", id)
			return err
		}
		if err != nil {
			return err
		}
		next := &job{d: d}
		if next.Endpoint, err = s.Get(ctx, tx, id, ""); err != nil {
			return err
		}
		if next.event, err = s.event(ctx, tx, d.Leaf); err != nil {
			return err
		}
		if next.secrets, err = s.secrets(ctx, tx, id); err != nil {
			return err
		}
		j = next
		return nil
	})
	return j, err
}

func (s *Store) secrets(ctx context.Context, tx *db.Tx, id contact.ID) ([][]byte, error) {
	var now, old []byte
	var until int64
	if err := tx.QueryRow(ctx, "SELECT secret, old_secret, old_until FROM webhook_endpoint WHERE id = $1", id).Scan(&now, &old, &until); err != nil {
		return nil, err
	}
	sealed := [][]byte{now}
	if old != nil && tx.At() < until {
		sealed = append(sealed, old)
	}
	for i := range sealed {
		plain, err := s.seal.Open(sealed[i], "webhook/"+id)
		if err != nil {
			return nil, err
		}
		sealed[i] = plain
	}
	return sealed, nil
}

// Payload is what a subscriber is sent.
type Payload struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"` // when it happened
	Data      Data      `json:"data"`
}

// Data names what happened, by ids alone unless the subscriber may have more.
type Data struct {
	ID     string            `json:"id"`               // of the thing it happened to
	Leaf   int64             `json:"leaf"`             // its place in the ledger: greater is later
	IDs    map[string]string `json:"ids,omitempty"`    // party, campaign, attempt … that it concerns
	Record json.RawMessage   `json:"record,omitempty"` // the ledger's record, for subscribers that may have it
}

func payload(r ledger.Record, records bool) ([]byte, error) {
	p := Payload{Type: r.Type, Timestamp: r.At, Data: Data{ID: r.ID, Leaf: r.Index}}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(r.Record, &fields); err == nil { // an erased record has none
		for k, raw := range fields {
			var v string
			if json.Unmarshal(raw, &v) != nil {
				continue
			}
			if _, err := uuid.Parse(v); err == nil && len(v) == 36 {
				if p.Data.IDs == nil {
					p.Data.IDs = map[string]string{}
				}
				p.Data.IDs[k] = v
			}
		}
		if records {
			p.Data.Record = r.Record
		}
	}
	return json.Marshal(p)
}

// MessageID names an event for its receivers: the same for every try and for a
// replay, so that they can tell what they have seen.
func MessageID(leaf int64) string { return "evt_" + strconv.FormatInt(leaf, 10) }

// sign gives the value of webhook-signature: one signature for each secret
// (Standard Webhooks, symmetric signatures v1).
func sign(id string, at time.Time, body []byte, secrets [][]byte) string {
	var b bytes.Buffer
	for i, key := range secrets {
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%d.", id, at.Unix())
		mac.Write(body)
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return b.String()
}

// result is how a try went.
type result struct {
	code  int
	err   string
	after time.Duration // asked for by Retry-After; 0 = not
}

func (r result) ok() bool { return r.code >= 200 && r.code < 300 }

// deliver tries one delivery and stores how it went.
func (s *Sender) deliver(ctx context.Context, j *job) (bool, error) {
	body, err := payload(j.event, j.Records)
	if err != nil {
		return false, err
	}
	res := s.post(ctx, &j.Endpoint, MessageID(j.d.Leaf), body, j.secrets)
	if ctx.Err() != nil {
		return false, s.giveBack(j.ID) // stopped in the middle: tried again at the next start
	}
	return res.ok(), s.store(ctx, j, res)
}

func (s *Sender) giveBack(id contact.ID) error {
	return s.db.Write(context.Background(), func(tx *db.Tx) error {
		_, err := tx.Exec(context.Background(), "UPDATE webhook_endpoint SET lease = 0 WHERE id = $1", id)
		return err
	})
}

func (s *Sender) post(ctx context.Context, e *Endpoint, id string, body []byte, secrets [][]byte) (res result) {
	start := s.o.Clock()
	defer func() {
		if s.o.Sent != nil {
			s.o.Sent(res.ok(), s.o.Clock().Sub(start))
		}
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL, bytes.NewReader(body))
	if err != nil {
		return result{err: "the address cannot be used"}
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Parley-Webhook/1")
	r.Header.Set("webhook-id", id)
	r.Header.Set("webhook-timestamp", strconv.FormatInt(start.Unix(), 10))
	r.Header.Set("webhook-signature", sign(id, start, body, secrets))
	resp, err := s.client.Do(r)
	if err != nil {
		return result{err: plain(err)}
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
	res.code = resp.StatusCode
	if !res.ok() {
		res.err = resp.Status
	}
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
		res.after = min(time.Duration(n)*time.Second, 24*time.Hour)
	}
	return res
}

// plain says what went wrong without the address, which may hold a secret.
func plain(err error) string {
	var u interface{ Unwrap() error }
	if errors.As(err, &u) {
		err = u.Unwrap()
	}
	switch {
	case errors.Is(err, ssrf.ErrProhibitedIP), errors.Is(err, ssrf.ErrProhibitedNetwork):
		return "the address leads to a private network that is not allowed"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	}
	return err.Error()
}

// schedule is how long after each failed try the next one comes (Standard
// Webhooks recommends it); after the last it is a day each time.
var schedule = [...]time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour,
	14 * time.Hour, 20 * time.Hour, 24 * time.Hour}

// wait gives the time to the next try, a tenth more or less, so that many
// subscribers that failed together do not come back together.
func wait(tries int) time.Duration {
	d := schedule[min(tries-1, len(schedule)-1)]
	return d + time.Duration((rand.Float64()-0.5)*0.2*float64(d))
}

func (s *Sender) store(ctx context.Context, j *job, res result) error {
	return s.db.Write(ctx, func(tx *db.Tx) error {
		state, due := "pending", int64(0)
		j.d.Tries++
		if res.ok() {
			state = "done"
		} else {
			due = db.Micros(tx.Now.Add(max(wait(j.d.Tries), res.after)))
		}
		if _, err := tx.Exec(ctx, `UPDATE webhook_delivery SET state = $3, tries = $4, due_at = $5, tried_at = $6, code = $7, error = $8
			WHERE endpoint_id = $1 AND leaf = $2 AND state = 'pending'`, j.ID, j.d.Leaf, state, j.d.Tries, due, tx.At(), res.code, res.err); err != nil {
			return err
		}
		if res.ok() {
			_, err := tx.Exec(ctx, "UPDATE webhook_endpoint SET lease = 0, failing_since = 0 WHERE id = $1", j.ID)
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE webhook_endpoint SET lease = 0, failing_since = CASE WHEN failing_since = 0 THEN $2 ELSE failing_since END WHERE id = $1",
			j.ID, tx.At()); err != nil {
			return err
		}
		gone := res.code == http.StatusGone
		if !gone && (j.Failing.IsZero() || tx.Now.Sub(j.Failing) < s.o.DisableAfter) {
			return nil
		}
		note := "failing since " + j.Failing.UTC().Format(time.RFC3339)
		if gone {
			note = "the receiver says that it is gone (410)"
		}
		if _, err := tx.Exec(ctx, "UPDATE webhook_endpoint SET state = 'disabled', note = $2 WHERE id = $1 AND state = 'active'", j.ID, note); err != nil {
			return err
		}
		j.State = Disabled
		return s.note(ctx, tx, &j.Endpoint, "disabled", "parley")
	})
}

// Test sends a subscriber a message of type webhook.test at once, outside the
// order, and says how it went.
func (s *Sender) Test(ctx context.Context, id contact.ID, client string) (code int, problem string, err error) {
	var e Endpoint
	var secrets [][]byte
	var now time.Time
	if err := s.db.Read(ctx, func(tx *db.Tx) error {
		now = tx.Now
		if e, err = s.Get(ctx, tx, id, client); err != nil {
			return err
		}
		secrets, err = s.secrets(ctx, tx, id)
		return err
	}); err != nil {
		return 0, "", err
	}
	body, err := json.Marshal(Payload{Type: "webhook.test", Timestamp: now, Data: Data{ID: id}})
	if err != nil {
		return 0, "", err
	}
	res := s.post(ctx, &e, "test_"+contact.NewID(), body, secrets)
	return res.code, res.err, nil
}
