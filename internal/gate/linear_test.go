package gate

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/db/dbtest"
	"parley/internal/errs"
	"parley/internal/policy"
)

// call is one operation of the linearizability test, on one person.
type call struct {
	kind    string // reserve, spend, settle, void, stop
	party   contact.ID
	permit  contact.ID
	outcome contact.Outcome
}

// answer is what it gave: a permit for reserve, and whether it was done.
type answer struct {
	ok     bool
	permit contact.ID
}

// model is one person's permits as a state machine: what the gate promises, in
// twenty lines. The state is text, so that porcupine can compare it: "!" once
// stopped, then each permit with its state.
func model() porcupine.Model {
	return porcupine.Model{
		Partition: func(h []porcupine.Operation) [][]porcupine.Operation {
			by := map[string][]porcupine.Operation{}
			for _, o := range h {
				p := o.Input.(call).party
				by[p] = append(by[p], o)
			}
			return slices.Collect(maps.Values(by))
		},
		Init: func() any { return "" },
		Step: func(state, in, out any) (bool, any) { return step(state.(string), in.(call), out.(answer)) },
		DescribeOperation: func(in, out any) string {
			return fmt.Sprintf("%+v -> %+v", in, out)
		},
	}
}

func step(state string, c call, a answer) (bool, string) {
	stopped := strings.HasPrefix(state, "!")
	permits := map[string]string{}
	for _, f := range strings.Fields(strings.TrimPrefix(state, "!")) {
		id, s, _ := strings.Cut(f, "=")
		permits[id] = s
	}
	s := permits[c.permit]
	var ok bool
	switch c.kind {
	case "reserve":
		worst, all := 0, 0
		for _, s := range permits {
			if s == "reserved" || s == "attempting" || s == string(contact.Effective) {
				worst++
			}
			if s != "void" && s != string(contact.NotSent) {
				all++
			}
		}
		ok = !stopped && worst < 2 && all < 5
		if a.ok {
			permits[a.permit] = "reserved"
		}
	case "spend":
		if ok = s == "reserved" && !stopped; ok {
			permits[c.permit] = "attempting"
		}
	case "settle":
		if ok = s == "attempting"; ok {
			permits[c.permit] = string(c.outcome)
		}
	case "void":
		if ok = s == "reserved"; ok {
			permits[c.permit] = "void"
		}
	case "stop":
		ok, stopped = true, true
		for id, s := range permits {
			if s == "reserved" {
				permits[id] = "void"
			}
		}
	}
	next := ""
	if stopped {
		next = "!"
	}
	for _, id := range slices.Sorted(maps.Keys(permits)) {
		next += id + "=" + permits[id] + " "
	}
	return ok == a.ok, next
}

// TestLinearizable has callers of two processes (two gates, each with its own
// connections) reserve, spend, settle, void and withdraw on the same few people
// at once, and checks that what they were told fits some order of those events,
// one at a time. In particular: once a withdrawal is acknowledged no Spend succeeds.
func TestLinearizable(t *testing.T) {
	t.Parallel()
	for _, engine := range dbtest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			c := &clock{t: day}
			url := dbtest.URL(t, engine)
			banks := []*bank{newBank(t, dbtest.Open(t, url, c.now), Options{}), newBank(t, dbtest.Open(t, url, c.now), Options{})}
			for round := range 6 {
				history := storm(t, banks, uint64(round))
				res, info := porcupine.CheckOperationsVerbose(model(), history, 2*time.Minute)
				if res != porcupine.Ok {
					path := t.TempDir() + "/history.html"
					if err := porcupine.VisualizePath(model(), info, path); err == nil {
						t.Logf("see %s", path)
					}
					t.Fatalf("round %d: %s", round, res)
				}
			}
		})
	}
}

// pool is the permits of a person that callers know of.
type pool struct {
	mu  sync.Mutex
	ids []contact.ID
}

func (p *pool) add(id contact.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ids = append(p.ids, id)
}

func (p *pool) any(r *rand.Rand) contact.ID {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.ids) == 0 {
		return ""
	}
	return p.ids[max(0, len(p.ids)-1-r.IntN(3))] // mostly the latest: that is where they meet
}

func storm(t *testing.T, banks []*bank, seed uint64) []porcupine.Operation {
	people := []contact.ID{contact.NewID(), contact.NewID(), contact.NewID()}
	pools := []*pool{{}, {}, {}}
	var mu sync.Mutex
	var history []porcupine.Operation
	began := time.Now() // its monotonic reading: the wall clock may be set meanwhile
	var callers sync.WaitGroup
	for id := range 8 {
		callers.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(id)))
			b := banks[id%len(banks)]
			for i := range 25 {
				k := r.IntN(len(people))
				in := call{party: people[k], permit: pools[k].any(r)}
				switch n := r.IntN(100); {
				case n < 30 || in.permit == "":
					in.kind, in.permit = "reserve", ""
				case n < 60:
					in.kind = "spend"
				case n < 85:
					in.kind, in.outcome = "settle", []contact.Outcome{contact.NotSent, contact.NoAnswer, contact.Effective}[r.IntN(3)]
				case n < 97 || i < 8:
					in.kind = "void"
				default:
					in.kind = "stop"
				}
				from := time.Since(began).Nanoseconds()
				out, err := perform(b, in)
				to := time.Since(began).Nanoseconds()
				if err != nil {
					t.Errorf("%+v: %v", in, err)
					return
				}
				if in.kind == "settle" && !out.ok {
					continue // "settled the same way before" and "some other way" are both told apart elsewhere
				}
				if out.permit != "" {
					pools[k].add(out.permit)
				}
				mu.Lock()
				history = append(history, porcupine.Operation{ClientId: id, Input: in, Call: from, Output: out, Return: to})
				mu.Unlock()
			}
		})
	}
	callers.Wait()
	return history
}

// perform gives a refusal as an answer and any other failure as an error.
func perform(b *bank, in call) (answer, error) {
	ctx := context.Background()
	var err error
	switch in.kind {
	case "reserve":
		ds, err := b.gate.Reserve(ctx, []policy.Intent{collect(in.party)})
		if err != nil {
			return answer{}, err
		}
		return answer{ds[0].Verdict.Effect == policy.Allow, ds[0].Permit.ID()}, nil
	case "spend":
		_, err = b.gate.Spend(ctx, in.permit)
	case "settle":
		err = b.settle(in)
	case "void":
		err = b.gate.Void(ctx, in.permit, "test")
	case "stop":
		err = b.db.Write(ctx, func(tx *db.Tx) error {
			_, err := b.consent.Stop(ctx, tx, in.party, contact.Stop{Kind: contact.Withdrawal}, "test")
			return err
		})
	}
	if e := errs.Public(err); err != nil && (e.Kind == errs.Refused || e.Kind == errs.Conflict) {
		return answer{}, nil
	}
	return answer{ok: err == nil}, err
}

// settle tells a first settlement from a repeated one, which the gate accepts in silence.
func (b *bank) settle(in call) error {
	return b.db.Write(context.Background(), func(tx *db.Tx) error {
		if _, err := b.consent.Load(context.Background(), tx, []contact.ID{in.party}, true); err != nil {
			return err
		}
		s, err := b.gate.DecisionIn(context.Background(), tx, in.permit)
		if err != nil {
			return err
		}
		err = b.gate.Settle(context.Background(), tx, in.permit, in.outcome)
		if s.State == Settled {
			return ErrSettled
		}
		return err
	})
}
