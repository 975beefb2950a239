package api

import (
	"context"
	"net/http"
	"time"

	"parley/internal/apikey"
	"parley/internal/contact"
	"parley/internal/gate"
	"parley/internal/httpx/words"
	"parley/internal/outbound"
	"parley/internal/policy"
)

// Intent is a contact that a system wants to make. Who: customer or
// customer_ref, and where: point or to. A number that only one customer has is
// enough by itself.
type Intent struct {
	Customer    string   `json:"customer,omitempty" maxLength:"36" doc:"The customer's id in Parley."`
	CustomerRef string   `json:"customer_ref,omitempty" maxLength:"64" doc:"The bank's customer number."`
	Point       string   `json:"point,omitempty" maxLength:"36" doc:"The contact point's id in Parley."`
	To          string   `json:"to,omitempty" maxLength:"254" doc:"Telephone number or e-mail address, instead of point."`
	Channel     string   `json:"channel" enum:"voice,sms,email,letter,push"`
	Purpose     string   `json:"purpose" enum:"service,marketing,fraud_alert,collection,statutory"`
	Product     string   `json:"product,omitempty" maxLength:"80" doc:"family or family:debt, such as card:4711."`
	Event       string   `json:"event,omitempty" maxLength:"80" doc:"What caused it; caps per event count by it."`
	Campaign    string   `json:"campaign,omitempty" maxLength:"36"`
	Relation    string   `json:"relation,omitempty" enum:"self,guarantor,reference" default:"self" doc:"Who the person is to the account or debt."`
	Initiator   string   `json:"initiator,omitempty" enum:"bank,customer" default:"bank"`
	Synthetic   bool     `json:"synthetic,omitempty" doc:"The voice or text is machine-made."`
	Automated   bool     `json:"automated,omitempty" doc:"The person was chosen by automated targeting."`
	CallerID    string   `json:"caller_id,omitempty" maxLength:"32" doc:"The number or name the person sees."`
	Script      string   `json:"script,omitempty" maxLength:"64" doc:"Version of what is said or written."`
	Discloses   []string `json:"discloses,omitempty" maxItems:"20" doc:"What the script says or offers: identity, refusal_path, ai_label, recording_notice …"`
}

// Obligation is a duty that comes with a permit.
type Obligation struct {
	Kind  string `json:"kind" doc:"identity, refusal_path, ai_label, notice, no_debt, ring_min, record …"`
	Value string `json:"value,omitempty" doc:"Such as 15s for ring_min, key9 for refusal_path."`
	// Latest bounds when the duty must be met.
	Latest string `json:"latest,omitempty" doc:"By when after the answer it must be met, such as 2s."`
	Rule   string `json:"rule,omitempty" doc:"The rule that asks for it."`
}

// RuleOutcome is what one rule said.
type RuleOutcome struct {
	Rule     string     `json:"rule"`
	Title    string     `json:"title,omitempty"`
	Effect   string     `json:"effect" enum:"allow,later,deny"`
	At       *time.Time `json:"at,omitempty" doc:"When later: the first instant this rule permits."`
	Text     string     `json:"text" doc:"What was compared with what."`
	Citation string     `json:"citation,omitempty" doc:"Instrument and article."`
	Link     string     `json:"link,omitempty"`
	Force    string     `json:"force,omitempty" doc:"prohibition, presumption, safe_harbour, standard, duty or bank_default."`
	Decides  bool       `json:"decides,omitempty" doc:"The verdict is by this rule."`
}

// Permit is the right to make one contact once.
type Permit struct {
	ID          string       `json:"id" doc:"The same as the decision's."`
	State       string       `json:"state,omitempty" doc:"reserved, attempting, settled, unknown, voided or expired."`
	Until       time.Time    `json:"until" doc:"It must be spent before."`
	Obligations []Obligation `json:"obligations" nullable:"false"`
}

// Decision is the gate's answer for one contact.
type Decision struct {
	ID        string        `json:"id"`
	Effect    string        `json:"effect" enum:"allow,later,deny"`
	Headline  string        `json:"headline" doc:"The verdict in one sentence."`
	At        time.Time     `json:"decided_at"`
	NotBefore *time.Time    `json:"not_before,omitempty" doc:"When later: the first instant at which every rule permits."`
	By        string        `json:"by,omitempty" doc:"The rule that decided; absent when allowed."`
	Grant     string        `json:"grant,omitempty" doc:"The consent relied upon."`
	Pack      string        `json:"pack" doc:"Hash of the rules that judged."`
	Customer  string        `json:"customer,omitempty"`
	Point     string        `json:"point,omitempty"`
	Permit    *Permit       `json:"permit,omitempty" doc:"Only when allowed. Without it no contact may be made."`
	Rules     []RuleOutcome `json:"rules" nullable:"false" doc:"Every rule that applied, the deciding one first."`
}

