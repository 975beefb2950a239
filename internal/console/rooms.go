package console

import (
	"slices"

	"parley/internal/console/approvals"
	"parley/internal/console/books"
	"parley/internal/console/calendars"
	"parley/internal/console/cases"
	"parley/internal/console/consents"
	"parley/internal/console/frame"
	"parley/internal/console/machines"
	"parley/internal/console/people"
	"parley/internal/console/rules"
	"parley/internal/console/templates"
)

// rooms are the pages of the console's other rooms.
func (c *Console) rooms() []frame.Route {
	return slices.Concat(
		c.flows.Routes(),
		people.Routes(people.Deps{Frame: c.frame, Access: c.Access, Origin: c.Origin, Demo: c.Demo}),
		cases.Routes(cases.Deps{Frame: c.frame, DB: c.DB, Desk: c.Complaints, Approvals: c.Approvals, Reveal: c.reveal, Remedies: c.Remedies, Gate: c.Gate,
			Parties: c.Parties, Campaigns: c.Campaigns, Ledger: c.Ledger, Recordings: c.Recordings, Attempt: c.Sender.Attempt}),
		consents.Routes(consents.Deps{Frame: c.frame, DB: c.DB, Parties: c.Parties, Consents: c.Consents}),
		c.reveal.Routes(),
		approvals.Routes(approvals.Deps{Frame: c.frame, Approvals: c.Approvals}),
		rules.Routes(rules.Deps{Frame: c.frame, Gate: c.Gate, Rulebook: c.Rulebook, Approvals: c.Approvals, Campaign: c.campaignName, Shipped: c.Shipped}),
		machines.Routes(machines.Deps{Frame: c.frame, DB: c.DB, Keys: c.Keys, Hooks: c.Hooks, Approvals: c.Approvals, URL: c.Origin}),
		books.Routes(c.books()),
		templates.Routes(templates.Deps{Frame: c.frame, DB: c.DB, Templates: c.Templates, Approvals: c.Approvals, Desk: c.Complaints, Parties: c.Parties}),
		calendars.Routes(calendars.Deps{Frame: c.frame, DB: c.DB, Holidays: c.Holidays, Approvals: c.Approvals, Own: c.Country}),
	)
}

// books are the rooms behind the ledger and system pages.
func (c *Console) books() books.Deps {
	return books.Deps{Frame: c.frame, DB: c.DB, Ledger: c.Ledger, Gate: c.Gate, Prompts: c.Prompts, Trunk: c.Trunk, Dir: c.Dir}
}
