package app

import (
	"context"
	"net/http"
	"strings"
	"time"

	"parley/internal/api"
	"parley/internal/complaint"
	"parley/internal/console"
	"parley/internal/console/books"
	"parley/internal/httpx"
	"parley/internal/portal"
)

// pages joins the faces: the staff's console, the customers' portal, the
// ledger's tiles for witnesses, and what all of them look like.
func (a *App) pages(self string) (http.Handler, *console.Console, error) {
	zone, err := time.LoadLocation(a.Config.Bank.Zone)
	if err != nil {
		return nil, nil, err
	}
	public := a.Config.HTTP.PublicURL
	if public == "" {
		public = self
	}
	if a.Access.Options.Origin == "" {
		a.Access.Options.Origin = byName(self)
	}
	proxies, err := a.Config.HTTP.proxies()
	if err != nil {
		return nil, nil, err
	}
	house := &httpx.House{Proxies: proxies, BankZh: a.Config.Bank.NameZh, BankEn: a.Config.Bank.NameEn, Zone: zone, Clock: a.DB.Now,
		Simulated: a.Simulated, Secure: strings.HasPrefix(public, "https://"), Log: a.Log}
	staff := console.New(console.Deps{House: house, Broker: a.events.broker, DB: a.DB, Access: a.Access, Approvals: a.Approvals, Holidays: a.Holidays, Templates: a.Templates, Country: a.Config.Bank.Country, Keys: a.APIKeys, Hooks: a.Webhooks, Disclosures: a.Disclosures, Parties: a.Party,
		Consents: a.Consent, Gate: a.Gate, Campaigns: a.Campaigns, Sender: a.Sender, Complaints: a.Complaints, Remedies: a.Remedies, Rulebook: a.Rulebook, Shipped: a.Config.ShippedFiles,
		Ledger: a.Ledger, Recordings: a.Blobs, Prompts: a.Prompts, Trunk: a.trunk(),
		Dir: a.Config.Recordings.Dir, Origin: public, Demo: a.Simulated})
	customers, err := portal.New(portal.Deps{House: house, DB: a.DB, Customers: a.Customers, Desk: a.Complaints, Party: a.Party,
		Consent: a.Consent, Attempts: a.Sender, Decisions: a.Gate, Words: func() portal.Rules { return a.Gate.Policy() },
		Ledger: a.Ledger, Blobs: a.Blobs, Hotline: a.Config.Bank.Hotline, Looks: a.Disclosures, Stopped: a.stopped, Samples: a.samples})
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", staff)
	mux.Handle("/my", customers)
	mux.Handle("/my/", customers)
	mux.Handle("/complain", customers)
	mux.Handle("/complain/", customers)
	mux.Handle("/c/", customers)
	mux.Handle("/api/", a.api(house))
	a.health.Routes(mux)
	mux.Handle("/static/", httpx.Static())
	mux.Handle("/log/", http.StripPrefix("/log", a.Ledger.Handler()))
	return house.Wrap(mux), staff, nil
}

// api makes the face for other systems.
func (a *App) api(house *httpx.House) *api.API {
	a.door = api.New(api.Deps{House: house, DB: a.DB, Keys: a.APIKeys, Parties: a.Party, Consents: a.Consent, Gate: a.Gate,
		Campaigns: a.Campaigns, Sender: a.Sender, Complaints: a.Complaints, Disclosures: a.Disclosures, Webhooks: a.Webhooks, Prompt: a.Prompts.Has, Rate: a.Config.API.Rate,
		MaxBody: int64(a.Config.API.MaxBody) << 10, Served: a.served, Log: a.Log})
	return a.door
}

func (a *App) stopped(ctx context.Context, c *complaint.Case) ([]time.Time, error) {
	ds, err := a.StoppedBy(ctx, c)
	var out []time.Time
	for _, d := range ds {
		out = append(out, d.At)
	}
	return out, err
}

// trunk gives what the line says of itself; nil without a trunk.
func (a *App) trunk() func() books.Trunk {
	if a.Voice == nil {
		return nil
	}
	return func() books.Trunk {
		s := a.Voice.Stats()
		return books.Trunk{Active: int64(s.Active), Draining: int64(s.Draining), Placed: s.Placed, Answered: s.Answered, Failed: s.Failed,
			Ghosts: s.Ghosts, ByesLost: s.ByesLost, Down: s.Down}
	}
}
