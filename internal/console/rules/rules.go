package rules

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"parley/internal/access"
	"parley/internal/approval"
	"parley/internal/console/frame"
	"parley/internal/errs"
	"parley/internal/gate"
	"parley/internal/httpx"
	"parley/internal/httpx/errand"
	"parley/internal/httpx/ui"
	"parley/internal/httpx/words"
	"parley/internal/policy"
	"parley/internal/rulebook"
)

// Deps are the rooms behind the pages of the rules.
type Deps struct {
	Frame     *frame.Frame
	Gate      *gate.Gate
	Rulebook  *rulebook.Store
	Approvals *approval.Store
	// Campaign gives a campaign's name, for a replay's figures.
	Campaign func(ctx context.Context, id string) string
	// Shipped gives the packs that come with this version of Parley.
	Shipped func() (rulebook.Files, error)
}

type pages struct {
	Deps
	replays errand.Desk[struct{}] // those that run in this process, by edition; what one found is kept with its edition
}

// Routes gives the pages.
func Routes(d Deps) []frame.Route {
	p := &pages{Deps: d}
	return append(d.Frame.ToList("/rules", access.SeeRules, p.list),
		frame.To("GET /rules/try", access.SeeRules, p.tryPage),
		frame.To("POST /rules/try", access.SeeRules, p.try),
		frame.To("GET /rules/editions", access.SeeRules, p.editions),
		frame.To("POST /rules/editions", access.EditRules, p.draft),
		frame.To("GET /rules/editions/{id}", access.SeeRules, p.edition),
		frame.To("GET /rules/editions/{id}/replay", access.SeeRules, p.replayPart),
		frame.To("POST /rules/editions/{id}/put", access.EditRules, p.put),
		frame.To("POST /rules/editions/{id}/test", access.EditRules, p.test),
		frame.To("POST /rules/editions/{id}/replay", access.EditRules, p.replay),
		frame.To("POST /rules/editions/{id}/submit", access.EditRules, p.submit),
		frame.To("POST /rules/editions/{id}/drop", access.EditRules, p.drop),
		frame.To("POST /rules/editions/{id}/rollback", access.EditRules, p.rollback),
		frame.To("GET /rules/{id}", access.SeeRules, p.rule),
	)
}

func lang(ctx context.Context) string { return string(words.From(ctx)) }

// in gives words of a pack in the reader's language.
func in(ctx context.Context, w policy.Words) string { return w.In(lang(ctx)) }

// status says whether a rule runs, and how sure the bank is of it.
func status(ctx context.Context, r *policy.Rule) (ui.Tone, string) {
	switch {
	case r.Disabled != "":
		return ui.Over, say(ctx, "off")
	case r.VerifiedOn != "":
		return ui.Good, say(ctx, "verified")
	default:
		return ui.Wait, say(ctx, "unverified")
	}
}

const all = ""

func (p *pages) list(r *http.Request) (*frame.List, error) {
	ctx := r.Context()
	now, err := p.Rulebook.Current(ctx)
	if err != nil && !isNone(err) {
		return nil, err
	}
	var packs, forces []ui.Choice
	for _, pk := range p.Gate.Policy().Packs() {
		packs = append(packs, ui.Choice{Value: pk.ID, Word: pk.ID + " · " + in(ctx, pk.Title)})
	}
	for _, f := range []policy.Force{policy.Prohibition, policy.Duty, policy.Standard, policy.Presumption, policy.SafeHarbour, policy.BankDefault, policy.Repealed} {
		forces = append(forces, ui.Choice{Value: string(f), Word: f.Word(lang(ctx))})
	}
	return &frame.List{
		Menu: "/rules", Need: access.SeeRules, Title: say(ctx, "title"), Under: say(ctx, "under"),
		Acts: listActs(), Above: inForce(now, len(p.Gate.Policy().Rules())),
		Grid: ui.Grid{
			Name: "rules", Path: "/rules", Caption: say(ctx, "title"), Why: say(ctx, "none"), Do: say(ctx, "none_do"), Drawered: true,
			Columns: []ui.Column{
				{Key: "title", Word: say(ctx, "rule"), Wide: true}, {Key: "id", Word: say(ctx, "id")}, {Key: "citation", Word: say(ctx, "citation"), Wide: true},
				{Key: "force", Word: say(ctx, "force")}, {Key: "kind", Word: say(ctx, "kind"), Off: true}, {Key: "confidence", Word: say(ctx, "confidence")},
				{Key: "state", Word: say(ctx, "state")}, {Key: "denied", Word: say(ctx, "denied"), Num: true}, {Key: "later", Word: say(ctx, "later"), Num: true},
			},
			Filters: []ui.Filter{
				{Key: "pack", Word: say(ctx, "pack"), Choices: packs}, {Key: "force", Word: say(ctx, "force"), Choices: forces},
				{Key: "state", Word: say(ctx, "state"), Choices: []ui.Choice{{Value: "unverified", Word: say(ctx, "unverified")}, {Value: "off", Word: say(ctx, "off")}}},
				{Key: "q", Word: say(ctx, "find")},
			},
		},
		Rows: p.rows,
	}, nil
}

