package policy

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/calendar"
	"parley/internal/contact"
)

// Set is packs that speak together. It is immutable and safe for concurrent use.
type Set struct {
	packs   []*Pack   // by id, then validity
	groups  [][]*Pack // versions of one pack
	rules   []*Rule   // those that run and are about contacts, in order of pack and file
	matters []*Rule   // those that run and are about something else
	all     []*Rule
	days    calendar.Book
	hash    string
	window  time.Duration

	asksProduct, asksEvent, asksRegion bool
	attrs                              []string // of a person, that rules ask by name; in order

	plans atomic.Pointer[map[class]*plan]
	grow  sync.Mutex
	zones sync.Map // name → *time.Location
}

// plan is what applies to one class of intents, or to those of a class whose
// people have the same attributes, as far as scopes ask for them.
type plan struct {
	rules       []planned
	obligations []Obligation // of the rules that apply always
	steady      bool         // none of them is asked per contact: the list can be shared …
	from, until int64        // … from and until these instants, in which all of them are in force
	keys        []string     // the attributes that scopes ask; then variants hold the plans proper
	variants    atomic.Pointer[[]variant]
}

type planned struct {
	*Rule
	bad string // the scope failed: the rule denies, and this says why
	ask bool   // the scope is asked per contact
}

// variant is the plan for people with these values of the plan's keys.
type variant struct {
	values []value
	plan   *plan
}

type value struct {
	text string
	has  bool
}

// maxVariants bounds the variants of a plan; people beyond are asked each time.
const maxVariants = 64

// maxPlans bounds the cache of classes; beyond it, it starts afresh.
const maxPlans = 4_096

// Compose puts packs together. Refused are: no pack at all, two packs of the
// same id whose validity overlaps, and a rule id used by two different packs.
//
// The calendars that rules ask are those that ship with Parley; see ComposeWith.
func Compose(ps ...*Pack) (*Set, error) { return ComposeWith(calendar.Shipped(), ps...) }

// ComposeWith is Compose with calendars of the caller's. A calendar that a rule
// asks and that is not there is refused. The set's hash binds the versions of
// those that are asked, so a stored verdict names the calendar it rests on.
func ComposeWith(days calendar.Book, ps ...*Pack) (*Set, error) {
	if len(ps) == 0 {
		return nil, errors.New("no rule pack: without rules nothing may be contacted")
	}
	s := &Set{packs: slices.Clone(ps), days: calendar.Book{}}
	slices.SortStableFunc(s.packs, func(a, b *Pack) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.From, b.From))
	})
	var errs []error
	owner := map[string]string{}
	h := sha256.New()
	for i, p := range s.packs {
		fmt.Fprintf(h, "%s\x00%s\x00%s\n", p.ID, p.Version, p.Sum)
		if i > 0 && s.packs[i-1].ID == p.ID {
			if prev := s.packs[i-1]; prev.Until == 0 || prev.Until > p.From {
				errs = append(errs, fmt.Errorf("%s:1: pack %s version %s overlaps version %s (%s) in validity; end the earlier one first",
					p.File, p.ID, p.Version, prev.Version, prev.File))
			}
			last := len(s.groups) - 1
			s.groups[last] = append(s.groups[last], p)
		} else {
			s.groups = append(s.groups, []*Pack{p})
		}
		for _, r := range p.Rules {
			if o, ok := owner[r.ID]; ok && o != p.ID {
				errs = append(errs, fmt.Errorf("%s:%d: rule %s is also in pack %s; choose another id", p.File, r.Line, r.ID, o))
			}
			owner[r.ID] = p.ID
			s.adopt(r)
		}
	}
	errs = append(errs, s.adjoin(days, h)...)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	s.hash = hex.EncodeToString(h.Sum(nil))
	s.plans.Store(&map[class]*plan{})
	return s, nil
}

func (s *Set) adopt(r *Rule) {
	s.all = append(s.all, r)
	if r.Disabled != "" {
		return
	}
	if r.About != AboutContact {
		s.matters = append(s.matters, r)
		return
	}
	s.rules = append(s.rules, r)
	for _, key := range r.attributes() {
		if i, ok := slices.BinarySearch(s.attrs, key); !ok {
			s.attrs = slices.Insert(s.attrs, i, key)
		}
	}
	s.asksProduct = s.asksProduct || r.asks["product"]
	s.asksEvent = s.asksEvent || r.asks["event"]
	s.asksRegion = s.asksRegion || r.asks["region"] || r.asks["country"]
	if f := r.Frequency; f != nil {
		s.window = max(s.window, f.Span, time.Duration(max(f.Days, f.Block)+1)*24*time.Hour)
	}
}

