package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"parley/internal/calendar"
	"parley/internal/contact"
)

// rawFacts is how facts are written by hand, in tests and for "explain".
type rawFacts struct {
	Now     string            `yaml:"now"`  // "2026-11-23 21:59:59" in zone, or RFC 3339
	Zone    string            `yaml:"zone"` // default the first pack's, or Asia/Shanghai
	Point   string            `yaml:"point_zone"`
	Intent  rawIntent         `yaml:"intent"`
	Person  map[string]string `yaml:"person"`
	Grants  []rawGrant        `yaml:"grants"`
	Stops   []rawMark         `yaml:"stops"`
	Charges []rawCharge       `yaml:"charges"`
	Figures map[string]int    `yaml:"figures"`
	Matter  rawMatter         `yaml:"matter"` // instead of an intent: something that is not a contact
}

type rawMatter struct {
	About  string            `yaml:"about"`
	Attrs  map[string]string `yaml:"attr"`
	Counts map[string]int    `yaml:"count"`
	Has    []string          `yaml:"has"`
	Events map[string]string `yaml:"events"`
	Pauses []rawPause        `yaml:"pauses"`
}

type rawPause struct {
	Kind  string `yaml:"kind"`
	From  string `yaml:"from"`
	Until string `yaml:"until"`
}

type rawIntent struct {
	Party     string   `yaml:"party"`
	Point     string   `yaml:"point"`
	Channel   string   `yaml:"channel"`
	Purpose   string   `yaml:"purpose"`
	Product   string   `yaml:"product"`
	Event     string   `yaml:"event"`
	Campaign  string   `yaml:"campaign"`
	Relation  string   `yaml:"relation"`
	Initiator string   `yaml:"initiator"`
	Synthetic bool     `yaml:"synthetic"`
	Automated bool     `yaml:"automated"`
	CallerID  string   `yaml:"caller_id"`
	Script    string   `yaml:"script"`
	Discloses []string `yaml:"discloses"`
}

type rawGrant struct {
	ID       string      `yaml:"id"`
	Ground   string      `yaml:"ground"`
	Purposes []string    `yaml:"purposes"`
	Channels []string    `yaml:"channels"`
	Points   []string    `yaml:"points"`
	Products []string    `yaml:"products"`
	Max      int         `yaml:"max"`
	Days     int         `yaml:"days"`
	Hours    []rawWindow `yaml:"hours"`
	From     string      `yaml:"from"`
	Until    string      `yaml:"until"`
	Notice   string      `yaml:"notice"`
	How      string      `yaml:"how"`
	Evidence []string    `yaml:"evidence"` // written, electronic, oral; express, notice, proof, separate, signed
}

type rawMark struct {
	ID       string   `yaml:"id"`
	Kind     string   `yaml:"kind"`
	Purposes []string `yaml:"purposes"`
	Channels []string `yaml:"channels"`
	Points   []string `yaml:"points"`
	Grant    string   `yaml:"grant"`
	At       string   `yaml:"at"`
	Until    string   `yaml:"until"`
	Source   string   `yaml:"source"`
}

type rawCharge struct {
	At       string `yaml:"at"`
	Channel  string `yaml:"channel"` // default: the intent's
	Purpose  string `yaml:"purpose"` // default: the intent's
	Outcome  string `yaml:"outcome"` // connected, no_answer … ; in_flight
	Product  string `yaml:"product"`
	Campaign string `yaml:"campaign"`
	Event    string `yaml:"event"`
	By       string `yaml:"by"`    // who began it: bank (default) or customer
	Times    int    `yaml:"times"` // so many alike; default 1
}

// ParseFacts reads facts written by hand. Unknown keys are refused with file
// and line; name is used in errors.
func ParseFacts(name string, raw []byte) (*Facts, error) {
	var rf rawFacts
	src, err := decode(name, raw, &rf)
	if err != nil {
		return nil, err
	}
	f, at, err := rf.facts()
	if err != nil {
		return nil, fmt.Errorf("%s:%d: %w", name, src.line("$."+at), err)
	}
	return f, nil
}

// facts compiles; at is the path of what the error is about.
func (rf *rawFacts) facts() (f *Facts, at string, err error) {
	loc, err := calendar.Zone(rf.Zone)
	if err != nil {
		return nil, "zone", err
	}
	f = &Facts{Zone: loc.String(), PointZone: rf.Point, Person: rf.Person, Figures: rf.Figures}
	if f.Now, err = stamp(rf.Now, loc); err != nil {
		return nil, "now", err
	}
	if rf.Point != "" {
		if _, err := calendar.Zone(rf.Point); err != nil {
			return nil, "point_zone", err
		}
	}
	if f.Intent, at, err = rf.Intent.intent(); err != nil {
		return nil, "intent." + at, err
	}
	for i := range rf.Grants {
		g, err := rf.Grants[i].grant(i, loc)
		if err != nil {
			return nil, fmt.Sprintf("grants[%d]", i), err
		}
		f.Standing.Grants = append(f.Standing.Grants, g)
	}
	for i := range rf.Stops {
		s, err := rf.Stops[i].stop(i, loc)
		if err != nil {
			return nil, fmt.Sprintf("stops[%d]", i), err
		}
		f.Standing.Stops = append(f.Standing.Stops, s)
	}
	for i := range rf.Charges {
		c, err := rf.Charges[i].charge(f, loc)
		if err != nil {
			return nil, fmt.Sprintf("charges[%d]", i), err
		}
		for range max(rf.Charges[i].Times, 1) {
			c.Permit = fmt.Sprintf("charge-%d", len(f.Charges)+1)
			f.Charges = append(f.Charges, c)
		}
	}
	return f, "", nil
}

