package apikey

import (
	"slices"
	"strings"
)

// Scope is something a key may do.
type Scope string

// The scopes. Personal data is masked wherever PersonalRead is missing.
const (
	GateUse         Scope = "gate:use"  // reserve, spend, settle and void permits
	GateRead        Scope = "gate:read" // read decisions and forecasts
	CustomersRead   Scope = "customers:read"
	CustomersWrite  Scope = "customers:write"
	PersonalRead    Scope = "personal:read" // names, numbers and words in clear
	ConsentsRead    Scope = "consents:read"
	ConsentsWrite   Scope = "consents:write"    // record what a customer agreed to
	WithdrawalsMake Scope = "withdrawals:write" // record that a customer said stop
	CampaignsRead   Scope = "campaigns:read"
	CampaignsWrite  Scope = "campaigns:write" // draft, list, submit; never approve
	CampaignsRun    Scope = "campaigns:run"   // start, pause and finish what was approved
	ContactsRead    Scope = "contacts:read"
	ContactsWrite   Scope = "contacts:write" // reconcile a contact of unknown end
	ComplaintsRead  Scope = "complaints:read"
	ComplaintsWrite Scope = "complaints:write" // open a case, add a note
	WebhooksRead    Scope = "webhooks:read"
	WebhooksWrite   Scope = "webhooks:write" // subscribe, replay, resend
)

// scopes lists every scope; wide ones need a second person's approval, because
// they reach personal data in clear, loosen what protects a customer, or send
// data out of the bank.
var scopes = []struct {
	scope Scope
	wide  bool
}{
	{GateUse, false}, {GateRead, false}, {CustomersRead, false}, {CustomersWrite, true}, {PersonalRead, true},
	{ConsentsRead, false}, {ConsentsWrite, true}, {WithdrawalsMake, false}, {CampaignsRead, false}, {CampaignsWrite, false},
	{CampaignsRun, true}, {ContactsRead, false}, {ContactsWrite, true}, {ComplaintsRead, false}, {ComplaintsWrite, false},
	{WebhooksRead, false}, {WebhooksWrite, true},
}

// Scopes lists every scope there is, in the order pages show them.
func Scopes() []Scope {
	out := make([]Scope, len(scopes))
	for i, s := range scopes {
		out[i] = s.scope
	}
	return out
}

// Wide reports whether a key with the scope needs a second person's approval.
func (s Scope) Wide() bool {
	for _, x := range scopes {
		if x.scope == s {
			return x.wide
		}
	}
	return true // what nobody knows is not harmless
}

func known(s Scope) bool { return slices.Contains(Scopes(), s) }

func joinScopes(ss []Scope) string {
	names := make([]string, len(ss))
	for i, s := range ss {
		names[i] = string(s)
	}
	return strings.Join(names, " ")
}

func splitScopes(s string) []Scope {
	var out []Scope
	for f := range strings.FieldsSeq(s) {
		out = append(out, Scope(f))
	}
	return out
}