// Batch is many decisions at once.
type Batch struct {
	Decisions []Decision `json:"decisions" nullable:"false" doc:"In the order of the intents."`
}

// Attempt is a permit that was spent: the contact is to be made now.
type Attempt struct {
	ID          string       `json:"id"`
	At          time.Time    `json:"at"`
	Customer    string       `json:"customer"`
	Point       string       `json:"point"`
	Obligations []Obligation `json:"obligations" nullable:"false" doc:"As of now."`
}

// Settlement says what a settled attempt counts as.
type Settlement struct {
	ID      string `json:"id"`
	State   string `json:"state"`
	Outcome string `json:"outcome"`
}

const (
	maxBatch = 1000
	dropped  = "by the system that asked for it"
)

func (a *API) gateRoutes() {
	add(a, op{method: http.MethodPost, path: "/gate/decisions", id: "reserve", tag: "gate", scope: apikey.GateUse, status: http.StatusCreated,
		sum: "Reserve one contact · 申请一次联系许可",
		doc: "Decides the contact by every rule and, when it is allowed, reserves budget and mints a permit. later and deny are answers, not errors: " +
			"no permit, no contact. A permit that is not spent expires and frees its budget."},
		func(ctx context.Context, in *struct{ Body Intent }) (Decision, error) {
			ds, err := a.reserve(ctx, []Intent{in.Body})
			if err != nil {
				return Decision{}, err
			}
			return ds[0], nil
		})
	add(a, op{method: http.MethodPost, path: "/gate/batch", id: "reserve-batch", tag: "gate", scope: apikey.GateUse, status: http.StatusCreated,
		sum: "Reserve up to 1,000 contacts · 批量申请许可", doc: "Decided in order, in one transaction: a later intent sees the budget that an earlier one took."},
		func(ctx context.Context, in *struct {
			Body struct {
				Intents []Intent `json:"intents" minItems:"1" maxItems:"1000"`
			}
		}) (Batch, error) {
			ds, err := a.reserve(ctx, in.Body.Intents)
			return Batch{Decisions: ds}, err
		})
	add(a, op{method: http.MethodPost, path: "/gate/forecasts", id: "forecast", tag: "gate", scope: apikey.GateRead,
		sum: "Forecast without reserving · 试算（不占用额度）", doc: "What the gate would say now. It permits nothing and stores nothing."},
		func(ctx context.Context, in *struct{ Body Intent }) (Decision, error) {
			return a.forecast(ctx, in.Body)
		})
	add(a, op{method: http.MethodGet, path: "/gate/decisions/{id}", id: "get-decision", tag: "gate", scope: apikey.GateRead,
		sum: "Read a decision · 查询决定", doc: "With every rule's outcome, as the rules of that instant judged, and the permit's state now."},
		func(ctx context.Context, in *ByID) (Decision, error) {
			d, err := a.Gate.Decision(ctx, in.ID)
			if err != nil {
				return Decision{}, err
			}
			return a.stored(ctx, d), nil
		})
	type spend struct {
		ByID
		Body struct {
			Meets []string `json:"meets" maxItems:"30" nullable:"false" doc:"Every obligation your system really meets in this contact, by kind."`
			Lang  string   `json:"lang,omitempty" maxLength:"16" doc:"Language of the contact, such as zh-CN."`
		}
	}
	add(a, op{method: http.MethodPost, path: "/gate/permits/{id}/spend", id: "spend", tag: "gate", scope: apikey.GateUse,
		sum: "Spend a permit, right before the contact · 使用许可（拨出前一刻）",
		doc: "Judges once more as of this instant: a withdrawal, the hour or a new rule may have ended it (409 refused, with the rule). " +
			"Answered 200, the contact may and must be made now. Exactly one spend of a permit succeeds."},
		func(ctx context.Context, in *spend) (Attempt, error) {
			at, err := a.Sender.Begin(ctx, in.ID, outbound.Relay{Via: keyOf(ctx).Client, Meets: in.Body.Meets, Lang: in.Body.Lang})
			if err != nil {
				return Attempt{}, err
			}
			return Attempt{ID: at.ID, At: at.At, Customer: at.Intent.Party, Point: at.Intent.Point, Obligations: obligations(at.Obligations)}, nil
		})
	type settle struct {
		ByID
		Body struct {
			Outcome  string     `json:"outcome" enum:"not_sent,no_answer,busy,rejected,unreachable,voicemail,connected,effective,delivered,unknown"`
			Code     int        `json:"code,omitempty" minimum:"0" maximum:"99999" doc:"SIP status or the like."`
			Reason   string     `json:"reason,omitempty" maxLength:"200" doc:"In your words; no personal data."`
			Answered *time.Time `json:"answered_at,omitempty"`
			RangMS   int64      `json:"rang_ms,omitempty" minimum:"0" maximum:"3600000"`
			TalkMS   int64      `json:"talk_ms,omitempty" minimum:"0" maximum:"86400000"`
			Digits   string     `json:"digits,omitempty" pattern:"^[0-9*#]{0,64}$" doc:"Keys the person pressed."`
			EndedBy  string     `json:"ended_by,omitempty" enum:"local,remote,lost,error"`
		}
	}
	add(a, op{method: http.MethodPost, path: "/gate/permits/{id}/settle", id: "settle", tag: "gate", scope: apikey.GateUse,
		sum: "Say how the contact ended · 登记联系结果",
		doc: "not_sent frees the budget; unknown counts in full until somebody finds out. Saying the same outcome again changes nothing."},
		func(ctx context.Context, in *settle) (Settlement, error) {
			r := outbound.Report{Outcome: contact.Outcome(in.Body.Outcome), Code: in.Body.Code, Reason: in.Body.Reason, Digits: in.Body.Digits,
				EndedBy: in.Body.EndedBy, Rang: time.Duration(in.Body.RangMS) * time.Millisecond, Talk: time.Duration(in.Body.TalkMS) * time.Millisecond}
			if in.Body.Answered != nil {
				r.Answered = *in.Body.Answered
			}
			at, err := a.Sender.Finish(ctx, in.ID, keyOf(ctx).Client, r)
			if err != nil {
				return Settlement{}, err
			}
			return Settlement{ID: at.ID, State: string(at.State), Outcome: string(at.Outcome)}, nil
		})
	type void struct {
		ByID
		Body *struct {
			Reason string `json:"reason,omitempty" maxLength:"200" doc:"No personal data."`
		}
	}
	add(a, op{method: http.MethodPost, path: "/gate/permits/{id}/void", id: "void", tag: "gate", scope: apikey.GateUse,
		sum: "Give a permit back · 作废许可", doc: "Frees its budget. A permit that was spent cannot be given back: settle it."},
		func(ctx context.Context, in *void) (Settlement, error) {
			reason := dropped
			if in.Body != nil && in.Body.Reason != "" {
				reason = in.Body.Reason
			}
			if err := a.Sender.Release(ctx, in.ID, keyOf(ctx).Client, reason); err != nil {
				return Settlement{}, err
			}
			return Settlement{ID: in.ID, State: gate.Voided.String()}, nil
		})
}

