package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"parley/internal/access"
	"parley/internal/approval"
	"parley/internal/campaign"
	"parley/internal/console/frame"
	"parley/internal/console/scripts"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/gate"
	"parley/internal/httpx"
	"parley/internal/httpx/ui"
	"parley/internal/httpx/words"
	"parley/internal/outbound"
)

// campaignStates lists the states in the order a campaign goes through them.
func campaignStates() []campaign.State {
	return []campaign.State{campaign.Draft, campaign.Submitted, campaign.Approved, campaign.Running, campaign.Paused, campaign.Done}
}

// campaignsList is the list of campaigns.
func (c *Console) campaignsList(r *http.Request) (*frame.List, error) {
	ctx := r.Context()
	var states []ui.Choice
	for _, s := range campaignStates() {
		states = append(states, ui.Choice{Value: string(s), Word: words.T(ctx, "campaign.state."+string(s))})
	}
	return &frame.List{
		Menu: "/campaigns", Need: access.SeeCampaigns, Title: words.T(ctx, "nav.campaigns"), Under: words.T(ctx, "campaigns.under"), Acts: campaignsActs(),
		Grid: ui.Grid{
			Name: "campaigns", Path: "/campaigns", Caption: words.T(ctx, "nav.campaigns"), Order: "-made",
			Why: words.T(ctx, "campaigns.none"), Do: words.T(ctx, "campaigns.none_do"), Drawered: true,
			Columns: []ui.Column{
				{Key: "name", Word: words.T(ctx, "campaign.name")}, {Key: "state", Word: words.T(ctx, "campaign.state_word")},
				{Key: "purpose", Word: words.T(ctx, "contact.purpose")}, {Key: "progress", Word: words.T(ctx, "board.progress"), Wide: true},
				{Key: "members", Word: words.T(ctx, "campaign.members_word"), Num: true, Off: true}, {Key: "by", Word: words.T(ctx, "campaign.made_by")},
				{Key: "made", Word: words.T(ctx, "campaign.made"), Sort: true}, {Key: "changed", Word: words.T(ctx, "campaign.changed"), Off: true},
				{Key: "version", Word: words.T(ctx, "campaign.version_word"), Num: true, Off: true},
			},
			Filters: []ui.Filter{{Key: "state", Word: words.T(ctx, "campaign.state_word"), Choices: states}},
		},
		Rows: c.campaignRows,
	}, nil
}

func (c *Console) campaignRows(ctx context.Context, a ui.Ask) (ui.Rows, error) {
	list, err := c.Campaigns.Slice(ctx, campaign.State(a.Filter["state"]), !a.Desc, db.Span(a.Span))
	if err != nil {
		return ui.Rows{}, err
	}
	now := c.pulse.known()
	return frame.Lines(list, a, func(m *campaign.Campaign) string { return m.ID }, func(m *campaign.Campaign) ui.Row {
		progress := ui.Text("")
		if p := now.progress[m.ID]; p != nil {
			progress = ui.View(fmt.Sprintf("%d / %d", p.Total-p.Left(), p.Total), ui.Bar(int64(p.Total-p.Left()), int64(p.Total), ""))
		}
		return ui.Row{Href: "/campaigns/" + m.ID, Cells: []ui.Cell{
			ui.Text(m.Name), ui.State(frame.CampaignTone(m.State), words.T(ctx, "campaign.state."+string(m.State))),
			ui.Text(frame.Purpose(ctx, m.Purpose)), progress, ui.Text(httpx.Num(m.Members)), ui.Text(c.frame.Name(ctx, m.MadeBy)),
			ui.Moment(ctx, db.Time(m.MadeAt)), ui.Moment(ctx, db.Time(m.ChangedAt)), ui.Text(httpx.Num(m.Version)),
		}}
	}), nil
}

// campaignFile is one campaign with all that is said about it.
type campaignFile struct {
	*campaign.Campaign
	progress *campaign.Progress
	script   *campaign.Script
	drawing  *scripts.Drawing
	history  []campaign.Change
	members  []memberRow
	state    campaign.MemberState // the members shown; "" = all
	more     string
	counts   gate.Counts
	calls    outbound.Counts
	request  *approval.Request // what waits for a second person; nil = nothing
}

