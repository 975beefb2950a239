package books

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"parley/internal/console/frame"
	"parley/internal/db"
	"parley/internal/gate"
	"parley/internal/httpx"
	"parley/internal/httpx/ui"
	"parley/internal/machine"
)

// Check is one figure of the running system with its limit: what it is now,
// where it should be, and what to do when it is not.
type Check struct {
	Key   string // names the words: health.KEY, and health.KEY.do
	Value string // as it is, in the reader's language
	Limit string // what it may be; "" = it has no limit
	Tone  ui.Tone
}

// The limits of the figures.
const (
	lagSoon, lagLate        = 5 * time.Second, time.Minute
	driftSoon, driftLate    = time.Second, 5 * time.Second
	busySoon, busyLate      = 0.8, 1.0
	memSoon, memLate        = 0.7, 0.9 // of the memory there is
	flightMost, unknownMost = 1000, 20
	slowMost                = 10 // slow statements since the start
)

// Health looks at every part of the running system.
func Health(ctx context.Context, d Deps) ([]Check, error) {
	var out []Check
	for _, look := range []func(context.Context, Deps) ([]Check, error){trunkHealth, queueHealth, ledgerHealth, databaseHealth, clockHealth} {
		cs, err := look(ctx, d)
		if err != nil {
			return nil, err
		}
		out = append(out, cs...)
	}
	return append(out, diskHealth(ctx, d.Dir), memoryHealth(ctx)), nil
}

// worst gives the tone of a figure that should stay below soon and must below late.
func worst(v, soon, late float64) ui.Tone {
	switch {
	case v >= late:
		return ui.Bad
	case v >= soon:
		return ui.Wait
	default:
		return ui.Good
	}
}

func trunkHealth(ctx context.Context, d Deps) ([]Check, error) {
	if d.Trunk == nil {
		return []Check{{Key: "trunk", Value: say(ctx, "trunk_none"), Limit: say(ctx, "health.connected"), Tone: ui.Wait}}, nil
	}
	c := Check{Key: "trunk", Value: say(ctx, "health.answers"), Limit: say(ctx, "health.connected"), Tone: ui.Good}
	if d.Trunk().Down {
		c.Value, c.Tone = say(ctx, "health.silent"), ui.Bad
	}
	return []Check{c}, nil
}

func queueHealth(ctx context.Context, d Deps) ([]Check, error) {
	list, err := d.Gate.InFlight(ctx, flightMost+1)
	if err != nil {
		return nil, err
	}
	unknown := 0
	for _, s := range list {
		if s.State == gate.Unknown {
			unknown++
		}
	}
	flight := len(list) - unknown
	return []Check{
		{Key: "flight", Value: httpx.Num(flight), Limit: below(ctx, httpx.Num(flightMost)), Tone: worst(float64(flight), flightMost/2, flightMost)},
		{Key: "unknown", Value: httpx.Num(unknown), Limit: below(ctx, httpx.Num(unknownMost)), Tone: worst(float64(unknown), 1, unknownMost)},
	}, nil
}

func below(ctx context.Context, s string) string { return say(ctx, "health.below", s) }

func ledgerHealth(ctx context.Context, d Deps) ([]Check, error) {
	s, err := d.Ledger.Stats(ctx)
	return []Check{{Key: "sealing", Value: say(ctx, "health.unsealed", httpx.Num(s.Entries-s.Sealed), httpx.Span(ctx, s.Lag)),
		Limit: below(ctx, httpx.Span(ctx, lagSoon)), Tone: worst(float64(s.Lag), float64(lagSoon), float64(lagLate))}}, err
}

