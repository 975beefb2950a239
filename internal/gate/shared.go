package gate

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/policy"
)

// shared remembers the classes and verdicts that are in the database: what the
// intents of a batch, and the verdicts of a pack, have in common is stored once.
type shared struct {
	mu         sync.RWMutex
	classes    map[classKey]int64
	verdicts   map[string]int64
	classOf    map[int64]policy.Intent
	verdictsOf map[int64]pattern
}

// classKey is an intent without what is the person's own.
type classKey struct {
	channel              contact.Channel
	purpose              contact.Purpose
	relation             contact.Relation
	synthetic, automated bool
	initiator, campaign  string
	caller, script       string
	discloses, via       string
}

func keyOf(in *policy.Intent) classKey {
	k := classKey{
		channel: in.Channel, purpose: in.Purpose, relation: in.Relation, synthetic: in.Synthetic, automated: in.Automated,
		initiator: in.Initiator, campaign: in.Campaign, caller: in.CallerID, script: in.Script, via: in.Via,
	}
	if len(in.Discloses) > 0 {
		k.discloses = strings.Join(in.Discloses, "\x00")
	}
	return k
}

// pattern is what verdicts of the same effect for the same reasons share.
type pattern struct {
	pack   string
	effect policy.Effect
	by     string
	rules  []policy.RuleResult // rule and effect only
}

// appendPattern writes it as text: pack, effect, deciding rule and outcomes, a line each.
func appendPattern(b []byte, v *policy.Verdict) []byte {
	b = append(append(b, v.Pack...), '\n')
	b = append(append(b, v.Effect.String()...), '\n')
	b = append(append(b, v.By...), '\n')
	for i := range v.Rules {
		if i > 0 {
			b = append(b, ';')
		}
		b = append(append(append(b, v.Rules[i].Rule...), '='), v.Rules[i].Effect.String()...)
	}
	return b
}

func parsePattern(s string) (p pattern, err error) {
	lines := strings.Split(s, "\n")
	if len(lines) != 4 {
		return p, errPacked
	}
	p.pack, p.by = lines[0], lines[2]
	if p.effect, err = policy.ParseEffect(lines[1]); err != nil {
		return p, err
	}
	if lines[3] == "" {
		return p, nil
	}
	for _, f := range strings.Split(lines[3], ";") {
		rule, word, _ := strings.Cut(f, "=")
		e, err := policy.ParseEffect(word)
		if err != nil {
			return p, err
		}
		p.rules = append(p.rules, policy.RuleResult{Rule: rule, Effect: e})
	}
	return p, nil
}

// number names a text by the first eight bytes of its sha256.
func number(body []byte) int64 {
	h := sha256.Sum256(body)
	return int64(binary.BigEndian.Uint64(h[:]))
}

// fresh is what a transaction adds to shared.
type fresh struct {
	classes  map[classKey]int64
	verdicts map[string]int64
	rows     [][]any // of gate_class
	patterns [][]any // of gate_verdict
}

// class gives the number of the intent's class, noting it when it is new.
func (b *book) class(in *policy.Intent) (int64, error) {
	if l := &b.lastIntent; b.lastClass != 0 && l.Channel == in.Channel && l.Purpose == in.Purpose && l.Relation == in.Relation &&
		l.Synthetic == in.Synthetic && l.Automated == in.Automated && l.Initiator == in.Initiator && l.Campaign == in.Campaign &&
		l.CallerID == in.CallerID && l.Script == in.Script && l.Via == in.Via && slices.Equal(l.Discloses, in.Discloses) {
		return b.lastClass, nil
	}
	k := keyOf(in)
	s := &b.g.shared
	s.mu.RLock()
	id, ok := s.classes[k]
	s.mu.RUnlock()
	if !ok {
		id, ok = b.fresh.classes[k]
	}
	if !ok {
		common := *in
		common.Party, common.Point, common.Product, common.Event = "", "", "", ""
		body, err := json.Marshal(common)
		if err != nil {
			return 0, fmt.Errorf("intent class: %w", err)
		}
		id = number(body)
		if b.fresh.classes == nil {
			b.fresh.classes = map[classKey]int64{}
		}
		b.fresh.classes[k] = id
		b.fresh.rows = append(b.fresh.rows, []any{id, in.Campaign, string(body)})
	}
	b.lastIntent, b.lastClass = *in, id
	return id, nil
}

