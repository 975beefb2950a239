package policy

import (
	"slices"
	"time"

	"cel.dev/cel-go/cel"

	"parley/internal/calendar"
	"parley/internal/contact"
)

// Force is how binding a rule's number is.
type Force string

// The forces. A famous number is often only a presumption or a house rule, so
// every rule says which.
const (
	Prohibition Force = "prohibition"
	Presumption Force = "presumption"
	SafeHarbour Force = "safe_harbour"
	Standard    Force = "standard"
	Duty        Force = "duty"
	BankDefault Force = "bank_default" // no law known to us sets it: the bank's own, stricter choice
	Repealed    Force = "repealed"     // a famous number that is law no longer; kept, disabled, so that nobody puts it back
)

var forces = []Force{Prohibition, Presumption, SafeHarbour, Standard, Duty, BankDefault, Repealed}

// Citation says where a rule comes from.
type Citation struct {
	Instrument string `yaml:"instrument" json:"instrument"`
	Article    string `yaml:"article,omitempty" json:"article,omitempty"`
	Date       string `yaml:"date,omitempty" json:"date,omitempty"` // of the text read, 2026-03-01
	Link       string `yaml:"link,omitempty" json:"link,omitempty"`
}

// Short gives the citation in one phrase.
func (c Citation) Short() string {
	if c.Article == "" {
		return c.Instrument
	}
	return c.Instrument + " " + c.Article
}

// Pack is one version of a rule pack.
type Pack struct {
	ID           string
	Version      string
	Jurisdiction string // CN, CN-BJ, US-FL …; also the calendar its rules ask, unless they name one
	Over         string // the pack this one lies over (a region's over its country's); empty = none
	Zone         string // days and hours are reckoned here when the person's zone is not known
	Title        Words
	About        string
	Scope        string         // CEL that every rule of the pack is under; empty = none
	From, Until  contact.Micros // validity; Until 0 = open
	Rules        []*Rule
	File         string
	Sum          string // sha256 (hex) of the file's bytes
	loc          *time.Location
}

// What a rule is about: a contact that somebody wants to make, or another
// matter that is reviewed. See Set.Review.
const (
	AboutContact   = "contact"
	AboutComplaint = "complaint"
	AboutStop      = "stop" // a refusal or withdrawal that must be honoured
	AboutLetter    = "letter"
	AboutCampaign  = "campaign"
	AboutCall      = "call"
	AboutRecord    = "record"
	AboutView      = "view" // personal data shown, logged or exported
	AboutHotline   = "hotline"
	AboutRequest   = "request" // of a person about their own data
)

var abouts = []string{AboutContact, AboutComplaint, AboutStop, AboutLetter, AboutCampaign, AboutCall, AboutRecord, AboutView, AboutHotline, AboutRequest}

// Rule is one rule of a pack. Exactly one of the typed bodies is set, or none
// when the rule only adds obligations.
type Rule struct {
	ID          string
	About       string
	Title       Words
	Citation    Citation
	From, Until contact.Micros // in force; Until 0 = open
	Force       Force
	Confidence  string // P primary text read, S secondary, S- weak, M memory, none
	VerifiedBy  string
	VerifiedOn  string
	Disabled    string // why the rule does not run; empty = it does
	Scope       string // CEL; empty = every contact
	Customer    Words  // the sentence for the customer
	Note        string
	Obligations []Obligation

	Consent     *Consent
	Stop        *StopRule
	Hours       *Hours
	Frequency   *Frequency
	Disclosure  *Disclosure
	ThirdParty  *ThirdParty
	CallerID    *CallerID
	Abandonment *Abandonment
	Deadline    *Deadline
	Retention   *Retention
	Masking     *Masking
	Limit       *Limit
	Condition   *Condition

	Pack *Pack
	Line int // line in the pack's file

	program cel.Program
	keys    []string // the person's attributes that the scope asks by name
	dynamic bool     // it asks about the person in another way, so it is asked per contact
	asks    asks
	kind    kind
	loc     *time.Location
}

// kind numbers the bodies; kindNames are their keys in a pack.
type kind uint8

const (
	kindObligation kind = iota
	kindConsent
	kindStop
	kindHours
	kindFrequency
	kindDisclosure
	kindThirdParty
	kindCallerID
	kindAbandonment
	kindDeadline
	kindRetention
	kindMasking
	kindLimit
	kindCondition
)

var kindNames = [...]string{"obligation", "consent", "do_not_contact", "hours", "frequency", "disclosure", "third_party",
	"caller_id", "abandonment", "deadline", "retention", "masking", "limit", "condition"}

// Kind names the rule's body.
func (r *Rule) Kind() string { return kindNames[r.kind] }

// Kinds names every body a rule can have.
func Kinds() []string { return slices.Clone(kindNames[:]) }

