package policy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"parley/internal/calendar"
	"parley/internal/contact"
)

type rawConsent struct {
	Grounds  []string `yaml:"grounds"`
	Implied  string   `yaml:"implied"`
	Form     []string `yaml:"form"`
	Evidence []string `yaml:"evidence"`
	Named    bool     `yaml:"named"`
	MaxAge   string   `yaml:"max_age"`
}

func (c *compiler) consent(at string, rc *rawConsent) *Consent {
	b := &Consent{Grounds: c.grounds(at+".grounds", rc.Grounds), Implied: contact.Ground(rc.Implied), Named: rc.Named}
	if len(b.Grounds) == 0 {
		c.fail(at+".grounds", "list the grounds that will do")
	}
	if b.Implied != "" && b.Implied != contact.Contract && b.Implied != contact.Statute {
		c.fail(at+".implied", "implied %q: only contract or statute can exist without a record", rc.Implied)
	}
	b.Forms = c.evidence(at+".form", rc.Form)
	if b.Forms&^contact.Forms != 0 {
		c.fail(at+".form", "form is one or more of written, electronic, oral; the rest belongs under evidence")
	}
	b.Evidence = c.evidence(at+".evidence", rc.Evidence)
	if b.Evidence&contact.Forms != 0 {
		c.fail(at+".evidence", "written, electronic and oral are forms: list them under form, where one of them is enough")
	}
	if rc.MaxAge != "" {
		b.MaxAge = c.length(at+".max_age", rc.MaxAge)
	}
	return b
}

func (c *compiler) grounds(at string, names []string) (out []contact.Ground) {
	for i, g := range names {
		if !slices.Contains(contact.Grounds, contact.Ground(g)) {
			c.fail(fmt.Sprintf("%s[%d]", at, i), "ground %q is not one of %s", g, list(contact.Grounds))
		}
		out = append(out, contact.Ground(g))
	}
	return out
}

func (c *compiler) evidence(at string, names []string) contact.Evidence {
	e, err := contact.EvidenceSet(names)
	if err != nil {
		c.fail(at, "%v", err)
	}
	return e
}

type rawStop struct {
	Kinds    []string     `yaml:"kinds"`
	Purposes []string     `yaml:"purposes"`
	Across   string       `yaml:"across"`
	Named    bool         `yaml:"named"`
	Lasts    string       `yaml:"lasts"`
	Words    []string     `yaml:"words"`
	Registry *rawRegistry `yaml:"registry"`
}

type rawRegistry struct {
	List     string   `yaml:"list"`
	Listed   string   `yaml:"listed"`
	Copy     string   `yaml:"copy"`
	Unless   []string `yaml:"unless"`
	UnlessIf []string `yaml:"unless_if"`
}

func (c *compiler) stop(at string, rs *rawStop) *StopRule {
	b := &StopRule{Kinds: c.kinds(at+".kinds", rs.Kinds), Named: rs.Named, Words: rs.Words}
	if len(b.Kinds) == 0 && rs.Registry == nil {
		c.fail(at+".kinds", "list the kinds of stop that count")
	}
	switch {
	case rs.Across == "channel":
	case rs.Across == "all":
		b.Across = true
	case rs.Across != "" || len(b.Kinds) > 0:
		c.fail(at+".across", "across %q is not one of channel, all", rs.Across)
	}
	if b.Purposes = c.purposes(at+".purposes", rs.Purposes); b.Purposes != 0 && !b.Across {
		c.fail(at+".across", "stops of other purposes than the contact's own name no channel of it: write across: all")
	}
	if rs.Lasts != "" {
		b.Lasts = c.length(at+".lasts", rs.Lasts)
	}
	if r := rs.Registry; r != nil {
		b.Registry = &Registry{Name: r.List, Unless: c.grounds(at+".registry.unless", r.Unless), UnlessIf: r.UnlessIf}
		if !word.MatchString(r.List) {
			c.fail(at+".registry.list", "list %q: name the register in small letters, as in tps", r.List)
		}
		if r.Listed != "" {
			b.Registry.Listed = c.length(at+".registry.listed", r.Listed)
		}
		if r.Copy != "" {
			b.Registry.CopyAge = c.length(at+".registry.copy", r.Copy)
		}
	}
	return b
}

