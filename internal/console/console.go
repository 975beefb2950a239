// Package console is the staff's pages: the live board, campaigns, contacts and
// customers; complaints, ledger and system are rooms of their own below it.
// Every page is one question, in one file, with its markup beside it.
package console

import (
	"context"
	"io"
	"net/http"
	"slices"

	"parley/internal/access"
	"parley/internal/apikey"
	"parley/internal/approval"
	"parley/internal/campaign"
	"parley/internal/complaint"
	"parley/internal/consent"
	"parley/internal/console/books"
	"parley/internal/console/frame"
	"parley/internal/console/life"
	"parley/internal/console/reveal"
	"parley/internal/console/screen"
	"parley/internal/console/scripts"
	"parley/internal/db"
	"parley/internal/disclosure"
	"parley/internal/errs"
	"parley/internal/gate"
	"parley/internal/holidays"
	"parley/internal/httpx"
	"parley/internal/ledger"
	"parley/internal/outbound"
	"parley/internal/party"
	"parley/internal/prompt"
	"parley/internal/remedy"
	"parley/internal/rulebook"
	"parley/internal/template"
	"parley/internal/webhook"
)

// Recordings opens a stored recording by the sha256 of its content; *blob.Store is one.
type Recordings interface {
	Open(hash string) (io.ReadSeekCloser, error)
}

// Deps are the rooms behind the pages.
type Deps struct {
	House       *httpx.House
	Broker      *httpx.Broker // topic "board": something happened
	DB          *db.DB
	Access      *access.Store
	Approvals   *approval.Store
	Holidays    *holidays.Store
	Templates   *template.Store
	Country     string          // whose calendar is the bank's own
	Keys        *apikey.Store   // of other systems
	Hooks       *webhook.Sender // what other systems are told
	Parties     *party.Store
	Consents    *consent.Store
	Gate        *gate.Gate
	Campaigns   *campaign.Store
	Sender      *outbound.Sender
	Complaints  *complaint.Desk
	Remedies    *remedy.Store
	Ledger      *ledger.Log
	Recordings  Recordings
	Prompts     *prompt.Set        // nil = none loaded
	Trunk       func() books.Trunk // what the trunk says of itself; nil = no trunk
	Dir         string             // where data and recordings lie, for the disk's state
	Origin      string             // where staff reach the console, https://…; "" = as they came
	Demo        bool               // a fictitious bank: one tap enters as any member of staff
	Disclosures *disclosure.Store
	Rulebook    *rulebook.Store
	Shipped     func() (rulebook.Files, error) // the packs of this version
}

// Console serves the staff's pages.
type Console struct {
	Deps
	frame   *frame.Frame
	pulse   *pulse
	reveal  *reveal.Pages
	life    *life.Lines
	flows   *scripts.Room
	screens *screen.Room
	mux     *http.ServeMux
	table   []frame.Route
}

// Routes gives every route the console serves, so that no test forgets one.
func (c *Console) Routes() []frame.Route { return slices.Clone(c.table) }

// New makes the console. It serves everything but /static/; wrap it with House.Wrap.
func New(d Deps) *Console {
	c := &Console{Deps: d, frame: frame.New(d.House, d.Access), mux: http.NewServeMux()}
	c.frame.DB = d.DB
	c.pulse = newPulse(c)
	c.reveal = reveal.New(reveal.Deps{Frame: c.frame, DB: d.DB, Parties: d.Parties, Desk: d.Complaints, Disclosures: d.Disclosures,
		Approvals: d.Approvals, Whose: c.whose})
	c.life = life.New(life.Deps{Frame: c.frame, DB: d.DB, Consents: d.Consents, Gate: d.Gate, Sender: d.Sender, Complaints: d.Complaints,
		Remedies: d.Remedies, Rule: c.ruleTitle})
	c.flows = scripts.New(scripts.Deps{Frame: c.frame, Campaigns: d.Campaigns, Prompts: d.Prompts})
	c.screens = c.newScreens()
	c.routes()
	return c
}

// ServeHTTP serves a page.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.mux.ServeHTTP(w, r) }

// Run keeps the board's history until ctx ends. Without it the board has a
// history only while somebody watches.
func (c *Console) Run(ctx context.Context) error { return c.pulse.run(ctx) }

func (c *Console) routes() {
	c.table = slices.Concat(c.pages(), c.pictures(), c.screening(), c.lists(), c.rooms())
	c.frame.Serve(c.mux, c.table)
}

// lists are the console's own lists, each with its export.
func (c *Console) lists() []frame.Route {
	return slices.Concat(
		c.frame.ToList("/campaigns", access.SeeCampaigns, c.campaignsList),
		c.frame.ToList("/contacts", access.SeeContacts, c.contactsList),
		c.frame.ToList("/customers", access.SeeCustomers, c.customersList),
	)
}

// pages are the console's own.
func (c *Console) pages() []frame.Route {
	to := frame.To
	return []frame.Route{
		to("GET /{$}", access.SeeToday, c.todayPage),
		to("GET /board", access.SeeBoard, c.boardPage),
		to("/", "", notFound),
		to("GET /search", access.Search, c.searchPage),
		to("POST /search", access.Search, c.searchPage),
		to("GET /board/live", access.SeeBoard, c.boardLive),

		to("GET /campaigns/new", access.EditCampaign, c.campaignForm),
		to("POST /campaigns", access.EditCampaign, c.campaignSave),
		to("GET /campaigns/{id}", access.SeeCampaigns, c.campaignPage),
		to("GET /campaigns/{id}/edit", access.EditCampaign, c.campaignForm),
		to("POST /campaigns/{id}", access.EditCampaign, c.campaignSave),
		to("POST /campaigns/{id}/members", access.EditCampaign, c.campaignList),
		to("POST /campaigns/{id}/submit", access.EditCampaign, c.campaignAct),
		to("POST /campaigns/{id}/start", access.RunCampaign, c.campaignAct),
		to("POST /campaigns/{id}/pause", access.RunCampaign, c.campaignAct),
		to("POST /campaigns/{id}/finish", access.RunCampaign, c.campaignAct),

		to("GET /contacts/{id}", access.SeeContacts, c.contactPage),
		to("POST /contacts/{id}/reconcile", access.Reconcile, c.contactReconcile),
		to("GET /contacts/{id}/recording.wav", access.HearRecordings, c.contactSound),
		to("GET /contacts/{id}/peaks.json", access.HearRecordings, c.contactPeaks),

		to("GET /customers/{id}", access.SeeCustomers, c.customerPage),
		to("POST /customers/{id}/stop", access.StopContact, c.customerStop),
	}
}

func notFound(http.ResponseWriter, *http.Request) error {
	return errs.New(errs.NotFound, "no_such_page", "没有这个页面。请核对地址，或从左侧菜单进入。",
		"There is no such page. Check the address, or start from the menu.")
}
