package screen

import (
	"context"
	_ "embed"

	"parley/internal/httpx/words"
)

//go:embed words.yaml
var wordsFile []byte

var book = words.NewBook("screen", wordsFile)

// say gives this room's sentence for key in the reader's language.
func say(ctx context.Context, key string, args ...any) string { return book.Say(ctx, key, args...) }
