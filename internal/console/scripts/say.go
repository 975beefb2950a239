package scripts

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"parley/internal/console/frame"
	"parley/internal/contact"
	"parley/internal/httpx/ui"
	"parley/internal/httpx/words"
)

func kindWord(ctx context.Context, kind string) string {
	if kind == "" {
		return "?"
	}
	return words.T(ctx, "script.kind."+kind)
}

// boxNote is what is remarkable about a node, in a word or two.
func boxNote(ctx context.Context, b *box) string {
	switch {
	case b.lost:
		return say(ctx, "box_lost")
	case b.lacks > 0:
		return say(ctx, "box_lacks", b.lacks)
	case b.flaws > 0:
		return say(ctx, "flaws", b.flaws)
	case b.effective:
		return say(ctx, "box_effective")
	}
	return ""
}

func boxLabel(ctx context.Context, b *box) string {
	parts := []string{kindWord(ctx, b.kind), b.ID, b.first}
	if n := boxNote(ctx, b); n != "" {
		parts = append(parts, n)
	}
	return strings.Join(parts, " · ")
}

func counts(t trial) contact.Outcome {
	if t.Effective {
		return contact.Effective
	}
	return contact.Connected
}

func countsWord(ctx context.Context, t trial) string { return frame.Outcome(ctx, counts(t)) }

func countsTone(t trial) ui.Tone { return frame.OutcomeTone(counts(t)) }

func waitSeconds(t trial) string {
	if n := t.script.Nodes[t.Waits]; n != nil && n.Gather != nil {
		return fmt.Sprint(int(n.Gather.Timeout / time.Second))
	}
	return "5"
}

func query(keys string) string { return url.QueryEscape(keys) }
