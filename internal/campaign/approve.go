package campaign

import (
	"context"
	"database/sql"
	"fmt"

	"parley/internal/approval"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
)

// wrongState is the refusal of a step that the campaign's state does not allow.
func wrongState(c *Campaign, zh, en string) error {
	return errs.New(errs.Conflict, "campaign_state",
		fmt.Sprintf("活动现处于“%s”状态，%s", c.State, zh), fmt.Sprintf("The campaign is %s: %s", c.State, en))
}

// ApprovalKind is the kind under which campaigns are put to a second person.
const ApprovalKind = "campaign"

// Approval says what deciding about a campaign does; the composition root
// registers it with the permission that a decision needs.
func (s *Store) Approval(permission string) approval.Kind {
	return approval.Kind{Name: ApprovalKind, Permission: permission, Apply: s.approved, Return: s.returned, Revocable: true}
}

// Submit asks for approval of the present version; why is what the approver
// reads as the reason and may be empty.
func (s *Store) Submit(ctx context.Context, id contact.ID, by, why string) (*Campaign, error) {
	return s.step(ctx, id, by, "submitted", why, func(tx *db.Tx, c *Campaign) error {
		if c.State != Draft {
			return wrongState(c, "只有草稿可以提交审批。", "only a draft can be submitted.")
		}
		if c.Members == 0 {
			return errs.New(errs.Invalid, "list_empty", "名单为空；请先加入客户再提交。", "The list is empty; add customers before you submit.")
		}
		if err := usable(ctx, tx, c.ScriptHash); err != nil {
			return err
		}
		c.State, c.Note = Submitted, ""
		return s.ask(ctx, tx, c, by, why)
	})
}

// ask puts a campaign to a second person, who is none of those that made or
// changed it.
func (s *Store) ask(ctx context.Context, tx *db.Tx, c *Campaign, by, why string) error {
	sc, err := script(ctx, tx, c.ScriptHash)
	if err != nil {
		return err
	}
	text, err := c.text(sc)
	if err != nil {
		return err
	}
	var hands []string
	if err := tx.Each(ctx, func(r *sql.Rows) error {
		var hand string
		err := r.Scan(&hand)
		hands = append(hands, hand)
		return err
	}, `SELECT DISTINCT actor FROM campaign_change WHERE campaign_id = $1
		AND what IN ('created', 'updated', 'listed', 'submitted')`, c.ID); err != nil {
		return err
	}
	_, err = s.approvals.Ask(ctx, tx, approval.Ask{Kind: ApprovalKind, Subject: c.ID, Title: c.Name, After: text,
		Content: c.contentHash(), Reason: why, By: by, Hands: hands})
	return err
}

// Adopt puts campaigns that wait for approval without a request (those of a
// version of Parley that kept approvals elsewhere) to a second person. It gives
// how many there were.
func (s *Store) Adopt(ctx context.Context) (int, error) {
	waiting, err := s.list(ctx, "SELECT "+columns+" FROM campaign WHERE state = $1 ORDER BY id", string(Submitted))
	if err != nil {
		return 0, err
	}
	n := 0
	for _, w := range waiting {
		if err := s.db.Write(ctx, func(tx *db.Tx) error {
			c, err := get(ctx, tx, w.ID, tx.Dialect().ForUpdate())
			if err != nil || c.State != Submitted {
				return err
			}
			r, err := s.approvals.Waiting(ctx, tx, ApprovalKind, c.ID)
			if err != nil || r != nil {
				return err
			}
			var by string
			if err := tx.QueryRow(ctx, `SELECT actor FROM campaign_change WHERE campaign_id = $1 AND what = 'submitted'
				ORDER BY seq DESC LIMIT 1`, c.ID).Scan(&by); err != nil {
				return err
			}
			n++
			return s.ask(ctx, tx, c, by, "")
		}); err != nil {
			return n, err
		}
	}
	return n, nil
}

// Approve approves exactly the version whose hash the approver has seen. The
// approver must have had no hand in making, changing or submitting it.
func (s *Store) Approve(ctx context.Context, id contact.ID, by string, version int, hash string) (*Campaign, error) {
	return s.decide(ctx, id, func(tx *db.Tx, c *Campaign) error {
		r, err := s.approvals.Waiting(ctx, tx, ApprovalKind, id)
		if err != nil {
			return err
		}
		if r == nil {
			return wrongState(c, "只有已提交的活动可以审批。", "only a submitted campaign can be approved.")
		}
		if c.Version != version || r.Content != hash {
			return errMoved
		}
		_, err = s.approvals.Approve(ctx, tx, approval.Decision{ID: r.ID, By: by, Hash: r.Hash})
		return err
	})
}

