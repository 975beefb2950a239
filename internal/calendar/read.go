package calendar

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// Calendar is a document: days, and where each of them comes from.
type Calendar struct {
	*Days
	Title      Words
	Zone       string // where its days are reckoned
	About      Words
	Confidence string // P, S, S-, M: how well the source was read
	Source     Source
	Sum        string // sha256 (hex) of the document's bytes
	Doc        []byte // the document itself
	raw        rawCalendar
}

// Source says which notice or statute days come from.
type Source struct {
	Instrument string `yaml:"instrument"`
	Number     string `yaml:"number,omitempty"`
	Published  string `yaml:"published,omitempty"` // date
	Link       string `yaml:"link,omitempty"`
}

// Notice gives the yearly notice that sets days of a year, if one does.
func (c *Calendar) Notice(year int) (Notice, bool) {
	i := slices.IndexFunc(c.raw.Notices, func(n Notice) bool { return n.Year == year })
	if i < 0 {
		return Notice{}, false
	}
	return c.raw.Notices[i], true
}

// Yearly reports whether every year needs a notice of its own, as in China;
// elsewhere the rules give the days and a notice only adds to them.
func (c *Calendar) Yearly() bool { return c.raw.Yearly }

// maxDoc bounds a calendar document.
const maxDoc = 256 << 10

type rawCalendar struct {
	Calendar   string    `yaml:"calendar"`
	Version    string    `yaml:"version"`
	Title      Words     `yaml:"title"`
	Zone       string    `yaml:"zone"`
	About      Words     `yaml:"about,omitempty"`
	Weekend    []string  `yaml:"weekend,flow"`
	Covers     span      `yaml:"covers,flow"`
	Source     Source    `yaml:"source,omitempty"`
	Confidence string    `yaml:"confidence"`
	Observed   string    `yaml:"observed,omitempty"` // nearest, next; empty = a holiday on a weekend moves nothing
	Rules      []rawRule `yaml:"rules,omitempty"`
	Notices    []Notice  `yaml:"notices,omitempty"`
	Yearly     bool      `yaml:"yearly,omitempty"` // every year needs its own notice
}

type span struct {
	From int `yaml:"from"`
	To   int `yaml:"to"`
}

type rawRule struct {
	Name   Words  `yaml:"name,flow"`
	On     string `yaml:"on"`
	From   int    `yaml:"from,omitempty"`
	To     int    `yaml:"to,omitempty"`
	Except []int  `yaml:"except,omitempty,flow"`
}

// Notice is what an authority announced for one year.
type Notice struct {
	Year       int       `yaml:"year"`
	Source     Source    `yaml:"source"`
	Confidence string    `yaml:"confidence"`
	Days       []Closing `yaml:"days"`
}

// Closing is one holiday of a notice: the days off, "2026-02-15" or
// "2026-02-15..2026-02-23", and the weekend days worked in exchange.
type Closing struct {
	Name Words    `yaml:"name,flow"`
	Off  []string `yaml:"off,omitempty,flow"`
	Work []string `yaml:"work,omitempty,flow"`
}

// Read reads one calendar document. name is used in errors, which say file,
// line and what to mend; unknown keys are refused.
func Read(name string, raw []byte) (*Calendar, error) {
	if len(raw) > maxDoc {
		return nil, fmt.Errorf("%s:1: the file is larger than %d bytes", name, maxDoc)
	}
	var rc rawCalendar
	if err := unmarshal(raw, &rc); err != nil {
		var ye yaml.Error
		if errors.As(err, &ye) && ye.GetToken() != nil && ye.GetToken().Position != nil {
			return nil, fmt.Errorf("%s:%d: %s", name, ye.GetToken().Position.Line, ye.GetMessage())
		}
		return nil, fmt.Errorf("%s:1: %w", name, err)
	}
	b := &builder{name: name, raw: raw}
	c := b.build(rc)
	if len(b.errs) > 0 {
		return nil, errors.Join(b.errs...)
	}
	sum := sha256.Sum256(raw)
	c.Doc, c.Sum = slices.Clone(raw), hex.EncodeToString(sum[:])
	return c, nil
}

// unmarshal reads YAML strictly; a panic of the parser on rubbish is rubbish in
// the file.
func unmarshal(raw []byte, v any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("not readable as YAML (%v)", p)
		}
	}()
	return yaml.UnmarshalWithOptions(raw, v, yaml.Strict())
}