// adjoin takes up the calendars that rules ask, and checks what rules say of
// other rules and packs.
func (s *Set) adjoin(days calendar.Book, h io.Writer) (errs []error) {
	for _, p := range s.packs {
		if p.Over != "" && !slices.ContainsFunc(s.packs, func(o *Pack) bool { return o.ID == p.Over }) {
			errs = append(errs, fmt.Errorf("%s:1: pack %s lies over pack %s, which is not here; load that one too", p.File, p.ID, p.Over))
		}
	}
	for _, r := range s.all {
		name := r.calendar()
		if c := days.Find(name); c != nil {
			s.days[name] = c
		} else if name != "" && r.Disabled == "" {
			errs = append(errs, fmt.Errorf("%s:%d: rule %s asks calendar %s, which is not there; name one of: %s", r.Pack.File, r.Line, r.ID, name,
				strings.Join(slices.Sorted(maps.Keys(days)), ", ")))
		}
		if d := r.Deadline; d != nil && d.Extends != "" {
			if base := s.Rule(d.Extends); base == nil || base.Deadline == nil || s.circles(r) {
				errs = append(errs, fmt.Errorf("%s:%d: rule %s extends %s, which is not another deadline, or extends this one", r.Pack.File, r.Line, r.ID, d.Extends))
			}
		}
	}
	for _, n := range slices.Sorted(maps.Keys(s.days)) {
		fmt.Fprintf(h, "calendar\x00%s\x00%s\n", n, s.days[n].Version())
	}
	return errs
}

// Attributes lists what the rules that run ask of a person by name, in order:
// whoever gathers facts need gather no more.
func (s *Set) Attributes() []string { return slices.Clone(s.attrs) }

// AsksPoint reports whether a rule reckons in the zone of the number or address
// that is contacted.
func (s *Set) AsksPoint() bool {
	return slices.ContainsFunc(s.rules, func(r *Rule) bool { return r.Hours != nil && (r.Hours.Where == AtPoint || r.Hours.Where == AtBoth) })
}

// attributes are what the rule asks of a person.
func (r *Rule) attributes() []string {
	keys := slices.Clone(r.keys)
	for word, key := range map[string]string{"region": "region", "country": "region", "outsourced": "outsourced"} {
		if r.asks[word] {
			keys = append(keys, key)
		}
	}
	switch {
	case r.Disclosure != nil && r.Disclosure.Told != "":
		keys = append(keys, r.Disclosure.Told)
	case r.ThirdParty != nil:
		keys = append(keys, r.ThirdParty.ReferenceIf...)
	case r.Stop != nil && r.Stop.Registry != nil:
		keys = append(keys, "registry_"+r.Stop.Registry.Name, "registry_"+r.Stop.Registry.Name+"_copy")
		keys = append(keys, r.Stop.Registry.UnlessIf...)
	}
	return keys
}

// circles reports whether the deadline extends itself, by way of others.
func (s *Set) circles(r *Rule) bool {
	at := r
	for range s.all {
		if at = s.Rule(at.Deadline.Extends); at == nil || at.Deadline == nil || at.Deadline.Extends == "" {
			return false
		}
		if at.ID == r.ID {
			return true
		}
	}
	return true
}

// calendar names the calendar the rule asks; empty = none.
func (r *Rule) calendar() string {
	switch {
	case r.Hours != nil:
		return r.Hours.Calendar
	case r.Deadline != nil:
		return r.Deadline.Calendar
	}
	return ""
}

// Calendar gives the calendar that rules of the set know by this name; nil when
// none asks it.
func (s *Set) Calendar(id string) *calendar.Days { return s.days[id] }

// LoadFS parses and composes the named packs of fsys (file names, with or without
// .yaml), or every *.yaml that is not a *_test.yaml when none is named.
func LoadFS(fsys fs.FS, names ...string) (*Set, error) {
	return LoadFSWith(calendar.Shipped(), fsys, names...)
}

// LoadFSWith is LoadFS with calendars of the caller's.
func LoadFSWith(days calendar.Book, fsys fs.FS, names ...string) (*Set, error) {
	if len(names) == 0 {
		all, err := fs.Glob(fsys, "*.yaml")
		if err != nil {
			return nil, err
		}
		return load(days, fsys, slices.DeleteFunc(all, isTest))
	}
	files := make([]string, len(names))
	for i, n := range names {
		files[i] = strings.TrimSuffix(n, ".yaml") + ".yaml"
	}
	return load(days, fsys, files)
}

func isTest(name string) bool { return strings.HasSuffix(name, "_test.yaml") }

