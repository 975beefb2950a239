// Package policy says whether a contact may be made: it holds rule packs (law
// and house rules as data), and decides one contact from its facts. It is
// pure: no storage, no clock, no context. Whatever goes wrong, it denies.
package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"parley/internal/contact"
)

// Intent is a contact somebody wants to make. Channel, Purpose and Relation
// must be set; an intent that lacks one is denied.
type Intent struct {
	Party     contact.ID       `json:"party,omitempty"`
	Point     contact.ID       `json:"point,omitempty"`
	Channel   contact.Channel  `json:"channel,omitempty"`
	Purpose   contact.Purpose  `json:"purpose,omitempty"`
	Product   string           `json:"product,omitempty"` // "family" or "family:debt"; scopes see the family
	Event     string           `json:"event,omitempty"`   // "family:which" or a name of its own; scopes see the family
	Campaign  contact.ID       `json:"campaign,omitempty"`
	Relation  contact.Relation `json:"relation,omitempty"`
	Initiator string           `json:"initiator,omitempty"` // bank (default) or customer
	Synthetic bool             `json:"synthetic,omitempty"` // the voice or text is machine-made
	CallerID  string           `json:"caller_id,omitempty"`
	Script    string           `json:"script,omitempty"`    // hash of the script version
	Discloses []string         `json:"discloses,omitempty"` // what the script says or offers: identity, refusal_path@1.5s …
	Automated bool             `json:"automated,omitempty"` // chosen by automated targeting
	Via       string           `json:"via,omitempty"`       // the system that makes the contact; empty = Parley itself
}

// Facts is all that a verdict depends on, besides the packs. Charges may be in
// any order; one that is in flight counts as its worst case.
type Facts struct {
	Intent
	Now  time.Time `json:"now"`
	Zone string    `json:"zone,omitempty"` // the person's IANA zone; empty = the pack's
	// PointZone is the zone of the number or address contacted, where that is known.
	PointZone string            `json:"point_zone,omitempty"`
	Standing  contact.Standing  `json:"standing,omitzero"`
	Charges   []contact.Charge  `json:"charges,omitempty"`
	Person    map[string]string `json:"person,omitempty"`  // region, debtor_unreachable, outsourced …
	Figures   map[string]int    `json:"figures,omitempty"` // the campaign's: live, abandoned; nil = it does not dial ahead
}

// Effect is what a rule, or all of them together, say. The zero value is not
// an effect, so that a verdict nobody made permits nothing.
type Effect int

// The effects, mildest first.
const (
	Allow Effect = iota + 1
	Later        // not before an instant
	Deny
)

var effectNames = [...]string{"", "allow", "later", "deny"}

// String gives the effect's name.
func (e Effect) String() string {
	if e < 0 || int(e) >= len(effectNames) {
		return fmt.Sprintf("effect %d", int(e))
	}
	return effectNames[e]
}

// ParseEffect reads an effect's name.
func ParseEffect(s string) (Effect, error) {
	for i, n := range effectNames {
		if i > 0 && n == s {
			return Effect(i), nil
		}
	}
	return 0, fmt.Errorf("effect %q is not one of allow, later, deny", s)
}

// MarshalText writes the effect's name.
func (e Effect) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads the effect's name.
func (e *Effect) UnmarshalText(b []byte) (err error) { *e, err = ParseEffect(string(b)); return err }

// The obligations a permit can carry, and what a script can declare.
const (
	Identity    = "identity"         // say who calls and how to reach the bank
	PurposeSaid = "purpose"          // say at the outset what it is about
	RefusalPath = "refusal_path"     // a way to refuse; value: key9, reply …
	AILabel     = "ai_label"         // say that the voice is machine-made
	Notice      = "notice"           // play the named notice
	NoDebt      = "no_debt"          // reveal no debt
	NonProfiled = "non_personalised" // offer a choice that is not personalised
	WhoIsIt     = "identity_check"   // make sure who answers before anything personal is said
	Callback    = "callback"         // give a number to call back
	CallbackNo  = "callback_refusal" // whoever calls the shown number back can refuse there
	DebtNotice  = "debt_notice"      // the statutory words of a collector
	Referral    = "referral"         // say where else to turn: ombudsman, authority
	RingMin     = "ring_min"         // let it ring at least; value: a Go duration
	Record      = "record"           // record the contact
	// What a script says that a rule may forbid.
	Offer   = "offer"           // offers or recommends something
	Debt    = "debt"            // names a debt
	Overdue = "overdue"         // demands an overdue payment
	Asks    = "consent_request" // asks for consent
)

var obligationKinds = []string{Identity, PurposeSaid, RefusalPath, AILabel, Notice, NoDebt, NonProfiled, WhoIsIt, Callback, CallbackNo,
	DebtNotice, Referral, RingMin, Record}

// declaredKinds are what a script can declare, and a disclosure can require or forbid.
var declaredKinds = append(slices.Clone(obligationKinds), Offer, Debt, Overdue, Asks)

// Obligation is a duty that comes with a permit: a channel that cannot meet
// one must not send.
type Obligation struct {
	Kind   string `json:"kind"`
	Value  string `json:"value,omitempty"`
	Latest string `json:"latest,omitempty"` // by when after the answer it must be met; a Go duration
	Rule   string `json:"rule,omitempty"`
}

// RuleResult is what one applicable rule said.
type RuleResult struct {
	Rule   string    `json:"rule"`
	Effect Effect    `json:"effect"`
	At     time.Time `json:"at,omitzero"` // when Later: the first instant this rule permits
	Reason Reason    `json:"reason,omitzero"`
}

// Verdict is the answer for one contact: the strictest of all applicable rules.
type Verdict struct {
	Effect      Effect       `json:"effect"`
	At          time.Time    `json:"at,omitzero"`  // when Later: the first instant all rules permit
	By          string       `json:"by,omitempty"` // the rule that decided; empty when allowed
	Rules       []RuleResult `json:"rules,omitempty"`
	Obligations []Obligation `json:"obligations,omitempty"` // shared; do not modify
	Pack        string       `json:"pack,omitempty"`        // hash of the set
	Grant       contact.ID   `json:"grant,omitempty"`       // the grant relied upon
}

// Outcomes gives the rules' outcomes in one compact line, as
// "CN-CONSENT-01=allow;CN-DNC-01=deny".
func (v Verdict) Outcomes() string {
	var b strings.Builder
	b.Grow(24 * len(v.Rules))
	for i := range v.Rules {
		if i > 0 {
			b.WriteByte(';')
		}
		b.WriteString(v.Rules[i].Rule)
		b.WriteByte('=')
		b.WriteString(v.Rules[i].Effect.String())
	}
	return b.String()
}

// Result gives what the rule said, or nil when it did not apply.
func (v *Verdict) Result(rule string) *RuleResult {
	for i := range v.Rules {
		if v.Rules[i].Rule == rule {
			return &v.Rules[i]
		}
	}
	return nil
}

// Words is a text in both languages.
type Words struct {
	Zh string `yaml:"zh" json:"zh"`
	En string `yaml:"en" json:"en"`
}

// In gives the text for lang ("zh…" or anything else for English), or the
// other one when that is missing.
func (w Words) In(lang string) string {
	if strings.HasPrefix(lang, "zh") && w.Zh != "" || w.En == "" {
		return w.Zh
	}
	return w.En
}
