package console

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"parley/internal/access"
	"parley/internal/console/frame"
	"parley/internal/gate"
	"parley/internal/httpx"
	"parley/internal/httpx/ui"
	"parley/internal/httpx/words"
	"parley/internal/policy"
)

// reason is a decision with why it was made, whether a contact came of it or not.
type reason struct {
	*dossier
	tree     policy.Node
	decided  *policy.Node        // the rule that decided; nil when allowed
	told     policy.CustomerView // in the reader's language
	toldElse policy.CustomerView // in the other one
	other    words.Lang
}

func (c *Console) decisionPage(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	d, err := c.dossier(ctx, r.PathValue("id"))
	if err != nil {
		return err
	}
	v := c.reason(ctx, d)
	return c.frame.Show(w, r, frame.Sheet{Title: words.T(ctx, "decision.title"), Menu: "/contacts", Body: decisionView(v)})
}

func (c *Console) reason(ctx context.Context, d *dossier) *reason {
	set := c.Gate.Known(d.Verdict.Pack)
	if set == nil {
		set = c.Gate.Policy()
	}
	lang := words.From(ctx)
	v := &reason{dossier: d, tree: set.Tree(&d.Facts, d.Verdict, string(lang)), other: lang.Other()}
	v.told, v.toldElse = set.ForCustomer(d.Verdict, string(lang)), set.ForCustomer(d.Verdict, string(v.other))
	for i := range v.tree.Nodes {
		for k := range v.tree.Nodes[i].Nodes {
			if n := &v.tree.Nodes[i].Nodes[k]; n.Kind == policy.NodeRule && n.Decides {
				v.decided = n
			}
		}
	}
	// The one that decided stands first, with its layer.
	slices.SortStableFunc(v.tree.Nodes, func(a, b policy.Node) int { return rank(a) - rank(b) })
	return v
}

// rank orders the branches of a tree: the layer that decided, the other layers,
// the duties, the facts.
func rank(n policy.Node) int {
	switch {
	case slices.ContainsFunc(n.Nodes, func(x policy.Node) bool { return x.Decides }):
		return 0
	case n.Kind == policy.NodeLayer:
		return 1
	case n.Kind == policy.NodeDuties:
		return 2
	}
	return 3
}

// permitLine is the life of a permit, or that there was none.
func permitLine(ctx context.Context, d *dossier) []ui.Mark {
	ms := []ui.Mark{{At: d.At, Tone: frame.EffectTone(d.Verdict.Effect), Title: words.T(ctx, "contact.line_decided", frame.Effect(ctx, d.Verdict.Effect))}}
	if d.State == gate.NoPermit {
		if d.Verdict.Effect == policy.Later {
			ms = append(ms, ui.Mark{At: d.Verdict.At, Tone: ui.Wait, Title: words.T(ctx, "decision.from_then")})
		}
		return ms
	}
	ms = append(ms, ui.Mark{At: d.At, Tone: ui.Info, Title: words.T(ctx, "decision.reserved"), Text: words.T(ctx, "decision.good_until", httpx.Exact(ctx, d.Until))})
	if !d.Attempted.IsZero() {
		ms = append(ms, ui.Mark{At: d.Attempted, Tone: ui.Live, Title: words.T(ctx, "decision.spent"), Text: words.T(ctx, "decision.spent_text")})
	}
	if !d.Ended.IsZero() {
		m := ui.Mark{At: d.Ended, Tone: frame.PermitTone(d.State), Title: frame.Permit(ctx, d.State), Text: d.Reason}
		if d.Outcome != "" {
			m.Text = strings.Trim(frame.Outcome(ctx, d.Outcome)+" · "+d.Reason, " ·")
		}
		ms = append(ms, m)
	}
	return ms
}

// ruleHref leads to a rule's page; "" for what is no rule of a pack.
func ruleHref(ctx context.Context, n *policy.Node) string {
	if n.Rule == "" || n.Force == "" && n.Kind == policy.NodeRule || !frame.May(ctx, access.SeeRules) {
		return ""
	}
	return "/rules/" + n.Rule
}