// Consent demands a lawful ground: a valid grant that covers the contact. Its
// terms then bind too, reported as rule TERMS.
type Consent struct {
	Grounds  []contact.Ground // the grounds that will do
	Implied  contact.Ground   // ground that exists without a grant (PIPL 13(2), 13(3)); empty = none
	Forms    contact.Evidence // one of these forms, if any is listed: written, electronic, oral
	Evidence contact.Evidence // and all of these are on file: express, notice, proof, separate …
	Named    bool             // the grant names purpose and channel; "any" will not do
	MaxAge   calendar.Span    // the grant is not older; zero = age does not matter
}

// StopRule says which stops bar the contact (body do_not_contact).
type StopRule struct {
	Kinds []contact.StopKind
	// Purposes: stops for one of these count, instead of those for the contact's
	// own purpose ("after a refusal of marketing, do not ask for consent").
	Purposes contact.Purposes
	// Across: a stop counts whatever its channel and contact point ("all"),
	// and not only where it names the intent's own ("channel").
	Across bool
	// Named: only stops that name the purpose count, not those for "all purposes".
	Named bool
	// Lasts bounds how long a stop bars under this rule; zero = as long as it stands.
	Lasts calendar.Span
	// Words are what counts as a refusal when a person writes or says it.
	Words    []string
	Registry *Registry
}

// Registry is a list kept by others (a national do-not-call register). Facts
// tell of it as attributes of the person: registry_NAME is the date since when
// the number is on it, registry_NAME_copy the date of the copy that was asked.
type Registry struct {
	Name     string
	Listed   calendar.Span    // bars once listed so long; zero = at once
	CopyAge  calendar.Span    // the copy must not be older; zero = not asked
	Unless   []contact.Ground // a valid grant on one of these grounds lifts it
	UnlessIf []string         // so does an attribute of the person that is "yes" (an existing business relation)
}

// Hours permits contact only in the given local windows, [from,to).
type Hours struct {
	Allow []contact.Hours
	// Through: the instant named as "to" is itself permitted ("after 9 p.m." bars 21:00:01, not 21:00:00).
	Through bool
	Where   Where
	// Holidays and Makeup say how the calendar's days count; Calendar names it.
	Holidays DayRule
	Makeup   DayRule
	Calendar string
	// UnlessAgreed: a valid grant of consent with hours of its own that cover
	// the instant permits it all the same ("unless agreed otherwise").
	UnlessAgreed bool
	// UnlessConsent: so does a valid grant of consent with all of this evidence
	// ("does not apply with express prior consent"). Zero = no.
	UnlessConsent contact.Evidence
}

// Where is whose local time decides.
type Where uint8

// The places of an hours rule.
const (
	AtResidence Where = iota // the person's own zone
	AtPoint                  // the zone of the number or address contacted; else the person's
	AtBoth                   // it must be permitted in both: the strictest
	AtPack                   // the pack's zone, whoever is called
)

// DayRule is what a marked day of the calendar counts as.
type DayRule uint8

// The rules for holidays and made-up workdays.
const (
	AsWeekday DayRule = iota // whatever the weekday says
	Closed                   // no contact at all
	AsSunday                 // a holiday has Sunday's hours
	AsMonday                 // a made-up workday has Monday's hours
)

// Per is what a frequency rule counts by, besides the person.
type Per uint8

// The keys of count. The history is always one person's: all numbers, all
// channels, all vendors.
const (
	PerPerson   Per = iota // everything
	PerProduct             // person and product or debt
	PerCampaign            // person and campaign
	PerEvent               // person and event
	PerSubject             // person and product family
)

// Frequency caps contacts in a window, or bars them for a while after a
// conversation.
type Frequency struct {
	Max      int
	Unit     contact.Reach
	Per      Per
	Days     int           // local calendar days, today included; local_day is 1
	Span     time.Duration // or a sliding span of time
	Block    int           // or successive blocks of so many local days …
	Anchor   calendar.Date // … of which one began on this date
	Pause    bool          // no contact for Days days after one of Unit, its own day being day 1
	Started  Started
	Purposes contact.Purposes
	Channels contact.Channels
	After    *After
}

// Started says whose contacts count.
type Started uint8

// The starters.
const (
	ByEither   Started = iota // all
	ByBank                    // those the bank began
	ByCustomer                // those the person began or asked for
)

// After permits contact only within so long after a stop ("one confirmation
// within five minutes").
type After struct {
	Kinds  []contact.StopKind
	Within calendar.Span
}

// Disclosure demands that the script declares what it says or offers.
type Disclosure struct {
	Requires []string // all of these
	AnyOf    []string // and one of these, if any is listed
	Forbids  []string // and none of these
	Told     string   // and this attribute of the person holds a past date: told before the first contact
	Latest   []Latest // and these are said in time
}

// Latest is by when something must have been said.
type Latest struct {
	Kind   string
	Within time.Duration
	After  string // counted from when this was said; empty = from the answer
}

// ThirdParty says who, besides the customer, may be contacted.
type ThirdParty struct {
	Allow        []contact.Relation // always
	ReferenceIf  []string           // a contact person only when one of these attributes of the person is "yes"
	Requires     []string           // and the script declares these
	FinalRefusal bool               // a contact person who ever refused is never contacted again
}
