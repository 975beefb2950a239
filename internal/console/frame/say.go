package frame

import (
	"context"
	"fmt"
	"strings"
	"time"

	"parley/internal/campaign"
	"parley/internal/complaint"
	"parley/internal/contact"
	"parley/internal/db"
	"parley/internal/gate"
	"parley/internal/httpx"
	"parley/internal/httpx/ui"
	"parley/internal/httpx/words"
	"parley/internal/mask"
	"parley/internal/policy"
)

// Purpose names a purpose.
func Purpose(ctx context.Context, p contact.Purpose) string {
	return words.T(ctx, "purpose."+p.String())
}

// Grade names a grade that a rule demands of an approver.
func Grade(ctx context.Context, grade string) string {
	return policy.GradeWord(grade, string(words.From(ctx)))
}

// Channel names a channel.
func Channel(ctx context.Context, c contact.Channel) string {
	return words.T(ctx, "channel."+c.String())
}

// Purposes lists purposes; none means any.
func Purposes(ctx context.Context, s contact.Purposes) string {
	return list(ctx, "purpose.", s.Names())
}

// Channels lists channels; none means any.
func Channels(ctx context.Context, s contact.Channels) string {
	return list(ctx, "channel.", s.Names())
}

func list(ctx context.Context, family string, names []string) string {
	if len(names) == 0 {
		return words.T(ctx, family+"any")
	}
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = words.T(ctx, family+n)
	}
	return strings.Join(out, words.T(ctx, "app.comma"))
}

// Outcome names how an attempt ended.
func Outcome(ctx context.Context, o contact.Outcome) string {
	if o == "" {
		return "—"
	}
	return words.T(ctx, "outcome."+string(o))
}

// OutcomeTone gives the tone of an outcome.
func OutcomeTone(o contact.Outcome) ui.Tone {
	switch o {
	case contact.Effective, contact.Delivered:
		return ui.Good
	case contact.Connected, contact.Voicemail:
		return ui.Info
	case contact.Unknown:
		return ui.Bad
	default:
		return ui.Over
	}
}

// Effect names what a verdict says; EffectTone gives its tone.
func Effect(ctx context.Context, e policy.Effect) string {
	return words.T(ctx, "effect."+e.String())
}

// EffectTone gives the tone of a verdict. A refusal is the gate at its work and
// breaks nothing, but what it kept from happening would have.
func EffectTone(e policy.Effect) ui.Tone {
	switch e {
	case policy.Allow:
		return ui.Good
	case policy.Later:
		return ui.Wait
	default:
		return ui.Bad
	}
}

// Permit names a permit's state.
func Permit(ctx context.Context, s gate.State) string { return words.T(ctx, "permit."+s.String()) }

// PermitTone gives its tone.
func PermitTone(s gate.State) ui.Tone {
	switch s {
	case gate.Reserved:
		return ui.Info
	case gate.Attempting:
		return ui.Live
	case gate.Settled:
		return ui.Good
	case gate.Unknown:
		return ui.Bad
	default:
		return ui.Over
	}
}

// CampaignTone gives the tone of a campaign's state.
func CampaignTone(s campaign.State) ui.Tone {
	switch s {
	case campaign.Running:
		return ui.Live
	case campaign.Submitted, campaign.Paused:
		return ui.Wait
	case campaign.Approved:
		return ui.Good
	case campaign.Draft:
		return ui.Info
	default:
		return ui.Over
	}
}

// MemberTone gives the tone of a member's state.
func MemberTone(s campaign.MemberState) ui.Tone {
	switch s {
	case campaign.Dialing, campaign.Reserved:
		return ui.Live
	case campaign.Finished:
		return ui.Good
	case campaign.Waiting, campaign.Due:
		return ui.Wait
	case campaign.Denied, campaign.Parked:
		return ui.Bad
	default:
		return ui.Over
	}
}

// CaseTone gives the tone of a case's state.
func CaseTone(s complaint.State) ui.Tone {
	switch s {
	case complaint.Open, complaint.Review:
		return ui.Wait
	case complaint.Taken, complaint.Proposed:
		return ui.Live
	case complaint.Answered:
		return ui.Good
	default:
		return ui.Over
	}
}

