package rulebook

import (
	"bytes"
	"context"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/gate"
	"parley/internal/policy"
)

// maxOutput bounds what is kept of a test run.
const maxOutput = 64 << 10

// Test runs the tests that stand beside an edition's packs and keeps what they
// gave. Files that cannot be run are an error that names file, line and mend.
func (s *Store) Test(ctx context.Context, id contact.ID, by, lang string) (*Tested, error) {
	f, err := s.Files(ctx, id)
	if err != nil {
		return nil, err
	}
	e, err := s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if _, err := s.Compose(f, e.Uses); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	t := &Tested{Hash: f.Hash(), By: by}
	if t.Passed, t.Failed, err = policy.RunTests(f.FS(), nil, &out, lang); err != nil {
		return nil, invalid(err)
	}
	t.Output = string(out.Bytes()[:min(out.Len(), maxOutput)])
	_, err = s.alter(ctx, id, func(tx *db.Tx, e *Edition) error {
		t.At = tx.Now
		if e.Tested = t; t.Hash != e.Hash {
			return nil // it changed meanwhile: kept, but of another hash
		}
		return s.mark(ctx, tx, e, by, "tested", map[string]any{"passed": t.Passed, "failed": t.Failed})
	})
	return t, err
}

// Replay judges the decisions made in [since, till) by an edition, from the
// facts they were made on, and keeps what changed as read by the person who
// asked. A zero till is now. progress may be nil.
func (s *Store) Replay(ctx context.Context, id contact.ID, by string, since, till time.Time, progress func(done, about int64)) (*Reviewed, error) {
	f, err := s.Files(ctx, id)
	if err != nil {
		return nil, err
	}
	e, err := s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	set, err := s.Compose(f, e.Uses)
	if err != nil {
		return nil, err
	}
	r := &Reviewed{Hash: f.Hash(), By: by, Since: since}
	if r.Result, err = s.gate.Replay(ctx, gate.Replay{Set: set, Since: since, Till: till, Progress: progress}); err != nil {
		return nil, err
	}
	_, err = s.alter(ctx, id, func(tx *db.Tx, e *Edition) error {
		r.At = tx.Now
		if e.Replay = r; r.Hash != e.Hash {
			return nil
		}
		return s.mark(ctx, tx, e, by, "replayed", map[string]any{"decisions": r.Result.Decisions, "changed": r.Result.Changed})
	})
	return r, err
}
