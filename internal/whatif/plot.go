package whatif

import (
	"fmt"
	"html"
	"strings"
)

// The plot's measures, in SVG units.
const (
	width, height            = 720, 400
	left, top, right, bottom = 64, 56, 24, 56
)

// Plot draws the curve as an SVG picture: contacts spared and successes kept for
// each cap, and a mark at the cap of each pack.
func Plot(r Report, lang string) string {
	say := func(zh, en string) string {
		if lang == "en" {
			return html.EscapeString(en)
		}
		return html.EscapeString(zh)
	}
	n := len(r.Curve)
	x := func(limit int) float64 {
		return left + float64(limit-1)*float64(width-left-right)/float64(max(n-1, 1))
	}
	y := func(share float64) float64 { return top + (1-share)*(height-top-bottom) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/><text x="%d" y="22" font-size="16">%s</text>`+"\n", width, height, left,
		say("每人联系上限：少打多少，保住多少", "A cap on contacts per person: what it spares, what it keeps"))
	for i := 0; i <= 4; i++ {
		s := float64(i) / 4
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end" fill="#555">%d %%</text>`+"\n", left, y(s), width-right, left-8, y(s)+4, i*25)
	}
	for _, p := range r.Curve {
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle" fill="#555">%d</text>`+"\n", x(p.Cap), height-bottom+20, p.Cap)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", (left+width-right)/2, height-bottom+42, say("每人最多联系几次", "contacts at most to one person"))
	line := func(name, colour, dash string, of func(Point) float64, at int) {
		var d strings.Builder
		for i, p := range r.Curve {
			fmt.Fprintf(&d, "%c%.1f %.1f", "ML"[min(i, 1)], x(p.Cap), y(of(p)))
		}
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="2.5" stroke-dasharray="%s"/>`, d.String(), colour, dash)
		fmt.Fprintf(&b, `<path d="M%d 40h28" stroke="%s" stroke-width="2.5" stroke-dasharray="%s"/><text x="%d" y="44">%s</text>`+"\n", at, colour, dash, at+36, name)
	}
	line(say("少打的联系", "contacts avoided"), "#1f6feb", "none", func(p Point) float64 { return p.Avoided }, left)
	line(say("保住的成功", "successes kept"), "#1a7f37", "7 4", func(p Point) float64 { return p.Kept }, left+180)
	seen := map[int][]string{}
	for _, p := range r.Packs {
		if p.Rule != "" && p.Cap >= 1 && p.Cap <= n {
			seen[p.Cap] = append(seen[p.Cap], p.Pack)
		}
	}
	for limit := 1; limit <= n; limit++ {
		if packs := seen[limit]; packs != nil {
			fmt.Fprintf(&b, `<path d="M%.1f %dV%d" stroke="#9a6700" stroke-dasharray="2 3"/><text x="%.1f" y="%d" fill="#9a6700" font-size="11">%s</text>`+"\n",
				x(limit), top, height-bottom, x(limit)+4, top+12, html.EscapeString(strings.Join(compact(packs), " ")))
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// compact drops repeats and, where there are many, all but the first few.
func compact(names []string) []string {
	var out []string
	have := map[string]bool{}
	for _, n := range names {
		if !have[n] {
			have[n] = true
			out = append(out, n)
		}
	}
	if len(out) > 4 {
		out = append(out[:4:4], "…")
	}
	return out
}
