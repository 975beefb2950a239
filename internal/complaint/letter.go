package complaint

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/template"
)

// Letter is what the customer was told, as it went out: it stands on the progress
// page and in the evidence bundle. A subject, a blank line, the text.
type Letter struct {
	ID       contact.ID
	At       time.Time
	Kind     string     // the template: received, extended, late, answer, review, closed
	Version  int        // of the template; 0 = written before wordings had versions
	Wording  contact.ID // that version's id; empty = as shipped, kept by no store
	Sum      string     // that wording's sha256
	Decision contact.ID // of an answer
	Zh, En   string
}

// Parts gives subject and text in a language. A letter from before wordings had
// versions is all text.
func (l *Letter) Parts(lang string) (subject, text string) {
	whole := l.Zh
	if strings.HasPrefix(lang, "en") {
		whole = l.En
	}
	if subject, text, ok := strings.Cut(whole, "\n\n"); ok && l.Version > 0 {
		return subject, text
	}
	return "", whole
}

// Pin names the wording that a letter was made from: "answer 3".
func (l *Letter) Pin() string {
	return (&template.Version{Template: l.Kind, Number: l.Version}).Pin()
}

// Wordings gives what letters say; *template.Store is one.
type Wordings interface {
	InForce(ctx context.Context, tx *db.Tx, id string) (*template.Version, error)
	Numbered(ctx context.Context, tx *db.Tx, id string, number int) (*template.Version, error)
}

// The templates of a complaint's letters.
const (
	letterReceived = "received"
	letterExtended = "extended"
	letterLate     = "late"
	letterAnswer   = "answer"
	letterReview   = "review"
	letterClosed   = "closed"
)

// content says what a letter names besides what every letter can.
type content func(lang string, v template.Values)

// tell writes a letter to the customer in the wording in force, in tx, and notes
// it in the data of the event that it belongs to.
func (k *Desk) tell(ctx context.Context, tx *db.Tx, c *Case, kind string, decision contact.ID, say content, data map[string]any) error {
	w, err := k.opt.Wordings.InForce(ctx, tx, kind)
	if err != nil {
		return fmt.Errorf("wording of the letter %s: %w", kind, err)
	}
	l := &Letter{ID: contact.NewID(), At: tx.Now, Kind: kind, Version: w.Number, Wording: w.ID, Sum: w.Sum, Decision: decision}
	for lang, into := range map[string]*string{"zh": &l.Zh, "en": &l.En} {
		subject, text, err := w.Texts.Fill(lang, k.values(c, lang, tx.Now, say))
		if err != nil {
			return fmt.Errorf("letter %s of case %s: %w", kind, c.Number, err)
		}
		*into = subject + "\n\n" + text
	}
	data["letters"] = []map[string]string{{"sha256": sum(l.Zh)}, {"sha256": sum(l.En)}}
	data["template"], data["wording"] = w.Pin(), map[string]string{"sha256": w.Sum}
	return k.insertLetter(ctx, tx, c.ID, l)
}