// Left says how long a deadline has to run, in days, and in which tone: amber
// from three days before, red when it has passed.
func Left(ctx context.Context, due time.Time) (string, ui.Tone) {
	d := due.Sub(httpx.From(ctx).Now)
	switch {
	case d < 0:
		return words.T(ctx, "due.over", httpx.Span(ctx, -d)), ui.Bad
	case d < 72*time.Hour:
		return words.T(ctx, "due.left", httpx.Span(ctx, d)), ui.Wait
	default:
		return words.T(ctx, "due.left", httpx.Span(ctx, d)), ui.Info
	}
}

// Window writes hours of a day: 09:00–20:00.
func Window(h contact.Hours) string {
	return fmt.Sprintf("%02d:%02d–%02d:%02d", h.From/60, h.From%60, h.To/60, h.To%60)
}

// Windows writes a grant's or campaign's hours; none means any hour.
func Windows(ctx context.Context, hs []contact.Hours) string {
	if len(hs) == 0 {
		return words.T(ctx, "hours.any")
	}
	out := make([]string, len(hs))
	for i, h := range hs {
		out[i] = Window(h)
		if h.Days != 0 {
			out[i] += " " + days(ctx, h.Days)
		}
	}
	return strings.Join(out, words.T(ctx, "app.comma"))
}

func days(ctx context.Context, mask uint8) string {
	var out []string
	for d := range 7 {
		if mask&(1<<d) != 0 {
			out = append(out, words.T(ctx, fmt.Sprintf("hours.day%d", d)))
		}
	}
	return strings.Join(out, words.Pick(ctx, "", " "))
}

// Grant says what a customer agreed to, with its terms, in one line.
func Grant(ctx context.Context, g contact.Grant) string {
	s := words.T(ctx, "ground."+string(g.Ground)) + words.T(ctx, "app.colon") + Purposes(ctx, g.Purposes) + " · " + Channels(ctx, g.Channels)
	if g.Max > 0 {
		s += " · " + words.T(ctx, "grant.cap", g.Days, g.Max)
	}
	if len(g.Hours) > 0 {
		s += " · " + Windows(ctx, g.Hours)
	}
	s += " · " + words.T(ctx, "grant.from", httpx.Day(ctx, db.Time(g.From)))
	if g.Until > 0 {
		s += words.T(ctx, "grant.until", httpx.Day(ctx, db.Time(g.Until)))
	}
	return s
}

// Stop says what a customer does not want, in one line.
func Stop(ctx context.Context, s contact.Stop) string {
	t := words.T(ctx, "stop."+string(s.Kind)) + words.T(ctx, "app.colon") + Purposes(ctx, s.Purposes) + " · " + Channels(ctx, s.Channels) +
		" · " + words.T(ctx, "grant.from", httpx.Minute(ctx, db.Time(s.At)))
	if s.Until > 0 {
		t += words.T(ctx, "grant.until", httpx.Minute(ctx, db.Time(s.Until)))
	}
	return t
}

// Short gives the first characters of a hash or id, enough to tell it apart.
func Short(hash string) string {
	if len(hash) <= 12 {
		return hash
	}
	return hash[:12]
}

// Rules puts a verdict in words, the deciding rule first.
func Rules(ctx context.Context, set *policy.Set, v policy.Verdict) []ui.Rule {
	lines := set.Explain(v, string(words.From(ctx)))
	out := make([]ui.Rule, len(lines))
	for i, l := range lines {
		out[i] = ui.Rule{ID: l.Rule, Tone: EffectTone(l.Effect), Effect: l.Word, Citation: l.Citation, Link: l.Link, Decided: l.Decides,
			Text: l.Title + words.T(ctx, "app.colon") + l.Text}
		if l.Force != "" {
			out[i].Force = words.T(ctx, "force."+string(l.Force))
		}
	}
	return out
}

// subjectRunes is how much of a customer's own words stands in for a subject.
const subjectRunes = 40

// Subject gives a line to know a case by, masked: its subject, how its words
// begin, or, of one that was only spoken, the call in which it was.
func Subject(ctx context.Context, c *complaint.Case) string {
	s := c.Subject
	if s == "" {
		s = c.Words
	}
	switch {
	case s == "" && c.Cause != nil && c.Cause.Name != "":
		return words.T(ctx, "case.about_call", c.Cause.Name)
	case s == "":
		return words.T(ctx, "case.no_subject")
	}
	s = mask.Text(s) // before it is cut, so that no half of a number slips through
	if rs := []rune(s); len(rs) > subjectRunes {
		return string(rs[:subjectRunes]) + "…"
	}
	return s
}
