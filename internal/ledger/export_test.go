package ledger

import "time"

// SetFault makes the sequencer call fn before and after each of its writes and
// after its commit.
func (l *Log) SetFault(fn func(point string) error) { l.fault = fn }

// Points are the places the sequencer can fail at, in order.
var Points = []string{
	"before entries", "after entries", "before outbox", "after outbox", "before tiles", "after tiles",
	"before checkpoint", "after checkpoint", "before clock", "after clock", "committed",
}

// SealBatch is the most entries of one sealing transaction.
const SealBatch = sealBatch

// SetLastSeal says how long the last drain of Run may take.
func (l *Log) SetLastSeal(d time.Duration) { l.last = d }
