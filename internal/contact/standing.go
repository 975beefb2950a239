package contact

// Micros is an instant in microseconds since 1970 UTC; 0 means "not set".
type Micros = int64

// Ground is the lawful ground a grant rests on (PIPL art. 13).
type Ground string

// The grounds a contact can rest on.
const (
	Consent   Ground = "consent"     // PIPL 13(1): free, explicit, informed
	Request   Ground = "request"     // the customer asked for this contact
	Contract  Ground = "contract"    // PIPL 13(2): needed to perform the contract
	Statute   Ground = "statute"     // PIPL 13(3): a duty by law
	SoftOptIn Ground = "soft_opt_in" // own similar products to an existing customer (ePrivacy art. 13(2), LGTel 66)
)

// Grounds lists the grounds.
var Grounds = []Ground{Consent, Request, Contract, Statute, SoftOptIn}

// Grant is what a customer agreed to, with its terms. An empty set of
// purposes, channels or points means "any"; a zero Max means "no cap of its own".
type Grant struct {
	ID       ID       `json:"id"`
	Ground   Ground   `json:"ground"`
	Purposes Purposes `json:"purposes"`
	Channels Channels `json:"channels,omitempty"`
	Points   []ID     `json:"points,omitempty"`   // contact points; empty = all of the person's
	Products []string `json:"products,omitempty"` // empty = any
	Max      int      `json:"max,omitempty"`      // at most Max contacts …
	Days     int      `json:"days,omitempty"`     // … in any Days consecutive days (rolling, 24 h each)
	Hours    []Hours  `json:"hours,omitempty"`    // only at these hours; empty = no terms of its own
	From     Micros   `json:"from"`
	Until    Micros   `json:"until,omitempty"`    // 0 = until withdrawn
	Notice   string   `json:"notice,omitempty"`   // sha256 (hex) of the notice version that was shown
	How      string   `json:"how,omitempty"`      // how it was obtained: branch, app, phone, paper …
	Evidence Evidence `json:"evidence,omitempty"` // its form, and what is on file about it
}

// Hours is a daily window [From,To) in minutes of the person's local day,
// on the given weekdays (bit 0 = Sunday; 0 = every day). From > To wraps midnight.
type Hours struct {
	From int   `json:"from"`
	To   int   `json:"to"`
	Days uint8 `json:"days,omitempty"`
}

// StopKind is why contact must not happen.
type StopKind string

// The kinds of stop.
const (
	Withdrawal   StopKind = "withdrawal"     // consent taken back
	Refusal      StopKind = "refusal"        // said no when asked or contacted
	DoNotContact StopKind = "do_not_contact" // the person or the bank put them on the list
	Hold         StopKind = "hold"           // temporary: an open complaint, a dispute, a death notice
)

// Stop bars contact from At on. Empty sets mean "all". It ends at Until, if
// set, or when a newer grant of consent covers the same purpose and channel
// (only for withdrawal and refusal: a do-not-contact must be lifted).
type Stop struct {
	ID       ID       `json:"id"`
	Kind     StopKind `json:"kind"`
	Purposes Purposes `json:"purposes,omitempty"`
	Channels Channels `json:"channels,omitempty"`
	Points   []ID     `json:"points,omitempty"`
	GrantID  ID       `json:"grant,omitempty"`
	At       Micros   `json:"at"`
	Until    Micros   `json:"until,omitempty"`
	Source   string   `json:"source,omitempty"` // key9, portal, staff, complaint, import …
}

// Standing is everything a person has said about being contacted, as of one
// instant. It is small: past grants and lifted stops are not in it.
type Standing struct {
	Grants []Grant `json:"grants,omitempty"`
	Stops  []Stop  `json:"stops,omitempty"`
}

// Charge is one contact that counts, or may count, against a cap.
type Charge struct {
	Permit   ID      `json:"permit"`
	At       Micros  `json:"at"` // when it was reserved, moved to when it was attempted
	Channel  Channel `json:"channel"`
	Purpose  Purpose `json:"purpose"`
	Reach    Reach   `json:"reach"` // while in flight: ReachEffective, the worst case
	InFlight bool    `json:"in_flight,omitempty"`
	Product  string  `json:"product,omitempty"`
	Asked    bool    `json:"asked,omitempty"` // the person began it or asked for it
	Campaign ID      `json:"campaign,omitempty"`
	Event    string  `json:"event,omitempty"`
	Grant    ID      `json:"grant,omitempty"`
}
