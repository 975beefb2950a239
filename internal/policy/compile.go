package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"parley/internal/calendar"
	"parley/internal/contact"
)

type rawSpan struct {
	From  string `yaml:"from"`
	Until string `yaml:"until"`
}

type rawPack struct {
	Pack         string    `yaml:"pack"`
	Version      string    `yaml:"version"`
	Jurisdiction string    `yaml:"jurisdiction"`
	Over         string    `yaml:"over"`
	Zone         string    `yaml:"zone"`
	Title        Words     `yaml:"title"`
	About        string    `yaml:"about"`
	Valid        rawSpan   `yaml:"valid"`
	Scope        string    `yaml:"scope"`
	Rules        []rawRule `yaml:"rules"`
}

type rawRule struct {
	ID          string          `yaml:"id"`
	About       string          `yaml:"about"`
	Title       Words           `yaml:"title"`
	Citation    Citation        `yaml:"citation"`
	InForce     rawSpan         `yaml:"in_force"`
	Force       string          `yaml:"force"`
	Confidence  string          `yaml:"confidence"`
	VerifiedBy  string          `yaml:"verified_by"`
	VerifiedOn  string          `yaml:"verified_on"`
	Disabled    string          `yaml:"disabled"`
	Note        string          `yaml:"note"`
	Scope       string          `yaml:"scope"`
	Customer    Words           `yaml:"customer"`
	Obligations []rawObligation `yaml:"obligations"`

	Consent     *rawConsent     `yaml:"consent"`
	Stop        *rawStop        `yaml:"do_not_contact"`
	Hours       *rawHours       `yaml:"hours"`
	Frequency   *rawFrequency   `yaml:"frequency"`
	Disclosure  *rawDisclosure  `yaml:"disclosure"`
	ThirdParty  *rawThird       `yaml:"third_party"`
	CallerID    *rawCallerID    `yaml:"caller_id"`
	Abandonment *rawAbandonment `yaml:"abandonment"`
	Deadline    *rawDeadline    `yaml:"deadline"`
	Retention   *rawRetention   `yaml:"retention"`
	Masking     *rawMasking     `yaml:"masking"`
	Limit       *rawLimit       `yaml:"limit"`
	Condition   *rawCondition   `yaml:"condition"`
}

type rawObligation struct {
	Kind   string `yaml:"kind"`
	Value  string `yaml:"value"`
	Latest string `yaml:"latest"`
}

// compiler turns a decoded pack into rules and collects what is wrong.
type compiler struct {
	*source
	errs []error
	loc  *time.Location
	home string // the pack's jurisdiction, whose calendar its rules ask
}

func (c *compiler) fail(path, format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("%s:%d: %s", c.name, c.line(path), fmt.Sprintf(format, args...)))
}

