package life

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"parley/internal/complaint"
	"parley/internal/console/frame"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/gate"
	"parley/internal/httpx"
	"parley/internal/httpx/ui"
	"parley/internal/httpx/words"
	"parley/internal/policy"
	"parley/internal/remedy"
)

// Line is a lifeline laid out: x in per cent of the window, y in pixels.
type Line struct {
	id     contact.ID
	win    window
	now    time.Time
	ticks  []tick
	lanes  []*lane
	height int
	list   []ui.Mark // what is in the window, newest first
	hidden int       // of the list, not written out
	cut    bool
}

// lane is one row of the picture.
type lane struct {
	key    string // of its name
	y, h   int
	bars   []bar
	marks  []mark
	cutsAt []cut
}

// bar is something that lasts.
type bar struct {
	x, w  float64
	y     int
	side  string // where the word stands: "" within, else "start" or "end" of it
	tone  ui.Tone
	dash  bool // foreseen, not yet happened
	word  string
	title string
	href  string
}

// cut is where a stop took a consent back.
type cut struct {
	x     float64
	y, h  int
	title string
	href  string
}

// mark is something that happened at an instant, or n such things.
type mark struct {
	at    time.Time
	x     float64
	tone  ui.Tone
	icon  string // "" = the shape of the tone
	title string
	text  string
	href  string
	n     int
	to    time.Time // when n > 1: of the last
}

const (
	rowHigh  = 20
	laneHigh = 46
	laneHead = 20
	mostRows = 8
	// narrow is the width, in per cent, below which a bar has no room for its word.
	narrow = 22
	// buckets is how many marks a lane has room for before some are drawn as one.
	buckets = 64
	// mostListed bounds the list under the picture.
	mostListed = 100
)

func draw(ctx context.Context, id contact.ID, w window, now time.Time, f *facts, rule func(context.Context, string) string) *Line {
	l := &Line{id: id, win: w, now: now, ticks: w.ticks(ctx), cut: f.cut}
	l.consents(ctx, f)
	l.stops(ctx, f)
	l.add(&lane{key: "verdicts"}, verdictMarks(ctx, f, rule))
	l.add(&lane{key: "contacts"}, attemptMarks(ctx, f))
	l.add(&lane{key: "recordings"}, recordingMarks(ctx, f))
	if frame.May(ctx, seeCases) {
		l.complaints(ctx, f)
		l.add(&lane{key: "remedies"}, remedyMarks(ctx, f))
	}
	l.height += 4
	slices.SortStableFunc(l.list, func(a, b ui.Mark) int { return b.At.Compare(a.At) })
	if len(l.list) > mostListed {
		l.hidden = len(l.list) - mostListed
		l.list = l.list[:mostListed]
	}
	return l
}

// place puts a lane below those there are.
func (l *Line) place(n *lane) {
	n.y = l.height
	l.height += n.h
	l.lanes = append(l.lanes, n)
}

// add places a lane of marks: each that is in the window, or one for many where
// they would lie on each other.
func (l *Line) add(n *lane, ms []mark) {
	n.h = laneHigh
	for _, m := range ms {
		l.list = append(l.list, ui.Mark{At: m.at, Tone: m.tone, Title: m.title, Text: m.text, Href: m.href})
	}
	n.marks = l.gathered(ms)
	l.place(n)
}

// gathered joins marks of the same small stretch of the axis.
func (l *Line) gathered(ms []mark) []mark {
	slices.SortFunc(ms, func(a, b mark) int { return a.at.Compare(b.at) })
	var out []mark
	last := -1
	for _, m := range ms {
		m.x, m.n, m.to = l.win.at(m.at), 1, m.at
		b := int(m.x * buckets / 100)
		if b == last {
			k := &out[len(out)-1]
			k.n++
			k.to = m.at
			k.tone = graver(k.tone, m.tone)
			if k.icon != m.icon {
				k.icon = ""
			}
			continue
		}
		last = b
		out = append(out, m)
	}
	return out
}

// gravity orders tones, so that many drawn as one look like the worst of them.
var gravity = []ui.Tone{ui.Over, ui.Info, ui.Good, ui.Live, ui.Wait, ui.Bad}

func graver(a, b ui.Tone) ui.Tone {
	if slices.Index(gravity, b) > slices.Index(gravity, a) {
		return b
	}
	return a
}

// closer gives the window in which the marks drawn as one come apart.
func (l *Line) closer(m mark) window {
	long := min(max(2*m.to.Sub(m.at), shortest), l.win.long()/3)
	mid := m.at.Add(m.to.Sub(m.at) / 2)
	return window{mid.Add(-long / 2).Truncate(time.Second), mid.Add(long/2 + time.Second).Truncate(time.Second)}
}

