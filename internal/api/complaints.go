package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"parley/internal/apikey"
	"parley/internal/complaint"
	"parley/internal/db"
	"parley/internal/disclosure"
)

// Complaint is one case.
type Complaint struct {
	ID        string     `json:"id"`
	Number    string     `json:"number"`
	State     string     `json:"state" enum:"open,taken,proposed,answered,review,closed"`
	Source    string     `json:"source"`
	Customer  string     `json:"customer,omitempty"`
	Contact   string     `json:"contact,omitempty" doc:"The contact complained of."`
	Received  time.Time  `json:"received_at"`
	Due       time.Time  `json:"due_at" doc:"End of the legal term that runs."`
	FirstBy   *time.Time `json:"contact_due_at,omitempty" doc:"By when the complainant is to be contacted first; absent when no rule says so, or they have been."`
	Closed    *time.Time `json:"closed_at,omitempty"`
	Subject   string     `json:"subject,omitempty" doc:"In clear only: customers write names into it."`
	Words     string     `json:"words,omitempty" doc:"In clear only."`
	Deadlines []Deadline `json:"deadlines,omitempty"`
}

// Deadline is one legal term of a case.
type Deadline struct {
	Rule    string    `json:"rule"`
	Started time.Time `json:"started_at"`
	Due     time.Time `json:"due_at"`
	State   string    `json:"state" enum:"asked,running,met,missed,replaced,refused,withdrawn,superseded"`
}

func fromCase(c *complaint.Case) Complaint {
	return Complaint{ID: c.ID, Number: c.Number, State: string(c.State), Source: c.Source, Customer: c.Party, Contact: c.Attempt,
		Received: c.Received, Due: c.Due, FirstBy: optional(c.ContactDue), Closed: optional(c.ClosedAt)}
}

func (a *API) complaintRoutes() {
	type list struct {
		Paged
		State    string `query:"state" enum:"open,taken,proposed,answered,review,closed"`
		Customer string `query:"customer" maxLength:"36"`
	}
	add(a, op{method: http.MethodGet, path: "/complaints", id: "list-complaints", tag: "complaints", scope: apikey.ComplaintsRead,
		sum: "List complaints · 投诉列表", doc: "Newest first, without the customers' words."},
		func(ctx context.Context, in *list) (Page[Complaint], error) {
			filter := in.State + "/" + in.Customer
			before, err := in.after("complaints", filter)
			if err != nil {
				return Page[Complaint]{}, err
			}
			f := complaint.Filter{State: complaint.State(in.State), Party: in.Customer, Limit: in.Limit + 1}
			if before != "" {
				us, err := strconv.ParseInt(before, 10, 64)
				if err != nil {
					return Page[Complaint]{}, errCursor
				}
				f.Before = db.Time(us)
			}
			rows, err := a.Complaints.List(ctx, f)
			return page(in.Paged, "complaints", filter, rows,
				func(c *complaint.Case) string { return strconv.FormatInt(db.Micros(c.Received), 10) }, fromCase), err
		})
	type one struct {
		ByID
		Reason
	}
	add(a, op{method: http.MethodGet, path: "/complaints/{id}", id: "get-complaint", tag: "complaints", scope: apikey.ComplaintsRead,
		sum: "Read a complaint · 查询投诉", doc: "With its legal terms. The customer's words only with clear=true."},
		func(ctx context.Context, in *one) (Complaint, error) { return a.complaint(ctx, in.ID, in.Reason) })
	type open struct {
		Body struct {
			Customer string `json:"customer,omitempty" maxLength:"36" doc:"Absent while nobody knows who complains."`
			Contact  string `json:"contact,omitempty" maxLength:"36" doc:"The contact complained of; the latest is found when absent."`
			Lang     string `json:"lang,omitempty" enum:"zh,en" default:"zh"`
			Subject  string `json:"subject,omitempty" maxLength:"200"`
			Words    string `json:"words" minLength:"1" maxLength:"20000"`
		}
	}
	add(a, op{method: http.MethodPost, path: "/complaints", id: "open-complaint", tag: "complaints", scope: apikey.ComplaintsWrite, status: http.StatusCreated,
		sum: "Open a complaint · 登记投诉", doc: "Starts the legal clock, attaches the contact complained of, and holds marketing to the customer until the case is closed."},
		func(ctx context.Context, in *open) (Complaint, error) {
			b := in.Body
			return change(ctx, a, http.StatusCreated, func(tx *db.Tx) (Complaint, error) {
				if b.Customer != "" {
					if _, err := a.Parties.Get(ctx, tx, b.Customer); err != nil {
						return Complaint{}, err
					}
				}
				c, err := a.Complaints.Open(ctx, tx, complaint.Intake{Source: "api", Party: b.Customer, Attempt: b.Contact, Lang: b.Lang,
					Subject: b.Subject, Words: b.Words, By: by(ctx)})
				if err != nil {
					return Complaint{}, err
				}
				return fromCase(c), nil
			})
		})
	type note struct {
		ByID
		Body struct {
			Text string `json:"text" minLength:"1" maxLength:"4000"`
		}
	}
	add(a, op{method: http.MethodPost, path: "/complaints/{id}/notes", id: "note-complaint", tag: "complaints", scope: apikey.ComplaintsWrite, status: http.StatusCreated,
		sum: "Add a working note · 添加工作记录", doc: "The customer does not see it."},
		func(ctx context.Context, in *note) (Made, error) {
			return Made{in.ID}, a.Complaints.Note(ctx, in.ID, by(ctx), in.Body.Text)
		})
}

func (a *API) complaint(ctx context.Context, id string, r Reason) (Complaint, error) {
	clear, err := unmasked(ctx, r)
	if err != nil {
		return Complaint{}, err
	}
	f, err := a.Complaints.Get(ctx, id)
	if err != nil {
		return Complaint{}, err
	}
	out := fromCase(f.Case)
	for _, d := range f.Deadlines {
		out.Deadlines = append(out.Deadlines, Deadline{Rule: d.Rule, Started: d.Started, Due: d.Due, State: d.State})
	}
	if !clear {
		return out, nil
	}
	out.Subject, out.Words = f.Case.Subject, f.Case.Words
	return out, a.DB.Write(ctx, func(tx *db.Tx) error {
		whose := f.Case.Party
		if whose == "" {
			whose = f.Case.ID
		}
		return a.shown(ctx, tx, whose, disclosure.Words, f.Case.ID, r.Reason)
	})
}
