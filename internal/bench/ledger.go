package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/ledger"
)

const (
	ledgerBatch     = 1000
	ledgerGoal      = 30_000 // entries a second, appended and sealed
	ledgerProofGoal = 1      // milliseconds
	ledgerProofs    = 1000
)

// Ledger measures how many entries a second are appended, sequenced and signed
// in durable transactions of a thousand, as the gate appends them, and how long
// an inclusion proof takes in the log that came of it.
func Ledger(ctx context.Context, o Options, r *Report) error {
	n := 1_000_000
	if o.Quick {
		n = 200_000
	}
	for _, engine := range Measured(o, r) {
		if err := benchLedger(ctx, o, r, engine, n); err != nil {
			return fmt.Errorf("bench ledger on %s: %w", engine, err)
		}
	}
	return nil
}

func benchLedger(ctx context.Context, o Options, r *Report, engine string, n int) error {
	d, closeDB, err := openEngine(ctx, o, engine)
	if err != nil {
		return err
	}
	defer closeDB()
	key, err := ledger.NewKey("bench.example/ledger")
	if err != nil {
		return err
	}
	l, err := ledger.Open(ctx, d, ledger.Options{Key: key})
	if err != nil {
		return err
	}
	took, err := fillLedger(ctx, d, l, n)
	if err != nil {
		return err
	}
	r.Add("ledger", engine, fmt.Sprintf("batch=%d entries=%d", ledgerBatch, n), "entries_per_s",
		float64(n)/took.Seconds(), "1/s", ledgerGoal)
	return proveLedger(ctx, l, r, engine, n)
}

// fillLedger appends and seals n entries side by side and gives the time until
// the last was under a signed checkpoint.
func fillLedger(ctx context.Context, d *db.DB, l *ledger.Log, n int) (time.Duration, error) {
	start := time.Now()
	var appended atomic.Bool
	sealer := make(chan error, 1)
	go func() {
		for {
			last := appended.Load()
			sealed, err := l.Seal(ctx)
			if err != nil || last {
				sealer <- err
				return
			}
			if sealed == 0 {
				select {
				case <-time.After(time.Millisecond):
				case <-ctx.Done():
				}
			}
		}
	}()
	err := appendLedger(ctx, d, n)
	appended.Store(true)
	err = errors.Join(err, <-sealer)
	return time.Since(start), err
}

// decision is a record of the size and form the gate writes.
type decision struct {
	Party   string   `json:"party"`
	Point   string   `json:"point"`
	Purpose string   `json:"purpose"`
	Channel string   `json:"channel"`
	Effect  string   `json:"effect"`
	By      string   `json:"by"`
	Rules   []string `json:"rules"`
	Pack    string   `json:"pack"`
}

func appendLedger(ctx context.Context, d *db.DB, n int) error {
	rec := &decision{
		Party: contact.NewID(), Point: contact.NewID(), Purpose: "collection", Channel: "voice", Effect: "allow",
		By: "CN-FREQ-COL", Rules: []string{"CN-CONSENT-01", "CN-DNC-01", "CN-HOURS-COL", "CN-FREQ-COL"},
		Pack: "2f8a1c7e5b9d4f60",
	}
	es := make([]ledger.Entry, ledgerBatch)
	for done := 0; done < n; done += ledgerBatch {
		for i := range es {
			es[i] = ledger.Entry{Type: "gate.decision", ID: contact.NewID(), Record: rec}
		}
		if err := d.Write(ctx, func(tx *db.Tx) error { return ledger.Append(ctx, tx, es...) }); err != nil {
			return err
		}
	}
	return nil
}

// proveLedger times proofs of entries spread over the whole log.
func proveLedger(ctx context.Context, l *ledger.Log, r *Report, engine string, n int) error {
	took := make([]time.Duration, ledgerProofs)
	for i := range took {
		index := int64(i) * int64(n) / int64(len(took))
		start := time.Now()
		p, err := l.Prove(ctx, index)
		if err != nil {
			return err
		}
		took[i] = time.Since(start)
		if err := p.Check(); err != nil {
			return err
		}
	}
	slices.Sort(took)
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	name := fmt.Sprintf("entries=%d", n)
	r.Add("ledger", engine, name, "proof_ms", ms(took[len(took)/2]), "ms", ledgerProofGoal)
	r.Add("ledger", engine, name, "proof_p99_ms", ms(took[len(took)*99/100]), "ms", 0)
	return nil
}