// ReadFS reads every *.yaml of a directory, in order of their ids.
func ReadFS(fsys fs.FS, dir string) ([]*Calendar, error) {
	names, err := fs.Glob(fsys, path.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	var cs []*Calendar
	var errs []error
	for _, n := range names {
		raw, err := fs.ReadFile(fsys, n)
		if err != nil {
			return nil, fmt.Errorf("read calendar %s: %w", n, err)
		}
		c, err := Read(n, raw)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if i := slices.IndexFunc(cs, func(o *Calendar) bool { return o.id == c.id }); i >= 0 {
			errs = append(errs, fmt.Errorf("%s:1: calendar %s is also in another file", n, c.id))
		}
		cs = append(cs, c)
	}
	slices.SortFunc(cs, func(a, b *Calendar) int { return strings.Compare(a.id, b.id) })
	return cs, errors.Join(errs...)
}

// BookOf gives the days of documents as a book.
func BookOf(cs []*Calendar) Book {
	b := make(Book, len(cs))
	for _, c := range cs {
		b[c.id] = c.Days
	}
	return b
}

// Revise makes the document of a new version in which notice stands for its
// year, replacing what the calendar said of that year. A year right after the
// last one lengthens the calendar. The result is read again, so that a fault
// is reported as for a file.
func (c *Calendar) Revise(version string, n Notice) (*Calendar, error) {
	rc := c.raw
	rc.Version = version
	rc.Notices = slices.DeleteFunc(slices.Clone(rc.Notices), func(o Notice) bool { return o.Year == n.Year })
	rc.Notices = append(rc.Notices, n)
	slices.SortFunc(rc.Notices, func(a, b Notice) int { return a.Year - b.Year })
	if n.Year == rc.Covers.To+1 {
		rc.Covers.To = n.Year
	}
	var out bytes.Buffer
	if err := yaml.NewEncoder(&out, yaml.Indent(2), yaml.IndentSequence(true)).Encode(rc); err != nil {
		return nil, fmt.Errorf("write calendar %s: %w", c.id, err)
	}
	return Read(c.id+" "+version, out.Bytes())
}

type builder struct {
	name string
	raw  []byte
	errs []error
}

var calendarID = regexp.MustCompile(`^[A-Z]{2}(-[A-Z0-9]+)*$`)

// fail notes a fault; near is text of the document that stands on its line.
func (b *builder) fail(near, format string, args ...any) {
	line := 1
	if i := bytes.Index(b.raw, []byte(near)); near != "" && i >= 0 {
		line += bytes.Count(b.raw[:i], []byte("\n"))
	}
	b.errs = append(b.errs, fmt.Errorf("%s:%d: %s", b.name, line, fmt.Sprintf(format, args...)))
}

func (b *builder) build(rc rawCalendar) *Calendar {
	c := &Calendar{Title: rc.Title, Zone: rc.Zone, About: rc.About, Confidence: rc.Confidence, Source: rc.Source, raw: rc}
	c.Days = &Days{id: rc.Calendar, version: rc.Version, first: rc.Covers.From, last: rc.Covers.To, marks: map[Date]Mark{}, names: map[Date]Words{}}
	if !calendarID.MatchString(c.id) {
		b.fail("calendar:", "calendar id %q: use a country such as CN, or a part of it such as UK-SCT", c.id)
	}
	if c.version == "" || strings.ContainsAny(c.version, " \n") {
		b.fail("version:", "version %q: give one word such as 2026.1", c.version)
	}
	if c.Title.Zh == "" || c.Title.En == "" {
		b.fail("title:", "title needs both zh and en")
	}
	if _, err := time.LoadLocation(c.Zone); err != nil || c.Zone == "" || c.Zone == "Local" {
		b.fail("zone:", "zone %q is not an IANA time zone such as Asia/Shanghai", c.Zone)
	}
	if c.first < 1970 || c.last < c.first || c.last > 2200 {
		b.fail("covers:", "covers %d to %d: give the first and the last year there is data for", c.first, c.last)
		return c
	}
	if !slices.Contains([]string{"P", "S", "S-", "M"}, c.Confidence) {
		b.fail("confidence:", "confidence %q is not one of P, S, S-, M", c.Confidence)
	}
	if !slices.Contains([]string{"", "nearest", "next"}, rc.Observed) {
		b.fail("observed:", "observed %q is not one of nearest, next", rc.Observed)
	}
	for _, w := range rc.Weekend {
		d, ok := weekday(w)
		if !ok {
			b.fail("weekend:", "weekend day %q is not one of mon … sun", w)
		}
		c.weekend[d] = true
	}
	b.computed(c, rc)
	b.announced(c, rc)
	return c
}

func (c *Days) set(d Date, m Mark, name Words) {
	if c.Covers(d) {
		c.marks[d], c.names[d] = m, name
	}
}

// computed marks what the rules give, one year beyond each end too: New Year's
// Day may be observed on 31 December.
func (b *builder) computed(c *Calendar, rc rawCalendar) {
	rules := make([]dayRule, len(rc.Rules))
	for i, r := range rc.Rules {
		var err error
		if rules[i], err = parseRule(r.On); err != nil {
			b.fail(r.On, "rule %q: %v", r.Name.En, err)
			return
		}
		if r.Name.Zh == "" || r.Name.En == "" {
			b.fail(r.On, "the rule for %q needs a name in zh and en", r.On)
		}
	}
	for y := c.first - 1; y <= c.last+1; y++ {
		var falls []Date
		var names []Words
		taken := map[Date]bool{}
		for i, r := range rc.Rules {
			if y < r.From || r.To != 0 && y > r.To || slices.Contains(r.Except, y) {
				continue
			}
			for _, d := range rules[i](y) {
				falls, names = append(falls, d), append(names, r.Name)
				taken[d] = true
				c.set(d, Holiday, r.Name)
			}
		}
		for i, d := range observedDays(rc.Observed, falls, taken) {
			if d != 0 {
				c.set(d, Holiday, Words{names[i].Zh + "（补休）", names[i].En + " (observed)"})
			}
		}
	}
}

// announced marks what the notices say, over what the rules give.
func (b *builder) announced(c *Calendar, rc rawCalendar) {
	seen := map[int]bool{}
	for _, n := range rc.Notices {
		near := fmt.Sprintf("year: %d", n.Year)
		if seen[n.Year] {
			b.fail(near, "two notices for %d; put them into one", n.Year)
		}
		seen[n.Year] = true
		if !c.Covers(MakeDate(n.Year, 1, 1)) {
			b.fail(near, "the notice for %d is outside the years covered, %d to %d", n.Year, c.first, c.last)
		}
		if n.Source.Instrument == "" {
			b.fail(near, "the notice for %d names no instrument", n.Year)
		}
		if !slices.Contains([]string{"P", "S", "S-", "M"}, n.Confidence) {
			b.fail(near, "the notice for %d: confidence %q is not one of P, S, S-, M", n.Year, n.Confidence)
		}
		for _, d := range n.Days {
			b.closing(c, n.Year, d)
		}
	}
	if rc.Yearly {
		for y := c.first; y <= c.last; y++ {
			if !seen[y] {
				b.fail("covers:", "no notice for %d, though %d to %d are covered", y, c.first, c.last)
			}
		}
	}
}

func (b *builder) closing(c *Calendar, year int, cl Closing) {
	if cl.Name.Zh == "" || cl.Name.En == "" {
		b.fail(fmt.Sprintf("year: %d", year), "a day of %d needs a name in zh and en", year)
	}
	for _, s := range cl.Off {
		b.dates(year, s, func(d Date) { c.set(d, Holiday, cl.Name) })
	}
	for _, s := range cl.Work {
		b.dates(year, s, func(d Date) {
			if !c.IsWeekend(d) {
				b.fail(s, "%s is given as a made-up workday, but it is a %s", d, d.Weekday())
			}
			c.set(d, Workday, cl.Name)
		})
	}
}

// dates walks "2026-02-15" or "2026-02-15..2026-02-23".
func (b *builder) dates(year int, s string, each func(Date)) {
	from, to, ranged := strings.Cut(s, "..")
	if !ranged {
		to = from
	}
	a, err := ParseDate(from)
	z, err2 := ParseDate(to)
	switch {
	case err != nil || err2 != nil:
		b.fail(s, "%q is not a date such as 2026-02-15, or a span such as 2026-02-15..2026-02-23", s)
		return
	case z < a || a.Add(30) < z:
		b.fail(s, "%q runs backwards or over more than a month", s)
		return
	case a < MakeDate(year-1, 12, 1) || z > MakeDate(year, 12, 31):
		b.fail(s, "%q does not lie in %d or the December before it", s, year)
		return
	}
	for d := a; d <= z; d = d.Add(1) {
		each(d)
	}
}
