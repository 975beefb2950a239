package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// bar shows how far a long job is: done of total, rate and time left. Off a
// terminal it stays silent, so that logs and pipes are not filled with it.
type bar struct {
	w     io.Writer
	what  string
	start time.Time
	last  time.Time
	live  bool
}

func (e *env) bar(what string) *bar {
	f, ok := e.err.(*os.File)
	return &bar{w: e.err, what: what, start: time.Now(), live: ok && term.IsTerminal(int(f.Fd()))}
}

const barWidth = 30

// show paints at most ten times a second.
func (b *bar) show(done, total int64) {
	now := time.Now()
	if !b.live || (now.Sub(b.last) < 100*time.Millisecond && done < total) {
		return
	}
	b.last = now
	share := 1.0
	if total > 0 {
		share = min(1, float64(done)/float64(total))
	}
	took := now.Sub(b.start)
	left := "–"
	if share > 0.01 {
		left = (time.Duration(float64(took)/share) - took).Round(time.Second).String()
	}
	full := int(share * barWidth)
	fmt.Fprintf(b.w, "\r%s [%s%s] %3.0f%%  %.0f/s  %s   ", b.what, strings.Repeat("█", full), strings.Repeat("·", barWidth-full),
		share*100, float64(done)/max(took.Seconds(), 0.001), left)
}

func (b *bar) done() {
	if b.live {
		fmt.Fprintln(b.w)
	}
}
