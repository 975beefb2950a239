// Package trace ties what happens to one contact, from the decision to the
// hang-up, into one OpenTelemetry trace. A permit's id is a UUID, and so is a
// trace's: the trace of a contact has the id of its permit, whoever writes a
// span of it, in whatever process and however much later. Without a provider
// nothing is recorded and nothing is paid.
//
// Spans carry ids, rules, codes and durations; never personal data.
package trace

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"parley/internal/contact"
	"parley/internal/errs"
)

// on says that a provider records what is traced.
var on atomic.Bool

// Enable makes tracing begin; without it every function here costs next to nothing.
func Enable(yes bool) { on.Store(yes) }

// On reports whether tracing has begun.
func On() bool { return on.Load() }

type rootKey struct{}

// root gives the ids of the first span of a contact's trace.
func root(permit contact.ID) (trace.TraceID, trace.SpanID, bool) {
	u, err := uuid.Parse(permit)
	if err != nil {
		return trace.TraceID{}, trace.SpanID{}, false
	}
	// The second half of a UUIDv7 is random; its variant bits keep it from being zero.
	return trace.TraceID(u), trace.SpanID(u[8:]), true
}

// Contact gives a context whose spans belong to the trace of a contact.
func Contact(ctx context.Context, permit contact.ID) context.Context {
	if !On() {
		return ctx
	}
	t, s, ok := root(permit)
	if !ok || trace.SpanContextFromContext(ctx).TraceID() == t {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{TraceID: t, SpanID: s,
		TraceFlags: trace.FlagsSampled, Remote: true}))
}

const name = "parley"

// Start begins a span in the trace ctx belongs to.
func Start(ctx context.Context, what string, attrs ...attribute.KeyValue) (context.Context, trace.Span) {
	if !On() {
		return ctx, noop.Span{}
	}
	return otel.Tracer(name).Start(ctx, what, trace.WithAttributes(attrs...))
}

// Decided writes the first span of a contact's trace: the decision, which took
// from start until now. It does nothing without a permit's id.
func Decided(ctx context.Context, permit contact.ID, start, end time.Time, attrs ...attribute.KeyValue) {
	if _, _, ok := root(permit); !ok || !On() {
		return
	}
	ctx = context.WithValue(trace.ContextWithSpanContext(ctx, trace.SpanContext{}), rootKey{}, permit)
	_, span := otel.Tracer(name).Start(ctx, "gate.reserve", trace.WithTimestamp(start), trace.WithAttributes(attrs...))
	span.End(trace.WithTimestamp(end))
}

// End ends a span; a refusal is told by its code, never by its text.
func End(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, errs.Public(err).Code)
	}
	span.End()
}

// String and Int name what a span is about.
func String(key, value string) attribute.KeyValue { return attribute.String("parley."+key, value) }

// Int is String for a number.
func Int(key string, value int) attribute.KeyValue { return attribute.Int("parley."+key, value) }

// IDs makes the ids of traces and spans; a provider must use it, so that a
// contact's first span has the ids that later ones name.
type IDs struct{}

// NewIDs gives the ids of a first span.
func (IDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if permit, ok := ctx.Value(rootKey{}).(contact.ID); ok {
		if t, s, ok := root(permit); ok {
			return t, s
		}
	}
	var t trace.TraceID
	rand.Read(t[:]) // never fails: crypto/rand ends the program instead
	return t, IDs{}.NewSpanID(ctx, t)
}

// NewSpanID gives the id of a later span.
func (IDs) NewSpanID(context.Context, trace.TraceID) (s trace.SpanID) {
	for binary.BigEndian.Uint64(s[:]) == 0 {
		rand.Read(s[:])
	}
	return s
}