func (c *compiler) kinds(at string, names []string) (out []contact.StopKind) {
	known := []contact.StopKind{contact.Withdrawal, contact.Refusal, contact.DoNotContact, contact.Hold}
	for i, k := range names {
		if !slices.Contains(known, contact.StopKind(k)) {
			c.fail(fmt.Sprintf("%s[%d]", at, i), "kind %q is not one of %s", k, list(known))
		}
		out = append(out, contact.StopKind(k))
	}
	return out
}

type rawFrequency struct {
	Max       *int      `yaml:"max"`
	Unit      string    `yaml:"unit"`
	Per       string    `yaml:"per"`
	Window    string    `yaml:"window"`
	PauseDays int       `yaml:"pause_days"`
	StartedBy string    `yaml:"started_by"`
	Purposes  []string  `yaml:"purposes"`
	Channels  []string  `yaml:"channels"`
	After     *rawAfter `yaml:"after"`
}

type rawAfter struct {
	Stops  []string `yaml:"stops"`
	Within string   `yaml:"within"`
}

// perNames are the keys of count. A debtor, a called party and the person are
// one here, and the history is one trader's: the bank that runs Parley.
var perNames = map[string]Per{"person": PerPerson, "debtor": PerPerson, "called_party": PerPerson, "trader": PerPerson,
	"product": PerProduct, "person_debt": PerProduct, "campaign": PerCampaign, "event": PerEvent, "subject": PerSubject}

var unitNames = map[string]contact.Reach{"attempts": contact.ReachAttempt, "connected": contact.ReachConnected, "effective": contact.ReachEffective}

var startedNames = map[string]Started{"": ByEither, "either": ByEither, "bank": ByBank, "customer": ByCustomer}

// maxWindow bounds a look-back in days.
const maxWindow = 366

func (c *compiler) frequency(at string, rf *rawFrequency) *Frequency {
	b := &Frequency{}
	var ok bool
	if b.Unit, ok = unitNames[rf.Unit]; !ok {
		c.fail(at+".unit", "unit %q is not one of attempts, connected, effective", rf.Unit)
	}
	if b.Per, ok = perNames[rf.Per]; !ok {
		c.fail(at+".per", "per %q is not one of person (debtor, called_party, trader), product (person_debt), subject, campaign, event", rf.Per)
	}
	if b.Started, ok = startedNames[rf.StartedBy]; !ok {
		c.fail(at+".started_by", "started_by %q is not one of bank, customer, either", rf.StartedBy)
	}
	if rf.PauseDays != 0 {
		b.Pause, b.Max, b.Days = true, 1, rf.PauseDays
		if rf.PauseDays < 1 || rf.PauseDays > maxWindow {
			c.fail(at+".pause_days", "pause_days must be from 1 to %d", maxWindow)
		}
		if rf.Max != nil || rf.Window != "" {
			c.fail(at, "a pause has neither max nor window: pause_days says it all; write the cap as a rule of its own")
		}
	} else {
		if rf.Max == nil || *rf.Max < 0 || *rf.Max > 10_000 {
			c.fail(at+".max", "max must be a number from 0 to 10000")
		} else {
			b.Max = *rf.Max
		}
		c.window(at+".window", b, rf.Window)
	}
	b.Purposes = c.purposes(at+".purposes", rf.Purposes)
	for i, s := range rf.Channels {
		ch, err := contact.ParseChannel(s)
		if err != nil {
			c.fail(fmt.Sprintf("%s.channels[%d]", at, i), "%v", err)
		}
		b.Channels |= contact.ChannelSet(ch)
	}
	if rf.After != nil {
		b.After = &After{Kinds: c.kinds(at+".after.stops", rf.After.Stops), Within: c.length(at+".after.within", rf.After.Within)}
		if len(b.After.Kinds) == 0 {
			c.fail(at+".after", "list the stops after which it is permitted, as in stops: [refusal]")
		}
	}
	return b
}

