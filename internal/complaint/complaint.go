// Package complaint holds customers' complaints from the first word to the
// closing: a case opens with its cause attached, its deadline is a legal
// object, two people stand behind every answer, and the customer sees it all.
//
// The procedure follows 《银行业保险业消费投诉处理管理办法》 (2020 No. 3).
package complaint

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"parley/internal/approval"
	"parley/internal/calendar"
	"parley/internal/consent"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/ledger"
	"parley/internal/money"
	"parley/internal/policy"
	"parley/internal/template"
)

// Cause is the contact complained of and all that stood behind it.
type Cause struct {
	Attempt   contact.ID      `json:"attempt"` // also the decision's and the permit's id
	At        time.Time       `json:"at"`
	Channel   contact.Channel `json:"channel"`
	Purpose   contact.Purpose `json:"purpose"`
	Campaign  contact.ID      `json:"campaign,omitempty"`
	Name      string          `json:"campaign_name,omitempty"`
	Outcome   contact.Outcome `json:"outcome"`
	CallerID  string          `json:"caller_id,omitempty"`
	Effect    string          `json:"effect"`          // what the gate said
	By        string          `json:"by"`              // the rule that decided
	Pack      string          `json:"pack"`            // hash of the rules in force
	Grant     contact.ID      `json:"grant,omitempty"` // the consent or other ground relied on
	Script    string          `json:"script,omitempty"`
	Recording string          `json:"sha256,omitempty"` // of the recording
	Seconds   float64         `json:"seconds,omitempty"`
}

// Contacts finds the contacts a complaint may be about; the composition root
// joins it to the rooms that know.
type Contacts interface {
	// Cause describes one attempt.
	Cause(ctx context.Context, tx *db.Tx, attempt contact.ID) (Cause, error)
	// Latest gives a person's last n contacts since a time, newest first.
	Latest(ctx context.Context, tx *db.Tx, party contact.ID, since time.Time, n int) ([]Cause, error)
}

// Remedies carries out what a decision gives back, in the transaction that
// approves it.
type Remedies interface {
	Order(ctx context.Context, tx *db.Tx, c *Case, d *Decision) error
}

// Case is one complaint.
type Case struct {
	ID        contact.ID
	Number    string
	Token     string // opens the customer's progress page; a capability, not a secret of the bank
	Source    string
	State     State
	Round     int
	Party     contact.ID // empty while nobody knows who complains
	Attempt   contact.ID
	Lang      string
	Subject   string
	Words     string
	Recording string // sha256 of the recording with the spoken words
	From, To  time.Duration
	Cause     *Cause
	Received  time.Time
	Handler   string
	Due       time.Time
	// ContactDue is when the complainant must have been contacted first; zero when
	// no rule says so or they have been.
	ContactDue time.Time
	Hold       contact.ID
	Proven     bool // the complainant is known to be the customer
	ClosedAt   time.Time

	stored counted // how its row is counted
}

// Result is what the investigation found.
type Result string

// The results.
const (
	Upheld    Result = "upheld"
	Partly    Result = "partly"
	NotUpheld Result = "not_upheld"
)

// Decision is what the bank decides and tells the customer. Facts and Basis are
// sections that a decision must have (art. 19).
type Decision struct {
	ID           contact.ID    `json:"-"`
	Round        int           `json:"-"`
	State        string        `json:"-"`
	Result       Result        `json:"result"`
	Facts        string        `json:"facts"` // what was verified (findings)
	Basis        string        `json:"basis"` // rules and reasons
	Apology      bool          `json:"apology"`
	Compensation money.Fen     `json:"compensation_fen"`
	Block        *contact.Stop `json:"block,omitempty"` // purposes and channels barred from now on
	RootCause    string        `json:"root_cause"`      // art. 9: 溯源整改
	ProposedBy   string        `json:"-"`
	ProposedAt   time.Time     `json:"-"`
	DecidedBy    string        `json:"-"`
	DecidedAt    time.Time     `json:"-"`
	Note         string        `json:"-"`
}