// verdict gives the number of the verdict's pattern, noting it when it is new.
func (b *book) verdict(v *policy.Verdict) int64 {
	b.scratch = appendPattern(b.scratch[:0], v)
	s := &b.g.shared
	s.mu.RLock()
	id, ok := s.verdicts[string(b.scratch)]
	s.mu.RUnlock()
	if ok {
		return id
	}
	if id, ok = b.fresh.verdicts[string(b.scratch)]; ok {
		return id
	}
	id = number(b.scratch)
	if b.fresh.verdicts == nil {
		b.fresh.verdicts = map[string]int64{}
	}
	b.fresh.verdicts[string(b.scratch)] = id
	b.fresh.patterns = append(b.fresh.patterns, []any{id, string(b.scratch)})
	return id
}

// keep writes what is new; it is remembered once it is durable.
func (f *fresh) keep(ctx context.Context, b *book) error {
	if len(f.rows) == 0 && len(f.patterns) == 0 {
		return nil
	}
	byID := func(a, b []any) int { return cmp.Compare(a[0].(int64), b[0].(int64)) }
	slices.SortFunc(f.rows, byID) // one order for everybody: no deadlock
	slices.SortFunc(f.patterns, byID)
	const once = "ON CONFLICT (id) DO NOTHING"
	if err := b.tx.Insert(ctx, "gate_class", []string{"id", "campaign_id", "body"}, once, f.rows); err != nil {
		return err
	}
	if err := b.tx.Insert(ctx, "gate_verdict", []string{"id", "body"}, once, f.patterns); err != nil {
		return err
	}
	s := &b.g.shared
	b.tx.AfterCommit(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.classes == nil {
			s.classes, s.verdicts = map[classKey]int64{}, map[string]int64{}
		}
		for k, id := range f.classes {
			s.classes[k] = id
		}
		for k, id := range f.verdicts {
			s.verdicts[k] = id
		}
	})
	return nil
}

// classByID gives the common part of intents of a class.
func (s *shared) classByID(ctx context.Context, tx *db.Tx, id int64) (policy.Intent, error) {
	s.mu.RLock()
	in, ok := s.classOf[id]
	s.mu.RUnlock()
	if ok {
		return in, nil
	}
	var body string
	if err := tx.QueryRow(ctx, "SELECT body FROM gate_class WHERE id = $1", id).Scan(&body); err != nil {
		return in, fmt.Errorf("intent class %d: %w", id, err)
	}
	if err := json.Unmarshal([]byte(body), &in); err != nil {
		return in, fmt.Errorf("intent class %d: %w", id, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.classOf == nil {
		s.classOf = map[int64]policy.Intent{}
	}
	s.classOf[id] = in
	return in, nil
}

// verdictByID gives the common part of verdicts.
func (s *shared) verdictByID(ctx context.Context, tx *db.Tx, id int64) (pattern, error) {
	s.mu.RLock()
	p, ok := s.verdictsOf[id]
	s.mu.RUnlock()
	if ok {
		return p, nil
	}
	var body string
	err := tx.QueryRow(ctx, "SELECT body FROM gate_verdict WHERE id = $1", id).Scan(&body)
	if err == nil {
		p, err = parsePattern(body)
	}
	if err != nil {
		return p, fmt.Errorf("verdict %d: %w", id, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.verdictsOf == nil {
		s.verdictsOf = map[int64]pattern{}
	}
	s.verdictsOf[id] = p
	return p, nil
}

// classesOf lists the classes of a campaign.
func classesOf(ctx context.Context, tx *db.Tx, campaign contact.ID) (ids []int64, err error) {
	err = tx.Each(ctx, func(rs *sql.Rows) error {
		var id int64
		err := rs.Scan(&id)
		ids = append(ids, id)
		return err
	}, "SELECT id FROM gate_class WHERE campaign_id = $1", campaign)
	slices.Sort(ids)
	return ids, err
}
