package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"parley/internal/api"
	"parley/internal/apikey"
	"parley/internal/consent"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/gate"
	"parley/internal/httpx"
	"parley/internal/party"
	"parley/internal/policy"
	"parley/packs"
)

// The goals of the gate as a service (issue 3, section 4.2).
const (
	apiGoalRate = 1_000 // decisions per second, one at a time
	apiGoalP99  = 10    // ms
)

// service is the API served on loopback over a bank's customers.
type service struct {
	url, token string
	gate       *gate.Gate
	client     *http.Client
	people     []party.Party
	next       int
	stop       func()
}

// API measures single decisions over HTTP, asked for at a fixed rate whatever
// the answers take (open loop), beside the bare call of the same gate at the
// same rate. Latency counts from when a request was due, so that waiting in
// line counts too.
func API(ctx context.Context, o Options, r *Report) error {
	people, seconds := 40_000, 20
	if o.Quick {
		people, seconds = 10_000, 4
	}
	return runAPI(ctx, o, r, people, apiGoalRate, seconds)
}

func runAPI(ctx context.Context, o Options, r *Report, people, rate, seconds int) error {
	for _, engine := range Measured(o, r) {
		if err := benchAPI(ctx, o, r, engine, people, rate, seconds); err != nil {
			return fmt.Errorf("bench api on %s: %w", engine, err)
		}
	}
	return nil
}

func benchAPI(ctx context.Context, o Options, r *Report, engine string, people, rate, seconds int) error {
	d, closeDB, err := openEngine(ctx, o, engine)
	if err != nil {
		return err
	}
	defer closeDB()
	s, err := serve(ctx, o, d, people)
	if err != nil {
		return err
	}
	defer s.stop()
	n := rate * seconds
	if _, _, err := openLoop(ctx, rate, rate/2, s.ask(ctx, false)); err != nil { // statements and connections are made
		return err
	}
	yard, took, err := openLoop(ctx, rate, n, s.bare(ctx))
	if err != nil {
		return err
	}
	report := func(name string, lat []time.Duration, took time.Duration, goal float64) {
		slices.Sort(lat)
		p99 := lat[len(lat)*99/100]
		r.Add("api", engine, name, "answered_per_s", float64(len(lat))/took.Seconds(), "1/s", 0)
		r.Add("api", engine, name, "p50_ms", lat[len(lat)/2].Seconds()*1e3, "ms", 0)
		r.Add("api", engine, name, "p99_ms", p99.Seconds()*1e3, "ms", goal)
		r.Add("api", engine, name, "p99_over_bare_gate", p99.Seconds()/yard[len(yard)*99/100].Seconds(), "ratio", 0)
	}
	slices.Sort(yard)
	report("bare gate call", slices.Clone(yard), took, 0)
	for _, keyed := range []bool{false, true} {
		name := fmt.Sprintf("POST decisions, %d/s", rate)
		goal := float64(apiGoalP99)
		if keyed {
			name, goal = name+", Idempotency-Key", 0
		}
		lat, took, err := openLoop(ctx, rate, n, s.ask(ctx, keyed))
		if err != nil {
			return err
		}
		report(name, lat, took, goal)
	}
	return nil
}

// openLoop starts n calls at a rate, each at its own moment, and gives how long
// after that moment each had its answer, and how long all took together.
func openLoop(ctx context.Context, rate, n int, call func(i int) error) ([]time.Duration, time.Duration, error) {
	lat, failed := make([]time.Duration, n), make([]error, n)
	var all sync.WaitGroup
	start := time.Now()
	for i := range n {
		due := start.Add(time.Duration(i) * time.Second / time.Duration(rate))
		if wait := time.Until(due); wait > 0 {
			select {
			case <-ctx.Done():
				return nil, 0, ctx.Err()
			case <-time.After(wait):
			}
		}
		all.Go(func() {
			failed[i] = call(i)
			lat[i] = time.Since(due)
		})
	}
	all.Wait()
	return lat, time.Since(start), errors.Join(failed...)
}

