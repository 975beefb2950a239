package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"parley/internal/apikey"
	"parley/internal/errs"
	"parley/internal/httpx"
	"parley/internal/httpx/words"
)

// Problem is a refusal (RFC 9457, application/problem+json).
type Problem struct {
	Type   string  `json:"type" format:"uri-reference" doc:"Names the kind of refusal: urn:parley:problem:CODE."`
	Title  string  `json:"title" doc:"The HTTP status in words."`
	Status int     `json:"status" doc:"The HTTP status."`
	Detail string  `json:"detail,omitempty" doc:"What happened and what to do next, in the language of Accept-Language (zh or en)."`
	Code   string  `json:"code" doc:"Stable; for programs. docs/api.md lists every code."`
	Rule   string  `json:"rule,omitempty" doc:"The rule that refused, when the code is refused."`
	ID     string  `json:"instance,omitempty" doc:"The request's id; quote it when you ask for help."`
	Errors []Fault `json:"errors,omitempty" doc:"Each fault of an invalid request."`
}

// Fault is one thing wrong with a request.
type Fault struct {
	Where string `json:"location,omitempty" doc:"Where in the request: body.channel, query.limit …"`
	What  string `json:"message" doc:"What is wrong with it."`
}

// Error gives the sentence for logs.
func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// GetStatus gives the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is RFC 9457's.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// The refusals of the API itself.
var (
	errNoKey = errs.New(errs.Forbidden, "key_missing", "缺少接口密钥：请在 Authorization 头中以 Bearer 方式提供。",
		"There is no API key: send it as Authorization: Bearer.")
	errScope = errs.New(errs.Forbidden, "scope_missing", "这个密钥没有此项权限。", "This key lacks the scope that is needed.")
	errRate  = errs.New(errs.Busy, "rate_limited", "请求太快，请按 Retry-After 稍后重试。",
		"Too many requests. Try again after the time in Retry-After.")
	errRequest = errs.New(errs.Invalid, "invalid_request", "请求内容有误，请按 errors 逐项更正。",
		"The request is not right; errors names each fault.")
	errMalformed = errs.New(errs.Invalid, "malformed_request", "请求无法读取：请发送格式正确的 JSON。", "The request cannot be read: send well-formed JSON.")
	errLarge     = errs.New(errs.Invalid, "request_too_large", "请求过大，请分批提交。", "The request is too large; send it in parts.")
	errMedia     = errs.New(errs.Invalid, "unsupported_media_type", "请以 application/json 发送与接收。", "Send and accept application/json.")
	errRoute     = errs.New(errs.NotFound, "no_such_resource", "没有这个接口地址，参见 /api/docs。", "There is no such address; see /api/docs.")
	errMethod    = errs.New(errs.Invalid, "method_not_allowed", "这个地址不支持此请求方法。", "This address does not take this method.")
	errCursor    = errs.New(errs.Invalid, "bad_cursor", "分页游标无效，请从第一页重新开始。", "The cursor is not valid here; start from the first page.")
)

// statusOf maps a refusal to its HTTP status.
func statusOf(e *errs.Error) int {
	switch e.Code {
	case errNoKey.Code, apikey.ErrKey.Code:
		return http.StatusUnauthorized
	case errRate.Code:
		return http.StatusTooManyRequests
	case errMalformed.Code:
		return http.StatusBadRequest
	case errLarge.Code:
		return http.StatusRequestEntityTooLarge
	case errMedia.Code:
		return http.StatusUnsupportedMediaType
	case errMethod.Code:
		return http.StatusMethodNotAllowed
	}
	return httpx.Status(e.Kind)
}

// problem puts an error into the form callers get. What nobody classified
// becomes a neutral sentence that leaks nothing.
func problem(ctx context.Context, err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	e := errs.Public(err)
	code, rule, _ := strings.Cut(e.Code, ":")
	status := statusOf(e)
	return &Problem{Type: "urn:parley:problem:" + code, Title: http.StatusText(status), Status: status,
		Detail: words.Pick(ctx, e.Zh, e.En), Code: code, Rule: rule, ID: httpx.From(ctx).ID}
}

// fromHuma turns a refusal of the framework into ours. It never repeats what
// was sent: that may be a person's number.
func fromHuma(hc huma.Context, status int, msg string, faults ...error) huma.StatusError {
	ctx := context.Background()
	if hc != nil {
		ctx = hc.Context()
	}
	e := errRequest
	switch status {
	case http.StatusBadRequest:
		e = errMalformed
	case http.StatusRequestEntityTooLarge:
		e = errLarge
	case http.StatusUnsupportedMediaType, http.StatusNotAcceptable:
		e = errMedia
	case http.StatusUnprocessableEntity:
	default:
		if status >= 500 {
			e = errs.Public(errors.New(msg))
		}
	}
	p := problem(ctx, e)
	for _, f := range faults {
		var d *huma.ErrorDetail
		if errors.As(f, &d) {
			p.Errors = append(p.Errors, Fault{Where: d.Location, What: d.Message})
		}
	}
	return p
}

// refuse writes a problem where no operation is involved.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := problem(r.Context(), err)
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="parley"`)
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the caller has gone: nobody to tell
	a.logRefusal(r.Context(), p, err)
}

func (a *API) logRefusal(ctx context.Context, p *Problem, err error) {
	if p.Status >= 500 {
		a.Log.ErrorContext(ctx, "api", "request", p.ID, "code", p.Code, "err", err)
		return
	}
	a.Log.DebugContext(ctx, "api refused", "request", p.ID, "code", p.Code)
}
