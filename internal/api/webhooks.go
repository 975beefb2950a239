package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"parley/internal/apikey"
	"parley/internal/db"
	"parley/internal/webhook"
)

// Webhook is one subscription of the caller's own system.
type Webhook struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"`
	URL     string     `json:"url"`
	Types   []string   `json:"types" nullable:"false"`
	Records bool       `json:"records" doc:"The ledger's record is sent along, not only ids."`
	State   string     `json:"state" enum:"active,paused,disabled"`
	Failing *time.Time `json:"failing_since,omitempty"`
	Note    string     `json:"note,omitempty" doc:"Why it was disabled."`
	Made    time.Time  `json:"made_at"`
	Secret  string     `json:"secret,omitempty" doc:"whsec_…: shown once."`
}

// NewWebhook is a subscription to be made.
type NewWebhook struct {
	Name    string   `json:"name" minLength:"1" maxLength:"60"`
	URL     string   `json:"url" maxLength:"500" doc:"https://…"`
	Types   []string `json:"types" minItems:"1" maxItems:"40" nullable:"false" doc:"consent.*, case.opened …; * is everything but gate.*"`
	Records bool     `json:"records,omitempty" doc:"Needs the scope personal:read as well."`
}

// Delivery is one event for a subscription.
type Delivery struct {
	Event string     `json:"event" doc:"webhook-id of the message."`
	Leaf  int64      `json:"leaf" doc:"The event's place in the ledger."`
	Type  string     `json:"type"`
	State string     `json:"state" enum:"pending,done,skipped"`
	Tries int        `json:"tries"`
	Due   *time.Time `json:"next_try_at,omitempty"`
	Tried *time.Time `json:"tried_at,omitempty"`
	Code  int        `json:"code,omitempty" doc:"HTTP status of the last try."`
	Error string     `json:"error,omitempty"`
}

// Replayed says from which event on everything is told again.
type Replayed struct {
	Leaf int64 `json:"from_leaf"`
}

// Tried says how a test message went.
type Tried struct {
	Code  int    `json:"code" doc:"HTTP status; 0 = no answer."`
	Error string `json:"error,omitempty"`
}

func fromEndpoint(e webhook.Endpoint) Webhook {
	return Webhook{ID: e.ID, Name: e.Name, URL: e.URL, Types: e.Types, Records: e.Records, State: string(e.State), Failing: optional(e.Failing),
		Note: e.Note, Made: e.MadeAt}
}

func fromDelivery(d webhook.Delivery) Delivery {
	out := Delivery{Event: webhook.MessageID(d.Leaf), Leaf: d.Leaf, Type: d.Type, State: d.State, Tries: d.Tries, Tried: optional(d.Tried),
		Code: d.Code, Error: d.Error}
	if d.State == "pending" {
		out.Due = optional(d.Due)
	}
	return out
}

func (a *API) webhookRoutes() {
	add(a, op{method: http.MethodGet, path: "/webhooks", id: "list-webhooks", tag: "webhooks", scope: apikey.WebhooksRead,
		sum: "List subscriptions · 订阅列表", doc: "Of your own system."},
		func(ctx context.Context, in *Paged) (out Page[Webhook], err error) {
			before, err := in.after("webhooks", "")
			if err != nil {
				return out, err
			}
			var rows []webhook.Endpoint
			err = a.DB.Read(ctx, func(tx *db.Tx) error {
				rows, err = a.Webhooks.List(ctx, tx, keyOf(ctx).Client, db.Span{At: before, N: in.Limit})
				return err
			})
			return page(*in, "webhooks", "", rows, func(e webhook.Endpoint) string { return e.ID }, fromEndpoint), err
		})
	type create struct{ Body NewWebhook }
	add(a, op{method: http.MethodPost, path: "/webhooks", id: "subscribe", tag: "webhooks", scope: apikey.WebhooksWrite, status: http.StatusCreated,
		sum: "Subscribe to events · 订阅事件", doc: "From now on. The answer holds the signing secret, which is shown once and not kept for repeated requests: rotate it if it was lost."},
		func(ctx context.Context, in *create) (Webhook, error) {
			b := in.Body
			if b.Records && !keyOf(ctx).May(apikey.PersonalRead) {
				return Webhook{}, errClear
			}
			var secret string
			out, err := change(ctx, a, http.StatusCreated, func(tx *db.Tx) (Webhook, error) {
				e, s, err := a.Webhooks.CreateIn(ctx, tx, webhook.Endpoint{Name: b.Name, Client: keyOf(ctx).Client, URL: b.URL, Types: b.Types, Records: b.Records}, by(ctx))
				secret = s
				return fromEndpoint(e), err
			})
			out.Secret = secret
			return out, err
		})
	add(a, op{method: http.MethodGet, path: "/webhooks/{id}", id: "get-webhook", tag: "webhooks", scope: apikey.WebhooksRead, sum: "Read a subscription · 查询订阅"},
		func(ctx context.Context, in *ByID) (out Webhook, err error) {
			err = a.DB.Read(ctx, func(tx *db.Tx) error {
				e, err := a.Webhooks.Get(ctx, tx, in.ID, keyOf(ctx).Client)
				out = fromEndpoint(e)
				return err
			})
			return out, err
		})
	for _, x := range []struct {
		name, sum, doc string
		to             webhook.State
	}{
		{"pause", "Pause · 暂停", "Events wait.", webhook.Paused},
		{"resume", "Go on · 恢复", "From where it stopped; also after it was disabled.", webhook.Active},
	} {
		add(a, op{method: http.MethodPost, path: "/webhooks/{id}/" + x.name, id: x.name + "-webhook", tag: "webhooks", scope: apikey.WebhooksWrite, sum: x.sum, doc: x.doc},
			func(ctx context.Context, in *ByID) (Made, error) {
				return change(ctx, a, http.StatusOK, func(tx *db.Tx) (Made, error) {
					return Made{in.ID}, a.Webhooks.SetState(ctx, tx, in.ID, keyOf(ctx).Client, x.to, by(ctx))
				})
			})
	}
	add(a, op{method: http.MethodPost, path: "/webhooks/{id}/rotate", id: "rotate-secret", tag: "webhooks", scope: apikey.WebhooksWrite,
		sum: "New signing secret · 更换签名密钥", doc: "For a day both secrets sign."},
		func(ctx context.Context, in *ByID) (Webhook, error) {
			var secret string
			out, err := change(ctx, a, http.StatusOK, func(tx *db.Tx) (w Webhook, err error) {
				if secret, err = a.Webhooks.Rotate(ctx, tx, in.ID, keyOf(ctx).Client, by(ctx)); err != nil {
					return w, err
				}
				e, err := a.Webhooks.Get(ctx, tx, in.ID, keyOf(ctx).Client)
				return fromEndpoint(e), err
			})
			out.Secret = secret
			return out, err
		})
	add(a, op{method: http.MethodDelete, path: "/webhooks/{id}", id: "unsubscribe", tag: "webhooks", scope: apikey.WebhooksWrite,
		sum: "End a subscription · 取消订阅"},
		func(ctx context.Context, in *ByID) (Made, error) {
			return change(ctx, a, http.StatusOK, func(tx *db.Tx) (Made, error) {
				return Made{in.ID}, a.Webhooks.Delete(ctx, tx, in.ID, keyOf(ctx).Client, by(ctx))
			})
		})
	a.deliveryRoutes()
}