func (l *Line) bar(n *lane, b bar, from, to time.Time) bool {
	x1, x2 := max(0, l.win.at(from)), 100.0
	if !to.IsZero() {
		x2 = min(100, l.win.at(to))
	}
	if x2 <= 0 || x1 >= 100 || x2 < x1 {
		return false
	}
	b.x, b.w = x1, max(0.4, x2-x1)
	if b.w < narrow {
		b.side = "start"
		if b.x > 60 {
			b.side = "end"
		}
	}
	n.bars = append(n.bars, b)
	return true
}

func (l *Line) consents(ctx context.Context, f *facts) {
	n := &lane{key: "consents"}
	row := 0
	for _, s := range f.spans {
		g := s.Grant
		b := bar{y: laneHead + row*rowHigh, tone: ui.Good, word: frame.Purposes(ctx, g.Purposes) + " · " + frame.Channels(ctx, g.Channels),
			href: "/ledger?id=" + g.ID, title: frame.Grant(ctx, g)}
		if g.Ground != contact.Consent {
			b.tone = ui.Info
			b.word = words.T(ctx, "ground."+string(g.Ground)) + words.T(ctx, "app.colon") + b.word
		}
		to := time.Time{}
		if s.To > 0 {
			to = db.Time(s.To)
		}
		from := db.Time(s.From)
		if l.win.has(from) {
			l.list = append(l.list, ui.Mark{At: from, Tone: b.tone, Title: say(ctx, "granted"), Text: b.title, Href: b.href})
		}
		if !to.IsZero() && s.By == "" && l.win.has(to) {
			l.list = append(l.list, ui.Mark{At: to, Tone: ui.Over, Title: say(ctx, "ran_out"), Text: b.title, Href: b.href})
		}
		if !l.bar(n, b, from, to) || row >= mostRows {
			continue
		}
		if s.By != "" && l.win.has(to) {
			n.cutsAt = append(n.cutsAt, cut{x: l.win.at(to), y: b.y - 2, h: rowHigh, title: say(ctx, "cut", httpx.Minute(ctx, to)), href: "/ledger?id=" + s.By})
		}
		row++
	}
	n.bars = n.bars[:min(len(n.bars), mostRows)]
	n.h = laneHead + max(1, row)*rowHigh + 6
	l.place(n)
}

// stops are what bars contact. Those that take back a consent are its cut as well.
func (l *Line) stops(ctx context.Context, f *facts) {
	n := &lane{key: "stops"}
	row := 0
	for _, x := range f.bars {
		b := bar{y: laneHead + row*rowHigh, tone: ui.Bad, href: "/ledger?id=" + x.Stop.ID, title: frame.Stop(ctx, x.Stop),
			word: words.T(ctx, "stop."+string(x.Stop.Kind)) + " · " + frame.Purposes(ctx, x.Stop.Purposes)}
		from, to := db.Time(x.Stop.At), time.Time{}
		if x.To > 0 {
			to = db.Time(x.To)
		}
		if l.win.has(from) {
			l.list = append(l.list, ui.Mark{At: from, Tone: ui.Bad, Title: say(ctx, "stopped"), Text: b.title, Href: b.href})
		}
		if !to.IsZero() && l.win.has(to) {
			l.list = append(l.list, ui.Mark{At: to, Tone: ui.Over, Title: say(ctx, "stop_over"), Text: b.title, Href: b.href})
		}
		if row < mostRows && l.bar(n, b, from, to) {
			row++
		}
	}
	n.h = laneHead + max(1, row)*rowHigh + 6
	l.place(n)
}

func verdictMarks(ctx context.Context, f *facts, rule func(context.Context, string) string) []mark {
	out := make([]mark, 0, len(f.verdicts))
	for _, v := range f.verdicts {
		m := mark{at: v.At, tone: frame.EffectTone(v.Effect), href: "/decisions/" + v.ID,
			title: say(ctx, "verdict", frame.Effect(ctx, v.Effect)), text: frame.Purpose(ctx, v.Purpose) + " · " + frame.Channel(ctx, v.Channel)}
		if v.By != "" {
			m.text += " · " + rule(ctx, v.By)
		}
		switch {
		case v.Effect == policy.Later:
			m.text += " · " + say(ctx, "not_before", httpx.Minute(ctx, v.Later))
		case v.State == gate.Voided || v.State == gate.Expired:
			m.text += " · " + frame.Permit(ctx, v.State)
		}
		out = append(out, m)
	}
	return out
}

var channelIcons = map[contact.Channel]string{contact.Voice: "phone", contact.SMS: "message", contact.Email: "mail",
	contact.Letter: "file-text", contact.Push: "bell"}

