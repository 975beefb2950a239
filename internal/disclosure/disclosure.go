// Package disclosure keeps who saw a customer's data in the clear, or heard a
// recording: in which role, when, what and why. Everything is shown masked
// (package mask); whoever needs more says why, and the customer can read it.
//
// PIPL art. 24, 44 and 45: a person may know how their data is handled.
// JR/T 0171-2020: C2 data is shown masked, and each showing is logged.
package disclosure

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/ledger"
)

// Field is what was disclosed.
type Field string

// The fields of a customer that are shown masked, and recordings.
const (
	Name      Field = "name"
	Phone     Field = "phone"
	Email     Field = "email"
	IDNumber  Field = "id_number"
	Card      Field = "card"
	Address   Field = "address"
	Words     Field = "words" // what people wrote: a complaint, a note
	Recording Field = "recording"
	Record    Field = "record" // all of a customer at once, over the API
	Export    Field = "export" // in a file with many, approved by a second person
)

// Reason says why, as a code that the customer reads in words.
type Reason string

// The reasons.
const (
	Identify  Reason = "identify"  // to make sure who it is
	Reach     Reason = "reach"     // to call or write back
	Complaint Reason = "complaint" // to work on a complaint
	Fraud     Reason = "fraud"     // to look into fraud or a risk
	Quality   Reason = "quality"   // quality check of calls
	Correct   Reason = "correct"   // to correct what is recorded
	Authority Reason = "authority" // a court, regulator or auditor asks
	Other     Reason = "other"     // said in words
)

// Reasons lists the reasons in the order a form offers them.
func Reasons() []Reason {
	return []Reason{Identify, Reach, Complaint, Fraud, Quality, Correct, Authority, Other}
}

// Look is one disclosure.
type Look struct {
	ID      contact.ID
	Party   contact.ID
	At      contact.Micros
	By      string // account
	Role    string // in which role; the customer is told this and not the name
	Session string // fingerprint of the session; empty outside the console
	What    Field
	Subject contact.ID // the contact point, contact, case or request it is about
	Reason  Reason
	Words   string // the reason in words; needed for Other
}

// maxWords bounds a reason in words, in bytes.
const maxWords = 2000

// Check says what is missing in a reason.
func (l *Look) Check() error {
	l.Words = strings.TrimSpace(l.Words)
	switch {
	case !slices.Contains(Reasons(), l.Reason):
		return errs.New(errs.Invalid, "reason_missing", "请选择查看理由；客户能看到谁在什么时候为什么看过。",
			"Choose why you need to see this; the customer can read who looked, when and why.")
	case l.Reason == Other && l.Words == "":
		return errs.New(errs.Invalid, "reason_words_missing", "选择“其他”时请写明理由。", "With “other”, write the reason in words.")
	case len(l.Words) > maxWords:
		return errs.New(errs.Invalid, "reason_too_long", "理由太长，请控制在 600 字以内。", "The reason is too long; keep it under 2,000 characters.")
	}
	return nil
}

// Sealer encrypts reasons in words; the bank's keyring is one.
type Sealer interface {
	Seal(plain []byte, about string) ([]byte, error)
	Open(sealed []byte, about string) ([]byte, error)
}

// Store keeps disclosures.
type Store struct {
	db   *db.DB
	seal Sealer
}

// New makes the store on d.
func New(d *db.DB, s Sealer) *Store { return &Store{db: d, seal: s} }

var columns = []string{"id", "party_id", "at", "by_whom", "role", "session", "what", "subject", "reason", "words"}

// Keep records disclosures as part of tx, each with its ledger entry; what they
// disclose may be read in the same transaction. Of a recording that the same
// account has asked for in the same session nothing more is kept.
func (s *Store) Keep(ctx context.Context, tx *db.Tx, ls ...*Look) error {
	var entries []ledger.Entry
	for _, l := range ls {
		if err := l.Check(); err != nil {
			return err
		}
		if l.By == "" || l.Party == "" || l.What == "" {
			return fmt.Errorf("disclosure of %q: who, whom and what are needed", l.What)
		}
		l.ID, l.At = contact.NewID(), tx.At()
		words := []byte{}
		if l.Words != "" {
			var err error
			if words, err = s.seal.Seal([]byte(l.Words), "disclosure/"+l.ID); err != nil {
				return err
			}
		}
		n, err := tx.Exec(ctx, `INSERT INTO disclosure (`+strings.Join(columns, ", ")+`) VALUES `+db.In(1, len(columns))+` ON CONFLICT DO NOTHING`,
			l.ID, l.Party, l.At, l.By, l.Role, l.Session, string(l.What), l.Subject, string(l.Reason), words)
		if err != nil {
			return err
		}
		if n == 0 {
			continue
		}
		rec := map[string]any{"party": l.Party, "by": l.By, "role": l.Role, "what": l.What, "reason": l.Reason}
		if l.Subject != "" {
			rec["subject"] = l.Subject
		}
		if l.Words != "" {
			sum := sha256.Sum256([]byte(l.Words))
			rec["words_hash"] = hex.EncodeToString(sum[:])
		}
		entries = append(entries, ledger.Entry{Type: "disclosure.shown", ID: l.ID, Record: rec})
	}
	return ledger.Append(ctx, tx, entries...)
}

// KeepNow is Keep in a transaction of its own.
func (s *Store) KeepNow(ctx context.Context, l *Look) error {
	return s.db.Write(ctx, func(tx *db.Tx) error { return s.Keep(ctx, tx, l) })
}

// Heard reports whether the account has said in this session why it hears the
// recording of a contact.
func (s *Store) Heard(ctx context.Context, account, session string, attempt contact.ID) (bool, error) {
	n := 0
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM disclosure WHERE by_whom = $1 AND session = $2 AND subject = $3
			AND what = 'recording' AND session <> ''`, account, session, attempt).Scan(&n)
	})
	return n > 0, err
}

// Exported reports whether a bulk disclosure has been carried out.
func (s *Store) Exported(ctx context.Context, tx *db.Tx, request contact.ID) (bool, error) {
	n := 0
	err := tx.QueryRow(ctx, `SELECT count(*) FROM (SELECT id FROM disclosure WHERE subject = $1 AND what = 'export' LIMIT 1) AS one`, request).Scan(&n)
	return n > 0, err
}

// ByParty gives who saw a customer's data, the latest first: what the customer
// may read. Its keyset is db.TimeKey.
func (s *Store) ByParty(ctx context.Context, party contact.ID, p db.Span) ([]Look, error) {
	var out []Look
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		out = nil
		args := []any{party}
		cond, tail := p.Seek(true, len(args)+1, "at", "id")
		if cond != "" {
			at, id := p.TimeKey()
			args = append(args, at, id)
		}
		return tx.Each(ctx, func(r *sql.Rows) error {
			var l Look
			var what, reason string
			var words []byte
			if err := r.Scan(&l.ID, &l.Party, &l.At, &l.By, &l.Role, &l.Session, &what, &l.Subject, &reason, &words); err != nil {
				return err
			}
			l.What, l.Reason = Field(what), Reason(reason)
			if len(words) > 0 {
				plain, err := s.seal.Open(words, "disclosure/"+l.ID)
				if err != nil {
					return err
				}
				l.Words = string(plain)
			}
			out = append(out, l)
			return nil
		}, `SELECT `+strings.Join(columns, ", ")+` FROM disclosure WHERE party_id = $1`+cond+tail, args...)
	})
	return out, err
}
