// Package outbound is the only way out of the bank: it spends a permit, keeps
// the attempt before anything leaves, makes the contact as the script and the
// permit's obligations say, and stores how it ended together with its
// recording. Nothing else places a call.
package outbound

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"parley/internal/campaign"
	"parley/internal/consent"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/gate"
	"parley/internal/mail"
	"parley/internal/party"
	"parley/internal/policy"
	"parley/internal/prompt"
	"parley/internal/voice"
	"parley/internal/voice/media"
)

// Blobs keeps recordings by the hash of their content; *blob.Store is one. It
// is an interface because a full disk must be testable.
type Blobs interface {
	Put(r io.Reader) (hash string, size int64, err error)
}

// Complaint is what a customer said after pressing the complaint key.
type Complaint struct {
	Attempt   contact.ID
	Party     contact.ID
	Point     contact.ID
	Lang      string
	Recording string        // sha256 of the call's recording; empty when there is none
	From, To  time.Duration // where in it the words are
}

// Intake opens complaints; the composition root joins it to the complaint room.
type Intake interface {
	// OpenFromCall opens the case in tx and gives its number.
	OpenFromCall(ctx context.Context, tx *db.Tx, c Complaint) (number string, err error)
}

// Options tune a sender.
type Options struct {
	Voice   *voice.Endpoint // nil = no calls can be placed
	Mail    *mail.Sender    // nil = no e-mail can be sent
	Blobs   Blobs
	Prompts *prompt.Set
	Spool   string // directory of recordings while their calls last; survives a crash
	Intake  Intake // nil = the complaint key apologises and names the hotline
	RingFor time.Duration
	Log     *slog.Logger
}

// Sender makes contacts. It is safe for concurrent use.
type Sender struct {
	db      *db.DB
	gate    *gate.Gate
	consent *consent.Store
	party   *party.Store
	o       Options
	prompts map[string]*media.Prompt // "lang/key"
}

// defaultRing is how long a phone rings when no rule asks for longer: about
// six rings, well above the fifteen seconds that make a call noticeable.
const defaultRing = 30 * time.Second

// New makes a sender. All prompts are decoded now, so that a broken one is
// found before a customer listens.
func New(d *db.DB, g *gate.Gate, c *consent.Store, p *party.Store, o Options) (*Sender, error) {
	if o.RingFor <= 0 {
		o.RingFor = defaultRing
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	s := &Sender{db: d, gate: g, consent: c, party: p, o: o, prompts: map[string]*media.Prompt{}}
	for _, lang := range o.Prompts.Langs() {
		for _, key := range o.Prompts.Keys() {
			wav, err := o.Prompts.WAV(lang, key)
			if err != nil {
				continue // missing in this language: a script that needs it is refused
			}
			if s.prompts[lang+"/"+key], err = media.ParsePrompt(wav); err != nil {
				return nil, fmt.Errorf("prompt %s/%s: %w", lang, key, err)
			}
		}
	}
	return s, nil
}

// SetIntake names who opens complaints, after the fact: the complaint room is
// made later. It must be called before the first call.
func (s *Sender) SetIntake(i Intake) { s.o.Intake = i }

// Job is a call to be made with a permit.
type Job struct {
	Campaign contact.ID
	CallerID string
	Script   *campaign.Script
	// Values are what the script's spell steps read out, digits by name. They
	// are heard by the person called and kept nowhere.
	Values map[string]string
}

// complete reports whether the job has everything its script reads out.
func (j Job) complete() error {
	for _, name := range j.Script.Values() {
		v := j.Values[name]
		if v == "" || strings.Trim(v, "0123456789") != "" {
			return errs.New(errs.Refused, "value_missing", "缺少脚本要播报的内容 "+name+"，未拨打。",
				"What the script reads out as "+name+" is missing, so no call was made.")
		}
	}
	return nil
}

// Unmet is the code of the refusal of a contact whose obligations the script
// cannot meet.
const Unmet = "obligation_unmet"

func unmet(o policy.Obligation) *errs.Error {
	what := o.Kind
	if o.Value != "" {
		what += " " + o.Value
	}
	return errs.New(errs.Refused, Unmet,
		"脚本无法履行规则 "+o.Rule+" 要求的义务（"+what+"），未拨打。请修改脚本后重新审批。",
		"The script cannot meet the obligation "+what+" of rule "+o.Rule+", so no call was made. Change the script and have it approved.")
}

// Meets reports the first obligation that a call with the script cannot meet,
// or nil.
func Meets(sc *campaign.Script, obligations []policy.Obligation) error {
	for _, o := range obligations {
		if !meets(sc, o) {
			return unmet(o)
		}
	}
	return nil
}

func meets(sc *campaign.Script, o policy.Obligation) bool {
	says := sc.Discloses()
	switch o.Kind {
	case policy.RingMin:
		_, err := time.ParseDuration(o.Value)
		return err == nil
	case policy.Record:
		return true // the call is not placed without its recording
	case policy.RefusalPath:
		key, ok := strings.CutPrefix(o.Value, "key")
		if ok && (sc.Digits[key] == "" || sc.Nodes[sc.Digits[key]].Withdraw == nil) {
			return false
		}
		return slices.Contains(says, o.Kind)
	case policy.Notice:
		return slices.Contains(says, o.Kind+":"+o.Value) || o.Value == "" && slices.Contains(says, o.Kind)
	default:
		return slices.Contains(says, o.Kind)
	}
}

// ringFor gives how long to let it ring: never shorter than an obligation says.
func (s *Sender) ringFor(obligations []policy.Obligation) time.Duration {
	ring := s.o.RingFor
	for _, o := range obligations {
		if d, err := time.ParseDuration(o.Value); o.Kind == policy.RingMin && err == nil {
			ring = max(ring, d)
		}
	}
	return ring
}

func has(obligations []policy.Obligation, kind string) bool {
	return slices.ContainsFunc(obligations, func(o policy.Obligation) bool { return o.Kind == kind })
}