// serve makes a bank with customers and serves its API.
func serve(ctx context.Context, o Options, d *db.DB, people int) (*service, error) {
	dir, err := os.MkdirTemp(o.Dir, "keys-")
	if err != nil {
		return nil, fmt.Errorf("scratch directory: %w", err)
	}
	ring, err := party.OpenKeyring(dir+"/k", true)
	if err != nil {
		return nil, err
	}
	set, err := policy.LoadFS(packs.FS)
	if err != nil {
		return nil, err
	}
	place := midday(time.Now())
	parties, consents, keys := party.NewStore(d, ring), consent.NewStore(d, nil), apikey.NewStore(d)
	s := &service{people: make([]party.Party, people)}
	s.gate = gate.New(d, set, consents, gate.Options{PermitTTL: time.Hour,
		Person: func(_ context.Context, _ *db.Tx, ids []contact.ID) (map[contact.ID]gate.Person, error) {
			out := make(map[contact.ID]gate.Person, len(ids))
			for _, id := range ids {
				out[id] = place
			}
			return out, nil
		}})
	consents.SetVoider(s.gate)
	for lo := 0; lo < people; lo += 1000 {
		if err := d.Write(ctx, func(tx *db.Tx) error { return s.enrol(ctx, tx, parties, consents, lo, min(lo+1000, people)) }); err != nil {
			return nil, err
		}
	}
	if err := d.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, "ANALYZE")
		return err
	}); err != nil {
		return nil, err
	}
	if _, s.token, err = keys.Create(ctx, apikey.Key{Name: "bench", Client: "bench-dialer", Scopes: []apikey.Scope{apikey.GateUse},
		Rate: 100_000, Expires: d.Now().Add(time.Hour)}, "bench"); err != nil {
		return nil, err
	}
	house := &httpx.House{Clock: d.Now, Log: slog.New(slog.DiscardHandler)}
	handler := house.Wrap(api.New(api.Deps{House: house, DB: d, Keys: keys, Parties: parties, Consents: consents, Gate: s.gate, Log: slog.New(slog.DiscardHandler)}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go server.Serve(l) //nolint:errcheck // ends with Close
	s.url = "http://" + l.Addr().String() + "/api/v1/gate/decisions"
	s.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256, MaxConnsPerHost: 256}, Timeout: 30 * time.Second}
	s.stop = func() { s.client.CloseIdleConnections(); server.Close() }
	return s, nil
}

func (s *service) enrol(ctx context.Context, tx *db.Tx, parties *party.Store, consents *consent.Store, lo, hi int) error {
	var ps []*party.Party
	var grants []consent.PartyGrant
	for i := lo; i < hi; i++ {
		s.people[i] = party.Party{Ref: "B" + strconv.Itoa(i), Name: "测试客户", Points: []party.Point{{Kind: party.Phone, Value: fmt.Sprintf("+999100%07d", i)}}}
		ps = append(ps, &s.people[i])
	}
	if err := parties.Put(ctx, tx, ps); err != nil {
		return err
	}
	for _, p := range ps {
		grants = append(grants, consent.PartyGrant{Party: p.ID, Grant: contact.Grant{Ground: contact.Consent, How: "branch"}})
	}
	return consents.GrantMany(ctx, tx, grants, "bench")
}

// bare asks the gate itself.
func (s *service) bare(ctx context.Context) func(i int) error {
	defer func() { s.next += len(s.people) / 4 }()
	base := s.next
	return func(i int) error {
		p := &s.people[(base+i)%len(s.people)]
		in := intent(p.ID, contact.Service)
		in.Point = p.Points[0].ID
		_, err := s.gate.ReserveExplained(ctx, []policy.Intent{in})
		return err
	}
}

// ask asks over HTTP, by customer number and telephone number.
func (s *service) ask(ctx context.Context, keyed bool) func(i int) error {
	defer func() { s.next += len(s.people) / 4 }()
	base := s.next
	return func(i int) error {
		p := &s.people[(base+i)%len(s.people)]
		body, err := json.Marshal(map[string]any{"customer_ref": p.Ref, "to": p.Points[0].Value, "channel": "voice", "purpose": "service",
			"product": "deposit", "caller_id": "95599", "synthetic": true, "discloses": discloses})
		if err != nil {
			return err
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+s.token)
		if keyed {
			r.Header.Set("Idempotency-Key", contact.NewID())
		}
		resp, err := s.client.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusCreated {
			raw, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
			return fmt.Errorf("%s: %s", resp.Status, raw)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
}
