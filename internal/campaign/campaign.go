// Package campaign keeps what a bank plans to say to whom: scripts, lists,
// schedules and caps, and the approval of exactly one version of all of it by
// a second person. It starts nothing by itself.
package campaign

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"parley/internal/contact"
	"parley/internal/errs"
)

// State is where a campaign stands:
// draft → submitted → approved → running ⇄ paused → done. Any change to what
// was approved leads back to draft.
type State string

// The states of a campaign.
const (
	Draft     State = "draft"
	Submitted State = "submitted"
	Approved  State = "approved"
	Running   State = "running"
	Paused    State = "paused"
	Done      State = "done"
)

// Terms are what a person writes and another approves.
type Terms struct {
	Name     string           `json:"name"`
	Purpose  contact.Purpose  `json:"purpose"`
	Product  string           `json:"product,omitempty"`
	Event    string           `json:"event,omitempty"`
	Relation contact.Relation `json:"relation"`
	CallerID string           `json:"caller_id"`
	// ScriptHash is the version of the script; see Store.PutScript.
	ScriptHash string `json:"script"`
	// Automated says that the list was chosen by automated means (PIPL 24).
	Automated bool `json:"automated,omitempty"`

	Zone  string          `json:"zone"`            // IANA; schedule and day caps are reckoned here
	Start string          `json:"start,omitempty"` // first local day, "2026-11-23"; empty = open
	End   string          `json:"end,omitempty"`   // last local day, included; empty = open
	Hours []contact.Hours `json:"hours,omitempty"` // in Zone; empty = at any hour the rules allow

	MaxAttempts int `json:"max_attempts"` // per person, over the campaign
	MaxPerDay   int `json:"max_per_day"`  // per person and local day; 0 = MaxAttempts
	// RetryAfter says which outcomes are tried again, and how long after.
	RetryAfter map[contact.Outcome]time.Duration `json:"retry_after,omitempty"`

	Concurrency int     `json:"concurrency"` // calls at the same moment
	CPS         float64 `json:"cps"`         // new calls a second, at most
	Spread      bool    `json:"spread"`      // spread the calls over the open hours instead of calling at once
}

// Campaign is one campaign as stored.
type Campaign struct {
	ID contact.ID
	Terms
	Synthetic bool   // the script's voice is machine-made
	List      string // chained sha256 over every addition to the list
	Members   int
	State     State
	Version   int    // counts changes
	Hash      string // of this version: terms, script and list; what an approval binds
	MadeBy    string
	MadeAt    contact.Micros
	ChangedAt contact.Micros
	Note      string // why it was sent back or stopped
}

// contentHash binds everything that an approver answers for.
func (c *Campaign) contentHash() string {
	raw, err := json.Marshal(struct {
		Terms
		List    string `json:"list"`
		Members int    `json:"members"`
	}{c.Terms, c.List, c.Members})
	if err != nil {
		panic(err) // only strings, numbers and maps of them
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// Check says what is wrong with the terms, naming the field and the mend.
func (t *Terms) Check() error {
	var zh, en []string
	bad := func(field, z, e string) { zh, en = append(zh, field+":"+z), append(en, field+": "+e) }
	if strings.TrimSpace(t.Name) == "" {
		bad("name", "请填写活动名称。", "give the campaign a name.")
	}
	if t.Purpose == 0 {
		bad("purpose", "请选择联系目的。", "choose the purpose of contact.")
	}
	if t.Relation == 0 {
		bad("relation", "请选择被叫与业务的关系。", "say who is called: the customer, a guarantor or a reference.")
	}
	if t.CallerID == "" {
		bad("caller_id", "请填写主叫号码。", "give the number to call from.")
	}
	if t.ScriptHash == "" {
		bad("script", "请选择脚本版本。", "choose the script version.")
	}
	if t.MaxAttempts < 1 || t.MaxAttempts > 20 {
		bad("max_attempts", "须为 1 至 20 次。", "must be 1 to 20.")
	}
	if t.MaxPerDay < 0 || t.MaxPerDay > t.MaxAttempts {
		bad("max_per_day", "不能多于 max_attempts。", "must not exceed max_attempts.")
	}
	if t.Concurrency < 1 || t.Concurrency > 5000 {
		bad("concurrency", "须为 1 至 5000 路。", "must be 1 to 5000 calls.")
	}
	if !(t.CPS > 0 && t.CPS <= 1000) {
		bad("cps", "每秒呼叫数须大于 0、不超过 1000。", "calls per second must be above 0 and at most 1000.")
	}
	for o, d := range t.RetryAfter {
		if d < time.Minute {
			bad("retry_after."+string(o), "重试间隔至少 1 分钟。", "wait at least a minute before calling again.")
		}
		if o == contact.Unknown || o == contact.Effective {
			bad("retry_after."+string(o), "这种结果不可重试。", "this outcome is never tried again.")
		}
	}
	t.checkSchedule(bad)
	if len(en) == 0 {
		return nil
	}
	return errs.New(errs.Invalid, "campaign_invalid", strings.Join(zh, "\n"), strings.Join(en, "\n"))
}

func (t *Terms) checkSchedule(bad func(field, zh, en string)) {
	if _, err := t.location(); err != nil {
		bad("zone", "时区名称不存在，例如 Asia/Shanghai。", "no such time zone; for example Asia/Shanghai.")
	}
	for field, day := range map[string]string{"start": t.Start, "end": t.End} {
		if _, err := time.Parse(time.DateOnly, day); day != "" && err != nil {
			bad(field, "日期格式为 2026-11-23。", "write the date as 2026-11-23.")
		}
	}
	if t.Start != "" && t.End != "" && t.End < t.Start {
		bad("end", "结束日期早于开始日期。", "the last day is before the first.")
	}
	for _, h := range t.Hours {
		if h.From < 0 || h.From >= 24*60 || h.To < 1 || h.To > 24*60 || h.From >= h.To || h.Days > 0x7f {
			bad("hours", fmt.Sprintf("时段 %d–%d 分钟不可用：须在同一天内，先后有序。", h.From, h.To),
				fmt.Sprintf("the window of minutes %d-%d is not one within a day.", h.From, h.To))
		}
	}
}

// Effect is what the gate said about calling a member.
type Effect string

// The effects of a verdict.
const (
	Allow Effect = "allow"
	Later Effect = "later"
	Deny  Effect = "deny"
)

// Verdict is the gate's answer for one member.
type Verdict struct {
	Party  contact.ID
	ID     contact.ID // decision; when allowed also the permit and the attempt
	Effect Effect
	At     time.Time // Later: the first permitted instant
	Until  time.Time // Allow: the permit is worth nothing after this
	Rule   string    // the rule that decided; empty when allowed
}

// Fate is what became of a permit, as far as a dialer that starts again must know.
type Fate string

// The fates of a permit.
const (
	Unspent Fate = "unspent" // it may still be spent
	Void    Fate = "void"    // it never will be: voided, expired, or never made
	OnWire  Fate = "on_wire" // it was spent and nobody knows how the attempt ended
	Over    Fate = "over"    // the attempt ended and its outcome is stored
)