// matter compiles the facts of a matter; at is the path of what the error is about.
func (rf *rawFacts) matter() (m *Matter, at string, err error) {
	rm := &rf.Matter
	loc, err := calendar.Zone(rf.Zone)
	if err != nil {
		return nil, "zone", err
	}
	if !slices.Contains(abouts[1:], rm.About) {
		return nil, "matter.about", fmt.Errorf("about %q is not one of %s", rm.About, strings.Join(abouts[1:], ", "))
	}
	m = &Matter{About: rm.About, Attrs: rm.Attrs, Counts: rm.Counts, Has: rm.Has, Events: map[string]contact.Micros{}}
	if rf.Zone != "" {
		m.Zone = loc.String()
	}
	if m.Now, err = stamp(rf.Now, loc); err != nil {
		return nil, "now", err
	}
	for n, s := range rm.Events {
		if m.Events[n], err = micros(s, loc); err != nil {
			return nil, "matter.events." + n, err
		}
	}
	for i, p := range rm.Pauses {
		x := Pause{Kind: p.Kind}
		if x.From, err = micros(p.From, loc); err == nil {
			x.Until, err = micros(p.Until, loc)
		}
		if err != nil {
			return nil, fmt.Sprintf("matter.pauses[%d]", i), err
		}
		m.Pauses = append(m.Pauses, x)
	}
	return m, "", nil
}

// judge decides the contact or reviews the matter that the facts are about; f is
// nil for a matter.
func (rf *rawFacts) judge(s *Set) (f *Facts, v Verdict, at string, err error) {
	if rf.Zone == "" { // hand-written times without a zone are the first pack's
		rf.Zone = s.packs[0].Zone
	}
	if rf.Matter.About != "" {
		m, at, err := rf.matter()
		if err != nil {
			return nil, v, at, err
		}
		return nil, s.Review(m), "", nil
	}
	f, at, err = rf.facts()
	if err != nil {
		return nil, v, at, err
	}
	return f, s.Decide(f), "", nil
}

func (ri *rawIntent) intent() (in Intent, at string, err error) {
	in = Intent{Party: ri.Party, Point: ri.Point, Product: ri.Product, Event: ri.Event, Campaign: ri.Campaign,
		Initiator: ri.Initiator, Synthetic: ri.Synthetic, Automated: ri.Automated, CallerID: ri.CallerID,
		Script: ri.Script, Discloses: ri.Discloses}
	if in.Channel, err = contact.ParseChannel(ri.Channel); err != nil {
		return in, "channel", err
	}
	if in.Purpose, err = contact.ParsePurpose(ri.Purpose); err != nil {
		return in, "purpose", err
	}
	if in.Relation, err = contact.ParseRelation(ri.Relation); err != nil {
		return in, "relation", err
	}
	return in, "", nil
}

func (rg *rawGrant) grant(i int, loc *time.Location) (g contact.Grant, err error) {
	g = contact.Grant{ID: rg.ID, Ground: contact.Ground(rg.Ground), Points: rg.Points, Products: rg.Products,
		Max: rg.Max, Days: rg.Days, Notice: rg.Notice, How: rg.How}
	if g.ID == "" {
		g.ID = fmt.Sprintf("grant-%d", i+1)
	}
	if g.Ground == "" {
		g.Ground = contact.Consent
	}
	if g.Purposes, g.Channels, err = sets(rg.Purposes, rg.Channels); err != nil {
		return g, err
	}
	if g.Evidence, err = contact.EvidenceSet(rg.Evidence); err != nil {
		return g, err
	}
	c := &compiler{source: &source{name: "hours"}}
	for _, w := range rg.Hours {
		g.Hours = append(g.Hours, c.windowOf("", w))
	}
	if len(c.errs) > 0 {
		return g, c.errs[0]
	}
	if g.From, err = micros(rg.From, loc); err != nil {
		return g, err
	}
	g.Until, err = micros(rg.Until, loc)
	return g, err
}