func databaseHealth(ctx context.Context, d Deps) ([]Check, error) {
	var bytes int64
	start := time.Now()
	err := d.DB.Read(ctx, func(tx *db.Tx) error { return tx.QueryRow(ctx, tx.Dialect().Size()).Scan(&bytes) })
	took := time.Since(start)
	l := d.DB.Load()
	busy := share(l.Reading, l.Readers)
	if l.Writers > 1 { // a single writer is taken most of the time and that is well
		busy = math.Max(busy, share(l.Writing, l.Writers))
	}
	slow := int64(0)
	for _, s := range d.DB.Slow() {
		slow += s.N
	}
	return []Check{
		{Key: "answer", Value: httpx.Span(ctx, took), Limit: below(ctx, httpx.Span(ctx, 100*time.Millisecond)), Tone: worst(float64(took), float64(100*time.Millisecond), float64(time.Second))},
		{Key: "pool", Value: say(ctx, "health.pool_now", l.Writing, l.Writers, l.Reading, l.Readers), Limit: below(ctx, percent(busySoon)), Tone: worst(busy, busySoon, busyLate+0.001)},
		{Key: "slow", Value: httpx.Num(slow), Limit: below(ctx, httpx.Num(slowMost)), Tone: worst(float64(slow), slowMost, 50*slowMost)},
		{Key: "size", Value: size(uint64(max(bytes, 0))), Tone: ui.Info},
	}, err
}

func share(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

func percent(f float64) string { return strconv.Itoa(int(math.Round(f*100))) + " %" }

func clockHealth(ctx context.Context, d Deps) ([]Check, error) {
	var us int64
	before := time.Now()
	err := d.DB.Read(ctx, func(tx *db.Tx) error { return tx.QueryRow(ctx, tx.Dialect().Clock()).Scan(&us) })
	after := time.Now()
	// The database answered somewhere between the two readings of our clock.
	drift := max(before.Sub(db.Time(us)), db.Time(us).Sub(after), 0)
	behind := d.DB.ClockBehind()
	value := say(ctx, "clock_ok")
	if behind > 0 {
		value = say(ctx, "health.behind", httpx.Span(ctx, behind))
	}
	return []Check{
		{Key: "drift", Value: httpx.Span(ctx, drift), Limit: below(ctx, httpx.Span(ctx, driftSoon)), Tone: worst(float64(drift), float64(driftSoon), float64(driftLate))},
		{Key: "clock", Value: value, Limit: say(ctx, "clock_ok"), Tone: worst(float64(behind), 1, float64(driftLate))},
	}, err
}

func diskHealth(ctx context.Context, dir string) Check {
	s := spaceOf(dir)
	if s == nil {
		return Check{Key: "disk", Value: say(ctx, "disk_unknown"), Tone: ui.Info}
	}
	c := Check{Key: "disk", Value: say(ctx, "health.free", size(s.free), size(s.total)), Limit: say(ctx, "health.disk_limit"), Tone: ui.Good}
	switch {
	case s.free < s.total/50 || s.free < 256<<20:
		c.Tone = ui.Bad
	case s.low():
		c.Tone = ui.Wait
	}
	return c
}

// memoryHealth compares what the program holds with the limit it was given or,
// without one, with the machine's memory.
func memoryHealth(ctx context.Context) Check {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	held := m.Sys - m.HeapReleased
	most := uint64(debug.SetMemoryLimit(-1)) //nolint:gosec // a limit is positive
	if most == math.MaxInt64 {
		most = machine.Memory()
	}
	c := Check{Key: "memory", Value: size(held), Tone: ui.Info}
	if most > 0 {
		c.Limit = say(ctx, "health.of", percent(memSoon), size(most))
		c.Tone = worst(float64(held)/float64(most), memSoon, memLate)
	}
	return c
}

// version says what runs: the program, the engine, the rules.
type version struct{ name, value string }

func (p *pages) versions(ctx context.Context) []version {
	out := []version{{say(ctx, "health.parley"), "Parley"}, {"Go", runtime.Version()}, {say(ctx, "engine"), say(ctx, "engine."+p.DB.Dialect().Name())}}
	if info, ok := debug.ReadBuildInfo(); ok {
		out[0].value = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				out[0].value += " " + frame.Short(s.Value)
			}
		}
	}
	for _, k := range p.Gate.Policy().Packs() {
		out = append(out, version{k.Title.In(lang(ctx)), k.ID + " " + k.Version})
	}
	return append(out, version{say(ctx, "rules_hash"), frame.Short(p.Gate.Policy().Hash())})
}
