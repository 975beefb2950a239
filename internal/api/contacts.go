package api

import (
	"context"
	"net/http"
	"time"

	"parley/internal/apikey"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/outbound"
)

// Contact is one contact that was made. Its id is also the decision's and the permit's.
type Contact struct {
	ID        string     `json:"id"`
	Customer  string     `json:"customer"`
	Point     string     `json:"point"`
	Campaign  string     `json:"campaign,omitempty"`
	Channel   string     `json:"channel"`
	Purpose   string     `json:"purpose"`
	Via       string     `json:"via,omitempty" doc:"The system that made it; absent = Parley itself."`
	CallerID  string     `json:"caller_id,omitempty"`
	State     string     `json:"state" enum:"dialing,ended,unknown"`
	Outcome   string     `json:"outcome,omitempty"`
	Code      int        `json:"code,omitempty" doc:"SIP status or the like."`
	Started   time.Time  `json:"started_at"`
	Answered  *time.Time `json:"answered_at,omitempty"`
	Ended     *time.Time `json:"ended_at,omitempty"`
	TalkMS    int64      `json:"talk_ms,omitempty"`
	Withdrawn *time.Time `json:"withdrawn_at,omitempty" doc:"The customer said stop in this contact."`
	Complaint string     `json:"complaint,omitempty" doc:"Number of the case that was opened in it."`
	Recording string     `json:"recording_sha256,omitempty"`
}

func fromAttempt(a *outbound.Attempt) Contact {
	return Contact{ID: a.ID, Customer: a.Party, Point: a.Point, Campaign: a.Campaign, Channel: a.Channel.String(), Purpose: a.Purpose.String(),
		Via: a.Via, CallerID: a.CallerID, State: string(a.State), Outcome: string(a.Outcome), Code: a.Code, Started: a.StartedAt,
		Answered: optional(a.AnsweredAt), Ended: optional(a.EndedAt), TalkMS: a.Talk.Milliseconds(), Withdrawn: optional(a.Withdrawn),
		Complaint: a.Complaint, Recording: a.Recording.SHA256}
}

var errWhose = errs.New(errs.Invalid, "contacts_of_whom", "请用 customer、point、campaign 之一指明要哪些联系记录。",
	"Say whose contacts: one of customer, point, campaign.")

func (a *API) contactRoutes() {
	type list struct {
		Paged
		Customer string `query:"customer" maxLength:"36"`
		Point    string `query:"point" maxLength:"36"`
		Campaign string `query:"campaign" maxLength:"36"`
	}
	add(a, op{method: http.MethodGet, path: "/contacts", id: "list-contacts", tag: "contacts", scope: apikey.ContactsRead,
		sum: "List contacts · 联系记录", doc: "Of one customer, contact point or campaign, the latest first."},
		func(ctx context.Context, in *list) (Page[Contact], error) {
			find, whose := a.Sender.AttemptsByParty, in.Customer
			switch {
			case in.Customer != "" && in.Point+in.Campaign == "":
			case in.Point != "" && in.Customer+in.Campaign == "":
				find, whose = a.Sender.AttemptsByPoint, in.Point
			case in.Campaign != "" && in.Customer+in.Point == "":
				find, whose = a.Sender.AttemptsByCampaign, in.Campaign
			default:
				return Page[Contact]{}, errWhose
			}
			before, err := in.after("contacts", whose)
			if err != nil {
				return Page[Contact]{}, err
			}
			var rows []*outbound.Attempt
			err = a.DB.Read(ctx, func(tx *db.Tx) error {
				rows, err = find(ctx, tx, whose, before, in.Limit+1)
				return err
			})
			return page(in.Paged, "contacts", whose, rows, func(r *outbound.Attempt) string { return r.ID }, fromAttempt), err
		})
	add(a, op{method: http.MethodGet, path: "/contacts/{id}", id: "get-contact", tag: "contacts", scope: apikey.ContactsRead,
		sum: "Read a contact · 查询一次联系", doc: "Its decision has the same id: /gate/decisions/{id}."},
		func(ctx context.Context, in *ByID) (out Contact, err error) {
			err = a.DB.Read(ctx, func(tx *db.Tx) error {
				at, err := a.Sender.Attempt(ctx, tx, in.ID)
				if err == nil {
					out = fromAttempt(at)
				}
				return err
			})
			return out, err
		})
	type reconcile struct {
		ByID
		Body struct {
			Outcome string `json:"outcome" enum:"not_sent,no_answer,busy,rejected,unreachable,voicemail,connected,effective,delivered"`
		}
	}
	add(a, op{method: http.MethodPost, path: "/contacts/{id}/reconcile", id: "reconcile", tag: "contacts", scope: apikey.ContactsWrite,
		sum: "Say how an unknown contact ended · 核销结果不明的联系", doc: "From the carrier's records. What it counts as changes accordingly."},
		func(ctx context.Context, in *reconcile) (Made, error) {
			desk := outbound.NewDesk(a.Sender, a.Campaigns)
			return Made{in.ID}, desk.Reconcile(ctx, in.ID, contact.Outcome(in.Body.Outcome), by(ctx))
		})
}