func (rs *rawMark) stop(i int, loc *time.Location) (s contact.Stop, err error) {
	s = contact.Stop{ID: rs.ID, Kind: contact.StopKind(rs.Kind), Points: rs.Points, GrantID: rs.Grant, Source: rs.Source}
	if s.ID == "" {
		s.ID = fmt.Sprintf("stop-%d", i+1)
	}
	switch s.Kind {
	case contact.Withdrawal, contact.Refusal, contact.DoNotContact, contact.Hold:
	default:
		return s, fmt.Errorf("kind %q is not one of withdrawal, refusal, do_not_contact, hold", rs.Kind)
	}
	if s.Purposes, s.Channels, err = sets(rs.Purposes, rs.Channels); err != nil {
		return s, err
	}
	if s.At, err = micros(rs.At, loc); err != nil {
		return s, err
	}
	s.Until, err = micros(rs.Until, loc)
	return s, err
}

func (rc *rawCharge) charge(f *Facts, loc *time.Location) (c contact.Charge, err error) {
	c = contact.Charge{Channel: f.Channel, Purpose: f.Purpose, Product: rc.Product, Campaign: rc.Campaign, Event: rc.Event}
	if rc.Channel != "" {
		if c.Channel, err = contact.ParseChannel(rc.Channel); err != nil {
			return c, err
		}
	}
	if rc.Purpose != "" {
		if c.Purpose, err = contact.ParsePurpose(rc.Purpose); err != nil {
			return c, err
		}
	}
	switch rc.By {
	case "", "bank":
	case "customer":
		c.Asked = true
	default:
		return c, fmt.Errorf("by %q is not one of bank, customer", rc.By)
	}
	switch o := contact.Outcome(rc.Outcome); o {
	case "in_flight":
		c.InFlight, c.Reach = true, contact.ReachEffective
	case contact.NotSent, contact.NoAnswer, contact.Busy, contact.Rejected, contact.Unreachable, contact.Voicemail,
		contact.Connected, contact.Effective, contact.Delivered, contact.Unknown:
		c.Reach = o.Reach()
	default:
		return c, fmt.Errorf("outcome %q is not one of no_answer, busy, rejected, unreachable, voicemail, connected, effective, delivered, unknown, not_sent, in_flight", rc.Outcome)
	}
	c.At, err = micros(rc.At, loc)
	return c, err
}

func sets(purposes, channels []string) (ps contact.Purposes, cs contact.Channels, err error) {
	for _, s := range purposes {
		p, err := contact.ParsePurpose(s)
		if err != nil {
			return 0, 0, err
		}
		ps |= contact.PurposeSet(p)
	}
	for _, s := range channels {
		c, err := contact.ParseChannel(s)
		if err != nil {
			return 0, 0, err
		}
		cs |= contact.ChannelSet(c)
	}
	return ps, cs, nil
}

func micros(s string, loc *time.Location) (contact.Micros, error) {
	if s == "" {
		return 0, nil
	}
	t, err := stamp(s, loc)
	return t.UnixMicro(), err
}

// stamp reads an instant: RFC 3339, or a local date with or without a time.
func stamp(s string, loc *time.Location) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.UTC(), nil
	}
	for _, form := range []string{"2006-01-02 15:04:05.999999", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(form, s, loc); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time such as 2026-11-23 09:00:00", s)
}

// Explanation is a decision explained: for staff as a tree, for the customer in
// the packs' own sentences.
type Explanation struct {
	Tree     Node         `json:"tree"`
	Customer CustomerView `json:"customer"`
}

// Explanation explains a verdict. f is the facts it was judged on; nil when they
// are not to be shown, or when it is about another matter than a contact.
func (s *Set) Explanation(f *Facts, v Verdict, lang string) Explanation {
	return Explanation{s.Tree(f, v, lang), s.ForCustomer(v, lang)}
}

// ExplainFacts judges facts written as YAML and explains the verdict; lang "zh"
// is Chinese, else English.
func ExplainFacts(set *Set, raw []byte, lang string) (Explanation, error) {
	var rf rawFacts
	src, err := decode("facts", raw, &rf)
	if err != nil {
		return Explanation{}, err
	}
	f, v, at, err := rf.judge(set)
	if err != nil {
		return Explanation{}, fmt.Errorf("facts:%d: %w", src.line("$."+at), err)
	}
	return set.Explanation(f, v, lang), nil
}

// Text writes the explanation for a terminal: the tree, then what the customer
// may be told.
func (x Explanation) Text(lang string) string {
	var b strings.Builder
	x.Tree.Print(&b, lang)
	b.WriteString(Words{"对客户的说明：", "To the customer: "}.In(lang) + x.Customer.Text())
	return b.String()
}

// Text gives the customer's version for a terminal.
func (c CustomerView) Text() string {
	var b strings.Builder
	b.WriteString(c.Said + "\n")
	for _, t := range c.Sentences {
		b.WriteString("  · " + t + "\n")
	}
	return b.String()
}

// Report explains a verdict for a terminal; f may be nil.
func (s *Set) Report(f *Facts, v Verdict, lang string) string {
	return s.Explanation(f, v, lang).Text(lang)
}
