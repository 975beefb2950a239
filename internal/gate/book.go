package gate

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/ledger"
	"parley/internal/policy"
)

// person is one whose lock the transaction holds.
type person struct {
	id       contact.ID
	standing contact.Standing
	attrs    Person
	log      log
	now      int64  // the instant things happen at for this person
	start    int64  // of the longest window any rule looks back over
	raw      []byte // log as it is, but for the person at hand; nil = none
	unread   bool   // of the log only since and high are unpacked; see who
	changed  bool
}

// book is the working set of one transaction: the people it holds, their
// budgets in memory, and what is to be written at its end.
type book struct {
	g       *Gate
	tx      *db.Tx
	set     *policy.Set
	people  map[contact.ID]*person
	order   []*person // by id
	permits map[contact.ID]*row
	at      *person // who is at hand: the budgets of all others are packed
	desk    desk

	sheet
	out chan sheet // where full sheets go while others are judged; nil = all at the end

	spent  map[int64][]contact.ID // by instant
	ended  map[ending][]contact.ID
	counts map[[2]int64]int64
	fresh  fresh

	names      map[string]string
	lastIntent policy.Intent
	lastClass  int64
	scratch    []byte
	arena      []byte
	random     []byte
	minted     int
	rules      []policy.RuleResult
}

// sheet is what is ready to be written.
type sheet struct {
	decisions [][]any
	entries   []ledger.Entry
}

// full is how many decisions go into one statement.
const full = 225

// pass hands the sheet over, if somebody takes it.
func (b *book) pass() {
	if b.out != nil {
		b.out <- b.sheet
		b.sheet = sheet{}
	}
}

func (s *sheet) write(ctx context.Context, g *Gate, tx *db.Tx) error {
	if err := g.at("decisions"); err != nil {
		return err
	}
	if err := tx.Insert(ctx, "gate_decision", decisionColumns, "", s.decisions); err != nil {
		return err
	}
	if err := g.at("ledger"); err != nil {
		return err
	}
	return ledger.Append(ctx, tx, s.entries...)
}

// points are where a test may have the gate fail: before each write, before
// the commit, and after it, as when the answer to a commit is lost.
var points = []string{"decisions", "ledger", "permits", "budgets", "counts", "commit", "committed"}

func (g *Gate) at(point string) error {
	if g.fault == nil {
		return nil
	}
	return g.fault(point)
}

// ending is how permits left a state other than reserved, or ended.
type ending struct {
	state   State
	at      int64 // 0 for Unknown
	outcome contact.Outcome
	reason  string
}

// ahead is how far beyond its own instant a transaction takes a stop for
// granted: one committed while it waited for the lock has a later instant.
const ahead = int64(time.Minute / time.Microsecond)

