// Package approval is four eyes (maker-checker, 复核): one mechanism for
// everything in the bank that a second person must decide.
//
// Somebody asks, with what changes and why; somebody else, who had no hand in
// it, approves exactly what he saw or sends it back. What an approval does is
// done in the transaction that records it. The room knows no domain: the
// composition root registers each kind of request, with the permission needed
// to decide it and what follows.
package approval

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

// State is where a request stands.
type State string

// The states of a request. All but Pending are final, save that an approval of
// a revocable kind can be taken back.
const (
	Pending    State = "pending"
	Approved   State = "approved"
	SentBack   State = "sent_back"
	Withdrawn  State = "withdrawn"
	Superseded State = "superseded" // the thing changed, or was asked about again
)

// Ask is what somebody puts to a second person.
type Ask struct {
	Kind    string
	Subject contact.ID // the thing that changes
	Title   string     // what lists call it: a name or number, never personal data
	// Before and After are what changes, as text that is shown side by side. An
	// empty Before is taken from the last approved request about the subject.
	Before, After string
	// Payload is what Apply needs besides, in a form of the kind's own.
	Payload []byte
	// Content is the subject's own content hash, where it binds more than the
	// texts show (a list of members).
	Content string
	Reason  string
	By      string   // the account that asks
	Hands   []string // the accounts that had a hand in making it; By need not be among them
}

// Request is one request as stored.
type Request struct {
	ID contact.ID
	Ask
	Hash      string // of all that a decision binds; the decider sends back what he saw
	State     State
	AskedAt   contact.Micros
	DecidedBy string // the account that decided, withdrew or superseded it
	DecidedAt contact.Micros
	Note      string // what the decider wrote
}

// Effect is what a step did to the subject, as the one ledger entry of the
// step says it. The zero Effect is an entry about the request alone.
type Effect struct {
	Type   string     // room.event
	ID     contact.ID // of the subject
	Record map[string]any
}

// Kind is a sort of request, registered by the composition root.
type Kind struct {
	Name       string // lower case; the pages know its words by it
	Permission string // needed to decide
	// Apply does what was asked, in the transaction that approves it.
	Apply func(ctx context.Context, tx *db.Tx, r *Request) (Effect, error)
	// Return tells the subject that its request was sent back, withdrawn, or its
	// approval revoked; r.State says which. It may be nil.
	Return func(ctx context.Context, tx *db.Tx, r *Request) (Effect, error)
	// Revocable says that an approval can be sent back afterwards, as long as
	// Return agrees: it does not take effect by itself.
	Revocable bool
}

// People says who stands behind an account and what it may do; access knows.
type People interface {
	// Person gives the human being behind an account. Two accounts of one person
	// give the same.
	Person(ctx context.Context, tx *db.Tx, account string) (string, error)
	// May reports whether the account has the permission.
	May(ctx context.Context, tx *db.Tx, account, permission string) (bool, error)
}

// Sealer encrypts what people wrote; about binds the text to its place.
type Sealer interface {
	Seal(plain []byte, about string) ([]byte, error)
	Open(sealed []byte, about string) ([]byte, error)
}

// Store keeps requests. Register every kind before it is used; after that it is
// safe for concurrent use.
type Store struct {
	db     *db.DB
	people People
	seal   Sealer
	kinds  map[string]Kind
}

// New makes the store on d.
func New(d *db.DB, p People, s Sealer) *Store {
	return &Store{db: d, people: p, seal: s, kinds: map[string]Kind{}}
}

// Register adds kinds of request. It panics on one without name, permission or
// Apply and on a name given twice: those are mistakes of the program.
func (s *Store) Register(kinds ...Kind) {
	for _, k := range kinds {
		if _, twice := s.kinds[k.Name]; twice || k.Name == "" || k.Permission == "" || k.Apply == nil {
			panic("approval: kind " + k.Name + " is incomplete or registered twice")
		}
		s.kinds[k.Name] = k
	}
}

// Kinds gives the names of the registered kinds, in order.
func (s *Store) Kinds() []string {
	var out []string
	for name := range s.kinds {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// Permission gives what is needed to decide a kind; empty for an unknown one.
func (s *Store) Permission(kind string) string { return s.kinds[kind].Permission }

func (s *Store) kind(name string) (Kind, error) {
	k, ok := s.kinds[name]
	if !ok {
		return k, fmt.Errorf("approval: no kind %q is registered", name)
	}
	return k, nil
}

// maxText bounds each text of a request, in bytes: what nobody can read nobody
// can approve.
const maxText = 512 << 10

func (a *Ask) check() error {
	a.Reason, a.Title = strings.TrimSpace(a.Reason), strings.TrimSpace(a.Title)
	if a.By == "" || a.Subject == "" || a.Title == "" {
		return fmt.Errorf("approval: a request of kind %q needs an asker, a subject and a title", a.Kind)
	}
	if len(a.Before) > maxText || len(a.After) > maxText || len(a.Reason) > maxText || len(a.Payload) > maxText {
		return errs.New(errs.Invalid, "approval_too_long", "送审内容太长，请控制在 512 KB 以内，或分成几份提交。",
			"What is put up for approval is too long; keep it under 512 KB or split it.")
	}
	return nil
}

// hash binds everything a decision answers for. Each part is written with its
// length, so that no two requests give the same bytes.
func (a *Ask) hash() string {
	h := sha256.New()
	for _, part := range []string{a.Kind, a.Subject, a.Before, a.After, string(a.Payload), a.Content} {
		fmt.Fprintf(h, "%d:", len(part))
		_, _ = io.WriteString(h, part) // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil))
}

// What the room refuses.
var (
	ErrNone = errs.New(errs.NotFound, "approval_unknown", "没有这项审批申请。", "There is no such request for approval.")

	errFourEyes = errs.New(errs.Forbidden, "four_eyes", "这项内容由您提出或参与制作，须由另一人审批。",
		"You asked for this or had a hand in making it; another person must decide.")
	errNotPermitted = errs.New(errs.Forbidden, "not_permitted", "您的岗位不能审批这类申请。", "Your role may not decide this kind of request.")
	errMoved        = errs.New(errs.Conflict, "version_moved", "内容在您查看之后已有改动；请重新查看后再决定。",
		"It has changed since you looked at it; look again before you decide.")
	errWaiting  = errs.New(errs.Conflict, "approval_waiting", "已有一项申请在等待审批。", "A request is already waiting for a decision.")
	errNoNote   = errs.New(errs.Invalid, "reason_missing", "请写明退回原因。", "Say why you send it back.")
	errNotYours = errs.New(errs.Forbidden, "not_your_request", "只有提出申请的人可以撤回。", "Only the person who asked can withdraw a request.")
)

// decided is the refusal of a step on a request that is no longer pending.
func decided(st State) error {
	words := map[State][2]string{
		Approved:   {"已经批准", "was approved"},
		SentBack:   {"已经退回", "was sent back"},
		Withdrawn:  {"已经撤回", "was withdrawn"},
		Superseded: {"已被新的申请取代", "was superseded"},
	}[st]
	return errs.New(errs.Conflict, "already_decided", "这项申请"+words[0]+"；请刷新页面查看。",
		"This request "+words[1]+" already; reload the page.")
}