type memberRow struct {
	campaign.Member
	who  person
	rule string
}

const memberPageSize = 25

func (c *Console) campaignPage(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), r.PathValue("id")
	f, err := c.campaignFile(ctx, id)
	if err != nil {
		return err
	}
	f.state = campaign.MemberState(r.URL.Query().Get("members"))
	ms, err := c.Campaigns.Page(ctx, id, f.state, r.URL.Query().Get("after"), memberPageSize)
	if err != nil {
		return err
	}
	ids := make([]contact.ID, len(ms))
	for i, m := range ms {
		ids[i] = m.Party
	}
	people, err := c.people(ctx, ids)
	if err != nil {
		return err
	}
	for _, m := range ms {
		row := memberRow{Member: m, who: people[m.Party]}
		if m.Rule != "" {
			row.rule = c.ruleTitle(ctx, m.Rule)
		}
		f.members = append(f.members, row)
	}
	if len(ms) == memberPageSize {
		f.more = "/campaigns/" + id + "?members=" + string(f.state) + "&after=" + ms[len(ms)-1].Party + "#members"
	}
	return c.frame.Show(w, r, frame.Sheet{Title: f.Name, Menu: "/campaigns", Body: c.campaignView(f)})
}

func (c *Console) campaignFile(ctx context.Context, id contact.ID) (*campaignFile, error) {
	m, err := c.Campaigns.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	f := &campaignFile{Campaign: m}
	if f.progress, err = c.Campaigns.Progress(ctx, id); err != nil {
		return nil, err
	}
	if f.history, err = c.Campaigns.History(ctx, id); err != nil {
		return nil, err
	}
	if f.counts, err = c.Gate.CampaignCounts(ctx, id); err != nil {
		return nil, err
	}
	if f.script, err = c.Campaigns.Script(ctx, m.ScriptHash); err != nil && errs.Public(err).Kind != errs.NotFound {
		return nil, err
	}
	f.drawing = c.flows.Draw(ctx, f.script)
	err = c.DB.Read(ctx, func(tx *db.Tx) (err error) {
		if f.calls, err = c.Sender.Counts(ctx, tx, id); err != nil {
			return err
		}
		f.request, err = c.Approvals.Waiting(ctx, tx, campaign.ApprovalKind, id)
		return err
	})
	return f, err
}

// campaignName gives a campaign's name; of one that is not there its id.
func (c *Console) campaignName(ctx context.Context, id string) string {
	got, err := c.Campaigns.Get(ctx, id)
	if err != nil {
		return id
	}
	return got.Name
}

// campaignAct is every step of a campaign's life but its changes.
func (c *Console) campaignAct(w http.ResponseWriter, r *http.Request) error {
	ctx, id, by := r.Context(), r.PathValue("id"), frame.Who(r.Context()).ID
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	act := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	switch act {
	case "submit":
		_, err = c.Campaigns.Submit(ctx, id, by, f.Get("reason"))
	case "start":
		_, err = c.Campaigns.Start(ctx, id, by)
	case "pause":
		_, err = c.Campaigns.Pause(ctx, id, by, f.Get("reason"))
	case "finish":
		_, err = c.Campaigns.Finish(ctx, id, by)
	default:
		err = errors.New("no such act: " + act)
	}
	if err != nil {
		return err
	}
	return c.frame.Done(w, r, "/campaigns/"+id, "flash.campaign_"+strings.ReplaceAll(act, "-", "_"))
}

// campaignLine is who did what, the latest first.
func (c *Console) campaignLine(ctx context.Context, hs []campaign.Change) []ui.Mark {
	var out []ui.Mark
	for _, h := range slices.Backward(hs) {
		m := ui.Mark{At: db.Time(h.At), Tone: ui.Info, Title: words.T(ctx, "campaign.did."+h.What), Text: c.frame.Name(ctx, h.By) + " · " + words.T(ctx, "campaign.version", h.Version)}
		switch h.What {
		case "approved", "done":
			m.Tone = ui.Good
		case "started":
			m.Tone = ui.Live
		case "sent_back":
			m.Tone = ui.Bad
		case "submitted", "paused":
			m.Tone = ui.Wait
		}
		if h.Note != "" {
			m.Text += " · " + h.Note
		}
		out = append(out, m)
	}
	return out
}