// open locks the people a group is about and reads what is known of them.
func (g *Gate) open(ctx context.Context, tx *db.Tx, group []*op) (*book, error) {
	b := &book{g: g, tx: tx, set: g.policyAt(tx.Now)}
	var parties, permits []contact.ID
	for _, o := range group {
		parties, permits = append(parties, o.parties...), append(permits, o.permits...)
	}
	if len(permits) > 0 {
		b.permits = make(map[contact.ID]*row, len(permits))
		err := eachRow(ctx, tx, permits, func(r *row) error {
			b.permits[r.id] = r
			parties = append(parties, r.party)
			_, err := g.fill(ctx, tx, r)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	parties = distinct(parties)
	return b, b.load(ctx, parties, true)
}

// distinct sorts ids and drops those that occur twice or are no ids.
func distinct(ids []contact.ID) []contact.ID {
	ids = slices.DeleteFunc(ids, func(id contact.ID) bool { return !isUUID(id) })
	slices.Sort(ids)
	return slices.Compact(ids)
}

// load reads standings, budgets and attributes of people, given in order.
func (b *book) load(ctx context.Context, parties []contact.ID, lock bool) error {
	slab := make([]person, len(parties))
	b.people, b.order = make(map[contact.ID]*person, len(parties)), make([]*person, len(parties))
	for i, id := range parties {
		p := &slab[i]
		p.id = id
		b.people[id], b.order[i] = p, p
	}
	standings, err := b.g.consent.Load(ctx, b.tx, parties, lock)
	if err != nil {
		return err
	}
	if err := b.logs(ctx, parties); err != nil {
		return err
	}
	var attrs map[contact.ID]Person
	if b.g.person != nil {
		if attrs, err = b.g.person(ctx, b.tx, parties); err != nil {
			return fmt.Errorf("attributes of people: %w", err)
		}
	}
	for _, p := range b.order {
		p.standing, p.attrs = standings[p.id], attrs[p.id]
		if err := b.settle(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// logs reads people's budgets.
func (b *book) logs(ctx context.Context, parties []contact.ID) error {
	b.names = map[string]string{}
	var id, raw sql.RawBytes
	return b.tx.EachIn(ctx, func(rs *sql.Rows) error {
		if err := rs.Scan(&id, &raw); err != nil {
			return err
		}
		p := b.people[string(id)]
		p.raw, p.unread = b.hold(raw), true
		r := reader{b: raw}
		p.log.readHead(&r)
		return r.err
	}, "SELECT party_id, log FROM gate_person WHERE party_id", parties, "")
}

// settle fixes the person's instant and brings the budget to the window.
//
// The instant is the transaction's, but never before anything that was decided
// for the person or a stop that is in force: the transaction may have waited
// for the lock, and another process' clock may be a little ahead.
func (b *book) settle(ctx context.Context, p *person) error {
	p.now = max(b.tx.At(), p.log.high)
	for i := range p.standing.Stops {
		if at := p.standing.Stops[i].At; at <= b.tx.At()+ahead {
			p.now = max(p.now, at)
		}
	}
	p.start = p.now - b.set.WindowFor(&p.standing).Microseconds()
	if p.log.since <= p.start {
		return nil
	}
	if _, err := b.who(p.id); err != nil {
		return err
	}
	return b.rebuild(ctx, p, p.start)
}

// who gives a person of the book with the budget unpacked, nil for anybody else.
// One budget is unpacked at a time: of a thousand they would fill megabytes.
func (b *book) who(id contact.ID) (*person, error) {
	p := b.people[id]
	if p == nil || p == b.at {
		return p, nil
	}
	b.leave()
	b.at = p
	if !p.unread {
		return p, nil
	}
	p.unread = false
	if err := p.log.read(&reader{b: p.raw, names: b.names}, &b.desk); err != nil {
		return nil, fmt.Errorf("budget of %s: %w", p.id, err)
	}
	p.log.prune(p.start)
	return p, nil
}

// leave packs the budget of the person at hand.
func (b *book) leave() {
	p := b.at
	if b.at = nil; p == nil {
		return
	}
	if p.changed {
		b.scratch = p.log.appendRow(b.scratch[:0])
		p.raw = b.hold(b.scratch)
	}
	p.unread = p.raw != nil
	p.log = log{since: p.log.since, high: p.log.high}
}

// hold copies bytes into memory that lives as long as the book.
func (b *book) hold(raw []byte) []byte {
	if cap(b.arena)-len(b.arena) < len(raw) {
		b.arena = make([]byte, 0, max(64<<10, len(raw)))
	}
	n := len(b.arena)
	b.arena = append(b.arena, raw...)
	return b.arena[n:len(b.arena):len(b.arena)]
}

// touch notes a change of the person's budget.
func (p *person) touch() {
	p.log.high = max(p.log.high, p.now)
	p.changed = true
}

// facts gives what a verdict for the intent depends on.
func (p *person) facts(in *policy.Intent, charges []contact.Charge) policy.Facts {
	return policy.Facts{
		Intent: *in, Now: time.UnixMicro(p.now).UTC(), Zone: p.attrs.Zone, PointZone: p.attrs.Points[in.Point],
		Standing: p.standing, Charges: charges, Person: p.attrs.Attrs,
	}
}

// objections gives the results that do not allow: what a caller that judges
// thousands is told of the rules.
func objections(rs []policy.RuleResult) (out []policy.RuleResult) {
	for i := range rs {
		if rs[i].Effect != policy.Allow {
			out = append(out, rs[i])
		}
	}
	return out
}

// judge decides; whatever goes wrong denies.
func judge(set *policy.Set, f *policy.Facts, room []policy.RuleResult) (v policy.Verdict) {
	defer func() {
		if r := recover(); r != nil {
			v = denial(set, "error", fmt.Sprint(r))
		}
	}()
	return set.DecideInto(f, room)
}

func denial(set *policy.Set, code, what string) policy.Verdict {
	why := policy.Reason{Code: code, What: what}
	return policy.Verdict{Effect: policy.Deny, By: policy.RuleIntent, Pack: set.Hash(),
		Rules: []policy.RuleResult{{Rule: policy.RuleIntent, Effect: policy.Deny, Reason: why}}}
}

// mint makes a UUIDv7 (RFC 9562, method 3: the fraction of the millisecond
// follows it) of the transaction's instant, so that ids sort by the bank's
// clock; a counter sorts those of one transaction.
func (b *book) mint() contact.ID {
	const each = 6
	if len(b.random) < each {
		b.random = make([]byte, each*256)
		rand.Read(b.random) // never fails: it ends the program instead
	}
	var u [16]byte
	us := b.tx.At()
	binary.BigEndian.PutUint64(u[:8], uint64(us/1000)<<16|0x7000|uint64(us%1000*4096/1000))
	binary.BigEndian.PutUint16(u[8:], uint16(b.minted)&0x3fff|0x8000)
	copy(u[10:], b.random[:each])
	b.random = b.random[each:]
	b.minted++
	return uuidText(u[:])
}

// note adds a ledger entry; fields are name, value pairs in order of name.
func (b *book) note(kind string, id contact.ID, fields ...string) {
	b.entries = append(b.entries, ledger.Entry{Type: kind, ID: id, Record: record(fields)})
}

func (b *book) end(id contact.ID, e ending) {
	if b.ended == nil {
		b.ended = map[ending][]contact.ID{}
	}
	b.ended[e] = append(b.ended[e], id)
}

var (
	decisionColumns = []string{"id", "party_id", "prev", "class", "verdict", "facts", "state", "until"}
	personColumns   = []string{"party_id", "log"}
	countColumns    = []string{"lane", "class", "verdict", "n"}
)

// flush writes everything.
func (b *book) flush(ctx context.Context) error {
	return b.tx.Together(ctx, func() error { return b.put(ctx) })
}

func (b *book) put(ctx context.Context) error {
	b.leave()
	if err := b.fresh.keep(ctx, b); err != nil {
		return err
	}
	if err := b.sheet.write(ctx, b.g, b.tx); err != nil {
		return err
	}
	if err := b.g.at("permits"); err != nil {
		return err
	}
	if err := b.change(ctx); err != nil {
		return err
	}
	if err := b.g.at("budgets"); err != nil {
		return err
	}
	var people [][]any
	for _, p := range b.order {
		if p.changed {
			people = append(people, []any{p.id, p.raw})
		}
	}
	err := b.tx.Insert(ctx, "gate_person", personColumns, "ON CONFLICT (party_id) DO UPDATE SET log = excluded.log", people)
	if err != nil {
		return err
	}
	if err := b.g.at("counts"); err != nil {
		return err
	}
	if err := b.count(ctx); err != nil {
		return err
	}
	return b.g.at("commit")
}

// change writes what became of permits, many of a kind at once.
func (b *book) change(ctx context.Context) error {
	for at, ids := range b.spent {
		err := in(ids, 2, func(ids []any, list string) error {
			_, err := b.tx.Exec(ctx, "UPDATE gate_decision SET state = 2, attempted = $1 WHERE id IN "+list, append([]any{at}, ids...)...)
			return err
		})
		if err != nil {
			return err
		}
	}
	for e, ids := range b.ended {
		var at any
		if e.at != 0 {
			at = e.at
		}
		err := in(ids, 5, func(ids []any, list string) error {
			args := append([]any{int64(e.state), at, string(e.outcome), e.reason}, ids...)
			_, err := b.tx.Exec(ctx, "UPDATE gate_decision SET state = $1, ended = $2, outcome = $3, reason = $4 WHERE id IN "+list, args...)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// in calls fn with ids in lists of a few sizes, padded, so that few statements are prepared.
func in(ids []contact.ID, first int, fn func(ids []any, list string) error) error {
	for len(ids) > 0 {
		size := 1
		for size < len(ids) && size < 256 {
			size *= 16
		}
		n := min(size, len(ids))
		args := make([]any, size)
		for i := range args {
			args[i] = ids[min(i, n-1)]
		}
		if err := fn(args, db.In(first, size)); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

// lanes is how many rows each count is spread over.
const lanes = 8

// count adds to the counters, last of all: their rows are held only until the commit.
func (b *book) count(ctx context.Context) error {
	if len(b.counts) == 0 {
		return nil
	}
	lane := b.g.lane.Add(1) % lanes
	rows := make([][]any, 0, len(b.counts))
	for k, n := range b.counts {
		rows = append(rows, []any{lane, k[0], k[1], n})
	}
	slices.SortFunc(rows, func(a, b []any) int { // one order for everybody: no deadlock
		return strings.Compare(fmt.Sprint(a[1], a[2]), fmt.Sprint(b[1], b[2]))
	})
	return b.tx.Insert(ctx, "gate_count", countColumns,
		"ON CONFLICT (lane, class, verdict) DO UPDATE SET n = gate_count.n + excluded.n", rows)
}