func (k *Desk) insertLetter(ctx context.Context, tx *db.Tx, id contact.ID, l *Letter) error {
	zh, err := k.seal(l.Zh, ofLetter, l.ID, "zh")
	if err != nil {
		return err
	}
	en, err := k.seal(l.En, ofLetter, l.ID, "en")
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO complaint_letter (id, case_id, at, kind, version, wording, sum, decision, zh, en) VALUES `+db.In(1, 10),
		l.ID, id, db.Micros(l.At), l.Kind, l.Version, l.Wording, l.Sum, l.Decision, zh, en)
	return err
}

// letters gives a case's letters in the order they were written.
func (k *Desk) letters(ctx context.Context, tx *db.Tx, id contact.ID) (out []Letter, err error) {
	err = tx.Each(ctx, func(r *sql.Rows) error {
		var l Letter
		var at int64
		if err := r.Scan(&l.ID, &at, &l.Kind, &l.Version, &l.Wording, &l.Sum, &l.Decision, &l.Zh, &l.En); err != nil {
			return err
		}
		l.At = db.Time(at)
		for column, text := range map[string]*string{"zh": &l.Zh, "en": &l.En} {
			var err error
			if *text, err = k.open(*text, ofLetter, l.ID, column); err != nil {
				return err
			}
		}
		out = append(out, l)
		return nil
	}, `SELECT id, at, kind, version, wording, sum, decision, zh, en FROM complaint_letter WHERE case_id = $1 ORDER BY at, id`, id)
	return out, err
}

// values are what a letter of this case, dated at, can name in a language.
func (k *Desk) values(c *Case, lang string, at time.Time, say content) template.Values {
	bank := k.opt.BankZh
	if lang == "en" && k.opt.BankEn != "" {
		bank = k.opt.BankEn
	}
	v := template.Values{"number": c.Number, "date": k.day(at, lang), "received": k.day(c.Received, lang), "bank": bank, "hotline": k.opt.Hotline}
	say(lang, v)
	return v
}

func (k *Desk) day(at time.Time, lang string) string { return Date(at.In(k.opt.Zone), lang, false) }

// sayDue names the last day for an answer.
func (k *Desk) sayDue(due time.Time) content {
	return func(lang string, v template.Values) { v["due"] = k.day(due, lang) }
}

// sayExtended names a longer term, the one before, and why.
func (k *Desk) sayExtended(before time.Time, d *Deadline) content {
	return func(lang string, v template.Values) {
		v["before"], v["due"], v["reason"] = k.day(before, lang), k.day(d.Due, lang), d.Reason
	}
}

// sayAnswer names a decision: its four sections are those art. 19 demands, facts,
// basis and reasons, decision, further remedies. reviewBy is the last day to ask
// for a review; zero = there was one already.
func (k *Desk) sayAnswer(c *Case, d *Decision, reviewBy time.Time) content {
	return func(lang string, v template.Values) {
		v["facts"], v["basis"], v["root_cause"], v[string(d.Result)] = d.Facts, d.Basis, d.RootCause, "yes"
		if c.Cause != nil && c.Proven { // a contact is named to nobody but the customer
			v["cause_at"] = Date(c.Cause.At.In(k.opt.Zone), lang, true)
		}
		if d.Apology {
			v["apology"] = "yes"
		}
		if d.Compensation > 0 {
			v["compensation"] = d.Compensation.String()
		}
		if d.Block != nil {
			v["blocked"] = blocked(d.Block, lang)
		}
		if !reviewBy.IsZero() {
			v["review_by"] = k.day(reviewBy, lang)
		}
	}
}

// reviewBy is until when a review of an answer given at an instant may be asked
// for, by the rules in force when it was given: the letter with the answer says
// so, and a later edition does not break its word. Zero after a review (art. 20:
// there is one).
func (k *Desk) reviewBy(c *Case, answered time.Time) time.Time {
	if c.Round > 1 {
		return time.Time{}
	}
	return k.opt.Terms(answered, nil).Ask.DueFrom(answered, k.opt.Zone)
}

// sayClosed names why a case is closed.
func sayClosed(a Act) content {
	return func(_ string, v template.Values) {
		v[map[Act]string{Accept: "accepted", Withdraw: "withdrawn"}[a]] = "yes"
	}
}

// Date writes a date as letters and pages do: 2026年12月8日, 8 December 2026.
func Date(t time.Time, lang string, clock bool) string {
	layout := "2006年1月2日"
	if lang == "en" {
		layout = "2 January 2006"
	}
	if clock {
		layout += " 15:04"
	}
	return t.Format(layout)
}

var purposeWords = map[string][2]string{
	"service": {"服务类", "service"}, "marketing": {"营销类", "marketing"}, "fraud_alert": {"风险提示类", "fraud alert"},
	"collection": {"还款提醒类", "collection"}, "statutory": {"法定告知类", "statutory"},
}

func blocked(s *contact.Stop, lang string) string {
	var words []string
	for _, p := range s.Purposes.Names() {
		if lang == "en" {
			words = append(words, purposeWords[p][1])
		} else {
			words = append(words, purposeWords[p][0])
		}
	}
	if len(words) == 0 {
		if lang == "en" {
			return "all"
		}
		return "全部"
	}
	if lang == "en" {
		return strings.Join(words, ", ")
	}
	return strings.Join(words, "、")
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}