// rows gives every rule that the filters leave: a bank has some dozens.
func (p *pages) rows(ctx context.Context, a ui.Ask) (ui.Rows, error) {
	counts, err := p.Gate.Counts(ctx)
	if err != nil {
		return ui.Rows{}, err
	}
	var out ui.Rows
	for _, r := range p.Gate.Policy().Rules() {
		if !matches(r, a.Filter) {
			continue
		}
		tone, word := status(ctx, r)
		out.Rows = append(out.Rows, ui.Row{Href: "/rules/" + r.ID, Cells: []ui.Cell{
			ui.Text(in(ctx, r.Title)), ui.View(r.ID, code(r.ID)), ui.Text(r.Citation.Short()), ui.Text(r.Force.Word(lang(ctx))), ui.Text(r.Kind()),
			ui.Text(say(ctx, "short."+confidence(r))), ui.State(tone, word), ui.Text(httpx.Num(counts.DeniedBy[r.ID])), ui.Text(httpx.Num(counts.LaterBy[r.ID])),
		}})
	}
	return out, nil
}

func matches(r *policy.Rule, f map[string]string) bool {
	if f["pack"] != all && f["pack"] != r.Pack.ID || f["force"] != all && f["force"] != string(r.Force) {
		return false
	}
	switch f["state"] {
	case "unverified":
		if r.VerifiedOn != "" || r.Disabled != "" {
			return false
		}
	case "off":
		if r.Disabled == "" {
			return false
		}
	}
	q := strings.ToLower(f["q"])
	return q == "" || strings.Contains(strings.ToLower(r.ID+" "+r.Title.Zh+" "+r.Title.En+" "+r.Citation.Short()), q)
}

// ruleView is one rule as its page shows it.
type ruleView struct {
	*policy.Rule
	source        string // its text in the pack
	tests         []policy.Case
	denied, later int64
	edition       string // that judges
	draft         bool   // the reader may start one
}

func (p *pages) rule(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	v := ruleView{Rule: p.Gate.Policy().Rule(r.PathValue("id")), draft: frame.May(ctx, access.EditRules)}
	if v.Rule == nil {
		return errs.New(errs.NotFound, "no_rule", "现行规则里没有这一条；它可能属于以前的版本。", "There is no such rule among those in force; it may belong to an earlier edition.")
	}
	counts, err := p.Gate.Counts(ctx)
	if err != nil {
		return err
	}
	v.denied, v.later = counts.DeniedBy[v.ID], counts.LaterBy[v.ID]
	files, err := p.inForce(ctx, &v.edition)
	if err != nil {
		return err
	}
	v.source = excerpt(files[v.Pack.File], v.Line)
	cases, err := policy.Cases(files.FS())
	if err != nil {
		return err
	}
	v.tests = slices.DeleteFunc(cases, func(c policy.Case) bool { return c.Rule != v.ID })
	return p.Frame.Show(w, r, frame.Sheet{Title: in(ctx, v.Title), Menu: "/rules", Body: rulePage(&v)})
}

// inForce gives the texts that judge; where nobody approved any (a workshop)
// those that ship.
func (p *pages) inForce(ctx context.Context, edition *string) (rulebook.Files, error) {
	now, err := p.Rulebook.Current(ctx)
	if isNone(err) {
		return p.Shipped()
	}
	if err != nil {
		return nil, err
	}
	*edition = now.Edition
	return p.Rulebook.Files(ctx, now.Edition)
}

// excerpt gives a rule's own lines out of its pack's text.
func excerpt(text string, line int) string {
	lines := strings.Split(text, "\n")
	if line < 1 || line > len(lines) {
		return ""
	}
	end := line
	for end < len(lines) && !strings.HasPrefix(lines[end], "  - ") && !strings.HasPrefix(lines[end], "  # ") {
		end++
	}
	return strings.TrimRight(strings.Join(lines[line-1:end], "\n"), "\n ")
}
