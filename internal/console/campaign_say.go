package console

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"parley/internal/campaign"
	"parley/internal/console/frame"
	"parley/internal/contact"
	"parley/internal/httpx"
	"parley/internal/httpx/ui"
	"parley/internal/httpx/words"
)

func campaignFigures(ctx context.Context, f *campaignFile) []ui.Fig {
	screened := f.counts.Allow + f.counts.Later + f.counts.Deny
	return []ui.Fig{
		{Label: words.T(ctx, "campaign.on_list"), Value: httpx.Num(f.progress.Total), Under: words.T(ctx, "campaign.left", httpx.Num(f.progress.Left()))},
		{Label: words.T(ctx, "board.allowed"), Value: httpx.Num(f.counts.Allow), Under: share(f.counts.Allow, screened), Tone: ui.Good},
		{Label: words.T(ctx, "board.later"), Value: httpx.Num(f.counts.Later), Under: share(f.counts.Later, screened), Tone: ui.Wait},
		{Label: words.T(ctx, "board.denied"), Value: httpx.Num(f.counts.Deny), Under: share(f.counts.Deny, screened)},
		{Label: words.T(ctx, "board.placed"), Value: httpx.Num(f.calls.Placed), Under: words.T(ctx, "board.placed_under", httpx.Num(f.calls.NotSent)), Tone: ui.Live},
		{Label: words.T(ctx, "board.answered"), Value: httpx.Num(f.calls.Answered), Under: share(f.calls.Answered, f.calls.Placed)},
		{Label: words.T(ctx, "board.withdrawn"), Value: httpx.Num(f.calls.Withdrawn), Under: words.T(ctx, "board.withdrawn_under")},
		{Label: words.T(ctx, "board.complained"), Value: httpx.Num(f.calls.Complained), Under: perTenThousand(ctx, f.calls.Complained, f.calls.Placed)},
	}
}

// barred lists why people of the list are not called, the most frequent first.
func (c *Console) barred(ctx context.Context, f *campaignFile) []ui.Fig {
	by := f.progress.ByRule
	var out []ui.Fig
	for _, id := range slices.SortedFunc(maps.Keys(by), func(a, b string) int { return cmp.Or(cmp.Compare(by[b], by[a]), cmp.Compare(a, b)) }) {
		out = append(out, ui.Fig{Label: c.ruleTitle(ctx, id), Value: httpx.Num(by[id])})
	}
	return out
}

// memberStates lists the states that any member is in.
func memberStates(p *campaign.Progress) []campaign.MemberState {
	var out []campaign.MemberState
	for _, s := range []campaign.MemberState{campaign.New, campaign.Due, campaign.Waiting, campaign.Reserved, campaign.Dialing, campaign.Finished, campaign.Denied, campaign.Parked} {
		if p.ByState[s] > 0 {
			out = append(out, s)
		}
	}
	return out
}

func campaignDays(ctx context.Context, start, end string) string {
	if start == "" && end == "" {
		return words.T(ctx, "campaign.no_days")
	}
	return orDash(start) + " – " + orDash(end)
}

func perDay(c *campaign.Campaign) int {
	if c.MaxPerDay > 0 {
		return c.MaxPerDay
	}
	return c.MaxAttempts
}

func retryText(ctx context.Context, c *campaign.Campaign) string {
	var out []string
	for _, o := range slices.Sorted(maps.Keys(c.RetryAfter)) {
		out = append(out, words.T(ctx, "campaign.retry_text", frame.Outcome(ctx, o), httpx.Span(ctx, c.RetryAfter[o])))
	}
	if len(out) == 0 {
		return words.T(ctx, "campaign.no_retry")
	}
	return strings.Join(out, words.T(ctx, "app.comma"))
}

func discloses(ctx context.Context, s *campaign.Script) []string {
	var out []string
	for _, d := range s.Discloses() {
		out = append(out, words.T(ctx, "duty."+d))
	}
	return out
}

// retryOutcomes are those a campaign may try again.
func retryOutcomes() []contact.Outcome {
	return []contact.Outcome{contact.NoAnswer, contact.Busy, contact.Unreachable}
}
