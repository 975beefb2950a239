package console

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"parley/internal/access"
	"parley/internal/campaign"
	"parley/internal/console/frame"
	"parley/internal/contact"
	"parley/internal/gate"
	"parley/internal/httpx"
	"parley/internal/httpx/ui"
	"parley/internal/httpx/words"
	"parley/internal/outbound"
)

// board is what the live board shows.
type board struct {
	of        contact.ID // the campaign shown; "" = all
	name      string
	main      []ui.Fig // what is read from across a room: now, and today against yesterday
	figures   []ui.Fig
	wall      bool // shown alone, over the whole screen
	rate      ui.Plot
	outcomes  ui.Plot
	denials   ui.Plot
	campaigns []boardCampaign
	latest    []boardContact
}

type boardCampaign struct {
	*campaign.Campaign
	progress *campaign.Progress
	calls    int64
	denied   int64
}

type boardContact struct {
	gate.Stored
	who  person
	rule string // that decided, in words; empty when allowed
}

func (c *Console) boardPage(w http.ResponseWriter, r *http.Request) error {
	b, err := c.board(r.Context(), r.URL.Query().Get("campaign"))
	if err != nil {
		return err
	}
	b.wall = r.URL.Query().Get("wall") != ""
	return c.frame.Show(w, r, frame.Sheet{Title: words.T(r.Context(), "nav.board"), Menu: "/board", Charts: true, Scripts: []string{"board.js"}, Body: boardView(b)})
}

// boardLive streams the board's changing part, rendered in the reader's language.
func (c *Console) boardLive(w http.ResponseWriter, r *http.Request) error {
	id := r.URL.Query().Get("campaign")
	seen := int64(-1)
	return c.Broker.Stream(w, r, func(httpx.Event) ([]httpx.Fragment, error) {
		now, err := c.pulse.read(r.Context())
		if err != nil || now.seq == seen { // many events may come between two readings
			return nil, err
		}
		seen = now.seq
		if now, err = c.pulse.with(r.Context(), now, id); err != nil {
			return nil, err
		}
		ctx := httpx.Later(r.Context(), now.at)
		b, err := c.draw(ctx, now, id)
		if err != nil {
			return nil, err
		}
		var figures, lists bytes.Buffer
		if err := errors.Join(boardFigs(b).Render(ctx, &figures), boardLists(b).Render(ctx, &lists)); err != nil {
			return nil, err
		}
		return []httpx.Fragment{{Name: "figures", Body: figures.String()}, {Name: "lists", Body: lists.String()}}, nil
	}, "board")
}

func (c *Console) board(ctx context.Context, id contact.ID) (*board, error) {
	now, err := c.pulse.read(ctx)
	if err != nil {
		return nil, err
	}
	if now, err = c.pulse.with(ctx, now, id); err != nil {
		return nil, err
	}
	return c.draw(ctx, now, id)
}

func (c *Console) draw(ctx context.Context, now *reading, id contact.ID) (*board, error) {
	b := &board{of: id}
	t := now.last(id)
	b.main, b.figures = boardMain(ctx, t), boardFigures(ctx, now, t, id == "")
	b.rate, b.outcomes, b.denials = ratePlot(ctx, now.of[id]), outcomePlot(ctx, thin(now.of[id])), c.denialPlot(ctx, t.gate)
	for _, m := range now.campaigns {
		if m.ID == id {
			b.name = m.Name
		}
		if p := now.progress[m.ID]; p != nil {
			l := now.last(m.ID)
			b.campaigns = append(b.campaigns, boardCampaign{Campaign: m, progress: p, calls: l.calls.Placed, denied: l.gate.Deny})
		}
	}
	if !frame.May(ctx, access.SeeContacts) {
		return b, nil
	}
	var err error
	b.latest, err = c.latest(ctx, now, id)
	return b, err
}