// Options are what a Desk needs to know of the bank.
type Options struct {
	BankZh, BankEn, Hotline string
	Zone                    *time.Location
	// Terms gives the deadlines of a complaint that are in force, for one of which
	// this is known (region); nil = those of the packs that ship.
	Terms func(now time.Time, attrs map[string]string) calendar.Terms
	// Region gives where a customer lives, as the rules know it (CN-BJ); nil = not known.
	Region func(ctx context.Context, tx *db.Tx, party contact.ID) (string, error)
	// Grades says which permission it is to have a grade that a rule demands of
	// whoever approves an extension.
	Grades map[string]string
	// Days gives the calendar in force that deadlines are pinned to; nil = the
	// mainland's that ships.
	Days func(ctx context.Context, tx *db.Tx) (*calendar.Days, error)
	// Wordings gives what letters say; nil = as shipped.
	Wordings Wordings
}

// Desk is where complaints are handled.
type Desk struct {
	db        *db.DB
	approvals *approval.Store
	sealer    Sealer
	consent   *consent.Store
	contacts  Contacts
	remedies  Remedies
	opt       Options
}

// New makes the desk. Decisions and extensions are approved through a, where
// the composition root registers Approvals; what people write is sealed by s.
func New(d *db.DB, a *approval.Store, s Sealer, c *consent.Store, contacts Contacts, remedies Remedies, o Options) *Desk {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	if o.Terms == nil {
		o.Terms = func(now time.Time, attrs map[string]string) calendar.Terms { return policy.TermsOf(nil, now, attrs) }
	}
	if o.Days == nil {
		o.Days = func(context.Context, *db.Tx) (*calendar.Days, error) { return calendar.Shipped()["CN"], nil }
	}
	if o.Wordings == nil {
		o.Wordings = template.AsShipped{}
	}
	return &Desk{db: d, approvals: a, sealer: s, consent: c, contacts: contacts, remedies: remedies, opt: o}
}

// record writes a case's event and its ledger entry in one go. What the
// customer may see is public.
func (k *Desk) record(ctx context.Context, tx *db.Tx, c *Case, kind, by string, public bool, data map[string]any) error {
	e, err := k.event(ctx, tx, c, kind, by, public, data)
	if err != nil {
		return err
	}
	return ledger.Append(ctx, tx, ledger.Entry{Type: e.Type, ID: e.ID, Record: e.Record})
}

// event writes a case's event, sealed, and gives its ledger entry.
func (k *Desk) event(ctx context.Context, tx *db.Tx, c *Case, kind, by string, public bool, data map[string]any) (approval.Effect, error) {
	if data == nil {
		data = map[string]any{}
	}
	raw, err := json.Marshal(data)
	if err != nil {
		return approval.Effect{}, fmt.Errorf("complaint event: %w", err)
	}
	id := contact.NewID()
	sealed, err := k.seal(string(raw), ofEvent, id, "data")
	if err != nil {
		return approval.Effect{}, err
	}
	pub := 0
	if public {
		pub = 1
	}
	if _, err := tx.Exec(ctx, `INSERT INTO complaint_event (id, case_id, at, by_whom, kind, public, data)
		VALUES ($1,$2,$3,$4,$5,$6,$7)`, id, c.ID, tx.At(), by, kind, pub, sealed); err != nil {
		return approval.Effect{}, err
	}
	rec := map[string]any{"number": c.Number, "by": by, "state": c.State, "round": c.Round}
	for key, v := range data {
		// What people wrote stays in the case, where it can be erased; the ledger
		// holds its hash.
		if text, ok := v.(string); ok && (key == "why" || key == "text" || key == "reason") {
			key, v = key+"_hash", sum(text)
		}
		rec[key] = v
	}
	return approval.Effect{Type: "case." + kind, ID: c.ID, Record: rec}, nil
}

// newToken is 130 bits in letters that survive being read out.
func newToken() string {
	b := make([]byte, 17)
	rand.Read(b) // never fails (crypto/rand)
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))[:26]
}

// nextNumber gives the bank's next case number of the local year.
func (k *Desk) nextNumber(ctx context.Context, tx *db.Tx) (string, error) {
	year := tx.Now.In(k.opt.Zone).Year()
	var n int64
	err := tx.QueryRow(ctx, `INSERT INTO complaint_counter (year, last) VALUES ($1, 1)
		ON CONFLICT (year) DO UPDATE SET last = complaint_counter.last + 1 RETURNING last`, year).Scan(&n)
	if err != nil {
		return "", fmt.Errorf("case number: %w", err)
	}
	return fmt.Sprintf("%d-%06d", year, n), nil
}
