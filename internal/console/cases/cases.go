package cases

import (
	"context"

	"parley/internal/access"
	"parley/internal/approval"
	"parley/internal/campaign"
	"parley/internal/complaint"
	"parley/internal/console/frame"
	"parley/internal/console/reveal"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/gate"
	"parley/internal/ledger"
	"parley/internal/outbound"
	"parley/internal/party"
	"parley/internal/remedy"
)

// Deps are the rooms behind the complaint pages.
type Deps struct {
	Frame      *frame.Frame
	DB         *db.DB
	Desk       *complaint.Desk
	Approvals  *approval.Store
	Reveal     *reveal.Pages
	Remedies   *remedy.Store
	Gate       *gate.Gate
	Parties    *party.Store
	Campaigns  *campaign.Store
	Ledger     *ledger.Log
	Recordings complaint.Recordings
	// Attempt reads one contact as it was made; Sender.Attempt of outbound. A
	// func, because these pages read and must not be able to send. nil = no cues.
	Attempt func(ctx context.Context, tx *db.Tx, id contact.ID) (*outbound.Attempt, error)
}

// pages serves the complaint pages.
type pages struct{ Deps }

// Routes gives the pages.
func Routes(d Deps) []frame.Route {
	p := &pages{d}
	return append(d.Frame.ToList("/complaints", access.SeeComplaints, p.list), []frame.Route{
		frame.To("GET /complaints/new", access.OpenComplaint, p.intakePage),
		frame.To("POST /complaints", access.OpenComplaint, p.intake),
		frame.To("GET /complaints/{id}", access.SeeComplaints, p.show),
		frame.To("GET /complaints/{id}/evidence.zip", access.SeeComplaints, p.evidence),
		frame.To("GET /complaints/{id}/files/{file}", access.SeeComplaints, p.file),
		frame.To("POST /complaints/{id}/prove", access.HandleComplaint, p.prove),
		frame.To("POST /complaints/{id}/take", access.HandleComplaint, p.take),
		frame.To("POST /complaints/{id}/contact", access.HandleComplaint, p.contacted),
		frame.To("POST /complaints/{id}/note", access.NoteComplaint, p.note),
		frame.To("POST /complaints/{id}/propose", access.HandleComplaint, p.propose),
		frame.To("POST /complaints/{id}/extend", access.HandleComplaint, p.extend),
	}...)
}
