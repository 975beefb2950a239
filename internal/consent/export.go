package consent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

// Controller says who processes the data and under which general terms: the
// part of a consent record that is the same for every customer of a bank.
type Controller struct {
	Name         string   // registered name of the bank
	Identifier   string   // such as the unified social credit code
	Contact      string   // office that answers for personal data
	Address      string   // postal address
	Email        string   // optional
	Phone        string   // optional
	URL          string   // optional
	Jurisdiction string   // ISO 3166-1, such as "CN"
	Storage      string   // where the data is kept, how long, how it is deleted
	Withdraw     string   // how to change or take back consent
	Recipients   []string // who receives the data; the bank itself where empty
}

// ErrController is an export without anybody named as controller.
var ErrController = errs.New(errs.Invalid, "no_controller", "导出同意记录前，请先配置银行名称、联系方式等信息。",
	"Before consent records can be exported, name the controller in the configuration (name, contact, address, jurisdiction, storage, withdrawal).")

func (c Controller) complete() bool {
	return c.Name != "" && c.Identifier != "" && c.Contact != "" && c.Address != "" && c.Jurisdiction != "" && c.Storage != "" && c.Withdraw != ""
}

// record27560 is a consent record with the fields ISO/IEC TS 27560:2023 makes
// mandatory, named as in the W3C DPV guide to it. What 27560 has no field for
// (how often, at what hours, by which channel) is under x_parley.
type record27560 struct {
	Header     header27560     `json:"record_metadata"`
	Notice     notice27560     `json:"privacy_notice"`
	Processing processing27560 `json:"pii_processing"`
	Parties    []party27560    `json:"party_identification"`
	Events     []event27560    `json:"consent_events"`
	Terms      extension27560  `json:"x_parley"`
}

type header27560 struct {
	SchemaVersion string `json:"schema_version"`
	RecordID      string `json:"record_id"`
	PrincipalID   string `json:"pii_principal_id"`
	Created       string `json:"created"`
}

type notice27560 struct {
	Hash     string `json:"sha256"`
	Version  string `json:"version"`
	Language string `json:"language"`
	Text     string `json:"text"`
}

type processing27560 struct {
	Purposes     []purpose27560 `json:"purposes"`
	LegalBasis   string         `json:"lawful_basis"`
	PersonalData []data27560    `json:"personal_data"`
	Storage      string         `json:"storage_conditions"`
	Controllers  []string       `json:"pii_controllers"`
	Recipients   []string       `json:"recipients"`
	Withdrawal   string         `json:"withdrawal_method"`
	Jurisdiction []string       `json:"jurisdiction"`
	Rights       []string       `json:"rights"`
	Collection   string         `json:"collection_method"`
}

type purpose27560 struct {
	Purpose string `json:"purpose"`
	Type    string `json:"purpose_type"`
}

type data27560 struct {
	Data string `json:"pii"`
	Type string `json:"pii_type"`
}

type party27560 struct {
	ID      string `json:"party_id"`
	Name    string `json:"party_name"`
	Role    string `json:"party_role"`
	Contact string `json:"party_contact"`
	Address string `json:"party_address"`
	Email   string `json:"party_email,omitempty"`
	Phone   string `json:"party_phone,omitempty"`
	URL     string `json:"party_url,omitempty"`
}

type event27560 struct {
	Type      string `json:"consent_type"`
	State     string `json:"event_state"`
	Time      string `json:"event_time"`
	Duration  string `json:"validity_duration"`
	Expressed string `json:"entity_expressed"`
	Method    string `json:"method,omitempty"`
}

type extension27560 struct {
	Channels []string        `json:"channels"`
	Points   []contact.ID    `json:"contact_points,omitempty"`
	Products []string        `json:"products,omitempty"`
	Max      int             `json:"max_contacts,omitempty"`
	Days     int             `json:"in_days,omitempty"`
	Hours    []contact.Hours `json:"hours,omitempty"`
}

