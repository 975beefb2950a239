package console

import (
	"parley/internal/access"
	"parley/internal/console/frame"
)

// pictures are the pages that show one thing whole: a person's lifeline, why a
// contact was or was not made.
func (c *Console) pictures() []frame.Route {
	to := frame.To
	return []frame.Route{
		to("GET /customers/{id}/lifeline", access.SeeCustomers, c.life.Page),
		to("POST /contacts/{id}/recording", access.HearRecordings, c.contactCopy),
		to("GET /decisions/{id}", access.SeeContacts, c.decisionPage),
	}
}