func attemptMarks(ctx context.Context, f *facts) []mark {
	out := make([]mark, 0, len(f.attempts))
	for _, a := range f.attempts {
		m := mark{at: a.Started, tone: frame.OutcomeTone(a.Outcome), icon: channelIcons[a.Channel], href: "/contacts/" + a.ID,
			title: frame.Channel(ctx, a.Channel) + " · " + frame.Outcome(ctx, a.Outcome), text: frame.Purpose(ctx, a.Purpose)}
		if a.State == "dialing" {
			m.tone, m.title = ui.Live, frame.Channel(ctx, a.Channel)+" · "+say(ctx, "on_line")
		}
		if a.Talk > 0 {
			m.text += " · " + say(ctx, "talked", httpx.Length(a.Talk))
		}
		if a.Withdrawn {
			m.tone, m.text = ui.Wait, m.text+" · "+say(ctx, "withdrew")
		}
		if a.Complaint != "" {
			m.tone, m.text = ui.Bad, m.text+" · "+say(ctx, "complained")
		}
		out = append(out, m)
	}
	return out
}

func recordingMarks(ctx context.Context, f *facts) []mark {
	var out []mark
	for _, a := range f.attempts {
		if a.Recorded > 0 {
			out = append(out, mark{at: a.Started, tone: ui.Info, icon: "microphone", href: "/contacts/" + a.ID,
				title: say(ctx, "recording", httpx.Length(a.Recorded))})
		}
	}
	return out
}

func (l *Line) complaints(ctx context.Context, f *facts) {
	n := &lane{key: "complaints"}
	row := 0
	for _, c := range slices.Backward(f.cases) {
		b := bar{y: laneHead + row*rowHigh, tone: frame.CaseTone(c.State), href: "/complaints/" + c.ID,
			word:  c.Number + " · " + words.T(ctx, "case.state."+string(c.State)),
			title: say(ctx, "case", c.Number, words.T(ctx, "case.state."+string(c.State)), httpx.Day(ctx, c.Due))}
		end, open := c.ClosedAt, c.ClosedAt.IsZero()
		if open {
			end = l.now
			if left, tone := frame.Left(ctx, c.Due); tone != ui.Info || c.Due.Before(l.now) {
				b.tone, b.word = tone, b.word+" · "+left
			}
		}
		if l.win.has(c.Received) {
			l.list = append(l.list, ui.Mark{At: c.Received, Tone: ui.Bad, Title: say(ctx, "case_opened", c.Number), Text: b.title, Href: b.href})
		}
		if !open && l.win.has(end) {
			l.list = append(l.list, ui.Mark{At: end, Tone: ui.Over, Title: say(ctx, "case_closed", c.Number), Href: b.href})
		}
		shown := l.bar(n, b, c.Received, end)
		if open && c.Due.After(l.now) {
			ahead := b
			ahead.dash, ahead.word = true, ""
			shown = l.bar(n, ahead, l.now, c.Due) || shown
		}
		l.clock(ctx, n, f.deadlines[c.ID], b)
		if shown {
			if row++; row == mostRows {
				break
			}
		}
	}
	n.h = laneHead + max(1, row)*rowHigh + 6
	l.place(n)
}

// clock marks the legal last days of a case.
func (l *Line) clock(ctx context.Context, n *lane, ds []complaint.Deadline, b bar) {
	for _, d := range ds {
		if d.State == "asked" || d.State == "refused" || !l.win.has(d.Due) {
			continue
		}
		n.cutsAt = append(n.cutsAt, cut{x: l.win.at(d.Due), y: b.y - 2, h: rowHigh, href: b.href,
			title: say(ctx, "deadline", httpx.Minute(ctx, d.Due), d.Rule, say(ctx, "deadline."+d.State))})
	}
}

func remedyMarks(ctx context.Context, f *facts) []mark {
	var out []mark
	for _, o := range f.orders {
		m := mark{at: o.At, tone: ui.Good, icon: "flag", href: "/complaints/" + o.Case, title: say(ctx, "remedy."+string(o.Kind))}
		if o.Kind == remedy.Compensation {
			m.text = o.Amount.String()
		}
		out = append(out, m)
	}
	return out
}

// count says what many marks drawn as one are.
func count(ctx context.Context, n *lane, m mark) string {
	return say(ctx, "many", m.n, say(ctx, n.key), httpx.Minute(ctx, m.at), httpx.Minute(ctx, m.to))
}

func pct(x float64) string { return strings.TrimSuffix(fmt.Sprintf("%.3f", x), ".000") + "%" }

func px(n int) string { return fmt.Sprint(n) }
