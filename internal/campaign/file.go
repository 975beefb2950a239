package campaign

import (
	"fmt"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"parley/internal/contact"
	"parley/internal/errs"
)

// file is a campaign as a person writes it; see ReadTerms.
type file struct {
	Name        string                            `yaml:"name"`
	Purpose     contact.Purpose                   `yaml:"purpose"`
	Product     string                            `yaml:"product"`
	Event       string                            `yaml:"event"`
	Relation    contact.Relation                  `yaml:"relation"`
	CallerID    string                            `yaml:"caller_id"`
	Script      string                            `yaml:"script"` // a file, or the id of a script that ships
	Automated   bool                              `yaml:"automated"`
	Zone        string                            `yaml:"zone"`
	Start       string                            `yaml:"start"`
	End         string                            `yaml:"end"`
	Hours       []string                          `yaml:"hours"`    // "09:00-20:00"
	Weekdays    []string                          `yaml:"weekdays"` // mon … sun
	MaxAttempts int                               `yaml:"max_attempts"`
	MaxPerDay   int                               `yaml:"max_per_day"`
	RetryAfter  map[contact.Outcome]time.Duration `yaml:"retry_after"` // busy: 30m
	Concurrency int                               `yaml:"concurrency"`
	CPS         float64                           `yaml:"calls_per_second"`
	Spread      bool                              `yaml:"spread"`
}

// ReadTerms reads a campaign file (YAML): the terms, and what it names as its
// script (a file's path or the id of a script that ships), which the caller
// loads, stores and puts into Terms.ScriptHash. Unknown keys are errors.
func ReadTerms(name string, raw []byte) (t Terms, script string, err error) {
	f := file{Zone: "Asia/Shanghai", Relation: contact.Self, MaxAttempts: 3, MaxPerDay: 1, Concurrency: 10, CPS: 1}
	if err := yaml.UnmarshalWithOptions(raw, &f, yaml.Strict()); err != nil {
		return Terms{}, "", errs.New(errs.Invalid, "campaign_yaml", name+"：文件格式有误："+yaml.FormatError(err, false, false),
			name+": not a campaign: "+yaml.FormatError(err, false, false)).With(err)
	}
	hours, err := readHours(f.Hours, f.Weekdays)
	if err != nil {
		return Terms{}, "", errs.New(errs.Invalid, "campaign_hours",
			name+"：时段写作 hours: [\"09:00-20:00\"]，星期写作 weekdays: [mon, tue]。",
			name+`: write hours as ["09:00-20:00"] and weekdays as [mon, tue].`).With(err)
	}
	return Terms{Name: f.Name, Purpose: f.Purpose, Product: f.Product, Event: f.Event, Relation: f.Relation, CallerID: f.CallerID,
		Automated: f.Automated, Zone: f.Zone, Start: f.Start, End: f.End, Hours: hours, MaxAttempts: f.MaxAttempts,
		MaxPerDay: f.MaxPerDay, RetryAfter: f.RetryAfter, Concurrency: f.Concurrency, CPS: f.CPS, Spread: f.Spread}, f.Script, nil
}

// text is what an approver reads: the campaign as its file would say it, who is
// on the list, and the script word by word.
func (c *Campaign) text(sc *Script) (string, error) {
	t := c.Terms
	f := file{Name: t.Name, Purpose: t.Purpose, Product: t.Product, Event: t.Event, Relation: t.Relation, CallerID: t.CallerID,
		Script: sc.ID, Automated: t.Automated, Zone: t.Zone, Start: t.Start, End: t.End, MaxAttempts: t.MaxAttempts, MaxPerDay: t.MaxPerDay,
		RetryAfter: t.RetryAfter, Concurrency: t.Concurrency, CPS: t.CPS, Spread: t.Spread}
	for _, h := range t.Hours {
		f.Hours = append(f.Hours, fmt.Sprintf("%02d:%02d-%02d:%02d", h.From/60, h.From%60, h.To/60, h.To%60))
		f.Weekdays = weekdays(h.Days)
	}
	raw, err := yaml.Marshal(f)
	if err != nil {
		return "", fmt.Errorf("campaign text: %w", err)
	}
	return fmt.Sprintf("%s\n# list\nmembers: %d\nlist_sha256: %s\n\n# script %s\nscript_sha256: %s\n%s",
		raw, c.Members, c.List, sc.ID, c.ScriptHash, sc.raw), nil
}

const weekdayNames = "sun mon tue wed thu fri sat"

func weekdays(days uint8) []string {
	var out []string
	for i, name := range strings.Fields(weekdayNames) {
		if days&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return out
}

func readHours(windows, weekdays []string) ([]contact.Hours, error) {
	var days uint8
	for _, w := range weekdays {
		i := strings.Index(weekdayNames, strings.ToLower(w))
		if len(w) != 3 || i < 0 || i%4 != 0 {
			return nil, fmt.Errorf("weekday %q", w)
		}
		days |= 1 << (i / 4)
	}
	if len(windows) == 0 && days != 0 {
		windows = []string{"00:00-24:00"}
	}
	var out []contact.Hours
	for _, w := range windows {
		var fh, fm, th, tm int
		if n, err := fmt.Sscanf(w, "%d:%d-%d:%d", &fh, &fm, &th, &tm); n != 4 || err != nil || fm > 59 || tm > 59 {
			return nil, fmt.Errorf("hours %q", w)
		}
		out = append(out, contact.Hours{From: fh*60 + fm, To: th*60 + tm, Days: days})
	}
	return out, nil
}
