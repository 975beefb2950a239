package httpx

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // a bare machine has no zones of its own

	"parley/internal/httpx/words"
)

// shanghai is read once from the embedded zones, so it cannot fail.
var shanghai = sync.OnceValue(func() *time.Location {
	z, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		return time.FixedZone("Asia/Shanghai", 8*3600)
	}
	return z
})

// Shanghai is the zone of a bank that names no other.
func Shanghai() *time.Location { return shanghai() }

// Day writes the date in the bank's zone: 2026年12月8日 / 8 Dec 2026.
func Day(ctx context.Context, t time.Time) string {
	if t.IsZero() {
		return "—"
	}
	t = t.In(From(ctx).Zone)
	return words.Pick(ctx, t.Format("2006年1月2日"), t.Format("2 Jan 2006"))
}

// Minute writes date and time to the minute: 2026年12月8日 14:05 / 8 Dec 2026, 14:05.
func Minute(ctx context.Context, t time.Time) string {
	if t.IsZero() {
		return "—"
	}
	return Day(ctx, t) + words.Pick(ctx, " ", ", ") + t.In(From(ctx).Zone).Format("15:04")
}

// Exact writes the instant to the second with its zone, for hovering and proof.
func Exact(ctx context.Context, t time.Time) string {
	if t.IsZero() {
		return "—"
	}
	return t.In(From(ctx).Zone).Format("2006-01-02 15:04:05 -07:00")
}

// Clock writes the time of day to the second.
func Clock(ctx context.Context, t time.Time) string {
	return t.In(From(ctx).Zone).Format("15:04:05")
}

// Ago writes how far t is from the visit's instant: 3 分钟前 / in 2 days.
func Ago(ctx context.Context, t time.Time) string {
	if t.IsZero() {
		return "—"
	}
	d := From(ctx).Now.Sub(t)
	key := "time.ago"
	if d < 0 {
		d, key = -d, "time.in"
	}
	if d < 5*time.Second {
		return words.T(ctx, "time.now")
	}
	return words.T(ctx, key, Span(ctx, d))
}

// Span writes a length of time in its largest fitting unit: 3 分钟 / 3 min.
func Span(ctx context.Context, d time.Duration) string {
	switch {
	case d < time.Second:
		return words.T(ctx, "time.ms", d.Milliseconds())
	case d < time.Minute:
		return words.T(ctx, "time.s", int(d/time.Second))
	case d < time.Hour:
		return words.T(ctx, "time.min", int(d/time.Minute))
	case d < 48*time.Hour:
		return words.T(ctx, "time.h", int(d/time.Hour))
	default:
		return words.T(ctx, "time.d", int(d/(24*time.Hour)))
	}
}

// Length writes the length of a call: 1:05.
func Length(d time.Duration) string {
	s := int(d.Round(time.Second) / time.Second)
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// Size writes how large a file is: 12 KB, 3.4 MB.
func Size(n int64) string {
	if n < 1<<20 {
		return fmt.Sprint((n+1023)>>10, " KB")
	}
	return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
}

// Num writes a whole number with its thousands apart: 41,188.
func Num[T ~int | ~int64 | ~int32 | ~uint64](n T) string {
	s := fmt.Sprint(n)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	var b strings.Builder
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return sign + b.String()
}
