package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"parley/internal/apikey"
	"parley/internal/consent"
	"parley/internal/contact"
	"parley/internal/db"
)

// Hours is a daily window of the person's local day.
type Hours struct {
	From string   `json:"from" pattern:"^([01]\\d|2[0-3]):[0-5]\\d$" doc:"Such as 09:00."`
	To   string   `json:"to" pattern:"^(([01]\\d|2[0-3]):[0-5]\\d|24:00)$"`
	Days []string `json:"days,omitempty" enum:"sun,mon,tue,wed,thu,fri,sat" doc:"Every day when absent."`
}

// Grant is what a customer agreed to, with its terms. What is absent means any.
type Grant struct {
	ID       string     `json:"id,omitempty" readOnly:"true"`
	Ground   string     `json:"ground,omitempty" enum:"consent,request,contract,statute" default:"consent" doc:"PIPL art. 13."`
	Purposes []string   `json:"purposes,omitempty" enum:"service,marketing,fraud_alert,collection,statutory"`
	Channels []string   `json:"channels,omitempty" enum:"voice,sms,email,letter,push"`
	Points   []string   `json:"points,omitempty" maxItems:"20"`
	Products []string   `json:"products,omitempty" maxItems:"50"`
	Max      int        `json:"max,omitempty" minimum:"0" maximum:"1000" doc:"At most so many contacts in days."`
	Days     int        `json:"days,omitempty" minimum:"0" maximum:"366"`
	Hours    []Hours    `json:"hours,omitempty" maxItems:"14"`
	From     *time.Time `json:"from,omitempty" doc:"Now when absent."`
	Until    *time.Time `json:"until,omitempty" doc:"Until withdrawn when absent."`
	Notice   string     `json:"notice,omitempty" maxLength:"64" doc:"SHA-256 of the notice that was shown; register it first."`
	How      string     `json:"how,omitempty" maxLength:"60" doc:"How it was obtained: branch, app, phone, paper …"`
}

// Stop bars contact from an instant on. Empty lists mean all.
type Stop struct {
	ID       string     `json:"id,omitempty" readOnly:"true"`
	Kind     string     `json:"kind,omitempty" enum:"withdrawal,refusal,do_not_contact,hold" default:"withdrawal"`
	Purposes []string   `json:"purposes,omitempty" enum:"service,marketing,fraud_alert,collection,statutory"`
	Channels []string   `json:"channels,omitempty" enum:"voice,sms,email,letter,push"`
	Points   []string   `json:"points,omitempty" maxItems:"20"`
	Grant    string     `json:"grant,omitempty" maxLength:"36" doc:"Takes back this consent and nothing else."`
	At       *time.Time `json:"at,omitempty" readOnly:"true"`
	Until    *time.Time `json:"until,omitempty"`
	Source   string     `json:"source,omitempty" maxLength:"40" doc:"Where the customer said so: sms_reply, app, branch …"`
}

// Standing is all that a customer has said about being contacted.
type Standing struct {
	Customer string    `json:"customer"`
	AsOf     time.Time `json:"as_of"`
	Grants   []Grant   `json:"grants" nullable:"false"`
	Stops    []Stop    `json:"stops" nullable:"false"`
}

// Stopped tells which stops a withdrawal made.
type Stopped struct {
	Stops []CustomerStop `json:"stops" nullable:"false"`
}

// CustomerStop is a stop and whose it is.
type CustomerStop struct {
	Customer string    `json:"customer"`
	Stop     string    `json:"stop"`
	At       time.Time `json:"at" doc:"In force since."`
}

// Made names what was made.
type Made struct {
	ID string `json:"id"`
}

