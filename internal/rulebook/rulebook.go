// Package rulebook is the life of the rules: an edition of the packs is drafted,
// tested, replayed over what the bank has done, approved by a second person and
// put in force from an instant on; it judges until another follows. Going back
// to an earlier edition is a new activation. Every step is in the ledger.
//
// The bank judges by what stands here and was approved, not by files beside the
// program: a new version of Parley brings packs that may become a draft.
package rulebook

import (
	"time"

	"parley/internal/approval"
	"parley/internal/calendar"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/gate"
	"parley/internal/policy"
)

// State is where an edition is on its way to approval. Whether an approved one
// is scheduled, in force or superseded follows from its activations.
type State string

// The states.
const (
	Draft     State = "draft"
	Submitted State = "submitted"
	Approved  State = "approved"
	Dropped   State = "dropped"
)

// Edition is rule packs and their tests as they stand together.
type Edition struct {
	ID      contact.ID
	Title   string
	Base    contact.ID // the edition it was copied from; "" = none
	Uses    []string   // packs that speak together; none = every pack of its files
	Hash    string     // sha256 (hex) over names and bytes of its files
	State   State
	MadeBy  string
	Made    time.Time
	Changed time.Time
	Tested  *Tested   // of exactly this Hash; nil = not tested as it stands
	Replay  *Reviewed // of exactly this Hash; nil = not replayed as it stands
}

// Tested is what a run of an edition's tests gave.
type Tested struct {
	Hash           string    `json:"hash"`
	At             time.Time `json:"at"`
	By             string    `json:"by"`
	Passed, Failed int
	Output         string `json:"output"` // as a test runner prints; of failures only the first 64 KiB
}

// Green reports whether every test passed, and there was one.
func (t *Tested) Green() bool { return t != nil && t.Failed == 0 && t.Passed > 0 }

// Reviewed is a replay somebody ran and stands for.
type Reviewed struct {
	Hash   string         `json:"hash"`
	At     time.Time      `json:"at"`
	By     string         `json:"by"`
	Since  time.Time      `json:"since"`
	Result *gate.Replayed `json:"result"`
}

// Activation is when an edition began, or will begin, to judge.
type Activation struct {
	ID         contact.ID
	Edition    contact.ID
	Title      string
	Hash       string
	From       time.Time
	Made       time.Time
	AskedBy    string
	ApprovedBy string // "" = adopted when the bank was installed
	Why        string
	Begun      bool
}

// Lead is how long before it judges an edition is put in force at the earliest,
// so that every process of the bank knows it by then.
const Lead = 5 * time.Second

// Store keeps editions and activations.
type Store struct {
	db        *db.DB
	gate      *gate.Gate
	approvals *approval.Store
	// Calendars gives the calendars that rules may ask; nil = those that ship.
	Calendars func() calendar.Book
}

// New makes the store. The composition root registers Approval with the
// four-eyes room.
func New(d *db.DB, g *gate.Gate, a *approval.Store) *Store {
	return &Store{db: d, gate: g, approvals: a}
}

// Compose makes the set of rules of files.
func (s *Store) Compose(f Files, uses []string) (*policy.Set, error) {
	days := calendar.Shipped()
	if s.Calendars != nil {
		days = s.Calendars()
	}
	set, err := policy.LoadFSWith(days, f.FS(), uses...)
	if err != nil {
		return nil, invalid(err)
	}
	return set, nil
}

// invalid passes on what the packs' reader says: file, line and mend.
func invalid(err error) error {
	return errs.New(errs.Invalid, "packs_invalid", "规则包有误："+err.Error(), "The rule packs are not right: "+err.Error()).With(err)
}

// What the room refuses.
var (
	ErrNone = errs.New(errs.NotFound, "edition_unknown", "没有这个规则版本。", "There is no such edition of the rules.")

	errNotDraft = errs.New(errs.Conflict, "edition_not_draft", "只有草稿可以修改；请从这个版本另起草稿。",
		"Only a draft can be changed; start a new draft from this edition.")
	errNotGreen = errs.New(errs.Conflict, "edition_not_tested", "这份草稿的测试还没有全部通过；请先运行测试并改正。",
		"The tests of this draft have not all passed as it stands; run them and mend it first.")
	errNotReplayed = errs.New(errs.Conflict, "edition_not_replayed", "请先用历史决定回放这份草稿，并查看哪些判定会改变。",
		"Replay this draft over past decisions first, and read which verdicts would change.")
	errNoChange = errs.New(errs.Conflict, "edition_unchanged", "这份草稿与现行规则相同，无需审批。",
		"This draft is the same as the rules in force; there is nothing to approve.")
	errPast = errs.New(errs.Invalid, "start_in_past", "生效时间已经过去；请选择将来的时间，或留空表示立即生效。",
		"The start has passed already; choose a later one, or none for at once.")
	errNotWaiting    = errs.New(errs.Conflict, "edition_not_submitted", "这个版本没有在等待审批。", "This edition is not waiting for approval.")
	errNeverApproved = errs.New(errs.Conflict, "edition_not_approved", "只能恢复曾经批准生效的版本。",
		"Only an edition that was approved and in force can be gone back to.")
)