// rights are those of PIPL chapter IV.
func rights() []string {
	return []string{"withdraw consent (PIPL 15)", "know and decide, restrict or refuse (PIPL 44)", "access, copy and port (PIPL 45)",
		"correct and complete (PIPL 46)", "erase (PIPL 47)", "explanation (PIPL 48)", "complain and sue (PIPL 50, 65)"}
}

// Export27560 gives one grant and what became of it as an ISO/IEC TS 27560
// consent record in JSON.
func (s *Store) Export27560(ctx context.Context, tx *db.Tx, party, grantID contact.ID) ([]byte, error) {
	if !s.Controller.complete() {
		return nil, ErrController
	}
	g, err := s.grant(ctx, tx, party, grantID)
	if err != nil {
		return nil, err
	}
	var n Notice
	if g.Notice != "" {
		if n, err = s.GetNotice(ctx, tx, g.Notice); err != nil && !errors.Is(err, ErrNoNotice) {
			return nil, err
		}
	}
	evs, err := s.History(ctx, tx, party)
	if err != nil {
		return nil, err
	}
	c := s.Controller
	r := record27560{
		Notice:  notice27560{g.Notice, n.Version, n.Lang, n.Text},
		Parties: []party27560{{c.Identifier, c.Name, "PII controller", c.Contact, c.Address, c.Email, c.Phone, c.URL}},
		Events:  events27560(g, evs, tx.At()),
		Terms:   extension27560{g.Channels.Names(), g.Points, g.Products, g.Max, g.Days, g.Hours},
		Processing: processing27560{
			Purposes: purposes27560(g.Purposes), LegalBasis: string(g.Ground), Storage: c.Storage, Withdrawal: c.Withdraw,
			PersonalData: []data27560{{"name", "identification"}, {"contact point", "contact"}, {"bank's customer number", "identification"}},
			Controllers:  []string{c.Identifier}, Recipients: c.Recipients, Jurisdiction: []string{c.Jurisdiction}, Rights: rights(), Collection: g.How,
		},
	}
	if len(r.Processing.Recipients) == 0 {
		r.Processing.Recipients = []string{c.Name}
	}
	r.Header = header27560{"ISO/IEC TS 27560:2023", g.ID, party, r.Events[0].Time}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("export consent: %w", err)
	}
	return b, nil
}

func purposes27560(p contact.Purposes) []purpose27560 {
	if p == 0 {
		p = allPurposes
	}
	var out []purpose27560
	for _, n := range p.Names() {
		v, err := contact.ParsePurpose(n)
		if err != nil {
			continue // Names gives names only
		}
		out = append(out, purpose27560{n, v.Class()})
	}
	return out
}

// events27560 tells the states the grant went through: given, then withdrawn
// or refused in part or whole, or expired.
func events27560(g contact.Grant, evs []Event, now contact.Micros) []event27560 {
	kind := "expressed consent"
	if g.Ground != contact.Consent {
		kind = "not consent: " + string(g.Ground)
	}
	duration := "until withdrawn"
	if g.Until != 0 {
		duration = fmt.Sprintf("P%dD", int(db.Time(g.Until).Sub(db.Time(g.From)).Hours()/24))
	}
	var out []event27560
	for _, e := range evs {
		switch {
		case e.Kind == Granted && e.Grant.ID == g.ID:
			out = append(out, event27560{kind, "given", stamp(e.At), duration, "PII principal", g.How})
		case e.Kind == Stopped && len(out) > 0 && takesBack(*e.Stop) && (e.Stop.GrantID == g.ID || meets(g, *e.Stop)):
			state := "withdrawn"
			if e.Stop.Kind == contact.Refusal {
				state = "refused"
			}
			out = append(out, event27560{kind, state, stamp(e.At), "until a new consent", "PII principal", e.Stop.Source})
		}
	}
	if g.Until != 0 && g.Until <= now {
		out = append(out, event27560{kind, "expired", stamp(g.Until), "none", "PII controller", ""})
	}
	return out
}

func stamp(us contact.Micros) string { return db.Time(us).Format(time.RFC3339) }