func (c *compiler) purposes(at string, names []string) (set contact.Purposes) {
	for i, s := range names {
		p, err := contact.ParsePurpose(s)
		if err != nil {
			c.fail(fmt.Sprintf("%s[%d]", at, i), "%v", err)
		}
		set |= contact.PurposeSet(p)
	}
	return set
}

func (c *compiler) window(at string, b *Frequency, s string) {
	f := strings.Fields(s)
	n := 0
	if len(f) > 1 {
		n, _ = strconv.Atoi(f[1])
	}
	switch {
	case s == "local_day":
		b.Days = 1
	case len(f) == 2 && f[0] == "rolling_days" && n >= 1 && n <= maxWindow:
		b.Days = n
	case len(f) == 2 && f[0] == "hours" && n >= 1 && n <= maxWindow*24:
		b.Span = time.Duration(n) * time.Hour
	case len(f) == 4 && f[0] == "blocks" && f[2] == "since" && n >= 1 && n <= maxWindow:
		d, err := calendar.ParseDate(f[3])
		if err != nil {
			c.fail(at, "%v", err)
		}
		b.Block, b.Anchor = n, d
	default:
		c.fail(at, "window %q is not one of: local_day, rolling_days N, hours N, blocks N since DATE (at most %d days)", s, maxWindow)
	}
}

type rawDisclosure struct {
	Requires []string          `yaml:"requires"`
	AnyOf    []string          `yaml:"any_of"`
	Forbids  []string          `yaml:"forbids"`
	Told     string            `yaml:"told"`
	Latest   map[string]string `yaml:"latest"`
}