var (
	idForm   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*([-_.][A-Za-z0-9]+)*$`)
	word     = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
	keepForm = regexp.MustCompile(`^(|[0-9]\+[0-9]|surname|[0-9]\+domain)$`)
)

func (c *compiler) pack(rp *rawPack) *Pack {
	p := &Pack{ID: rp.Pack, Version: rp.Version, Jurisdiction: rp.Jurisdiction, Over: rp.Over, Zone: rp.Zone, Title: rp.Title,
		About: rp.About, Scope: rp.Scope}
	if !idForm.MatchString(p.ID) {
		c.fail("$.pack", "pack id %q: use letters, digits and dashes", p.ID)
	}
	if p.Version == "" {
		c.fail("$.version", "the pack has no version")
	}
	if p.Over != "" && (!idForm.MatchString(p.Over) || p.Over == p.ID) {
		c.fail("$.over", "over %q: name the other pack that this one lies over", p.Over)
	}
	loc, err := calendar.Zone(p.Zone)
	if err != nil || p.Zone == "" || p.Zone == "Local" {
		c.fail("$.zone", "zone %q is not an IANA time zone such as Asia/Shanghai", p.Zone)
		loc = time.UTC
	}
	p.loc, c.loc, c.home = loc, loc, p.Jurisdiction
	p.From, p.Until = c.span("$.valid", rp.Valid)
	if p.From == 0 {
		c.fail("$.valid.from", "valid.from is missing: say from which date the pack may be used")
	}
	if len(rp.Rules) == 0 {
		c.fail("$.rules", "the pack has no rules")
	}
	lines := map[string]int{}
	for i := range rp.Rules {
		at := fmt.Sprintf("$.rules[%d]", i)
		r := c.rule(at, p, &rp.Rules[i])
		if first, dup := lines[r.ID]; dup {
			c.fail(at+".id", "rule id %q is used twice (first at line %d)", r.ID, first)
		} else {
			lines[r.ID] = r.Line
		}
		p.Rules = append(p.Rules, r)
	}
	return p
}

func (c *compiler) rule(at string, p *Pack, rr *rawRule) *Rule {
	r := &Rule{
		ID: rr.ID, About: rr.About, Title: rr.Title, Citation: rr.Citation, Force: Force(rr.Force), Confidence: rr.Confidence,
		VerifiedBy: rr.VerifiedBy, VerifiedOn: rr.VerifiedOn, Disabled: rr.Disabled, Scope: rr.Scope,
		Customer: rr.Customer, Note: rr.Note, Line: c.line(at), loc: c.loc, Pack: p,
	}
	if !idForm.MatchString(r.ID) {
		c.fail(at+".id", "rule id %q: use letters, digits and dashes", r.ID)
	}
	if slices.Contains(reserved, r.ID) {
		c.fail(at+".id", "rule id %q is reserved; choose another", r.ID)
	}
	r.From, r.Until = c.span(at+".in_force", rr.InForce)
	if r.Disabled == "" && (r.Until != 0 && r.Until <= p.From || p.Until != 0 && r.From >= p.Until) {
		c.fail(at+".in_force", "rule %s can never apply: it is not in force while the pack is valid; disable it and say why, or mend the dates", r.ID)
	}
	c.provenance(at, r, rr)
	for _, w := range []struct {
		what string
		Words
	}{{"title", r.Title}, {"customer", r.Customer}} {
		if w.Zh == "" || w.En == "" {
			c.fail(at+"."+w.what, "rule %s: %s needs both zh and en", r.ID, w.what)
		}
	}
	c.about(at, r, rr)
	for i, o := range rr.Obligations {
		r.Obligations = append(r.Obligations, c.obligation(fmt.Sprintf("%s.obligations[%d]", at, i), r, o))
	}
	c.body(at, r, rr)
	c.scope(at, r)
	return r
}

// provenance checks where the rule comes from and how far it may be trusted.
func (c *compiler) provenance(at string, r *Rule, rr *rawRule) {
	if !slices.Contains(forces, r.Force) {
		c.fail(at+".force", "rule %s: force %q is not one of %s", r.ID, rr.Force, list(forces))
	}
	if r.Force == Repealed && r.Disabled == "" {
		c.fail(at+".force", "rule %s: what is repealed cannot run: say in disabled since when and by what it is gone", r.ID)
	}
	if !slices.Contains([]string{"P", "S", "S-", "M", "none"}, r.Confidence) {
		c.fail(at+".confidence", "rule %s: confidence %q is not one of P, S, S-, M, none", r.ID, r.Confidence)
	}
	if (r.Confidence == "M" || r.Confidence == "none") && r.Force != BankDefault && r.Disabled == "" {
		c.fail(at+".confidence", "rule %s: nobody has read its text: make it bank_default or disable it", r.ID)
	}
	if r.Citation.Instrument == "" {
		c.fail(at+".citation", "rule %s: the citation names no instrument", r.ID)
	}
	if r.Citation.Date != "" {
		c.date(at+".citation.date", r.Citation.Date)
	}
	if l := r.Citation.Link; l != "" && !strings.HasPrefix(l, "https://") && !strings.HasPrefix(l, "http://") {
		c.fail(at+".citation.link", "rule %s: link %q is not a web address", r.ID, l)
	}
	if r.VerifiedOn != "" {
		c.date(at+".verified_on", r.VerifiedOn)
	}
	if (r.VerifiedBy == "") != (r.VerifiedOn == "") {
		c.fail(at+".verified_by", "rule %s: verified_by and verified_on go together", r.ID)
	}
}

// bodies says for each kind of body what it may be about, its default first.
var bodies = map[kind][]string{
	kindObligation:  abouts,
	kindConsent:     {AboutContact},
	kindStop:        {AboutContact},
	kindHours:       {AboutContact},
	kindFrequency:   {AboutContact},
	kindThirdParty:  {AboutContact},
	kindCallerID:    {AboutContact},
	kindDisclosure:  abouts,
	kindCondition:   abouts,
	kindAbandonment: {AboutCampaign, AboutContact, AboutCall},
	kindDeadline:    {AboutComplaint, AboutStop, AboutRequest, AboutLetter, AboutRecord, AboutCampaign, AboutCall, AboutHotline},
	kindRetention:   {AboutRecord},
	kindMasking:     {AboutView},
	kindLimit:       abouts[1:],
}

// about finds the one body and what the rule is about.
func (c *compiler) about(at string, r *Rule, rr *rawRule) {
	var found []kind
	for k, set := range map[kind]bool{
		kindConsent: rr.Consent != nil, kindStop: rr.Stop != nil, kindHours: rr.Hours != nil, kindFrequency: rr.Frequency != nil,
		kindDisclosure: rr.Disclosure != nil, kindThirdParty: rr.ThirdParty != nil, kindCallerID: rr.CallerID != nil,
		kindAbandonment: rr.Abandonment != nil, kindDeadline: rr.Deadline != nil, kindRetention: rr.Retention != nil,
		kindMasking: rr.Masking != nil, kindLimit: rr.Limit != nil, kindCondition: rr.Condition != nil,
	} {
		if set {
			found = append(found, k)
		}
	}
	switch len(found) {
	case 0:
		if len(rr.Obligations) == 0 {
			c.fail(at, "rule %s does nothing: give it obligations or a body: %s", r.ID, strings.Join(kindNames[1:], ", "))
		}
	case 1:
		r.kind = found[0]
	default:
		c.fail(at, "rule %s has %d bodies; split it into one rule each", r.ID, len(found))
	}
	may := bodies[r.kind]
	if r.About == "" {
		if r.About = may[0]; r.kind == kindLimit {
			c.fail(at, "rule %s: say what the limit is about: %s", r.ID, strings.Join(may, ", "))
		}
	}
	if !slices.Contains(may, r.About) {
		c.fail(at+".about", "rule %s: about %q is not one of %s", r.ID, rr.About, strings.Join(may, ", "))
	}
}

// body compiles the one typed body.
func (c *compiler) body(at string, r *Rule, rr *rawRule) {
	at += "." + kindNames[r.kind]
	switch r.kind {
	case kindConsent:
		r.Consent = c.consent(at, rr.Consent)
	case kindStop:
		r.Stop = c.stop(at, rr.Stop)
	case kindHours:
		r.Hours = c.hours(at, rr.Hours)
	case kindFrequency:
		r.Frequency = c.frequency(at, rr.Frequency)
	case kindDisclosure:
		r.Disclosure = c.disclosure(at, r, rr.Disclosure)
	case kindThirdParty:
		r.ThirdParty = c.third(at, rr.ThirdParty)
	case kindCallerID:
		r.CallerID = c.callerID(at, rr.CallerID)
	case kindAbandonment:
		r.Abandonment = c.abandonment(at, rr.Abandonment)
	case kindDeadline:
		r.Deadline = c.deadline(at, rr.Deadline)
	case kindRetention:
		r.Retention = c.retention(at, rr.Retention)
	case kindMasking:
		r.Masking = c.masking(at, rr.Masking)
	case kindLimit:
		r.Limit = c.limit(at, rr.Limit)
	case kindCondition:
		r.Condition = c.condition(at, r, rr.Condition)
	}
}

func (c *compiler) obligation(at string, r *Rule, o rawObligation) Obligation {
	switch {
	case r.About != AboutContact:
		if !word.MatchString(o.Kind) {
			c.fail(at+".kind", "obligation %q: use small letters and underscores", o.Kind)
		}
	case !slices.Contains(obligationKinds, o.Kind):
		c.fail(at+".kind", "obligation %q is not one of %s", o.Kind, strings.Join(obligationKinds, ", "))
	case o.Kind == RingMin:
		if d, err := time.ParseDuration(o.Value); err != nil || d <= 0 || d > 2*time.Minute {
			c.fail(at+".value", "ring_min %q is not a duration such as 15s", o.Value)
		}
	}
	if o.Latest != "" {
		c.seconds(at+".latest", o.Latest)
	}
	return Obligation{Kind: o.Kind, Value: o.Value, Latest: o.Latest, Rule: r.ID}
}

// length reads a span such as "15 days".
func (c *compiler) length(at, s string) calendar.Span {
	d, err := calendar.ParseSpan(s)
	if err != nil {
		c.fail(at, "%v", err)
	}
	return d
}

// seconds reads a short time such as 2s.
func (c *compiler) seconds(at, s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > time.Hour {
		c.fail(at, "%q is not a short time such as 2s", s)
	}
	return d
}

func (c *compiler) span(at string, s rawSpan) (from, until contact.Micros) {
	if s.From != "" {
		from = c.date(at+".from", s.From)
	}
	if s.Until != "" {
		until = c.date(at+".until", s.Until)
		if until <= from {
			c.fail(at+".until", "until %s is not after from %s", s.Until, s.From)
		}
	}
	return from, until
}

// date reads a local date of the pack's zone; the instant is its midnight, and
// an "until" date is the first day on which the thing no longer holds.
func (c *compiler) date(at, s string) contact.Micros {
	t, err := time.Parse("2006-01-02", s)
	if err != nil {
		c.fail(at, "%q is not a date such as 2026-03-01", s)
		return 0
	}
	loc := c.loc
	if loc == nil {
		loc = time.UTC
	}
	return calendar.Start(t.Year(), t.Month(), t.Day(), loc).UnixMicro()
}

// list names the members of a set of words.
func list[T ~string](ws []T) string {
	out := make([]string, len(ws))
	for i, w := range ws {
		out[i] = string(w)
	}
	return strings.Join(out, ", ")
}
