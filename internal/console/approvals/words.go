package approvals

import (
	"context"
	_ "embed"

	"parley/internal/httpx/words"
)

//go:embed words.yaml
var wordsFile []byte

var book = words.NewBook("approvals", wordsFile)

// say gives this room's sentence for key in the reader's language.
func say(ctx context.Context, key string) string { return book.Say(ctx, key) }

// Named reports whether the pages have the words of a kind of request: its
// name and what approving it does. Whoever registers a kind adds them to
// words.yaml.
func Named(kind string) bool { return book.Has("kind."+kind) && book.Has("effect."+kind) }