// SendBack refuses a submitted or approved version with a reason.
func (s *Store) SendBack(ctx context.Context, id contact.ID, by, why string) (*Campaign, error) {
	return s.decide(ctx, id, func(tx *db.Tx, c *Campaign) error {
		r, err := s.approvals.Last(ctx, tx, ApprovalKind, id)
		if err != nil {
			return err
		}
		if r == nil {
			return wrongState(c, "不能退回。", "it cannot be sent back.")
		}
		_, err = s.approvals.SendBack(ctx, tx, approval.Decision{ID: r.ID, By: by, Hash: r.Hash, Note: why})
		return err
	})
}

// decide runs a decision about a campaign, which locks the request before the
// campaign, and gives what it became.
func (s *Store) decide(ctx context.Context, id contact.ID, fn func(*db.Tx, *Campaign) error) (*Campaign, error) {
	var out *Campaign
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		c, err := get(ctx, tx, id, "")
		if err != nil {
			return err
		}
		if err := fn(tx, c); err != nil {
			return err
		}
		out, err = get(ctx, tx, id, "")
		return err
	})
	return out, err
}

var errMoved = errs.New(errs.Conflict, "version_moved", "活动在您查看之后已被修改；请重新查看后再审批。",
	"The campaign has changed since you looked at it; look again before you approve.")

// approved is what an approval does.
func (s *Store) approved(ctx context.Context, tx *db.Tx, r *approval.Request) (approval.Effect, error) {
	_, e, err := s.alter(ctx, tx, r.Subject, r.DecidedBy, "approved", r.Note, func(_ *db.Tx, c *Campaign) error {
		if c.State != Submitted {
			return wrongState(c, "只有已提交的活动可以审批。", "only a submitted campaign can be approved.")
		}
		if r.Content != c.Hash || c.Hash != c.contentHash() {
			return errMoved
		}
		c.State = Approved
		return nil
	})
	return e, err
}

// returned is what sending back, or withdrawing, does.
func (s *Store) returned(ctx context.Context, tx *db.Tx, r *approval.Request) (approval.Effect, error) {
	_, e, err := s.alter(ctx, tx, r.Subject, r.DecidedBy, string(r.State), r.Note, func(_ *db.Tx, c *Campaign) error {
		if c.State != Submitted && c.State != Approved {
			return wrongState(c, "不能退回。", "it cannot be sent back.")
		}
		c.State, c.Note = Draft, r.Note
		return nil
	})
	return e, err
}

// Start lets the dialer call: from approved, or again from paused. The stored
// approval must be of exactly what would run.
func (s *Store) Start(ctx context.Context, id contact.ID, by string) (*Campaign, error) {
	return s.step(ctx, id, by, "started", "", func(tx *db.Tx, c *Campaign) error {
		if c.State != Approved && c.State != Paused {
			return wrongState(c, "须先由另一人审批才能启动。", "it needs approval by a second person before it can start.")
		}
		r, err := s.approvals.Standing(ctx, tx, ApprovalKind, c.ID)
		if err != nil {
			return err
		}
		if r == nil || r.Content != c.Hash || c.Hash != c.contentHash() {
			return errs.New(errs.Forbidden, "not_approved", "此版本未经审批；请提交审批。", "This version has not been approved; submit it.")
		}
		c.State, c.Note = Running, ""
		return nil
	})
}

// Pause stops a running campaign: once it returns no new call starts.
func (s *Store) Pause(ctx context.Context, id contact.ID, by, why string) (*Campaign, error) {
	return s.step(ctx, id, by, "paused", why, func(_ *db.Tx, c *Campaign) error {
		if c.State != Running {
			return wrongState(c, "没有在运行。", "it is not running.")
		}
		c.State, c.Note = Paused, why
		return nil
	})
}

// Finish ends a campaign for good.
func (s *Store) Finish(ctx context.Context, id contact.ID, by string) (*Campaign, error) {
	return s.end(ctx, id, by, "done", "", func(_ *db.Tx, c *Campaign) error {
		if c.State == Done {
			return wrongState(c, "已经结束。", "it is over already.")
		}
		c.State = Done
		return nil
	})
}

// Change is one line of a campaign's history.
type Change struct {
	At      contact.Micros
	By      string
	What    string
	Version int
	Hash    string
	Note    string
}

// History gives who did what to a campaign, the oldest first.
func (s *Store) History(ctx context.Context, id contact.ID) ([]Change, error) {
	var out []Change
	err := s.db.Read(ctx, func(tx *db.Tx) error {
		out = nil
		return tx.Each(ctx, func(r *sql.Rows) error {
			var c Change
			if err := r.Scan(&c.At, &c.By, &c.What, &c.Version, &c.Hash, &c.Note); err != nil {
				return err
			}
			out = append(out, c)
			return nil
		}, "SELECT at, actor, what, version, hash, note FROM campaign_change WHERE campaign_id = $1 ORDER BY seq", id)
	})
	return out, err
}
