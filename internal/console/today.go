package console

import (
	"context"
	"net/http"
	"time"

	"parley/internal/access"
	"parley/internal/approval"
	"parley/internal/campaign"
	"parley/internal/complaint"
	"parley/internal/console/books"
	"parley/internal/console/frame"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/gate"
	"parley/internal/httpx"
	"parley/internal/httpx/ui"
	"parley/internal/httpx/words"
)

// today is what waits for the reader, in the order in which it should be done.
type today struct {
	figures   []ui.Fig
	approvals []*approval.Request
	mine      []*complaint.Case // the reader's own or, of those who handle none, everybody's
	free      []*complaint.Case // that nobody has taken
	call      []*complaint.Case // whose complainant waits for the first contact
	handles   bool
	unknown   []boardContact
	back      []*campaign.Campaign // sent back to the reader
	ready     []*campaign.Campaign // approved and not started
}

// idle reports whether nothing waits.
func (t *today) idle() bool {
	return len(t.approvals)+len(t.call)+len(t.mine)+len(t.free)+len(t.unknown)+len(t.back)+len(t.ready) == 0
}

const (
	todayMost  = 8 // of each kind; the lists have the rest
	pressing   = 72 * time.Hour
	inFlight   = 200 // attempts looked through for those of unknown end
	manyDrafts = 50  // drafts looked through for those sent back
)

func (c *Console) todayPage(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	t := &today{}
	for _, part := range []func(context.Context, *today) error{c.todayApprovals, c.todayCases, c.todayUnknown, c.todayCampaigns, c.todaySystem} {
		if err := part(ctx, t); err != nil {
			return err
		}
	}
	return c.frame.Show(w, r, frame.Sheet{Title: words.T(ctx, "nav.today"), Menu: "/", Body: c.todayView(t)})
}

func (c *Console) todayApprovals(ctx context.Context, t *today) (err error) {
	if !frame.May(ctx, access.SeeApprovals) || c.Approvals == nil {
		return nil
	}
	who := frame.Who(ctx).ID
	if t.approvals, err = c.Approvals.ForMe(ctx, who, "", db.Span{N: todayMost - 1}); err != nil {
		return err
	}
	n, err := c.Approvals.Count(ctx, who, 100)
	if err == nil {
		t.add(ctx, "approvals", n, "/approvals", n > 0, ui.Wait)
	}
	return err
}

func (c *Console) todayCases(ctx context.Context, t *today) (err error) {
	if !frame.May(ctx, access.SeeComplaints) {
		return nil
	}
	var who contact.ID
	if t.handles = frame.May(ctx, access.HandleComplaint); t.handles {
		who = frame.Who(ctx).ID
		if t.free, err = c.Complaints.Slice(ctx, complaint.Query{Handler: complaint.Nobody, Due: true}, db.Span{N: todayMost - 1}); err != nil {
			return err
		}
	}
	if t.mine, err = c.Complaints.Slice(ctx, complaint.Query{Handler: who, Due: true}, db.Span{N: todayMost - 1}); err != nil {
		return err
	}
	if err := c.todayContacts(ctx, t, who); err != nil {
		return err
	}
	over, soon, err := c.Complaints.Pressing(ctx, who, pressing)
	if err == nil {
		t.add(ctx, "overdue", over, "/complaints?order=due", over > 0, ui.Bad)
		t.add(ctx, "due", soon, "/complaints?order=due", soon > 0, ui.Wait)
	}
	return err
}

