package ledger

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is a signed statement of the whole log at one size (C2SP
// tlog-checkpoint): whoever keeps one can tell later whether history changed.
type Checkpoint struct {
	Origin string
	Size   int64 // entries sealed
	Root   tlog.Hash
	At     time.Time // when it was signed
	Note   []byte    // the signed note, as published
}

// timeLine begins the extension line that carries the time of signing.
const timeLine = "time "

// timeForm is RFC 3339 in UTC with microseconds, always of the same length.
const timeForm = "2006-01-02T15:04:05.000000Z"

// sign fills in the checkpoint's note.
func (c *Checkpoint) sign(k Key) error {
	text := fmt.Sprintf("%s\n%d\n%s\n%s%s\n", c.Origin, c.Size, c.Root, timeLine, c.At.UTC().Format(timeForm))
	b, err := note.Sign(&note.Note{Text: text}, k.signer)
	if err != nil {
		return fmt.Errorf("sign checkpoint: %w", err)
	}
	c.Note = b
	return nil
}

// OpenCheckpoint checks a checkpoint's signature and reads it.
func OpenCheckpoint(b []byte, v note.Verifier) (Checkpoint, error) {
	n, err := note.Open(b, note.VerifierList(v))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint signature: %w", err)
	}
	c, err := parseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != v.Name() {
		return Checkpoint{}, fmt.Errorf("checkpoint is of log %q, not %q", c.Origin, v.Name())
	}
	c.Note = b
	return c, nil
}

func parseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) != 4 {
		return Checkpoint{}, errors.New("checkpoint does not have four lines")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return Checkpoint{}, fmt.Errorf("checkpoint size %q is not a number", lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint root: %w", err)
	}
	stamp, ok := strings.CutPrefix(lines[3], timeLine)
	at, err := time.Parse(timeForm, stamp)
	if !ok || err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint time %q is not readable", lines[3])
	}
	return Checkpoint{Origin: lines[0], Size: size, Root: root, At: at}, nil
}