// latest gives the newest decisions on the board.
func (c *Console) latest(ctx context.Context, now *reading, id contact.ID) ([]boardContact, error) {
	const most = 10
	var all []gate.Stored
	for _, m := range now.campaigns {
		if now.progress[m.ID] == nil || id != "" && m.ID != id {
			continue
		}
		list, err := c.Gate.ByCampaign(ctx, m.ID, "", most)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	slices.SortFunc(all, func(a, b gate.Stored) int { return cmp.Compare(b.ID, a.ID) })
	all = all[:min(most, len(all))]
	return c.rows(ctx, all)
}

// ratio writes a figure with as many places as it needs to be told apart.
func ratio(f float64) string {
	if f >= 100 {
		return httpx.Num(int64(math.Round(f)))
	}
	return fmt.Sprintf("%.1f", f)
}

// boardMain is what is read from across a room: the present, and today against
// yesterday up to the same time of day.
func boardMain(ctx context.Context, t tally) []ui.Fig {
	w := func(key string, args ...any) string { return words.T(ctx, "board."+key, args...) }
	answered := func(c outbound.Counts) float64 { return 100 * float64(c.Answered) / float64(max(c.Placed, 1)) }
	per10k := func(c outbound.Counts, n int64) float64 { return 10000 * float64(n) / float64(max(c.Placed, 1)) }
	// against says how yesterday stood at this time; a day without calls says nothing.
	against := func(now, before float64, unit string) string {
		if t.before.Placed == 0 {
			return w("no_yesterday")
		}
		arrow := "→"
		if now > before*1.005 {
			arrow = "↑"
		} else if now < before*0.995 {
			arrow = "↓"
		}
		return arrow + " " + w("yesterday", strconv.FormatFloat(round(before), 'f', -1, 64)+unit)
	}
	rate, withdrawn, complained := answered(t.today), per10k(t.today, t.today.Withdrawn), per10k(t.today, t.today.Complained)
	figs := []ui.Fig{
		{Label: w("live_calls"), Value: httpx.Num(t.live), Under: w("today_placed", httpx.Num(t.today.Placed)) + " · " + against(float64(t.today.Placed), float64(t.before.Placed), ""), Tone: ui.Live},
		{Label: w("answer_rate"), Value: "—", Under: w("nothing_placed")},
		// Calls that no agent takes cannot be abandoned; a figure of 0 % would say otherwise.
		{Label: w("abandoned"), Value: "—", Under: w("abandoned_none")},
		{Label: w("withdrawn_10k"), Value: "—", Under: w("nothing_placed")},
		{Label: w("complained_10k"), Value: "—", Under: w("nothing_placed")},
	}
	if t.today.Placed > 0 {
		figs[1].Value, figs[1].Under, figs[1].Tone = fmt.Sprintf("%.1f %%", rate), against(rate, answered(t.before), " %"), ui.Good
		figs[3].Value, figs[3].Under = ratio(withdrawn), w("people", httpx.Num(t.today.Withdrawn))+" · "+against(withdrawn, per10k(t.before, t.before.Withdrawn), "")
		figs[4].Value, figs[4].Under = ratio(complained), w("people", httpx.Num(t.today.Complained))+" · "+against(complained, per10k(t.before, t.before.Complained), "")
	}
	return figs
}

func boardFigures(ctx context.Context, now *reading, t tally, all bool) []ui.Fig {
	w := func(key string, args ...any) string { return words.T(ctx, "board."+key, args...) }
	screened := t.gate.Allow + t.gate.Later + t.gate.Deny
	figs := []ui.Fig{
		{Label: w("screened"), Value: httpx.Num(screened), Under: w("screened_under")},
		{Label: w("allowed"), Value: httpx.Num(t.gate.Allow), Under: share(t.gate.Allow, screened), Tone: ui.Good},
		{Label: w("later"), Value: httpx.Num(t.gate.Later), Under: share(t.gate.Later, screened), Tone: ui.Wait},
		{Label: w("denied"), Value: httpx.Num(t.gate.Deny), Under: share(t.gate.Deny, screened)},
		{Label: w("placed"), Value: httpx.Num(t.calls.Placed), Under: w("placed_under", httpx.Num(t.calls.NotSent)), Tone: ui.Live},
		{Label: w("answered"), Value: httpx.Num(t.calls.Answered), Under: share(t.calls.Answered, t.calls.Placed)},
		recordedFig(ctx, t),
		{Label: w("withdrawn"), Value: httpx.Num(t.calls.Withdrawn), Under: w("withdrawn_under")},
	}
	if !all {
		return append(figs, ui.Fig{Label: w("complained"), Value: httpx.Num(t.calls.Complained), Under: perTenThousand(ctx, t.calls.Complained, t.calls.Placed)})
	}
	late := ui.Fig{Label: w("complaints"), Value: httpx.Num(now.cases.Total), Under: w("overdue_none"), Href: "/complaints"}
	if now.cases.Overdue > 0 {
		late.Under, late.Tone = w("overdue", now.cases.Overdue), ui.Bad
	}
	book := ui.Fig{Label: w("ledger"), Value: httpx.Num(now.ledger.Entries), Under: w("sealed", httpx.Num(now.ledger.Sealed)), Href: "/ledger", Tone: ui.Good}
	if now.ledger.Lag > 5*time.Second {
		book.Tone = ui.Wait
	}
	return append(figs, late, book)
}

// recordedFig shows red when a call was answered and has neither recording nor reason.
func recordedFig(ctx context.Context, t tally) ui.Fig {
	f := ui.Fig{Label: words.T(ctx, "board.recorded"), Value: httpx.Num(t.calls.Recorded), Under: words.T(ctx, "board.recorded_under"), Tone: ui.Good}
	if t.calls.Unrecorded > 0 {
		f.Tone, f.Under = ui.Bad, words.T(ctx, "board.unrecorded", httpx.Num(t.calls.Unrecorded))
	}
	return f
}

// rateWindow smooths the rate plot: calls come in bursts.
const rateWindow = 5

func ratePlot(ctx context.Context, h []tally) ui.Plot {
	h = thin(h)
	p := ui.Plot{Kind: "line", Unit: words.T(ctx, "board.per_s"), Names: times(ctx, h), Lines: []ui.Line{
		{Name: words.T(ctx, "board.rate_placed"), Tone: ui.Live}, {Name: words.T(ctx, "board.rate_answered"), Tone: ui.Good}}}
	for i := range h {
		from := h[max(0, i-rateWindow)]
		seconds := max(1, h[i].at.Sub(from.at).Seconds())
		p.Lines[0].Values = append(p.Lines[0].Values, round(float64(h[i].calls.Placed-from.calls.Placed)/seconds))
		p.Lines[1].Values = append(p.Lines[1].Values, round(float64(h[i].calls.Answered-from.calls.Answered)/seconds))
	}
	return p
}

func outcomePlot(ctx context.Context, h []tally) ui.Plot {
	p := ui.Plot{Kind: "area", Unit: words.T(ctx, "board.calls"), Names: times(ctx, h)}
	if len(h) == 0 {
		return p
	}
	for _, o := range []contact.Outcome{contact.Effective, contact.Connected, contact.Voicemail, contact.NoAnswer, contact.Busy, contact.Rejected, contact.Unreachable, contact.Unknown} {
		if h[len(h)-1].calls.ByOutcome[o] == 0 {
			continue
		}
		l := ui.Line{Name: frame.Outcome(ctx, o)}
		for _, t := range h {
			l.Values = append(l.Values, float64(t.calls.ByOutcome[o]))
		}
		p.Lines = append(p.Lines, l)
	}
	return p
}

func (c *Console) denialPlot(ctx context.Context, n gate.Counts) ui.Plot {
	p := ui.Plot{Kind: "bar", Unit: words.T(ctx, "board.contacts"), Lines: []ui.Line{{Name: words.T(ctx, "board.denied"), Tone: ui.Live}}}
	rules := slices.SortedFunc(maps.Keys(n.DeniedBy), func(a, b string) int {
		return cmp.Or(cmp.Compare(n.DeniedBy[b], n.DeniedBy[a]), cmp.Compare(a, b))
	})
	for _, id := range rules[:min(8, len(rules))] {
		p.Names = append(p.Names, c.ruleTitle(ctx, id))
		p.Lines[0].Values = append(p.Lines[0].Values, float64(n.DeniedBy[id]))
	}
	return p
}

// ruleTitle names a rule, by its id where no pack at hand has it.
func (c *Console) ruleTitle(ctx context.Context, id string) string {
	if r := c.Gate.Policy().Rule(id); r != nil {
		return words.Pick(ctx, r.Title.Zh, r.Title.En)
	}
	if key := "rule." + id; words.Has(key) {
		return words.T(ctx, key)
	}
	return id
}

// plotPoints bounds what one plot sends to a page.
const plotPoints = 120

// thin leaves out readings evenly; the newest always stays.
func thin(h []tally) []tally {
	if len(h) <= plotPoints {
		return h
	}
	step := (len(h) + plotPoints - 1) / plotPoints
	out := make([]tally, 0, plotPoints+1)
	for i := (len(h) - 1) % step; i < len(h); i += step {
		out = append(out, h[i])
	}
	return out
}

func times(ctx context.Context, h []tally) []string {
	out := make([]string, len(h))
	for i, t := range h {
		out[i] = httpx.Clock(ctx, t.at)
	}
	return out
}

func round(f float64) float64 { return math.Round(f*100) / 100 }

// share writes a part of a whole in percent.
func share(part, whole int64) string {
	if whole == 0 {
		return "—"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(whole))
}

func perTenThousand(ctx context.Context, part, whole int64) string {
	if whole == 0 {
		return "—"
	}
	return words.T(ctx, "board.per_10k", fmt.Sprintf("%.1f", 10000*float64(part)/float64(whole)))
}

func boardTitle(ctx context.Context, b *board) string {
	if b.name != "" {
		return b.name
	}
	return words.T(ctx, "nav.board")
}