// ByID names one thing in the path.
type ByID struct {
	ID string `path:"id" maxLength:"64"`
}

// reserve asks the gate about intents.
func (a *API) reserve(ctx context.Context, asked []Intent) ([]Decision, error) {
	intents, err := a.intents(ctx, asked)
	if err != nil {
		return nil, err
	}
	ds, err := a.Gate.ReserveExplained(ctx, intents)
	if err != nil {
		return nil, err
	}
	out := make([]Decision, len(ds))
	for i, d := range ds {
		out[i] = a.decision(ctx, d)
		if d.Permit.ID() != "" {
			out[i].Permit = &Permit{ID: d.Permit.ID(), State: gate.Reserved.String(), Until: d.Permit.Until(), Obligations: obligations(d.Permit.Obligations())}
		}
	}
	return out, nil
}

func (a *API) forecast(ctx context.Context, asked Intent) (Decision, error) {
	intents, err := a.intents(ctx, []Intent{asked})
	if err != nil {
		return Decision{}, err
	}
	vs, err := a.Gate.Screen(ctx, intents)
	if err != nil {
		return Decision{}, err
	}
	return a.decision(ctx, gate.Decision{Intent: intents[0], Verdict: vs[0], At: a.DB.Now()}), nil
}

// decision puts a verdict into words, in the caller's language.
func (a *API) decision(ctx context.Context, d gate.Decision) Decision {
	set, lang, v := a.Gate.Policy(), string(words.From(ctx)), d.Verdict
	out := Decision{ID: d.ID, Effect: v.Effect.String(), Headline: set.Headline(v, lang), At: d.At, NotBefore: optional(v.At), By: v.By,
		Grant: v.Grant, Pack: v.Pack, Customer: d.Intent.Party, Point: d.Intent.Point, Rules: []RuleOutcome{}}
	for _, l := range set.Explain(v, lang) {
		out.Rules = append(out.Rules, RuleOutcome{Rule: l.Rule, Title: l.Title, Effect: l.Effect.String(), At: optional(l.At), Text: l.Text,
			Citation: l.Citation, Link: l.Link, Force: string(l.Force), Decides: l.Decides})
	}
	return out
}

func (a *API) stored(ctx context.Context, d gate.Stored) Decision {
	out := a.decision(ctx, d.Decision)
	if d.State != gate.NoPermit {
		out.Permit = &Permit{ID: d.ID, State: d.State.String(), Until: d.Until, Obligations: obligations(d.Verdict.Obligations)}
	}
	return out
}

func obligations(os []policy.Obligation) []Obligation {
	out := make([]Obligation, len(os))
	for i, o := range os {
		out[i] = Obligation(o)
	}
	return out
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