// todayContacts lists the complainants who wait for their first contact: the
// reader's, and those of cases that nobody has taken.
func (c *Console) todayContacts(ctx context.Context, t *today, who contact.ID) error {
	whose := []contact.ID{who}
	if who != "" {
		whose = append(whose, complaint.Nobody)
	}
	late, wait := 0, 0
	for _, id := range whose {
		list, err := c.Complaints.Slice(ctx, complaint.Query{Handler: id, Contact: true}, db.Span{N: todayMost - 1})
		if err != nil {
			return err
		}
		l, w, err := c.Complaints.Uncontacted(ctx, id)
		if err != nil {
			return err
		}
		t.call, late, wait = append(t.call, list...), late+l, wait+w
	}
	if late > 0 {
		t.add(ctx, "uncontacted", late, "/complaints?order=contact", true, ui.Bad)
	} else if wait > 0 {
		t.add(ctx, "first_contact", wait, "/complaints?order=contact", true, ui.Wait)
	}
	return nil
}

func (c *Console) todayUnknown(ctx context.Context, t *today) error {
	if !frame.May(ctx, access.Reconcile) {
		return nil
	}
	list, err := c.Gate.InFlight(ctx, inFlight)
	if err != nil {
		return err
	}
	var unknown []gate.Stored
	for _, s := range list {
		if s.State == gate.Unknown {
			unknown = append(unknown, s)
		}
	}
	t.add(ctx, "unknown", len(unknown), "/contacts?view=open", len(unknown) > 0, ui.Wait)
	t.unknown, err = c.rows(ctx, unknown[:min(len(unknown), todayMost)])
	return err
}

func (c *Console) todayCampaigns(ctx context.Context, t *today) error {
	if frame.May(ctx, access.EditCampaign) {
		drafts, err := c.Campaigns.Slice(ctx, campaign.Draft, false, db.Span{N: manyDrafts})
		if err != nil {
			return err
		}
		for _, m := range drafts {
			if m.Note != "" && m.MadeBy == frame.Who(ctx).ID {
				t.back = append(t.back, m)
			}
		}
		t.add(ctx, "back", len(t.back), "/campaigns?state=draft", len(t.back) > 0, ui.Wait)
	}
	if frame.May(ctx, access.RunCampaign) {
		ready, err := c.Campaigns.Slice(ctx, campaign.Approved, false, db.Span{N: todayMost - 1})
		if err != nil {
			return err
		}
		t.ready = ready
		t.add(ctx, "ready", len(ready), "/campaigns?state=approved", len(ready) > 0, ui.Info)
	}
	return nil
}

// add puts a figure on top: how many of something wait.
func (t *today) add(ctx context.Context, what string, n int, href string, some bool, tone ui.Tone) {
	f := ui.Fig{Label: words.T(ctx, "today."+what), Value: httpx.Num(n), Under: words.T(ctx, "today.none_waits"), Tone: ui.Good, Href: href}
	if some {
		f.Tone, f.Under = tone, words.T(ctx, "today."+what+"_do")
	}
	t.figures = append(t.figures, f)
}

func todayMineTitle(t *today) string {
	if t.handles {
		return "today.mine"
	}
	return "today.cases"
}

func todayNoteWord(ctx context.Context, note bool) string {
	if note {
		return words.T(ctx, "today.why_back")
	}
	return words.T(ctx, "campaign.made_by")
}

func todayCaseCols(ctx context.Context, handler bool) []ui.Col {
	cols := []ui.Col{{Word: words.T(ctx, "case.number")}, {Word: words.T(ctx, "case.subject")}, {Word: words.T(ctx, "case.state_word")}, {Word: words.T(ctx, "case.due")}}
	if handler {
		cols = append(cols, ui.Col{Word: words.T(ctx, "today.handler")})
	}
	return cols
}

// todaySystem tells those who keep the system how many of its figures are not as they should be.
func (c *Console) todaySystem(ctx context.Context, t *today) error {
	if !frame.May(ctx, access.SeeSystem) {
		return nil
	}
	checks, err := books.Health(ctx, c.books())
	if err != nil {
		return err
	}
	n, tone := 0, ui.Wait
	for _, k := range checks {
		if k.Tone == ui.Bad || k.Tone == ui.Wait {
			n++
		}
		if k.Tone == ui.Bad {
			tone = ui.Bad
		}
	}
	t.add(ctx, "system", n, "/system", n > 0, tone)
	return nil
}
