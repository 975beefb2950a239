package complaint

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"errors"
	"strings"

	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

// What a complainant does beside the answer: show who they are, rate, look
// their cases up.

// codeLetters is how many letters of the token make the query code: 40 bits,
// enough for a door that is opened few times an hour.
const codeLetters = 8

// QueryCode is what opens the case together with its number, for somebody who
// has noted both and lost the link: ABCD-EFGH.
func (c *Case) QueryCode() string {
	s := strings.ToUpper(c.Token[:codeLetters])
	return s[:codeLetters/2] + "-" + s[codeLetters/2:]
}

// ByNumberAndCode gives the case that a number and its query code open. A wrong
// code and a number that does not exist are the same.
func (k *Desk) ByNumberAndCode(ctx context.Context, number, code string) (*Case, error) {
	code = strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(code))
	wrong := errs.New(errs.Invalid, "case_code_wrong", "编号或查询码不对。请照确认页上的样子再输入一次。",
		"The number or the code is not right. Please type both as they stand on your confirmation.")
	var c *Case
	err := k.db.Read(ctx, func(tx *db.Tx) (err error) {
		c, err = k.scanCase(tx.QueryRow(ctx, `SELECT `+caseColumns+` FROM complaint_case WHERE number = $1`, strings.TrimSpace(number)))
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, wrong
	}
	if err != nil {
		return nil, err
	}
	if len(code) != codeLetters || subtle.ConstantTimeCompare([]byte(code), []byte(c.Token[:codeLetters])) != 1 {
		return nil, wrong
	}
	return c, nil
}

// ByCustomer gives the cases of a customer that are known to be theirs, newest
// first. What a stranger filed with their number is not among them.
func (k *Desk) ByCustomer(ctx context.Context, party contact.ID, n int) ([]*Case, error) {
	var out []*Case
	err := k.db.Read(ctx, func(tx *db.Tx) error {
		return tx.Each(ctx, func(r *sql.Rows) error {
			c, err := k.scanCase(r)
			out = append(out, c)
			return err
		}, `SELECT `+caseColumns+` FROM complaint_case WHERE party_id = $1 AND proven = 1 ORDER BY received_at DESC, id DESC LIMIT $2`, party, n)
	})
	return out, err
}

// Prove records that the complainant is the customer whose number the complaint
// named: party shown by a one-time code, or found out by staff. From then on the
// contact complained of may be shown to them, and marketing is held.
func (k *Desk) Prove(ctx context.Context, id, party contact.ID, by, way string) (*Case, error) {
	var out *Case
	err := k.db.Write(ctx, func(tx *db.Tx) error {
		c, err := k.load(ctx, tx, id)
		if err != nil {
			return err
		}
		if out = c; c.Proven {
			return nil
		}
		if c.Party != "" && c.Party != party || party == "" {
			return errs.New(errs.Forbidden, "not_the_number", "这件投诉写的是另一个号码。请用那个号码核实。",
				"This complaint names another number. Please prove that one.")
		}
		c.Party, c.Proven = party, true
		if c.Cause == nil {
			if err := k.attachCause(ctx, tx, c); err != nil {
				return err
			}
		}
		if c.State != Closed {
			if err := k.hold(ctx, tx, c); err != nil {
				return err
			}
		}
		first, err := k.contactTerms(ctx, tx, c)
		if err != nil {
			return err
		}
		if err := k.saveIdentity(ctx, tx, c); err != nil {
			return err
		}
		data := map[string]any{"way": way}
		if len(first) > 0 {
			data["first_contact"] = first
		}
		if c.Cause != nil {
			data["cause"] = c.Cause
		}
		return k.record(ctx, tx, c, "proven", by, true, data)
	})
	return out, err
}

func (k *Desk) saveIdentity(ctx context.Context, tx *db.Tx, c *Case) error {
	cause, err := causeJSON(c)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE complaint_case SET party_id = $2, attempt_id = $3, cause = $4, hold_id = $5, contact_due = $6, proven = 1 WHERE id = $1`,
		c.ID, c.Party, c.Attempt, cause, c.Hold, db.Micros(c.ContactDue))
	c.recount(tx)
	return err
}

// Rate keeps how satisfied the complainant is with the handling, once: 1 (not
// at all) to 5.
func (k *Desk) Rate(ctx context.Context, id contact.ID, stars int, text string) error {
	if stars < 1 || stars > 5 {
		return errs.New(errs.Invalid, "rating", "请选择 1 到 5 分。", "Please choose from 1 to 5.")
	}
	return k.db.Write(ctx, func(tx *db.Tx) error {
		c, err := k.load(ctx, tx, id)
		if err != nil {
			return err
		}
		if c.State != Answered && c.State != Closed {
			return errs.New(errs.Conflict, "rate_early", "答复您之后才能评分。", "You can rate us once we have answered.")
		}
		var n int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM complaint_event WHERE case_id = $1 AND kind = 'rated'`, id).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			return errs.New(errs.Conflict, "rated", "您已经评过分了，谢谢。", "You have rated this already. Thank you.")
		}
		return k.record(ctx, tx, c, "rated", "customer", true, map[string]any{"stars": stars, "text": strings.TrimSpace(text)})
	})
}