var weekdays = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func (a *API) consentRoutes() {
	type read struct {
		ByID
		AsOf time.Time `query:"as_of" doc:"As it was recorded at this instant; now when absent."`
	}
	add(a, op{method: http.MethodGet, path: "/customers/{id}/consents", id: "get-consents", tag: "consents", scope: apikey.ConsentsRead,
		sum: "What a customer agreed to and stopped · 查询授权与停止", doc: "As of now, or of any instant."},
		func(ctx context.Context, in *read) (Standing, error) { return a.standing(ctx, in.ID, in.AsOf) })
	type grant struct {
		ByID
		Body Grant
	}
	add(a, op{method: http.MethodPost, path: "/customers/{id}/consents", id: "grant", tag: "consents", scope: apikey.ConsentsWrite, status: http.StatusCreated,
		sum: "Record a consent · 登记授权", doc: "With the terms the customer agreed to and the notice that was shown. It ends earlier withdrawals of the same purpose and channel."},
		func(ctx context.Context, in *grant) (Made, error) { return a.grant(ctx, in.ID, &in.Body) })
	type stop struct {
		ByID
		Body Stop
	}
	add(a, op{method: http.MethodPost, path: "/customers/{id}/withdrawals", id: "withdraw", tag: "consents", scope: apikey.WithdrawalsMake, status: http.StatusCreated,
		sum: "Record that a customer said stop · 登记退订", doc: "In force when the answer arrives: every permit it covers that is not on the wire is void."},
		func(ctx context.Context, in *stop) (Stopped, error) {
			return a.stop(ctx, &in.Body, func(tx *db.Tx) ([]contact.ID, error) {
				if _, err := a.Parties.Get(ctx, tx, in.ID); err != nil {
					return nil, err
				}
				return []contact.ID{in.ID}, nil
			})
		})
	type anybody struct {
		Body struct {
			Stop
			To string `json:"to" minLength:"3" maxLength:"254" doc:"The number or address that said stop."`
		}
	}
	add(a, op{method: http.MethodPost, path: "/withdrawals", id: "withdraw-by-number", tag: "consents", scope: apikey.WithdrawalsMake, status: http.StatusCreated,
		sum: "A number or address said stop · 号码退订（如短信回复 TD）", doc: "For every customer who can be reached there: whoever wrote, the bank must not ask again."},
		func(ctx context.Context, in *anybody) (Stopped, error) {
			kind, value, err := address(in.Body.To)
			if err != nil {
				return Stopped{}, err
			}
			return a.stop(ctx, &in.Body.Stop, func(tx *db.Tx) (ids []contact.ID, err error) {
				found, err := a.Parties.ByPoint(ctx, tx, kind, value)
				for _, f := range found {
					ids = append(ids, f.PartyID)
				}
				if err == nil && len(ids) == 0 {
					err = errNobody
				}
				return ids, err
			})
		})
	type lift struct {
		ByID
		Stop string `path:"stop" maxLength:"36"`
		Body struct {
			Reason string `json:"reason" minLength:"1" maxLength:"200" doc:"No personal data."`
		}
	}
	add(a, op{method: http.MethodPost, path: "/customers/{id}/withdrawals/{stop}/lift", id: "lift", tag: "consents", scope: apikey.ConsentsWrite,
		sum: "Lift a stop · 解除停止联系", doc: "At the customer's own wish. A consent that the stop took back does not return."},
		func(ctx context.Context, in *lift) (Made, error) {
			return change(ctx, a, http.StatusOK, func(tx *db.Tx) (Made, error) {
				return Made{in.Stop}, a.Consents.Lift(ctx, tx, in.ID, in.Stop, by(ctx), in.Body.Reason)
			})
		})
	type notice struct {
		Body struct {
			Version string     `json:"version" minLength:"1" maxLength:"60" doc:"The bank's name of the version."`
			Lang    string     `json:"lang" minLength:"2" maxLength:"16" doc:"BCP 47."`
			Text    string     `json:"text" minLength:"1" maxLength:"50000"`
			From    *time.Time `json:"valid_from,omitempty"`
		}
	}
	add(a, op{method: http.MethodPost, path: "/notices", id: "put-notice", tag: "consents", scope: apikey.ConsentsWrite, status: http.StatusCreated,
		sum: "Register a notice · 登记告知文本", doc: "Its id is the SHA-256 of the text. What was shown cannot be reworded afterwards."},
		func(ctx context.Context, in *notice) (Made, error) {
			return change(ctx, a, http.StatusCreated, func(tx *db.Tx) (Made, error) {
				n := consent.Notice{Version: in.Body.Version, Lang: in.Body.Lang, Text: in.Body.Text, ValidFrom: tx.Now}
				if in.Body.From != nil {
					n.ValidFrom = *in.Body.From
				}
				hash, err := a.Consents.PutNotice(ctx, tx, n)
				return Made{hash}, err
			})
		})
}

func (a *API) standing(ctx context.Context, id contact.ID, asOf time.Time) (out Standing, err error) {
	err = a.DB.Read(ctx, func(tx *db.Tx) error {
		if asOf.IsZero() {
			asOf = tx.Now
		}
		if _, err := a.Parties.Get(ctx, tx, id); err != nil {
			return err
		}
		st, err := a.Consents.AsOf(ctx, tx, id, asOf)
		if err != nil {
			return err
		}
		out = Standing{Customer: id, AsOf: asOf, Grants: make([]Grant, len(st.Grants)), Stops: make([]Stop, len(st.Stops))}
		for i := range st.Grants {
			out.Grants[i] = fromGrant(&st.Grants[i])
		}
		for i, s := range st.Stops {
			out.Stops[i] = Stop{ID: s.ID, Kind: string(s.Kind), Purposes: s.Purposes.Names(), Channels: s.Channels.Names(), Points: s.Points,
				Grant: s.GrantID, At: instant(s.At), Until: instant(s.Until), Source: s.Source}
		}
		return nil
	})
	return out, err
}

func (a *API) grant(ctx context.Context, id contact.ID, in *Grant) (Made, error) {
	g, err := in.grant()
	if err != nil {
		return Made{}, err
	}
	return change(ctx, a, http.StatusCreated, func(tx *db.Tx) (Made, error) {
		if err := a.owned(ctx, tx, id, g.Points); err != nil {
			return Made{}, err
		}
		if g.Notice != "" {
			if _, err := a.Consents.GetNotice(ctx, tx, g.Notice); err != nil {
				return Made{}, err
			}
		}
		g, err := a.Consents.Grant(ctx, tx, id, g, by(ctx))
		return Made{g.ID}, err
	})
}

