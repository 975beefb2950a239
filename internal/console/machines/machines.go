// Package machines is the staff's pages about other systems: the keys they use
// Parley with, and the events they are told of.
package machines

import (
	"context"
	"errors"

	"parley/internal/access"
	"parley/internal/apikey"
	"parley/internal/approval"
	"parley/internal/console/frame"
	"parley/internal/db"
	"parley/internal/errs"
	"parley/internal/httpx"
	"parley/internal/httpx/ui"
	"parley/internal/httpx/words"
	"parley/internal/webhook"
)

// KeyKind names requests for keys with wide scopes in the four-eyes room.
const KeyKind = "api_key"

// Deps are the rooms behind the pages.
type Deps struct {
	Frame     *frame.Frame
	DB        *db.DB
	Keys      *apikey.Store
	Hooks     *webhook.Sender
	Approvals *approval.Store
	URL       string // where other systems reach Parley
}

type pages struct{ Deps }

// Routes gives the pages.
func Routes(d Deps) []frame.Route {
	p := &pages{d}
	to := frame.To
	return append(append(d.Frame.ToList("/api-keys", access.SeeAPI, p.keys), d.Frame.ToList("/webhooks", access.SeeAPI, p.hooks)...),
		to("GET /api-keys/new", access.EditAPI, p.keyForm),
		to("POST /api-keys", access.EditAPI, p.keyMake),
		to("GET /api-keys/{id}", access.SeeAPI, p.key),
		to("POST /api-keys/{id}/revoke", access.EditAPI, p.keyRevoke),
		to("GET /webhooks/new", access.EditAPI, p.hookForm),
		to("POST /webhooks", access.EditAPI, p.hookMake),
		to("GET /webhooks/{id}", access.SeeAPI, p.hook),
		to("POST /webhooks/{id}/export", access.Export, p.deliveriesExport),
		to("POST /webhooks/{id}/pause", access.EditAPI, p.hookState(webhook.Paused)),
		to("POST /webhooks/{id}/resume", access.EditAPI, p.hookState(webhook.Active)),
		to("POST /webhooks/{id}/rotate", access.EditAPI, p.hookRotate),
		to("POST /webhooks/{id}/test", access.EditAPI, p.hookTest),
		to("POST /webhooks/{id}/replay", access.EditAPI, p.hookReplay),
		to("POST /webhooks/{id}/delete", access.EditAPI, p.hookDelete),
		to("POST /webhooks/{id}/deliveries/{leaf}/resend", access.EditAPI, p.mark((*webhook.Store).Resend)),
		to("POST /webhooks/{id}/deliveries/{leaf}/skip", access.EditAPI, p.mark((*webhook.Store).Skip)),
	)
}

func stateTone(s string) ui.Tone {
	switch s {
	case "active", "done":
		return ui.Good
	case "waiting", "paused", "pending":
		return ui.Wait
	case "disabled":
		return ui.Bad
	default:
		return ui.Over
	}
}

// refused shows a form again with a refusal in the reader's language; any other
// error goes its own way.
func refused(ctx context.Context, f *httpx.Form, err error) (status int, ok bool) {
	var e *errs.Error
	if !errors.As(err, &e) || e.Kind == errs.Internal || e.Kind == errs.NotFound {
		return 0, false
	}
	f.Notice = words.Pick(ctx, e.Zh, e.En)
	return httpx.Status(e.Kind), true
}