func load(days calendar.Book, fsys fs.FS, names []string) (*Set, error) {
	var ps []*Pack
	var errs []error
	for _, n := range names {
		raw, err := fs.ReadFile(fsys, n)
		if err != nil {
			return nil, fmt.Errorf("read pack %s: %w", n, err)
		}
		p, err := Parse(n, raw)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		ps = append(ps, p)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return ComposeWith(days, ps...)
}

// Hash identifies the set: sha256 (hex) over its packs' ids, versions and bytes.
func (s *Set) Hash() string { return s.hash }

// Packs lists the packs by id and validity.
func (s *Set) Packs() []*Pack { return slices.Clone(s.packs) }

// Rules lists every rule, disabled ones too, in order of pack and file.
func (s *Set) Rules() []*Rule { return slices.Clone(s.all) }

// Rule finds a rule by id, in the newest version of its pack; nil when there is none.
func (s *Set) Rule(id string) *Rule {
	for _, r := range slices.Backward(s.all) {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// Window is the longest look-back of any frequency rule, rounded up: a charge
// older than it counts nowhere. A grant's own window may be longer; see WindowFor.
func (s *Set) Window() time.Duration { return s.window }

// WindowFor is Window, lengthened by the terms of the person's own grants.
func (s *Set) WindowFor(st *contact.Standing) time.Duration {
	w := s.window
	for i := range st.Grants {
		if g := &st.Grants[i]; g.Max > 0 {
			w = max(w, time.Duration(termDays(g))*24*time.Hour)
		}
	}
	return w
}

// plan gives what applies to the facts' class and person, resolving it on first
// sight.
func (s *Set) plan(f *Facts) *plan {
	k := s.classOf(f)
	p, ok := (*s.plans.Load())[k]
	if !ok {
		p = s.remember(k)
	}
	if len(p.keys) == 0 {
		return p
	}
	list := p.variants.Load()
	for i := range *list {
		if v := &(*list)[i]; v.fits(p.keys, f.Person) {
			return v.plan
		}
	}
	if len(*list) >= maxVariants {
		return p
	}
	return s.vary(p, k, f.Person)
}

func (s *Set) remember(k class) *plan {
	k.product, k.event, k.region = strings.Clone(k.product), strings.Clone(k.event), strings.Clone(k.region) // do not pin the caller's text
	p := s.resolve(k, nil)
	s.grow.Lock()
	defer s.grow.Unlock()
	old := *s.plans.Load()
	next := make(map[class]*plan, len(old)+1)
	if len(old) < maxPlans {
		maps.Copy(next, old)
	}
	next[k] = p
	s.plans.Store(&next)
	return p
}

// vary makes the plan for a person.
func (s *Set) vary(p *plan, k class, person map[string]string) *plan {
	known := map[string]string{}
	v := variant{values: make([]value, len(p.keys))}
	for i, key := range p.keys {
		if text, ok := person[key]; ok {
			known[key] = strings.Clone(text)
			v.values[i] = value{known[key], true}
		}
	}
	v.plan = s.resolve(k, known)
	s.grow.Lock()
	defer s.grow.Unlock()
	next := append(slices.Clone(*p.variants.Load()), v)
	p.variants.Store(&next)
	return v.plan
}

func (v *variant) fits(keys []string, person map[string]string) bool {
	for i, key := range keys {
		if text, ok := person[key]; ok != v.values[i].has || text != v.values[i].text {
			return false
		}
	}
	return true
}

// resolve finds the rules that apply to a class; person holds what scopes ask of
// it by name, nil when that is not known yet.
func (s *Set) resolve(k class, person map[string]string) *plan {
	p := &plan{steady: true, until: math.MaxInt64}
	for _, r := range s.rules {
		e := planned{Rule: r, ask: r.dynamic || len(r.keys) > 0 && person == nil}
		if e.ask && !r.dynamic {
			for _, key := range r.keys {
				if !slices.Contains(p.keys, key) {
					p.keys = append(p.keys, key)
				}
			}
		}
		if !e.ask {
			ok, err := r.applies(&activation{k: k, person: person})
			if err != nil {
				e.bad = oneLine(err.Error())
			} else if !ok {
				continue
			}
		}
		p.rules = append(p.rules, e)
		p.obligations = append(p.obligations, r.Obligations...)
		if len(r.Obligations) == 0 {
			continue
		}
		p.steady = p.steady && !e.ask && e.bad == ""
		for _, span := range [][2]int64{{r.From, r.Until}, {r.Pack.From, r.Pack.Until}} {
			p.from = max(p.from, span[0])
			if span[1] != 0 {
				p.until = min(p.until, span[1])
			}
		}
	}
	p.variants.Store(&[]variant{})
	return p
}

// zone resolves an IANA name, remembering it. "Local" is refused: verdicts must
// not depend on the machine.
func (s *Set) zone(name string) (*time.Location, error) {
	if l, ok := s.zones.Load(name); ok {
		return l.(*time.Location), nil
	}
	if name == "Local" {
		return nil, errors.New(`zone "Local" is not a place`)
	}
	l, err := time.LoadLocation(name)
	if err == nil {
		s.zones.Store(strings.Clone(name), l)
	}
	return l, err
}