func (a *API) deliveryRoutes() {
	type list struct {
		Paged
		ByID
		State string `query:"state" enum:"pending,done,skipped"`
	}
	add(a, op{method: http.MethodGet, path: "/webhooks/{id}/deliveries", id: "list-deliveries", tag: "webhooks", scope: apikey.WebhooksRead,
		sum: "What a subscription was told · 投递记录", doc: "Newest first; those that went well are kept for 30 days."},
		func(ctx context.Context, in *list) (out Page[Delivery], err error) {
			filter := in.ID + "/" + in.State
			after, err := in.after("deliveries", filter)
			if err != nil {
				return out, err
			}
			var rows []webhook.Delivery
			err = a.DB.Read(ctx, func(tx *db.Tx) error {
				if _, err := a.Webhooks.Get(ctx, tx, in.ID, keyOf(ctx).Client); err != nil {
					return err
				}
				rows, err = a.Webhooks.Deliveries(ctx, tx, in.ID, in.State, db.Span{At: after, N: in.Limit})
				return err
			})
			return page(in.Paged, "deliveries", filter, rows, func(d webhook.Delivery) string { return strconv.FormatInt(d.Leaf, 10) }, fromDelivery), err
		})
	type one struct {
		ByID
		Leaf int64 `path:"leaf" minimum:"0"`
	}
	add(a, op{method: http.MethodPost, path: "/webhooks/{id}/deliveries/{leaf}/resend", id: "resend", tag: "webhooks", scope: apikey.WebhooksWrite,
		sum: "Send one event again · 重发", doc: "Under the same webhook-id, before what else waits."},
		func(ctx context.Context, in *one) (Made, error) {
			return change(ctx, a, http.StatusOK, func(tx *db.Tx) (Made, error) {
				tx.AfterCommit(a.Webhooks.Wake)
				return Made{webhook.MessageID(in.Leaf)}, a.Webhooks.Resend(ctx, tx, in.ID, keyOf(ctx).Client, in.Leaf, by(ctx))
			})
		})
	add(a, op{method: http.MethodPost, path: "/webhooks/{id}/deliveries/{leaf}/skip", id: "skip", tag: "webhooks", scope: apikey.WebhooksWrite,
		sum: "Pass over one event · 跳过", doc: "So that the next ones are delivered."},
		func(ctx context.Context, in *one) (Made, error) {
			return change(ctx, a, http.StatusOK, func(tx *db.Tx) (Made, error) {
				tx.AfterCommit(a.Webhooks.Wake)
				return Made{webhook.MessageID(in.Leaf)}, a.Webhooks.Skip(ctx, tx, in.ID, keyOf(ctx).Client, in.Leaf, by(ctx))
			})
		})
	type replay struct {
		ByID
		Body struct {
			From time.Time `json:"from" doc:"Everything from this instant on."`
		}
	}
	add(a, op{method: http.MethodPost, path: "/webhooks/{id}/replay", id: "replay", tag: "webhooks", scope: apikey.WebhooksWrite,
		sum: "Tell everything again from an instant on · 从某时刻起重放", doc: "Under the same webhook-ids and in the same order."},
		func(ctx context.Context, in *replay) (Replayed, error) {
			return change(ctx, a, http.StatusOK, func(tx *db.Tx) (Replayed, error) {
				tx.AfterCommit(a.Webhooks.Wake)
				leaf, err := a.Webhooks.Replay(ctx, tx, in.ID, keyOf(ctx).Client, in.Body.From, by(ctx))
				return Replayed{leaf}, err
			})
		})
	add(a, op{method: http.MethodPost, path: "/webhooks/{id}/test", id: "test-webhook", tag: "webhooks", scope: apikey.WebhooksWrite,
		sum: "Send a test message · 发送测试消息", doc: "At once and outside the order, of type webhook.test."},
		func(ctx context.Context, in *ByID) (Tried, error) {
			code, problem, err := a.Webhooks.Test(ctx, in.ID, keyOf(ctx).Client)
			return Tried{code, problem}, err
		})
}
