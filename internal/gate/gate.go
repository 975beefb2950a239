// Package gate is the only way to a contact: it decides, reserves budget,
// mints a permit, and lets one permit become at most one attempt. A person's
// budget is exact at every instant: what was contacted plus what is reserved
// never exceeds a cap in any window, under concurrency and across crashes.
//
// The lock of a person is the row consent.Store.Load takes. Whatever changes a
// permit or a budget holds it, as does whatever changes a consent; so once a
// withdrawal is acknowledged no permit it covers can be spent.
package gate

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/consent"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/policy"
)

// Person is what the gate is told about a person besides consents and history.
type Person struct {
	Zone  string            // IANA name; empty = the pack's
	Attrs map[string]string // region, debtor_unreachable, outsourced …: what scopes may ask as person[…]
	// Points gives the IANA zone of contact points, where it is known.
	Points map[contact.ID]string
}

// Options tune a gate; the zero value is what production uses.
type Options struct {
	// PermitTTL is how long a permit may wait to be spent; 0 = 5 minutes. At most a day.
	PermitTTL time.Duration
	// Person gives the attributes of people; nil = none. It runs inside the
	// gate's transaction, once for a batch, with ids in order.
	Person func(ctx context.Context, tx *db.Tx, parties []contact.ID) (map[contact.ID]Person, error)
	Log    *slog.Logger
}

// Gate decides contacts. It is safe for concurrent use, also by several
// processes on one database.
type Gate struct {
	db      *db.DB
	consent *consent.Store
	ttl     time.Duration
	person  func(context.Context, *db.Tx, []contact.ID) (map[contact.ID]Person, error)
	log     *slog.Logger
	sched   atomic.Pointer[[]Activation] // by instant; never empty
	sets    sync.Map                     // hash → *policy.Set: every set this process has used
	shared  shared
	queue   queue
	lane    atomic.Int64
	charges sync.Pool                // of slabs
	mine    sync.Map                 // permits this process has spent and not settled
	wall    func() time.Time         // the world's time, for traces
	fault   func(point string) error // tests only
}

// maxTTL bounds a permit's life; rebuilding a budget relies on it.
const maxTTL = 24 * time.Hour

