package telemetry

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"parley/internal/trace"
)

// Traces sends spans to an OTLP collector (HTTP) at a URL such as
// http://127.0.0.1:4318, of a share of all contacts from 0 to 1. The program
// has one provider; stop sends what is left.
func Traces(ctx context.Context, url string, share float64) (stop func(context.Context) error, err error) {
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(url))
	if err != nil {
		return nil, fmt.Errorf("traces to %s: %w", url, err)
	}
	return Use(sdk.WithBatcher(exporter), share), nil
}

// Use makes a provider with one more option (an exporter) the program's.
func Use(o sdk.TracerProviderOption, share float64) (stop func(context.Context) error) {
	// Every span of a contact is sampled by the contact's id, so that a trace is
	// whole or not there.
	p := sdk.NewTracerProvider(o, sdk.WithIDGenerator(trace.IDs{}), sdk.WithSampler(sampler(share)),
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "parley"))))
	otel.SetTracerProvider(p)
	trace.Enable(true)
	return func(ctx context.Context) error {
		trace.Enable(false)
		return p.Shutdown(ctx)
	}
}

// sampler samples a share of all contacts. OpenTelemetry's own looks at bits
// that are the same in every UUID; these, the last five bytes, are random.
type sampler float64

// ShouldSample decides by the trace's id alone.
func (s sampler) ShouldSample(p sdk.SamplingParameters) sdk.SamplingResult {
	t := p.TraceID
	low := uint64(t[11])<<32 | uint64(t[12])<<24 | uint64(t[13])<<16 | uint64(t[14])<<8 | uint64(t[15])
	if float64(low) < float64(s)*(1<<40) {
		return sdk.SamplingResult{Decision: sdk.RecordAndSample}
	}
	return sdk.SamplingResult{Decision: sdk.Drop}
}

// Description names the sampler.
func (s sampler) Description() string { return fmt.Sprintf("share of contacts %g", float64(s)) }