func (c *compiler) disclosure(at string, r *Rule, rd *rawDisclosure) *Disclosure {
	b := &Disclosure{Requires: rd.Requires, AnyOf: rd.AnyOf, Forbids: rd.Forbids, Told: rd.Told}
	if r.About == AboutContact {
		c.declared(at+".requires", rd.Requires)
		c.declared(at+".any_of", rd.AnyOf)
		c.declared(at+".forbids", rd.Forbids)
	} else {
		c.events(at, "", rd.Requires, rd.AnyOf, rd.Forbids)
		if rd.Told != "" || len(rd.Latest) > 0 {
			c.fail(at, "told and latest belong to rules about a contact")
		}
	}
	for _, k := range rd.Forbids {
		if slices.Contains(rd.Requires, k) {
			c.fail(at+".forbids", "%s is both required and forbidden: no contact could keep the rule", k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(rd.Latest)) {
		c.declared(at+".latest", []string{k})
		within, after, _ := strings.Cut(rd.Latest[k], " after ")
		l := Latest{Kind: k, Within: c.seconds(at+".latest."+k, within), After: after}
		if after != "" {
			c.declared(at+".latest."+k, []string{after})
		}
		b.Latest = append(b.Latest, l)
	}
	if len(rd.Requires)+len(rd.AnyOf)+len(rd.Forbids)+len(rd.Latest) == 0 && rd.Told == "" {
		c.fail(at, "the disclosure demands nothing")
	}
	return b
}

func (c *compiler) declared(at string, kinds []string) {
	for i, k := range kinds {
		if !slices.Contains(declaredKinds, k) {
			c.fail(fmt.Sprintf("%s[%d]", at, i), "%q is not one of %s", k, strings.Join(declaredKinds, ", "))
		}
	}
}

type rawThird struct {
	Allow        []string `yaml:"allow"`
	ReferenceIf  []string `yaml:"reference_if"`
	Requires     []string `yaml:"requires"`
	FinalRefusal bool     `yaml:"final_refusal"`
}

func (c *compiler) third(at string, rt *rawThird) *ThirdParty {
	b := &ThirdParty{ReferenceIf: rt.ReferenceIf, Requires: rt.Requires, FinalRefusal: rt.FinalRefusal}
	for i, s := range rt.Allow {
		r, err := contact.ParseRelation(s)
		if err != nil {
			c.fail(fmt.Sprintf("%s.allow[%d]", at, i), "%v", err)
		}
		b.Allow = append(b.Allow, r)
	}
	if len(b.Allow) == 0 {
		c.fail(at+".allow", "list who may be contacted: self, guarantor, reference")
	}
	c.declared(at+".requires", rt.Requires)
	return b
}

type rawHours struct {
	Allow         []rawWindow `yaml:"allow"`
	Through       bool        `yaml:"through"`
	Where         string      `yaml:"where"`
	Holidays      string      `yaml:"holidays"`
	Makeup        string      `yaml:"makeup"`
	Calendar      string      `yaml:"calendar"`
	UnlessAgreed  bool        `yaml:"unless_agreed"`
	UnlessConsent []string    `yaml:"unless_consent"`
}

type rawWindow struct {
	Days []string `yaml:"days"`
	From string   `yaml:"from"`
	To   string   `yaml:"to"`
}

var (
	whereNames   = map[string]Where{"": AtResidence, "residence": AtResidence, "point": AtPoint, "strictest": AtBoth, "pack": AtPack}
	holidayNames = map[string]DayRule{"": AsWeekday, "as_weekday": AsWeekday, "closed": Closed, "as_sunday": AsSunday}
	makeupNames  = map[string]DayRule{"": AsWeekday, "as_weekday": AsWeekday, "closed": Closed, "as_monday": AsMonday}
)

func (c *compiler) hours(at string, rh *rawHours) *Hours {
	b := &Hours{Through: rh.Through, UnlessAgreed: rh.UnlessAgreed, Calendar: rh.Calendar}
	for i, w := range rh.Allow {
		b.Allow = append(b.Allow, c.windowOf(fmt.Sprintf("%s.allow[%d]", at, i), w))
	}
	if len(b.Allow) == 0 {
		c.fail(at+".allow", "the hours cover nothing: list at least one window")
	}
	var ok bool
	if b.Where, ok = whereNames[rh.Where]; !ok {
		c.fail(at+".where", "where %q is not one of residence, point, strictest, pack", rh.Where)
	}
	if b.Holidays, ok = holidayNames[rh.Holidays]; !ok {
		c.fail(at+".holidays", "holidays %q is not one of as_weekday, closed, as_sunday", rh.Holidays)
	}
	if b.Makeup, ok = makeupNames[rh.Makeup]; !ok {
		c.fail(at+".makeup", "makeup %q is not one of as_weekday, closed, as_monday", rh.Makeup)
	}
	switch marked := b.Holidays != AsWeekday || b.Makeup != AsWeekday; {
	case marked && b.Calendar == "":
		if b.Calendar = c.home; c.home == "" {
			c.fail(at, "which calendar? name it (calendar: CN) or give the pack a jurisdiction")
		}
	case !marked && b.Calendar != "":
		c.fail(at+".calendar", "the calendar is never asked: say what holidays or makeup days count as")
	}
	b.UnlessConsent = c.evidence(at+".unless_consent", rh.UnlessConsent)
	return b
}

func (c *compiler) windowOf(at string, w rawWindow) contact.Hours {
	h := contact.Hours{From: c.clock(at+".from", w.From), To: c.clock(at+".to", w.To)}
	for j, d := range w.Days {
		bits, err := weekdays(d)
		if err != nil {
			c.fail(fmt.Sprintf("%s.days[%d]", at, j), "%v", err)
		}
		h.Days |= bits
	}
	if h.From == h.To {
		c.fail(at, "the hours %s-%s cover nothing", w.From, w.To)
	}
	return h
}
