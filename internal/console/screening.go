package console

import (
	"context"
	"net/http"

	"parley/internal/access"
	"parley/internal/campaign"
	"parley/internal/console/frame"
	"parley/internal/console/screen"
	"parley/internal/contact"
	"parley/internal/httpx"
	"parley/internal/outbound"
	"parley/internal/policy"
)

// newScreens makes the room of previews on the gate.
func (c *Console) newScreens() *screen.Room {
	return screen.New(screen.Deps{Frame: c.frame, Campaigns: c.Campaigns, Now: c.DB.Now, Rule: c.ruleTitle,
		Ask: func(ctx context.Context, m *campaign.Campaign, people []campaign.Contact) ([]policy.Verdict, error) {
			return outbound.NewDesk(c.Sender, c.Campaigns).Screen(ctx, m, people)
		},
		Names: func(ctx context.Context, ids []contact.ID) (map[contact.ID]string, error) {
			people, err := c.people(ctx, ids)
			out := make(map[contact.ID]string, len(people))
			for id, p := range people {
				out[id] = personName(ctx, p)
			}
			return out, err
		}})
}

// screening are the pages of a campaign's preview.
func (c *Console) screening() []frame.Route {
	to := frame.To
	return []frame.Route{
		to("GET /campaigns/{id}/screen", access.SeeCampaigns, c.campaignScreen),
		to("POST /campaigns/{id}/screen", access.EditCampaign, c.campaignScreenDraft),
		to("GET /campaigns/{id}/screen/{job}", access.SeeCampaigns, c.screens.Again),
		to("POST /campaigns/{id}/screen/{job}/stop", access.SeeCampaigns, c.screens.Stop),
	}
}

// campaignScreen previews a campaign as it is stored.
func (c *Console) campaignScreen(w http.ResponseWriter, r *http.Request) error {
	m, err := c.Campaigns.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if m.Members == 0 {
		return c.screens.Say(w, r, "empty")
	}
	return c.screens.Serve(w, r, m, r.URL.Query().Get("again") != "")
}

// campaignScreenDraft previews a campaign as the form has it, before it is saved.
func (c *Console) campaignScreenDraft(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	f, err := httpx.ReadForm(w, r)
	if err != nil {
		return err
	}
	m, err := c.Campaigns.Get(ctx, r.PathValue("id"))
	if err != nil {
		return err
	}
	t := readTerms(f, m.Terms, httpx.From(ctx).Zone.String())
	switch {
	case m.Members == 0:
		return c.screens.Say(w, r, "empty")
	case !f.OK() || t.Check() != nil:
		return c.screens.Say(w, r, "invalid")
	}
	m.Terms = t
	return c.screens.Serve(w, r, m, false)
}