// owned checks that a customer exists and has the contact points.
func (a *API) owned(ctx context.Context, tx *db.Tx, id contact.ID, points []contact.ID) error {
	if _, err := a.Parties.Get(ctx, tx, id); err != nil {
		return err
	}
	owners, err := a.Parties.Owners(ctx, tx, points)
	if err != nil {
		return err
	}
	for _, p := range points {
		if owners[p] != id {
			return errNobody
		}
	}
	return nil
}

func (a *API) stop(ctx context.Context, in *Stop, whose func(tx *db.Tx) ([]contact.ID, error)) (Stopped, error) {
	s := contact.Stop{Kind: contact.StopKind(in.Kind), Points: in.Points, GrantID: in.Grant, Source: in.Source}
	if s.Kind == "" {
		s.Kind = contact.Withdrawal
	}
	if s.Source == "" {
		s.Source = "api"
	}
	if in.Until != nil {
		s.Until = db.Micros(*in.Until)
	}
	var err error
	if s.Purposes, err = purposes(in.Purposes); err != nil {
		return Stopped{}, err
	}
	if s.Channels, err = channels(in.Channels); err != nil {
		return Stopped{}, err
	}
	return change(ctx, a, http.StatusCreated, func(tx *db.Tx) (out Stopped, err error) {
		ids, err := whose(tx)
		if err != nil {
			return out, err
		}
		for _, id := range ids {
			if err := a.owned(ctx, tx, id, s.Points); err != nil {
				return out, err
			}
			made, err := a.Consents.Stop(ctx, tx, id, s, by(ctx))
			if err != nil {
				return out, err
			}
			out.Stops = append(out.Stops, CustomerStop{Customer: id, Stop: made.ID, At: tx.Now})
		}
		return out, nil
	})
}

func (g *Grant) grant() (out contact.Grant, err error) {
	out = contact.Grant{Ground: contact.Ground(g.Ground), Points: g.Points, Products: g.Products, Max: g.Max, Days: g.Days, Notice: g.Notice, How: g.How}
	if out.Ground == "" {
		out.Ground = contact.Consent
	}
	if out.Purposes, err = purposes(g.Purposes); err != nil {
		return out, err
	}
	if out.Channels, err = channels(g.Channels); err != nil {
		return out, err
	}
	if g.From != nil {
		out.From = db.Micros(*g.From)
	}
	if g.Until != nil {
		out.Until = db.Micros(*g.Until)
	}
	out.Hours, err = hours(g.Hours)
	return out, err
}

func fromGrant(g *contact.Grant) Grant {
	out := Grant{ID: g.ID, Ground: string(g.Ground), Purposes: g.Purposes.Names(), Channels: g.Channels.Names(), Points: g.Points,
		Products: g.Products, Max: g.Max, Days: g.Days, From: instant(g.From), Until: instant(g.Until), Notice: g.Notice, How: g.How}
	out.Hours = fromHours(g.Hours)
	return out
}

func hours(in []Hours) ([]contact.Hours, error) {
	var out []contact.Hours
	for _, h := range in {
		var c contact.Hours
		var fh, fm, th, tm int
		if _, err := fmt.Sscanf(h.From+" "+h.To, "%d:%d %d:%d", &fh, &fm, &th, &tm); err != nil {
			return nil, errRequest.With(err)
		}
		c.From, c.To = fh*60+fm, th*60+tm
		for _, d := range h.Days {
			for i, name := range weekdays {
				if d == name {
					c.Days |= 1 << i
				}
			}
		}
		out = append(out, c)
	}
	return out, nil
}

func fromHours(in []contact.Hours) []Hours {
	var out []Hours
	for _, h := range in {
		o := Hours{From: fmt.Sprintf("%02d:%02d", h.From/60, h.From%60), To: fmt.Sprintf("%02d:%02d", h.To/60, h.To%60)}
		for i, name := range weekdays {
			if h.Days&(1<<i) != 0 {
				o.Days = append(o.Days, name)
			}
		}
		out = append(out, o)
	}
	return out
}

func purposes(names []string) (contact.Purposes, error) {
	var ps []contact.Purpose
	for _, n := range names {
		p, err := contact.ParsePurpose(n)
		if err != nil {
			return 0, errRequest.With(err)
		}
		ps = append(ps, p)
	}
	return contact.PurposeSet(ps...), nil
}

func channels(names []string) (contact.Channels, error) {
	var cs []contact.Channel
	for _, n := range names {
		c, err := contact.ParseChannel(n)
		if err != nil {
			return 0, errRequest.With(err)
		}
		cs = append(cs, c)
	}
	return contact.ChannelSet(cs...), nil
}

func instant(us contact.Micros) *time.Time { return optional(db.Time(us)) }