// New makes a gate on d that judges by set and reads consents from c. The gate
// is c's Voider; the caller tells c so.
func New(d *db.DB, set *policy.Set, c *consent.Store, o Options) *Gate {
	if o.PermitTTL <= 0 {
		o.PermitTTL = 5 * time.Minute
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	g := &Gate{db: d, consent: c, ttl: min(o.PermitTTL, maxTTL), person: o.Person, log: o.Log, wall: time.Now} //nolint:forbidigo // the wall clock, for traces
	g.queue.width = 1
	if d.Dialect().Name() == "postgres" {
		g.queue.width = 2 // one group can be prepared while another waits for the disk
	}
	g.SetPolicy(set)
	return g
}

// Activation is a set and the instant from which it judges.
type Activation struct {
	From time.Time
	Set  *policy.Set
}

// SetPolicy makes set the one that judges from now on. Permits reserved under
// another are judged again when they are spent.
func (g *Gate) SetPolicy(set *policy.Set) { g.Schedule(Activation{Set: set}) }

// Schedule gives the sets that judge, in the order of their instants: each
// transaction is judged by the last one whose instant is not after its own, and
// one before all of them by the first. So every process that knows the schedule
// changes over at the same instant.
func (g *Gate) Schedule(as ...Activation) {
	if len(as) == 0 {
		panic("gate: a schedule without any rules") // a mistake of the program: nothing may be contacted
	}
	for _, a := range as {
		g.Know(a.Set)
	}
	as = slices.Clone(as)
	g.sched.Store(&as)
}

// policyAt gives the set that judges at an instant.
func (g *Gate) policyAt(t time.Time) *policy.Set {
	as := *g.sched.Load()
	for i := len(as) - 1; i > 0; i-- {
		if !as[i].From.After(t) {
			return as[i].Set
		}
	}
	return as[0].Set
}

// Know tells the gate of a set that judged in the past, so that its decisions
// can be explained in full.
func (g *Gate) Know(set *policy.Set) { g.sets.Store(set.Hash(), set) }

// Known gives the set of a hash, as far as this process knows it; nil otherwise.
func (g *Gate) Known(hash string) *policy.Set {
	set, ok := g.sets.Load(hash)
	if !ok {
		return nil
	}
	return set.(*policy.Set)
}

// Policy gives the set that judges now.
func (g *Gate) Policy() *policy.Set { return g.policyAt(g.db.Now()) }

// State is where a permit is in its life.
type State uint8

// The states: reserved → attempting → settled | unknown, or voided | expired.
const (
	NoPermit   State = iota // the decision was not to allow
	Reserved                // holds budget, may be spent until its end
	Attempting              // spent: the contact may be reaching the person
	Settled                 // ended, and known how
	Unknown                 // may have reached the person; counts as the worst case until reconciled
	Voided                  // taken back before it was spent
	Expired                 // ran out before it was spent
)

var stateNames = [...]string{"none", "reserved", "attempting", "settled", "unknown", "voided", "expired"}

// String gives the state's name.
func (s State) String() string { return stateNames[min(int(s), len(stateNames)-1)] }

// MarshalText writes the state's name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Decision is the answer to one intent.
type Decision struct {
	ID      contact.ID // empty only when the intent names no person and could not be kept
	Intent  policy.Intent
	Verdict policy.Verdict
	At      time.Time
	Permit  Permit // zero unless allowed
}

// Permit is the right to make one contact once, until its end.
type Permit struct {
	id, party, point contact.ID
	until            time.Time
	obligations      []policy.Obligation
}

// ID is the permit's id, the same as its decision's; empty when there is none.
func (p Permit) ID() contact.ID { return p.id }

// Until is when the permit runs out.
func (p Permit) Until() time.Time { return p.until }

// Obligations are the duties that come with it. A channel that cannot meet one
// must not send. Do not modify.
func (p Permit) Obligations() []policy.Obligation { return p.obligations }

// Party is the person it is for.
func (p Permit) Party() contact.ID { return p.party }

// Point is the contact point it is for.
func (p Permit) Point() contact.ID { return p.point }

// Attempt is a permit that was spent: the contact is to be made now.
type Attempt struct {
	ID          contact.ID // of the permit
	Intent      policy.Intent
	Obligations []policy.Obligation // as of now; do not modify
	At          time.Time
}

// Errors of this room. A refusal at the wire names the rule in its Code:
// "refused:RULE".
var (
	ErrNoDecision = errs.New(errs.NotFound, "no_such_decision", "找不到这次联系决定。", "There is no such decision.")
	ErrNotLive    = errs.New(errs.Refused, "permit_not_live", "许可已被使用、作废或过期，不能再次联系。请重新申请。",
		"The permit was used, voided or has expired, so it permits no contact. Ask for a new one.")
	ErrExpired = errs.New(errs.Refused, "permit_expired", "许可已过期，请重新申请。", "The permit has run out. Ask for a new one.")
	ErrSettled = errs.New(errs.Conflict, "attempt_settled", "这次联系的结果已经登记，不能更改。",
		"The outcome of this contact was recorded already and does not change.")
	ErrNotSpent = errs.New(errs.Conflict, "attempt_not_made", "这份许可没有用于联系，没有结果可登记。",
		"The permit was not used for a contact, so there is no outcome to record.")
	ErrInFlight = errs.New(errs.Conflict, "attempt_in_flight", "这次联系可能仍在进行，现在不能核销。",
		"This contact may still be going on, so it cannot be reconciled yet.")
	ErrOutcome = errs.New(errs.Invalid, "outcome", "未知的联系结果。", "There is no such outcome of a contact.")
)

// refusal says which rule forbids a contact its permit had allowed.
func refusal(v policy.Verdict) *errs.Error {
	code := "refused:" + v.By
	zh, en := "现在不得联系：", "The contact is not permitted now: "
	if r := v.Result(v.By); r != nil {
		zh, en = zh+r.Reason.Text("zh")+"（"+v.By+"）。", en+r.Reason.Text("en")+" ("+v.By+")."
	} else {
		zh, en = zh+v.By+"。", en+v.By+"."
	}
	return errs.New(errs.Refused, code, zh, en)
}
